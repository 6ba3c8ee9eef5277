package app

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/job"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/scope"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// killInternet has enough to see, and one host slow enough to be killed at.
const killInternet = `resolver: 127.20.250.53:5353
constituents:
  - id: alder
    name: Alder Transport Authority
    scope: [{cidr: 127.20.0.8/29, authorised_by: Head of IT, document: AUTH-1, classes: [passive, active]}]
hosts:
  - address: 127.20.0.10
    services:
      - {port: 8080, kind: http, weak: ["check:exposed-git"], software: {vendor: examplesoft, product: access_gateway, version: 5.2.1, banner: "Examplesoft-Access-Gateway/{version}"}}
      - {port: 6379, kind: redis, weak: ["check:redis-no-auth"], software: {vendor: redis, product: redis, version: 6.0.16, banner: "{version}"}}
      - {port: 5900, kind: vnc, weak: ["check:vnc-no-auth"]}
  - address: 127.20.0.11
    services: [{port: 2222, kind: ssh, delay: 200ms, software: {vendor: openbsd, product: openssh, version: 9.2p1, banner: "OpenSSH_{version} Debian-2+deb12u3"}}]
`

// childWork is what TestSurveyChild does, as it is told in its environment.
type childWork struct {
	Place   string
	Survey  string
	Conf    config.Survey
	Timeout time.Duration
	Clock   time.Time
	Kill    string // dies at a statement that holds this
	Nth     int64  // of them
	Commit  bool   // dies at the commit after it
}

