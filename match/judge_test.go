package match

import (
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
)

// Short forms for the tables.
func rng(from, to string) vedette.Range {
	r := vedette.Range{Status: vedette.StatusAffected, From: from, To: to}
	if t, ok := strings.CutSuffix(to, "="); ok {
		r.To, r.ToIncl = t, true
	}
	return r
}

func exact(v, update string) vedette.Range {
	return vedette.Range{Status: vedette.StatusAffected, Exact: v, Update: update}
}

func ok(r vedette.Range) vedette.Range { r.Status = vedette.StatusUnaffected; return r }

func cna(def vedette.Status, r ...vedette.Range) Candidate {
	return Candidate{"cve", vedette.Affected{Vendor: "V", Product: "P", Scheme: "cna", Default: def, Ranges: r}}
}

func nvd(r ...vedette.Range) Candidate {
	return Candidate{"nvd", vedette.Affected{Vendor: "v", Product: "p", Scheme: "cpe", CPE: "cpe:2.3:a:v:p:*:*:*:*:*:*:*:*", Ranges: r}}
}

func deb(release, pkg string, r ...vedette.Range) Candidate {
	return Candidate{"debian", vedette.Affected{Product: pkg, Scheme: "deb", Ecosystem: "Debian:" + release, Ranges: r}}
}

func fixedIn(v string) vedette.Range {
	return vedette.Range{Status: vedette.StatusAffected, To: v, Fixed: v}
}

func p(version string) vedette.Software { return vedette.Software{Product: "p", Version: version} }

type judged struct {
	name    string
	sw      vedette.Software
	ranges  []Candidate
	verdict vedette.Verdict
	fixed   string
	reason  string // must be in one of the reasons
}

func runJudged(t *testing.T, cases []judged) {
	t.Helper()
	for _, c := range cases {
		m := Judge(c.sw, "CVE-2024-0001", c.ranges)
		all := strings.Join(m.Reasons, "; ")
		if m.Verdict != c.verdict || m.Fixed != c.fixed || !strings.Contains(all, c.reason) || len(m.Reasons) == 0 {
			t.Errorf("%s: %s, fixed %q (%s); want %s, fixed %q (..%s..)", c.name, m.Verdict, m.Fixed, all, c.verdict, c.fixed, c.reason)
		}
	}
}

