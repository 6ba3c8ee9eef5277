package store

import (
	"context"
)

// Stage is one stage of the line, with its key in the to-do table.
type Stage struct {
	k    int64
	Name string
}

// The stages that have work to do. The key of the work is a vulnerability's
// object, a product name, a fact, an asset; 0 for stages without a key.
var (
	StageName          = Stage{1, "name"}          // two product names became one, or two
	StageVulnerability = Stage{2, "vulnerability"} // what is said of a vulnerability changed
	StageFact          = Stage{3, "fact"}          // a software combination seen for the first time
	StageAsset         = Stage{4, "asset"}         // what is seen on an asset changed; a negative key is a constituent's declared software
	StageCount         = Stage{5, "count"}         // counters to fold
	StageSeal          = Stage{6, "seal"}          // events to chain
	StageCase          = Stage{7, "case"}          // the findings of a weakness at a constituent changed
	StageDraft         = Stage{8, "draft"}         // a case of a newly exploited vulnerability opened
	StageExposure      = Stage{9, "exposure"}      // the cases of a constituent changed
)

func (t *tx) todo(s Stage, urgent bool, keys ...int64) error {
	w := t.bulk("todo", "stage, key, urgent", "")
	for _, k := range keys {
		if err := w.add(s.k, k, boolInt(urgent)); err != nil {
			return err
		}
	}
	return w.flush()
}

// work takes up to n rows of a stage, urgent ones first, and calls f with
// their distinct keys in the same transaction; then exactly the rows that were
// read go. It returns how many rows that was.
func (s *Store) work(ctx context.Context, stage Stage, n int, f func(*tx, []int64) error) (int, error) {
	rows := 0
	err := s.update(ctx, func(t *tx) error {
		var err error
		rows, err = t.take(stage, n, func(keys []int64) error { return f(t, keys) })
		return err
	})
	return rows, err
}

// The turns that writers take on PostgreSQL, by the row lock of a sequence; on
// SQLite there is one writer anyway. They are always taken in this order.
const (
	turnIngest = "ingest" // what comes in
	turnLine   = "line"   // what follows from it: a pair must meet every place, a place every pair
)

// turn waits until no other transaction holds the turn, and holds it until the end.
func (t *tx) turn(name string) error {
	_, err := t.reserve(name, 0)
	return err
}

// alone takes both turns.
func (t *tx) alone() error {
	if err := t.turn(turnIngest); err != nil {
		return err
	}
	return t.turn(turnLine)
}

func (t *tx) take(stage Stage, n int, f func([]int64) error) (int, error) {
	if stage.k <= StageAsset.k || stage == StageCase {
		if err := t.turn(turnLine); err != nil {
			return 0, err
		}
	}
	var ids, keys []int64
	seen := map[int64]bool{}
	if err := t.each("select id, key from todo where stage = ? order by urgent desc, id limit ?"+t.d.skipLocked, []any{stage.k, n}, func(scan func(...any) error) error {
		var id, key int64
		if err := scan(&id, &key); err != nil {
			return err
		}
		ids = append(ids, id)
		if !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
		return nil
	}); err != nil || len(ids) == 0 {
		return 0, err
	}
	if err := f(keys); err != nil {
		return 0, err
	}
	return len(ids), t.deleteTodo(ids)
}

// Pending are rows of a stage that works outside of a transaction, because it
// writes by itself: what it did twice has to be the same as once. Done takes
// the rows away.
func (y *System) Pending(ctx context.Context, stage Stage, n int) (ids, keys []int64, err error) {
	err = reader{y.s, ctx}.each("select id, key from todo where stage = ? order by urgent desc, id limit ?", []any{stage.k, n}, func(scan func(...any) error) error {
		var id, key int64
		err := scan(&id, &key)
		ids, keys = append(ids, id), append(keys, key)
		return err
	})
	return ids, distinctKeys(keys), err
}

// Analyze has the engine look at its tables again: straight after a large import
// a planner knows nothing of them and goes through all of what it could look up.
func (y *System) Analyze(ctx context.Context) error {
	q := "pragma optimize"
	if y.s.d.numbered {
		q = "analyze observations, facts, fact_names, assets, affected, names, pairs, findings, evidence, todo"
	}
	if err := y.s.hook("exec", q); err != nil {
		return err
	}
	_, err := y.s.write.ExecContext(ctx, q)
	return classify(err)
}

// Waiting is how many rows the to-do table has, up to a limit.
func (y *System) Waiting(ctx context.Context, limit int) (n int, err error) {
	_, err = one(reader{y.s, ctx}, "select count(*) from (select 1 from todo limit ?) w", []any{limit}, &n)
	return n, err
}

// Done takes rows of the to-do table away.
func (y *System) Done(ctx context.Context, ids []int64) error {
	return y.s.update(ctx, func(t *tx) error { return t.deleteTodo(ids) })
}

func (t *tx) deleteTodo(ids []int64) error {
	for len(ids) > 0 {
		n := min(len(ids), 500)
		where, args := t.d.among("id", ids[:n])
		if _, err := t.once("delete from todo where "+where, args...); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}
