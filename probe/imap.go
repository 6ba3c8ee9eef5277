package probe

import (
	"bytes"
	"strings"

	"github.com/vedette-hub/vedette"
)

// imap is mail access: an untagged OK, PREAUTH or BYE greets (RFC 3501 §7.1).
var imap = &protocol{
	name:     "imap",
	spec:     "RFC 3501 §7.1, RFC 2971, RFC 9051",
	ports:    []uint16{143},
	tlsPorts: []uint16{993},
	greets: func(head []byte) bool {
		return bytes.HasPrefix(head, []byte("* OK")) || bytes.HasPrefix(head, []byte("* PREAUTH")) || bytes.HasPrefix(head, []byte("* BYE"))
	},
	read: readIMAP,
	upgrade: func(p *peer) (bool, error) {
		if l, ok := p.line(); !ok || strings.HasPrefix(l, "* BYE") {
			return false, errUpgrade
		}
		_, ok := p.tagged("a1 STARTTLS")
		if !ok && p.gone {
			return false, errUpgrade
		}
		return ok, nil
	},
}

func readIMAP(p *peer) (vedette.Fact, bool) {
	greeting, ok := p.line()
	if !ok {
		return vedette.Fact{}, false
	}
	if p.busy = strings.HasPrefix(greeting, "* BYE"); p.busy {
		return vedette.Fact{}, false
	}
	text := strings.TrimPrefix(greeting, "* ")
	_, text, _ = strings.Cut(text, " ")
	if code, rest, ok := strings.Cut(text, "] "); ok && strings.HasPrefix(code, "[") {
		text = rest
	}
	f := vedette.Fact{Banner: Banner([]byte(greeting), MaxBanner)}
	lines, ok := p.tagged("a1 CAPABILITY")
	capable := strings.ToUpper(strings.Join(lines, " ") + " " + greeting)
	if !ok && !strings.Contains(capable, "IMAP") {
		return f, false
	}
	var told vedette.Software
	if strings.Contains(capable, " ID") {
		lines, _ = p.tagged(`a2 ID NIL`)
		told = softwareOfID(lines)
	}
	f.Software = p.software("imap4.banner", text, told)
	f.Details = map[string]string{"starttls": yesNo(strings.Contains(capable, "STARTTLS"))}
	p.say("a3 LOGOUT\r\n")
	return f, true
}

// tagged sends a command and reads up to its tagged answer, of at most 30
// lines; ok is the answer OK. The lines before it are returned.
func (p *peer) tagged(command string) ([]string, bool) {
	tag, _, _ := strings.Cut(command, " ")
	if !p.say(command + "\r\n") {
		return nil, false
	}
	var lines []string
	for range 30 {
		l, ok := p.line()
		if !ok {
			return lines, false
		}
		if rest, ok := strings.CutPrefix(l, tag+" "); ok {
			return lines, strings.HasPrefix(strings.ToUpper(rest), "OK")
		}
		lines = append(lines, l)
	}
	return lines, false
}

// softwareOfID reads the answer to ID, `* ID ("name" "Cyrus" "version" "1.5")` (RFC 2971 §3.3).
func softwareOfID(lines []string) vedette.Software {
	var s vedette.Software
	for _, l := range lines {
		if !strings.HasPrefix(strings.ToUpper(l), "* ID ") {
			continue
		}
		parts := strings.Split(l, `"`)
		for i := 1; i+2 < len(parts); i += 4 {
			value := Banner([]byte(parts[i+2]), 64)
			switch strings.ToLower(parts[i]) {
			case "name":
				s.Product = value
			case "version":
				s.Version = value
			case "vendor":
				s.Vendor = value
			}
		}
	}
	return s
}
