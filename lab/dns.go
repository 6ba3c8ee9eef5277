package lab

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette"
)

// Zone is a zone of the lab's DNS as data.
type Zone struct {
	Origin string // "north.example"
	// Records are in presentation format (RFC 1035 §5.1), relative to the
	// origin: "www 300 IN A 127.0.0.9". Without a SOA or NS record one is made up.
	Records []string
	Signed  bool   // with keys made at the start (RFC 4035)
	AXFR    bool   // anybody may transfer the zone (RFC 5936)
	Broken  string // one of the Broken constants, "" works
}

// The ways in which a zone can be broken.
const (
	BrokenSignature = "signature" // its signatures are wrong: a resolver that validates says SERVFAIL
	BrokenServer    = "servfail"  // its servers are out of order
	BrokenRefused   = "refused"   // its servers do not know it: a lame delegation
	BrokenSilent    = "silent"    // its servers do not answer
)

// DNS is the lab's name server. A question that asks for recursion is answered
// as by a resolver that validates, over all zones: outside of them nothing
// exists. Every other question is answered as by the server of the zone.
type DNS struct {
	addr    netip.AddrPort
	servers []*dns.Server
	asked   atomic.Int64
	over    sync.WaitGroup

	mu    sync.RWMutex
	zones map[string]*zone // by origin, lower case with a final dot
}

// zone is a zone as it is served.
type zone struct {
	Zone
	origin string
	names  map[string]map[uint16][]dns.RR // by owner, lower case; all names above one are there
	sigs   map[string]map[uint16][]dns.RR
	all    []dns.RR // for a transfer, SOA first and last
	keys   *zoneKeys
}

// zoneKeys sign a zone.
type zoneKeys struct {
	ksk, zsk       *dns.DNSKEY
	kskKey, zskKey crypto.Signer
}

// ServeDNS serves zones on a loopback address and port (0: any free one), over
// UDP and TCP, until ctx ends or Close. It refuses every other address.
func ServeDNS(ctx context.Context, addr string, zones ...Zone) (*DNS, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, vedette.Invalid("the lab's DNS: %w", err)
	}
	if !ap.Addr().Unmap().IsLoopback() {
		return nil, vedette.Refused("the lab serves loopback only, not %s", ap.Addr())
	}
	d := &DNS{zones: map[string]*zone{}}
	for _, z := range zones {
		if err := d.add(z); err != nil {
			return nil, err
		}
	}
	pc, l, err := listenBoth(ctx, ap)
	if err != nil {
		return nil, err
	}
	d.addr = l.Addr().(*net.TCPAddr).AddrPort()
	d.servers = []*dns.Server{{PacketConn: pc, Handler: d}, {Listener: l, Handler: d}}
	for _, s := range d.servers {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		d.over.Go(func() { _ = s.ActivateAndServe() })
		<-up
	}
	context.AfterFunc(ctx, d.Close)
	return d, nil
}

// listenBoth opens the same port of both protocols.
func listenBoth(ctx context.Context, ap netip.AddrPort) (net.PacketConn, net.Listener, error) {
	var lc net.ListenConfig
	var err error
	for range 20 { // a port that is free for one protocol may be taken for the other
		var pc net.PacketConn
		var l net.Listener
		if pc, err = lc.ListenPacket(ctx, "udp", ap.String()); err != nil {
			break
		}
		if l, err = lc.Listen(ctx, "tcp", pc.LocalAddr().String()); err == nil {
			return pc, l, nil
		}
		_ = pc.Close()
		if ap.Port() != 0 {
			break
		}
	}
	return nil, nil, fmt.Errorf("the lab's DNS: %w", err)
}

// Addr is the address and port that it serves.
func (d *DNS) Addr() string { return d.addr.String() }

// Asked is how many questions came.
func (d *DNS) Asked() int64 { return d.asked.Load() }

// Close ends it and waits until it has ended.
func (d *DNS) Close() {
	for _, s := range d.servers {
		_ = s.Shutdown()
	}
	d.over.Wait()
}

// Set changes what a zone holds, from the next question on.
func (d *DNS) Set(z Zone) error { return d.add(z) }

// add reads a zone and puts it in the place of the one of the same origin,
// whose keys it keeps.
func (d *DNS) add(def Zone) error {
	z := &zone{Zone: def, origin: dns.CanonicalName(def.Origin), names: map[string]map[uint16][]dns.RR{}, sigs: map[string]map[uint16][]dns.RR{}}
	if _, ok := dns.IsDomainName(z.origin); !ok {
		return vedette.Invalid("zone %q: no domain name", def.Origin)
	}
	for i, text := range def.Records {
		if err := z.parse(text); err != nil {
			return vedette.Invalid("zone %s: record %d: %w", def.Origin, i+1, err)
		}
	}
	z.complete()
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.zones[z.origin]; old != nil {
		z.keys = old.keys
	}
	if def.Signed || def.Broken == BrokenSignature {
		if err := z.sign(); err != nil {
			return fmt.Errorf("zone %s: %w", def.Origin, err)
		}
	}
	z.list()
	d.zones[z.origin] = z
	return nil
}

