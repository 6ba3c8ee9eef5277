package lab

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

var dnsZones = []Zone{
	{Origin: "north.example", AXFR: true, Records: []string{
		"@ IN MX 10 mail", "@ IN TXT \"v=spf1 -all\"", "www IN CNAME web.west.example.", "mail IN A 127.0.0.25",
		"a.b IN A 127.0.0.1", "*.wild IN A 127.0.0.7", "loop IN CNAME loop2", "loop2 IN CNAME loop", "away IN CNAME gone.nowhere.example.",
	}},
	{Origin: "west.example", Signed: true, Records: []string{"web IN A 127.0.0.80", "*.any IN TXT x"}},
	{Origin: "bad.example", Broken: BrokenSignature, Records: []string{"@ IN A 127.0.0.66"}},
	{Origin: "lame.example", Broken: BrokenRefused},
	{Origin: "down.example", Broken: BrokenServer},
	{Origin: "big.example", Records: []string{
		"@ IN TXT \"" + strings.Repeat("a", 250) + "\" \"" + strings.Repeat("b", 250) + "\" \"" + strings.Repeat("c", 250) + "\" \"" + strings.Repeat("d", 250) + "\" \"" + strings.Repeat("e", 250) + "\""}},
}

// askDNS asks over one protocol; how changes the question.
func askDNS(t *testing.T, server, network, name string, typ uint16, how func(*dns.Msg)) *dns.Msg {
	t.Helper()
	c, err := safe.NewDialer(true, server).Operator(t.Context(), network, server)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	co := &dns.Conn{Conn: c, UDPSize: 4096}
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), typ)
	m.SetEdns0(1232, true)
	if how != nil {
		how(m)
	}
	if err := co.WriteMsg(m); err != nil {
		t.Fatal(err)
	}
	r, err := co.ReadMsg()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// said is an answer in short: code, flags, sections without signatures.
func said(m *dns.Msg) string {
	s := []string{dns.RcodeToString[m.Rcode]}
	for _, f := range []struct {
		on   bool
		name string
	}{{m.Authoritative, "aa"}, {m.RecursionAvailable, "ra"}, {m.AuthenticatedData, "ad"}, {m.Truncated, "tc"}} {
		if f.on {
			s = append(s, f.name)
		}
	}
	for _, part := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range part {
			if h := rr.Header(); h.Rrtype != dns.TypeRRSIG {
				s = append(s, h.Name+" "+dns.TypeToString[h.Rrtype])
			}
		}
	}
	return strings.Join(s, ", ")
}

func TestDNSAnswers(t *testing.T) {
	d, err := ServeDNS(t.Context(), "127.0.0.1:0", dnsZones...)
	if err != nil {
		t.Fatal(err)
	}
	server := func(m *dns.Msg) { m.RecursionDesired = false }
	unchecked := func(m *dns.Msg) { m.CheckingDisabled = true }
	for _, c := range []struct {
		name string
		typ  uint16
		how  func(*dns.Msg)
		want string
	}{
		{"www.north.example", dns.TypeA, nil, "NOERROR, ra, www.north.example. CNAME, web.west.example. A"},
		{"www.north.example", dns.TypeA, server, "NOERROR, aa, www.north.example. CNAME"},
		{"WEB.west.example", dns.TypeA, nil, "NOERROR, ra, ad, web.west.example. A"},
		{"web.west.example", dns.TypeMX, nil, "NOERROR, ra, ad, west.example. SOA"},
		{"b.north.example", dns.TypeA, nil, "NOERROR, ra, north.example. SOA"}, // an empty non-terminal exists
		{"x.b.north.example", dns.TypeA, nil, "NXDOMAIN, ra, north.example. SOA"},
		{"x.y.wild.north.example", dns.TypeA, nil, "NOERROR, ra, x.y.wild.north.example. A"},
		{"x.wild.north.example", dns.TypeMX, nil, "NOERROR, ra, north.example. SOA"},
		{"away.north.example", dns.TypeA, nil, "NXDOMAIN, ra, away.north.example. CNAME, . SOA"},
		{"nobody.example", dns.TypeA, nil, "NXDOMAIN, ra, . SOA"},
		{"nobody.example", dns.TypeA, server, "REFUSED"},
		{"bad.example", dns.TypeA, nil, "SERVFAIL, ra"},
		{"bad.example", dns.TypeA, unchecked, "NOERROR, ra, bad.example. A"},
		{"bad.example", dns.TypeA, server, "NOERROR, aa, bad.example. A"},
		{"lame.example", dns.TypeA, nil, "SERVFAIL, ra"},
		{"lame.example", dns.TypeA, server, "REFUSED"},
		{"down.example", dns.TypeA, unchecked, "SERVFAIL, ra"},
		{"west.example", dns.TypeDNSKEY, nil, "NOERROR, ra, ad, west.example. DNSKEY, west.example. DNSKEY"},
		{"big.example", dns.TypeTXT, nil, "NOERROR, ra, tc"},
		{"north.example", dns.TypeAXFR, nil, "REFUSED"},
	} {
		if got := said(askDNS(t, d.Addr(), "udp", c.name, c.typ, c.how)); got != c.want {
			t.Errorf("%s %s: %s, not %s", c.name, dns.TypeToString[c.typ], got, c.want)
		}
	}
	if got := said(askDNS(t, d.Addr(), "tcp", "big.example", dns.TypeTXT, nil)); got != "NOERROR, ra, big.example. TXT" {
		t.Errorf("over TCP: %s", got)
	}
	if n := len(askDNS(t, d.Addr(), "udp", "loop.north.example", dns.TypeA, nil).Answer); n != 16 {
		t.Errorf("a loop of aliases gives %d records", n)
	}
	if m := askDNS(t, d.Addr(), "tcp", "north.example", dns.TypeAXFR, nil); len(m.Answer) != 12 || m.Answer[0].Header().Rrtype != dns.TypeSOA || m.Answer[11].Header().Rrtype != dns.TypeSOA {
		t.Errorf("a transfer of %d records: %v", len(m.Answer), m.Answer)
	}
}

