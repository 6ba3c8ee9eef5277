package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/compose"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// kinds counts the publications of each kind and their editions.
func (w *world) kinds() map[string]int {
	w.t.Helper()
	ps, err := w.run(lea).sc.Publications(context.Background(), "", 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]int{}
	for _, p := range ps {
		out[p.Kind]++
		out[p.Kind+" editions"] += p.Editions
		out["owed"] += w.owed(p.ID)
	}
	return out
}

func (w *world) owed(id string) int {
	w.t.Helper()
	ds, err := w.run(lea).sc.Deliveries(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(ds)
}

// TestTheFirstListFloodsNobody: a list of years makes one publication with an
// edition for each constituent, and nothing is sent.
func TestTheFirstListFloodsNobody(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
		w.importText("inventory.csv", worldInventory)
		var cves strings.Builder
		var ids []string
		for i := range 300 {
			ids = append(ids, fmt.Sprintf("CVE-2023-%d", 10_000+i))
			cves.WriteString(worldCVE(ids[i], "2026-02-02T00:00:00Z", "9.1.4"))
		}
		w.importText("cves.jsonl", cves.String())
		w.importText("kev.json", strings.ReplaceAll(worldKEV("2026-02-19T00:00:00Z", ids...), "2026-02-18", "2023-02-18"))
		got := w.kinds()
		if got["alert"] != 0 || got[kindExposure] != 1 || got["exposure editions"] != 2 || got["owed"] != 0 {
			t.Fatalf("the first list makes %v", got)
		}
		cs, _, err := w.run(lea).sc.CountCases(context.Background(), store.CaseFilter{})
		if err != nil || cs != 600 {
			t.Errorf("%d cases, %v", cs, err)
		}
		w.do(&publicationDraft{Exposure: true})
		if again := w.kinds(); fmt.Sprint(again) != fmt.Sprint(got) {
			t.Errorf("the same again: %v", again)
		}
	})
}

// TestExposureIsOfADay: the edition follows what changed, once a day; it holds
// its constituent's own; who gets it has its cases notified.
func TestExposureIsOfADay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
		w.importText("inventory.csv", worldInventory)
		w.importText("cve.json", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4")+worldCVE("CVE-2026-1002", "2026-02-02T00:00:00Z", "9.1.4")+worldCVE("CVE-2026-1003", "2026-02-02T00:00:00Z", "9.1.4"))
		old := func(released string, ids ...string) {
			w.importText("kev.json", strings.ReplaceAll(worldKEV(released, ids...), "2026-02-18", "2023-02-18"))
		}
		listed := func() map[string][]string {
			t.Helper()
			ps, err := w.run(lea).sc.Publications(context.Background(), "", 10)
			if err != nil {
				t.Fatal(err)
			}
			out := map[string][]string{}
			for _, p := range ps {
				es, err := w.run(lea).sc.Editions(context.Background(), p.ID)
				if err != nil || p.Kind != kindExposure {
					t.Fatal(p.Kind, err)
				}
				for _, e := range es {
					var x compose.Exposure
					if err := json.Unmarshal(e.Body, &x); err != nil {
						t.Fatal(err)
					}
					out[e.Constituent] = nil
					for _, k := range x.Weaknesses {
						out[e.Constituent] = append(out[e.Constituent], k.CVE)
					}
				}
			}
			return out
		}
		is := func(when, want string) {
			t.Helper()
			if got := fmt.Sprint(listed()); got != want {
				t.Errorf("%s: %s, want %s", when, got, want)
			}
		}
		old("2026-02-19T00:00:00Z", "CVE-2026-1001")
		is("the first", "map[alpha:[CVE-2026-1001] bravo:[CVE-2026-1001]]")
		w.clock = w.clock.Add(2 * time.Hour)
		old("2026-02-20T00:00:00Z", "CVE-2026-1001", "CVE-2026-1002")
		is("the same day", "map[alpha:[CVE-2026-1001] bravo:[CVE-2026-1001]]")
		w.clock = w.clock.Add(23 * time.Hour)
		if err := NewLine(w.store).Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
		is("the next day", "map[alpha:[CVE-2026-1001 CVE-2026-1002] bravo:[CVE-2026-1001 CVE-2026-1002]]")
		before := w.hashes("events", "seals")
		w.do(rebuildCmd{})
		sameHashes(t, w.hashes("events", "seals"), before, "after a rebuild")
		for _, d := range []vedette.Decision{{Kind: vedette.FalsePositive, Weakness: "CVE-2026-1001", Reason: "the product is another"}, {Kind: vedette.FalsePositive, Weakness: "CVE-2026-1002", Constituent: "bravo", Reason: "r"}} {
			w.decided(d)
		}
		w.clock = w.clock.Add(25 * time.Hour)
		if err := NewLine(w.store).Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
		is("decided", "map[alpha:[CVE-2026-1002]]")
		p, err := w.run(otherLead).sc.Publications(context.Background(), "", 1)
		if err != nil {
			t.Fatal(err)
		}
		w.do(&publicationApprove{ID: p[0].ID, Series: "KE"})
		out := w.do(&publicationShow{ID: "KE-2026-001", Constituent: "alpha", Form: "html"})
		if !strings.Contains(out, "CVE-2026-1002") || strings.Contains(out, "bravo") || strings.Contains(out, "CVE-2026-1001") {
			t.Errorf("%s", out)
		}
	})
}

