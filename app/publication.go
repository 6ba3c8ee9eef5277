package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/compose"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/store"
)

// recipient is who an edition is made for: it contains what this principal may
// read and nothing else, by the same walls as every answer.
func recipient(constituent string) vedette.Principal {
	return vedette.Principal{Name: "edition:" + constituent, Roles: []vedette.Role{vedette.Viewer}, Constituents: []string{constituent}}
}

// alert gathers the edition of a constituent; false when it may not know of
// anything that is affected.
func (l *Line) alert(ctx context.Context, weakness, constituent string) (a compose.Alert, m vedette.Marking, ok bool, err error) {
	sc, err := l.store.As(ctx, recipient(constituent))
	if err != nil {
		return a, m, false, err
	}
	j, err := l.join(ctx, sc, weakness)
	if errors.Is(err, vedette.ErrNotFound) {
		return a, m, false, nil // what it is, is above this reader
	}
	if err != nil {
		return a, m, false, err
	}
	i := slices.IndexFunc(j.Constituents, func(c vedette.JoinConstituent) bool { return c.ID == constituent })
	if i < 0 || len(j.Exploited) == 0 {
		return a, m, false, nil
	}
	c := j.Constituents[i]
	// the profile of the constituent is its own as well
	m = j.Mark.Join(vedette.Marking{TLP: vedette.TLPAmberStrict, Audience: vedette.ToOrgs(constituent)})
	a = compose.Alert{Version: "1", Marking: m.String(), Constituent: compose.Constituent{ID: c.ID, Name: c.Name}, CVE: j.ID,
		Title: cmp.Or(j.Title, j.ID), Summary: short(strings.Join(strings.Fields(j.Description), " "), 600), Decision: decisionOf(c)}
	for _, x := range j.Exploited {
		if x.Ended.IsZero() {
			a.Exploited = append(a.Exploited, compose.Exploited{Source: x.Source, Since: x.Since, What: strings.TrimSuffix(x.Status+", "+strings.ReplaceAll(x.Signal, "_", " "), ", ")})
		}
	}
	for _, x := range j.Actors {
		a.Actors = append(a.Actors, compose.Actor{Name: x.Name, Source: x.Source})
	}
	for _, h := range c.Hosts {
		a.Hosts = append(a.Hosts, composeHost(h))
	}
	a.Mitigation = mitigation(j, c)
	for i, ref := range j.References {
		if i < 12 {
			a.References = append(a.References, ref.URL)
		}
	}
	for _, s := range j.Sources {
		a.Sources = append(a.Sources, compose.Source{Name: s.Name, Says: s.Says, Admiralty: s.Reliability, Marking: s.Marking})
	}
	a.Rate()
	return a, m, true, nil
}

func composeHost(h vedette.JoinHost) compose.Host {
	return compose.Host{Asset: h.Asset, Port: h.Port, Proto: h.Proto, Software: h.Software, Verdict: h.Verdict, Presence: h.Presence,
		Why: h.Reasons, Fixed: h.Fixed, Seen: h.LastSeen, Check: h.Check}
}

func decisionOf(c vedette.JoinConstituent) compose.Decision {
	d := compose.Decision{Table: c.Decision.Table, Row: c.Decision.Row, Outcome: c.Decision.Outcome, Deadline: c.Deadline, Start: c.ClockStart, Asserted: c.Asserted, Observed: c.Observed, Forensic: c.Decision.Forensic}
	if c.ClockStart.IsZero() {
		d.Outcome = "nothing affected is there now: no clock runs"
	}
	for _, in := range c.Decision.Inputs {
		text := in.Name + ": " + in.Value
		if in.Assumed {
			text += " (assumed)"
		}
		d.Inputs = append(d.Inputs, text+", "+in.Why)
	}
	return d
}

// mitigation is what to do, each with who says so: the version that fixes
// first, then the vendor, then what lists require.
func mitigation(j *vedette.Join, c vedette.JoinConstituent) (out []compose.Sourced) {
	fixed := map[string]bool{}
	for _, h := range c.Hosts {
		if h.Fixed != "" && !fixed[h.Fixed] {
			fixed[h.Fixed] = true
			out = append(out, compose.Sourced{Text: "Update to " + h.Fixed + " or newer.", Source: "the affected range of the record"})
		}
	}
	for _, s := range j.Solutions {
		out = append(out, compose.Sourced{Text: short(s, 500), Source: "vendor, solution"})
	}
	for _, s := range j.Workarounds {
		out = append(out, compose.Sourced{Text: short(s, 500), Source: "vendor, workaround"})
	}
	for _, x := range j.Exploited {
		if x.Action != "" && x.Ended.IsZero() {
			out = append(out, compose.Sourced{Text: short(x.Action, 500), Source: x.Source + ", required action"})
		}
	}
	return out
}

