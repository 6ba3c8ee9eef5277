package app

import (
	"context"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

const rekeyEUKEV = `[{"euvdId": "EUVD-2026-4417", "dateAdded": "2026-02-19", "sources": ["eukev_kev"], "vendorProject": "Examplesoft", "product": "Access Gateway"}]`

// byEUVD is what the world finds before anybody says which CVE it is: an OSV
// record under the id of the EUVD.
const rekeyOSV = `{"schema_version": "1.6.0", "id": "EUVD-2026-4417", "modified": "2026-02-10T00:00:00Z", "published": "2026-02-10T00:00:00Z", "summary": "Code execution before login", "affected": [{"package": {"ecosystem": "Debian:12", "name": "access-gateway"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.1.4"}]}]}]}`

const rekeyInventory = `asset,constituent,port,proto,ecosystem,product,package_version,internet_facing,seen
vpn.alpha.example,alpha,443,tcp,Debian:12,access-gateway,9.1.3,true,2026-02-20T08:00:00Z
vpn.bravo.example,bravo,443,tcp,Debian:12,access-gateway,9.1.3,true,2026-02-20T08:00:00Z
`

// rekeyWorld has cases under the id of the EUVD at two constituents.
func rekeyWorld(t *testing.T, place string) *world {
	w := newWorld(t, place)
	w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
	w.importText("inventory.csv", rekeyInventory)
	w.importText("osv.json", rekeyOSV)
	w.importText("eukev.json", rekeyEUKEV)
	return w
}

func (w *world) cases() map[string]vedette.Case {
	w.t.Helper()
	cs, _, err := w.run(lea).sc.Cases(context.Background(), store.CaseFilter{Closed: true, Covered: true})
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]vedette.Case{}
	for _, c := range cs {
		out[c.Constituent+" "+c.Weakness] = c
	}
	return out
}

// TestCasesFollowTheirCVE: when somebody says which CVE a weakness is, its cases,
// decisions and drafts are those of the CVE, and the old ids still find them.
func TestCasesFollowTheirCVE(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := rekeyWorld(t, place)
		ctx := context.Background()
		before := w.cases()
		old := before["alpha EUVD-2026-4417"]
		if len(before) != 2 || old.Presence != vedette.Present || old.Deadline.IsZero() {
			t.Fatalf("under the EUVD: %+v", before)
		}
		who := "analyst"
		done, _, undo, err := w.run(lea).sc.SetCases(ctx, []string{old.ID}, store.CaseChange{Assignee: &who})
		if err != nil || done != 1 {
			t.Fatal(done, err)
		}
		w.decided(vedette.Decision{Kind: vedette.FalsePositive, Weakness: "EUVD-2026-4417", Constituent: "bravo", Reason: "r"})
		w.importText("mapping.csv", "euvd_id,cve_id\nEUVD-2026-4417,CVE-2026-1001\n")
		after := w.cases()
		c := after["alpha CVE-2026-1001"]
		if len(after) != 2 || c.ID != vedette.CaseID("alpha", "CVE-2026-1001") || c.Assignee != who || c.State != vedette.CaseNew || c.Presence != vedette.Present || !c.Opened.Equal(old.Opened) || !c.Deadline.Equal(old.Deadline) || c.Reopened != 0 {
			t.Fatalf("under the CVE: %+v", after)
		}
		if b := after["bravo CVE-2026-1001"]; b.Covered == nil {
			t.Errorf("the decision stayed behind: %+v", b)
		}
		if same, err := w.run(lea).sc.Case(ctx, old.ID); err != nil || same.ID != c.ID {
			t.Errorf("the old id finds %+v, %v", same, err)
		}
		for _, f := range w.findingsNow() {
			if f.Weakness != "CVE-2026-1001" {
				t.Errorf("a finding of %s", f.Weakness)
			}
		}
		if done, refused, _, err := w.run(lea).sc.Undo(ctx, undo); err != nil || done != 1 || len(refused) > 0 {
			t.Errorf("undone %d, %v, %v", done, refused, err)
		}
		if done, refused, _, err := w.run(lea).sc.SetCases(ctx, []string{old.ID}, store.CaseChange{Assignee: &who}); err != nil || done != 1 || len(refused) > 0 {
			t.Errorf("by the old id: %d, %v, %v", done, refused, err)
		}
		w.do(&publicationDraft{CVE: "CVE-2026-1001"})
		if k := w.kinds(); k["alert"] != 1 || k["alert editions"] != 1 {
			t.Errorf("%v", k)
		}
		hashes := w.hashes("events", "seals")
		w.do(rebuildCmd{})
		sameHashes(t, w.hashes("events", "seals"), hashes, "after a rebuild")
		w.importText("eukev2.json", strings.Replace(rekeyEUKEV, "02-19", "02-18", 1))
		if n := len(w.cases()); n != 2 {
			t.Errorf("the old id again makes %d cases", n)
		}
	})
}

// TestTwoCasesBecomeOne: both ids had a case at one constituent.
func TestTwoCasesBecomeOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := rekeyWorld(t, place)
		ctx := context.Background()
		w.importText("osv2.json", strings.NewReplacer(`"id": "EUVD-2026-4417"`, `"id": "CVE-2026-1001"`).Replace(rekeyOSV))
		w.importText("kev.json", worldKEV("2026-02-20T00:00:00Z", "CVE-2026-1001"))
		before := w.cases()
		if len(before) != 4 {
			t.Fatalf("%+v", before)
		}
		state, who, note := vedette.CaseAcknowledged, "analyst", "they know"
		for id, ch := range map[string]store.CaseChange{before["alpha EUVD-2026-4417"].ID: {State: &state, Note: &note}, before["alpha CVE-2026-1001"].ID: {Assignee: &who}} {
			if _, _, _, err := w.run(lea).sc.SetCases(ctx, []string{id}, ch); err != nil {
				t.Fatal(err)
			}
		}
		w.importText("mapping.csv", "euvd_id,cve_id\nEUVD-2026-4417,CVE-2026-1001\n")
		after := w.cases()
		c := after["alpha CVE-2026-1001"]
		if len(after) != 2 || c.State != state || c.Assignee != who || c.Note != note || c.Findings != 1 {
			t.Errorf("%+v", after)
		}
		if same, err := w.run(lea).sc.Case(ctx, before["alpha EUVD-2026-4417"].ID); err != nil || same.ID != c.ID {
			t.Errorf("the old id finds %+v, %v", same, err)
		}
		hashes := w.hashes("events", "seals")
		w.do(rebuildCmd{})
		sameHashes(t, w.hashes("events", "seals"), hashes, "after a rebuild")
	})
}

func (w *world) findingsNow() []vedette.Finding {
	w.t.Helper()
	fs, _, err := w.run(lea).sc.Findings(context.Background(), store.FindingFilter{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return fs
}
