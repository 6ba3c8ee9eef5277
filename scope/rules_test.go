package scope

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
)

var day = time.Date(2026, 11, 9, 12, 0, 0, 0, time.UTC)

func rulesAt(lab bool, c vedette.Constituent, outs ...vedette.OptOut) *Rules {
	return NewRules(c, outs, lab, func() time.Time { return day })
}

var ladder = vedette.Constituent{ID: "alpha",
	Scope: []vedette.ScopeEntry{
		{CIDR: "198.51.100.0/24", AuthorisedBy: "a", Document: "d1", Classes: []vedette.CheckClass{vedette.Active}},
		{CIDR: "198.51.101.0/24", AuthorisedBy: "a", Document: "d2", ValidUntil: "2026-11-08", Classes: []vedette.CheckClass{vedette.Active}},
		{CIDR: "198.51.102.0/24", AuthorisedBy: "a", Document: "d3"},
		{CIDR: "10.1.0.0/16", AuthorisedBy: "a", Document: "d4", Classes: []vedette.CheckClass{vedette.Active}},
		{Domain: "alpha.example", Subdomains: true, AuthorisedBy: "a", Document: "d5", Classes: []vedette.CheckClass{vedette.Active}},
		{Domain: "quiet.example", AuthorisedBy: "a", Document: "d6"},
		{Domain: "hosted.example", AuthorisedBy: "a", Document: "d7", ThirdParty: "host.example, letter of 2026-03-01", Classes: []vedette.CheckClass{vedette.Active}},
		{URL: "https://portal.example:8443/x", AuthorisedBy: "a", Document: "d8", Classes: []vedette.CheckClass{vedette.Active}},
	},
	Exclude: []vedette.ScopeEntry{{CIDR: "198.51.100.128/25"}, {Domain: "fragile.alpha.example", Subdomains: true}},
}

func TestDecide(t *testing.T) {
	r := rulesAt(false, ladder, vedette.OptOut{What: "198.51.100.7", Reason: "asked"}, vedette.OptOut{What: "198.51.100.8", Until: "2026-11-08", Reason: "over"}, vedette.OptOut{What: "phone.alpha.example", Reason: "asked"})
	scan := func(a string) vedette.Target {
		return vedette.Target{Network: "tcp", Addr: netip.MustParseAddrPort(a), Class: vedette.Active}
	}
	session := func(a, name string) vedette.Target {
		x := scan(a)
		x.Name, x.Resolved, x.Service = name, true, true
		return x
	}
	with := func(x vedette.Target, f func(*vedette.Target)) vedette.Target { f(&x); return x }
	for _, c := range []struct {
		what string
		t    vedette.Target
		rule string // "" is yes
	}{
		{"a scan inside", scan("198.51.100.1:22"), ""},
		{"the same address as IPv4-mapped", scan("[::ffff:198.51.100.1]:22"), ""},
		{"a scan outside", scan("198.51.103.1:22"), RuleOutside},
		{"an exclusion wins", scan("198.51.100.129:22"), RuleExcluded},
		{"an opt-out wins", scan("198.51.100.7:22"), RuleOptOut},
		{"an opt-out that is over", scan("198.51.100.8:22"), ""},
		{"expired", scan("198.51.101.1:22"), RuleExpired},
		{"no class named is passive", scan("198.51.102.1:22"), RuleClass},
		{"intrusive where active is authorised", with(scan("198.51.100.1:22"), func(x *vedette.Target) { x.Class = vedette.Intrusive }), RuleClass},
		{"a private network that is authorised", scan("10.1.2.3:22"), ""},
		{"loopback", scan("127.0.0.1:22"), RuleLoopback},
		{"loopback as a session", session("127.0.0.1:80", "www.alpha.example"), RuleLoopback},
		{"IPv6 loopback", scan("[::1]:22"), RuleLoopback},
		{"metadata of a cloud", session("169.254.169.254:80", "www.alpha.example"), RuleSpecial},
		{"multicast", scan("224.0.0.1:22"), RuleSpecial},
		{"broadcast", scan("255.255.255.255:22"), RuleSpecial},
		{"NAT64", session("[64:ff9b::c633:6401]:80", "www.alpha.example"), RuleLoopback},
		{"a session to a name", session("192.0.2.1:443", "www.alpha.example"), ""},
		{"a name with a final dot and capitals", session("192.0.2.1:443", "WWW.Alpha.example."), ""},
		{"a name that only ends like it", session("192.0.2.1:443", "www.notalpha.example"), RuleOutside},
		{"a name below one without subdomains", session("192.0.2.1:443", "www.hosted.example"), RuleOutside},
		{"a scan of the address of a name", scan("192.0.2.1:443"), RuleOutside},
		{"an excluded name", session("192.0.2.1:443", "x.fragile.alpha.example"), RuleExcluded},
		{"an excluded name at an authorised address", session("198.51.100.1:443", "fragile.alpha.example"), RuleExcluded},
		{"a name at an excluded address", session("198.51.100.200:443", "www.alpha.example"), RuleExcluded},
		{"an opted-out name", session("192.0.2.1:443", "phone.alpha.example"), RuleOptOut},
		{"a name that did not resolve there", with(session("192.0.2.1:443", "www.alpha.example"), func(x *vedette.Target) { x.Resolved = false }), RuleResolve},
		{"a port no record gives", with(session("192.0.2.1:22", "www.alpha.example"), func(x *vedette.Target) { x.Service = false }), RulePort},
		{"a datagram to a name", with(session("192.0.2.1:53", "www.alpha.example"), func(x *vedette.Target) { x.Network = "udp" }), RuleProtocol},
		{"an intrusive check of a name", with(session("192.0.2.1:25", "www.alpha.example"), func(x *vedette.Target) { x.Class = vedette.Intrusive }), RuleClass},
		{"a name that resolves inside", session("10.9.9.9:80", "www.alpha.example"), RulePrivate},
		{"a name that resolves to a provider's space", session("100.64.0.1:80", "www.alpha.example"), RulePrivate},
		{"a name that resolves to metadata of a cloud", session("192.0.0.192:80", "www.alpha.example"), RulePrivate},
		{"a name that resolves to benchmarks", session("198.18.0.1:80", "www.alpha.example"), RulePrivate},
		{"a name that resolves to this network", session("0.0.0.1:80", "www.alpha.example"), RulePrivate},
		{"a name that resolves to a site-local address", session("[fec0::1]:80", "www.alpha.example"), RulePrivate},
		{"a name at an authorised private address", session("10.1.2.3:80", "www.alpha.example"), ""},
		{"a passive name", session("192.0.2.1:443", "quiet.example"), RuleClass},
		{"any port of a consented name", with(session("192.0.2.1:22", "hosted.example"), func(x *vedette.Target) { x.Service = false }), ""},
		{"the host of a URL", session("192.0.2.1:8443", "portal.example"), ""},
		{"another port of the host of a URL", session("192.0.2.1:443", "portal.example"), RuleOutside},
	} {
		err := r.Decide(c.t)
		var no *Refused
		got := ""
		if errors.As(err, &no) {
			got = no.Rule
		}
		if got != c.rule || (err != nil) != (c.rule != "") {
			t.Errorf("%s: %v, want rule %q", c.what, err, c.rule)
		}
		if err != nil && !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("%s: %v is no refusal", c.what, err)
		}
	}
}

