package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
)

// world is an Env that may touch loopback, without brakes to speak of.
func world(t testing.TB) *Env {
	t.Helper()
	c := vedette.Constituent{ID: "test", Scope: []vedette.ScopeEntry{{CIDR: "127.0.0.0/8", Document: "test", Classes: []vedette.CheckClass{vedette.Active}}}}
	rules := scope.NewRules(c, nil, true, time.Now)
	d := safe.NewDialer(true)
	brakes := safe.NewBrakes(safe.Pace{Connects: 1e6, Requests: 1e6, PerNetwork: 1e6, Constituent: 1e6}.Within(true))
	identify, err := NewRules()
	if err != nil {
		t.Error(err)
	}
	return &Env{Net: d.Scope(rules.Decide, func(vedette.Target, error) {}, brakes), Identify: identify,
		Agent: "vedette (scanner@hub.example)", Timeout: 2 * time.Second, Now: time.Now, Found: func(string) {}}
}

// at is the subject of a listener.
func at(addr net.Addr) Subject {
	ap := netip.MustParseAddrPort(addr.String())
	return Subject{Asset: vedette.Asset{ID: ap.Addr().String(), Kind: vedette.AddressAsset}, Addr: ap.Addr(), Port: ap.Port(), Proto: addr.Network()}
}

// serve speaks on every connection to a listener of its own.
func serve(t testing.TB, speak func(c net.Conn)) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, speak)
}

func serveOn(t testing.TB, l net.Listener, speak func(c net.Conn)) net.Addr {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				speak(c)
			}()
		}
	}()
	return l.Addr()
}

// serveTLS speaks inside TLS.
func serveTLS(t testing.TB, config *tls.Config, speak func(c net.Conn)) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, tls.NewListener(l, config), speak)
}

// servePackets answers every datagram.
func servePackets(t testing.TB, answer func(q []byte) []byte) net.Addr {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if a := answer(b[:n]); a != nil {
				c.WriteTo(a, from)
			}
		}
	}()
	return c.LocalAddr()
}

// dialogue speaks a protocol of lines: a greeting, and an answer per command.
func dialogue(greeting string, answer func(command string) string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, greeting)
		for in := bufio.NewScanner(c); in.Scan(); {
			a := answer(strings.TrimRight(in.Text(), "\r"))
			if a == "" {
				return
			}
			io.WriteString(c, a)
		}
	}
}

// responder is a small server of a protocol, written from its specification.
type responder struct {
	name    string
	speak   func(c net.Conn)
	packet  func(q []byte) []byte // over UDP instead
	want    vedette.Fact
	inTLS   bool // is asked inside TLS as well
	dearest int  // connections that a foreign port may cost
}

var responders = append(texts, binaries...)

