package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
)

// list is one kind of rows, declared as data: the same component shows all of
// them. Every state of it is in the address.
type list[T any] struct {
	act     policy.Act // whoever may do it sees the list
	path    string     // "/cases"
	title   string     // "Cases"
	one     string     // "case", for counts
	columns []column[T]
	filters []filter
	rows    func(ctx context.Context, d face.Desk, q query) (rows []T, next string, err error)
	id      func(T) string
	class   func(T, time.Time) string // of the row: "unseen", "closed", "failed"
	bulk    []bulk
	so      func(rows []T, q query, more bool) string
	empty   string // what is so when nothing is there
	live    func([]T) bool
	views   []savedView // named filters, as tabs
	actions func(*face.Request) templ.Component
	above   func(*face.Request) (templ.Component, error) // before the list; nil for nothing
	nav     string                                       // where the list stands in the navigation, when not under its own path
}

// column is one column of a list. The first is the name and the link.
type column[T any] struct {
	key, head string
	text      func(T) string // what is exported, and shown when cell is nil
	cell      func(T, time.Time) templ.Component
	sub       func(T) string // below the text, of the first column
	href      func(T) string
	num       bool
	full      bool // a line of its own on a narrow screen
	hidden    bool // not shown unless chosen
}

// filter is one thing that a list can be narrowed by.
type filter struct {
	key, label string
	values     []string // to choose from; none is free text
	flag       bool     // on or absent
}

type savedView struct{ text, query string }

// bulk is an act on the chosen rows.
type bulk struct {
	key, text string // of the button
	hot       string // keyboard
	act       policy.Act
	form      func() templ.Component // what it asks for besides; nil for nothing
	do        func(ctx context.Context, d face.Desk, ids []string, form url.Values) (told string, undo int64, err error)
}

// query is what the address asks of a list.
type query struct {
	values  url.Values // of filters alone
	after   string
	limit   int
	columns []string
	unknown []string // keys that no filter has
}

func (q query) get(key string) string { return q.values.Get(key) }
func (q query) on(key string) bool    { return q.values.Get(key) != "" }

const (
	pageRows   = 50
	maxRows    = 500
	exportRows = 100_000
)

var reserved = []string{"after", "limit", "cols", "as", "f"}

// parse reads the address; what no filter knows is shown as such, not ignored.
func (l *list[T]) parse(u *url.URL) (q query, redirect string) {
	in := u.Query()
	q = query{values: url.Values{}, after: in.Get("after"), limit: pageRows, columns: in["cols"]}
	if n, err := strconv.Atoi(in.Get("limit")); err == nil {
		q.limit = max(1, min(n, maxRows))
	}
	if token := strings.TrimSpace(in.Get("f")); token != "" { // typed as key:value
		key, value, ok := strings.Cut(token, ":")
		if !ok {
			key, value = l.textFilter(), token
		}
		in.Del("f")
		in.Del("after")
		in.Set(strings.TrimSpace(key), strings.TrimSpace(value))
		return q, l.path + "?" + in.Encode()
	}
	for key, vs := range in {
		if slices.Contains(reserved, key) || len(vs) == 0 || vs[0] == "" {
			continue
		}
		if !slices.ContainsFunc(l.filters, func(f filter) bool { return f.key == key }) {
			q.unknown = append(q.unknown, key)
			continue
		}
		q.values.Set(key, vs[0])
	}
	slices.Sort(q.unknown)
	return q, ""
}

// textFilter is the first that takes free text: a word without a key goes there.
func (l *list[T]) textFilter() string {
	for _, f := range l.filters {
		if f.key == "q" {
			return f.key
		}
	}
	for _, f := range l.filters {
		if len(f.values) == 0 && !f.flag {
			return f.key
		}
	}
	return "q"
}

// check says what is wrong with a value of a filter.
func (l *list[T]) check(q query) error {
	for _, f := range l.filters {
		if v := q.get(f.key); v != "" && len(f.values) > 0 && !slices.Contains(f.values, v) {
			return vedette.Invalid("%s %q: it is one of %s", f.label, v, strings.Join(f.values, ", "))
		}
	}
	return nil
}

// routes are the list, its exports and its acts.
func (l *list[T]) routes(p *Pages) []face.Route {
	out := []face.Route{{Method: http.MethodGet, Path: l.path, Act: l.act, Serve: func(r *face.Request) error { return l.show(p, r) }}}
	for _, b := range l.bulk {
		out = append(out, face.Route{Method: http.MethodPost, Path: l.path + "/bulk/" + b.key, Act: b.act, Serve: func(r *face.Request) error { return l.doBulk(r, b) }})
	}
	return out
}

