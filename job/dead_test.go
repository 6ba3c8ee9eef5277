package job

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	_ "time/tzdata" // the test of zones

	"github.com/riverqueue/river/rivertype"
	"go.uber.org/goleak"

	"github.com/vedette-hub/vedette"
)

// childEnv holds the Config of a test binary that runs as a worker of its own.
const childEnv = "VEDETTE_JOB_CHILD"

func TestMain(m *testing.M) {
	if env := os.Getenv(childEnv); env != "" {
		if err := beChild(env); err != nil {
			fmt.Println("failed", err)
		}
		os.Exit(1)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // these tests wait more than they compute
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// family are the kinds of the tests with children: say tells that a run
// began, hang is a run that does not end by itself, die ends the process.
func family(say func(kind string, t Task), hang func(context.Context) error, die func()) []Kind {
	run := func(kind string, f func(context.Context, Task) error) func(context.Context, Task) error {
		return func(ctx context.Context, t Task) error {
			say(kind, t)
			return f(ctx, t)
		}
	}
	return []Kind{
		{Name: "hang", Queue: "hard", Run: run("hang", func(ctx context.Context, _ Task) error { return hang(ctx) })},
		{Name: "poison", Queue: "hard", Attempts: 2, Run: run("poison", func(context.Context, Task) error { die(); return nil })},
		{Name: "quick", Queue: "hard", Run: nothing},
		{Name: "nap", Queue: "hard", Run: run("nap", napOnce())},
		{Name: "beat", Every: time.Second, Run: run("beat", nothing)},
	}
}

// napOnce returns a Run that wants to run again 6 seconds later, once. Up to 5
// seconds River takes another way.
func napOnce() func(context.Context, Task) error {
	var napped atomic.Bool
	return func(context.Context, Task) error {
		if napped.CompareAndSwap(false, true) {
			return Again(6 * time.Second)
		}
		return nil
	}
}

var hard = map[string]int{"hard": 2}

// beChild works until it is killed, or its parent is.
func beChild(env string) error {
	var cfg Config
	if err := json.Unmarshal([]byte(env), &cfg); err != nil {
		return err
	}
	cfg.Kinds = family(func(kind string, t Task) { fmt.Println(kind, t.ID, t.Attempt) },
		func(ctx context.Context) error { select {} },
		func() {
			p, _ := os.FindProcess(os.Getpid())
			p.Kill()
			select {}
		})
	j, err := Open(context.Background(), cfg)
	if err != nil {
		return err
	}
	fmt.Println("ready", j.id) // before the first run can say something
	if err := j.Start(context.Background()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// child is a process of its own that works jobs.
type child struct {
	cmd   *exec.Cmd
	id    string      // as owner of jobs
	lines chan string // "KIND ID ATTEMPT" of each run
}

func spawn(t *testing.T, cfg Config, queues map[string]int, env ...string) *child {
	t.Helper()
	cfg.Queues, cfg.Kinds, cfg.Log = queues, nil, nil
	b, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(os.Args[0]), lines: make(chan string, 1000)}
	c.cmd.Env = append(append(os.Environ(), childEnv+"="+string(b)), env...)
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan bool)
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- s.Text()
		}
	}()
	t.Cleanup(func() { c.kill(); <-read; c.cmd.Wait(); in.Close() })
	c.id = strings.TrimPrefix(c.hear(t, "ready"), "ready ")
	return c
}

