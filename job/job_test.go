package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store/storetest"
)

// each runs a test on both engines, with settings that make it quick.
func each(t *testing.T, f func(t *testing.T, cfg Config)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		f(t, quick(Config{Dir: t.TempDir()}))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, onPostgres(t))
	})
}

func quick(c Config) Config {
	c.Poll, c.Reclaim = 50*time.Millisecond, 200*time.Millisecond
	return c
}

func onPostgres(t *testing.T) Config {
	t.Helper()
	c := quick(Config{URL: storetest.Postgres(t)})
	if err := Migrate(t.Context(), c.URL, ""); err != nil {
		t.Fatal(err)
	}
	return c
}

// with is a Config with kinds and queues.
func (c Config) with(queues map[string]int, kinds ...Kind) Config {
	c.Queues, c.Kinds = queues, kinds
	return c
}

var one, four = map[string]int{DefaultQueue: 1}, map[string]int{DefaultQueue: 4}

func open(t *testing.T, cfg Config) *Jobs {
	t.Helper()
	j, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, j) })
	return j
}

func stop(t *testing.T, j *Jobs) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := j.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func start(t *testing.T, cfg Config) *Jobs {
	t.Helper()
	j := open(t, cfg)
	if err := j.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return j
}

// add queues one job of a kind.
func add(t *testing.T, j *Jobs, kind string, args any) int64 {
	t.Helper()
	a, err := j.Add(t.Context(), New{Kind: kind, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	return a[0].ID
}

func row(t *testing.T, j *Jobs, id int64) Row {
	t.Helper()
	rows, err := j.List(t.Context(), Filter{Before: id + 1, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 || rows[0].ID != id {
		t.Fatalf("job %d is not listed", id)
	}
	return rows[0]
}

// until waits for what has to become true; the limit is generous, the machine may be busy.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 30 s in vain: %s", what)
		}
	}
}

func untilState(t *testing.T, j *Jobs, id int64, s State) Row {
	t.Helper()
	var r Row
	until(t, fmt.Sprintf("job %d is %s", id, s), func() bool { r = row(t, j, id); return r.State == s })
	return r
}

// gate is a kind whose runs say that they began and wait to be let go.
type gate struct {
	Kind
	began chan Task
	let   chan error
	ended chan error // why the context ended
}

func newGate(k Kind) *gate {
	g := &gate{Kind: k, began: make(chan Task, 100), let: make(chan error, 100), ended: make(chan error, 100)}
	g.Run = func(ctx context.Context, t Task) error {
		g.began <- t
		select {
		case err := <-g.let:
			return err
		case <-ctx.Done():
			g.ended <- ctx.Err()
			return ctx.Err()
		}
	}
	return g
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("waited 30 s in vain")
		panic("not reached")
	}
}

func nothing(context.Context, Task) error { return nil }

