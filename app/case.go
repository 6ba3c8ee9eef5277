package app

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
)

type caseList struct {
	Constituent string  `help:"Only of this constituent." placeholder:"ID"`
	Weakness    string  `help:"Only of this weakness." placeholder:"CVE"`
	State       string  `help:"Only in this state." placeholder:"STATE"`
	Assignee    *string `help:"Only of this assignee; '' is nobody." placeholder:"NAME"`
	Text        string  `help:"Only with these words in what is said of the weakness, or an exact id, alias or host." placeholder:"WORDS"`
	Product     string  `help:"Only where this product is seen." placeholder:"PRODUCT"`
	Due         string  `help:"Only those due before this day." placeholder:"YYYY-MM-DD"`
	Overdue     bool    `help:"Only those whose deadline is over."`
	Closed      bool    `help:"Those that are closed too."`
	ToCheck     bool    `help:"Only those that a person has to look at first."`
	Covered     bool    `help:"Those that a decision covers too."`
	Limit       int     `help:"How many, at most; ${default} otherwise." default:"200" placeholder:"N"`
}

// Help is shown by --help.
func (caseList) Help() string {
	return "Examples:\n  vedette case list\n  vedette case list --constituent alpha --state new -o csv\n  vedette case list --overdue --assignee ''\n\nStates: new, triaged, notified, acknowledged, 'reported fixed', closed. A case opens when an exploited vulnerability, or what a check reports, is found; it closes by itself when a look proves every finding fixed, and returns when one is back."
}

// filter is what the options say.
func (c *caseList) filter(now time.Time) (store.CaseFilter, error) {
	f := store.CaseFilter{Constituent: c.Constituent, Weakness: c.Weakness, State: vedette.CaseState(c.State), Assignee: c.Assignee, Text: c.Text, Product: c.Product,
		Closed: c.Closed, ToCheck: c.ToCheck, Covered: c.Covered}
	if s := f.State; s != "" && !slices.Contains(vedette.CaseStates, s) {
		return f, fmt.Errorf("%w: --state is one of %q", errUsage, vedette.CaseStates)
	}
	if c.Overdue {
		f.Due = now
	}
	if c.Due != "" {
		day, err := time.Parse(time.DateOnly, c.Due)
		if err != nil {
			return f, fmt.Errorf("%w: --due %q is not a day, YYYY-MM-DD", errUsage, c.Due)
		}
		if f.Due.IsZero() || day.Before(f.Due) {
			f.Due = day
		}
	}
	return f, nil
}

