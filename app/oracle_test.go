package app

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// oracle computes the join the slow and plain way, with no package of vedette:
// its own reading of the records, its own versions, its own names. It judges
// only what it can justify:
//
//   - names: a product whose mentions in all records are of one spelling, letters
//     and digits compared, so that no rule of normalising and no alias decides;
//   - versions: numbers with dots; a record is not judged for a product when any
//     of its entries for it has another kind of version, a wildcard without
//     bounds, or a default of affected;
//   - conditions: a configuration with AND makes a finding unless another node
//     is surely false, that is, its product was seen in another version.
//
// A service is affected when any entry of any source says so: a source that
// says otherwise weakens the verdict and takes no finding away.
type oracle struct {
	t       testing.TB
	names   map[string]map[string]bool // spellings by squashed product
	entries map[string][]mention       // by vulnerability
	bad     map[string]bool            // products with more than one spelling
	raw     map[string][3]string       // vendor, product and CPE name up to it, as first written
}

// mention is what one entry of a record says of one product.
type mention struct {
	product string // squashed "vendor product"
	plain   bool
	initial string // status of the rest
	spans   []span
	nodes   [][]condition // further nodes of an AND
	negated []bool
}

// span is one range; the first that holds a version decides for a CNA.
type span struct {
	status   string
	exact    string
	from, to string
	fromExcl bool
	toIncl   bool
}

type condition struct {
	product string
	span    span
}

func newOracle(t testing.TB) *oracle {
	return &oracle{t: t, names: map[string]map[string]bool{}, entries: map[string][]mention{}, bad: map[string]bool{}, raw: map[string][3]string{}}
}

// squash keeps letters and digits.
func squash(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, s)
}

var plainVersion = regexp.MustCompile(`^\d{1,9}(\.\d{1,9}){0,5}$`)

func numbers(v string) []int {
	var out []int
	for _, p := range strings.Split(v, ".") {
		n, err := strconv.Atoi(p)
		if err != nil {
			panic("not plain: " + v)
		}
		out = append(out, n)
	}
	return out
}

// order compares plain versions, missing numbers being 0.
func order(a, b string) int {
	x, y := numbers(a), numbers(b)
	for i := range max(len(x), len(y)) {
		var m, n int
		if i < len(x) {
			m = x[i]
		}
		if i < len(y) {
			n = y[i]
		}
		if m != n {
			return m - n
		}
	}
	return 0
}

func (s span) holds(v string) bool {
	switch {
	case s.exact == "*":
		return true
	case s.exact != "":
		return order(v, s.exact) == 0
	case s.from != "" && (order(v, s.from) < 0 || s.fromExcl && order(v, s.from) == 0):
		return false
	case s.to == "":
		return true
	case s.toIncl:
		return order(v, s.to) <= 0
	}
	return order(v, s.to) < 0
}

// affects says whether the entry calls a version affected, its conditions aside.
func (m *mention) affects(v string) bool {
	for _, s := range m.spans {
		if s.holds(v) {
			return s.status == "affected"
		}
	}
	return m.initial == "affected"
}

// possible says whether the other nodes leave the configuration open, given
// what else runs on the asset: versions by product.
func (m *mention) possible(on map[string][]string) bool {
	for i, node := range m.nodes {
		yes, open := false, false
		for _, c := range node {
			vs, seen := on[c.product]
			open = open || !seen
			for _, v := range vs {
				yes = yes || c.span.holds(v)
			}
		}
		sure := yes || !open
		if sure && yes == m.negated[i] {
			return false
		}
	}
	return true
}

// affected is the answer for a service; ok is false when the oracle does not judge it.
func (o *oracle) affected(cve, product, version string, on map[string][]string) (yes, ok bool) {
	for i := range o.entries[cve] {
		m := &o.entries[cve][i]
		if m.product != product {
			continue
		}
		if !m.plain {
			return false, false
		}
		ok = true
		if m.affects(version) && m.possible(on) {
			yes = true
		}
	}
	return yes, ok
}

// spell notes a name, so that products with several can be left out.
func (o *oracle) spell(vendor, product, cpe string) {
	p := squash(product)
	if name := squash(vendor) + " " + p; cpe != "" || o.raw[name][1] == "" {
		o.raw[name] = [3]string{vendor, product, cpe}
	}
	if o.names[p] == nil {
		o.names[p] = map[string]bool{}
	}
	o.names[p][squash(vendor)] = true
}

