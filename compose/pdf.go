package compose

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/vedette-hub/vedette"
)

// Where things stand on a page, in points.
const (
	margin               = 54.0
	top, bottom          = 92.0, paperHeight - 76
	bodySize, bodyLead   = 10.0, 14.0
	smallSize, smallLead = 8.5, 11.5 // of tables and code
)

// maxPages bounds a document and maxText its Markdown: no alert comes near.
const (
	maxPages = 1000
	maxText  = 4 << 20
)

var (
	black   = colour{0, 0, 0}
	ink     = colour{0x15, 0x19, 0x1f}
	soft    = colour{0x55, 0x5d, 0x68}
	rule    = colour{0xc9, 0xce, 0xd6}
	ground  = colour{0xf2, 0xf4, 0xf7}
	linkInk = colour{0x0b, 0x4f, 0x9e}
)

// tlpInks are the colours of TLP 2.0, on black.
var tlpInks = map[vedette.TLP]colour{
	vedette.TLPClear:       {0xff, 0xff, 0xff},
	vedette.TLPGreen:       {0x33, 0xff, 0x00},
	vedette.TLPAmber:       {0xff, 0xc0, 0x00},
	vedette.TLPAmberStrict: {0xff, 0xc0, 0x00},
	vedette.TLPRed:         {0xff, 0x2b, 0x2b},
}

// printer lays Markdown out on pages.
type printer struct {
	sheet Sheet
	src   []byte
	paper *paper
	pages int
	total int // 0 while they are counted

	y           float64
	left, width float64   // of the column
	bars        []float64 // of quotes, beside the column
	marker      string    // of a list's item, before its first line
	depth       int       // of the last bookmark
	lost        int       // characters no face has
	full        bool      // the document has all pages it may have
}

// pdf writes the sheet as PDF. It is laid out twice: the first time counts the
// pages. The same sheet gives the same bytes.
func (s Sheet) pdf(w io.Writer) error {
	if len(s.Text) > maxText {
		return vedette.Invalid("the text has %d bytes; as PDF it has at most %d", len(s.Text), maxText)
	}
	src := []byte(s.Text)
	doc := markdown.Parser().Parse(text.NewReader(src))
	count := printer{sheet: s, src: src}
	count.print(doc)
	p := printer{sheet: s, src: src, paper: newPaper(s), total: count.pages}
	p.print(doc)
	return p.paper.write(w)
}

// plainText is printable text on one line.
func plainText(s string) string {
	out, _ := printable(clean(s))
	return out
}

func (p *printer) print(doc ast.Node) {
	p.left, p.width, p.depth = margin, paperWidth-2*margin, -1
	p.page()
	p.blocks(doc)
	if p.lost > 0 {
		p.gap(10)
		note := fmt.Sprintf("%s %s not in the faces of this document, and %c stands for each. The other forms of the edition have them.", count(p.lost, "character"), is(p.lost), lost)
		p.flow([]span{{text: note, face: italic}}, smallSize, smallLead)
	}
}

// page begins a page with what stands on every one.
func (p *printer) page() {
	if p.pages >= maxPages {
		if !p.full {
			p.paper.text(margin, bottom+14, fmt.Sprintf("The document ends here, at %d pages. The other forms of the edition have all of it.", maxPages), bold, 8.5, ink)
		}
		p.full = true
		return
	}
	p.pages++
	p.paper.page()
	p.frame()
	p.y = top
}

