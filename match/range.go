package match

import (
	"strings"

	"github.com/vedette-hub/vedette"
)

// where says how a version lies to a range.
type where uint8

const (
	outside where = iota
	inside
	partly  // the version is a prefix ("9.1") and the range cuts through what it may be
	unclear // the versions cannot be ordered
)

// seen is the version of one software, parsed once for all ranges.
type seen struct {
	text     string // as it is compared: "" unknown, "-" none
	parsed   Version
	ok       bool
	pkg      bool // compare in the order of a distribution, ignoring epochs when noEpoch
	noEpoch  bool
	numbers  int // numbers of the first run
	bareOnly bool
}

func see(text string) seen {
	s := seen{text: text}
	if text == "" || text == "-" {
		return s
	}
	s.parsed.text = text
	s.ok = s.parsed.parse() == nil
	for s.numbers < s.parsed.n && s.parsed.tokens[s.numbers].kind == number {
		s.numbers++
	}
	s.bareOnly = s.numbers == s.parsed.n
	return s
}

// compare orders the seen version to a bound. short says that the bound is more
// precise: the seen version may be a prefix of the real one.
func (s *seen) compare(ecosystem, bound string) (c int, short bool, ok bool) {
	if s.pkg {
		a, b := s.text, bound
		if s.noEpoch {
			b = withoutEpoch(b)
		}
		c, err := Compare(ecosystem, a, b)
		return c, false, err == nil
	}
	if ecosystem != "" {
		c, err := Compare(ecosystem, s.text, bound)
		return c, false, err == nil
	}
	if !s.ok {
		return 0, false, false
	}
	b := Version{text: bound}
	if b.parse() != nil {
		return 0, false, false
	}
	cmp, err := s.parsed.Compare(&b)
	if err != nil {
		return 0, false, false
	}
	return cmp, s.shortOf(&b), true
}

// shortOf says whether the seen version may be an abbreviation of the bound: its
// numbers begin the bound, which has more. Versions of three numbers are taken as
// complete unless the fourth is a build number.
func (s *seen) shortOf(b *Version) bool {
	if !s.bareOnly || s.numbers == 0 {
		return false
	}
	n := 0
	for n < b.n && b.tokens[n].kind == number {
		n++
	}
	if n <= s.numbers || s.numbers > 2 && b.tokens[s.numbers].num < 100 {
		return false
	}
	for i := range s.numbers {
		if s.parsed.tokens[i].num != b.tokens[i].num {
			return false
		}
	}
	return true
}

// every says whether a range holds all versions.
func every(r *vedette.Range) bool {
	if r.Exact != "" {
		return isEvery(r.Exact)
	}
	return isFirst(r.From) && isLast(r.To)
}

func isEvery(exact string) bool {
	return exact == "*" || strings.EqualFold(exact, "all") || strings.EqualFold(exact, "all versions") || strings.EqualFold(exact, "any")
}

func isFirst(from string) bool { return from == "" || from == "0" || from == "*" || silent(from) }

func isLast(to string) bool { return to == "" || to == "*" || silent(to) }

// silent says whether a version text names no version ("n/a", "unspecified").
func silent(s string) bool {
	if len(s) > 14 || s != "" && isDigit(s[0]) {
		return false
	}
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "n/a", "na", "unspecified", "unknown", "various", "see references", "not specified", "tbd", "none":
		return true
	}
	return false
}

// lies says how the seen version, which is known, lies to a range.
func (s *seen) lies(a *vedette.Affected, r *vedette.Range) where {
	if r.Exact != "" {
		return s.liesExact(a, r)
	}
	if every(r) {
		return inside
	}
	if s.text == "-" {
		return outside
	}
	if r.Type == "git" {
		return unclear
	}
	at := inside
	if !isFirst(r.From) {
		switch c, short, ok := s.compare(a.Ecosystem, r.From); {
		case !ok:
			at = unclear
		case c < 0 && !short:
			return outside
		case c < 0, c == 0 && r.FromExcl && short:
			at = partly
		case c == 0 && r.FromExcl && !s.updateOf(a, r.From):
			return outside
		}
	}
	if isLast(r.To) {
		return at
	}
	if base, wild := cutWild(r.To); wild {
		return worse(at, s.below(a, base))
	}
	switch c, short, ok := s.compare(a.Ecosystem, r.To); {
	case !ok:
		return unclear
	case c < 0 && short, c == 0 && short && r.ToIncl:
		return worse(at, partly)
	case c < 0, c == 0 && r.ToIncl, c > 0 && r.ToIncl && s.updateOf(a, r.To):
		return at
	}
	return outside
}

func worse(a, b where) where {
	if a == outside || b == outside {
		return outside
	}
	return max(a, b)
}

// below says whether the version is under the end of a branch: "5.10.*" as an upper end.
func (s *seen) below(a *vedette.Affected, base string) where {
	switch c, _, ok := s.compare(a.Ecosystem, base); {
	case !ok:
		return unclear
	case c <= 0 || s.onBranch(base):
		return inside
	}
	return outside
}

