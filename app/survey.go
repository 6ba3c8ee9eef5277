package app

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/probe"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/survey"
)

// surveyCommands are the commands of surveys.
type surveyCommands struct {
	Run      surveyRun      `cmd:"" help:"Look at what a constituent exposes, inside its scope."`
	Host     surveyHost     `cmd:"" help:"Look at one name or address, inside the scope."`
	List     surveyList     `cmd:"" help:"List surveys, newest first."`
	Show     surveyShow     `cmd:"" help:"Show how a survey went: what was refused, what did not work."`
	Diff     surveyDiff     `cmd:"" help:"Show what appeared, changed and vanished."`
	Unknowns surveyUnknowns `cmd:"" help:"List answers that no rule recognises, by weight."`
	Stop     surveyStop     `cmd:"" help:"Stop a survey, or all of them, within seconds."`
	Resume   surveyResume   `cmd:"" help:"Lift the stop of all surveys."`
	Optout   struct {
		Add    optoutAdd    `cmd:"" help:"Keep something from being touched, whatever the scope says."`
		List   optoutList   `cmd:"" help:"List what owners asked us not to touch."`
		Remove optoutRemove `cmd:"" help:"End an opt-out."`
	} `cmd:"" help:"What owners asked us not to touch."`
	Schedule struct {
		Set  scheduleSet  `cmd:"" help:"Survey a constituent by itself; --every 0 ends it."`
		List scheduleList `cmd:"" help:"List schedules."`
	} `cmd:"" help:"Surveys that begin by themselves, under serve."`
}

type surveyRun struct {
	Constituent string `arg:"" help:"Whom to look at." placeholder:"ID"`
	Class       string `help:"How far checks go: passive (look-ups) or active." default:"active" enum:"passive,active"`
	Ports       string `help:"What to scan, as 'tcp:22,80-90 udp:53', instead of the configured list." placeholder:"PORTS"`
	DryRun      bool   `help:"Show what would be looked at, and touch nothing."`
	Detach      bool   `help:"Do not wait for the end: serve or a worker goes on with it."`
	Yes         bool   `help:"Do not ask before the first survey of a constituent."`
}

// Help is shown by --help.
func (surveyRun) Help() string {
	return "Examples:\n  vedette survey run alpha\n  vedette survey run alpha --class passive\n  vedette survey run alpha --dry-run -o json\n\nOnly what the constituent's scope authorises is touched; what it refuses is recorded. A survey that is killed goes on under `vedette serve`, or with `vedette survey run` of anybody."
}

// Run plans the survey and works it, or waits for those who do.
func (c *surveyRun) Run(r *run) error {
	conf, err := r.config()
	if err != nil {
		return err
	}
	ports, err := r.portsOf(c.Ports, conf.Survey)
	if err != nil {
		return err
	}
	in, err := planInput(r.ctx, r.sc, r.store.System(), c.Constituent, vedette.CheckClass(c.Class), ports)
	if err != nil {
		return err
	}
	plan := survey.Make(in)
	if c.DryRun {
		return r.printPlan(plan)
	}
	r.note("%s: %d names and %d addresses in %d parts, %s checks", c.Constituent, plan.Names, plan.Addresses, len(plan.Parts), c.Class)
	for _, l := range plan.Left {
		r.note("  left out %s: %s", l.What, l.Why)
	}
	if len(plan.Parts) == 0 {
		return vedette.Refused("the scope of %s authorises nothing to look at; see `vedette survey run %s --dry-run`", c.Constituent, c.Constituent)
	}
	if err := r.maySurvey(in.Constituent, conf.Survey.Contact, c.Yes); err != nil {
		return err
	}
	s, err := r.sc.AddSurvey(r.ctx, vedette.Survey{Constituent: c.Constituent, Kind: vedette.FullSurvey}, plan.Parts,
		map[string]string{"class": c.Class, "names": strconv.Itoa(plan.Names), "addresses": strconv.Itoa(plan.Addresses)})
	if err != nil {
		return err
	}
	return r.finishSurvey(s, c.Detach)
}

