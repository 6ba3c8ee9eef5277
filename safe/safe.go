// Package safe is the intake guard in front of every parser (design section
// 5.3): what comes from outside is unpacked, cut and checked here before a
// format looks at it. Limits hold on decompressed bytes, nothing from an
// archive touches the disk, and every refusal is a vedette.ErrInvalid that
// names the place and the reason without echoing the input.
package safe

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vedette-hub/vedette"
)

// Limits bound what one document may cost. A zero field takes its value of Defaults.
type Limits struct {
	Total   int64 // decompressed bytes of one file, all its members together
	Ratio   int64 // decompressed bytes per compressed byte
	Floor   int64 // decompressed bytes below which the ratio is not looked at
	Buffer  int64 // bytes of an archive that has to be held in memory
	Members int   // entries of one file, nested archives included
	Nesting int   // archives within archives
	Depth   int   // nesting of JSON and XML
	Names   int   // members of one JSON object
	Record  int   // bytes of one JSON value
	Token   int   // bytes of one XML token; its attributes take twenty times that
	String  int   // bytes of one JSON string or CSV field
	Line    int   // bytes of one line
	Columns int   // columns of one CSV record
	Attrs   int   // attributes of one XML element
	Name    int   // bytes of one XML name
}

// Defaults are the limits of reliability.md FC11 and FC12, and for the rest
// what the largest real documents need, with room.
var Defaults = Limits{
	Total:   4 << 30,
	Ratio:   100,
	Floor:   8 << 20,
	Buffer:  64 << 20,
	Members: 10_000,
	Nesting: 2,
	Depth:   256,
	Names:   100_000,
	Record:  16 << 20,
	Token:   2 << 20,
	String:  4 << 20,
	Line:    16 << 20,
	Columns: 1_000,
	Attrs:   256,
	Name:    1 << 10,
}

func or[T int | int64](a, b T) T {
	if a == 0 {
		return b
	}
	return a
}

func (l Limits) filled() Limits {
	d := Defaults
	return Limits{
		Total: or(l.Total, d.Total), Ratio: or(l.Ratio, d.Ratio), Floor: or(l.Floor, d.Floor),
		Buffer: or(l.Buffer, d.Buffer), Members: or(l.Members, d.Members), Nesting: or(l.Nesting, d.Nesting),
		Depth: or(l.Depth, d.Depth), Names: or(l.Names, d.Names), Record: or(l.Record, d.Record), Token: or(l.Token, d.Token),
		String: or(l.String, d.String), Line: or(l.Line, d.Line), Columns: or(l.Columns, d.Columns),
		Attrs: or(l.Attrs, d.Attrs), Name: or(l.Name, d.Name),
	}
}

// Quote shows input in a message: quoted, at most 80 bytes of it, no control
// or direction character as itself.
func Quote[T string | []byte](s T) string {
	if len(s) <= 80 {
		return strconv.Quote(string(s))
	}
	n := 80
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strconv.Quote(string(s[:n])) + "..."
}

// Label makes a name from outside fit for a line of output: what cannot be
// printed is replaced, and at most 200 bytes are kept. It is never a path.
func Label(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if len(s) <= 200 {
		return s
	}
	n := 200
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// Reason turns an error of a parser into one line fit for a message: what the
// parser echoes of the input is cut and cleaned.
func Reason(err error) string {
	s := Label(err.Error())
	if len(s) > 120 {
		n := 120
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "..."
	}
	return s
}

// meter hands out at most budget bytes until the budget is renewed, so that a
// parser that buffers one token cannot be made to buffer without end.
type meter struct {
	r      io.Reader
	n      int64 // bytes handed out
	budget int64 // n may not pass it
	what   string
	err    error // what the reader or the budget said, io.EOF apart
}

func (m *meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if m.n >= m.budget {
		m.err = vedette.Invalid("byte %d: %s", m.n, m.what)
		return 0, m.err
	}
	if left := m.budget - m.n; int64(len(p)) > left {
		p = p[:left]
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		m.err = err
	}
	return n, err
}

// skipBOM drops a UTF-8 byte order mark at the beginning.
func skipBOM(r io.Reader) io.Reader {
	var head [3]byte
	n, err := io.ReadFull(r, head[:])
	rest := head[:n]
	if string(rest) == "\xef\xbb\xbf" {
		rest = nil
	}
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return io.MultiReader(strings.NewReader(string(rest)), failing{err})
	}
	return io.MultiReader(strings.NewReader(string(rest)), r)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
