package lab

import (
	"encoding/binary"
	"io"
)

// serveMQTT is a broker of versions 3.1.1 and 5 (OASIS MQTT): as
// check:mqtt-no-auth for everybody, else nobody is authorised. It publishes its
// version where brokers do.
func serveMQTT(s *session) {
	kind, body, err := s.takeMQTT()
	if err != nil || kind>>4 != 1 || len(body) < 10 || string(body[:6]) != "\x00\x04MQTT" && string(body[:8]) != "\x00\x06MQIsdp" {
		return
	}
	five := body[6] == 5 && body[1] == 4
	if !s.weak("check:mqtt-no-auth") {
		if five {
			s.Write([]byte{0x20, 3, 0, 0x87, 0})
		} else {
			s.Write([]byte{0x20, 2, 0, 5})
		}
		return
	}
	ok := []byte{0x20, 2, 0, 0}
	if five {
		ok = []byte{0x20, 3, 0, 0, 0}
	}
	if _, err := s.Write(ok); err != nil {
		return
	}
	for range maxCommands {
		kind, body, err := s.takeMQTT()
		if err != nil {
			return
		}
		switch kind >> 4 {
		case 8:
			err = s.subscribeMQTT(body, five)
		case 12:
			_, err = s.Write([]byte{0xd0, 0})
		case 14:
			return
		}
		if err != nil {
			return
		}
	}
}

// subscribeMQTT acknowledges a subscription and publishes $SYS/broker/version
// to who asked for it or for all of $SYS.
func (s *session) subscribeMQTT(body []byte, five bool) error {
	if len(body) < 5 {
		return io.ErrUnexpectedEOF
	}
	rest, ack := body[2:], []byte{0x90, 3, body[0], body[1]}
	if five {
		if rest[0] >= 0x80 || len(rest) < 3+int(rest[0]) {
			return io.ErrUnexpectedEOF
		}
		rest, ack[1] = rest[1+rest[0]:], 4
		ack = append(ack, 0)
	}
	n := int(binary.BigEndian.Uint16(rest))
	if len(rest) < 2+n {
		return io.ErrUnexpectedEOF
	}
	if _, err := s.Write(append(ack, 0)); err != nil {
		return err
	}
	const topic = "$SYS/broker/version"
	if asked := string(rest[2 : 2+n]); asked != topic && asked != "$SYS/#" || s.shown() == "" {
		return nil
	}
	b := append([]byte{0, byte(len(topic))}, topic...)
	if five {
		b = append(b, 0)
	}
	b = append(b, s.shown()...)
	_, err := s.Write(append([]byte{0x31, byte(len(b))}, b...))
	return err
}

// takeMQTT reads a control packet (§2.2).
func (s *session) takeMQTT() (kind byte, body []byte, err error) {
	if kind, err = s.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b, err := s.r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	body, err = s.take(n)
	return kind, body, err
}
