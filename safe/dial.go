package safe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vedette-hub/vedette"
)

// Dialer is the only way out of the process. It has three modes: Operator
// reaches what the operator configured, by exact host and port; Public reaches
// addresses that come from data or users, on the internet alone; Scope reaches
// what the scope of a constituent allows. All decide on the final address.
type Dialer struct {
	lab      bool
	operator []string
	net      net.Dialer
	out      Count
	refused  Count
	sockets  sockets
	// Lookup finds the addresses of a name in the modes Operator and Public; the
	// system's resolver when nil. Each address is decided on as if it had been given.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Drop, in a lab, loses connects of scope mode as a bad network does.
	Drop func(vedette.Target) bool
}

// NewDialer makes a dialer. A lab's touches loopback and nothing else, in every
// mode; operator are the host:port pairs of the configuration.
func NewDialer(lab bool, operator ...string) *Dialer {
	return &Dialer{lab: lab, operator: operator, net: net.Dialer{Timeout: 10 * time.Second}}
}

// Count counts by what: the mode of what went out, the rule of what was refused.
type Count struct {
	mu sync.Mutex
	n  map[string]int64
}

func (c *Count) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int64{}
	}
	c.n[what]++
}

// Of is the count of one.
func (c *Count) Of(what string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[what]
}

// Sent counts the connections and datagram sockets that were opened, by mode.
func (d *Dialer) Sent() *Count { return &d.out }

// Refused counts what was refused, by mode.
func (d *Dialer) Refused() *Count { return &d.refused }

// The modes of a dialer.
const (
	ModeOperator = "operator"
	ModePublic   = "public"
	ModeScope    = "scope"
)

// Operator dials a host:port pair that stands in the configuration, private
// addresses included. In a lab it has to be on loopback as well.
func (d *Dialer) Operator(ctx context.Context, network, address string) (net.Conn, error) {
	if !slices.Contains(d.operator, address) {
		return nil, d.refuse(ModeOperator, "%s does not stand in the configuration", Label(address))
	}
	return d.dial(ctx, ModeOperator, network, address, func(a netip.Addr) error {
		if d.lab && !a.IsLoopback() {
			return fmt.Errorf("%s: a lab touches loopback only", a)
		}
		return nil
	})
}

// Public dials an address that comes from data or users: a host on the
// internet, never this machine or a private network (reliability FC08).
func (d *Dialer) Public(ctx context.Context, network, address string) (net.Conn, error) {
	return d.dial(ctx, ModePublic, network, address, func(a netip.Addr) error {
		if d.lab {
			if !a.IsLoopback() {
				return fmt.Errorf("%s: a lab touches loopback only", a)
			}
			return nil
		}
		if !IsPublic(a) {
			return fmt.Errorf("%s is no address of the public internet", a)
		}
		return nil
	})
}

func (d *Dialer) refuse(mode, format string, a ...any) error {
	d.refused.add(mode)
	return vedette.Refused(format, a...)
}

// dial opens a connection to the first address of a host that answers; may
// decides on each, at the moment at which the socket connects.
func (d *Dialer) dial(ctx context.Context, mode, network, address string, may func(netip.Addr) error) (net.Conn, error) {
	if !slices.Contains([]string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"}, network) {
		return nil, d.refuse(mode, "%s is not spoken here", Label(network))
	}
	addrs, port, err := d.resolve(ctx, mode, address)
	if err != nil {
		return nil, err
	}
	nd := d.net
	nd.ControlContext = func(_ context.Context, _, final string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(final)
		if err == nil {
			err = may(ap.Addr().Unmap())
		}
		if err != nil {
			return d.refuse(mode, "%w", err)
		}
		d.out.add(mode)
		return nil
	}
	for _, a := range addrs {
		var c net.Conn
		if c, err = nd.DialContext(ctx, network, netip.AddrPortFrom(a, port).String()); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// maxAddresses is how many addresses of one name are tried.
const maxAddresses = 4

// resolve finds the addresses of a host:port pair. A host whose last label is a
// number is an address in its usual form or nothing: 127.1, 0x7f000001 and
// 2130706433 mean loopback to some and a name to others (URL standard, "ends in
// a number").
func (d *Dialer) resolve(ctx context.Context, mode, address string) ([]netip.Addr, uint16, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, d.refuse(mode, "%s is not host:port", Label(address))
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, 0, d.refuse(mode, "%s is no port", Label(service))
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return nil, 0, d.refuse(mode, "%s: a zone means something on this machine alone", Label(host))
		}
		return []netip.Addr{a.Unmap()}, uint16(port), nil
	}
	name := strings.TrimSuffix(host, ".")
	if last := name[strings.LastIndexByte(name, '.')+1:]; last == "" || number(last) || strings.ContainsFunc(name, notInName) {
		return nil, 0, d.refuse(mode, "%s is neither an address nor a name", Label(host))
	}
	look := d.Lookup
	if look == nil {
		look = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return (&net.Resolver{PreferGo: true}).LookupNetIP(ctx, "ip", host)
		}
	}
	addrs, err := look(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	if len(addrs) == 0 {
		return nil, 0, vedette.NotFound("%s has no address", Label(name))
	}
	return addrs[:min(len(addrs), maxAddresses)], uint16(port), nil
}