func readLines(t testing.TB, file string, f func([]byte)) {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	b := bufio.NewReaderSize(z, 1<<20)
	for {
		line, err := b.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			f(line)
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

type rawNode struct {
	Operator string `json:"operator"`
	Negate   bool   `json:"negate"`
	Matches  []struct {
		Vulnerable bool   `json:"vulnerable"`
		Criteria   string `json:"criteria"`
		StartIncl  string `json:"versionStartIncluding"`
		StartExcl  string `json:"versionStartExcluding"`
		EndIncl    string `json:"versionEndIncluding"`
		EndExcl    string `json:"versionEndExcluding"`
	} `json:"cpeMatch"`
}

type rawConfiguration struct {
	Operator string    `json:"operator"`
	Negate   bool      `json:"negate"`
	Nodes    []rawNode `json:"nodes"`
}

type rawAffected struct {
	Vendor   string   `json:"vendor"`
	Product  string   `json:"product"`
	Package  string   `json:"packageName"`
	Default  string   `json:"defaultStatus"`
	CPEs     []string `json:"cpes"`
	Versions []struct {
		Version string            `json:"version"`
		Status  string            `json:"status"`
		Type    string            `json:"versionType"`
		Less    string            `json:"lessThan"`
		LessEq  string            `json:"lessThanOrEqual"`
		Changes []json.RawMessage `json:"changes"`
	} `json:"versions"`
}

type rawContainer struct {
	Affected      []rawAffected      `json:"affected"`
	Applicability []rawConfiguration `json:"cpeApplicability"`
}

// cve reads a record of the CVE Record Format.
func (o *oracle) cve(line []byte) {
	var r struct {
		Meta struct {
			ID string `json:"cveId"`
		} `json:"cveMetadata"`
		Containers struct {
			CNA rawContainer   `json:"cna"`
			ADP []rawContainer `json:"adp"`
		} `json:"containers"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		o.t.Fatal(err)
	}
	for _, c := range append([]rawContainer{r.Containers.CNA}, r.Containers.ADP...) {
		for _, a := range c.Affected {
			o.cna(r.Meta.ID, a)
		}
		o.configurations(r.Meta.ID, c.Applicability)
	}
}

// cna reads one entry: under its own name, and under each of its CPE names.
func (o *oracle) cna(id string, a rawAffected) {
	m := mention{plain: a.Package == "" && (a.Default == "" || a.Default == "unaffected" || a.Default == "unknown"), initial: a.Default}
	for _, v := range a.Versions {
		s := span{status: v.Status, from: v.Version, to: v.Less}
		if v.LessEq != "" {
			s.to, s.toIncl = v.LessEq, true
		}
		switch {
		case v.Less == "" && v.LessEq == "" && plainVersion.MatchString(v.Version):
			s.exact, s.from = v.Version, ""
		case s.to == "" || !plainVersion.MatchString(s.to) || len(v.Changes) > 0 || v.Type == "git" || v.Less != "" && v.LessEq != "":
			m.plain = false
		case v.Version == "0" || v.Version == "*":
			s.from = ""
		case !plainVersion.MatchString(v.Version):
			m.plain = false
		}
		if v.Status != "affected" && v.Status != "unaffected" {
			m.plain = false
		}
		m.spans = append(m.spans, s)
	}
	m.plain = m.plain && len(m.spans) > 0
	own := squash(a.Vendor) + " " + squash(a.Product)
	o.spell(a.Vendor, a.Product, "")
	for _, name := range append([]string{""}, a.CPEs...) {
		m.product = own
		if name != "" {
			part, vendor, product, _, _, ok := cutCPE(name)
			if !ok {
				o.bad[own] = true
				continue
			}
			o.spell(vendor, product, "cpe:2.3:"+part+":"+vendor+":"+product)
			if m.product = squash(vendor) + " " + squash(product); m.product != own || part != "a" { // an alias joins them
				o.bad[own], o.bad[m.product] = true, true
			}
		}
		o.entries[id] = append(o.entries[id], m)
	}
}

// cutCPE takes a plain CPE name apart; ok is false for one with escapes.
func cutCPE(s string) (part, vendor, product, version, update string, ok bool) {
	p := strings.Split(s, ":")
	if len(p) != 13 || strings.Contains(s, `\`) || p[0] != "cpe" {
		return "", "", "", "", "", false
	}
	return p[2], p[3], p[4], p[5], p[6], true
}

// nvd reads a record in the shape of the NVD.
func (o *oracle) nvd(line []byte) {
	var r struct {
		Note struct {
			ID string `json:"cve_id"`
		} `json:"_annotation"`
		CVE struct {
			Configurations []rawConfiguration `json:"configurations"`
		} `json:"cve"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		o.t.Fatal(err)
	}
	o.configurations(r.Note.ID, r.CVE.Configurations)
}

func (o *oracle) configurations(id string, cs []rawConfiguration) {
	for _, c := range cs {
		for i, n := range c.Nodes {
			for _, match := range n.Matches {
				part, vendor, product, version, update, ok := cutCPE(match.Criteria)
				if !ok {
					continue // its product is not one the oracle judges
				}
				o.spell(vendor, product, "cpe:2.3:"+part+":"+vendor+":"+product)
				m := mention{product: squash(vendor) + " " + squash(product), initial: "unaffected", plain: !c.Negate && !n.Negate && n.Operator != "AND"}
				if part != "a" {
					o.bad[m.product] = true
				}
				if !match.Vulnerable || n.Negate {
					continue
				}
				s, plain := matchSpan(version, update, match.StartIncl, match.StartExcl, match.EndIncl, match.EndExcl)
				m.spans, m.plain = []span{s}, m.plain && plain
				if c.Operator == "AND" {
					m.plain = o.conditions(&m, c.Nodes, i) && m.plain
				}
				o.entries[id] = append(o.entries[id], m)
			}
		}
	}
}

func matchSpan(version, update, startIncl, startExcl, endIncl, endExcl string) (span, bool) {
	s := span{status: "affected", from: startIncl, to: endExcl}
	if startExcl != "" {
		s.from, s.fromExcl = startExcl, true
	}
	if endIncl != "" {
		s.to, s.toIncl = endIncl, true
	}
	if s.from == "" && s.to == "" {
		s.exact = version
		return s, plainVersion.MatchString(version) && (update == "*" || update == "-")
	}
	return s, version == "*" && (s.from == "" || plainVersion.MatchString(s.from)) && (s.to == "" || plainVersion.MatchString(s.to))
}

// conditions are the nodes of an AND beside node i.
func (o *oracle) conditions(m *mention, nodes []rawNode, i int) bool {
	plain := true
	for j, n := range nodes {
		if j == i {
			continue
		}
		var node []condition
		for _, match := range n.Matches {
			_, vendor, product, version, update, ok := cutCPE(match.Criteria)
			if !ok {
				return false
			}
			s, exact := matchSpan(version, update, match.StartIncl, match.StartExcl, match.EndIncl, match.EndExcl)
			if s.exact == "*" || s.exact == "-" {
				s.exact, exact = "*", true
			}
			plain = plain && exact
			node = append(node, condition{squash(vendor) + " " + squash(product), s})
		}
		plain = plain && (n.Operator != "AND" || len(node) == 1)
		m.nodes, m.negated = append(m.nodes, node), append(m.negated, n.Negate)
	}
	return plain
}

// products are what the oracle can judge, those with most entries first, with
// the borders of their ranges.
func (o *oracle) products() (names []string, borders map[string][]string) {
	n := map[string]int{}
	borders = map[string][]string{}
	for _, ms := range o.entries {
		for _, m := range ms {
			if !m.plain {
				continue
			}
			n[m.product]++
			for _, s := range m.spans {
				for _, v := range []string{s.exact, s.from, s.to} {
					if plainVersion.MatchString(v) {
						borders[m.product] = append(borders[m.product], v)
					}
				}
			}
		}
	}
	for name := range n {
		slices.Sort(borders[name])
		borders[name] = slices.Compact(borders[name])
		vendor, product, _ := strings.Cut(name, " ")
		others := len(o.names[product]) + len(o.names[vendor+product])
		if vendor != "" && product != "" && !o.bad[name] && others == 1 && !strings.HasPrefix(product, vendor) && !strings.HasSuffix(product, "firmware") {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if n[a] != n[b] {
			return n[b] - n[a]
		}
		return strings.Compare(a, b)
	})
	return names, borders
}
