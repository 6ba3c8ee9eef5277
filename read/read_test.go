package read

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/vedette-hub/vedette"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is one hand-written document of a format.
type sample struct {
	format Format
	path   string
	bytes  []byte
}

func samples(t testing.TB) []sample {
	t.Helper()
	var out []sample
	for _, f := range All {
		paths, err := filepath.Glob(filepath.Join("testdata", f.Name, "*"))
		if err != nil {
			t.Fatal(err)
		}
		n := len(out)
		for _, p := range paths {
			if strings.HasSuffix(p, ".golden") {
				continue
			}
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, sample{f, p, b})
		}
		if len(out) == n {
			t.Errorf("format %s has no sample in testdata/%s", f.Name, f.Name)
		}
	}
	return out
}

// result is all a document says, for goldens and comparisons.
type result struct {
	Document Document
	Records  []saidAt
}

type saidAt struct {
	Where   string
	Refused string `json:",omitempty"`
	Said    *Said  `json:",omitempty"`
}

func readAll(f Format, b []byte) (result, error) {
	var res result
	doc, err := f.Read(bytes.NewReader(b), func(r Record, s Said) error {
		if r.Err != nil {
			res.Records = append(res.Records, saidAt{Where: r.Where, Refused: r.Err.Error()})
		} else {
			res.Records = append(res.Records, saidAt{Where: r.Where, Said: &s})
		}
		return nil
	})
	res.Document = doc
	return res, err
}

func TestGolden(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.path, func(t *testing.T) {
			res, err := readAll(s.format, s.bytes)
			if err != nil {
				t.Fatal(err)
			}
			// zero fields are left out: a noun that grows a field changes no golden
			got, err := json.Marshal(res, json.OmitZeroStructFields(true), json.Deterministic(true), jsontext.WithIndent(" "))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := s.path + ".golden"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s; run with -update and look at the diff", golden)
			}
		})
	}
}

func TestSampleIsOfOneFormat(t *testing.T) {
	for _, s := range samples(t) {
		f, err := Sniff(s.bytes)
		if err != nil {
			t.Errorf("%s: %v", s.path, err)
		} else if f.Name != s.format.Name {
			t.Errorf("%s: sniffed as %s", s.path, f.Name)
		}
	}
}

func TestReadTwice(t *testing.T) {
	for _, s := range samples(t) {
		a, errA := readAll(s.format, s.bytes)
		b, errB := readAll(s.format, s.bytes)
		if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s: two readings differ (%v, %v)", s.path, errA, errB)
		}
		if len(a.Records) == 0 {
			t.Errorf("%s: no records", s.path)
		}
	}
}

// A document that was cut off must never be taken for the whole: what a full
// source leaves out is closed.
func TestTruncated(t *testing.T) {
	for _, s := range samples(t) {
		whole := strings.TrimRight(string(s.bytes), " \r\n")
		for n := 0; n < len(whole); n += 97 {
			_, err := readAll(s.format, s.bytes[:n])
			if err != nil && !errors.Is(err, vedette.ErrInvalid) {
				t.Errorf("%s cut at %d: %v is not ErrInvalid", s.path, n, err)
			}
			// a table that ends with a line looks whole: nothing in it says how long it is
			table := s.format.Syntax == "CSV" && (n > 0 && s.bytes[n-1] == '\n' || n < len(s.bytes) && s.bytes[n] == '\n')
			if s.format.Whole && err == nil && !table {
				t.Errorf("%s cut at %d: taken as whole", s.path, n)
			}
		}
	}
}

func TestEmitErrorEndsReading(t *testing.T) {
	stop := errors.New("stop")
	for _, s := range samples(t) {
		n := 0
		_, err := s.format.Parse(bytes.NewReader(s.bytes), func(Record) error { n++; return stop })
		if !errors.Is(err, stop) || n != 1 {
			t.Errorf("%s: emit failed, Parse returned %v after %d records", s.path, err, n)
		}
	}
}

func TestFormats(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range All {
		if f.Name == "" || f.About == "" || f.Spec == "" || f.Syntax == "" || f.Source.Name == "" || f.Source.Marking.TLP == vedette.TLPNone {
			t.Errorf("format %q lacks a name, about, spec, syntax or a source with a marking", f.Name)
		}
		if seen[f.Name] {
			t.Errorf("two formats are called %q", f.Name)
		}
		seen[f.Name] = true
		if f.Source.Full && !f.Whole {
			t.Errorf("%s: what a document of a full source leaves out is closed, so it must be whole", f.Name)
		}
		if got, err := ByName(f.Name); err != nil || got.Name != f.Name {
			t.Errorf("ByName(%q): %v", f.Name, err)
		}
	}
}

// TestAllListed fails when a Format is declared in this package and not in All.
func TestAllListed(t *testing.T) {
	pkgs, err := parser.ParseDir(token.NewFileSet(), ".", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	for _, pkg := range pkgs {
		for name, file := range pkg.Files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if c, ok := n.(*ast.CompositeLit); ok && len(c.Elts) > 0 {
					if id, ok := c.Type.(*ast.Ident); ok && id.Name == "Format" {
						declared++
					}
				}
				return true
			})
		}
	}
	if declared != len(All) {
		t.Errorf("%d formats are declared but %d listed in All", declared, len(All))
	}
}

func TestUnknownIsRefusedWithTheNearest(t *testing.T) {
	for head, want := range map[string]string{
		`{"some": "thing"}`:      "kev",
		"a,b,c\n1,2,3\n":         "inventory",
		"":                       "empty",
		"\x00\x01\x02":           "binary",
		"<other/>":               "nearest",
		strings.Repeat("{", 500): "nearest",
	} {
		_, err := Sniff([]byte(head))
		if !errors.Is(err, vedette.ErrInvalid) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("Sniff(%.20q) = %v, want ErrInvalid with %q", head, err, want)
		}
	}
}

// The two forms of the catalogue say the same.
func TestKEVFormsAgree(t *testing.T) {
	j, err := os.ReadFile("testdata/kev/kev.json")
	if err != nil {
		t.Fatal(err)
	}
	c, err := os.ReadFile("testdata/kev-csv/kev.csv")
	if err != nil {
		t.Fatal(err)
	}
	sameSaid(t, j, kevJSON, c, kevCSV)
}

func sameSaid(t *testing.T, a []byte, fa Format, b []byte, fb Format) {
	t.Helper()
	ra, errA := readAll(fa, a)
	rb, errB := readAll(fb, b)
	if errA != nil || errB != nil || len(ra.Records) != len(rb.Records) {
		t.Fatalf("%v, %v: %d and %d records", errA, errB, len(ra.Records), len(rb.Records))
	}
	for i := range ra.Records {
		if !reflect.DeepEqual(ra.Records[i].Said, rb.Records[i].Said) {
			x, _ := json.Marshal(ra.Records[i].Said)
			y, _ := json.Marshal(rb.Records[i].Said)
			t.Fatalf("record %d differs:\n%s\n%s", i, x, y)
		}
	}
}
