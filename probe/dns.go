package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// DNS looks a name up: where it leads, who serves it, and whether it leads nowhere.
var DNS = Check{
	Name:  "dns",
	About: "what the DNS says of a name: addresses, aliases, servers, signatures",
	Spec:  "RFC 1035, RFC 4035, RFC 2782, RFC 9460",
	Class: vedette.Passive,
	Also:  []string{"resolves"},
	For:   Subject.Lookup,
	Run:   runDNS,
}

// What is looked up besides the addresses: at every name that is no alias, and
// at the top of a zone. A look does not fail because a server has no answer for
// one of them: such types are named in the details.
var (
	nameTypes = []uint16{dns.TypeSOA, dns.TypeMX, dns.TypeTXT, dns.TypeCAA, dns.TypeHTTPS}
	zoneTypes = []uint16{dns.TypeNS, dns.TypeDS, dns.TypeDNSKEY}
)

// services are looked up below the top of a zone (RFC 2782). They are those
// that something listens for on a port that only the record tells.
var services = []string{"_https._tcp", "_submission._tcp", "_submissions._tcp", "_imap._tcp", "_imaps._tcp", "_pop3s._tcp",
	"_autodiscover._tcp", "_ldap._tcp", "_sip._tls", "_sipfederationtls._tcp", "_xmpp-client._tcp", "_xmpp-server._tcp"}

// The bounds of what is kept of one name.
const (
	maxAddresses = 64
	maxListed    = 32  // values in one detail
	maxDetail    = 512 // bytes of one detail
)

// looks is what one name was found to have, by type.
type looks struct {
	name    string
	address [2]Answer // A, AAAA
	aside   map[uint16]Answer
	silent  []string // types without an answer
	srv     []*dns.SRV
	bogus   *LookupError // why the resolver holds the answer back
}

func runDNS(ctx context.Context, env *Env, s Subject, emit Emit) error {
	l := &looks{name: s.Asset.ID, aside: map[uint16]Answer{}}
	if err := l.ask(ctx, env.Resolver); err != nil {
		return err
	}
	l.tell(env)
	for _, o := range l.resolves() {
		emit(o)
	}
	emit(vedette.Observation{Fact: vedette.Fact{Details: l.details(), Reports: l.reports(ctx, env.Resolver)}})
	return nil
}

// ask looks everything up. Without the addresses the look did not succeed.
func (l *looks) ask(ctx context.Context, r *Resolver) error {
	ask := r.Ask
	for i, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
		a, err := ask(ctx, l.name, typ)
		if why, bogus := withheld(ctx, r, l.name, typ, err); bogus {
			l.bogus, ask = why, r.Unchecked
			a, err = ask(ctx, l.name, typ)
		}
		if err != nil {
			return err
		}
		l.address[i] = a
	}
	if !l.exists() || len(l.alias().Aliases) > 0 {
		return nil // there is nothing else (RFC 8020 §2), or it belongs to another name
	}
	if err := l.askTypes(ctx, ask, nameTypes); err != nil || len(l.aside[dns.TypeSOA].Records) == 0 {
		return err
	}
	if err := l.askTypes(ctx, ask, zoneTypes); err != nil {
		return err
	}
	return l.askServices(ctx, ask)
}

// asking is Resolver.Ask or Resolver.Unchecked.
type asking = func(ctx context.Context, name string, typ uint16) (Answer, error)

func (l *looks) askTypes(ctx context.Context, ask asking, types []uint16) error {
	for _, typ := range types {
		a, err := ask(ctx, l.name, typ)
		switch {
		case ctx.Err() != nil:
			return err
		case err != nil:
			l.silent = append(l.silent, dns.TypeToString[typ])
		case len(a.Aliases) == 0:
			l.aside[typ] = a
		}
	}
	return nil
}

func (l *looks) exists() bool { return l.address[0].Exists || l.address[1].Exists }

func (l *looks) askServices(ctx context.Context, ask asking) error {
	for _, service := range services {
		a, err := ask(ctx, service+"."+l.name, dns.TypeSRV)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			l.silent = append(l.silent, service)
			continue
		}
		for _, rr := range a.Records {
			if srv, ok := rr.(*dns.SRV); ok && srv.Target != "." && srv.Port != 0 && len(l.srv) < maxListed {
				l.srv = append(l.srv, srv)
			}
		}
	}
	return nil
}

