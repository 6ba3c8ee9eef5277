package store

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// noDue is the deadline of what has none: behind every other.
const noDue = 9_000_000_000_000_000_000

// presences in the order in which one outweighs another.
var presences = []vedette.Presence{vedette.Present, vedette.PresenceUndetermined, vedette.NotObserved, vedette.Fixed}

// clue is what the evidence of one finding says to who sees what was added.
type clue struct {
	presence vedette.Presence
	rank     int64 // the strongest among the evidence of that presence
	first    int64
	exposed  int64 // as tri: who looked and reached it outweighs who did not
}

func (c *clue) add(here vedette.Presence, rank, from, exposed int64) {
	switch {
	case c.presence == "":
		*c = clue{here, rank, from, exposed}
		return
	case presenceRank(here) < presenceRank(c.presence):
		c.presence, c.rank, c.exposed = here, rank, exposed
	case here == c.presence:
		c.rank, c.exposed = min(c.rank, rank), max(c.exposed, exposed)
	}
	c.first = min(c.first, from)
}

// there says whether the weakness may be there now.
func (c *clue) there() bool {
	return c.presence == vedette.Present || c.presence == vedette.PresenceUndetermined
}

// caseSum is what a case comes to.
type caseSum struct {
	presence vedette.Presence
	rank     int64
	places   int
	clock    vedette.Clock
}

// check says whether a person has to look first: nothing is confirmed or likely.
func (x caseSum) check() bool {
	v := vedette.Verdicts[x.rank]
	return x.places > 0 && v != vedette.Confirmed && v != vedette.Likely
}

func (x caseSum) due() int64 {
	if x.clock.Deadline.IsZero() {
		return noDue
	}
	return us(x.clock.Deadline)
}

// on puts it on the case.
func (x caseSum) on(c *vedette.Case) {
	c.Presence, c.Verdict, c.Findings, c.ToCheck = x.presence, vedette.Verdicts[x.rank], x.places, x.check()
	c.Ruling, c.ClockStart, c.Deadline = nil, x.clock.Start, x.clock.Deadline
	if !x.clock.Start.IsZero() {
		c.Ruling = &x.clock.Ruling
	}
}

// sum is what the findings of a case say together, beside what is said of its
// weakness. It is exposed when any place is; one that nobody knows of leaves
// that open.
func (s *Store) sum(clues map[int64]*clue, about *about) caseSum {
	x := caseSum{rank: int64(len(vedette.Verdicts) - 1)}
	var observed, exposed int64 = 0, 0
	for _, c := range clues {
		if x.presence == "" || presenceRank(c.presence) < presenceRank(x.presence) {
			x.presence = c.presence
		}
		if c.presence != vedette.Fixed {
			x.places, x.rank = x.places+1, min(x.rank, c.rank)
		}
		if !c.there() {
			continue
		}
		if observed == 0 || c.first < observed {
			observed = c.first
		}
		if exposed != 1 && c.exposed != 0 {
			exposed = c.exposed
		}
	}
	if about.vulnerability.ID != "" && s.opt.Clock != nil {
		x.clock = s.opt.Clock(about.vulnerability, at(observed), untri(exposed))
	}
	return x
}

// about is what is said of a weakness, as far as cases need it.
type about struct {
	title         string
	vulnerability vedette.Vulnerability // without ID: the clock is not for it
	worthy        bool                  // somebody says that it is exploited, or a check reports it
	marks         []int64               // of all of that
}

