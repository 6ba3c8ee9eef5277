package probe

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/vedette-hub/vedette"
)

// endless says a thing again and again until nobody listens.
func endless(thing string, pause time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, thing); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}
}

// after answers whatever is said first.
func after(answer string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := c.Read(make([]byte, 4096)); err == nil {
			io.WriteString(c, answer)
			io.Copy(io.Discard, c)
		}
	}
}

// attackers are servers that mean harm or are broken; service is what they may be
// taken for, "" nothing.
var attackers = []struct {
	name    string
	speak   func(net.Conn)
	service string
}{
	{"closes at once", func(net.Conn) {}, ""},
	{"never says a word", func(c net.Conn) { io.Copy(io.Discard, c) }, ""},
	{"resets", func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }, ""},
	{"echoes", func(c net.Conn) { io.Copy(c, c) }, ""},
	{"endless bytes", endless(strings.Repeat("A", 4096), 0), ""},
	{"endless lines", endless(strings.Repeat("A\r\n", 1000), 0), ""},
	{"endless zeroes", endless(strings.Repeat("\x00", 4096), 0), ""},
	{"endless greeting of FTP", endless("220-again\r\n", 0), ""},
	{"endless greeting of SSH", endless("SSH-2.0-"+strings.Repeat("x", 4000), 0), ""},
	{"endless lines before SSH", endless("no\r\n", 0), ""},
	{"drips", endless("2", 20*time.Millisecond), ""},
	{"drips FTP", endless("220-", 20*time.Millisecond), ""},
	{"escapes", greet("220 \x1b[2J\x1b]0;owned\x07\u202etxt.exe FTP \x00\x7f\xff\r\n"), "ftp"},
	{"endless Telnet", endless("\xff\xfd\x18", 0), "telnet"},
	{"open sub-negotiation of Telnet", greet("\xff\xfa\x18" + strings.Repeat("x", 9000)), ""},
	{"MySQL of 16 MB", greet("\xff\xff\x00\x00\x0a" + strings.Repeat("8", 100)), ""},
	{"MySQL that ends early", greet("\x4a\x00\x00\x00\x0a8.0"), ""},
	{"VNC of no version", greet("RFB abc.def\n"), ""},
	{"AMQP of 4 GB", after("\x01\x00\x00\xff\xff\xff\xff\x00\x0a\x00\x0a"), ""},
	{"Redis of 9 TB", after("$9999999999999\r\n# Server\r\n"), ""},
	{"Redis of a negative size", after("$-7\r\n# Server\r\n"), ""},
	{"MongoDB of 4 GB", after("\xff\xff\xff\xff\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00"), ""},
	{"LDAP of 4 GB", after("\x30\x84\xff\xff\xff\xff\x02\x01\x01\x64"), ""},
	{"PostgreSQL of 4 GB", after("E\xff\xff\xff\xff"), ""},
	{"RDP that ends early", after("\x03\x00\x00\x13\x0e\xd0"), ""},
	{"SMB of zeroes", after("\x00\x00\x00\x40" + strings.Repeat("\x00", 64)), ""},
	{"DNS of pointers", after("\x00\x20\x00\x00\x80\x00\x00\x01\x00\x01\x00\x00\x00\x00\xc0\x0c\xc0\x0c\xc0\x0c\xc0\x0c\xc0\x0c"), ""},
	{"TLS of nothing", after("\x16\x03\x03\xff\xff"), ""},
	{"HTTP without a status", after("HTTP/1.1 \r\n\r\n"), ""},
	{"HTTP of endless fields", func(c net.Conn) {
		c.Read(make([]byte, 512))
		io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		endless("A: b\r\n", 0)(c)
	}, "http"},
	{"an S and no TLS", after("S"), ""},
	{"an N and no more", after("N"), ""},
	{"random bytes", func(c net.Conn) {
		r := rand.New(rand.NewPCG(1, 2))
		for range 64 {
			b := make([]byte, 1024)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}, ""},
}

// TestHostile: whatever a server does, the look ends in time, with a fact that
// is fit to keep, and takes it for no more than it is.
func TestHostile(t *testing.T) {
	t.Parallel()
	var g together
	for _, h := range attackers {
		addr := serve(t, h.speak)
		for _, hint := range []uint16{0, 23, 443, 5432} {
			g.run(func() {
				env, began := world(t), time.Now()
				env.Timeout = time.Second
				f, err := identify(t.Context(), env, at(addr), hint)
				if took := time.Since(began); took > 55*time.Second {
					t.Errorf("%s, hint %d: %v", h.name, hint, took)
				}
				if err != nil && !errors.Is(err, ErrSilent) {
					t.Errorf("%s, hint %d: %v", h.name, hint, err)
				}
				if f.Service != h.service {
					t.Errorf("%s, hint %d: taken for %q: %q", h.name, hint, f.Service, f.Banner)
				}
				fit(t, f)
			})
		}
	}
	g.wg.Wait()
}

