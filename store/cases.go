package store

import (
	"context"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// A case's key in the to-do table holds the constituent and the object.
const caseShift = 40

func caseKey(constituent, object int64) int64 { return constituent<<caseShift | object }

func caseOf(key int64) (constituent, object int64) { return key >> caseShift, key & (1<<caseShift - 1) }

// worthy are the objects that make cases: those that somebody exploits now, and
// what checks report. Other vulnerabilities are findings alone.
func (t *tx) worthy() (map[int64]bool, error) {
	if t.cases != nil {
		return t.cases, nil
	}
	weakness, err := t.term(vedette.TypeWeakness)
	if err != nil {
		return nil, err
	}
	set := map[int64]bool{}
	add := func(scan func(...any) error) error {
		var k int64
		err := scan(&k)
		set[k] = true
		return err
	}
	if err := t.each("select distinct object_k from exploited where ended is null", nil, add); err != nil {
		return nil, err
	}
	if err := t.each("select distinct object_k from heads where type_k = "+itoa(weakness), nil, add); err != nil {
		return nil, err
	}
	t.cases = set
	return set, nil
}

// touchCases has the cases of findings looked at again.
func (t *tx) touchCases(proofs []proof) error {
	set, err := t.worthy()
	if err != nil {
		return err
	}
	var keys []int64
	for i := range proofs {
		if p := &proofs[i]; set[p.object] && p.site.constituent > 0 {
			keys = append(keys, caseKey(p.site.constituent, p.object))
		}
	}
	slices.Sort(keys)
	return t.todo(StageCase, false, slices.Compact(keys)...)
}

// TouchCases has the cases of vulnerabilities looked at again, wherever they are found.
func (w *Work) TouchCases() error {
	t := w.t
	set, err := t.worthy()
	if err != nil {
		return err
	}
	var keys []int64
	for _, o := range w.Keys {
		if !set[o] {
			continue
		}
		if err := t.each("select distinct constituent_k from findings where object_k = "+itoa(o)+" and constituent_k > 0", nil, func(scan func(...any) error) error {
			var c int64
			err := scan(&c)
			keys = append(keys, caseKey(c, o))
			return err
		}); err != nil {
			return err
		}
	}
	return t.todo(StageCase, true, keys...)
}

// caseRow is a case as it is kept.
type caseRow struct {
	k       int64
	state   vedette.CaseState
	toCheck bool
	exists  bool
}

// SettleCases opens, closes and reopens the cases of the keys by the presence
// of their findings, as the hub sees them.
func (w *Work) SettleCases() error {
	sc := &Scoped{s: w.t.Store, p: vedette.Principal{Name: "line"}, all: true}
	marks, err := w.t.markings(w.t.ctx)
	if err != nil {
		return err
	}
	for k := range marks {
		sc.marks = append(sc.marks, k)
	}
	slices.Sort(sc.marks)
	for _, key := range w.Keys {
		c, o := caseOf(key)
		if err := w.t.settleCase(sc, c, o); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) settleCase(sc *Scoped, constituent, object int64) error {
	var r caseRow
	var toCheck int64
	var err error
	if r.exists, err = one(t, "select k, state, to_check from cases where constituent_k = ? and object_k = ?", []any{constituent, object}, &r.k, &r.state, &toCheck); err != nil {
		return err
	}
	r.toCheck = toCheck == 1
	rows, err := sc.findingsOf(t.ctx, constituent, object)
	if err != nil {
		return err
	}
	sum := summed(rows)
	switch {
	case len(rows) == 0 || !r.exists && sum.Presence == vedette.Fixed:
		return nil // nothing to do about it, or nothing was ever there
	case !r.exists:
		return t.openCase(rows[0], constituent, object, sum)
	case sum.Presence == vedette.Fixed && r.state != vedette.CaseClosed:
		return t.moveCase(r, constituent, rows[0].Weakness, vedette.CaseClosed, "every finding is fixed")
	case r.state == vedette.CaseClosed && sum.Presence == vedette.Present:
		return t.moveCase(r, constituent, rows[0].Weakness, vedette.CaseNew, "it is back")
	case r.toCheck != sum.ToCheck:
		_, err := t.exec("update cases set to_check = ? where k = ?", boolInt(sum.ToCheck), r.k)
		return err
	}
	return nil
}

// findingsOf are the findings of a weakness at a constituent.
func (sc *Scoped) findingsOf(ctx context.Context, constituent, object int64) ([]findingRow, error) {
	var rows []findingRow
	err := sc.reader(ctx).each("select "+findingColumns+" where f.object_k = ? and f.constituent_k = ? and "+sc.own("f.constituent_k")+
		" and exists (select 1 from evidence e where e.finding_k = f.k and "+sc.seen("e.mark_k")+") order by f.k", []any{object, constituent}, func(scan func(...any) error) error {
		r, err := scanFinding(scan)
		rows = append(rows, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return rows, sc.detail(ctx, rows, false)
}

// summed is what findings say of their case together: one that is there
// outweighs those that are fixed.
func summed(rows []findingRow) (c vedette.Case) {
	rank := len(vedette.Verdicts) - 1
	for _, r := range rows {
		if c.Presence == "" || presenceRank(r.Presence) < presenceRank(c.Presence) {
			c.Presence = r.Presence
		}
		if r.Presence != vedette.Fixed {
			c.Findings++
			rank = min(rank, r.Verdict.Rank())
		}
	}
	c.Verdict = vedette.Verdicts[rank]
	c.ToCheck = c.Findings > 0 && c.Verdict != vedette.Confirmed && c.Verdict != vedette.Likely
	return c
}

func (t *tx) openCase(f findingRow, constituent, object int64, sum vedette.Case) error {
	k, err := t.reserve("cases", 1)
	if err != nil {
		return err
	}
	now := us(t.Now())
	id := vedette.CaseID(f.Constituent, f.Weakness)
	if _, err := t.exec("insert into cases(k, id, object_k, constituent_k, state, to_check, opened_at, changed_at, reopened, assignee, note, principal) values (?,?,?,?,?,?,?,?,0,'','',?)",
		k, id, object, constituent, string(vedette.CaseNew), boolInt(sum.ToCheck), now, now, "line"); err != nil {
		return err
	}
	return t.event(vedette.Event{Principal: "line", Verb: "case open", Subject: id, Constituent: f.Constituent, Detail: map[string]string{"weakness": f.Weakness}})
}

// moveCase changes the state of a case by what was looked at.
func (t *tx) moveCase(r caseRow, constituent int64, weakness string, to vedette.CaseState, why string) error {
	now := us(t.Now())
	q, args := "update cases set state = ?, changed_at = ?, principal = 'line', closed_at = ?, reopened = reopened + ? where k = ?", []any{string(to), now, nil, 1, r.k}
	if to == vedette.CaseClosed {
		args[2], args[3] = now, 0
	}
	if _, err := t.exec(q, args...); err != nil {
		return err
	}
	var id, owner string
	if _, err := one(t, "select s.id, c.id from cases s join constituents c on c.k = s.constituent_k where s.k = ?", []any{r.k}, &id, &owner); err != nil {
		return err
	}
	verb := "case close"
	if to != vedette.CaseClosed {
		verb = "case reopen"
	}
	return t.event(vedette.Event{Principal: "line", Verb: verb, Subject: id, Constituent: owner, Reason: why, Detail: map[string]string{"weakness": weakness}})
}

// CaseFilter narrows a list of cases. Its zero value is all that are not closed.
type CaseFilter struct {
	Constituent string
	Weakness    string
	State       vedette.CaseState
	Closed      bool   // those that are closed too
	After       string // the id of the last case of the page before
	Limit       int    // 0 for 100
}

const caseColumns = `s.k, s.id, c.id, o.id, s.state, s.to_check, s.opened_at, s.changed_at, coalesce(s.closed_at, 0), s.reopened, s.assignee, s.note, s.principal, s.constituent_k, s.object_k
	from cases s join constituents c on c.k = s.constituent_k join objects o on o.k = s.object_k`

// caseAt is a case with the keys of its findings.
type caseAt struct {
	vedette.Case
	k, constituent, object int64
}

func scanCase(scan func(...any) error) (c caseAt, err error) {
	var check, opened, changed, closed int64
	err = scan(&c.k, &c.ID, &c.Constituent, &c.Weakness, &c.State, &check, &opened, &changed, &closed, &c.Reopened, &c.Assignee, &c.Note, &c.By, &c.constituent, &c.object)
	c.Opened, c.Changed, c.Closed = at(opened), at(changed), at(closed)
	return c, err
}

// seenCase: a case is seen by who sees evidence of its findings and what made
// it a case: that somebody exploits the vulnerability, or that a check reports it.
func (sc *Scoped) seenCase() string {
	return sc.own("s.constituent_k") + " and exists (select 1 from findings f join evidence e on e.finding_k = f.k where f.object_k = s.object_k and f.constituent_k = s.constituent_k and " +
		sc.own("f.constituent_k") + " and " + sc.seen("e.mark_k") + ") and (exists (select 1 from exploited x where x.object_k = s.object_k and " + sc.seen("x.mark_k") +
		") or exists (select 1 from heads h join terms t on t.k = h.type_k where h.object_k = s.object_k and t.text = 'weakness' and " + sc.seen("h.mark_k") + "))"
}

// Cases lists cases in the order of their ids, with the presence of their
// findings as the reader sees them. next is the id to go on after, "" at the end.
func (sc *Scoped) Cases(ctx context.Context, f CaseFilter) (out []vedette.Case, next string, err error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	q := sc.reader(ctx)
	where, args := []string{"s.id > ?", sc.seenCase()}, []any{f.After}
	if f.Constituent != "" {
		k, err := sc.constituentKey(q, f.Constituent)
		if err != nil {
			return nil, "", err
		}
		where, args = append(where, "s.constituent_k = ?"), append(args, k)
	}
	if f.Weakness != "" {
		k, _, err := sc.object(ctx, f.Weakness)
		if err != nil {
			return nil, "", err
		}
		where, args = append(where, "s.object_k = ?"), append(args, k)
	}
	switch {
	case f.State != "":
		where, args = append(where, "s.state = ?"), append(args, string(f.State))
	case !f.Closed:
		where = append(where, "s.state <> 'closed'")
	}
	var rows []caseAt
	if err := q.each("select "+caseColumns+" where "+strings.Join(where, " and ")+" order by s.id limit ?", append(args, f.Limit), func(scan func(...any) error) error {
		r, err := scanCase(scan)
		rows = append(rows, r)
		return err
	}); err != nil {
		return nil, "", err
	}
	for i := range rows {
		if err := sc.presentCase(ctx, &rows[i]); err != nil {
			return nil, "", err
		}
		out = append(out, rows[i].Case)
	}
	if len(rows) == f.Limit {
		next = rows[len(rows)-1].ID
	}
	return out, next, nil
}

// presentCase fills in what is computed from the findings the reader sees.
func (sc *Scoped) presentCase(ctx context.Context, c *caseAt) error {
	fs, err := sc.findingsOf(ctx, c.constituent, c.object)
	if err != nil {
		return err
	}
	sum := summed(fs)
	c.Presence, c.Verdict, c.Findings, c.ToCheck = sum.Presence, sum.Verdict, sum.Findings, sum.ToCheck
	return nil
}

// Case is one case; absent and forbidden look the same.
func (sc *Scoped) Case(ctx context.Context, id string) (vedette.Case, error) {
	c, err := sc.caseRow(ctx, id)
	return c.Case, err
}

func (sc *Scoped) caseRow(ctx context.Context, id string) (c caseAt, err error) {
	found := false
	if err := sc.reader(ctx).each("select "+caseColumns+" where s.id = ? and "+sc.seenCase(), []any{id}, func(scan func(...any) error) (err error) {
		found = true
		c, err = scanCase(scan)
		return err
	}); err != nil {
		return c, err
	}
	if !found {
		return c, vedette.NotFound("case %s", id)
	}
	return c, sc.presentCase(ctx, &c)
}

// CaseChange is what a person changes of a case; nil leaves as it is.
type CaseChange struct {
	State    *vedette.CaseState
	Assignee *string
	Note     *string
	Reason   string
}

// SetCase changes a case for a person. A case whose weakness is still present
// is not closed without a reason.
func (sc *Scoped) SetCase(ctx context.Context, id string, ch CaseChange) (vedette.Case, error) {
	if err := sc.may("case set"); err != nil {
		return vedette.Case{}, err
	}
	c, err := sc.caseRow(ctx, id)
	if err != nil {
		return vedette.Case{}, err
	}
	if ch.State != nil && *ch.State == vedette.CaseClosed && c.Presence != vedette.Fixed && ch.Reason == "" {
		return c.Case, vedette.Refused("%s is %s: closing it takes a reason", id, c.Presence)
	}
	err = sc.s.update(ctx, func(t *tx) error {
		state, assignee, note, closed := c.State, c.Assignee, c.Note, orNull(c.Closed)
		detail := map[string]string{}
		if ch.State != nil && *ch.State != state {
			detail["state"] = string(state) + " -> " + string(*ch.State)
			state, closed = *ch.State, nil
			if state == vedette.CaseClosed {
				closed = us(t.Now())
			}
		}
		if ch.Assignee != nil && *ch.Assignee != assignee {
			assignee, detail["assignee"] = *ch.Assignee, "changed"
		}
		if ch.Note != nil && *ch.Note != note {
			note, detail["note"] = *ch.Note, "changed"
		}
		if len(detail) == 0 {
			return nil
		}
		n, err := t.exec("update cases set state = ?, assignee = ?, note = ?, closed_at = ?, changed_at = ?, principal = ? where k = ? and state = ?",
			string(state), assignee, note, closed, us(t.Now()), sc.p.Name, c.k, string(c.State))
		if err != nil {
			return err
		}
		if n == 0 {
			return vedette.Conflict("%s was changed meanwhile: look again", id)
		}
		e := sc.did("case set", id, detail)
		e.Constituent, e.Reason = c.Constituent, ch.Reason
		return t.event(e)
	})
	if err != nil {
		return c.Case, err
	}
	return sc.Case(ctx, id)
}
