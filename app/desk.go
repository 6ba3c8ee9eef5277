package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/collect"
	"github.com/vedette-hub/vedette/compose"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/job"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/scope"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/survey"
)

// desk is where one principal works: what commands, pages and the REST
// interface share. It implements face.Desk.
type desk struct {
	store *store.Store
	sc    *store.Scoped
	line  *Line
	conf  config.Config
	jobs  *job.Jobs // nil where no job is looked at
}

var _ face.Desk = (*desk)(nil)

// desk of a command.
func (r *run) desk() (*desk, error) {
	conf, err := r.config()
	return &desk{store: r.store, sc: r.sc, line: r.line, conf: conf}, err
}

// Rows implements face.Desk.
func (d *desk) Rows() *store.Scoped { return d.sc }

// Whose implements face.Desk.
func (d *desk) Whose(ctx context.Context, asset string) (string, []string, error) {
	cs, err := d.sc.Constituents(ctx)
	if err != nil {
		return "", nil, err
	}
	owner, users, _ := scope.NewMap(cs).Owner(asset)
	return owner, users, nil
}

// Drain implements face.Desk.
func (d *desk) Drain(ctx context.Context) error { return d.line.Drain(ctx) }

// Join implements face.Desk.
func (d *desk) Join(ctx context.Context, id string) (*vedette.Join, error) {
	if cve, err := vedette.ParseCVE(id); err == nil {
		id = cve
	}
	return d.line.join(ctx, d.sc, id)
}

// Cases implements face.Desk.
func (d *desk) Cases(ctx context.Context, f store.CaseFilter) ([]vedette.Case, string, error) {
	return d.sc.Cases(ctx, f)
}

// Case implements face.Desk.
func (d *desk) Case(ctx context.Context, id string) (vedette.Case, []vedette.Finding, error) {
	c, err := d.sc.Case(ctx, id)
	if err != nil {
		return c, nil, err
	}
	fs, _, err := d.sc.FindingsInFull(ctx, store.FindingFilter{Weakness: c.Weakness, Constituent: c.Constituent, Limit: 10_000})
	return c, fs, err
}

// SetCases implements face.Desk.
func (d *desk) SetCases(ctx context.Context, ids []string, ch store.CaseChange) (face.Outcome, error) {
	done, refused, undo, err := d.sc.SetCases(ctx, ids, ch)
	if err != nil {
		return face.Outcome{}, err
	}
	return ofBatch(done, refused, undo), d.Drain(ctx)
}

// Undo implements face.Desk.
func (d *desk) Undo(ctx context.Context, event int64) (face.Outcome, error) {
	done, refused, again, err := d.sc.Undo(ctx, event)
	if err != nil {
		return face.Outcome{}, err
	}
	return ofBatch(done, refused, again), d.Drain(ctx)
}

func ofBatch(done int, refused []store.NotDone, undo int64) face.Outcome {
	return face.Outcome{Done: done, Undo: undo, Refused: refused}
}

// Retest implements face.Desk: one survey for each constituent and class of check.
func (d *desk) Retest(ctx context.Context, findings []string) (out []vedette.Survey, err error) {
	type group struct {
		constituent string
		class       vedette.CheckClass
	}
	inputs, places := map[group]survey.Input{}, map[group][]vedette.Place{}
	var order []group
	var note []string
	for _, id := range findings {
		f, err := d.sc.Finding(ctx, id)
		if err != nil {
			return nil, err
		}
		in, err := d.retest(ctx, f)
		if err != nil {
			return nil, err
		}
		g := group{f.Constituent, in.Class}
		if _, ok := inputs[g]; !ok {
			inputs[g], order = in, append(order, g)
		}
		places[g], note = append(places[g], vedette.Place{Asset: f.Asset, Port: f.Port, Proto: f.Proto}), append(note, id)
	}
	for _, g := range order {
		s := vedette.Survey{Constituent: g.constituent, Kind: vedette.RetestSurvey, Note: note[0]}
		detail := map[string]string{"finding": note[0]}
		if n := len(places[g]); n > 1 {
			s.Note, detail = count(n, "place"), map[string]string{"places": strconv.Itoa(n)}
		}
		if s, err = d.sc.AddSurvey(ctx, s, survey.Retest(inputs[g], places[g]), detail); err != nil {
			return out, err
		}
		out = append(out, s)
	}
	return out, nil
}

