package recog

import (
	"encoding/xml"
	"errors"
	"maps"
	"strings"
	"testing"
)

const sample = `<?xml version="1.0" encoding="UTF-8"?>
<fingerprints matches="ssh.banner" protocol="ssh" database_type="service" preference="0.90">
  <!-- a remark -->
  <fingerprint pattern="^Acme_([\d.]+)(?: patch (\d+))?$" flags="REG_ICASE" certainty="0.8">
    <description>Acme
      shell</description>
    <example service.version="1.2">acme_1.2</example>
    <example _encoding="base64" service.version="3.0" service.version.version="7">
      QWNtZV8zLjAg
      cGF0Y2ggNw==
    </example>
    <param pos="0" name="service.vendor" value="Acme"/>
    <param pos="0" name="service.product" value="Shell"/>
    <param pos="1" name="service.version"/>
    <param pos="2" name="service.version.version"/>
    <param pos="0" name="service.cpe23" value="cpe:/a:acme:shell:{service.version}:{service.version.version}"/>
    <param pos="0" name="hw.product" value="Box {hw.model}"/>
  </fingerprint>
</fingerprints>`

func parse(s string) (Head, []Fingerprint, error) {
	var out []Fingerprint
	h, err := Parse(xml.NewDecoder(strings.NewReader(s)), func(f Fingerprint) error {
		out = append(out, f)
		return nil
	})
	return h, out, err
}

func TestParse(t *testing.T) {
	h, list, err := parse(sample)
	if err != nil || h != (Head{"ssh.banner", "ssh", "service", 0.9}) || len(list) != 1 {
		t.Fatalf("%+v %+v %v", h, list, err)
	}
	f := list[0]
	if f.Description != "Acme shell" || f.Certainty != 0.8 || len(f.Params) != 6 || len(f.Examples) != 2 || f.Examples[1].Text != "Acme_3.0 patch 7" {
		t.Errorf("%+v", f)
	}
	p, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	got, ok := p.Match("ACME_1.2")
	want := map[string]string{"service.vendor": "Acme", "service.product": "Shell", "service.version": "1.2", "service.cpe23": "cpe:/a:acme:shell:1.2:-"}
	if !ok || !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if _, ok := p.Match("Acme_1.2 of another"); ok {
		t.Error("matched what it must not")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{"", "<other/>", "<fingerprints><fingerprint/></fingerprints>",
		`<fingerprints><fingerprint pattern="a"><param pos="x" name="y"/></fingerprint></fingerprints>`, "<fingerprints>"} {
		if _, _, err := parse(s); err == nil {
			t.Errorf("%q is read", s)
		}
	}
}

func TestCompile(t *testing.T) {
	tests := []struct {
		pattern, text string
		flags         []string
		match         bool
		reason        string
	}{
		{pattern: `^b$`, text: "a\nb\nc", match: true}, // anchors of a line
		{pattern: `\Ab$`, text: "a\nb"},
		{pattern: `a.c`, text: "a\nc"},
		{pattern: `a.c`, text: "a\nc", flags: []string{"REG_DOT_NEWLINE"}, match: true},
		{pattern: `(?m)a.c`, text: "a\nc", match: true},
		{pattern: `(?im:a.C)`, text: "A\nc", match: true},
		{pattern: `^\h+\Z`, text: "00ff\n", match: true},
		{pattern: `[\h:]+$`, text: "a:b", match: true},
		{pattern: `[^[]x`, text: "[x"},
		{pattern: `\x04\x84$`, text: "\x04\x84", match: true},
		{pattern: `a\/b\_c`, text: "a/b_c", match: true},
		{pattern: `a++b`, reason: "a possessive quantifier"},
		{pattern: `a(?!b)`, reason: "a look-ahead"},
		{pattern: `(?<=a)b`, reason: "a look-behind"},
		{pattern: `(a)\1`, reason: "a back reference"},
		{pattern: `(?>a)`, reason: "an atomic group"},
		{pattern: `a`, flags: []string{"REG_ODD"}, reason: "the flag REG_ODD is not known"},
		{pattern: `(`, reason: "error parsing regexp: missing closing ): `(?m)(`"},
	}
	for _, x := range tests {
		p, err := Fingerprint{Pattern: x.pattern, Flags: x.flags}.Compile()
		if u, ok := errors.AsType[*Unsupported](err); ok || x.reason != "" {
			if !ok || u.Reason != x.reason {
				t.Errorf("%s: %v, want %q", x.pattern, err, x.reason)
			}
			continue
		}
		if _, ok := p.Match(x.text); ok != x.match {
			t.Errorf("%s (%s) on %q: %v", x.pattern, p.Expr(), x.text, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample, "acme_1.2")
	f.Add(`<fingerprints><fingerprint pattern="(.*)"><param pos="1" name="a"/><param pos="0" name="b.cpe23" value="{a}{"/></fingerprint></fingerprints>`, "\xff\x00")
	f.Fuzz(func(t *testing.T, doc, text string) {
		Parse(xml.NewDecoder(strings.NewReader(doc)), func(fp Fingerprint) error {
			p, err := fp.Compile()
			if err != nil {
				if _, ok := errors.AsType[*Unsupported](err); !ok {
					t.Fatalf("%T", err)
				}
				return nil
			}
			fields, _ := p.Match(text)
			for k, v := range fields {
				if len(v) > maxField {
					t.Fatalf("%s has %d bytes", k, len(v))
				}
			}
			return nil
		})
	})
}
