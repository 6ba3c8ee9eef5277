package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/vedette-hub/vedette"
)

// Service identifies what speaks on an open port.
var Service = Check{
	Name:  "service",
	About: "what speaks on a port, by what it says and never by the number of the port",
	Spec:  "RFC 4253, RFC 959, RFC 5321, RFC 3501, RFC 1939, RFC 9112, RFC 1035, RFC 4511 and those of each protocol's file",
	Class: vedette.Active,
	For:   func(s Subject) bool { return s.Port != 0 && s.Addr.IsValid() },
	Run: func(ctx context.Context, env *Env, s Subject, emit Emit) error {
		f, err := Identify(ctx, env, s)
		if err != nil {
			return err
		}
		emit(vedette.Observation{Fact: f})
		return nil
	},
}

// What a look at a port can come to besides a fact. A refusal of the scope is
// passed through (errors.Is vedette.ErrRefused).
var (
	// ErrClosed: the host answers that nothing listens there. It proves absence.
	ErrClosed = errors.New("the port is closed")
	// ErrSilent: nothing came back, or not any more. It proves nothing.
	ErrSilent = errors.New("the port does not answer")
)

// errBusy is a server that says so.
var errBusy = fmt.Errorf("%w: it says that it is busy", ErrSilent)

// protocol is one thing that a port can speak: data and functions.
type protocol struct {
	name string // IANA service name
	spec string
	// ports are where it usually lives. They order the attempts and decide nothing.
	ports []uint16
	// greets says whether the first bytes of a server that speaks first are its; nil for one that waits.
	greets func(head []byte) bool
	// hello is what a client says first; nil for a protocol whose server speaks first.
	hello func(p *peer) []byte
	// answers says whether an answer to somebody else's hello is its; nil when it cannot tell.
	answers func(head []byte) bool
	// read goes on after the greeting, or the answer to hello, came. No means
	// that it is another protocol after all.
	read func(p *peer) (vedette.Fact, bool)
	// tlsPorts are where it usually lives inside TLS; nil: it is not asked there.
	tlsPorts []uint16
	// upgrade brings a fresh connection to where the TLS handshake begins
	// (STARTTLS), and says whether the server goes there; nil when it cannot.
	upgrade func(p *peer) (bool, error)
}

// look is one identification. A connection costs (the brakes allow few), so
// that each one says as much as it can: it listens, and then asks.
type look struct {
	ctx    context.Context
	env    *Env
	s      Subject
	hint   uint16
	secure bool
	list   []*protocol
	opened *int   // connections so far
	heard  []byte // the first thing that was said, by whomever
}

// Identify finds out what speaks on the port of a subject. A fact without a
// service is an open port whose protocol nobody here knows. Errors are
// ErrClosed, ErrSilent, a refusal of the scope, or the end of the context.
func Identify(ctx context.Context, env *Env, s Subject) (vedette.Fact, error) {
	return identify(ctx, env, s, s.Port)
}

// identify is Identify with another number to order the attempts by.
func identify(ctx context.Context, env *Env, s Subject, hint uint16) (vedette.Fact, error) {
	l := &look{ctx: ctx, env: env, s: s, hint: hint, list: protocols, opened: new(int)}
	if s.Proto == "udp" {
		l.list = datagrams
		return l.udp()
	}
	return l.tcp(nil)
}

// greetWait is how long a server may take to speak first.
func (l *look) greetWait() time.Duration { return min(1500*time.Millisecond, l.env.Timeout/2) }

// answerWait is how long an answer may take.
func (l *look) answerWait() time.Duration { return min(3*time.Second, l.env.Timeout) }

// open makes a connection, and a TLS session on it when the look is inside one.
func (l *look) open() (*peer, error) {
	p, err := l.dial()
	if err != nil || !l.secure {
		return p, err
	}
	q, err := l.handshake(p)
	if err != nil {
		p.close()
		return nil, fmt.Errorf("%w: the TLS session that it opened before fails now", ErrSilent)
	}
	return q, nil
}

func (l *look) dial() (*peer, error) {
	c, err := l.env.Dial(l.ctx, l.s, vedette.Active)
	if err != nil {
		return nil, l.failed(err)
	}
	*l.opened++
	stop := context.AfterFunc(l.ctx, func() { c.Close() })
	p := &peer{conn: stopping{c, stop}, rules: l.env.Identify, agent: l.env.Agent, name: l.s.Name(), packets: l.s.Proto == "udp",
		wait: l.answerWait(), end: time.Now().Add(2 * l.env.Timeout), again: l.open}
	return p, c.SetDeadline(p.end)
}

// stopping is a connection that the end of a context closes.
type stopping struct {
	net.Conn
	stop func() bool
}

// Close lets the connection go.
func (s stopping) Close() error {
	s.stop()
	return s.Conn.Close()
}

