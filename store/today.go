package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// Now is the time of the store's clock.
func (sc *Scoped) Now() time.Time { return sc.s.Now() }

// CaseCount is how many cases of a constituent are in one state with one ruling.
type CaseCount struct {
	Constituent string            `json:"constituent"`
	State       vedette.CaseState `json:"state"`
	Ruling      *vedette.Ruling   `json:"ruling,omitempty"` // nil while no clock runs
	Cases       int               `json:"cases"`
	Late        int               `json:"late"`           // whose deadline is over
	Nobodys     int               `json:"nobodys"`        // that nobody works on
	Due         time.Time         `json:"due,omitzero"`   // the nearest deadline
	Since       time.Time         `json:"since,omitzero"` // when the oldest was opened
}

// CaseCounts counts the cases of a list by constituent, state and ruling. Those
// that a decision about single hosts covers count.
func (sc *Scoped) CaseCounts(ctx context.Context, f CaseFilter) ([]CaseCount, error) {
	l, err := sc.caseList(ctx, f)
	if err != nil {
		return nil, err
	}
	type group struct {
		constituent string
		state       vedette.CaseState
		ruling      string // as a row keeps it
	}
	by := map[group]*CaseCount{}
	of := func(g group) *CaseCount {
		if by[g] == nil {
			by[g] = &CaseCount{Constituent: g.constituent, State: g.state}
		}
		return by[g]
	}
	now := us(sc.s.Now())
	if err := l.q.each("select max(c.id), s.state, s.ruling_k, count(*), sum(case when s.due_t < ? then 1 else 0 end), sum(case when s.assignee = '' then 1 else 0 end), min(s.due_t), min(s.opened_at) from cases s join constituents c on c.k = +s.constituent_k where "+
		l.kept+" group by s.constituent_k, s.state, s.ruling_k", append([]any{now}, l.args...), func(scan func(...any) error) error {
		var g group
		var c CaseCount
		var ruling, due, opened int64
		err := scan(&g.constituent, &g.state, &ruling, &c.Cases, &c.Late, &c.Nobodys, &due, &opened)
		if err == nil {
			g.ruling, err = sc.s.text(l.q, ruling)
		}
		of(g).add(c.Cases, c.Late, c.Nobodys, due, opened)
		return err
	}); err != nil {
		return nil, err
	}
	rest, err := l.computed()
	if err != nil {
		return nil, err
	}
	for _, r := range rest {
		g := group{constituent: r.Constituent, state: r.State}
		if r.Ruling != nil {
			b, err := json.Marshal(r.Ruling)
			if err != nil {
				return nil, err
			}
			g.ruling = string(b)
		}
		of(g).add(1, int(boolInt(r.due < now)), int(boolInt(r.Assignee == "")), r.due, us(r.Opened))
	}
	var out []CaseCount
	for g, c := range by {
		if g.ruling != "" {
			if err := json.Unmarshal([]byte(g.ruling), &c.Ruling); err != nil {
				return nil, err
			}
		}
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b CaseCount) int {
		return cmp.Or(cmp.Compare(a.Constituent, b.Constituent), compareRulings(a.Ruling, b.Ruling), cmp.Compare(slices.Index(vedette.CaseStates, a.State), slices.Index(vedette.CaseStates, b.State)))
	})
	return out, nil
}

func (c *CaseCount) add(cases, late, nobodys int, due, opened int64) {
	c.Cases, c.Late, c.Nobodys = c.Cases+cases, c.Late+late, c.Nobodys+nobodys
	if t := at(due); due != noDue && (c.Due.IsZero() || t.Before(c.Due)) {
		c.Due = t
	}
	if t := at(opened); c.Since.IsZero() || t.Before(c.Since) {
		c.Since = t
	}
}

// compareRulings orders rulings by how fast they want something fixed; none is last.
func compareRulings(a, b *vedette.Ruling) int {
	rank := func(r *vedette.Ruling) int {
		switch {
		case r == nil:
			return 1 << 30
		case r.Days == 0:
			return 1 << 29
		case r.Forensic:
			return 2 * r.Days
		}
		return 2*r.Days + 1
	}
	return cmp.Compare(rank(a), rank(b))
}

