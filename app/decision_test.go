package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestDecisions: a decision covers nothing before another person approved it,
// covers what its predicate says, ends by itself or by hand, and survives a rebuild.
func TestDecisions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		ctx := context.Background()
		covered := func() map[string]vedette.DecisionKind {
			t.Helper()
			cs, _, err := w.run(lea).sc.Cases(ctx, store.CaseFilter{Weakness: "CVE-2026-1001", Covered: true})
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]vedette.DecisionKind{}
			for _, c := range cs {
				out[c.Constituent] = ""
				if c.Covered != nil {
					out[c.Constituent] = c.Covered.Kind
				}
			}
			return out
		}
		is := func(when string, alpha, bravo vedette.DecisionKind) {
			t.Helper()
			if got := covered(); got["alpha"] != alpha || got["bravo"] != bravo || len(got) != 2 {
				t.Errorf("%s: %v", when, got)
			}
		}
		is("undecided", "", "")
		d, err := w.run(lea).sc.Decide(ctx, vedette.Decision{Kind: vedette.RiskAccepted, Weakness: "CVE-2026-1001", Constituent: "bravo", Until: w.clock.AddDate(0, 1, 0), Reason: "replaced next month"})
		if err != nil {
			t.Fatal(err)
		}
		is("decided, not approved", "", "")
		if _, err := w.run(lea).sc.ApproveDecision(ctx, d.ID); !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("lea approves her own: %v", err)
		}
		if _, err := w.run(otherLead).sc.ApproveDecision(ctx, d.ID); err != nil {
			t.Fatal(err)
		}
		is("approved", "", vedette.RiskAccepted)
		if err := NewLine(w.store).Drain(ctx); err != nil { // the drafts that the decision covers go first
			t.Fatal(err)
		}
		before := w.hashes("events", "seals")
		w.do(rebuildCmd{})
		sameHashes(t, w.hashes("events", "seals"), before, "after a rebuild")
		is("rebuilt", "", vedette.RiskAccepted)
		w.clock = w.clock.AddDate(0, 1, 1)
		is("expired", "", "")
		all, err := w.run(lea).sc.Decide(ctx, vedette.Decision{Kind: vedette.FalsePositive, Weakness: "CVE-2026-1001", Reason: "the product is another"})
		if err == nil {
			_, err = w.run(otherLead).sc.ApproveDecision(ctx, all.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		is("false everywhere", vedette.FalsePositive, vedette.FalsePositive)
		w.clock = w.clock.Add(time.Hour)
		if _, err := w.run(otherLead).sc.EndDecision(ctx, all.ID, "it is not"); err != nil {
			t.Fatal(err)
		}
		is("revoked", "", "")
	})
}

// TestDecisionsRefuse: an accepted risk without an end, a decision without a
// reason, one for everybody by who is bound, one about another constituent.
func TestDecisionsRefuse(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.fill()
	ctx := context.Background()
	max := vedette.Principal{Name: "max", Roles: []vedette.Role{vedette.Manager}, Constituents: []string{"alpha"}}
	for what, c := range map[string]struct {
		p    vedette.Principal
		d    vedette.Decision
		kind error
	}{
		"no end":    {lea, vedette.Decision{Kind: vedette.RiskAccepted, Weakness: "CVE-2026-1001", Constituent: "alpha", Reason: "r"}, vedette.ErrRefused},
		"no reason": {lea, vedette.Decision{Kind: vedette.FalsePositive, Weakness: "CVE-2026-1001", Constituent: "alpha"}, vedette.ErrRefused},
		"everybody": {max, vedette.Decision{Kind: vedette.FalsePositive, Weakness: "CVE-2026-1001", Reason: "r"}, vedette.ErrRefused},
		"another":   {max, vedette.Decision{Kind: vedette.FalsePositive, Weakness: "CVE-2026-1001", Constituent: "bravo", Reason: "r"}, vedette.ErrNotFound},
		"nothing":   {lea, vedette.Decision{Kind: vedette.FalsePositive, Weakness: "CVE-2026-7777", Constituent: "alpha", Reason: "r"}, vedette.ErrNotFound},
	} {
		if _, err := w.run(c.p).sc.Decide(ctx, c.d); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.run(max).sc.Decide(ctx, vedette.Decision{Kind: vedette.RiskAccepted, Weakness: "CVE-2026-1001", Constituent: "alpha", Until: w.clock.AddDate(0, 1, 0), Reason: "r"}); err != nil {
		t.Errorf("a manager for his own: %v", err)
	}
}
