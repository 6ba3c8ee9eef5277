package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// session is one conversation of a service with a client.
type session struct {
	net.Conn
	r    *bufio.Reader
	live *live
	ctx  context.Context
}

// kind is one protocol: how it talks over TCP, how it answers a datagram.
type kind struct {
	name string
	spec string // what it speaks
	iana string // its name in the registry of services (RFC 6335), "" as name
	tcp  func(*session)
	udp  func(l *live, request []byte) [][]byte
}

// middlebox accepts everything and has nothing to say.
var middlebox = kind{name: "any", spec: "none", tcp: func(s *session) {}}

func kindOf(name string) (kind, bool) {
	ks := kinds()
	i := slices.IndexFunc(ks, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return ks[i], true
}

func kindNames() []string {
	var out []string
	for _, k := range kinds() {
		out = append(out, k.name)
	}
	return out
}

// weak says whether the service has a weakness.
func (s *session) weak(id string) bool { return s.live.svc.has(id) }

// shown is the banner of the software, with its version.
func (s *session) shown() string { return s.live.svc.Software.Shown() }

// wait lets time pass, unless the lab ends.
func (s *session) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// say writes a formatted text.
func (s *session) say(format string, a ...any) error {
	_, err := fmt.Fprintf(s.Conn, format, a...)
	return err
}

// maxLine bounds what a client may say in a line.
const maxLine = 2048

// line reads a line without its end.
func (s *session) line() (string, error) {
	b, err := s.r.ReadSlice('\n')
	if err == nil && len(b) > maxLine {
		err = bufio.ErrBufferFull
	}
	return strings.TrimRight(string(b), "\r\n"), err
}

// command reads a line and parts its first word, in capitals, from the rest.
func (s *session) command() (verb, rest string, err error) {
	l, err := s.line()
	verb, rest, _ = strings.Cut(l, " ")
	return strings.ToUpper(verb), strings.TrimSpace(rest), err
}

// take reads exactly n bytes, at most 64 KiB.
func (s *session) take(n int) ([]byte, error) {
	if n < 0 || n > 1<<16 {
		return nil, io.ErrShortBuffer
	}
	b := make([]byte, n)
	_, err := io.ReadFull(s.r, b)
	return b, err
}

// buffered is a connection whose first bytes were already read.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// canTLS says whether the service offers STARTTLS and has not begun it.
func (s *session) canTLS() bool {
	_, on := s.Conn.(*tls.Conn)
	return s.live.tls != nil && s.live.svc.TLS.StartTLS && !on
}

// secure begins TLS.
func (s *session) secure() error {
	if slices.Contains(s.live.svc.TLS.Versions, "ssl3") {
		if done, err := s.ssl3(); done || err != nil {
			return io.EOF
		}
	}
	c := tls.Server(buffered{s.Conn, s.r}, s.live.tls())
	if err := c.HandshakeContext(s.ctx); err != nil {
		return err
	}
	s.Conn, s.r = c, bufio.NewReaderSize(c, 4096)
	return nil
}

func netJoin(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