// TestSurveyChild is a hub in a process of its own, which others kill; by
// itself it does nothing.
func TestSurveyChild(t *testing.T) {
	var c childWork
	if text := os.Getenv("VEDETTE_SURVEY_CHILD"); text == "" {
		return
	} else if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	if err := c.work(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// hook dies where it is told to.
func (c *childWork) hook() func(op, query string) error {
	var met atomic.Int64
	var due atomic.Bool
	return func(op, query string) error {
		die := op == "commit" && due.Load()
		if c.Kill != "" && strings.Contains(query, c.Kill) && met.Add(1) == c.Nth {
			due.Store(true)
			die = !c.Commit
		}
		if die {
			p, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = p.Kill()
			}
			time.Sleep(time.Minute) // it comes at any moment
			return err
		}
		return nil
	}
}

// work serves until the survey ended and the line is done.
func (c *childWork) work(ctx context.Context) error {
	opt := StoreOptions()
	opt.Now, opt.Hook = func() time.Time { return c.Clock }, c.hook()
	s, err := store.Open(ctx, c.Place, opt)
	if err != nil {
		return err
	}
	defer s.Close()
	c.Conf.Timeout = config.Duration(c.Timeout)
	h, err := newHub(ctx, s, c.Conf, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	h.prober.name = "child"
	jc := job.Config{Kinds: kinds(h, h.prober), Queues: map[string]int{queueHub: 1, queueProbe: 4}, Timeout: time.Minute, Rescue: partTime + time.Minute}
	if jc.URL = c.Place; !store.IsURL(c.Place) {
		jc.URL, jc.Dir = "", c.Place
	}
	if h.jobs, err = job.Open(ctx, jc); err != nil {
		return err
	}
	if err := h.jobs.Start(ctx); err != nil {
		return err
	}
	sc, err := s.As(ctx, vedette.Local())
	if err != nil {
		return err
	}
	for {
		v, err := sc.Survey(ctx, c.Survey)
		if err != nil {
			return err
		}
		if _, waits, err := s.System().Inbox(ctx); err != nil || !v.Ended.IsZero() && !waits {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := h.stop(ctx); err != nil {
		return err
	}
	return h.line.Drain(ctx)
}

// beside is another store with a hub over the same internet.
func (lw *labWorld) beside(place string) *labWorld {
	lw.t.Helper()
	o := &labWorld{world: newWorld(lw.t, place), net: lw.net, conf: lw.conf}
	if err := o.store.System().StampLab(context.Background()); err != nil {
		lw.t.Fatal(err)
	}
	cs, err := lw.net.Constituency()
	if err != nil {
		lw.t.Fatal(err)
	}
	r := o.run(vedette.Local())
	if err := r.sc.ApplyConstituents(r.ctx, cs, nil, scope.NewMap(cs).Owner, scope.Users(cs), nil); err != nil {
		lw.t.Fatal(err)
	}
	o.hub = o.newHub()
	return o
}

// killPoints are where a process is killed, by the statement it is about to
// make. CI takes every second one.
var killPoints = []struct {
	name, at string
	nth      int64
	commit   bool
}{
	{"while it looks", "from stops where survey_k", 3, false},
	{"before it hands in", "insert into observed", 1, false},
	{"before that is kept", "insert into observed", 1, true},
	{"while looks are taken in", "insert into observations", 1, false},
	{"before they are kept", "insert into coverage", 1, true},
	{"before the part ends", "delete from observed", 1, false},
	{"while findings are written", "insert into evidence", 1, false},
	{"before its end is kept", "update surveys set state", 1, true},
}

// TestSurveyKilled kills the hub at named places of a survey: another process
// goes on within 90 seconds, nothing is closed meanwhile, nothing is doubled.
func TestSurveyKilled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		lw := smallLab(t, place, killInternet)
		want, _ := lw.killed(t, childWork{})
		for i, k := range killPoints {
			if i%2 == 1 && os.Getenv("VEDETTE_SOAK_ROUNDS") == "" {
				continue
			}
			t.Run(k.name, func(t *testing.T) {
				place := t.TempDir()
				if store.IsURL(lw.place) {
					place = storetest.Postgres(t)
				}
				got, took := lw.beside(place).killed(t, childWork{Kill: k.at, Nth: k.nth, Commit: k.commit})
				sameHashes(t, got, want, "after the kill")
				t.Logf("done %s after the kill", took.Round(time.Millisecond))
				if took > 90*time.Second {
					t.Errorf("resumed and done only after %s", took)
				}
			})
		}
	})
}

// killed surveys once, and a second time with a process that is killed at a
// place and another one that goes on. It returns what the store holds then.
func (lw *labWorld) killed(t *testing.T, c childWork) (map[string]string, time.Duration) {
	t.Helper()
	lw.t = t
	lw.hub.prober.name = "child"
	lw.importText("cve.jsonl", sampleFile(t, "cve.jsonl"))
	vnc := func(c lab.Change) {
		if err := lw.net.Set(lw.host(".0.10"), 5900, c); err != nil {
			t.Fatal(err)
		}
	}
	vnc(lab.Change{Stop: true})
	lw.survey("alder")
	vnc(lab.Change{Start: true}) // something new to be found
	first := lw.findings()
	lw.day()
	s := lw.ask("alder", vedette.Active)
	if store.IsURL(lw.place) {
		if err := job.Migrate(context.Background(), lw.place, ""); err != nil {
			t.Fatal(err)
		}
	}
	lw.store.Close()
	c.Place, c.Survey, c.Conf, c.Timeout, c.Clock = lw.place, s.ID, lw.conf, time.Duration(lw.conf.Timeout), lw.clock
	if c.Kill != "" {
		if err := c.run(t); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("it was not killed: %v", err)
		}
		lw.store = storetest.Open(t, lw.place, lw.opt)
		for k, f := range lw.findings() {
			if old, ok := first[k]; f.Presence != vedette.Present || ok && !f.FirstSeen.Equal(old.FirstSeen) {
				t.Errorf("%s is %s after the kill", k, f.Presence)
			}
		}
		lw.store.Close()
	}
	c.Kill = ""
	began := time.Now()
	if err := c.run(t); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	lw.store = storetest.Open(t, lw.place, lw.opt)
	v, err := lw.run(vedette.Local()).sc.Survey(context.Background(), s.ID)
	if err != nil || v.State != vedette.SurveyDone || v.Done != v.Parts || v.Looks == 0 {
		t.Errorf("%+v, %v", v, err)
	}
	for k, f := range lw.findings() {
		if f.Presence != vedette.Present || !f.LastSeen.Equal(lw.clock) {
			t.Errorf("%s is %s, seen last %s", k, f.Presence, f.LastSeen)
		}
	}
	return lw.hashes("events", "intakes"), took // every start of a hub takes its catalogue in
}

