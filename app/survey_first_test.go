package app

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
)

// TestNothingBeginsUnread: until a person began a survey of a constituent, and
// was shown what authorises it, nothing else begins: no retest, no schedule,
// no confirming look. A retest is no such survey.
func TestNothingBeginsUnread(t *testing.T) {
	in := newInbox(t, t.TempDir())
	conf := in.file("vedette.yaml", "survey: {contact: csirt@hub.example}\n")
	try := func(c command) error {
		r := in.run(vedette.Local())
		r.Globals.Config = conf
		return c.Run(r)
	}
	s, part := in.asked(vedette.RetestSurvey)
	in.hand(s, part, in.document(s, func(_, look, _ map[string]any) {
		observed(look)["fact"] = map[string]any{"service": "redis", "reports": []any{map[string]any{"weakness": "check:redis-no-auth", "verdict": "confirmed"}}}
	}))
	if err := in.hub.line.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	fs := decode[[]vedette.Finding](t, in.do(&findingList{Limit: 10}))
	if len(fs) != 1 {
		t.Fatalf("%+v", fs)
	}
	retest := &findingRetest{ID: fs[0].ID, Detach: true}
	schedule := &scheduleSet{Constituent: "alder", Class: "active", Every: time.Hour}
	whole := &surveyRun{Constituent: "alder", Class: "active", Detach: true}
	for _, c := range []command{retest, schedule, whole, &surveyHost{Asset: "192.0.2.10", Detach: true}} {
		if err := try(c); !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("%T before the first survey: %v", c, err)
		}
	}
	whole.Yes = true
	if err := try(whole); err != nil {
		t.Fatal(err)
	}
	for _, c := range []command{retest, schedule} {
		if err := try(c); err != nil {
			t.Errorf("%T after it: %v", c, err)
		}
	}
}

// TestPortsOnTheLine: what is no list of ports is an error and not a scan of nothing.
func TestPortsOnTheLine(t *testing.T) {
	in := newInbox(t, t.TempDir())
	for _, ports := range []string{"22,80", "tcp:0", "tcp:70000", "tcp:9-8", "sctp:1", "tcp"} {
		for _, c := range []command{&surveyRun{Constituent: "alder", Class: "active", Ports: ports, DryRun: true}, &surveyHost{Asset: "192.0.2.10", Ports: ports}} {
			if err := c.Run(in.run(vedette.Local())); !errors.Is(err, errUsage) {
				t.Errorf("%T --ports %s: %v", c, ports, err)
			}
		}
	}
}

// TestHostOfAnother: an asset of another constituent looks like one of nobody.
func TestHostOfAnother(t *testing.T) {
	in := newInbox(t, t.TempDir())
	bound := vedette.Principal{Name: "ann", Roles: []vedette.Role{vedette.Analyst}, Constituents: []string{"birch"}}
	var said []string
	for _, asset := range []string{"192.0.2.10", "203.0.113.9"} {
		r := in.run(bound)
		err := (&surveyHost{Asset: asset, Yes: true}).Run(r)
		if !errors.Is(err, vedette.ErrNotFound) {
			t.Errorf("%s: %v", asset, err)
			continue
		}
		said = append(said, strings.ReplaceAll(err.Error(), asset, "X"))
	}
	if len(said) == 2 && said[0] != said[1] {
		t.Errorf("%q is not %q", said[0], said[1])
	}
}

// TestWaitForAnother: who waits for the process that works the store goes on by
// itself when that process ends.
func TestWaitForAnother(t *testing.T) {
	w := newLabWorld(t, t.TempDir(), []byte(confirmInternet))
	other := w.jobs(map[string]int{"other": 1}) // holds the jobs and works none of a survey
	s := w.ask("alder", vedette.Active)
	r := w.run(vedette.Local())
	r.Data, r.Quiet = w.place, false
	done := make(chan error, 1)
	go func() {
		v, err := r.workSurvey(s)
		if err == nil && v.State != vedette.SurveyDone {
			err = errors.New(string(v.State))
		}
		done <- err
	}()
	time.Sleep(500 * time.Millisecond)
	if err := other.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("it waits for ever")
	}
	if said := r.errs.(*bytes.Buffer).String(); !strings.Contains(said, "another process works it") {
		t.Errorf("it does not say whom it waits for: %s", said)
	}
}

// TestOptOutNeedsAReason: an opt-out without a reason does not take away the one
// that is there.
func TestOptOutNeedsAReason(t *testing.T) {
	in := newInbox(t, t.TempDir())
	in.do(&optoutAdd{What: "192.0.2.7", Reason: "ticket 4711"})
	for _, reason := range []string{"", " "} {
		if err := (&optoutAdd{What: "192.0.2.7", Reason: reason}).Run(in.run(vedette.Local())); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", reason, err)
		}
	}
	if outs := decode[[]vedette.OptOut](t, in.do(optoutList{})); len(outs) != 1 {
		t.Errorf("%+v", outs)
	}
}
