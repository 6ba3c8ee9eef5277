//go:build long

package browser

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"
	"unicode"

	"github.com/vedette-hub/vedette/read"
)

// payloads are the texts of testdata/payloads.txt.
func payloads(t *testing.T) (out []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/payloads.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "# "):
			continue
		case line[0] == '"':
			if line, err = strconv.Unquote(line); err != nil {
				t.Fatalf("payload %d: %v", len(out)+1, err)
			}
		}
		if slices.Contains(out, line) {
			t.Fatalf("payload %d stands twice: %s", len(out)+1, line)
		}
		out = append(out, line)
	}
	if len(out) != 200 {
		t.Fatalf("%d payloads, not 200", len(out))
	}
	return out
}

// record fills one record of a template: every field has another payload, and
// over all records every field has every payload, because 13 and 200 have no
// divisor in common.
type record struct {
	N     int
	all   []string
	field int
}

// Next is the payload of the next field.
func (r *record) Next() string {
	r.field++
	return r.all[(13*r.N+r.field+1)%len(r.all)]
}

// Vendor and Product are the same in every format, so that they meet.
func (r *record) Vendor() string { return r.all[13*r.N%len(r.all)] }

// Product has a number of its own: names are compared without their signs.
func (r *record) Product() string { return fmt.Sprintf("P%d %s", r.N, r.all[(13*r.N+1)%len(r.all)]) }

// CVE is the number of the record's vulnerability.
func (r *record) CVE() string { return fmt.Sprintf("CVE-2026-%d", 90000+r.N) }

// Day is recent: what was exploited long ago is drafted together.
func (r *record) Day() string { return time.Now().AddDate(0, 0, -1).UTC().Format(time.DateOnly) }

