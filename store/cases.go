package store

import (
	"cmp"
	"context"
	"maps"
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

// settled is what the findings of one case say together, as the hub sees them.
type settled struct {
	by      map[int64]vedette.Presence // of each finding
	rank    int64                      // the strongest that is not fixed
	k       int64                      // of the case, 0 when there is none yet
	state   vedette.CaseState
	toCheck bool
	id      string
}

// SettleCases opens, closes and reopens the cases of the keys by the presence
// of their findings, as the hub sees them.
func (w *Work) SettleCases() error {
	t := w.t
	cases := map[int64]*settled{}
	var cons, objects []int64
	for _, key := range w.Keys {
		c, o := caseOf(key)
		cases[key] = &settled{by: map[int64]vedette.Presence{}, rank: int64(len(vedette.Verdicts) - 1)}
		cons, objects = append(cons, c), append(objects, o)
	}
	if err := t.presences(cases, distinctKeys(cons), distinctKeys(objects)); err != nil {
		return err
	}
	if err := t.each("select k, constituent_k, object_k, id, state, to_check from cases where constituent_k in "+ints(distinctKeys(cons))+" and object_k in "+ints(distinctKeys(objects)), nil, func(scan func(...any) error) error {
		var k, c, o, check int64
		var id string
		var state vedette.CaseState
		if err := scan(&k, &c, &o, &id, &state, &check); err != nil {
			return err
		}
		if x := cases[caseKey(c, o)]; x != nil {
			x.k, x.id, x.state, x.toCheck = k, id, state, check == 1
		}
		return nil
	}); err != nil {
		return err
	}
	return t.moveCases(w.Keys, cases)
}

func distinctKeys(ks []int64) []int64 {
	slices.Sort(ks)
	return slices.Compact(ks)
}

// presences computes the presence of the findings of cases: as conclude does,
// over all evidence.
func (t *tx) presences(cases map[int64]*settled, cons, objects []int64) error {
	return t.each(`select f.k, f.constituent_k, f.object_k, e.rank, c.text, coalesce(o.closed_t, 0),
		`+provenGone("1 = 1")+`
		from findings f join evidence e on e.finding_k = f.k join observations o on o.k = e.observation_k join terms c on c.k = o.check_k where f.object_k in `+ints(objects)+" and f.constituent_k in "+ints(cons), nil, func(scan func(...any) error) error {
		var k, c, o, follows int64
		var p proofRow
		var check string
		if err := scan(&k, &c, &o, &p.rank, &check, &p.closed, &follows); err != nil {
			return err
		}
		x := cases[caseKey(c, o)]
		if x == nil {
			return nil
		}
		p.follows = follows == 1
		here := presenceOf(p, check)
		if was, ok := x.by[k]; !ok || presenceRank(here) < presenceRank(was) {
			x.by[k] = here
		}
		if here != vedette.Fixed {
			x.rank = min(x.rank, p.rank)
		}
		return nil
	})
}

// presence is that of the case: one finding that is there outweighs those that are fixed.
func (x *settled) presence() vedette.Presence {
	out := vedette.Presence("")
	for _, p := range x.by {
		if out == "" || presenceRank(p) < presenceRank(out) {
			out = p
		}
	}
	return out
}

// check says whether a person has to look first: nothing is confirmed or likely.
func (x *settled) check() bool {
	v := vedette.Verdicts[x.rank]
	return x.presence() != vedette.Fixed && v != vedette.Confirmed && v != vedette.Likely
}

// moveCases opens, closes and reopens, and records it once for each constituent.
func (t *tx) moveCases(keys []int64, cases map[int64]*settled) error {
	type done struct {
		constituent int64
		verb, why   string
	}
	moved := map[done][]string{}
	var fresh []int64
	now := us(t.Now())
	for _, key := range keys {
		x, c := cases[key], key>>caseShift
		presence := x.presence()
		var err error
		switch {
		case presence == "" || x.k == 0 && presence == vedette.Fixed: // nothing to do about it, or nothing was ever there
		case x.k == 0:
			fresh = append(fresh, key)
		case presence == vedette.Fixed && x.state != vedette.CaseClosed:
			_, err = t.exec("update cases set state = 'closed', changed_at = ?, closed_at = ?, principal = 'line' where k = ?", now, now, x.k)
			d := done{c, "case close", "a look proved every finding fixed"}
			moved[d] = append(moved[d], x.id)
		case presence == vedette.Present && x.state == vedette.CaseClosed:
			_, err = t.exec("update cases set state = 'new', changed_at = ?, closed_at = null, reopened = reopened + 1, principal = 'line' where k = ?", now, x.k)
			d := done{c, "case reopen", "it is back"}
			moved[d] = append(moved[d], x.id)
		}
		if check := x.check(); err == nil && x.k > 0 && check != x.toCheck {
			_, err = t.exec("update cases set to_check = ? where k = ?", boolInt(check), x.k)
		}
		if err != nil {
			return err
		}
	}
	if err := t.openCases(fresh, cases, now); err != nil {
		return err
	}
	for _, key := range fresh {
		d := done{key >> caseShift, "case open", ""}
		moved[d] = append(moved[d], cases[key].id)
	}
	order := slices.SortedFunc(maps.Keys(moved), func(a, b done) int {
		return cmp.Or(cmp.Compare(a.constituent, b.constituent), cmp.Compare(a.verb, b.verb))
	})
	for _, d := range order {
		owner, err := t.constituentID(d.constituent)
		if err != nil {
			return err
		}
		ids := moved[d]
		e := vedette.Event{Principal: "line", Verb: d.verb, Subject: ids[0], Constituent: owner, Reason: d.why}
		if len(ids) > 1 {
			e.Subject, e.Detail = itoa(int64(len(ids)))+" cases", map[string]string{"cases": strings.Join(ids, " ")}
		}
		if err := t.event(e); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) constituentID(k int64) (id string, err error) {
	_, err = one(t, "select id from constituents where k = ?", []any{k}, &id)
	return id, err
}

// openCases keeps new cases, and has alerts drafted for those that are more
// than a possibility.
func (t *tx) openCases(keys []int64, cases map[int64]*settled, now int64) error {
	if len(keys) == 0 {
		return nil
	}
	var objects, drafts []int64
	for _, key := range keys {
		_, o := caseOf(key)
		objects = append(objects, o)
	}
	weakness := map[int64]string{}
	for part := range slices.Chunk(distinctKeys(objects), 400) {
		if err := t.each("select k, id from objects where k in "+ints(part), nil, func(scan func(...any) error) error {
			var k int64
			var id string
			err := scan(&k, &id)
			weakness[k] = id
			return err
		}); err != nil {
			return err
		}
	}
	k, err := t.reserve("cases", len(keys))
	if err != nil {
		return err
	}
	owners := map[int64]string{}
	w := t.bulk("cases", "k, id, object_k, constituent_k, state, to_check, opened_at, changed_at, reopened, assignee, note, principal", "")
	for i, key := range keys {
		c, o := caseOf(key)
		if owners[c] == "" {
			if owners[c], err = t.constituentID(c); err != nil {
				return err
			}
		}
		x := cases[key]
		x.id = vedette.CaseID(owners[c], weakness[o])
		if err := w.add(k+int64(i), x.id, o, c, string(vedette.CaseNew), boolInt(x.check()), now, now, 0, "", "", "line"); err != nil {
			return err
		}
		if !x.check() {
			drafts = append(drafts, o)
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	return t.todo(StageDraft, true, distinctKeys(drafts)...)
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
		") or exists (select 1 from heads h join terms t on t.k = h.type_k where h.k between s.object_k * 65536 and s.object_k * 65536 + 65535 and t.text = 'weakness' and " + sc.seen("h.mark_k") + "))"
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
	ds, err := decisionsAbout(sc.reader(ctx), c.object, c.constituent)
	if err == nil {
		c.Covered = coveredBy(fs, ds, us(sc.s.Now()))
	}
	if c.Covered != nil && c.Covered.Constituent == "" && !sc.all {
		c.Covered = &vedette.Decision{Kind: c.Covered.Kind, Weakness: c.Weakness, Reason: "the team decided so for everybody"}
	}
	return err
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

// NewlyAsserted are those of the objects that somebody began to exploit since a
// time, by their ids, and which of the constituents have an open case that is
// more than a possibility.
func (y *System) NewlyAsserted(ctx context.Context, objects []int64, since int64) (map[string][]string, error) {
	out := map[string][]string{}
	if len(objects) == 0 {
		return out, nil
	}
	err := reader{y.s, ctx}.each("select o.id, c.id from cases s join objects o on o.k = s.object_k join constituents c on c.k = s.constituent_k where s.object_k in "+ints(objects)+
		" and s.state <> 'closed' and s.to_check = 0 and c.removed_at is null and (select min(x.since) from exploited x where x.object_k = s.object_k and x.ended is null) >= ? order by 1, 2", []any{since}, func(scan func(...any) error) error {
		var weakness, constituent string
		err := scan(&weakness, &constituent)
		out[weakness] = append(out[weakness], constituent)
		return err
	})
	return out, err
}
