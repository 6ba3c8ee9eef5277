package compose

import (
	"io"
	"strconv"

	"codeberg.org/go-pdf/fpdf"
)

// paper is what a printer draws on: A4, all lengths in points from the upper
// left corner. On no paper (nil) nothing is drawn, which is how pages are counted.
type paper struct {
	pdf   *fpdf.Fpdf
	faces map[face]bool
	font  string // selected on this page
}

const paperWidth, paperHeight = 595.28, 841.89

// colour is red, green, blue.
type colour [3]int

func newPaper(s Sheet) *paper {
	pdf := fpdf.New("P", "pt", "A4", "")
	pdf.SetCatalogSort(true)
	pdf.SetCreationDate(s.Drafted.UTC())
	pdf.SetModificationDate(s.Drafted.UTC())
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetMargins(0, 0, 0)
	pdf.SetLang("en")
	pdf.SetProducer("vedette", false)
	pdf.SetTitle(plainText(s.Title), true)
	pdf.SetSubject(plainText(join(" · ", s.name(), "for "+s.Reader)), true)
	pdf.SetKeywords(plainText(join(", ", append([]string{s.Marking}, s.Keywords...)...)), true)
	pdf.SetAuthor(plainText(s.Team), true)
	return &paper{pdf: pdf, faces: map[face]bool{}}
}

func (p *paper) write(w io.Writer) error { return p.pdf.Output(w) }

func (p *paper) page() {
	if p == nil {
		return
	}
	p.font = "" // the page knows none
	p.pdf.AddPage()
}

// use selects a face, once.
func (p *paper) use(f face, size float64) {
	if !p.faces[f] {
		f.add(p.pdf)
		p.faces[f] = true
	}
	if key := f.name() + strconv.FormatFloat(size, 'f', 2, 64); key != p.font {
		p.pdf.SetFont(f.name(), "", size)
		p.font = key
	}
}

// text draws a text with its baseline at y.
func (p *paper) text(x, y float64, s string, f face, size float64, c colour) {
	if p == nil || s == "" {
		return
	}
	p.use(f, size)
	p.pdf.SetTextColor(c[0], c[1], c[2])
	p.pdf.Text(x, y, s)
}

// box is a filled rectangle.
func (p *paper) box(x, y, w, h float64, c colour) {
	if p != nil {
		p.pdf.SetFillColor(c[0], c[1], c[2])
		p.pdf.Rect(x, y, w, h, "F")
	}
}

// frame is the outline of a rectangle.
func (p *paper) frame(x, y, w, h, thick float64, c colour) {
	if p != nil {
		p.pdf.SetDrawColor(c[0], c[1], c[2])
		p.pdf.SetLineWidth(thick)
		p.pdf.Rect(x, y, w, h, "D")
	}
}

func (p *paper) stroke(x1, y1, x2, y2, thick float64, c colour) {
	if p != nil {
		p.pdf.SetDrawColor(c[0], c[1], c[2])
		p.pdf.SetLineWidth(thick)
		p.pdf.Line(x1, y1, x2, y2)
	}
}

// link makes a rectangle lead to an address.
func (p *paper) link(x, y, w, h float64, to string) {
	if p != nil {
		p.pdf.LinkString(x, y, w, h, to)
	}
}

// bookmark enters a heading at y into the outline.
func (p *paper) bookmark(title string, level int, y float64) {
	if p != nil {
		p.use(bold, bodySize) // how the library knows that the title is UTF-8
		p.pdf.Bookmark(title, level, y)
	}
}
