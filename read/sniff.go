package read

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// shape is what the first bytes of a document tell: for JSON the names of its
// outermost object (of the first element, when it is an array) and of the
// first object within each, for a table the columns.
type shape struct {
	kind    byte // '{', '[' for JSON, '<' for XML, ',' for a table, 't' for other text, 0 for binary
	names   map[string]bool
	text    map[string]string          // values of names that hold a short string
	inner   map[string]map[string]bool // names of the first object below each name
	columns []string
}

func (s shape) has(names ...string) bool {
	for _, n := range names {
		if !s.names[n] {
			return false
		}
	}
	return true
}

// shapeOf looks at up to 64 KiB; a document that was cut is no error.
func shapeOf(head []byte) shape {
	s := shape{kind: kindOf(head)}
	switch s.kind {
	case '{', '[':
		s.names, s.text, s.inner = map[string]bool{}, map[string]string{}, map[string]map[string]bool{}
		s.json(jsontext.NewDecoder(bytes.NewReader(bytes.TrimPrefix(head, bom)), jsontext.AllowDuplicateNames(true)))
	case ',':
		line := firstLine(head)
		s.columns = headerOf(string(line), separator(line))
	}
	return s
}

var bom = []byte("\xef\xbb\xbf")

// kindOf is the kind of a shape, without the cost of reading it.
func kindOf(head []byte) byte {
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(head, bom), " \t\r\n")
	switch {
	case len(trimmed) == 0 || bytes.IndexByte(head, 0) >= 0:
		return 0
	case trimmed[0] == '{' || trimmed[0] == '[' || trimmed[0] == '<':
		return trimmed[0]
	}
	line := firstLine(head)
	if len(line) > 0 && line[0] != '#' && bytes.ContainsAny(line, ",;\t") && len(line) < 4<<10 {
		return ','
	}
	return 't'
}

func firstLine(head []byte) []byte {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(head, bom), []byte("\n"))
	return bytes.TrimRight(line, "\r")
}

// jsonWith is the shape of a JSON document that mentions one of the names; of
// any other the zero shape, without reading it.
func jsonWith(head []byte, names ...string) shape {
	if k := kindOf(head); k != '{' && k != '[' {
		return shape{}
	}
	for _, n := range names {
		if bytes.Contains(head, []byte(`"`+n+`"`)) {
			return shapeOf(head)
		}
	}
	return shape{}
}

// separator is the one of ",", ";" and tab that a header line uses.
func separator(header []byte) byte {
	best := byte(',')
	for _, c := range []byte{';', '\t'} {
		if bytes.Count(header, []byte{c}) > bytes.Count(header, []byte{best}) {
			best = c
		}
	}
	return best
}

// headerOf splits a header line into names as they are compared.
func headerOf(line string, comma byte) []string {
	names := strings.Split(line, string(comma))
	for i, n := range names {
		names[i] = strings.ToLower(strings.Trim(strings.TrimSpace(n), `"`))
	}
	return names
}

func (s shape) json(d *jsontext.Decoder) {
	if s.kind == '[' {
		d.ReadToken()
	}
	if d.PeekKind() != '{' {
		return
	}
	d.ReadToken()
	for {
		t, err := d.ReadToken()
		if err != nil || t.Kind() != '"' {
			return
		}
		name := t.String()
		s.names[name] = true
		switch d.PeekKind() {
		case '"':
			if t, err = d.ReadToken(); err != nil {
				return
			}
			if v := t.String(); len(v) < 200 {
				s.text[name] = v
			}
		case '{', '[':
			depth := d.StackDepth()
			s.inner[name] = firstObject(d)
			for d.StackDepth() > depth {
				if _, err := d.ReadToken(); err != nil {
					return
				}
			}
		default:
			if d.SkipValue() != nil {
				return
			}
		}
	}
}

// firstObject reads into an array or object up to the end of the first object
// and returns its names; those of the objects in it are joined by "/".
func firstObject(d *jsontext.Decoder) map[string]bool {
	names := map[string]bool{}
	for d.PeekKind() == '[' {
		d.ReadToken()
	}
	if d.PeekKind() != '{' {
		return names
	}
	collect(d, "", 3, names)
	return names
}

func collect(d *jsontext.Decoder, prefix string, levels int, names map[string]bool) bool {
	d.ReadToken()
	for {
		t, err := d.ReadToken()
		if err != nil || t.Kind() != '"' {
			return err == nil
		}
		name := prefix + t.String()
		names[name] = true
		if levels > 1 && d.PeekKind() == '{' {
			if !collect(d, name+"/", levels-1, names) {
				return false
			}
			continue
		}
		if d.SkipValue() != nil {
			return false
		}
	}
}
