package lab

import (
	"net"
	"strings"

	"github.com/miekg/dns"
)

// ServeDNS answers one question; it makes DNS a dns.Handler.
func (d *DNS) ServeDNS(w dns.ResponseWriter, ask *dns.Msg) {
	d.asked.Add(1)
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	m := new(dns.Msg)
	m.SetReply(ask)
	if len(ask.Question) != 1 || ask.Opcode != dns.OpcodeQuery {
		m.Rcode = dns.RcodeFormatError
		_ = w.WriteMsg(m)
		return
	}
	if t := ask.Question[0].Qtype; t == dns.TypeAXFR || t == dns.TypeIXFR {
		d.transfer(w, m, udp)
		return
	}
	size := dns.MinMsgSize
	if opt := ask.IsEdns0(); opt != nil {
		size = max(size, int(opt.UDPSize()))
		m.SetEdns0(1232, opt.Do())
	}
	if !d.answer(m, ask) {
		return
	}
	if !udp {
		size = dns.MaxMsgSize
	}
	m.Truncate(size)
	_ = w.WriteMsg(m)
}

// answer fills in the reply; false is silence.
func (d *DNS) answer(m, ask *dns.Msg) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	name, typ := dns.CanonicalName(ask.Question[0].Name), ask.Question[0].Qtype
	recursive := ask.RecursionDesired
	m.RecursionAvailable = recursive
	m.AuthenticatedData = recursive
	for range 16 { // aliases; a loop ends with what was collected, as resolvers do
		z := d.zoneOf(name, typ)
		if z == nil {
			d.unknown(m, recursive)
			return true
		}
		if z.Broken == BrokenSilent {
			return false
		}
		if code := z.fails(recursive, ask.CheckingDisabled); code != dns.RcodeSuccess {
			m.Rcode, m.Answer, m.Ns, m.AuthenticatedData = code, nil, nil, false
			if z.Broken == BrokenSignature {
				explain(m, dns.ExtendedErrorCodeDNSBogus)
			}
			return true
		}
		m.Authoritative = !recursive
		m.AuthenticatedData = m.AuthenticatedData && z.Signed && z.Broken == ""
		next := d.records(m, z, name, typ)
		if next == "" || !recursive && d.zoneOf(next, typ) != z {
			return true
		}
		name = next
	}
	return true
}

// explain adds an extended error (RFC 8914), to who speaks EDNS.
func explain(m *dns.Msg, code uint16) {
	if opt := m.IsEdns0(); opt != nil {
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: code})
	}
}

// unknown answers for names of no zone: the lab's root knows of nothing else,
// and a name server of some zones refuses.
func (d *DNS) unknown(m *dns.Msg, recursive bool) {
	if !recursive {
		m.Rcode = dns.RcodeRefused
		return
	}
	m.Rcode, m.AuthenticatedData = dns.RcodeNameError, false
	m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
		Ns: "root.example.", Mbox: "hostmaster.example.", Serial: 1, Refresh: 7200, Retry: 3600, Expire: 1209600, Minttl: 60}}
}

// zoneOf is the zone that answers for a name: the nearest above it, and for a
// DS record that of the parent (RFC 4035 §3.1.4.1).
func (d *DNS) zoneOf(name string, typ uint16) *zone {
	for at, first := name, true; ; first = false {
		if z := d.zones[at]; z != nil && !(first && typ == dns.TypeDS && d.above(at) != nil) {
			return z
		}
		i, end := dns.NextLabel(at, 0)
		if end {
			return d.zones["."]
		}
		at = at[i:]
	}
}

func (d *DNS) above(name string) *zone {
	i, end := dns.NextLabel(name, 0)
	if end {
		return nil
	}
	return d.zoneOf(name[i:], dns.TypeNS)
}

// fails is the code with which a broken zone answers, 0 when it works for who asks.
func (z *zone) fails(recursive, unchecked bool) int {
	switch {
	case z.Broken == BrokenServer:
		return dns.RcodeServerFailure
	case z.Broken == BrokenRefused && recursive:
		return dns.RcodeServerFailure // what a resolver makes of it
	case z.Broken == BrokenRefused:
		return dns.RcodeRefused
	case z.Broken == BrokenSignature && recursive && !unchecked:
		return dns.RcodeServerFailure
	}
	return dns.RcodeSuccess
}

// records adds what a zone holds of a name: an answer, an alias (whose target
// it returns), or the proof that there is none (RFC 1034 §4.3.2).
func (d *DNS) records(m *dns.Msg, z *zone, name string, typ uint16) (next string) {
	owner, types := z.find(name)
	if typ == dns.TypeDS && types == nil || typ == dns.TypeDS && len(types[typ]) == 0 {
		if child := d.zones[name]; child != nil && child.keys != nil {
			ds := child.keys.ksk.ToDS(dns.SHA256)
			ds.Hdr.Ttl = 300
			m.Answer = append(m.Answer, ds)
			return ""
		}
	}
	if types == nil {
		m.Rcode = dns.RcodeNameError
	}
	if c := types[dns.TypeCNAME]; len(c) > 0 && typ != dns.TypeCNAME {
		z.add(m, owner, name, dns.TypeCNAME)
		return dns.CanonicalName(c[0].(*dns.CNAME).Target)
	}
	if len(types[typ]) > 0 {
		z.add(m, owner, name, typ)
		return ""
	}
	m.Ns = append(m.Ns, z.names[z.origin][dns.TypeSOA]...)
	if opt := m.IsEdns0(); opt != nil && opt.Do() {
		m.Ns = append(m.Ns, z.sigs[z.origin][dns.TypeSOA]...)
	}
	return ""
}

// find is the owner of a name's records: itself, or the wildcard under the
// nearest name that exists (RFC 4592 §3.3.1).
func (z *zone) find(name string) (owner string, types map[uint16][]dns.RR) {
	if types := z.names[name]; types != nil {
		return name, types
	}
	for at := name; at != z.origin; {
		i, end := dns.NextLabel(at, 0)
		if end {
			break
		}
		at = at[i:]
		if z.names[at] != nil {
			owner = "*." + at
			return owner, z.names[owner]
		}
	}
	return name, nil
}

// add copies a set of records into the answer, under the name that was asked for.
func (z *zone) add(m *dns.Msg, owner, name string, typ uint16) {
	list := z.names[owner][typ]
	if opt := m.IsEdns0(); opt != nil && opt.Do() {
		list = append(list[:len(list):len(list)], z.sigs[owner][typ]...)
	}
	for _, rr := range list {
		rr = dns.Copy(rr)
		rr.Header().Name = name
		m.Answer = append(m.Answer, rr)
	}
}

// transfer hands out a whole zone to who asks over TCP, where the zone allows it.
func (d *DNS) transfer(w dns.ResponseWriter, m *dns.Msg, udp bool) {
	d.mu.RLock()
	z := d.zones[dns.CanonicalName(m.Question[0].Name)]
	d.mu.RUnlock()
	if z == nil || udp || !z.AXFR || z.Broken != "" || !strings.EqualFold(dns.TypeToString[m.Question[0].Qtype], "AXFR") {
		m.Rcode = dns.RcodeRefused
		_ = w.WriteMsg(m)
		return
	}
	const perMessage = 100
	m.Authoritative = true
	for i := 0; i < len(z.all); i += perMessage {
		m.Answer = z.all[i:min(i+perMessage, len(z.all))]
		m.Compress = true
		if w.WriteMsg(m) != nil {
			return
		}
	}
}