var texts = []responder{
	{name: "ssh", speak: speakSSH, inTLS: true, dearest: 1,
		want: vedette.Fact{Service: "ssh", Banner: "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3"}},
	{name: "smtp", inTLS: true, dearest: 1,
		speak: dialogue("220 mail.example ESMTP Exim 4.96 Sat, 21 Nov 2026 20:59:05 +0000\r\n", func(c string) string {
			switch {
			case strings.HasPrefix(c, "EHLO "):
				return "250-mail.example Hello\r\n250-SIZE 52428800\r\n250-STARTTLS\r\n250 HELP\r\n"
			case c == "QUIT":
				return ""
			}
			return "500 unrecognized command\r\n"
		}),
		want: vedette.Fact{Service: "smtp", Banner: "220 mail.example ESMTP Exim 4.96 *", Details: map[string]string{"starttls": "yes"}}},
	{name: "smtp/terse", dearest: 2,
		speak: dialogue("220 mail.example\r\n", func(c string) string {
			if strings.HasPrefix(c, "EHLO ") {
				return "250 mail.example\r\n"
			}
			return "502 5.5.1 no\r\n"
		}),
		want: vedette.Fact{Service: "smtp", Banner: "220 mail.example", Details: map[string]string{"starttls": "no"}}},
	{name: "smtp/slow", dearest: 1,
		speak: func(c net.Conn) {
			io.WriteString(c, "220-mail.example ESMTP\r\n")
			time.Sleep(2500 * time.Millisecond)
			dialogue("220 mail.example ESMTP\r\n", func(string) string { return "250 mail.example\r\n" })(c)
		},
		want: vedette.Fact{Service: "smtp", Banner: "220 mail.example ESMTP\nmail.example ESMTP", Details: map[string]string{"starttls": "no"}}},
	{name: "ftp", inTLS: true, dearest: 1,
		speak: dialogue("220 (vsFTPd 3.0.3)\r\n", func(c string) string {
			switch c {
			case "FEAT":
				return "211-Features:\r\n AUTH TLS\r\n EPRT\r\n211 End\r\n"
			case "QUIT":
				return ""
			}
			return "530 Please login with USER and PASS.\r\n"
		}),
		want: vedette.Fact{Service: "ftp", Banner: "220 (vsFTPd 3.0.3)", Details: map[string]string{"starttls": "yes"}}},
	{name: "ftp/terse", dearest: 2,
		speak: dialogue("220-Welcome\r\n220-You are user number 4 of 50 allowed.\r\n220 ready\r\n", func(c string) string {
			return "530 Please login with USER and PASS.\r\n"
		}),
		want: vedette.Fact{Service: "ftp", Banner: "220 Welcome\nYou are user number * of 50 allowed.\nready"}},
	{name: "imap", inTLS: true, dearest: 1,
		speak: dialogue("* OK [CAPABILITY IMAP4rev1 LOGIN-REFERRALS ID STARTTLS] Dovecot (Debian) ready.\r\n", func(c string) string {
			tag, cmd, _ := strings.Cut(c, " ")
			switch {
			case cmd == "CAPABILITY":
				return "* CAPABILITY IMAP4rev1 ID STARTTLS\r\n" + tag + " OK done\r\n"
			case strings.HasPrefix(cmd, "ID "):
				return "* ID (\"name\" \"Dovecot\")\r\n" + tag + " OK done\r\n"
			case cmd == "LOGOUT":
				return ""
			}
			return tag + " BAD\r\n"
		}),
		want: vedette.Fact{Service: "imap", Banner: "* OK [CAPABILITY IMAP4rev1 LOGIN-REFERRALS ID STARTTLS] Dovecot (Debian) ready.", Details: map[string]string{"starttls": "yes"}}},
	{name: "pop3", inTLS: true, dearest: 1,
		speak: dialogue("+OK POP3 ready <1896.697170952@mail.example>\r\n", func(c string) string {
			switch c {
			case "CAPA":
				return "+OK list\r\nUIDL\r\nSTLS\r\nIMPLEMENTATION Example-1.2\r\n.\r\n"
			case "QUIT":
				return ""
			}
			return "-ERR\r\n"
		}),
		want: vedette.Fact{Service: "pop3", Banner: "+OK POP3 ready <*>", Details: map[string]string{"starttls": "yes"}}},
	{name: "http", speak: speakHTTP("HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 20:59:05 GMT\r\nServer: nginx/1.18.0\r\n\r\n<title>x</title>"), inTLS: true, dearest: 1,
		want: vedette.Fact{Service: "http", Banner: "HTTP/1.1 200 OK\nServer: nginx/1.18.0"}},
	{name: "http/2", speak: speakHTTP("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"), inTLS: true, dearest: 1,
		want: vedette.Fact{Service: "http", Banner: "HTTP/2"}},
}

func speakSSH(c net.Conn) {
	io.WriteString(c, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
	l, _ := bufio.NewReader(c).ReadString('\n')
	if !strings.HasPrefix(l, "SSH-") {
		io.WriteString(c, "Invalid SSH identification string.\r\n")
	}
}

func speakHTTP(answer string) func(net.Conn) {
	return func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			return
		}
		io.Copy(io.Discard, r.Body)
		io.WriteString(c, answer)
	}
}

func (r responder) start(t testing.TB) net.Addr {
	if r.packet != nil {
		return servePackets(t, r.packet)
	}
	return serve(t, r.speak)
}

// protocol is the one that the responder speaks.
func (r responder) protocol() *protocol {
	name, _, _ := strings.Cut(r.name, "/")
	for _, p := range append(protocols[:len(protocols):len(protocols)], datagrams...) {
		if p.name == name {
			return p
		}
	}
	return nil
}

func same(t *testing.T, what string, got, want vedette.Fact) {
	t.Helper()
	got.Software = nil
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s:\ngot  %s\nwant %s", what, g, w)
	}
}

// together runs what mostly waits, many at a time.
type together struct {
	wg   sync.WaitGroup
	once sync.Once
	room chan bool
}

func (g *together) run(f func()) {
	g.once.Do(func() { g.room = make(chan bool, 300) })
	g.room <- true
	g.wg.Go(func() { f(); <-g.room })
}