func TestJudgeVersions(t *testing.T) {
	one := func(c Candidate) []Candidate { return []Candidate{c} }
	any := exact("*", "")
	runJudged(t, []judged{
		{"below", p("8.4p1"), one(cna("unaffected", rng("5.7", "8.5p1"))), vedette.Likely, "8.5p1", "version 8.4p1 is below 8.5p1 (cve, range 5.7 to before 8.5p1)"},
		{"at the end", p("8.5p1"), one(cna("unaffected", rng("5.7", "8.5p1"))), vedette.NotAffected, "", "outside (cve, range 5.7 to before 8.5p1)"},
		{"at the inclusive end", p("1.2"), one(nvd(rng("", "1.2="))), vedette.Likely, "", "not above 1.2 (nvd, range up to 1.2)"},
		{"open end", p("9"), one(nvd(rng("8", ""))), vedette.Likely, "", "not below 8"},
		{"default unknown", p("9"), one(cna("", rng("1", "2"))), vedette.Undetermined, "", "leaves version 9 open"},
		{"default affected", p("9.5"), one(cna("affected", ok(rng("11", "")), ok(rng("10", "11")))), vedette.Likely, "10", "not among the exceptions"},
		{"default affected, no exception, beyond", p("8.1.30"), one(cna("affected", rng("8.1.0", "8.1.29"))), vedette.Undetermined, "", "beyond an affected range"},
		{"default affected, no exception, older", p("7.4.3"), one(cna("affected", rng("8.1.0", "8.1.29"))), vedette.Possible, "", "older than the listed"},
		{"default affected, excepted", p("10.5"), one(cna("affected", ok(rng("10", "")))), vedette.NotAffected, "", "stated to be unaffected"},
		{"first entry decides", p("5.10.5"), one(cna("affected", ok(rng("5.10.1", "5.10.*=")), rng("5", "6"))), vedette.NotAffected, "", "5.10.*"},
		{"the branch ends", p("5.11.1"), one(cna("affected", ok(rng("5.10.1", "5.10.*=")), rng("5", "6"))), vedette.Likely, "6", ""},
		{"NA is not any: range", p("-"), one(nvd(rng("", "2"))), vedette.Undetermined, "", "no version"},
		{"NA is NA", p("-"), one(nvd(exact("-", ""))), vedette.Likely, "", "named as affected"},
		{"NA range, real version", p("1.0"), one(nvd(exact("-", ""))), vedette.NotAffected, "", ""},
		{"NA meets any", p("-"), one(nvd(any)), vedette.Possible, "", "no version bounds"},
		{"unknown version", p(""), one(nvd(rng("", "2"))), vedette.Possible, "2", "version was not seen"},
		{"unknown version, all affected", p(""), one(cna("affected")), vedette.Likely, "", "every version"},
		{"unknown version, all named", p(""), one(cna("unaffected", any)), vedette.Likely, "", "every version"},
		{"unknown version, NVD wildcard", p(""), one(nvd(any)), vedette.Possible, "", "not seen"},
		{"wildcard alone", p("3.0"), one(nvd(any)), vedette.Possible, "", "no version bounds"},
		{"partial, cut", p("9.1"), one(nvd(rng("9.1.0", "9.1.3="))), vedette.Possible, "", "not precise enough"},
		{"partial, all inside", p("9.1"), one(nvd(rng("9.0.5", "9.2.3"))), vedette.Likely, "9.2.3", ""},
		{"partial, single number", p("9"), one(nvd(rng("9.1.0", "9.1.3"))), vedette.Possible, "9.1.3", ""},
		{"partial, below", p("9.1"), one(nvd(rng("9.2.1", "9.3"))), vedette.NotAffected, "", ""},
		{"same precision", p("9.1"), one(nvd(rng("", "9.1"))), vedette.NotAffected, "", ""},
		{"partial, exact", p("9.1"), one(nvd(exact("9.1.3", ""))), vedette.Possible, "", "not precise"},
		{"three numbers are complete", p("2.4.49"), one(nvd(rng("", "2.4.49.1"))), vedette.Likely, "2.4.49.1", ""},
		{"build number not seen", p("10.0.19044"), one(nvd(rng("", "10.0.19044.1889"))), vedette.Possible, "10.0.19044.1889", ""},
		{"exact", p("2.4.49"), one(nvd(exact("2.4.48", ""), exact("2.4.49", ""))), vedette.Likely, "", "named as affected"},
		{"not in the list", p("2.4.50"), one(nvd(exact("2.4.48", ""), exact("2.4.49", ""))), vedette.NotAffected, "", "none of 2"},
		{"partial, excepted in part", p("9.1"), one(cna("unaffected", ok(rng("9.1.5", "9.1.9")), rng("9.0", "9.3"))), vedette.Possible, "9.3", "not precise"},
		{"update any", p("8.4p1"), one(nvd(exact("8.4", "*"))), vedette.Likely, "", ""},
		{"update p1", p("8.4p1"), one(nvd(exact("8.4", "p1"))), vedette.Likely, "", "version 8.4 p1"},
		{"update p2", p("8.4p1"), one(nvd(exact("8.4", "p2"))), vedette.NotAffected, "", ""},
		{"update none", p("8.4p1"), one(nvd(exact("8.4", "-"))), vedette.NotAffected, "", ""},
		{"update not seen", p("8.4"), one(nvd(exact("8.4", "p1"))), vedette.Possible, "", ""},
		{"update inside an inclusive end", p("8.4p1"), one(nvd(rng("", "8.4="))), vedette.Likely, "", ""},
		{"beta of the named version", p("2.0-beta2"), one(nvd(exact("2.0", "beta2"))), vedette.Likely, "", ""},
		{"git", p("1.2"), one(cna("", vedette.Range{Status: "affected", From: "0", To: "da39a3ee5e6b4b0d3255bfef95601890afd80709", Type: "git"})), vedette.Undetermined, "", "commits"},
		{"other train", p("15.2(7)E3"), one(nvd(rng("15.2(7)s1", "15.2(7)s4"))), vedette.Undetermined, "", "cannot be ordered"},
		{"words: GitHub", p("3.1.2"), one(cna("", exact(">= 3.0, < 3.1.5", ""))), vedette.Likely, "3.1.5", "range 3.0 to before 3.1.5"},
		{"words: before", p("5.3"), one(cna("", exact("before 5.4", ""))), vedette.Likely, "5.4", ""},
		{"words: and earlier", p("1.2"), one(cna("", exact("v1.2 and earlier", ""))), vedette.Likely, "", ""},
		{"words: to", p("1.5.1"), one(cna("unaffected", exact("1.0 to 1.4", ""))), vedette.NotAffected, "", ""},
		{"words: branch", p("5.3.1"), one(cna("unaffected", exact("5.x", ""))), vedette.Likely, "", ""},
		{"words: not understood", p("5.3"), one(cna("unaffected", exact("5.4 on Tuesdays", ""))), vedette.Undetermined, "", ""},
		{"words: Siemens", p("5.3"), one(cna("unaffected", exact("All versions < V5.4.0", ""))), vedette.Likely, "v5.4.0", "before v5.4.0"},
		{"words: no commas", p("5.3"), one(cna("unaffected", exact(">= V5.1 < V5.2.7", ""))), vedette.NotAffected, "", ""},
		{"words: equal", p("5.3"), one(cna("unaffected", exact("= 5.3", ""))), vedette.Likely, "", ""},
		{"words: branch and end", p("10.5.0.0"), one(cna("unaffected", exact("ArubaOS 10.5.x.x: 10.5.0.0 and below", ""))), vedette.Likely, "", "10.5 to 10.5.0.0"},
		{"words: another branch", p("10.4.0.1"), one(cna("unaffected", exact("ArubaOS 10.5.x.x: 10.5.0.0 and below", ""))), vedette.NotAffected, "", ""},
		{"words: list", p("7.0.4"), one(cna("", exact("FortiOS 7.0.5, 7.0.4, 6.4.9", ""))), vedette.Likely, "", "named as affected"},
		{"words: list, not in it", p("7.0.12"), one(cna("unaffected", exact("FortiOS 7.0.5, 7.0.4, 6.4.9", ""))), vedette.NotAffected, "", "outside"},
		{"words: list of ranges", p("7.0.12"), one(cna("", exact("6.x, 7.0.1 to 7.0.13; 8.1", ""))), vedette.Likely, "", ""},
		{"words: list of anything", p("7.0.12"), one(cna("unaffected", exact("6.1, some builds of 7", ""))), vedette.Undetermined, "", ""},
		{"placeholder", p("5.3"), one(cna("", exact("unspecified", ""))), vedette.Possible, "", "names no version"},
		{"nothing", p("1"), nil, vedette.Undetermined, "", "no source"},
		{"CPE version", vedette.Software{Product: "p", CPE: "cpe:/a:v:p:8.4:p1"}, one(nvd(rng("", "8.5"))), vedette.Likely, "8.5", "8.4p1"},
		{"PyPI", vedette.Software{Product: "django", Version: "3.2rc1", Ecosystem: "PyPI"},
			one(Candidate{"osv", vedette.Affected{Product: "django", Scheme: "pypi", Ecosystem: "PyPI", Ranges: []vedette.Range{fixedIn("3.2")}}}), vedette.Likely, "3.2", ""},
		{"other ecosystem", vedette.Software{Product: "x", Version: "1", Ecosystem: "PyPI"},
			one(Candidate{"osv", vedette.Affected{Product: "x", Scheme: "npm", Ecosystem: "npm", Ranges: []vedette.Range{fixedIn("2")}}}), vedette.Undetermined, "", "other ecosystems"},
	})
}

