package triage

import (
	"archive/tar"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
)

// TestBOD2604 is the table of the directive, written down a second time.
func TestBOD2604(t *testing.T) {
	for _, c := range []struct {
		row                        int
		kev, exposed, auto, impact string
		days                       int
		forensic                   bool
	}{
		{0, "no", "no", "no", "partial", 0, false}, {1, "yes", "no", "no", "partial", 14, false},
		{2, "no", "yes", "no", "partial", 60, false}, {3, "no", "no", "yes", "partial", 60, false},
		{4, "no", "no", "no", "total", 0, false}, {5, "yes", "yes", "no", "partial", 14, false},
		{6, "yes", "no", "yes", "partial", 14, false}, {7, "no", "yes", "yes", "partial", 14, false},
		{8, "yes", "no", "no", "total", 14, false}, {9, "no", "yes", "no", "total", 14, false},
		{10, "no", "no", "yes", "total", 60, false}, {11, "yes", "yes", "yes", "partial", 3, false},
		{12, "yes", "yes", "no", "total", 3, true}, {13, "yes", "no", "yes", "total", 3, true},
		{14, "no", "yes", "yes", "total", 3, false}, {15, "yes", "yes", "yes", "total", 3, true},
	} {
		v := vedette.Vulnerability{SSVC: &vedette.SSVC{Automatable: c.auto, TechnicalImpact: c.impact}}
		if c.kev == "yes" {
			v.Exploited = []vedette.Exploitation{{Source: "kev", Status: "confirmed"}}
		}
		exposed := c.exposed == "yes"
		d := BOD2604(v, &exposed)
		if d.Row != c.row || d.Days != c.days || d.Forensic != c.forensic || strings.Contains(d.Outcome, "forensic") != c.forensic {
			t.Errorf("%+v decides %+v", c, d)
		}
		start := time.Date(2026, 10, 30, 12, 0, 0, 0, time.UTC)
		if due := d.Deadline(start); c.days == 0 && !due.IsZero() || c.days > 0 && due.Sub(start) != time.Duration(c.days)*24*time.Hour {
			t.Errorf("row %d: deadline %v", c.row, due)
		}
		for i, in := range d.Inputs {
			if in.Assumed || in.Why == "" || in.Name != bodInputs[i] {
				t.Errorf("row %d: input %+v", c.row, in)
			}
		}
	}
	if n := len(bod2604()); n != 16 {
		t.Errorf("the table has %d rows", n)
	}
}

func TestBOD2604Assumes(t *testing.T) {
	d := BOD2604(vedette.Vulnerability{}, nil)
	if d.Row != 14 || d.Inputs[0].Assumed || !d.Inputs[1].Assumed || !d.Inputs[2].Assumed || !d.Inputs[3].Assumed {
		t.Errorf("nothing known decides %+v", d)
	}
	ended := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		list []vedette.Exploitation
		want string
		why  string
	}{
		{nil, "no", "no source"},
		{[]vedette.Exploitation{{Status: "suspected", Source: "x"}}, "no", "no source"},
		{[]vedette.Exploitation{{Status: "confirmed", Source: "kev", Ended: ended}}, "no", "kev withdrew its entry on 2026-05-01"},
		{[]vedette.Exploitation{{Status: "confirmed", Source: "kev", Ended: ended}, {Status: "confirmed", Source: "eukev", Since: ended}}, "yes", "eukev confirms exploitation since 2026-05-01"},
		{[]vedette.Exploitation{{Status: "confirmed"}}, "yes", "a source confirms"},
	} {
		in := BOD2604(vedette.Vulnerability{Exploited: c.list}, nil).Inputs[0]
		if in.Value != c.want || !strings.Contains(in.Why, c.why) {
			t.Errorf("%+v: %+v, want %s (%s)", c.list, in, c.want, c.why)
		}
	}
	strange := BOD2604(vedette.Vulnerability{SSVC: &vedette.SSVC{Automatable: "perhaps", TechnicalImpact: "Total"}}, nil)
	if !strange.Inputs[2].Assumed || strange.Inputs[3].Assumed || strange.Inputs[3].Value != "total" {
		t.Errorf("strange values: %+v", strange.Inputs)
	}
}

func TestReadBOD2604Refuses(t *testing.T) {
	head := "row,a,b,c,d,outcome,days,forensic\n"
	for _, s := range []string{"\"", head + "x,1,2,3,4,o,1,no\n", head + "1,1,2,3,4,o,x,no\n", head + "1,1,2,3,4,o,1,no\n2,1,2,3,4,o,1,no\n"} {
		if _, err := readBOD2604(s); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

// TestBOD2604IsPublished compares the table with the one CERT/CC publishes.
func TestBOD2604IsPublished(t *testing.T) {
	dir := os.Getenv("VEDETTE_TEST_DATA")
	if dir == "" {
		t.Skip("VEDETTE_TEST_DATA is not set")
	}
	f, err := os.Open(filepath.Join(dir, "vuln", "ssvc-decision-tables.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			t.Fatal("the table is not in the archive")
		}
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(h.Name) != "cisa_bod_26_04_1_0_0.csv" {
			continue
		}
		lines, err := csv.NewReader(tr).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) != len(bod2604())+1 {
			t.Fatalf("the published table has %d rows", len(lines)-1)
		}
		for _, l := range lines[1:] {
			r, ok := bod2604()[[4]string(l[1:5])]
			if !ok || !slices.Equal(append([]string{strconv.Itoa(r.number)}, append(r.inputs[:], r.outcome)...), l) {
				t.Errorf("published %v, ours %+v", l, r)
			}
		}
		return
	}
}
