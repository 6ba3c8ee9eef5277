package app

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestTogether: several processes import and match at the same time and end
// where one after the other would.
func TestTogether(t *testing.T) {
	docs := make([][]string, 4)
	w0 := &world{t: t}
	for p := range docs {
		for i := range 8 {
			var b strings.Builder
			for n := range 20 { // half of the records are everybody's
				id := 3000 + (p*5+i*20+n)%120
				b.WriteString(worldCVE(fmt.Sprintf("CVE-2026-%d", id), fmt.Sprintf("2026-02-%02dT00:%02d:00Z", 1+i, p), fmt.Sprintf("9.1.%d", (n+i)%9)))
			}
			docs[p] = append(docs[p], w0.file("cves.jsonl", b.String()))
		}
		docs[p] = append(docs[p], w0.file("inventory.csv", strings.ReplaceAll(strings.ReplaceAll(worldInventory, "9.1.3", fmt.Sprintf("9.1.%d", p)), "2026-02-20", fmt.Sprintf("2026-02-1%d", p))))
	}
	storetest.Each(t, func(t *testing.T, place string) {
		other := t.TempDir()
		if store.IsURL(place) {
			other = storetest.Postgres(t)
		}
		one := newWorld(t, other)
		one.do(&constituentApply{File: one.file("c.yaml", worldConstituency)})
		for _, files := range docs {
			one.do(&importCmd{Files: files})
		}
		want := one.hashes("events", "intakes")

		w := newWorld(t, place)
		w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
		var all sync.WaitGroup
		for _, files := range docs {
			s := storetest.Open(t, place, w.opt)
			all.Go(func() {
				sc, err := s.As(context.Background(), vedette.Local())
				if err == nil {
					r := &run{Globals: &Globals{Output: "json", Quiet: true}, ctx: context.Background(), out: &strings.Builder{}, errs: &strings.Builder{}, store: s, sc: sc, p: vedette.Local(), line: NewLine(s)}
					err = (&importCmd{Files: files}).Run(r)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := w.run(vedette.Local()).drain(); err != nil {
			t.Fatal(err)
		}
		sameHashes(t, w.hashes("events", "intakes"), want, "together")
		r := w.run(vedette.Local())
		if _, fault, err := r.sc.VerifyAudit(r.ctx); err != nil || fault != nil {
			t.Errorf("audit chain: %+v, %v", fault, err)
		}
	})
}
