package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/job"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/scope"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/survey"
)

// labWorld is a world over a lab's internet that really runs on loopback.
type labWorld struct {
	*world
	net  *lab.Internet
	hub  *hub
	conf config.Survey
}

// blocks gives every lab of one test binary a network of its own.
var blocks atomic.Int32

// newLabWorld starts an internet and a hub on a store. file is an internet in
// the network 127.20.0.0/16, which is moved; nil is the built-in one.
func newLabWorld(t *testing.T, place string, file []byte) *labWorld {
	t.Helper()
	if file == nil {
		file = lab.Default()
	}
	if lab.BestLayout() == lab.Single {
		t.Skip("only 127.0.0.1 exists here: the scopes of these tests need more addresses")
	}
	in, err := lab.Load(lab.Moved(file, 100+int(blocks.Add(1))%100))
	if err != nil {
		t.Fatal(err)
	}
	return serveLab(t, newWorld(t, place), in)
}

// serveLab serves an internet for a world, and opens a hub that surveys it.
func serveLab(t *testing.T, w *world, in *lab.Internet) *labWorld {
	t.Helper()
	lw := &labWorld{world: w, net: in}
	ctx := context.Background()
	if err := w.store.System().StampLab(ctx); err != nil {
		t.Fatal(err)
	}
	if err := in.Serve(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	cs, err := in.Constituency()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.run(vedette.Local()).sc.ApplyConstituents(ctx, cs, nil, scope.NewMap(cs).Owner, scope.Users(cs), nil); err != nil {
		t.Fatal(err)
	}
	roots, err := in.Roots()
	if err != nil {
		t.Fatal(err)
	}
	pem := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(pem, roots, 0o600); err != nil {
		t.Fatal(err)
	}
	content := t.TempDir()
	if err := writeContent(content); err != nil {
		t.Fatal(err)
	}
	lw.conf = config.Survey{Content: content, Contact: "csirt@hub.example", Ports: in.Ports(), Connects: 1000, Requests: 1000, PerNetwork: 1e5, PerConstituent: 1e5, Timeout: config.Duration(2 * time.Second), Roots: pem}
	if at := in.Resolver(); at.IsValid() {
		lw.conf.Resolvers = []string{at.String()}
	}
	lw.hub = lw.newHub()
	return lw
}

func (lw *labWorld) newHub() *hub {
	lw.t.Helper()
	h, err := newHub(context.Background(), lw.store, lw.conf, slog.New(slog.DiscardHandler))
	if err != nil {
		lw.t.Fatal(err)
	}
	return h
}

// survey runs a whole survey of a constituent without jobs: part after part.
func (lw *labWorld) survey(constituent string) store.SurveyView {
	lw.t.Helper()
	s := lw.ask(constituent, vedette.Active)
	return lw.workAll(s.ID)
}

// ask plans a survey.
func (lw *labWorld) ask(constituent string, class vedette.CheckClass) vedette.Survey {
	lw.t.Helper()
	r := lw.run(vedette.Local())
	in, err := planInput(r.ctx, r.sc, lw.hub.sys, constituent, class, lw.conf.Ports)
	if err != nil {
		lw.t.Fatal(err)
	}
	s, err := r.sc.AddSurvey(r.ctx, vedette.Survey{Constituent: constituent, Kind: vedette.FullSurvey}, surveyParts(in), nil)
	if err != nil {
		lw.t.Fatal(err)
	}
	return s
}

// workAll works all that waits and returns how a survey went.
func (lw *labWorld) workAll(id string) store.SurveyView {
	lw.t.Helper()
	ctx := context.Background()
	for {
		parts, err := lw.hub.sys.WaitingParts(ctx, 0, 1000)
		if err != nil {
			lw.t.Fatal(err)
		}
		if len(parts) == 0 {
			break
		}
		for _, k := range parts {
			if err := lw.hub.prober.work(ctx, k); err != nil {
				lw.t.Fatal(err)
			}
		}
		if _, err := lw.hub.takeIn(ctx); err != nil {
			lw.t.Fatal(err)
		}
	}
	if err := lw.hub.line.Drain(ctx); err != nil {
		lw.t.Fatal(err)
	}
	v, err := lw.run(vedette.Local()).sc.Survey(ctx, id)
	if err != nil {
		lw.t.Fatal(err)
	}
	return v
}

// findings are all findings by weakness and place.
func (lw *labWorld) findings() map[string]vedette.Finding {
	lw.t.Helper()
	fs, _, err := lw.run(vedette.Local()).sc.FindingsInFull(context.Background(), store.FindingFilter{Limit: 100_000})
	if err != nil {
		lw.t.Fatal(err)
	}
	out := map[string]vedette.Finding{}
	for _, f := range fs {
		out[placeName(f.Weakness, f.Asset, f.Port, f.Proto)] = f
	}
	return out
}

func placeName(weakness, asset string, port int, proto string) string {
	return weakness + " " + asset + " " + portText(port, proto)
}

// jobs starts the hub's jobs on the world's store and stops them with the test.
func (lw *labWorld) jobs(queues map[string]int) *job.Jobs {
	lw.t.Helper()
	jc := job.Config{Kinds: kinds(lw.hub, lw.hub.prober), Queues: queues, Timeout: time.Minute, Rescue: partTime + time.Minute}
	if store.IsURL(lw.place) {
		jc.URL = lw.place
		if err := job.Migrate(context.Background(), jc.URL, ""); err != nil {
			lw.t.Fatal(err)
		}
	} else {
		jc.Dir = lw.place
	}
	j, err := job.Open(context.Background(), jc)
	if err != nil {
		lw.t.Fatal(err)
	}
	lw.hub.jobs = j
	if err := j.Start(context.Background()); err != nil {
		lw.t.Fatal(err)
	}
	return j
}

func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// retestParts look at the place of a finding again.
func retestParts(in survey.Input, f vedette.Finding) []vedette.Part {
	return survey.Retest(in, []vedette.Place{{Asset: f.Asset, Port: f.Port, Proto: f.Proto}})
}
