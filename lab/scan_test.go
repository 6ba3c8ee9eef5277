package lab

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
)

// loopbackPace is as fast as it goes.
var loopbackPace = safe.Pace{Connects: 1e9, Requests: 1e9, PerNetwork: 1e9, Constituent: 1e9}

// TestScanThousand: a scan of a thousand hosts finds what listens and nothing
// else, on a good path and on one that loses every twentieth connect.
func TestScanThousand(t *testing.T) {
	in, err := ThousandAt(block()+51, 1000)
	if err != nil {
		t.Fatal(err)
	}
	in.Layout = High
	serve(t, in)
	cs, err := in.Constituency()
	if err != nil {
		t.Fatal(err)
	}
	rules := scope.NewRules(cs[0], nil, true, at(2026))
	sc := safe.Scan{Class: vedette.Active, Timeout: 500 * time.Millisecond}
	want := map[netip.Addr][]uint16{}
	for _, h := range in.d.Hosts {
		sc.Addresses = append(sc.Addresses, h.addr())
		for _, s := range h.Service {
			p := in.At(h.addr(), s.Port, s.Proto).Port()
			want[h.addr()] = append(want[h.addr()], p)
			if !slices.Contains(sc.Ports, p) {
				sc.Ports = append(sc.Ports, p)
			}
		}
		slices.Sort(want[h.addr()])
	}
	for _, loss := range []float64{0, 0.05} {
		d := safe.NewDialer(true)
		d.Drop = in.Drop(loss, 1)
		refused := 0
		b := d.Scope(rules.Decide, func(vedette.Target, error) { refused++ }, safe.NewBrakes(loopbackPace))
		start, n := time.Now(), 0
		if err := b.Scan(t.Context(), sc, func(s safe.Scanned) {
			n++
			if !slices.Equal(s.Open, want[s.Addr]) || len(s.Silent) > 0 || len(s.Closed) != len(sc.Ports)-len(s.Open) {
				t.Errorf("loss %v: %+v, %v listen", loss, s, want[s.Addr])
			}
		}); err != nil {
			t.Fatal(err)
		}
		t.Logf("loss %v: %d hosts, %d connects in %s", loss, n, b.Sent(), time.Since(start))
		if n != 1000 || refused > 0 || b.Sent() < int64(n*len(sc.Ports)) || b.Sent() != d.Sent().Of(safe.ModeScope) {
			t.Errorf("%d hosts, %d refused, %d sent, %d by mode", n, refused, b.Sent(), d.Sent().Of(safe.ModeScope))
		}
	}
}

// scanned are listeners on 32 addresses of two networks, on one port.
type scanned struct {
	port  uint16
	addrs []netip.Addr
	came  []atomic.Int64
}

func scannedHosts(t *testing.T) *scanned {
	s := &scanned{came: make([]atomic.Int64, 32)}
	for i := range 32 {
		s.addrs = append(s.addrs, netip.AddrFrom4([4]byte{127, byte(block() + 52), byte(i / 16), byte(1 + i%16)}))
		ln, err := net.Listen("tcp", netip.AddrPortFrom(s.addrs[i], s.port).String())
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { ln.Close() })
		s.port = netip.MustParseAddrPort(ln.Addr().String()).Port()
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				s.came[i].Add(1)
				c.Close()
			}
		}()
	}
	return s
}

// drawScope makes up entries that hold some of the addresses.
func (s *scanned) drawScope(t *rapid.T, what string, most int) []vedette.ScopeEntry {
	var out []vedette.ScopeEntry
	for range rapid.IntRange(0, most).Draw(t, what) {
		a := rapid.SampledFrom(s.addrs).Draw(t, "address")
		p, _ := a.Prefix(rapid.SampledFrom([]int{32, 32, 31, 30, 29, 28, 24, 16}).Draw(t, "bits"))
		e := vedette.ScopeEntry{CIDR: p.String(), AuthorisedBy: "somebody", Document: "D-1",
			ValidUntil: rapid.SampledFrom([]string{"", "2026-11-20", "2026-11-21", "2027-01-01", "no day"}).Draw(t, "until"),
			Classes:    rapid.SampledFrom([][]vedette.CheckClass{nil, {vedette.Passive}, {vedette.Active}, {vedette.Passive, vedette.Active}}).Draw(t, "classes")}
		if rapid.IntRange(0, 9).Draw(t, "domain") == 0 { // a name authorises no scan
			e.CIDR, e.Domain, e.Subdomains = "", "alpha.example", true
		}
		out = append(out, e)
	}
	return out
}

