package lab

import "encoding/binary"

// ssl3 looks at the first message: a ClientHello that offers SSL 3.0 at most is
// answered up to ServerHelloDone (RFC 6101 §5.6), by hand since crypto/tls does
// not speak it. Every other is left for crypto/tls.
func (s *session) ssl3() (done bool, err error) {
	b, err := s.r.Peek(11)
	if err != nil || b[0] != 22 || binary.BigEndian.Uint16(b[9:]) != 0x0300 {
		return false, err
	}
	cert, err := s.live.tls().GetCertificate(nil)
	if err != nil {
		return true, err
	}
	body := append([]byte{3, 0}, make([]byte, 32)...) // version, random
	body = append(body, 0, 0, 0x0a, 0)                // no session, RSA with 3DES, no compression
	out := handshake3(2, body)
	var chain []byte
	for _, c := range cert.Certificate {
		chain = append(append24(chain, len(c)), c...)
	}
	out = append(out, handshake3(11, append(append24(nil, len(chain)), chain...))...)
	out = append(out, handshake3(14, nil)...)
	record := binary.BigEndian.AppendUint16([]byte{22, 3, 0}, uint16(len(out)))
	if _, err := s.Write(append(record, out...)); err != nil {
		return true, err
	}
	s.take(5 + int(binary.BigEndian.Uint16(b[3:]))) // the hello itself
	s.r.Peek(1)                                     // what comes next gets handshake_failure
	_, err = s.Write([]byte{21, 3, 0, 0, 2, 2, 40})
	return true, err
}

func handshake3(kind byte, body []byte) []byte {
	return append(append24([]byte{kind}, len(body)), body...)
}

func append24(b []byte, n int) []byte { return append(b, byte(n>>16), byte(n>>8), byte(n)) }
