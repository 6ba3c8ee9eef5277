package lab

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vedette-hub/vedette"
)

// wirePlan says where the tripwire lies.
type wirePlan struct {
	// Networks are outside of every scope, excluded, or no longer authorised:
	// whatever comes there is recorded, hosts of the lab that live there included.
	Networks []string `yaml:"networks,omitempty"`
	// Addresses listen on all of TCP and UDP, "1-1024,8080".
	Addresses []string `yaml:"addresses,omitempty"`
	TCP       string   `yaml:"tcp,omitempty"`
	UDP       string   `yaml:"udp,omitempty"`
	// Allow are names of the scope that resolve into the networks: a session to
	// one of them (SNI, Host) at 80 or 443, or at the port that stands behind
	// the name, is what the scope authorises.
	Allow []string `yaml:"allow,omitempty"`
}

func (w wirePlan) check() error {
	for i, n := range w.Networks {
		if p, err := netip.ParsePrefix(n); err != nil || !loopback(p.Addr()) || p.Bits() < 8 {
			return vedette.Invalid("tripwire.networks[%d]: %q is no network within 127.0.0.0/8", i, n)
		}
	}
	for i, a := range w.Addresses {
		if x, err := netip.ParseAddr(a); err != nil || !loopback(x) {
			return vedette.Invalid("tripwire.addresses[%d]: %q is no address within 127.0.0.0/8", i, a)
		}
	}
	for _, list := range []string{w.TCP, w.UDP} {
		if _, err := ports(list); err != nil {
			return vedette.Invalid("tripwire: %w", err)
		}
	}
	return nil
}

// Touch is one connection or datagram that reached the tripwire.
type Touch struct {
	At      time.Time      `json:"at"`
	Network string         `json:"network"` // "tcp" or "udp"
	To      netip.AddrPort `json:"to"`
	From    string         `json:"from"`
	First   []byte         `json:"first,omitempty"` // at most 512 bytes
	Name    string         `json:"name,omitempty"`  // of Host or SNI
	Allowed bool           `json:"allowed"`         // a named session that the scope authorises
}

// String is a touch in a line.
func (t Touch) String() string {
	return fmt.Sprintf("%s %s from %s name %q allowed %t first %q", t.Network, t.To, t.From, t.Name, t.Allowed, t.First)
}

// Tripwire records what comes where nothing may come.
type Tripwire struct {
	networks []netip.Prefix
	allow    []string
	mu       sync.Mutex
	touches  []*Touch
	packets  map[packet]int
	sniffs   bool
}

// packet is what opens something, and where.
type packet struct {
	network string
	to      netip.AddrPort
}

func newTripwire(p wirePlan) *Tripwire {
	t := &Tripwire{packets: map[packet]int{}}
	t.move(p)
	return t
}

// move puts it elsewhere; what it recorded stays.
func (t *Tripwire) move(p wirePlan) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.allow, t.networks = p.Allow, nil
	for _, n := range p.Networks {
		t.networks = append(t.networks, netip.MustParsePrefix(n))
	}
}

// Tripwire is that of the lab, nil before it runs.
func (in *Internet) Tripwire() *Tripwire {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.wire
}

// holds says whether an address of the file lies in the tripwire.
func (t *Tripwire) holds(addr string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, err := netip.ParseAddr(addr)
	return err == nil && slices.ContainsFunc(t.networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Touches are all that were recorded, in the order in which they came.
func (t *Tripwire) Touches() []Touch {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Touch, len(t.touches))
	for i, p := range t.touches {
		out[i] = *p
	}
	return out
}

// Trespasses are the touches that no scope authorises. Where packets can be
// counted, those that met no listener, or never finished to connect, are among them.
func (t *Tripwire) Trespasses() []Touch {
	more := t.unmet()
	if len(more) > 0 { // what was sent a moment ago may not have been accepted yet
		time.Sleep(100 * time.Millisecond)
		more = t.unmet()
	}
	return append(slices.DeleteFunc(t.Touches(), func(t Touch) bool { return t.Allowed }), more...)
}

// Sniffs says whether packets are counted besides connections.
func (t *Tripwire) Sniffs() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sniffs
}

