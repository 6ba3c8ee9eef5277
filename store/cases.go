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

// stands is that an assertion of exploitation x still says that it is or was so
// (knowledge.Stands).
const stands = "x.ended is null and x.status in ('confirmed', 'suspected', 'historical')"

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
	if err := t.each("select distinct object_k from exploited x where "+stands, nil, add); err != nil {
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
	if err := t.todo(StageCase, true, keys...); err != nil {
		return err
	}
	for part := range slices.Chunk(w.Keys, 400) { // what is said of the others changes the clock of cases that are there
		if err := t.touchKept("object_k in " + ints(part)); err != nil {
			return err
		}
	}
	return nil
}

// touchKept has cases looked at again that are there; where is of our own making.
func (t *tx) touchKept(where string) error {
	_, err := t.once("insert into todo(stage, key, urgent) select " + itoa(StageCase.k) + ", constituent_k * " + itoa(1<<caseShift) + " + object_k, 0 from cases where " + where)
	return err
}

// touchFound has the cases of findings looked at again.
func (t *tx) touchFound(findings []int64) error {
	for part := range slices.Chunk(findings, 400) {
		if err := t.touchKept("exists (select 1 from findings f where f.object_k = cases.object_k and f.constituent_k = cases.constituent_k and f.k in " + ints(part) + ")"); err != nil {
			return err
		}
	}
	return nil
}

// settled is a case to settle.
type settled struct {
	caseSum
	keptSum         // what its row is to keep
	was     keptSum // what it keeps
	k       int64   // of the case, 0 when there is none yet
	state   vedette.CaseState
	toCheck bool
	id      string
}

// SettleCases opens, closes and reopens the cases of the keys by the presence
// of their findings, as the hub sees them, and keeps what they come to.
func (w *Work) SettleCases() error {
	t := w.t
	var cons, objects []int64
	for _, key := range w.Keys {
		c, o := caseOf(key)
		cons, objects = append(cons, c), append(objects, o)
	}
	clues, marks, err := t.cluesAndMarks(objects, cons)
	if err != nil {
		return err
	}
	abouts, err := t.aboutObjects(t, objects, everything)
	if err != nil {
		return err
	}
	cases := map[int64]*settled{}
	for _, key := range w.Keys {
		_, o := caseOf(key)
		a := abouts[o]
		if a == nil {
			a = &about{}
		}
		x := &settled{caseSum: t.sum(clues[key], a)}
		if x.keptSum, err = t.keep(x.caseSum, a, marks[key]); err != nil {
			return err
		}
		cases[key] = x
	}
	if err := t.each("select k, constituent_k, object_k, id, state, to_check, set_k, due_t, start_t, ruling_k, presence, rank, places from cases where constituent_k in "+ints(distinctKeys(cons))+" and object_k in "+ints(distinctKeys(objects)), nil, func(scan func(...any) error) error {
		var k, c, o, check int64
		var id string
		var state vedette.CaseState
		var was keptSum
		if err := scan(&k, &c, &o, &id, &state, &check, &was.set, &was.due, &was.start, &was.ruling, &was.presence, &was.rank, &was.places); err != nil {
			return err
		}
		if x := cases[caseKey(c, o)]; x != nil {
			x.k, x.id, x.state, x.toCheck, x.was = k, id, state, check == 1, was
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

// moveCases opens, closes and reopens, and records it once for each constituent.
func (t *tx) moveCases(keys []int64, cases map[int64]*settled) error {
	type done struct {
		constituent int64
		verb, why   string
	}
	moved := map[done][]string{}
	var fresh, exposed []int64
	now := us(t.Now())
	for _, key := range keys {
		x, c := cases[key], key>>caseShift
		if x.keptSum != x.was {
			exposed = append(exposed, c)
		}
		presence := x.caseSum.presence
		var err error
		switch {
		case x.k == 0 && (presence == "" || presence == vedette.Fixed): // nothing to do about it, or nothing was ever there
		case x.k == 0:
			fresh = append(fresh, key)
		case (presence == vedette.Fixed || presence == "") && x.state != vedette.CaseClosed:
			_, err = t.exec("update cases set state = 'closed', changed_at = ?, closed_at = ?, principal = 'line' where k = ?", now, now, x.k)
			d := done{c, "case close", "a look proved every finding fixed"}
			if presence == "" {
				d.why = "no finding is left: what is known changed"
			}
			moved[d] = append(moved[d], x.id)
		case presence == vedette.Present && x.state == vedette.CaseClosed:
			_, err = t.exec("update cases set state = 'new', changed_at = ?, closed_at = null, reopened = reopened + ?, principal = 'line' where k = ?", now, boolInt(x.was.presence > 0), x.k)
			d := done{c, "case reopen", "it is back"} // counted, unless what is known was wrong meanwhile
			moved[d] = append(moved[d], x.id)
		}
		if check := x.check(); err == nil && x.k > 0 && (check != x.toCheck || x.keptSum != x.was) {
			n := x.keptSum
			_, err = t.exec("update cases set to_check = ?, set_k = ?, due_t = ?, start_t = ?, ruling_k = ?, presence = ?, rank = ?, places = ? where k = ?",
				boolInt(check), n.set, n.due, n.start, n.ruling, n.presence, n.rank, n.places, x.k)
		}
		if err != nil {
			return err
		}
	}
	if err := t.openCases(fresh, cases, now); err != nil {
		return err
	}
	if err := t.todo(StageExposure, false, distinctKeys(exposed)...); err != nil {
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
	w := t.bulk("cases", "k, id, object_k, constituent_k, state, to_check, opened_at, changed_at, reopened, assignee, note, principal, set_k, due_t, start_t, ruling_k, presence, rank, places", "")
	for i, key := range keys {
		c, o := caseOf(key)
		if owners[c] == "" {
			if owners[c], err = t.constituentID(c); err != nil {
				return err
			}
		}
		x := cases[key]
		x.id = vedette.CaseID(owners[c], weakness[o])
		if err := w.add(k+int64(i), x.id, o, c, string(vedette.CaseNew), boolInt(x.check()), now, now, 0, "", "", "line",
			x.set, x.keptSum.due, x.start, x.ruling, x.keptSum.presence, x.keptSum.rank, x.keptSum.places); err != nil {
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

// NewlyAsserted are those of the objects that somebody began to exploit since a
// time, by their ids, and which of the constituents have an open case that is
// more than a possibility.
func (y *System) NewlyAsserted(ctx context.Context, objects []int64, since int64) (map[string][]string, error) {
	out := map[string][]string{}
	if len(objects) == 0 {
		return out, nil
	}
	err := reader{y.s, ctx}.each("select o.id, c.id from cases s join objects o on o.k = s.object_k join constituents c on c.k = s.constituent_k where s.object_k in "+ints(objects)+
		" and s.state <> 'closed' and s.to_check = 0 and c.removed_at is null and (select min(x.since) from exploited x where x.object_k = s.object_k and "+stands+") >= ? order by 1, 2", []any{since}, func(scan func(...any) error) error {
		var weakness, constituent string
		err := scan(&weakness, &constituent)
		out[weakness] = append(out[weakness], constituent)
		return err
	})
	return out, err
}
