package compose

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
)

var update = flag.Bool("update", false, "write the golden files anew")

var day = time.Date(2026, 11, 10, 6, 0, 0, 0, time.UTC)

func sample() Alert {
	a := Alert{Number: "TA-2026-001", Version: "2", Marking: "TLP:AMBER+STRICT PAP:AMBER [org:alder]", Constituent: Constituent{"alder", "Alder Transport Authority"}, CVE: "CVE-2026-90417", Title: "Gateway bypass", Summary: "It accepts a token it did not issue.",
		Exploited: []Exploited{{"cisa-kev", day, "confirmed, successful exploitation"}}, Actors: []Actor{{"COPPER HERON", "partner-team"}},
		Hosts: []Host{{"vpn.alder.example", 443, "tcp", "access gateway 5.2.1", vedette.Likely, vedette.Present, []string{"version 5.2.1 is below 5.2.3"}, "5.2.3", day, "service"},
			{"192.0.2.9", 443, "tcp", "access gateway 5.2.3", vedette.Likely, vedette.Fixed, []string{"it was"}, "", day, "service"}},
		Decision:   Decision{"CISA BOD 26-04", 15, "3 days & forensic investigation", day.AddDate(0, 0, 3), day, day, day.AddDate(0, 0, -9), []string{"in KEV: yes"}, true},
		Mitigation: []Sourced{{"Update to 5.2.3.", "vendor, solution"}}, References: []string{"https://examplesoft.example/a.b?c=1", "ftp://files.example/x"}, Sources: []Source{{"cve", "affected versions", "A", "TLP:CLEAR"}}, Drafted: day.Add(time.Hour),
		History: []Revision{{"2", day.Add(time.Hour), []string{"new: 192.0.2.9:443/tcp", "what to do"}}, {"1", day, []string{"first version"}}},
		Team:    &Team{"Example CSIRT", "csirt@hub.example"}}
	a.Rate()
	return a
}

func written(t testing.TB, a Alert, form Form) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := a.Write(&b, form); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestForms holds each form against its golden file; of PDF the text of its pages.
func TestForms(t *testing.T) {
	for _, form := range Forms {
		got, path := written(t, sample(), form), filepath.Join("testdata", "alert."+string(form))
		if form == PDF {
			got, path = []byte(strings.Join(pdfPages(t, got), "\f\n")), path+".txt"
		}
		if *update {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s differs from %s (%v); look, then run with -update", form, path, err)
		}
	}
	if err := sample().Write(&bytes.Buffer{}, "docx"); err == nil {
		t.Error("an unknown form is written")
	}
}

func TestRate(t *testing.T) {
	host := func(v vedette.Verdict, p vedette.Presence) Host { return Host{Verdict: v, Presence: p} }
	for _, c := range []struct {
		hosts []Host
		want  Level
	}{
		{[]Host{host(vedette.Confirmed, vedette.Present)}, High},
		{[]Host{host(vedette.Possible, vedette.Present), host(vedette.Likely, vedette.Present)}, High},
		{[]Host{host(vedette.Likely, vedette.Fixed), host(vedette.DeclaredOnly, vedette.PresenceUndetermined)}, Medium},
		{[]Host{host(vedette.Likely, vedette.Fixed)}, Low},
		{nil, Low},
	} {
		a := Alert{Hosts: c.hosts}
		a.Rate()
		if a.Level != c.want || len(a.LevelWhy) == 0 {
			t.Errorf("%+v: %s %v, want %s", c.hosts, a.Level, a.LevelWhy, c.want)
		}
	}
}