// fit says whether a fact can be kept and shown.
func fit(t *testing.T, f vedette.Fact) {
	t.Helper()
	if len(f.Banner) > MaxBanner || !clean(f.Banner) {
		t.Errorf("banner of %d bytes: %q", len(f.Banner), f.Banner)
	}
	for k, v := range f.Details {
		if len(v) > 4*MaxBanner || !clean(v) {
			t.Errorf("detail %s: %q", k, v)
		}
	}
	for _, s := range f.Software {
		if !clean(s.Product+s.Vendor+s.Version) || len(s.Product+s.Vendor+s.Version) > MaxBanner {
			t.Errorf("software: %q", s)
		}
	}
}

func clean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) })
}

// TestHostilePackets: a datagram port that answers nonsense is open and unknown.
func TestHostilePackets(t *testing.T) {
	t.Parallel()
	for _, answer := range []func([]byte) []byte{
		func(q []byte) []byte { return q },
		func([]byte) []byte { return []byte{} },
		func([]byte) []byte { return []byte("\x30\x84\xff\xff\xff\xff") },
		func([]byte) []byte { return make([]byte, 4000) },
		func(q []byte) []byte { return append([]byte{0x24, 0x02}, make([]byte, 46)...) },
		func(q []byte) []byte { return append(q[:2:2], "\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff"...) },
	} {
		for _, hint := range []uint16{53, 161, 123} {
			f, err := identify(t.Context(), world(t), at(servePackets(t, answer)), hint)
			if err != nil && !errors.Is(err, ErrSilent) || f.Service != "" {
				t.Errorf("%d answers %q: %+v, %v", hint, answer(make([]byte, 12)), f, err)
			}
			fit(t, f)
		}
	}
}

// TestBusy: a server that has no time says nothing about itself, so that its
// look fails instead of forgetting what it is.
func TestBusy(t *testing.T) {
	t.Parallel()
	for _, greeting := range []string{
		"Exceeded MaxStartups\r\n", "Not allowed at this time\r\n", "421 4.3.2 too many connections\r\n", "421-slow\r\n421 down\r\n",
		"* BYE too many connections\r\n", mysqlFrame(0, "\xff\x10\x04#08004Too many connections"), "-ERR max number of clients reached\r\n",
	} {
		if f, err := Identify(t.Context(), world(t), at(serve(t, greet(greeting)))); !errors.Is(err, ErrSilent) {
			t.Errorf("%q: %+v, %v", greeting, f, err)
		}
	}
}

// TestStop: the end of the context ends a look at once, wherever it waits.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, h := range attackers[:14] {
		env := world(t)
		env.Timeout = 30 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		began := time.Now()
		_, err := identify(ctx, env, at(serve(t, h.speak)), 0)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: stopped after %v with %v", h.name, took, err)
		}
		cancel()
	}
}

func TestBanner(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"220 a\r\nb\r\n", "220 a\nb"},
		{"\x1b[2J\x07", `\x1b[2J\x07`},
		{"\xff\xfe", `\xff\xfe`},
		{"a\u202eb", `a\u{202e}b`},
		{"ready at Sat, 21 Nov 2026 20:59:05 +0100 (CET) yes", "ready at * yes"},
		{"ready at Sat Nov 21 20:59:05 2026", "ready at *"},
		{"Sat Nov 21 20:59:05 CET 2026 x", "* x"},
		{"at 2026-11-21T20:59:05.123Z ok", "at * ok"},
		{"at 21.11.2026 20:59:05 ok", "at * ok"},
		{"220 mx.example ESMTP a640c23a62f3a-b7655si12345.456 - gsmtp", "220 mx.example ESMTP * - gsmtp"},
		{"ready [08DE25A1B2C3D4E5]", "ready [*]"},
		{"220 Local time is now 20:59. Server port: 21.", "220 Local time is now *. Server port: 21."},
		{"+OK <1896.697170952@mail.example>", "+OK <*>"},
		{"OpenSSH_8.4p1 Debian-5+deb11u3", "OpenSSH_8.4p1 Debian-5+deb11u3"},
		{"220 mail.example ESMTP Postfix (Debian/GNU)", "220 mail.example ESMTP Postfix (Debian/GNU)"},
		{"220 mail.example ESMTP Sendmail 8.15.2/8.15.2", "220 mail.example ESMTP Sendmail 8.15.2/8.15.2"},
		{"220 ESMTP service ready", "220 ESMTP service ready"},
		{"5.5.5-10.5.23-MariaDB-0+deb11u1", "5.5.5-10.5.23-MariaDB-0+deb11u1"},
		{"Microsoft FTP Service", "Microsoft FTP Service"},
	} {
		if got := Banner([]byte(c.in), MaxBanner); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
	if b := Banner([]byte(strings.Repeat("é", 400)), 511); len(b) != 510 || !utf8.ValidString(b) {
		t.Errorf("cut at %d", len(b))
	}
}

// TestWeaknesses: what a protocol reports is explained, once.
func TestWeaknesses(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, w := range Weaknesses {
		if seen[w.ID] || !strings.HasPrefix(w.ID, "check:") || w.Title == "" || w.Type == "" || w.Why == "" || w.Fix == "" {
			t.Errorf("%+v", w)
		}
		seen[w.ID] = true
	}
	for _, r := range responders {
		for _, p := range r.want.Reports {
			if !seen[p.Weakness] {
				t.Errorf("%s reports %s, which nobody explains", r.name, p.Weakness)
			}
		}
	}
}