// hear waits for a line of the child that begins so.
func (c *child) hear(t *testing.T, prefix string) string {
	t.Helper()
	for {
		line := receive(t, c.lines)
		if strings.HasPrefix(line, "failed") {
			t.Fatal("the child", line)
		}
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
}

// kill is kill -9.
func (c *child) kill() { c.cmd.Process.Kill() }

// ours are the kinds of the children as this process has them.
func ours() (kinds []Kind, g *gate, beats *atomic.Int32) {
	g, beats = newGate(Kind{}), new(atomic.Int32)
	kinds = family(func(kind string, task Task) {
		if kind == "beat" {
			beats.Add(1)
		}
	}, nil, func() {})
	g.Kind, kinds[0].Run = kinds[0], g.Run
	return kinds, g, beats
}

// TestKill: a worker is killed in the middle of a job; another runs it again,
// on SQLite the next one.
func TestKill(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		kinds, g, _ := ours()
		c := spawn(t, cfg, hard)
		line := open(t, cfg.with(nil, kinds...))
		id := add(t, line, "hang", nil)
		c.hear(t, "hang")
		var died time.Time
		if cfg.Dir == "" {
			start(t, cfg.with(hard, kinds...))
			died = time.Now()
			c.kill()
		} else {
			c.kill()
			c.cmd.Wait()
			died = time.Now()
			start(t, cfg.with(hard, kinds...))
		}
		task := receive(t, g.began)
		if d := time.Since(died); d > 15*time.Second { // River alone: two minutes
			t.Errorf("it took %s", d)
		} else {
			t.Logf("again after %s", d)
		}
		if task.ID != id || task.Attempt != 2 {
			t.Errorf("%+v, want attempt 2 of %d", task, id)
		}
		g.let <- nil
		if r := untilState(t, line, id, Completed); r.Error != "the process died" {
			t.Errorf("%+v", r)
		}
	})
}

// TestPoison: a job that kills its process does not do so for ever.
func TestPoison(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		kinds, _, _ := ours()
		line := open(t, cfg.with(nil, kinds...))
		id := add(t, line, "poison", nil)
		if cfg.Dir == "" {
			start(t, cfg.with(one, kinds...)) // hands it back; works another queue
		}
		for attempt := 1; attempt <= 2; attempt++ {
			c := spawn(t, cfg, hard)
			c.hear(t, fmt.Sprintf("poison %d %d", id, attempt))
			c.cmd.Wait()
		}
		if cfg.Dir != "" {
			start(t, cfg.with(one, kinds...))
		}
		if r := untilState(t, line, id, Discarded); r.Attempt != 2 || r.Error != died || r.Finalized.IsZero() {
			t.Errorf("%+v", r)
		}
	})
}

// TestLeaderDies: periodic jobs go on, and the leader enqueues those of queues it does not work.
func TestLeaderDies(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		kinds, _, beats := ours()
		c := spawn(t, cfg, hard)
		line := open(t, cfg.with(nil, kinds...))
		until(t, "the child leads", func() bool { return leader(t, line) == c.id })
		var j *Jobs
		if cfg.Dir == "" {
			j = start(t, cfg.with(one, kinds...))
			until(t, "the leader, which works another queue, lets us beat", func() bool { return beats.Load() > 0 })
			if leader(t, j) != c.id {
				t.Error("the lead went elsewhere")
			}
			c.kill()
		} else {
			until(t, "the leader enqueues for another queue", func() bool {
				rows, err := line.List(t.Context(), Filter{Kind: "beat"})
				return err == nil && len(rows) == 1
			})
			c.kill()
			c.cmd.Wait()
			j = start(t, cfg.with(one, kinds...))
		}
		died := time.Now()
		until(t, "we lead", func() bool { return leader(t, j) == j.id })
		if d := time.Since(died); d > 10*time.Second { // River alone: 15 seconds
			t.Errorf("the lead came after %s", d)
		} else {
			t.Logf("we lead after %s", d)
		}
		n := beats.Load()
		until(t, "three more beats", func() bool { return beats.Load() >= n+3 })
	})
}

