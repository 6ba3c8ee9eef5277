package probe

import (
	"bytes"
	"strings"

	"github.com/vedette-hub/vedette"
)

// pop3 is mail retrieval: "+OK" greets (RFC 1939 §4), CAPA tells what it can (RFC 2449).
var pop3 = &protocol{
	name:     "pop3",
	spec:     "RFC 1939 §4, RFC 2449, RFC 2595",
	ports:    []uint16{110},
	tlsPorts: []uint16{995},
	greets:   func(head []byte) bool { return bytes.HasPrefix(head, []byte("+OK")) },
	read:     readPOP3,
	upgrade: func(p *peer) (bool, error) {
		if l, ok := p.line(); !ok || !strings.HasPrefix(l, "+OK") || !p.say("STLS\r\n") {
			return false, errUpgrade
		}
		l, ok := p.line()
		if !ok {
			return false, errUpgrade
		}
		return strings.HasPrefix(l, "+OK"), nil
	},
}

func readPOP3(p *peer) (vedette.Fact, bool) {
	greeting, ok := p.line()
	if !ok || !p.say("CAPA\r\n") {
		return vedette.Fact{}, false
	}
	f := vedette.Fact{Banner: Banner([]byte(greeting), MaxBanner)}
	text := strings.TrimSpace(strings.TrimPrefix(greeting, "+OK"))
	l, ok := p.line()
	if !ok || !strings.HasPrefix(l, "+OK") && !strings.HasPrefix(l, "-ERR") {
		return f, strings.Contains(strings.ToUpper(text), "POP")
	}
	starttls, product := false, ""
	for range 50 {
		if strings.HasPrefix(l, "-ERR") || l == "." {
			break
		}
		starttls = starttls || strings.EqualFold(l, "STLS")
		if w, rest, ok := strings.Cut(l, " "); ok && strings.EqualFold(w, "IMPLEMENTATION") {
			product = rest // RFC 2449 §6.9
		}
		if l, ok = p.line(); !ok {
			break
		}
	}
	f.Software = p.software("pop3.banner", text)
	if product != "" && len(f.Software) == 0 {
		f.Software = p.software("pop3.banner", product)
	}
	f.Details = map[string]string{"starttls": yesNo(starttls)}
	p.say("QUIT\r\n")
	return f, true
}
