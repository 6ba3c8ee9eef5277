package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/job"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// faultInternet is quick to look at.
const faultInternet = `resolver: 127.20.250.53:5353
constituents:
  - id: alder
    name: Alder Transport Authority
    scope:
      - {cidr: 127.20.0.10/32, authorised_by: Head of IT, document: AUTH-1, classes: [passive, active]}
      - {domain: alder.example, subdomains: true, authorised_by: Head of IT, document: AUTH-1, classes: [passive, active]}
zones:
  - {origin: alder.example, records: ['@ IN NS ns1', 'ns1 IN A 127.20.250.53']}
hosts:
  - address: 127.20.0.10
    services: [{port: 6379, kind: redis, weak: ["check:redis-no-auth"], software: {vendor: redis, product: redis, version: 6.0.16, banner: "{version}"}}]
`

// surveyFlow is what happens of one survey, from the schedule to the findings;
// each step can be done again.
func (lw *labWorld) surveyFlow(h *hub) error {
	ctx := context.Background()
	if err := h.schedule(ctx); err != nil {
		return err
	}
	parts, err := h.sys.WaitingParts(ctx, 0, 1000)
	if err != nil {
		return err
	}
	for _, k := range parts {
		if err := h.prober.work(ctx, k); err != nil {
			return err
		}
	}
	if _, err := h.takeIn(ctx); err != nil {
		return err
	}
	return h.line.Drain(ctx)
}

// scheduled is a world whose next survey is due.
func (lw *labWorld) scheduled() {
	lw.t.Helper()
	lw.hub.prober.name = "probe"
	lw.survey("alder")
	lw.day()
	lw.do(&scheduleSet{Constituent: "alder", Class: "active", Every: time.Hour})
	lw.day()
}

// TestSurveyFaults fails every store call of a survey in turn: the error comes
// out or nothing is lost, and doing it again ends as if nothing had been.
func TestSurveyFaults(t *testing.T) {
	lw := smallLab(t, t.TempDir(), faultInternet)
	lw.scheduled()
	base := lw.place
	if err := lw.store.Close(); err != nil {
		t.Fatal(err)
	}
	open := func() *labWorld {
		o := &labWorld{world: copyWorld(t, base), net: lw.net, conf: lw.conf}
		o.clock = lw.clock
		o.hub = o.newHub()
		o.hub.prober.name = "probe"
		return o
	}
	clean := open()
	calls := 0
	var mu sync.Mutex // probes ask the store side by side
	clean.hook = func(string, string) error { mu.Lock(); defer mu.Unlock(); calls++; return nil }
	if err := clean.surveyFlow(clean.hub); err != nil {
		t.Fatal(err)
	}
	clean.hook = nil
	want := clean.hashes("intakes")
	if n := len(clean.surveys()); n != 2 {
		t.Fatalf("%d surveys", n)
	}
	tried := 0
	for n := 1; n <= calls; n += soakStep(calls, 20) {
		o := open()
		at, what := 0, ""
		o.hook = func(op, q string) error {
			mu.Lock()
			defer mu.Unlock()
			if at++; at == n {
				what = fmt.Sprintf("%s %.60s", op, q)
				return errInjected
			}
			return nil
		}
		err := o.surveyFlow(o.hub)
		o.hook = nil
		if err != nil && !errors.Is(err, errInjected) {
			t.Errorf("call %d (%s): %v", n, what, err)
		}
		if err := o.surveyFlow(o.hub); err != nil {
			t.Errorf("call %d (%s): again: %v", n, what, err)
		}
		sameHashes(t, o.hashes("intakes"), want, fmt.Sprintf("call %d (%s)", n, what))
		o.store.Close()
		tried++
	}
	t.Logf("%d of %d calls failed in turn", tried, calls)
}

// soakStep tries every call in a soak, and about n of them otherwise.
func soakStep(calls, n int) int {
	if step(calls) == 1 && os.Getenv("VEDETTE_SOAK_ROUNDS") != "" {
		return 1
	}
	return max(1, calls/n)
}

func (lw *labWorld) surveys() []vedette.Survey {
	lw.t.Helper()
	r := lw.run(vedette.Local())
	ss, _, err := r.sc.Surveys(r.ctx, store.SurveyFilter{Limit: 1000})
	if err != nil {
		lw.t.Fatal(err)
	}
	return ss
}