// aboutObjects reads what is said of weaknesses; seen is the wall of a column.
func (s *Store) aboutObjects(q querier, objects []int64, seen func(string) string) (map[int64]*about, error) {
	out := map[int64]*about{}
	of := func(k int64) *about {
		if out[k] == nil {
			out[k] = &about{}
		}
		return out[k]
	}
	heads := map[int64][]vedette.Head{}
	for part := range slices.Chunk(distinctKeys(objects), 400) {
		if err := q.each("select h.object_k, o.id, t.text, h.mark_k, h.name, h.modified, h.fields from objects o join heads h on h.k between o.k * 65536 and o.k * 65536 + 65535 join terms t on t.k = h.type_k where o.k in "+ints(part)+" and "+seen("h.mark_k")+
			" order by h.object_k, h.modified desc, h.k desc", nil, func(scan func(...any) error) error {
			var k, mark, modified int64
			var id, typ, fields string
			var h vedette.Head
			if err := scan(&k, &id, &typ, &mark, &h.Name, &modified, &fields); err != nil {
				return err
			}
			h.Modified = at(modified)
			a := of(k)
			a.marks = append(a.marks, mark)
			if typ == vedette.TypeWeakness {
				a.worthy = true
			} else {
				a.vulnerability.ID = id
			}
			err := json.Unmarshal([]byte(fields), &h.Fields)
			heads[k] = append(heads[k], h)
			return err
		}); err != nil {
			return nil, err
		}
		if err := q.each("select x.object_k, x.mark_k, x.since, coalesce(x.ended, 0), x.status, s.name from exploited x join claims c on c.k = x.claim_k join sources s on s.k = c.source_k where x.object_k in "+ints(part)+" and "+seen("x.mark_k")+" and "+seen("c.mark_k")+" order by x.object_k, s.name, x.claim_k, x.n", nil, func(scan func(...any) error) error {
			var k, mark, since, ended int64
			var e vedette.Exploitation
			err := scan(&k, &mark, &since, &ended, &e.Status, &e.Source)
			e.Since, e.Ended = at(since), at(ended)
			a := of(k)
			a.worthy, a.marks = true, append(a.marks, mark)
			a.vulnerability.Exploited = append(a.vulnerability.Exploited, e)
			return err
		}); err != nil {
			return nil, err
		}
	}
	for k, hs := range heads {
		s.headline(out[k], hs)
	}
	return out, nil
}

// headline takes title, decision data and publication from the heads, newest first.
func (s *Store) headline(a *about, hs []vedette.Head) {
	h := hs[0]
	if len(hs) > 1 && s.opt.Join != nil {
		h = s.opt.Join(hs)
	}
	a.title = cmp.Or(h.Fields["title"], h.Name)
	if p := strings.Split(h.Fields["ssvc"], "/"); len(p) == 3 {
		a.vulnerability.SSVC = &vedette.SSVC{Exploitation: p[0], Automatable: p[1], TechnicalImpact: p[2]}
	}
	a.vulnerability.Published = fieldTime(h.Fields["published"])
}

// fieldTime reads a time of a head; the zero time when it has none.
func fieldTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// clueRow is a row of evidence on its way into a clue.
type clueRow struct {
	constituent, object, finding, mark, asset, port, proto int64
	closed                                                 bool
}

