package app

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// table is what a list prints: columns for people, rows for programs.
type table struct {
	columns []string
	most    map[string]int // the widest a column gets on a terminal; programs get everything
	cells   [][]string
	rows    []any // the same in JSON, one per line of cells
}

func (t *table) add(row any, cells ...string) {
	t.cells, t.rows = append(t.cells, cells), append(t.rows, row)
}

// print writes the table in the form that -o asks for.
func (r *run) print(t *table) error {
	switch r.Output {
	case "json":
		if t.rows == nil {
			t.rows = []any{}
		}
		return r.json(t.rows)
	case "jsonl":
		enc := json.NewEncoder(r.out)
		enc.SetEscapeHTML(false)
		for _, row := range t.rows {
			if err := enc.Encode(row); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		return writeCSV(r.out, t)
	}
	w := tabwriter.NewWriter(r.out, 0, 8, 2, ' ', 0)
	head := make([]string, len(t.columns))
	for i, c := range t.columns {
		head[i] = strings.ToUpper(c)
	}
	for _, cells := range append([][]string{head}, t.cells...) {
		for i := range cells {
			cells[i] = plain(cells[i])
			if n := t.most[t.columns[i]]; n > 0 {
				cells[i] = short(cells[i], n)
			}
		}
		if _, err := io.WriteString(w, strings.Join(cells, "\t")+"\n"); err != nil {
			return err
		}
	}
	return w.Flush()
}

// json prints one value, indented.
func (r *run) json(v any) error {
	enc := json.NewEncoder(r.out)
	enc.SetEscapeHTML(false)
	if r.Output != "jsonl" {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(v)
}

func writeCSV(w io.Writer, t *table) error {
	c := csv.NewWriter(w)
	for _, cells := range append([][]string{t.columns}, t.cells...) {
		for i := range cells {
			cells[i] = cell(cells[i])
		}
		if err := c.Write(cells); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// cell keeps a spreadsheet from running a cell as a formula (OWASP CSV injection).
func cell(s string) string {
	if s == "" {
		return s
	}
	switch r := []rune(s)[0]; r {
	case '=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠':
		return "'" + s
	}
	return s
}

// plain makes text from outside safe for a terminal: no control character, no
// escape sequence, no bidirectional override reaches it.
func plain(s string) string {
	if !strings.ContainsFunc(s, unsafe) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unsafe(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

func unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
}

// short cuts a text for a column.
func short(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-3]) + "..."
}
