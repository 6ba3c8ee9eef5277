package probe

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/safe"
)

// anyAddress draws addresses in the scope, beside it, private, public, special.
var anyAddress = rapid.SampledFrom([]string{"A 127.0.7.1", "A 127.0.7.77", "A 127.0.9.1", "A 127.255.255.1", "A 10.0.0.1", "A 192.168.1.1", "A 192.0.2.1", "A 169.254.169.254",
	"A 0.0.0.0", "A 255.255.255.255", "A 224.0.0.1", "A 100.64.0.1", "AAAA ::1", "AAAA ::", "AAAA fe80::1", "AAAA fd00::1", "AAAA 2001:db8::1", "AAAA ::ffff:192.0.2.1", "AAAA 64:ff9b::7f00:1", "AAAA ff02::1"})

// anyName draws names of the zones, outside of them, and of nothing.
var anyName = rapid.SampledFrom([]string{"north.example.", "a.north.example.", "b.north.example.", "mta-sts.north.example.", "south.example.", "a.south.example.", "evil.example.", "localhost.", "127.0.9.1.", ".", "*.north.example.", "gone.nowhere.example.", "x\\000y.south.example."})

// anyRecord draws a record of a name.
func anyRecord(t *rapid.T, owner string) string {
	name := func() string { return anyName.Draw(t, "target") }
	switch rapid.SampledFrom([]string{"address", "address", "address", "CNAME", "MX", "NS", "SRV", "HTTPS", "TXT"}).Draw(t, "kind") {
	case "address":
		return owner + " IN " + anyAddress.Draw(t, "address")
	case "CNAME":
		return owner + " IN CNAME " + name()
	case "MX":
		return owner + " IN MX 1 " + name()
	case "NS":
		return owner + " IN NS " + name()
	case "SRV":
		return fmt.Sprintf("_imaps._tcp IN SRV 0 0 %d %s", rapid.Uint16().Draw(t, "port"), name())
	case "HTTPS":
		return fmt.Sprintf("%s IN HTTPS 1 . port=%d ipv4hint=192.0.2.9", owner, rapid.Uint16().Draw(t, "port"))
	}
	return owner + " IN TXT " + rapid.SampledFrom([]string{`"v=spf1 include:south.example a:evil.example mx -all"`, `"v=spf1 redirect=north.example"`, `"v=STSv1; id=1"`, `"v=DMARC1; p=none"`, `"` + strings.Repeat("x", 200) + `"`}).Draw(t, "text")
}

// TestDNSNeverWidensTheScope: whatever the DNS answers, no connection goes out
// but those that the scope allows by itself: to its own networks, or to a name
// it holds, at an address that this run's answers gave for that name.
func TestDNSNeverWidensTheScope(t *testing.T) {
	w := newDNSWorld(t)
	inside := netip.MustParsePrefix("127.0.7.0/24")
	checks := []Check{DNS, Mail, MTASTS, ZoneTransfer, zoneTransfer(1), mtaSTS(2, nil)}
	rapid.Check(t, func(rt *rapid.T) {
		for _, origin := range []string{"north.example", "south.example"} {
			z := lab.Zone{Origin: origin, Signed: rapid.Bool().Draw(rt, "signed"), Broken: rapid.SampledFrom([]string{"", "", "", "", lab.BrokenSignature, lab.BrokenServer}).Draw(rt, "broken")}
			for range rapid.IntRange(0, 12).Draw(rt, "records") {
				z.Records = append(z.Records, anyRecord(rt, rapid.SampledFrom([]string{"@", "a", "b", "mta-sts", "_mta-sts", "_dmarc", "*"}).Draw(rt, "owner")))
			}
			if err := w.dns.Set(z); err != nil {
				rt.Fatal(err)
			}
		}
		w.renew()
		before := w.dialer.Sent().Of(safe.ModeScope)
		for _, name := range []string{"north.example", "a.north.example", "south.example"} {
			for _, c := range checks {
				_, _ = w.look(t.Context(), c, name)
			}
		}
		for _, a := range w.allowed {
			addr, named := a.Addr.Addr(), a.Name == "north.example" || strings.HasSuffix(a.Name, ".north.example")
			if !addr.IsLoopback() || !inside.Contains(addr) && !(named && a.Resolved && a.Service && w.says(a.Name, addr)) {
				rt.Fatalf("allowed: %+v", a)
			}
		}
		if sent := w.dialer.Sent().Of(safe.ModeScope) - before; sent > int64(len(w.allowed)) {
			rt.Fatalf("%d connections for %d permissions", sent, len(w.allowed))
		}
	})
	if w.dialer.Sent().Of(safe.ModeScope) == 0 {
		t.Error("nothing went out at all: the test shows nothing")
	}
	if n := w.dialer.Sent().Of(safe.ModePublic); n != 0 {
		t.Errorf("%d connections to the internet", n)
	}
}

// says whether the DNS gives an address for a name, asked again.
func (w *dnsWorld) says(name string, addr netip.Addr) bool {
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
		if a, err := w.env.Resolver.Ask(w.t.Context(), name, typ); err == nil {
			for _, got := range a.addresses() {
				if got == addr {
					return true
				}
			}
		}
	}
	return false
}

// TestNothingInScopeNothingSent: without a network and a name of its own, not
// one connection goes out, whatever the zones say.
func TestNothingInScopeNothingSent(t *testing.T) {
	w := newDNSWorld(t, lab.Zone{Origin: "north.example", AXFR: true, Records: []string{"@ IN A 127.0.9.1", "@ IN A 10.0.0.1", "@ IN NS ns1", "ns1 IN A 127.0.9.1", "@ IN MX 1 ns1", `_mta-sts IN TXT "v=STSv1; id=1"`, "mta-sts IN A 127.0.9.1", "_imaps._tcp IN SRV 0 0 22 ns1"}})
	w.env.Net = w.dialer.Scope(func(vedette.Target) error { return vedette.Refused("outside") }, func(vedette.Target, error) {}, safe.NewBrakes(safe.DefaultPace))
	for _, c := range []Check{DNS, Mail, MTASTS, ZoneTransfer} {
		_, _ = w.look(t.Context(), c, "north.example")
	}
	if n := w.dialer.Sent().Of(safe.ModeScope); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// FuzzDNSAnswer reads any bytes as the answer to a question.
func FuzzDNSAnswer(f *testing.F) {
	m := new(dns.Msg).SetQuestion("a.example.", dns.TypeHTTPS)
	m.Response = true
	for _, s := range []string{"a.example. 60 IN CNAME b.example.", "b.example. 60 IN HTTPS 1 . port=8443", "b.example. 60 IN HTTPS 0 c.example.", "b.example. 60 IN RRSIG A 13 2 60 20300101000000 20200101000000 1 example. AAAA"} {
		m.Answer = append(m.Answer, newRecord(s))
	}
	b, _ := m.Pack()
	f.Add(b, dns.TypeHTTPS)
	f.Add([]byte{0, 1, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1}, dns.TypeA)
	f.Fuzz(func(t *testing.T, b []byte, typ uint16) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		a, err := readAnswer(m, question{name: "a.example.", typ: typ})
		if err != nil {
			return
		}
		l := &looks{name: "a.example", aside: map[uint16]Answer{typ: a}}
		if typ == dns.TypeA || typ == dns.TypeAAAA {
			l.address[0] = a
		}
		a.texts()
		l.resolves()
		for k, v := range l.details() {
			if len(v) > maxDetail {
				t.Errorf("%s has %d bytes", k, len(v))
			}
		}
	})
}
