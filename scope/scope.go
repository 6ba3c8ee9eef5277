// Package scope finds whose an asset is: the constituent with the longest
// scope entry that matches it. It also checks and compares constituency files.
package scope

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// Map finds the owner and the users of assets among constituents.
type Map struct {
	names map[string][]entry       // by domain, without the leading labels
	nets  map[netip.Prefix][]entry // by network
	bits  [2][]int                 // lengths of IPv4 and IPv6 networks, longest first
	used  map[string][]string      // constituents that name the asset in a system
}

// entry is one scope entry or exclusion of one constituent.
type entry struct {
	constituent string
	subdomains  bool
	exclude     bool
}

// NewMap reads the scopes of constituents. Whether an entry still authorises
// is not asked here: whose an asset is does not end with an authorisation.
func NewMap(cs []vedette.Constituent) *Map {
	m := &Map{names: map[string][]entry{}, nets: map[netip.Prefix][]entry{}, used: Users(cs)}
	for _, c := range cs {
		for _, s := range c.Scope {
			m.add(s, entry{constituent: c.ID, subdomains: s.Subdomains})
		}
		for _, s := range c.Exclude {
			m.add(s, entry{constituent: c.ID, subdomains: s.Subdomains, exclude: true})
		}
	}
	for i := range m.bits {
		slices.SortFunc(m.bits[i], func(a, b int) int { return cmp.Compare(b, a) })
		m.bits[i] = slices.Compact(m.bits[i])
	}
	return m
}

func (m *Map) add(s vedette.ScopeEntry, e entry) {
	if p, ok := s.Prefix(); ok {
		m.nets[p] = append(m.nets[p], e)
		i := 0
		if p.Addr().Is6() {
			i = 1
		}
		m.bits[i] = append(m.bits[i], p.Bits())
		return
	}
	name := s.Domain
	if s.URL != "" {
		name = s.Host()
		e.subdomains = false
	}
	if name = strings.ToLower(strings.TrimSuffix(name, ".")); name != "" {
		m.names[name] = append(m.names[name], e)
	}
}

// Owner finds the owner of an asset: the constituent with the longest match
// that does not exclude the asset. Those with a shorter match use it, and those
// who name it in a system. Two owners of the same length are a tie, which a
// person has to decide: then there is no owner and both are users.
func (m *Map) Owner(asset string) (owner string, users []string, tie bool) {
	owner, users, tie = m.byScope(asset)
	if used := m.used[asset]; used != nil {
		users = append(users, used...)
		slices.Sort(users)
		users = slices.DeleteFunc(slices.Compact(users), func(u string) bool { return u == owner })
	}
	return owner, users, tie
}

func (m *Map) byScope(asset string) (owner string, users []string, tie bool) {
	var found [][]entry // longest first
	if a, err := netip.ParseAddr(asset); err == nil {
		found = m.networks(a.Unmap())
	} else {
		found = m.domains(asset)
	}
	excluded := map[string]bool{}
	var owners []string
	for _, level := range found {
		for _, e := range level {
			if e.exclude {
				excluded[e.constituent] = true
			}
		}
		var here []string
		for _, e := range level {
			if !e.exclude && !excluded[e.constituent] {
				here = append(here, e.constituent)
			}
		}
		slices.Sort(here)
		here = slices.Compact(here)
		if len(owners) == 0 {
			owners = here
			continue
		}
		users = append(users, here...)
	}
	slices.Sort(users)
	users = slices.Compact(users)
	switch len(owners) {
	case 0:
		return "", nil, false
	case 1:
		return owners[0], slices.DeleteFunc(users, func(u string) bool { return u == owners[0] }), false
	}
	users = append(users, owners...)
	slices.Sort(users)
	return "", slices.Compact(users), true
}

func (m *Map) networks(a netip.Addr) [][]entry {
	i := 0
	if a.Is6() {
		i = 1
	}
	var out [][]entry
	for _, bits := range m.bits[i] {
		p, err := a.Prefix(bits)
		if err != nil {
			continue
		}
		if es := m.nets[p]; es != nil {
			out = append(out, es)
		}
	}
	return out
}

func (m *Map) domains(name string) [][]entry {
	var out [][]entry
	for at, whole := name, true; at != ""; whole = false {
		var here []entry
		for _, e := range m.names[at] {
			if whole || e.subdomains {
				here = append(here, e)
			}
		}
		if here != nil {
			out = append(out, here)
		}
		_, rest, ok := strings.Cut(at, ".")
		if !ok {
			break
		}
		at = rest
	}
	return out
}

// Users are the constituents that a profile's systems make users of assets.
func Users(cs []vedette.Constituent) map[string][]string {
	out := map[string][]string{}
	for _, c := range cs {
		for _, s := range c.Systems {
			for _, a := range s.Assets {
				if asset, err := vedette.ParseAsset(a); err == nil {
					out[asset.ID] = append(out[asset.ID], c.ID)
				}
			}
		}
	}
	return out
}
