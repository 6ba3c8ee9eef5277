package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// ZoneTransfer asks the name servers of a zone for all of it.
var ZoneTransfer = zoneTransfer(53)

// zoneTransfer is the check over a port.
func zoneTransfer(port uint16) Check {
	return Check{
		Name:  "axfr",
		About: "name servers that hand out a whole zone to anybody",
		Spec:  "RFC 5936",
		Class: vedette.Active,
		For:   Subject.Lookup,
		Run: func(ctx context.Context, env *Env, s Subject, emit Emit) error {
			return runZoneTransfer(ctx, env, s.Asset.ID, port, emit)
		},
	}
}

// The bounds of a transfer: it is read as far as the proof needs.
const (
	transferServers = 8 // addresses that are asked
	transferCount   = 10_000
	transferBytes   = 4 << 20
	transferShown   = 5 // names in the evidence
	transferProof   = 2 // more records than the two SOA of an empty zone
)

// transferred is what a server handed out.
type transferred struct {
	server string
	count  int
	whole  bool // up to the closing SOA
	names  []string
}

// runZoneTransfer asks each name server of the zone whose address the scope
// holds: a session to a name authorises no transfer, so that none is named.
// Where it holds none, nothing was looked at: an ErrRefused.
func runZoneTransfer(ctx context.Context, env *Env, zone string, port uint16, emit Emit) error {
	servers, err := nameServers(ctx, env.Resolver, zone)
	if err != nil || len(servers) == 0 {
		return err
	}
	var open []transferred
	var failed error
	asked := 0
	for _, a := range servers {
		t, err := transfer(ctx, env, zone, netip.AddrPortFrom(a, port))
		switch {
		case errors.Is(err, vedette.ErrRefused):
		case err != nil:
			failed = err
		default:
			asked++
			if t.count > transferProof {
				open = append(open, t)
			}
		}
	}
	switch {
	case len(open) > 0: // one is proof enough, whatever the others are
		emit(vedette.Observation{Fact: transferFact(open)})
		return nil
	case failed != nil:
		return failed
	case asked == 0:
		return vedette.Refused("no network of the scope holds a name server of %s: not looked at", safe.Label(zone))
	}
	return nil
}

// nameServers are the addresses of the servers of a zone, none when the name is
// not the top of one.
func nameServers(ctx context.Context, r *Resolver, zone string) ([]netip.Addr, error) {
	ns, err := r.Ask(ctx, zone, dns.TypeNS)
	if err != nil || len(ns.Aliases) > 0 {
		return nil, err
	}
	var out []netip.Addr
	for _, rr := range ns.Records[:min(len(ns.Records), transferServers)] {
		addrs, err := r.Addresses(ctx, rr.(*dns.NS).Ns)
		var fail *LookupError
		if err != nil && (ctx.Err() != nil || !errors.As(err, &fail)) {
			return nil, err
		}
		out = append(out, addrs...) // a server whose address is not known cannot be asked
	}
	out = sortedAddresses(out)
	return out[:min(len(out), transferServers)], nil
}

// transfer asks one server. That it declines is an answer.
func transfer(ctx context.Context, env *Env, zone string, to netip.AddrPort) (transferred, error) {
	t := transferred{server: to.Addr().String()}
	c, err := env.Net.DialWithin(ctx, vedette.Target{Network: "tcp", Addr: to, Class: vedette.Active}, env.Timeout)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return t, nil // closed: it hands nothing out
	}
	if err != nil {
		return t, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(env.Timeout)); err != nil {
		return t, err
	}
	ask := new(dns.Msg)
	ask.SetAxfr(dns.Fqdn(zone))
	out, err := ask.Pack()
	if err != nil {
		return t, err
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
		return t, err
	}
	return t, t.read(io.LimitReader(c, transferBytes), ask)
}

// read reads messages up to the closing SOA (RFC 5936 §2.2) or the bounds.
func (t *transferred) read(r io.Reader, ask *dns.Msg) error {
	for t.count < transferCount && !t.whole {
		m, err := readMessage(r)
		switch {
		case err != nil && t.count > transferProof:
			return nil // what came is proof
		case errors.Is(err, io.EOF):
			return nil // it hung up: it declines
		case err != nil:
			return err
		case m.Id != ask.Id || !m.Response:
			return errors.New("an answer to another question")
		case m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0:
			return nil
		}
		for _, rr := range m.Answer {
			t.add(rr, dns.CanonicalName(ask.Question[0].Name))
		}
	}
	return nil
}

// add counts a record. A transfer begins with the SOA of the zone.
func (t *transferred) add(rr dns.RR, zone string) {
	h := rr.Header()
	soa := h.Rrtype == dns.TypeSOA && dns.CanonicalName(h.Name) == zone
	if t.whole || t.count == 0 && !soa || !dns.IsSubDomain(zone, dns.CanonicalName(h.Name)) {
		return
	}
	t.whole = soa && t.count > 0
	t.count++
	name := plain(h.Name)
	if h.Rrtype != dns.TypeRRSIG && len(t.names) < transferShown && !slices.Contains(t.names, name) {
		t.names = append(t.names, name)
	}
}

// transferFact is the proof: how many records came, and the first names.
func transferFact(open []transferred) vedette.Fact {
	var servers []string
	for _, t := range open {
		servers = append(servers, t.server)
	}
	first := open[0]
	count := fmt.Sprint(first.count)
	if !first.whole {
		count = "at least " + count
	}
	names := slices.Clone(first.names)
	slices.Sort(names)
	return vedette.Fact{
		Details: map[string]string{"servers": listed(servers), "records": count, "names": listed(names)},
		Reports: []vedette.Report{{Weakness: "check:zone-transfer", Verdict: vedette.Confirmed,
			Note: fmt.Sprintf("%s handed out %s records of the zone, among them %s.", first.server, count, safe.Label(strings.Join(names, ", ")))}},
	}
}
