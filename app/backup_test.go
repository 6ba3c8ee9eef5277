package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestBackupUnderLoad: a backup taken while others import is one moment: the
// same on both engines, whole in itself, and it goes on.
func TestBackupUnderLoad(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		file := filepath.Join(t.TempDir(), "hub.backup")
		stop := make(chan struct{})
		started := make(chan struct{})
		var writer sync.WaitGroup
		writer.Go(func() { importUntil(t, w, started, stop) })
		<-started
		w.do(&backupCmd{File: file})
		close(stop)
		writer.Wait()

		var want map[string]string
		for _, other := range []string{t.TempDir(), postgresOr(t)} {
			if other == "" {
				continue
			}
			o := newWorld(t, other)
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			r := o.run(vedette.Local())
			if _, err := r.sc.Restore(context.Background(), f); err != nil {
				t.Fatal(err)
			}
			got := o.hashes()
			if want != nil {
				sameHashes(t, got, want, "restored on "+o.store.Engine())
			}
			want = got
			if err := o.run(vedette.Local()).drain(); err != nil { // what was owed at that moment
				t.Fatal(err)
			}
			whole := o.hashes("events")
			o.do(rebuildCmd{})
			sameHashes(t, o.hashes("events"), whole, "rebuilt on "+o.store.Engine())
		}
	})
}

// importUntil imports small documents over a connection of its own.
func importUntil(t *testing.T, w *world, started, stop chan struct{}) {
	opt := StoreOptions()
	opt.Now = w.opt.Now
	s, err := store.Open(context.Background(), w.place, opt)
	if err != nil {
		t.Error(err)
		close(started)
		return
	}
	defer s.Close()
	for i := 0; ; i++ {
		id := fmt.Sprintf("CVE-2026-%d", 20000+i)
		file := filepath.Join(t.TempDir(), id+".json")
		if err := os.WriteFile(file, []byte(worldCVE(id, "2026-02-03T00:00:00Z", "9.1.4")), 0o600); err != nil {
			t.Error(err)
		}
		sc, err := s.As(context.Background(), vedette.Local())
		if err != nil {
			t.Error(err)
			return
		}
		r := &run{Globals: &Globals{Output: "json", Quiet: true}, ctx: context.Background(), out: &strings.Builder{}, errs: &strings.Builder{}, store: s, sc: sc, p: vedette.Local(), line: NewLine(s)}
		if err := (&importCmd{Files: []string{file}}).Run(r); err != nil {
			t.Error(err)
		}
		if i == 3 {
			close(started)
		}
		select {
		case <-stop:
			if i >= 3 {
				return
			}
		default:
		}
	}
}