// number says whether a label is one, decimal or hexadecimal.
func number(label string) bool {
	digits, hex := strings.CutPrefix(strings.ToLower(label), "0x")
	return strings.Trim(digits, "0123456789") == "" || hex && strings.Trim(digits, "0123456789abcdef") == ""
}

// notInName says whether a character cannot stand in the name of a host
// (RFC 1123 §2.1), with the underscore that is used all the same.
func notInName(c rune) bool {
	return c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}

// IsPublic says whether an address is a host of the public internet: not
// private, special, reserved (IANA special-purpose registries) or a cloak for an IPv4 address.
func IsPublic(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
		return false
	}
	return (a.Is4() || internet6.Contains(a)) && !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(a) })
}

// internet6 is what of IPv6 is given out (IANA IPv6 global unicast assignments).
var internet6 = netip.MustParsePrefix("2000::/3")

var notPublic = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Bound is a dialer in scope mode, for one part of a survey. It knows what the
// run's own lookups gave, asks the scope before every packet, waits for the
// brakes, and closes connections whose authorisation ends.
type Bound struct {
	d      *Dialer
	decide func(vedette.Target) error
	record func(vedette.Target, error)
	brakes *Brakes

	mu       sync.Mutex
	resolved map[string]map[netip.Addr]bool
	services map[string]map[uint16]bool
	live     map[*boundConn]bool
	sent     atomic.Int64
	checks   atomic.Int64 // times that the scope was to be asked again
}

// Scope binds the dialer to what decide allows; record hears of every refusal.
func (d *Dialer) Scope(decide func(vedette.Target) error, record func(vedette.Target, error), brakes *Brakes) *Bound {
	return &Bound{d: d, decide: decide, record: record, brakes: brakes,
		resolved: map[string]map[netip.Addr]bool{}, services: map[string]map[uint16]bool{}, live: map[*boundConn]bool{}}
}

// Resolved tells that a lookup of this run gave addresses for a name.
func (b *Bound) Resolved(name string, addrs ...netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.resolved[name] == nil {
		b.resolved[name] = map[netip.Addr]bool{}
	}
	for _, a := range addrs {
		b.resolved[name][a.Unmap()] = true
	}
}

// Service tells that a service record of a name gives a port: 80 and 443 for
// its addresses, 25 for a mail exchanger, what SRV, HTTPS and the URLs of the scope say.
func (b *Bound) Service(name string, ports ...uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.services[name] == nil {
		b.services[name] = map[uint16]bool{}
	}
	for _, p := range ports {
		b.services[name][p] = true
	}
}

// Addresses are what the lookups of this run gave for a name, in order.
func (b *Bound) Addresses(name string) []netip.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Keys(b.resolved[name]), netip.Addr.Compare)
}

// Services are the ports that the service records of a name give, in order.
func (b *Bound) Services(name string) []uint16 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.services[name]))
}

// Sent is how many connections and sockets were opened.
func (b *Bound) Sent() int64 { return b.sent.Load() }

// May says whether the scope allows a target, without sending; no is recorded.
func (b *Bound) May(t vedette.Target) error {
	t, err := b.ask(t)
	if err != nil {
		b.d.refused.add(ModeScope)
		b.record(t, err)
	}
	return err
}

