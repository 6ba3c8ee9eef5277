package lab

import (
	"bufio"
	"encoding/binary"
	"errors"
)

// serveMemcached speaks the text protocol, and of the binary one the question
// for the version (memcached protocol.txt and protocol_binary.txt): as
// check:memcached-open to everybody, else it wants a login first.
func serveMemcached(s *session) {
	for range maxCommands {
		if first, err := s.r.Peek(1); err != nil {
			return
		} else if first[0] == 0x80 {
			if s.binaryMemcached() != nil {
				return
			}
			continue
		}
		line, err := s.line()
		if errors.Is(err, bufio.ErrBufferFull) {
			s.say("ERROR Too large\r\n")
		}
		if err != nil {
			return
		}
		switch {
		case line == "quit":
			return
		case !s.weak("check:memcached-open"):
			err = s.say("CLIENT_ERROR unauthenticated\r\n")
		case line == "version":
			err = s.say("VERSION %s\r\n", s.shown())
		case line == "stats":
			err = s.say("STAT pid 412\r\nSTAT uptime 86400\r\nSTAT version %s\r\nSTAT curr_items 0\r\nEND\r\n", s.shown())
		default:
			err = s.say("ERROR\r\n")
		}
		if err != nil {
			return
		}
	}
}

// binaryMemcached answers one binary request.
func (s *session) binaryMemcached() error {
	head, err := s.take(24)
	if err != nil {
		return err
	}
	if _, err := s.take(int(binary.BigEndian.Uint32(head[8:]))); err != nil {
		return err
	}
	status, body := uint16(0x20), "Auth failure"
	if s.weak("check:memcached-open") {
		status, body = 0x81, "Unknown command"
		if head[1] == 0x0b {
			status, body = 0, s.shown()
		}
	}
	answer := make([]byte, 24)
	answer[0], answer[1] = 0x81, head[1]
	binary.BigEndian.PutUint16(answer[6:], status)
	binary.BigEndian.PutUint32(answer[8:], uint32(len(body)))
	copy(answer[12:16], head[12:16])
	_, err = s.Write(append(answer, body...))
	return err
}
