package match

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestUpstreamOrder(t *testing.T) {
	for _, c := range []struct{ a, rel, b string }{
		{"8.4p1", "<", "8.4p2"}, {"8.4p1", "<", "8.5p1"}, {"8.0p1", "<", "8.4p1"}, {"8.4", "<", "8.4p1"}, {"8.9p1", "<", "8.10p1"},
		{"9.1.3", "<", "9.1.10"}, {"1.0.2", "<", "1.0.2k"}, {"1.0.2k", "<", "1.0.2u"}, {"1.0.2z", "<", "1.0.2za"}, {"1.0.2zh", "<", "1.1.0"},
		{"1.0.2k-fips", "<", "1.0.2u"}, {"15.2(7)E3", "<", "15.2(7)E4"}, {"15.2(7)E3", "<", "15.2(8)"}, {"15.2(7)", "<", "15.2(7)E3"},
		{"2019.1-rc2", "<", "2019.1"}, {"2019.1-rc2", "<", "2019.1-rc10"}, {"1.0-alpha", "<", "1.0-beta"}, {"1.0b2", "<", "1.0"},
		{"1.0a1", "<", "1.0b1"}, {"1.0-dev", "<", "1.0-alpha"}, {"5.0.0-M1", "<", "5.0.0-RC1"}, {"5.0.0-RC1", "<", "5.0.0.RELEASE"},
		{"v1.2.3", "=", "1.2.3"}, {"1.2.3+build7", "=", "1.2.3"}, {"4.3.0.RELEASE", "=", "4.3.0"}, {"1.0", "=", "1.0.0"}, {"1", "=", "1.0"},
		{"1.0rc", "=", "1.0-RC0"}, {"01.02", "=", "1.2"}, {"Version 3.1", "=", "3.1"}, {"release-1.2", "=", "1.2"},
		{"20240115", "<", "20240201"}, {"2024-01-15", "<", "2024-02-01"}, {"10.0.19044.1234", "<", "10.0.19045.1"},
		{"12.1X46-D10", "<", "12.1X46-D15"}, {"12.1X46-D10", "<", "12.1X47-D5"}, {"12.1X46-D10", "<", "12.3"}, {"12.1X46", "<", "12.1X46-D10"},
		{"21.4R3", "<", "21.4R3-S5"}, {"13.1-48.47", "<", "13.1-49.15"}, {"13.0-92.21", "<", "13.1-4.43"}, {"R80.10", "<", "R80.40"},
		{"6.5 SP1", "<", "6.5 SP2"}, {"7.0.0 HF1", "<", "7.0.0 HF2"}, {"11.2-RELEASE-p3", "<", "11.2-RELEASE-p10"},
		{"1.0.0-beta.2", "<", "1.0.0-beta.11"}, {"0", "=", "0.0"}, {"9.18.12", "<", "9.18.19-S1"}, {"1.3.5e", "<", "1.3.6"},
		{"1.0.1", ">", "1.0-rc1"}, {"2.4.49", "<", "2.4.50"}, {"4.94.2", ">", "4.94"}, {"nginx-1.18", "<", "nginx-1.20"},
	} {
		want := map[string]int{"<": -1, "=": 0, ">": 1}[c.rel]
		if got, err := Compare("", c.a, c.b); err != nil || got != want {
			t.Errorf("Compare(%q, %q) = %d, %v; want %s", c.a, c.b, got, err, c.rel)
		}
		if got, err := Compare("", c.b, c.a); err != nil || got != -want {
			t.Errorf("Compare(%q, %q) = %d, %v; want %d", c.b, c.a, got, err, -want)
		}
	}
	for _, c := range [][2]string{
		{"", "1"}, {"-", "1"}, {"*", "1"}, {"n/a", "1"}, {"5.x", "5.1"}, {"all", "1"}, {"< 5.4", "5.3"}, {"1.2 and earlier", "1.1"},
		{"before 5.4", "5.3"}, {"1.0, 1.1", "1.0"}, {"6b3f2a1c9d", "1"}, {"da39a3ee5e6b4b0d3255bfef95601890afd80709", "1.2"},
		{"15.2(7)E3", "15.2(7)S1"}, {"R80.10", "80.10"}, {"1.0-canary", "1.0"}, {"1.0.2p", "1.0.2p1"}, {"1:8.4p1", "8.4p1"},
		{"11.6.1 HF1", "11.6.1 SP1"}, {"1234567890123456789012", "1"}, {"1.2\x00", "1"}, {"ümlaut1", "1"},
	} {
		if got, err := Compare("", c[0], c[1]); !errors.Is(err, ErrUnorderable) {
			t.Errorf("Compare(%q, %q) = %d, %v; want no answer", c[0], c[1], got, err)
		}
	}
}