// run runs the work in a process of its own.
func (c *childWork) run(t *testing.T) error {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSurveyChild$", "-test.v")
	cmd.Env = append(os.Environ(), "VEDETTE_SURVEY_CHILD="+string(text))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, out.String())
	}
	return nil
}

// workerRole makes a role that goes after the database it was made for.
func workerRole(t *testing.T) string {
	t.Helper()
	server := os.Getenv("VEDETTE_TEST_PG")
	if server == "" {
		t.Skip(storetest.SkipPG)
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	role := "vedette_worker_" + strconv.Itoa(os.Getpid()) + "_" + sprintInt(int(blocks.Add(1)))
	if _, err := db.Exec("create role " + role + " login password 'worker'"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("drop role " + role); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	return role
}

// asRole is the URL of a database for another role.
func asRole(t *testing.T, place, role string) string {
	t.Helper()
	u, err := url.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "worker")
	return u.String()
}

// startWorker starts `vedette worker` in a process of its own.
func startWorker(t *testing.T, place, conf string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Args = []string{"vedette", "--db", place, "--config", conf, "worker"}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
		if err != nil || t.Failed() {
			t.Errorf("worker %d: %v\n%s", cmd.Process.Pid, err, log.String())
		}
	})
}

// confFile is the configuration in the form of its file.
func (lw *labWorld) confFile() string {
	c := lw.conf
	return lw.file("vedette.yaml", fmt.Sprintf("survey:\n  contact: %q\n  resolvers: [%q]\n  ports: %q\n  connects: %g\n  requests: %g\n  per_network: %g\n  per_constituent: %g\n  timeout: %s\n  roots: %q\n  content: %q\n  parts: 1\n",
		c.Contact, c.Resolvers[0], c.Ports, c.Connects, c.Requests, c.PerNetwork, c.PerConstituent, time.Duration(c.Timeout), c.Roots, c.Content))
}

// facts are all that is seen now, without times.
func (lw *labWorld) facts() map[string]bool {
	lw.t.Helper()
	db, err := sql.Open("pgx", lw.place)
	if err != nil {
		lw.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("select a.id, t.text, o.port, coalesce(p.text, ''), coalesce(l.text, ''), f.body from observations o join assets a on a.k = o.asset_k join terms t on t.k = o.check_k join facts f on f.k = o.fact_k left join terms p on p.k = o.proto_k left join terms l on l.k = o.place_k where o.closed_t is null")
	if err != nil {
		lw.t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var asset, check, port, proto, item, fact string
		if err := rows.Scan(&asset, &check, &port, &proto, &item, &fact); err != nil {
			lw.t.Fatal(err)
		}
		out[strings.Join([]string{asset, check, port, proto, item, fact}, " ")] = true
	}
	if err := rows.Err(); err != nil {
		lw.t.Fatal(err)
	}
	return out
}

// TestWorkers: on PostgreSQL one hub and three workers, each a process with a
// role that can do nothing else, see of the lab what one process sees.
func TestWorkers(t *testing.T) {
	role := workerRole(t)
	constituents := []string{"alder", "birch", "cedar", "dogwood"}
	lw := newLabWorld(t, storetest.Postgres(t), nil)
	lw.clock = time.Now().UTC().Truncate(time.Second) // workers have no other clock
	alone := lw.beside(storetest.Postgres(t))
	alone.clock = lw.clock
	for _, c := range constituents {
		alone.survey(c)
	}
	want := alone.facts()
	r := lw.run(vedette.Local())
	r.DB = lw.place
	if err := (&migrateCmd{WorkerRole: role}).Run(r); err != nil {
		t.Fatal(err)
	}
	conf := lw.confFile()
	j := lw.jobs(map[string]int{queueHub: 1})
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if err := j.Stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	began := time.Now()
	var ids []string
	for _, c := range constituents {
		ids = append(ids, lw.ask(c, vedette.Active).ID)
	}
	for range 3 {
		startWorker(t, asRole(t, lw.place, role), conf)
	}
	for _, id := range ids {
		for until := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
			v, err := lw.run(vedette.Local()).sc.Survey(context.Background(), id)
			if err != nil || time.Now().After(until) {
				t.Fatalf("%+v %v", v, err)
			}
			if !v.Ended.IsZero() {
				if v.State != vedette.SurveyDone || len(v.Trouble) > 0 {
					t.Errorf("%s is %s: %v", id, v.State, v.Trouble)
				}
				break
			}
		}
	}
	t.Logf("three workers took %s", time.Since(began).Round(time.Millisecond))
	got := lw.facts()
	for _, k := range keysOf(want) {
		if !got[k] {
			t.Errorf("the workers did not see %.300s", k)
		}
	}
	for _, k := range keysOf(got) {
		if !want[k] {
			t.Errorf("only the workers saw %.300s", k)
		}
	}
	lw.worked(3)
}

