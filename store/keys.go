package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/vedette-hub/vedette"
)

// forget empties the caches of interned rows. Interned rows never change, so a
// cache is wrong only after a restore.
func (s *Store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.terms, s.termText = map[string]int64{}, map[int64]string{}
	s.marks, s.markOf = map[vedette.Marking]int64{}, map[int64]vedette.Marking{}
	s.names = map[vedette.ProductName]int64{}
	s.sets = map[int64][]int64{}
}

// reserve takes n keys of a sequence and returns the first. The row lock on
// the sequence makes writers of one table take turns on PostgreSQL.
func (t *tx) reserve(seq string, n int) (int64, error) {
	var next int64
	ok, err := one(t, "update seqs set next = next + ? where name = ? returning next", []any{n, seq}, &next)
	if err != nil {
		return 0, err
	}
	if !ok {
		if _, err := t.exec("insert into seqs(name, next) values (?, 1) on conflict do nothing", seq); err != nil {
			return 0, err
		}
		return t.reserve(seq, n)
	}
	return next - int64(n), nil
}

// term interns a text that repeats: a type, a relation, a check, a format.
func (t *tx) term(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	s := t.Store
	return t.cached(text, func() (int64, bool) { k, ok := s.terms[text]; return k, ok },
		func() (int64, error) { return t.intern("terms", "text", []any{text}) },
		func(k int64) { s.terms[text], s.termText[k] = k, text })
}

// cached finds a key in the transaction's own cache or the store's, else makes
// it; the store learns it once the transaction is kept. The caller's lookups
// and keep run under the store's lock.
func (t *tx) cached(key any, lookup func() (int64, bool), make func() (int64, error), keep func(int64)) (int64, error) {
	if k, ok := t.local[key]; ok {
		return k, nil
	}
	t.mu.Lock()
	k, ok := lookup()
	t.mu.Unlock()
	if ok {
		return k, nil
	}
	k, err := make()
	if err != nil {
		return 0, err
	}
	t.local[key] = k
	t.after = append(t.after, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		keep(k)
	})
	return k, nil
}

// learn caches a term that was read; one read inside a transaction may yet be
// undone, so others learn it once that is kept.
func (s *Store) learn(q querier, k int64, text string) {
	keep := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.terms[text], s.termText[k] = k, text
	}
	switch q := q.(type) {
	case *tx:
		q.texts[k] = text
		q.after = append(q.after, keep)
	case reader:
		keep()
	}
}

// intern gives the key of a row of a table of distinct values.
func (t *tx) intern(table, columns string, values []any) (int64, error) {
	cols := strings.Split(columns, ", ")
	find := "select k from " + table + " where " + strings.Join(cols, " = ? and ") + " = ?"
	var k int64
	if ok, err := one(t, find, values, &k); err != nil || ok {
		return k, err
	}
	k, err := t.key(table)
	if err != nil {
		return 0, err
	}
	q := "insert into " + table + "(k, " + columns + ") values (?" + strings.Repeat(", ?", len(cols)) + ") on conflict do nothing"
	n, err := t.exec(q, append([]any{k}, values...)...)
	if err != nil || n == 1 {
		return k, err
	}
	// another process was first
	_, err = one(t, find, values, &k)
	return k, err
}

// spare are keys of a sequence that the transaction holds.
type spare struct{ next, end int64 }

// spareKeys is how many keys are reserved at once for rows that come one by one.
const spareKeys = 64

// key takes one key of a sequence. What is left of a reservation is a gap.
func (t *tx) key(seq string) (int64, error) {
	s := t.spare[seq]
	if s.next == s.end {
		n := spareKeys
		if seq == "markings" { // their room in a head's key is small: no gaps
			n = 1
		}
		first, err := t.reserve(seq, n)
		if err != nil {
			return 0, err
		}
		s = spare{first, first + int64(n)}
	}
	t.spare[seq] = spare{s.next + 1, s.end}
	return s.next, nil
}

