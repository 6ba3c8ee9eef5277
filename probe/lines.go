package probe

import (
	"fmt"
	"strings"
)

// reply is the answer of a protocol with three-digit codes (RFC 5321 §4.2,
// RFC 959 §4.2): the code, and the text of its lines without it.
type reply struct {
	code string
	text []string
}

// class is the first digit of the code.
func (r reply) class() byte { return r.code[0] }

// reply reads one, of at most 50 lines.
func (p *peer) reply() (reply, bool) {
	var r reply
	for range 50 {
		l, ok := p.line()
		if !ok {
			return r, false
		}
		last := len(l) == 3 || len(l) > 3 && l[3] == ' '
		coded := len(l) >= 3 && digits(l[:3]) && (last || l[3] == '-')
		switch {
		case coded && (r.code == "" || l[:3] == r.code):
			r.code = l[:3]
			r.text = append(r.text, strings.TrimSpace(l[min(4, len(l)):]))
			if last {
				return r, true
			}
		case r.code == "":
			return r, false
		default:
			r.text = append(r.text, l) // FTP lets lines in the middle begin as they like
		}
	}
	return r, false
}

// greeting is the first reply. A server may take its time between the lines, to
// see who talks out of turn; one that says 421 is busy.
func (p *peer) greeting() (reply, bool) {
	wait := p.wait
	p.wait *= 3
	r, ok := p.reply()
	p.wait, p.busy = wait, r.code == "421"
	return r, ok && !p.busy
}

// command sends one and reads its reply.
func (p *peer) command(s string) (reply, bool) {
	if !p.say(s + "\r\n") {
		return reply{}, false
	}
	return p.reply()
}

// errUpgrade is a server that did not say whether it goes on in TLS.
var errUpgrade = fmt.Errorf("%w: it does not say whether it goes on in TLS", ErrSilent)

// upgraded asks to go on in TLS; a server that has no time now says so with a 4.
func (p *peer) upgraded(command, yes string) (bool, error) {
	r, ok := p.command(command)
	if !ok || r.class() == '4' {
		return false, errUpgrade
	}
	return r.code == yes, nil
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// word says whether a text holds a word, in any case and not as a part of a longer one.
func word(text, w string) bool {
	text, w = strings.ToLower(text), strings.ToLower(w)
	for i := 0; ; {
		n := strings.Index(text[i:], w)
		if n < 0 {
			return false
		}
		from, to := i+n, i+n+len(w)
		if (from == 0 || !alnum(text[from-1])) && (to == len(text) || !alnum(text[to])) {
			return true
		}
		i = to
	}
}

func alnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
