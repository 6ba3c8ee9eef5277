package compose

import (
	"bytes"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gobolditalic"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/norm"
)

// face is one of the Go fonts, which cover Latin, Greek and Cyrillic. Bold and
// italic are bits; mono has one weight.
type face uint8

const (
	regular face = 0
	bold    face = 1
	italic  face = 2
	mono    face = 4
)

// name is what a document calls the face.
func (f face) name() string {
	return [...]string{"go", "gobold", "goitalic", "gobolditalic", "gomono"}[min(f, mono)]
}

func (f face) ttf() []byte {
	return [...][]byte{goregular.TTF, gobold.TTF, goitalic.TTF, gobolditalic.TTF, gomono.TTF}[min(f, mono)]
}

// lost stands, visibly, for a character that no face has.
const lost = '\uFFFD'

// advances are the widths of the characters of each face, in thousandths of its
// size, as the document states them: what is measured is what is drawn. 0 is a
// character that the face does not have.
var advances = sync.OnceValue(func() *[mono + 1][0x10000]uint16 {
	out := new([mono + 1][0x10000]uint16)
	for f := range out {
		parsed, err := sfnt.Parse(face(f).ttf())
		if err != nil {
			panic(err) // part of the program, and tests read it
		}
		var b sfnt.Buffer
		for r := rune(' '); r <= 0xffff; r++ {
			g, err := parsed.GlyphIndex(&b, r)
			if err != nil || g == 0 {
				continue
			}
			if w, err := parsed.GlyphAdvance(&b, g, fixed.I(1000), font.HintingNone); err == nil {
				out[f][r] = uint16(w.Round())
			}
		}
	}
	return out
})

// advance is how wide a character is at a size; 0 for one that no face has.
func (f face) advance(r rune, size float64) float64 {
	if r < 0 || r > 0xffff {
		return 0
	}
	return float64(advances()[min(f, mono)][r]) * size / 1000
}

// width is how wide a text is at a size.
func (f face) width(s string, size float64) (w float64) {
	for _, r := range s {
		w += f.advance(r, size)
	}
	return w
}

// fit is the text, cut with an ellipsis where it is wider than there is room.
func (f face) fit(s string, size, room float64) string {
	w, cut := 0.0, 0 // how much stands before an ellipsis
	for i, r := range s {
		if w += f.advance(r, size); w > room {
			return strings.TrimSpace(s[:cut]) + "…"
		}
		if w+f.advance('…', size) <= room {
			cut = i + utf8.RuneLen(r)
		}
	}
	return s
}

// printable is a text in characters that the faces have, and how many it lost.
// What is drawn by nothing (direction marks, controls, soft hyphens) is left
// out; white space becomes spaces, no-break spaces and line ends stay.
func printable(s string) (string, int) {
	n := 0
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case r == '\u00ad', unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r):
			return -1
		case r == '\u2010', r == '\u2011':
			return '-'
		case r == '\u202f', r == '\u2007':
			return '\u00a0'
		case unicode.IsSpace(r):
			if r == '\u00a0' {
				return r
			}
			return ' '
		case r == lost:
			return r
		case regular.advance(r, 1) == 0:
			n++
			return lost
		}
		return r
	}, norm.NFC.String(strings.ToValidUTF8(s, string(lost)))), n
}

// add makes the face known to a document. The library writes into the bytes it
// gets, so that each document gets its own.
func (f face) add(pdf *fpdf.Fpdf) { pdf.AddUTF8FontFromBytes(f.name(), "", bytes.Clone(f.ttf())) }
