package lab

import (
	"math/rand/v2"
	"net/netip"
	"sync"

	"github.com/vedette-hub/vedette"
)

// Drop says which connects of a dialer are lost as on a bad network: all to
// filtered ports, and of the others the given share, 0 to 1. The same seed loses
// the same ones of the same sequence. It is for safe.Dialer.Drop.
func (in *Internet) Drop(share float64, seed uint64) func(vedette.Target) bool {
	filtered := map[netip.AddrPort]bool{}
	in.mu.Lock()
	for _, h := range in.d.Hosts {
		for _, s := range h.Service {
			if s.Filtered {
				filtered[in.place(spot{h.Address, s.Port, s.Proto})] = true
			}
		}
	}
	in.mu.Unlock()
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 0))
	return func(t vedette.Target) bool {
		if filtered[t.Addr] {
			return true
		}
		mu.Lock()
		defer mu.Unlock()
		return r.Float64() < share
	}
}
