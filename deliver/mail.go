// Package deliver brings what is owed to people and machines. It decides
// nothing: the outbox says what goes to whom, once.
package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/vedette-hub/vedette"
)

// Mail sends through one SMTP relay (RFC 5321).
type Mail struct {
	Relay string // host:port
	From  string // address of the hub
	HELO  string // the name it gives itself
	// TLS is "starttls" (required), "tls" (from the first byte, RFC 8314) or
	// "none": a relay on the same machine.
	TLS     string
	Timeout time.Duration // of one message, from the connection on
	// User and Password, when set, are for a relay that wants to know who sends
	// (RFC 4954); never without TLS.
	User     string
	Password func() ([]byte, error)
	// Dial reaches the relay: the operator's mode of the one dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLSConfig, when set, is whom TLS trusts instead of the system's.
	TLSConfig *tls.Config
}

// What a failure means; one without is tried again later.
var (
	// ErrForGood marks a failure that no further try will change: the receiver
	// said no to this message (RFC 5321 §4.2.1, replies of 5yz).
	ErrForGood = errors.New("refused for good")
	// ErrUnsure marks a failure after which the message may have arrived.
	ErrUnsure = errors.New("the answer got lost")
	// ErrWay marks a failure of the way there: it says nothing of this message,
	// and the next would meet it as well.
	ErrWay = errors.New("the relay")
)

// Send hands one message to the relay. A nil error says that the relay took it.
func (m Mail) Send(ctx context.Context, msg Message) error {
	wire, err := msg.wire(m.From)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForGood, err)
	}
	ctx, cancel := context.WithTimeout(ctx, m.Timeout)
	defer cancel()
	s, err := m.session(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWay, err)
	}
	defer s.Close()
	s.SkipSMTPUTF8(ascii(m.From + msg.To))
	if err := s.Mail("<" + m.From + ">"); err != nil && reply(err) != tooLarge {
		return fmt.Errorf("%w: %w", ErrWay, err)
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrForGood, err)
	}
	if err := s.Rcpt("<" + msg.To + ">"); err != nil {
		return final(err)
	}
	w, err := s.Data()
	if err != nil {
		return final(err)
	}
	_, err = w.Write(wire)
	if err = errors.Join(err, w.Close()); err != nil && reply(err) == 0 {
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	} else if err != nil {
		return final(err)
	}
	_ = s.Quit() // it took the message: what comes of the good-bye changes nothing
	return nil
}

// tooLarge is the reply to a message of a declared size (RFC 1870 §6.1).
const tooLarge = 552

// session is a connection that may send.
func (m Mail) session(ctx context.Context) (*smtp.Client, error) {
	host, _, err := net.SplitHostPort(m.Relay)
	if err != nil {
		return nil, vedette.Invalid("mail.relay: %w", err)
	}
	conn, err := m.Dial(ctx, "tcp", m.Relay)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() }) // and whatever waits for it returns
	trust := &tls.Config{}
	if m.TLSConfig != nil {
		trust = m.TLSConfig.Clone()
	}
	trust.ServerName = host
	if m.TLS == "tls" {
		conn = tls.Client(conn, trust)
	}
	s, err := smtp.NewClient(conn, host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if err := m.greet(s, trust); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// greet says who we are, under TLS unless the configuration says that there is none.
func (m Mail) greet(s *smtp.Client, trust *tls.Config) error {
	name := m.HELO
	if name == "" {
		name = "localhost"
	}
	if err := s.Hello(name); err != nil {
		return err
	}
	if m.TLS != "tls" && m.TLS != "none" {
		if err := s.StartTLS(trust); err != nil {
			return fmt.Errorf("STARTTLS: %w", err)
		}
	}
	if m.User == "" {
		return nil
	}
	secret, err := m.Password()
	if err != nil {
		return err
	}
	_, offered := s.Extension("AUTH")
	var how smtp.Auth
	switch has := strings.Fields(strings.ToUpper(offered)); {
	case contains(has, "SCRAM-SHA-256"):
		how = smtp.ScramSHA256Auth(m.User, string(secret))
	case contains(has, "PLAIN"):
		how = smtp.PlainAuth("", m.User, string(secret), trust.ServerName, false)
	case contains(has, "LOGIN"):
		how = smtp.LoginAuth(m.User, string(secret), trust.ServerName, false)
	default:
		return vedette.Invalid("it offers %q, and none of SCRAM-SHA-256, PLAIN and LOGIN", offered)
	}
	if _, secure := s.TLSConnectionState(); !secure {
		return vedette.Refused("no password goes out without TLS")
	}
	if err := s.Auth(how); err != nil {
		return fmt.Errorf("authentication: %d", reply(err)) // the rest may repeat what we said
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// reply is the code of an answer, 0 when there was none.
func reply(err error) int {
	var p *textproto.Error
	if errors.As(err, &p) {
		return p.Code
	}
	return 0
}

// final tells a refusal of this message for good from one that may pass.
func final(err error) error {
	if code := reply(err); code >= 500 && code < 600 {
		return fmt.Errorf("%w: %w", ErrForGood, err)
	}
	if errors.Is(err, io.EOF) {
		return errors.New("it hung up")
	}
	return err
}