func TestChanges(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*Alert)
		want   []string
	}{
		{"nothing that is named", func(a *Alert) { a.Sources = nil }, []string{"details and sources"}},
		{"a host is repaired", func(a *Alert) { a.Hosts[0].Presence = vedette.Fixed; a.Rate() },
			[]string{"the level is Low, was High", "now fixed: vpn.alder.example:443/tcp"}},
		{"a host comes, one goes", func(a *Alert) { a.Hosts[1].Asset = "192.0.2.10" },
			[]string{"new: 192.0.2.10:443/tcp (access gateway 5.2.3)", "no longer listed: 192.0.2.9:443/tcp (access gateway 5.2.3)"}},
		{"the deadline moves", func(a *Alert) { a.Decision.Deadline = day.AddDate(0, 0, 14) },
			[]string{"fix by Tue 24 Nov 2026, 06:00Z, was Fri 13 Nov 2026, 06:00Z"}},
		{"no clock", func(a *Alert) { a.Decision.Deadline = time.Time{} }, []string{"no clock runs any more"}},
		{"who says so", func(a *Alert) {
			a.Exploited = append(a.Exploited, Exploited{Source: "partner"})
			a.Actors = append(a.Actors, Actor{Name: "GREY OTTER"})
		}, []string{"partner reports exploitation", "used by GREY OTTER"}},
		{"what to do, and what it is", func(a *Alert) { a.Mitigation, a.Title = nil, "Another" }, []string{"what to do", "what it is"}},
		{"many hosts", func(a *Alert) {
			for _, x := range "abcdefg" {
				a.Hosts = append(a.Hosts, Host{Asset: string(x), Software: "s"})
			}
		}, []string{"new: a (s), b (s), c (s), d (s), e (s) and 2 more"}},
	} {
		a := sample()
		c.change(&a)
		if got := a.Changes(sample()); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// hostile are texts from outside that must stay text.
var hostile = []string{"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "![a](https://evil.example/p.png)", "# heading", "| cell | cell |\n|---|---|", "```\ncode\n```", "&lt;b&gt;", "<https://evil.example>", "\u202egnp.exe", "a\x00b", "[^1]: x", "https://evil.example/x", "**bold** _it_ ~~no~~", "\\<b>", "- a\n- b", "1. a", "> q", "---", "[x]: https://evil.example", "<!--", "mailto:a@evil.example", "www.evil.example", "a*b*c_d_e`f`", "***", "\\", "a\\", "|", "\t\tx", "x\r\ny"}

// with puts a text into everything that comes from outside, but for addresses.
func with(s string) Alert {
	a := sample()
	a.Title, a.Summary, a.Constituent.Name, a.CVE, a.Withdrawn = s, s, s, s, s
	a.Hosts[0].Software, a.Hosts[0].Asset, a.Hosts[0].Why = s, s, []string{s}
	a.Exploited[0], a.Actors[0], a.Mitigation[0], a.Sources[0] = Exploited{s, day, s}, Actor{s, s}, Sourced{s, s}, Source{s, s, s, s}
	a.Decision.Outcome, a.Decision.Table, a.Decision.Inputs, a.LevelWhy = s, s, []string{s}, []string{s}
	a.History[0].Changes, a.Team = []string{s}, &Team{s, s}
	return a
}

var tag = regexp.MustCompile(`<[^>]*>`)

// skeleton are the elements of a page with their attributes: all but its text.
func skeleton(page []byte) string {
	page = regexp.MustCompile(`<title>[^<]*</title>`).ReplaceAll(page, nil)
	return string(bytes.Join(tag.FindAll(page, -1), []byte("\n")))
}

// differs is where two texts part.
func differs(got, want string) string {
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	return fmt.Sprintf("...%q, want ...%q", got[max(0, i-20):min(len(got), i+40)], want[max(0, i-20):min(len(want), i+40)])
}

func TestHostileTextStaysText(t *testing.T) {
	grouped := func(s string) Alert {
		a := with(s)
		for range 6 {
			a.Hosts = append(a.Hosts, a.Hosts[0])
		}
		return a
	}
	for _, build := range []func(string) Alert{with, grouped} {
		want := skeleton(written(t, build("plain"), HTML))
		for _, h := range hostile {
			page := written(t, build(h), HTML)
			if got := skeleton(page); got != want {
				t.Errorf("%q became markup: %s", h, differs(got, want))
			}
			if bytes.ContainsAny(page, "\u202e\x00") {
				t.Errorf("%q stays", h)
			}
		}
	}
}

// TestReferences: an address that is what it looks like is a link; anything
// else is text that nobody follows by mistake.
func TestReferences(t *testing.T) {
	for in, want := range map[string]string{
		"https://examplesoft.example/a.b?c=1": `<a href="https://examplesoft.example/a.b?c=1">https://examplesoft.example/a.b?c=1</a>`,
		"http://examplesoft.example/":         `<a href="http://examplesoft.example/">`,
		"javascript:alert(1)":                 "javascript:alert(1)",
		"https://user@evil.example/x":         "hxxps://user@evil[.]example/x",
		"ftp://files.example/x":               "ftp://files[.]example/x",
		"https://evil.example/\"onclick=x":    `<a href="https://evil.example/%22onclick=x">https://evil.example/%22onclick=x</a>`,
		"https://evil.example/<script>":       `<a href="https://evil.example/%3Cscript%3E">`,
		"https://xn--e1afmkfd.example/":       `<a href="https://xn--e1afmkfd.example/">`,
		"https://ex\u0430mple.example/":       "hxxps://ex\u0430mple[.]example/",
		"see https://evil.example":            "see hxxps://evil[.]example",
	} {
		a := sample()
		a.References = []string{in}
		if page := string(written(t, a, HTML)); !strings.Contains(page, want) || !strings.HasPrefix(want, "<a ") && strings.Contains(page, "<a ") {
			t.Errorf("%q: no %q in %s", in, want, page[strings.Index(page, "References"):])
		}
	}
}

func TestCheck(t *testing.T) {
	a := sample()
	if fs := a.Check([]string{"alder", "Alder Transport Authority", "birch", "Birch Regional Hospitals"}); len(fs) != 0 {
		t.Errorf("a good edition: %+v", fs)
	}
	a.Summary = "Seen at Birch Regional Hospitals first."
	if fs := a.Check([]string{"birch", "Birch Regional Hospitals"}); len(fs) != 2 || !fs[0].Stop {
		t.Errorf("it names another: %+v", fs)
	}
	a = sample()
	a.Summary, a.Hosts, a.Mitigation, a.Sources = "birchwood", nil, nil, []Source{{"blog", "describes it", "C3", ""}}
	if fs := a.Check([]string{"birch"}); len(fs) != 3 {
		t.Errorf("no host, nothing to do, no source: %+v", fs)
	}
}

func FuzzHTML(f *testing.F) {
	for _, h := range hostile {
		f.Add(h)
	}
	want := skeleton(written(f, with("plain"), HTML))
	f.Fuzz(func(t *testing.T, s string) {
		if strings.TrimSpace(clean(s)) == "" {
			return // an empty field leaves out its element
		}
		if got := skeleton(written(t, with(s), HTML)); got != want {
			t.Errorf("%q became markup: %s", s, differs(got, want))
		}
	})
}
