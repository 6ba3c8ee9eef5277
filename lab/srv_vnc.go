package lab

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
)

// serveVNC speaks RFB 3.8 (RFC 6143 §7): without a password as
// check:vnc-no-auth, else with a challenge that nobody meets.
func serveVNC(s *session) {
	const none, password = 1, 2
	if s.say("RFB 003.008\n") != nil {
		return
	}
	version, err := s.take(12)
	if err != nil || !strings.HasPrefix(string(version), "RFB 003.") {
		return
	}
	kind := byte(password)
	if s.weak("check:vnc-no-auth") {
		kind = none
	}
	new8, new7 := string(version) >= "RFB 003.008", string(version) >= "RFB 003.007"
	if !new7 { // the server decides (§A.1.1)
		s.Write([]byte{0, 0, 0, kind})
	} else {
		s.Write([]byte{1, kind})
		if chosen, err := s.take(1); err != nil || chosen[0] != kind {
			return
		}
	}
	if kind == password {
		challenge := make([]byte, 16)
		rand.Read(challenge)
		s.Write(challenge)
		if _, err := s.take(16); err != nil {
			return
		}
		s.Write([]byte{0, 0, 0, 1})
		if new8 {
			s.Write(append(binary.BigEndian.AppendUint32(nil, 22), "Authentication failure"...))
		}
		return
	}
	if new8 {
		s.Write([]byte{0, 0, 0, 0})
	}
	if _, err := s.take(1); err != nil { // ClientInit
		return
	}
	name := s.live.host.name()
	init := []byte{4, 0, 3, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0}
	s.Write(append(binary.BigEndian.AppendUint32(init, uint32(len(name))), name...))
	s.drain()
}
