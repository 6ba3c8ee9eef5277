package compose

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/yuin/goldmark/text"

	"github.com/vedette-hub/vedette"
)

var (
	contents = regexp.MustCompile(`/Contents \d+ 0 R>>\nendobj\n\d+ 0 obj\n<</Filter /FlateDecode /Length (\d+)>>\nstream\n`)
	shown    = regexp.MustCompile(`(?s)BT (-?[\d.]+) (-?[\d.]+) Td \(((?:\\.|[^\\)])*)\) Tj ET`)
)

// pdfPages is the text of each page of a document of ours, a line for each line
// on paper, in the order it was drawn.
func pdfPages(t testing.TB, doc []byte) (pages []string) {
	t.Helper()
	for _, at := range contents.FindAllSubmatchIndex(doc, -1) {
		n, _ := strconv.Atoi(string(doc[at[2]:at[3]]))
		z, err := zlib.NewReader(bytes.NewReader(doc[at[1] : at[1]+n]))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		y := ""
		for _, m := range shown.FindAllSubmatch(stream, -1) {
			if y != "" && string(m[2]) != y {
				b.WriteByte('\n')
			}
			y = string(m[2])
			b.WriteString(utf16Text(m[3]))
		}
		pages = append(pages, b.String()+"\n")
	}
	return pages
}

// utf16Text undoes the escapes of a PDF string (ISO 32000-1 §7.3.4.2) in UTF-16.
func utf16Text(s []byte) string {
	var raw []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			if i++; s[i] == 'r' {
				raw = append(raw, '\r')
				continue
			}
		}
		raw = append(raw, s[i])
	}
	var units []uint16
	for i := 0; i+1 < len(raw); i += 2 {
		units = append(units, uint16(raw[i])<<8|uint16(raw[i+1]))
	}
	return string(utf16.Decode(units))
}

// many is an alert of n hosts.
func many(n int) Alert {
	a := sample()
	a.Hosts = nil
	for i := range n {
		a.Hosts = append(a.Hosts, Host{fmt.Sprintf("host-%03d.alder.example", i), 443, "tcp", "access gateway 5.2.1", vedette.Likely, vedette.Present, []string{"version 5.2.1 is below 5.2.3", "the vendor numbers it so"}, "5.2.3", day, "service"})
	}
	a.Rate()
	return a
}

// TestHostsAlike are read in groups, and each of them stands there once.
func TestHostsAlike(t *testing.T) {
	a := many(40)
	a.Hosts[7].Why = []string{"another reason"}
	text := string(written(t, a, Markdown))
	if n := strings.Count(text, "the vendor numbers it so"); n != 1 {
		t.Errorf("the same reason %d times", n)
	}
	for _, h := range a.Hosts {
		if n := strings.Count(text, "| "+h.Place()+" |"); n != 1 {
			t.Errorf("%s %d times", h.Place(), n)
		}
	}
	if n := strings.Count(text, "### access gateway 5.2.1, likely"); n != 2 || !strings.Contains(text, "another reason") {
		t.Errorf("%d groups:\n%s", n, text)
	}
}

// TestPDFPages: the marking stands at the head and the foot of every page, with
// whom it is for, and the head of a table on each page that it goes on.
func TestPDFPages(t *testing.T) {
	pages := pdfPages(t, written(t, many(300), PDF))
	if len(pages) < 5 {
		t.Fatalf("%d pages", len(pages))
	}
	hosts := 0
	for i, p := range pages {
		for what, n := range map[string]int{"TLP:AMBER+STRICT\n": 2, "PAP:AMBER": 2, "For Alder Transport Authority": 2, "TA-2026-001 · version 2 · level High": 1, fmt.Sprintf("Page %d of %d", i+1, len(pages)): 1} {
			if got := strings.Count(p, what); got != n {
				t.Errorf("page %d has %q %d times, not %d:\n%s", i+1, what, got, n, p)
			}
		}
		k := strings.Count(p, "host-")
		if hosts += k; k > 0 && strings.Count(p, "PlaceNowLast seen") != 1 {
			t.Errorf("page %d has hosts without the head of their table:\n%s", i+1, p)
		}
	}
	if hosts != 300 {
		t.Errorf("%d hosts", hosts)
	}
}

