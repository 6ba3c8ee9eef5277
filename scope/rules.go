package scope

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// The rules that refuse a target, by their names in the record.
const (
	RuleSpecial  = "special"   // an address that is nobody's host
	RuleLab      = "lab"       // a lab touches loopback and nothing else
	RuleLoopback = "loopback"  // loopback is for labs alone
	RuleExcluded = "excluded"  // the constituent excludes it
	RuleOptOut   = "opt-out"   // its owner asked us not to touch it
	RuleOutside  = "outside"   // no entry of the scope holds it
	RuleExpired  = "expired"   // the entry that holds it is no longer valid
	RuleClass    = "class"     // the entry does not authorise this class of check
	RuleResolve  = "resolve"   // the session's name did not resolve to this address in this run
	RulePrivate  = "private"   // a name that resolves into a private network opens nothing there
	RulePort     = "port"      // a port that no service record of the name gives
	RuleProtocol = "protocol"  // a name authorises sessions, no datagrams
	RuleUnknown  = "authority" // no constituency knows the constituent
)

// Refused is the answer no, with the rule that gave it.
type Refused struct{ Rule, Why string }

// Error is the reason.
func (r *Refused) Error() string { return r.Rule + ": " + r.Why }

// Unwrap makes it a refusal (exit code 8).
func (r *Refused) Unwrap() error { return vedette.ErrRefused }

func no(rule, format string, a ...any) error { return &Refused{rule, fmt.Sprintf(format, a...)} }

// Rules decide what may be touched for one constituent (design section 5.5).
// Exclusions and opt-outs win; a network authorises its addresses; a name
// authorises sessions to that name at the addresses it resolves to, and no port
// scan. Rules are asked at the plan, when a part begins and before every packet.
type Rules struct {
	constituent string
	scope       []vedette.ScopeEntry
	exclude     []vedette.ScopeEntry
	optOuts     []vedette.OptOut
	lab         bool
	now         func() time.Time
}

// NewRules are the rules of a constituent. A lab's rules allow loopback and
// nothing else; all others everything but loopback.
func NewRules(c vedette.Constituent, optOuts []vedette.OptOut, lab bool, now func() time.Time) *Rules {
	return &Rules{constituent: c.ID, scope: c.Scope, exclude: c.Exclude, optOuts: optOuts, lab: lab, now: now}
}

// Decide says whether a packet may be sent; the error is a *Refused.
func (r *Rules) Decide(t vedette.Target) error {
	a := t.Addr.Addr().Unmap()
	if err := r.host(a); err != nil {
		return err
	}
	if err := r.address(a, t.Class); err == nil {
		if t.Name == "" {
			return nil
		}
		return r.excludedName(t.Name) // whoever may touch the host may name it, unless it is shut out
	} else if t.Name == "" {
		return err
	} else if shut(err) {
		return err
	}
	return r.session(t, a)
}

// Name says whether a name may be looked at by checks of a class.
func (r *Rules) Name(name string, class vedette.CheckClass) error {
	if err := r.excludedName(name); err != nil {
		return err
	}
	return r.allowed(class, "name "+name, func(e vedette.ScopeEntry) bool { return holdsName(e, name) })
}

// Address says whether an address may be scanned by checks of a class.
func (r *Rules) Address(a netip.Addr, class vedette.CheckClass) error {
	a = a.Unmap()
	if err := r.host(a); err != nil {
		return err
	}
	return r.address(a, class)
}

// shut are refusals that no other entry can lift.
func shut(err error) bool {
	r, ok := err.(*Refused)
	return ok && (r.Rule == RuleExcluded || r.Rule == RuleOptOut)
}