// retest is what a look at the places of a finding takes.
func (d *desk) retest(ctx context.Context, f vedette.Finding) (in survey.Input, err error) {
	if f.Asset == "" {
		return in, vedette.Refused("%s is of declared software: there is no place to look at", f.ID)
	}
	if in, err = planInput(ctx, d.sc, d.store.System(), f.Constituent, vedette.Active, ""); err != nil {
		return in, err
	}
	if in.Class, err = retestClass(in.Rules, f); err != nil {
		return in, err
	}
	return in, d.mayLook(ctx)
}

// mayLook: outside of a lab those we look at must be able to ask who we are.
func (d *desk) mayLook(ctx context.Context) error {
	_, lab, err := d.store.System().Lab(ctx)
	if err == nil && d.conf.Survey.Contact == "" && !lab {
		return vedette.Refused("survey.contact is missing in the configuration: those we look at must be able to ask who we are")
	}
	return err
}

// Survey implements face.Desk.
func (d *desk) Survey(ctx context.Context, constituent string, class vedette.CheckClass) (s vedette.Survey, err error) {
	plan, err := d.plan(ctx, constituent, class)
	if err != nil {
		return s, err
	}
	if len(plan.Parts) == 0 {
		return s, vedette.Refused("the scope of %s authorises nothing to look at", constituent)
	}
	if err := d.mayLook(ctx); err != nil {
		return s, err
	}
	return d.sc.AddSurvey(ctx, vedette.Survey{Constituent: constituent, Kind: vedette.FullSurvey}, plan.Parts,
		map[string]string{"class": string(class), "names": strconv.Itoa(plan.Names), "addresses": strconv.Itoa(plan.Addresses)})
}

func (d *desk) plan(ctx context.Context, constituent string, class vedette.CheckClass) (survey.Plan, error) {
	if class != vedette.Passive && class != vedette.Active {
		return survey.Plan{}, vedette.Invalid("%q: a survey is passive or active", class)
	}
	in, err := planInput(ctx, d.sc, d.store.System(), constituent, class, cmp.Or(d.conf.Survey.Ports, survey.DefaultPorts))
	if err != nil {
		return survey.Plan{}, err
	}
	return survey.Make(in), nil
}

// Plan implements face.Desk.
func (d *desk) Plan(ctx context.Context, constituent string, class vedette.CheckClass) (face.Plan, error) {
	p, err := d.plan(ctx, constituent, class)
	out := face.Plan{Names: p.Names, Addresses: p.Addresses, Parts: len(p.Parts)}
	for _, l := range p.Left {
		out.Left = append(out.Left, face.Left{What: l.What, Why: l.Why})
	}
	return out, err
}

// SetSchedule implements face.Desk: a person began the first survey, so what
// authorises the others was shown to somebody.
func (d *desk) SetSchedule(ctx context.Context, s vedette.Schedule) error {
	if s.Every != 0 && s.Every < time.Hour {
		return vedette.Invalid("every %s: it is at least 1h", s.Every)
	}
	if s.Class != vedette.Passive && s.Class != vedette.Active {
		return vedette.Invalid("%q: a survey is passive or active", s.Class)
	}
	if s.Hours != "" {
		if _, _, err := parseHours(s.Hours); err != nil {
			return vedette.Invalid("hours: %w", err)
		}
	}
	if _, err := d.sc.Constituent(ctx, s.Constituent); err != nil {
		return err
	}
	before, err := d.sc.Surveyed(ctx, s.Constituent)
	if err != nil {
		return err
	}
	if !before && s.Every > 0 {
		return vedette.Refused("run the first survey of %s by hand: it shows what authorises it", s.Constituent)
	}
	s.Next = d.store.Now().Add(s.Every)
	if err := d.sc.SetSchedule(ctx, s); err != nil {
		return err
	}
	return d.Drain(ctx)
}

