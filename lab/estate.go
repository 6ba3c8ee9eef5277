// Package lab makes up an estate of the size of a real one: constituents, what
// they expose, how it changes over a year, and the scores of a year. It is
// seeded: the same seed gives the same bytes on every machine. All
// organisations are invented and end in .example (RFC 2606); all addresses are
// of the documentation and benchmark ranges (RFC 5737, RFC 2544, RFC 3849).
package lab

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
)

// Estate is how much to make up.
type Estate struct {
	Seed         uint64
	Constituents int       // 95 when 0
	Assets       int       // 200,000 when 0
	Services     int       // 2,000,000 when 0
	Products     []Product // Builtin when empty
	// Current is the share of services that run the last version, 0.97 when 0.
	Current float64
	// Plain makes every asset one that an inventory lists, with CPE names.
	Plain bool
	Start time.Time // of the first survey, 2026-01-01 when zero
}

// World is an estate at one day.
type World struct {
	Constituents []vedette.Constituent
	products     []Product
	estate       Estate
	mix          choice
	hosts        []host // those of one constituent stand together
	first        []int  // host of each constituent, and the end
	r            *random
	day          int
	parts        map[part][]byte
}

// host is an asset with what runs on it.
type host struct {
	id       string
	name     string // that resolves to it
	scanned  bool   // a scanner sees it, else an inventory lists it
	is4      bool
	exposed  int8 // internet facing: 1 yes, 0 no, -1 not said
	services []service
}

// service is one product at one port.
type service struct {
	port, product, version uint16
	form                   form
	gone                   bool
}

// form is how a product shows.
type form uint8

const (
	full    form = iota // with its CPE name
	named               // with its name alone
	debian              // as a package of Debian
	bare                // without a version
	unknown             // a port where no software was identified
)

// Build makes the estate of the first day.
func (e Estate) Build() *World {
	e.Constituents, e.Assets, e.Services = cmp.Or(e.Constituents, 95), cmp.Or(e.Assets, 200_000), cmp.Or(e.Services, 2_000_000)
	e.Current = cmp.Or(e.Current, 0.97)
	if e.Start.IsZero() {
		e.Start = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	}
	if len(e.Products) == 0 {
		e.Products = Builtin()
	}
	w := &World{estate: e, products: e.Products, r: newRandom(e.Seed, "estate"), parts: map[part][]byte{}}
	w.mix = newChoice(len(w.products), func(i int) float64 { return w.products[i].Weight })
	sizes := w.sizes()
	w.organise()
	nets := w.networks(sizes)
	w.hosts = make([]host, 0, e.Assets)
	for i, n := range sizes {
		w.first = append(w.first, len(w.hosts))
		w.settle(i, n, nets[i])
	}
	w.first = append(w.first, len(w.hosts))
	w.populate()
	w.share()
	return w
}

// sizes gives each constituent its number of assets, by a power law.
func (w *World) sizes() []int {
	n := w.estate.Constituents
	sizes, weights, sum := make([]int, n), make([]float64, n), 0.0
	for i := range weights {
		weights[i] = 1 / math.Pow(float64(i+1), 0.8)
		sum += weights[i]
	}
	left := w.estate.Assets
	for i := range sizes {
		sizes[i] = max(1, int(weights[i]/sum*float64(w.estate.Assets)))
		left -= sizes[i]
	}
	sizes[0] = max(1, sizes[0]+left)
	for i := n - 1; i > 0; i-- {
		j := w.r.under(i + 1)
		sizes[i], sizes[j] = sizes[j], sizes[i]
	}
	return sizes
}

var (
	letters = []string{"Alpha", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "India", "Juliett", "Kilo", "Lima", "Mike",
		"November", "Oscar", "Papa", "Quebec", "Romeo", "Sierra", "Tango", "Uniform", "Victor", "Whiskey", "Xray", "Yankee", "Zulu"}
	bodies    = []string{"Agency", "Authority", "Institute", "Council"}
	countries = []string{"BE", "LU", "FR", "DE", "IT", "ES", "PL", "PT", "FI", "IE", "NL", "GR"}
	sectors   = []string{"public administration", "health", "energy", "transport", "research", "finance", "space", "water"}
)

// umbrella: every twelfth constituent has the domains of the next two under its own.
const umbrella = 12

