package lab

import (
	"bytes"
	"errors"
)

var errBER = errors.New("not BER")

var (
	oidSystem   = []byte{0x2b, 6, 1, 2, 1, 1}              // 1.3.6.1.2.1.1
	oidSysDescr = append(bytes.Clone(oidSystem), 1, 0)     // .1.0 (RFC 3418)
	oidEngines  = []byte{0x2b, 6, 1, 6, 3, 15, 1, 1, 4, 0} // usmStatsUnknownEngineIDs.0 (RFC 3414)
)

// datagramSNMP answers versions 1 and 2c (RFC 1157, RFC 3416) to its community,
// when it has one, and the discovery of version 3 (RFC 3414 §4) always.
func datagramSNMP(l *live, b []byte) [][]byte {
	_, msg, _, ok := takeTLV(b)
	_, version, rest, ok2 := takeTLV(msg)
	if !ok || !ok2 || len(version) != 1 {
		return nil
	}
	if version[0] == 3 {
		return discoverSNMP(rest)
	}
	_, community, rest, ok := takeTLV(rest)
	tag, pdu, _, ok2 := takeTLV(rest)
	if !ok || !ok2 || l.svc.Community == "" || string(community) != l.svc.Community || tag != 0xa0 && tag != 0xa1 {
		return nil
	}
	_, id, rest, ok := takeTLV(pdu)
	_, _, rest, ok2 = takeTLV(rest) // error-status
	_, _, rest, ok3 := takeTLV(rest)
	_, list, _, ok4 := takeTLV(rest)
	_, binding, _, ok5 := takeTLV(list)
	_, oid, _, ok6 := takeTLV(binding)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 {
		return nil
	}
	value, status := berString(l.svc.Software.Shown()), 0
	if tag == 0xa1 && (bytes.HasPrefix(oidSysDescr, oid) && len(oid) < len(oidSysDescr)) {
		oid = oidSysDescr // the next one
	} else if tag == 0xa1 || !bytes.Equal(oid, oidSysDescr) {
		value, status = tlv(5), 2 // noSuchName
		if version[0] == 1 {
			value, status = tlv(0x80), 0 // noSuchObject
		}
	}
	vars := tlv(0x30, tlv(0x30, tlv(6, oid), value))
	return [][]byte{tlv(0x30, tlv(2, version), tlv(4, community), tlv(0xa2, tlv(2, id), berInt(status), berInt(status), vars))}
}

// discoverSNMP reports the engine to who does not know it.
func discoverSNMP(rest []byte) [][]byte {
	_, global, _, ok := takeTLV(rest)
	_, id, _, ok2 := takeTLV(global)
	if !ok || !ok2 {
		return nil
	}
	engine := []byte{0x80, 0, 0x1f, 0x88, 4, 'l', 'a', 'b'} // net-snmp's form (RFC 3411 §5)
	usm := tlv(0x30, tlv(4, engine), berInt(3), berInt(86_400), berString(""), berString(""), berString(""))
	pdu := tlv(0xa8, berInt(0), berInt(0), berInt(0), tlv(0x30, tlv(0x30, tlv(6, oidEngines), tlv(0x41, []byte{1}))))
	return [][]byte{tlv(0x30, berInt(3), tlv(0x30, tlv(2, id), berInt(65507), tlv(4, []byte{0}), berInt(3)),
		tlv(4, usm), tlv(0x30, tlv(4, engine), berString(""), pdu))}
}
