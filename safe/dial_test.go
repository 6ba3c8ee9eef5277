package safe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
)

// hostile are ways to say "this machine" or "a private network" (reliability.md
// T14, H70 to H80), without a port. A resolver that is fooled answers 127.0.0.1
// to what looks like a name.
var hostile = []string{
	// IPv4 in other forms: decimal, octal, hexadecimal, short, with zeros, too large
	"2130706433", "017700000001", "0x7f000001", "0X7F.0.0.1", "0x7f.0x0.0x0.0x1", "0177.0.0.1", "0177.0.0.01", "127.1", "127.0.1", "127.0.0.1.", "127.000.000.001",
	"4294967295", "6425673729", "383.0.0.1", "127.0.0.0x1", "0", "0x", "0.", "127.0.0.1.2",
	// of this machine, of no host, of private and special networks
	"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.169.254",
	"192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
	// IPv6: loopback, unspecified, in IPv4 clothes, link-local with and without a zone, site-local, unique local
	"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]",
	"[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:7f00:1::1]", "[2001:0:7f00:1::1]", "[fe80::1]", "[fe80::1%lo]", "[fe80::1%25lo]", "[::1%lo]", "[::ffff:127.0.0.1%lo]",
	"[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[100::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[4000::1]", "[2001:10::1]",
	// names of this machine, and names that look like something else
	"localhost", "LOCALHOST", "localhost.", "localhost..", "a.localhost", "localhost.localdomain", "ip6-localhost", "127.0.0.1.nip.example", "rebind.example", "private.example", "metadata.internal",
	"", ".", "..", "localhost%00.example", "local\thost", "localhost\\@public.example", "user@localhost", "user:word@127.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "ｌocalhost", "localhost/", "localhost#", "localhost?", " localhost", "localhost ", "[localhost]", "[127.0.0.1]", "::1",
	"/var/run/app.sock", "@abstract", "127.0.0.1\r\nHost: a",
}

// trap listens on loopback and counts who comes.
func trap(t *testing.T) (port string, touched func() int64) {
	t.Helper()
	var n atomic.Int64
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	lns := []net.Listener{ln}
	if six, err := net.Listen("tcp6", "[::1]:"+port); err == nil {
		t.Cleanup(func() { six.Close() })
		lns = append(lns, six)
	}
	for _, ln := range lns {
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				n.Add(1)
				c.Close()
			}
		}()
	}
	return port, n.Load
}

// fooled is a resolver that answers with this machine and private networks,
// and never with anything that is a host of the internet.
func fooled(_ context.Context, host string) ([]netip.Addr, error) {
	switch host {
	case "private.example":
		return []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::1"), netip.MustParseAddr("::ffff:192.168.0.1")}, nil
	case "metadata.internal":
		return []netip.Addr{netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("fe80::1%lo")}, nil
	case "nowhere.example":
		return nil, nil
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:127.0.0.1"), netip.MustParseAddr("64:ff9b::7f00:1")}, nil
}

// address is host:port, with a host that may contain anything.
func address(host, port string) string { return host + ":" + port }

// TestPublicNeverComesHome: nothing that data or users can say makes a
// connection to this machine or a private network.
func TestPublicNeverComesHome(t *testing.T) {
	port, touched := trap(t)
	if len(hostile) < 60 {
		t.Fatalf("%d hostile hosts", len(hostile))
	}
	d := NewDialer(false, "localhost:"+port)
	d.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
		if strings.ContainsAny(host, "@/\\#? \t%:") || strings.Trim(strings.ToLower(host[strings.LastIndex(host, ".")+1:]), "0123456789abcdefx") == "" {
			t.Errorf("%q was looked up", host)
		}
		return fooled(ctx, host)
	}
	for _, host := range hostile {
		for _, network := range []string{"tcp", "tcp4", "tcp6", "udp", "unix", "ip"} {
			before := d.Refused().Of(ModePublic)
			c, err := d.Public(t.Context(), network, address(host, port))
			if err == nil {
				c.Close()
				t.Errorf("%s %q was dialled", network, host)
			}
			var op *net.OpError
			if !errors.Is(err, vedette.ErrRefused) && !errors.As(err, &op) { // "tcp4" has no socket for an IPv6 address
				t.Errorf("%s %q: %v", network, host, err)
			}
			if network == "tcp" && d.Refused().Of(ModePublic) == before {
				t.Errorf("%q: %v, and no refusal is counted", host, err)
			}
		}
	}
	for _, p := range []string{"0", "65536", "-1", "http", "", "80 ", "1e2", "+80"} {
		if c, err := d.Public(t.Context(), "tcp", "192.0.2.1:"+p); err == nil || !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("port %q: %v, %v", p, c, err)
		}
	}
	if n, sent := touched(), d.Sent().Of(ModePublic); n != 0 || sent != 0 {
		t.Errorf("%d connections came, %d counted", n, sent)
	}
}

