// Package survey plans what a run looks at: the names and addresses that the
// scope of a constituent authorises, in parts that one process works at a time.
// It also tells what changed between two looks. Who looks is package probe.
package survey

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette"
)

// Rules decide what may be looked at; scope.Rules does.
type Rules interface {
	Name(name string, class vedette.CheckClass) error
	Address(a netip.Addr, class vedette.CheckClass) error
	Consented(name string, class vedette.CheckClass) bool
}

// Input is what a plan starts from.
type Input struct {
	Constituent vedette.Constituent
	Class       vedette.CheckClass // the furthest the checks go: passive, active
	Rules       Rules
	Owner       func(asset string) (owner string, users []string, tie bool)
	Assets      []string        // that the constituent is known to own
	Open        []vedette.Place // known to be open
	Ports       string          // to scan, as in Part.Ports
}

// Plan is what a survey will look at, and what it leaves out.
type Plan struct {
	Parts     []vedette.Part
	Names     int
	Addresses int
	Left      []Left
}

// Left is something the scope mentions that the survey does not look at.
type Left struct{ What, Why string }

// Sizes of parts: small enough to be worked again after a kill, large enough
// to be worth a job. A network above maxNetwork is to be split by its owner.
const (
	namesPerPart     = 32
	addressesPerPart = 64
	maxNetwork       = 1 << 16
)

// Make plans a survey of all that the scope authorises.
func Make(in Input) Plan {
	p := planner{Input: in, names: map[string]bool{}, addrs: map[netip.Addr]bool{}}
	for _, e := range in.Constituent.Scope {
		p.entry(e)
	}
	for _, a := range in.Assets {
		p.asset(a)
	}
	p.cut()
	return p.plan
}

// More plans what a survey adds for names that were met on the way: those that
// the scope authorises and the survey does not look at yet.
func More(in Input, found []string, planned map[string]bool) []vedette.Part {
	p := planner{Input: in, names: map[string]bool{}, addrs: map[netip.Addr]bool{}}
	for _, n := range found {
		if a, err := vedette.ParseAsset(n); err == nil && a.Kind == vedette.NameAsset && !planned[a.ID] && len(planned)+len(p.names) < maxFound {
			p.name(a.ID, false)
		}
	}
	p.cut()
	return p.plan.Parts
}

// maxFound bounds how many names one survey looks at: a zone with a wildcard
// and a certificate with a thousand names end somewhere.
const maxFound = 20_000

type planner struct {
	Input
	plan  Plan
	names map[string]bool
	addrs map[netip.Addr]bool
}

func (p *planner) left(what, why string) {
	if len(p.plan.Left) < 1000 {
		p.plan.Left = append(p.plan.Left, Left{what, why})
	}
}

func (p *planner) entry(e vedette.ScopeEntry) {
	switch prefix, ok := e.Prefix(); {
	case ok:
		p.network(prefix)
	case e.Domain != "":
		p.name(strings.ToLower(strings.TrimSuffix(e.Domain, ".")), true)
	case e.URL != "":
		if host := e.Host(); host != "" {
			p.asset(host)
		}
	}
}

func (p *planner) asset(id string) {
	a, err := vedette.ParseAsset(id)
	if err != nil {
		return
	}
	if a.Kind == vedette.NameAsset {
		p.name(a.ID, true)
		return
	}
	if addr, err := netip.ParseAddr(a.ID); err == nil {
		p.address(addr)
	}
}

// network plans every address of a network that can be counted; of a larger
// one, the addresses that are known.
func (p *planner) network(prefix netip.Prefix) {
	if host := prefix.Addr().BitLen() - prefix.Bits(); host > 16 {
		p.left(prefix.String(), "more than "+strconv.Itoa(maxNetwork)+" addresses: only those that are known are looked at")
		return
	}
	if p.Class == vedette.Passive {
		p.left(prefix.String(), "passive checks look at names only")
		return
	}
	if err := p.Rules.Address(prefix.Addr(), p.Class); err != nil && prefix.IsSingleIP() {
		p.left(prefix.String(), err.Error())
		return
	}
	for a := prefix.Addr(); prefix.Contains(a); a = a.Next() {
		p.address(a)
	}
}

func (p *planner) address(a netip.Addr) {
	if p.Class == vedette.Passive || p.addrs[a] {
		return
	}
	if err := p.Rules.Address(a, p.Class); err != nil {
		return // the record of a plan would drown in the addresses of an exclusion
	}
	if owner, _, _ := p.Owner(a.String()); owner != p.Constituent.ID {
		p.left(a.String(), "its owner is "+cmp.Or(owner, "not decided"))
		return
	}
	p.addrs[a] = true
}

