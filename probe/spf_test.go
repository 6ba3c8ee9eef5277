package probe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette/lab"
)

func TestParseSPF(t *testing.T) {
	for _, c := range []struct{ text, want string }{ // what was read, or the start of the error after "!"
		{"v=spf1", ""},
		{"v=spf1 -all", "-all"},
		{"V=SPF1 A Mx:Mail.North.example ~ALL", "+a +mx:Mail.North.example ~all"},
		{"v=spf1  ip4:192.0.2.0/24  ip6:2001:db8::/32 ip4:192.0.2.1 -all", "+ip4=192.0.2.0/24 +ip6=2001:db8::/32 +ip4=192.0.2.1/32 -all"},
		{"v=spf1 a/24 a//64 a/24//64 a:north.example/0//0 mx/32 ?all", "+a +a +a +a:north.example +mx ?all"},
		{"v=spf1 include:_spf.north.example redirect=south.example", "+include:_spf.north.example >south.example"},
		{"v=spf1 exists:%{i}._x.%{d2r.-}.north.example exp=why.%{d} -all", "+exists:%{i}._x.%{d2r.-}.north.example -all"},
		{"v=spf1 a:%{l/}.%{d}/24 -all", "+a:%{l/}.%{d} -all"},
		{"v=spf1 ptr ptr:north.example unknown=any:thing x.y-z_1= -all", "+ptr +ptr:north.example -all"},
		{"v=spf1 include=north.example -all", "-all"}, // an unknown modifier, by the letter
		{"v=spf10 -all", "!no SPF record"},
		{"v=spf1 all:north.example", "!"}, {"v=spf1 include", "!"}, {"v=spf1 include:", "!"}, {"v=spf1 include:localhost", "!"},
		{"v=spf1 ip4:192.0.2.0/33", "!"}, {"v=spf1 ip4:192.0.2.256", "!"}, {"v=spf1 ip4:2001:db8::1", "!"}, {"v=spf1 ip6:192.0.2.1", "!"},
		{"v=spf1 ip4", "!"}, {"v=spf1 ip4:192.0.2.0/024", "!"}, {"v=spf1 ipv4:192.0.2.1", "!"}, {"v=spf1 a/33", "!"}, {"v=spf1 a//129", "!"}, {"v=spf1 a/", "!"},
		{"v=spf1 mx:", "!"}, {"v=spf1 ptr:", "!"}, {"v=spf1 redirect=a.example redirect=b.example", "!"}, {"v=spf1 exp=a.example exp=b.example", "!"},
		{"v=spf1 redirect=", "!"}, {"v=spf1 exists:%{x}.example", "!"}, {"v=spf1 exists:%{i.example", "!"}, {"v=spf1 exists:100%.example", "!"},
		{"v=spf1 -", "!"}, {"v=spf1 --all", "!"}, {"v=spf1 -all,", "!"}, {"v=spf1 include:a.example.123", "!"}, {"v=spf1 include:north.example\t-all", "!"},
		{"v=spf1 a:n\x00rth.example", "!"}, {"v=spf1 1x=y", "!"},
	} {
		r, err := parseSPF(c.text)
		got := spfShown(r)
		if err != nil {
			got = "!" + err.Error()
		}
		if got != c.want && !(c.want != "" && c.want[0] == '!' && strings.HasPrefix(got, c.want)) {
			t.Errorf("%q: %q, not %q", c.text, got, c.want)
		}
	}
}

func spfShown(r spfRecord) string {
	var out []string
	for _, d := range r.directives {
		s := string(d.qualifier) + d.mechanism
		if d.domain != "" {
			s += ":" + d.domain
		}
		if d.network.IsValid() {
			s += "=" + d.network.String()
		}
		out = append(out, s)
	}
	if r.redirect != "" {
		out = append(out, ">"+r.redirect)
	}
	return strings.Join(out, " ")
}

// spfZones is an SPF record of north.example over a small world.
func spfZones(record string) []lab.Zone {
	txt := func(name, text string) string { return fmt.Sprintf("%s IN TXT %q", name, text) }
	many := []string{}
	for i := range 12 {
		many = append(many, fmt.Sprintf("many IN MX 1 m%d", i))
	}
	return []lab.Zone{
		{Origin: "north.example", Records: []string{txt("@", record), "@ IN A 127.0.7.1", "@ IN MX 1 mail", "mail IN A 127.0.7.25"}},
		{Origin: "south.example", Records: append(many,
			txt("one", "v=spf1 a -all"), "one IN A 127.0.9.1", txt("five", "v=spf1 a a a a ?all"), "five IN A 127.0.9.5",
			txt("open", "v=spf1 +all"), txt("wide", "v=spf1 ip4:0.0.0.0/0 -all"), txt("bad", "v=spf1 nonsense -all"), txt("two", "v=spf1 -all"), txt("two", "v=spf1 ~all"),
			txt("loop", "v=spf1 include:pool.south.example -all"), txt("pool", "v=spf1 include:loop.south.example -all"),
			txt("deep", "v=spf1 include:five.south.example redirect=five.south.example"), "six IN AAAA ::1", "nothing IN TXT nothing")},
		{Origin: "down.example", Broken: lab.BrokenServer},
	}
}