// organise names the constituents.
func (w *World) organise() {
	date := w.estate.Start.AddDate(2, 0, 0).Format(time.DateOnly)
	for i := range w.estate.Constituents {
		letter, body, round := letters[i%len(letters)], bodies[i/len(letters)%len(bodies)], i/(len(letters)*len(bodies))
		c := vedette.Constituent{ID: lower(body + "-" + letter), Name: body + " " + letter}
		if round > 0 {
			c.ID, c.Name = c.ID+"-"+strconv.Itoa(round+1), c.Name+" "+strconv.Itoa(round+1)
		}
		c.Countries = []string{countries[w.r.under(len(countries))]}
		c.Sectors = []string{sectors[w.r.under(len(sectors))]}
		domain := c.ID + ".example"
		if k := i % umbrella; k == 1 || k == 2 {
			domain = c.ID + "." + w.Constituents[i-k].ID + ".example"
		}
		c.Contacts = []vedette.Contact{{Role: vedette.POC, Name: "Duty officer of " + c.Name, Email: "duty@" + domain, Language: "en"}}
		c.Scope = []vedette.ScopeEntry{w.authorised(vedette.ScopeEntry{Domain: domain, Subdomains: true}, c.Name, date)}
		w.declare(&c)
		w.Constituents = append(w.Constituents, c)
	}
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func (w *World) authorised(s vedette.ScopeEntry, by, until string) vedette.ScopeEntry {
	s.AuthorisedBy, s.Document, s.ValidUntil = "Director of "+by, "mandate 2026/"+strconv.Itoa(1+len(w.Constituents)), until
	s.Classes = []vedette.CheckClass{vedette.Passive, vedette.Active}
	return s
}

// declare lets a constituent say what it runs.
func (w *World) declare(c *vedette.Constituent) {
	seen := map[int]bool{}
	for range 3 + w.r.under(6) {
		i := w.mix.draw(w.r)
		p := &w.products[i]
		if seen[i] {
			continue
		}
		seen[i] = true
		d := vedette.Declared{Vendor: p.Vendor, Product: p.Product}
		if w.r.chance(0.7) {
			d.Version = p.Versions[w.version(p)]
		}
		if p.CPE != "" && w.r.chance(0.3) {
			d.CPE = p.CPE + ":" + cmp.Or(d.Version, "*") + ":*:*:*:*:*:*:*"
		}
		if w.r.chance(0.4) {
			yes := w.r.chance(0.5)
			d.InternetFacing = &yes
		}
		c.Software = append(c.Software, d)
	}
}

// patched is the number of vulnerabilities from which on a product is patched more often than others.
const patched = 20

// version draws a version: mostly the last, else one near it.
func (w *World) version(p *Product) int {
	last := len(p.Versions) - 1
	old := (1 - w.estate.Current) * min(1, patched/float64(max(p.Records, 1)))
	if last == 0 || !w.r.chance(old) {
		return last
	}
	return last - min(last, 1+w.r.backwards(1.5))
}

// documentation ranges of IPv4 too small for more than one small constituent each.
var smallNets = []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}

// network is where the addresses of a constituent are.
type network struct {
	v4   netip.Prefix // invalid when it has none
	v6   netip.Prefix
	four int // how many assets have an IPv4 address
}

// networks gives each constituent a part of 2001:db8::/32, and of
// 198.18.0.0/15 what there is: a block of a power of two, the largest first.
func (w *World) networks(sizes []int) []network {
	nets := make([]network, len(sizes))
	order := make([]int, len(sizes))
	for i := range order {
		order[i] = i
		nets[i].four = sizes[i] * 3 / 10
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sizes[b], sizes[a]) })
	free, end := 198<<24|18<<16, 198<<24|20<<16
	date := w.estate.Start.AddDate(2, 0, 0).Format(time.DateOnly)
	for rank, i := range order {
		n := &nets[i]
		bits := 4
		for 1<<bits < n.four+2 {
			bits++
		}
		small := rank - (len(order) - len(smallNets))
		switch {
		case small >= 0 && bits <= 8 && len(order) > len(smallNets):
			n.v4 = netip.MustParsePrefix(smallNets[small])
		case free+1<<bits <= end:
			n.v4 = netip.PrefixFrom(addr4(free), 32-bits)
			free += 1 << bits
		default:
			n.four = 0
		}
		n.v6 = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(i >> 8), byte(i)}), 48)
		c := &w.Constituents[i]
		for _, p := range []netip.Prefix{n.v4, n.v6} {
			if p.IsValid() {
				c.Scope = append(c.Scope, w.authorised(vedette.ScopeEntry{CIDR: p.String()}, c.Name, date))
			}
		}
	}
	return nets
}

