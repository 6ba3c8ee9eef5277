package match

import (
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
)

func TestSettle(t *testing.T) {
	match := func(cpe string, r vedette.Range) vedette.CPEMatch {
		return vedette.CPEMatch{CPE: "cpe:2.3:" + cpe + ":*:*:*:*:*:*:*:*", Range: r}
	}
	any := exact("*", "")
	windows := vedette.Require{Any: []vedette.CPEMatch{match("o:microsoft:windows", exact("-", ""))}}
	notWindows := vedette.Require{Any: windows.Any, Negate: true}
	oldPHP := vedette.Require{Any: []vedette.CPEMatch{match("a:php:php", rng("", "8"))}}
	device := vedette.Require{Any: []vedette.CPEMatch{match("h:example:rt-ax55", exact("-", ""))}}
	both := vedette.Require{Any: []vedette.CPEMatch{windows.Any[0], match("a:php:php", any)}, All: true}
	sw := func(cpe, version string) vedette.Software {
		return vedette.Software{Product: "x", Version: version, CPE: "cpe:/" + cpe}
	}
	firmware := vedette.Software{Product: "rt-ax55_firmware", Version: "1", CPE: "cpe:2.3:o:example:rt-ax55_firmware:1:*:*:*:*:*:*:*"}
	win, linux := sw("o:microsoft:windows", ""), vedette.Software{Distro: "debian:12"}
	for _, c := range []struct {
		name     string
		software vedette.Software
		needs    []vedette.Require
		on       []vedette.Software
		want     vedette.Verdict
		open     int
		reason   string
	}{
		{"nothing to settle", p("1"), nil, nil, vedette.Likely, 0, ""},
		{"the system is there", p("1"), []vedette.Require{windows}, []vedette.Software{win}, vedette.Likely, 0, "holds"},
		{"another system", p("1"), []vedette.Require{windows}, []vedette.Software{linux}, vedette.NotAffected, 0, "the system is debian:12"},
		{"the kernel excludes nothing", p("1"), []vedette.Require{windows}, []vedette.Software{sw("o:linux:linux_kernel", "")}, vedette.Possible, 1, "not seen"},
		{"nothing seen", p("1"), []vedette.Require{windows}, nil, vedette.Possible, 1, "microsoft/windows) was not seen"},
		{"negated, absent", p("1"), []vedette.Require{notWindows}, []vedette.Software{linux}, vedette.Likely, 0, "holds"},
		{"negated, present", p("1"), []vedette.Require{notWindows}, []vedette.Software{win}, vedette.NotAffected, 0, "does not hold"},
		{"negated, unseen", p("1"), []vedette.Require{notWindows}, nil, vedette.Possible, 1, ""},
		{"version in", p("1"), []vedette.Require{oldPHP}, []vedette.Software{sw("a:php:php", "7.4")}, vedette.Likely, 0, "range before 8"},
		{"version out", p("1"), []vedette.Require{oldPHP}, []vedette.Software{sw("a:php:php", "8.1")}, vedette.NotAffected, 0, ""},
		{"version unknown", p("1"), []vedette.Require{oldPHP}, []vedette.Software{sw("a:php:php", "")}, vedette.Possible, 1, ""},
		{"by name", p("1"), []vedette.Require{oldPHP}, []vedette.Software{{Product: "PHP", Version: "7.4"}}, vedette.Likely, 0, ""},
		{"firmware implies its device", firmware, []vedette.Require{device}, nil, vedette.Likely, 0, "runs on this device"},
		{"another device's", p("1"), []vedette.Require{device}, nil, vedette.Possible, 1, ""},
		{"all, one missing", p("1"), []vedette.Require{both}, []vedette.Software{win}, vedette.Possible, 1, ""},
		{"all there", p("1"), []vedette.Require{both}, []vedette.Software{win, sw("a:php:php", "7")}, vedette.Likely, 0, ""},
		{"two conditions, one open", p("1"), []vedette.Require{windows, oldPHP}, []vedette.Software{win}, vedette.Possible, 1, ""},
	} {
		m := Settle(vedette.Match{Software: c.software, Verdict: vedette.Likely, Reasons: []string{"r"}, Requires: c.needs}, c.on)
		if all := strings.Join(m.Reasons, "; "); m.Verdict != c.want || len(m.Requires) != c.open || !strings.Contains(all, c.reason) {
			t.Errorf("%s: %s, %d open (%s); want %s, %d (%s)", c.name, m.Verdict, len(m.Requires), all, c.want, c.open, c.reason)
		}
	}
	if m := Settle(vedette.Match{Verdict: vedette.DeclaredOnly, Requires: []vedette.Require{windows}}, nil); m.Verdict != vedette.DeclaredOnly {
		t.Errorf("a declaration was raised to %s", m.Verdict)
	}
	if m := Settle(vedette.Match{Verdict: vedette.NotAffected, Requires: []vedette.Require{windows}}, []vedette.Software{win}); m.Verdict != vedette.NotAffected {
		t.Errorf("what is not affected became %s", m.Verdict)
	}
}