// frame is the head and the foot: the marking at the right of both (TLP 2.0, in documents),
// what this is, for whom, and which page.
func (p *printer) frame() {
	const right, foot = paperWidth - margin, paperHeight - 56
	name, reader := plainText(p.sheet.name()), plainText("For "+p.sheet.Reader)
	room := p.label(right, 34) - margin - 12
	p.paper.text(margin, 43, bold.fit(name, 9, room), bold, 9, ink)
	ls := broken([]span{{text: reader}}, 8.5, room, false)
	for i, l := range ls[:min(2, len(ls))] {
		if i == 1 && len(ls) > 2 {
			l = line{spans: []span{{text: regular.fit(strings.TrimPrefix(reader, ls[0].text()), 8.5, room)}}}
		}
		p.paper.text(margin, 53.5+10*float64(i), strings.TrimSpace(l.text()), regular, 8.5, soft)
	}
	p.paper.stroke(margin, 68, right, 68, 0.6, rule)

	which := fmt.Sprintf("Page %d of %d", p.pages, p.total)
	if !p.sheet.Drafted.IsZero() {
		which += " · drafted " + stamp(p.sheet.Drafted)
	}
	room = p.label(right, foot) - margin - 12
	p.paper.stroke(margin, foot-10, right, foot-10, 0.6, rule)
	p.paper.text(margin, foot+9, bold.fit(reader, 9, room), bold, 9, ink)
	p.paper.text(margin, foot+20, regular.fit(which, 8.5, room), regular, 8.5, soft)
}

// label draws the marking so that it ends at right, and returns where it begins:
// TLP on black in the ink of the standard, PAP as an outline.
func (p *printer) label(right, y float64) float64 {
	const size, height, pad = 12.0, 20.0, 7.0
	tlp, pap := labels(p.sheet.Marking)
	x := right
	if pap != "" {
		w := bold.width(pap, 10) + 2*pad
		x -= w
		p.paper.frame(x+0.5, y+0.5, w-1, height-1, 1, black)
		p.paper.text(x+pad, y+13.6, pap, bold, 10, black)
		x -= 6
	}
	w := bold.width(tlp.String(), size) + 2*pad
	x -= w
	p.paper.box(x, y, w, height, black)
	p.paper.text(x+pad, y+14.4, tlp.String(), bold, size, tlpInks[tlp])
	return x
}

// labels are the labels of a marking as [vedette.Marking] writes it. What cannot
// be read is RED.
func labels(marking string) (vedette.TLP, string) {
	tlp, pap := vedette.TLPRed, ""
	for i, f := range strings.Fields(marking) {
		if i == 0 {
			if t, err := vedette.ParseTLP(f); err == nil {
				tlp = t
			}
		} else if strings.HasPrefix(f, "PAP:") {
			v, _ := vedette.ParsePAP(f) // RED when it cannot be read
			pap = v.String()
		}
	}
	return tlp, pap
}

// room makes sure that there is height left, on the next page if need be.
func (p *printer) room(height float64) {
	if p.y+height > bottom && p.y > top {
		p.page()
	}
}

// gap leaves white space, but not at the head of a page.
func (p *printer) gap(height float64) {
	if p.y > top {
		p.y += height
	}
}

// row draws what stands beside a line of the column: bars of quotes and the
// marker of an item.
func (p *printer) row(height, baseline, size float64) {
	for _, x := range p.bars {
		p.paper.box(x, p.y, 2, height, rule)
	}
	if p.marker != "" {
		p.paper.text(p.left-6-regular.width(p.marker, size), p.y+baseline, p.marker, regular, size, ink)
		p.marker = ""
	}
}

// flow sets spans in lines over the width of the column.
func (p *printer) flow(spans []span, size, lead float64) {
	lines := broken(spans, size, p.width, false)
	if len(lines) > 1 {
		p.room(2 * lead) // no first line alone
	}
	for i, l := range lines {
		if i == len(lines)-2 && len(lines) > 3 {
			p.room(2 * lead) // no last line alone
		}
		p.room(lead)
		if p.full {
			return
		}
		p.row(lead, lead-4, size)
		p.line(p.left, p.y+lead-4, l, size)
		p.y += lead
	}
}

// line draws one line with its baseline at y.
func (p *printer) line(x, y float64, l line, size float64) {
	for _, s := range l.spans {
		w, c := s.face.width(s.text, size), ink
		if s.code {
			p.paper.box(x-1, y-size*0.82, w+2, size*1.12, ground)
		}
		if s.link != "" {
			c = linkInk
			p.paper.stroke(x, y+1.6, x+w, y+1.6, 0.4, linkInk)
			p.paper.link(x, y-size, w, size*1.3, s.link)
		}
		p.paper.text(x, y, s.text, s.face, size, c)
		x += w
	}
}