// Run lists cases, the nearest deadline first.
func (c *caseList) Run(r *run) error {
	f, err := c.filter(r.store.Now())
	if err != nil {
		return err
	}
	t := &table{columns: []string{"id", "constituent", "weakness", "state", "presence", "verdict", "places", "due", "opened", "title"}, most: map[string]int{"title": 50}}
	for left := max(1, c.Limit); left > 0; {
		f.Limit = min(left, 1000)
		cs, next, err := r.sc.Cases(r.ctx, f)
		if err != nil {
			return err
		}
		for _, x := range cs {
			state := string(x.State)
			if x.ToCheck {
				state += ", to check"
			}
			if x.Covered != nil {
				state += ", " + string(x.Covered.Kind)
			}
			t.add(x, x.ID, x.Constituent, x.Weakness, state, string(x.Presence), string(x.Verdict), strconv.Itoa(x.Findings), orDash(stamp(x.Deadline)), stamp(x.Opened), x.Title)
		}
		left -= len(cs)
		if f.After = next; next == "" {
			break
		}
	}
	return r.print(t)
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
	fs, _, err := r.sc.FindingsInFull(r.ctx, store.FindingFilter{Weakness: x.Weakness, Constituent: x.Constituent, Limit: 10_000})
	if err != nil {
		return err
	}
	if r.Output != "table" {
		return r.json(struct {
			vedette.Case
			Places []vedette.Finding `json:"places"`
		}{x, fs})
	}
	p := &printer{w: r.out}
	p.line("%s  %s at %s", x.ID, x.Weakness, x.Constituent)
	p.line("%s", x.Title)
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
	if x.Ruling != nil {
		p.field("due", strings.TrimSuffix(x.Ruling.Outcome+", due "+stamp(x.Deadline), ", due "))
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
	IDs      []string `arg:"" name:"id" help:"Cases, as list shows them; - reads them from stdin."`
	State    string   `help:"The new state." placeholder:"STATE"`
	Assignee *string  `help:"Who works on it; '' is nobody." placeholder:"NAME"`
	Note     *string  `help:"A remark; '' takes it away." placeholder:"TEXT"`
	Reason   string   `help:"Why; it is recorded, and closing what is still there takes one." placeholder:"TEXT"`
}

// Help is shown by --help.
func (caseSet) Help() string {
	return "Examples:\n  vedette case set C-0123456789ab --state triaged --assignee analyst\n  vedette case set C-0123456789ab --state closed --reason 'the host is gone'\n  vedette case list --overdue -o csv | cut -d, -f1 | tail -n +2 | vedette case set - --assignee analyst\n\nAll of it is one change: `vedette case undo` with the number that is told sets it back."
}

// Run changes the cases.
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
	ids, err := r.words(c.IDs)
	if err != nil {
		return err
	}
	if len(ids) == 1 { // one case is answered as a whole
		if _, err := r.sc.Case(r.ctx, ids[0]); err != nil {
			return err
		}
	}
	done, refused, undo, err := r.sc.SetCases(r.ctx, ids, ch)
	if err != nil {
		return err
	}
	if err := r.drain(); err != nil {
		return err
	}
	return r.changed(ids, done, refused, undo)
}

// words are arguments, with the words of stdin in place of -.
func (r *run) words(args []string) (out []string, err error) {
	for _, a := range args {
		if a != "-" {
			out = append(out, a)
			continue
		}
		b, err := io.ReadAll(io.LimitReader(r.in, maxWords+1))
		if err != nil {
			return nil, err
		}
		if len(b) > maxWords {
			return nil, vedette.Invalid("more than %d bytes on stdin", maxWords)
		}
		out = append(out, strings.Fields(string(b))...)
	}
	return out, nil
}

// maxWords bounds what is read from stdin: some 70,000 ids.
const maxWords = 1 << 20

// changed tells what became of a batch of changes: none is an error, some are partial.
func (r *run) changed(ids []string, done int, refused []store.NotDone, undo int64) error {
	if undo > 0 {
		r.note("%s changed; `vedette case undo %d` sets it back", count(done, "case"), undo)
	}
	if len(ids) == 1 && len(refused) == 1 {
		return vedette.Refused("%s: %s", refused[0].ID, refused[0].Why)
	}
	if len(ids) == 1 && r.Output == "table" {
		return (&caseShow{ID: ids[0]}).Run(r)
	}
	if len(refused) > 0 {
		r.status = exitPartial
	}
	if r.Output != "table" {
		return r.json(struct {
			Changed int             `json:"changed"`
			Refused []store.NotDone `json:"refused,omitempty"`
			Undo    int64           `json:"undo,omitempty"`
		}{done, refused, undo})
	}
	t := &table{columns: []string{"id", "not done"}}
	for _, x := range refused {
		t.add(x, x.ID, x.Why)
	}
	return r.print(t)
}

type caseUndo struct {
	Event int64 `arg:"" name:"event" help:"The number that case set told, as audit list shows it."`
}

// Help is shown by --help.
func (caseUndo) Help() string {
	return "Examples:\n  vedette case undo 412\n\nSets back what the change made, where nobody changed it since, and names the rest. Undoing is a change too, and can be undone."
}

// Run sets back.
func (c *caseUndo) Run(r *run) error {
	done, refused, again, err := r.sc.Undo(r.ctx, c.Event)
	if err != nil {
		return err
	}
	if err := r.drain(); err != nil {
		return err
	}
	return r.changed(nil, done, refused, again)
}
