package deliver

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// relay is an SMTP server on loopback (RFC 5321) that answers as told.
type relay struct {
	addr    string
	replies map[string]string // to a verb, "" hangs up; "connect" is the greeting, "." the end of the data
	offers  string            // a line of EHLO besides
	cert    *tls.Config       // of STARTTLS, or from the first byte when early
	early   bool

	mu    sync.Mutex
	lines []string // that it got, with "TLS" where it began
	mails []string
}

func newRelay(t *testing.T, r *relay) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	r.addr = ln.Addr().String()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if r.early {
				c = tls.Server(c, r.cert)
			}
			go r.talk(c)
		}
	}()
	return r
}

func (r *relay) got(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *relay) talk(c net.Conn) {
	defer func() { c.Close() }()
	in := bufio.NewReader(c)
	say := func(verb, otherwise string) bool {
		reply, set := r.replies[verb]
		if !set {
			reply = otherwise
		}
		if reply != "" {
			fmt.Fprintf(c, "%s\r\n", reply)
		}
		return reply != ""
	}
	if !say("connect", "220 relay.example") {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		r.got(line)
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch verb {
		case "EHLO":
			if !say(verb, strings.TrimSuffix("250-relay.example\r\n250-STARTTLS\r\n"+r.offers+"250 8BITMIME", "\r\n")) {
				return
			}
		case "STARTTLS":
			if !say(verb, "220 go on") {
				return
			}
			c = tls.Server(c, r.cert)
			in = bufio.NewReader(c)
		case "DATA":
			if !say(verb, "354 go on") {
				return
			}
			if r.replies[verb] != "" {
				continue
			}
			var b strings.Builder
			for l := ""; l != ".\r\n"; {
				if l, err = in.ReadString('\n'); err != nil {
					return
				}
				b.WriteString(l)
			}
			r.mu.Lock()
			r.mails = append(r.mails, b.String())
			r.mu.Unlock()
			if !say(".", "250 taken") {
				return
			}
		case "AUTH":
			if !say(verb, "235 welcome") {
				return
			}
		default:
			if !say(verb, "250 ok") {
				return
			}
		}
	}
}

// send sends one mail through a relay.
func (r *relay) send(change func(*Mail)) error {
	m := Mail{Relay: r.addr, From: "alerts@hub.example", HELO: "hub.example", TLS: "none", Timeout: 10 * time.Second, Dial: safe.NewDialer(true, r.addr).Operator}
	if change != nil {
		change(&m)
	}
	return m.Send(context.Background(), Message{To: "poc@alpha.example", Subject: "[TA-2026-001] Threat alert", Text: "one\n.two\n..\n", ID: "1@hub.example", Date: day})
}

// TestReplies: what a failure means depends on where it comes.
func TestReplies(t *testing.T) {
	const ok, again, forGood, unsure, way = "ok", "again", "for good", "unsure", "way"
	for _, c := range []struct{ verb, reply, want string }{
		{"", "", ok}, {"QUIT", "500 no", ok}, {"QUIT", "", ok},
		{"connect", "421 not today", way}, {"connect", "554 go away", way}, {"connect", "", way}, {"connect", "hello", way}, {"EHLO", "", way},
		{"MAIL", "550 not you", way}, {"MAIL", "451 later", way}, {"MAIL", "552 too large", forGood}, {"MAIL", "", way},
		{"RCPT", "451 greylisted", again}, {"RCPT", "550 no such user", forGood}, {"RCPT", "421 too many", again}, {"RCPT", "", again},
		{"DATA", "451 later", again}, {"DATA", "554 no", forGood},
		{".", "451 later", again}, {".", "554 spam", forGood}, {".", "", unsure}, {".", "nonsense", unsure},
	} {
		r := newRelay(t, &relay{replies: map[string]string{c.verb: c.reply}})
		err := r.send(nil)
		got := again
		for name, e := range map[string]error{forGood: ErrForGood, unsure: ErrUnsure, way: ErrWay} {
			if errors.Is(err, e) {
				got = name
			}
		}
		if err == nil {
			got = ok
		}
		if got != c.want {
			t.Errorf("%s answered %q: %s (%v), want %s", c.verb, c.reply, got, err, c.want)
		}
		r.mu.Lock()
		if err == nil && (len(r.mails) != 1 || !strings.HasSuffix(r.mails[0], "\r\n\r\none\r\n..two\r\n...\r\n.\r\n")) { // RFC 5321 §4.5.2
			t.Errorf("%q", r.mails)
		}
		r.mu.Unlock()
	}
	r := newRelay(t, &relay{})
	if err := r.send(func(m *Mail) { m.Relay = "192.0.2.1:25" }); !errors.Is(err, ErrWay) {
		t.Errorf("a relay that is not configured: %v", err)
	}
	if err := r.send(func(m *Mail) { m.From = "a@b.example> SIZE=1\r\nRCPT TO:<x@evil.example" }); !errors.Is(err, ErrForGood) || len(r.lines) > 0 {
		t.Errorf("a sender of several lines: %v, %q", err, r.lines)
	}
}

