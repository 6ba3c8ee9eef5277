package probe

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// vnc is remote framebuffer: "RFB xxx.yyy\n" greets, and the server lists how a
// client may prove itself (RFC 6143 §7.1).
var vnc = &protocol{
	name:   "rfb",
	spec:   "RFC 6143 §7.1",
	ports:  []uint16{5900, 5901, 5902},
	greets: greetsVNC,
	read:   readVNC,
}

func greetsVNC(head []byte) bool {
	return len(head) >= 12 && string(head[:4]) == "RFB " && digits(string(head[4:7])) && head[7] == '.' && digits(string(head[8:11])) && head[11] == '\n'
}

// vncSecurity are names of security types (RFC 6143 §8.1.2 and the IANA registry "RFB").
var vncSecurity = map[uint32]string{1: "None", 2: "VNC Authentication", 5: "RA2", 6: "RA2ne", 16: "Tight", 17: "Ultra", 18: "TLS", 19: "VeNCrypt", 20: "SASL", 22: "xvp", 30: "Apple Remote Desktop", 129: "Unix login"}

func readVNC(p *peer) (vedette.Fact, bool) {
	b, ok := p.take(12)
	if !ok || !greetsVNC(b) {
		return vedette.Fact{}, false
	}
	version := string(b[4:11])
	f := vedette.Fact{Banner: "RFB " + version}
	if !p.say("RFB " + ourVNC(version) + "\n") {
		return f, true
	}
	var kinds []uint32
	if version >= "003.007" {
		n, ok := p.take(1)
		if !ok {
			return f, true
		}
		list, _ := p.take(int(n[0]))
		for _, k := range list {
			if !slices.Contains(kinds, uint32(k)) && len(kinds) < 20 {
				kinds = append(kinds, uint32(k))
			}
		}
	} else if k, ok := p.take(4); ok && binary.BigEndian.Uint32(k) != 0 {
		kinds = append(kinds, binary.BigEndian.Uint32(k))
	}
	var names []string
	for _, k := range kinds {
		name := vncSecurity[k]
		if name == "" {
			name = fmt.Sprintf("type %d", k)
		}
		names = append(names, name)
		if k == 1 {
			f.Reports = append(f.Reports, report("check:vnc-no-auth", "The server offers the security type None (1)."))
		}
	}
	if len(names) > 0 {
		f.Details = map[string]string{"security": strings.Join(names, ", ")}
	}
	return f, true
}

// ourVNC is the version that we answer: the server's, up to 3.8.
func ourVNC(theirs string) string {
	switch {
	case theirs >= "003.008":
		return "003.008"
	case theirs >= "003.007":
		return "003.007"
	}
	return "003.003"
}
