package app

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/collect"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

func (w *world) join(p vedette.Principal, id string) *vedette.Join {
	w.t.Helper()
	r := w.run(p)
	j, err := r.line.join(r.ctx, r.sc, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

func TestTheJoin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		j := w.join(vedette.Local(), "CVE-2026-1001")
		got := map[string]vedette.Verdict{}
		for _, c := range j.Constituents {
			for _, h := range c.Hosts {
				got[c.ID+" "+h.Asset] = h.Verdict
			}
			if c.Decision.Row != 13 && c.Decision.Row != 15 && c.ID == "alpha" {
				t.Errorf("%s: row %d, inputs %+v", c.ID, c.Decision.Row, c.Decision.Inputs)
			}
			if c.Deadline.IsZero() {
				t.Errorf("%s has no deadline", c.ID)
			}
		}
		want := map[string]vedette.Verdict{"alpha vpn.alpha.example": vedette.Confirmed, "alpha ": vedette.DeclaredOnly,
			"bravo www.shared.example": vedette.Confirmed, "bravo 192.0.2.70": vedette.Confirmed}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: %q, want %q", k, got[k], v)
			}
		}
		if len(got) != len(want) {
			t.Errorf("hosts %v", got)
		}
		if len(j.LeftOut) != 1 || j.LeftOut[0].Asset != "192.0.2.10" || j.LeftOut[0].Verdict != vedette.NotAffected {
			t.Errorf("left out: %+v", j.LeftOut)
		}
		if len(j.Exploited) != 1 || j.Exploited[0].Source != "cisa-kev" {
			t.Errorf("exploited: %+v", j.Exploited)
		}
	})
}

// TestAgain: the same documents again change no row but the record of the import.
func TestAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		before := w.hashes()
		w.fill()
		sameHashes(t, w.hashes(), before, "after the same again")
	})
}

// TestOrder: documents end in one state, whatever the order of their arrival.
func TestOrder(t *testing.T) {
	docs := map[string]string{
		"a.json": worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4"),
		"b.json": worldCVE("CVE-2026-1001", "2026-02-05T00:00:00Z", "9.0.2"),
		"c.json": worldKEV("2026-02-20T00:00:00Z", "CVE-2026-1001"),
		"d.json": worldKEV("2026-02-22T00:00:00Z", "CVE-2026-1001", "CVE-2026-1002"),
		"e.json": worldKEV("2026-02-24T00:00:00Z", "CVE-2026-1002"),
		"f.csv":  "#model_version:v1,score_date:2026-02-20T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1001,0.1,0.5\n",
		"g.csv":  "#model_version:v1,score_date:2026-02-21T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1001,0.105,0.5\n",
		"h.csv":  "#model_version:v1,score_date:2026-02-22T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1001,0.4,0.9\n",
	}
	names := []string{"a.json", "b.json", "c.json", "d.json", "e.json", "f.csv", "g.csv", "h.csv"}
	orders := [][]int{{0, 1, 2, 3, 4, 5, 6, 7}, {1, 0, 4, 3, 2, 7, 6, 5}, {7, 2, 1, 4, 0, 3, 5, 6}, {4, 2, 3, 6, 7, 5, 0, 1}}
	storetest.Each(t, func(t *testing.T, place string) {
		var want map[string]string
		for i, order := range orders {
			at := place
			if !store.IsURL(place) {
				at = filepath.Join(place, sprintInt(i))
			} else if i > 0 {
				at = storetest.Postgres(t)
			}
			w := newWorld(t, at)
			w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
			w.importText("inventory.csv", worldInventory)
			for _, n := range order {
				w.importText(names[n], docs[names[n]])
			}
			got := w.hashes("events", "intakes", "cases", "editions", "publications")
			if want == nil {
				want = got
				continue
			}
			sameHashes(t, got, want, "order "+strings.TrimSpace(sprint(order)))
		}
	})
}

