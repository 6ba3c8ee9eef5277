package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
)

// serverOn is a name server of zones on an address of its own; it returns its port.
func serverOn(t *testing.T, addr string, zones ...lab.Zone) uint16 {
	t.Helper()
	d, err := lab.ServeDNS(t.Context(), addr, zones...)
	if err != nil {
		t.Skipf("this machine has no %s: %v", addr, err)
	}
	return netip.MustParseAddrPort(d.Addr()).Port()
}

func TestZoneTransfer(t *testing.T) {
	zone := lab.Zone{Origin: "north.example", AXFR: true, Records: []string{"@ IN NS ns1", "@ IN NS ns2.south.example.", "@ IN NS ns3", "@ IN NS gone.south.example.",
		"ns1 IN A 127.0.7.53", "ns3 IN A 127.0.7.54", "secret IN A 127.0.7.99"}}
	for i := range 300 {
		zone.Records = append(zone.Records, fmt.Sprintf("h%03d IN A 127.0.7.9", i))
	}
	shut := zone
	shut.AXFR = false
	south := lab.Zone{Origin: "south.example", AXFR: true, Records: []string{"@ IN NS ns2", "ns2 IN A 127.0.9.53"}}
	w := newDNSWorld(t, zone, south)
	port := serverOn(t, "127.0.7.53:0", zone)
	serverOn(t, fmt.Sprintf("127.0.9.53:%d", port), zone, south) // outside of the scope
	serverOn(t, fmt.Sprintf("127.0.7.54:%d", port), shut)
	check := zoneTransfer(port)

	seen := w.must(check, "north.example")
	goldenDNS(t, "axfr-north.example", seen)
	for _, a := range w.allowed {
		if a.Addr.Addr() == netip.MustParseAddr("127.0.9.53") {
			t.Error("a server outside of the scope was asked")
		}
	}
	if len(w.refused) == 0 {
		t.Error("nobody heard of the refusal")
	}

	if err := w.dns.Set(shut); err != nil {
		t.Fatal(err)
	}
	w.renew()
	closed := zoneTransfer(port + 1) // nothing listens
	if seen, err := w.look(t.Context(), closed, "north.example"); err != nil || len(seen) != 0 {
		t.Errorf("closed ports: %v, %v", seen, err)
	}
	if seen, err := w.look(t.Context(), check, "south.example"); !errors.Is(err, vedette.ErrRefused) || len(seen) != 0 {
		t.Errorf("no server in the scope: %v, %v", seen, err)
	}
	if seen, err := w.look(t.Context(), check, "ns1.north.example"); err != nil || len(seen) != 0 {
		t.Errorf("no zone: %v, %v", seen, err)
	}
}

// TestTransferOfStrangers: what is no transfer of the zone proves none, and an
// endless one is cut.
func TestTransferOfStrangers(t *testing.T) {
	const soa = "north.example. 60 IN SOA ns1.north.example. x.north.example. 1 2 3 4 5"
	rrs := func(texts ...string) (out []dns.RR) {
		for _, s := range texts {
			out = append(out, newRecord(s))
		}
		return out
	}
	host := func(i int) string { return fmt.Sprintf("h%d.north.example. 60 IN A 127.0.0.1", i) }
	for _, c := range []struct {
		about string
		send  func(w *dns.Conn, ask *dns.Msg)
		count int
		whole bool
		err   bool
	}{
		{"empty zone", func(w *dns.Conn, ask *dns.Msg) { w.WriteMsg(answered(ask, rrs(soa, soa))) }, 2, true, false},
		{"soa alone, then silence", func(w *dns.Conn, ask *dns.Msg) { w.WriteMsg(answered(ask, rrs(soa))) }, 1, false, false},
		{"no soa first", func(w *dns.Conn, ask *dns.Msg) { w.WriteMsg(answered(ask, rrs(host(1), host(2), host(3)))) }, 0, false, false},
		{"other names", func(w *dns.Conn, ask *dns.Msg) {
			w.WriteMsg(answered(ask, rrs(soa, "a.example. 60 IN A 127.0.0.1", "b.example. 60 IN A 127.0.0.1", soa)))
		}, 2, true, false},
		{"refused", func(w *dns.Conn, ask *dns.Msg) { w.WriteMsg(new(dns.Msg).SetRcode(ask, dns.RcodeRefused)) }, 0, false, false},
		{"nothing", func(w *dns.Conn, ask *dns.Msg) {}, 0, false, false},
		{"another id", func(w *dns.Conn, ask *dns.Msg) {
			m := answered(ask, rrs(soa, host(1), host(2), soa))
			m.Id++
			w.WriteMsg(m)
		}, 0, false, true},
		{"garbage", func(w *dns.Conn, ask *dns.Msg) { w.Conn.Write([]byte{0, 3, 1, 2, 3}) }, 0, false, true},
		{"cut", func(w *dns.Conn, ask *dns.Msg) {
			w.WriteMsg(answered(ask, rrs(soa, host(1), host(2))))
			w.Conn.Write([]byte{1, 0, 1})
		}, 3, false, false},
		{"endless", func(w *dns.Conn, ask *dns.Msg) {
			for i := 0; w.WriteMsg(answered(ask, rrs(soa, host(i), host(i+1))[min(i, 1):])) == nil; i++ {
			}
		}, transferCount, false, false},
	} {
		here, there := net.Pipe()
		ask := new(dns.Msg).SetAxfr("north.example.")
		go func() {
			c.send(&dns.Conn{Conn: there}, ask)
			there.Close()
		}()
		var got transferred
		err := got.read(here, ask)
		here.Close()
		if got.whole != c.whole || (err != nil) != c.err || got.count < c.count || got.count > c.count+2 || len(got.names) > transferShown {
			t.Errorf("%s: %+v, %v", c.about, got, err)
		}
	}
}

func answered(ask *dns.Msg, list []dns.RR) *dns.Msg {
	m := new(dns.Msg).SetReply(ask)
	m.Answer = list
	return m
}

func TestTransferEvidenceIsShort(t *testing.T) {
	long := strings.Repeat(strings.Repeat("x", 60)+".", 4) + "example"
	f := transferFact([]transferred{{server: "127.0.0.1", count: 9, names: []string{long, "b" + long[1:], "c" + long[1:]}}})
	for k, v := range f.Details {
		if len(v) > maxDetail {
			t.Errorf("%s has %d bytes", k, len(v))
		}
	}
	if len(f.Reports[0].Note) > maxDetail {
		t.Errorf("the note has %d bytes", len(f.Reports[0].Note))
	}
}
