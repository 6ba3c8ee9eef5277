package probe

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// Resolver asks the configured recursive resolvers. It validates nothing
// itself: where an answer is marked as authenticated, a resolver said so. It
// remembers answers for a minute and is safe for use by many goroutines.
type Resolver struct {
	dial    *safe.Dialer
	servers []string // host:port
	timeout time.Duration
	now     func() time.Time
	flight  chan struct{} // queries under way

	mu    sync.Mutex
	cache map[question]*cached
}

// The bounds of a resolver.
const (
	resolverTries = 2       // of one server
	resolverUDP   = 1232    // bytes of an answer over UDP (RFC 9715 §3.1)
	resolverAlias = 8       // CNAME records followed
	resolverCache = 1 << 12 // answers remembered
	resolverKeep  = time.Minute
	resolverAtOne = 32 // queries at a time
)

// question is what is asked.
type question struct {
	name string // lower case, with a final dot
	typ  uint16
	raw  bool // with checking disabled: the resolver is not to validate
}

// cached is an answer, once done is closed.
type cached struct {
	done   chan struct{}
	until  time.Time
	answer Answer
	err    error
}

// Answer is what the DNS says of one name and type. No records and Exists says
// that the name has none of that type (NODATA, RFC 2308 §2.2).
type Answer struct {
	// Name is where the records stand: the name asked for, or the end of its aliases.
	Name string
	// Aliases are the targets of the CNAME records that were followed, in order.
	Aliases []string
	Records []dns.RR // of the type asked for
	Exists  bool     // false: Name does not exist (NXDOMAIN)
	Signed  bool     // signatures came with the answer
	// Authenticated is the AD flag on every step: the resolver says that it
	// validated the answer. It is worth what the path to the resolver is worth.
	Authenticated bool
}

// LookupError is a question that got no answer. It proves nothing of the name.
type LookupError struct {
	Name, Type string
	// Rcode is the answer of the last server, "SERVFAIL" or "REFUSED"; "" when
	// none came at all.
	Rcode string
	// Extended are the reasons that came with it (RFC 8914 §4).
	Extended []uint16
	Err      error
}

// Error names the question and the reason.
func (e *LookupError) Error() string {
	why := e.Rcode
	if e.Err != nil {
		why = e.Err.Error()
	}
	return fmt.Sprintf("look up %s %s: %s", safe.Label(e.Name), e.Type, why)
}

// Unwrap makes it something that trying again may help.
func (e *LookupError) Unwrap() []error { return []error{vedette.ErrUnavailable, e.Err} }

// NewResolver asks servers, host:port pairs that stand in the dialer's
// configuration, in their order; timeout is of one try.
func NewResolver(d *safe.Dialer, servers []string, timeout time.Duration) *Resolver {
	return &Resolver{dial: d, servers: servers, timeout: timeout, now: time.Now,
		flight: make(chan struct{}, resolverAtOne), cache: map[question]*cached{}}
}

// Ask looks up the records of a type (dns.TypeA) of a name and follows its
// aliases. NXDOMAIN and NODATA are answers; an error is a *LookupError or the
// end of ctx.
func (r *Resolver) Ask(ctx context.Context, name string, typ uint16) (Answer, error) {
	return r.ask(ctx, name, typ, false)
}

// Unchecked is Ask with checking disabled (RFC 4035 §3.2.2): it shows what a
// resolver that validates holds back.
func (r *Resolver) Unchecked(ctx context.Context, name string, typ uint16) (Answer, error) {
	return r.ask(ctx, name, typ, true)
}

// Addresses are the addresses of a name, of both families, sorted.
func (r *Resolver) Addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
		a, err := r.Ask(ctx, name, typ)
		if err != nil {
			return nil, err
		}
		out = append(out, a.addresses()...)
	}
	return sortedAddresses(out), nil
}

// addresses are those of A and AAAA records.
func (a Answer) addresses() []netip.Addr {
	var out []netip.Addr
	for _, rr := range a.Records {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if addr, ok := netip.AddrFromSlice(ip); ok {
			out = append(out, addr.Unmap())
		}
	}
	return sortedAddresses(out)
}

