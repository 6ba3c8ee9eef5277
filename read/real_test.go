package read

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette/safe"
)

// realFile is a published data set; nothing of it is in the repository.
type realFile struct {
	path    string // below VEDETTE_TEST_DATA
	format  string
	records int // accepted, at least
	refused int // at most
}

var realFiles = []realFile{
	{"vuln/cve5-vulnrichment.jsonl.gz", "cve", 16000, 0},
	{"vuln/cve5-cited-by-certeu.jsonl.gz", "cve", 155, 0},
	{"vuln/kev-2025-02-25.json.gz", "kev", 1280, 0},
	{"vuln/kev-2025-02-25.csv.gz", "kev-csv", 1280, 0},
	{"vuln/epss_scores-2025-02-23.csv.gz", "epss", 278742, 0},
	{"vuln/nvd-2.0-fixtures.json.gz", "nvd", 71, 2}, // two ids of the fixtures are none,
	{"vuln/nvd-cpe-configurations-anchore.jsonl.gz", "nvd-overrides", 17731, 0},
	{"vuln/osv-go.tar.gz", "osv", 2537, 0},
	{"vuln/osv-pypi-yaml.tar.gz", "osv-yaml", 1629, 0},
	{"scan/defectdojo-scans.tar.gz", "nmap", 4, 0},
	{"scan/securecodebox-testfiles.tar.gz", "nmap", 2, 0},
}

func realData(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("VEDETTE_TEST_DATA")
	if dir == "" {
		t.Skip("VEDETTE_TEST_DATA is not set")
	}
	return dir
}

func TestRealData(t *testing.T) {
	dir := realData(t)
	for _, f := range realFiles {
		t.Run(f.path, func(t *testing.T) { f.test(t, dir) })
	}
}

func (f realFile) test(t *testing.T, dir string) {
	var members, accepted, refused, statements, observations, coverage, points, affected, ranges int
	err := safe.MembersFile(filepath.Join(dir, f.path), safe.Limits{}, func(m safe.Member) error {
		if m.Err != nil {
			t.Logf("%s: %v", m.Name, m.Err)
			return nil
		}
		head, r, err := peek(m.R)
		if err != nil {
			return err
		}
		format, err := Sniff(head)
		if err != nil {
			if !strings.HasPrefix(f.path, "scan/") {
				t.Errorf("%s: %v", m.Name, err)
			}
			return nil
		}
		if format.Name != f.format {
			t.Errorf("%s: sniffed as %s", m.Name, format.Name)
			return nil
		}
		members++
		_, err = format.Read(r, func(rec Record, s Said) error {
			if rec.Err != nil {
				if refused++; refused <= 20 {
					t.Logf("%s: %s: %v", m.Name, rec.Where, rec.Err)
				}
				return nil
			}
			accepted++
			statements += len(s.Statements)
			observations += len(s.Observations)
			coverage += len(s.Coverage)
			points += len(s.Points)
			for _, st := range s.Statements {
				if st.Vulnerability != nil {
					affected += len(st.Vulnerability.Affected)
					for _, a := range st.Vulnerability.Affected {
						ranges += len(a.Ranges)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d documents, %d records, %d refused; %d statements, %d affected, %d ranges, %d observations, %d coverage, %d points",
		f.format, members, accepted, refused, statements, affected, ranges, observations, coverage, points)
	if accepted < f.records || refused > f.refused {
		t.Errorf("%d records and %d refused, want at least %d and at most %d", accepted, refused, f.records, f.refused)
	}
}

func peek(r io.Reader) ([]byte, io.Reader, error) {
	head := make([]byte, SniffSize)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, nil, err
	}
	return head[:n], io.MultiReader(bytes.NewReader(head[:n]), r), nil
}

// The published catalogue says the same in both forms.
func TestRealKEVFormsAgree(t *testing.T) {
	dir := realData(t)
	load := func(name string) (b []byte) {
		err := safe.MembersFile(filepath.Join(dir, name), safe.Limits{}, func(m safe.Member) (err error) {
			b, err = io.ReadAll(m.R)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	sameSaid(t, load("vuln/kev-2025-02-25.json.gz"), kevJSON, load("vuln/kev-2025-02-25.csv.gz"), kevCSV)
}
