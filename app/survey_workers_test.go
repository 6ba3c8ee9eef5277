package app

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

var _ = sql.Open
