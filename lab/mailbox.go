package lab

import (
	"bufio"
	"context"
	"io"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"
)

// Letter is one mail that the lab's relay took.
type Letter struct {
	To, From, Subject, Text string
	At                      time.Time
}

// Mailboxes is an SMTP relay (RFC 5321) on loopback that delivers to nobody: it
// keeps what it takes, so that everybody can look.
type Mailboxes struct {
	mu      sync.Mutex
	letters []Letter
	ln      net.Listener
	now     func() time.Time
}

// Bounds of the relay: it is there for the mails of a hub.
const (
	mailLines = 10_000
	mailBytes = 4 << 20
	mailsKept = 2_000
)

// ServeMail listens on a free port of loopback until the context ends.
func ServeMail(ctx context.Context, now func() time.Time) (*Mailboxes, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &Mailboxes{ln: ln, now: now}
	context.AfterFunc(ctx, func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go m.converse(c)
		}
	}()
	return m, nil
}

// Addr is where the relay listens, as host:port.
func (m *Mailboxes) Addr() string { return m.ln.Addr().String() }

// Letters are the mails, newest first.
func (m *Mailboxes) Letters() []Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := slices.Clone(m.letters)
	slices.Reverse(out)
	return out
}

// converse is one session. What it does not know it refuses, as a relay does.
func (m *Mailboxes) converse(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(io.LimitReader(c, mailBytes))
	say := func(s string) bool { _, err := io.WriteString(c, s+"\r\n"); return err == nil }
	say("220 mail.lab.example ready")
	var to []string
	for range mailLines {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb := strings.ToUpper(strings.TrimSpace(line))
		switch {
		case strings.HasPrefix(verb, "EHLO"), strings.HasPrefix(verb, "HELO"):
			say("250 mail.lab.example")
		case strings.HasPrefix(verb, "MAIL FROM:"), strings.HasPrefix(verb, "RSET"):
			to = nil
			say("250 ok")
		case strings.HasPrefix(verb, "RCPT TO:"):
			to = append(to, strings.Trim(strings.TrimSpace(line[len("RCPT TO:"):]), "<>"))
			say("250 ok")
		case verb == "DATA":
			say("354 go on, end with a dot")
			if !m.take(in, to) {
				return
			}
			say("250 kept")
		case verb == "NOOP":
			say("250 ok")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("502 not here")
		}
	}
}

// take keeps the mail that follows, for each of its receivers.
func (m *Mailboxes) take(in *bufio.Reader, to []string) bool {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if strings.TrimRight(line, "\r\n") == "." {
			break
		}
		b.WriteString(strings.TrimPrefix(line, ".")) // RFC 5321 §4.5.2
	}
	l := Letter{At: m.now(), Text: b.String()}
	if msg, err := mail.ReadMessage(strings.NewReader(l.Text)); err == nil {
		text := msg.Body
		if strings.EqualFold(msg.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
			text = quotedprintable.NewReader(text)
		}
		body, _ := io.ReadAll(text)
		l.From, l.Subject, l.Text = msg.Header.Get("From"), msg.Header.Get("Subject"), string(body)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range to {
		l.To = r
		m.letters = append(m.letters, l)
	}
	if n := len(m.letters); n > mailsKept {
		m.letters = slices.Clone(m.letters[n-mailsKept:])
	}
	return true
}
