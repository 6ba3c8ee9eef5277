// Package product decides which names are of one product. A name is normalised
// by rules (rules.txt); normalised names that are still different are joined by
// aliases: shipped with the program (aliases.txt), stated by a source beside
// its own name, or accepted by a person. Proposals join nothing by themselves.
//
// The schemes "cpe" and "cna" share one name space of vendor and product (the
// CPE dictionary, NISTIR 7697, and CVE Record Format 5.x affected[]); every
// package ecosystem is a name space of its own, named by its purl type
// (package-url purl-spec, PURL-TYPES).
package product

import (
	"strings"
	"unicode"

	"github.com/vedette-hub/vedette"
)

// Normalise returns the name under which software and ranges meet. It is
// deterministic and idempotent. A name that names nothing ("n/a") becomes empty.
func Normalise(n vedette.ProductName) vedette.ProductName {
	switch n.Scheme {
	case "", "cpe", "cna":
		v := vendor(n.Vendor)
		p := productOf(n.Product, v, squash(fold(n.Vendor)))
		if p == "" {
			return vedette.ProductName{}
		}
		return vedette.ProductName{Vendor: v, Product: p}
	}
	return normalPackage(n)
}

// fold lowers letters, drops marks and turns every run of other characters into one "_".
func fold(s string) string {
	if plain(s) {
		return s
	}
	r := theRules()
	var b strings.Builder
	gap := false
	word := func(s string) {
		if gap && b.Len() > 0 {
			b.WriteByte('_')
		}
		gap = false
		b.WriteString(s)
	}
	for _, c := range stripMarks(s) {
		if c >= 0xFF01 && c <= 0xFF5E { // full width forms
			c -= 0xFEE0
		}
		c = unicode.ToLower(c)
		if to, ok := r.letters[c]; ok {
			word(to)
			continue
		}
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '+', c == '#':
			word(string(c))
		case c == '!' || c == '\'' || c == '’' || c == '®' || c == '™' || c == '©' || unicode.Is(unicode.Mn, c):
		case c > 0x7f && (unicode.IsLetter(c) || unicode.IsDigit(c)):
			word(string(c))
		default:
			gap = true
		}
	}
	return strings.Trim(b.String(), "._")
}

// plain says whether fold would change nothing.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '_' || i == 0 || i == len(s)-1 || s[i-1] == '_') {
			return false
		}
	}
	return true
}

// stripMarks drops the "(R)", "(TM)" and "(C)" that stand for signs.
func stripMarks(s string) string {
	if !strings.ContainsRune(s, '(') {
		return s
	}
	for _, m := range [...]string{"(R)", "(r)", "(TM)", "(tm)", "(C)"} {
		s = strings.ReplaceAll(s, m, "")
	}
	return s
}

// squash removes everything between the letters and digits: vendors are written
// "Palo Alto Networks" and "paloaltonetworks".
func squash(s string) string {
	if strings.IndexFunc(s, notWord) < 0 {
		return s
	}
	return strings.Map(func(c rune) rune {
		if notWord(c) {
			return -1
		}
		return c
	}, s)
}

func notWord(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }

func vendor(s string) string {
	r := theRules()
	s = fold(s)
	if r.blank[s] {
		return ""
	}
	words := strings.Split(s, "_")
	for len(words) > 1 && r.opening[words[0]] {
		words = words[1:]
	}
	for len(words) > 1 && r.suffix[squash(words[len(words)-1])] {
		words = words[:len(words)-1]
		// "s.r.l" is one word, "sp. z o.o." and "s r l" are several.
		if n := len(words); n > 2 && words[n-1] == "z" && strings.Trim(words[n-2], ".") == "sp" {
			words = words[:n-2]
		}
	}
	if len(words) == 1 && r.suffix[squash(words[0])] { // "Software AG"
		words = strings.Split(s, "_")
	}
	v := squash(strings.Join(words, ""))
	if to, ok := r.vendor[v]; ok {
		return to
	}
	if r.blank[v] {
		return ""
	}
	return v
}

// productOf folds a product, takes the vendor off its front ("Apache HTTP
// Server") and "firmware" off its end: a device and its firmware are one product here.
func productOf(s string, vendors ...string) string {
	p := fold(s)
	if theRules().blank[p] {
		return ""
	}
	for {
		was := p
		for _, v := range vendors {
			p = cutVendor(p, v)
		}
		if t, ok := strings.CutSuffix(p, "_firmware"); ok && t != "" {
			p = strings.TrimRight(t, "._")
		}
		if p == was || p == "" {
			break
		}
	}
	if theRules().blank[p] {
		return ""
	}
	return p
}

// cutVendor removes whole words from the front of p that spell the vendor, unless nothing would be left.
func cutVendor(p, vendor string) string {
	if vendor == "" {
		return p
	}
	spelled := ""
	for i := 0; i < len(p); i++ {
		if p[i] != '_' {
			continue
		}
		if spelled = squash(p[:i]); spelled == vendor {
			if rest := strings.Trim(p[i:], "._"); rest != "" {
				return rest
			}
			return p
		}
		if len(spelled) > len(vendor) {
			return p
		}
	}
	return p
}

// normalPackage normalises a name of a package ecosystem as its purl type says
// (purl-spec PURL-TYPES): namespace and name become one product.
func normalPackage(n vedette.ProductName) vedette.ProductName {
	scheme := strings.ToLower(strings.TrimSpace(n.Scheme))
	edge := func(c rune) bool { return c == '/' || unicode.IsSpace(c) }
	ns, p := strings.TrimFunc(strings.ToLower(n.Vendor), edge), strings.TrimFunc(strings.ToLower(n.Product), edge)
	if p == "" {
		return vedette.ProductName{}
	}
	switch scheme {
	case "deb", "rpm", "apk", "alpm":
		ns = "" // the distribution; its packages are told apart by ecosystem
		if scheme == "deb" {
			p = unversioned(p)
		}
	case "pypi":
		ns, p = "", strings.Join(strings.FieldsFunc(p, func(c rune) bool {
			return c == '-' || c == '_' || c == '.' || edge(c)
		}), "-")
	case "maven":
		if ns != "" {
			p = ns + ":" + p
		}
	default:
		if ns != "" {
			p = ns + "/" + p
		}
	}
	if p == "" {
		return vedette.ProductName{}
	}
	return vedette.ProductName{Scheme: scheme, Product: p}
}

// unversioned takes the version off a source package name: php8.2, postgresql-15.
func unversioned(p string) string {
	stem := strings.TrimRight(p, "0123456789.")
	if stem == p {
		return p
	}
	stem = strings.TrimSuffix(stem, "-")
	for _, known := range theRules().packages {
		if stem == known {
			return stem
		}
	}
	return p
}