// portsOf is what to scan: as the command says, or the configuration.
func (r *run) portsOf(said string, conf config.Survey) (string, error) {
	ports := cmp.Or(said, conf.Ports, survey.DefaultPorts)
	if err := config.CheckPorts(ports); err != nil {
		return "", fmt.Errorf("%w: --ports: %w", errUsage, err)
	}
	_, lab, err := r.store.System().Lab(r.ctx)
	if err != nil {
		return "", err
	}
	return ports, fits(ports, conf, lab)
}

// fits refuses more ports than one part can ask of one host in its time, silent
// ports three times, at the pace of the brakes: it would be given up halfway.
func fits(ports string, conf config.Survey, lab bool) error {
	pace := safe.Pace{Connects: conf.Connects}.Within(lab).Connects
	most := int(pace * partTime.Seconds() / 3)
	if n := len(probe.ParsePorts(ports, "tcp")); n > most {
		return fmt.Errorf("%w: %d ports do not fit into the %s of a part at %g connects a second: at most %d; survey them one after the other", errUsage, n, partTime, pace, most)
	}
	return nil
}

func (r *run) printPlan(plan survey.Plan) error {
	t := &table{columns: []string{"what", "looked at", "why not"}}
	type row struct {
		What string `json:"what"`
		Look bool   `json:"look"`
		Why  string `json:"why,omitempty"`
	}
	for _, p := range plan.Parts {
		for _, n := range append(slices.Clone(p.Names), p.Addresses...) {
			t.add(row{n, true, ""}, n, "yes", "")
		}
	}
	for _, l := range plan.Left {
		t.add(row{l.What, false, l.Why}, l.What, "no", l.Why)
	}
	return r.print(t)
}

// maySurvey: outside of a lab those we look at must be able to ask who we are,
// and the first survey of a constituent shows what authorises it and asks.
func (r *run) maySurvey(c vedette.Constituent, contact string, yes bool) error {
	_, lab, err := r.store.System().Lab(r.ctx)
	if err != nil {
		return err
	}
	if contact == "" && !lab {
		return vedette.Refused("survey.contact is missing in the configuration: those we look at must be able to ask who we are")
	}
	before, err := r.sc.Surveyed(r.ctx, c.ID)
	if err != nil || before || yes {
		return err
	}
	fmt.Fprintf(r.errs, "This is the first survey of %s (%s). What authorises it:\n", c.ID, plain(c.Name))
	for _, e := range c.Scope {
		fmt.Fprintf(r.errs, "  %s  by %s, %s%s  %s\n", cmp.Or(e.Domain, e.CIDR, e.URL), plain(e.AuthorisedBy), plain(e.Document), until(e.ValidUntil), joinClasses(e.Classes))
	}
	for _, e := range c.Exclude {
		fmt.Fprintf(r.errs, "  never %s\n", cmp.Or(e.Domain, e.CIDR, e.URL))
	}
	if !isTerminal(r.in) {
		return vedette.Refused("nobody is here to ask: add --yes when the documents are in order")
	}
	fmt.Fprint(r.errs, "Begin? [y/N] ")
	answer, err := bufio.NewReader(r.in).ReadString('\n')
	if err != nil || !strings.EqualFold(strings.TrimSpace(answer), "y") {
		return vedette.Refused("not begun")
	}
	return nil
}

func until(day string) string {
	if day == "" {
		return ""
	}
	return ", valid until " + day
}

func joinClasses(cs []vedette.CheckClass) string {
	if len(cs) == 0 {
		return "passive"
	}
	var s []string
	for _, c := range cs {
		s = append(s, string(c))
	}
	return strings.Join(s, " ")
}

// finishSurvey works a survey to its end, or waits for those who do, and
// prints how it went.
func (r *run) finishSurvey(s vedette.Survey, detach bool) error {
	if detach {
		r.note("%s waits for `vedette serve`; `vedette survey show %s` tells how it goes", s.ID, s.ID)
		return r.print(surveyTable(s))
	}
	v, err := r.workSurvey(s)
	if err != nil {
		return err
	}
	return r.printSurvey(v)
}

