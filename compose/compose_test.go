package compose

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sample() Alert {
	day := time.Date(2026, 11, 10, 6, 0, 0, 0, time.UTC)
	a := Alert{Number: "TA-2026-001", Version: "1", Marking: "TLP:AMBER+STRICT", Constituent: Constituent{"alder", "Alder Transport Authority"}, CVE: "CVE-2026-90417", Title: "Gateway bypass", Summary: "It accepts a token it did not issue.",
		Exploited: []Exploited{{"cisa-kev", day, "confirmed, successful exploitation"}}, Actors: []Actor{{"COPPER HERON", "partner-team"}},
		Hosts: []Host{{"vpn.alder.example", 443, "tcp", "access gateway 5.2.1", vedette.Likely, vedette.Present, []string{"version 5.2.1 is below 5.2.3"}, "5.2.3", day, "service"},
			{"192.0.2.9", 443, "tcp", "access gateway 5.2.3", vedette.Likely, vedette.Fixed, []string{"it was"}, "", day, "service"}},
		Decision:   Decision{"CISA BOD 26-04", 15, "3 days & forensic investigation", day.AddDate(0, 0, 3), day, day, day, []string{"in KEV: yes"}, true},
		Mitigation: []Sourced{{"Update to 5.2.3.", "vendor, solution"}}, References: []string{"https://examplesoft.example/a.b?c=1"}, Sources: []Source{{"cve", "affected versions", "A", "TLP:CLEAR"}}, Drafted: day}
	a.Rate()
	return a
}

func TestForms(t *testing.T) {
	for _, form := range Forms {
		var b bytes.Buffer
		if err := sample().Write(&b, form); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "alert."+string(form))
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || b.String() != string(want) {
			t.Errorf("%s differs from %s (%v); look, then run with -update", form, path, err)
		}
	}
	if err := sample().Write(&bytes.Buffer{}, "pdf"); err == nil {
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

// hostile are texts from outside that must stay text.
var hostile = []string{"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "![a](https://evil.example/p.png)", "# heading", "| cell | cell |\n|---|---|", "```\ncode\n```", "&lt;b&gt;", "<https://evil.example>", "\u202egnp.exe", "a\x00b", "[^1]: x", "https://evil.example/x", "**bold** _it_ ~~no~~", "\\<b>"}

func TestHostileTextStaysText(t *testing.T) {
	for _, h := range hostile {
		a := sample()
		a.Title, a.Summary, a.Constituent.Name = h, h, h
		a.Hosts[0].Software, a.Hosts[0].Asset, a.Hosts[0].Why = h, h, []string{h}
		a.Exploited[0].Source, a.Actors[0].Name, a.Mitigation[0].Text, a.References[0], a.Sources[0].Name = h, h, h, h, h
		var b bytes.Buffer
		if err := a.Write(&b, HTML); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		for _, bad := range []string{"<script", "<img", "<a ", "onerror=alert(1)>", "javascript:alert(1)\"", "<em>", "<code>", "<del>", "\u202e", "\x00"} {
			if strings.Contains(page, bad) {
				t.Errorf("%q became %s", h, bad)
			}
		}
		if n := strings.Count(page, "<h1"); n != 1 {
			t.Errorf("%q: %d headings", h, n)
		}
		if n := strings.Count(page, "<table"); n != 1 {
			t.Errorf("%q: %d tables", h, n)
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
	f.Fuzz(func(t *testing.T, s string) {
		a := sample()
		a.Title, a.Hosts[0].Software, a.Mitigation[0].Text = s, s, s
		var b bytes.Buffer
		if err := a.Write(&b, HTML); err != nil {
			t.Fatal(err)
		}
		if page := strings.ToLower(b.String()); strings.Contains(page, "<script") || strings.Contains(page, "<img") || strings.Contains(page, "<a ") {
			t.Errorf("%q became markup", s)
		}
	})
}