// text is the term of a key; loads it when another process made it.
func (s *Store) text(q querier, k int64) (string, error) {
	if k == 0 {
		return "", nil
	}
	s.mu.Lock()
	text, ok := s.termText[k]
	s.mu.Unlock()
	if t, in := q.(*tx); in && !ok {
		text, ok = t.texts[k]
	}
	if ok {
		return text, nil
	}
	found, err := one(q, "select text from terms where k = ?", []any{k}, &text)
	if err == nil && found {
		s.learn(q, k, text)
	}
	return text, err
}

// termKey is the key of a term that may not exist: -1 then, which no row has.
func (s *Store) termKey(q querier, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	s.mu.Lock()
	k, ok := s.terms[text]
	s.mu.Unlock()
	if ok {
		return k, nil
	}
	k = -1
	found, err := one(q, "select k from terms where text = ?", []any{text}, &k)
	if err == nil && found {
		s.learn(q, k, text)
	}
	return k, err
}

// maxMarkings is the room for the marking in the key of a head.
const maxMarkings = 1 << 16

// mark interns a marking.
func (t *tx) mark(m vedette.Marking) (int64, error) {
	if m.TLP == vedette.TLPNone {
		return 0, vedette.Invalid("a row without a marking: its source has no default")
	}
	s := t.Store
	return t.cached(m, func() (int64, bool) { k, ok := s.marks[m]; return k, ok }, func() (int64, error) {
		k, err := t.intern("markings", "tlp, pap, originator, audience", []any{int64(m.TLP), int64(m.PAP), m.Originator, string(m.Audience)})
		if err == nil && k >= maxMarkings {
			err = vedette.Invalid("more than %d different markings", maxMarkings)
		}
		return k, err
	}, func(k int64) { s.marks[m], s.markOf[k] = k, m })
}

// markings are all distinct markings there are.
func (s *Store) markings(ctx context.Context) (map[int64]vedette.Marking, error) {
	var n int
	s.mu.Lock()
	have := len(s.markOf)
	s.mu.Unlock()
	if _, err := one(reader{s, ctx}, "select count(*) from markings", nil, &n); err != nil {
		return nil, err
	}
	if n != have {
		if err := s.loadMarkings(ctx); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[int64]vedette.Marking, len(s.markOf))
	for k, m := range s.markOf {
		out[k] = m
	}
	return out, nil
}

func (s *Store) loadMarkings(ctx context.Context) error {
	all, err := s.allMarkings(reader{s, ctx})
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, m := range all {
		s.marks[m], s.markOf[k] = k, m
	}
	return err
}

func (s *Store) allMarkings(q querier) (map[int64]vedette.Marking, error) {
	out := map[int64]vedette.Marking{}
	err := q.each("select k, tlp, pap, originator, audience from markings", nil, func(scan func(...any) error) error {
		var k, tlp, pap int64
		var m vedette.Marking
		var audience string
		err := scan(&k, &tlp, &pap, &m.Originator, &audience)
		m.TLP, m.PAP, m.Audience = vedette.TLP(tlp), vedette.PAP(pap), vedette.Audience(audience)
		out[k] = m
		return err
	})
	return out, err
}

// marking is the marking of a key, for rows already read.
func (s *Store) marking(q querier, k int64) (vedette.Marking, error) {
	s.mu.Lock()
	m, ok := s.markOf[k]
	s.mu.Unlock()
	if ok {
		return m, nil
	}
	var tlp, pap int64
	var audience string
	found, err := one(q, "select tlp, pap, originator, audience from markings where k = ?", []any{k}, &tlp, &pap, &m.Originator, &audience)
	if err == nil && !found {
		return m, fmt.Errorf("no marking has the key %d", k)
	}
	m.TLP, m.PAP, m.Audience = vedette.TLP(tlp), vedette.PAP(pap), vedette.Audience(audience)
	return m, err
}

