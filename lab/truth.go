package lab

import (
	"cmp"
	"encoding/json"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette"
)

// TruthRow is one thing that a perfect scanner finds when it stays inside the
// scope: a service at a place, or with port 0 what is wrong with a name or a host.
type TruthRow struct {
	Constituent string   `json:"constituent"`
	Asset       string   `json:"asset"` // an address, or the name of whose session it is
	Port        int      `json:"port,omitempty"`
	Proto       string   `json:"proto,omitempty"`
	Service     string   `json:"service,omitempty"` // as IANA names it; "any" where every port accepts; "raw", "tarpit" where nothing is spoken
	TLS         bool     `json:"tls,omitempty"`     // from the first byte
	Vendor      string   `json:"vendor,omitempty"`  // as CPE names it
	Product     string   `json:"product,omitempty"` // as CPE names it
	Version     string   `json:"version,omitempty"` // "" when the service does not show it
	CVEs        []string `json:"cves,omitempty"`    // of the sample data, at the version of the file
	Weaknesses  []string `json:"weaknesses,omitempty"`
	Reachable   bool     `json:"reachable"` // it answers now
}

// Truth is computed from what the lab is told to be, never from looking at it.
// Rows are in the order of constituent, asset, protocol and port.
func (in *Internet) Truth() []TruthRow {
	in.mu.Lock()
	defer in.mu.Unlock()
	var out []TruthRow
	for _, c := range in.d.Constituents {
		seen := map[spot]bool{}
		for _, r := range in.reach(c) {
			row := in.row(c.ID, r)
			if at := (spot{row.Asset, row.Port, row.Proto}); !seen[at] {
				seen[at] = true
				out = append(out, row)
			}
		}
		for _, z := range in.d.Zones {
			for _, w := range z.Weak {
				if in.holdsName(c, w.Asset, vedette.Passive) != nil {
					out = append(out, TruthRow{Constituent: c.ID, Asset: w.Asset, Weaknesses: []string{w.ID}, Reachable: true})
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b TruthRow) int {
		return cmp.Or(cmp.Compare(a.Constituent, b.Constituent), cmp.Compare(a.Asset, b.Asset), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Port, b.Port))
	})
	return out
}

// WriteTruth writes it as lines of JSON.
func (in *Internet) WriteTruth(w io.Writer) error {
	enc := json.NewEncoder(w)
	for _, r := range in.Truth() {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// reached is a service that somebody may look at, under a name or as an address.
type reached struct {
	name  string // "" as an address
	at    netip.AddrPort
	host  *Host
	svc   *Service
	entry vedette.ScopeEntry // that allows it
}

func (in *Internet) row(constituent string, r reached) TruthRow {
	s := r.svc
	k, _ := kindOf(s.Kind)
	row := TruthRow{Constituent: constituent, Asset: cmp.Or(r.name, r.at.Addr().String()), Port: int(r.at.Port()), Proto: s.Proto, Service: cmp.Or(k.iana, s.Kind),
		TLS: s.TLS != nil && !s.TLS.StartTLS, Vendor: s.Software.Vendor, Product: s.Software.Product, CVEs: s.Software.CVEs,
		Reachable: !s.Stopped && !s.Filtered && !r.host.Stopped}
	if strings.Contains(s.shownAnywhere(), "{version}") {
		row.Version = s.Software.Version
	}
	row.Weaknesses = append(slices.Clone(s.Weak), s.TLS.weaknesses(r.name != "")...)
	slices.Sort(row.Weaknesses)
	if s.Kind == middlebox.name {
		row.Port, row.Proto = 0, ""
	}
	return row
}

// shownAnywhere is all text in which a version may stand.
func (s *Service) shownAnywhere() string {
	var b strings.Builder
	b.WriteString(s.Software.Banner)
	for _, p := range s.Pages {
		b.WriteString(p.Body)
		for _, v := range p.Headers {
			b.WriteString(v)
		}
	}
	return b.String()
}

// weaknesses follow from how it does TLS. A name can be wrong only where one was asked for.
func (t *TLS) weaknesses(named bool) []string {
	if t == nil {
		return nil
	}
	var out []string
	if slices.ContainsFunc(t.Versions, func(v string) bool { return v == "ssl3" || v == "1.0" || v == "1.1" }) {
		out = append(out, "check:tls-legacy-protocol")
	}
	switch t.Cert {
	case certExpired:
		out = append(out, "check:tls-expired")
	case certSelfSigned:
		out = append(out, "check:tls-untrusted")
	case certWeakKey:
		out = append(out, "check:tls-weak-key")
	case certWrongName:
		if named {
			out = append(out, "check:tls-name-mismatch")
		}
	}
	return out
}

// reach is all that active checks of a constituent reach; the caller holds mu.
func (in *Internet) reach(c vedette.Constituent) []reached {
	var out []reached
	for i := range in.d.Hosts {
		h := &in.d.Hosts[i]
		if e := in.holdsAddress(c, h.addr()); e != nil {
			for j := range h.Service {
				out = append(out, in.reachedAt("", h, &h.Service[j], *e))
			}
			if h.Middlebox != "" {
				out = append(out, in.reachedAt("", h, &Service{Kind: middlebox.name, Proto: "tcp", Port: 1}, *e))
			}
		}
	}
	names := in.lookups()
	for _, name := range names.sorted() {
		e := in.holdsName(c, name, vedette.Active)
		if e == nil {
			continue
		}
		for _, a := range names.addresses(name) {
			h := in.hostAt(a)
			if h == nil || in.excludesAddress(c, a) {
				continue
			}
			for j := range h.Service {
				if s := &h.Service[j]; s.Proto == "tcp" && in.named(c, *e, names, name, s.Port) || e.ThirdParty != "" {
					out = append(out, in.reachedAt(name, h, s, *e))
				}
			}
		}
	}
	return out
}

func (in *Internet) reachedAt(name string, h *Host, s *Service, e vedette.ScopeEntry) reached {
	return reached{name, in.place(spot{h.Address, s.Port, s.Proto}), h, s, e}
}

func (in *Internet) hostAt(a netip.Addr) *Host {
	i := slices.IndexFunc(in.d.Hosts, func(h Host) bool { return h.addr() == a })
	if i < 0 {
		return nil
	}
	return &in.d.Hosts[i]
}

// named says whether service records of a name give a port (design section 5.5):
// 80 and 443 of its addresses, 25 of a mail exchanger, those of SRV records and URLs.
func (in *Internet) named(c vedette.Constituent, e vedette.ScopeEntry, l lookups, name string, port int) bool {
	if e.URL == "" && (port == 80 || port == 443 || port == 25 && l.mx[name] || slices.Contains(l.srv[name], port)) {
		return true
	}
	return slices.ContainsFunc(c.Scope, func(e vedette.ScopeEntry) bool {
		u, err := url.Parse(e.URL)
		if err != nil || e.URL == "" || !e.Valid(in.now()) || u.Hostname() != name {
			return false
		}
		of := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
		return of == strconv.Itoa(port)
	})
}

func authorises(e vedette.ScopeEntry, class vedette.CheckClass) bool {
	return class == vedette.Passive || slices.Contains(e.Classes, class)
}

// holdsAddress is the entry that lets a constituent's addresses be scanned, nil when none does.
func (in *Internet) holdsAddress(c vedette.Constituent, a netip.Addr) *vedette.ScopeEntry {
	if in.excludesAddress(c, a) {
		return nil
	}
	for i, e := range c.Scope {
		if p, ok := e.Prefix(); ok && p.Contains(a) && e.Valid(in.now()) && authorises(e, vedette.Active) {
			return &c.Scope[i]
		}
	}
	return nil
}

func (in *Internet) excludesAddress(c vedette.Constituent, a netip.Addr) bool {
	return slices.ContainsFunc(c.Exclude, func(e vedette.ScopeEntry) bool {
		p, ok := e.Prefix()
		return ok && p.Contains(a)
	})
}

// holdsName is the entry that lets a name be looked at, the one with a
// consent first; nil when none does.
func (in *Internet) holdsName(c vedette.Constituent, name string, class vedette.CheckClass) *vedette.ScopeEntry {
	under := func(e vedette.ScopeEntry, sub bool) bool {
		if e.URL != "" {
			u, err := url.Parse(e.URL)
			return err == nil && u.Hostname() == name
		}
		return e.Domain != "" && (e.Domain == name || sub && strings.HasSuffix(name, "."+e.Domain))
	}
	if slices.ContainsFunc(c.Exclude, func(e vedette.ScopeEntry) bool { return under(e, e.Subdomains) }) {
		return nil
	}
	var found *vedette.ScopeEntry
	for i, e := range c.Scope {
		if under(e, e.Subdomains) && e.Valid(in.now()) && authorises(e, class) && (found == nil || e.ThirdParty != "") {
			found = &c.Scope[i]
		}
	}
	return found
}

// lookups is what the zones give, by name without its final dot.
type lookups struct {
	a     map[string][]netip.Addr
	cname map[string]string
	mx    map[string]bool
	srv   map[string][]int
}

// lookups reads the zones. A wildcard stands for no name of its own.
func (in *Internet) lookups() lookups {
	l := lookups{map[string][]netip.Addr{}, map[string]string{}, map[string]bool{}, map[string][]int{}}
	for _, z := range in.d.Zones {
		if z.Broken != "" {
			continue
		}
		for _, text := range z.Records {
			rr, err := record(text, z.Origin)
			if err != nil || rr == nil || strings.HasPrefix(rr.Header().Name, "*") {
				continue
			}
			name := plain(rr.Header().Name)
			switch r := rr.(type) {
			case *dns.A:
				a, _ := netip.AddrFromSlice(r.A.To4())
				l.a[name] = append(l.a[name], a)
			case *dns.CNAME:
				l.cname[name] = plain(r.Target)
			case *dns.MX:
				l.mx[plain(r.Mx)] = true
			case *dns.SRV:
				l.srv[plain(r.Target)] = append(l.srv[plain(r.Target)], int(r.Port))
			}
		}
	}
	return l
}

func plain(name string) string { return strings.TrimSuffix(dns.CanonicalName(name), ".") }

// sorted are the names that an address or an alias stands at.
func (l lookups) sorted() []string {
	var out []string
	for n := range l.a {
		out = append(out, n)
	}
	for n := range l.cname {
		out = append(out, n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// addresses follows aliases.
func (l lookups) addresses(name string) []netip.Addr {
	for range 8 {
		if a := l.a[name]; len(a) > 0 {
			return a
		}
		name = l.cname[name]
	}
	return nil
}

// record reads a record of a zone.
func record(text, origin string) (dns.RR, error) {
	p := dns.NewZoneParser(strings.NewReader(text), dns.CanonicalName(origin), "")
	p.SetDefaultTTL(300)
	rr, _ := p.Next()
	return rr, p.Err()
}

// addressOf is the address in an A record.
func addressOf(text string) (netip.Addr, bool) {
	if rr, err := record(text, "example."); err == nil {
		if r, ok := rr.(*dns.A); ok {
			return netip.AddrFromSlice(r.A.To4())
		}
	}
	return netip.Addr{}, false
}
