package safe

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
)

var fuzzLimits = Limits{Total: 1 << 20, Floor: 64 << 10, Buffer: 1 << 20, Record: 64 << 10, Token: 64 << 10, String: 4 << 10, Line: 8 << 10, Members: 50}

// invalidOrNil fails when an error is of another kind.
func invalidOrNil(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, vedette.ErrInvalid) {
		t.Fatalf("%v is not ErrInvalid", err)
	}
	if err != nil && len(err.Error()) > 1000 {
		t.Fatalf("a message of %d bytes", len(err.Error()))
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x",{"b":null}]}`, `{"a":1,"A":2}`, `["\ud800"]`, "\xef\xbb\xbf[]", `{"list":[{},[]]}`, `[1e999]`, `{"a":"\u0000"}`, strings.Repeat("[", 300)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := NewChecker(fuzzLimits).Check(b)
		invalidOrNil(t, err)
		if err == nil && !json.Valid(b) {
			t.Fatalf("accepted what the standard library does not: %q", b)
		}
		for _, path := range []string{"", "/list"} {
			n := 0
			err := NewJSON(bytes.NewReader(b), fuzzLimits).Each(path, func(e Element) error {
				if n++; e.Err == nil && !json.Valid(e.Raw) {
					t.Fatalf("element %s is no JSON: %q", e.Pointer, e.Raw)
				}
				return nil
			}, func(Element) error { return nil })
			invalidOrNil(t, err)
		}
	})
}

func FuzzXML(f *testing.F) {
	for _, s := range []string{`<?xml version="1.0"?><!DOCTYPE a><a b="c"><d/>t</a>`, `<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`, `<a a="1" a="2"/>`, `<a><![CDATA[x]]></a>`, `<?xml version="1.0" encoding="latin1"?><a/>`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x := NewXML(bytes.NewReader(b), fuzzLimits)
		for {
			_, err := x.Token()
			if err == io.EOF {
				return
			}
			invalidOrNil(t, err)
			if err != nil {
				return
			}
		}
	})
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "\"x\"\"y\",\"z\nw\"\r\n", "\"open", "a\"b,c\n", "\xef\xbb\xbfa;b\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := NewCSV(bytes.NewReader(b), ',', fuzzLimits)
		for range len(b) + 2 {
			_, err := c.Next()
			if err == io.EOF {
				return
			}
			invalidOrNil(t, err)
			var bad RecordError
			if err != nil && !errors.As(err, &bad) {
				return
			}
		}
		t.Fatal("more records than bytes")
	})
}

func FuzzMembers(f *testing.F) {
	f.Add([]byte("plain"))
	f.Add(gz([]byte("text")))
	f.Add(tarOf(entry{name: "a", body: "one"}))
	f.Add(gz(tarOf(entry{name: "a", body: "one"})))
	f.Add(zipOf(entry{name: "a", body: "one"}, entry{name: "b", body: "two"}))
	f.Add(overlapping(3))
	f.Fuzz(func(t *testing.T, b []byte) {
		var n int64
		err := Members("in", bytes.NewReader(b), fuzzLimits, func(m Member) error {
			if m.Err != nil {
				return nil
			}
			k, err := io.Copy(io.Discard, m.R)
			n += k
			return err
		})
		invalidOrNil(t, err)
		if n > fuzzLimits.Total {
			t.Fatalf("%d bytes came out", n)
		}
	})
}
