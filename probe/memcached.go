package probe

import (
	"bytes"
	"strings"

	"github.com/vedette-hub/vedette"
)

// memcached is the text protocol of memcached: "version" gets "VERSION 1.6.9"
// from whoever asks (memcached, doc/protocol.txt).
var memcached = &protocol{
	name:    "memcache",
	spec:    "memcached text protocol",
	ports:   []uint16{11211},
	hello:   func(*peer) []byte { return []byte("version\r\n") },
	answers: func(head []byte) bool { return bytes.HasPrefix(head, []byte("ERROR\r\n")) },
	read: func(p *peer) (vedette.Fact, bool) {
		l, ok := p.line()
		if !ok {
			return vedette.Fact{}, false
		}
		if l == "CLIENT_ERROR unauthenticated" {
			return vedette.Fact{Banner: l}, true
		}
		v, ok := strings.CutPrefix(l, "VERSION ")
		if !ok || v == "" || v[0] < '0' || v[0] > '9' {
			return vedette.Fact{}, false
		}
		banner := Banner([]byte(l), MaxBanner)
		return vedette.Fact{
			Banner:   banner,
			Software: p.software("memcached.version", banner, vedette.Software{Vendor: "memcached", Product: "memcached", Version: v}),
			Reports:  []vedette.Report{report("check:memcached-open", "The server answered a client that gave no password.")},
		}, true
	},
}
