package probe

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"strings"

	"github.com/vedette-hub/vedette"
)

// mysql is the client/server protocol of MySQL and MariaDB: the server greets
// with a handshake packet of protocol version 10 or 9, or an error
// (MySQL Internals, "Protocol::HandshakeV10", "ERR_Packet").
var mysql = &protocol{
	name:  "mysql",
	spec:  "MySQL client/server protocol, HandshakeV10",
	ports: []uint16{3306},
	greets: func(head []byte) bool {
		return len(head) >= 5 && head[2] == 0 && head[3] <= 2 && (head[4] == 10 || head[4] == 9 || head[4] == 0xff) && binary.LittleEndian.Uint16(head) >= 5
	},
	read: readMySQL,
	upgrade: func(p *peer) (bool, error) {
		b, ok := p.mysqlPacket()
		if !ok || len(b) == 0 || b[0] == 0xff {
			return false, errUpgrade
		}
		if _, rest, _ := bytes.Cut(b[1:], []byte{0}); b[0] != 10 || len(rest) < 15 || binary.LittleEndian.Uint16(rest[13:])&0x0800 == 0 {
			return false, nil
		}
		// SSLRequest: capabilities with CLIENT_SSL and CLIENT_PROTOCOL_41, the
		// largest packet, the character set, 23 bytes of nothing.
		req := make([]byte, 36)
		req[0], req[3] = 32, 1
		binary.LittleEndian.PutUint32(req[4:], 0x00000a00|0x00008000)
		binary.LittleEndian.PutUint32(req[8:], 1<<24)
		req[12] = 33
		if !p.send(req) {
			return false, errUpgrade
		}
		return true, nil
	},
}

// mysqlPacket reads one: three bytes of length, a number, the payload.
func (p *peer) mysqlPacket() ([]byte, bool) {
	h, ok := p.take(4)
	if !ok {
		return nil, false
	}
	return p.take(int(h[0]) | int(h[1])<<8 | int(h[2])<<16)
}

func readMySQL(p *peer) (vedette.Fact, bool) {
	b, ok := p.mysqlPacket()
	if !ok || len(b) < 3 {
		return vedette.Fact{}, false
	}
	if b[0] == 0xff {
		return mysqlError(p, b)
	}
	version, rest, ok := bytes.Cut(b[1:], []byte{0})
	if !ok || len(version) == 0 || len(version) > 128 || !printable(version) {
		return vedette.Fact{}, false
	}
	f := vedette.Fact{Banner: Banner(version, MaxBanner)}
	// thread id 4, challenge 8, filler 1, then the lower half of the capabilities
	starttls := len(rest) >= 15 && binary.LittleEndian.Uint16(rest[13:])&0x0800 != 0
	f.Details = map[string]string{"starttls": yesNo(starttls)}
	f.Software = p.software("mysql.banners", f.Banner, mysqlSoftware(f.Banner))
	return f, true
}

// mysqlError reads an error that a server greets with: "Host is not allowed to connect".
func mysqlError(p *peer, b []byte) (vedette.Fact, bool) {
	number, text := binary.LittleEndian.Uint16(b[1:]), b[3:]
	if len(text) > 6 && text[0] == '#' {
		text = text[6:] // SQLSTATE
	}
	if number < 1000 || number > 4999 || len(text) == 0 || !printable(text) {
		return vedette.Fact{}, false
	}
	if p.busy = number == 1040 || number == 1203; p.busy { // too many connections
		return vedette.Fact{}, false
	}
	shown := quotedHost.ReplaceAllString(string(text), "'*'")
	told := vedette.Software{Vendor: "oracle", Product: "mysql"}
	if strings.Contains(shown, "MariaDB") {
		told = vedette.Software{Vendor: "mariadb", Product: "mariadb"}
	}
	return vedette.Fact{Banner: Banner([]byte(shown), MaxBanner), Software: p.software("mysql.error", string(text), told)}, true
}

// quotedHost is how an error names who connected.
var quotedHost = regexp.MustCompile(`'[^']*'`)

// mysqlSoftware reads the version of a greeting: "8.0.35", "5.5.5-10.5.15-MariaDB-0+deb11u1".
func mysqlSoftware(version string) vedette.Software {
	if strings.Contains(version, "MariaDB") {
		v, _, _ := strings.Cut(strings.TrimPrefix(version, "5.5.5-"), "-")
		return vedette.Software{Vendor: "mariadb", Product: "mariadb", Version: v}
	}
	v, _, _ := strings.Cut(version, "-")
	if !dotted(v) {
		v = ""
	}
	return vedette.Software{Vendor: "oracle", Product: "mysql", Version: v}
}

// printable says whether bytes hold text and no control characters.
func printable(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f })
}