func (p *planner) name(n string, tell bool) {
	if p.names[n] {
		return
	}
	why := ""
	if err := p.Rules.Name(n, vedette.Passive); err != nil {
		why = err.Error()
	} else if owner, _, _ := p.Owner(n); owner != p.Constituent.ID {
		why = "its owner is " + cmp.Or(owner, "not decided")
	}
	if why == "" {
		p.names[n] = true
	} else if tell {
		p.left(n, why)
	}
}

// cut makes parts of what was collected.
func (p *planner) cut() {
	var names, quiet []string // quiet ones are authorised for look-ups alone
	for n := range p.names {
		if p.Class == vedette.Passive || p.Rules.Name(n, p.Class) != nil {
			quiet = append(quiet, n)
		} else {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	slices.Sort(quiet)
	addrs := make([]netip.Addr, 0, len(p.addrs))
	for a := range p.addrs {
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	p.plan.Names, p.plan.Addresses = len(names)+len(quiet), len(addrs)
	open := map[string][]vedette.Place{}
	for _, o := range p.Open {
		open[o.Asset] = append(open[o.Asset], o)
	}
	for chunk := range slices.Chunk(names, namesPerPart) {
		part := vedette.Part{Class: p.Class, Names: chunk, Domains: p.domains()}
		for _, n := range chunk {
			if p.Rules.Consented(n, p.Class) {
				part.Consented = append(part.Consented, n)
			}
		}
		p.plan.Parts = append(p.plan.Parts, part)
	}
	for chunk := range slices.Chunk(quiet, namesPerPart) {
		p.plan.Parts = append(p.plan.Parts, vedette.Part{Class: vedette.Passive, Names: chunk})
	}
	for chunk := range slices.Chunk(addrs, addressesPerPart) {
		part := vedette.Part{Class: p.Class}
		for _, a := range chunk {
			part.Addresses = append(part.Addresses, a.String())
			part.Open = append(part.Open, open[a.String()]...)
		}
		p.plan.Parts = append(p.plan.Parts, part)
	}
	for i := range p.plan.Parts {
		p.plan.Parts[i].Furthest, p.plan.Parts[i].Ports = p.Class, p.Ports
	}
}

// maxDomains bounds the domains whose records every part of names reads.
const maxDomains = 50

// domains are those of the scope: their records say where mail goes and on
// which ports services stand, whichever part looks at the name they point to.
func (p *planner) domains() []string {
	var out []string
	for _, e := range p.Constituent.Scope {
		d := strings.ToLower(strings.TrimSuffix(e.Domain, "."))
		if d != "" && !slices.Contains(out, d) && len(out) < maxDomains && p.Rules.Name(d, vedette.Passive) == nil {
			out = append(out, d)
		}
	}
	return out
}

// Retest plans a look at some places again, and at nothing else.
func Retest(in Input, places []vedette.Place) []vedette.Part {
	p := planner{Input: in}

	slices.SortFunc(places, func(a, b vedette.Place) int {
		return cmp.Or(cmp.Compare(a.Asset, b.Asset), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Check, b.Check))
	})
	places = slices.Compact(places)
	var parts []vedette.Part
	for chunk := range slices.Chunk(places, addressesPerPart) {
		parts = append(parts, vedette.Part{Class: in.Class, Places: chunk, Domains: p.domains()})
	}
	return parts
}

// DefaultPorts are the ports a survey scans unless the configuration says
// otherwise: where services of the field's lists stand, and where attackers
// look first. Identification never uses the number.
const DefaultPorts = "tcp:21-23,25,53,80-81,88,110-111,135,139,143,389,443-445,465,502,587,631,636,873,902,990,993,995,1025,1080,1099,1433,1521,1723,1883,2049,2082-2083,2181,2222,2375-2376,3000,3128,3306,3389,4443,4444,4786,5000-5001,5060,5222,5432,5601,5671-5672,5900-5901,5984-5986,6379,6443,7001-7002,7547,7777,8000-8001,8008-8009,8080-8083,8086,8088-8090,8161,8291,8443-8444,8500,8530-8531,8834,8883,8888,9000-9001,9042,9090-9092,9200,9300,9443,10000,10250,10443,11211,15672,20000,27017,28017,50000,50070 udp:53,123,161"