// quoting are the ways in which a format writes a text.
var quoting = template.FuncMap{
	"json": func(s string) (string, error) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		err := e.Encode(s)
		return strings.TrimSpace(b.String()), err
	},
	"printable": func(s string) string { // what our own looks write down
		return strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return ' '
		}, s)
	},
	"csv": func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` },
	"xml": func(s string) (string, error) {
		var b bytes.Buffer
		err := xml.EscapeText(&b, []byte(s))
		return b.String(), err
	},
}

// hostileFiles writes a file of every template, 200 records each.
func hostileFiles(t *testing.T) map[string]string {
	t.Helper()
	all := payloads(t)
	dir := t.TempDir()
	found, err := filepath.Glob("testdata/hostile/*")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range found {
		var rs []*record
		for i := range all {
			rs = append(rs, &record{N: i + 1, all: all})
		}
		tm, err := template.New(filepath.Base(f)).Funcs(quoting).ParseFiles(f)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := tm.Execute(&b, rs); err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(filepath.Base(f), ".")
		out[name] = filepath.Join(dir, filepath.Base(f))
		if err := os.WriteFile(out[name], b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// hostileWorld is a store into which every format brought payloads in every
// field that is text.
func hostileWorld(t *testing.T) string {
	t.Helper()
	files := hostileFiles(t)
	dir := filepath.Join(t.TempDir(), "data")
	vedette(t, "--data", dir, "constituent", "apply", files["constituency"])
	vedette(t, "--data", dir, "feed", "apply", files["feeds"])
	var names []string
	args := []string{"--data", dir, "import", "-o", "json"}
	for _, f := range read.All {
		if files[f.Name] == "" {
			t.Fatalf("format %s has no template in testdata/hostile", f.Name)
		}
		if f.Name != "checks" {
			names, args = append(names, f.Name), append(args, files[f.Name])
		}
	}
	// the hub's own catalogue of checks is its own: this one is another's
	out := vedette(t, args...) + vedette(t, "--data", dir, "import", "-o", "json", "--source", "odd-checks", "--marking", "green", files["checks"])
	names = append(names, "checks")
	for i, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var res struct {
			Format    string
			Read, New int
			Refused   []struct{ Where, Why string }
		}
		if err := json.Unmarshal([]byte(line), &res); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		t.Logf("%s: %d records read, %d claims new, %d refused", res.Format, res.Read, res.New, len(res.Refused))
		if res.Format != names[i] || res.Read == 0 {
			t.Errorf("%s: nothing was read as %s: %.500v", res.Format, names[i], res.Refused)
		}
	}
	vedette(t, "--data", dir, "user", "add", "lead", "--role", "lead", "--role", "analyst", "--role", "admin")
	return dir
}

// injected finds what no page of ours has: elements, attributes and addresses
// that came out of a text. It answers the first few.
const injected = `(doc) => {
	const out = [];
	for (const e of doc.querySelectorAll("*")) {
		const tag = e.localName;
		const ours = tag === "script" ? /^\/static\//.test(e.getAttribute("src") ?? "") && !e.textContent
			: tag === "link" ? /^\/static\//.test(e.getAttribute("href") ?? "")
			: tag === "meta" ? !/^(content-security-policy|set-cookie)$/i.test(e.httpEquiv) && !/url=/i.test(e.content)
			: !/^(style|iframe|frame|frameset|object|embed|applet|base|math|img|image|video|audio|source|track|marquee|foreignobject|animate|set|use|noscript|template|isindex|x)$/.test(tag);
		if (!ours) out.push("element " + e.outerHTML.slice(0, 150));
		for (const a of e.attributes) {
			if (/^on|^style$|^srcdoc$|^x-|^hx-on|^xlink/i.test(a.name)) out.push("attribute " + a.name + " of " + e.outerHTML.slice(0, 150));
			if (/^(href|src|action|formaction|data|srcset|poster|hx-get|hx-post)$/i.test(a.name) && !/^(\/(?![\/\\])|#|\?|https?:\/\/|mailto:|$)/.test(a.value)) out.push("address " + a.name + "=" + a.value.slice(0, 150));
			if (/^(href|src|action|formaction)$/i.test(a.name) && /^https?:/.test(a.value) && tag !== "a") out.push("address " + a.name + "=" + a.value.slice(0, 150));
		}
	}
	return out.slice(0, 5);
}`

// TestHostile brings texts that would run into every field of every format, and
// visits every page: nothing runs, and the browser has nothing to report.
func TestHostile(t *testing.T) {
	needBrowser(t)
	dir := hostileWorld(t)
	h := serve(t, dir, "lead")
	b := h.newTab(t)
	b.inject(`window.mark = () => console.error("EXECUTED at " + location.pathname);`)
	b.open(h.link)
	b.click("button", "^Sign in$")
	s := newSite(10, false)
	s.fetched = 250
	n := 0
	parsed := s.walk(b, []string{"/", "/cases"}, func(at, pattern string) {
		n++
		for _, found := range eval[[]string](b, "("+injected+")(document)") {
			t.Errorf("%s: %s", at, found)
		}
	})
	t.Logf("%d pages opened, %d more read", n, parsed)
	s.complete(t, "/login/code")
	for _, line := range b.complaints() {
		if strings.Contains(line, "Failed to load resource") {
			continue // a dead link, which complete tells
		}
		t.Errorf("the console: %s", line)
	}
	for _, r := range h.reports() {
		t.Errorf("a report: %s", r)
	}
	detected(t, h)
}

// detected proves that what TestHostile counts would have been counted.
func detected(t *testing.T, h *hub) {
	b := h.newTab(t)
	b.inject(`window.mark = () => console.error("EXECUTED");`)
	b.open("/login")
	eval[bool](b, `document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=mark()><a href=javascript:mark()>x</a>"), mark(), true`)
	within(t, patience, "an injection is reported", func() bool {
		said := strings.Join(b.complaints(), "\n")
		return len(h.reports()) > 0 && strings.Contains(said, "EXECUTED") && strings.Contains(said, "Content Security Policy")
	})
	if found := eval[[]string](b, "("+injected+")(document)"); len(found) < 3 {
		t.Errorf("of an injection only this is found: %q", found)
	}
}
