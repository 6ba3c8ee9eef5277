package match

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnorderable is wrapped when two versions have no certain order: there is
// no guess. A git hash, "5.x" or two different release trains are such.
var ErrUnorderable = errors.New("versions cannot be ordered")

// maxVersion is the longest version that is read, in bytes.
const maxVersion = 128

// maxTokens is the most numbers and words that one version may have.
const maxTokens = 20

// mark tells the kinds of token apart. Between two numeric runs of a version
// stands one mark: a pre-release word, the end, a letter or a word.
type mark uint8

const (
	end     mark = iota // nothing more, "Final", "GA"
	number              // one number of a run
	pre                 // alpha, beta, rc: before the end
	letter              // the k of 1.0.2k: after the end, ordered by the alphabet
	after               // p1, SP2, HF3, E3: after the end, one kind not ordered to another
	unknown             // any other word: not ordered to anything but itself
)

type token struct {
	kind mark
	num  uint64 // the number; of pre, its rank; of letter, its place in the alphabet
	word string // of after and unknown, in the letters of the source
}

// Version is a parsed version in upstream order: no ecosystem, any vendor.
type Version struct {
	text   string
	tokens [maxTokens]token
	n      int
	lead   string // a word before the first number: "R" of R80.10
}

// ParseVersion reads a version of upstream order. It refuses what is no single
// version: ranges in words, wildcards, placeholders and git hashes.
//
// The order: numbers compare by value, missing ones are 0; separators do not
// count; alpha < beta < milestone < preview < rc < the release itself; letters and
// patch words (p1, SP2, HF3, R2) come after it; a "+build" suffix does not count.
func ParseVersion(s string) (Version, error) {
	v := Version{text: s}
	if err := v.parse(); err != nil {
		return Version{}, err
	}
	return v, nil
}

// String is the version as it was read.
func (v *Version) String() string { return v.text }

func (v *Version) parse() error {
	s := strings.TrimSpace(v.text)
	if len(s) > maxVersion {
		return fmt.Errorf("%w: longer than %d bytes", ErrUnorderable, maxVersion)
	}
	if i := strings.IndexByte(s, '+'); i > 0 {
		s = s[:i]
	}
	if looksLikeHash(s) {
		return fmt.Errorf("%w: %q looks like a commit", ErrUnorderable, s)
	}
	start := true
	for i := 0; i < len(s); {
		j := i
		switch c := s[i]; {
		case isDigit(c):
			for j < len(s) && isDigit(s[j]) {
				j++
			}
			n, ok := parseNumber(s[i:j])
			if !ok || !v.push(token{kind: number, num: n}) {
				return fmt.Errorf("%w: %q is too long", ErrUnorderable, s)
			}
			start = false
		case isLetter(c):
			for j < len(s) && isLetter(s[j]) {
				j++
			}
			if err := v.word(s, i, j, start); err != nil {
				return err
			}
			start = false
		case c == '.' || c == '-' || c == '_' || c == ' ' || c == '(' || c == ')' || c == '~' || c == '/' || c == '[' || c == ']':
			j++
		default:
			return fmt.Errorf("%w: %q holds %q", ErrUnorderable, s, c)
		}
		i = j
	}
	if !v.numbered() {
		return fmt.Errorf("%w: %q holds no number", ErrUnorderable, s)
	}
	return nil
}

func (v *Version) numbered() bool {
	for i := range v.n {
		if v.tokens[i].kind == number {
			return true
		}
	}
	return false
}

func (v *Version) push(t token) bool {
	if v.n == maxTokens {
		return false
	}
	v.tokens[v.n] = t
	v.n++
	return true
}

// word reads s[i:j], a run of letters.
func (v *Version) word(s string, i, j int, start bool) error {
	w := s[i:j]
	digitNext := j < len(s) && isDigit(s[j])
	tight := i > 0 && isDigit(s[i-1]) // 1.0b2, 1.0.2k
	t := token{kind: unknown, word: w}
	switch k, rank := wordKind(w); {
	case k == refused:
		return fmt.Errorf("%w: %q is not one version", ErrUnorderable, s)
	case start && k == ignored, start && foldEqual(w, "v"):
		return nil
	case start:
		v.lead = w
		return nil
	case k == ignored:
		return nil
	case k == pre:
		t = token{kind: pre, num: rank}
	case k == after:
		t = token{kind: after, word: patchWords[rank]}
	case len(w) == 1 && !digitNext && foldEqual(w, "x"):
		return fmt.Errorf("%w: %q is not one version", ErrUnorderable, s)
	case len(w) == 1 && digitNext && (foldEqual(w, "a") || foldEqual(w, "b")):
		t = token{kind: pre, num: rankAlpha}
		if foldEqual(w, "b") {
			t.num = rankBeta
		}
	case len(w) == 1 && digitNext && foldEqual(w, "m") && (s[i-1] == '-' || s[i-1] == '.'):
		t = token{kind: pre, num: rankMilestone} // 10.0.0-M1; but 15.2(4)M3 is a train
	case len(w) <= 2 && tight && !digitNext && (len(w) == 1 || foldEqual(w[:1], "z")):
		t = token{kind: letter, num: letterRank(w)} // 1.0.2k, 1.0.2zh
	case len(w) == 1:
		t = token{kind: after, word: w}
	}
	if !v.push(t) {
		return fmt.Errorf("%w: %q is too long", ErrUnorderable, s)
	}
	return nil
}

