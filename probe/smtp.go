package probe

import (
	"bytes"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// smtp is mail transfer: a greeting of code 220 or 554, and EHLO tells the extensions
// (RFC 5321 §3.1, §4.1.1.1).
var smtp = &protocol{
	name:     "smtp",
	spec:     "RFC 5321 §3.1, RFC 3207",
	ports:    []uint16{25, 587, 2525},
	tlsPorts: []uint16{465},
	greets: func(head []byte) bool {
		return (code(head, "220") || code(head, "554") || code(head, "421")) && !bytes.Contains(bytes.ToUpper(head), []byte("FTP"))
	},
	read: readSMTP,
	upgrade: func(p *peer) (bool, error) {
		if r, ok := p.greeting(); !ok || r.class() != '2' {
			return false, errUpgrade
		}
		if _, ok := p.command("EHLO " + helloName); !ok {
			return false, errUpgrade
		}
		return p.upgraded("STARTTLS", "220")
	},
}

// helloName is how we introduce ourselves: a name that means nobody (RFC 2606).
const helloName = "scanner.invalid"

// code says whether a reply begins with a code.
func code(head []byte, c string) bool {
	return len(head) >= 4 && string(head[:3]) == c && (head[3] == ' ' || head[3] == '-' || head[3] == '\r' || head[3] == '\n')
}

func readSMTP(p *peer) (vedette.Fact, bool) {
	hello, ok := p.greeting()
	if !ok {
		return vedette.Fact{}, false
	}
	text := strings.Join(hello.text, "\n")
	f := vedette.Fact{
		Banner:   Banner([]byte(hello.code+" "+text), MaxBanner),
		Software: p.software("smtp.banner", text),
	}
	if hello.code == "554" {
		return f, word(text, "smtp") || word(text, "esmtp")
	}
	r, ok := p.command("EHLO " + helloName)
	if !ok || r.code != "250" {
		return f, word(text, "smtp") || word(text, "esmtp")
	}
	starttls := slices.ContainsFunc(r.text[min(1, len(r.text)):], func(l string) bool { return strings.EqualFold(l, "STARTTLS") })
	f.Details = map[string]string{"starttls": yesNo(starttls)}
	p.say("QUIT\r\n")
	return f, true
}