func TestAddAndList(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		j := open(t, cfg.with(nil,
			Kind{Name: "read", Run: nothing, Queue: "feeds", Priority: 2, Attempts: 3},
			Kind{Name: "match", Run: nothing}))
		at := time.Now().Add(time.Hour).Truncate(time.Second)
		got, err := j.Add(t.Context(), New{Kind: "read", Args: map[string]any{"feed": "kev", "n": 1}}, New{Kind: "match"}, New{Kind: "match", At: at})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got {
			if !a.Fresh {
				t.Errorf("%+v is not fresh", a)
			}
		}
		rows, err := j.List(t.Context(), Filter{})
		if err != nil || len(rows) != 3 {
			t.Fatal(rows, err)
		}
		later, first := rows[0], rows[2]
		if later.State != Scheduled || !later.Scheduled.Equal(at) || later.Scheduled.Location() != time.UTC {
			t.Errorf("%+v, want scheduled at %s", later, at)
		}
		if first.ID != got[0].ID || first.Kind != "read" || first.Queue != "feeds" || first.State != Available || first.Max != 3 || first.Attempt != 0 ||
			string(first.Args) != `{"feed":"kev","n":1}` || first.Error != "" || !first.Attempted.IsZero() || !first.Finalized.IsZero() {
			t.Errorf("%+v", first)
		}
		if d := time.Since(first.Created); d < -time.Minute || d > time.Minute {
			t.Errorf("created %s", first.Created)
		}
		for _, c := range []struct {
			f    Filter
			want []int64
		}{
			{Filter{Limit: 2}, []int64{got[2].ID, got[1].ID}},
			{Filter{Before: got[1].ID}, []int64{got[0].ID}},
			{Filter{Kind: "match", States: []State{Available, Running}}, []int64{got[1].ID}},
			{Filter{Kind: "none"}, nil},
			{Filter{States: []State{Completed}}, nil},
		} {
			rows, err := j.List(t.Context(), c.f)
			var ids []int64
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			if err != nil || !slices.Equal(ids, c.want) {
				t.Errorf("%+v: %v %v, want %v", c.f, ids, err, c.want)
			}
		}
		if got, err := j.Add(t.Context()); got != nil || err != nil {
			t.Error(got, err)
		}
	})
}

func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		j := open(t, cfg.with(nil, Kind{Name: "read", Run: nothing}))
		for what, err := range map[string]error{
			"kind":   second(j.Add(t.Context(), New{Kind: "unknown"})),
			"list":   second(j.Add(t.Context(), New{Kind: "read", Args: []int{1}})),
			"null":   second(j.Add(t.Context(), New{Kind: "read", Args: (*int)(nil)})),
			"chan":   second(j.Add(t.Context(), New{Kind: "read", Args: make(chan int)})),
			"path":   second(j.Add(t.Context(), New{Kind: "read", Args: map[string]int{"a.b": 1}})),
			"state":  second(j.List(t.Context(), Filter{States: []State{"lost"}})),
			"start":  j.Start(t.Context()),
			"twice":  second(Open(t.Context(), cfg.with(nil, Kind{Name: "ab", Run: nothing}, Kind{Name: "ab", Run: nothing}))),
			"short":  second(Open(t.Context(), cfg.with(nil, Kind{Name: "a", Run: nothing}))),
			"idle":   second(Open(t.Context(), cfg.with(nil, Kind{Name: "ab"}))),
			"queue":  second(Open(t.Context(), cfg.with(map[string]int{"a b": 1}, Kind{Name: "ab", Run: nothing}))),
			"nobody": second(Open(t.Context(), cfg.with(map[string]int{"a": 0}, Kind{Name: "ab", Run: nothing}))),
			"where":  second(Open(t.Context(), Config{})),
			"both":   second(Open(t.Context(), Config{Dir: "x", URL: "y"})),
			"rescue": second(Open(t.Context(), Config{Dir: "x", Timeout: time.Minute, Rescue: time.Second})),
			"schema": second(Open(t.Context(), Config{URL: "postgres://127.0.0.1/x", Schema: `a"b`})),
		} {
			if !errors.Is(err, vedette.ErrInvalid) {
				t.Errorf("%s: %v, want invalid", what, err)
			}
		}
		for what, err := range map[string]error{"retry": j.Retry(t.Context(), 99), "cancel": j.Cancel(t.Context(), 99)} {
			if !errors.Is(err, vedette.ErrNotFound) {
				t.Errorf("%s: %v, want not found", what, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestUnavailable(t *testing.T) {
	_, err := Open(t.Context(), Config{URL: "postgres://nobody@127.0.0.1:1/none?connect_timeout=2"})
	if !errors.Is(err, vedette.ErrUnavailable) {
		t.Errorf("%v, want unavailable", err)
	}
	if err := Migrate(t.Context(), "postgres://nobody@127.0.0.1:1/none?connect_timeout=2", ""); !errors.Is(err, vedette.ErrUnavailable) {
		t.Errorf("%v, want unavailable", err)
	}
	_, err = Open(t.Context(), Config{URL: storetest.Postgres(t)})
	if !errors.Is(err, vedette.ErrUnavailable) || !strings.Contains(err.Error(), "migrate") {
		t.Errorf("not migrated: %v, want unavailable", err)
	}
}

func TestUnique(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		g := newGate(Kind{Name: "stage", Unique: true})
		j := start(t, cfg.with(one, g.Kind))
		args := func(n int) any { return map[string]any{"b": n, "a": 1} }
		var fresh atomic.Int32
		var ids sync.Map
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				a, err := j.Add(t.Context(), New{Kind: "stage", Args: args(1)})
				if err != nil {
					t.Error(err)
					return
				}
				ids.Store(a[0].ID, true)
				if a[0].Fresh {
					fresh.Add(1)
				}
			})
		}
		wg.Wait()
		n := 0
		ids.Range(func(any, any) bool { n++; return true })
		if fresh.Load() != 1 || n != 1 {
			t.Errorf("8 at once: %d fresh, %d ids", fresh.Load(), n)
		}
		task := receive(t, g.began)
		a, err := j.Add(t.Context(), New{Kind: "stage", Args: args(1)}, New{Kind: "stage", Args: args(2)},
			New{Kind: "stage", Args: struct {
				A int `json:"a"`
				B int `json:"b"`
			}{1, 2}})
		if err != nil || a[0] != (Added{task.ID, false}) || !a[1].Fresh || a[2] != (Added{a[1].ID, false}) {
			t.Errorf("%v %v: while one runs, another, and the other in other words", a, err)
		}
		g.let <- nil
		g.let <- nil
		untilState(t, j, task.ID, Completed)
		untilState(t, j, a[1].ID, Completed)
		a, err = j.Add(t.Context(), New{Kind: "stage", Args: args(1)})
		if err != nil || !a[0].Fresh {
			t.Errorf("%v %v: after the end", a, err)
		}
		if err := j.Retry(t.Context(), task.ID); !errors.Is(err, vedette.ErrConflict) {
			t.Errorf("retry beside an equal job: %v, want conflict", err)
		}
		g.let <- nil
	})
}

