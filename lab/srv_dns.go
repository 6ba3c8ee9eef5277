package lab

import (
	"encoding/binary"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// serveNames answers questions over TCP (RFC 7766), each with its length before it.
func serveNames(s *session) {
	for range 100 {
		head, err := s.take(2)
		if err != nil {
			return
		}
		ask, err := s.take(int(binary.BigEndian.Uint16(head)))
		if err != nil {
			return
		}
		for _, a := range answerDNS(s.live, ask, &net.TCPAddr{}) {
			if _, err := s.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)); err != nil {
				return
			}
		}
	}
}

// datagramDNS answers a question over UDP.
func datagramDNS(l *live, ask []byte) [][]byte { return answerDNS(l, ask, &net.UDPAddr{}) }

// answerDNS answers as the name server of the service's zones; an open resolver
// answers everybody everything.
func answerDNS(l *live, ask []byte, from net.Addr) [][]byte {
	m := new(dns.Msg)
	if m.Unpack(ask) != nil || m.Response {
		return nil
	}
	w := &dnsWriter{from: from}
	switch {
	case len(m.Question) == 1 && m.Question[0].Qclass == dns.ClassCHAOS:
		w.WriteMsg(versionBind(l, m))
	case l.dns == nil, !l.svc.has("check:open-resolver") && !mine(l.svc.Zones, m):
		w.WriteMsg(new(dns.Msg).SetRcode(m, dns.RcodeRefused))
	default:
		m.RecursionDesired = m.RecursionDesired && l.svc.has("check:open-resolver")
		l.dns.ServeDNS(w, m)
	}
	return w.out
}

// mine says whether a question is about one of the zones.
func mine(zones []string, m *dns.Msg) bool {
	return len(m.Question) == 1 && slices.ContainsFunc(zones, func(z string) bool {
		return dns.IsSubDomain(dns.CanonicalName(z), dns.CanonicalName(m.Question[0].Name))
	})
}

// versionBind answers "version.bind CH TXT", as BIND and others do.
func versionBind(l *live, m *dns.Msg) *dns.Msg {
	q, shown := m.Question[0], l.svc.Software.Shown()
	if shown == "" || q.Qtype != dns.TypeTXT || !strings.EqualFold(q.Name, "version.bind.") {
		return new(dns.Msg).SetRcode(m, dns.RcodeRefused)
	}
	a := new(dns.Msg).SetReply(m)
	a.Authoritative = true
	a.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeTXT, Class: dns.ClassCHAOS}, Txt: []string{shown}}}
	return a
}

// dnsWriter collects what a handler answers.
type dnsWriter struct {
	from net.Addr
	out  [][]byte
}

func (w *dnsWriter) WriteMsg(m *dns.Msg) error {
	b, err := m.Pack()
	if err == nil {
		w.out = append(w.out, b)
	}
	return err
}

func (w *dnsWriter) Write(b []byte) (int, error) {
	w.out = append(w.out, slices.Clone(b))
	return len(b), nil
}
func (w *dnsWriter) LocalAddr() net.Addr  { return w.from }
func (w *dnsWriter) RemoteAddr() net.Addr { return w.from }
func (w *dnsWriter) Close() error         { return nil }
func (w *dnsWriter) TsigStatus() error    { return nil }
func (w *dnsWriter) TsigTimersOnly(bool)  {}
func (w *dnsWriter) Hijack()              {}

// zonesAsServed are the zones of the plan in the layout that runs.
func (in *Internet) zonesAsServed() []Zone {
	var out []Zone
	for _, z := range in.d.Zones {
		served := Zone{Origin: z.Origin, AXFR: z.AXFR, Signed: z.Signed, Broken: z.Broken}
		for _, r := range z.Records {
			if in.Layout == Single {
				if a, ok := addressOf(r); ok {
					r = strings.Replace(r, a.String(), "127.0.0.1", 1)
				}
			}
			served.Records = append(served.Records, r)
		}
		out = append(out, served)
	}
	return out
}

// startNames starts the resolver of all zones; the caller holds mu.
func (in *Internet) startNames() error {
	if in.d.Resolver == "" {
		return nil
	}
	var err error
	in.resolver, err = ServeDNS(in.ctx, in.resolverAt().String(), in.zonesAsServed()...)
	return err
}

// reconcileNames serves the zones as the plan has them now; a zone that it no
// longer has is a lame one.
func (in *Internet) reconcileNames() error {
	if in.resolver == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, z := range in.zonesAsServed() {
		seen[z.Origin] = true
		if err := in.resolver.Set(z); err != nil {
			return err
		}
	}
	for origin := range in.origins {
		if !seen[origin] {
			if err := in.resolver.Set(Zone{Origin: origin, Broken: BrokenRefused}); err != nil {
				return err
			}
		}
	}
	in.origins = seen
	return nil
}
