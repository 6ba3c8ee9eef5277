package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// How many subjects of one part are looked at side by side: brakes hold back
// per address, so that a part of many hosts is not slower than one of few.
const (
	namesAtOnce = 16
	hostsAtOnce = 64
	portsAtOnce = 8 // of one host
	addressesOf = 3 // of one name are tried, in order
)

// ServiceCheck is the check that identifies what speaks on a port; the checks
// of a service run on what it found.
const ServiceCheck = "service"

// resolvesCheck is under which the addresses of a name are observed.
const resolvesCheck = "resolves"

// Names are the names under which checks observe.
func Names() []string {
	var out []string
	for _, c := range All {
		out = append(append(out, c.Name), c.Also...)
	}
	return out
}

// Look works one part: names are looked up and spoken to, addresses scanned
// and what is open identified, places of a retest asked again. It hands over
// one Look per asset as it is done. An error is that of out, or the end of ctx:
// what was handed over holds all the same.
func Look(ctx context.Context, env *Env, part vedette.Part, out func(vedette.Look) error) error {
	l := looker{ctx: ctx, env: env, part: part, at: env.Now().UTC().Truncate(time.Microsecond), out: out}
	l.domains()
	l.names(part.Names, nil)
	if part.Class != vedette.Passive {
		l.addresses()
	}
	l.places()
	if l.failed != nil {
		return l.failed
	}
	return ctx.Err()
}

type looker struct {
	ctx  context.Context
	env  *Env
	part vedette.Part
	at   time.Time

	mu     sync.Mutex
	out    func(vedette.Look) error
	failed error
}

// hand gives one asset's look out, unless the part is at its end: a look that
// was cut short proves nothing.
func (l *looker) hand(a *assetLook) {
	if l.ctx.Err() != nil {
		return
	}
	look := a.done()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = l.out(look)
	}
}

// each runs f for items side by side, at most n at a time.
func each[T any](n int, items []T, f func(T)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, n)
	for _, it := range items {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(it)
		})
	}
	wg.Wait()
}

// domains reads the records of the scope's domains, which give ports of names:
// where mail goes, where services stand.
func (l *looker) domains() {
	if l.part.Class == vedette.Passive {
		return
	}
	each(namesAtOnce, l.part.Domains, func(d string) {
		if !l.env.mayLookUp(d) {
			return
		}
		a := l.asset(vedette.Asset{ID: d, Kind: vedette.NameAsset})
		_, _ = a.run(DNS, Subject{Asset: a.asset}) // what is not answered gives no port; the part of the name itself tells of it
	})
}

// names looks names up and opens sessions to them; only says on which ports, nil on all
// that their service records give.
func (l *looker) names(names []string, only map[string][]uint16) {
	each(namesAtOnce, names, func(n string) {
		if !l.env.mayLookUp(n) {
			return
		}
		a := l.asset(vedette.Asset{ID: n, Kind: vedette.NameAsset})
		a.lookups()
		if l.part.Class != vedette.Passive {
			ports := l.env.Net.Services(n)
			if only != nil {
				ports = only[n]
			} else if slices.Contains(l.part.Consented, n) {
				ports = distinctPorts(append(ports, ParsePorts(l.part.Ports, "tcp")...))
			}
			each(portsAtOnce, ports, a.session)
			a.gone = a.whole[resolvesCheck] && !a.resolves()
		}
		l.hand(a)
	})
}

// addresses scans and looks at what is open.
func (l *looker) addresses() {
	var addrs []netip.Addr
	for _, s := range l.part.Addresses {
		if a, err := netip.ParseAddr(s); err == nil {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		return
	}
	scan := safe.Scan{Addresses: addrs, Ports: ParsePorts(l.part.Ports, "tcp"), Class: vedette.Active, Open: l.known()}
	udp := ParsePorts(l.part.Ports, "udp")
	var wg sync.WaitGroup
	slots := make(chan struct{}, hostsAtOnce)
	path := false // works: while no host answered, silence may be ours
	look := func(s safe.Scanned, path bool) {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			l.address(s, udp, path)
		})
	}
	var silent []safe.Scanned
	err := l.env.Net.Scan(l.ctx, scan, func(s safe.Scanned) {
		if !s.Answered() {
			silent = append(silent, s)
			return
		}
		path = true
		look(s, true)
	})
	if err == nil {
		for _, s := range silent {
			look(s, path)
		}
	}
	wg.Wait()
	if err != nil && l.failed == nil {
		l.failed = err
	}
}