// TestSchedules: what is due begins once, however many hubs look, in its hours,
// and what was missed is done once.
func TestSchedules(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		lw := smallLab(t, place, faultInternet)
		ctx := context.Background()
		every := &scheduleSet{Constituent: "alder", Class: "active", Every: 24 * time.Hour, Hours: "22:00-05:00"}
		if err := lw.try(every); !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("a schedule before the first survey: %v", err)
		}
		lw.survey("alder")
		lw.do(every)
		if err := lw.hub.schedule(ctx); err != nil || len(lw.surveys()) != 1 {
			t.Errorf("begun before it is due: %v", err)
		}
		lw.clock = lw.clock.Add(24 * time.Hour)
		lw.race(8)
		if n := len(lw.surveys()); n != 2 {
			t.Fatalf("%d surveys after the first was due", n)
		}
		j := lw.jobs(map[string]int{"idle": 1})
		defer j.Stop(ctx)
		handed := func() int {
			if err := lw.hub.dispatch(ctx); err != nil {
				t.Fatal(err)
			}
			rows, err := j.List(ctx, job.Filter{Kind: kindPart, Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			return len(rows)
		}
		if n := handed(); n != 0 {
			t.Errorf("%d parts handed out at %s", n, lw.clock.Format(time.TimeOnly))
		}
		lw.clock = time.Date(2026, 3, 2, 22, 0, 0, 0, time.UTC)
		if n := handed(); n != 2 {
			t.Errorf("%d parts handed out at %s", n, lw.clock.Format(time.TimeOnly))
		}
		lw.clock = lw.clock.Add(8 * time.Hour) // whoever comes late to a job waits for the next night
		before := lw.sent()
		if err := lw.hub.prober.work(ctx, lw.part()); err == nil || lw.sent() != before {
			t.Errorf("worked outside of its hours: %v, %d packets", err, lw.sent()-before)
		}
		lw.clock = lw.clock.Add(16 * time.Hour)
		lw.foundInHours()
		lw.workAll(lw.surveys()[0].ID)
		lw.clock = lw.clock.Add(10 * 24 * time.Hour) // nobody ran for ten days
		lw.race(4)
		if n := len(lw.surveys()); n != 3 {
			t.Errorf("%d surveys after ten missed days", n)
		}
		ss, err := lw.run(vedette.Local()).sc.Schedules(ctx)
		if err != nil || len(ss) != 1 || !ss[0].Next.After(lw.clock) || ss[0].Next.Sub(lw.clock) > 24*time.Hour || ss[0].Next.Hour() != 9 {
			t.Errorf("%+v %v", ss, err)
		}
		lw.do(&surveyStop{All: true, Reason: "a complaint"})
		lw.clock = lw.clock.Add(24 * time.Hour)
		if lw.race(2); len(lw.surveys()) != 3 {
			t.Error("begun during a stop")
		}
		lw.do(&surveyResume{Reason: "over"})
		if lw.race(2); len(lw.surveys()) != 4 {
			t.Error("not begun after the stop")
		}
	})
}

// foundInHours: what a part finds on its way keeps to the hours of the part.
func (lw *labWorld) foundInHours() {
	lw.t.Helper()
	ctx := context.Background()
	as, err := lw.hub.sys.Assignment(ctx, lw.part())
	if err != nil {
		lw.t.Fatal(err)
	}
	more, err := lw.hub.more(ctx, lw.part(), as, []string{"new.alder.example"})
	if err != nil || len(more) != 1 || more[0].Hours != "22:00-05:00" {
		lw.t.Errorf("more: %+v, %v", more, err)
	}
}

// race has hubs look for what is due at the same time.
func (lw *labWorld) race(n int) {
	lw.t.Helper()
	var wg sync.WaitGroup
	for range n {
		h, err := newHub(context.Background(), lw.store, lw.conf, slog.New(slog.DiscardHandler))
		if err != nil {
			lw.t.Fatal(err)
		}
		wg.Go(func() {
			if err := h.schedule(context.Background()); err != nil {
				lw.t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestJobCommands: a part's job is seen, cancelled and with it the part, and a
// discarded one can be tried again.
func TestJobCommands(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		lw := smallLab(t, place, faultInternet)
		ctx := context.Background()
		s := lw.ask("alder", vedette.Active)
		j := lw.jobs(map[string]int{"idle": 1})
		defer j.Stop(ctx)
		if err := lw.hub.dispatch(ctx); err != nil {
			t.Fatal(err)
		}
		if err := lw.hub.dispatch(ctx); err != nil { // a part that has a job gets no other
			t.Fatal(err)
		}
		do := func(c command) (string, error) {
			r := lw.run(vedette.Local())
			if r.Data = lw.place; strings.HasPrefix(lw.place, "postgres") {
				r.DB = lw.place
			}
			err := c.Run(r)
			return fmt.Sprint(r.out), err
		}
		text, err := do(&jobList{Kind: kindPart, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		rows := decode[[]vedette.Job](t, text)
		if len(rows) != 2 || rows[1].State != string(job.Available) || decode[partArgs](t, string(rows[1].Args)).Part != lw.part() {
			t.Fatalf("%s", text)
		}
		for _, row := range rows {
			if _, err := do(&jobCancel{ID: row.ID}); err != nil {
				t.Fatal(err)
			}
		}
		if err := lw.hub.dispatch(ctx); err != nil {
			t.Fatal(err)
		}
		v, err := lw.run(vedette.Local()).sc.Survey(ctx, s.ID)
		if err != nil || v.State != vedette.SurveyStopped || len(v.Trouble) != 2 || !strings.Contains(v.Trouble[0], "given up") {
			t.Errorf("%+v %v", v, err)
		}
		if text, err = do(&jobList{State: "cancelled", Limit: 10}); err != nil || len(decode[[]vedette.Job](t, text)) != 2 {
			t.Errorf("%s %v", text, err)
		}
		if _, err := do(&jobRetry{ID: rows[0].ID}); err != nil {
			t.Error(err)
		}
		if text, err = do(&jobList{State: "available", Limit: 10}); err != nil || !strings.Contains(text, kindPart) {
			t.Errorf("%s %v", text, err)
		}
		if _, err := do(&jobCancel{ID: 4711}); !errors.Is(err, vedette.ErrNotFound) {
			t.Errorf("no such job: %v", err)
		}
	})
}

// part is the key of the first part that waits.
func (lw *labWorld) part() int64 {
	lw.t.Helper()
	parts, err := lw.hub.sys.WaitingParts(context.Background(), 0, 1)
	if err != nil || len(parts) != 1 {
		lw.t.Fatal(parts, err)
	}
	return parts[0]
}
