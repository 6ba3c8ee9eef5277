package product

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
)

// realFile opens a file of the real data, or skips the test.
func realFile(t *testing.T, path ...string) io.Reader {
	t.Helper()
	dir := os.Getenv("VEDETTE_TEST_DATA")
	if dir == "" {
		t.Skip("VEDETTE_TEST_DATA is not set")
	}
	f, err := os.Open(filepath.Join(append([]string{dir}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// cveNames is what this test reads of a CVE record.
type cveNames struct {
	Meta struct {
		ID string `json:"cveId"`
	} `json:"cveMetadata"`
	Containers struct {
		CNA struct {
			Affected []struct {
				Vendor, Product string
				CPEs            []string
			}
		}
		ADP []struct {
			Affected []struct{ CPEs []string }
		}
	}
}

func eachRecord(t *testing.T, r io.Reader, do func([]byte)) {
	t.Helper()
	s := bufio.NewScanner(r)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		do(s.Bytes())
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestRealNames measures how often the name of a CNA and the CPE name beside it
// meet: by rules, then with shipped, then with stated aliases.
func TestRealNames(t *testing.T) {
	type pair struct{ cna, cpe vedette.ProductName }
	own, adp := map[pair]bool{}, map[pair]bool{}
	var stated []vedette.Alias
	blank, bad, parsed := 0, 0, 0
	eachRecord(t, realFile(t, "vuln", "cve5-vulnrichment.jsonl.gz"), func(line []byte) {
		var rec cveNames
		if err := json.Unmarshal(line, &rec); err != nil {
			t.Fatal(err)
		}
		v := vedette.Vulnerability{ID: rec.Meta.ID}
		var beside names
		for _, c := range rec.Containers.ADP {
			for _, a := range c.Affected {
				for _, s := range a.CPEs {
					parsed++
					if _, err := cpe.Parse(s); err != nil {
						bad++
					}
					beside.cpe(s)
				}
			}
		}
		for _, a := range rec.Containers.CNA.Affected {
			n := Normalise(vedette.ProductName{Scheme: "cna", Vendor: a.Vendor, Product: a.Product})
			v.Affected = append(v.Affected, vedette.Affected{Scheme: "cna", Vendor: a.Vendor, Product: a.Product, Same: a.CPEs})
			var to names
			for _, s := range a.CPEs {
				to.cpe(s)
			}
			switch {
			case n.Product == "":
				blank++
			case len(to) == 1:
				own[pair{n, to[0]}] = true
			case len(to) == 0 && len(beside) == 1 && len(rec.Containers.CNA.Affected) == 1:
				adp[pair{n, beside[0]}] = true
			}
		}
		stated = append(stated, Stated(v)...)
	})
	ships, all := NewClasses(Shipped()), NewClasses(Shipped(), Doubt(stated))
	t.Logf("%d CNA entries name nothing; %d of %d CPE names cannot be read", blank, bad, parsed)
	for _, c := range []struct {
		what  string
		pairs map[pair]bool
	}{{"CPE by the CNA", own}, {"CPE by an ADP", adp}} {
		equal, aliased, joined, kin, vendors, prods := 0, 0, 0, 0, 0, 0
		for p := range c.pairs {
			equal += one(p.cna == p.cpe)
			aliased += one(ships.Same(p.cna, p.cpe))
			joined += one(all.Same(p.cna, p.cpe))
			kin += one(Kin(p.cna, p.cpe))
			vendors += one(p.cna.Vendor == p.cpe.Vendor)
			prods += one(p.cna.Product == p.cpe.Product)
		}
		t.Logf("%s: %d name pairs; equal by rules %d, with shipped aliases %d, with stated ones %d; vendor equal %d, product equal %d, kin %d",
			c.what, len(c.pairs), equal, aliased, joined, vendors, prods, kin)
	}
	accepted := 0
	for _, a := range Doubt(stated) {
		accepted += one(!a.Proposed)
	}
	t.Logf("%d stated aliases, %d accepted", len(stated), accepted)
	logClasses(t, all)
}

func logClasses(t *testing.T, c *Classes) {
	sizes := make([]int, c.Len())
	for i := range sizes {
		sizes[i] = i
	}
	sort.Slice(sizes, func(i, j int) bool { return len(c.Members(sizes[i])) > len(c.Members(sizes[j])) })
	for _, i := range sizes[:min(8, len(sizes))] {
		t.Logf("class of %d: %v", len(c.Members(i)), c.Members(i)[:min(40, len(c.Members(i)))])
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestRealMerges lists the CPE products that the rules make one.
func TestRealMerges(t *testing.T) {
	merged := map[vedette.ProductName]map[string]bool{}
	total := map[string]bool{}
	add := func(s string) {
		n, err := cpe.Parse(s)
		if err != nil {
			return
		}
		raw := n[cpe.Vendor].Text() + "/" + n[cpe.Product].Text()
		total[raw] = true
		if k, ok := FromCPE(s); ok {
			if merged[k] == nil {
				merged[k] = map[string]bool{}
			}
			merged[k][raw] = true
		}
	}
	for _, file := range []string{"nvd-cpe-configurations-anchore.jsonl.gz", "cve5-vulnrichment.jsonl.gz"} {
		eachRecord(t, realFile(t, "vuln", file), func(line []byte) {
			for {
				i := bytes.Index(line, []byte(`"cpe:2.3:`))
				if i < 0 {
					return
				}
				line = line[i:]
				var s string
				d := json.NewDecoder(bytes.NewReader(line))
				if err := d.Decode(&s); err != nil {
					t.Fatal(err)
				}
				add(s)
				line = line[d.InputOffset():]
			}
		})
	}
	n := 0
	for k, raws := range merged {
		plain := map[string]bool{}
		for r := range raws {
			plain[squash(fold(r))] = true
		}
		if len(plain) > 1 {
			n++
		}
		delete(plain, squash(k.Vendor+k.Product))
		delete(plain, squash(k.Vendor+k.Product)+"firmware")
		if len(plain) > 0 && len(raws) > 1 {
			t.Logf("%s: %v", k, raws)
		}
	}
	t.Logf("%d CPE products, %d keys, %d keys join several spellings", len(total), len(merged), n)
}

// TestRealRecog reads all fingerprint files.
func TestRealRecog(t *testing.T) {
	var all []vedette.Alias
	files := 0
	for tr := tar.NewReader(realFile(t, "easm", "recog-xml.tar.gz")); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(h.Name) != ".xml" {
			continue
		}
		list, err := Recog(filepath.Base(h.Name), tr)
		if err != nil {
			t.Fatal(err)
		}
		files, all = files+1, append(all, list...)
	}
	accepted := 0
	var ok []vedette.Alias
	for _, a := range Doubt(all) {
		if accepted += one(!a.Proposed); !a.Proposed {
			ok = append(ok, a)
		}
	}
	if files < 40 || accepted < 50 {
		t.Errorf("%d files, %d aliases accepted", files, accepted)
	}
	c := NewClasses(Shipped(), ok)
	t.Logf("%d files, %d aliases, %d accepted", files, len(all), accepted)
	logClasses(t, c)
}

func BenchmarkClasses(b *testing.B) {
	list := make([]vedette.Alias, 100_000)
	for i := range list {
		list[i] = vedette.Alias{From: vedette.ProductName{Vendor: "v", Product: "a" + digitsOf(i)}, To: vedette.ProductName{Vendor: "v", Product: "b" + digitsOf(i/3)}}
	}
	for b.Loop() {
		NewClasses(list)
	}
}

func digitsOf(i int) string {
	s := ""
	for ; i > 0; i /= 10 {
		s += string(rune('a' + i%10))
	}
	return s
}

func BenchmarkNormalise(b *testing.B) {
	n := vedette.ProductName{Scheme: "cna", Vendor: "Apache Software Foundation", Product: "Apache HTTP Server"}
	for b.Loop() {
		Normalise(n)
	}
}
