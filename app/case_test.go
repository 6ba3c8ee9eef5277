package app

import (
	"context"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestACaseFollowsItsFindings: a case opens with the finding, is not closed by
// silence, closes when a look proves the repair, and returns with a count.
func TestACaseFollowsItsFindings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newLabWorld(t, place, []byte(caseInternet))
		w.survey("alder")
		ctx := context.Background()
		is := func(when string, state vedette.CaseState, presence vedette.Presence, reopened int) vedette.Case {
			t.Helper()
			cs, _, err := w.run(vedette.Local()).sc.Cases(ctx, store.CaseFilter{Closed: true})
			if err != nil || len(cs) != 1 {
				t.Fatalf("%s: %+v, %v", when, cs, err)
			}
			if c := cs[0]; c.State != state || c.Presence != presence || c.Reopened != reopened || c.Weakness != "check:redis-no-auth" {
				t.Errorf("%s: %+v", when, c)
			}
			return cs[0]
		}
		addr := ""
		for _, f := range w.findings() {
			addr = f.Asset
		}
		again := func(c lab.Change) {
			t.Helper()
			w.day()
			if err := w.net.Set(addr, 6379, c); err != nil {
				t.Fatal(err)
			}
			w.survey("alder")
		}
		c := is("found", vedette.CaseNew, vedette.Present, 0)
		w.do(&caseSet{IDs: []string{c.ID}, State: "triaged"})
		again(lab.Change{Stop: true})
		is("stopped", vedette.CaseTriaged, vedette.NotObserved, 0)
		again(lab.Change{Start: true})
		is("started", vedette.CaseTriaged, vedette.Present, 0)
		again(lab.Change{Drop: []string{"check:redis-no-auth"}})
		is("repaired", vedette.CaseClosed, vedette.Fixed, 0)
		again(lab.Change{Weak: []string{"check:redis-no-auth"}})
		is("back", vedette.CaseNew, vedette.Present, 1)
		before := w.hashes("events", "seals")
		w.do(rebuildCmd{})
		if err := w.hub.line.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		sameHashes(t, w.hashes("events", "seals"), before, "after a rebuild")
		is("rebuilt", vedette.CaseNew, vedette.Present, 1)
	})
}

const caseInternet = `
constituents:
  - id: alder
    name: Alder
    scope: [{cidr: 127.20.0.2/32, authorised_by: A, document: D, classes: [active]}]
hosts:
  - address: 127.20.0.2
    services:
      - {port: 6379, kind: redis, software: {vendor: redis, product: redis, version: 6.0.16}, weak: ["check:redis-no-auth"]}
`