// onBranch says whether the first numbers of the version are those of base.
func (s *seen) onBranch(base string) bool {
	b, err := ParseVersion(base)
	if err != nil || !s.ok {
		return false
	}
	for i := 0; i < b.n; i++ {
		if b.tokens[i].kind != number || i >= s.numbers || s.parsed.tokens[i].num != b.tokens[i].num {
			return false
		}
	}
	return b.lead == s.parsed.lead
}

// cutWild takes ".*" or ".x" off a version.
func cutWild(v string) (string, bool) {
	for _, end := range [...]string{".*", ".x", ".X"} {
		if base, ok := strings.CutSuffix(v, end); ok {
			for strings.HasSuffix(base, end) {
				base = strings.TrimSuffix(base, end)
			}
			return base, true
		}
	}
	return v, false
}

// updateOf says whether the seen version is the bound with an update that CPE
// keeps in an attribute of its own (NISTIR 7695 §5.3.3.4): 8.4p1 is version
// 8.4, update p1. A CPE range limits the version and leaves the update open.
func (s *seen) updateOf(a *vedette.Affected, bound string) bool {
	if a.Scheme != "cpe" || !s.ok || s.numbers == s.parsed.n {
		return false
	}
	if k := s.parsed.tokens[s.numbers].kind; k != after && k != pre {
		return false
	}
	b, err := ParseVersion(bound)
	if err != nil || b.lead != s.parsed.lead {
		return false
	}
	base := s.parsed
	base.n = s.numbers
	c, err := base.Compare(&b)
	return err == nil && c == 0
}

// liesExact relates the version to one that is named.
func (s *seen) liesExact(a *vedette.Affected, r *vedette.Range) where {
	if isEvery(r.Exact) {
		return inside
	}
	if r.Exact == "-" || s.text == "-" {
		if r.Exact == s.text {
			return inside
		}
		return outside
	}
	if silent(r.Exact) {
		return unclear
	}
	exact, anyUpdate := r.Exact, false
	switch r.Update {
	case "", "*":
		anyUpdate = true
	case "-":
	default:
		exact += " " + r.Update
	}
	if strings.EqualFold(exact, s.text) {
		return inside
	}
	if s.differs(exact) {
		return outside
	}
	if base, wild := cutWild(exact); wild {
		if s.onBranch(base) {
			return inside
		}
		return outside
	}
	if a.Scheme != "cpe" && strings.ContainsAny(exact, ",;") {
		return s.liesList(a, exact)
	}
	c, short, ok := s.compare(a.Ecosystem, exact)
	switch {
	case !ok, c != 0 && prose(exact):
		return unclear
	case c == 0 && !short, anyUpdate && s.updateOf(a, exact):
		return inside
	case c == 0, short:
		return partly
	case exact != r.Exact && s.bareOnly:
		if c, _, ok := s.compare(a.Ecosystem, r.Exact); ok && c == 0 {
			return partly // the version is the one named, its update was not seen
		}
	}
	return outside
}

// liesList relates the version to a list in one field: "FortiOS 7.0.5, 7.0.4".
func (s *seen) liesList(a *vedette.Affected, list string) where {
	at := outside
	for _, item := range strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == ';' }) {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		if i := strings.LastIndexByte(item, ' '); i > 0 && titled(item[:i]) {
			item = item[i+1:] // the product's name before the version
		}
		one := *readText(&vedette.Range{Status: vedette.StatusAffected, Exact: item})
		if strings.ContainsAny(one.Exact, ",;") {
			return unclear
		}
		switch w := s.lies(a, &one); w {
		case inside:
			return inside
		case partly, unclear:
			at = max(at, w)
		}
	}
	return at
}

// titled says whether all words of a text begin with a capital, as the name of a product.
func titled(s string) bool {
	for _, w := range strings.Fields(s) {
		if w[0] < 'A' || w[0] > 'Z' || strings.ContainsAny(w, "0123456789") {
			return false
		}
	}
	return true
}

// differs is the quick way out for lists of single versions: both begin with a
// number, and not with the same.
func (s *seen) differs(exact string) bool {
	if s.pkg || !s.ok || s.parsed.lead != "" || s.numbers == 0 || exact == "" || !isDigit(exact[0]) || strings.ContainsAny(exact, ",; ") {
		return false
	}
	j := 1
	for j < len(exact) && isDigit(exact[j]) {
		j++
	}
	if j == len(exact) || exact[j] != '.' {
		return false
	}
	n, ok := parseNumber(exact[:j])
	return ok && n != s.parsed.tokens[0].num
}

func withoutEpoch(v string) string {
	if i := strings.IndexByte(v, ':'); i > 0 && strings.Trim(v[:i], "0123456789") == "" {
		return v[i+1:]
	}
	return v
}

// prose says whether a text that stands for one version has words in it that mean more.
func prose(exact string) bool {
	if strings.IndexByte(exact, ' ') < 0 {
		return false
	}
	v, err := ParseVersion(exact)
	for i := 0; err == nil && i < v.n; i++ {
		if v.tokens[i].kind == unknown {
			return true
		}
	}
	return err != nil
}
