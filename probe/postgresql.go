package probe

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"regexp"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// postgresql answers the request for TLS with one byte, and a start-up of a
// version that does not exist with an error that names those that do. Nobody
// logs in (PostgreSQL, "Frontend/Backend Protocol" §Message Flow, §Message Formats).
var postgresql = &protocol{
	name:  "postgresql",
	spec:  "PostgreSQL frontend/backend protocol 3.0",
	ports: []uint16{5432, 6432},
	hello: func(*peer) []byte { return sslRequest },
	read:  readPostgreSQL,
	upgrade: func(p *peer) (bool, error) {
		if !p.ask(sslRequest) {
			return false, errUpgrade
		}
		b, _ := p.take(1)
		return b[0] == 'S', nil
	},
}

var (
	sslRequest = []byte{0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f}
	// strangeStart is a StartupMessage of protocol 255.255 without parameters.
	strangeStart = []byte{0, 0, 0, 9, 0, 255, 0, 255, 0}
)

func readPostgreSQL(p *peer) (vedette.Fact, bool) {
	b, ok := p.take(1)
	if !ok {
		return vedette.Fact{}, false
	}
	switch b[0] {
	case 'E': // no TLS that it knows of, or no more clients
		p.in = append([]byte{'E'}, p.in...)
		return p.postgresError("no")
	case 'N':
		if len(p.in) > 0 || !p.send(strangeStart) {
			return vedette.Fact{}, false
		}
		return p.postgresError("no")
	case 'S':
		if len(p.in) > 0 {
			return vedette.Fact{}, false
		}
		q := *p
		c := tls.Client(under{p}, anyTLS(p.name))
		p.conn.SetDeadline(time.Now().Add(p.wait))
		if c.Handshake() != nil {
			return vedette.Fact{}, false
		}
		q.conn, q.in = c, nil
		if !q.send(strangeStart) {
			return vedette.Fact{}, false
		}
		return q.postgresError("yes")
	}
	return vedette.Fact{}, false
}

// postgresError reads an ErrorResponse: 'E', a length, fields of a letter and a text.
func (p *peer) postgresError(starttls string) (vedette.Fact, bool) {
	h, ok := p.take(5)
	if !ok || h[0] != 'E' {
		return vedette.Fact{}, false
	}
	n := binary.BigEndian.Uint32(h[1:])
	if bytes.HasPrefix(h[1:], []byte("FATA")) {
		// Servers of protocol 2, and pools that imitate them, end a text with NUL.
		text := append([]byte("FATA"), p.rest(2048, 300*time.Millisecond)...)
		return postgresFact(p, string(bytes.TrimRight(text, "\x00\n")), starttls), bytes.HasPrefix(text, []byte("FATAL:"))
	}
	if n < 5 || n > 1<<14 {
		return vedette.Fact{}, false
	}
	b, ok := p.take(int(n) - 4)
	if !ok {
		return vedette.Fact{}, false
	}
	fields := map[byte]string{}
	for f := range bytes.SplitSeq(b, []byte{0}) {
		if len(f) > 1 {
			fields[f[0]] = string(f[1:])
		}
	}
	if fields['C'] == "" || fields['M'] == "" {
		return vedette.Fact{}, false
	}
	return postgresFact(p, fields['S']+": "+fields['M'], starttls), true
}

// spoken are the versions that an error offers: "server supports 2.0 to 3.0".
var spoken = regexp.MustCompile(`\d+\.\d+ to \d+\.\d+`)

func postgresFact(p *peer, text, starttls string) vedette.Fact {
	f := vedette.Fact{Banner: Banner([]byte(text), MaxBanner), Details: map[string]string{"starttls": starttls}}
	if v := spoken.FindString(text); v != "" {
		f.Details["protocols"] = v
	}
	var told vedette.Software
	if strings.Contains(text, "unsupported frontend protocol") {
		told = vedette.Software{Vendor: "postgresql", Product: "postgresql"}
	}
	f.Software = p.software("postgresql.error", f.Banner, told)
	return f
}