// Touched is an exploited vulnerability with what it touches.
type Touched struct {
	Weakness     string          `json:"weakness"`
	Title        string          `json:"title,omitempty"`
	Since        time.Time       `json:"since"` // when somebody first said so
	Constituents []string        `json:"constituents"`
	Places       int             `json:"places"`           // that are not fixed
	Late         int             `json:"late"`             // cases whose deadline is over
	Ruling       *vedette.Ruling `json:"ruling,omitempty"` // that wants it fixed fastest
	Due          time.Time       `json:"due,omitzero"`     // the nearest deadline
	object       int64
}

// Touched lists the exploited vulnerabilities with an open case, those that
// were said to be exploited last first, and how many there are. constituent ""
// is all within the wall.
func (sc *Scoped) Touched(ctx context.Context, constituent string, limit int) (out []Touched, total int, err error) {
	l, err := sc.caseList(ctx, CaseFilter{Constituent: constituent})
	if err != nil {
		return nil, 0, err
	}
	rest, err := l.computed()
	if err != nil {
		return nil, 0, err
	}
	objects := []int64{0}
	for _, r := range rest {
		objects = append(objects, r.object)
	}
	if err := l.q.each("select x.object_k, o.id, min(x.since) from exploited x join objects o on o.k = x.object_k where "+stands+" and "+sc.seen("x.mark_k")+" and (x.object_k in "+ints(distinctKeys(objects))+
		" or exists (select 1 from cases s join constituents c on c.k = +s.constituent_k where s.object_k = x.object_k and "+l.kept+")) group by x.object_k, o.id order by 3 desc, 2 desc", l.args, func(scan func(...any) error) error {
		var e Touched
		var since int64
		err := scan(&e.object, &e.Weakness, &since)
		e.Since = at(since)
		out = append(out, e)
		return err
	}); err != nil {
		return nil, 0, err
	}
	total = len(out)
	out = out[:min(limit, total)]
	return out, total, l.touch(out, rest)
}

// touch fills in what vulnerabilities touch, from their open cases.
func (l *caseList) touch(out []Touched, rest []caseAt) error {
	if len(out) == 0 {
		return nil
	}
	by := map[int64]*Touched{}
	var objects []int64
	for i := range out {
		by[out[i].object], objects = &out[i], append(objects, out[i].object)
	}
	rows, err := scanCases(l.q, "s.object_k in "+ints(objects)+" and "+l.kept+" order by c.id", l.args)
	if err != nil {
		return err
	}
	for i := range rows {
		x, err := l.sc.s.sumOf(l.q, rows[i].keptSum)
		if err != nil {
			return err
		}
		x.on(&rows[i].Case)
	}
	now := l.sc.s.Now()
	for _, r := range append(rows, rest...) {
		e := by[r.object]
		if e == nil {
			continue
		}
		e.Constituents, e.Places = append(e.Constituents, r.Constituent), e.Places+r.Findings
		if e.Ruling == nil || compareRulings(r.Ruling, e.Ruling) < 0 {
			e.Ruling = r.Ruling
		}
		if !r.Deadline.IsZero() && (e.Due.IsZero() || r.Deadline.Before(e.Due)) {
			e.Due = r.Deadline
		}
		e.Late += int(boolInt(!r.Deadline.IsZero() && r.Deadline.Before(now)))
	}
	abouts, err := l.sc.s.aboutObjects(l.q, objects, l.sc.seen)
	for k, a := range abouts {
		by[k].Title = a.title
	}
	return err
}

// Told is what a constituent was told by a publication, and what became of it.
type Told struct {
	Publication string                   `json:"publication"`
	Number      string                   `json:"number,omitempty"`
	Weakness    string                   `json:"weakness"`
	State       vedette.PublicationState `json:"state"`
	Constituent string                   `json:"constituent"`
	Version     int                      `json:"version"`          // of the newest edition that the reader sees
	Draft       bool                     `json:"draft,omitempty"`  // an edition waits for its approval
	Failed      bool                     `json:"failed,omitempty"` // a message did not arrive, for good
	Sent        time.Time                `json:"sent,omitzero"`    // the first message
	Acked       time.Time                `json:"acked,omitzero"`   // the first acknowledgement
	Note        string                   `json:"note,omitempty"`   // of who acknowledged
	Drafted     time.Time                `json:"drafted"`
	Deadline    time.Time                `json:"deadline,omitzero"` // until when to act
}

