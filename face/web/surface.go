package web

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

// surfaceList is what changed on what constituents expose.
var surfaceList = &list[store.Changed]{
	act: "survey diff", path: "/surface", title: "Surface", one: "change",
	empty: "Nothing appeared, changed or vanished in the last 7 days. A survey, or an import of a scan, says what does.",
	views: []savedView{{"Last 7 days", ""}, {"Last 24 hours", "since=1d"}, {"Last 30 days", "since=30d"}, {"Since the last survey began", "since=survey"}, {"Appeared", "what=appeared"}, {"Vanished", "what=vanished"}},
	filters: []filter{{key: "constituent", label: "constituent"}, {key: "since", label: "since, as 2026-11-01, 30d or survey"},
		{key: "what", label: "what", values: []string{"appeared", "changed", "vanished"}}},
	so: func(rows []store.Changed, q query, more bool) string { return surfaceSo(rows, q.get("since"), more) },
	id: func(c store.Changed) string {
		return strings.Join([]string{c.Constituent, c.Asset, strconv.Itoa(c.Port), c.Proto, c.Check, c.Item}, " ")
	},
	columns: []column[store.Changed]{
		{key: "asset", head: "Asset", text: func(c store.Changed) string { return place(c.Asset, c.Port) }, sub: func(c store.Changed) string { return strings.TrimSpace(c.Check + " " + itemText(c.Item)) }, href: func(c store.Changed) string { return assetPagePath(c.Asset) }},
		{key: "what", head: "Change", text: func(c store.Changed) string { return c.What }, cell: func(c store.Changed, _ time.Time) templ.Component { return changed(c.What) }},
		{key: "constituent", head: "Constituent", text: func(c store.Changed) string { return c.Constituent }, href: func(c store.Changed) string { return constituentPath(c.Constituent) }},
		{key: "before", head: "Before", full: true, text: func(c store.Changed) string { return factText(c.Before) }, cell: func(c store.Changed, _ time.Time) templ.Component { return factShown(c.Before) }},
		{key: "after", head: "Now", full: true, text: func(c store.Changed) string { return factText(c.After) }, cell: func(c store.Changed, _ time.Time) templ.Component { return factShown(c.After) }},
		{key: "at", head: "When", text: func(c store.Changed) string { return stamp(c.At) }, cell: func(c store.Changed, _ time.Time) templ.Component { return moment(c.At) }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) ([]store.Changed, string, error) {
		since, err := sinceOf(ctx, d, q.get("since"), q.get("constituent"), d.Rows().Now())
		if err != nil {
			return nil, "", err
		}
		return d.Rows().Changes(ctx, store.ChangeFilter{Constituent: q.get("constituent"), Since: since, What: q.get("what"), After: q.after, Limit: q.limit})
	},
}

// sinceOf reads a time to compare with: a day, a number of days, or before the
// last survey, which is when it was asked for. Nothing is seven days.
func sinceOf(ctx context.Context, d face.Desk, text, constituent string, now time.Time) (time.Time, error) {
	if text == "" {
		return now.AddDate(0, 0, -7), nil
	}
	if text == "survey" {
		ss, _, err := d.Rows().Surveys(ctx, store.SurveyFilter{Constituent: constituent, Limit: 1})
		if err != nil {
			return time.Time{}, err
		}
		if len(ss) == 0 {
			return now, nil // before a survey that never was nothing can have changed
		}
		return ss[0].Asked, nil
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(text, "d")); err == nil && n > 0 && n <= 36500 {
		return now.AddDate(0, 0, -n), nil
	}
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, vedette.Invalid("since %q: a day as 2026-11-01, days back as 30d, or survey", text)
}

// surfaceSo counts the changes of a page.
func surfaceSo(rows []store.Changed, since string, more bool) string {
	n := map[string]int{}
	whom := map[string]bool{}
	for _, c := range rows {
		n[c.What]++
		whom[c.Constituent] = true
	}
	text := strconv.Itoa(n["appeared"]) + " appeared, " + strconv.Itoa(n["changed"]) + " changed, " + strconv.Itoa(n["vanished"]) + " vanished"
	if len(whom) > 0 {
		text += ", at " + count(len(whom), "constituent")
	}
	if more {
		return "The newest " + strconv.Itoa(len(rows)) + " changes: " + text + "."
	}
	return title(text) + "."
}

// itemText is an item without what separates its parts.
func itemText(item string) string { return strings.TrimSpace(strings.ReplaceAll(item, "\x1f", " ")) }
