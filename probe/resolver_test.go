package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/safe"
)

// hostileDNS is a name server that answers datagrams as a test says: with any
// number of any bytes.
func hostileDNS(t *testing.T, reply func(ask *dns.Msg, raw []byte) [][]byte) (*Resolver, *atomic.Int64) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	var asked atomic.Int64
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			asked.Add(1)
			ask := new(dns.Msg)
			if ask.Unpack(buf[:n]) != nil {
				continue
			}
			for _, b := range reply(ask, buf[:n]) {
				_, _ = pc.WriteTo(b, from)
			}
		}
	}()
	addr := pc.LocalAddr().String()
	return NewResolver(safe.NewDialer(true, addr), []string{addr}, 300*time.Millisecond), &asked
}

// replied packs an answer after a change of it.
func replied(ask *dns.Msg, change func(*dns.Msg)) []byte {
	m := new(dns.Msg).SetReply(ask)
	m.RecursionAvailable = true
	change(m)
	b, _ := m.Pack()
	return b
}

func newRecord(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

func TestResolverDistrustsAnswers(t *testing.T) {
	good := func(m *dns.Msg) { m.Answer = []dns.RR{newRecord("a.example. 60 IN A 127.0.0.1")} }
	for _, c := range []struct {
		name  string
		reply func(ask *dns.Msg, raw []byte) [][]byte
		want  string // addresses, or the start of the error
	}{
		{"right", func(ask *dns.Msg, _ []byte) [][]byte { return [][]byte{replied(ask, good)} }, "127.0.0.1"},
		{"other id first", func(ask *dns.Msg, _ []byte) [][]byte {
			return [][]byte{replied(ask, func(m *dns.Msg) {
				m.Id++
				m.Answer = []dns.RR{newRecord("a.example. 60 IN A 127.0.0.66")}
			}), replied(ask, good)}
		}, "127.0.0.1"},
		{"other question first", func(ask *dns.Msg, _ []byte) [][]byte {
			return [][]byte{replied(ask, func(m *dns.Msg) { m.Question[0].Name = "b.example."; good(m) }), replied(ask, good)}
		}, "127.0.0.1"},
		{"other type", func(ask *dns.Msg, _ []byte) [][]byte {
			return [][]byte{replied(ask, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT })}
		}, "error"},
		{"no response", func(ask *dns.Msg, raw []byte) [][]byte { return [][]byte{raw} }, "error"},
		{"silence", func(*dns.Msg, []byte) [][]byte { return nil }, "error"},
		{"short", func(_ *dns.Msg, raw []byte) [][]byte { return [][]byte{raw[:5]} }, "error"},
		{"compression loop", func(ask *dns.Msg, raw []byte) [][]byte {
			b := append([]byte{}, raw[:12]...)
			b[2] |= 0x80
			binary.BigEndian.PutUint16(b[6:], 1)
			b[11] = 0
			return [][]byte{append(b, 0xc0, 12, 0, 1, 0, 1)}
		}, "error"},
		{"record of another name", func(ask *dns.Msg, _ []byte) [][]byte {
			return [][]byte{replied(ask, func(m *dns.Msg) { m.Answer = []dns.RR{newRecord("b.example. 60 IN A 127.0.0.66")} })}
		}, ""},
		{"record of another class", func(ask *dns.Msg, _ []byte) [][]byte {
			return [][]byte{replied(ask, func(m *dns.Msg) { m.Answer = []dns.RR{newRecord("a.example. 60 CH A 127.0.0.66")} })}
		}, ""},
		{"record without data", func(ask *dns.Msg, _ []byte) [][]byte {
			return [][]byte{replied(ask, func(m *dns.Msg) {
				m.Answer = []dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: "a.example.", Rrtype: dns.TypeA, Class: dns.ClassINET}}}
			})}
		}, ""},
		{"alias to itself", func(ask *dns.Msg, _ []byte) [][]byte {
			return [][]byte{replied(ask, func(m *dns.Msg) { m.Answer = []dns.RR{newRecord("a.example. 60 IN CNAME a.example.")} })}
		}, "error"},
		{"aliases without end", func(ask *dns.Msg, _ []byte) [][]byte {
			return [][]byte{replied(ask, func(m *dns.Msg) {
				m.Answer = []dns.RR{newRecord(ask.Question[0].Name + " 60 IN CNAME x" + ask.Question[0].Name)}
			})}
		}, "error"},
		{"a referral", func(ask *dns.Msg, _ []byte) [][]byte {
			return [][]byte{replied(ask, func(m *dns.Msg) {
				m.RecursionAvailable = false
				m.Ns = []dns.RR{newRecord("example. 60 IN NS ns.example.")}
			})}
		}, "error"},
		{"refused", func(ask *dns.Msg, _ []byte) [][]byte {
			return [][]byte{replied(ask, func(m *dns.Msg) { m.Rcode = dns.RcodeRefused })}
		}, "error"},
		{"not there", func(ask *dns.Msg, _ []byte) [][]byte {
			return [][]byte{replied(ask, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError })}
		}, ""},
	} {
		r, _ := hostileDNS(t, c.reply)
		a, err := r.Ask(t.Context(), "a.example", dns.TypeA)
		var fail *LookupError
		got := "error"
		if err == nil {
			var s []string
			for _, addr := range a.addresses() {
				s = append(s, addr.String())
			}
			got = strings.Join(s, " ")
		} else if !errors.As(err, &fail) || !errors.Is(err, vedette.ErrUnavailable) {
			t.Errorf("%s: %T %v", c.name, err, err)
		}
		if got != c.want {
			t.Errorf("%s: %q (%v), not %q", c.name, got, err, c.want)
		}
	}
}

