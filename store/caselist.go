package store

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// CaseFilter narrows a list of cases. Its zero value is all that are open: not
// closed, and not covered by a decision.
type CaseFilter struct {
	Constituent string
	Weakness    string
	State       vedette.CaseState
	Assignee    *string   // "" is nobody
	ToCheck     bool      // only those that a person has to look at first
	Due         time.Time // only those due before; now, for those that are overdue
	Text        string    // words in what is said of the weakness, or an exact id, alias or asset
	Product     string    // that its findings show: "product", or "vendor/product"
	Closed      bool      // those that are closed too
	Covered     bool      // those that a decision covers too
	After       string    // where the page before ended
	Limit       int       // 0 for 100
}

// The + keeps a planner from going along the constituents: the order of
// deadlines finds a page sooner.
const caseColumns = `s.k, s.id, c.id, o.id, s.state, s.opened_at, s.changed_at, coalesce(s.closed_at, 0), s.reopened, s.assignee, s.note, s.principal, s.constituent_k, s.object_k, s.set_k, s.due_t, s.start_t, s.ruling_k, s.presence, s.rank, s.places
	from cases s join constituents c on c.k = +s.constituent_k join objects o on o.k = s.object_k`

// caseAt is a case with its keys and what its row keeps.
type caseAt struct {
	vedette.Case
	keptSum
	k, constituent, object int64
}

func scanCase(scan func(...any) error) (c caseAt, err error) {
	var opened, changed, closed int64
	err = scan(&c.k, &c.ID, &c.Constituent, &c.Weakness, &c.State, &opened, &changed, &closed, &c.Reopened, &c.Assignee, &c.Note, &c.By, &c.constituent, &c.object,
		&c.set, &c.due, &c.start, &c.ruling, &c.presence, &c.rank, &c.places)
	c.Opened, c.Changed, c.Closed = at(opened), at(changed), at(closed)
	return c, err
}