// draft writes the alert of a vulnerability for constituents as a principal.
func (l *Line) draft(ctx context.Context, p vedette.Principal, weakness string, constituents []string) (vedette.Publication, bool, error) {
	var es []vedette.Edition
	for _, c := range constituents {
		a, m, ok, err := l.alert(ctx, weakness, c)
		if err != nil {
			return vedette.Publication{}, false, err
		}
		if !ok {
			continue
		}
		body, err := json.Marshal(a)
		if err != nil {
			return vedette.Publication{}, false, err
		}
		es = append(es, vedette.Edition{Constituent: c, Level: string(a.Level), Marking: m, Deadline: a.Decision.Deadline, Body: body, Says: a.Says()})
	}
	if len(es) == 0 {
		return vedette.Publication{}, false, vedette.NotFound("nothing of %s is affected that its owner may be told of", weakness)
	}
	sc, err := l.store.As(ctx, p)
	if err != nil {
		return vedette.Publication{}, false, err
	}
	return sc.SaveDraft(ctx, kindAlert, weakness, es)
}

const kindAlert = "alert"

// window is how new an exploitation has to be for an alert of its own: the first
// load of a list of years floods nobody.
func (l *Line) window() (time.Duration, error) {
	if l.alerts == nil {
		return config.Alerts{}.Window(), nil
	}
	c, err := l.alerts()
	return c.Window(), err
}

// author is who drafts for the line.
var author = vedette.Principal{Name: vedette.LineAuthor, Roles: []vedette.Role{vedette.Lead, vedette.Analyst}}

// drafts writes the alerts of newly exploited vulnerabilities whose cases
// opened, and takes drafts back of which a decision covers every finding.
func (l *Line) drafts(ctx context.Context) error {
	if l.store == nil {
		return nil
	}
	if _, err := l.sys.EndExpired(ctx); err != nil {
		return err
	}
	for {
		ids, keys, err := l.sys.Pending(ctx, store.StageDraft, 500)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return l.exposures(ctx)
		}
		window, err := l.window()
		if err != nil {
			return err
		}
		found, err := l.sys.NewlyAsserted(ctx, keys, l.store.Now().Add(-window).UnixMicro())
		if err != nil {
			return err
		}
		drafted, err := l.sys.Drafted(ctx, kindAlert, keys)
		if err != nil {
			return err
		}
		for weakness := range drafted {
			found[weakness] = append(found[weakness], drafted[weakness]...)
		}
		sc, err := l.store.As(ctx, author)
		if err != nil {
			return err
		}
		for _, weakness := range sortedKeys(found) {
			if err := l.draftAgain(ctx, sc, weakness, found[weakness]); err != nil {
				return err
			}
		}
		if err := l.sys.Done(ctx, ids); err != nil {
			return err
		}
	}
}

// draftAgain drafts an alert for those whom no decision covers, and takes the
// drafts of the others back.
func (l *Line) draftAgain(ctx context.Context, sc *store.Scoped, weakness string, constituents []string) error {
	covered, err := coveredAt(ctx, sc, weakness)
	if err != nil {
		return err
	}
	slices.Sort(constituents)
	var whom, dropped []string
	for _, c := range slices.Compact(constituents) {
		if covered[c] != nil {
			dropped = append(dropped, c)
		} else {
			whom = append(whom, c)
		}
	}
	if err := l.sys.DropDrafts(ctx, kindAlert, weakness, dropped, "a decision covers every finding"); err != nil {
		return err
	}
	if _, _, err := l.draft(ctx, author, weakness, whom); err != nil && !errors.Is(err, vedette.ErrNotFound) {
		return err
	}
	return nil
}

