package safe

import (
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vedette-hub/vedette"
)

// XML reads an XML 1.0 document and refuses what costs or reaches out
// (reliability.md FC11): a document type with anything but a name, entities
// other than the five of the standard, depth, many attributes, long names and
// tokens, encodings other than UTF-8, US-ASCII and ISO 8859-1.
type XML struct {
	outer *xml.Decoder // well-formedness, name spaces and unmarshalling
	inner *xml.Decoder // the bytes
	in    *meter
	l     Limits
	depth int
	err   error
}

// NewXML reads from r.
func NewXML(r io.Reader, l Limits) *XML {
	l = l.filled()
	x := &XML{l: l, in: &meter{r: skipBOM(r), what: "an XML token is larger than " + strconv.Itoa(l.Token) + " bytes"}}
	x.inner = xml.NewDecoder(x.in)
	x.inner.CharsetReader = charset
	x.outer = xml.NewTokenDecoder(guarded{x})
	return x
}

// Offset is the number of bytes read up to the end of the last token.
func (x *XML) Offset() int64 { return x.inner.InputOffset() }

// Token is the next token; io.EOF after the root element was closed.
func (x *XML) Token() (xml.Token, error) {
	t, err := x.outer.Token()
	return t, x.fault(err)
}

// Decode unmarshals the element that begins with start into v.
func (x *XML) Decode(v any, start *xml.StartElement) error {
	return x.fault(x.outer.DecodeElement(v, start))
}

// Skip skips to the end of the element that was just begun.
func (x *XML) Skip() error { return x.fault(x.outer.Skip()) }

func (x *XML) fault(err error) error {
	if err == nil {
		return nil
	}
	if err == io.EOF && x.err == nil && x.in.err == nil {
		return io.EOF
	}
	for _, own := range []error{x.err, x.in.err} {
		if own != nil {
			return own
		}
	}
	line, _ := x.inner.InputPos()
	why := Reason(err)
	if s, ok := errors.AsType[*xml.SyntaxError](err); ok {
		why = Reason(errors.New(s.Msg))
	}
	x.err = vedette.Invalid("line %d (byte %d): %s", line, x.inner.InputOffset(), why)
	return x.err
}

// guarded hands the raw tokens on after a look at each.
type guarded struct{ x *XML }

func (g guarded) Token() (xml.Token, error) {
	x := g.x
	// 8 KiB: what the decoder reads ahead
	x.in.budget = x.inner.InputOffset() + int64(x.l.Token) + 8<<10
	t, err := x.inner.RawToken()
	if err != nil {
		return t, err
	}
	if why := x.check(t); why != "" {
		line, _ := x.inner.InputPos()
		x.err = vedette.Invalid("line %d (byte %d): %s", line, x.inner.InputOffset(), why)
		return nil, x.err
	}
	return t, nil
}

func (x *XML) check(t xml.Token) string {
	switch t := t.(type) {
	case xml.StartElement:
		x.depth++
		if x.depth > x.l.Depth {
			return "elements nested deeper than " + strconv.Itoa(x.l.Depth)
		}
		return x.attributes(t)
	case xml.EndElement:
		x.depth--
	case xml.Directive:
		fields := strings.Fields(string(t))
		if len(fields) != 2 || fields[0] != "DOCTYPE" || strings.ContainsAny(fields[1], "[<&%'\"") {
			return "a document type with declarations or an external part is not read"
		}
	case xml.CharData:
		if x.depth == 0 && strings.TrimSpace(string(t)) != "" {
			return "text outside the root element"
		}
	}
	return ""
}

func (x *XML) attributes(t xml.StartElement) string {
	if len(t.Attr) > x.l.Attrs {
		return "an element has more than " + strconv.Itoa(x.l.Attrs) + " attributes"
	}
	if len(t.Name.Space)+len(t.Name.Local) > x.l.Name {
		return "a name is longer than " + strconv.Itoa(x.l.Name) + " bytes"
	}
	for i, a := range t.Attr {
		if len(a.Name.Space)+len(a.Name.Local) > x.l.Name {
			return "a name is longer than " + strconv.Itoa(x.l.Name) + " bytes"
		}
		for _, b := range t.Attr[:i] {
			if a.Name == b.Name {
				return "the attribute " + Quote(a.Name.Local) + " stands twice"
			}
		}
	}
	return ""
}

// charset reads the encodings other than UTF-8 that scanners still declare.
func charset(name string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "us-ascii", "ascii", "utf8":
		return r, nil
	case "iso-8859-1", "latin1", "latin-1":
		return &latin1{r: bufio.NewReader(r)}, nil
	}
	return nil, vedette.Invalid("the encoding %s is not read, save the file as UTF-8", Quote(name))
}

// latin1 turns ISO 8859-1 into UTF-8.
type latin1 struct {
	r    *bufio.Reader
	rest []byte
}

func (l *latin1) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		b, err := l.r.ReadByte()
		if err != nil {
			return 0, err
		}
		l.rest = utf8.AppendRune(nil, rune(b))
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