func leader(t *testing.T, j *Jobs) string {
	t.Helper()
	var id string
	var err error
	switch h := j.home.(type) {
	case *embedded:
		err = h.db.QueryRow(`select coalesce(max(leader_id), '') from river_leader`).Scan(&id)
	case *postgres:
		err = h.pool.QueryRow(t.Context(), `select coalesce(max(leader_id), '') from jobs.river_leader`).Scan(&id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestBeside: what a command line does while a worker runs.
func TestBeside(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		kinds, _, _ := ours()
		c := spawn(t, cfg, hard)
		if cfg.Dir != "" {
			_, err := Open(t.Context(), cfg.with(hard, kinds...))
			if !errors.Is(err, vedette.ErrConflict) || !strings.Contains(err.Error(), "another process works the jobs of "+cfg.Dir) {
				t.Errorf("a second worker: %v, want conflict", err)
			}
		}
		line := open(t, cfg.with(nil, kinds...))
		const n = 100
		for range n {
			add(t, line, "quick", nil)
		}
		until(t, "all are done", func() bool {
			rows, err := line.List(t.Context(), Filter{Kind: "quick", States: []State{Completed}, Limit: 2 * n})
			if err != nil {
				t.Fatal(err)
			}
			return len(rows) == n
		})
		id := add(t, line, "hang", nil)
		c.hear(t, "hang")
		if s := row(t, open(t, cfg.with(nil, kinds...)), id).State; s != Running {
			t.Errorf("the running job is %s after another process came", s)
		}
		if cfg.Dir != "" {
			c.kill()
			c.cmd.Wait()
			open(t, cfg.with(hard, kinds...)) // the lock went with the process
		}
	})
}

// TestZones: a snooze lasts as long in every zone (the embedded store compares times as text).
func TestZones(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"America/New_York", "Asia/Tokyo"} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			cfg := quick(Config{Dir: t.TempDir()})
			kinds, _, _ := ours()
			c := spawn(t, cfg, hard, "TZ="+zone)
			id := add(t, open(t, cfg.with(nil, kinds...)), "nap", nil)
			c.hear(t, "nap")
			first := time.Now()
			if line := c.hear(t, "nap"); line != fmt.Sprintf("nap %d 1", id) {
				t.Error(line)
			}
			if d := time.Since(first); d < 5*time.Second {
				t.Errorf("6 s lasted %s", d)
			}
		})
	}
}

