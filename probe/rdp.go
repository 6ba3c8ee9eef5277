package probe

import (
	"bytes"
	"encoding/binary"

	"github.com/vedette-hub/vedette"
)

// rdp is Remote Desktop: a connection confirm answers an X.224 connection
// request that offers TLS and no Network Level Authentication; a server that
// requires it refuses with its own code ([MS-RDPBCGR] §2.2.1.1, §2.2.1.2).
var rdp = &protocol{
	name:  "ms-wbt-server",
	spec:  "[MS-RDPBCGR] §2.2.1.1, §2.2.1.2",
	ports: []uint16{3389, 3388},
	// TPKT version 3, 19 bytes; X.224 CR of 14; RDP_NEG_REQ with PROTOCOL_SSL.
	hello: func(*peer) []byte {
		return []byte("\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x01\x00\x00\x00")
	},
	read: readRDP,
	upgrade: func(p *peer) (bool, error) {
		if !p.send(rdpAny) {
			return false, errUpgrade
		}
		kind, code, ok := p.rdpConfirm()
		if !ok {
			return false, errUpgrade
		}
		return kind == rdpResponse && code != 0, nil
	},
}

// rdpAny offers TLS, CredSSP and its extension.
var rdpAny = []byte("\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00")

// What a server says to what the client offered.
const (
	rdpResponse = 2 // with the protocol it chose
	rdpFailure  = 3 // with a reason
)

// rdpConfirm reads a connection confirm; kind 0 is one without an answer to the offer.
func (p *peer) rdpConfirm() (kind byte, code uint32, ok bool) {
	h, ok := p.take(4)
	if !ok || h[0] != 3 || h[1] != 0 {
		return 0, 0, false
	}
	n := int(binary.BigEndian.Uint16(h[2:]))
	if n != 11 && n != 19 {
		return 0, 0, false
	}
	b, ok := p.take(n - 4)
	if !ok || int(b[0]) != n-5 || b[1]&0xf0 != 0xd0 {
		return 0, 0, false
	}
	if n == 11 {
		return 0, 0, true
	}
	if (b[7] != rdpResponse && b[7] != rdpFailure) || !bytes.Equal(b[9:11], []byte{8, 0}) {
		return 0, 0, false
	}
	return b[7], binary.LittleEndian.Uint32(b[11:]), true
}

func readRDP(p *peer) (vedette.Fact, bool) {
	kind, code, ok := p.rdpConfirm()
	if !ok {
		return vedette.Fact{}, false
	}
	f := vedette.Fact{Software: p.software("rdp.server", "", vedette.Software{Vendor: "microsoft", Product: "remote desktop services"})}
	nla := kind == rdpFailure && code == 5 // HYBRID_REQUIRED_BY_SERVER
	starttls := nla || kind == rdpResponse && code != 0
	f.Details = map[string]string{"nla_required": yesNo(nla), "starttls": yesNo(starttls)}
	switch {
	case kind == rdpFailure && code != 2 && code != 5: // 2: only the old encryption of its own
		f.Details["nla_required"] = "unknown"
	case !nla:
		f.Reports = []vedette.Report{report("check:rdp-no-nla", "The server accepts a connection without Network Level Authentication.")}
	}
	return f, true
}