// coveredAt are the decisions that cover the cases of a weakness, by constituent.
func coveredAt(ctx context.Context, sc *store.Scoped, weakness string) (map[string]*vedette.Decision, error) {
	out := map[string]*vedette.Decision{}
	for f := (store.CaseFilter{Weakness: weakness, Covered: true, Limit: 500}); ; {
		cs, next, err := sc.Cases(ctx, f)
		if errors.Is(err, vedette.ErrNotFound) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		for _, c := range cs {
			out[c.Constituent] = c.Covered
		}
		if f.After = next; next == "" {
			return out, nil
		}
	}
}

type publicationDraft struct {
	CVE         string   `arg:"" name:"cve" optional:"" help:"The exploited vulnerability."`
	Exposure    bool     `help:"The known exploited exposure instead: all that is exploited and there, old and new, in one edition for each constituent."`
	Constituent []string `help:"Only for this constituent; for all with an open case otherwise." placeholder:"ID"`
}

// Help is shown by --help.
func (publicationDraft) Help() string {
	return "Examples:\n  vedette publication draft CVE-2026-90417\n  vedette publication draft CVE-2026-90417 --constituent alpha\n  vedette publication draft --exposure\n\nThe line drafts by itself: an alert when a vulnerability that is exploited for less than 30 days is found at a constituent, and, once a day, the exposure of constituents where an older one is. An edition holds what its constituent may read, and nothing else."
}

// Run drafts.
func (c *publicationDraft) Run(r *run) error {
	d, err := r.desk()
	if err != nil {
		return err
	}
	if c.Exposure == (c.CVE != "") {
		return fmt.Errorf("%w: name a vulnerability, or --exposure", errUsage)
	}
	var p vedette.Publication
	var changed bool
	if c.Exposure {
		p, changed, err = d.draftExposure(r.ctx, c.Constituent)
	} else {
		p, changed, err = d.draft(r.ctx, c.CVE, c.Constituent)
	}
	if err != nil {
		return err
	}
	if !changed {
		r.note("%s: nothing changed since the last draft", p.ID)
	}
	if err := r.drain(); err != nil {
		return err
	}
	return r.print(publicationTable(p))
}

func publicationTable(ps ...vedette.Publication) *table {
	t := &table{columns: []string{"id", "number", "kind", "weakness", "state", "version", "editions", "author", "drafted", "approver"}}
	for _, p := range ps {
		t.add(p, p.ID, orDash(p.Number), p.Kind, p.Weakness, string(p.State), strconv.Itoa(p.Version), strconv.Itoa(p.Editions), p.Author, stamp(p.Drafted), orDash(p.Approver))
	}
	return t
}

type publicationList struct {
	State string `help:"Only in this state: draft, approved or withdrawn." placeholder:"STATE"`
	Limit int    `help:"How many, at most; ${default} otherwise." default:"100" placeholder:"N"`
}

// Run lists publications.
func (c *publicationList) Run(r *run) error {
	ps, err := r.sc.Publications(r.ctx, vedette.PublicationState(c.State), max(1, min(c.Limit, 100_000)))
	if err != nil {
		return err
	}
	return r.print(publicationTable(ps...))
}

type publicationShow struct {
	ID          string `arg:"" name:"id" help:"Publication, by id or number."`
	Constituent string `help:"The edition of this constituent, as text." placeholder:"ID"`
	Version     int    `help:"This version of it; the last otherwise." placeholder:"N"`
	Form        string `help:"How to write the edition: md, html, json or pdf." default:"md" enum:"md,html,json,pdf"`
}

// Help is shown by --help.
func (publicationShow) Help() string {
	return "Examples:\n  vedette publication show TA-2026-001\n  vedette publication show TA-2026-001 --constituent alpha\n  vedette publication show P-0123456789 --constituent alpha --form html > alpha.html\n  vedette publication show TA-2026-001 --constituent alpha --form pdf > alpha.pdf"
}