// worked holds how many processes worked parts.
func (lw *labWorld) worked(want int) {
	lw.t.Helper()
	db, err := sql.Open("pgx", lw.place)
	if err != nil {
		lw.t.Fatal(err)
	}
	defer db.Close()
	var workers, parts int
	if err := db.QueryRow("select count(distinct worker), count(*) from parts where state = 'done'").Scan(&workers, &parts); err != nil {
		lw.t.Fatal(err)
	}
	if lw.t.Logf("%d parts by %d workers", parts, workers); workers != want {
		lw.t.Errorf("%d workers worked a part, not %d", workers, want)
	}
}

// mayExec says whether the role of a connection may make a statement; nothing of it stays.
func mayExec(t *testing.T, db *sql.DB, q string) bool {
	t.Helper()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	_, err = tx.Exec(q)
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return true
	case errors.As(err, &pg) && (pg.Code == "42501" || pg.Code == "55000"): // insufficient privilege; a view that takes no rows
		return false
	case errors.As(err, &pg) && strings.HasPrefix(pg.Code, "23"): // the row breaks a rule: it was let in as far as there
		return true
	}
	t.Fatalf("%s: %v", q, err)
	return false
}

// TestWorkerRole tries everything with a worker's role on every table, view and
// sequence: it reads the assignments and the stops, writes into the inbox, works
// the jobs, and may do nothing else.
func TestWorkerRole(t *testing.T) {
	role := workerRole(t)
	w := newWorld(t, storetest.Postgres(t))
	r := w.run(vedette.Local())
	r.DB = w.place
	if err := (&migrateCmd{WorkerRole: role}).Run(r); err != nil {
		t.Fatal(err)
	}
	admin, err := sql.Open("pgx", w.place)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	db, err := sql.Open("pgx", asRole(t, w.place, role))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	may := func(q string) bool { return mayExec(t, db, q) }
	allowed := map[string]bool{"select assignments": true, "select stops": true, "insert observed": true}
	rows, err := admin.Query("select c.relname, c.relkind::text, (select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum = 1) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relkind in ('r', 'v', 'm', 'p', 'S') order by 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	tried := 0
	for rows.Next() {
		var name, kind, column string
		if err := rows.Scan(&name, &kind, &column); err != nil {
			t.Fatal(err)
		}
		tries := map[string]string{
			"select": "select count(*) from " + name, "insert": "insert into " + name + " default values",
			"update": "update " + name + " set " + column + " = " + column, "delete": "delete from " + name, "truncate": "truncate " + name,
			"drop": "drop table " + name, "alter": "alter table " + name + " add column x int", "trigger": "create trigger x before insert on " + name + " for each row execute function suppress_redundant_updates_trigger()",
		}
		switch kind {
		case "S":
			tries = map[string]string{"next": "select nextval('" + name + "')", "set": "select setval('" + name + "', 1)", "read": "select last_value from " + name}
		case "v", "m":
			delete(tries, "truncate")
			delete(tries, "alter")
			delete(tries, "trigger")
			tries["drop"] = "drop view " + name
		}
		for _, verb := range keysOf(tries) {
			tried++
			if got := may(tries[verb]); got != allowed[verb+" "+name] {
				t.Errorf("%s %s: allowed %t", verb, name, got)
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"create table x (a int)", "create view x as select 1", "create schema x", "create function x() returns int language sql as 'select 1'",
		"create role x", "alter role " + role + " superuser", "copy (select 1) to '/tmp/x'", "select pg_read_file('/etc/hostname')", "set role postgres", "set session authorization postgres"} {
		tried++
		if may(q) {
			t.Errorf("allowed: %s", q)
		}
	}
	t.Logf("%d statements tried", tried)
}
