package job

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vedette-hub/vedette/store/storetest"
)

// TestOddFolder: a folder may be named anything, is made, and its files are for us alone.
func TestOddFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a b?c#d%41&e", "x")
	j := start(t, quick(Config{Dir: dir}).with(one, Kind{Name: "nothing", Run: nothing}))
	untilState(t, j, add(t, j, "nothing", nil), Completed)
	for _, name := range []string{File, File + "-wal", LockFile} {
		i, err := os.Stat(filepath.Join(dir, name))
		if err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, i, err)
		}
	}
}

// TestOpenedAtOnce: a new folder is migrated once.
func TestOpenedAtOnce(t *testing.T) {
	t.Parallel()
	cfg := quick(Config{Dir: t.TempDir()}).with(nil, Kind{Name: "nothing", Run: nothing})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			j, err := Open(t.Context(), cfg)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := j.Add(t.Context(), New{Kind: "nothing"}); err != nil {
				t.Error(err)
			}
			stop(t, j)
		})
	}
	wg.Wait()
	if n := count(t, open(t, cfg), Available); n != 8 {
		t.Errorf("%d jobs", n)
	}
}

// TestMigratedAtOnce: several may migrate, and a second schema stands beside the first.
func TestMigratedAtOnce(t *testing.T) {
	t.Parallel()
	u := storetest.Postgres(t)
	var wg sync.WaitGroup
	for _, schema := range []string{"", "", "other", "other"} {
		wg.Go(func() {
			if err := Migrate(t.Context(), u, schema); err != nil {
				t.Errorf("%q: %v", schema, err)
			}
		})
	}
	wg.Wait()
	cfg := quick(Config{URL: u}).with(one, Kind{Name: "nothing", Run: nothing})
	j := start(t, cfg)
	cfg.Schema = "other"
	other := start(t, cfg)
	untilState(t, j, add(t, j, "nothing", nil), Completed)
	if n := count(t, other, Completed); n != 0 {
		t.Errorf("%d jobs in the other schema", n)
	}
	untilState(t, other, add(t, other, "nothing", nil), Completed)
}

// TestGrant: a role with these rights and no others works.
func TestGrant(t *testing.T) {
	t.Parallel()
	cfg := onPostgres(t)
	admin := open(t, cfg.with(nil, Kind{Name: "nothing", Run: nothing})).home.(*postgres)
	if !admin.owner {
		t.Error("who migrated is not the owner")
	}
	var raw [6]byte
	rand.Read(raw[:])
	role := "Worker-" + hex.EncodeToString(raw[:])
	exec := func(q string) {
		t.Helper()
		if _, err := admin.pool.Exec(t.Context(), q); err != nil {
			t.Fatal(q, err)
		}
	}
	quoted := `"` + role + `"`
	exec(`create role ` + quoted + ` login password 'secret'`)
	u, err := url.Parse(cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer exec(`drop role ` + quoted)
	defer exec(`drop owned by ` + quoted)
	exec(`alter default privileges revoke execute on functions from public`)
	exec(`revoke usage on type jobs.river_job_state from public`)
	exec(`create table public.secret (x int)`)
	for _, q := range Grant("", role) {
		exec(q)
	}
	u.User = url.UserPassword(role, "secret")
	cfg.URL = u.String()

	g := newGate(Kind{Name: "gate", Unique: true})
	func() { // the worker is gone before its role is
		j := open(t, cfg.with(one, g.Kind, Kind{Name: "lost", Queue: "hard", Run: nothing}, Kind{Name: "beat", Every: time.Hour, Run: nothing}))
		defer stop(t, j)
		if j.home.(*postgres).owner {
			t.Error("the role owns the schema")
		}
		orphans(t, j, 10, "lost", "somebody who died", time.Now())
		if err := j.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		first, next := add(t, j, "gate", map[string]int{"n": 1}), add(t, j, "gate", map[string]int{"n": 2})
		receive(t, g.began)
		var lives bool
		p := j.home.(*postgres)
		if err := admin.pool.QueryRow(t.Context(), `select not pg_try_advisory_xact_lock(`+lockKey("$1")+`)`, p.lockName(p.me)).Scan(&lives); err != nil || !lives {
			t.Errorf("no life lock: %v", err)
		}
		if err := j.Cancel(t.Context(), next); err != nil {
			t.Error(err)
		}
		if err := j.Retry(t.Context(), next); err != nil {
			t.Error(err)
		}
		g.let <- nil
		g.let <- nil
		untilState(t, j, first, Completed)
		untilState(t, j, next, Completed)
		until(t, "the orphans are handed back", func() bool { return count(t, j, Running) == 0 })
		until(t, "it leads", func() bool { return leader(t, j) == j.id })
		until(t, "a periodic job ran", func() bool {
			rows, err := j.List(t.Context(), Filter{Kind: "beat", States: []State{Completed}})
			return err == nil && len(rows) == 1
		})
		for _, q := range []string{`create table jobs.x (x int)`, `drop table jobs.river_queue`, `alter table jobs.river_job add x int`, `truncate jobs.river_job`,
			`delete from jobs.river_migration`, `select * from public.secret`, `create schema x`} {
			var pg *pgconn.PgError
			if _, err := p.pool.Exec(t.Context(), q); !errors.As(err, &pg) || pg.Code != "42501" {
				t.Errorf("%s: %v, want no privilege", q, err)
			}
		}
	}()
}