func TestRebuildAndRestore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		before := w.hashes("events")
		for range 2 {
			w.do(rebuildCmd{})
			sameHashes(t, w.hashes("events"), before, "after a rebuild")
		}
		before = w.hashes()
		file := filepath.Join(t.TempDir(), "hub.backup")
		w.do(&backupCmd{File: file})
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
			if _, err := o.run(vedette.Local()).sc.Restore(context.Background(), f); err != nil {
				t.Fatal(err)
			}
			sameHashes(t, o.hashes(), before, "restored on "+o.store.Engine())
			rows, err := o.run(vedette.Local()).sc.Search(context.Background(), "gateway", 10)
			if err != nil || len(rows) != 1 {
				t.Errorf("full text after a restore: %v, %v", rows, err)
			}
			o.importText("late.json", worldCVE("CVE-2026-1003", "2026-02-20T00:00:00Z", "9.1.4"))
			if len(o.join(vedette.Local(), "CVE-2026-1003").Constituents) != 2 {
				t.Error("the restored store does not go on")
			}
		}
	})
}

func localPrincipal() vedette.Principal { return vedette.Local() }

func postgresOr(t *testing.T) string {
	if os.Getenv("VEDETTE_TEST_PG") == "" {
		return ""
	}
	return storetest.Postgres(t)
}

func TestDamagedBackup(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.fill()
	file := filepath.Join(t.TempDir(), "hub.backup")
	w.do(&backupCmd{File: file})
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, b := range map[string][]byte{"empty": nil, "cut": whole[:len(whole)-7], "half": whole[:len(whole)/2], "flipped": flipped, "other": []byte(strings.Repeat("x", 100))} {
		o := newWorld(t, t.TempDir())
		_, err := o.run(vedette.Local()).sc.Restore(context.Background(), strings.NewReader(string(b)))
		if err == nil {
			t.Errorf("%s: restored", name)
		}
		for table, h := range o.hashes() {
			if strings.Trim(h, "0") != "" {
				t.Errorf("%s: wrote %s", name, table)
			}
		}
	}
}

// TestKEVRemoves: an entry that the catalogue silently drops keeps a tombstone;
// a broken catalogue changes nothing.
func TestKEVRemoves(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		before := w.hashes()
		whole := worldKEV("2026-02-25T00:00:00Z", "CVE-2026-1001", "CVE-2026-1002")
		for _, n := range []int{1, len(whole) / 3, len(whole) - 2} {
			r := w.run(vedette.Local())
			c := &importCmd{Files: []string{w.file("kev.json", whole[:n])}, As: "kev"}
			if err := c.Run(r); err != nil {
				t.Fatal(err)
			}
			if r.status != exitNo {
				t.Errorf("cut at %d: exit %d", n, r.status)
			}
		}
		sameHashes(t, w.hashes(), before, "after a truncated catalogue")
		w.importText("kev2.json", worldKEV("2026-02-26T00:00:00Z", "CVE-2026-1002"))
		x := w.join(vedette.Local(), "CVE-2026-1001").Exploited
		if len(x) != 1 || x[0].Ended.IsZero() {
			t.Errorf("no tombstone: %+v", x)
		}
	})
}

// TestUpgradeIsFixed: a later look that sees a fixed version closes the finding's evidence.
func TestUpgradeIsFixed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		w.importText("next.csv", strings.NewReplacer("9.1.3", "9.1.5", "2026-02-20", "2026-02-27").Replace(worldInventory))
		for _, c := range w.join(vedette.Local(), "CVE-2026-1001").Constituents {
			for _, h := range c.Hosts {
				want := vedette.Present
				switch h.Asset {
				case "vpn.alpha.example":
					want = vedette.Fixed
				case "":
					want = vedette.PresenceUndetermined
				}
				if h.Presence != want {
					t.Errorf("%s is %s, want %s", h.Asset, h.Presence, want)
				}
			}
		}
		before := w.hashes("events")
		w.do(rebuildCmd{})
		sameHashes(t, w.hashes("events"), before, "after a rebuild")
	})
}

func TestImportSaysWhat(t *testing.T) {
	w := newWorld(t, t.TempDir())
	var line collect.Result
	if err := json.Unmarshal([]byte(w.importText("two.jsonl", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4")+"{\"broken\n")), &line); err != nil {
		t.Fatal(err)
	}
	if line.Read != 1 || line.New != 1 || len(line.Refused) != 1 || !strings.Contains(line.Refused[0].Where, "2") {
		t.Errorf("%+v", line)
	}
}