// TestPublicLooksOnce: a name that means something else a moment later does not
// get a second look, and what it means is decided on.
func TestPublicLooksOnce(t *testing.T) {
	port, touched := trap(t)
	lab := NewDialer(true)
	looks := 0
	lab.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		looks++
		if looks > 1 {
			return []netip.Addr{netip.MustParseAddr("192.0.2.9")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("127.0.0.1")}, nil
	}
	c, err := lab.Public(t.Context(), "tcp", "rebind.example:"+port)
	if err != nil || looks != 1 || lab.Sent().Of(ModePublic) != 1 || lab.Refused().Of(ModePublic) != 1 {
		t.Fatalf("%v after %d lookups, %d sent, %d refused", err, looks, lab.Sent().Of(ModePublic), lab.Refused().Of(ModePublic))
	}
	if c.RemoteAddr().String() != "127.0.0.1:"+port {
		t.Errorf("went to %s", c.RemoteAddr())
	}
	c.Close()
	until := time.Now().Add(2 * time.Second)
	for touched() == 0 && time.Now().Before(until) {
		time.Sleep(time.Millisecond)
	}
	if touched() != 1 {
		t.Errorf("%d connections came", touched())
	}
	if _, err := lab.Public(t.Context(), "tcp", "192.0.2.1:80"); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("a lab dials the internet: %v", err)
	}
	lab.Lookup = fooled
	if _, err := lab.Public(t.Context(), "tcp", "nowhere.example:80"); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("a name without addresses: %v", err)
	}
}

// TestIsPublic: hosts of the internet are, at the edges of what is not too.
func TestIsPublic(t *testing.T) {
	for _, s := range []string{"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::1", "2003::1", "2606:4700::1", "::ffff:1.1.1.1"} {
		if !IsPublic(netip.MustParseAddr(s)) {
			t.Errorf("%s is a host of the internet", s)
		}
	}
	for _, h := range hostile {
		if a, err := netip.ParseAddr(strings.Trim(h, "[]")); err == nil && IsPublic(a) {
			t.Errorf("%s is none", h)
		}
	}
	if IsPublic(netip.Addr{}) {
		t.Error("nothing is none")
	}
}

// TestOperatorExactly: what stands in the configuration is reached, private or
// not, and nothing that looks like it.
func TestOperatorExactly(t *testing.T) {
	port, touched := trap(t)
	d := NewDialer(false, "127.0.0.1:"+port, "db.hub.example:"+port)
	d.Lookup = fooled
	near := []string{"127.0.0.2:" + port, "127.0.0.1:1", "[::ffff:127.0.0.1]:" + port, "[::1]:" + port, "localhost:" + port, "db.hub.example.:" + port, "DB.hub.example:" + port, "a.db.hub.example:" + port, "127.0.0.1:0" + port, " 127.0.0.1:" + port, "127.0.0.1", ""}
	for _, h := range hostile {
		if a := address(h, port); a != "127.0.0.1:"+port {
			near = append(near, a)
		}
	}
	for _, a := range near {
		if c, err := d.Operator(t.Context(), "tcp", a); err == nil || !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("%q: %v, %v", a, c, err)
		}
	}
	if d.Sent().Of(ModeOperator) != 0 || touched() != 0 || d.Refused().Of(ModeOperator) != int64(len(near)) {
		t.Errorf("%d sent, %d came, %d of %d refused", d.Sent().Of(ModeOperator), touched(), d.Refused().Of(ModeOperator), len(near))
	}
	for i, a := range []string{"127.0.0.1:" + port, "db.hub.example:" + port} {
		c, err := d.Operator(t.Context(), "tcp", a)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if n := d.Sent().Of(ModeOperator); n != int64(i+1) {
			t.Errorf("%d counted", n)
		}
	}
	if d.Sent().Of(ModePublic)+d.Sent().Of(ModeScope) != 0 {
		t.Error("counted for another mode")
	}
	lab := NewDialer(true, "192.0.2.1:53")
	if _, err := lab.Operator(t.Context(), "udp", "192.0.2.1:53"); !errors.Is(err, vedette.ErrRefused) || lab.Sent().Of(ModeOperator) != 0 {
		t.Errorf("a lab dials the configuration: %v", err)
	}
}

