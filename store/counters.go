package store

import (
	"cmp"
	"context"
	"slices"
)

// Counters are kept as delta rows, written in the transaction of the change
// and folded by a stage, so that writers of one count never wait for each
// other. A reader adds what is folded and what is not.
const countOpen = 1 // open observations on assets, by constituent and marking

// counted is what a counter counts.
type counted struct{ constituent, kind, mark int64 }

// tally notes a change of a count; the transaction writes the sum.
func (t *tx) tally(c counted, n int64) {
	if n != 0 {
		t.counts[c] += n
	}
}

// writeCounts writes what the transaction tallied.
func (t *tx) writeCounts() error {
	keys := make([]counted, 0, len(t.counts))
	for c, n := range t.counts {
		if n != 0 {
			keys = append(keys, c)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	slices.SortFunc(keys, func(a, b counted) int {
		return cmp.Or(cmp.Compare(a.constituent, b.constituent), cmp.Compare(a.kind, b.kind), cmp.Compare(a.mark, b.mark))
	})
	w := t.bulk("counters", "constituent_k, kind_k, mark_k, n", "")
	for _, c := range keys {
		if err := w.add(c.constituent, c.kind, c.mark, t.counts[c]); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	clear(t.counts)
	return t.todo(StageCount, false, 0)
}

// tallyOpen notes that the open observations of a condition of our own come (1) or go (-1).
func (t *tx) tallyOpen(where string, sign int64) error {
	return t.each("select constituent_k, mark_k, count(*) from observations where closed_t is null and asset_k <> 0 and "+where+" group by constituent_k, mark_k", nil, func(scan func(...any) error) error {
		c, n := counted{kind: countOpen}, int64(0)
		err := scan(&c.constituent, &c.mark, &n)
		t.tally(c, sign*n)
		return err
	})
}

// FoldCounters makes one row of the delta rows of each counter.
func (y *System) FoldCounters(ctx context.Context) error {
	_, err := y.s.work(ctx, StageCount, 1<<16, func(t *tx, _ []int64) error {
		var last int64
		if _, err := one(t, "select coalesce(max(id), 0) from counters", nil, &last); err != nil {
			return err
		}
		sums := map[counted]int64{}
		rows := map[counted]int{}
		if err := t.each("select constituent_k, kind_k, mark_k, n from counters where id <= ?", []any{last}, func(scan func(...any) error) error {
			var c counted
			var n int64
			err := scan(&c.constituent, &c.kind, &c.mark, &n)
			sums[c] += n
			rows[c]++
			return err
		}); err != nil {
			return err
		}
		for c, n := range sums {
			if rows[c] < 2 && n != 0 {
				continue
			}
			if _, err := t.exec("delete from counters where constituent_k = ? and kind_k = ? and mark_k = ? and id <= ?", c.constituent, c.kind, c.mark, last); err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			if _, err := t.exec("insert into counters(constituent_k, kind_k, mark_k, n) values (?,?,?,?)", c.constituent, c.kind, c.mark, n); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// Recount compares every counter with what it counts and returns how many are wrong.
func (y *System) Recount(ctx context.Context) (wrong int, err error) {
	q := reader{y.s, ctx}
	sums := map[counted]int64{}
	add := func(sign int64) func(scan func(...any) error) error {
		return func(scan func(...any) error) error {
			c, n := counted{kind: countOpen}, int64(0)
			err := scan(&c.constituent, &c.mark, &n)
			sums[c] += sign * n
			return err
		}
	}
	if err := q.each("select constituent_k, mark_k, n from counters where kind_k = ?", []any{countOpen}, add(1)); err != nil {
		return 0, err
	}
	if err := q.each("select constituent_k, mark_k, count(*) from observations where closed_t is null and asset_k <> 0 group by constituent_k, mark_k", nil, add(-1)); err != nil {
		return 0, err
	}
	for _, n := range sums {
		if n != 0 {
			wrong++
		}
	}
	return wrong, nil
}