// TestPDFMarkings: what cannot be read is RED.
func TestPDFMarkings(t *testing.T) {
	for marking, want := range map[string]string{"TLP:CLEAR": "TLP:CLEAR", "TLP:GREEN": "TLP:GREEN", "TLP:AMBER [org:alder]": "TLP:AMBER", "TLP:RED PAP:RED [person:x]": "TLP:RED", "": "TLP:RED", "nonsense": "TLP:RED", "TLP:GRΕEN": "TLP:RED"} {
		a := sample()
		a.Marking, a.Sources = marking, nil
		p := pdfPages(t, written(t, a, PDF))[0]
		if strings.Count(p, want+"\n")+strings.Count(p, want+"PAP") != 2 {
			t.Errorf("%q is not %s:\n%s", marking, want, p)
		}
	}
}

// TestPDFDeterministic: the same edition is the same bytes, and nothing in them
// is of the day.
func TestPDFDeterministic(t *testing.T) {
	want := written(t, many(40), PDF)
	var wg sync.WaitGroup
	for range 4 { // side by side: the faces are shared
		wg.Go(func() {
			var b bytes.Buffer
			if err := many(40).Write(&b, PDF); err != nil || !bytes.Equal(want, b.Bytes()) {
				t.Errorf("the same alert gave other bytes (%v)", err)
			}
		})
	}
	wg.Wait()
	if !bytes.Contains(want, []byte("/CreationDate (D:20261110070000)")) || !bytes.Contains(want, []byte("/ModDate (D:20261110070000)")) {
		t.Error("the dates are not those of the draft")
	}
}

// TestPDFOutside: outline and metadata are there, links go to the web alone.
func TestPDFOutside(t *testing.T) {
	a := sample()
	a.References = []string{"https://examplesoft.example/a(b)", "javascript:alert(1)", "file:///etc/passwd", "https://examplesoft.example/ok"}
	doc := written(t, a, PDF)
	if n := bytes.Count(doc, []byte("/S /URI")); n != 2-1 {
		t.Errorf("%d links", n)
	}
	for _, want := range []string{"/URI (https://examplesoft.example/ok)", "/Outlines", "/Lang (en)", "(" + utf16be("Gateway bypass") + ")", "/Keywords (" + utf16be("TLP:AMBER+STRICT PAP:AMBER [org:alder], CVE-2026-90417") + ")"} {
		if !bytes.Contains(doc, []byte(want)) {
			t.Errorf("no %q", want)
		}
	}
	for _, not := range []string{"/JavaScript", "/JS", "/Launch", "/Type /EmbeddedFile", "/Filespec", "/AcroForm", "javascript:"} {
		if bytes.Contains(doc, []byte(not)) {
			t.Errorf("it has %q", not)
		}
	}
}

func utf16be(s string) string {
	b := []byte{0xfe, 0xff}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return string(b)
}