// packet counts one that goes to the tripwire.
func (t *Tripwire) packet(p packet) {
	if !t.holds(p.to.Addr().String()) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.packets) < maxTouches || t.packets[p] > 0 {
		t.packets[p]++
	}
}

// unmet are packets beyond those that listeners recorded.
func (t *Tripwire) unmet() []Touch {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := maps.Clone(t.packets)
	for _, x := range t.touches {
		left[packet{x.Network, x.To}]--
	}
	var out []Touch
	for p, n := range left {
		for range n {
			out = append(out, Touch{Network: p.network, To: p.to})
		}
	}
	slices.SortFunc(out, func(a, b Touch) int { return a.To.Compare(b.To) })
	return out
}

// Write writes the touches as lines of JSON, and then the packets beyond them.
func (t *Tripwire) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	for _, x := range append(t.Touches(), t.unmet()...) {
		if err := enc.Encode(x); err != nil {
			return err
		}
	}
	return nil
}

// maxTouches bounds the record of one run.
const maxTouches = 100_000

func (t *Tripwire) note(x *Touch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.touches) < maxTouches {
		t.touches = append(t.touches, x)
	}
}

func (t *Tripwire) datagram(to netip.AddrPort, from net.Addr, b []byte) {
	t.note(&Touch{At: time.Now(), Network: "udp", To: to, From: from.String(), First: bytes.Clone(b[:min(len(b), maxFirst)])})
}

const (
	maxFirst   = 512
	firstBytes = 3 * time.Second // that a client has for them
)

// session records a connection at once, and what it says first as soon as it does.
func (t *Tripwire) session(to netip.AddrPort, port int, s *session) {
	x := &Touch{At: time.Now(), Network: "tcp", To: to, From: s.RemoteAddr().String()}
	t.note(x)
	s.SetReadDeadline(time.Now().Add(firstBytes))
	s.r.Peek(1)
	b, _ := s.r.Peek(s.r.Buffered())
	for i := 0; i < 8 && startsHello(b) && len(b) < helloLength(b); i++ { // a hello may come in pieces
		more, err := s.r.Peek(min(len(b)+1, 4096))
		if err != nil {
			break
		}
		b, _ = s.r.Peek(max(len(more), s.r.Buffered()))
	}
	s.SetDeadline(time.Now().Add(patience))
	name := nameIn(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	x.First, x.Name = bytes.Clone(b[:min(len(b), maxFirst)]), name
	x.Allowed = slices.Contains(t.allow, netJoin(name, port)) || (port == 80 || port == 443) && slices.Contains(t.allow, name)
}

func startsHello(b []byte) bool { return len(b) >= 5 && b[0] == 22 }

func helloLength(b []byte) int { return 5 + int(b[3])<<8 + int(b[4]) }

// nameIn is whom a first message is for: the Host of HTTP (RFC 9110 §7.2) or
// the server name of a ClientHello (RFC 6066 §3); "" when it says neither.
func nameIn(b []byte) string {
	if startsHello(b) {
		return serverName(b)
	}
	_, rest, ok := strings.Cut(string(b), "\r\n")
	if !ok {
		return ""
	}
	for line := range strings.SplitSeq(rest, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && http.CanonicalHeaderKey(key) == "Host" {
			host := strings.TrimSpace(value)
			if h, _, err := net.SplitHostPort(host); err == nil {
				host = h
			}
			return strings.ToLower(strings.TrimSuffix(host, "."))
		}
	}
	return ""
}

// serverName lets crypto/tls read a hello, and goes no further.
func serverName(b []byte) (name string) {
	c := tls.Server(hello{r: bytes.NewReader(b)}, &tls.Config{MinVersion: tls.VersionTLS10, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name = strings.ToLower(h.ServerName)
		return nil, io.EOF
	}})
	_ = c.Handshake() // it always fails: nobody answers
	return name
}

// hello is a connection on which a message lies and nobody listens.
type hello struct {
	net.Conn
	r io.Reader
}

func (h hello) Read(p []byte) (int, error)  { return h.r.Read(p) }
func (h hello) Write(p []byte) (int, error) { return len(p), nil }
func (h hello) Close() error                { return nil }
