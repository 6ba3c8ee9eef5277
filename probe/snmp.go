package probe

import (
	"encoding/hex"
	"fmt"

	"github.com/vedette-hub/vedette"
)

// snmp is network management. An agent of version 3 tells the id of its engine
// to whoever asks, without a name or a community (RFC 3414 §4).
var snmp = &protocol{
	name:  "snmp",
	spec:  "RFC 3414 §4, RFC 3412 §6",
	ports: []uint16{161},
	hello: func(*peer) []byte {
		security := ber(0x30, berText(""), []byte{2, 1, 0}, []byte{2, 1, 0}, berText(""), berText(""), berText(""))
		scoped := ber(0x30, berText(""), berText(""), ber(0xa0, []byte{2, 1, 1}, []byte{2, 1, 0}, []byte{2, 1, 0}, ber(0x30)))
		// message 1, at most 65507 bytes, reportable, security model USM
		header := ber(0x30, []byte{2, 1, 1}, []byte{2, 3, 0, 0xff, 0xe3}, []byte{4, 1, 4}, []byte{2, 1, 3})
		return ber(0x30, []byte{2, 1, 3}, header, ber(0x04, security), scoped)
	},
	read: readSNMP,
}

// engineMakers are private enterprise numbers (IANA) that name an agent, and
// not just the maker of a device.
var engineMakers = map[uint32]vedette.Software{
	8072: {Vendor: "net-snmp", Product: "net-snmp"},
	2021: {Vendor: "net-snmp", Product: "net-snmp"},
}

// readSNMP reads the report that answers: version 3, the header, the security
// parameters with the id of the engine, a report.
func readSNMP(p *peer) (vedette.Fact, bool) {
	whole, _, ok := nextElement(p.in)
	parts := elements(whole.body)
	if !ok || whole.tag != 0x30 || len(parts) < 4 || parts[0].tag != 2 || parts[0].number() != 3 || parts[2].tag != 4 {
		return vedette.Fact{}, false
	}
	usm := elements(parts[2].body)
	if len(usm) != 1 || usm[0].tag != 0x30 {
		return vedette.Fact{}, false
	}
	fields := elements(usm[0].body)
	if len(fields) < 6 || fields[0].tag != 4 || len(fields[0].body) < 5 || len(fields[0].body) > 32 {
		return vedette.Fact{}, false
	}
	id := fields[0].body
	maker := uint32(id[0]&0x7f)<<24 | uint32(id[1])<<16 | uint32(id[2])<<8 | uint32(id[3])
	f := vedette.Fact{
		Banner:  fmt.Sprintf("SNMPv3 engine of enterprise %d", maker),
		Details: map[string]string{"engine_id": hex.EncodeToString(id), "enterprise": fmt.Sprint(maker)},
	}
	f.Software = p.software("snmp.engine", engineMakers[maker].Product, engineMakers[maker])
	return f, true
}