// clues reads the evidence of the findings of objects at constituents; seen is
// the wall of a column, and each sees every row besides.
func (s *Store) clues(q querier, objects, cons []int64, seen func(string) string, each func(clueRow)) (map[int64]map[int64]*clue, error) {
	out := map[int64]map[int64]*clue{}
	for part := range slices.Chunk(distinctKeys(objects), 400) {
		if err := q.each(`select f.k, f.constituent_k, f.object_k, e.rank, e.mark_k, o.asset_k, o.port, o.proto_k, o.exposed, o.from_t, c.text, coalesce(o.closed_t, 0),
			`+provenGone(seen("n.mark_k"))+`
			from evidence e join observations o on o.k = e.observation_k join findings f on f.k = e.finding_k join terms c on c.k = o.check_k
			where f.object_k in `+ints(part)+" and f.constituent_k in "+ints(distinctKeys(cons))+" and "+seen("e.mark_k"), nil, func(scan func(...any) error) error {
			var r clueRow
			var p proofRow
			var check string
			var follows int64
			if err := scan(&r.finding, &r.constituent, &r.object, &p.rank, &r.mark, &r.asset, &r.port, &r.proto, &p.exposed, &p.from, &check, &p.closed, &follows); err != nil {
				return err
			}
			p.follows, r.closed = follows == 1, p.closed != 0
			key := caseKey(r.constituent, r.object)
			if out[key] == nil {
				out[key] = map[int64]*clue{}
			}
			if out[key][r.finding] == nil {
				out[key][r.finding] = &clue{}
			}
			out[key][r.finding].add(presenceOf(p, check), p.rank, p.from, p.exposed)
			if each != nil {
				each(r)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// everything is the wall of the line: none.
func everything(string) string { return "1 = 1" }

// cluesAndMarks are the clues of cases as the line sees them, with the markings
// of all that they were made from: the evidence, and what else was seen at the
// place of evidence that ended, which says whether it is fixed.
func (t *tx) cluesAndMarks(objects, cons []int64) (clues map[int64]map[int64]*clue, marks map[int64][]int64, err error) {
	type spot struct{ asset, constituent, port, proto int64 }
	marks = map[int64][]int64{}
	ended := map[spot]map[int64]bool{}
	var assets []int64
	if clues, err = t.clues(t, objects, cons, everything, func(r clueRow) {
		key := caseKey(r.constituent, r.object)
		if !slices.Contains(marks[key], r.mark) {
			marks[key] = append(marks[key], r.mark)
		}
		if r.closed {
			at := spot{r.asset, r.constituent, r.port, r.proto}
			if ended[at] == nil {
				ended[at] = map[int64]bool{}
				assets = append(assets, r.asset)
			}
			ended[at][key] = true
		}
	}); err != nil {
		return nil, nil, err
	}
	for part := range slices.Chunk(distinctKeys(assets), 400) {
		if err := t.each("select distinct asset_k, constituent_k, port, proto_k, mark_k from observations where asset_k in "+ints(part), nil, func(scan func(...any) error) error {
			var at spot
			var mark int64
			err := scan(&at.asset, &at.constituent, &at.port, &at.proto, &mark)
			for key := range ended[at] {
				if !slices.Contains(marks[key], mark) {
					marks[key] = append(marks[key], mark)
				}
			}
			return err
		}); err != nil {
			return nil, nil, err
		}
	}
	return clues, marks, nil
}

// markSet interns a set of markings.
func (t *tx) markSet(ks []int64) (int64, error) {
	var b []byte
	for i, k := range distinctKeys(ks) {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, k, 10)
	}
	text := string(b)
	type set string
	if k, ok := t.local[set(text)]; ok {
		return k, nil
	}
	k, err := t.intern("mark_sets", "marks", []any{text})
	t.local[set(text)] = k
	return k, err
}

// rulingTerm interns a ruling without its inputs: a table has few rows.
func (t *tx) rulingTerm(x caseSum) (int64, error) {
	if x.clock.Start.IsZero() {
		return 0, nil
	}
	r := x.clock.Ruling
	r.Inputs = nil
	b, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	return t.term(string(b))
}

// keptSum is a sum as the row of its case keeps it.
type keptSum struct{ set, due, start, ruling, presence, rank, places int64 }

// keep makes the row of a sum. Without evidence, or when nothing that is said
// makes it a case, nobody sees it.
func (t *tx) keep(x caseSum, a *about, marks []int64) (k keptSum, err error) {
	k = keptSum{due: x.due(), start: us(x.clock.Start), rank: x.rank, places: int64(x.places)}
	if x.presence == "" || !a.worthy {
		return k, nil
	}
	k.presence = int64(presenceRank(x.presence)) + 1
	if k.ruling, err = t.rulingTerm(x); err != nil {
		return k, err
	}
	k.set, err = t.markSet(append(slices.Clone(marks), a.marks...))
	return k, err
}

// sumOf is the reverse of keep.
func (s *Store) sumOf(q querier, k keptSum) (x caseSum, err error) {
	x = caseSum{presence: presences[k.presence-1], rank: k.rank, places: int(k.places)}
	if k.start == 0 {
		return x, nil
	}
	text, err := s.text(q, k.ruling)
	if err != nil {
		return x, err
	}
	x.clock.Start = at(k.start)
	if k.due != noDue {
		x.clock.Deadline = at(k.due)
	}
	return x, json.Unmarshal([]byte(text), &x.clock.Ruling)
}