// TestProtocols: every responder is found on a port that says nothing, with few
// connections, and two looks see the same.
func TestProtocols(t *testing.T) {
	t.Parallel()
	var g together
	for _, r := range responders {
		addr := r.start(t)
		g.run(func() {
			for range 2 {
				env := world(t)
				got, err := identify(t.Context(), env, at(addr), 0)
				if err != nil {
					t.Errorf("%s: %v", r.name, err)
					return
				}
				same(t, r.name, got, r.want)
				if n := env.Net.Sent(); r.packet == nil && n > int64(r.dearest) {
					t.Errorf("%s: %d connections, more than %d", r.name, n, r.dearest)
				}
			}
		})
	}
	g.wg.Wait()
}

// TestNumbers: the number of the port orders the attempts and decides nothing.
// On its own port a protocol costs at most two connections.
func TestNumbers(t *testing.T) {
	t.Parallel()
	var g together
	for _, r := range responders {
		addr, list := r.start(t), protocols
		if r.packet != nil {
			list = datagrams
		}
		for _, p := range list {
			g.run(func() {
				env := world(t)
				got, err := identify(t.Context(), env, at(addr), p.ports[0])
				what := r.name + " where " + p.name + " lives"
				if err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
				same(t, what, got, r.want)
				if n := env.Net.Sent(); p == r.protocol() && p != domain && n > 2 && !strings.HasSuffix(r.name, "/old") {
					t.Errorf("%s: %d connections", what, n)
				}
			})
		}
	}
	g.wg.Wait()
}

// TestInsideTLS: the same inside TLS, on a port that says nothing and on its own.
func TestInsideTLS(t *testing.T) {
	t.Parallel()
	var g together
	config := &tls.Config{Certificates: []tls.Certificate{newAuthority(t).issue(t, certificate{names: []string{"host.example"}})}}
	for _, r := range responders {
		if !r.inTLS {
			continue
		}
		addr := serveTLS(t, config, r.speak)
		for _, hint := range append([]uint16{0}, r.protocol().tlsPorts...) {
			g.run(func() {
				env := world(t)
				got, err := identify(t.Context(), env, at(addr), hint)
				what := fmt.Sprint(r.name, " in TLS, hint ", hint)
				if err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
				want := r.want
				want.TLS = true
				same(t, what, got, want)
				if n := env.Net.Sent(); hint != 0 && n > 3 {
					t.Errorf("%s: %d connections on its own port", what, n)
				}
			})
		}
	}
	g.wg.Wait()
}

// TestRequestBrake: requests of HTTP wait for their brake, and no connection
// is kept waiting with them.
func TestRequestBrake(t *testing.T) {
	t.Parallel()
	c := vedette.Constituent{ID: "test", Scope: []vedette.ScopeEntry{{CIDR: "127.0.0.0/8", Document: "test", Classes: []vedette.CheckClass{vedette.Active}}}}
	env := world(t)
	env.Net = safe.NewDialer(true).Scope(scope.NewRules(c, nil, true, time.Now).Decide, func(vedette.Target, error) {}, safe.NewBrakes(safe.Pace{Connects: 1e6, Requests: 0.5, PerNetwork: 1e6, Constituent: 1e6}))
	s := at(serve(t, speakHTTP("HTTP/1.1 200 OK\r\nServer: nginx/1.18.0\r\n\r\n")))
	began := time.Now()
	for range 2 {
		if f, err := identify(t.Context(), env, s, 80); err != nil || f.Service != "http" {
			t.Errorf("%+v, %v", f, err)
		}
	}
	if took := time.Since(began); took < 1500*time.Millisecond || env.Net.Sent() != 3 {
		t.Errorf("%v, %d connections", took, env.Net.Sent())
	}
}

func TestClosedAndSilent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := at(l.Addr())
	l.Close()
	if _, err := Identify(t.Context(), world(t), s); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed port: %v", err)
	}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = at(u.LocalAddr())
	if _, err := Identify(t.Context(), world(t), s); !errors.Is(err, ErrSilent) && len(datagrams) > 0 {
		t.Errorf("a silent datagram port: %v", err)
	}
	u.Close()
	if _, err := Identify(t.Context(), world(t), s); !errors.Is(err, ErrClosed) && len(datagrams) > 0 {
		t.Errorf("a closed datagram port: %v", err)
	}
	env := world(t)
	s.Addr, s.Proto = netip.MustParseAddr("192.0.2.1"), "tcp"
	if _, err := Identify(t.Context(), env, s); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("outside the scope: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	addr := serve(t, speakSSH)
	if _, err := Identify(ctx, env, at(addr)); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