// orphans inserts running rows: n of one kind by an owner, begun at a time;
// every tenth is at its last attempt, every tenth was to be cancelled.
func orphans(t *testing.T, j *Jobs, n int, kind, owner string, at time.Time) {
	t.Helper()
	var err error
	switch h := j.home.(type) {
	case *embedded:
		_, err = h.db.Exec(`with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ?)
			insert into river_job (args, attempt, attempted_at, attempted_by, kind, max_attempts, queue, state, metadata)
			select '{}', case i % 10 when 1 then 8 else 1 end, ?, json_array(?), ?, 8, 'hard', 'running',
				case i % 10 when 2 then '{"cancel_attempted_at":"2026-01-01T00:00:00Z"}' else '{}' end from n`, n, at.UTC(), owner, kind)
	case *postgres:
		_, err = h.pool.Exec(t.Context(), `insert into jobs.river_job (args, attempt, attempted_at, attempted_by, kind, max_attempts, queue, state, metadata)
			select '{}', case i % 10 when 1 then 8 else 1 end, $2, array['older', $3], $4, 8, 'hard', 'running',
				case i % 10 when 2 then '{"cancel_attempted_at":"2026-01-01T00:00:00Z"}' else '{}' end::jsonb from generate_series(0, $1 - 1) i`, n, at, owner, kind)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, j *Jobs, s State) int {
	t.Helper()
	rows, err := j.List(t.Context(), Filter{States: []State{s}, Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return len(rows)
}

func TestManyOrphans(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		j := open(t, cfg.with(one, Kind{Name: "lost", Queue: "hard", Run: nothing}))
		orphans(t, j, 10_000, "lost", "somebody who died", time.Now())
		if err := j.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		until(t, "none runs", func() bool { return count(t, j, Running) == 0 })
		if a, d, c := count(t, j, Available), count(t, j, Discarded), count(t, j, Cancelled); a != 8000 || d != 1000 || c != 1000 {
			t.Errorf("%d available, %d discarded, %d cancelled", a, d, c)
		}
		if r := row(t, j, 1); r.Error != died || r.Errors != 1 || r.Attempt != 1 {
			t.Errorf("%+v", r)
		}
	})
}

// TestTwoLooks: a life lock that is free once is no proof of death: all are,
// for a moment, after a restart of PostgreSQL.
func TestTwoLooks(t *testing.T) {
	t.Parallel()
	cfg := onPostgres(t)
	j := open(t, cfg.with(one, Kind{Name: "lost", Queue: "hard", Run: nothing}))
	orphans(t, j, 1, "lost", "somebody", time.Now())
	for look, want := range []State{Running, Available} {
		if err := j.home.tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := row(t, j, 1).State; s != want {
			t.Errorf("after look %d it is %s, want %s", look+1, s, want)
		}
	}
}

// TestLeaderOfOtherQueues: a leader that does not work the queue of a stuck
// job rescues it; one that did not know the kind would discard it.
func TestLeaderOfOtherQueues(t *testing.T) {
	t.Parallel()
	cfg := onPostgres(t)
	j := open(t, cfg.with(one, Kind{Name: "stuck", Queue: "hard", Run: nothing}))
	orphans(t, j, 1, "stuck", j.id, time.Now().Add(-time.Hour)) // its owner lives: we are
	if err := j.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	untilState(t, j, 1, Retryable)
}

// TestTaken: a run whose job another process has by now ends, and writes nothing.
func TestTaken(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		g := newGate(Kind{Name: "gate"})
		j := start(t, cfg.with(one, g.Kind))
		id := add(t, j, "gate", nil)
		receive(t, g.began)
		var err error
		switch h := j.home.(type) {
		case *embedded:
			_, err = h.db.Exec(`update river_job set attempt = 2 where id = ?`, id)
		case *postgres: // and the other one lives
			other, perr := openPostgres(t.Context(), j.cfg, "another")
			if perr != nil {
				t.Fatal(perr)
			}
			t.Cleanup(func() { other.close() })
			if err := other.settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err = h.pool.Exec(t.Context(), `update jobs.river_job set attempt = 2, attempted_by = array_append(attempted_by, 'another') where id = $1`, id)
		}
		if err != nil {
			t.Fatal(err)
		}
		receive(t, g.ended)
		until(t, "the run ended", func() bool { return j.runs.count() == 0 })
		time.Sleep(500 * time.Millisecond) // River writes every 250 ms
		if r := row(t, j, id); r.Attempt != 2 || r.State != Running || r.Errors != 0 {
			t.Errorf("%+v: the row was another's", r)
		}
	})
}

// TestLostLifeLock: a process whose connection breaks is not thought dead.
func TestLostLifeLock(t *testing.T) {
	t.Parallel()
	cfg := onPostgres(t)
	g := newGate(Kind{Name: "gate"})
	j := start(t, cfg.with(one, g.Kind))
	id := add(t, j, "gate", nil)
	receive(t, g.began)
	start(t, cfg.with(one, g.Kind))
	p := j.home.(*postgres)
	pid := func() (pid int) {
		if err := p.pool.QueryRow(t.Context(), `select coalesce(max(pid), 0) from pg_locks where locktype = 'advisory'
			and (classid::bigint << 32 | objid::bigint) = `+lockKey("$1"), p.lockName(p.me)).Scan(&pid); err != nil {
			t.Fatal(err)
		}
		return pid
	}
	before := pid()
	if before == 0 {
		t.Fatal("nobody holds the life lock")
	}
	if _, err := p.pool.Exec(t.Context(), `select pg_terminate_backend($1)`, before); err != nil {
		t.Fatal(err)
	}
	until(t, "the lock is held again", func() bool { now := pid(); return now != 0 && now != before })
	time.Sleep(5 * cfg.Reclaim)
	if r := row(t, j, id); r.State != Running || r.Attempt != 1 || r.Worker != j.id {
		t.Errorf("%+v: it was taken away", r)
	}
	g.let <- nil
	untilState(t, j, id, Completed)
}

// untouched has the shape that River's executor asks for.
var _ interface {
	ErrorsByID() map[int64]error
	Jobs() []*rivertype.JobRow
} = untouched{}
