package lab

import (
	"context"
	_ "embed" // the default internet
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/vedette-hub/vedette"
)

// Internet is the lab's small internet on loopback: who is protected, what they
// may be asked, the hosts and zones that are really there, and a tripwire
// around them. What it is said to be is its ground truth.
type Internet struct {
	// Layout says which addresses and ports the hosts get; set before Serve.
	Layout Layout
	// Log hears of what went wrong while it runs; nil is nobody.
	Log func(format string, a ...any)
	// Now is the clock of the truth and of certificates, time.Now when nil.
	Now func() time.Time

	mu       sync.Mutex
	d        plan
	ctx      context.Context
	stop     context.CancelFunc
	wg       sync.WaitGroup
	running  map[spot]*running
	resolver *DNS
	origins  map[string]bool // of the zones that were served
	ca       *authority
	wire     *Tripwire
	spread   map[spot]netip.AddrPort
	flaps    map[spot]context.CancelFunc
}

// plan is the file that describes an internet.
type plan struct {
	// Resolver is where the lab's name server for all zones listens.
	Resolver     string                `yaml:"resolver"`
	Constituents []vedette.Constituent `yaml:"constituents"`
	Zones        []zonePlan            `yaml:"zones"`
	Hosts        []Host                `yaml:"hosts"`
	Tripwire     wirePlan              `yaml:"tripwire,omitempty"`
}

// zonePlan is a zone with the truth about it.
type zonePlan struct {
	Origin  string     `yaml:"origin"`
	Records []string   `yaml:"records"` // in the form of a master file (RFC 1035 §5.1)
	AXFR    bool       `yaml:"axfr,omitempty"`
	Signed  bool       `yaml:"signed,omitempty"`
	Broken  string     `yaml:"broken,omitempty"` // a Broken constant
	Weak    []zoneWeak `yaml:"weak,omitempty"`
}

// zoneWeak is a weakness of a name in the DNS.
type zoneWeak struct {
	Asset string `yaml:"asset"`
	ID    string `yaml:"id"`
}

//go:embed internet.yaml
var builtin []byte

// Default is the built-in internet in the form of its file.
func Default() []byte { return slices.Clone(builtin) }

// Block is the network in which the built-in internet lives; Moved moves it.
const Block = 20

// Moved is an internet file with its hosts in 127.N.0.0/16, N in 1..254: two
// labs of one machine need two numbers.
func Moved(file []byte, n int) []byte {
	return []byte(strings.ReplaceAll(string(file), fmt.Sprintf("127.%d.", Block), fmt.Sprintf("127.%d.", n)))
}

// Load reads an internet. An unknown key, an address that is not loopback or a
// service that cannot be is an error with its line or its field.
func Load(file []byte) (*Internet, error) {
	d, err := readPlan(file)
	if err != nil {
		return nil, err
	}
	return newInternet(d), nil
}

func newInternet(d plan) *Internet {
	return &Internet{d: d, running: map[spot]*running{}, spread: map[spot]netip.AddrPort{}, flaps: map[spot]context.CancelFunc{}}
}

func readPlan(file []byte) (plan, error) {
	var d plan
	dec := yaml.NewDecoder(strings.NewReader(string(file)), yaml.Strict(), yaml.DisallowUnknownField())
	if err := dec.Decode(&d); err != nil {
		return d, vedette.Invalid("%s", strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	return d, d.check()
}

// check completes a plan and says what is wrong with it.
func (d *plan) check() error {
	if a, err := netip.ParseAddrPort(d.Resolver); d.Resolver != "" && (err != nil || !loopback(a.Addr())) {
		return vedette.Invalid("resolver: %q is not an address and port of loopback: a lab touches loopback only", d.Resolver)
	}
	seen := map[string]bool{}
	for i := range d.Hosts {
		h := &d.Hosts[i]
		if err := h.check(); err != nil {
			return vedette.Invalid("hosts[%d] (%s).%w", i, h.Address, err)
		}
		if seen[h.Address] {
			return vedette.Invalid("hosts[%d].address: %s stands twice", i, h.Address)
		}
		seen[h.Address] = true
	}
	for i, z := range d.Zones {
		if _, err := vedette.ParseAsset(z.Origin); err != nil {
			return vedette.Invalid("zones[%d].origin: %w", i, err)
		}
		for _, text := range z.Records {
			if rr, err := record(text, z.Origin); err != nil || rr == nil {
				return vedette.Invalid("zones[%d] (%s): %q is not a record: %v", i, z.Origin, text, err)
			}
			if a, ok := addressOf(text); ok && !loopback(a) {
				return vedette.Invalid("zones[%d] (%s): %q: a lab touches loopback only", i, z.Origin, text)
			}
		}
	}
	for i, c := range d.Constituents {
		for j, s := range c.Scope {
			if p, ok := s.Prefix(); ok && (!loopback(p.Addr()) || p.Bits() < 8) {
				return vedette.Invalid("constituents[%d].scope[%d].cidr: %s is not within 127.0.0.0/8: a lab touches loopback only", i, j, s.CIDR)
			}
		}
	}
	return d.Tripwire.check()
}

// Resolver is where the lab's name server for all zones listens; zero without one.
func (in *Internet) Resolver() netip.AddrPort {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.resolverAt()
}

func (in *Internet) resolverAt() netip.AddrPort {
	a, err := netip.ParseAddrPort(in.d.Resolver)
	if err != nil {
		return netip.AddrPort{}
	}
	return in.place(spot{a.Addr().String(), int(a.Port()), "both"})
}

func (in *Internet) now() time.Time {
	if in.Now != nil {
		return in.Now()
	}
	return time.Now()
}

func (in *Internet) log(format string, a ...any) {
	if in.Log != nil {
		in.Log(format, a...)
	}
}

// Constituency is who is protected, with their scope in the layout as it is:
// where names are reached on other ports than 80 and 443, URLs that say so are added.
func (in *Internet) Constituency() ([]vedette.Constituent, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	layout := in.settled()
	var out []vedette.Constituent
	for _, c := range in.d.Constituents {
		c.Scope, c.Exclude = slices.Clone(c.Scope), slices.Clone(c.Exclude)
		if layout != Real {
			if err := in.addURLs(&c); err != nil {
				return nil, err
			}
		}
		if layout == Single {
			c.Scope, c.Exclude = single(c.Scope), single(c.Exclude)
		}
		out = append(out, c)
	}
	return out, nil
}

// single makes every network the one address there is; one that is shut out
// cannot be told apart any more and falls away.
func single(entries []vedette.ScopeEntry) []vedette.ScopeEntry {
	var out []vedette.ScopeEntry
	for _, e := range entries {
		if e.CIDR != "" && e.AuthorisedBy == "" {
			continue
		}
		if e.CIDR != "" {
			e.CIDR = "127.0.0.1/32"
		}
		out = append(out, e)
	}
	return out
}

// ConstituencyFile is Constituency in the form of a constituency file.
func (in *Internet) ConstituencyFile() ([]byte, error) {
	cs, err := in.Constituency()
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(struct {
		Constituents []vedette.Constituent `yaml:"constituents"`
	}{cs})
}