func addr4(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

var labels = []string{"www", "mail", "vpn", "portal", "api", "git", "files", "sso", "jobs", "wiki", "dns", "app", "db", "build", "cloud", "print"}

// settle makes the hosts of one constituent: three of ten are names, the
// others addresses, some of which a name resolves to.
func (w *World) settle(i, n int, net network) {
	domain := w.Constituents[i].Scope[0].Domain
	named := n * 3 / 10
	first4, first6 := net.v4.Addr(), net.v6.Addr()
	for k := range n {
		h := host{exposed: -1}
		switch x := w.r.float(); {
		case x < 0.3:
			h.exposed = 1
		case x < 0.7:
			h.exposed = 0
		}
		switch {
		case k < named:
			h.id = nameOf(k, domain)
		case k-named < net.four:
			first4 = first4.Next()
			h.id, h.is4, h.scanned = first4.String(), true, !w.estate.Plain && w.r.chance(0.7)
		default:
			first6 = first6.Next()
			h.id, h.scanned = first6.String(), !w.estate.Plain && w.r.chance(0.6)
		}
		if h.scanned && k-named < named {
			h.name = nameOf(k-named, domain)
		}
		w.hosts = append(w.hosts, h)
	}
}

func nameOf(k int, domain string) string {
	if k < len(labels) {
		return labels[k] + "." + domain
	}
	return fmt.Sprintf("%s%d.%s", labels[k%len(labels)], k/len(labels), domain)
}

// populate puts the services on the hosts: a name has few, an address about
// five to twenty when there are ten per asset.
func (w *World) populate() {
	mean := float64(w.estate.Services) / float64(len(w.hosts))
	wide := (mean - 0.3*0.25*mean) / 0.7 // names have a quarter of the mean
	total := 0
	counts := make([]int, len(w.hosts))
	for i := range w.hosts {
		m := wide
		if _, err := netip.ParseAddr(w.hosts[i].id); err != nil {
			m = 0.25 * mean
		}
		counts[i] = max(1, int(m*(0.4+1.2*w.r.float())+0.5))
		total += counts[i]
	}
	for ; total < w.estate.Services; total++ {
		counts[w.r.under(len(counts))]++
	}
	for tries := 0; total > w.estate.Services && tries < 50*len(counts); tries++ {
		if i := w.r.under(len(counts)); counts[i] > 1 {
			counts[i]--
			total--
		}
	}
	for i := range w.hosts {
		w.hosts[i].services = make([]service, 0, counts[i])
		for range counts[i] {
			w.add(&w.hosts[i])
		}
	}
}

// add puts a new service on a host.
func (w *World) add(h *host) {
	i := w.mix.draw(w.r)
	p := &w.products[i]
	s := service{product: uint16(i), version: uint16(w.version(p)), port: uint16(p.Port)}
	switch x := w.r.float(); {
	case w.estate.Plain:
		s.form = full
	case x < 0.10:
		s.form = unknown
	case x < 0.11 && p.Records < patched:
		s.form = bare
	case x < 0.40 && len(p.Debian) > 0:
		s.form, s.version = debian, uint16(w.r.under(len(p.Debian)))
	case x < 0.60 || p.CPE == "":
		s.form = named
	}
	if s.port == 0 && (h.scanned || s.form == unknown) {
		s.port = 8000
	}
	for h.has(s) {
		s.port = uint16(1024 + w.r.under(60000))
	}
	h.services = append(h.services, s)
}

// has says whether the place is taken: a port, or a product without one.
func (h *host) has(s service) bool {
	return slices.ContainsFunc(h.services, func(o service) bool {
		return o.port == s.port && (s.port != 0 || o.product == s.product)
	})
}

// share makes constituents users of assets of the next one.
func (w *World) share() {
	for i := range w.Constituents {
		next := (i + 1) % len(w.Constituents)
		lo, hi := w.first[next], w.first[next+1]
		if next == i || hi == lo || !w.r.chance(0.5) {
			continue
		}
		s := vedette.System{Name: "shared services of " + w.Constituents[next].Name}
		for range 1 + w.r.under(4) {
			if id := w.hosts[lo+w.r.under(hi-lo)].id; !slices.Contains(s.Assets, id) {
				s.Assets = append(s.Assets, id)
			}
		}
		w.Constituents[i].Systems = append(w.Constituents[i].Systems, s)
	}
}

// Time is when the survey of the day begins.
func (w *World) Time() time.Time { return w.estate.Start.AddDate(0, 0, w.day) }

// Counts are the assets and the services there are now.
func (w *World) Counts() (assets, services int) {
	for i := range w.hosts {
		for _, s := range w.hosts[i].services {
			if !s.gone {
				services++
			}
		}
	}
	return len(w.hosts), services
}
