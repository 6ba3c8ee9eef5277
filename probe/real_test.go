package probe

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vedette-hub/vedette/format/recog"
	"github.com/vedette-hub/vedette/safe"
)

// recogPack is the published pack, in memory.
func recogPack(t testing.TB) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	tr := tar.NewReader(bytes.NewReader(testData(t, "easm/recog-xml.tar.gz")))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(h.Name, "./")] = &fstest.MapFile{Data: b}
	}
}

// testData is a published file, unpacked.
func testData(t testing.TB, name string) []byte {
	t.Helper()
	dir := os.Getenv("VEDETTE_TEST_DATA")
	if dir == "" {
		t.Skip("VEDETTE_TEST_DATA is not set: no published data")
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(zr); err != nil {
		t.Fatal(err)
	}
	return b
}

// recogReasons are why an example of the pack does not give what it says, by
// file and the beginning of the pattern.
var recogReasons = []struct{ file, pattern, reason string }{}

// TestRecogExamples runs the worked examples of the pack: each pattern on its
// own texts, and all fields that the example names.
func TestRecogExamples(t *testing.T) {
	pack := recogPack(t)
	passed, failed, prints := 0, 0, 0
	grouped := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(pack)) {
		_, err := recog.Parse(safe.NewXML(bytes.NewReader(pack[name].Data), safe.Limits{}), func(f recog.Fingerprint) error {
			prints++
			p, err := f.Compile()
			for _, e := range f.Examples {
				why := ""
				if err != nil {
					why = err.Error()
				} else {
					why = wrong(p, e)
				}
				if why == "" {
					passed++
					continue
				}
				failed++
				listed := false
				for _, r := range recogReasons {
					if r.file == filepath.Base(name) && strings.HasPrefix(f.Pattern, r.pattern) {
						listed = true
						grouped[r.reason]++
					}
				}
				if !listed {
					t.Errorf("%s: %s: %s", name, f.Pattern, why)
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	rate := 100 * float64(passed) / float64(max(passed+failed, 1))
	t.Logf("%d files, %d fingerprints, %d of %d examples pass: %.2f %%", len(pack), prints, passed, passed+failed, rate)
	for _, reason := range slices.Sorted(maps.Keys(grouped)) {
		t.Logf("  %d: %s", grouped[reason], reason)
	}
	if rate < 99.5 {
		t.Errorf("%.2f %% pass", rate)
	}
}

// wrong says what a pattern gets wrong of an example.
func wrong(p *recog.Pattern, e recog.Example) string {
	if e.Err != nil {
		return e.Err.Error()
	}
	got, ok := p.Match(e.Text)
	if !ok {
		return "does not match " + safe.Quote(e.Text)
	}
	for name, want := range e.Want {
		if got[name] != want {
			return name + " of " + safe.Quote(e.Text) + " is " + safe.Quote(got[name]) + ", want " + safe.Quote(want)
		}
	}
	return ""
}