// OptOut implements face.Desk.
func (d *desk) OptOut(ctx context.Context, o vedette.OptOut) error {
	if strings.TrimSpace(o.Reason) == "" { // without one the store would take the opt-out away
		return vedette.Invalid("the reason says who asked, and why")
	}
	if _, ok := (vedette.ScopeEntry{CIDR: o.What}).Prefix(); !ok {
		a, err := vedette.ParseAsset(o.What)
		if err != nil {
			return vedette.Invalid("%q is no address, network or name", o.What)
		}
		o.What = a.ID
	}
	if o.Until != "" {
		if _, err := time.Parse(time.DateOnly, o.Until); err != nil {
			return vedette.Invalid("until %q is not YYYY-MM-DD", o.Until)
		}
	}
	if err := d.sc.SetOptOut(ctx, o); err != nil {
		return err
	}
	return d.Drain(ctx)
}

// Draft implements face.Desk.
func (d *desk) Draft(ctx context.Context, cve string, whom []string) (vedette.Publication, error) {
	p, _, err := d.draft(ctx, cve, whom)
	if err != nil {
		return p, err
	}
	return p, d.Drain(ctx)
}

func (d *desk) draft(ctx context.Context, cve string, whom []string) (vedette.Publication, bool, error) {
	if len(whom) == 0 {
		for f := (store.CaseFilter{Weakness: cve, Limit: 500}); ; {
			cs, next, err := d.sc.Cases(ctx, f)
			if err != nil {
				return vedette.Publication{}, false, err
			}
			for _, x := range cs {
				whom = append(whom, x.Constituent)
			}
			if f.After = next; next == "" {
				break
			}
		}
	}
	if len(whom) == 0 {
		return vedette.Publication{}, false, vedette.NotFound("no open case of %s", cve)
	}
	slices.Sort(whom)
	return d.line.draft(ctx, d.sc.Principal(), cve, slices.Compact(whom))
}

