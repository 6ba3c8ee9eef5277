package web

import (
	"context"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

// findingList is every weakness on every asset.
var findingList = &list[vedette.Finding]{
	act: "finding list", path: "/findings", title: "Findings", one: "finding",
	empty: "No finding yet. Findings come from surveys, from imported scans, and from declared software that meets a known vulnerability.",
	views: []savedView{{"Present", "presence=present"}, {"Exploited and present", "exploited=yes&presence=present"}, {"All", ""}},
	filters: []filter{{key: "constituent", label: "constituent"}, {key: "weakness", label: "weakness"}, {key: "asset", label: "asset"},
		{key: "verdict", label: "confidence", values: []string{"confirmed", "likely", "possible", "declared"}},
		{key: "presence", label: "presence", values: []string{"present", "not observed", "fixed", "undetermined"}},
		{key: "exploited", label: "exploited", flag: true}},
	id: func(f vedette.Finding) string { return f.ID },
	class: func(f vedette.Finding, _ time.Time) string {
		if f.Presence == vedette.Fixed || f.Presence == vedette.NotObserved {
			return "closed"
		}
		return ""
	},
	columns: []column[vedette.Finding]{
		{key: "finding", head: "Finding", text: func(f vedette.Finding) string { return f.Weakness }, sub: func(f vedette.Finding) string { return place(f.Asset, f.Port) }, href: func(f vedette.Finding) string { return "/findings/" + f.ID }},
		{key: "constituent", head: "Constituent", text: func(f vedette.Finding) string { return f.Constituent }, href: func(f vedette.Finding) string { return "/constituents/" + f.Constituent }},
		{key: "verdict", head: "Confidence", text: func(f vedette.Finding) string { return string(f.Verdict) }, cell: func(f vedette.Finding, _ time.Time) templ.Component { return verdict(f.Verdict) }},
		{key: "presence", head: "Presence", text: func(f vedette.Finding) string { return string(f.Presence) }, cell: func(f vedette.Finding, _ time.Time) templ.Component { return presence(f.Presence) }},
		{key: "first", head: "First seen", text: func(f vedette.Finding) string { return stamp(f.FirstSeen) }, cell: func(f vedette.Finding, _ time.Time) templ.Component { return when(f.FirstSeen) }},
		{key: "last", head: "Last seen", text: func(f vedette.Finding) string { return stamp(f.LastSeen) }, cell: func(f vedette.Finding, _ time.Time) templ.Component { return when(f.LastSeen) }},
		{key: "id", head: "Id", hidden: true, text: func(f vedette.Finding) string { return f.ID }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) ([]vedette.Finding, string, error) {
		f := store.FindingFilter{Constituent: q.get("constituent"), Weakness: q.get("weakness"), Asset: q.get("asset"), Verdict: vedette.Verdict(q.get("verdict")),
			Presence: vedette.Presence(q.get("presence")), Exploited: q.on("exploited"), Limit: q.limit}
		if q.after != "" {
			k, err := vedette.ParseFindingID(q.after)
			if err != nil {
				return nil, "", err
			}
			f.After = k
		}
		rows, next, err := d.Rows().Findings(ctx, f)
		if err != nil || next == 0 {
			return rows, "", err
		}
		return rows, vedette.FindingID(next), nil
	},
	bulk: []bulk{{key: "retest", text: "Retest", hot: "v", act: "finding retest", do: retest}},
}
