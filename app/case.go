package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
)

// dues finds the clocks of cases; one weakness is read once.
type dues struct {
	ctx   context.Context
	line  *Line
	sc    *store.Scoped
	joins map[string]*vedette.Join
}

func (d *dues) of(c vedette.Case) (vedette.Case, error) {
	j := d.joins[c.Weakness]
	if j == nil {
		j = &vedette.Join{ID: c.Weakness}
		_, sts, err := d.sc.Statements(d.ctx, c.Weakness)
		if err != nil {
			return c, err
		}
		gatherSaid(j, sts)
		for _, s := range sts {
			j.Title = cmp.Or(j.Title, s.Statement.Name)
		}
		d.joins[c.Weakness] = j
	}
	c.Title = j.Title
	if !strings.HasPrefix(c.Weakness, "CVE-") {
		return c, nil // the table decides about vulnerabilities; what a check reports has no clock
	}
	jc := vedette.JoinConstituent{ID: c.Constituent}
	for after := int64(0); ; {
		fs, next, err := d.sc.FindingsInFull(d.ctx, store.FindingFilter{Weakness: c.Weakness, Constituent: c.Constituent, After: after, Limit: 500})
		if err != nil {
			return c, err
		}
		var marking vedette.Marking
		for _, f := range fs {
			jc.Hosts = append(jc.Hosts, hostOf(f, &marking))
		}
		if after = next; next == 0 {
			break
		}
	}
	decide(&jc, j)
	c.ClockStart, c.Deadline = jc.ClockStart, jc.Deadline
	if !jc.ClockStart.IsZero() {
		c.Ruling = &jc.Decision
	}
	return c, nil
}

type caseList struct {
	Constituent string `help:"Only of this constituent." placeholder:"ID"`
	Weakness    string `help:"Only of this weakness." placeholder:"CVE"`
	State       string `help:"Only in this state." placeholder:"STATE"`
	Closed      bool   `help:"Those that are closed too."`
	ToCheck     bool   `help:"Only those that a person has to look at first."`
	Covered     bool   `help:"Those that a decision covers too."`
	Limit       int    `help:"How many, at most; ${default} otherwise." default:"200" placeholder:"N"`
}

// Help is shown by --help.
func (caseList) Help() string {
	return "Examples:\n  vedette case list\n  vedette case list --constituent alpha --state new -o csv\n\nStates: new, triaged, notified, acknowledged, 'reported fixed', closed. A case opens when an exploited vulnerability, or what a check reports, is found; it closes by itself when a look proves every finding fixed, and returns when one is back."
}

// Run lists cases, the nearest deadline first.
func (c *caseList) Run(r *run) error {
	if s := vedette.CaseState(c.State); s != "" && !slices.Contains(vedette.CaseStates, s) {
		return fmt.Errorf("%w: --state is one of %q", errUsage, vedette.CaseStates)
	}
	d := dues{r.ctx, r.line, r.sc, map[string]*vedette.Join{}}
	var all []vedette.Case
	f := store.CaseFilter{Constituent: c.Constituent, Weakness: c.Weakness, State: vedette.CaseState(c.State), Closed: c.Closed, Limit: 500}
	for {
		cs, next, err := r.sc.Cases(r.ctx, f)
		if err != nil {
			return err
		}
		for _, x := range cs {
			if c.ToCheck && !x.ToCheck || x.Covered != nil && !c.Covered {
				continue
			}
			due, err := d.of(x)
			if err != nil {
				return err
			}
			all = append(all, due)
		}
		if f.After = next; next == "" {
			break
		}
		r.progress("%d cases", len(all))
	}
	r.progress("")
	slices.SortStableFunc(all, byUrgency)
	t := &table{columns: []string{"id", "constituent", "weakness", "state", "presence", "verdict", "places", "due", "opened", "title"}, most: map[string]int{"title": 50}}
	for _, x := range all[:min(len(all), max(1, c.Limit))] {
		state := string(x.State)
		if x.ToCheck {
			state += ", to check"
		}
		if x.Covered != nil {
			state += ", " + string(x.Covered.Kind)
		}
		t.add(x, x.ID, x.Constituent, x.Weakness, state, string(x.Presence), string(x.Verdict), strconv.Itoa(x.Findings), orDash(stamp(x.Deadline)), stamp(x.Opened), x.Title)
	}
	return r.print(t)
}

