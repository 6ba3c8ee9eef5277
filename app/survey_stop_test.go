package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// slowInternet has a name that answers, one that says nothing, and a network
// that takes long to scan.
const slowInternet = `resolver: 127.20.250.53:5353
constituents:
  - id: alder
    name: Alder Transport Authority
    scope:
      - {cidr: 127.20.0.8/29, authorised_by: Head of IT, document: AUTH-1, valid_until: "2026-03-05", classes: [passive, active]}
      - {domain: alder.example, subdomains: true, authorised_by: Head of IT, document: AUTH-1, valid_until: "2026-03-05", classes: [passive, active]}
      - {url: "http://www.alder.example:8080/", authorised_by: Head of IT, document: AUTH-1, valid_until: "2026-03-05", classes: [passive, active]}
      - {url: "http://slow.alder.example:8081/", authorised_by: Head of IT, document: AUTH-1, valid_until: "2026-03-05", classes: [passive, active]}
zones:
  - origin: alder.example
    records: ['@ IN NS ns1', 'ns1 IN A 127.20.250.53', 'www IN A 127.20.0.10', 'slow IN A 127.20.0.11']
hosts:
  - address: 127.20.0.10
    services: [{port: 8080, kind: http, software: {vendor: examplesoft, product: access_gateway, version: 5.2.1, banner: "Examplesoft-Access-Gateway/{version}"}}]
  - address: 127.20.0.11
    services: [{port: 8081, kind: tarpit, stopped: true}]
`

// smallLab serves an internet of the test in a network of its own.
func smallLab(t *testing.T, place, file string) *labWorld {
	t.Helper()
	if lab.BestLayout() == lab.Single {
		t.Skip("only 127.0.0.1 exists here: the scopes of these tests need more addresses")
	}
	in, err := lab.Load(lab.Moved([]byte(file), 100+int(blocks.Add(1))%100))
	if err != nil {
		t.Fatal(err)
	}
	lw := serveLab(t, newWorld(t, place), in)
	lw.conf.Timeout = config.Duration(500 * time.Millisecond)
	lw.hub = lw.newHub()
	return lw
}

// day lets a day pass while nobody else reads the clock.
func (lw *labWorld) day() { lw.clock = lw.clock.Add(24 * time.Hour) }

// host is an address of the lab's own network.
func (lw *labWorld) host(last string) string {
	return strings.TrimSuffix(lw.net.Resolver().Addr().String(), ".250.53") + last
}

// sent counts all that left the process.
func (lw *labWorld) sent() int64 {
	n := lw.hub.prober.dialer.Sent()
	return n.Of(safe.ModeScope) + n.Of(safe.ModeOperator)
}

// silence waits until nothing leaves any more, and returns how long after the
// beginning the last packet left.
func (lw *labWorld) silence() time.Duration {
	lw.t.Helper()
	began, last := time.Now(), time.Duration(0)
	n := lw.sent()
	for time.Since(began)-last < 2500*time.Millisecond {
		time.Sleep(10 * time.Millisecond)
		if now := lw.sent(); now != n {
			n, last = now, time.Since(began)
		}
		if time.Since(began) > 20*time.Second {
			lw.t.Fatalf("packets leave 20 s later")
		}
	}
	return last
}

