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
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

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

// TestRecogPack matches all examples through the pack, where the first
// fingerprint of a file counts, and prints what it costs.
func TestRecogPack(t *testing.T) {
	pack := recogPack(t)
	begun := time.Now()
	rules, err := NewRules(pack)
	if err != nil {
		t.Fatal(err)
	}
	load := time.Since(begun)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begun = time.Now()
	for _, list := range rules.packs {
		for _, p := range list {
			p.once.Do(p.compile)
		}
	}
	compile := time.Since(begun)
	runtime.GC()
	runtime.ReadMemStats(&after)
	own, earlier, none := 0, 0, 0
	begun = time.Now()
	for _, list := range rules.packs {
		for _, p := range list {
			recog.Parse(safe.NewXML(bytes.NewReader(pack[p.file].Data), safe.Limits{}), func(f recog.Fingerprint) error {
				for _, e := range f.Examples {
					switch r := p.first(e.Text); {
					case r == nil:
						none++
						t.Errorf("%s: nothing matches %s", p.file, safe.Quote(e.Text))
					case r.Fingerprint.Pattern == f.Pattern:
						own++
					default:
						earlier++
					}
				}
				return nil
			})
		}
	}
	n := own + earlier + none
	t.Logf("load %v, compile all %v, %d MB; %d examples: %d by their own fingerprint, %d by an earlier one of the file, %d by none; %v each",
		load.Round(time.Millisecond), compile.Round(time.Millisecond), (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>20, n, own, earlier, none, (time.Since(begun) / time.Duration(n)).Round(time.Microsecond))
	begun = time.Now()
	const header = "Apache/2.4.62 (Debian)"
	for range 1000 {
		rules.Match("http_header.server", header)
	}
	t.Logf("%q: %v with the pack", header, time.Since(begun)/1000)
	if sw := rules.Match("http_header.server", header); len(sw) != 1 || sw[0].Vendor != "apache" || sw[0].Distro != "debian" {
		t.Errorf("%+v", sw)
	}
	runtime.KeepAlive(rules)
}