// TestADecisionTakesDraftsBack: what a decision covers whole needs no alert, and
// gets one again when it ends.
func TestADecisionTakesDraftsBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		ctx := context.Background()
		is := func(when string, alerts, editions int) {
			t.Helper()
			if got := w.kinds(); got["alert"] != alerts || got["alert editions"] != editions {
				t.Errorf("%s: %v", when, got)
			}
		}
		drain := func() {
			t.Helper()
			if err := NewLine(w.store).Drain(ctx); err != nil {
				t.Fatal(err)
			}
		}
		is("drafted", 1, 2)
		w.decided(vedette.Decision{Kind: vedette.RiskAccepted, Weakness: "CVE-2026-1001", Constituent: "bravo", Until: w.clock.AddDate(0, 0, 5), Reason: "replaced this week"})
		ps, err := w.run(lea).sc.Publications(ctx, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		d, err := w.run(lea).desk()
		if err != nil {
			t.Fatal(err)
		}
		faults, err := d.Lint(ctx, ps[0].ID)
		if err != nil || len(faults) == 0 || faults[0].Constituent != "bravo" || !faults[0].Stop || faults[0].Where != "decision" {
			t.Errorf("before the line runs, the lint says %+v, %v", faults, err)
		}
		drain()
		is("accepted at one", 1, 1)
		w.clock = w.clock.AddDate(0, 0, 6)
		drain()
		is("it ended by itself", 1, 2)
		w.decided(vedette.Decision{Kind: vedette.FalsePositive, Weakness: "CVE-2026-1001", Reason: "the product is another"})
		drain()
		is("false everywhere", 0, 0)
		ds, err := w.run(lea).sc.Decisions(ctx, "", 1)
		if err == nil {
			_, err = w.run(lea).sc.EndDecision(ctx, ds[0].ID, "it is not")
		}
		if err != nil {
			t.Fatal(err)
		}
		drain()
		is("revoked", 1, 2)
	})
}

// TestExposureForms: every form holds what it has to, and text from outside stays text.
func TestExposureForms(t *testing.T) {
	w := wallsWorld(t, t.TempDir(), true)
	l := NewLine(w.store)
	for constituent, who := range map[string]string{"alpha": "viewer A", "canaryb": "manager B"} {
		x, m, err := l.exposure(context.Background(), constituent)
		if err != nil || len(x.Weaknesses) == 0 {
			t.Fatalf("%s: %+v, %v", constituent, x, err)
		}
		if !strings.Contains(string(m.Audience), "org:"+constituent) || m.TLP < vedette.TLPAmberStrict {
			t.Errorf("the exposure of %s is marked %s", constituent, m)
		}
		for _, form := range compose.Forms {
			var b bytes.Buffer
			if err := x.Write(&b, form); err != nil {
				t.Fatal(err)
			}
			text := strings.ToLower(laidOpen(t, b.Bytes()))
			not := mustNot(who)
			if constituent == "canaryb" {
				not = append(not, "foralpha", "agency alpha", "192.0.2.9")
			}
			for _, c := range not {
				if i := strings.Index(text, c); i >= 0 {
					t.Errorf("%s as %s holds %q: ...%s...", constituent, form, c, text[max(0, i-60):min(len(text), i+60)])
				}
			}
		}
	}
}
