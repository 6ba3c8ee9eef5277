package compose

import (
	"bufio"
	"bytes"
	"html"
	"net/url"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	gmhtml "github.com/yuin/goldmark/renderer/html"
)

// span is text in one face.
type span struct {
	text string
	face face
	link string // "" is none
	code bool
}

// line is what fits beside each other.
type line struct {
	spans []span
	width float64
}

func (l line) text() string {
	var b strings.Builder
	for _, s := range l.spans {
		b.WriteString(s.text)
	}
	return b.String()
}

// spans are the inline children of a node. Text is resolved as in HTML: escapes
// and entities, and nothing else.
func (p *printer) spans(n ast.Node, f face) (out []span) {
	return p.inline(nil, n, span{face: f})
}

func (p *printer) inline(out []span, parent ast.Node, in span) []span {
	put := func(s string) {
		text, n := printable(s)
		p.lost += n
		if text != "" {
			s := in
			s.text = text
			out = append(out, s)
		}
	}
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Text:
			if n.IsRaw() {
				put(string(n.Segment.Value(p.src)))
			} else {
				put(resolve(n.Segment.Value(p.src)))
			}
			switch {
			case n.HardLineBreak():
				put("\n")
			case n.SoftLineBreak():
				put(" ")
			}
		case *ast.String:
			put(string(n.Value))
		case *ast.CodeSpan:
			inner := in
			inner.face, inner.code = mono, true
			out = p.inline(out, n, inner)
		case *ast.Emphasis:
			inner := in
			if in.face != mono {
				inner.face |= map[bool]face{false: italic, true: bold}[n.Level > 1]
			}
			out = p.inline(out, n, inner)
		case *ast.Link:
			inner := in
			inner.link = webLink(string(n.Destination))
			out = p.inline(out, n, inner)
		case *ast.AutoLink:
			text := string(n.Label(p.src))
			before := in.link
			in.link = webLink(string(n.URL(p.src)))
			put(text)
			in.link = before
		case *ast.RawHTML:
			// left out, as in HTML
		default:
			out = p.inline(out, n, in) // of a picture its text: nothing is fetched
		}
	}
	return out
}

// resolve takes escapes and entities out of a text as CommonMark §2.4 and §2.5 do.
func resolve(b []byte) string {
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	gmhtml.DefaultWriter.Write(w, b)
	if w.Flush() != nil {
		return ""
	}
	return html.UnescapeString(out.String())
}

// webLink is an address that a reader may follow: http or https with a host, in
// ASCII. Anything else is no link.
func webLink(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsFunc(u.Host, func(r rune) bool { return r > '~' }) {
		return ""
	}
	s = u.String()
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>()\\\"", r) }) {
		return ""
	}
	return s
}

// glyph is one character with its face and width.
type glyph struct {
	r    rune
	span int // whose look it has
	w    float64
}

// broken are the lines of spans in a width. A line ends at a space; a word that
// is wider than a line ends after punctuation of names and addresses, or
// wherever it must. keep leaves spaces as they are (code).
func broken(spans []span, size, width float64, keep bool) (out []line) {
	var gs []glyph
	for i, s := range spans {
		for _, r := range s.text {
			if r == ' ' && !keep && (len(gs) == 0 || gs[len(gs)-1].r == ' ' || gs[len(gs)-1].r == '\n') {
				continue
			}
			gs = append(gs, glyph{r, i, s.face.advance(r, size)})
		}
	}
	for len(gs) > 0 {
		n, next := oneLine(gs, width, keep)
		out = append(out, lineOf(spans, gs[:n]))
		gs = gs[next:]
	}
	if len(out) == 0 {
		out = []line{{}}
	}
	return out
}

// oneLine is how many glyphs stand on the line, and where the next begins.
func oneLine(gs []glyph, width float64, keep bool) (n, next int) {
	w, space, soft := 0.0, -1, -1
	for i, g := range gs {
		if g.r == '\n' {
			return i, i + 1
		}
		if w += g.w; w > width+0.01 && i > 0 && (g.r != ' ' || keep) {
			switch {
			case space > 0:
				return space, space + 1
			case soft > i/2:
				return soft, soft
			}
			return i, i
		}
		switch {
		case g.r == ' ' && !keep:
			space = i
		case strings.ContainsRune("/.-_:?&=,;@+%#", g.r):
			soft = i + 1
		}
	}
	return len(gs), len(gs)
}

func lineOf(spans []span, gs []glyph) (l line) {
	for len(gs) > 0 && gs[len(gs)-1].r == ' ' {
		gs = gs[:len(gs)-1]
	}
	for len(gs) > 0 {
		end := slices.IndexFunc(gs, func(g glyph) bool { return g.span != gs[0].span })
		if end < 0 {
			end = len(gs)
		}
		s := spans[gs[0].span]
		var b strings.Builder
		for _, g := range gs[:end] {
			b.WriteRune(g.r)
			l.width += g.w
		}
		s.text = b.String()
		l.spans, gs = append(l.spans, s), gs[end:]
	}
	return l
}
