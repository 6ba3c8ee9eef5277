package read

import (
	"bytes"
	"errors"
	"testing"

	"github.com/vedette-hub/vedette"
)

// fuzzFormat feeds a format with broken samples: no panic, no error of another
// kind, and what was said once is said again.
func fuzzFormat(f *testing.F, format Format) {
	for _, s := range samples(f) {
		if s.format.Name == format.Name {
			f.Add(s.bytes)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		Sniff(b)
		_, err := format.Parse(bytes.NewReader(b), func(r Record) error {
			if (r.Err == nil) == (r.Body == nil) || r.Where == "" {
				t.Fatalf("record %q has body %v and error %v", r.Where, r.Body != nil, r.Err)
			}
			if r.Err != nil && format.Whole {
				t.Fatalf("record %q of a whole document is refused alone", r.Where)
			}
			if r.Err != nil {
				invalidOrNil(t, r.Err)
				return nil
			}
			said, err := format.Say(r.Body)
			invalidOrNil(t, err)
			if err == nil {
				sound(t, said)
			}
			return nil
		})
		invalidOrNil(t, err)
	})
}

func invalidOrNil(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, vedette.ErrInvalid) {
		t.Fatalf("%v is not ErrInvalid", err)
	}
	if err != nil && len(err.Error()) > 2000 {
		t.Fatalf("a message of %d bytes", len(err.Error()))
	}
}

// sound checks what the store relies on.
func sound(t *testing.T, s Said) {
	t.Helper()
	for _, st := range s.Statements {
		if st.Object == "" || st.Type == "" || len(st.Text) > maxText {
			t.Fatalf("statement %q of type %q with a text of %d bytes", st.Object, st.Type, len(st.Text))
		}
		if st.Type == vedette.TypeVulnerability && (st.Vulnerability == nil || st.Vulnerability.ID != st.Object) {
			t.Fatalf("statement %q without its vulnerability", st.Object)
		}
	}
	for _, o := range s.Observations {
		if _, err := vedette.ParseAsset(o.Asset); err != nil || o.Check == "" || len(o.Fact.Banner) > maxBanner {
			t.Fatalf("observation %+v: %v", o, err)
		}
	}
	for _, p := range s.Points {
		if !(p.Score >= 0 && p.Score <= 1 && p.Percentile >= 0 && p.Percentile <= 1) || p.Day.IsZero() || p.Model == "" {
			t.Fatalf("point %+v", p)
		}
	}
}

func FuzzCVE(f *testing.F)          { fuzzFormat(f, cveRecords) }
func FuzzPerson(f *testing.F)       { fuzzFormat(f, personStatement) }
func FuzzKEV(f *testing.F)          { fuzzFormat(f, kevJSON) }
func FuzzKEVCSV(f *testing.F)       { fuzzFormat(f, kevCSV) }
func FuzzEUKEV(f *testing.F)        { fuzzFormat(f, euKEV) }
func FuzzEUVD(f *testing.F)         { fuzzFormat(f, euvdMapping) }
func FuzzEPSS(f *testing.F)         { fuzzFormat(f, epssScores) }
func FuzzNVD(f *testing.F)          { fuzzFormat(f, nvdPage) }
func FuzzNVDOverrides(f *testing.F) { fuzzFormat(f, nvdOverrides) }
func FuzzDebian(f *testing.F)       { fuzzFormat(f, debianTracker) }
func FuzzOSV(f *testing.F)          { fuzzFormat(f, osvRecords) }
func FuzzOSVYAML(f *testing.F)      { fuzzFormat(f, osvYAML) }
func FuzzNmap(f *testing.F)         { fuzzFormat(f, nmapReport) }
func FuzzInventory(f *testing.F)    { fuzzFormat(f, inventory) }
func FuzzExploitedBy(f *testing.F)  { fuzzFormat(f, exploitedBy) }

// FuzzVersions: the translation of CVE versions never makes an interval that
// is also one version, and never an empty range.
func FuzzVersions(f *testing.F) {
	for _, s := range []string{">= 1.0, < 1.4", "1.2 and earlier", "5.4.*", "n/a", "prior to 7", "1.0 - 2.0", "*", "0"} {
		f.Add(s, "", "", "", "unaffected")
		f.Add("1", s, "", "2", "affected")
		f.Add("1", "", s, "", "unknown")
	}
	f.Fuzz(func(t *testing.T, version, less, lessEqual, at, status string) {
		for _, r := range cnaVersions(oneProduct(version, less, lessEqual, at, status)).ranges {
			interval := r.From != "" || r.To != ""
			if (r.Exact != "") == interval || r.ToIncl && r.To == "" || r.FromExcl && r.From == "" {
				t.Fatalf("%+v", r)
			}
		}
	})
}
