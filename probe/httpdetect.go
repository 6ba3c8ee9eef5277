package probe

import (
	"bytes"
	"strings"

	"github.com/vedette-hub/vedette"
)

// httpd is HTTP, by the status line of its answer (RFC 9112 §4). What the site
// shows is for the http check.
var httpd = &protocol{
	name:     "http",
	spec:     "RFC 9112 §3, §4",
	ports:    []uint16{80, 81, 8000, 8008, 8080, 8081, 8888, 9090, 9200, 3000, 5985},
	tlsPorts: []uint16{443, 4443, 5986, 8443, 9443, 10443},
	hello:    helloHTTP,
	answers:  func(head []byte) bool { return bytes.HasPrefix(head, []byte("HTTP/1.")) || settings(head) },
	read:     readHTTP,
}

// helloHTTP asks for "/". A name is asked for by its name; an address gets a
// request of HTTP/1.0, which needs no Host field: the less is in it, the more
// other protocols answer in their own words.
func helloHTTP(p *peer) []byte {
	if p.name == "" {
		return []byte("GET / HTTP/1.0\r\nUser-Agent: " + oneLine(p.agent) + "\r\n\r\n")
	}
	return []byte("GET / HTTP/1.1\r\nHost: " + p.name + "\r\nUser-Agent: " + oneLine(p.agent) + "\r\nConnection: close\r\n\r\n")
}

// oneLine keeps a setting from ending a header field.
func oneLine(s string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(s) }

func readHTTP(p *peer) (vedette.Fact, bool) {
	if settings(p.in) {
		return vedette.Fact{Banner: "HTTP/2"}, true
	}
	status, ok := p.line()
	version, rest, _ := strings.Cut(status, " ")
	if !ok || !strings.HasPrefix(version, "HTTP/1.") || len(version) > 10 || len(rest) < 3 || !digits(rest[:3]) {
		return vedette.Fact{}, false
	}
	f := vedette.Fact{Banner: Banner([]byte(status), MaxBanner)}
	for range 100 {
		l, ok := p.line()
		if !ok || l == "" {
			break
		}
		name, value, ok := strings.Cut(l, ":")
		if value = strings.TrimSpace(value); ok && strings.EqualFold(name, "Server") && value != "" {
			value = Banner([]byte(value), 256)
			f.Banner += "\nServer: " + value
			f.Software = p.software("http_header.server", value)
			break
		}
	}
	f.Banner = Banner([]byte(f.Banner), MaxBanner)
	return f, true
}

// badRequest says whether an answer blames the request, as a server of HTTPS
// does that was asked without TLS.
func badRequest(head []byte) bool {
	status, _, _ := bytes.Cut(head, []byte("\n"))
	_, rest, _ := bytes.Cut(status, []byte(" "))
	return bytes.HasPrefix(rest, []byte("400")) || bytes.HasPrefix(rest, []byte("497"))
}

// settings says whether an answer is the SETTINGS frame that opens HTTP/2 (RFC 9113 §6.5).
func settings(head []byte) bool {
	return len(head) >= 9 && head[0] == 0 && head[1] == 0 && head[2]%6 == 0 && head[3] == 4 && head[4] <= 1 && bytes.Equal(head[5:9], []byte{0, 0, 0, 0})
}
