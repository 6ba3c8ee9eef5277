package lab

import (
	"encoding/binary"
	"fmt"
)

// The first words of a client (PostgreSQL protocol, "Message Formats").
const (
	pgSSL    = 80877103
	pgGSS    = 80877104
	pgCancel = 80877102
)

// servePostgreSQL asks for a password and takes none. Before a login the
// protocol tells no version.
func servePostgreSQL(s *session) {
	for range 4 {
		head, err := s.take(8)
		if err != nil {
			return
		}
		n, word := int(binary.BigEndian.Uint32(head)), binary.BigEndian.Uint32(head[4:])
		if n < 8 || n > 10_000 {
			return
		}
		if _, err := s.take(n - 8); err != nil {
			return
		}
		switch {
		case word == pgSSL && s.canTLS():
			if _, err := s.Write([]byte("S")); err != nil || s.secure() != nil {
				return
			}
		case word == pgSSL || word == pgGSS:
			if _, err := s.Write([]byte("N")); err != nil {
				return
			}
		case word == pgCancel:
			return
		case word>>16 != 3:
			s.errorPG("0A000", fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0 to 3.0", word>>16, word&0xffff))
			return
		default:
			s.loginPG()
			return
		}
	}
}

func (s *session) loginPG() {
	ask := []byte{'R', 0, 0, 0, 12, 0, 0, 0, 5} // AuthenticationMD5Password
	if _, err := s.Write(append(ask, "salt"...)); err != nil {
		return
	}
	head, err := s.take(5)
	if err != nil || head[0] != 'p' {
		return
	}
	if _, err := s.take(int(binary.BigEndian.Uint32(head[1:])) - 4); err == nil {
		s.errorPG("28P01", "password authentication failed")
	}
}

func (s *session) errorPG(code, text string) {
	body := "SFATAL\x00VFATAL\x00C" + code + "\x00M" + text + "\x00Fauth.c\x00L326\x00Rauth_failed\x00\x00"
	s.Write(append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(body))), body...))
}