// TestScanKeepsToTheScope: of mixed addresses exactly those are connected to
// that an entry in force for active checks holds and nothing shuts out.
func TestScanKeepsToTheScope(t *testing.T) {
	s := scannedHosts(t)
	now := at(2026)() // 21 November
	rapid.Check(t, func(rt *rapid.T) {
		c := vedette.Constituent{ID: "alpha", Scope: s.drawScope(rt, "scope", 4), Exclude: s.drawScope(rt, "exclude", 2)}
		var outs []vedette.OptOut
		for _, e := range s.drawScope(rt, "opt-outs", 1) {
			if e.CIDR != "" && e.ValidUntil != "no day" {
				outs = append(outs, vedette.OptOut{What: e.CIDR, Until: e.ValidUntil})
			}
		}
		holds := func(cidr string, a netip.Addr) bool { return cidr != "" && netip.MustParsePrefix(cidr).Contains(a) }
		valid := func(day string) bool { return day == "" || day == "2026-11-21" || day == "2027-01-01" }
		may := func(a netip.Addr) bool {
			return slices.ContainsFunc(c.Scope, func(e vedette.ScopeEntry) bool {
				return holds(e.CIDR, a) && valid(e.ValidUntil) && slices.Contains(e.Classes, vedette.Active)
			}) && !slices.ContainsFunc(c.Exclude, func(e vedette.ScopeEntry) bool { return holds(e.CIDR, a) }) &&
				!slices.ContainsFunc(outs, func(o vedette.OptOut) bool { return holds(o.What, a) && valid(o.Until) })
		}
		rules := scope.NewRules(c, outs, true, func() time.Time { return now })
		rule := map[netip.Addr]string{}
		b := safe.NewDialer(true).Scope(rules.Decide, func(t vedette.Target, err error) {
			var r *scope.Refused
			if errors.As(err, &r) {
				rule[t.Addr.Addr()] = r.Rule
			}
		}, safe.NewBrakes(loopbackPace))
		before := make([]int64, len(s.addrs))
		for i := range s.addrs {
			before[i] = s.came[i].Load()
		}
		foreign := netip.MustParseAddr("192.0.2.1")
		sc := safe.Scan{Addresses: append(slices.Clone(s.addrs), foreign), Ports: []uint16{s.port}, Class: vedette.Active}
		open := map[netip.Addr]bool{}
		if err := b.Scan(t.Context(), sc, func(x safe.Scanned) { open[x.Addr] = len(x.Open) == 1 }); err != nil {
			rt.Fatal(err)
		}
		sent := int64(0)
		for i, a := range s.addrs {
			until := time.Now().Add(2 * time.Second)
			for may(a) && s.came[i].Load() == before[i] && time.Now().Before(until) {
				time.Sleep(time.Millisecond) // accept hears of it later
			}
			came := s.came[i].Load() - before[i]
			if may(a) {
				sent++
			}
			if may(a) != (came == 1) || may(a) != open[a] || may(a) == (rule[a] != "") || came > 1 {
				rt.Errorf("%s: allowed %t, %d connections, open %t, refused by %q", a, may(a), came, open[a], rule[a])
			}
		}
		if rule[foreign] != scope.RuleLab || b.Sent() != sent {
			rt.Errorf("%s was refused by %q; %d of %d sent", foreign, rule[foreign], b.Sent(), sent)
		}
	})
}
