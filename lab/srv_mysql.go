package lab

import (
	"bytes"
	"encoding/binary"
)

// The capabilities of MySQL that the lab uses (MySQL client/server protocol,
// "Capabilities Flags").
const (
	mysqlSSL     = 1 << 11
	mysqlDefault = 1 | 4 | 8 | 1<<9 | 1<<13 | 1<<15 | 1<<19 // passwords, 4.1 protocol, plugins
)

// serveMySQL greets (Protocol::HandshakeV10) and lets nobody in.
func serveMySQL(s *session) {
	flags := uint32(mysqlDefault)
	if s.canTLS() {
		flags |= mysqlSSL
	}
	b := append([]byte{10}, s.shown()...)
	b = append(b, 0)
	b = binary.LittleEndian.AppendUint32(b, 42) // connection
	b = append(b, "labsalt1\x00"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(flags))
	b = append(b, 0x21, 2, 0) // utf8, autocommit
	b = binary.LittleEndian.AppendUint16(b, uint16(flags>>16))
	b = append(b, 21)
	b = append(b, make([]byte, 10)...)
	b = append(b, "labsaltlab12\x00mysql_native_password\x00"...)
	if s.packetMySQL(0, b) != nil {
		return
	}
	seq, answer, err := s.takeMySQL()
	if err == nil && len(answer) == 32 && s.canTLS() && binary.LittleEndian.Uint32(answer)&mysqlSSL != 0 {
		if s.secure() != nil {
			return
		}
		seq, answer, err = s.takeMySQL()
	}
	if err != nil || len(answer) < 32 {
		return
	}
	user, _, _ := bytes.Cut(answer[32:], []byte{0})
	denied := append([]byte{0xff, 0x15, 0x04}, "#28000Access denied for user '"...)
	denied = append(append(denied, user[:min(len(user), 32)]...), "'@'localhost' (using password: YES)"...)
	s.packetMySQL(seq+1, denied)
}

func (s *session) packetMySQL(seq byte, b []byte) error {
	_, err := s.Write(append([]byte{byte(len(b)), byte(len(b) >> 8), byte(len(b) >> 16), seq}, b...))
	return err
}

func (s *session) takeMySQL() (seq byte, b []byte, err error) {
	head, err := s.take(4)
	if err != nil {
		return 0, nil, err
	}
	b, err = s.take(int(head[0]) | int(head[1])<<8 | int(head[2])<<16)
	return head[3], b, err
}
