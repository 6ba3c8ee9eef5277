package probe

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/vedette-hub/vedette"
)

// What is read of one connection is bounded, whatever the other side sends.
const (
	maxAnswer = 64 << 10 // bytes of one connection
	maxHead   = 512      // bytes kept of its beginning
	maxLine   = 1 << 10  // bytes of one line
)

// peer is the other end of one connection. It is hostile: each call reads a
// bounded number of bytes in a bounded time, and says no instead of failing.
type peer struct {
	conn    net.Conn
	rules   *Rules
	agent   string
	name    string // SNI, Host; "" for an address
	packets bool   // datagrams: a message ends with its packet
	secure  bool   // inside TLS

	wait time.Duration // for one answer
	end  time.Time     // of the connection
	in   []byte        // read and not yet taken
	head []byte        // the first bytes, kept
	read int

	asked *dns.Msg // the last question of a name server

	gone    bool // the other side closed, or refused a datagram
	refused bool
	// busy: the server said that it has no time now, or not for us. That is no
	// fact about it: the next look may see more.
	busy bool
	// again opens another connection to the same place, up to the same layer.
	again func() (*peer, error)
}

// close lets the connection go.
func (p *peer) close() {
	if p != nil {
		p.conn.Close()
	}
}

// note keeps the beginning of what came.
func (p *peer) note(b []byte) {
	if n := maxHead - len(p.head); n > 0 {
		p.head = append(p.head, b[:min(n, len(b))]...)
	}
}

// fill reads once, and says whether something came before a time.
func (p *peer) fill(until time.Time) bool {
	if p.gone || p.read >= maxAnswer {
		return false
	}
	if until.After(p.end) {
		until = p.end
	}
	if p.conn.SetReadDeadline(until) != nil {
		return false
	}
	buf := make([]byte, 4096)
	n, err := p.conn.Read(buf[:min(len(buf), maxAnswer-p.read)])
	p.read += n
	p.in = append(p.in, buf[:n]...)
	p.note(buf[:n])
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		p.gone = true
		p.refused = errors.Is(err, syscall.ECONNREFUSED)
	}
	return n > 0
}

// listen waits for the first bytes and a little for what belongs to them; it
// takes nothing.
func (p *peer) listen(wait time.Duration) []byte {
	until := time.Now().Add(wait)
	for len(p.in) == 0 {
		if !p.fill(until) {
			return p.in
		}
	}
	for until = time.Now().Add(300 * time.Millisecond); !p.packets && len(p.in) < 16 && bytes.IndexByte(p.in, '\n') < 0; {
		if !p.fill(until) {
			break
		}
	}
	return p.in
}

// send writes, and says whether it could.
func (p *peer) send(b []byte) bool {
	until := time.Now().Add(p.wait)
	if until.After(p.end) {
		until = p.end
	}
	if p.conn.SetWriteDeadline(until) != nil {
		return false
	}
	_, err := p.conn.Write(b)
	return err == nil
}

// say is send for text.
func (p *peer) say(s string) bool { return p.send([]byte(s)) }

// ask drops what was not taken, sends, and waits for the beginning of the answer.
func (p *peer) ask(b []byte) bool {
	p.in = p.in[:0]
	return p.send(b) && len(p.listen(p.wait)) > 0
}

// take gives exactly n bytes.
func (p *peer) take(n int) ([]byte, bool) {
	if n < 0 || n > maxAnswer {
		return nil, false
	}
	for until := time.Now().Add(p.wait); len(p.in) < n; {
		if !p.fill(until) {
			return nil, false
		}
	}
	b := p.in[:n:n]
	p.in = p.in[n:]
	return b, true
}

// line gives one line without its end.
func (p *peer) line() (string, bool) {
	until := time.Now().Add(p.wait)
	for {
		if i := bytes.IndexByte(p.in, '\n'); i >= 0 && i <= maxLine {
			l := string(bytes.TrimRight(p.in[:i], "\r"))
			p.in = p.in[i+1:]
			return l, true
		}
		if len(p.in) > maxLine || !p.fill(until) {
			return "", false
		}
	}
}

// rest gives what comes until the other side falls silent for a moment, closes
// or has said enough.
func (p *peer) rest(enough int, quiet time.Duration) []byte {
	for until := time.Now().Add(p.wait); len(p.in) < enough; {
		next := time.Now().Add(quiet)
		if next.After(until) {
			next = until
		}
		if !p.fill(next) {
			break
		}
	}
	b := p.in
	p.in = nil
	return b
}

// software is what the rules find in a text; when they find nothing, what the
// protocol itself told.
func (p *peer) software(key, text string, told ...vedette.Software) []vedette.Software {
	if text != "" {
		if s := p.rules.Match(key, text); len(s) > 0 {
			return s
		}
	}
	var out []vedette.Software
	for _, s := range told {
		if s.Product != "" {
			s.Version = Banner([]byte(s.Version), 64)
			out = append(out, s)
		}
	}
	return out
}

// under is the connection below a TLS session: what is buffered comes first, and
// the beginning is kept.
type under struct{ *peer }

// Read gives what the peer has, or what comes.
func (u under) Read(b []byte) (int, error) {
	if len(u.in) > 0 {
		n := copy(b, u.in)
		u.in = u.in[n:]
		return n, nil
	}
	if u.peer.read >= 4*maxAnswer {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := u.conn.Read(b)
	u.peer.read += n
	u.note(b[:n])
	return n, err
}

func (u under) Write(b []byte) (int, error)        { return u.conn.Write(b) }
func (u under) Close() error                       { return u.conn.Close() }
func (u under) LocalAddr() net.Addr                { return u.conn.LocalAddr() }
func (u under) RemoteAddr() net.Addr               { return u.conn.RemoteAddr() }
func (u under) SetDeadline(t time.Time) error      { return u.conn.SetDeadline(t) }
func (u under) SetReadDeadline(t time.Time) error  { return u.conn.SetReadDeadline(t) }
func (u under) SetWriteDeadline(t time.Time) error { return u.conn.SetWriteDeadline(t) }