// TestDNSSignatures: the signatures hold, those of wildcards too, and those of
// a broken zone do not.
func TestDNSSignatures(t *testing.T) {
	d, err := ServeDNS(t.Context(), "127.0.0.1:0", dnsZones...)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(zone, name string, typ uint16) error {
		cd := func(m *dns.Msg) { m.CheckingDisabled = true }
		keys := askDNS(t, d.Addr(), "udp", zone, dns.TypeDNSKEY, cd).Answer
		answer := askDNS(t, d.Addr(), "udp", name, typ, cd).Answer
		i := slices.IndexFunc(answer, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
		if i < 0 {
			t.Fatalf("%s is not signed", name)
		}
		sig := answer[i].(*dns.RRSIG)
		for _, k := range keys {
			if k, ok := k.(*dns.DNSKEY); ok && k.KeyTag() == sig.KeyTag {
				return sig.Verify(k, slices.Delete(answer, i, i+1))
			}
		}
		return errors.New("no key")
	}
	for _, name := range []string{"web.west.example", "west.example"} {
		if err := verify("west.example", name, map[bool]uint16{true: dns.TypeA, false: dns.TypeSOA}[strings.HasPrefix(name, "web")]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := verify("west.example", "one.any.west.example", dns.TypeTXT); err != nil {
		t.Errorf("wildcard: %v", err)
	}
	if err := verify("bad.example", "bad.example", dns.TypeA); err == nil {
		t.Error("the broken zone is not broken")
	}
	before := askDNS(t, d.Addr(), "udp", "west.example", dns.TypeDS, nil).Answer
	if err := d.Set(Zone{Origin: "west.example", Signed: true, Records: []string{"web IN A 127.0.0.81"}}); err != nil {
		t.Fatal(err)
	}
	if after := askDNS(t, d.Addr(), "udp", "west.example", dns.TypeDS, nil).Answer; len(before) != 1 || len(after) != 1 || before[0].String() != after[0].String() {
		t.Errorf("DS %v, then %v", before, after)
	}
	if a := askDNS(t, d.Addr(), "udp", "web.west.example", dns.TypeA, nil).Answer; len(a) == 0 || a[0].(*dns.A).A.String() != "127.0.0.81" {
		t.Errorf("after the change: %v", a)
	}
}

func TestDNSRefuses(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:53", "0.0.0.0:0", "[::]:0", "10.0.0.1:53"} {
		if _, err := ServeDNS(t.Context(), addr); !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, z := range []Zone{{Origin: "a.example", Records: []string{"nonsense"}}, {Origin: "a.example", Records: []string{"b.example. IN A 127.0.0.1"}}, {Origin: "a.example", Records: []string{""}}, {Origin: "a..b"}} {
		if _, err := ServeDNS(t.Context(), "127.0.0.1:0", z); !errors.Is(err, vedette.ErrInvalid) {
			t.Errorf("%v: %v", z, err)
		}
	}
}
