package store

import (
	"context"
	"slices"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
)

// Scoped gives the queries of one principal. Each of them meets only rows
// whose marking is among marks and whose constituent is none or among cons.
type Scoped struct {
	s     *Store
	p     vedette.Principal
	marks []int64
	all   bool // every constituent
	cons  []int64
}

// As gives the queries of a principal. What it may see is decided now: a
// change of its rights holds from the next As on.
func (s *Store) As(ctx context.Context, p vedette.Principal) (*Scoped, error) {
	sc := &Scoped{s: s, p: p}
	marks, err := s.markings(ctx)
	if err != nil {
		return nil, err
	}
	for k, m := range marks {
		if policy.Sees(p, m) {
			sc.marks = append(sc.marks, k)
		}
	}
	slices.Sort(sc.marks)
	all, ids := policy.Constituents(p)
	sc.all = all
	for _, id := range ids {
		var k int64
		found, err := one(reader{s, ctx}, "select k from constituents where id = ? and removed_at is null", []any{id}, &k)
		if err != nil {
			return nil, err
		}
		if found {
			sc.cons = append(sc.cons, k)
		}
	}
	return sc, nil
}

// Principal is whose queries these are.
func (sc *Scoped) Principal() vedette.Principal { return sc.p }

// may asks the policy again where a query concerns the whole store: commands
// and routes asked already, and one that forgets to leaks nothing.
func (sc *Scoped) may(act policy.Act) error {
	if policy.May(sc.p, act) {
		return nil
	}
	return vedette.Refused("%s may not %s: no role of %v allows it", sc.p.Name, act, sc.p.Roles)
}

// seen renders the marking wall for a column.
func (sc *Scoped) seen(column string) string { return column + " in " + ints(sc.marks) }

// own renders the constituent wall for a column: rows of no constituent pass,
// their marking decides. Who sees all is asked nothing, so that no planner takes
// the index of a column for it.
func (sc *Scoped) own(column string) string {
	if sc.all {
		return "1 = 1"
	}
	return column + " in " + ints(append([]int64{0}, sc.cons...))
}

// owns says whether a constituent's rows are within the wall.
func (sc *Scoped) owns(k int64) bool { return sc.all || slices.Contains(sc.cons, k) }

func (sc *Scoped) reader(ctx context.Context) reader { return reader{sc.s, ctx} }

// System is the line itself: it works over all rows and answers nobody. Only
// app may use it.
type System struct{ s *Store }

// System gives the line's own queries.
func (s *Store) System() *System { return &System{s} }
