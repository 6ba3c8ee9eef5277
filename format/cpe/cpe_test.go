package cpe

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"cpe:2.3:a:openbsd:openssh:8.4:p1:*:*:*:*:*:*", ""},
		{"CPE:2.3:A:OpenBSD:OpenSSH:8.4:P1:*:*:*:*:*:*", "cpe:2.3:a:openbsd:openssh:8.4:p1:*:*:*:*:*:*"},
		{`cpe:2.3:a:soap\:\:lite_project:soap\:\:lite:*:*:*:*:*:perl:*:*`, ""},
		{`cpe:2.3:a:x:c\+\+:-:*:*:*:*:*:*:*`, ""},
		{`cpe:2.3:a:x:c++:-:*:*:*:*:*:*:*`, `cpe:2.3:a:x:c\+\+:-:*:*:*:*:*:*:*`},
		{`cpe:2.3:a:x:y\_z:1\.0:*:*:*:*:*:*:*`, "cpe:2.3:a:x:y_z:1.0:*:*:*:*:*:*:*"},
		{`cpe:2.3:a:x:y:\-:*:*:*:*:*:*:*`, ""},
		{`cpe:2.3:a:x:y:8.*:sp?:*:*:*:*:*:*`, ""},
		{"cpe:/a:apache:http_server:2.4.49", "cpe:2.3:a:apache:http_server:2.4.49:*:*:*:*:*:*:*"},
		{"cpe:/o:hp:integrated_lights-out_firmware:-", "cpe:2.3:o:hp:integrated_lights-out_firmware:-:*:*:*:*:*:*:*"},
		{"cpe:/a:hp:insight_diagnostics:7.4.0.1570:-:~~online~win2003~x64~", "cpe:2.3:a:hp:insight_diagnostics:7.4.0.1570:-:*:*:online:win2003:x64:*"},
		{"cpe:/a:foo%5cbar:big%24money_2010%07:::~~special~ipod_touch~80gb~", ""},
		{"cpe:/a:hp:openview_network_manager:7.51:%02", "cpe:2.3:a:hp:openview_network_manager:7.51:*:*:*:*:*:*:*"},
		{"cpe:/a:x:8.%02:8.%01", "cpe:2.3:a:x:8.*:8.?:*:*:*:*:*:*:*"},
	} {
		want := c.want
		if want == "" {
			want = c.in
		}
		n, err := Parse(c.in)
		if strings.Contains(c.in, "%07") {
			if !errors.Is(err, ErrSyntax) {
				t.Errorf("Parse(%q): a control character was accepted", c.in)
			}
			continue
		}
		if err != nil {
			t.Errorf("Parse(%q): %v", c.in, err)
		} else if n.String() != want {
			t.Errorf("Parse(%q) = %s, want %s", c.in, n, want)
		}
	}
	for _, s := range []string{"", "cpe", "cpe:2.3:", "cpe:2.3:a:x:y", "cpe:2.3:q:x:y:*:*:*:*:*:*:*:*",
		"cpe:2.3:a:x::*:*:*:*:*:*:*:*", `cpe:2.3:a:x:y:*:*:*:*:*:*:*:\`, "cpe:2.3:a:x:y:*:*:*:*:*:*:*:*:*",
		"cpe:2.3:a:x:a*b:*:*:*:*:*:*:*:*", "cpe:2.3:a:x y:b:*:*:*:*:*:*:*:*", "cpe:/a:x%g1", "cpe:/z:x",
		"cpe:/a:1:2:3:4:5:6:7", "cpe:2.3:a:" + strings.Repeat("x", MaxLen) + ":b:*:*:*:*:*:*:*:*"} {
		if n, err := Parse(s); !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q) = %v, %v, want a syntax error", clip(s), n, err)
		}
	}
}

func TestText(t *testing.T) {
	n, err := Parse(`cpe:2.3:a:soap\:\:lite_project:c\+\+\\:-:*:*:*:*:*:*:*`)
	if err != nil {
		t.Fatal(err)
	}
	if got := n[Vendor].Text() + " " + n[Product].Text(); got != `soap::lite_project c++\` {
		t.Errorf("text = %q", got)
	}
	if got := Literal(`C++ \ x`); got != `c\+\+_\\_x` {
		t.Errorf("Literal = %q", got)
	}
	if got := Literal("-"); got != `\-` || Literal("*") != `\*` || Literal(" ") != Any {
		t.Errorf("Literal of a lone dash = %q", got)
	}
}

// TestCompare is NISTIR 7696 table 6-2, row by row.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		source, target Attr
		want           Relation
	}{
		{Any, Any, Equal}, {Any, NA, Superset}, {Any, "1", Superset}, {Any, "1*", Undefined},
		{NA, Any, Subset}, {NA, NA, Equal}, {NA, "1", Disjoint}, {NA, "1*", Undefined},
		{"1", "1", Equal}, {"1", "2", Disjoint}, {"1", "1*", Undefined}, {"1", NA, Disjoint}, {"1", Any, Subset},
		{"1*", "12", Superset}, {"1*", "21", Disjoint}, {"1*", Any, Subset}, {"1*", NA, Disjoint}, {"1*", "1*", Undefined},
		{"1?", "12", Superset}, {"1?", "123", Disjoint}, {"1?", "1", Superset}, {"*1?", "001", Superset},
		{"??1", "001", Superset}, {"??1", "0001", Disjoint}, {`a\**`, `a\*b`, Superset}, {`a\*`, "ab", Disjoint},
		{"", "", Equal}, {"", NA, Superset}, {`\-`, NA, Disjoint}, {"*x*", "axb", Superset}, {"*x", "xax", Superset},
	} {
		if got := Compare(c.source, c.target); got != c.want {
			t.Errorf("Compare(%q, %q) = %d, want %d", c.source, c.target, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	parse := func(s string) Name {
		n, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	all := parse("cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*")
	one := parse("cpe:2.3:a:openbsd:openssh:8.4:p1:*:*:*:*:*:*")
	none := parse("cpe:2.3:a:openbsd:openssh:-:*:*:*:*:*:*:*")
	if !all.Covers(one) || one.Covers(all) || one.Covers(none) || none.Covers(one) || !all.Covers(none) {
		t.Error("Covers does not follow the sets")
	}
	if !one.Disjoint(none) || one.Disjoint(all) {
		t.Error("Disjoint does not follow the sets")
	}
	if AttrName(TargetSW) != "target software" {
		t.Error("names of the attributes are out of step")
	}
}

func FuzzCPE(f *testing.F) {
	f.Add("cpe:2.3:a:openbsd:openssh:8.4:p1:*:*:*:*:*:*", "cpe:/a:x:8.%02:8.%01")
	f.Add(`cpe:2.3:a:c\+\+:*x\\?:-:??:*:*:*:*:*:*`, "cpe:/a:hp:d:7:-:~~online~win2003~x64~")
	f.Fuzz(func(t *testing.T, a, b string) {
		n, err := Parse(a)
		if err != nil {
			return
		}
		again, err := Parse(n.String())
		if len(n.String()) <= MaxLen && (err != nil || again != n) {
			t.Fatalf("%q prints as %q, which reads as %v (%v)", a, n, again, err)
		}
		for _, at := range n {
			if !at.Wild() && at != Any && at != NA && strings.IndexFunc(at.Text(), func(r rune) bool { return r == ' ' }) < 0 {
				if got := Literal(at.Text()); got != at {
					t.Fatalf("Literal(%q) = %q, want %q", at.Text(), got, at)
				}
			}
		}
		if m, err := Parse(b); err == nil && n.Covers(m) && n.Disjoint(m) {
			t.Fatalf("%v covers and excludes %v", n, m)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse("cpe:2.3:a:openbsd:openssh:8.4:p1:*:*:*:*:*:*"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCovers(b *testing.B) {
	x, _ := Parse("cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*")
	y, _ := Parse("cpe:2.3:a:openbsd:openssh:8.4:p1:*:*:*:*:*:*")
	for b.Loop() {
		if !x.Covers(y) {
			b.Fatal("not covered")
		}
	}
}