// ended waits for the end of a survey and for what its parts handed in.
func (lw *labWorld) ended(id string, parts int) store.SurveyView {
	lw.t.Helper()
	ctx := context.Background()
	until := time.Now().Add(30 * time.Second)
	for {
		r := lw.run(vedette.Local())
		v, err := r.sc.Survey(ctx, id)
		if err != nil {
			lw.t.Fatal(err)
		}
		_, waits, err := lw.store.System().Inbox(ctx)
		if err != nil {
			lw.t.Fatal(err)
		}
		if !v.Ended.IsZero() && !waits && v.Looks >= parts {
			return v
		}
		if time.Now().After(until) {
			lw.t.Fatalf("%s is %s with %d looks", id, v.State, v.Looks)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// applyScope changes what a constituent's scope is.
func (lw *labWorld) applyScope(change func(*vedette.Constituent)) {
	lw.t.Helper()
	cs, err := lw.net.Constituency()
	if err != nil {
		lw.t.Fatal(err)
	}
	change(&cs[0])
	r := lw.run(vedette.Local())
	if err := r.sc.ApplyConstituents(r.ctx, cs, nil, scope.NewMap(cs).Owner, scope.Users(cs), nil); err != nil {
		lw.t.Fatal(err)
	}
}

// TestStops ends a survey in the middle in every way there is: packets end
// within 5 seconds, what was looked at whole is kept, and nothing is closed.
func TestStops(t *testing.T) {
	stops := []struct {
		name  string
		stop  func(t *testing.T, lw *labWorld, id string)
		why   string // a refusal with this rule, or a stop
		looks int    // at least
	}{
		{"all", func(t *testing.T, lw *labWorld, _ string) { lw.do(&surveyStop{All: true, Reason: "a complaint"}) }, "", 1},
		{"one", func(t *testing.T, lw *labWorld, id string) { lw.do(&surveyStop{Survey: id, Reason: "a complaint"}) }, "", 1},
		{"expired", func(t *testing.T, lw *labWorld, _ string) { lw.later.Store(int64(10 * 24 * time.Hour)) }, "expired", 0},
		{"scope removed", func(t *testing.T, lw *labWorld, _ string) {
			lw.applyScope(func(c *vedette.Constituent) { c.Scope = c.Scope[:0] })
		}, "outside", 0},
		{"opt-outs", func(t *testing.T, lw *labWorld, _ string) {
			lw.do(&optoutAdd{What: lw.host(".0.0/24"), Reason: "its owner asked"})
			lw.do(&optoutAdd{What: "alder.example", Reason: "its owner asked"})
		}, "opt-out", 0},
		{"constituent removed", func(t *testing.T, lw *labWorld, _ string) {
			r := lw.run(vedette.Local())
			if err := r.sc.ApplyConstituents(r.ctx, nil, []string{"alder"}, scope.NewMap(nil).Owner, scope.Users(nil), nil); err != nil {
				t.Fatal(err)
			}
		}, "", 0},
	}
	storetest.Each(t, func(t *testing.T, _ string) {
		for _, x := range stops {
			t.Run(x.name, func(t *testing.T) {
				place := t.TempDir()
				if strings.Contains(t.Name(), "/postgres/") {
					place = storetest.Postgres(t)
				}
				t.Parallel()
				lw := smallLab(t, place, slowInternet)
				before := lw.known()
				id := lw.slow()
				x.stop(t, lw, id)
				took := lw.silence()
				t.Logf("the last packet left after %s, %d in all", took.Round(time.Millisecond), lw.sent())
				if took > 5*time.Second {
					t.Errorf("packets left for %s", took)
				}
				lw.after(id, x.why, x.looks, before)
			})
		}
	})
}

// known surveys once, quickly, and returns what there is then.
func (lw *labWorld) known() map[string]vedette.Finding {
	lw.t.Helper()
	lw.importText("cve.jsonl", sampleFile(lw.t, "cve.jsonl"))
	if v := lw.survey("alder"); v.State != vedette.SurveyDone {
		lw.t.Fatalf("%s: %v", v.State, v.Trouble)
	}
	fs := lw.findings()
	if fs["CVE-2026-90417 "+lw.host(".0.10")+" 8080/tcp"].Presence != vedette.Present || fs["CVE-2026-90417 www.alder.example 8080/tcp"].Presence != vedette.Present {
		lw.t.Fatalf("found %v", keysOf(fs))
	}
	return fs
}

// slow begins a survey that takes minutes, and returns when it is under way.
func (lw *labWorld) slow() string {
	lw.t.Helper()
	lw.day()
	if err := lw.net.Set(lw.host(".0.11"), 8081, lab.Change{Start: true}); err != nil {
		lw.t.Fatal(err)
	}
	lw.conf.Ports, lw.conf.PerConstituent = "tcp:1024-9000", 100
	lw.hub = lw.newHub()
	j := lw.jobs(map[string]int{queueHub: 1, queueProbe: 4})
	lw.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if err := j.Stop(ctx); err != nil {
			lw.t.Error(err)
		}
	})
	s := lw.ask("alder", vedette.Active)
	until := time.Now().Add(20 * time.Second)
	for n := 150 + rand.Int64N(100); lw.sent() < n; { // www was looked at long ago, the rest will take minutes
		if time.Now().After(until) {
			lw.t.Fatalf("%d packets left in 20 s", lw.sent())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return s.ID
}

// after holds what is left of a survey against what was before it.
func (lw *labWorld) after(id, why string, looks int, before map[string]vedette.Finding) {
	lw.t.Helper()
	t := lw.t
	v := lw.ended(id, looks)
	if lw.t.Failed() {
		return
	}
	t.Logf("%s: %d looks, %d sent, trouble %q, %d refusals", v.State, v.Looks, v.Sent, v.Trouble, len(v.Refusals))
	if why != "" && !slices.ContainsFunc(v.Refusals, func(r vedette.Refusal) bool { return r.Rule == why }) {
		t.Errorf("no refusal by %q: %+v", why, v.Refusals)
	}
	if strings.Contains(fmt.Sprint(v.Trouble), "the document is of part") {
		t.Errorf("the reason is another: %q", v.Trouble)
	}
	if why == "" && v.State != vedette.SurveyStopped {
		t.Errorf("the survey is %s", v.State)
	}
	now := lw.findings()
	for k, f := range before {
		if now[k].Presence != f.Presence || !now[k].FirstSeen.Equal(f.FirstSeen) {
			t.Errorf("%s is %s (%s), it was %s", k, now[k].Presence, now[k].FirstSeen, f.Presence)
		}
	}
}

// TestNoneBeginsWhileAllAreStopped: after survey stop --all nothing begins, by
// hand or by itself, until survey resume; what was stopped stays ended.
func TestNoneBeginsWhileAllAreStopped(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		lw := smallLab(t, place, slowInternet)
		old := lw.ask("alder", vedette.Active)
		lw.do(&surveyStop{All: true, Reason: "a complaint"})
		run := &surveyRun{Constituent: "alder", Class: "active", Ports: lw.conf.Ports, Detach: true, Yes: true}
		if err := lw.try(run); !errors.Is(err, vedette.ErrRefused) || !strings.Contains(err.Error(), "a complaint") || !strings.Contains(err.Error(), "survey resume") {
			t.Errorf("a survey during a stop: %v", err)
		}
		before := lw.sent()
		if v := lw.workAll(old.ID); v.State != vedette.SurveyStopped || v.Done != v.Parts || v.Looks != 0 {
			t.Errorf("what was asked for before: %+v", v)
		}
		if lw.sent() != before {
			t.Errorf("%d packets left", lw.sent()-before)
		}
		lw.do(&surveyResume{Reason: "it was not us"})
		if err := lw.try(&surveyResume{}); !errors.Is(err, vedette.ErrNotFound) {
			t.Errorf("resumed twice: %v", err)
		}
		if v := lw.workAll(old.ID); v.State != vedette.SurveyStopped || v.Looks != 0 {
			t.Errorf("a stopped survey went on: %+v", v)
		}
		lw.day()
		asked := decode[[]vedette.Survey](t, lw.do(run))
		if v := lw.workAll(asked[0].ID); v.State != vedette.SurveyDone || v.Looks == 0 {
			t.Errorf("after the stop: %+v", v)
		}
	})
}

func sampleFile(t testing.TB, name string) string {
	t.Helper()
	b, err := readSample(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestABlindProbeStops: a probe that cannot read any more whether it may go on
// ends within 5 seconds, whether the store fails or hangs.
func TestABlindProbeStops(t *testing.T) {
	for _, c := range []struct {
		name string
		ask  func(ctx context.Context) error
	}{
		{"fails", func(context.Context) error { return errInjected }},
		{"hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lw := smallLab(t, t.TempDir(), slowInternet)
			lw.conf.Ports, lw.conf.PerConstituent = "tcp:1024-9000", 100
			lw.hub = lw.newHub()
			d := &blindDesk{System: lw.hub.sys, ask: c.ask}
			lw.hub.prober.desk = d
			s := lw.ask("alder", vedette.Active)
			parts, err := lw.hub.sys.WaitingParts(context.Background(), 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for _, k := range parts[1:] {
				if err := lw.hub.prober.work(context.Background(), k); err != nil {
					t.Error(err)
				}
			}
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("it ended after %s", took)
			}
			lw.hub.prober.desk = lw.hub.sys
			if _, err := lw.hub.takeIn(context.Background()); err != nil {
				t.Fatal(err)
			}
			v, err := lw.run(vedette.Local()).sc.Survey(context.Background(), s.ID)
			if err != nil || !strings.Contains(fmt.Sprint(v.Trouble), "could not be read") {
				t.Errorf("%v %v", v.Trouble, err)
			}
		})
	}
}

// blindDesk tells once what there is to do, and then nothing.
type blindDesk struct {
	*store.System
	asked atomic.Int64
	ask   func(context.Context) error
}

func (d *blindDesk) Assignment(ctx context.Context, part int64) (vedette.Assignment, error) {
	if d.asked.Add(1) > 1 {
		return vedette.Assignment{}, d.ask(ctx)
	}
	return d.System.Assignment(ctx, part)
}