// letterRank puts a..z before za..zz.
func letterRank(w string) uint64 {
	n := uint64(0)
	for i := 0; i < len(w); i++ {
		n = n*32 + uint64(w[i]|0x20-'a') + 1
	}
	return n
}

// Ranks of the pre-release words.
const (
	rankDev = iota
	rankAlpha
	rankBeta
	rankMilestone
	rankPreview
	rankCandidate
)

// Kinds of word beside the marks.
const (
	ignored mark = 100 + iota
	refused
)

var patchWords = [...]string{"patch", "sp", "hf", "update", "cu", "rev", "build", "mr", "su"}

// wordKind knows the words; rank is the rank of a pre-release word or the index of a patch word.
func wordKind(w string) (kind mark, rank uint64) {
	if len(w) < 2 || len(w) > 12 {
		return unknown, 0
	}
	var buf [12]byte
	for i := 0; i < len(w); i++ {
		buf[i] = w[i] | 0x20
	}
	switch string(buf[:len(w)]) {
	case "dev", "snapshot", "nightly":
		return pre, rankDev
	case "alpha":
		return pre, rankAlpha
	case "beta":
		return pre, rankBeta
	case "milestone":
		return pre, rankMilestone
	case "pre", "preview", "prerelease", "ea":
		return pre, rankPreview
	case "rc", "cr", "candidate":
		return pre, rankCandidate
	case "ga", "final", "release", "stable", "version", "ver", "lts":
		return ignored, 0
	case "pl", "patch", "patchlevel":
		return after, 0
	case "sp", "servicepack":
		return after, 1
	case "hf", "hotfix":
		return after, 2
	case "update", "upd":
		return after, 3
	case "cu":
		return after, 4
	case "rev", "revision":
		return after, 5
	case "build":
		return after, 6
	case "su":
		return after, 8
	case "mr":
		return after, 7
	case "and", "or", "to", "before", "prior", "earlier", "later", "through", "all", "below", "above", "up",
		"versions", "than", "since", "from", "until", "na", "any", "unspecified", "see", "xx", "various", "latest":
		return refused, 0
	}
	return unknown, 0
}

func foldEqual(w, lower string) bool { return len(w) == len(lower) && strings.EqualFold(w, lower) }

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func parseNumber(s string) (uint64, bool) {
	for len(s) > 1 && s[0] == '0' {
		s = s[1:]
	}
	if len(s) > 18 {
		return 0, false
	}
	n := uint64(0)
	for i := 0; i < len(s); i++ {
		n = n*10 + uint64(s[i]-'0')
	}
	return n, true
}

// looksLikeHash says whether s is hexadecimal without a separator and mixes
// letters and digits as a commit does; "20240115a" does not.
func looksLikeHash(s string) bool {
	if len(s) < 7 || len(s) > 64 {
		return false
	}
	letters := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i] | 0x20; {
		case isDigit(s[i]):
		case c >= 'a' && c <= 'f':
			letters++
		default:
			return false
		}
	}
	return letters > 1 || letters == 1 && !isLetter(s[len(s)-1])
}

// Compare orders two versions: -1, 0 or 1, or ErrUnorderable when nothing is
// certain. Where it answers, the answers are antisymmetric and transitive.
func (v *Version) Compare(w *Version) (int, error) {
	if !foldEqual(v.lead, w.lead) && (v.lead != "" || w.lead != "") {
		return 0, fmt.Errorf("%w: %q and %q begin differently", ErrUnorderable, v.text, w.text)
	}
	i, j := 0, 0
	for {
		for { // one numeric run, the shorter padded with zeros
			a, x := v.number(i)
			b, y := w.number(j)
			if !x && !y {
				break
			}
			if a != b {
				return sign(a < b), nil
			}
			i, j = i+count(x), j+count(y)
		}
		if i == v.n && j == w.n {
			return 0, nil
		}
		a, b := v.mark(i), w.mark(j)
		c, ok := compareMarks(a, b)
		if !ok {
			return 0, fmt.Errorf("%w: %q and %q are of different trains", ErrUnorderable, v.text, w.text)
		}
		if c != 0 {
			return c, nil
		}
		i, j = i+1, j+1
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func sign(less bool) int {
	if less {
		return -1
	}
	return 1
}

// number is the number at i, false when a mark or the end stands there.
func (v *Version) number(i int) (uint64, bool) {
	if i < v.n && v.tokens[i].kind == number {
		return v.tokens[i].num, true
	}
	return 0, false
}

func (v *Version) mark(i int) *token {
	if i < v.n {
		return &v.tokens[i]
	}
	return &theEnd
}

var theEnd = token{kind: end}

// compareMarks is a partial order: pre < end < letter, pre < end < after; a
// letter, a patch word and another patch word are not ordered to each other.
func compareMarks(a, b *token) (int, bool) {
	switch {
	case a.kind == unknown || b.kind == unknown:
		return 0, a.kind == b.kind && strings.EqualFold(a.word, b.word)
	case a.kind == b.kind:
		switch a.kind {
		case after:
			return 0, strings.EqualFold(a.word, b.word)
		case pre, letter:
			if a.num == b.num {
				return 0, true
			}
			return sign(a.num < b.num), true
		}
		return 0, true
	}
	ra, rb := markRank(a.kind), markRank(b.kind)
	if ra == rb {
		return 0, false
	}
	return sign(ra < rb), true
}

func markRank(m mark) int {
	switch m {
	case pre:
		return 0
	case end:
		return 1
	}
	return 2
}