// TestScopeMode: the scope is asked before each connection with what the run's
// own lookups gave, refusals are recorded, and an end of it closes what is open.
func TestScopeMode(t *testing.T) {
	port, touched := trap(t)
	at := netip.MustParseAddrPort("127.0.0.1:" + port)
	allowed := atomic.Bool{}
	allowed.Store(true)
	var asked []vedette.Target
	var recorded []string
	d := NewDialer(true)
	b := d.Scope(func(t vedette.Target) error {
		asked = append(asked, t)
		if !allowed.Load() || t.Name != "" && !(t.Resolved && t.Service) {
			return vedette.Refused("no")
		}
		return nil
	}, func(t vedette.Target, err error) { recorded = append(recorded, fmt.Sprint(t.Addr, t.Name)) }, NewBrakes(unlimited))
	named := vedette.Target{Network: "tcp", Addr: at, Name: "www.alpha.example", Class: vedette.Active}
	if _, err := b.Dial(t.Context(), named); !errors.Is(err, vedette.ErrRefused) || b.Sent() != 0 {
		t.Errorf("a name that did not resolve: %v", err)
	}
	b.Resolved("www.alpha.example", netip.AddrFrom16(at.Addr().As16()))
	b.Service("www.alpha.example", at.Port())
	c, err := b.Dial(t.Context(), named)
	if err != nil {
		t.Fatal(err)
	}
	b.Recheck()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("closed while it is allowed: %v", err)
	}
	allowed.Store(false)
	b.Recheck()
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("open while it is not allowed: %v", err)
	}
	if _, err := b.Dial(t.Context(), named); !errors.Is(err, vedette.ErrRefused) {
		t.Error(err)
	}
	allowed.Store(true)
	for _, bad := range []string{"192.0.2.1:80", "[::ffff:192.0.2.1]:80", "[fe80::1%lo]:80", "[::1%lo]:" + port} { // whatever the scope says
		if _, err := b.Dial(t.Context(), vedette.Target{Network: "tcp", Addr: netip.MustParseAddrPort(bad), Class: vedette.Active}); !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if b.Sent() != 1 || d.Sent().Of(ModeScope) != 1 || touched() > 1 || d.Refused().Of(ModeScope) != int64(len(recorded)) || len(recorded) != 7 {
		t.Errorf("%d sent, %d came, %d refused: %q", b.Sent(), touched(), d.Refused().Of(ModeScope), recorded)
	}
	if len(asked) < 4 || !asked[len(asked)-5].Resolved {
		t.Errorf("asked %+v", asked)
	}
}

// FuzzResolve: what is given as host:port becomes an address, a clean name to
// look up, or a refusal.
func FuzzResolve(f *testing.F) {
	for _, h := range hostile {
		f.Add(address(h, "80"))
	}
	f.Add("www.alpha.example:443")
	f.Add("[2001:db8::1]:65535")
	f.Fuzz(func(t *testing.T, given string) {
		d := NewDialer(false)
		looked := ""
		d.Lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
			looked = host
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		}
		addrs, port, err := d.resolve(t.Context(), ModePublic, given)
		if err != nil {
			if !errors.Is(err, vedette.ErrRefused) || looked != "" || len(err.Error()) > 400 {
				t.Errorf("%q: %v, looked up %q", given, err, looked)
			}
			return
		}
		if port == 0 || len(addrs) != 1 || addrs[0].Is4In6() || addrs[0].Zone() != "" {
			t.Errorf("%q became %v port %d", given, addrs, port)
		}
		if looked != "" && (strings.Trim(looked, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" || number(looked[strings.LastIndex(looked, ".")+1:])) {
			t.Errorf("%q had %q looked up", given, looked)
		}
	})
}