// Allows is May as a question: no is no attempt, and is not recorded.
func (b *Bound) Allows(t vedette.Target) bool {
	_, err := b.ask(t)
	return err == nil
}

// ask fills in what the lookups gave and asks the scope.
func (b *Bound) ask(t vedette.Target) (vedette.Target, error) {
	b.mu.Lock()
	t.Resolved = t.Name != "" && b.resolved[t.Name][t.Addr.Addr().Unmap()]
	t.Service = t.Name != "" && b.services[t.Name][t.Addr.Port()]
	b.mu.Unlock()
	if err := b.decide(t); err != nil {
		return t, err
	}
	switch a := t.Addr.Addr().Unmap(); {
	case a.Zone() != "":
		return t, vedette.Refused("%s: a zone means something on this machine alone", t.Addr)
	case b.d.lab && !a.IsLoopback():
		return t, vedette.Refused("%s: a lab touches loopback only", t.Addr)
	}
	return t, nil
}

// Dial opens a connection or a datagram socket to a target, when the scope
// allows it before and after the brakes were waited for.
func (b *Bound) Dial(ctx context.Context, t vedette.Target) (net.Conn, error) {
	return b.DialWithin(ctx, t, b.d.net.Timeout)
}

// DialWithin is Dial with a time for the connect alone: the brakes are waited
// for as long as ctx lives.
func (b *Bound) DialWithin(ctx context.Context, t vedette.Target, wait time.Duration) (net.Conn, error) {
	if err := b.May(t); err != nil {
		return nil, err
	}
	if err := b.brakes.Connect(ctx, t.Addr.Addr()); err != nil {
		return nil, err
	}
	c, err := b.connect(ctx, t, wait)
	if err != nil {
		return nil, err
	}
	return b.keep(c, t), nil
}

// connect opens the connection, when the scope still allows it at that moment.
func (b *Bound) connect(ctx context.Context, t vedette.Target, wait time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if b.dropped(t) {
		return nil, b.lose(ctx)
	}
	nd := b.d.net
	nd.Control = func(_, final string, _ syscall.RawConn) error {
		if ap, err := netip.ParseAddrPort(final); err != nil || ap.Addr().Unmap() != t.Addr.Addr().Unmap() || ap.Port() != t.Addr.Port() {
			return b.d.refuse(ModeScope, "%s is not %s", final, t.Addr)
		}
		if err := b.May(t); err != nil {
			return err
		}
		b.sent.Add(1)
		b.d.out.add(ModeScope)
		return nil
	}
	c, err := nd.DialContext(ctx, t.Network, t.Addr.String())
	if err != nil {
		b.brakes.Failed(t.Addr.Addr(), err)
	}
	return c, err
}

// Request waits until one more HTTP request to an address may go out.
func (b *Bound) Request(ctx context.Context, a netip.Addr) error { return b.brakes.Request(ctx, a) }

// dropped loses the connect in a lab that drops some.
func (b *Bound) dropped(t vedette.Target) bool { return b.d.lab && b.d.Drop != nil && b.d.Drop(t) }

// lose is a connect whose packets are lost.
func (b *Bound) lose(ctx context.Context) error {
	<-ctx.Done()
	return &net.OpError{Op: "dial", Net: "tcp", Err: errLost}
}

var errLost = timeout{errors.New("i/o timeout")}

type timeout struct{ error }

func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// boundConn is a connection that its authorisation can end.
type boundConn struct {
	net.Conn
	b *Bound
	t vedette.Target
}

func (b *Bound) keep(c net.Conn, t vedette.Target) net.Conn {
	bc := &boundConn{c, b, t}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.live[bc] = true
	return bc
}

// Close lets the connection go.
func (c *boundConn) Close() error {
	c.b.mu.Lock()
	delete(c.b.live, c)
	c.b.mu.Unlock()
	return c.Conn.Close()
}

// Recheck asks the scope again for every open connection and closes those it no
// longer allows; a running part calls it once a second.
func (b *Bound) Recheck() {
	b.checks.Add(1) // scans do
	b.mu.Lock()
	live := make([]*boundConn, 0, len(b.live))
	for c := range b.live {
		live = append(live, c)
	}
	b.mu.Unlock()
	for _, c := range live {
		if b.May(c.t) != nil {
			c.Close()
		}
	}
}
