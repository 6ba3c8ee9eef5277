package lab

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func small(seed uint64) *World {
	return Estate{Seed: seed, Constituents: 20, Assets: 1000, Services: 10_000}.Build()
}

// bytesOf is the hash of everything a world says of the day.
func bytesOf(t *testing.T, w *World) [32]byte {
	t.Helper()
	h := sha256.New()
	for i := range w.Constituents {
		for _, f := range Formats {
			if err := w.Survey(i, f, func(body []byte) error { h.Write(append(body, '\n')); return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	return [32]byte(h.Sum(nil))
}

func TestSameSeedSameBytes(t *testing.T) {
	a, b := small(3), small(3)
	if bytesOf(t, a) != bytesOf(t, b) {
		t.Error("the first day differs")
	}
	if bytesOf(t, a) == bytesOf(t, small(4)) {
		t.Error("another seed makes the same estate")
	}
	for range 5 {
		a.Next()
		b.Next()
	}
	if bytesOf(t, a) != bytesOf(t, b) {
		t.Error("the sixth day differs")
	}
}

func TestEstateHasTheAskedSize(t *testing.T) {
	assets, services := small(1).Counts()
	if assets != 1000 || services != 10_000 {
		t.Errorf("%d assets and %d services", assets, services)
	}
}

// TestNothingRealIsNamed: names end in .example, addresses are of the ranges
// for documentation and benchmarks.
func TestNothingRealIsNamed(t *testing.T) {
	var nets []netip.Prefix
	for _, s := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "2001:db8::/32"} {
		nets = append(nets, netip.MustParsePrefix(s))
	}
	w := small(2)
	for _, h := range w.hosts {
		if a, err := netip.ParseAddr(h.id); err != nil {
			if !strings.HasSuffix(h.id, ".example") {
				t.Fatalf("%s is not of .example", h.id)
			}
		} else if !slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a) }) {
			t.Fatalf("%s is a real address", a)
		}
	}
	for _, c := range w.Constituents {
		for _, s := range c.Scope {
			if s.Domain != "" && !strings.HasSuffix(s.Domain, ".example") {
				t.Errorf("%s is not of .example", s.Domain)
			}
		}
	}
}

func TestADayChangesHalfAPercent(t *testing.T) {
	w := small(1)
	_, before := w.Counts()
	c := w.Next()
	if n := c.Upgraded + c.Appeared + c.Vanished; n != 50 {
		t.Errorf("%d changes among 10,000 services", n)
	}
	if _, after := w.Counts(); after != before+c.Appeared-c.Vanished {
		t.Errorf("%d services, then %d after %+v", before, after, c)
	}
}

func TestEPSSMoves(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ids := CVEs(10_000)
	if slices.Sort(ids); len(slices.Compact(ids)) != 10_000 {
		t.Fatal("ids stand twice")
	}
	e := NewEPSS(1, ids, start)
	day := func() []float64 {
		var b bytes.Buffer
		if err := e.Next(&b); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b.Bytes(), []byte{'\n'}); n != 10_002 {
			t.Fatalf("%d lines", n)
		}
		return slices.Clone(e.scores)
	}
	moved := 0
	was, is := day(), day()
	for i := range is {
		if d := is[i] - was[i]; d > 0.01 || d < -0.01 {
			moved++
		}
	}
	if moved < 50 || moved > 250 {
		t.Errorf("%d of 10,000 scores moved by more than a hundredth in a day", moved)
	}
}
