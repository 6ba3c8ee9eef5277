package product

import (
	"strings"

	"github.com/vedette-hub/vedette"
)

// Stated lists the aliases that a record itself states: a CNA names its product
// and gives CPE names for it (Affected.Same, from CVE Record Format 5.x cpes).
// One name must lead to one CPE product and back, within the record; where the
// two have no word in common (a chip maker naming Android), the alias is only proposed.
func Stated(v vedette.Vulnerability) []vedette.Alias {
	type pair struct{ from, to vedette.ProductName }
	var pairs []pair
	for i := range v.Affected {
		a := &v.Affected[i]
		if len(a.Same) == 0 {
			continue
		}
		from := Normalise(vedette.ProductName{Scheme: a.Scheme, Vendor: a.Vendor, Product: a.Product})
		var to names
		for _, s := range a.Same {
			to.cpe(s)
		}
		if from.Product != "" && len(to) == 1 && from != to[0] {
			pairs = append(pairs, pair{from, to[0]})
		}
	}
	var out []vedette.Alias
	for i, p := range pairs {
		clash, twice := false, false
		for j, q := range pairs {
			clash = clash || (p.from == q.from) != (p.to == q.to)
			twice = twice || j < i && p == q
		}
		if clash || twice {
			continue
		}
		out = append(out, vedette.Alias{From: p.from, To: p.to, Reason: "stated by the CNA of " + v.ID + " beside its CPE", Proposed: !Kin(p.from, p.to)})
	}
	return out
}

// Doubt marks as proposed the aliases whose first name leads to different
// products in the list: then no statement is unambiguous.
func Doubt(list []vedette.Alias) []vedette.Alias {
	to := make(map[vedette.ProductName]vedette.ProductName, len(list))
	twice := map[vedette.ProductName]bool{}
	for _, a := range list {
		if old, ok := to[a.From]; ok && old != a.To {
			twice[a.From] = true
		}
		to[a.From] = a.To
	}
	out := append([]vedette.Alias(nil), list...)
	for i := range out {
		out[i].Proposed = out[i].Proposed || twice[out[i].From]
	}
	return out
}

// Kin says whether two names may well be of one product by their words: the
// same product under another vendor, or one product's words within the other's
// where the vendors agree and no number tells them apart.
func Kin(a, b vedette.ProductName) bool {
	p, q := squash(a.Product), squash(b.Product)
	vendors := a.Vendor == "" || b.Vendor == "" || vendorsAgree(a.Vendor, b.Vendor)
	switch {
	case p == q && len(p) > 3:
		return true
	case !vendors:
		return false
	case p == q:
		return true
	}
	return digits(p) == digits(q) && wordsWithin(a.Product, b.Product)
}

// vendorsAgree says whether one vendor's name begins or holds the other's.
func vendorsAgree(v, w string) bool {
	if len(v) > len(w) {
		v, w = w, v
	}
	return len(v) > 2 && strings.Contains(w, v)
}

// wordsWithin says whether all words of the shorter name are in the longer,
// and are at least half of it: "exchange" is not "exchange_server_hybrid_agent".
func wordsWithin(a, b string) bool {
	x, y := words(a), words(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	if len(x) == 0 || len(x)*2 < len(y) {
		return false
	}
	for _, w := range x {
		found := false
		for _, u := range y {
			found = found || u == w
		}
		if !found {
			return false
		}
	}
	for _, u := range y { // words that name a different product of the line
		if apart[u] && !containsWord(x, u) {
			return false
		}
	}
	return true
}

// apart are words that make another product of the same name.
var apart = map[string]bool{"client": true, "server": true, "plugin": true, "agent": true, "manager": true, "connector": true, "sdk": true,
	"driver": true, "gateway": true, "enterprise": true, "pro": true, "premium": true, "lite": true, "mobile": true, "android": true,
	"ios": true, "windows": true, "linux": true, "macos": true, "cloud": true, "addon": true, "extension": true, "theme": true, "module": true,
	"library": true, "api": true, "cli": true, "desktop": true, "core": true, "console": true, "controller": true, "plus": true,
	"proxy": true, "app": true, "viewer": true, "tools": true, "for": true, "and": true, "esr": true, "online": true}

func containsWord(list []string, w string) bool {
	for _, x := range list {
		if x == w {
			return true
		}
	}
	return false
}

func words(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == '_' || c == '.' || c == '-' || c == '/' || c == ':' })
}

func digits(s string) string {
	return strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, s)
}