func TestEcosystemOrder(t *testing.T) {
	for _, c := range []struct{ eco, a, rel, b string }{
		{"Debian:11", "1:8.4p1-5+deb11u2", "<", "1:8.4p1-5+deb11u3"}, {"Debian", "1.2~rc1-1", "<", "1.2-1"},
		{"Ubuntu:22.04:LTS", "1:8.9p1-3ubuntu0.6", "<", "1:8.9p1-3ubuntu0.10"}, {"PyPI", "1.0rc1", "<", "1.0"},
		{"Go", "v1.2.3-pre", "<", "1.2.3"}, {"npm", "1.0.0-1", "<", "1.0.0"}, {"Alpine:v3.18", "1.2.3-r1", "<", "1.2.3-r2"},
		{"Red Hat", "1.2-3.el8", "<", "1.2-3.el8_1"}, {"Maven", "1.0-SNAPSHOT", "<", "1.0"}, {"Packagist", "1.0.0-p1", ">", "1.0.0"},
	} {
		want := map[string]int{"<": -1, "=": 0, ">": 1}[c.rel]
		if got, err := Compare(c.eco, c.a, c.b); err != nil || got != want {
			t.Errorf("Compare(%s, %q, %q) = %d, %v; want %s", c.eco, c.a, c.b, got, err, c.rel)
		}
		if got, err := OrderOf(c.eco)(c.b, c.a); err != nil || got != -want {
			t.Errorf("OrderOf(%s)(%q, %q) = %d, %v", c.eco, c.b, c.a, got, err)
		}
	}
	for _, c := range [][3]string{{"GIT", "1", "2"}, {"Nowhere", "1", "2"}, {"Debian", "", "1"}, {"PyPI", "all", "1"}, {"npm", "1 2", "1"}} {
		if _, err := Compare(c[0], c[1], c[2]); !errors.Is(err, ErrUnorderable) {
			t.Errorf("Compare(%q) gives %v, want no answer", c, err)
		}
	}
}

// version draws texts that look like versions of the real world.
func version() *rapid.Generator[string] {
	real := rapid.SampledFrom([]string{"8.4p1", "8.4p2", "8.4", "9.1.3", "9.1.10", "1.0.2", "1.0.2k", "1.0.2zh", "15.2(7)E3", "15.2(7)", "15.2(4)M3",
		"2019.1-rc2", "2019.1", "v1.2", "1.2+b", "20240115", "10.0.19044.1234", "12.1X46-D10", "13.1-48.47", "R80.10", "1.0b2", "1.0a", "1.0-M1",
		"6.5 SP2", "6.5u2", "5.3.5.RELEASE", "1.0-canary", "11.2-p3", "1.0-fips", "1.0k-fips", "0", "1"})
	part := rapid.SampledFrom([]string{"0", "1", "2", "10", "00", "a", "b", "k", "p", "rc", "beta", "sp", "hf", "r", "x", "ga", "dev", "foo", "za", "m", "D", "E"})
	gap := rapid.SampledFrom([]string{"", ".", "-", "(", ")", "_", " ", "+"})
	return rapid.OneOf(real, rapid.Custom(func(t *rapid.T) string {
		s := rapid.SampledFrom([]string{"1", "1.0", "2.1", "v1", "R1"}).Draw(t, "start")
		for range rapid.IntRange(0, 6).Draw(t, "parts") {
			s += gap.Draw(t, "gap") + part.Draw(t, "part")
		}
		return s
	}))
}

// TestOrderIsAnOrder: where the upstream order answers it is antisymmetric and
// transitive, and equal versions compare alike.
func TestOrderIsAnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := version().Draw(t, "a"), version().Draw(t, "b"), version().Draw(t, "c")
		ab, err := Compare("", a, b)
		ba, err2 := Compare("", b, a)
		if (err == nil) != (err2 == nil) || ab != -ba {
			t.Fatalf("%q ? %q = %d (%v), but %q ? %q = %d (%v)", a, b, ab, err, b, a, ba, err2)
		}
		if aa, err := Compare("", a, a); err == nil && aa != 0 {
			t.Fatalf("%q is not itself", a)
		}
		bc, err3 := Compare("", b, c)
		if err != nil || err3 != nil || ab > 0 || bc > 0 {
			return
		}
		ac, err := Compare("", a, c)
		if err != nil || ac > 0 || (ac == 0) != (ab == 0 && bc == 0) {
			t.Fatalf("%q <= %q <= %q, but %q ? %q = %d (%v)", a, b, c, a, c, ac, err)
		}
	})
}

func FuzzVersion(f *testing.F) {
	f.Add("8.4p1", "8.5p1")
	f.Add("15.2(7)E3", "1:8.4p1-5+deb11u3")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, eco := range []string{"", "Debian", "PyPI", "npm", "Maven", "Alpine", "Red Hat", "NuGet", "RubyGems", "Packagist", "CRAN"} {
			x, err := Compare(eco, a, b)
			if x < -1 || x > 1 || err != nil && (x != 0 || !errors.Is(err, ErrUnorderable)) {
				t.Fatalf("Compare(%q, %q, %q) = %d, %v", eco, a, b, x, err)
			}
			if y, err2 := Compare("", b, a); eco == "" && ((err == nil) != (err2 == nil) || x != -y) {
				t.Fatalf("%q and %q: %d and %d", a, b, x, y)
			}
		}
	})
}

func BenchmarkCompare(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if c, err := Compare("", "10.0.19044.1234", "10.0.19044.1889"); err != nil || c != -1 {
			b.Fatal(c, err)
		}
	}
}

func BenchmarkCompareDebian(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if c, err := Compare("Debian:11", "1:8.4p1-5+deb11u2", "1:8.4p1-5+deb11u3"); err != nil || c != -1 {
			b.Fatal(c, err)
		}
	}
}