func TestJudgeDistro(t *testing.T) {
	banner := func(version, pkg string) vedette.Software {
		return vedette.Software{Product: "openssh", Version: version, Distro: "debian:11", PackageVersion: pkg}
	}
	up := cna("unaffected", rng("5.7", "8.5p1"))
	tracker := deb("11", "openssh", fixedIn("1:8.4p1-5+deb11u3"))
	other := deb("12", "openssh", vedette.Range{Status: vedette.StatusAffected, From: "0"})
	noRelease := vedette.Software{Product: "openssh", Version: "9.0p1", Distro: "debian"}
	inferred := vedette.Software{Product: "openssh", Version: "8.4p1", Distro: "debian", PackageVersion: "8.4p1-5+deb11u2"}
	ubuntu := vedette.Software{Product: "openssh", Version: "8.9p1", Distro: "ubuntu", PackageVersion: "8.9p1-3ubuntu0.10"}
	usn := Candidate{"osv", vedette.Affected{Product: "openssh", Scheme: "deb", Ecosystem: "Ubuntu:22.04:LTS", Ranges: []vedette.Range{fixedIn("1:8.9p1-3ubuntu0.10")}}}
	otherUSN := Candidate{"osv", vedette.Affected{Product: "openssh", Scheme: "deb", Ecosystem: "Ubuntu:24.04:LTS", Ranges: []vedette.Range{fixedIn("1:9.6p1-3ubuntu13.3")}}}
	pro := usn
	pro.Affected.Ecosystem = "Ubuntu:Pro:22.04:LTS"
	host := vedette.Software{Product: "openssh-server", Version: "1:8.4p1-5+deb11u2", Ecosystem: "Debian:11"}
	php := vedette.Software{Product: "PHP", Version: "8.2.7", Distro: "debian:12", PackageVersion: "8.2.7-1~deb12u1"}
	runJudged(t, []judged{
		{"fixed", banner("8.4p1", "1:8.4p1-5+deb11u3"), []Candidate{up, tracker, other}, vedette.FixedByBackport, "1:8.4p1-5+deb11u3", "has the fix"},
		{"fixed, no epoch", banner("8.4p1", "8.4p1-5+deb11u3"), []Candidate{up, tracker}, vedette.FixedByBackport, "1:8.4p1-5+deb11u3", "without the epoch"},
		{"not yet", banner("8.4p1", "8.4p1-5+deb11u2"), []Candidate{up, tracker}, vedette.Likely, "1:8.4p1-5+deb11u3", "below the fixed"},
		{"open", banner("8.4p1", "8.4p1-5+deb11u2"), []Candidate{up, deb("11", "openssh", rng("0", ""))}, vedette.Likely, "", "not fixed"},
		{"not affected there", banner("8.4p1", "8.4p1-5"), []Candidate{up, deb("11", "openssh", ok(exact("*", "")))}, vedette.NotAffected, "", "not affected"},
		{"never affected", banner("8.4p1", "8.4p1-5"), []Candidate{up, deb("11", "openssh", fixedIn("0"))}, vedette.NotAffected, "", "no version"},
		{"undecided", banner("8.4p1", "8.4p1-5"), []Candidate{up, deb("11", "openssh", vedette.Range{Status: vedette.StatusUnknown, Exact: "*"})}, vedette.Undetermined, "", "not decided"},
		{"no tracker", banner("8.4p1", "8.4p1-5"), []Candidate{up}, vedette.Undetermined, "", "Debian backports fixes; no tracker data for package openssh"},
		{"no tracker, outside", banner("8.7p1", "8.7p1-1"), []Candidate{up}, vedette.NotAffected, "", "outside"},
		{"only another release", banner("8.4p1", "8.4p1-5"), []Candidate{up, other}, vedette.Undetermined, "", "in release 11"},
		{"inferred release", inferred, []Candidate{up, tracker, other}, vedette.Likely, "1:8.4p1-5+deb11u3", "names Debian 11"},
		{"release unknown, releases differ", noRelease, []Candidate{up, other, tracker}, vedette.Undetermined, "", "releases differ"},
		{"no revision, same upstream", banner("8.4p1", ""), []Candidate{tracker}, vedette.Undetermined, "1:8.4p1-5+deb11u3", "no package revision"},
		{"no revision, older upstream", banner("7.9p1", ""), []Candidate{tracker}, vedette.Likely, "1:8.4p1-5+deb11u3", "upstream version"},
		{"no revision, newer upstream", banner("8.7p1", ""), []Candidate{tracker}, vedette.FixedByBackport, "1:8.4p1-5+deb11u3", ""},
		{"Ubuntu", ubuntu, []Candidate{up, usn}, vedette.FixedByBackport, "1:8.9p1-3ubuntu0.10", ""},
		{"Ubuntu, release by upstream version", ubuntu, []Candidate{up, usn, otherUSN}, vedette.FixedByBackport, "1:8.9p1-3ubuntu0.10", "is that of Ubuntu 22.04"},
		{"point release", vedette.Software{Product: "openssh", Version: "8.9p1", Distro: "ubuntu:22.04.3", PackageVersion: "1:8.9p1-3ubuntu0.9"}, []Candidate{usn}, vedette.Likely, "1:8.9p1-3ubuntu0.10", ""},
		{"two intervals, in the second", banner("2.0", "2.0-3"), []Candidate{deb("11", "x", vedette.Range{Status: "affected", To: "1.0-5", Fixed: "1.0-5"}, vedette.Range{Status: "affected", From: "2.0-1", To: "2.0-4", Fixed: "2.0-4"})}, vedette.Likely, "2.0-4", "below the fixed 2.0-4"},
		{"two intervals, between", banner("1.5", "1.5-3"), []Candidate{deb("11", "x", vedette.Range{Status: "affected", To: "1.0-5", Fixed: "1.0-5"}, vedette.Range{Status: "affected", From: "2.0-1", To: "2.0-4", Fixed: "2.0-4"})}, vedette.FixedByBackport, "1.0-5", ""},
		{"two intervals, after", banner("2.1", "2.1-3"), []Candidate{deb("11", "x", vedette.Range{Status: "affected", To: "1.0-5", Fixed: "1.0-5"}, vedette.Range{Status: "affected", From: "2.0-1", To: "2.0-4", Fixed: "2.0-4"})}, vedette.FixedByBackport, "2.0-4", ""},
		{"Ubuntu Pro only", vedette.Software{Product: "openssh", Version: "8.4p1", Distro: "ubuntu:22.04"}, []Candidate{up, pro}, vedette.Undetermined, "", "Ubuntu backports"},
		{"banner in the version", vedette.Software{Product: "OpenSSH", Version: "8.4p1 Debian 5+deb11u2"}, []Candidate{up, tracker}, vedette.Likely, "1:8.4p1-5+deb11u3", "8.4p1-5+deb11u2 is below the fixed"},
		{"no tracker at all", vedette.Software{Product: "openssh", Version: "8.4p1", Distro: "raspbian"}, []Candidate{up, tracker}, vedette.Undetermined, "", "raspbian backports"},
		{"inventory", host, []Candidate{up, tracker}, vedette.Likely, "1:8.4p1-5+deb11u3", ""},
		{"package of the version", php, []Candidate{deb("12", "php7.4", fixedIn("7.4.9-1")), deb("12", "php8.2", fixedIn("8.2.20-1~deb12u1"))}, vedette.Likely, "8.2.20-1~deb12u1", ""},
		{"tracker is not for others", p("8.4p1"), []Candidate{tracker}, vedette.Undetermined, "", "packaging"},
	})
}

