package web

import (
	"context"
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
	filters: []filter{{key: "q", label: "name has"}, {key: "country", label: "country"}, {key: "sector", label: "sector"}},
	so: func(rows []store.Overview, _ query, _ bool) string {
		late, open := 0, 0
		for _, o := range rows {
			if o.Surveyed.IsZero() {
				late++
			}
			open += o.Assets
		}
		text := title(count(len(rows), "organisation")) + " with " + count(open, "asset") + "."
		if late > 0 {
			text += " " + title(count(late, "organisation")) + " never surveyed as a whole."
		}
		return text
	},
	id: func(o store.Overview) string { return o.ID },
	columns: []column[store.Overview]{
		{key: "name", head: "Constituent", text: func(o store.Overview) string { return o.Name }, sub: func(o store.Overview) string { return o.ID }, href: func(o store.Overview) string { return constituentPath(o.ID) }},
		{key: "assets", head: "Assets", num: true, text: func(o store.Overview) string { return number(o.Assets) }, href: func(o store.Overview) string { return "/assets?constituent=" + url.QueryEscape(o.ID) }},
		{key: "seen", head: "Seen now", num: true, text: func(o store.Overview) string { return number(o.Seen) }},
		{key: "surveyed", head: "Last survey", text: func(o store.Overview) string { return stamp(o.Surveyed) }, cell: func(o store.Overview, now time.Time) templ.Component { return surveyed(o.Surveyed, now) }},
		{key: "scope", head: "Scope ends", text: func(o store.Overview) string { return scopeEnds(o.Scope) }},
		{key: "sectors", head: "Sectors", text: func(o store.Overview) string { return strings.Join(o.Sectors, ", ") }},
		{key: "countries", head: "Countries", hidden: true, text: func(o store.Overview) string { return strings.Join(o.Countries, ", ") }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) ([]store.Overview, string, error) {
		all, err := d.Rows().Overviews(ctx, "")
		if err != nil {
			return nil, "", err
		}
		var rows []store.Overview
		for _, o := range all {
			if has(o.Name+" "+o.ID, q.get("q")) && has(strings.Join(o.Countries, " "), q.get("country")) && has(strings.Join(o.Sectors, " "), q.get("sector")) && o.ID > q.after {
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

// has says whether a text contains a part, in any case.
func has(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