func (l *list[T]) show(p *Pages, r *face.Request) error {
	q, redirect := l.parse(r.URL)
	if redirect != "" {
		return r.Go(redirect)
	}
	if err := l.check(q); err != nil {
		return err
	}
	if as := r.URL.Query().Get("as"); as != "" {
		return l.export(r, q, as)
	}
	rows, next, err := l.rows(r.Context(), r.Desk, q)
	if err != nil {
		return err
	}
	now := p.hub.Now()
	t := l.table(r, rows, q, next, now)
	v := view{Title: l.title, At: cmp.Or(l.nav, l.path)}
	if l.so != nil {
		v.So = l.so(rows, q, next != "")
	}
	if l.live != nil {
		v.Live = l.live(rows)
	}
	if l.actions != nil {
		v.Actions = l.actions(r)
	}
	content := listPage(t)
	if l.above != nil {
		above, err := l.above(r)
		if err != nil {
			return err
		}
		if above != nil {
			content = templ.Join(above, content)
		}
	}
	return p.page(r, v, content)
}

// doBulk does an act on the chosen rows and goes back to where it was asked.
func (l *list[T]) doBulk(r *face.Request, b bulk) error {
	if err := r.ParseForm(); err != nil {
		return vedette.Invalid("the form: %w", err)
	}
	back := l.path
	if n := r.PostForm.Get("next"); face.Local(n) { // another page may show the same rows
		back = n
	}
	ids := r.PostForm["id"]
	if r.PostForm.Get("all") != "" { // everything that the filters leave
		u, err := url.Parse(back)
		if err != nil {
			return vedette.Invalid("next: %w", err)
		}
		if u.Path != l.path {
			return vedette.Invalid("next: all rows of another list")
		}
		q, _ := l.parse(u)
		if ids, err = l.ids(r.Context(), r.Desk, q); err != nil {
			return err
		}
	}
	if len(ids) == 0 {
		r.Session.Tell(r.Context(), "Nothing was chosen.", 0)
		return r.Go(back)
	}
	told, undo, err := b.do(r.Context(), r.Desk, ids, r.PostForm)
	if err != nil {
		return err
	}
	r.Session.Tell(r.Context(), told, undo)
	return r.Go(back)
}

// ids are those of all rows that the filters leave, up to the most of an act.
func (l *list[T]) ids(ctx context.Context, d face.Desk, q query) (out []string, err error) {
	const most = 10_000
	for q.after, q.limit = "", maxRows; ; {
		rows, next, err := l.rows(ctx, d, q)
		if err != nil {
			return nil, err
		}
		for _, x := range rows {
			out = append(out, l.id(x))
		}
		if next == "" {
			return out, nil
		}
		if len(out) >= most {
			return nil, vedette.Invalid("more than %d rows: narrow the list first", most)
		}
		q.after = next
	}
}

// export writes all rows that the filters leave, as a file.
func (l *list[T]) export(r *face.Request, q query, as string) error {
	media := map[string]string{"csv": "text/csv; charset=utf-8", "json": "application/json", "jsonl": "application/jsonl"}[as]
	if media == "" {
		return vedette.Invalid("as %q: it is one of csv, json, jsonl", as)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if as == "csv" {
		_ = w.Write(l.heads())
	}
	n := 0
	for q.after, q.limit = "", maxRows; n < exportRows; {
		rows, next, err := l.rows(r.Context(), r.Desk, q)
		if err != nil {
			return err
		}
		for _, x := range rows {
			if as == "csv" {
				_ = w.Write(l.texts(x))
				continue
			}
			if as == "json" {
				b.WriteString(map[bool]string{true: "[", false: ","}[n == 0])
			}
			if err := enc.Encode(x); err != nil {
				return err
			}
			n++
		}
		if q.after = next; next == "" {
			break
		}
	}
	w.Flush()
	if as == "json" {
		b.WriteString(map[bool]string{true: "[]\n", false: "]\n"}[n == 0])
	}
	h := r.ResponseWriter.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.%s"`, strings.Trim(strings.ReplaceAll(l.path, "/", "-"), "-"), as))
	_, err := b.WriteTo(r.ResponseWriter)
	return err
}

func (l *list[T]) heads() (out []string) {
	for _, c := range l.columns {
		out = append(out, c.head)
	}
	return out
}

func (l *list[T]) texts(x T) (out []string) {
	for _, c := range l.columns {
		out = append(out, spreadsheet(c.text(x)))
	}
	return out
}

// spreadsheet keeps a cell from running as a formula (OWASP CSV injection).
func spreadsheet(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r＝＋－＠", []rune(s)[0]) {
		return "'" + s
	}
	return s
}