func TestPriorities(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		var kinds []Kind
		var mu sync.Mutex
		var order []string
		for _, p := range []int{3, 1, 4, 2} {
			name := fmt.Sprintf("p%d", p)
			kinds = append(kinds, Kind{Name: name, Priority: p, Run: func(context.Context, Task) error {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, name)
				return nil
			}})
		}
		j := open(t, cfg.with(one, kinds...))
		for _, k := range kinds {
			add(t, j, k.Name, nil)
		}
		if err := j.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		until(t, "four ran", func() bool { mu.Lock(); defer mu.Unlock(); return len(order) == 4 })
		if !slices.Equal(order, []string{"p1", "p2", "p3", "p4"}) {
			t.Error(order)
		}
	})
}

// TestResults: what a run returns, and what becomes of the job.
func TestResults(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		var snoozes, interrupted atomic.Int32
		kinds := []Kind{
			{Name: "fails-once", Run: func(_ context.Context, k Task) error {
				if k.Attempt == 1 {
					return errors.New("the first time")
				}
				return nil
			}},
			{Name: "fails", Attempts: 1, Run: func(context.Context, Task) error { return errors.New("always") }},
			{Name: "panics", Attempts: 1, Run: func(context.Context, Task) error { panic("oh") }},
			{Name: "waits", Run: func(_ context.Context, k Task) error {
				if snoozes.Add(1) < 3 {
					return fmt.Errorf("not yet: %w", Again(time.Duration(snoozes.Load())*100*time.Millisecond))
				}
				return nil
			}},
			{Name: "drops", Run: func(context.Context, Task) error { return Drop("no longer in scope") }},
			{Name: "slow", Attempts: 1, Timeout: 200 * time.Millisecond, Run: func(ctx context.Context, _ Task) error {
				<-ctx.Done()
				interrupted.Add(1)
				return ctx.Err()
			}},
			{Name: "retries", Run: func(context.Context, Task) error { return errors.New("later") }},
		}
		j := start(t, cfg.with(four, kinds...))
		ids := map[string]int64{}
		for _, k := range kinds {
			ids[k.Name] = add(t, j, k.Name, nil)
		}
		for _, c := range []struct {
			kind    string
			state   State
			attempt int
			err     string
		}{
			{"fails-once", Completed, 2, "the first time"},
			{"fails", Discarded, 1, "always"},
			{"panics", Discarded, 1, "oh"},
			{"waits", Completed, 1, ""},
			{"drops", Cancelled, 1, "no longer in scope"},
			{"slow", Discarded, 1, "context deadline exceeded"},
		} {
			r := untilState(t, j, ids[c.kind], c.state)
			if r.Attempt != c.attempt || r.Error != c.err {
				t.Errorf("%s: attempt %d, error %q, want %d, %q", c.kind, r.Attempt, r.Error, c.attempt, c.err)
			}
		}
		if interrupted.Load() != 1 || snoozes.Load() != 3 {
			t.Errorf("%d interrupted, %d snoozes", interrupted.Load(), snoozes.Load())
		}
		// Back-off: 1 s after the first failure, 16 s after the second, less or more a tenth.
		r := untilState(t, j, ids["retries"], Retryable)
		if d := r.Scheduled.Sub(r.Attempted); r.Attempt != 2 || d < 14*time.Second || d > 18*time.Second {
			t.Errorf("attempt %d waits %s", r.Attempt, d)
		}
		if err := j.Retry(t.Context(), ids["retries"]); err != nil {
			t.Fatal(err)
		}
		until(t, "the third attempt", func() bool { return row(t, j, ids["retries"]).Errors == 3 })
		if err := j.Retry(t.Context(), ids["fails"]); err != nil { // one more attempt for what was discarded
			t.Fatal(err)
		}
		until(t, "one attempt more", func() bool { r := row(t, j, ids["fails"]); return r.Errors == 2 && r.State == Discarded })
	})
}

