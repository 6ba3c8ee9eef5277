package lab

import (
	"net"
	"net/netip"
	"os"

	"github.com/vedette-hub/vedette"
)

// Layout says which addresses and ports the hosts of a lab get.
type Layout int

// The layouts.
const (
	Auto   Layout = iota // the first of the others that works here
	Real                 // as the file says: ports below 1024 need privileges
	High                 // every port below 1024 is 20,000 higher
	Single               // all on 127.0.0.1, on ports from 20,000: where no other address is configured
)

// String is its name.
func (l Layout) String() string { return [...]string{"auto", "real", "high", "single"}[l] }

const (
	highShift  = 20_000
	singleBase = 20_000
)

// BestLayout tries what this machine allows.
func BestLayout() Layout {
	if !canListen("127.20.0.2:0") {
		return Single
	}
	if os.Geteuid() == 0 || canListen("127.20.0.2:79") {
		return Real
	}
	return High
}

func canListen(addr string) bool {
	ln, err := net.Listen("tcp4", addr)
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

// At is where a port of a host is in the layout that runs.
func (in *Internet) At(addr netip.Addr, port int, proto string) netip.AddrPort {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.place(spot{addr.String(), port, proto})
}

// settled chooses the layout, when it was left open; the caller holds mu.
func (in *Internet) settled() Layout {
	if in.Layout == Auto {
		in.Layout = BestLayout()
	}
	return in.Layout
}

// place is At for who holds mu. A single address gives each spot the next port.
func (in *Internet) place(s spot) netip.AddrPort {
	in.settled()
	a := netip.MustParseAddr(s.addr)
	switch {
	case in.Layout == High && s.port < 1024:
		return netip.AddrPortFrom(a, uint16(s.port+highShift))
	case in.Layout != Single:
		return netip.AddrPortFrom(a, uint16(s.port))
	}
	if len(in.spread) == 0 {
		in.spreadOut()
	}
	return in.spreadTo(s)
}

// spreadOut gives what the file names its ports in the order of the file, so
// that every process gives the same.
func (in *Internet) spreadOut() {
	if a, err := netip.ParseAddrPort(in.d.Resolver); err == nil {
		in.spreadTo(spot{a.Addr().String(), int(a.Port()), "both"})
	}
	for _, h := range in.d.Hosts {
		for _, v := range h.Service {
			in.spreadTo(spot{h.Address, v.Port, v.Proto})
		}
	}
	for _, h := range in.d.Hosts {
		more, _ := ports(h.Middlebox)
		for _, p := range more {
			in.spreadTo(spot{h.Address, p, "tcp"})
		}
	}
	tcp, udp := in.wirePorts()
	for _, a := range in.d.Tripwire.Addresses {
		for _, p := range tcp {
			in.spreadTo(spot{a, p, "tcp"})
		}
		for _, p := range udp {
			in.spreadTo(spot{a, p, "udp"})
		}
	}
}

// spreadTo is the port of a spot, the next one when it has none.
func (in *Internet) spreadTo(s spot) netip.AddrPort {
	at, ok := in.spread[s]
	if !ok {
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(singleBase+len(in.spread)))
		in.spread[s] = at
	}
	return at
}

// addURLs adds to the scope the URLs of names whose ports are not the usual ones.
func (in *Internet) addURLs(c *vedette.Constituent) error {
	for _, r := range in.reach(*c) {
		if r.entry.Domain == "" || r.name == "" || r.svc.Kind != "http" {
			continue
		}
		e := r.entry
		e.Domain, e.Subdomains = "", false
		scheme := "http"
		if r.svc.TLS != nil {
			scheme = "https"
		}
		e.URL = scheme + "://" + netJoin(r.name, int(r.at.Port())) + "/"
		c.Scope = append(c.Scope, e)
	}
	return nil
}
