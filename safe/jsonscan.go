package safe

import (
	"bytes"
	"hash/maphash"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner checks a value that is known to be well-formed JSON for what the
// grammar allows and we refuse.
type scanner struct {
	l      Limits
	frames []frame
	hashes []uint64 // of the names of the open objects, innermost last
	buf    []byte
}

// frame is one open array or object.
type frame struct {
	object bool
	name   bool // the next string is a name
	first  int  // index of its first hash
	many   map[uint64]bool
}

var seed = maphash.MakeSeed()

// check returns the offset and the reason of the first fault, "" for none.
func (s *scanner) check(b []byte, depth int) (int, string) {
	s.frames, s.hashes = s.frames[:0], s.hashes[:0]
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			if depth+len(s.frames) >= s.l.Depth {
				return i, "nested deeper than " + strconv.Itoa(s.l.Depth)
			}
			s.frames = append(s.frames, frame{object: b[i] == '{', name: b[i] == '{', first: len(s.hashes)})
		case '}', ']':
			last := len(s.frames) - 1
			s.hashes = s.hashes[:s.frames[last].first]
			s.frames = s.frames[:last]
		case ',':
			if f := &s.frames[len(s.frames)-1]; f.object {
				f.name = true
			}
		case '"':
			end, escaped := stringEnd(b, i)
			if why := s.text(b[i:end], escaped); why != "" {
				return i, why
			}
			i = end - 1
		}
	}
	return 0, ""
}

// stringEnd is the index after the string that begins at i.
func stringEnd(b []byte, i int) (end int, escaped bool) {
	for j := i + 1; ; {
		n := bytes.IndexByte(b[j:], '"')
		slash := bytes.IndexByte(b[j:j+n], '\\')
		if slash < 0 {
			return j + n + 1, escaped
		}
		escaped = true
		j += slash + 2
	}
}

// text checks one string, quotes included.
func (s *scanner) text(q []byte, escaped bool) string {
	if len(q)-2 > s.l.String {
		return "a string is longer than " + strconv.Itoa(s.l.String) + " bytes"
	}
	if escaped && hasNUL(q) {
		return "NUL in a string"
	}
	if len(s.frames) == 0 {
		return ""
	}
	f := &s.frames[len(s.frames)-1]
	if !f.name {
		return ""
	}
	f.name = false
	name := q[1 : len(q)-1]
	if escaped {
		name, _ = jsontext.AppendUnquote(nil, q)
	}
	s.buf = fold(s.buf[:0], name)
	if s.seen(f, maphash.Bytes(seed, s.buf)) {
		return "the name " + Quote(name) + " stands twice"
	}
	if len(s.hashes)-f.first > s.l.Names {
		return "an object has more than " + strconv.Itoa(s.l.Names) + " members"
	}
	return ""
}

// seen adds a name to its object and says whether it was there.
func (s *scanner) seen(f *frame, h uint64) bool {
	names := s.hashes[f.first:]
	if f.many == nil && len(names) < 32 {
		for _, o := range names {
			if o == h {
				return true
			}
		}
		s.hashes = append(s.hashes, h)
		return false
	}
	if f.many == nil {
		f.many = make(map[uint64]bool, 64)
		for _, o := range names {
			f.many[o] = true
		}
	}
	if f.many[h] {
		return true
	}
	f.many[h] = true
	s.hashes = append(s.hashes, h)
	return false
}

// hasNUL says whether a quoted string holds \u0000.
func hasNUL(q []byte) bool {
	for i := 0; i < len(q); i++ {
		n := bytes.IndexByte(q[i:], '\\')
		if n < 0 {
			return false
		}
		i += n + 1
		if i+5 <= len(q) && string(q[i:i+5]) == "u0000" {
			return true
		}
	}
	return false
}

// fold appends the name as every case-insensitive parser may see it: the least
// rune of each simple folding orbit.
func fold(dst, name []byte) []byte {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c >= utf8.RuneSelf {
			return foldRunes(dst, name[i:])
		}
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func foldRunes(dst, name []byte) []byte {
	for _, r := range string(name) {
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			least = min(least, o)
		}
		dst = utf8.AppendRune(dst, least)
	}
	return dst
}