// byUrgency: the nearest deadline first, then the oldest; without one last.
func byUrgency(a, b vedette.Case) int {
	if a.Deadline.IsZero() != b.Deadline.IsZero() {
		if a.Deadline.IsZero() {
			return 1
		}
		return -1
	}
	return cmp.Or(a.Deadline.Compare(b.Deadline), a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID))
}

type caseShow struct {
	ID string `arg:"" name:"id" help:"Case, as list shows it."`
}

// Help is shown by --help.
func (caseShow) Help() string {
	return "Examples:\n  vedette case show C-0123456789ab"
}

// Run shows a case with its places.
func (c *caseShow) Run(r *run) error {
	x, err := r.sc.Case(r.ctx, c.ID)
	if err != nil {
		return err
	}
	d := dues{r.ctx, r.line, r.sc, map[string]*vedette.Join{}}
	due, err := d.of(x)
	if err != nil {
		return err
	}
	fs, _, err := r.sc.FindingsInFull(r.ctx, store.FindingFilter{Weakness: x.Weakness, Constituent: x.Constituent, Limit: 10_000})
	if err != nil {
		return err
	}
	if r.Output != "table" {
		return r.json(struct {
			vedette.Case
			Places []vedette.Finding `json:"places"`
		}{due, fs})
	}
	p := &printer{w: r.out}
	p.line("%s  %s at %s", x.ID, x.Weakness, x.Constituent)
	p.line("%s", due.Title)
	p.field("state", string(x.State)+by(x))
	if x.ToCheck {
		p.field("", "to check: no finding is confirmed or likely")
	}
	if d := x.Covered; d != nil {
		p.field("decided", fmt.Sprintf("%s %s: %s", d.Kind, untilText(d.Until), d.Reason))
	}
	p.field("presence", fmt.Sprintf("%s, %s at %s", x.Presence, x.Verdict, count(x.Findings, "place")))
	p.field("opened", stamp(x.Opened))
	if x.Reopened > 0 {
		p.field("came back", count(x.Reopened, "time"))
	}
	if due.Ruling != nil {
		p.field("due", strings.TrimSuffix(due.Ruling.Outcome+", due "+stamp(due.Deadline), ", due "))
	}
	p.field("assignee", x.Assignee)
	p.field("note", x.Note)
	var marking vedette.Marking
	for _, f := range fs {
		writeHost(p, hostOf(f, &marking))
	}
	return p.err
}

func by(c vedette.Case) string {
	return ", by " + c.By + " at " + stamp(c.Changed)
}

type caseSet struct {
	ID       string  `arg:"" name:"id" help:"Case, as list shows it."`
	State    string  `help:"The new state." placeholder:"STATE"`
	Assignee *string `help:"Who works on it; '' is nobody." placeholder:"NAME"`
	Note     *string `help:"A remark; '' takes it away." placeholder:"TEXT"`
	Reason   string  `help:"Why; it is recorded, and closing what is still there takes one." placeholder:"TEXT"`
}

// Help is shown by --help.
func (caseSet) Help() string {
	return "Examples:\n  vedette case set C-0123456789ab --state triaged --assignee ana\n  vedette case set C-0123456789ab --state closed --reason 'the host is gone'\n\nTo undo, set it back: every change is in `vedette audit list`."
}

// Run changes the case.
func (c *caseSet) Run(r *run) error {
	ch := store.CaseChange{Assignee: c.Assignee, Note: c.Note, Reason: c.Reason}
	if c.State != "" {
		s := vedette.CaseState(c.State)
		if !slices.Contains(vedette.CaseStates, s) {
			return fmt.Errorf("%w: --state is one of %q", errUsage, vedette.CaseStates)
		}
		ch.State = &s
	}
	if ch.State == nil && ch.Assignee == nil && ch.Note == nil {
		return fmt.Errorf("%w: nothing to change: --state, --assignee or --note", errUsage)
	}
	if _, err := r.sc.SetCase(r.ctx, c.ID, ch); err != nil {
		return err
	}
	if err := r.drain(); err != nil {
		return err
	}
	return (&caseShow{ID: c.ID}).Run(r)
}
