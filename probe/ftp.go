package probe

import (
	"bytes"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// ftp is file transfer: a greeting of code 220, 120 or 421 (RFC 959 §5.4), like
// that of mail; what tells them apart is what the server says to FEAT (RFC 2389).
var ftp = &protocol{
	name:     "ftp",
	spec:     "RFC 959 §5.4, RFC 2389, RFC 4217",
	ports:    []uint16{21, 2121},
	tlsPorts: []uint16{990},
	greets: func(head []byte) bool {
		return (code(head, "220") || code(head, "421") || code(head, "120")) && !bytes.Contains(bytes.ToUpper(head), []byte("SMTP"))
	},
	read: readFTP,
	upgrade: func(p *peer) (bool, error) {
		if r, ok := p.greeting(); !ok || r.class() != '2' {
			return false, errUpgrade
		}
		return p.upgraded("AUTH TLS", "234")
	},
}

func readFTP(p *peer) (vedette.Fact, bool) {
	hello, ok := p.greeting()
	if !ok {
		return vedette.Fact{}, false
	}
	text := strings.Join(hello.text, "\n")
	f := vedette.Fact{
		Banner:   Banner([]byte(hello.code+" "+text), MaxBanner),
		Software: p.software("ftp.banner", text),
	}
	says := strings.Contains(strings.ToUpper(text), "FTP")
	if hello.code != "220" {
		return f, says
	}
	r, ok := p.command("FEAT")
	switch {
	case !ok:
		return f, says
	case r.code == "211":
		f.Details = map[string]string{"starttls": yesNo(slices.ContainsFunc(r.text, func(l string) bool {
			l = strings.ToUpper(strings.TrimSpace(l))
			return strings.HasPrefix(l, "AUTH") && strings.Contains(l, "TLS")
		}))}
		p.say("QUIT\r\n")
		return f, true
	}
	// An old server, or one that says nothing before a login: 215 answers SYST,
	// 530 "not logged in" is no code of mail.
	r2, ok := p.command("SYST")
	p.say("QUIT\r\n")
	return f, says || ok && r2.code == "215" || r.code == "530" && ok && r2.code == "530"
}