func (p *printer) blocks(parent ast.Node) {
	for n := parent.FirstChild(); n != nil && !p.full; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			p.heading(n)
		case *ast.Paragraph:
			p.flow(p.spans(n, regular), bodySize, bodyLead)
			p.gap(6)
		case *ast.TextBlock:
			p.flow(p.spans(n, regular), bodySize, bodyLead)
		case *ast.List:
			p.list(n)
		case *ast.Blockquote:
			p.quote(n)
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			p.code(n)
		case *ast.ThematicBreak:
			p.room(16)
			p.paper.stroke(p.left, p.y+8, p.left+p.width, p.y+8, 0.6, rule)
			p.y += 16
		case *extast.Table:
			p.table(n)
		case *ast.HTMLBlock:
			// left out, as in HTML
		default:
			p.blocks(n)
		}
	}
}

// heading also enters the outline.
func (p *printer) heading(n *ast.Heading) {
	size := [...]float64{18, 13, 11, 10, 10, 10}[min(max(n.Level, 1), 6)-1]
	spans := p.spans(n, bold)
	p.gap(size * 0.7)
	p.room(size*1.3 + 3.5*bodyLead) // not without what it is about
	if p.full {
		return
	}
	p.paper.bookmark(strings.TrimSpace(line{spans: spans}.text()), p.outline(n.Level), p.y)
	p.flow(spans, size, size*1.3)
	p.y += size * 0.3
	if n.Level == 1 {
		p.y += 4
	}
}

// outline is the level of a bookmark: at most one below the one before it.
func (p *printer) outline(level int) int {
	p.depth = min(level-1, p.depth+1)
	return p.depth
}

// inset narrows the column for what do draws. It stops where too little is left.
func (p *printer) inset(by float64, do func()) {
	left, width := p.left, p.width
	if p.width-by >= 120 {
		p.left, p.width = p.left+by, p.width-by
	}
	do()
	p.left, p.width = left, width
}

func (p *printer) list(n *ast.List) {
	number := n.Start
	widest := regular.width(strconv.Itoa(n.Start+n.ChildCount())+".", bodySize)
	if !n.IsOrdered() {
		widest = 8
	}
	p.inset(widest+8, func() {
		for item := n.FirstChild(); item != nil && !p.full; item = item.NextSibling() {
			p.marker = "•"
			if n.IsOrdered() {
				p.marker = strconv.Itoa(number) + "."
				number++
			}
			p.blocks(item)
			if p.marker != "" { // an item without text
				p.flow(nil, bodySize, bodyLead)
			}
			p.gap(2)
		}
	})
	p.gap(4)
}

func (p *printer) quote(n ast.Node) {
	bar := p.left + 2
	p.inset(12, func() {
		if p.left > bar {
			p.bars = append(p.bars, bar)
			defer func() { p.bars = p.bars[:len(p.bars)-1] }()
		}
		p.blocks(n)
	})
	p.gap(2)
}

// code sets a block of code: a grey ground, and long lines go on below.
func (p *printer) code(n ast.Node) {
	const pad = 4.0
	strip := func(height float64) {
		p.paper.box(p.left, p.y, p.width, height, ground)
		p.row(height, 0, smallSize)
		p.y += height
	}
	p.room(smallLead + pad)
	if p.marker != "" { // of an item that is code
		p.flow(nil, bodySize, bodyLead)
	}
	strip(pad)
	for i := range n.Lines().Len() {
		at := n.Lines().At(i)
		s, lost := printable(strings.ReplaceAll(strings.TrimRight(string(at.Value(p.src)), "\n"), "\t", "    "))
		p.lost += lost
		for _, l := range broken([]span{{text: s, face: mono}}, smallSize, p.width-12, true) {
			if p.room(smallLead); p.full {
				return
			}
			y := p.y
			strip(smallLead)
			p.line(p.left+6, y+smallLead-3.2, l, smallSize)
		}
	}
	if p.y+pad <= bottom {
		strip(pad)
	}
	p.gap(6)
}