// workSurvey works a survey to its end, or waits for those who do.
func (r *run) workSurvey(s vedette.Survey) (v store.SurveyView, err error) {
	h, err := r.workHere()
	if err != nil {
		return v, err
	}
	switch {
	case h == nil && store.IsURL(r.place()):
		r.note("%s waits for `vedette serve` and its workers", s.ID)
	case h == nil:
		r.note("%s: another process works it", s.ID)
	}
	v, err = r.await(s.ID, func() error {
		if h == nil { // the other may have ended
			h, err = r.workHere()
		}
		return err
	})
	if h != nil {
		err = errors.Join(err, h.stop(context.WithoutCancel(r.ctx)))
	}
	if err != nil {
		r.note("%s goes on under `vedette serve`", s.ID)
		return v, err
	}
	return v, r.drain()
}

// lookAgain is how often who waits for another process looks whether it is there.
const lookAgain = 3 * time.Second

// await shows how far a survey is until it ended; now and then it calls again.
func (r *run) await(id string, again func() error) (store.SurveyView, error) {
	defer r.progress("")
	for next := time.Now().Add(lookAgain); ; {
		v, err := r.sc.Survey(r.ctx, id)
		if err != nil || !v.Ended.IsZero() {
			return v, err
		}
		r.progress("%s: %d of %d parts, %d assets, %d connections", id, v.Done, v.Parts, v.Looks, v.Sent)
		if time.Now().After(next) {
			if err := again(); err != nil {
				return v, err
			}
			next = time.Now().Add(lookAgain)
		}
		select {
		case <-r.ctx.Done():
			return v, r.ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (r *run) printSurvey(v store.SurveyView) error {
	for _, t := range v.Trouble {
		r.note("%s %s", v.ID, plain(t))
	}
	for _, x := range v.Refusals {
		r.note("refused by %s: %s (%dx): %s", x.Rule, plain(x.Target), x.Count, plain(x.Why))
	}
	if v.State == vedette.SurveyStopped {
		r.status = exitPartial
	}
	if r.Output != "table" {
		return r.json(v)
	}
	t := &table{columns: []string{"survey", "constituent", "state", "parts", "assets", "connections", "refused"}}
	t.add(v, v.ID, v.Constituent, string(v.State), fmt.Sprintf("%d/%d", v.Done, v.Parts), strconv.Itoa(v.Looks), strconv.Itoa(v.Sent), strconv.Itoa(len(v.Refusals)))
	return r.print(t)
}

func surveyTable(ss ...vedette.Survey) *table {
	t := &table{columns: []string{"survey", "constituent", "kind", "state", "by", "asked", "ended", "parts"}}
	for _, s := range ss {
		t.add(s, s.ID, s.Constituent, string(s.Kind), string(s.State), s.By, stamp(s.Asked), stamp(s.Ended), fmt.Sprintf("%d/%d", s.Done, s.Parts))
	}
	return t
}

type surveyHost struct {
	Asset  string `arg:"" help:"A name or an address of a constituent's scope."`
	Ports  string `help:"What to scan, as 'tcp:22,80-90 udp:53', instead of the configured list." placeholder:"PORTS"`
	Detach bool   `help:"Do not wait for the end."`
	Yes    bool   `help:"Do not ask before the first survey of a constituent."`
}

// Help is shown by --help.
func (surveyHost) Help() string {
	return "Examples:\n  vedette survey host www.alpha.example\n  vedette survey host 192.0.2.10 --ports tcp:1-1024"
}

// Run looks at one asset.
func (c *surveyHost) Run(r *run) error {
	a, err := vedette.ParseAsset(c.Asset)
	if err != nil {
		return err
	}
	conf, err := r.config()
	if err != nil {
		return err
	}
	own, err := r.owner()
	if err != nil {
		return err
	}
	ports, err := r.portsOf(c.Ports, conf.Survey)
	if err != nil {
		return err
	}
	id, _, _ := own(a.ID)
	in, err := planInput(r.ctx, r.sc, r.store.System(), id, vedette.Active, ports)
	if id == "" || errors.Is(err, vedette.ErrNotFound) { // another's is as nobody's
		return vedette.NotFound("%s is in no scope that you may survey", a.ID)
	}
	if err != nil {
		return err
	}
	part := vedette.Part{Class: vedette.Active, Ports: in.Ports}
	if a.Kind == vedette.NameAsset {
		part.Names, err = []string{a.ID}, in.Rules.Name(a.ID, vedette.Active)
	} else {
		part.Addresses, err = []string{a.ID}, in.Rules.Address(netip.MustParseAddr(a.ID), vedette.Active)
	}
	if err != nil {
		return err
	}
	if err := r.maySurvey(in.Constituent, conf.Survey.Contact, c.Yes); err != nil {
		return err
	}
	s, err := r.sc.AddSurvey(r.ctx, vedette.Survey{Constituent: id, Kind: vedette.FullSurvey, Note: a.ID}, []vedette.Part{part}, map[string]string{"asset": a.ID})
	if err != nil {
		return err
	}
	return r.finishSurvey(s, c.Detach)
}

type surveyList struct {
	Constituent string `arg:"" optional:"" help:"Only of this constituent." placeholder:"ID"`
	Limit       int    `help:"How many, at most; ${default} otherwise." default:"50" placeholder:"N"`
}

// Run lists surveys.
func (c *surveyList) Run(r *run) error {
	ss, _, err := r.sc.Surveys(r.ctx, store.SurveyFilter{Constituent: c.Constituent, Limit: max(1, min(c.Limit, 10_000))})
	if err != nil {
		return err
	}
	return r.print(surveyTable(ss...))
}

type surveyShow struct {
	Survey string `arg:"" help:"Survey, as list shows it." placeholder:"S-00c0ffee42"`
}

// Run shows one survey.
func (c *surveyShow) Run(r *run) error {
	v, err := r.sc.Survey(r.ctx, c.Survey)
	if err != nil {
		return err
	}
	if r.Output != "table" {
		return r.json(v)
	}
	return r.printSurvey(v)
}

type surveyDiff struct {
	Constituent string    `arg:"" optional:"" help:"Only of this constituent." placeholder:"ID"`
	Since       time.Time `help:"Compare with this time instead of before the last survey." format:"2006-01-02T15:04:05Z" placeholder:"2026-11-01T00:00:00Z"`
	Limit       int       `help:"How many, at most; ${default} otherwise." default:"1000" placeholder:"N"`
}

// Help is shown by --help.
func (surveyDiff) Help() string {
	return "Examples:\n  vedette survey diff alpha\n  vedette survey diff --since 2026-11-01T00:00:00Z -o csv"
}

// Run shows what changed.
func (c *surveyDiff) Run(r *run) error {
	since := c.Since
	if since.IsZero() {
		ss, _, err := r.sc.Surveys(r.ctx, store.SurveyFilter{Constituent: c.Constituent, Limit: 1})
		if err != nil {
			return err
		}
		if len(ss) == 0 {
			return vedette.NotFound("no survey yet: say --since")
		}
		since = ss[0].Asked
	}
	var cs []store.Changed
	for f := (store.ChangeFilter{Constituent: c.Constituent, Since: since}); ; {
		f.Limit = min(max(1, c.Limit)-len(cs), 1000)
		page, next, err := r.sc.Changes(r.ctx, f)
		if err != nil {
			return err
		}
		cs = append(cs, page...)
		if f.After = next; next == "" || len(cs) >= c.Limit {
			break
		}
	}
	slices.SortFunc(cs, func(a, b store.Changed) int {
		return cmp.Or(cmp.Compare(a.Constituent, b.Constituent), cmp.Compare(a.Asset, b.Asset), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Item, b.Item))
	})
	t := &table{columns: []string{"constituent", "asset", "port", "check", "what", "before", "after", "at"}}
	for _, x := range cs {
		t.add(x, x.Constituent, orDash(x.Asset), portText(x.Port, x.Proto), x.Check, x.What, factText(x.Before), factText(x.After), stamp(x.At))
	}
	return r.print(t)
}

// factText is a fact in a few words.
func factText(f *vedette.Fact) string {
	if f == nil {
		return "-"
	}
	var parts []string
	for _, s := range f.Software {
		parts = append(parts, strings.TrimSpace(s.Product+" "+cmp.Or(s.PackageVersion, s.Version)))
	}
	for _, x := range f.Reports {
		parts = append(parts, x.Weakness)
	}
	if len(parts) == 0 {
		parts = append(parts, cmp.Or(f.Address, f.Details["title"], f.Service, f.Banner, "open"))
	}
	return plain(strings.Join(parts, ", "))
}

type surveyUnknowns struct {
	Limit int `help:"How many, at most; ${default} otherwise." default:"50" placeholder:"N"`
}

// Run lists what no rule recognises.
func (c *surveyUnknowns) Run(r *run) error {
	us, err := r.sc.Unknowns(r.ctx, max(1, min(c.Limit, 100_000)))
	if err != nil {
		return err
	}
	t := &table{columns: []string{"seen", "service", "banner", "example"}}
	for _, u := range us {
		t.add(u, strconv.Itoa(u.Seen), orDash(u.Service), plain(strings.ReplaceAll(u.Banner, "\n", " | ")), u.Example)
	}
	return r.print(t)
}

type surveyStop struct {
	Survey string `arg:"" optional:"" help:"Survey, as list shows it." placeholder:"S-00c0ffee42"`
	All    bool   `help:"All surveys; none begins until survey resume."`
	Reason string `help:"Why; it is recorded." default:"by hand" placeholder:"TEXT"`
}

// Help is shown by --help.
func (surveyStop) Help() string {
	return "Examples:\n  vedette survey stop S-00c0ffee42\n  vedette survey stop --all --reason 'complaint of a provider'\n\nRunning probes read the stop once a second."
}

// Run stops.
func (c *surveyStop) Run(r *run) error {
	if c.All == (c.Survey != "") {
		return fmt.Errorf("%w: name a survey, or --all", errUsage)
	}
	if err := r.sc.StopSurvey(r.ctx, c.Survey, c.Reason); err != nil {
		return err
	}
	r.note("stopped: %s", cmp.Or(c.Survey, "all surveys; `vedette survey resume` lets new ones begin"))
	return r.drain()
}

type surveyResume struct {
	Reason string `help:"Why; it is recorded." default:"by hand" placeholder:"TEXT"`
}

// Run lifts the stop of all.
func (c *surveyResume) Run(r *run) error {
	if err := r.sc.ResumeSurveys(r.ctx, c.Reason); err != nil {
		return err
	}
	return r.drain()
}

type optoutAdd struct {
	What   string `arg:"" help:"An address, a network, or a name with all below it."`
	Reason string `help:"Who asked, and why." required:"" placeholder:"TEXT"`
	Until  string `help:"The last day; for ever otherwise." placeholder:"YYYY-MM-DD"`
}

// Help is shown by --help.
func (optoutAdd) Help() string {
	return "Examples:\n  vedette survey optout add 192.0.2.0/28 --reason 'ticket 4711: fragile telephones' --until 2027-01-31"
}

// Run keeps the opt-out.
func (c *optoutAdd) Run(r *run) error {
	if strings.TrimSpace(c.Reason) == "" {
		return fmt.Errorf("%w: --reason says who asked, and why", errUsage)
	}
	d, err := r.desk()
	if err != nil {
		return err
	}
	return d.OptOut(r.ctx, vedette.OptOut{What: c.What, Until: c.Until, Reason: c.Reason})
}

type optoutList struct{}

// Run lists opt-outs.
func (optoutList) Run(r *run) error {
	os, err := r.sc.OptOuts(r.ctx)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"what", "until", "reason", "by"}}
	for _, o := range os {
		t.add(o, o.What, orDash(o.Until), plain(o.Reason), o.By)
	}
	return r.print(t)
}

