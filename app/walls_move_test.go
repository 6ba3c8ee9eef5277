package app

import (
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestWallsWhenAnAssetMoves: what one constituent stated of an asset, and what
// was narrowed to a person, does not go to the next owner; what the hub saw does.
func TestWallsWhenAnAssetMoves(t *testing.T) {
	inventory := func(version, seen string) string {
		return "asset,port,proto,vendor,product,version,seen\nmove.example,443,tcp,examplesoft,access_gateway," + version + "," + seen + "T08:00:00Z\n"
	}
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.do(&constituentApply{File: w.file("c.yaml", worldConstituency)})
		max := vedette.Principal{Name: "max", Roles: []vedette.Role{vedette.Manager}, Constituents: []string{"alpha"}}
		bea := vedette.Principal{Name: "bea", Roles: []vedette.Role{vedette.Manager}, Constituents: []string{"bravo"}}
		ana := vedette.Principal{Name: "ana", Roles: []vedette.Role{vedette.Analyst}}
		w.importText("cve.json", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4"))
		w.take(taken{name: "claim.csv", text: inventory("9.0.1", "2026-02-01"), constituent: "alpha", by: &max})
		w.take(taken{name: "hub.csv", text: inventory("9.0.2", "2026-02-02"), constituent: "bravo"})
		w.take(taken{name: "red.csv", text: inventory("9.0.3", "2026-02-03"), constituent: "bravo", marking: "red", audience: "person:ana"})
		check := func(when string, p vedette.Principal, see string, not ...string) {
			t.Helper()
			out, errs, _ := w.call(p, "cve show", "CVE-2026-1001 --all", "json")
			if see != "" && !strings.Contains(out, see) {
				t.Errorf("%s: %s does not see %s: %s", when, p.Name, see, errs)
			}
			for _, n := range not {
				if strings.Contains(out, n) {
					t.Errorf("%s: %s sees %s", when, p.Name, n)
				}
			}
		}
		// who claims first owns nothing: the hub's look is for whom the hub names
		check("claimed", max, "9.0.1", "9.0.2", "9.0.3")
		check("claimed", bea, "9.0.2", "9.0.1", "9.0.3")
		to := func(scope string) {
			w.do(&constituentApply{File: w.file("c.yaml", strings.Replace(worldConstituency, scope, scope+"\n      - {domain: move.example, authorised_by: O. Officer, document: contract}", 1))})
		}
		to("contract B}")
		check("Bravo's scope", max, "9.0.1", "9.0.2", "9.0.3")
		check("Bravo's scope", bea, "9.0.2", "9.0.1", "9.0.3")
		to("contract A}")
		check("Alpha's scope", max, "9.0.2", "9.0.3")
		check("Alpha's scope", bea, "", "9.0.1", "9.0.2", "9.0.3")
		check("Alpha's scope", ana, "9.0.3")
		before := w.hashes("events")
		w.do(rebuildCmd{})
		sameHashes(t, w.hashes("events"), before, "after a rebuild")
		check("rebuilt", max, "9.0.2", "9.0.3")
		check("rebuilt", bea, "", "9.0.1", "9.0.2", "9.0.3")
		check("rebuilt", ana, "9.0.3")
	})
}