// failed says what a connection that was not made means.
func (l *look) failed(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, vedette.ErrRefused):
		return err
	case l.ctx.Err() != nil:
		return l.ctx.Err()
	case errors.Is(err, syscall.ECONNREFUSED) && *l.opened == 0:
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &op):
		return fmt.Errorf("%w: %w", ErrSilent, err)
	}
	return err // the brakes: nobody was asked
}

// usual says whether a protocol usually lives on the hinted port.
func (l *look) usual(p *protocol) bool {
	if l.secure {
		return slices.Contains(p.tlsPorts, l.hint)
	}
	return slices.Contains(p.ports, l.hint)
}

// order is the protocols that a client opens, those that usually live on the
// hinted port first.
func (l *look) order() []*protocol {
	var first, then []*protocol
	for _, p := range l.list {
		switch {
		case p.hello == nil && p != secure || l.secure && p.tlsPorts == nil || l.guest() && p != httpd && p != secure:
		case l.usual(p):
			first = append(first, p)
		default:
			then = append(then, p)
		}
	}
	return append(first, then...)
}

// guest says whether the scope holds the name alone and not its address: then
// nothing is said but HTTP and TLS, which name whom they are for (design section 5.5).
func (l *look) guest() bool {
	return l.s.Name() != "" && !l.env.Net.Allows(vedette.Target{Network: l.s.Proto, Addr: netip.AddrPortFrom(l.s.Addr, l.s.Port), Class: vedette.Active})
}

// expected is the protocol that usually lives on the hinted port.
func (l *look) expected() *protocol {
	for _, p := range l.list {
		if l.usual(p) {
			return p
		}
	}
	return nil
}

// tcp identifies over connections; the first may be there already.
func (l *look) tcp(p *peer) (vedette.Fact, error) {
	p, err := l.first(p)
	defer func() { p.close() }()
	if err != nil {
		return vedette.Fact{}, err
	}
	if len(p.in) > 0 {
		return l.greeted(p)
	}
	if p.gone {
		return l.unknown(), nil
	}
	tries := l.order()
	for n := 0; len(tries) > 0; n++ {
		t := tries[0]
		tries = tries[1:]
		if p == nil {
			if p, err = l.open(); err != nil {
				return vedette.Fact{}, err
			}
		}
		if n >= 3 {
			p.wait = l.answerWait() / 2 // three others were asked already
		}
		if t == httpd {
			if p, err = l.request(p); err != nil {
				return vedette.Fact{}, err
			}
		}
		f, ok, err := l.try(t, p)
		if ok || err != nil {
			return f, err
		}
		head := p.head
		p.close()
		p = nil
		if err := l.ctx.Err(); err != nil {
			return vedette.Fact{}, err
		}
		if slices.ContainsFunc(l.list, func(c *protocol) bool { return c.greets != nil && c.greets(head) }) {
			return l.late()
		}
		tries = learn(head, tries)
	}
	return l.unknown(), nil
}

// first makes the connection on which a server may speak first, and listens. A
// server under load may close a connection without a word: it gets a second one.
func (l *look) first(p *peer) (*peer, error) {
	wait := l.greetWait()
	if e := l.expected(); e != nil && (e.hello != nil || e == secure) {
		wait = min(wait, 300*time.Millisecond)
	}
	for range 2 {
		if p == nil {
			var err error
			if p, err = l.open(); err != nil {
				return p, err
			}
		}
		if len(p.listen(wait)) > 0 || !p.gone {
			return p, l.ctx.Err()
		}
		p.close()
		if err := l.ctx.Err(); err != nil {
			return p, err
		}
		p, wait = nil, l.greetWait()
	}
	return &peer{conn: nobody{}, gone: true}, nil
}

// nobody is a connection that was closed.
type nobody struct{ net.Conn }

// Close does nothing.
func (nobody) Close() error { return nil }

// late listens again, long, to a server whose greeting came when it had been
// asked something already.
func (l *look) late() (vedette.Fact, error) {
	p, err := l.open()
	if err != nil {
		return vedette.Fact{}, err
	}
	defer func() { p.close() }()
	if len(p.listen(2*l.env.Timeout)) == 0 {
		return l.unknown(), l.ctx.Err()
	}
	return l.greeted(p)
}

// greeted asks the protocols whose greeting it could be; each but the first on
// a connection of its own.
func (l *look) greeted(p *peer) (vedette.Fact, error) {
	l.hear(p)
	head := bytes.Clone(p.in)
	var usual, others []*protocol
	for _, c := range l.list {
		switch {
		case c.greets == nil || !c.greets(head):
		case l.usual(c):
			usual = append(usual, c)
		default:
			others = append(others, c)
		}
	}
	for i, c := range append(usual, others...) {
		if i > 0 {
			var err error
			if p, err = l.open(); err != nil {
				return vedette.Fact{}, err
			}
			defer p.close()
			p.listen(2 * l.env.Timeout)
		}
		f, ok := c.read(p)
		if p.busy {
			return vedette.Fact{}, errBusy
		}
		if ok {
			f.Service, f.TLS = c.name, l.secure
			return f, nil
		}
	}
	return l.unknown(), l.ctx.Err()
}