func TestALabTouchesLoopbackOnly(t *testing.T) {
	c := vedette.Constituent{ID: "alpha", Scope: []vedette.ScopeEntry{{CIDR: "0.0.0.0/0", Classes: []vedette.CheckClass{vedette.Active}}, {CIDR: "::/0", Classes: []vedette.CheckClass{vedette.Active}}}}
	r := rulesAt(true, c)
	for a, yes := range map[string]bool{"127.0.0.1:1": true, "127.255.255.254:1": true, "[::1]:1": true, "198.51.100.1:1": false, "10.0.0.1:1": false, "[2001:db8::1]:1": false, "[::ffff:127.0.0.1]:1": true, "0.0.0.0:1": false} {
		if err := r.Decide(vedette.Target{Network: "tcp", Addr: netip.MustParseAddrPort(a), Class: vedette.Active}); (err == nil) != yes {
			t.Errorf("%s: %v", a, err)
		}
	}
}

// TestDecideAgainstTheRule holds 10,000 random scopes, exclusions, names and
// answers against the rule of design section 5.5, written down a second time as
// plainly as it can be said.
func TestDecideAgainstTheRule(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	yes := 0
	for i := range 10_000 {
		c, outs := randomScope(r)
		target := randomTarget(r)
		err := rulesAt(false, c, outs...).Decide(target)
		if want := plainly(c, outs, target); (err == nil) != want {
			t.Fatalf("case %d: %+v\nscope %+v\nexclude %+v\nopt-outs %+v\ngave %v, want allowed %v", i, target, c.Scope, c.Exclude, outs, err, want)
		}
		if err == nil {
			yes++
		}
	}
	if yes < 500 || yes > 9_500 {
		t.Errorf("%d of 10,000 are allowed: the cases prove little", yes)
	}
}

