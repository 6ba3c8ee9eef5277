package web

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

// risk is how much stands against a constituent now, in a word, by a rule that
// anybody can check.
type risk struct {
	Word, Class, Why string
}

// riskOf takes the word from the open cases: high when a deadline is over or
// something is to be fixed in three days, medium when any clock runs, low when a
// case is open, none otherwise.
func riskOf(cases []store.CaseCount) risk {
	late, strict, clocks, open := 0, 0, 0, 0
	for _, c := range cases {
		late, open = late+c.Late, open+c.Cases
		if c.Ruling != nil {
			clocks += c.Cases
			if c.Ruling.Days > 0 && c.Ruling.Days <= 3 {
				strict += c.Cases
			}
		}
	}
	switch {
	case late > 0 && strict > 0:
		return risk{"High", "t-crit", verbed(late, "deadline is", "deadlines are") + " over, and " + verbed(strict, "case is", "cases are") + " to be fixed in three days"}
	case late > 0:
		return risk{"High", "t-crit", verbed(late, "deadline is", "deadlines are") + " over"}
	case strict > 0:
		return risk{"High", "t-crit", verbed(strict, "case is", "cases are") + " to be fixed in three days"}
	case clocks > 0:
		return risk{"Medium", "t-high", verbed(clocks, "case has", "cases have") + " a deadline"}
	case open > 0:
		return risk{"Low", "", verbed(open, "case is", "cases are") + " open, without a deadline"}
	}
	return risk{"None known", "", "no case is open"}
}

// level is the word as a badge shows it.
func (r risk) level() string {
	if w, _, several := strings.Cut(r.Word, " "); !several {
		return w
	}
	return "info"
}

// constituentView is the page of one constituent.
type constituentView struct {
	store.Overview
	Risk     risk
	Touched  []store.Touched
	Touching int
	Changes  []store.Changed
	Moved    string // how many changes in seven days
	Told     []store.Told
	Surveys  []vedette.Survey
	Table    []caseLine
	Now      time.Time
	May      map[string]bool
}

// caseLine is one ruling with its cases by state.
type caseLine struct {
	Ruling *vedette.Ruling
	N      []int // by the states of the table
	All    int
}

// tableStates are the columns of the table of cases.
var tableStates = []vedette.CaseState{vedette.CaseNew, vedette.CaseTriaged, vedette.CaseNotified, vedette.CaseAcknowledged, vedette.CaseReportedFixed}

const (
	pageTouched = 8
	pageChanges = 6
	pageTold    = 8
	pageSurveys = 5
	mostChanges = 500
)

// constituent is one constituent at a glance.
func (p *Pages) constituent(r *face.Request) error {
	id := r.PathValue("id")
	all, err := r.Desk.Rows().Overviews(r.Context(), id)
	if err != nil {
		return err
	}
	v := &constituentView{Overview: all[0], Now: p.hub.Now(), May: map[string]bool{"survey": face.Has(r.P, "survey run"), "cves": face.Has(r.P, "cve list")}}
	if err := v.gather(r.Context(), r.Desk.Rows()); err != nil {
		return err
	}
	v.Risk, v.Table = riskOf(v.Cases), caseTable(v.Cases)
	mark := vedette.Marking{TLP: vedette.TLPAmberStrict, Audience: vedette.ToOrgs(v.ID)}
	return p.page(r, view{Title: v.Name, Sub: v.ID, So: v.so(), At: constituentList.path, Crumbs: []crumb{{constituentList.title, constituentList.path}},
		Marking: mark.String(), Meta: constituentMeta(v), Actions: constituentActions(v)}, constituentPage(v))
}

func (v *constituentView) gather(ctx context.Context, sc *store.Scoped) (err error) {
	if v.Touched, v.Touching, err = sc.Touched(ctx, v.ID, pageTouched); err != nil {
		return err
	}
	changes, next, err := sc.Changes(ctx, store.ChangeFilter{Constituent: v.ID, Since: v.Now.AddDate(0, 0, -7), Limit: mostChanges})
	if err != nil {
		return err
	}
	v.Changes, v.Moved = changes[:min(len(changes), pageChanges)], moved(changes, next != "")
	if v.Told, err = sc.Told(ctx, v.ID, nil, pageTold); err != nil {
		return err
	}
	v.Surveys, _, err = sc.Surveys(ctx, store.SurveyFilter{Constituent: v.ID, Limit: pageSurveys})
	return err
}

// moved counts changes in a few words.
func moved(cs []store.Changed, more bool) string {
	n := map[string]int{}
	for _, c := range cs {
		n[c.What]++
	}
	if more {
		return fmt.Sprintf("more than %d changes in 7 days", len(cs))
	}
	return fmt.Sprintf("+%d, ~%d, -%d in 7 days", n["appeared"], n["changed"], n["vanished"])
}