// name interns a normalised product name.
func (t *tx) name(n vedette.ProductName) (int64, error) {
	s := t.Store
	return t.cached(n, func() (int64, bool) { k, ok := s.names[n]; return k, ok },
		func() (int64, error) {
			return t.intern("names", "scheme, vendor, product", []any{n.Scheme, clean(n.Vendor), clean(n.Product)})
		},
		func(k int64) { s.names[n] = k })
}

// bulk writes many rows of one table with one statement.
type bulk struct {
	t      *tx
	head   string // insert into ... values
	row    string // (?, ?, ...)
	tail   string // on conflict ...
	width  int
	args   []any
	rows   int
	wrote  int64
	filled string // the statement of a full batch
}

// bulk begins rows of the columns; a value of the row is `?` unless given.
func (t *tx) bulk(table, columns, tail string, values ...string) *bulk {
	n := strings.Count(columns, ",") + 1
	row := "(" + strings.Repeat("?, ", n-1) + "?)"
	if len(values) > 0 {
		row = "(" + strings.Join(values, ", ") + ")"
	}
	b := &bulk{t: t, head: "insert into " + table + "(" + columns + ") values ", row: row, tail: tail, width: n}
	return b
}

func (b *bulk) text(rows int) string {
	return b.head + strings.Repeat(b.row+", ", rows-1) + b.row + b.tail
}

func (b *bulk) add(values ...any) error {
	b.args = append(b.args, values...)
	return b.added()
}

// added counts a row whose values are in args, and writes when it is one of many.
func (b *bulk) added() error {
	b.rows++
	if b.rows < b.t.d.bulkRows {
		return nil
	}
	if b.filled == "" {
		b.filled = b.text(b.t.d.bulkRows)
	}
	n, err := b.t.exec(b.filled, b.args...)
	b.args, b.rows = b.args[:0], 0
	b.wrote += n
	return err
}

// rest writes rows that were put straight into args, however many they are.
func (b *bulk) rest() error {
	args, rows := b.args, b.rows
	b.args, b.rows = nil, 0
	for i := range rows {
		if err := b.add(args[i*b.width : (i+1)*b.width]...); err != nil {
			return err
		}
	}
	return b.flush()
}

func (b *bulk) flush() error {
	if b.rows == 0 {
		return nil
	}
	run := b.t.once
	if b.rows <= 2 { // small documents come by thousands
		run = b.t.exec
	}
	n, err := run(b.text(b.rows), b.args...)
	b.args, b.rows = b.args[:0], 0
	b.wrote += n
	return err
}

// numbers writes many rows of one table whose columns are all integers. Where
// the engine takes arrays, a statement has one parameter for each column: a
// parameter for each value costs it nearly as much as the row.
type numbers struct {
	rows    *bulk // without arrays
	t       *tx
	text    string
	columns [][]int64
	wrote   int64
}

func (t *tx) numbers(table, columns, tail string) *numbers {
	if t.d.arrayRows == 0 {
		return &numbers{rows: t.bulk(table, columns, tail)}
	}
	n := strings.Count(columns, ",") + 1
	text := "insert into " + table + "(" + columns + ") select unnest(?::bigint[])" + strings.Repeat(", unnest(?::bigint[])", n-1) + tail
	return &numbers{t: t, text: text, columns: make([][]int64, n)}
}

func (w *numbers) add(values ...int64) error {
	if w.rows != nil {
		for _, v := range values {
			w.rows.args = append(w.rows.args, v)
		}
		return w.rows.added()
	}
	for i, v := range values {
		w.columns[i] = append(w.columns[i], v)
	}
	if len(w.columns[0]) < w.t.d.arrayRows {
		return nil
	}
	return w.flush()
}

func (w *numbers) flush() error {
	if w.rows != nil {
		err := w.rows.flush()
		w.wrote = w.rows.wrote
		return err
	}
	if len(w.columns[0]) == 0 {
		return nil
	}
	args := make([]any, len(w.columns))
	for i, c := range w.columns {
		args[i] = c
		w.columns[i] = c[:0]
	}
	n, err := w.t.exec(w.text, args...)
	w.wrote += n
	return err
}
