// Package deliver brings what is owed to people and machines. It decides
// nothing: the outbox says what goes to whom, once.
package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/vedette-hub/vedette"
)

// Mail sends through one SMTP relay (RFC 5321).
type Mail struct {
	Relay string // host:port
	From  string // address of the hub
	HELO  string // the name it gives itself
	// TLS is "starttls" (required), "tls" (from the first byte) or "none": a
	// relay on the same machine.
	TLS     string
	Timeout time.Duration
	// User and Password, when set, are for a relay that wants to know who sends
	// (RFC 4954); never without TLS.
	User     string
	Password func() ([]byte, error)
	// Dial reaches the relay: the operator's mode of the one dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLSConfig, when set, is whom TLS trusts instead of the system's.
	TLSConfig *tls.Config
}

// Message is one mail in plain text.
type Message struct {
	To, Subject, Text string
	// ID is the same for every try of one message, so that a receiver knows a repeat.
	ID   string
	Date time.Time
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
	host, port, err := net.SplitHostPort(m.Relay)
	if err != nil {
		return vedette.Invalid("mail.relay: %w", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return vedette.Invalid("mail.relay: port %q", port)
	}
	opts := []mail.Option{mail.WithPort(n), mail.WithTimeout(m.Timeout), mail.WithDialContextFunc(m.Dial), mail.WithoutNoop()}
	switch m.TLS {
	case "tls":
		opts = append(opts, mail.WithSSL())
	case "none":
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	default:
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.HELO != "" {
		opts = append(opts, mail.WithHELO(m.HELO))
	}
	if m.User != "" {
		secret, err := m.Password()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrWay, err)
		}
		opts = append(opts, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.User), mail.WithPassword(string(secret)))
	}
	if m.TLSConfig != nil {
		opts = append(opts, mail.WithTLSConfig(m.TLSConfig))
	}
	client, err := mail.NewClient(host, opts...)
	if err != nil {
		return err
	}
	wire, err := m.compose(msg)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForGood, err)
	}
	err = client.DialAndSendWithContext(ctx, wire)
	if wire.IsDelivered() {
		return nil // whatever happened to the good-bye
	}
	return kind(err)
}

// compose writes the message: text alone, marked as written by a machine (RFC 3834 §5).
func (m Mail) compose(msg Message) (*mail.Msg, error) {
	wire := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := wire.From(m.From); err != nil {
		return nil, err
	}
	if err := wire.To(msg.To); err != nil {
		return nil, err
	}
	if strings.ContainsAny(msg.Subject, "\r\n") {
		return nil, vedette.Invalid("a subject of several lines")
	}
	wire.Subject(msg.Subject)
	wire.SetMessageIDWithValue(msg.ID)
	wire.SetDateWithValue(msg.Date)
	wire.SetGenHeader("Auto-Submitted", "auto-generated")
	wire.SetBodyString(mail.TypeTextPlain, msg.Text)
	return wire, nil
}

// kind tells what a failure means by the step of the session it came at. Before
// the message's own recipient is named, it is the relay's.
func kind(err error) error {
	var send *mail.SendError
	if !errors.As(err, &send) {
		return fmt.Errorf("%w: %w", ErrWay, err)
	}
	code := send.ErrorCode()
	text, _, _ := strings.Cut(send.Error(), ", affected ") // whom and which message the outbox knows
	err = errors.New(text)
	switch {
	case send.Reason == mail.ErrConnCheck, send.Reason == mail.ErrSMTPMailFrom && code != tooLarge:
		return fmt.Errorf("%w: %w", ErrWay, err)
	case code >= 500 && code < 600, send.Reason == mail.ErrGetSender, send.Reason == mail.ErrGetRcpts:
		return fmt.Errorf("%w: %w", ErrForGood, err)
	case code == 0 && (send.Reason == mail.ErrSMTPDataClose || send.Reason == mail.ErrWriteContent):
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return err
}

// tooLarge is the reply to a message of a declared size (RFC 1870 §6.1).
const tooLarge = 552