func sortedAddresses(list []netip.Addr) []netip.Addr {
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// ask goes from alias to alias until the records or their absence are found.
func (r *Resolver) ask(ctx context.Context, name string, typ uint16, raw bool) (Answer, error) {
	q := question{dns.CanonicalName(name), typ, raw}
	if _, ok := dns.IsDomainName(q.name); !ok {
		return Answer{}, &LookupError{Name: name, Type: dns.TypeToString[typ], Err: errors.New("no domain name")}
	}
	all := Answer{Authenticated: true}
	for {
		a, err := r.once(ctx, q)
		if err != nil {
			return Answer{}, err
		}
		all.Aliases = append(all.Aliases, a.Aliases...)
		all.Name, all.Records, all.Exists = a.Name, a.Records, a.Exists
		all.Signed = all.Signed || a.Signed
		all.Authenticated = all.Authenticated && a.Authenticated
		if a.Name == q.name || a.complete() {
			all.Name = plain(all.Name)
			return all, nil
		}
		if len(all.Aliases) > resolverAlias { // a loop over several answers ends here too
			return Answer{}, &LookupError{Name: name, Type: dns.TypeToString[typ], Rcode: "NOERROR", Err: errors.New("its aliases do not end")}
		}
		q.name = a.Name // the resolver stopped on the way
	}
}

// complete says whether nothing is left to ask for.
func (a Answer) complete() bool { return len(a.Records) > 0 || !a.Exists }

// plain is a name as an asset has it.
func plain(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }

// once asks a question that nobody asked within a minute. Those who ask at the
// same time wait for one answer.
func (r *Resolver) once(ctx context.Context, q question) (Answer, error) {
	for {
		r.mu.Lock()
		c := r.cache[q]
		if c == nil || r.now().After(c.until) {
			c = r.remember(q)
			r.mu.Unlock()
			c.answer, c.err = r.query(ctx, q)
			if c.err != nil {
				r.forget(q, c)
			}
			close(c.done)
			return c.answer, c.err
		}
		r.mu.Unlock()
		select {
		case <-c.done:
			if c.err == nil || ctx.Err() != nil {
				return c.answer, c.err
			}
			// who asked gave up, or failed: ask ourselves
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		}
	}
}

// remember makes the place of an answer; r.mu is held.
func (r *Resolver) remember(q question) *cached {
	if len(r.cache) >= resolverCache {
		clear(r.cache) // those who wait hold their place themselves
	}
	c := &cached{done: make(chan struct{}), until: r.now().Add(resolverKeep)}
	r.cache[q] = c
	return c
}

func (r *Resolver) forget(q question, c *cached) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cache[q] == c {
		delete(r.cache, q)
	}
}

// query asks each server in turn until one answers.
func (r *Resolver) query(ctx context.Context, q question) (Answer, error) {
	fail := &LookupError{Name: plain(q.name), Type: dns.TypeToString[q.typ], Err: errors.New("no resolver is configured")}
	for _, server := range r.servers {
		for range resolverTries {
			m, err := r.exchange(ctx, server, q)
			if err == nil {
				if m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError {
					return readAnswer(m, q)
				}
				fail.Rcode, fail.Extended = dns.RcodeToString[m.Rcode], extended(m)
				err = fmt.Errorf("%s answers %s", server, fail.Rcode)
			}
			if fail.Err = cmp.Or(ctx.Err(), err); ctx.Err() != nil {
				return Answer{}, fail
			}
		}
	}
	return Answer{}, fail
}

// extended are the extended errors of an answer (RFC 8914).
func extended(m *dns.Msg) []uint16 {
	var out []uint16
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok && len(out) < 8 {
				out = append(out, e.InfoCode)
			}
		}
	}
	return out
}

// exchange asks one server over UDP and, when the answer did not fit, over TCP.
func (r *Resolver) exchange(ctx context.Context, server string, q question) (*dns.Msg, error) {
	select {
	case r.flight <- struct{}{}:
		defer func() { <-r.flight }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m, err := r.over(ctx, "udp", server, q)
	if err == nil && m.Truncated {
		m, err = r.over(ctx, "tcp", server, q)
	}
	return m, err
}

func (r *Resolver) over(ctx context.Context, network, server string, q question) (*dns.Msg, error) {
	until, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	c, err := r.dial.Operator(until, network, server)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	deadline, _ := until.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return nil, err
	}
	ask := new(dns.Msg)
	ask.SetQuestion(q.name, q.typ) // with a random id
	ask.CheckingDisabled = q.raw
	ask.SetEdns0(resolverUDP, true)
	out, err := ask.Pack()
	if err != nil {
		return nil, err
	}
	if network == "tcp" {
		return overStream(c, ask, out)
	}
	return overPacket(c, ask, out)
}

