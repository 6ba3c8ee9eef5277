package epss

import "testing"

func TestRowsStandAlone(t *testing.T) {
	h, err := ParseHeader("#model_version:v2025.03.14,score_date:2025-03-17T00:00:00+0000")
	if err != nil || h != (Header{"v2025.03.14", "2025-03-17"}) {
		t.Fatalf("%+v, %v", h, err)
	}
	line, back, ok := Cut(string(Append(nil, []byte("CVE-2031-0001,0.5,0.9"), h)))
	if !ok || line != "CVE-2031-0001,0.5,0.9" || back != h {
		t.Errorf("%q, %+v", line, back)
	}
	if r, err := ParseRow(line); err != nil || r != (Row{"CVE-2031-0001", 0.5, 0.9}) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRefused(t *testing.T) {
	for _, line := range []string{"", "CVE-2031-0001,1", "CVE-2031-0001,1.01,1", "CVE-2031-0001,-0.1,1", "CVE-2031-0001,0,x", "CVE-31-0001,0,0",
		"cve-2031-0001,0,0", "CVE-2031-0001,NaN,0", "CVE-2031-0001,Inf,0", "CVE-2031-0001234567,0,0", "CVE-2031-0001,0,0,0"} {
		if _, err := ParseRow(line); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
	for _, line := range []string{"", "cve,epss,percentile", "#model_version:x", "#score_date:2025-03-17", "#model_version:a b,score_date:2025-03-17"} {
		if _, err := ParseHeader(line); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}