func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		g := newGate(Kind{Name: "gate"})
		j := start(t, cfg.with(one, g.Kind))
		running, waiting := add(t, j, "gate", nil), add(t, j, "gate", nil)
		receive(t, g.began)
		if err := j.Retry(t.Context(), running); !errors.Is(err, vedette.ErrConflict) {
			t.Errorf("retry of a running job: %v, want conflict", err)
		}
		if err := j.Cancel(t.Context(), waiting); err != nil {
			t.Fatal(err)
		}
		if s := row(t, j, waiting).State; s != Cancelled {
			t.Errorf("the waiting job is %s", s)
		}
		began := time.Now()
		if err := j.Cancel(t.Context(), running); err != nil {
			t.Fatal(err)
		}
		receive(t, g.ended)
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("cancel took %s", d)
		}
		untilState(t, j, running, Cancelled)
		if err := j.Cancel(t.Context(), running); err != nil {
			t.Errorf("cancelled twice: %v", err)
		}
		// What was cancelled can be run again, and is not cancelled again.
		for _, id := range []int64{waiting, running} {
			if err := j.Retry(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if task := receive(t, g.began); task.ID != id {
				t.Fatalf("%d began, want %d", task.ID, id)
			}
			time.Sleep(3 * j.cfg.Reclaim)
			g.let <- nil
			untilState(t, j, id, Completed)
		}
		if err := j.Cancel(t.Context(), running); !errors.Is(err, vedette.ErrConflict) {
			t.Errorf("cancel of a completed job: %v, want conflict", err)
		}
	})
}