func TestJudgeDisagreement(t *testing.T) {
	narrow := func(attrs string, r ...vedette.Range) Candidate {
		c := nvd(r...)
		c.Affected.CPE = "cpe:2.3:a:v:p:*:*:" + attrs
		return c
	}
	named := func(cpe string) vedette.Software { return vedette.Software{Product: "p", Version: "1.5", CPE: cpe} }
	windows := cna("unaffected", rng("1", "2"))
	windows.Affected.Platforms = []string{"Windows"}
	nobody := cna("unaffected", rng("1", "2"))
	nobody.Affected.Vendor = "n/a"
	second := nvd(rng("", "2"))
	second.Affected.Requires = []vedette.Require{{Any: []vedette.CPEMatch{{CPE: "cpe:2.3:o:v:os:*:*:*:*:*:*:*:*"}}}}
	runJudged(t, []judged{
		{"agree", p("1.5"), []Candidate{nvd(rng("", "2=")), cna("unaffected", rng("1", "2.0.1"))}, vedette.Likely, "2.0.1", "nvd"},
		{"the vendor contradicts NVD", p("1.5"), []Candidate{nvd(rng("", "2")), cna("unaffected", rng("1.6", "2"))}, vedette.Possible, "2", "the sources disagree: nvd says affected, cve says not"},
		{"the vendor leaves it open", p("1.5"), []Candidate{nvd(rng("", "2")), cna("", rng("1.6", "2"))}, vedette.Likely, "2", ""},
		{"NVD contradicts the vendor", p("1.5"), []Candidate{nvd(rng("1.6", "2")), cna("unaffected", rng("1", "2"))}, vedette.Likely, "2", "outside (nvd"},
		{"wildcard against ranges", p("2.5"), []Candidate{nvd(exact("*", "")), cna("unaffected", rng("1", "2"))}, vedette.NotAffected, "", "names versions"},
		{"wildcard alone", p("2.5"), []Candidate{nvd(exact("*", "")), cna("", rng("1", "2"))}, vedette.Possible, "", "no version bounds"},
		{"placeholder against ranges", p("2.5"), []Candidate{cna("", exact("n/a", "")), nvd(rng("", "2"))}, vedette.NotAffected, "", ""},
		{"one source, two entries", p("1.5"), []Candidate{nvd(rng("3", "4")), nvd(rng("", "2"))}, vedette.Likely, "2", ""},
		{"without condition first", p("1.5"), []Candidate{second, nvd(rng("", "2"))}, vedette.Likely, "2", ""},
		{"target not seen", p("1.5"), []Candidate{narrow("*:*:*:wordpress:*:*", rng("", "2"))}, vedette.Possible, "2", "target software wordpress"},
		{"target equal", named("cpe:2.3:a:v:p:1.5:*:*:*:*:wordpress:*:*"), []Candidate{narrow("*:*:*:wordpress:*:*", rng("", "2"))}, vedette.Likely, "2", ""},
		{"target other", named("cpe:2.3:a:v:p:1.5:*:*:*:*:joomla:*:*"), []Candidate{narrow("*:*:*:wordpress:*:*", rng("", "2"))}, vedette.NotAffected, "", "wordpress"},
		{"edition", p("1.5"), []Candidate{narrow("*:*:enterprise:*:*:*", rng("", "2"))}, vedette.Possible, "2", "enterprise"},
		{"no edition", p("1.5"), []Candidate{narrow("-:*:*:*:*:*", rng("", "2"))}, vedette.Likely, "2", ""},
		{"language does not count", p("1.5"), []Candidate{narrow("*:de:*:*:*:*", rng("", "2"))}, vedette.Likely, "2", ""},
		{"hardware is not software", named("cpe:2.3:h:v:p:1.5:*:*:*:*:*:*:*"), []Candidate{{"nvd", vedette.Affected{Scheme: "cpe", CPE: "cpe:2.3:a:v:q:*:*:*:*:*:*:*:*", Ranges: []vedette.Range{rng("", "2")}}}}, vedette.NotAffected, "", "part"},
		{"no vendor on either side", p("1.5"), []Candidate{nobody}, vedette.Possible, "2", "names a vendor"},
		{"platform not seen", p("1.5"), []Candidate{windows}, vedette.Possible, "2", "limits it to Windows"},
	})
}

