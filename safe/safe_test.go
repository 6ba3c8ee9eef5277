package safe

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"

	"github.com/vedette-hub/vedette"
)

// refusedWith fails unless err is an ErrInvalid whose message has the fragment,
// is short and cannot move a terminal.
func refusedWith(t *testing.T, name string, err error, fragment string) {
	t.Helper()
	if !errors.Is(err, vedette.ErrInvalid) {
		t.Errorf("%s: %v is not ErrInvalid", name, err)
		return
	}
	msg := err.Error()
	if !strings.Contains(msg, fragment) {
		t.Errorf("%s: %q does not say %q", name, msg, fragment)
	}
	if len(msg) > 500 || strings.ContainsFunc(msg, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%s: message of %d bytes or with control characters: %.100q", name, len(msg), msg)
	}
}

func TestCheckJSON(t *testing.T) {
	small := Limits{Depth: 4, String: 20, Names: 40, Record: 1 << 10}
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":1`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	for _, c := range []struct{ in, refused string }{
		{`{"a":1,"b":[1,2,{"a":3}]}`, ""},
		{`"text"`, ""},
		{` [] `, ""},
		{`{"a":{"x":1},"b":{"x":1}}`, ""},
		{`{"tlp":"red","tlp":"clear"}`, `"tlp" stands twice`},
		{`{"tlp":"red","TLP":"clear"}`, `"TLP" stands twice`},
		{`[[{"a":1,"\u0041":2}]]`, "stands twice"},
		{`{"\u017f":1,"s":2}`, "stands twice"}, // long s folds to s
		{`{"K":1,"k":2}`, "stands twice"},      // Kelvin sign
		{`{"straße":1,"STRASSE":2}`, ""},       // no simple folding
		{many(35), ""},
		{many(35)[:len(many(35))-1] + `,"K7":1}`, "stands twice"},
		{many(41), "more than 40 members"},
		{`[[[[1]]]]`, ""},
		{`[[[[[1]]]]]`, "deeper than 4"},
		{`["123456789012345678901"]`, "longer than 20"},
		{`{"123456789012345678901":1}`, "longer than 20"},
		{`["\u0000"]`, "NUL"},
		{`["\\u0000"]`, ""},
		{`["a\u0000"]`, "NUL"},
		{"[\"\x00\"]", ""},
		{"[\"\xff\"]", "UTF-8"},
		{`["\ud800"]`, "surrogate"},
		{`{"a":1} x`, "follows"},
		{`{"a":1}{}`, "follows"},
		{`{"a":NaN}`, "invalid character"},
		{`{"a":1,}`, "invalid character"},
		{`{"a":1`, "ends too early"},
		{``, "no JSON value"},
		{"\xef\xbb\xbf{}", "invalid character"},
	} {
		err := NewChecker(small).Check([]byte(c.in))
		if c.in == "[\"\x00\"]" {
			refusedWith(t, c.in, err, "")
		} else if c.refused != "" {
			refusedWith(t, c.in, err, c.refused)
		} else if err != nil {
			t.Errorf("%s: %v", c.in, err)
		}
	}
}