// TestCancelFromOutside: a process that only administers cancels what another runs.
func TestCancelFromOutside(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		g := newGate(Kind{Name: "gate"})
		j := start(t, cfg.with(one, g.Kind))
		line := open(t, cfg.with(nil, g.Kind))
		id := add(t, line, "gate", nil)
		receive(t, g.began)
		if err := line.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		receive(t, g.ended)
		untilState(t, j, id, Cancelled)
	})
}

// TestCancelWithoutStart: many cancels on a handle that was never started do not block.
func TestCancelWithoutStart(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		j := open(t, cfg.with(one, Kind{Name: "nothing", Run: nothing}))
		got, err := j.Add(t.Context(), slices.Repeat([]New{{Kind: "nothing"}}, 150)...)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got {
			if err := j.Cancel(t.Context(), a.ID); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestPeriodicRunsOnce(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		var runs atomic.Int32
		k := Kind{Name: "daily", Every: 24 * time.Hour, Run: func(context.Context, Task) error { runs.Add(1); return nil }}
		j := start(t, cfg.with(one, k))
		if cfg.URL != "" {
			start(t, cfg.with(one, k)) // one of the two leads
		}
		until(t, "it ran", func() bool { return runs.Load() > 0 })
		time.Sleep(500 * time.Millisecond)
		rows, err := j.List(t.Context(), Filter{Kind: "daily"})
		if err != nil || len(rows) != 1 || runs.Load() != 1 {
			t.Errorf("%d runs, %d rows, %v", runs.Load(), len(rows), err)
		}
	})
}

func TestStop(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		g := newGate(Kind{Name: "gate", Attempts: 1})
		cfg = cfg.with(one, g.Kind)
		j := start(t, cfg)
		graceful, next := add(t, j, "gate", nil), add(t, j, "gate", nil)
		receive(t, g.began)
		time.AfterFunc(100*time.Millisecond, func() { g.let <- nil })
		stop(t, j) // waits for the running job, leaves the next
		j = start(t, cfg)
		if s := row(t, j, graceful).State; s != Completed {
			t.Errorf("the running job is %s after a graceful stop", s)
		}
		if task := receive(t, g.began); task.ID != next || task.Attempt != 1 {
			t.Errorf("%+v began, want %d", task, next)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := j.Stop(ctx); err != nil { // the job does not end by itself
			t.Fatal(err)
		}
		receive(t, g.ended)
		if err := j.Stop(t.Context()); err != nil {
			t.Errorf("stopped twice: %v", err)
		}
		j = open(t, cfg)
		if r := row(t, j, next); r.State != Available || r.Attempt != 0 || r.Errors != 0 {
			t.Errorf("after an interruption: %+v, want available with no attempt counted", r)
		}
		if err := j.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		receive(t, g.began)
		g.let <- nil
		untilState(t, j, next, Completed)
		stop(t, j)
		if err := j.Start(t.Context()); !errors.Is(err, vedette.ErrConflict) {
			t.Errorf("started after stop: %v", err)
		}
	})
}

// TestStopOfTheDeaf: a job that does not heed its context keeps the process alive in the eyes of others.
func TestStopOfTheDeaf(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		hold, began := make(chan bool), make(chan bool)
		cfg.Grace = 100 * time.Millisecond
		cfg = cfg.with(one, Kind{Name: "deaf", Run: func(context.Context, Task) error { close(began); <-hold; return nil }})
		j := start(t, cfg)
		add(t, j, "deaf", nil)
		receive(t, began)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := j.Stop(gone); !errors.Is(err, vedette.ErrConflict) {
			t.Errorf("%v, want conflict", err)
		}
		if cfg.Dir != "" {
			if _, err := Open(t.Context(), cfg); !errors.Is(err, vedette.ErrConflict) {
				t.Errorf("the lock is free while a job runs: %v", err)
			}
		}
		close(hold)
		stop(t, j)
	})
}