func TestRequires(t *testing.T) {
	c := nvd(rng("", "2"))
	c.Affected.Requires = []vedette.Require{{Any: []vedette.CPEMatch{{CPE: "cpe:2.3:o:v:os:*:*:*:*:*:*:*:*"}}}}
	if m := Judge(p("1"), "CVE-2024-0001", []Candidate{c}); len(m.Requires) != 1 || m.Source != "nvd" || m.Weakness != "CVE-2024-0001" || m.Software.Product != "p" {
		t.Errorf("match = %+v", m)
	}
}

func TestByCheck(t *testing.T) {
	for _, c := range []struct {
		v     vedette.Verdict
		check string
		want  vedette.Verdict
	}{
		{vedette.Likely, "inventory", vedette.Confirmed}, {vedette.Possible, "inventory", vedette.Possible}, {vedette.Likely, "nmap", vedette.Likely},
		{vedette.Likely, "declared", vedette.DeclaredOnly}, {vedette.Possible, "declared", vedette.DeclaredOnly}, {vedette.NotAffected, "declared", vedette.NotAffected},
		{vedette.FixedByBackport, "inventory", vedette.FixedByBackport},
	} {
		if got := ByCheck(c.v, c.check); got != c.want {
			t.Errorf("ByCheck(%s, %s) = %s, want %s", c.v, c.check, got, c.want)
		}
	}
}

