package probe

import (
	"encoding/binary"
	"regexp"
	"strings"

	"github.com/vedette-hub/vedette"
)

// ntp is network time: a server answers a client's packet (RFC 5905 §7.3), may
// tell its version in a control message (RFC 9327), and an old one lists who
// asked before, a hundred times as long as the question (CVE-2013-5211).
var ntp = &protocol{
	name:  "ntp",
	spec:  "RFC 5905 §7.3, RFC 9327",
	ports: []uint16{123},
	// version 4, mode 3 (client)
	hello: func(*peer) []byte { return append([]byte{4<<3 | 3}, make([]byte, 47)...) },
	read:  readNTP,
}

var (
	ntpReadvar = []byte{2<<3 | 6, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	ntpMonlist = append([]byte{2<<3 | 7, 0, 3, 42}, make([]byte, 44)...)
)

func readNTP(p *peer) (vedette.Fact, bool) {
	b := p.in
	// mode 4 (server), version 1 to 4, a transmit time
	if len(b) < 48 || b[0]&7 != 4 || b[0]>>3&7 == 0 || b[0]>>3&7 > 4 || b[1] > 16 || binary.BigEndian.Uint64(b[40:]) == 0 {
		return vedette.Fact{}, false
	}
	f := vedette.Fact{}
	if p.ask(ntpReadvar) {
		told := ntpVariables(p.in)
		f.Banner = Banner([]byte(told), MaxBanner)
		f.Software = p.software("ntp.readvar", told)
	}
	if p.ask(ntpMonlist) && ntpListed(p.in) {
		f.Reports = []vedette.Report{report("check:ntp-amplifier", "The server answered monlist (mode 7, request 42) to a stranger.")}
	}
	return f, true
}

// ntpKept are the variables that stay the same from look to look.
var ntpKept = regexp.MustCompile(`(?s)\b(version|processor|system)="?([^",]*)"?`)

// ntpVariables reads the answer to a control message that asks for the
// variables of the system: "version="ntpd 4.2.8p15", processor="x86_64", system="Linux/6.1"".
func ntpVariables(b []byte) string {
	if len(b) < 12 || b[0]&7 != 6 || b[1]&0xc0 != 0x80 || b[1]&0x1f != 2 {
		return ""
	}
	n := min(int(binary.BigEndian.Uint16(b[10:])), len(b)-12)
	var kept []string
	for _, m := range ntpKept.FindAllStringSubmatch(string(b[12:12+n]), 8) {
		kept = append(kept, m[1]+`="`+m[2]+`"`)
	}
	return strings.Join(kept, ", ")
}

// ntpListed says whether an answer of mode 7 lists who asked: a response to
// request 42 without an error and with entries.
func ntpListed(b []byte) bool {
	return len(b) >= 8 && b[0]&0x87 == 0x87 && b[3] == 42 && b[4]>>4 == 0 && binary.BigEndian.Uint16(b[4:])&0x0fff > 0
}
