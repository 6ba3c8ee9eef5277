package lab

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
)

// datagramNTP tells the time (RFC 5905 §7.3). When it shows its software it
// answers a read of its variables (RFC 9327 §2), and as check:ntp-amplifier the
// list of its clients with many packets (mode 7, request 42 of ntpd).
func datagramNTP(l *live, b []byte) [][]byte {
	if len(b) < 4 {
		return nil
	}
	switch mode := b[0] & 7; {
	case mode == 3 && len(b) >= 48:
		return [][]byte{ntpTime(b)}
	case mode == 6 && len(b) >= 12 && b[1]&0x1f == 2 && l.svc.Software.Product != "":
		return [][]byte{ntpVariables(b, l.svc.Software.Shown())}
	case mode == 7 && len(b) >= 8 && b[3] == 42 && l.svc.has("check:ntp-amplifier"):
		return ntpClients(b)
	}
	return nil
}

func ntpTime(ask []byte) []byte {
	const from1900 = 2208988800
	now := time.Now()
	stamp := binary.BigEndian.AppendUint32(nil, uint32(now.Unix()+from1900))
	stamp = binary.BigEndian.AppendUint32(stamp, uint32(uint64(now.Nanosecond())<<32/1e9))
	a := make([]byte, 48)
	a[0] = ask[0]&0x38 | 4 // no leap, version as asked, server
	a[1], a[2], a[3] = 2, ask[2], 0xe9
	copy(a[12:], []byte{127, 127, 1, 0})
	copy(a[16:], stamp)
	copy(a[24:], ask[40:48])
	copy(a[32:], stamp)
	copy(a[40:], stamp)
	return a
}

func ntpVariables(ask []byte, version string) []byte {
	data := fmt.Sprintf("version=%q, processor=\"x86_64\", system=\"Linux\", leap=0, stratum=2", version)
	a := bytes.Clone(ask[:12])
	a[1] = 0x80 | 2 // response, read variables
	binary.BigEndian.PutUint16(a[8:], 0)
	binary.BigEndian.PutUint16(a[10:], uint16(len(data)))
	a = append(a, data...)
	return append(a, make([]byte, (4-len(a)%4)%4)...)
}

func ntpClients(ask []byte) [][]byte {
	const packets, items, size = 4, 6, 72
	var out [][]byte
	for i := range packets {
		a := make([]byte, 8+items*size)
		a[0] = 0x80 | ask[0]&0x38 | 7
		if i < packets-1 {
			a[0] |= 0x40 // more to come
		}
		a[1], a[2], a[3] = byte(i), ask[2], 42
		binary.BigEndian.PutUint16(a[4:], items)
		binary.BigEndian.PutUint16(a[6:], size)
		out = append(out, a)
	}
	return out
}