// overPacket sends a datagram and waits for the one that answers it. What has
// another id or question is not ours and is passed over (RFC 5452 §9.1).
func overPacket(c net.Conn, ask *dns.Msg, out []byte) (*dns.Msg, error) {
	if _, err := c.Write(out); err != nil {
		return nil, err
	}
	buf := make([]byte, 1<<16)
	for range 64 {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		if n < 12 || binary.BigEndian.Uint16(buf) != ask.Id {
			continue
		}
		m := new(dns.Msg)
		if err := m.Unpack(buf[:n]); err != nil && !m.Truncated { // cut within a record, as the flag says
			return nil, fmt.Errorf("unreadable answer: %s", safe.Reason(err))
		}
		if answers(m, ask) {
			return m, nil
		}
	}
	return nil, errors.New("answers to other questions only")
}

// overStream is one question and its answer over TCP (RFC 1035 §4.2.2).
func overStream(c net.Conn, ask *dns.Msg, out []byte) (*dns.Msg, error) {
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
		return nil, err
	}
	m, err := readMessage(c)
	if err != nil {
		return nil, err
	}
	if m.Id != ask.Id || !answers(m, ask) {
		return nil, errors.New("an answer to another question")
	}
	return m, nil
}

// readMessage reads one message of a stream, of at most 64 KiB.
func readMessage(r io.Reader) (*dns.Msg, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	if err := m.Unpack(body); err != nil {
		return nil, fmt.Errorf("unreadable answer: %s", safe.Reason(err))
	}
	return m, nil
}

// answers says whether a message is the response to a question.
func answers(m, ask *dns.Msg) bool {
	return m.Response && m.Opcode == dns.OpcodeQuery && len(m.Question) == 1 &&
		m.Question[0].Qtype == ask.Question[0].Qtype && m.Question[0].Qclass == ask.Question[0].Qclass &&
		dns.CanonicalName(m.Question[0].Name) == ask.Question[0].Name
}

// readAnswer takes the records of a question out of a message, along its aliases;
// records of other names are nobody's answer.
func readAnswer(m *dns.Msg, q question) (Answer, error) {
	fail := func(why string) (Answer, error) {
		return Answer{}, &LookupError{Name: plain(q.name), Type: dns.TypeToString[q.typ], Rcode: dns.RcodeToString[m.Rcode], Err: errors.New(why)}
	}
	alias, seen := map[string]string{}, map[string]bool{}
	for _, rr := range m.Answer {
		if c, ok := rr.(*dns.CNAME); ok && rr.Header().Class == dns.ClassINET && q.typ != dns.TypeCNAME {
			alias[dns.CanonicalName(c.Hdr.Name)] = dns.CanonicalName(c.Target)
		}
	}
	a := Answer{Name: q.name, Exists: m.Rcode == dns.RcodeSuccess, Authenticated: m.AuthenticatedData}
	for next, ok := alias[q.name]; ok; next, ok = alias[a.Name] {
		if seen[next] || next == q.name || len(a.Aliases) == resolverAlias {
			return fail("its aliases do not end")
		}
		seen[next] = true
		a.Aliases = append(a.Aliases, plain(next))
		a.Name = next
	}
	for _, rr := range m.Answer {
		h := rr.Header()
		switch {
		case h.Class != dns.ClassINET || h.Rdlength == 0 || dns.CanonicalName(h.Name) != a.Name:
		case h.Rrtype == q.typ:
			a.Records = append(a.Records, rr)
		case h.Rrtype == dns.TypeRRSIG:
			a.Signed = true
		}
	}
	a.Signed = a.Signed || slices.ContainsFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
	if len(a.Records) == 0 && a.Exists && !m.RecursionAvailable && !m.Authoritative {
		return fail("the server does not recurse")
	}
	return a, nil
}
