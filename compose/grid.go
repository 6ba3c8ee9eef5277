package compose

import extast "github.com/yuin/goldmark/extension/ast"

// Lengths of tables, in points.
const (
	cellPad   = 3.5
	minColumn = 24.0
)

// grid is a table on its way to paper.
type grid struct {
	widths  []float64
	aligned []extast.Alignment
	head    [][]line // of each column
}

// table sets a table over the width of the column. Its head is repeated on each
// page; a row that is higher than a page goes on at the next.
func (p *printer) table(n *extast.Table) {
	var cells [][][]span // row, column
	for row := n.FirstChild(); row != nil; row = row.NextSibling() {
		f := regular
		if row.Kind() == extast.KindTableHeader {
			f = bold
		}
		var cs [][]span
		for c := row.FirstChild(); c != nil; c = c.NextSibling() {
			cs = append(cs, p.spans(c, f))
		}
		cells = append(cells, cs)
	}
	if len(cells) == 0 || len(cells[0]) == 0 {
		return
	}
	if float64(len(cells[0]))*minColumn > p.width {
		p.narrow(cells)
		return
	}
	g := grid{widths: columns(cells, p.width), aligned: n.Alignments}
	g.head = g.lines(cells[0])
	if len(cells) > 1 {
		first := height(g.lines(cells[1]))
		p.room(min(height(g.head)+first, bottom-top)) // no head alone
	}
	p.head(g)
	for _, row := range cells[1:] {
		if p.full {
			return
		}
		p.cells(g, g.lines(row))
	}
	p.gap(8)
}

// narrow sets a table of more columns than a page has room for row by row.
func (p *printer) narrow(cells [][][]span) {
	for _, row := range cells {
		var line []span
		for i, c := range row {
			if i > 0 {
				line = append(line, span{text: " | "})
			}
			line = append(line, c...)
		}
		p.flow(line, smallSize, smallLead)
	}
	p.gap(8)
}

func (g grid) lines(row [][]span) [][]line {
	out := make([][]line, len(g.widths))
	for i := range out {
		if i < len(row) {
			out[i] = broken(row[i], smallSize, g.widths[i]-2*cellPad, false)
		}
	}
	return out
}

func height(row [][]line) float64 {
	n := 1
	for _, c := range row {
		n = max(n, len(c))
	}
	return float64(n)*smallLead + 2*cellPad
}

// head draws the head of a table, unless it would take the page.
func (p *printer) head(g grid) {
	if h := height(g.head); h < (bottom-top)/2 {
		p.paper.box(p.left, p.y, p.width, h, ground)
		p.slice(g, g.head, h)
	} else {
		p.cells(g, g.head)
	}
}

// cells draws a row: on this page, on the next, or over several.
func (p *printer) cells(g grid, row [][]line) {
	h := height(row)
	fresh := bottom - top - height(g.head)
	if p.y+h > bottom && (h <= fresh || p.y+4*smallLead > bottom) {
		p.turn(g)
	}
	for !p.full {
		n := max(1, int((bottom-p.y-2*cellPad)/smallLead))
		part, rest, more := cut(row, n)
		p.slice(g, part, height(part))
		if !more {
			return
		}
		row = rest
		p.turn(g)
	}
}

// turn goes on with a table on the next page.
func (p *printer) turn(g grid) {
	if p.y == top {
		return
	}
	p.page()
	if h := height(g.head); !p.full && h < (bottom-top)/2 {
		p.head(g)
	}
}

// cut takes the first lines of each cell.
func cut(row [][]line, n int) (part, rest [][]line, more bool) {
	part, rest = make([][]line, len(row)), make([][]line, len(row))
	for i, c := range row {
		k := min(n, len(c))
		part[i], rest[i] = c[:k], c[k:]
		more = more || len(rest[i]) > 0
	}
	return part, rest, more
}

// slice draws lines of a row with its borders.
func (p *printer) slice(g grid, row [][]line, h float64) {
	if p.full {
		return
	}
	p.row(h, cellPad+smallLead-3, smallSize)
	x := p.left
	for i, w := range g.widths {
		for k, l := range row[i] {
			at := x + cellPad
			if i < len(g.aligned) {
				switch g.aligned[i] {
				case extast.AlignRight:
					at = x + w - cellPad - l.width
				case extast.AlignCenter:
					at = x + (w-l.width)/2
				}
			}
			p.line(at, p.y+cellPad+float64(k)*smallLead+smallLead-3, l, smallSize)
		}
		x += w
	}
	p.paper.frame(p.left, p.y, p.width, h, 0.5, rule)
	x = p.left
	for _, w := range g.widths[:len(g.widths)-1] {
		x += w
		p.paper.stroke(x, p.y, x, p.y+h, 0.5, rule)
	}
	p.y += h
}

// columns shares a width: each column gets what its longest word needs, and the
// rest goes to those that have more to say. All is measured in the faces that
// are drawn.
func columns(cells [][][]span, width float64) []float64 {
	n := len(cells[0])
	least, most := make([]float64, n), make([]float64, n)
	for _, row := range cells {
		for i := range min(n, len(row)) {
			word, all := extent(row[i])
			least[i], most[i] = max(least[i], word), max(most[i], all)
		}
	}
	sumLeast, sumMost := 0.0, 0.0
	for i := range n {
		least[i] = max(minColumn, min(least[i], width*0.27)+2*cellPad)
		most[i] = max(least[i], most[i]+2*cellPad)
		sumLeast, sumMost = sumLeast+least[i], sumMost+most[i]
	}
	out := make([]float64, n)
	for i := range n {
		switch {
		case sumMost <= width:
			out[i] = most[i] * width / sumMost
		case sumLeast >= width:
			// n*minColumn fits: a table of more columns is set row by row
			out[i] = minColumn + (least[i]-minColumn)*(width-float64(n)*minColumn)/(sumLeast-float64(n)*minColumn)
		default:
			out[i] = least[i] + (most[i]-least[i])*(width-sumLeast)/(sumMost-sumLeast)
		}
	}
	return out
}

// extent is how wide the widest word and the widest line of a cell are.
func extent(spans []span) (word, all float64) {
	w := 0.0 // of the word, over spans
	for _, s := range spans {
		for _, r := range s.text {
			a := s.face.advance(r, smallSize)
			if w += a; r == ' ' || r == '\n' {
				w = 0
			}
			word, all = max(word, w), all+a
		}
	}
	return word, all
}