func TestEach(t *testing.T) {
	in := "\xef\xbb\xbf" + `{"head":1,"list":{"of":[{"a":1}, {"b":[2]}],"x":true},"tail":"t"}`
	var got []string
	err := NewJSON(iotest.OneByteReader(strings.NewReader(in)), Limits{}).Each("/list/of", func(e Element) error {
		got = append(got, fmt.Sprintf("%s@%d=%s", e.Pointer, e.Offset, e.Raw))
		return nil
	}, func(e Element) error {
		got = append(got, "beside "+e.Name)
		return nil
	})
	want := []string{"beside head", `/list/of/0@24={"a":1}`, `/list/of/1@33={"b":[2]}`, "beside x", "beside tail"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	got = nil
	err = NewJSON(strings.NewReader(`{"p":{"a":1},"q":{},"r~/":{"b":[2]}}`), Limits{}).Each("/*", func(e Element) error {
		got = append(got, fmt.Sprintf("%s of %s at %s", e.Raw, e.Of, e.Pointer))
		return nil
	}, nil)
	if want := []string{"1 of p at /p/a", "[2] of r~/ at /r~0~1/b"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	nothing := func(e Element) error { return e.Err }
	got = nil
	err = NewJSON(strings.NewReader(`[{"a":1,"A":2},{"b":1},["\u0000"],3]`), Limits{}).Each("", func(e Element) error {
		got = append(got, fmt.Sprintf("%s %v", e.Raw, e.Err != nil))
		return nil
	}, nil)
	if want := []string{" true", `{"b":1} false`, " true", "3 false"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for in, why := range map[string]string{
		`{"list":1}`:                       "expected an array or an object",
		`{"other":[]}`:                     "no \"/list\"",
		`{"list":[1,2}`:                    "/list",
		`{"list":[1,2`:                     "ends too early",
		`{"list":[{"a":1,"A":2}]}`:         "/list/0",
		`{"list":[],"LIST":[]}`:            "stands twice",
		`{"list":[]} []`:                   "follows",
		`{"list":[],"a":1,"a":2}`:          "stands twice",
		`{"list":["` + big(200) + `"]}`:    "larger than 100",
		`{"list":[` + big(300) + `]}`:      "invalid character",
		``:                                 "ends too early",
		`{"list":[{"a":"` + "\xff" + `"}]`: "UTF-8",
	} {
		err := NewJSON(strings.NewReader(in), Limits{Record: 100}).Each("/list", nothing, nil)
		refusedWith(t, in, err, why)
	}
}

func big(n int) string { return strings.Repeat("x", n) }

// A long document of small values must pass a small limit per value.
func TestRecordLimitIsPerValue(t *testing.T) {
	in := `[` + strings.TrimSuffix(strings.Repeat(`{"a":"`+big(80)+`"},`, 5000), ",") + `]`
	n := 0
	err := NewJSON(strings.NewReader(in), Limits{Record: 200}).Each("", func(Element) error { n++; return nil }, nil)
	if err != nil || n != 5000 {
		t.Errorf("%d values, %v", n, err)
	}
}

func TestLines(t *testing.T) {
	l := NewLines(strings.NewReader("\xef\xbb\xbfone\r\n\ntwo\nthree"), Limits{Line: 10})
	var got []string
	for {
		line, err := l.Next()
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			break
		}
		got = append(got, fmt.Sprintf("%d:%d:%s:%v", l.Line(), l.Offset(), line, l.Cut()))
	}
	want := []string{"1:0:one:false", "2:5::false", "3:6:two:false", "4:10:three:true"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q want %q", got, want)
	}
	l = NewLines(strings.NewReader("ok\n"+big(11)+"\n"), Limits{Line: 10})
	l.Next()
	_, err := l.Next()
	refusedWith(t, "long line", err, "line 2 (byte 3): longer than 10")
	if _, err := l.Next(); err != io.EOF {
		t.Errorf("after a refused line: %v", err)
	}
}

func TestCSV(t *testing.T) {
	c := NewCSV(strings.NewReader("a,b\r\n\"x,\"\"y\"\"\",\"two\nlines\"\n,\"\"\n"), ',', Limits{})
	var got []string
	for {
		row, err := c.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d:%q", c.Line(), row))
	}
	want := []string{`1:["a" "b"]`, `2:["x,\"y\"" "two\nlines"]`, `4:["" ""]`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q want %q", got, want)
	}
	for _, c := range []struct {
		in, why string
		goesOn  bool
	}{
		{"a\"b,c\nnext\n", "line 1: column 1: a quote inside", true},
		{"\"a\"b,c\nnext\n", "follows the closing quote", true},
		{"1,2,3,4,5\nnext\n", "more than 4 columns", true},
		{"\xff,1\nnext\n", "UTF-8", true},
		{"a\x00b\nnext\n", "NUL", true},
		{big(60) + "\nnext\n", "longer than 50", true},
		{"ok,\"" + big(10) + "\n" + big(20) + "\n" + big(30) + "\n", "no closing quote within 50 bytes", false},
		{"ok,\"never closed", "line 1: column 2: the file ends within quotes", false},
	} {
		r := NewCSV(strings.NewReader(c.in), ',', Limits{Columns: 4, String: 50, Line: 1000})
		_, err := r.Next()
		refusedWith(t, c.in, err, c.why)
		var bad RecordError
		if errors.As(err, &bad) != c.goesOn {
			t.Errorf("%q: goes on: %v, want %v", c.in, !c.goesOn, c.goesOn)
		}
		if row, err := r.Next(); c.goesOn && (err != nil || row[0] != "next") {
			t.Errorf("%q: the next record is %q, %v", c.in, row, err)
		}
	}
}

func allTokens(in string, l Limits) error {
	x := NewXML(strings.NewReader(in), l)
	for {
		if _, err := x.Token(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestXML(t *testing.T) {
	l := Limits{Depth: 5, Attrs: 3, Name: 20, Token: 500}
	for _, c := range []struct{ in, refused string }{
		{`<?xml version="1.0"?><!DOCTYPE nmaprun><a b="1"><c/>t &amp; u</a>`, ""},
		{`<!-- c --><?xml version="1.0" encoding="iso-8859-1"?><a>` + "\xe9" + `</a>`, ""},
		{`<a><b></a>`, "closed by"},
		{`<a>`, "unexpected EOF"},
		{`<a/>text`, "outside the root"},
		{`<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`, "document type"},
		{`<!DOCTYPE a SYSTEM "http://dtd.example/a"><a/>`, "document type"},
		{`<!DOCTYPE a PUBLIC "-//X" "a.dtd"><a/>`, "document type"},
		{`<a>&x;</a>`, "entity"},
		{`<a><a><a><a><a/></a></a></a></a>`, ""},
		{`<a><a><a><a><a><a/></a></a></a></a></a>`, "deeper than 5"},
		{`<a a="1" b="2" c="3" d="4"/>`, "more than 3 attributes"},
		{`<a a="1" a="2"/>`, "stands twice"},
		{`<` + big(21) + `/>`, "longer than 20"},
		{`<a ` + big(21) + `="1"/>`, "longer than 20"},
		{`<?xml version="1.0" encoding="utf-16"?><a/>`, "encoding \"utf-16\""},
		{`<?xml version="1.0" encoding="utf-7"?><a/>`, "encoding"},
		{"<a>\xff</a>", "UTF-8"},
		{"<a>\x01</a>", "illegal character"},
		{`<a b="` + big(20000) + `"/>`, "larger than 500"},
		{`<a>` + big(20000) + `</a>`, "larger than 500"},
		{`<!--` + big(20000) + `--><a/>`, "larger than 500"},
		{`<a><![CDATA[` + big(20000) + `]]></a>`, "larger than 500"},
	} {
		err := allTokens(c.in, l)
		if c.refused != "" {
			refusedWith(t, c.in[:min(60, len(c.in))], err, c.refused)
		} else if err != nil {
			t.Errorf("%s: %v", c.in, err)
		}
	}
	// a long document of small tokens passes
	if err := allTokens("<a>"+strings.Repeat("<b>text</b>", 10000)+"</a>", l); err != nil {
		t.Error(err)
	}
	// what Decode reads is guarded as well
	x := NewXML(strings.NewReader(`<a><b c="1" c="2"/></a>`), l)
	x.Token()
	var v struct{}
	tok, _ := x.Token()
	_ = tok
	refusedWith(t, "Decode", x.Decode(&v, nil), "")
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b[31m\nb": `"a\x1b[31m\nb"`,
		"\u202egpj":    `"\u202egpj"`,
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s", in, got)
		}
	}
	if got := Quote(strings.Repeat("é", 100)); len(got) > 90 {
		t.Errorf("Quote of a long text has %d bytes", len(got))
	}
	if got := Label("../\x1b\u202e\xff" + big(300)); len(got) > 210 || strings.ContainsAny(got, "\x1b\u202e\xff") {
		t.Errorf("Label: %q", got)
	}
}

func TestEveryLimitHasADefault(t *testing.T) {
	v := reflect.ValueOf(Limits{}.filled())
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s has no default", v.Type().Field(i).Name)
		}
	}
}
