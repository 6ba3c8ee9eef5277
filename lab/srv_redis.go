package lab

import (
	"fmt"
	"strconv"
	"strings"
)

// serveRedis speaks RESP (Redis serialization protocol specification): as
// check:redis-no-auth to everybody, else it wants a password first.
func serveRedis(s *session) {
	for range maxCommands {
		words, err := s.takeRESP()
		if err != nil || len(words) == 0 {
			return
		}
		open := s.weak("check:redis-no-auth")
		switch verb := strings.ToUpper(words[0]); {
		case verb == "QUIT":
			s.say("+OK\r\n")
			return
		case verb == "AUTH" && open:
			err = s.say("-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n")
		case verb == "AUTH":
			err = s.say("-WRONGPASS invalid username-password pair or user is disabled.\r\n")
		case !open:
			err = s.say("-NOAUTH Authentication required.\r\n")
		case verb == "PING":
			err = s.say("+PONG\r\n")
		case verb == "ECHO" && len(words) == 2:
			err = s.bulkRESP(words[1])
		case verb == "INFO":
			err = s.bulkRESP(fmt.Sprintf("# Server\r\nredis_version:%s\r\nredis_mode:standalone\r\nos:Linux x86_64\r\ntcp_port:%d\r\n", s.shown(), s.live.svc.Port))
		case verb == "DBSIZE":
			err = s.say(":0\r\n")
		case verb == "COMMAND", verb == "KEYS":
			err = s.say("*0\r\n")
		default:
			err = s.say("-ERR unknown command '%s'\r\n", strings.Map(printable, words[0][:min(len(words[0]), 64)]))
		}
		if err != nil {
			return
		}
	}
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}

func (s *session) bulkRESP(text string) error { return s.say("$%d\r\n%s\r\n", len(text), text) }

// takeRESP reads a command: an array of bulk strings, or a line of words.
func (s *session) takeRESP() ([]string, error) {
	line, err := s.line()
	if err != nil || !strings.HasPrefix(line, "*") {
		return strings.Fields(line), err
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil || n < 1 || n > 64 {
		return nil, s.say("-ERR Protocol error: invalid multibulk length\r\n")
	}
	var words []string
	for range n {
		line, err := s.line()
		if err != nil || !strings.HasPrefix(line, "$") {
			return nil, err
		}
		size, err := strconv.Atoi(line[1:])
		if err != nil || size < 0 {
			return nil, s.say("-ERR Protocol error: invalid bulk length\r\n")
		}
		b, err := s.take(size + 2)
		if err != nil {
			return nil, err
		}
		words = append(words, string(b[:len(b)-2]))
	}
	return words, nil
}
