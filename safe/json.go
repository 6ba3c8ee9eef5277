package safe

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/vedette-hub/vedette"
)

// ErrCut is wrapped by the error for a JSON text that ends too early.
var ErrCut = errors.New("the JSON text ends too early")

// Element is one value of a JSON text with its place.
type Element struct {
	Raw     []byte // the bytes as they stand; valid until the next is read
	Name    string // of an object's member, "" in an array
	Of      string // the name of the member it is in, "" at the top
	Pointer string // RFC 6901
	Offset  int64  // of the first byte of Raw, after a byte order mark
	// Err is why this element is refused although its end was found; Raw is nil
	// then. Reading goes on unless the caller returns it.
	Err error
}

// JSON reads JSON texts (RFC 8259) and refuses what parsers disagree about:
// duplicate names, also those equal under case folding (reliability.md FC06),
// invalid UTF-8, lone surrogates and NUL; and what costs: depth, huge strings,
// values and objects. It streams: only one element is in memory.
type JSON struct {
	dec  *jsontext.Decoder
	in   *meter
	l    Limits
	scan scanner
}

// NewJSON reads from r. A byte order mark at the beginning is skipped.
func NewJSON(r io.Reader, l Limits) *JSON {
	l = l.filled()
	in := &meter{r: skipBOM(r), what: "a JSON value is larger than " + strconv.Itoa(l.Record) + " bytes"}
	dec := jsontext.NewDecoder(in, jsontext.AllowDuplicateNames(true))
	return &JSON{dec: dec, in: in, l: l, scan: scanner{l: l}}
}

// Checker checks texts that are already in memory, one after the other.
type Checker struct{ j JSON }

// NewChecker checks against the limits.
func NewChecker(l Limits) *Checker {
	l = l.filled()
	return &Checker{JSON{dec: jsontext.NewDecoder(new(bytes.Buffer)), in: &meter{}, l: l, scan: scanner{l: l}}}
}

// Check says whether raw is exactly one JSON text within the limits.
func (c *Checker) Check(raw []byte) error {
	c.j.dec.Reset(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true))
	c.j.in.n = int64(len(raw))
	if _, err := c.j.Value(); err == io.EOF {
		return vedette.Invalid("byte 0: no JSON value")
	} else if err != nil {
		return err
	}
	return c.j.End()
}

// Value reads the next JSON text whole; io.EOF when there is none.
func (j *JSON) Value() (Element, error) {
	e, err := j.value("", "")
	if err == nil {
		err = e.Err
	}
	return e, err
}

// End says whether nothing but white space is left.
func (j *JSON) End() error {
	j.renew()
	off := j.dec.InputOffset()
	_, err := j.dec.ReadToken()
	switch {
	case err == io.EOF:
		return nil
	case j.in.err != nil:
		return j.in.err
	}
	return vedette.Invalid("byte %d: something follows the end of the JSON text", off)
}

// Each reads one JSON text and calls each for every element of the array, or
// member of the object, at path ("" is the document itself, "/a/b" a member,
// "/*" every member); beside, which may be nil, gets the other members of the
// objects on the way.
// Nothing may follow the text.
func (j *JSON) Each(path string, each, beside func(Element) error) error {
	w := walk{JSON: j, each: each, beside: beside}
	if path != "" {
		w.segments = strings.Split(path[1:], "/")
	}
	if err := w.descend("", "", 0); err != nil {
		return err
	}
	if !w.found {
		return vedette.Invalid("the document has no %s", Quote(path))
	}
	return j.End()
}

// walk is one call of Each.
type walk struct {
	*JSON
	segments     []string
	each, beside func(Element) error
	found        bool
}

func (w *walk) descend(pointer, of string, level int) error {
	w.renew()
	here := level == len(w.segments)
	kind := w.dec.PeekKind()
	if kind != '{' && (kind != '[' || !here) {
		if _, err := w.dec.ReadToken(); err != nil {
			return w.fault(pointer, err)
		}
		return vedette.Invalid("%s (byte %d): expected an array or an object", place(pointer), w.dec.InputOffset())
	}
	if _, err := w.dec.ReadToken(); err != nil {
		return w.fault(pointer, err)
	}
	w.found = w.found || here
	if kind == '[' {
		return w.elements(pointer, of)
	}
	return w.members(pointer, of, level)
}

