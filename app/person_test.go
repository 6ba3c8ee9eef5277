package app

import (
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestByHand: what a person states is a document like any other: it makes
// findings, survives a rebuild and is undone by its opposite.
func TestByHand(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.fill()
		w.do(&findingAdd{Weakness: "check:default-password", Asset: "vpn.alpha.example", Port: 8443, Proto: "tcp", Verdict: "confirmed", Reason: "logged in with the owner"})
		w.do(&findingAdd{Weakness: "cve-2026-1001", Asset: "192.0.2.71", Verdict: "likely", Proto: "tcp", Reason: "the vendor says so"})
		hosts := func() map[string]vedette.Verdict {
			out := map[string]vedette.Verdict{}
			for _, c := range w.join(vedette.Local(), "CVE-2026-1001").Constituents {
				for _, h := range c.Hosts {
					out[h.Asset] = h.Verdict
				}
			}
			return out
		}
		if v := hosts()["192.0.2.71"]; v != vedette.Likely {
			t.Errorf("the stated finding is %q", v)
		}
		// a newer record of the vulnerability leaves the statement alone
		w.importText("newer.json", worldCVE("CVE-2026-1001", "2026-02-25T00:00:00Z", "9.1.4"))
		if v := hosts()["192.0.2.71"]; v != vedette.Likely {
			t.Errorf("after a newer record the stated finding is %q", v)
		}
		w.importText("appliance.csv", "asset,constituent,vendor,product,version,seen\nbox.bravo.example,bravo,boxmaker,gate 9000,9.1.0,2026-02-26T00:00:00Z\n")
		if v, ok := hosts()["box.bravo.example"]; ok {
			t.Errorf("another name matched by itself: %s", v)
		}
		name := productDecide{Name: "boxmaker/gate 9000", Other: "examplesoft/access_gateway", Reason: "the appliance runs it"}
		w.do(&productAccept{name})
		if v := hosts()["box.bravo.example"]; v != vedette.Confirmed {
			t.Errorf("after the alias: %q", v)
		}
		before := w.hashes("events")
		w.do(rebuildCmd{})
		sameHashes(t, w.hashes("events"), before, "after a rebuild")
		w.clock = w.clock.AddDate(0, 0, 1)
		w.do(&productReject{name})
		if v, ok := hosts()["box.bravo.example"]; ok {
			t.Errorf("the names are parted and still match: %s", v)
		}
		before = w.hashes("events")
		w.do(rebuildCmd{})
		sameHashes(t, w.hashes("events"), before, "after the second rebuild")
	})
}