// Run shows.
func (c *publicationShow) Run(r *run) error {
	p, err := r.sc.Publication(r.ctx, c.ID)
	if err != nil {
		return err
	}
	if c.Constituent == "" {
		es, err := r.sc.Editions(r.ctx, p.ID)
		if err != nil {
			return err
		}
		t := &table{columns: []string{"publication", "constituent", "version", "state", "level", "marking", "drafted"}}
		for _, e := range es {
			t.add(e, cmp.Or(p.Number, p.ID), e.Constituent, strconv.Itoa(e.Version), string(e.State), e.Level, e.Marking.String(), stamp(e.Drafted))
		}
		return r.print(t)
	}
	if form := compose.Form(c.Form); form.Binary() && isTerminal(r.out) {
		return fmt.Errorf("%w: %s is no text for a terminal: send it to a file, as > %s.%[2]s", errUsage, form, c.Constituent)
	}
	d, err := r.desk()
	if err != nil {
		return err
	}
	return d.Edition(r.ctx, r.out, c.ID, c.Constituent, c.Version, c.Form)
}

// edition is one of any kind, ready to be written.
type edition interface {
	Write(w io.Writer, form compose.Form) error
	Part() (compose.Part, error)
	Check(others []string) []compose.Fault
}

// editionOf is a kept edition with what its publication knows now: the number,
// the reason of a withdrawal, and the history out of the versions the reader
// sees; and with who publishes it, when given.
func editionOf(p vedette.Publication, e vedette.Edition, all []vedette.Edition, team *compose.Team) (edition, error) {
	number, withdrawn := p.Number, ""
	switch e.State {
	case vedette.PublicationDraft:
		number = ""
	case vedette.PublicationWithdrawn:
		withdrawn = p.Reason
	}
	if p.Kind == kindExposure {
		x, history, err := revisions(e, all, compose.Exposure.Changes)
		x.Number, x.Version, x.Drafted, x.Withdrawn, x.History, x.Team = number, strconv.Itoa(e.Version), e.Drafted, withdrawn, history, team
		return x, err
	}
	a, history, err := revisions(e, all, compose.Alert.Changes)
	a.Number, a.Version, a.Drafted, a.Withdrawn, a.History, a.Team = number, strconv.Itoa(e.Version), e.Drafted, withdrawn, history, team
	return a, err
}

// revisions are an edition and what each of its versions changed, newest first.
func revisions[T any](e vedette.Edition, all []vedette.Edition, changes func(now, before T) []string) (now T, out []compose.Revision, err error) {
	var before T
	for _, x := range all { // by version
		if x.Constituent != e.Constituent || x.Version > e.Version {
			continue
		}
		now = *new(T)
		if err := json.Unmarshal(x.Body, &now); err != nil {
			return now, nil, err
		}
		what := []string{"first version"}
		if len(out) > 0 {
			what = changes(now, before)
		}
		out = append(out, compose.Revision{Version: strconv.Itoa(x.Version), Date: x.Drafted, Changes: what})
		before = now
	}
	slices.Reverse(out)
	return now, out, nil
}

type publicationLint struct {
	ID string `arg:"" name:"id" help:"Publication, by id or number."`
}

// Run checks.
func (c *publicationLint) Run(r *run) error {
	d, err := r.desk()
	if err != nil {
		return err
	}
	faults, err := d.Lint(r.ctx, c.ID)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"constituent", "where", "what", "stops"}}
	for _, f := range faults {
		stops := ""
		if f.Stop {
			stops, r.status = "yes", exitNo
		}
		t.add(f, f.Constituent, f.Where, f.What, stops)
	}
	return r.print(t)
}

type publicationApprove struct {
	ID     string `arg:"" name:"id" help:"Publication, by id."`
	Series string `help:"The series that gives the number." default:"TA" placeholder:"PREFIX"`
}

// Help is shown by --help.
func (publicationApprove) Help() string {
	return "Examples:\n  vedette publication approve P-0123456789\n\nNobody approves his own text; what the line drafted, one lead approves."
}

// Run approves when nothing stops it.
func (c *publicationApprove) Run(r *run) error {
	d, err := r.desk()
	if err != nil {
		return err
	}
	p, err := d.approve(r.ctx, c.ID, c.Series)
	if err != nil {
		return err
	}
	return r.print(publicationTable(p))
}

type publicationWithdraw struct {
	ID     string `arg:"" name:"id" help:"Publication, by id or number."`
	Reason string `help:"Why; it is recorded and shown." required:"" placeholder:"TEXT"`
}

// Run withdraws.
func (c *publicationWithdraw) Run(r *run) error {
	if err := r.sc.Withdraw(r.ctx, c.ID, c.Reason); err != nil {
		return err
	}
	r.note("%s is withdrawn", c.ID)
	return r.drain()
}
