// Package cpe reads, prints and compares Common Platform Enumeration names:
// the formatted string of CPE 2.3 (NISTIR 7695 §6.2), the URI binding of CPE
// 2.2 (§6.1) and name matching (NISTIR 7696 §6).
//
// The value "-" (NA) is not the value "*" (ANY): whoever says a product has no
// version does not say that every version is meant.
package cpe

import (
	"errors"
	"fmt"
	"strings"
)

// MaxLen is the longest name that is read, in bytes.
const MaxLen = 1024

// ErrSyntax is wrapped by every error of this package.
var ErrSyntax = errors.New("not a CPE name")

// Attr is one attribute value as the formatted string writes it: lower case,
// punctuation escaped by a backslash. The zero value is read as ANY.
type Attr string

// The logical values (NISTIR 7695 §5.3.1).
const (
	Any Attr = "*"
	NA  Attr = "-"
)

// The positions of the attributes in a name (NISTIR 7695 §5.2).
const (
	Part = iota
	Vendor
	Product
	Version
	Update
	Edition
	Language
	SWEdition
	TargetSW
	TargetHW
	Other
	attrs
)

var attrNames = [attrs]string{"part", "vendor", "product", "version", "update", "edition",
	"language", "software edition", "target software", "target hardware", "other"}

// AttrName is the English name of an attribute position.
func AttrName(i int) string { return attrNames[i] }

// Name is a well-formed name: eleven attributes. It is comparable, so it may be a map key.
type Name [attrs]Attr

const prefix23 = "cpe:2.3:"

// Parse reads a name in either binding.
func Parse(s string) (Name, error) {
	switch {
	case len(s) > MaxLen:
		return Name{}, fmt.Errorf("%w: longer than %d bytes", ErrSyntax, MaxLen)
	case hasPrefixFold(s, prefix23):
		return parseFormatted(s)
	case hasPrefixFold(s, "cpe:/"):
		return parseURI(s)
	}
	return Name{}, fmt.Errorf("%w: %q starts with neither cpe:2.3: nor cpe:/", ErrSyntax, clip(s))
}

// parseFormatted unbinds a formatted string (NISTIR 7695 §6.2.3).
func parseFormatted(s string) (Name, error) {
	var n Name
	rest := s[len(prefix23):]
	for i := range n {
		end := nextColon(rest)
		if (i == Other) != (end == len(rest)) {
			return Name{}, fmt.Errorf("%w: %q does not have 11 attributes", ErrSyntax, clip(s))
		}
		a, err := readAttr(rest[:end])
		if err != nil {
			return Name{}, fmt.Errorf("%w: %s of %q: %v", ErrSyntax, attrNames[i], clip(s), err)
		}
		n[i] = a
		if end < len(rest) {
			rest = rest[end+1:]
		}
	}
	if err := n.checkPart(); err != nil {
		return Name{}, err
	}
	return n, nil
}

func (n Name) checkPart() error {
	switch n[Part] {
	case "a", "o", "h", Any, NA:
		return nil
	}
	return fmt.Errorf("%w: part %q is none of a, o, h", ErrSyntax, clip(string(n[Part])))
}

// nextColon is the index of the first colon that is not escaped, or len(s).
func nextColon(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ':':
			return i
		}
	}
	return len(s)
}

// plainByte says whether a byte stands for itself in a formatted string.
func plainByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '-' || c >= 0x80
}

// readAttr checks one component and returns it in canonical spelling. Names in
// the wild leave punctuation unescaped and use letters outside ASCII: both are taken.
func readAttr(s string) (Attr, error) {
	if s == "" {
		return "", errors.New("it is empty")
	}
	if s == "*" || s == "-" {
		return Attr(s), nil
	}
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = plainByte(s[i])
	}
	if clean {
		return Attr(s), nil
	}
	return readQuoted(s)
}

func readQuoted(s string) (Attr, error) {
	lead := 0
	for lead < len(s) && s[lead] == '?' {
		lead++
	}
	trail := len(s)
	for trail > lead && s[trail-1] == '?' && !escapedAt(s, trail-1) {
		trail--
	}
	var b strings.Builder
	b.Grow(len(s) + 4)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		switch {
		case c < 0x20 || c == 0x7f || c == ' ':
			return "", fmt.Errorf("it holds the byte %#x", c)
		case c == '\\':
			i++
			if i == len(s) {
				return "", errors.New("it ends in a backslash")
			}
			if s[i] <= ' ' || s[i] == 0x7f {
				return "", fmt.Errorf("it holds the byte %#x", s[i])
			}
			quote(&b, lower(s[i]), len(s) == 2)
		case c == '*' && i != 0 && i != len(s)-1, c == '?' && i >= lead && i < trail:
			return "", errors.New("a wildcard stands in the middle")
		case c == '*' || c == '?':
			b.WriteByte(c)
		default:
			quote(&b, c, false)
		}
	}
	return Attr(b.String()), nil
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// quote writes a literal byte; alone says that it is the whole value, where "-" needs its escape.
func quote(b *strings.Builder, c byte, alone bool) {
	if !plainByte(c) || alone && c == '-' {
		b.WriteByte('\\')
	}
	b.WriteByte(c)
}

// escapedAt says whether the byte at i is escaped by an odd number of backslashes before it.
func escapedAt(s string, i int) bool {
	n := 0
	for i--; i >= 0 && s[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// Literal makes the attribute value that means exactly the text. White space
// becomes "_", as the official dictionary writes it; "" is ANY.
func Literal(text string) Attr {
	text = strings.Join(strings.Fields(text), "_")
	if text == "" {
		return Any
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c := lower(text[i]); c >= 0x20 && c != 0x7f {
			quote(&b, c, len(text) == 1)
		}
	}
	if b.Len() == 0 {
		return Any
	}
	return Attr(b.String())
}

// Text is the value without escapes: what a person reads.
func (a Attr) Text() string {
	if strings.IndexByte(string(a), '\\') < 0 {
		return string(a)
	}
	var b strings.Builder
	for i := 0; i < len(a); i++ {
		if a[i] == '\\' && i+1 < len(a) {
			i++
		}
		b.WriteByte(a[i])
	}
	return b.String()
}

// IsAny says whether the attribute is ANY, or was never set.
func (a Attr) IsAny() bool { return a == Any || a == "" }

// Wild says whether the value holds an unescaped wildcard and is not ANY alone.
func (a Attr) Wild() bool {
	if a.IsAny() {
		return false
	}
	c := a[len(a)-1]
	return a[0] == '*' || a[0] == '?' || (c == '*' || c == '?') && !escapedAt(string(a), len(a)-1)
}

// String binds the name to a formatted string (NISTIR 7695 §6.2.2).
func (n Name) String() string {
	var b strings.Builder
	b.Grow(64)
	b.WriteString("cpe:2.3")
	for _, a := range n {
		b.WriteByte(':')
		if a == "" {
			a = Any
		}
		b.WriteString(string(a))
	}
	return b.String()
}

func hasPrefixFold(s, p string) bool { return len(s) >= len(p) && strings.EqualFold(s[:len(p)], p) }

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
