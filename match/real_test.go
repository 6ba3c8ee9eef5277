package match

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/vedette-hub/vedette"
)

// realVersions are the distinct version texts of 16000 CVE records, sorted.
func realVersions(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("VEDETTE_TEST_DATA")
	if dir == "" {
		t.Skip("VEDETTE_TEST_DATA is not set")
	}
	f, err := os.Open(filepath.Join(dir, "vuln", "cve5-vulnrichment.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	s := bufio.NewScanner(z)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		var rec struct {
			Containers struct {
				CNA struct {
					Affected []struct {
						Versions []struct{ Version, LessThan, LessThanOrEqual, VersionType string }
					}
				}
			}
		}
		if err := json.Unmarshal(s.Bytes(), &rec); err != nil {
			t.Fatal(err)
		}
		for _, a := range rec.Containers.CNA.Affected {
			for _, v := range a.Versions {
				if v.VersionType != "git" {
					set[v.Version], set[v.LessThan], set[v.LessThanOrEqual] = true, true, true
				}
			}
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	list := make([]string, 0, len(set))
	for v := range set {
		list = append(list, v)
	}
	sort.Strings(list)
	return list
}

// TestRealVersions orders what CNAs write into version fields: transitive among
// each other, and counted by what becomes of them.
func TestRealVersions(t *testing.T) {
	list := realVersions(t)
	var ordered []string
	ranges, lists, silents, dark := 0, 0, 0, 0
	var left []string
	for _, s := range list {
		base, _ := cutWild(s)
		_, err := ParseVersion(base)
		r := vedette.Range{Status: vedette.StatusAffected, Exact: s}
		v := see("1.2.3")
		switch {
		case err == nil && !prose(s):
			ordered = append(ordered, s)
		case readText(&r) != &r:
			ranges++
		case v.lies(&vedette.Affected{Scheme: "cna"}, &r) != unclear:
			lists++
		case s == "" || isEvery(s) || silent(s):
			silents++
		default:
			dark++
			left = append(left, s)
		}
	}
	t.Logf("%d distinct version texts: %d ordered, %d ranges in words, %d lists, %d placeholders, %d not understood",
		len(list), len(ordered), ranges, lists, silents, dark)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range min(40, len(left)) {
		t.Logf("not understood: %s", short(left[rnd.IntN(len(left))]))
	}
	unsure, n := 0, 0
	for range 200_000 {
		i := rnd.IntN(len(ordered))
		near := func() string { return ordered[max(0, min(len(ordered)-1, i+rnd.IntN(41)-20))] }
		a, b, c := ordered[i], near(), near()
		ab, err := Compare("", a, b)
		n++
		if err != nil {
			unsure++
			continue
		}
		if ba, err := Compare("", b, a); err != nil || ba != -ab {
			t.Fatalf("%q ? %q = %d, the other way %d (%v)", a, b, ab, ba, err)
		}
		bc, err := Compare("", b, c)
		if err != nil || ab > 0 || bc > 0 {
			continue
		}
		if ac, err := Compare("", a, c); err != nil || ac > 0 || (ac == 0) != (ab == 0 && bc == 0) {
			t.Fatalf("%q <= %q <= %q, but %d (%v)", a, b, c, ac, err)
		}
	}
	t.Logf("of %d neighbouring pairs %d have no certain order", n, unsure)
}