// Told lists what constituents were told, the newest publication first: of
// vulnerabilities when some are named, of one constituent when it is named.
func (sc *Scoped) Told(ctx context.Context, constituent string, weaknesses []string, limit int) ([]Told, error) {
	q := sc.reader(ctx)
	where, args := []string{sc.seenEdition()}, []any{}
	if constituent != "" {
		k, err := sc.constituentKey(q, constituent)
		if err != nil {
			return nil, err
		}
		where, args = append(where, "e.constituent_k = ?"), append(args, k)
	}
	if weaknesses != nil {
		if len(weaknesses) == 0 {
			return nil, nil
		}
		for _, w := range weaknesses {
			args = append(args, w)
		}
		where = append(where, "o.id in (?"+strings.Repeat(",?", len(weaknesses)-1)+")")
	}
	var out []Told
	err := q.each(`select p.id, p.number, o.id, p.state, c.id, max(e.version), max(case when e.state = 'draft' then 1 else 0 end), max(case when d.state = 'failed' then 1 else 0 end), coalesce(min(d.sent_at), 0), coalesce(min(d.acked_at), 0), coalesce(max(case when d.acked_at is not null then d.note else '' end), ''), p.drafted_at, coalesce(max(e.deadline_at), 0)
		from publications p join objects o on o.k = p.object_k join editions e on e.publication_k = p.k join constituents c on c.k = e.constituent_k left join deliveries d on d.edition_k = e.k where `+strings.Join(where, " and ")+
		" group by p.k, p.id, p.number, o.id, p.state, c.id, p.drafted_at order by p.drafted_at desc, p.k desc, c.id limit ?", append(args, limit), func(scan func(...any) error) error {
		var t Told
		var draft, failed, sent, acked, drafted, deadline int64
		err := scan(&t.Publication, &t.Number, &t.Weakness, &t.State, &t.Constituent, &t.Version, &draft, &failed, &sent, &acked, &t.Note, &drafted, &deadline)
		t.Draft, t.Failed, t.Sent, t.Acked, t.Drafted, t.Deadline = draft == 1, failed == 1, at(sent), at(acked), at(drafted), at(deadline)
		out = append(out, t)
		return err
	})
	return out, err
}

// Waiting is a publication that is not out: with drafts to approve, or approved
// and not sent.
type Waiting struct {
	Publication string    `json:"publication"`
	Number      string    `json:"number,omitempty"`
	Weakness    string    `json:"weakness"`
	Author      string    `json:"author"`
	Drafted     time.Time `json:"drafted"`
	Drafts      int       `json:"drafts"`       // editions to approve
	Unsent      int       `json:"unsent"`       // approved editions that nobody was sent
	Due         time.Time `json:"due,omitzero"` // the nearest deadline of them
}

// Waiting lists the publications that are not out, the oldest first.
func (sc *Scoped) Waiting(ctx context.Context, limit int) ([]Waiting, error) {
	if !sc.p.Has(vedette.Analyst, vedette.Lead) {
		return nil, nil // a constituent is told when there is something to read
	}
	var out []Waiting
	for _, which := range []string{
		// the planner finds the few drafts, and goes from them
		"e.state = 'draft'",
		"e.state = 'approved' and p.state = 'approved' and e.version = p.version and not exists (select 1 from deliveries d join editions x on x.k = d.edition_k where x.publication_k = p.k and x.version = p.version)",
	} {
		if err := sc.reader(ctx).each("select p.id, p.number, o.id, p.author, p.drafted_at, sum(case when e.state = 'draft' then 1 else 0 end), sum(case when e.state = 'draft' then 0 else 1 end), coalesce(min(e.deadline_at), 0) from editions e join publications p on p.k = e.publication_k join objects o on o.k = p.object_k where "+
			which+" and p.state <> 'withdrawn' and "+sc.seenEdition()+" group by p.k, p.id, p.number, o.id, p.author, p.drafted_at order by p.drafted_at, p.k limit ?", []any{limit}, func(scan func(...any) error) error {
			var w Waiting
			var drafted, due int64
			err := scan(&w.Publication, &w.Number, &w.Weakness, &w.Author, &drafted, &w.Drafts, &w.Unsent, &due)
			w.Drafted, w.Due = at(drafted), at(due)
			out = append(out, w)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}
