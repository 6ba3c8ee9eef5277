package probe

import (
	"bytes"
	"strings"

	"github.com/vedette-hub/vedette"
)

// ssh is the Secure Shell: its server sends an identification string, perhaps
// after other lines (RFC 4253 §4.2).
var ssh = &protocol{
	name:  "ssh",
	spec:  "RFC 4253 §4.2",
	ports: []uint16{22, 2222, 22222},
	greets: func(head []byte) bool {
		return bytes.HasPrefix(head, []byte("SSH-")) || bytes.Contains(head, []byte("\nSSH-")) || sshBusy(string(head))
	},
	read: readSSH,
}

// readSSH reads up to the identification string, "SSH-protoversion-softwareversion SP comments".
func readSSH(p *peer) (vedette.Fact, bool) {
	for range 20 {
		l, ok := p.line()
		if !ok {
			return vedette.Fact{}, false
		}
		if p.busy = sshBusy(l); p.busy {
			return vedette.Fact{}, false
		}
		rest, ok := strings.CutPrefix(l, "SSH-")
		if !ok {
			continue
		}
		version, software, ok := strings.Cut(rest, "-")
		if !ok || !dotted(version) {
			return vedette.Fact{}, false
		}
		return vedette.Fact{
			Banner:   Banner([]byte(l), MaxBanner),
			Software: p.software("ssh.banner", Banner([]byte(software), MaxBanner)),
		}, true
	}
	return vedette.Fact{}, false
}

// sshBusy says whether OpenSSH turns away a connection, instead of its identification.
func sshBusy(l string) bool {
	return strings.HasPrefix(l, "Exceeded MaxStartups") || strings.HasPrefix(l, "Not allowed at this time")
}

// dotted says whether a text is a version of digits and dots, "2.0".
func dotted(s string) bool {
	return s != "" && len(s) <= 32 && s[0] != '.' && strings.Trim(s, "0123456789.") == ""
}