// address looks at what a scan found of one address, and at its datagram ports.
func (l *looker) address(s safe.Scanned, udp []uint16, path bool) {
	a := l.asset(vedette.Asset{ID: s.Addr.Unmap().String(), Kind: vedette.AddressAsset})
	a.scanned(s, path)
	var places []Subject
	for _, p := range s.Open {
		places = append(places, Subject{Asset: a.asset, Addr: s.Addr, Port: p, Proto: "tcp", Open: true})
	}
	for _, p := range udp {
		places = append(places, Subject{Asset: a.asset, Addr: s.Addr, Port: p, Proto: "udp"})
	}
	each(portsAtOnce, places, a.port)
	l.hand(a)
}

// known are the places of the part that are known to be open.
func (l *looker) known() []netip.AddrPort {
	var out []netip.AddrPort
	for _, p := range l.part.Open {
		if a, err := netip.ParseAddr(p.Asset); err == nil && p.Proto == "tcp" {
			out = append(out, netip.AddrPortFrom(a, uint16(p.Port)))
		}
	}
	return out
}

// places looks again at single ports, and at nothing else.
func (l *looker) places() {
	names, addrs := map[string][]uint16{}, map[string][]vedette.Place{}
	for _, p := range l.part.Places {
		if _, err := netip.ParseAddr(p.Asset); err == nil {
			addrs[p.Asset] = append(addrs[p.Asset], p)
		} else if names[p.Asset] = names[p.Asset]; p.Port > 0 {
			names[p.Asset] = append(names[p.Asset], uint16(p.Port))
		}
	}
	each(namesAtOnce, sortedKeys(names), func(n string) {
		l.names([]string{n}, map[string][]uint16{n: distinctPorts(names[n])})
	})
	if l.part.Class == vedette.Passive {
		return
	}
	each(hostsAtOnce, sortedKeys(addrs), func(id string) {
		a := l.asset(vedette.Asset{ID: id, Kind: vedette.AddressAsset})
		addr := netip.MustParseAddr(id)
		seen := map[vedette.Place]bool{}
		for _, p := range addrs[id] {
			at := vedette.Place{Port: p.Port, Proto: cmp.Or(p.Proto, "tcp")}
			if p.Port > 0 && !seen[at] {
				seen[at] = true
				a.port(Subject{Asset: a.asset, Addr: addr, Port: uint16(p.Port), Proto: at.Proto})
			}
		}
		l.hand(a)
	})
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func distinctPorts(ps []uint16) []uint16 {
	slices.Sort(ps)
	return slices.Compact(ps)
}

// assetLook collects what is seen of one asset.
type assetLook struct {
	l     *looker
	asset vedette.Asset
	mu    sync.Mutex // ports of one asset are looked at side by side
	look  vedette.Look
	ports map[string][]uint16 // looked at, by protocol
	miss  map[missed]bool     // looks that did not succeed
	whole map[string]bool     // checks that looked at the asset as a whole
	gone  bool                // the name has no address: nothing is reached under it
	nmaps int                 // ports given to nmap
}

type missed struct {
	check, proto string
	port         uint16
}

func (l *looker) asset(a vedette.Asset) *assetLook {
	return &assetLook{l: l, asset: a, look: vedette.Look{Asset: a.ID, At: l.at}, ports: map[string][]uint16{}, miss: map[missed]bool{}, whole: map[string]bool{}}
}

// lookups runs the checks that ask the DNS.
func (a *assetLook) lookups() {
	s := Subject{Asset: a.asset}
	for _, c := range All {
		if !c.For(s) || c.Class != vedette.Passive && a.l.part.Class == vedette.Passive {
			continue
		}
		if !a.keep(c, s) {
			continue
		}
		for _, name := range append([]string{c.Name}, c.Also...) {
			a.whole[name] = true
		}
	}
}

// resolves says whether the look-ups gave the name an address, be it one that
// nobody dials.
func (a *assetLook) resolves() bool {
	return slices.ContainsFunc(a.look.Observations, func(o vedette.Observation) bool { return o.Check == resolvesCheck })
}

// session opens a session to the name on a port, at each of its addresses. Where
// there are several, each stands for itself: one that is repaired must not speak
// for another that is not. The port is closed when it is at all of them.
func (a *assetLook) session(port uint16) {
	addrs := a.l.env.Net.Addresses(a.asset.ID)
	answered := false
	var each []*assetLook
	for _, addr := range addrs[:min(len(addrs), addressesOf)] {
		one := a.l.asset(a.asset)
		one.port(Subject{Asset: a.asset, Addr: addr, Port: port, Proto: "tcp"})
		for i := range one.look.Observations {
			answered = true
			if o := &one.look.Observations[i]; len(addrs) > 1 {
				o.Item = strings.TrimSpace(o.Item + " " + addr.String())
			}
		}
		each = append(each, one)
	}
	for _, one := range each {
		a.join(one, answered)
	}
	if len(addrs) > addressesOf && !answered {
		a.missed(ServiceCheck, Subject{Port: port, Proto: "tcp"}, fmt.Errorf("the first %d of %d addresses do not answer", addressesOf, len(addrs)))
	}
}

// join takes in what one address of a name showed. An address that says nothing
// takes no proof away from the others: what was seen there before is then not
// observed, and never fixed.
func (a *assetLook) join(one *assetLook, answered bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.look.Observations = append(a.look.Observations, one.look.Observations...)
	for proto, ports := range one.ports {
		a.ports[proto] = append(a.ports[proto], ports...)
	}
	for m := range one.miss {
		if m.check != ServiceCheck || !answered {
			a.miss[m] = true
		}
	}
	a.look.Missed = append(a.look.Missed, one.look.Missed[:min(len(one.look.Missed), max(0, maxMissed-len(a.look.Missed)))]...)
}

// scanned files the answers of a scan. Silence of a host proves something only
// when the path is known to work.
func (a *assetLook) scanned(s safe.Scanned, path bool) {
	a.ports["tcp"] = append(a.ports["tcp"], s.Closed...)
	why := ""
	switch {
	case s.Mute:
		why = "the host stopped answering during the scan: its silent ports prove nothing"
	case !s.Answered() && !path:
		why = "no host of the part answered: the path may be down"
	default:
		a.ports["tcp"] = append(a.ports["tcp"], s.Silent...)
		return
	}
	if s.Why != "" {
		why += " (" + s.Why + ")"
	}
	if len(s.Silent) > 0 {
		a.look.Missed = append(a.look.Missed, vedette.Missed{Check: ServiceCheck, Proto: "tcp", Why: why})
	}
}

// port looks at one port with all checks.
func (a *assetLook) port(s Subject) {
	if err := a.identify(&s); err != nil {
		a.failed(s, err)
		return
	}
	a.checks(s)
}

// identify finds out what speaks on the port.
func (a *assetLook) identify(s *Subject) error {
	i := slices.IndexFunc(All, func(c Check) bool { return c.Name == ServiceCheck })
	saw, err := a.run(All[i], *s)
	if err != nil {
		return err
	}
	for _, o := range saw {
		if o.Check == ServiceCheck {
			s.Service, s.TLS = o.Fact.Service, o.Fact.TLS
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.look.Observations = append(a.look.Observations, saw...)
	a.ports[s.Proto] = append(a.ports[s.Proto], s.Port)
	return nil
}

// checks runs the checks for what was identified.
func (a *assetLook) checks(s Subject) {
	for _, c := range All {
		if c.Name == Nmap.Name {
			s.Unnamed = a.unnamed(s)
		}
		if c.Name == ServiceCheck || !c.For(s) {
			continue
		}
		a.keep(c, s)
	}
}

// keep runs a check and keeps what it saw, or why it did not succeed.
func (a *assetLook) keep(c Check, s Subject) bool {
	saw, err := a.run(c, s)
	if err != nil {
		a.missed(c.Name, s, err)
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.look.Observations = append(a.look.Observations, saw...)
	return true
}

// failed files a port that nothing was identified on: closed is an answer, the
// rest proves nothing.
func (a *assetLook) failed(s Subject, err error) {
	switch {
	case errors.Is(err, ErrClosed), s.Proto == "udp" && errors.Is(err, ErrSilent):
		a.mu.Lock()
		defer a.mu.Unlock()
		a.ports[s.Proto] = append(a.ports[s.Proto], s.Port)
	default:
		a.missed(ServiceCheck, s, err)
	}
}

func (a *assetLook) missed(check string, s Subject, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.miss[missed{check, s.Proto, s.Port}] = true
	if len(a.look.Missed) < maxMissed {
		a.look.Missed = append(a.look.Missed, vedette.Missed{Check: check, Port: int(s.Port), Proto: s.Proto, Why: safe.Reason(err)})
	}
}

// maxMissed bounds the reasons kept of one asset; all count.
const maxMissed = 200

// run runs a check with the time of one look to live.
func (a *assetLook) run(c Check, s Subject) (saw []vedette.Observation, err error) {
	ctx, cancel := context.WithTimeout(a.l.ctx, cmp.Or(c.Time, checkTime))
	defer cancel()
	defer func() {
		if r := recover(); r != nil { // a hostile answer must not end the look at a thousand other hosts
			err = fmt.Errorf("the check %s broke: %v", c.Name, r)
		}
	}()
	err = c.Run(ctx, a.l.env, s, func(o vedette.Observation) {
		o.Asset = ""
		o.Port, o.Proto, o.Check = int(s.Port), s.Proto, cmp.Or(o.Check, c.Name)
		if s.Port > 0 && a.l.env.Outside {
			o.Exposed = &a.l.env.Outside
		}
		saw = append(saw, o)
	})
	return saw, err
}

// checkTime is the longest a check takes on one subject that says no other time.
const checkTime = 60 * time.Second

// done makes the look: coverage is what every check looked at successfully.
func (a *assetLook) done() vedette.Look {
	slices.SortStableFunc(a.look.Observations, func(x, y vedette.Observation) int {
		return cmp.Or(cmp.Compare(x.Proto, y.Proto), cmp.Compare(x.Port, y.Port), cmp.Compare(x.Check, y.Check), cmp.Compare(x.Item, y.Item))
	})
	for _, name := range sortedKeys(a.whole) {
		a.look.Coverage = append(a.look.Coverage, vedette.Coverage{Check: name})
	}
	for _, c := range All {
		if c.For(Subject{Asset: vedette.Asset{ID: "name.example", Kind: vedette.NameAsset}}) {
			continue // looks at names as a whole
		}
		if c.Name == Nmap.Name && !a.nmapped() {
			continue
		}
		if a.gone {
			a.cover(c, "")
			continue
		}
		var text []string
		for _, proto := range sortedKeys(a.ports) {
			ports := slices.DeleteFunc(distinctPorts(slices.Clone(a.ports[proto])), func(p uint16) bool { return a.miss[missed{c.Name, proto, p}] })
			if len(ports) > 0 {
				text = append(text, proto+":"+formatPorts(ports))
			}
		}
		if len(text) > 0 {
			a.cover(c, strings.Join(text, " "))
		}
	}
	return a.look
}

func (a *assetLook) cover(c Check, ports string) {
	for _, name := range append([]string{c.Name}, c.Also...) {
		a.look.Coverage = append(a.look.Coverage, vedette.Coverage{Check: name, Ports: ports})
	}
}

// ParsePorts reads the ports of one protocol of "tcp:22,8000-8010 udp:53".
// What is no port is left out: vedette config checks the text before.
func ParsePorts(text, proto string) []uint16 {
	var out []uint16
	for _, part := range strings.Fields(text) {
		p, list, _ := strings.Cut(part, ":")
		if p != proto {
			continue
		}
		for _, r := range strings.Split(list, ",") {
			lo, hi, ranged := strings.Cut(r, "-")
			if !ranged {
				hi = lo
			}
			l, err1 := strconv.ParseUint(lo, 10, 16)
			h, err2 := strconv.ParseUint(hi, 10, 16)
			for n := l; err1 == nil && err2 == nil && l > 0 && n <= h; n++ {
				out = append(out, uint16(n))
			}
		}
	}
	return distinctPorts(out)
}

// formatPorts is the reverse for sorted ports: "22,80-82".
func formatPorts(ports []uint16) string {
	var out []string
	for i := 0; i < len(ports); {
		j := i
		for j+1 < len(ports) && ports[j+1] == ports[j]+1 {
			j++
		}
		if i == j {
			out = append(out, strconv.Itoa(int(ports[i])))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", ports[i], ports[j]))
		}
		i = j + 1
	}
	return strings.Join(out, ",")
}