type optoutRemove struct {
	What string `arg:"" help:"As list shows it."`
}

// Run ends the opt-out.
func (c *optoutRemove) Run(r *run) error {
	if err := r.sc.SetOptOut(r.ctx, vedette.OptOut{What: c.What}); err != nil {
		return err
	}
	return r.drain()
}

type scheduleSet struct {
	Constituent string        `arg:"" help:"Whom to look at." placeholder:"ID"`
	Class       string        `help:"How far checks go." default:"active" enum:"passive,active"`
	Every       time.Duration `help:"How often, as 24h; 0 ends the schedule." required:"" placeholder:"24h"`
	Hours       string        `help:"When parts may be worked, UTC." placeholder:"22:00-05:00"`
}

// Help is shown by --help.
func (scheduleSet) Help() string {
	return "Examples:\n  vedette survey schedule set alpha --every 24h --hours 22:00-05:00\n  vedette survey schedule set alpha --class passive --every 6h\n  vedette survey schedule set alpha --every 0"
}

// Run keeps the schedule.
func (c *scheduleSet) Run(r *run) error {
	d, err := r.desk()
	if err != nil {
		return err
	}
	return d.SetSchedule(r.ctx, vedette.Schedule{Constituent: c.Constituent, Class: vedette.CheckClass(c.Class), Every: c.Every, Hours: c.Hours})
}

