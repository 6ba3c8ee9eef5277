package web

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

// constituentList is whom we protect.
var constituentList = &list[store.Overview]{
	act: "constituent list", path: "/constituents", title: "Constituents", one: "constituent",
	empty:   "No constituent yet. A lead applies the constituency: vedette constituent apply FILE.",
	filters: []filter{{key: "q", label: "name has"}, {key: "country", label: "country"}, {key: "sector", label: "sector"}, {key: "late", label: "with a deadline over", flag: true}, {key: "open", label: "with open cases", flag: true}},
	so:      constituentsSo,
	id:      func(o store.Overview) string { return o.ID },
	views:   []savedView{{"All", ""}, {"Late", "late=yes"}, {"With open cases", "open=yes"}},
	columns: []column[store.Overview]{
		{key: "name", head: "Constituent", text: func(o store.Overview) string { return o.Name }, sub: func(o store.Overview) string { return o.ID }, href: func(o store.Overview) string { return constituentPath(o.ID) }},
		{key: "risk", head: "Risk", text: func(o store.Overview) string { return riskOf(o.Cases).Word }, cell: func(o store.Overview, _ time.Time) templ.Component { return riskShown(riskOf(o.Cases)) }},
		{key: "cases", head: "Open cases", num: true, text: func(o store.Overview) string { return number(o.Open()) }, href: func(o store.Overview) string { return "/cases?constituent=" + url.QueryEscape(o.ID) }},
		{key: "late", head: "Late", num: true, text: func(o store.Overview) string { return number(o.Late()) }, href: func(o store.Overview) string { return "/cases?due=now&constituent=" + url.QueryEscape(o.ID) }},
		{key: "due", head: "Next due", text: func(o store.Overview) string { return stamp(o.Due()) }, cell: func(o store.Overview, now time.Time) templ.Component { return due(o.Due(), now, false) }},
		{key: "assets", head: "Assets", num: true, text: func(o store.Overview) string { return number(o.Assets) }, href: func(o store.Overview) string { return "/assets?constituent=" + url.QueryEscape(o.ID) }},
		{key: "seen", head: "Seen now", num: true, text: func(o store.Overview) string { return number(o.Seen) }},
		{key: "surveyed", head: "Last survey", text: func(o store.Overview) string { return stamp(o.Surveyed) }, cell: func(o store.Overview, now time.Time) templ.Component { return surveyed(o.Surveyed, now) }},
		{key: "scope", head: "Scope ends", text: func(o store.Overview) string { return scopeEnds(o.Scope) }},
		{key: "sectors", head: "Sectors", hidden: true, text: func(o store.Overview) string { return strings.Join(o.Sectors, ", ") }},
		{key: "countries", head: "Countries", hidden: true, text: func(o store.Overview) string { return strings.Join(o.Countries, ", ") }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) ([]store.Overview, string, error) {
		all, err := d.Rows().Overviews(ctx, "")
		if err != nil {
			return nil, "", err
		}
		var rows []store.Overview
		for _, o := range all {
			if has(o.Name+" "+o.ID, q.get("q")) && has(strings.Join(o.Countries, " "), q.get("country")) && has(strings.Join(o.Sectors, " "), q.get("sector")) && (!q.on("late") || o.Late() > 0) && (!q.on("open") || o.Open() > 0) && o.ID > q.after {
				rows = append(rows, o)
			}
		}
		if len(rows) > q.limit {
			return rows[:q.limit], rows[q.limit-1].ID, nil
		}
		return rows, "", nil
	},
}

// scopeEnds is the first day on which an authorisation ends, "" when none does.
func scopeEnds(scope []vedette.ScopeEntry) (day string) {
	for _, s := range scope {
		if s.ValidUntil != "" && (day == "" || s.ValidUntil < day) {
			day = s.ValidUntil
		}
	}
	return day
}

// constituentsSo says how many are late.
func constituentsSo(rows []store.Overview, _ query, _ bool) string {
	assets, open, late, never := 0, 0, 0, 0
	for _, o := range rows {
		assets, open = assets+o.Assets, open+o.Open()
		late += boolRank(o.Late() > 0)
		never += boolRank(o.Surveyed.IsZero())
	}
	text := fmt.Sprintf("%s with %s and %s.", title(count(len(rows), "organisation")), count(assets, "asset"), count(open, "open case"))
	if late > 0 {
		text += " " + title(verbed(late, "has", "have")) + " a deadline that is over."
	}
	if never > 0 {
		text += " " + title(verbed(never, "was", "were")) + " never surveyed as a whole."
	}
	return text
}

// has says whether a text contains a part, in any case.
func has(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
