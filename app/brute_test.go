package app

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/store"
)

// place1 is a port of an asset.
type place1 struct {
	asset string
	port  int
}

// running is what runs at a place, as the oracle reads it from the records.
type running struct{ product, version string }

// TestJoinEqualsBruteForce compares every finding of a slice of an estate with
// the oracle's answer, over all real records.
func TestJoinEqualsBruteForce(t *testing.T) {
	data := os.Getenv("VEDETTE_TEST_DATA")
	if data == "" {
		t.Skip("VEDETTE_TEST_DATA is not set: no real records to join")
	}
	cves, nvds := filepath.Join(data, "vuln", "cve5-vulnrichment.jsonl.gz"), filepath.Join(data, "vuln", "nvd-cpe-configurations-anchore.jsonl.gz")
	o := newOracle(t)
	readLines(t, cves, o.cve)
	readLines(t, nvds, o.nvd)
	names, borders := o.products()
	if len(names) < 200 {
		t.Fatalf("the oracle can judge only %d products", len(names))
	}
	names = names[:200]
	added := conditional(o, names, borders)
	for _, line := range strings.Split(strings.TrimSpace(added), "\n") {
		o.nvd([]byte(line))
	}

	w := newWorld(t, t.TempDir())
	w.do(&importCmd{Files: []string{cves, nvds}})
	w.importText("conditional.jsonl", added)
	slice := lab.Estate{Seed: 7, Constituents: 3, Assets: 2000, Services: 20_000, Plain: true, Current: 0.15, Products: sliceProducts(o, names, borders)}.Build()
	sc, err := LabScope(context.Background(), w.store, vedette.Local())
	if err != nil {
		t.Fatal(err)
	}
	if err := ApplyLab(context.Background(), sc, slice); err != nil {
		t.Fatal(err)
	}
	if _, err := TakeSurvey(context.Background(), sc, slice, nil); err != nil {
		t.Fatal(err)
	}
	if err := NewLine(w.store).Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	compareJoin(t, o, services(t, slice), found1(t, w))
}

// sliceProducts are the oracle's products with versions at, before and after
// every border, all with as many numbers as the longest border: how a shortened
// version is judged is another test's.
func sliceProducts(o *oracle, names []string, borders map[string][]string) []lab.Product {
	var out []lab.Product
	for i, name := range names {
		width := 3
		for _, b := range borders[name] {
			width = max(width, len(numbers(b)))
		}
		seen := map[string]bool{}
		for _, b := range borders[name] {
			n := numbers(b)
			for len(n) < width {
				n = append(n, 0)
			}
			last := len(n) - 1
			for _, d := range []int{-1, 0, 1} {
				m := slices.Clone(n)
				if m[last] += d; m[last] >= 0 {
					seen[dots(m)] = true
				}
			}
		}
		p := lab.Product{Vendor: o.raw[name][0], Product: o.raw[name][1], CPE: o.raw[name][2], Service: "http", Port: 1000 + i, Weight: 1}
		for v := range seen {
			p.Versions = append(p.Versions, v)
		}
		slices.SortFunc(p.Versions, order)
		out = append(out, p)
	}
	return out
}

func dots(n []int) string {
	s := make([]string, len(n))
	for i := range n {
		s[i] = strconv.Itoa(n[i])
	}
	return strings.Join(s, ".")
}

// conditional makes records with AND and with negated nodes, which the real
// ones have of devices and systems only.
func conditional(o *oracle, names []string, borders map[string][]string) string {
	var cpes []string
	for _, n := range names {
		if o.raw[n][2] != "" && len(borders[n]) > 2 {
			cpes = append(cpes, n)
		}
	}
	var b strings.Builder
	for i := range 60 {
		a, c := cpes[i*7%len(cpes)], cpes[(i*13+5)%len(cpes)]
		if a == c {
			continue
		}
		end := func(n string) string { bs := borders[n]; return bs[i%len(bs)] }
		fmt.Fprintf(&b, `{"_annotation":{"cve_id":"CVE-2026-%d","published":"2026-01-01T00:00:00","modified":"2026-01-01T00:00:00"},"cve":{"configurations":[{"operator":"AND","nodes":[{"operator":"OR","negate":false,"cpeMatch":[{"vulnerable":true,"criteria":"%s:*:*:*:*:*:*:*:*","versionEndIncluding":%q}]},{"operator":"OR","negate":%t,"cpeMatch":[{"vulnerable":false,"criteria":"%s:*:*:*:*:*:*:*:*","versionEndExcluding":%q}]}]}]}}`+"\n",
			90000+i, o.raw[a][2], end(a), i%3 == 0, o.raw[c][2], end(c))
	}
	return b.String()
}

// services reads what runs where from the records of the survey.
func services(t *testing.T, w *lab.World) map[place1]running {
	out := map[place1]running{}
	for i := range w.Constituents {
		if err := w.Survey(i, lab.Inventory, func(body []byte) error {
			var r struct {
				Asset string `json:"asset"`
				Rows  []struct {
					Port     int `json:"port"`
					Software struct{ Vendor, Product, Version string }
				} `json:"rows"`
			}
			if err := json.Unmarshal(body, &r); err != nil {
				return err
			}
			for _, row := range r.Rows {
				out[place1{r.Asset, row.Port}] = running{squash(row.Software.Vendor) + " " + squash(row.Software.Product), row.Software.Version}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// found1 are the findings of the store on assets.
func found1(t *testing.T, w *world) map[place1]map[string]bool {
	sc := w.run(vedette.Local()).sc
	out := map[place1]map[string]bool{}
	for after := int64(0); ; {
		fs, next, err := sc.Findings(context.Background(), store.FindingFilter{After: after, Limit: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fs {
			k := place1{f.Asset, f.Port}
			if out[k] == nil {
				out[k] = map[string]bool{}
			}
			out[k][f.Weakness] = true
		}
		if next == 0 {
			return out
		}
		after = next
	}
}

func compareJoin(t *testing.T, o *oracle, at map[place1]running, have map[place1]map[string]bool) {
	on := map[string]map[string][]string{}
	for p, r := range at {
		if on[p.asset] == nil {
			on[p.asset] = map[string][]string{}
		}
		on[p.asset][r.product] = append(on[p.asset][r.product], r.version)
	}
	of := map[string][]string{} // vulnerabilities by product
	for cve, ms := range o.entries {
		for _, m := range ms {
			if l := of[m.product]; len(l) == 0 || l[len(l)-1] != cve {
				of[m.product] = append(l, cve)
			}
		}
	}
	judged, yes, conditions, wrong := 0, 0, 0, 0
	for p, r := range at {
		for _, cve := range of[r.product] {
			want, ok := o.affected(cve, r.product, r.version, on[p.asset])
			if !ok {
				continue
			}
			judged++
			if strings.HasPrefix(cve, "CVE-2026-9") {
				conditions++
			}
			if want {
				yes++
			}
			if got := have[p][cve]; got != want {
				if wrong++; wrong <= 20 {
					t.Errorf("%s on %s port %d, %s %s: finding %t, the oracle says %t", cve, p.asset, p.port, r.product, r.version, got, want)
				}
			}
		}
	}
	t.Logf("%d services, %d answers compared, %d of them yes, %d of conditions, %d differ", len(at), judged, yes, conditions, wrong)
	if judged < 20_000 || yes < 1000 || conditions < 100 {
		t.Error("too little was compared to mean anything")
	}
}
