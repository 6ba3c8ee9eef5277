package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// helloVersion is a version of TLS as it stands on the wire.
type helloVersion uint16

// The versions before TLS 1.3, which crypto/tls no longer offers in full: it
// speaks no SSL 3.0 and knows few of the old cipher suites, so that a server of
// those is asked with a ClientHello of our own, and its answer read as far as
// its certificates. Nothing is encrypted up to there.
const (
	ssl30 helloVersion = 0x0300
	tls10 helloVersion = 0x0301
	tls11 helloVersion = 0x0302
	tls12 helloVersion = 0x0303
	tls13 helloVersion = 0x0304
)

// String is the name that people use.
func (v helloVersion) String() string {
	if v == ssl30 {
		return "SSL 3.0"
	}
	return fmt.Sprintf("TLS 1.%d", v-tls10)
}

// oldSuites are what servers before TLS 1.3 choose from (IANA TLS Cipher
// Suites): elliptic, finite and RSA key exchange, from AES-GCM down to RC4,
// single DES and the export grades.
var oldSuites = []uint16{
	0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9, 0xccaa, 0x009e, 0x009f, 0x00a2, 0x00a3, 0x009c, 0x009d, 0xc0ac, 0xc0ad,
	0xc023, 0xc024, 0xc027, 0xc028, 0x0067, 0x006b, 0x0040, 0x006a, 0x003c, 0x003d,
	0xc009, 0xc00a, 0xc013, 0xc014, 0x0033, 0x0039, 0x0032, 0x0038, 0x002f, 0x0035, 0x0041, 0x0045, 0x0084, 0x0088, 0x0096, 0x0007,
	0xc008, 0xc012, 0x0016, 0x0013, 0x000a, 0xc007, 0xc011, 0x0005, 0x0004, 0x0015, 0x0012, 0x0009, 0x0014, 0x0011, 0x0008, 0x0006, 0x0003,
}

// clientHello offers one version and no newer (RFC 5246 §7.4.1.2, RFC 6101
// §5.6.1.2), in one record. SSL 3.0 knows no extensions.
func clientHello(v helloVersion, name string) []byte {
	be := binary.BigEndian
	b := be.AppendUint16(nil, uint16(v))
	b = append(b, "thirty-two bytes that are random"...)
	b = append(b, 0) // no session
	b = be.AppendUint16(b, uint16(2*len(oldSuites)+2))
	for _, s := range oldSuites {
		b = be.AppendUint16(b, s)
	}
	b = append(b, 0x00, 0xff) // renegotiation is safe (RFC 5746 §3.3)
	b = append(b, 1, 0)       // no compression
	if v > ssl30 {
		b = be.AppendUint16(b, uint16(len(extensions(v, name))))
		b = append(b, extensions(v, name)...)
	}
	hello := append([]byte{1, 0, byte(len(b) >> 8), byte(len(b))}, b...)
	record := min(v, tls10)
	return append([]byte{22, 3, byte(record), byte(len(hello) >> 8), byte(len(hello))}, hello...)
}

// extensions are the name, the curves and their form, and what signs.
func extensions(v helloVersion, name string) []byte {
	be := binary.BigEndian
	var b []byte
	if n := len(name); n > 0 { // RFC 6066 §3
		b = append(b, 0, 0)
		b = be.AppendUint16(b, uint16(n+5))
		b = be.AppendUint16(b, uint16(n+3))
		b = append(b, 0)
		b = be.AppendUint16(b, uint16(n))
		b = append(b, name...)
	}
	b = append(b, 0, 10, 0, 10, 0, 8, 0, 29, 0, 23, 0, 24, 0, 25) // x25519, P-256, P-384, P-521 (RFC 8422 §5.1.1)
	b = append(b, 0, 11, 0, 2, 1, 0)                              // uncompressed (RFC 8422 §5.1.2)
	if v == tls12 {                                               // RFC 5246 §7.4.1.4.1
		b = append(b, 0, 13, 0, 24, 0, 22, 4, 3, 5, 3, 6, 3, 8, 4, 8, 5, 8, 6, 4, 1, 5, 1, 6, 1, 2, 3, 2, 1)
	}
	return b
}

// serverHello is what a server answered to a ClientHello.
type serverHello struct {
	version helloVersion
	chain   [][]byte // certificates, the leaf first, when they were asked for
}

// What a server says instead of a ServerHello.
var (
	errDeclined = errors.New("the server declines the version")
	errNoHello  = errors.New("the server does not answer the hello")
	errNotTLS   = errors.New("the server does not speak TLS")
)

// readServerHello reads the answer to a ClientHello, with the certificates that
// follow when they are wanted.
func (p *peer) readServerHello(certificates bool) (serverHello, error) {
	var s serverHello
	var in []byte // handshake messages, out of their records
	for {
		kind, body, rest, ok := handshakeMessage(in)
		if !ok {
			more, err := p.handshakeRecord()
			if err != nil {
				if s.version != 0 {
					err = nil // it accepted, whatever follows
				}
				return s, err
			}
			if in = append(in, more...); len(in) > maxAnswer {
				return s, errNotTLS
			}
			continue
		}
		in = rest
		switch {
		case kind == 2 && s.version == 0:
			if len(body) < 38 || body[0] != 3 {
				return s, errNotTLS
			}
			s.version = helloVersion(binary.BigEndian.Uint16(body))
			if !certificates {
				return s, nil
			}
		case kind == 11 && s.version != 0:
			s.chain = certificateList(body)
			return s, nil
		case s.version == 0:
			return s, errNotTLS
		case kind == 14:
			return s, nil
		}
	}
}

// handshakeMessage takes the first message of b.
func handshakeMessage(b []byte) (kind byte, body, rest []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, nil, false
	}
	n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if len(b) < 4+n {
		return 0, nil, nil, false
	}
	return b[0], b[4 : 4+n], b[4+n:], true
}

// handshakeRecord reads one record and gives its handshake bytes; an alert, or
// a server that closes, declines.
func (p *peer) handshakeRecord() ([]byte, error) {
	h, ok := p.take(5)
	switch {
	case !ok && p.gone:
		return nil, errDeclined
	case !ok:
		return nil, errNoHello
	case h[1] != 3 || h[0] != 21 && h[0] != 22:
		return nil, errNotTLS
	}
	b, ok := p.take(int(binary.BigEndian.Uint16(h[3:])))
	switch {
	case h[0] == 21 || !ok && p.gone:
		return nil, errDeclined
	case !ok:
		return nil, errNoHello
	}
	return b, nil
}

// certificateList takes the certificates out of a message (RFC 5246 §7.4.2), at most 20.
func certificateList(b []byte) [][]byte {
	var out [][]byte
	list, ok := sized(&b, 3)
	for ok && len(list) > 0 && len(out) < 20 {
		var c []byte
		if c, ok = sized(&list, 3); ok {
			out = append(out, c)
		}
	}
	return out
}
