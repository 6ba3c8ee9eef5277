package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// inbox is a hub whose probes are made up: it takes in what they hand in.
type inbox struct {
	*world
	hub *hub
}

func newInbox(t *testing.T, place string) *inbox {
	w := newWorld(t, place)
	w.do(&constituentApply{File: w.file("c.yaml", `constituents:
  - {id: alder, name: Alder, scope: [{cidr: 192.0.2.0/24, authorised_by: Head of IT, document: A-1, classes: [passive, active]}]}
`)})
	h, err := newHub(context.Background(), w.store, config.Survey{Contact: "csirt@hub.example"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &inbox{w, h}
}

// part asks for a survey of one address and returns its part.
func (in *inbox) part() (survey vedette.Survey, key int64) {
	in.t.Helper()
	return in.asked(vedette.FullSurvey)
}

// asked is part of a survey of any kind.
func (in *inbox) asked(kind vedette.SurveyKind) (survey vedette.Survey, key int64) {
	in.t.Helper()
	r := in.run(vedette.Local())
	s, err := r.sc.AddSurvey(r.ctx, vedette.Survey{Constituent: "alder", Kind: kind}, []vedette.Part{{Class: vedette.Active, Addresses: []string{"192.0.2.10"}, Ports: "tcp:22"}}, nil)
	if err != nil {
		in.t.Fatal(err)
	}
	keys, err := in.hub.sys.WaitingParts(r.ctx, 0, 1000)
	if err != nil || len(keys) == 0 {
		in.t.Fatal(keys, err)
	}
	return s, keys[len(keys)-1]
}

// hand puts a document into the inbox as a probe would, and has the hub take it in.
func (in *inbox) hand(s vedette.Survey, part int64, doc string) store.SurveyView {
	in.t.Helper()
	ctx := context.Background()
	if err := in.hub.sys.Submit(ctx, part, []byte(doc)); err != nil {
		in.t.Fatal(err)
	}
	if _, err := in.hub.takeIn(ctx); err != nil {
		in.t.Fatalf("the inbox does not drain: %v", err)
	}
	if _, ok, err := in.hub.sys.Inbox(ctx); ok || err != nil {
		in.t.Fatalf("something is left in the inbox: %v %v", ok, err)
	}
	r := in.run(vedette.Local())
	v, err := r.sc.Survey(ctx, s.ID)
	if err != nil {
		in.t.Fatal(err)
	}
	return v
}

// document is what an honest probe hands in of the part, when nothing is changed.
func (in *inbox) document(s vedette.Survey, change func(head, look, end map[string]any)) string {
	at := in.clock.Format(time.RFC3339)
	head := map[string]any{"vedette_survey": 1, "survey": s.ID, "part": 1, "constituent": "alder", "at": at, "worker": "probe-1"}
	look := map[string]any{"asset": "192.0.2.10", "at": at, "observations": []any{map[string]any{"port": 22, "proto": "tcp", "check": "service", "fact": map[string]any{"service": "ssh", "banner": "SSH-2.0-example"}}},
		"coverage": []any{map[string]any{"check": "service", "ports": "tcp:22"}}}
	end := map[string]any{"looks": 1, "sent": 3}
	if change != nil {
		change(head, look, end)
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	for _, line := range []any{head, look, map[string]any{"end": end}} {
		if err := e.Encode(line); err != nil {
			in.t.Fatal(err)
		}
	}
	return b.String()
}

// What a host or a worker may say to break who reads it.
var (
	nul  = "a\x00b\u202e"
	long = strings.Repeat("ü", 70_000)
)

// hostileDocuments are changes of an honest document.
var hostileDocuments = map[string]func(head, look, end map[string]any){
	"worker with NUL":  func(head, _, _ map[string]any) { head["worker"] = nul },
	"long worker":      func(head, _, _ map[string]any) { head["worker"] = long },
	"survey with NUL":  func(head, _, _ map[string]any) { head["survey"] = nul },
	"long survey":      func(head, _, _ map[string]any) { head["survey"] = "x" + long },
	"stopped with NUL": func(_, _, end map[string]any) { end["stopped"] = nul },
	"long stop":        func(_, _, end map[string]any) { end["stopped"] = "x" + long },
	"refusal with NUL": func(_, _, end map[string]any) {
		end["refusals"] = []any{map[string]any{"target": nul, "rule": nul, "why": nul}}
	},
	"long refusal": func(_, _, end map[string]any) {
		end["refusals"] = []any{map[string]any{"target": "x" + long, "rule": long, "why": long}}
	},
	"refusals without number": func(_, _, end map[string]any) {
		r := map[string]any{"target": "t", "rule": "r", "why": "w", "count": int64(1) << 62}
		end["refusals"] = []any{r, r, r, r}
	},
	"found NUL": func(_, _, end map[string]any) { end["found"] = []any{nul, long} },
	"banner with NUL": func(_, look, _ map[string]any) {
		observed(look)["fact"] = map[string]any{"banner": nul, "details": map[string]any{nul: nul}, "service": nul}
	},
	"path with NUL":     func(_, look, _ map[string]any) { observed(look)["path"] = nul },
	"item with NUL":     func(_, look, _ map[string]any) { observed(look)["item"] = nul },
	"protocol with NUL": func(_, look, _ map[string]any) { observed(look)["proto"] = nul },
	"long path":         func(_, look, _ map[string]any) { observed(look)["path"] = long },
	"port":              func(_, look, _ map[string]any) { observed(look)["port"] = -7 },
	"large port":        func(_, look, _ map[string]any) { observed(look)["port"] = int64(1) << 40 },
	"coverage with NUL": func(_, look, _ map[string]any) {
		look["coverage"] = []any{map[string]any{"check": "service", "ports": nul}}
	},
	"long coverage": func(_, look, _ map[string]any) {
		look["coverage"] = []any{map[string]any{"check": "service", "ports": long}}
	},
	"weakness with NUL": func(_, look, _ map[string]any) {
		observed(look)["fact"] = map[string]any{"reports": []any{map[string]any{"weakness": "check:" + nul, "verdict": "confirmed", "note": nul, "by": nul}}}
	},
	"strange verdict": func(_, look, _ map[string]any) {
		observed(look)["fact"] = map[string]any{"reports": []any{map[string]any{"weakness": "check:exposed-git", "verdict": nul}}}
	},
	"software with NUL": func(_, look, _ map[string]any) {
		observed(look)["fact"] = map[string]any{"software": []any{map[string]any{"vendor": nul, "product": nul, "version": nul, "cpe": nul, "purl": nul, "ecosystem": nul}}}
	},
	"long software": func(_, look, _ map[string]any) {
		observed(look)["fact"] = map[string]any{"software": []any{map[string]any{"vendor": "x" + long, "product": long, "version": long, "cpe": long}}}
	},
	"address of nothing": func(_, look, _ map[string]any) {
		o := observed(look)
		o["check"], o["fact"] = "resolves", map[string]any{"address": nul}
	},
	"another asset":       func(_, look, _ map[string]any) { look["asset"] = "192.0.2.11" },
	"another constituent": func(head, _, _ map[string]any) { head["constituent"] = "birch" },
	"future": func(head, look, _ map[string]any) {
		head["at"], look["at"] = "9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"
	},
	"a look in the future": func(_, look, _ map[string]any) { look["at"] = "2400-01-01T00:00:00Z" },
	"past": func(head, look, _ map[string]any) {
		head["at"], look["at"] = "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"
	},
	"looks": func(_, _, end map[string]any) { end["looks"] = int64(1) << 60 },
	"sent":  func(_, _, end map[string]any) { end["sent"] = int64(1<<63 - 1) },
}

// TestHostileDocuments: whatever a worker hands in, the inbox drains, the part
// ends, and the next honest document is taken in.
func TestHostileDocuments(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		in := newInbox(t, place)
		for name, change := range hostileDocuments {
			s, part := in.part()
			if v := in.hand(s, part, in.document(s, change)); v.Ended.IsZero() {
				t.Errorf("%s: the survey did not end: %+v", name, v)
			}
		}
		for name, doc := range map[string]string{"nothing": "", "no JSON": "\xff\xfe\x00", "cut": "{\"vedette_survey\":1}\n", "deep": strings.Repeat("[", 100_000), "a line": strings.Repeat("a", 20<<20)} {
			s, part := in.part()
			if v := in.hand(s, part, doc); v.Ended.IsZero() || len(v.Trouble) != 1 {
				t.Errorf("%s: %+v", name, v)
			}
		}
		if err := in.hub.line.Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
		in.clock = in.clock.Add(time.Hour)
		s, part := in.part()
		if v := in.hand(s, part, in.document(s, nil)); v.State != vedette.SurveyDone || len(v.Trouble) > 0 {
			t.Errorf("an honest document: %+v", v)
		}
		r := in.run(vedette.Local())
		a, err := r.sc.Asset(r.ctx, "192.0.2.10")
		if err != nil {
			t.Fatal(err)
		}
		there := false
		for i, o := range a.Observations {
			if o.At.After(in.clock) || a.Closed[i].After(in.clock) || o.At.Year() < 2000 {
				t.Errorf("seen from %v to %v, and it is %v", o.At, a.Closed[i], in.clock)
			}
			if o.Port < 0 || o.Port > 65535 || o.Proto != "tcp" || len(o.Path) > 4096 {
				t.Errorf("seen at %d/%q %d", o.Port, o.Proto, len(o.Path))
			}
			there = there || o.Port == 22 && a.Closed[i].IsZero() && o.Fact.Banner == "SSH-2.0-example"
		}
		if !there {
			t.Errorf("what the honest document saw is not there: %+v", a)
		}
	})
}

func observed(look map[string]any) map[string]any {
	return look["observations"].([]any)[0].(map[string]any)
}

// TestLateDocuments: a part speaks once. What comes for it later, from
// whomever, and what claims another time, changes nothing.
func TestLateDocuments(t *testing.T) {
	in := newInbox(t, t.TempDir())
	other := func(head, look, end map[string]any) {
		head["worker"] = "another"
		observed(look)["fact"] = map[string]any{"service": "ssh", "banner": "SSH-2.0-forged"}
	}
	s, part := in.part()
	if v := in.hand(s, part, in.document(s, nil)); v.State != vedette.SurveyDone {
		t.Fatalf("%+v", v)
	}
	in.hand(s, part, in.document(s, other))
	stopped, part2 := in.part()
	r := in.run(vedette.Local())
	if err := r.sc.StopSurvey(r.ctx, stopped.ID, "test"); err != nil {
		t.Fatal(err)
	}
	in.clock = in.clock.Add(24 * time.Hour)
	in.hand(stopped, part2, in.document(stopped, other))
	a, err := in.run(vedette.Local()).sc.Asset(r.ctx, "192.0.2.10")
	if err != nil || len(a.Observations) != 1 || a.Observations[0].Fact.Banner != "SSH-2.0-example" {
		t.Errorf("%v %+v", err, a)
	}
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -48 * time.Hour} {
		s, part := in.part()
		now := in.clock
		in.clock = now.Add(off)
		doc := in.document(s, nil)
		in.clock = now
		if v := in.hand(s, part, doc); len(v.Trouble) != 1 || !strings.Contains(v.Trouble[0], "clock") {
			t.Errorf("a clock that is %s: %+v", name, v)
		}
	}
	s, part = in.part()
	if v := in.hand(s, part, strings.Repeat("x", store.MaxObserved+1)); len(v.Trouble) != 1 || !strings.Contains(v.Trouble[0], "bytes") {
		t.Errorf("a huge document: %+v", v)
	}
}
