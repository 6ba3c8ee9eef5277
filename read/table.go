package read

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// table is a CSV document with a header. Columns are found by name, in any
// order and letter case.
type table struct {
	csv   *safe.CSV
	names []string
	index map[string]int
}

// openTable reads the header. comma 0 takes the separator the header uses.
func openTable(r io.Reader, comma byte) (*table, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	if comma == 0 {
		head, err := b.Peek(4 << 10)
		if err != nil && err != io.EOF {
			return nil, err
		}
		line, _, _ := bytes.Cut(head, []byte("\n"))
		comma = separator(line)
	}
	t := &table{csv: safe.NewCSV(b, comma, safe.Limits{}), index: map[string]int{}}
	header, err := t.csv.Next()
	if err == io.EOF {
		return nil, vedette.Invalid("line 1: no header")
	}
	if err != nil {
		return nil, err
	}
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := t.index[name]; twice {
			return nil, vedette.Invalid("line 1: the column %s stands twice", safe.Quote(name))
		}
		t.index[name] = i
		t.names = append(t.names, name)
	}
	return t, nil
}

// require refuses a table that lacks a column.
func (t *table) require(names ...string) error {
	for _, n := range names {
		if _, ok := t.index[n]; !ok {
			return vedette.Invalid("line 1: no column %q", n)
		}
	}
	return nil
}

// only refuses a table with a column other than these.
func (t *table) only(names ...string) error {
	for _, n := range t.names {
		if !slices.Contains(names, n) {
			return vedette.Invalid("line 1: unknown column %s; the columns are %s", safe.Quote(n), strings.Join(names, ", "))
		}
	}
	return nil
}

// get is the field of a row by its column, "" when the table has none.
func (t *table) get(row []string, name string) string {
	i, ok := t.index[name]
	if !ok {
		return ""
	}
	return cell(row[i])
}

// cell undoes what spreadsheets add to text that looks like a formula.
func cell(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 1 && s[0] == '\'' && strings.IndexByte("=+-@\t\r", s[1]) >= 0 {
		s = s[1:]
	}
	return s
}

// rowError is a row that cannot be read, while the next can.
type rowError struct {
	where string
	err   error
}

func (e rowError) Error() string { return e.where + ": " + e.err.Error() }
func (e rowError) Unwrap() error { return e.err }

// next is the next row with its place; a rowError is of this row alone.
func (t *table) next() (where string, row []string, err error) {
	row, err = t.csv.Next()
	if err == io.EOF {
		return "", nil, io.EOF
	}
	where = "line " + strconv.Itoa(t.csv.Line())
	var bad safe.RecordError
	switch {
	case errors.As(err, &bad):
		return where, nil, rowError{where, bad}
	case err != nil:
		return where, nil, err
	case len(row) != len(t.names):
		return where, nil, rowError{where, vedette.Invalid("%s: %d columns where the header has %d", where, len(row), len(t.names))}
	}
	return where, row, nil
}

// each calls f for every row of a table that is taken whole: the first bad row
// is the error, and the last line must have an end.
func (t *table) each(f func(where string, row []string) error) error {
	for n := 0; ; n++ {
		where, row, err := t.next()
		switch {
		case err == io.EOF && t.csv.Cut():
			return vedette.Invalid("line 1: %w", errCut)
		case err == io.EOF && n == 0:
			return vedette.Invalid("line 1: no row follows the header")
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if t.csv.Cut() {
			return vedette.Invalid("%s: %w", where, errCut)
		}
		if err := f(where, row); err != nil {
			return err
		}
	}
}

// errCut is said of a whole table without a final line end.
var errCut = errors.New("the last line has no line end: the file may have lost its rest")

// hasColumns says whether the first line of a table names all these columns.
func hasColumns(head []byte, names ...string) bool {
	if kindOf(head) != ',' {
		return false
	}
	columns := shapeOf(head).columns
	for _, n := range names {
		if !slices.Contains(columns, n) {
			return false
		}
	}
	return true
}