// try says one hello and reads the answer.
func (l *look) try(t *protocol, p *peer) (vedette.Fact, bool, error) {
	if t == secure {
		return l.inside(p)
	}
	var f vedette.Fact
	ok := p.ask(t.hello(p))
	if ok {
		f, ok = t.read(p)
	}
	l.hear(p)
	if p.busy {
		return f, false, errBusy
	}
	if !ok {
		return f, false, nil
	}
	f.Service, f.TLS = t.name, l.secure
	if t == httpd && !l.secure && badRequest(p.head) {
		// A server of HTTPS says in plain HTTP that it wants TLS.
		q, err := l.open()
		if err != nil {
			return f, true, err
		}
		defer q.close()
		if g, ok, err := l.inside(q); ok || err != nil {
			return g, ok, err
		}
	}
	return f, true, nil
}

// request waits for the brake of HTTP requests. When that takes long the
// connection is not kept waiting: another one is made after it.
func (l *look) request(p *peer) (*peer, error) {
	ctx, cancel := context.WithTimeout(l.ctx, time.Second)
	defer cancel()
	if l.env.Net.Request(ctx, l.s.Addr) == nil {
		return p, nil
	}
	p.close()
	if err := l.env.Net.Request(l.ctx, l.s.Addr); err != nil {
		return nil, err
	}
	return l.open()
}

// inside opens a TLS session and identifies what speaks in it.
func (l *look) inside(p *peer) (vedette.Fact, bool, error) {
	q, err := l.handshake(p)
	switch {
	case l.ctx.Err() != nil:
		return vedette.Fact{}, false, l.ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded) && isTLS(p.head):
		return vedette.Fact{}, false, fmt.Errorf("%w: its TLS handshake broke off", ErrSilent)
	case err != nil:
		// An alert, or a version that we do not speak, is TLS all the same.
		return vedette.Fact{TLS: true}, isTLS(p.head), nil
	}
	in := *l
	in.secure, in.heard = true, nil
	f, err := in.tcp(q)
	return f, true, err
}

// handshake opens a TLS session on a connection.
func (l *look) handshake(p *peer) (*peer, error) {
	c := tls.Client(under{p}, anyTLS(l.s.Name()))
	p.conn.SetDeadline(time.Now().Add(l.answerWait()))
	if err := c.HandshakeContext(l.ctx); err != nil {
		return nil, err
	}
	p.conn.SetDeadline(p.end)
	q := *p
	q.conn, q.in, q.head, q.read, q.gone, q.secure = c, nil, nil, 0, false, true
	in := *l
	in.secure = true
	q.again = in.open
	return &q, nil
}

// learn puts what an answer points to before the rest.
func learn(head []byte, tries []*protocol) []*protocol {
	i := slices.IndexFunc(tries, func(t *protocol) bool {
		return t == secure && isTLS(head) || t.answers != nil && len(head) > 0 && t.answers(head)
	})
	if i <= 0 {
		return tries
	}
	out := append([]*protocol{tries[i]}, tries[:i]...)
	return append(out, tries[i+1:]...)
}

// udp identifies over datagrams: a port is open when it answers.
func (l *look) udp() (vedette.Fact, error) {
	for _, t := range l.order() {
		f, ok, err := l.datagram(t)
		if ok || err != nil {
			return f, err
		}
	}
	if len(l.heard) == 0 {
		return vedette.Fact{}, ErrSilent
	}
	return l.unknown(), nil
}

// datagram says one hello twice, since datagrams get lost, and reads the answer.
func (l *look) datagram(t *protocol) (vedette.Fact, bool, error) {
	p, err := l.open()
	if err != nil {
		return vedette.Fact{}, false, err
	}
	defer p.close()
	hello := t.hello(p)
	for range 2 {
		if !p.send(hello) || len(p.listen(p.wait/2)) > 0 || p.gone {
			break
		}
	}
	if err := l.ctx.Err(); err != nil {
		return vedette.Fact{}, false, err
	}
	if p.refused && len(l.heard) == 0 {
		return vedette.Fact{}, false, ErrClosed
	}
	l.hear(p)
	if len(p.in) == 0 {
		return vedette.Fact{}, false, nil
	}
	f, ok := t.read(p)
	f.Service = t.name
	return f, ok, nil
}

// hear keeps the first thing that was said.
func (l *look) hear(p *peer) {
	if len(l.heard) == 0 {
		l.heard = bytes.Clone(p.head)
	}
}

// unknown is an open port whose protocol nobody here knows.
func (l *look) unknown() vedette.Fact {
	return vedette.Fact{TLS: l.secure, Banner: Banner(l.heard, MaxBanner)}
}