// tableView is a list as the template shows it.
type tableView struct {
	Title, Path, Here string
	One               string
	Columns           []columnView
	Rows              []rowView
	Tokens            []tokenView
	Filters           []filter
	Views             []viewLink
	Query             url.Values
	Next              string
	Empty             string
	Bulk              []bulk
	Chosen            int // columns that are shown
	Now               time.Time
}

type columnView struct {
	Key, Head string
	Num       bool
	Shown     bool
}

type rowView struct {
	ID, Href, Title, Sub, Class string
	Cells                       []cellView
}

type cellView struct {
	Label, Text string
	Show        templ.Component
	Num, Full   bool
}

type tokenView struct {
	Key, Value, Without string
	Bad                 bool
}

type viewLink struct {
	Text, Href string
	Current    bool
}

// table makes the view of a page of rows.
func (l *list[T]) table(r *face.Request, rows []T, q query, next string, now time.Time) tableView {
	t := tableView{Title: l.title, Path: l.path, Here: r.URL.RequestURI(), One: l.one, Filters: l.filters, Query: r.URL.Query(), Empty: l.empty, Now: now}
	for i, c := range l.columns {
		shown := i == 0 || !c.hidden && len(q.columns) == 0 || slices.Contains(q.columns, c.key)
		if shown {
			t.Chosen++
		}
		t.Columns = append(t.Columns, columnView{c.key, c.head, c.num, shown})
	}
	for _, x := range rows {
		t.Rows = append(t.Rows, l.row(x, t.Columns, now))
	}
	t.Tokens = l.tokens(q, r.URL.Query())
	if next != "" {
		t.Next = with(l.path, r.URL.Query(), "after", next)
	}
	for _, s := range l.views {
		t.Views = append(t.Views, viewLink{s.text, strings.TrimSuffix(l.path+"?"+s.query, "?"), same(s.query, q.values)})
	}
	for _, b := range l.bulk {
		if policy.May(r.P, b.act) {
			t.Bulk = append(t.Bulk, b)
		}
	}
	return t
}

func (l *list[T]) row(x T, shown []columnView, now time.Time) rowView {
	v := rowView{ID: l.id(x)}
	if l.class != nil {
		v.Class = l.class(x, now)
	}
	for i, c := range l.columns {
		switch {
		case i == 0:
			v.Title = c.text(x)
			if c.sub != nil {
				v.Sub = c.sub(x)
			}
			if c.href != nil {
				v.Href = c.href(x)
			}
		case shown[i].Shown:
			cell := cellView{Label: c.head, Text: c.text(x), Num: c.num, Full: c.full}
			if c.cell != nil {
				cell.Show = c.cell(x, now)
			} else if c.href != nil && cell.Text != "" {
				cell.Show = link(c.href(x), cell.Text)
			}
			v.Cells = append(v.Cells, cell)
		}
	}
	return v
}

func (l *list[T]) tokens(q query, all url.Values) (out []tokenView) {
	for _, f := range l.filters {
		if v := q.get(f.key); v != "" {
			if f.flag {
				v = "yes"
			}
			out = append(out, tokenView{f.label, v, without(l.path, all, f.key), false})
		}
	}
	for _, k := range q.unknown {
		out = append(out, tokenView{k, "unknown filter", without(l.path, all, k), true})
	}
	return out
}

// with is a path with one value of its query set.
func with(path string, q url.Values, key, value string) string {
	c := url.Values{}
	for k, v := range q {
		c[k] = v
	}
	c.Set(key, value)
	return path + "?" + c.Encode()
}

// without is a path without a value, from its first page.
func without(path string, q url.Values, key string) string {
	c := url.Values{}
	for k, v := range q {
		if k != key && k != "after" {
			c[k] = v
		}
	}
	return strings.TrimSuffix(path+"?"+c.Encode(), "?")
}

// same says whether a saved view is what the filters say.
func same(query string, values url.Values) bool {
	q, err := url.ParseQuery(query)
	return err == nil && q.Encode() == values.Encode()
}