// withheld says whether a resolver that validates keeps an answer back that is
// there: it fails, and does not when it is told not to check (RFC 4035 §3.2.2).
func withheld(ctx context.Context, r *Resolver, name string, typ uint16, err error) (*LookupError, bool) {
	var fail *LookupError
	if !errors.As(err, &fail) || fail.Rcode != "SERVFAIL" {
		return nil, false
	}
	if len(fail.Extended) > 0 && !slices.ContainsFunc(fail.Extended, aboutDNSSEC) {
		return nil, false // it gives another reason
	}
	_, err = r.Unchecked(ctx, name, typ)
	return fail, err == nil
}

// aboutDNSSEC are the extended errors of validation (RFC 8914 §4.6 to §4.13).
func aboutDNSSEC(code uint16) bool { return code >= 5 && code <= 12 }

// tell hands on what the look found: addresses and ports to the dialer, names
// to the plan. What a resolver holds back is dialled by nobody.
func (l *looks) tell(env *Env) {
	found := func(name string) (string, bool) {
		a, err := vedette.ParseAsset(name)
		if err != nil || a.Kind != vedette.NameAsset {
			return "", false
		}
		if env.Found != nil {
			env.Found(a.ID)
		}
		return a.ID, true
	}
	for _, alias := range l.alias().Aliases {
		found(alias)
	}
	for _, rr := range l.aside[dns.TypeNS].Records {
		found(rr.(*dns.NS).Ns)
	}
	if l.bogus != nil {
		return
	}
	for _, a := range l.address {
		if addrs := a.addresses(); len(addrs) > 0 {
			env.Net.Resolved(l.name, addrs[:min(len(addrs), maxAddresses)]...)
			env.Net.Service(l.name, 80, 443)
		}
	}
	for i, rr := range l.aside[dns.TypeMX].Records {
		if name, ok := found(rr.(*dns.MX).Mx); ok && i < maxListed {
			env.Net.Service(name, 25)
		}
	}
	for _, srv := range l.srv {
		if name, ok := found(srv.Target); ok {
			env.Net.Service(name, srv.Port)
		}
	}
	for i, rr := range l.aside[dns.TypeHTTPS].Records {
		h := rr.(*dns.HTTPS)
		name, ok := l.name, true
		if h.Target != "." {
			name, ok = found(h.Target)
		}
		if port := svcPort(&h.SVCB); ok && port != 0 && i < maxListed {
			env.Net.Service(name, port)
		}
	}
}

// svcPort is the port parameter of a service binding (RFC 9460 §7.2), 0 without one.
func svcPort(b *dns.SVCB) uint16 {
	for _, v := range b.Value {
		if p, ok := v.(*dns.SVCBPort); ok && b.Priority != 0 {
			return p.Port
		}
	}
	return 0
}

// resolves are one observation per address.
func (l *looks) resolves() []vedette.Observation {
	var out []vedette.Observation
	for _, a := range l.address {
		for _, addr := range a.addresses() {
			id := addr.String()
			if _, err := vedette.ParseAsset(id); err == nil && len(out) < maxAddresses {
				out = append(out, vedette.Observation{Check: "resolves", Item: id, Fact: vedette.Fact{Address: id}})
			}
		}
	}
	return out
}

// details are what was found, in an order that does not depend on the server;
// what changes without anybody's doing (TTL, serial, signatures) is left out.
func (l *looks) details() map[string]string {
	d := map[string]string{"exists": yesNo(l.exists()), "dnssec": l.dnssec()}
	set := func(key string, values []string) {
		if s := listed(values); s != "" {
			d[key] = s
		}
	}
	for key, typ := range map[string]uint16{"mx": dns.TypeMX, "ns": dns.TypeNS, "caa": dns.TypeCAA, "soa": dns.TypeSOA, "ds": dns.TypeDS, "dnskey": dns.TypeDNSKEY, "https": dns.TypeHTTPS} {
		var values []string
		for _, rr := range l.aside[typ].Records {
			values = append(values, shownRecord(rr))
		}
		set(key, values)
	}
	var srv []string
	for _, r := range l.srv {
		srv = append(srv, fmt.Sprintf("%s %s:%d", strings.TrimSuffix(plain(r.Hdr.Name), "."+l.name), plain(r.Target), r.Port))
	}
	set("srv", srv)
	set("silent", l.silent)
	if n := len(l.aside[dns.TypeTXT].Records); n > 0 {
		d["txt_count"] = strconv.Itoa(n)
	}
	if n := len(l.resolves()); n == maxAddresses {
		d["addresses"] = "more than are kept"
	}
	if to := l.alias().Aliases; len(to) > 0 {
		d["cname"] = safe.Label(strings.Join(to, " > ")) // in the order of the chain
	}
	return d
}