func TestSPF(t *testing.T) {
	for _, c := range []struct {
		record  string
		lookups int // -1: not told
		all     string
		want    string // the reports
	}{
		{"v=spf1 a mx -all", 2, "-all", ""},
		{"v=spf1 ip4:192.0.2.0/24 ~all", 0, "~all", ""},
		{"v=spf1 a", 1, "none", ""},
		{"v=spf1 -all a a a a a a a a a a a", 0, "-all", ""}, // what follows is never reached
		{"v=spf1 a a a a a a a a a a -all", 10, "-all", ""},
		{"v=spf1 a a a a a a a a a a a -all", 11, "-all", "spf-too-many-lookups confirmed"},
		{"v=spf1 include:one.south.example -all", 2, "-all", ""},
		{"v=spf1 include:five.south.example include:five.south.example -all", 10, "-all", ""},
		{"v=spf1 include:deep.south.example -all", 11, "-all", "spf-too-many-lookups confirmed"},
		{"v=spf1 redirect=five.south.example", 5, "?all", ""},
		{"v=spf1 exists:%{i}.x.south.example ptr -all", 2, "-all", ""},
		{"v=spf1 include:%{d}.south.example -all", 1, "-all", ""},
		{"v=spf1 +all", 0, "+all", "spf-allows-all confirmed"},
		{"v=spf1 ?all", 0, "?all", ""},
		{"v=spf1 ip4:0.0.0.0/0 -all", 0, "-all", "spf-allows-all confirmed"},
		{"v=spf1 ip6:::/0 -all", 0, "-all", "spf-allows-all confirmed"},
		{"v=spf1 -ip4:0.0.0.0/0 -all", 0, "-all", ""},
		{"v=spf1 include:open.south.example -all", 1, "-all", "spf-allows-all confirmed"},
		{"v=spf1 include:wide.south.example -all", 1, "-all", "spf-allows-all confirmed"},
		{"v=spf1 ~include:open.south.example -all", 1, "-all", ""},
		{"v=spf1 redirect=open.south.example", 1, "+all", "spf-allows-all confirmed"},
		{"v=spf1 include:bad.south.example -all", 1, "-all", "spf-invalid confirmed"},
		{"v=spf1 include:two.south.example -all", 1, "-all", "spf-invalid confirmed"},
		{"v=spf1 include:nothing.south.example -all", 1, "-all", "spf-invalid confirmed"},
		{"v=spf1 include:gone.south.example -all", 1, "-all", "spf-invalid confirmed"},
		{"v=spf1 redirect=gone.south.example", 1, "none", "spf-invalid confirmed"},
		{"v=spf1 include:loop.south.example -all", 3, "-all", "spf-invalid confirmed"},
		{"v=spf1 include:north.example -all", 1, "-all", "spf-invalid confirmed"},
		{"v=spf1 a:x.south.example a:y.south.example -all", 2, "-all", ""},
		{"v=spf1 a:x.south.example a:y.south.example mx:z.south.example -all", 3, "-all", "spf-invalid confirmed"},
		{"v=spf1 a:six.south.example a:six.south.example a:six.south.example -all", 3, "-all", ""},
		{"v=spf1 mx:many.south.example -all", 1, "-all", "spf-invalid confirmed"},
		{"v=spf1 include:x.down.example -all", 1, "-all", "spf-invalid likely"},
		{"v=spf1 nonsense -all", -1, "", "spf-invalid confirmed"},
		{"v=spf1 " + strings.Repeat("mx ", 60) + "-all", 41, "none", "spf-too-many-lookups confirmed"},
		{"a text", -1, "", "spf-missing confirmed"},
	} {
		w := newDNSWorld(t, append(spfZones(c.record), lab.Zone{Origin: "_dmarc.north.example", Records: []string{`@ IN TXT "v=DMARC1; p=reject"`}})...)
		seen := w.must(Mail, "north.example")
		d := seen[0].Fact.Details
		if got := strings.Join(dnsReports(seen), ", "); got != c.want {
			t.Errorf("%s: %q, not %q (%v)", c.record, got, c.want, seen[0].Fact.Reports)
		}
		lookups := fmt.Sprint(c.lookups)
		switch {
		case c.lookups < 0:
			lookups = ""
		case c.lookups > spfCount:
			lookups = "more than 40"
		}
		if d["spf_lookups"] != lookups || d["spf_all"] != c.all {
			t.Errorf("%s: %s lookups, all %s", c.record, d["spf_lookups"], d["spf_all"])
		}
	}
}

func FuzzSPF(f *testing.F) {
	for _, s := range []string{"v=spf1 a mx:x.example/24//64 include:y.example ip4:192.0.2.0/24 exists:%{i}.%{d2r.-}.z.example redirect=w.example ?all", "v=spf1 exp=%", "v=spf1 a:%{", "v=spf1 %{}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseSPF(s)
		if err != nil {
			return
		}
		for _, d := range r.directives {
			if (d.mechanism == "include" || d.mechanism == "exists") && d.domain == "" {
				t.Errorf("%q: %s without a domain", s, d.mechanism)
			}
			if (d.mechanism == "ip4" || d.mechanism == "ip6") && !d.network.IsValid() {
				t.Errorf("%q: %s without a network", s, d.mechanism)
			}
		}
	})
}
