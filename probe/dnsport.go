package probe

import (
	"crypto/rand"
	"encoding/binary"
	"strings"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette"
)

// domain is a name server: it is asked for its version (RFC 4892 §2), and for a
// name that no domain holds (RFC 6761 §6.4) to see whether it resolves for strangers.
var domain = &protocol{
	name:     "domain",
	spec:     "RFC 1035 §4, RFC 4892 §2, RFC 5358",
	ports:    []uint16{53, 5353, 5300},
	tlsPorts: []uint16{853},
	hello: func(p *peer) []byte {
		return dnsQuestion(p, "version.bind.", dns.TypeTXT, dns.ClassCHAOS, false)
	},
	read: readDomain,
}

// strangeName is what only a resolver for everybody looks up for us.
const strangeName = "open-resolver-test.invalid."

// dnsQuestion is a query, framed for the transport. Its id is remembered.
func dnsQuestion(p *peer, name string, kind, class uint16, recurse bool) []byte {
	m := new(dns.Msg)
	var id [2]byte
	rand.Read(id[:])
	m.Id = binary.BigEndian.Uint16(id[:])
	m.RecursionDesired = recurse
	m.Question = []dns.Question{{Name: name, Qtype: kind, Qclass: class}}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	p.asked = m
	if p.packets {
		return b
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// dnsAnswer reads the answer to what was asked last.
func (p *peer) dnsAnswer() (*dns.Msg, bool) {
	if p.asked == nil {
		return nil, false
	}
	b := p.in
	if p.packets {
		p.in = nil
	} else {
		h, ok := p.take(2)
		if !ok {
			return nil, false
		}
		if b, ok = p.take(int(binary.BigEndian.Uint16(h))); !ok {
			return nil, false
		}
	}
	m := new(dns.Msg)
	if len(b) < 12 || m.Unpack(b) != nil || !m.Response || m.Opcode != dns.OpcodeQuery || m.Id != p.asked.Id {
		return nil, false
	}
	// A server may leave the question out of an error, and then all else too.
	if len(m.Question) == 0 && (m.Rcode == dns.RcodeSuccess || len(b) != 12 || string(b[4:12]) != "\x00\x00\x00\x00\x00\x00\x00\x00") {
		return nil, false
	}
	if len(m.Question) > 1 || len(m.Question) == 1 && !strings.EqualFold(m.Question[0].Name, p.asked.Question[0].Name) {
		return nil, false
	}
	return m, true
}

func readDomain(p *peer) (vedette.Fact, bool) {
	m, ok := p.dnsAnswer()
	if !ok {
		return vedette.Fact{}, false
	}
	f := vedette.Fact{}
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok && f.Banner == "" {
			f.Banner = Banner([]byte(strings.Join(txt.Txt, "")), MaxBanner)
			f.Software = p.software("dns.versionbind", f.Banner)
		}
	}
	if !p.ask(dnsQuestion(p, strangeName, dns.TypeA, dns.ClassINET, true)) {
		return f, true
	}
	if m, ok = p.dnsAnswer(); !ok {
		return f, true
	}
	open := m.RecursionAvailable && (m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError)
	f.Details = map[string]string{"recursion": yesNo(open)}
	if open {
		f.Reports = []vedette.Report{report("check:open-resolver", "The server resolved a name that is not its own for a client that is not its own.")}
	}
	return f, true
}