// alias is the answer with the chain of aliases.
func (l *looks) alias() Answer {
	if len(l.address[0].Aliases) > 0 {
		return l.address[0]
	}
	return l.address[1]
}

// dnssec is the state of the name's answers. That they are authenticated is the
// word of the resolver.
func (l *looks) dnssec() string {
	a := l.address[0]
	if soa, ok := l.aside[dns.TypeSOA]; ok {
		a = soa
	}
	switch {
	case l.bogus != nil:
		return "bogus"
	case a.Authenticated && a.Signed:
		return "signed, authenticated by the resolver"
	case a.Signed || len(l.aside[dns.TypeDNSKEY].Records) > 0:
		return "signed"
	}
	return "unsigned"
}

// shownRecord is the data of a record without what changes by itself.
func shownRecord(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.MX:
		return fmt.Sprintf("%d %s", rr.Preference, targetName(rr.Mx))
	case *dns.NS:
		return targetName(rr.Ns)
	case *dns.SOA:
		return targetName(rr.Ns) + " " + targetName(rr.Mbox)
	case *dns.CAA:
		return fmt.Sprintf("%d %s %s", rr.Flag, rr.Tag, rr.Value)
	case *dns.DS:
		return dns.AlgorithmToString[rr.Algorithm] + " " + dns.HashToString[rr.DigestType]
	case *dns.DNSKEY:
		role := "zone"
		if rr.Flags&dns.SEP != 0 {
			role = "entry"
		}
		return role + " " + dns.AlgorithmToString[rr.Algorithm]
	case *dns.HTTPS:
		s := fmt.Sprintf("%d %s", rr.Priority, targetName(rr.Target))
		if p := svcPort(&rr.SVCB); p != 0 {
			s += fmt.Sprintf(" port %d", p)
		}
		return s
	}
	return ""
}

// targetName is a name in the data of a record; "." is none.
func targetName(name string) string {
	if name == "." {
		return "."
	}
	return plain(name)
}

// listed joins values, sorted and each once, as far as there is room.
func listed(values []string) string {
	slices.Sort(values)
	values = slices.Compact(values)
	var b strings.Builder
	for i, v := range values {
		v = safe.Label(v)
		if i == maxListed || b.Len()+len(v) > maxDetail-32 {
			fmt.Fprintf(&b, ", and %d more", len(values)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(v)
	}
	return b.String()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// reports are the weaknesses that the look itself shows.
func (l *looks) reports(ctx context.Context, r *Resolver) []vedette.Report {
	var out []vedette.Report
	if a := l.alias(); len(a.Aliases) > 0 && !l.exists() {
		out = append(out, vedette.Report{Weakness: "check:dangling-cname", Verdict: vedette.Possible, Note: dangling(ctx, r, a.Name)})
	}
	if l.bogus != nil {
		v, why := vedette.Likely, "The resolver fails"
		if slices.ContainsFunc(l.bogus.Extended, aboutDNSSEC) {
			v, why = vedette.Confirmed, "The resolver says that the signatures do not hold"
		}
		out = append(out, vedette.Report{Weakness: "check:dnssec-bogus", Verdict: v,
			Note: why + ", and answers when it is told not to check them: who validates does not reach this name."})
	}
	return out
}

// dangling says why a target that does not exist may be dangerous, and what was
// not tried: nobody claims the target to see whether it can be claimed.
func dangling(ctx context.Context, r *Resolver, target string) string {
	note := fmt.Sprintf("The alias leads to %s, which does not exist", safe.Label(target))
	domain, err := publicsuffix.EffectiveTLDPlusOne(target)
	if err == nil && domain != target {
		if a, err := r.Ask(ctx, domain, dns.TypeNS); err == nil && !a.Exists {
			return note + fmt.Sprintf("; nor does the domain %s, so that whoever registers it owns this name (not tried).", safe.Label(domain))
		}
	}
	return note + "; whoever can create it at its provider owns this name (not tried)."
}
