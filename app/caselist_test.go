package app

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestCaseLists: pages of any size are one list, the nearest deadline first;
// filters narrow it; counting agrees.
func TestCaseLists(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := manyCases(t, place)
		ctx := context.Background()
		manager := vedette.Principal{Name: "manager", Roles: []vedette.Role{vedette.Manager}, Constituents: []string{"bravo"}}
		list := func(p vedette.Principal, f store.CaseFilter) (out []string) {
			t.Helper()
			var last time.Time
			for {
				cs, next, err := w.run(p).sc.Cases(ctx, f)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range cs {
					if c.Deadline.Before(last) || c.Deadline.IsZero() {
						t.Errorf("%s is due %s, after %s", c.ID, c.Deadline, last)
					}
					out, last = append(out, c.ID), c.Deadline
				}
				if f.After = next; next == "" {
					break
				}
			}
			f.After = ""
			if n, more, err := w.run(p).sc.CountCases(ctx, f); err != nil || more || n != len(out) {
				t.Errorf("%+v: counted %d, listed %d, %v", f, n, len(out), err)
			}
			return out
		}
		all := list(lea, store.CaseFilter{})
		if len(all) != 24 {
			t.Fatalf("%d cases", len(all))
		}
		for _, limit := range []int{1, 2, 5, 23, 24, 25} {
			if got := list(lea, store.CaseFilter{Limit: limit}); fmt.Sprint(got) != fmt.Sprint(all) {
				t.Errorf("by %d: %v, want %v", limit, got, all)
			}
		}
		who, nobody := "analyst", ""
		if _, _, _, err := w.run(lea).sc.SetCases(ctx, all[:3], store.CaseChange{Assignee: &who}); err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]struct {
			p    vedette.Principal
			f    store.CaseFilter
			want int
		}{
			"own":              {manager, store.CaseFilter{}, 12},
			"own, by pages":    {manager, store.CaseFilter{Limit: 5}, 12},
			"a constituent":    {lea, store.CaseFilter{Constituent: "alpha"}, 12},
			"a weakness":       {lea, store.CaseFilter{Weakness: "CVE-2026-2003"}, 2},
			"an assignee":      {lea, store.CaseFilter{Assignee: &who}, 3},
			"nobody":           {lea, store.CaseFilter{Assignee: &nobody}, 21},
			"triaged":          {lea, store.CaseFilter{State: vedette.CaseTriaged}, 0},
			"to check":         {lea, store.CaseFilter{ToCheck: true}, 0},
			"overdue":          {lea, store.CaseFilter{Due: w.clock}, 24},
			"due long ago":     {lea, store.CaseFilter{Due: w.clock.AddDate(-1, 0, 0)}, 0},
			"an id":            {lea, store.CaseFilter{Text: "cve-2026-2003"}, 2},
			"words":            {lea, store.CaseFilter{Text: "runs code"}, 24},
			"no such words":    {lea, store.CaseFilter{Text: "nobody wrote this"}, 0},
			"a host":           {lea, store.CaseFilter{Text: "vpn.alpha.example"}, 12},
			"a host of others": {manager, store.CaseFilter{Text: "vpn.alpha.example"}, 0},
			"a product":        {lea, store.CaseFilter{Product: "access gateway"}, 24},
			"with its vendor":  {lea, store.CaseFilter{Product: "Examplesoft/Access Gateway"}, 24},
			"another vendor":   {lea, store.CaseFilter{Product: "Otherware/Access Gateway"}, 0},
			"another product":  {lea, store.CaseFilter{Product: "shell_server"}, 0},
		} {
			if got := list(c.p, c.f); len(got) != c.want {
				t.Errorf("%s: %d, want %d", what, len(got), c.want)
			}
		}
		if _, _, err := w.run(lea).sc.Cases(ctx, store.CaseFilter{After: "not a cursor"}); err == nil {
			t.Error("any text is a cursor")
		}
	})
}

// manyCases has twelve weaknesses at two constituents, each exploited since a day of its own.
func manyCases(t *testing.T, place string) *world {
	w := newWorld(t, place)
	w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
	w.importText("inventory.csv", worldInventory)
	var cves strings.Builder
	var ids []string
	for i := range 12 {
		ids = append(ids, fmt.Sprintf("CVE-2026-%d", 2000+i))
		cves.WriteString(worldCVE(ids[i], "2026-02-02T00:00:00Z", "9.1.4"))
	}
	w.importText("cves.jsonl", cves.String())
	for i, id := range ids { // each from a day of its own
		w.importText("k.json", strings.ReplaceAll(worldKEV(fmt.Sprintf("2026-02-20T%02d:00:00Z", i), ids[:i+1]...), `"`+id+`","vendorProject":"Examplesoft","product":"Access Gateway","vulnerabilityName":"Examplesoft Access Gateway Code Execution","dateAdded":"2026-02-18"`, `"`+id+`","vendorProject":"Examplesoft","product":"Access Gateway","vulnerabilityName":"Examplesoft Access Gateway Code Execution","dateAdded":"2026-02-`+fmt.Sprint(10+i)+`"`))
	}
	return w
}