func scanCases(q querier, query string, args []any) (rows []caseAt, err error) {
	err = q.each("select "+caseColumns+" where "+query, args, func(scan func(...any) error) error {
		r, err := scanCase(scan)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// Cases lists cases, the nearest deadline first, then the oldest, as the reader
// sees them: what he may not see changes neither what a case shows nor where it
// stands. next is where to go on, "" at the end.
func (sc *Scoped) Cases(ctx context.Context, f CaseFilter) (out []vedette.Case, next string, err error) {
	l, err := sc.caseList(ctx, f)
	if err != nil {
		return nil, "", err
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	rows, err := l.page(f.After, f.Limit)
	if err != nil {
		return nil, "", err
	}
	if len(rows) > f.Limit {
		rows = rows[:f.Limit]
		next = cursorOf(rows[f.Limit-1])
	}
	objects := make([]int64, len(rows))
	for i, r := range rows {
		objects[i] = r.object
	}
	abouts, err := sc.s.aboutObjects(l.q, objects, sc.seen)
	if err != nil {
		return nil, "", err
	}
	for _, r := range rows {
		if a := abouts[r.object]; a != nil {
			r.Title = a.title
		}
		out = append(out, r.Case)
	}
	return out, next, nil
}

// countedCases is how far a list is counted.
const countedCases = 10_000

// CountCases is how many cases a list has, over all its pages; more says that
// there are at least so many. Those that a decision about single hosts covers count.
func (sc *Scoped) CountCases(ctx context.Context, f CaseFilter) (n int, more bool, err error) {
	l, err := sc.caseList(ctx, f)
	if err != nil {
		return 0, false, err
	}
	if _, err := one(l.q, "select count(*) from (select 1 from cases s join constituents c on c.k = +s.constituent_k where "+l.kept+" limit "+itoa(countedCases+1)+") w", l.args, &n); err != nil {
		return 0, false, err
	}
	rest, err := l.computed()
	n += len(rest)
	return min(n, countedCases), n > countedCases, err
}

// caseList is a list on its way: rows that show the reader what they keep, and
// those that are computed for him because he does not see all they were made of.
type caseList struct {
	sc   *Scoped
	ctx  context.Context
	q    reader
	f    CaseFilter
	kept string // rows as they are
	rest string // rows to compute
	args []any  // of either
}

func (sc *Scoped) caseList(ctx context.Context, f CaseFilter) (*caseList, error) {
	l := &caseList{sc: sc, ctx: ctx, q: sc.reader(ctx), f: f}
	where, err := l.where()
	if err != nil {
		return nil, err
	}
	seen, unseen, last, err := sc.markSets(ctx)
	if err != nil {
		return nil, err
	}
	// the + keeps a planner from the index of the sets: the order of deadlines, or
	// the few constituents, find them faster
	l.kept, l.rest = where+" and +s.set_k between 1 and "+itoa(last), where+" and s.k in (select z.k from cases z where z.set_k in "+ints(append(unseen, 0))+" or z.set_k > "+itoa(last)+")"
	if len(unseen) > 0 {
		l.kept = where + " and +s.set_k in " + ints(seen)
	}
	if !sc.all {
		l.rest = where + " and +s.set_k not in " + ints(seen)
	}
	if f.ToCheck {
		l.kept += " and s.to_check = 1"
	}
	if !f.Due.IsZero() {
		l.kept += " and s.due_t < " + itoa(us(f.Due))
	}
	return l, nil
}

// where are the conditions that do not depend on evidence.
func (l *caseList) where() (string, error) {
	sc, f := l.sc, l.f
	where := []string{sc.own("s.constituent_k"), "c.removed_at is null"}
	and := func(condition string, args ...any) {
		where, l.args = append(where, condition), append(l.args, args...)
	}
	if f.Constituent != "" {
		k, err := sc.constituentKey(l.q, f.Constituent)
		if err != nil {
			return "", err
		}
		and("s.constituent_k = ?", k)
	}
	if f.Weakness != "" {
		k, _, err := sc.object(l.ctx, f.Weakness)
		if err != nil {
			return "", err
		}
		and("s.object_k = ?", k)
	}
	switch {
	case f.State != "":
		and("s.state = ?", string(f.State))
	case !f.Closed:
		and("s.state <> 'closed'")
	}
	if f.Assignee != nil {
		and("s.assignee = ?", *f.Assignee)
	}
	if text := strings.TrimSpace(f.Text); text != "" {
		where := "s.object_k in (select v.object_k from vals v where v.h = " + itoa(hash64(foldValue(text))) + " and " + sc.seen("v.mark_k") +
			") or s.object_k in (select h.object_k from texts join heads h on h.k = texts.rowid where " + sc.s.d.textMatch() + " and " + sc.seen("h.mark_k") + ")"
		if asset, _, err := sc.stated(l.q, text); err == nil {
			where += " or exists (select 1 from findings f join evidence e on e.finding_k = f.k where f.object_k = s.object_k and f.constituent_k = s.constituent_k and f.asset_k = " + itoa(asset) + " and " + sc.own("f.constituent_k") + " and " + sc.seen("e.mark_k") + ")"
		} else if !errors.Is(err, vedette.ErrNotFound) && !errors.Is(err, vedette.ErrInvalid) {
			return "", err
		}
		and("("+where+")", sc.s.d.textQuery(text))
	}
	if f.Product != "" {
		names, err := l.names(f.Product)
		if err != nil {
			return "", err
		}
		and("s.object_k in (select p.object_k from fact_names n join pairs p on p.fact_k = n.fact_k where n.name_k in " + ints(names) + " and " + sc.seen("p.mark_k") +
			") and exists (select 1 from findings f join evidence e on e.finding_k = f.k join pairs p on p.k = e.pair_k join fact_names n on n.fact_k = p.fact_k where f.object_k = s.object_k and f.constituent_k = s.constituent_k and " + sc.own("f.constituent_k") + " and n.name_k in " + ints(names) + " and " + sc.seen("e.mark_k") + ")")
	}
	if !f.Covered {
		now := us(sc.s.Now())
		and("(s.object_k not in (select d.object_k from decisions d where d.asset = '' and d.approver <> '') or not exists (select 1 from decisions d where d.object_k = s.object_k and d.constituent_k in (0, s.constituent_k) and d.asset = '' and d.approver <> '' and d.from_t <= ? and coalesce(d.until_t, ?) > ? and coalesce(d.ended_at, ?) > ?))",
			now, now+1, now, now+1, now)
	}
	return strings.Join(where, " and "), nil
}

// names are the keys of the names of a product as a person writes it.
func (l *caseList) names(written string) (out []int64, err error) {
	vendor, product, ok := strings.Cut(written, "/")
	if !ok {
		vendor, product = "", written
	}
	for _, n := range l.sc.s.opt.Affected(vedette.Affected{Scheme: "cpe", Vendor: vendor, Product: product}) {
		where, args := "product = ?", []any{n.Product}
		if vendor != "" {
			where, args = where+" and vendor = ?", append(args, n.Vendor)
		}
		if err := l.q.each("select k from names where "+where, args, collect(&out)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// markSets are the sets of markings that the reader sees as a whole, the others,
// and the last that there was.
func (sc *Scoped) markSets(ctx context.Context) (seen, unseen []int64, last int64, err error) {
	all, err := sc.s.markSets(ctx)
	if err != nil {
		return nil, nil, 0, err
	}
	for k, marks := range all {
		last = max(last, k)
		if slices.ContainsFunc(marks, func(m int64) bool { _, ok := slices.BinarySearch(sc.marks, m); return !ok }) {
			unseen = append(unseen, k)
		} else {
			seen = append(seen, k)
		}
	}
	slices.Sort(seen)
	slices.Sort(unseen)
	return seen, unseen, last, nil
}

// markSets are all sets of markings; they never change, and new ones are read on.
func (s *Store) markSets(ctx context.Context) (map[int64][]int64, error) {
	s.mu.Lock()
	last := int64(0)
	for k := range s.sets {
		last = max(last, k)
	}
	s.mu.Unlock()
	fresh := map[int64][]int64{}
	if err := (reader{s, ctx}).each("select k, marks from mark_sets where k > ?", []any{last}, func(scan func(...any) error) error {
		var k int64
		var text string
		if err := scan(&k, &text); err != nil {
			return err
		}
		for _, m := range strings.Fields(text) {
			n, err := strconv.ParseInt(m, 10, 64)
			if err != nil {
				return err
			}
			fresh[k] = append(fresh[k], n)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, marks := range fresh {
		s.sets[k] = marks
	}
	out := make(map[int64][]int64, len(s.sets))
	for k, marks := range s.sets {
		out[k] = marks
	}
	return out, nil
}

// page is a page and one row more when there is one.
func (l *caseList) page(after string, limit int) ([]caseAt, error) {
	due, k, err := parseCursor(after)
	if err != nil {
		return nil, err
	}
	rest, err := l.computed()
	if err != nil {
		return nil, err
	}
	rows := slices.DeleteFunc(rest, func(c caseAt) bool { return c.due < due || c.due == due && c.k <= k })
	for n := 0; n <= limit; {
		part, err := scanCases(l.q, l.kept+" and (s.due_t, s.k) > (?, ?) order by s.due_t, s.k limit ?", append(slices.Clone(l.args), due, k, limit+1))
		if err != nil {
			return nil, err
		}
		if len(part) > 0 {
			last := part[len(part)-1]
			due, k = last.due, last.k
		}
		more := len(part) > limit
		for i := range part {
			x, err := l.sc.s.sumOf(l.q, part[i].keptSum)
			if err != nil {
				return nil, err
			}
			x.on(&part[i].Case)
		}
		if part, err = l.covered(part); err != nil {
			return nil, err
		}
		rows, n = append(rows, part...), n+len(part)
		if !more {
			break
		}
	}
	slices.SortFunc(rows, func(a, b caseAt) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.k, b.k)) })
	return rows[:min(len(rows), limit+1)], nil
}

// computed are the cases that are computed for the reader, narrowed by what he sees.
func (l *caseList) computed() ([]caseAt, error) {
	rows, err := scanCases(l.q, l.rest, l.args)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	if rows, err = l.sc.present(l.q, rows); err != nil {
		return nil, err
	}
	for i := range rows {
		if r := rows[i].Ruling; r != nil {
			r.Inputs = nil // as in the kept ones: a list does not tell which is which
		}
	}
	rows = slices.DeleteFunc(rows, func(c caseAt) bool {
		return l.f.ToCheck && !c.ToCheck || !l.f.Due.IsZero() && c.due >= us(l.f.Due)
	})
	return l.covered(rows)
}

// present computes what cases come to from what the reader sees, and leaves out
// those that he does not: of which he sees no evidence, or not what made it a
// case, that somebody exploits the vulnerability or that a check reports it.
func (sc *Scoped) present(q querier, rows []caseAt) ([]caseAt, error) {
	var cons, objects []int64
	for _, r := range rows {
		cons, objects = append(cons, r.constituent), append(objects, r.object)
	}
	clues, err := sc.s.clues(q, objects, cons, sc.seen, nil)
	if err != nil {
		return nil, err
	}
	abouts, err := sc.s.aboutObjects(q, objects, sc.seen)
	if err != nil {
		return nil, err
	}
	out := rows[:0]
	for _, r := range rows {
		found, a := clues[caseKey(r.constituent, r.object)], abouts[r.object]
		if len(found) == 0 || a == nil || !a.worthy {
			continue
		}
		x := sc.s.sum(found, a)
		x.on(&r.Case)
		r.Title, r.due = a.title, x.due()
		out = append(out, r)
	}
	return out, nil
}

// covered puts the decisions in force on cases, and leaves out those that are
// covered unless they are asked for.
func (l *caseList) covered(rows []caseAt) ([]caseAt, error) {
	if err := l.sc.decided(l.ctx, rows); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(rows, func(c caseAt) bool { return c.Covered != nil && !l.f.Covered }), nil
}

// decided finds the decisions that cover cases.
func (sc *Scoped) decided(ctx context.Context, rows []caseAt) error {
	q, now := sc.reader(ctx), us(sc.s.Now())
	var cons, objects []int64
	for _, r := range rows {
		cons, objects = append(cons, r.constituent), append(objects, r.object)
	}
	ds, err := decisionsAbout(q, distinctKeys(objects), distinctKeys(cons), now)
	if err != nil || len(ds) == 0 {
		return err
	}
	for i := range rows {
		r := &rows[i]
		var mine []vedette.Decision
		hosts := false
		for _, d := range ds[r.Weakness] {
			if d.Constituent == "" || d.Constituent == r.Constituent {
				mine, hosts = append(mine, d), hosts || d.Asset != ""
			}
		}
		switch {
		case len(mine) == 0 || r.Findings == 0:
			continue
		case hosts:
			fs, err := sc.findingsOf(ctx, r.constituent, r.object)
			if err != nil {
				return err
			}
			r.Covered = coveredBy(fs, mine, now)
		default:
			r.Covered = &mine[0]
		}
		if r.Covered != nil && r.Covered.Constituent == "" && !sc.all {
			r.Covered = &vedette.Decision{Kind: r.Covered.Kind, Weakness: r.Weakness, Reason: "the team decided so for everybody"}
		}
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

// Case is one case; absent and forbidden look the same.
func (sc *Scoped) Case(ctx context.Context, id string) (vedette.Case, error) {
	ids, err := sc.currentIDs(ctx, []string{id})
	if err != nil {
		return vedette.Case{}, err
	}
	rows, err := sc.caseRows(ctx, ids)
	if err != nil {
		return vedette.Case{}, err
	}
	if len(rows) == 0 {
		return vedette.Case{}, vedette.NotFound("case %s", id)
	}
	return rows[0].Case, nil
}

// currentIDs are the ids of cases as they are now: one from before the weakness
// got its CVE is that of the case it became.
func (sc *Scoped) currentIDs(ctx context.Context, ids []string) (out []string, err error) {
	now := map[string]string{}
	for part := range slices.Chunk(ids, 200) {
		args := make([]any, len(part))
		for i, id := range part {
			args[i] = id
		}
		if err := sc.reader(ctx).each("select i.id, s.id from case_ids i join cases s on s.k = i.case_k where i.id in (?"+strings.Repeat(", ?", len(part)-1)+")", args, func(scan func(...any) error) error {
			var was, is string
			err := scan(&was, &is)
			now[was] = is
			return err
		}); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		out = append(out, cmp.Or(now[id], id))
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// caseRows are cases by their ids, those that the reader sees.
func (sc *Scoped) caseRows(ctx context.Context, ids []string) (out []caseAt, err error) {
	q := sc.reader(ctx)
	for part := range slices.Chunk(ids, 200) {
		args := make([]any, len(part))
		for i, id := range part {
			args[i] = id
		}
		rows, err := scanCases(q, "s.id in (?"+strings.Repeat(", ?", len(part)-1)+") and "+sc.own("s.constituent_k"), args)
		if err != nil {
			return nil, err
		}
		if rows, err = sc.present(q, rows); err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	return out, sc.decided(ctx, out)
}

// The cursor of a list of cases is the deadline and the key of its last row.
func cursorOf(c caseAt) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", c.due, c.k))
}

func parseCursor(s string) (due, k int64, err error) {
	if s == "" {
		return -1 << 62, 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		_, err = fmt.Sscanf(string(b), "%d.%d", &due, &k)
	}
	if err != nil {
		err = vedette.Invalid("no list of cases goes on at %q", s)
	}
	return due, k, err
}
