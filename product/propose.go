package product

import (
	"math"
	"sort"
	"strconv"

	"github.com/vedette-hub/vedette"
)

// NameUse is a name that occurs: where software or sources use it.
type NameUse struct {
	Name vedette.ProductName
	// Weaknesses are ids of vulnerabilities that sources give for this name (KEV's product, the CPE of the record).
	Weaknesses []string
}

// Proposal is an alias for a person to accept or refuse. It joins nothing by itself.
type Proposal struct {
	Alias   vedette.Alias // Proposed is set
	Weight  float64       // 0-1, to sort by
	Reasons []string
}

// maxBlock bounds the names compared with each other, so that a vendor of
// thousands of products costs no square.
const maxBlock = 400

// Propose looks for names that may be of one product and are not joined: the
// same product word, nearly the same spelling by one vendor, the same
// vulnerability. Names already of one class are left out; joined may be nil.
func Propose(known []NameUse, joined *Classes) []Proposal {
	p := proposer{joined: joined, found: map[[2]int]*Proposal{}}
	index := map[vedette.ProductName]int{}
	for _, u := range known {
		n := Normalise(u.Name)
		if n.Product == "" {
			continue
		}
		if i, ok := index[n]; ok {
			p.known[i].Weaknesses = append(p.known[i].Weaknesses, u.Weaknesses...)
			continue
		}
		index[n] = len(p.known)
		p.known = append(p.known, NameUse{Name: n, Weaknesses: append([]string(nil), u.Weaknesses...)})
	}
	products, vendors, weaknesses := map[string][]int{}, map[string][]int{}, map[string][]int{}
	for i, u := range p.known {
		products[squash(u.Name.Product)] = append(products[squash(u.Name.Product)], i)
		if u.Name.Vendor != "" {
			vendors[u.Name.Vendor] = append(vendors[u.Name.Vendor], i)
		}
		for _, w := range u.Weaknesses {
			weaknesses[w] = append(weaknesses[w], i)
		}
	}
	p.pairs(products, p.sameProduct)
	p.pairs(vendors, p.sameVendor)
	p.pairs(weaknesses, p.sameWeakness)
	return p.sorted()
}

type proposer struct {
	known  []NameUse
	joined *Classes
	found  map[[2]int]*Proposal
}

// pairs calls rule for the pairs within each block.
func (p *proposer) pairs(blocks map[string][]int, rule func(i, j int)) {
	keys := make([]string, 0, len(blocks))
	for k := range blocks {
		keys = append(keys, k)
	}
	sort.Strings(keys) // the same names give the same proposals, to the last digit
	for _, k := range keys {
		b := blocks[k]
		if len(b) > maxBlock {
			continue
		}
		for x := range b {
			for _, j := range b[x+1:] {
				if i := b[x]; i != j && (p.joined == nil || !p.joined.Same(p.known[i].Name, p.known[j].Name)) {
					rule(min(i, j), max(i, j))
				}
			}
		}
	}
}

// add records a reason; weights of several reasons add up like probabilities.
func (p *proposer) add(i, j int, weight float64, reason string) {
	key := [2]int{i, j}
	f := p.found[key]
	if f == nil {
		from, to := p.known[i].Name, p.known[j].Name
		f = &Proposal{Alias: vedette.Alias{From: from, To: to, Proposed: true}}
		p.found[key] = f
	}
	for _, r := range f.Reasons {
		if r == reason {
			return
		}
	}
	f.Weight = 1 - (1-f.Weight)*(1-weight)
	f.Reasons = append(f.Reasons, reason)
}

func (p *proposer) sameProduct(i, j int) {
	a, b := p.known[i].Name, p.known[j].Name
	if len(squash(a.Product)) < 3 {
		return
	}
	switch {
	case a.Vendor == b.Vendor:
		p.add(i, j, 0.9, "the names differ only in separators or scheme")
	case a.Vendor == "" || b.Vendor == "":
		p.add(i, j, 0.5, "the same product, one without a vendor")
	case vendorsAgree(a.Vendor, b.Vendor):
		p.add(i, j, 0.7, "the same product, and one vendor's name holds the other's")
	case vendorsAgree(a.Vendor, squash(b.Product)) || vendorsAgree(b.Vendor, squash(a.Product)):
		p.add(i, j, 0.5, "the same product, and one vendor is named like it")
	}
}

func (p *proposer) sameVendor(i, j int) {
	a, b := p.known[i].Name, p.known[j].Name
	if a.Scheme != b.Scheme || digits(a.Product) != digits(b.Product) {
		return // numbers tell models and releases apart
	}
	if len(a.Product) > 5 && len(b.Product) > 5 && near(a.Product, b.Product) {
		p.add(i, j, 0.5, "one letter apart, by one vendor")
	} else if wordsWithin(a.Product, b.Product) {
		p.add(i, j, 0.3, "one name's words are within the other's, by one vendor")
	}
}

func (p *proposer) sameWeakness(i, j int) {
	a, b := p.known[i].Name, p.known[j].Name
	shared := 0
	has := make(map[string]bool, len(p.known[i].Weaknesses))
	for _, w := range p.known[i].Weaknesses {
		has[w] = true
	}
	for _, w := range p.known[j].Weaknesses {
		if has[w] {
			shared++
			has[w] = false
		}
	}
	switch {
	case Kin(a, b) || a.Vendor == b.Vendor && a.Vendor != "" && wordsWithin(a.Product, b.Product):
		p.add(i, j, math.Min(0.6, 0.3+0.1*float64(shared)), "sources give both names for "+plural(shared))
	case shared >= 3 && (a.Vendor == b.Vendor || vendorsAgree(a.Vendor, b.Vendor)):
		p.add(i, j, 0.2, "sources give both names for "+plural(shared))
	}
}

func plural(n int) string {
	if n == 1 {
		return "the same vulnerability"
	}
	return strconv.Itoa(n) + " vulnerabilities"
}

func (p *proposer) sorted() []Proposal {
	out := make([]Proposal, 0, len(p.found))
	for _, f := range p.found {
		sort.Strings(f.Reasons)
		f.Alias.Reason = f.Reasons[0]
		out = append(out, *f)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		if a.Weight != b.Weight {
			return a.Weight > b.Weight
		}
		if x, y := a.Alias.From.String(), b.Alias.From.String(); x != y {
			return x < y
		}
		return a.Alias.To.String()+a.Alias.To.Scheme < b.Alias.To.String()+b.Alias.To.Scheme
	})
	return out
}

// near says whether two texts are one edit apart: a letter more, less, other,
// or two neighbours swapped.
func near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || a == b {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