// caseTable arranges counts by ruling and state.
func caseTable(cs []store.CaseCount) (out []caseLine) {
	for _, c := range cs { // the strictest first
		if len(out) == 0 || rulingRank(out[len(out)-1].Ruling) != rulingRank(c.Ruling) {
			out = append(out, caseLine{Ruling: c.Ruling, N: make([]int, len(tableStates))})
		}
		l := &out[len(out)-1]
		if i := slices.Index(tableStates, c.State); i >= 0 {
			l.N[i] += c.Cases
		}
		l.All += c.Cases
	}
	return out
}

// share is how much of the longest line a line is, in a chart of 200.
func (v *constituentView) share(l caseLine) int {
	most := 1
	for _, x := range v.Table {
		most = max(most, x.All)
	}
	return max(2, 200*l.All/most)
}

func shareClass(r *vedette.Ruling) string {
	switch {
	case r == nil:
		return "f-none"
	case r.Days == 0 || r.Days > 14:
		return "f-low"
	case r.Days <= 3:
		return "f-crit"
	}
	return "f-high"
}

// so is what threatens it, and by when.
func (v *constituentView) so() string {
	text := "Risk is " + strings.ToLower(v.Risk.Word) + ": " + v.Risk.Why + "."
	if n := v.Touching; n > 0 {
		text += " " + title(verbed(n, "exploited vulnerability touches", "exploited vulnerabilities touch")) + " it."
	}
	if d := v.Due(); d.After(v.Now) {
		text += " The next deadline is " + d.UTC().Format("Mon 2 Jan 15:04Z") + "."
	}
	return text
}

// figures are the numbers of the page.
func (v *constituentView) figures() []figureView {
	q := url.QueryEscape(v.ID)
	late := figureView{N: v.Late(), Label: "late", Href: "/cases?due=now&constituent=" + q, Detail: "no deadline runs"}
	if late.N > 0 {
		late.Class = "t-crit"
	}
	if d := v.Due(); !d.IsZero() {
		late.Detail = "next due " + d.UTC().Format("Mon 2 Jan")
		if d.Before(v.Now) {
			late.Detail = "the first " + dueText(d, v.Now, false)
		}
	}
	survey := figureView{Text: cmp.Or(strings.TrimSuffix(ago(v.Surveyed, v.Now), " ago"), "never"), Label: "since the last survey", Href: "/surveys?constituent=" + q, Detail: "of all that its scope authorises"}
	return []figureView{
		{Text: v.Risk.Word, Class: v.Risk.Class, Label: "risk now", Href: "/cases?constituent=" + q, Detail: "by the strictest clock that runs"},
		{N: v.Touching, Label: "exploited and here", Href: "#why", Detail: "vulnerabilities with an open case"},
		{N: v.Open(), Label: "open cases", Href: "/cases?constituent=" + q},
		late,
		{N: v.Seen, Label: "things exposed", Href: "/assets?constituent=" + q, Detail: "on " + count(v.Assets, "asset") + "; " + v.Moved},
		survey,
	}
}

// toldState is what became of what a constituent was told.
func toldState(t store.Told) (text, class string) {
	switch {
	case t.State == vedette.PublicationWithdrawn:
		return "withdrawn", "s7"
	case t.Failed && t.Acked.IsZero():
		return "not delivered", "sx st-bad"
	case !t.Acked.IsZero():
		return "acknowledged", "s5 st-done"
	case !t.Sent.IsZero():
		return "sent", "sd st-work"
	case t.Draft:
		return "draft", "s0 st-new"
	}
	return "approved, not sent", "s4 st-work"
}

// shortState is a state in one word, for the head of a column.
func shortState(s vedette.CaseState) string {
	if s == vedette.CaseReportedFixed {
		return "claimed"
	}
	return string(s)
}

// contactFacts are how to reach a contact.
func contactFacts(c vedette.Contact) []string {
	out := []string{c.Email}
	if c.Language != "" {
		out = append(out, strings.ToUpper(c.Language))
	}
	if c.OpenPGP != "" {
		out = append(out, "OpenPGP")
	}
	if c.SMIME != "" {
		out = append(out, "S/MIME")
	}
	return out
}

// profile is what a constituent says of itself, but for its software.
func profile(c vedette.Constituent) (out [][2]string) {
	var systems []string
	for _, s := range c.Systems {
		systems = append(systems, s.Name)
	}
	for _, x := range []struct {
		name string
		of   []string
	}{{"Seats", c.Countries}, {"Sectors", c.Sectors}, {"Partners", c.Partners}, {"Providers", c.Providers}, {"Events", c.Events}, {"Systems", systems}} {
		if len(x.of) > 0 {
			out = append(out, [2]string{x.name, strings.Join(x.of, ", ")})
		}
	}
	return out
}
