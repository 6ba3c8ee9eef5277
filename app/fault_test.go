package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

var errInjected = errors.New("injected fault")

// flow is something a person does; it fails at every call of the store in turn.
type flow struct {
	name string
	do   func(w *world) error
	// repeats: doing it twice is recorded twice
	repeats bool
}

func (w *world) try(c command) error {
	r, err := w.as(vedette.Local())
	if err != nil {
		return err
	}
	return c.Run(r)
}

func flows(t *testing.T) []flow {
	w := &world{t: t}
	cve := w.file("more.json", worldCVE("CVE-2026-1002", "2026-02-03T00:00:00Z", "9.1.10")+worldCVE("CVE-2026-1001", "2026-02-09T00:00:00Z", "9.0.2"))
	kev := w.file("kev3.json", worldKEV("2026-02-28T00:00:00Z", "CVE-2026-1002"))
	inv := w.file("inv2.csv", "asset,constituent,port,proto,vendor,product,version,seen\nnew.bravo.example,bravo,443,tcp,examplesoft,access_gateway,9.0.0,2026-02-25T00:00:00Z\nvpn.alpha.example,alpha,443,tcp,examplesoft,access_gateway,9.1.8,2026-02-25T00:00:00Z\n")
	late := w.file("inv0.csv", "asset,constituent,port,proto,vendor,product,version,seen\nvpn.alpha.example,alpha,443,tcp,examplesoft,access_gateway,9.0.0,2026-01-25T00:00:00Z\n")
	epss := w.file("epss.csv", "#model_version:v1,score_date:2026-02-20T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1001,0.1,0.5\n")
	moved := w.file("moved.yaml", worldConstituency[:len(worldConstituency)-len("      - {cidr: 192.0.2.64/26, authorised_by: B. Officer, document: contract B}\n")])
	take := func(files ...string) func(*world) error {
		return func(w *world) error { return w.try(&importCmd{Files: files}) }
	}
	return []flow{
		{"import records", take(cve), false},
		{"import a full list", take(kev), false},
		{"import looks", take(inv, late), false},
		{"import a series", take(epss), false},
		{"constituent apply", func(w *world) error { return w.try(&constituentApply{File: moved}) }, false},
		{"rebuild", func(w *world) error { return w.try(rebuildCmd{}) }, true},
		{"user and token", func(w *world) error {
			if err := w.try(&userAdd{Name: "ana", Role: []string{"analyst"}}); err != nil {
				return err
			}
			err := w.try(&tokenAdd{Name: "t", Role: "api", User: "ana", Days: 1})
			if errors.Is(err, vedette.ErrConflict) {
				return nil // made before the fault
			}
			return err
		}, true},
		{"backup", func(w *world) error {
			r, err := w.as(vedette.Local())
			if err == nil {
				_, err = r.sc.Backup(r.ctx, io.Discard)
			}
			return err
		}, true},
		{"purge", func(w *world) error {
			err := w.try(&purgeCmd{Source: "cisa-kev", Reason: "test", Yes: true})
			if errors.Is(err, vedette.ErrNotFound) {
				return nil // gone before the fault
			}
			return err
		}, true},
	}
}

// TestFaults fails every store call of every flow in turn: the error comes
// out, no transaction is half kept, and doing it again ends as if nothing had been.
func TestFaults(t *testing.T) {
	base := t.TempDir()
	w := newWorld(t, base)
	w.fill()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range flows(t) {
		t.Run(f.name, func(t *testing.T) {
			without := []string{"intakes"} // when it was taken in
			if f.repeats {
				without = append(without, "events", "tokens") // a secret is random
			}
			clean := copyWorld(t, base)
			before := clean.hashes("events", "intakes")
			calls := 0
			clean.hook = func(string, string) error { calls++; return nil }
			if err := f.do(clean); err != nil {
				t.Fatal(err)
			}
			clean.hook = nil
			want := clean.hashes(without...)
			t.Logf("%d calls", calls)
			for n := 1; n <= calls; n += step(calls) {
				failAt(t, f, copyWorld(t, base), n, before, want, without)
			}
		})
	}
}

// step tries every call on a long run, and about 60 of them otherwise.
func step(calls int) int {
	if os.Getenv("VEDETTE_SOAK_ROUNDS") != "" {
		return 1
	}
	return max(1, calls/60)
}

func failAt(t *testing.T, f flow, w *world, n int, before, want map[string]string, without []string) {
	t.Helper()
	at, what := 0, ""
	w.hook = func(op, q string) error {
		if at++; at == n {
			what = fmt.Sprintf("%s %.60s", op, q)
			return errInjected
		}
		return nil
	}
	err := f.do(w)
	w.hook = nil
	if err == nil || !errors.Is(err, errInjected) {
		t.Errorf("call %d (%s): the fault did not come out: %v", n, what, err)
		return
	}
	claims := w.hashes("events", "intakes")["claims"]
	if claims != before["claims"] && claims != want["claims"] && f.name != "import looks" {
		t.Errorf("call %d (%s): a document was taken in half", n, what)
	}
	if err := f.do(w); err != nil {
		t.Errorf("call %d (%s): again: %v", n, what, err)
		return
	}
	if err := w.run(vedette.Local()).drain(); err != nil {
		t.Error(err)
	}
	for k, h := range w.hashes(without...) {
		if h != want[k] {
			t.Errorf("call %d (%s): table %s is not what it would be without the fault", n, what, k)
		}
	}
	w.store.Close()
}

// copyWorld opens a copy of an embedded store.
func copyWorld(t *testing.T, base string) *world {
	t.Helper()
	dir := t.TempDir()
	b, err := os.ReadFile(filepath.Join(base, store.File))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, store.File), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return newWorld(t, dir)
}

// TestMigrationResumes fails every call of the first opening in turn: the next
// opening goes on and the store works.
func TestMigrationResumes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		calls := 0
		opt := StoreOptions()
		opt.Hook = func(string, string) error { calls++; return nil }
		storetest.Open(t, place, opt)
		n := max(1, calls/30)
		if store.IsURL(place) {
			n = max(1, calls/5)
		}
		for at := 1; at <= calls; at += n {
			p := t.TempDir()
			if store.IsURL(place) {
				p = storetest.Postgres(t)
			}
			seen := 0
			opt.Hook = func(string, string) error {
				if seen++; seen == at {
					return errInjected
				}
				return nil
			}
			if s, err := store.Open(context.Background(), p, opt); err == nil {
				s.Close()
				t.Fatalf("call %d did not fail", at)
			}
			w := newWorld(t, p)
			w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
			w.store.Close()
		}
	})
}