func (w *walk) elements(pointer, of string) error {
	for i := 0; ; i++ {
		w.renew()
		if k := w.dec.PeekKind(); k == ']' || k == 0 {
			_, err := w.dec.ReadToken()
			return w.fault(pointer, err)
		}
		e, err := w.value(pointer+"/"+strconv.Itoa(i), "")
		if err != nil {
			return err
		}
		e.Of = of
		if err := w.each(e); err != nil {
			return err
		}
	}
}

func (w *walk) members(pointer, of string, level int) error {
	here := level == len(w.segments)
	seen := map[string]bool{}
	for {
		w.renew()
		if k := w.dec.PeekKind(); k == '}' || k == 0 {
			_, err := w.dec.ReadToken()
			return w.fault(pointer, err)
		}
		name, err := w.name(pointer, seen)
		if err != nil {
			return err
		}
		if !here && (w.segments[level] == "*" || name == w.segments[level]) {
			if err := w.descend(pointer+"/"+token(name), name, level+1); err != nil {
				return err
			}
			continue
		}
		e, err := w.value(pointer+"/"+token(name), name)
		if err != nil {
			return err
		}
		f := w.beside
		if here {
			f = w.each
		} else if e.Err != nil {
			return e.Err
		}
		if f == nil {
			continue
		}
		e.Of = of
		if err := f(e); err != nil {
			return err
		}
	}
}

func (w *walk) name(pointer string, seen map[string]bool) (string, error) {
	t, err := w.dec.ReadToken()
	if err != nil {
		return "", w.fault(pointer, err)
	}
	name := t.String()
	off := w.dec.InputOffset()
	switch folded := string(fold(nil, []byte(name))); {
	case len(name) > w.l.String:
		return "", vedette.Invalid("%s (byte %d): a name is longer than %d bytes", place(pointer), off, w.l.String)
	case strings.IndexByte(name, 0) >= 0:
		return "", vedette.Invalid("%s (byte %d): NUL in a name", place(pointer), off)
	case seen[folded]:
		return "", vedette.Invalid("%s (byte %d): the name %s stands twice", place(pointer), off, Quote(name))
	case len(seen) >= w.l.Names:
		return "", vedette.Invalid("%s (byte %d): an object has more than %d members", place(pointer), off, w.l.Names)
	default:
		seen[folded] = true
	}
	return name, nil
}

// value reads and checks the next value; io.EOF only at the top.
func (j *JSON) value(pointer, name string) (Element, error) {
	j.renew()
	raw, err := j.dec.ReadValue()
	if err == io.EOF && pointer == "" && j.in.err == nil {
		return Element{}, io.EOF
	}
	if err != nil {
		return Element{}, j.fault(pointer, err)
	}
	e := Element{Raw: raw, Name: name, Pointer: pointer, Offset: j.dec.InputOffset() - int64(len(raw))}
	if at, why := j.scan.check(raw, j.dec.StackDepth()); why != "" {
		e.Raw, e.Err = nil, vedette.Invalid("%s (byte %d): %s", place(pointer), e.Offset+int64(at), why)
	}
	return e, nil
}

// renew allows the next value its share of the input.
func (j *JSON) renew() { j.in.budget = j.dec.InputOffset() + int64(j.l.Record) }

func (j *JSON) fault(pointer string, err error) error {
	if err == nil {
		return nil
	}
	if j.in.err != nil {
		return j.in.err
	}
	off := j.dec.InputOffset()
	if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		return vedette.Invalid("%s (byte %d): %w", place(pointer), j.in.n, ErrCut)
	}
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		off, err = s.ByteOffset, s.Err
	}
	return vedette.Invalid("%s (byte %d): %s", place(pointer), off, strings.TrimPrefix(Reason(err), "jsontext: "))
}

func place(pointer string) string {
	if pointer == "" {
		return "JSON"
	}
	return Label(pointer)
}

// token escapes a name for a pointer (RFC 6901 §3).
func token(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