// TestHanging: a relay that says nothing is left after the timeout, and one that
// took the whole mail by then may have it.
func TestHanging(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // connects, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	r := &relay{addr: ln.Addr().String()}
	began := time.Now()
	if err := r.send(func(m *Mail) { m.Timeout = 100 * time.Millisecond }); !errors.Is(err, ErrWay) || time.Since(began) > 8*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

// TestTLS: under tls and starttls nothing goes out in clear, a certificate of
// somebody else ends it, and a password goes out under TLS alone.
func TestTLS(t *testing.T) {
	cert, key := certificate(t, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		c.IsCA, c.BasicConstraintsValid = true, true
		c.KeyUsage |= x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign
	})
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	server, roots := &tls.Config{Certificates: []tls.Certificate{pair}}, x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(cert))
	mode := func(tlsMode string, trusted bool, user string) func(*Mail) {
		return func(m *Mail) {
			m.TLS, m.User = tlsMode, user
			m.Password = func() ([]byte, error) { return []byte("hunter2"), nil }
			if m.TLSConfig = (&tls.Config{}); trusted {
				m.TLSConfig.RootCAs = roots
			}
		}
	}
	for _, c := range []*struct {
		what          string
		relay         relay
		mode          string
		trusted, auth bool
		ok            bool
	}{
		{"starttls", relay{cert: server}, "", true, false, true}, {"tls", relay{cert: server, early: true}, "tls", true, false, true},
		{"starttls of somebody else", relay{cert: server}, "starttls", false, false, false}, {"tls of somebody else", relay{cert: server, early: true}, "tls", false, false, false},
		{"starttls is not offered", relay{cert: server, replies: map[string]string{"STARTTLS": "502 no"}}, "", true, false, false},
		{"tls, and the relay speaks in clear", relay{cert: server}, "tls", true, false, false},
		{"a password", relay{cert: server, offers: "250-AUTH PLAIN LOGIN\r\n"}, "", true, true, true}, {"a password over tls", relay{cert: server, early: true, offers: "250-AUTH PLAIN\r\n"}, "tls", true, true, true},
		{"a wrong password", relay{cert: server, offers: "250-AUTH PLAIN\r\n", replies: map[string]string{"AUTH": "535 hunter2 is wrong"}}, "", true, true, false},
		{"nothing to authenticate with", relay{cert: server}, "", true, true, false},
		{"a password without tls", relay{offers: "250-AUTH PLAIN\r\n"}, "none", true, true, false},
	} {
		r := newRelay(t, &c.relay)
		user := map[bool]string{true: "hub"}[c.auth]
		err := r.send(mode(c.mode, c.trusted, user))
		if (err == nil) != c.ok || err != nil && (!errors.Is(err, ErrWay) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v", c.what, err)
		}
		r.mu.Lock()
		said := strings.Join(r.lines, "\n")
		sent := strings.Contains(said, base64.StdEncoding.EncodeToString([]byte("\x00hub\x00hunter2")))
		if len(r.mails) > 0 != c.ok || sent != (c.auth && c.mode != "none" && c.relay.offers != "") {
			t.Errorf("%s: %d mails, password %v:\n%s", c.what, len(r.mails), sent, said)
		}
		r.mu.Unlock()
	}
	if err := (Mail{Relay: "127.0.0.1:1", From: "a@b.example", User: "u", Password: func() ([]byte, error) { return nil, vedette.NotFound("secret") }, Dial: safe.NewDialer(true, "127.0.0.1:1").Operator, Timeout: time.Second}).Send(context.Background(), Message{To: "c@d.example", ID: "1@x"}); !errors.Is(err, ErrWay) {
		t.Errorf("nobody listens: %v", err)
	}
}