// TestPDFLetters: Latin, Greek and Cyrillic print; what no face has is visible
// and said; marks join their letters.
func TestPDFLetters(t *testing.T) {
	a := sample()
	a.Summary = "Ğüçlü Ελληνικά Кириллица ș ő ŵ € cafe\u0301 漢字 🔥 \ufe0f"
	text := strings.Join(pdfPages(t, written(t, a, PDF)), "")
	for _, want := range []string{"Ğüçlü Ελληνικά Кириллица ș ő ŵ € café \ufffd\ufffd \ufffd", "3 characters are not in the faces"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestPDFMarkdown prints what templates may use.
func TestPDFMarkdown(t *testing.T) {
	for in, want := range map[string]string{
		"1. a\n2. b\n   - c\n   - d": "1.a|2.b|•c|•d",
		"9. a\n10. b":                "9.a|10.b",
		"> q\n> > r":                 "q|r",
		"```\nif x {\n\ty\n}\n```":   "if x {|    y|}",
		"a **b** *c* ***d*** `e` &amp; \\* &copy; \\&lt;": "a b c d e & * © &lt;",
		"[t](https://a.example) ![alt](x.png) <b>c</b>":   "t alt c",
		"| a | b |\n|--:|:-:|\n| c \\| d | |":             "ab|c | d",
		"a\\\nb\nc":                                       "a|b c",
		"-\n- x":                                          "•|•x",
		"***":                                             "",
		"# a\n\n## b":                                     "a|b",
	} {
		var b bytes.Buffer
		if err := (Sheet{Kind: "K", Marking: "TLP:CLEAR", Text: in}).pdf(&b); err != nil {
			t.Fatal(err)
		}
		ls := strings.Split(strings.TrimSpace(pdfPages(t, b.Bytes())[0]), "\n")
		var body []string
		for _, l := range ls {
			if l != "" && l != "K (draft)" && l != "TLP:CLEAR" && l != "For" && l != "Page 1 of 1" {
				body = append(body, l)
			}
		}
		if got := strings.Join(body, "|"); got != want {
			t.Errorf("%q prints %q, want %q", in, got, want)
		}
	}
}

// TestPDFWraps: a word that is wider than its cell goes on below, and nothing
// is drawn beside the page.
func TestPDFWraps(t *testing.T) {
	a := sample()
	long := strings.Repeat("abcdefghij", 300)
	a.Title, a.Summary, a.Hosts[0].Asset, a.Hosts[0].Why, a.Constituent.Name = long, long, long, []string{strings.Repeat("w ", 4000)}, long
	a.References = []string{"https://examplesoft.example/" + long}
	for _, s := range pdfShown(t, written(t, a, PDF)) {
		if x, w := s.x, regular.width(s.text, 8); x < margin-30 || x+w*0.9 > paperWidth {
			t.Errorf("at %.0f: %q", x, s.text)
		}
	}
}

type drawn struct {
	x    float64
	text string
}

func pdfShown(t testing.TB, doc []byte) (out []drawn) {
	t.Helper()
	for _, at := range contents.FindAllSubmatchIndex(doc, -1) {
		n, _ := strconv.Atoi(string(doc[at[2]:at[3]]))
		z, err := zlib.NewReader(bytes.NewReader(doc[at[1] : at[1]+n]))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shown.FindAllSubmatch(stream, -1) {
			x, _ := strconv.ParseFloat(string(m[1]), 64)
			out = append(out, drawn{x, utf16Text(m[3])})
		}
	}
	return out
}

// TestPDFBounds: a document that is too long says so, on paper or as an error.
func TestPDFBounds(t *testing.T) {
	var b bytes.Buffer
	if err := (Sheet{Text: strings.Repeat("x", maxText+1)}).pdf(&b); err == nil {
		t.Error("any length is printed")
	}
	b.Reset()
	if err := (Sheet{Marking: "TLP:GREEN", Text: strings.Repeat("a\n\n", 100_000)}).pdf(&b); err != nil {
		t.Fatal(err)
	}
	pages := pdfPages(t, b.Bytes())
	if len(pages) != maxPages || !strings.Contains(pages[maxPages-1], "The document ends here, at 1000 pages.") || strings.Contains(pages[maxPages-2], "ends here") {
		t.Errorf("%d pages, the last:\n%s", len(pages), pages[len(pages)-1])
	}
}

// FuzzLayout counts the pages of a text: quick, and all of the layout.
func FuzzLayout(f *testing.F) {
	for _, h := range hostile {
		f.Add(h)
	}
	f.Add(string(written(f, many(20), Markdown)))
	f.Add("|" + strings.Repeat("a|", 9) + "\n|" + strings.Repeat(":-:|", 9) + "\n|" + strings.Repeat("b ", 3000) + "|\n")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<16 {
			return
		}
		p := printer{sheet: Sheet{Text: s}, src: []byte(s)}
		p.print(markdown.Parser().Parse(text.NewReader(p.src)))
		if p.pages < 1 || p.pages > maxPages || p.pages > 1+len(s)/10 || p.y > bottom+1 || p.left != margin || len(p.bars) != 0 {
			t.Errorf("%d pages, ends at %.0f", p.pages, p.y)
		}
	})
}

func FuzzPDF(f *testing.F) {
	for _, h := range hostile {
		f.Add(h)
	}
	f.Add(string(written(f, sample(), Markdown)))
	f.Add("| a | b |\n|---|---|\n" + strings.Repeat("| c | d |\n", 200))
	f.Add("|" + strings.Repeat("a|", 100) + "\n|" + strings.Repeat("-|", 100) + "\n")
	f.Add(strings.Repeat("> ", 60) + "deep\n\n" + strings.Repeat("- ", 60) + "deep")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1<<16 {
			return
		}
		var b bytes.Buffer
		if err := (Sheet{Kind: s, Number: s, Reader: s, Title: s, Marking: s, Keywords: []string{s}, Text: s, Drafted: day}).pdf(&b); err != nil {
			t.Fatal(err)
		}
		pages := pdfPages(t, b.Bytes())
		if len(pages) == 0 || len(pages) > maxPages || b.Len() > 1<<20+100*len(s) {
			t.Errorf("%d pages, %d bytes", len(pages), b.Len())
		}
		for i, p := range pages {
			if strings.Count(p, "TLP:") < 2 || !strings.Contains(p, fmt.Sprintf("Page %d of %d", i+1, len(pages))) {
				t.Errorf("page %d: %s", i+1, p)
			}
		}
	})
}
