package probe

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/vedette-hub/vedette"
)

// amqp is a broker of messages: Connection.Start answers the protocol header; a
// server of another version answers with its own header (AMQP 0-9-1 §4.2.2).
var amqp = &protocol{
	name:     "amqp",
	spec:     "AMQP 0-9-1 §4.2.2",
	ports:    []uint16{5672},
	tlsPorts: []uint16{5671},
	hello:    func(*peer) []byte { return []byte("AMQP\x00\x00\x09\x01") },
	answers:  func(head []byte) bool { return len(head) >= 8 && bytes.HasPrefix(head, []byte("AMQP")) },
	read:     readAMQP,
}

func readAMQP(p *peer) (vedette.Fact, bool) {
	h, ok := p.take(8)
	if !ok {
		return vedette.Fact{}, false
	}
	if bytes.HasPrefix(h, []byte("AMQP")) {
		return vedette.Fact{Banner: Banner(h, MaxBanner)}, true
	}
	// A method frame on channel 0: type 1, channel, size; class 10, method 10.
	size := int(binary.BigEndian.Uint32(h[3:7]))
	if h[0] != 1 || h[1] != 0 || h[2] != 0 || size < 10 || size > maxAnswer/2 {
		return vedette.Fact{}, false
	}
	rest, ok := p.take(size) // one byte was taken with the header, one ends the frame
	body := append(h[7:8:8], rest...)
	if !ok || body[size] != 0xce || !bytes.HasPrefix(body, []byte{0, 10, 0, 10}) {
		return vedette.Fact{}, false
	}
	f := vedette.Fact{}
	fields := tableAMQP(body[6:size])
	var shown []string
	for _, k := range []string{"product", "version", "platform"} {
		if fields[k] != "" {
			shown = append(shown, fields[k])
		}
	}
	f.Banner = Banner([]byte(strings.Join(shown, " ")), MaxBanner)
	told := vedette.Software{Product: Banner([]byte(fields["product"]), 64), Version: fields["version"]}
	if told.Product == "RabbitMQ" {
		told.Vendor = "vmware"
	}
	f.Software = p.software("amqp.product", f.Banner, told)
	return f, true
}

// tableAMQP reads the strings of a field table at the start of b, as far as it
// is well formed (AMQP 0-9-1 §4.2.5.5); tables in it are skipped.
func tableAMQP(b []byte) map[string]string {
	out := map[string]string{}
	b, ok := sized(&b, 4)
	for ok && len(b) > 0 && len(out) < 50 {
		var key, value []byte
		if key, ok = sized(&b, 1); !ok || len(b) == 0 {
			break
		}
		kind := b[0]
		b = b[1:]
		switch kind {
		case 'S', 'F', 'x', 'A':
			value, ok = sized(&b, 4)
		default:
			n, known := map[byte]int{'t': 1, 'b': 1, 'B': 1, 's': 2, 'u': 2, 'I': 4, 'i': 4, 'f': 4, 'D': 5, 'd': 8, 'l': 8, 'L': 8, 'T': 8, 'V': 0}[kind]
			if ok = known && n <= len(b); ok {
				b = b[n:]
			}
		}
		if ok && kind == 'S' {
			out[string(key)] = string(value)
		}
	}
	return out
}

// sized takes a length of n bytes, big endian, and as many bytes as it says.
func sized(b *[]byte, n int) ([]byte, bool) {
	if len(*b) < n {
		return nil, false
	}
	size := 0
	for _, c := range (*b)[:n] {
		size = size<<8 | int(c)
	}
	if size > len(*b)-n {
		return nil, false
	}
	out := (*b)[n : n+size]
	*b = (*b)[n+size:]
	return out, true
}
