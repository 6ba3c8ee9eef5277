package lab

import "encoding/binary"

// The security protocols of RDP ([MS-RDPBCGR] §2.2.1.1.1).
const (
	rdpSSL    = 1
	rdpHybrid = 2
)

// serveRDP negotiates as far as TLS ([MS-RDPBCGR] §2.2.1.2): with network level
// authentication it takes nothing less, as check:rdp-no-nla it never asks for it.
func serveRDP(s *session) {
	head, err := s.take(4)
	if err != nil || head[0] != 3 {
		return
	}
	body, err := s.take(int(binary.BigEndian.Uint16(head[2:])) - 4)
	if err != nil || len(body) < 7 || body[1] != 0xe0 {
		return
	}
	var asked uint32
	if n := len(body); n >= 15 && body[n-8] == 1 && body[n-6] == 8 {
		asked = binary.LittleEndian.Uint32(body[n-4:])
	}
	answer := func(kind byte, value uint32) error {
		b := []byte{3, 0, 0, 19, 14, 0xd0, body[4], body[5], 0x12, 0x34, 0, kind, 0, 8, 0}
		_, err := s.Write(binary.LittleEndian.AppendUint32(b, value))
		return err
	}
	switch open := s.weak("check:rdp-no-nla"); {
	case !open && asked&rdpHybrid == 0:
		answer(3, 5) // HYBRID_REQUIRED_BY_SERVER
		return
	case open && asked&rdpSSL == 0:
		err = answer(2, 0) // RDP security
	case open:
		err = answer(2, rdpSSL)
	default:
		err = answer(2, rdpHybrid)
	}
	if err != nil {
		return
	}
	if asked != 0 && s.live.tls != nil && s.secure() != nil {
		return
	}
	s.r.Peek(1)
}