func TestResolver(t *testing.T) {
	big := lab.Zone{Origin: "big.example"}
	for range 1000 {
		big.Records = append(big.Records, "@ IN MX 1 m"+strings.Repeat("x", len(big.Records)%40)+string(rune('a'+len(big.Records)/40)))
	}
	chain := lab.Zone{Origin: "chain.example", Records: []string{"c8 IN A 127.0.0.8", "c9 IN CNAME c1", "c1 IN CNAME c2", "c2 IN CNAME c3", "c3 IN CNAME c4", "c4 IN CNAME c5", "c5 IN CNAME c6", "c6 IN CNAME c7", "c7 IN CNAME c8", "l1 IN CNAME l2", "l2 IN CNAME l1"}}
	w := newDNSWorld(t, big, chain, lab.Zone{Origin: "silent.example", Broken: lab.BrokenSilent})
	r := w.env.Resolver
	if a, err := r.Ask(t.Context(), "big.example", dns.TypeMX); err != nil || len(a.Records) != 1000 {
		t.Errorf("1,000 records over TCP: %d, %v", len(a.Records), err)
	}
	for name, want := range map[string]int{"c1.chain.example": 7, "c9.chain.example": 8, "l1.chain.example": -1} {
		a, err := r.Ask(t.Context(), name, dns.TypeA)
		if got := len(a.Aliases); want < 0 && err == nil || want >= 0 && (got != want || a.Name != "c8.chain.example" || len(a.Records) != 1) {
			t.Errorf("%s: %d aliases, %v", name, got, err)
		}
	}
	asked := w.dns.Asked()
	for range 3 {
		if _, err := r.Ask(t.Context(), "C8.chain.example.", dns.TypeA); err != nil {
			t.Error(err)
		}
	}
	if n := w.dns.Asked() - asked; n != 1 {
		t.Errorf("asked %d times for one answer", n)
	}
	r.now = func() time.Time { return time.Now().Add(2 * resolverKeep) }
	if _, err := r.Ask(t.Context(), "c8.chain.example", dns.TypeA); err != nil || w.dns.Asked()-asked != 2 {
		t.Errorf("an old answer was not asked for again: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Ask(ctx, "x.silent.example", dns.TypeA); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := r.Ask(t.Context(), "bad..name", dns.TypeA); err == nil {
		t.Error("no name was asked for")
	}
}

// TestResolverServers: the next is asked when one fails, and none that is not configured.
func TestResolverServers(t *testing.T) {
	bad, asked := hostileDNS(t, func(ask *dns.Msg, _ []byte) [][]byte {
		return [][]byte{replied(ask, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure })}
	})
	d, err := lab.ServeDNS(t.Context(), "127.0.0.1:0", northZone)
	if err != nil {
		t.Fatal(err)
	}
	r := NewResolver(safe.NewDialer(true, bad.servers[0], d.Addr()), []string{bad.servers[0], d.Addr()}, time.Second)
	if a, err := r.Addresses(t.Context(), "web.north.example"); err != nil || len(a) != 2 {
		t.Errorf("%v, %v", a, err)
	}
	if n := asked.Load(); n != 2*resolverTries {
		t.Errorf("the first was asked %d times", n)
	}
	dialer := safe.NewDialer(true)
	if _, err := NewResolver(dialer, []string{d.Addr()}, time.Second).Ask(t.Context(), "north.example", dns.TypeA); !errors.Is(err, vedette.ErrRefused) || dialer.Sent().Of(safe.ModeOperator) != 0 {
		t.Errorf("a server that is not configured: %v", err)
	}
}