type scheduleList struct{}

// Run lists schedules.
func (scheduleList) Run(r *run) error {
	ss, err := r.sc.Schedules(r.ctx)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"constituent", "class", "every", "hours", "next", "by"}}
	for _, s := range ss {
		t.add(s, s.Constituent, string(s.Class), s.Every.String(), orDash(s.Hours), stamp(s.Next), s.By)
	}
	return r.print(t)
}

type findingRetest struct {
	ID     string `arg:"" name:"id" help:"Finding, as list shows it."`
	Detach bool   `help:"Do not wait for the end."`
	Yes    bool   `help:"Do not ask where no survey of the constituent was run before."`
}

// Help is shown by --help.
func (findingRetest) Help() string {
	return "Examples:\n  vedette finding retest F-0123456789abcdef\n\nLooks again at the places where it was seen, and at nothing else. Fixed is only what a successful look no longer found; what does not answer is not observed."
}

// Run looks at a finding's places again.
func (c *findingRetest) Run(r *run) error {
	f, err := r.sc.Finding(r.ctx, c.ID)
	if err != nil {
		return err
	}
	d, err := r.desk()
	if err != nil {
		return err
	}
	in, err := d.retest(r.ctx, f)
	if err != nil {
		return err
	}
	if err := r.maySurvey(in.Constituent, d.conf.Survey.Contact, c.Yes); err != nil {
		return err
	}
	parts := survey.Retest(in, []vedette.Place{{Asset: f.Asset, Port: f.Port, Proto: f.Proto}})
	s, err := r.sc.AddSurvey(r.ctx, vedette.Survey{Constituent: f.Constituent, Kind: vedette.RetestSurvey, Note: f.ID}, parts, map[string]string{"finding": f.ID})
	if err != nil {
		return err
	}
	if c.Detach {
		return r.finishSurvey(s, true)
	}
	v, err := r.workSurvey(s)
	if err != nil {
		return err
	}
	for _, x := range v.Refusals {
		r.note("refused by %s: %s: %s", x.Rule, plain(x.Target), plain(x.Why))
	}
	after, err := r.sc.Finding(r.ctx, c.ID)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"id", "weakness", "asset", "port", "before", "after", "last seen"}}
	t.add(after, f.ID, f.Weakness, f.Asset, portText(f.Port, f.Proto), string(f.Presence), string(after.Presence), stamp(after.LastSeen))
	return r.print(t)
}

// retestClass is how far a retest has to go: a finding of a look-up needs no packet to the host.
func retestClass(rules survey.Rules, f vedette.Finding) (vedette.CheckClass, error) {
	class, ours := vedette.Passive, f.Port > 0
	for _, e := range f.Evidence {
		for _, c := range probe.All {
			ours = ours || c.Name == e.Check
			if c.Name == e.Check && c.Class != vedette.Passive {
				class = vedette.Active
			}
		}
	}
	if f.Port > 0 {
		class = vedette.Active
	}
	if !ours {
		return "", vedette.Refused("%s was not seen over the network: there is no place to look at", f.ID)
	}
	if a, err := netip.ParseAddr(f.Asset); err == nil {
		return class, rules.Address(a, class)
	}
	return class, rules.Name(f.Asset, class)
}
