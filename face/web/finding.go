package web

import (
	"net/http"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
)

// findingView is one finding as a page.
type findingView struct {
	F       vedette.Finding
	Title   string
	Case    *vedette.Case
	Similar []vedette.Finding // at other constituents
	Beside  []vedette.Finding // others at the same asset
	Staff   bool
	May     func(policy.Act) bool
}

// finding is the page of one finding.
func (p *Pages) finding(r *face.Request) error {
	rows := r.Desk.Rows()
	f, err := rows.Finding(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := findingView{F: f, Staff: !policy.Bound(r.P), May: func(a policy.Act) bool { return policy.May(r.P, a) }}
	titles, err := rows.Titles(r.Context(), []string{f.Weakness})
	if err != nil {
		return err
	}
	v.Title = titles[f.Weakness]
	if c, err := rows.Case(r.Context(), vedette.CaseID(f.Constituent, f.Weakness)); err == nil {
		v.Case = &c
	}
	if v.Staff {
		fs, _, err := rows.Findings(r.Context(), store.FindingFilter{Weakness: f.Weakness, Limit: 200})
		if err != nil {
			return err
		}
		for _, x := range fs {
			if x.Constituent != f.Constituent && len(v.Similar) < 20 {
				v.Similar = append(v.Similar, x)
			}
		}
	}
	if f.Asset != "" {
		fs, _, err := rows.Findings(r.Context(), store.FindingFilter{Asset: f.Asset, Limit: 50})
		if err != nil {
			return err
		}
		for _, x := range fs {
			if x.ID != f.ID && len(v.Beside) < 20 {
				v.Beside = append(v.Beside, x)
			}
		}
	}
	page := view{Title: findingTitle(f), Sub: f.Weakness, So: v.so(), At: "/findings", Crumbs: []crumb{{"Findings", "/findings?presence=present"}}, Meta: findingMeta(v), Actions: findingActions(v)}
	for i, e := range f.Evidence {
		if i == 0 {
			page.Marking = e.Marking.String()
		}
	}
	if len(f.Evidence) > 1 {
		m := f.Evidence[0].Marking
		for _, e := range f.Evidence[1:] {
			m = m.Join(e.Marking)
		}
		page.Marking = m.String()
	}
	return p.page(r, page, findingPage(v))
}

// findingTitle is where it is, or what is declared.
func findingTitle(f vedette.Finding) string {
	if f.Asset == "" {
		return "Declared software"
	}
	return place(f.Asset, f.Port)
}

func (v findingView) so() string {
	f := v.F
	text := title(string(f.Verdict)) + " and " + string(f.Presence) + " at " + f.Constituent
	if v.Title != "" {
		text = v.Title + ": " + string(f.Verdict) + " and " + string(f.Presence) + " at " + f.Constituent
	}
	return text + ". " + presenceWhy(f)
}

// presenceWhy is how the presence came about.
func presenceWhy(f vedette.Finding) string {
	switch f.Presence {
	case vedette.Present:
		return "The last look that reached it, on " + stamp(f.LastSeen) + ", still saw it."
	case vedette.Fixed:
		return "A look reached the place and saw something else, or nothing of it."
	case vedette.NotObserved:
		return "It was not there any more when somebody looked, or could not be reached: that proves no fix."
	}
	return "Nobody looked in a way that can tell: it is declared, imported, or its check is broken."
}

// retestOne looks again at the place of a finding.
func (p *Pages) retestOne(r *face.Request) error {
	f, err := r.Desk.Rows().Finding(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return retestAll(r, []string{f.ID}, findingPath(f.ID))
}

func (p *Pages) findingRoutes() []face.Route {
	return []face.Route{
		{Method: http.MethodGet, Path: "/findings/{id}", Act: "finding show", Serve: p.finding},
		{Method: http.MethodPost, Path: "/findings/{id}/retest", Act: "finding retest", Serve: p.retestOne},
	}
}

// evidenceWords are what proves a piece of evidence.
func evidenceWords(e vedette.Evidence) []string {
	s := e.Match.Software
	out := []string{}
	for _, w := range []string{s.PackageVersion, s.Version, s.Product} {
		if len(w) > 1 {
			out = append(out, w)
		}
	}
	return append(out, proofWords(s.Product)...)
}