// host refuses addresses that are no host anybody could authorise.
func (r *Rules) host(a netip.Addr) error {
	switch {
	case !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.Zone() != "" || a == broadcast:
		return no(RuleSpecial, "%s is no host", a)
	case r.lab && !a.IsLoopback():
		return no(RuleLab, "a lab touches loopback only, not %s", a)
	case !r.lab && (a.IsLoopback() || embedded(a)):
		return no(RuleLoopback, "%s is this machine or hides another address", a)
	}
	return nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// translated are networks whose addresses stand for IPv4 ones: NAT64 (RFC 6052
// and RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380), IPv4-compatible (RFC 4291 §2.5.5.1).
var translated = []netip.Prefix{
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("::/96"),
}

func embedded(a netip.Addr) bool {
	return slices.ContainsFunc(translated, func(p netip.Prefix) bool { return p.Contains(a) })
}

// address asks the networks: those of the scope, and consents of third parties that name one.
func (r *Rules) address(a netip.Addr, class vedette.CheckClass) error {
	for _, e := range r.exclude {
		if p, ok := e.Prefix(); ok && p.Contains(a) {
			return no(RuleExcluded, "%s excludes %s", r.constituent, p)
		}
	}
	for _, o := range r.optOuts {
		if p, ok := (vedette.ScopeEntry{CIDR: o.What}).Prefix(); ok && p.Contains(a) && r.inForce(o) {
			return no(RuleOptOut, "%s: %s", o.What, o.Reason)
		}
	}
	return r.allowed(class, "address "+a.String(), func(e vedette.ScopeEntry) bool {
		p, ok := e.Prefix()
		return ok && p.Contains(a)
	})
}

func (r *Rules) inForce(o vedette.OptOut) bool {
	return vedette.ScopeEntry{ValidUntil: o.Until}.Valid(r.now())
}

func (r *Rules) excludedName(name string) error {
	for _, e := range r.exclude {
		if holdsName(e, name) {
			return no(RuleExcluded, "%s excludes %s", r.constituent, name)
		}
	}
	for _, o := range r.optOuts {
		if below(name, o.What) && r.inForce(o) {
			return no(RuleOptOut, "%s: %s", o.What, o.Reason)
		}
	}
	return nil
}

// allowed finds an entry that holds the thing, is valid and authorises the
// class; the refusal names how near the nearest came.
func (r *Rules) allowed(class vedette.CheckClass, what string, holds func(vedette.ScopeEntry) bool) error {
	err := no(RuleOutside, "%s is in no entry of the scope of %s", what, r.constituent)
	for _, e := range r.scope {
		switch {
		case !holds(e):
		case !e.Valid(r.now()):
			err = no(RuleExpired, "%s: %s authorised it until %s", what, e.Document, e.ValidUntil)
		case !Authorises(e, class):
			if x := err.(*Refused); x.Rule != RuleExpired {
				err = no(RuleClass, "%s: %s does not authorise %s checks", what, e.Document, class)
			}
		default:
			return nil
		}
	}
	return err
}

// Authorises says whether an entry authorises a class. An entry that names no
// class authorises passive checks alone.
func Authorises(e vedette.ScopeEntry, class vedette.CheckClass) bool {
	if len(e.Classes) == 0 {
		return class == vedette.Passive
	}
	return slices.Contains(e.Classes, class) || class == vedette.Passive
}

// session asks the names: what a name authorises at an address that no network holds.
func (r *Rules) session(t vedette.Target, a netip.Addr) error {
	if err := r.excludedName(t.Name); err != nil {
		return err
	}
	err := r.allowed(t.Class, "name "+t.Name, func(e vedette.ScopeEntry) bool { return holdsName(e, t.Name) })
	if err == nil {
		err = r.allowed(t.Class, fmt.Sprintf("port %d of %s", t.Addr.Port(), t.Name), func(e vedette.ScopeEntry) bool {
			return holdsName(e, t.Name) && (e.URL == "" || PortOf(e.URL) == t.Addr.Port())
		})
	}
	switch {
	case err != nil:
		return err
	case !t.Resolved:
		return no(RuleResolve, "%s did not resolve to %s in this run", t.Name, a)
	case inside(a) && !r.lab:
		return no(RulePrivate, "%s resolves to %s, which no network of the scope holds", t.Name, a)
	case r.Consented(t.Name, t.Class):
		return nil
	case t.Class != vedette.Active && t.Class != vedette.Passive:
		return no(RuleClass, "%s checks of %s need its address in a network of the scope, or the consent of who runs it", t.Class, t.Name)
	case t.Network != "tcp":
		return no(RuleProtocol, "a name authorises no datagrams to %s", a)
	case !t.Service:
		return no(RulePort, "no service record of %s gives port %d", t.Name, t.Addr.Port())
	}
	return nil
}

// Consented says whether who runs the hosts of a name consented to their scan
// by checks of a class.
func (r *Rules) Consented(name string, class vedette.CheckClass) bool {
	return r.excludedName(name) == nil && slices.ContainsFunc(r.scope, func(e vedette.ScopeEntry) bool {
		return e.ThirdParty != "" && holdsName(e, name) && e.Valid(r.now()) && Authorises(e, class)
	})
}

// local are networks whose addresses mean another host on every network, beside
// the private ones: "this network" (RFC 1122 §3.2.1.3), what a provider shares
// with its customers (RFC 6598), protocol assignments, where clouds keep their
// metadata too (RFC 6890), benchmarks (RFC 2544), what is reserved (RFC 1112
// §4), and the old site-local addresses (RFC 3879).
var local = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("fec0::/10"),
}

// inside says whether an address means another host on every network.
func inside(a netip.Addr) bool {
	return a.IsPrivate() || slices.ContainsFunc(local, func(p netip.Prefix) bool { return p.Contains(a) })
}

// holdsName says whether an entry holds a name: a domain, with what is below it
// when it says so, or the host of a URL.
func holdsName(e vedette.ScopeEntry, name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if e.URL != "" {
		return e.Host() == name
	}
	d := strings.ToLower(strings.TrimSuffix(e.Domain, "."))
	if d == "" {
		return false
	}
	return name == d || e.Subdomains && below(name, d)
}

// PortOf is the port of a URL: its own, or that of its scheme; 0 when it has none.
func PortOf(u string) uint16 {
	p, err := url.Parse(u)
	if err != nil {
		return 0
	}
	if n, err := strconv.ParseUint(p.Port(), 10, 16); err == nil {
		return uint16(n)
	}
	return map[string]uint16{"http": 80, "https": 443}[p.Scheme]
}

// below says whether a name is a domain or stands under it.
func below(name, domain string) bool {
	name, domain = strings.ToLower(strings.TrimSuffix(name, ".")), strings.ToLower(strings.TrimSuffix(domain, "."))
	return domain != "" && (name == domain || strings.HasSuffix(name, "."+domain))
}
