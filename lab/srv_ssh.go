package lab

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
)

// serveSSH says its version and offers a key exchange (RFC 4253 §4.2, §7.1),
// then ends the connection: nobody logs in to the lab.
func serveSSH(s *session) {
	if s.say("SSH-2.0-%s\r\n", s.shown()) != nil {
		return
	}
	if _, err := s.Write(sshPacket(kexInit())); err != nil {
		return
	}
	if l, err := s.line(); err != nil || !strings.HasPrefix(l, "SSH-") {
		s.say("Invalid SSH identification string.\r\n")
		return
	}
	head, err := s.take(4)
	if err != nil {
		return
	}
	if _, err := s.take(int(binary.BigEndian.Uint32(head))); err != nil {
		return
	}
	// SSH_MSG_DISCONNECT, key exchange failed (RFC 4253 §11.1)
	bye := binary.BigEndian.AppendUint32([]byte{1}, 3)
	bye = sshString(bye, "the lab exchanges no keys")
	s.Write(sshPacket(sshString(bye, "")))
}

// kexInit is SSH_MSG_KEXINIT with the name lists of §7.1.
func kexInit() []byte {
	b := make([]byte, 17, 512)
	b[0] = 20
	rand.Read(b[1:])
	for _, list := range []string{
		"curve25519-sha256,ecdh-sha2-nistp256,diffie-hellman-group14-sha256",
		"rsa-sha2-512,rsa-sha2-256,ssh-ed25519",
		"aes128-ctr,aes256-ctr", "aes128-ctr,aes256-ctr",
		"hmac-sha2-256,hmac-sha1", "hmac-sha2-256,hmac-sha1",
		"none", "none", "", "",
	} {
		b = sshString(b, list)
	}
	return append(b, 0, 0, 0, 0, 0)
}

func sshString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// sshPacket frames a payload (RFC 4253 §6), padded to blocks of 8.
func sshPacket(payload []byte) []byte {
	pad := 8 - (5+len(payload))%8
	if pad < 4 {
		pad += 8
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+pad))
	b = append(b, byte(pad))
	b = append(b, payload...)
	return append(b, make([]byte, pad)...)
}
