package probe

import (
	"bytes"
	"regexp"
	"time"

	"github.com/vedette-hub/vedette"
)

// telnet is a terminal in the clear: it opens with the negotiation of options
// (RFC 854), or with the prompt of a login alone.
var telnet = &protocol{
	name:     "telnet",
	spec:     "RFC 854, RFC 855",
	ports:    []uint16{23, 2323},
	tlsPorts: []uint16{992},
	greets: func(head []byte) bool {
		return len(head) >= 3 && head[0] == iac && head[1] >= iacWill && head[1] <= iacDont || loginPrompt.Match(head) && printable(head)
	},
	read: readTelnet,
}

// The commands of RFC 854.
const (
	iac     = 255
	iacSB   = 250
	iacSE   = 240
	iacWill = 251
	iacWont = 252
	iacDo   = 253
	iacDont = 254
)

// loginPrompt is text that waits for a name or a password.
var loginPrompt = regexp.MustCompile(`(?i)(?:login|user ?name|user|password|passcode|account)\s*:\s*$`)

func readTelnet(p *peer) (vedette.Fact, bool) {
	var text []byte
	for range 12 {
		if len(p.in) == 0 && !p.fill(time.Now().Add(p.wait/2)) {
			break
		}
		said, answer, rest := telnetText(p.in)
		p.in = append([]byte(nil), rest...)
		text = append(text, said...)
		if len(answer) > 0 && !p.send(answer) || loginPrompt.Match(text) || len(text) > 4*MaxBanner {
			break
		}
		if len(rest) > 0 && !p.fill(time.Now().Add(p.wait/2)) {
			break
		}
	}
	shown := Banner(text, MaxBanner)
	return vedette.Fact{
		Banner:   shown,
		Software: p.software("telnet.banner", string(text)),
		Reports:  []vedette.Report{report("check:telnet-open", "A Telnet service answers: what is typed crosses the network unencrypted.")},
	}, true
}

// telnetText takes commands out of what a server sent, and refuses each option
// that it offers or asks for; rest is a command that is not complete.
func telnetText(b []byte) (text, answer, rest []byte) {
	for i := 0; i < len(b); {
		if b[i] != iac {
			if b[i] != 0 {
				text = append(text, b[i])
			}
			i++
			continue
		}
		left := b[i:]
		switch {
		case len(left) < 2:
			return text, answer, left
		case left[1] == iac:
			text = append(text, iac)
			i += 2
		case left[1] == iacSB:
			end := bytes.Index(left, []byte{iac, iacSE})
			if end < 0 {
				return text, answer, left
			}
			i += end + 2
		case left[1] >= iacWill:
			if len(left) < 3 {
				return text, answer, left
			}
			if no := map[byte]byte{iacWill: iacDont, iacDo: iacWont}[left[1]]; no != 0 && len(answer) < 300 {
				answer = append(answer, iac, no, left[2])
			}
			i += 3
		default:
			i += 2
		}
	}
	return text, answer, nil
}
