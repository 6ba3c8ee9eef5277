package deliver

import (
	"bytes"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// Message is one mail. Its content is Text, or Sealed when that is set.
type Message struct {
	To, Subject, Text string
	// ID is the same for every try of one message, so that a receiver knows a repeat.
	ID     string
	Date   time.Time
	Sealed *Sealed
}

// wire writes the message (RFC 5322), marked as written by a machine (RFC 3834
// §5). No header takes a line break: values are refused or encoded (RFC 2047).
func (m Message) wire(from string) ([]byte, error) {
	var b bytes.Buffer
	for _, a := range []string{from, m.To} {
		if p, err := mail.ParseAddress(a); err != nil || p.Address != a || strings.ContainsAny(a, "\r\n<>") {
			return nil, vedette.Invalid("%q is no mail address", a)
		}
	}
	if strings.ContainsAny(m.Subject+m.ID, "\r\n") {
		return nil, vedette.Invalid("a header of several lines")
	}
	for _, h := range [][2]string{{"From", "<" + from + ">"}, {"To", "<" + m.To + ">"}, {"Subject", mime.QEncoding.Encode("utf-8", m.Subject)}, {"Date", m.Date.Format(time.RFC1123Z)},
		{"Message-ID", "<" + m.ID + ">"}, {"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"}} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if m.Sealed != nil {
		m.Sealed.write(&b, m.ID)
	} else {
		b.Write(entity(m.Text))
	}
	return b.Bytes(), nil
}

// entity is a text as a MIME entity (RFC 2045): as it is when it can be, so that
// no link is cut in two, else quoted-printable.
func entity(text string) []byte {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	how, plain := "7bit", ascii(text)
	for line := range strings.SplitSeq(text, "\r\n") {
		plain = plain && len(line) < 990 // RFC 5322 §2.1.1
	}
	var b bytes.Buffer
	if !plain {
		how = "quoted-printable"
	}
	fmt.Fprintf(&b, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n", how)
	if plain {
		b.WriteString(text)
		return b.Bytes()
	}
	q := quotedprintable.NewWriter(&b)
	_, _ = q.Write([]byte(text)) // into memory
	_ = q.Close()
	return b.Bytes()
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7e || r < ' ' && r != '\r' && r != '\n' && r != '\t' }) < 0
}
