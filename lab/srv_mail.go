package lab

import (
	"bufio"
	"io"
	"strings"
)

// startTLS ends the clear part of a conversation after the answer to the
// command: what the client sent ahead of it is thrown away (RFC 3207 §6).
func (s *session) startTLS(format string, a ...any) bool {
	if s.say(format, a...) != nil {
		return false
	}
	s.r = bufio.NewReaderSize(s.Conn, 4096)
	return s.secure() == nil
}

// maxCommands bounds a conversation.
const maxCommands = 200

// serveSMTP is a mail exchanger that relays nothing (RFC 5321, RFC 3207).
func serveSMTP(s *session) {
	host := s.live.host.name()
	if s.live.svc.Greeting != "" {
		host = s.live.svc.Greeting
	}
	if s.say("220 %s ESMTP %s\r\n", host, s.shown()) != nil {
		return
	}
	from := false
	for range maxCommands {
		verb, rest, err := s.command()
		if err != nil {
			return
		}
		switch verb {
		case "EHLO":
			s.say("250-%s\r\n250-PIPELINING\r\n250-SIZE 10485760\r\n", host)
			if s.canTLS() {
				s.say("250-STARTTLS\r\n")
			}
			err = s.say("250 8BITMIME\r\n")
		case "HELO":
			err = s.say("250 %s\r\n", host)
		case "STARTTLS":
			if !s.canTLS() {
				err = s.say("502 5.5.1 STARTTLS not offered\r\n")
			} else if !s.startTLS("220 2.0.0 Ready to start TLS\r\n") {
				return
			}
		case "MAIL":
			from = strings.HasPrefix(strings.ToUpper(rest), "FROM:")
			err = s.say("250 2.1.0 Ok\r\n")
		case "RCPT":
			if from {
				err = s.say("554 5.7.1 Relay access denied\r\n")
			} else {
				err = s.say("503 5.5.1 Need MAIL command\r\n")
			}
		case "DATA":
			err = s.say("503 5.5.1 Need RCPT command\r\n")
		case "RSET", "NOOP":
			err = s.say("250 2.0.0 Ok\r\n")
		case "VRFY":
			err = s.say("252 2.0.0 Send some mail, I will try my best\r\n")
		case "HELP":
			err = s.say("214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP QUIT\r\n")
		case "QUIT":
			s.say("221 2.0.0 Bye\r\n")
			return
		default:
			err = s.say("502 5.5.2 Error: command not recognized\r\n")
		}
		if err != nil {
			return
		}
	}
}

// serveIMAP greets and refuses every login (RFC 9051, RFC 2595).
func serveIMAP(s *session) {
	can := func() string {
		c := "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+"
		if s.canTLS() {
			return c + " STARTTLS LOGINDISABLED"
		}
		return c + " AUTH=PLAIN"
	}
	if s.say("* OK [CAPABILITY %s] %s ready.\r\n", can(), s.shown()) != nil {
		return
	}
	for range maxCommands {
		line, err := s.line()
		if err != nil {
			return
		}
		tag, rest, _ := strings.Cut(line, " ")
		verb, _, _ := strings.Cut(strings.ToUpper(rest), " ")
		switch verb {
		case "CAPABILITY":
			err = s.say("* CAPABILITY %s\r\n%s OK Capability completed.\r\n", can(), tag)
		case "NOOP":
			err = s.say("%s OK NOOP completed.\r\n", tag)
		case "ID": // RFC 2971
			err = s.say("* ID (\"name\" %q)\r\n%s OK ID completed.\r\n", s.live.svc.Software.Product, tag)
		case "STARTTLS":
			if !s.canTLS() {
				err = s.say("%s BAD TLS support isn't enabled.\r\n", tag)
			} else if !s.startTLS("%s OK Begin TLS negotiation now.\r\n", tag) {
				return
			}
		case "LOGIN", "AUTHENTICATE":
			err = s.say("%s NO [AUTHENTICATIONFAILED] Authentication failed.\r\n", tag)
		case "LOGOUT":
			s.say("* BYE Logging out\r\n%s OK Logout completed.\r\n", tag)
			return
		default:
			err = s.say("%s BAD Error in IMAP command received by server.\r\n", tag)
		}
		if err != nil {
			return
		}
	}
}

// servePOP3 greets and refuses every login (RFC 1939, RFC 2449, RFC 2595).
func servePOP3(s *session) {
	if s.say("+OK %s ready.\r\n", s.shown()) != nil {
		return
	}
	for range maxCommands {
		verb, _, err := s.command()
		if err != nil {
			return
		}
		switch verb {
		case "CAPA":
			s.say("+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\n")
			if s.canTLS() {
				s.say("STLS\r\n")
			}
			err = s.say("USER\r\n.\r\n")
		case "STLS":
			if !s.canTLS() {
				err = s.say("-ERR TLS support isn't enabled.\r\n")
			} else if !s.startTLS("+OK Begin TLS negotiation now.\r\n") {
				return
			}
		case "USER":
			err = s.say("+OK\r\n")
		case "PASS", "APOP", "AUTH":
			err = s.say("-ERR [AUTH] Authentication failed.\r\n")
		case "QUIT":
			s.say("+OK Logging out\r\n")
			return
		default:
			err = s.say("-ERR Unknown command.\r\n")
		}
		if err != nil {
			return
		}
	}
}

// serveFTP greets and refuses every login (RFC 959, RFC 2389, RFC 4217).
func serveFTP(s *session) {
	if s.say("220 %s\r\n", s.shown()) != nil {
		return
	}
	for range maxCommands {
		verb, rest, err := s.command()
		if err != nil {
			return
		}
		switch verb {
		case "USER":
			err = s.say("331 Please specify the password.\r\n")
		case "PASS":
			err = s.say("530 Login incorrect.\r\n")
		case "FEAT":
			s.say("211-Features:\r\n")
			if s.canTLS() {
				s.say(" AUTH TLS\r\n PBSZ\r\n PROT\r\n")
			}
			err = s.say(" PASV\r\n SIZE\r\n UTF8\r\n211 End\r\n")
		case "AUTH":
			if !s.canTLS() || strings.ToUpper(rest) != "TLS" {
				err = s.say("530 Please login with USER and PASS.\r\n")
			} else if !s.startTLS("234 Proceed with negotiation.\r\n") {
				return
			}
		case "QUIT":
			s.say("221 Goodbye.\r\n")
			return
		default:
			err = s.say("530 Please login with USER and PASS.\r\n")
		}
		if err != nil {
			return
		}
	}
}

// serveTelnet negotiates a terminal and asks for a name (RFC 854, RFC 857, RFC 858).
func serveTelnet(s *session) {
	const iac, will, do, echo, goAhead, naws = 255, 251, 253, 1, 3, 31
	if _, err := s.Write([]byte{iac, do, naws, iac, will, echo, iac, will, goAhead}); err != nil {
		return
	}
	if s.say("\r\n%s\r\n%s login: ", s.shown(), strings.SplitN(s.live.host.name(), ".", 2)[0]) != nil {
		return
	}
	for range 3 {
		for _, ask := range []string{"Password: ", "\r\nLogin incorrect\r\nlogin: "} {
			if _, err := s.line(); err != nil || s.say("%s", ask) != nil {
				return
			}
		}
	}
}

// drain reads what the client still has to say, so that closing does not reset.
func (s *session) drain() { io.Copy(io.Discard, io.LimitReader(s.r, 1<<14)) }