// Lint implements face.Desk.
func (d *desk) Lint(ctx context.Context, id string) ([]vedette.Fault, error) {
	p, err := d.sc.Publication(ctx, id)
	if err != nil {
		return nil, err
	}
	es, err := d.sc.Editions(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	cs, err := d.sc.Constituents(ctx)
	if err != nil {
		return nil, err
	}
	var others []string
	for _, c := range cs {
		others = append(others, c.ID, c.Name)
	}
	var covered map[string]*vedette.Decision
	if p.Weakness != "" {
		if covered, err = coveredAt(ctx, d.sc, p.Weakness); err != nil {
			return nil, err
		}
	}
	var out []vedette.Fault
	for _, e := range es {
		if e.State != vedette.PublicationDraft {
			continue
		}
		a, err := editionOf(p, e, es, nil)
		if err != nil {
			return nil, err
		}
		if d := covered[e.Constituent]; d != nil {
			out = append(out, vedette.Fault{Constituent: e.Constituent, Where: "decision", What: fmt.Sprintf("a decision covers every finding: %s, %s", d.Kind, d.Reason), Stop: true})
		}
		for _, f := range a.Check(others) {
			out = append(out, vedette.Fault{Constituent: e.Constituent, Where: f.Where, What: f.What, Stop: f.Stop})
		}
	}
	return out, nil
}

// Approve implements face.Desk: nobody approves what a check stops.
func (d *desk) Approve(ctx context.Context, id string) (vedette.Publication, error) {
	return d.approve(ctx, id, defaultSeries)
}

const defaultSeries = "TA"

func (d *desk) approve(ctx context.Context, id, series string) (vedette.Publication, error) {
	faults, err := d.Lint(ctx, id)
	if err != nil {
		return vedette.Publication{}, err
	}
	for _, f := range faults {
		if f.Stop {
			return vedette.Publication{}, vedette.Refused("the edition for %s: %s", f.Constituent, f.What)
		}
	}
	p, err := d.sc.Approve(ctx, id, series)
	if err != nil {
		return p, err
	}
	return p, d.Drain(ctx)
}

// Publish implements face.Desk.
func (d *desk) Publish(ctx context.Context, id string) (store.Published, error) {
	out, err := publish(ctx, d.sc, id, d.conf)
	if err != nil {
		return out, err
	}
	return out, d.Drain(ctx)
}

// Withdraw implements face.Desk.
func (d *desk) Withdraw(ctx context.Context, id, reason string) error {
	if err := d.sc.Withdraw(ctx, id, reason); err != nil {
		return err
	}
	return d.Drain(ctx)
}

// Edition implements face.Desk.
func (d *desk) Edition(ctx context.Context, w io.Writer, id, constituent string, version int, form string) error {
	_, _, a, err := d.edition(ctx, id, constituent, version)
	if err != nil {
		return err
	}
	return a.Write(w, compose.Form(form))
}

// edition is the edition of a constituent, as it was kept and as it is read now.
func (d *desk) edition(ctx context.Context, id, constituent string, version int) (p vedette.Publication, e vedette.Edition, a edition, err error) {
	if p, err = d.sc.Publication(ctx, id); err != nil {
		return p, e, a, err
	}
	es, err := d.sc.Editions(ctx, p.ID)
	if err != nil {
		return p, e, a, err
	}
	for _, e := range slices.Backward(es) {
		if e.Constituent == constituent && (version == 0 || e.Version == version) {
			var team *compose.Team
			if t := d.conf.Team; t != (config.Team{}) {
				team = &compose.Team{Name: t.Name, Contact: t.Contact}
			}
			a, err := editionOf(p, e, es, team)
			return p, e, a, err
		}
	}
	return p, e, a, vedette.NotFound("edition of %s for %s", id, constituent)
}

// Import implements face.Desk: the path of `vedette import`.
func (d *desk) Import(ctx context.Context, u face.Upload, file io.Reader) (out []face.Imported, err error) {
	if u.Format != "" {
		if _, err := read.ByName(u.Format); err != nil {
			return nil, err
		}
	}
	own, err := scopeOwner(ctx, d.store)
	if err != nil {
		return nil, err
	}
	c := importCmd{Source: u.Source}
	order := collect.Order{Desk: storeDesk{d.sc, own}, Format: u.Format, Source: c.source(u.Marking), Marking: u.Marking, Constituent: u.Constituent, Shrink: u.Shrink, Now: d.store.Now}
	if err := order.Stream(ctx, u.Name, file, func(r collect.Result) {
		x := face.Imported{File: r.File, Format: r.Format, Counts: r.Counts, Known: r.Known, Refused: []face.NotTaken{}}
		for _, f := range r.Refused {
			x.Refused = append(x.Refused, face.NotTaken(f))
		}
		out = append(out, x)
	}); err != nil {
		return out, err
	}
	return out, d.Drain(ctx)
}

// Jobs implements face.Desk.
func (d *desk) Jobs(ctx context.Context, asked face.JobFilter) ([]vedette.Job, error) {
	if !policy.May(d.sc.Principal(), "job list") {
		return nil, vedette.Refused("%s may not see jobs", d.sc.Principal().Name)
	}
	f := job.Filter{Kind: asked.Kind, Before: asked.Below, Limit: asked.Limit}
	if asked.State != "" {
		f.States = []job.State{job.State(asked.State)}
	}
	if d.jobs == nil {
		return nil, nil
	}
	rows, err := d.jobs.List(ctx, f)
	var out []vedette.Job
	for _, x := range rows {
		out = append(out, jobOf(x))
	}
	return out, err
}

func jobOf(x job.Row) vedette.Job {
	return vedette.Job{ID: x.ID, Kind: x.Kind, State: string(x.State), Attempt: x.Attempt, Max: x.Max, Args: x.Args, Created: x.Created, Worker: x.Worker, Error: x.Error}
}

// RetryJob implements face.Desk.
func (d *desk) RetryJob(ctx context.Context, id int64) error {
	return d.changeJob(ctx, "job retry", id, (*job.Jobs).Retry)
}

// CancelJob implements face.Desk.
func (d *desk) CancelJob(ctx context.Context, id int64) error {
	return d.changeJob(ctx, "job cancel", id, (*job.Jobs).Cancel)
}

func (d *desk) changeJob(ctx context.Context, verb string, id int64, change func(*job.Jobs, context.Context, int64) error) error {
	if d.jobs == nil {
		return vedette.NotFound("job %d", id)
	}
	if !policy.May(d.sc.Principal(), policy.Act(verb)) {
		return vedette.Refused("%s may not %s", d.sc.Principal().Name, verb)
	}
	if err := change(d.jobs, ctx, id); err != nil {
		return err
	}
	if err := d.sc.Record(ctx, verb, strconv.FormatInt(id, 10)); err != nil {
		return err
	}
	return d.Drain(ctx)
}