// plainly is the rule: what is shut out is shut out; an address needs a
// network; a session to a name needs the name and what its records say.
func plainly(c vedette.Constituent, outs []vedette.OptOut, t vedette.Target) bool {
	addr := t.Addr.Addr()
	within := func(cidr string) bool {
		p, err := netip.ParsePrefix(cidr)
		return err == nil && p.Contains(addr)
	}
	under := func(name, domain string, sub bool) bool {
		return name != "" && (name == domain || sub && strings.HasSuffix(name, "."+domain))
	}
	for _, e := range c.Exclude {
		if within(e.CIDR) || e.Domain != "" && under(t.Name, e.Domain, e.Subdomains) {
			return false
		}
	}
	for _, o := range outs {
		over := o.Until != "" && o.Until < day.Format(time.DateOnly)
		if !over && (within(o.What) || under(t.Name, o.What, true)) {
			return false
		}
	}
	good := func(e vedette.ScopeEntry) bool {
		valid := e.ValidUntil == "" || e.ValidUntil >= day.Format(time.DateOnly)
		for _, k := range e.Classes {
			if k == t.Class {
				return valid
			}
		}
		return valid && t.Class == vedette.Passive
	}
	for _, e := range c.Scope {
		if within(e.CIDR) && good(e) {
			return true
		}
	}
	if t.Name == "" || !t.Resolved || addr.IsPrivate() {
		return false
	}
	for _, e := range c.Scope {
		if e.Domain == "" || !under(t.Name, e.Domain, e.Subdomains) || !good(e) {
			continue
		}
		session := t.Network == "tcp" && t.Service && (t.Class == vedette.Active || t.Class == vedette.Passive)
		if session || e.ThirdParty != "" {
			return true
		}
	}
	return false
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

var domains = []string{"a.example", "b.a.example", "c.example", "aa.example", "x.b.a.example"}

func randomAddr(r *rand.Rand) netip.Addr {
	if r.IntN(6) == 0 {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x:%x", r.IntN(3), r.IntN(4)))
	}
	if r.IntN(6) == 0 {
		return netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(2)), byte(r.IntN(4))})
	}
	return netip.AddrFrom4([4]byte{198, 51, byte(100 + r.IntN(2)), byte(r.IntN(8))})
}

func randomPrefix(r *rand.Rand) string {
	a := randomAddr(r)
	bits := pick(r, 24, 29, 30, 31, 32)
	if a.Is6() {
		bits = pick(r, 64, 112, 126, 128)
	}
	return netip.PrefixFrom(a, bits).Masked().String()
}

func randomScope(r *rand.Rand) (c vedette.Constituent, outs []vedette.OptOut) {
	c.ID = "alpha"
	entry := func() (e vedette.ScopeEntry) {
		if r.IntN(2) == 0 {
			e.CIDR = randomPrefix(r)
		} else {
			e.Domain, e.Subdomains = pick(r, domains...), r.IntN(2) == 0
		}
		return e
	}
	for range 1 + r.IntN(5) {
		e := entry()
		e.ValidUntil = pick(r, "", "", "2026-11-08", "2026-11-09", "2026-12-31")
		e.Classes = pick(r, nil, []vedette.CheckClass{vedette.Active}, []vedette.CheckClass{vedette.Passive, vedette.Active}, []vedette.CheckClass{vedette.Active, vedette.Intrusive})
		e.ThirdParty = pick(r, "", "", "", "consent of 2026")
		c.Scope = append(c.Scope, e)
	}
	for range r.IntN(3) {
		c.Exclude = append(c.Exclude, entry())
	}
	for range r.IntN(2) {
		outs = append(outs, vedette.OptOut{What: pick(r, randomPrefix(r), pick(r, domains...)), Until: pick(r, "", "2026-11-08", "2026-11-09"), Reason: "asked"})
	}
	return c, outs
}

func randomTarget(r *rand.Rand) vedette.Target {
	t := vedette.Target{Network: pick(r, "tcp", "tcp", "tcp", "udp"), Addr: netip.AddrPortFrom(randomAddr(r), uint16(1+r.IntN(65535))), Class: pick(r, vedette.Passive, vedette.Active, vedette.Active, vedette.Intrusive)}
	if r.IntN(3) > 0 {
		t.Name, t.Resolved, t.Service = pick(r, domains...), r.IntN(4) > 0, r.IntN(4) > 0
	}
	return t
}

// TestMappedNetworks: a network in the IPv4-mapped form is the IPv4 network,
// also where it is to keep us out.
func TestMappedNetworks(t *testing.T) {
	at := func(a string) vedette.Target {
		return vedette.Target{Network: "tcp", Addr: netip.MustParseAddrPort(a), Class: vedette.Active}
	}
	c := vedette.Constituent{ID: "alpha", Scope: []vedette.ScopeEntry{{CIDR: "::ffff:198.51.100.0/120", Document: "d", Classes: []vedette.CheckClass{vedette.Active}}},
		Exclude: []vedette.ScopeEntry{{CIDR: "::ffff:198.51.100.128/121"}}}
	r := rulesAt(false, c, vedette.OptOut{What: "::ffff:198.51.100.7", Reason: "asked"}, vedette.OptOut{What: "::ffff:198.51.100.16/124", Reason: "asked"})
	for a, rule := range map[string]string{"198.51.100.1:22": "", "198.51.100.129:22": RuleExcluded, "198.51.100.7:22": RuleOptOut, "198.51.100.17:22": RuleOptOut, "[::ffff:198.51.100.7]:22": RuleOptOut} {
		var no *Refused
		if err := r.Decide(at(a)); (err != nil) != (rule != "") || errors.As(err, &no) && no.Rule != rule {
			t.Errorf("%s: %v, want %q", a, err, rule)
		}
	}
}