// TestDistroNames: every name that banners use leads to an ecosystem of packages.
func TestDistroNames(t *testing.T) {
	for name, eco := range distroNames {
		if !isDistro(eco) {
			t.Errorf("%s is %s, which is no distribution", name, eco)
		}
	}
}

// FuzzJudge: any text in any field is judged, with a reason, and conditions are kept.
func FuzzJudge(f *testing.F) {
	f.Add("8.4p1", "debian:11", "1:8.4p1-5+deb11u3", "cpe:/a:v:p", "5.7", "8.5p1", "", "1:8.4p1-5+deb11u2", "Debian:11", "cna")
	f.Add("9", "", "", "cpe:2.3:a:v:p:9:*:*:*:*:*:*:*", "", "9.1", ">= 3, < 4", "", "", "cpe")
	f.Add("-", "ubuntu", "8.9p1-3ubuntu0.1", "", "0", "*", "*", "0", "Ubuntu:22.04:LTS", "deb")
	f.Fuzz(func(t *testing.T, version, distro, pkg, name, from, to, one, fix, eco, scheme string) {
		sw := vedette.Software{Product: "p", Version: version, Distro: distro, PackageVersion: pkg, CPE: name, Ecosystem: eco}
		ranges := []Candidate{
			{"a", vedette.Affected{Product: "p", Scheme: scheme, CPE: name, Ecosystem: eco, Ranges: []vedette.Range{
				{Status: vedette.StatusAffected, From: from, To: to}, {Status: vedette.StatusAffected, Exact: one, Update: pkg}}}},
			{"b", vedette.Affected{Product: "p", Scheme: "deb", Ecosystem: "Debian:11", Ranges: []vedette.Range{fixedIn(fix)}}},
			{"c", vedette.Affected{Product: "p", Scheme: "cna", Default: vedette.StatusAffected, Platforms: []string{distro},
				Ranges: []vedette.Range{{Status: vedette.StatusUnaffected, From: fix, To: from, ToIncl: true, Type: eco}}}},
		}
		m := Judge(sw, "CVE-2024-0001", ranges)
		if len(m.Reasons) == 0 || m.Verdict == vedette.Confirmed || m.Verdict == vedette.DeclaredOnly || m.Verdict.Rank() >= len(vedette.Verdicts) {
			t.Fatalf("%+v", m)
		}
		m.Requires = []vedette.Require{{Any: []vedette.CPEMatch{{CPE: name, Range: vedette.Range{Exact: one}}}, All: len(from)%2 == 0, Negate: len(to)%2 == 0}}
		if s := Settle(m, []vedette.Software{sw, {CPE: name, Version: from}}); s.Verdict.Rank() < m.Verdict.Rank() {
			t.Fatalf("a condition raised %s to %s", m.Verdict, s.Verdict)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	sw := vedette.Software{Vendor: "apache", Product: "http_server", Version: "2.4.49", CPE: "cpe:2.3:a:apache:http_server:2.4.49:*:*:*:*:*:*:*"}
	in := nvd(rng("2.4.0", "2.4.50"))
	out := nvd(rng("2.2.0", "2.2.34"), rng("2.4.0", "2.4.27"))
	for _, c := range []struct {
		name string
		list []Candidate
	}{{"inside", []Candidate{in}}, {"outside", []Candidate{out}}, {"cna+nvd", []Candidate{cna("unaffected", rng("2.4.0", "2.4.50")), in}}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Judge(sw, "CVE-2024-0001", c.list)
			}
		})
	}
}
