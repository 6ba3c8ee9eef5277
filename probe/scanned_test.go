package probe

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// TestSilence: silent ports prove absence where the path works and the host
// still answers, and nothing elsewhere.
func TestSilence(t *testing.T) {
	a := netip.MustParseAddr("127.0.0.1")
	for _, c := range []struct {
		s      safe.Scanned
		path   bool
		looked string
		missed int
	}{
		{safe.Scanned{Addr: a, Open: []uint16{22}, Closed: []uint16{23}, Silent: []uint16{80, 81}}, true, "[23 80 81]", 0},
		{safe.Scanned{Addr: a, Silent: []uint16{80}}, true, "[80]", 0},
		{safe.Scanned{Addr: a, Silent: []uint16{80}, Why: "no route to host"}, false, "[]", 1},
		{safe.Scanned{Addr: a, Open: []uint16{22}, Closed: []uint16{23}, Silent: []uint16{80}, Mute: true}, true, "[23]", 1},
		{safe.Scanned{Addr: a}, false, "[]", 0}, // nothing was allowed
	} {
		l := &looker{at: time.Unix(0, 0)}
		x := l.asset(vedette.Asset{ID: a.String(), Kind: vedette.AddressAsset})
		x.scanned(c.s, c.path)
		if got := fmt.Sprint(x.ports["tcp"]); got != c.looked || len(x.look.Missed) != c.missed {
			t.Errorf("%+v: looked at %s, missed %v", c.s, got, x.look.Missed)
		}
	}
}
