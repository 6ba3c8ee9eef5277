package app

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestFormatsSayWhatTheLabMakesUp: the records are those of existing formats,
// which a rebuild reads again.
func TestFormatsSayWhatTheLabMakesUp(t *testing.T) {
	w := lab.Estate{Seed: 5, Constituents: 5, Assets: 200, Services: 2000}.Build()
	_, services := w.Counts()
	seen, resolved := 0, 0
	for i := range w.Constituents {
		for _, name := range lab.Formats {
			f, err := read.ByName(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Survey(i, name, func(body []byte) error {
				said, err := f.Say(body)
				if err != nil {
					return err
				}
				if len(said.Coverage) != 1 {
					t.Errorf("%d coverages in %s", len(said.Coverage), body)
				}
				for _, o := range said.Observations {
					if o.Check == "resolves" {
						resolved++
					} else {
						seen++
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if seen != services || resolved == 0 {
		t.Errorf("%d of %d services seen, %d names resolved", seen, services, resolved)
	}
}

// TestLabIsForNewStores: made-up data goes into a store that was stamped while it was empty.
func TestLabIsForNewStores(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.importText("tracker.json", debianTracker)
		for _, c := range []command{&labInit{}, &labEstate{Constituents: 3, Assets: 30, Services: 300}} {
			if err := c.Run(w.run(vedette.Local())); !errors.Is(err, vedette.ErrRefused) {
				t.Errorf("%T on a store in use: %v", c, err)
			}
		}
	})
}

// TestLabEstate: the same day again changes nothing; the next day changes what changed.
func TestLabEstate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.do(&labInit{})
		w.importText("tracker.json", debianTracker) // what there is to match comes in before or after
		w.do(&labEstate{Seed: 1, Constituents: 5, Assets: 100, Services: 1000, Scores: 100})
		n, err := w.store.System().Size(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if n["assets"] < 100 || n["observations"] < 1000 {
			t.Errorf("%v", n)
		}
		world := lab.Estate{Seed: 1, Constituents: 5, Assets: 100, Services: 1000}.Build()
		sc, err := LabScope(context.Background(), w.store, vedette.Local())
		if err != nil {
			t.Fatal(err)
		}
		counts, err := TakeSurvey(context.Background(), sc, world, nil)
		if err != nil || counts.New+counts.Changed > 0 {
			t.Errorf("the same day again: %+v, %v", counts, err)
		}
		day := world.Next()
		counts, err = TakeSurvey(context.Background(), sc, world, nil)
		if most := 2 * (day.Upgraded + day.Appeared + day.Vanished); err != nil || counts.New+counts.Changed == 0 || counts.New+counts.Changed > most {
			t.Errorf("the next day, with %+v: %+v, %v", day, counts, err)
		}
	})
}

// debianTracker has one fix ported back, one release without a fix, and one that never had the flaw.
const debianTracker = `{"openssh": {"CVE-2031-0101": {"description": "A flaw before 9.6.", "releases": {
  "bullseye": {"status": "resolved", "repositories": {"bullseye": "1:8.4p1-5+deb11u3"}, "fixed_version": "1:8.4p1-5+deb11u3", "urgency": "high"},
  "bookworm": {"status": "open", "repositories": {"bookworm": "1:9.2p1-2+deb12u2"}, "urgency": "high"},
  "trixie": {"status": "resolved", "repositories": {"trixie": "1:9.7p1-1"}, "fixed_version": "0", "urgency": "high"}}}}}`

// upstreamRange says that every version before 9.6 is affected.
const upstreamRange = `{"_annotation":{"cve_id":"CVE-2031-0101","published":"2031-01-01T00:00:00","modified":"2031-01-01T00:00:00"},"cve":{"configurations":[{"nodes":[{"cpeMatch":[{"criteria":"cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*","vulnerable":true,"versionEndExcluding":"9.6"}],"operator":"OR"}]}]}}
`

// backports are hosts with what the tracker lets conclude of them.
var backports = []struct{ asset, row, verdict, reason string }{
	{"fixed.alpha.example", "openssh,1:8.4p1-5+deb11u3,,Debian:11,", "fixed by backport", "1:8.4p1-5+deb11u3"},
	{"later.alpha.example", "openssh,1:8.4p1-5+deb11u5,,Debian:11,", "fixed by backport", "1:8.4p1-5+deb11u3"},
	{"older.alpha.example", "openssh,1:8.4p1-5+deb11u2,,Debian:11,", "confirmed", ""},
	{"open.alpha.example", "openssh,1:9.2p1-2+deb12u9,,Debian:12,", "confirmed", ""},
	{"never.alpha.example", "openssh,1:9.7p1-1,,Debian:13,", "not affected", ""},
	{"plain.alpha.example", "openssh,8.4p1,openbsd,,", "confirmed", ""},
}

// TestBackports goes the public way: the tracker and an inventory are imported,
// and cve show says what makes a finding and what is left out.
func TestBackports(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.do(&constituentApply{File: w.file("constituency.yaml", worldConstituency)})
	w.importText("tracker.json", debianTracker)
	w.importText("ranges.jsonl", upstreamRange)
	rows := "asset,constituent,product,version,vendor,ecosystem,package_version\n"
	for _, b := range backports {
		rows += b.asset + ",alpha," + b.row + "\n"
	}
	w.importText("hosts.csv", rows)
	r := w.run(vedette.Local())
	j, err := r.line.join(r.ctx, r.sc, "CVE-2031-0101")
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]vedette.JoinHost{}
	for _, h := range j.LeftOut {
		at[h.Asset] = h
	}
	for _, c := range j.Constituents {
		for _, h := range c.Hosts {
			at[h.Asset] = h
		}
	}
	for _, b := range backports {
		h, ok := at[b.asset]
		if string(h.Verdict) != b.verdict || !strings.Contains(strings.Join(h.Reasons, "; "), b.reason) {
			t.Errorf("%s: %q because %q (listed: %t), want %q", b.asset, h.Verdict, h.Reasons, ok, b.verdict)
		}
	}
}
