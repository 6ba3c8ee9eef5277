package safe

import (
	"bytes"
	"io"
	"unicode/utf8"

	"github.com/vedette-hub/vedette"
)

// CSV reads comma-separated values (RFC 4180) strictly: UTF-8, bounded fields
// and columns, no NUL, quotes only around whole fields, and an unclosed quote
// ends at the size limit with the line it opened on.
type CSV struct {
	lines *Lines
	l     Limits
	comma byte
	line  int      // where the record begins
	row   []byte   // the fields of the record, one after the other
	ends  []int    // where each ends
	out   []string // what Next returned
}

// NewCSV reads records separated by comma, ',' as a rule.
func NewCSV(r io.Reader, comma byte, l Limits) *CSV {
	l = l.filled()
	return &CSV{lines: NewLines(r, l), l: l, comma: comma}
}

// Line is the line the last record began on.
func (c *CSV) Line() int { return c.line }

// Cut says whether the last record had no line end: the file may have lost its rest.
func (c *CSV) Cut() bool { return c.lines.Cut() }

// RecordError is said of one record; reading can go on with the next.
type RecordError struct{ err error }

func (e RecordError) Error() string { return e.err.Error() }

// Unwrap is the vedette.ErrInvalid with the reason.
func (e RecordError) Unwrap() error { return e.err }

// Next is the next record; empty lines are skipped; io.EOF after the last.
// A RecordError is of this record alone.
func (c *CSV) Next() ([]string, error) {
	for {
		line, err := c.lines.Next()
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			continue
		}
		c.line = c.lines.Line()
		c.row, c.ends, c.out = c.row[:0], c.ends[:0], c.out[:0]
		if err := c.record(line); err != nil {
			return nil, err
		}
		all := string(c.row)
		from := 0
		for _, end := range c.ends {
			c.out = append(c.out, all[from:end])
			from = end
		}
		return c.out, nil
	}
}

func (c *CSV) record(line []byte) error {
	for {
		rest, more, err := c.field(line)
		if err != nil {
			return err
		}
		c.ends = append(c.ends, len(c.row))
		if len(c.ends) > c.l.Columns {
			return c.bad("more than %d columns", c.l.Columns)
		}
		if !more {
			break
		}
		line = rest
	}
	if !utf8.Valid(c.row) {
		return c.bad("not valid UTF-8")
	}
	if bytes.IndexByte(c.row, 0) >= 0 {
		return c.bad("NUL in a field")
	}
	return nil
}

func (c *CSV) bad(format string, a ...any) error {
	return RecordError{vedette.Invalid("line %d: "+format, append([]any{c.line}, a...)...)}
}

// field appends one field to the row and returns what follows its comma.
func (c *CSV) field(line []byte) (rest []byte, more bool, err error) {
	if len(line) > 0 && line[0] == '"' {
		return c.quoted(line[1:])
	}
	raw := line
	if i := bytes.IndexByte(line, c.comma); i >= 0 {
		raw, rest, more = line[:i], line[i+1:], true
	}
	if bytes.IndexByte(raw, '"') >= 0 {
		return nil, false, c.bad("column %d: a quote inside a field that does not begin with one", len(c.ends)+1)
	}
	if len(raw) > c.l.String {
		return nil, false, c.bad("column %d: longer than %d bytes", len(c.ends)+1, c.l.String)
	}
	c.row = append(c.row, raw...)
	return rest, more, nil
}

func (c *CSV) quoted(line []byte) (rest []byte, more bool, err error) {
	start := len(c.row)
	for {
		i := bytes.IndexByte(line, '"')
		if i < 0 {
			c.row = append(append(c.row, line...), '\n')
			if len(c.row)-start > c.l.String {
				return nil, false, vedette.Invalid("line %d: column %d: no closing quote within %d bytes", c.line, len(c.ends)+1, c.l.String)
			}
			line, err = c.lines.Next()
			if err == io.EOF {
				return nil, false, vedette.Invalid("line %d: column %d: the file ends within quotes", c.line, len(c.ends)+1)
			}
			if err != nil {
				return nil, false, err
			}
			continue
		}
		c.row = append(c.row, line[:i]...)
		line = line[i+1:]
		switch {
		case len(c.row)-start > c.l.String:
			return nil, false, c.bad("column %d: longer than %d bytes", len(c.ends)+1, c.l.String)
		case len(line) == 0:
			return nil, false, nil
		case line[0] == '"':
			c.row = append(c.row, '"')
			line = line[1:]
		case line[0] == c.comma:
			return line[1:], true, nil
		default:
			return nil, false, c.bad("column %d: something follows the closing quote", len(c.ends)+1)
		}
	}
}