func (z *zone) parse(text string) error {
	p := dns.NewZoneParser(strings.NewReader(text), z.origin, "")
	p.SetDefaultTTL(300)
	rr, ok := p.Next()
	switch {
	case p.Err() != nil:
		return p.Err()
	case !ok:
		return errors.New("is empty")
	case !dns.IsSubDomain(z.origin, rr.Header().Name):
		return fmt.Errorf("%s lies outside", rr.Header().Name)
	}
	z.put(rr)
	return nil
}

func (z *zone) put(rr dns.RR) {
	h := rr.Header()
	h.Name = dns.CanonicalName(h.Name)
	if h.Rrtype == dns.TypeSOA || h.Rrtype == dns.TypeCNAME {
		delete(z.types(h.Name), h.Rrtype) // there is one
	}
	types := z.types(h.Name)
	types[h.Rrtype] = append(types[h.Rrtype], rr)
}

// types are the records of a name, made with all names between it and the origin.
func (z *zone) types(name string) map[uint16][]dns.RR {
	for at := name; ; {
		if z.names[at] == nil {
			z.names[at] = map[uint16][]dns.RR{}
		}
		i, end := dns.NextLabel(at, 0)
		if at == z.origin || end {
			return z.names[name]
		}
		at = at[i:]
	}
}

// complete makes up what every zone has to have.
func (z *zone) complete() {
	apex := z.types(z.origin)
	head := func(typ uint16) dns.RR_Header {
		return dns.RR_Header{Name: z.origin, Rrtype: typ, Class: dns.ClassINET, Ttl: 300}
	}
	server := "ns1." + z.origin
	if len(apex[dns.TypeNS]) == 0 {
		apex[dns.TypeNS] = []dns.RR{&dns.NS{Hdr: head(dns.TypeNS), Ns: server}}
	}
	if len(apex[dns.TypeSOA]) == 0 {
		apex[dns.TypeSOA] = []dns.RR{&dns.SOA{Hdr: head(dns.TypeSOA), Ns: server, Mbox: "hostmaster." + z.origin, Serial: 1, Refresh: 7200, Retry: 3600, Expire: 1209600, Minttl: 60}}
	}
}

// list puts the zone in the order of a transfer: SOA, the rest, SOA.
func (z *zone) list() {
	soa := z.names[z.origin][dns.TypeSOA][0]
	z.all = []dns.RR{soa}
	var rest []dns.RR
	for _, part := range []map[string]map[uint16][]dns.RR{z.names, z.sigs} {
		for _, types := range part {
			for _, set := range types {
				for _, rr := range set {
					if rr != soa {
						rest = append(rest, rr)
					}
				}
			}
		}
	}
	slices.SortFunc(rest, func(a, b dns.RR) int { return strings.Compare(a.String(), b.String()) })
	z.all = append(append(z.all, rest...), soa)
}

// sign makes keys, unless the zone has some, and signs every set of records.
func (z *zone) sign() (err error) {
	if z.keys == nil {
		if z.keys, err = newZoneKeys(z.origin); err != nil {
			return err
		}
	}
	z.names[z.origin][dns.TypeDNSKEY] = []dns.RR{z.keys.ksk, z.keys.zsk}
	for name, types := range z.names {
		for typ, set := range types {
			key, with := z.keys.zsk, z.keys.zskKey
			if typ == dns.TypeDNSKEY {
				key, with = z.keys.ksk, z.keys.kskKey
			}
			now := time.Now()
			sig := &dns.RRSIG{Algorithm: key.Algorithm, KeyTag: key.KeyTag(), SignerName: z.origin,
				Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.AddDate(0, 1, 0).Unix())}
			if err := sig.Sign(with, set); err != nil {
				return err
			}
			if z.Broken == BrokenSignature {
				sig.Signature = sig.Signature[:8] + "AAAA" + sig.Signature[12:]
			}
			if z.sigs[name] == nil {
				z.sigs[name] = map[uint16][]dns.RR{}
			}
			z.sigs[name][typ] = []dns.RR{sig}
		}
	}
	return nil
}

func newZoneKeys(origin string) (*zoneKeys, error) {
	k := new(zoneKeys)
	for _, one := range []struct {
		flags uint16 // RFC 4034 §2.1.1
		key   **dns.DNSKEY
		with  *crypto.Signer
	}{{257, &k.ksk, &k.kskKey}, {256, &k.zsk, &k.zskKey}} {
		key := &dns.DNSKEY{Hdr: dns.RR_Header{Name: origin, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300}, Flags: one.flags, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
		secret, err := key.Generate(256)
		if err != nil {
			return nil, err
		}
		*one.key, *one.with = key, secret.(crypto.Signer)
	}
	return k, nil
}
