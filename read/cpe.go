package read

import (
	"strings"
)

// cpeName is a CPE name in the formatted string binding of version 2.3
// (NISTIR 7695 §6.2): part, vendor, product, version, update, edition,
// language, sw_edition, target_sw, target_hw, other, each as written.
type cpeName [11]string

// The attributes by place.
const (
	cpePart = iota
	cpeVendor
	cpeProduct
	cpeVersion
	cpeUpdate
	cpeEdition
	cpeLanguage
	cpeSWEdition
	cpeTargetSW
	cpeTargetHW
	cpeOther
)

const maxCPE = 1 << 10

// parseCPE reads a CPE 2.3 formatted string or a CPE 2.2 URI. A string with
// fewer attributes than eleven has "*" for the rest.
func parseCPE(s string) (cpeName, bool) {
	var n cpeName
	if len(s) > maxCPE {
		return n, false
	}
	var ok bool
	switch {
	case len(s) > 8 && strings.EqualFold(s[:8], "cpe:2.3:"):
		n, ok = splitFormatted(s[8:])
	case len(s) > 5 && strings.EqualFold(s[:5], "cpe:/"):
		n, ok = splitURI(s[5:])
	}
	if !ok || !strings.Contains("aoh*-", n[cpePart]) || !n.named() {
		return n, false
	}
	return n, true
}

func splitFormatted(s string) (n cpeName, ok bool) {
	for i := range n {
		n[i] = "*"
	}
	start, field := 0, 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] == '\\' {
			i++
			continue
		}
		if i < len(s) && s[i] != ':' {
			continue
		}
		if field >= len(n) {
			return n, false
		}
		if i > start {
			n[field] = strings.ToLower(s[start:min(i, len(s))])
		}
		field, start = field+1, i+1
	}
	return n, field >= 3
}

// splitURI reads the URI binding (NISTIR 7695 §6.1.3).
func splitURI(s string) (n cpeName, ok bool) {
	for i := range n {
		n[i] = "*"
	}
	parts := strings.Split(s, ":")
	if len(parts) < 3 || len(parts) > 7 {
		return n, false
	}
	for i, p := range parts {
		if i == cpeEdition && strings.HasPrefix(p, "~") {
			packed := strings.Split(p, "~")
			for j, to := range []int{cpeEdition, cpeSWEdition, cpeTargetSW, cpeTargetHW, cpeOther} {
				if j+1 < len(packed) {
					n[to] = fromURI(packed[j+1])
				}
			}
			continue
		}
		n[i] = fromURI(p)
	}
	return n, true
}

// fromURI turns one component of the URI binding into that of the formatted string.
func fromURI(p string) string {
	if p == "" {
		return "*"
	}
	if p == "-" {
		return "-"
	}
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		c := p[i]
		if c == '%' && i+2 < len(p) {
			hi, lo := unhex(p[i+1]), unhex(p[i+2])
			if hi < 16 && lo < 16 {
				c, i = hi<<4|lo, i+2
				switch c {
				case 1:
					b.WriteByte('?')
					continue
				case 2:
					b.WriteByte('*')
					continue
				}
			}
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if !plain(c) {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-' || c >= 0x80
}

// named says whether the name tells a product.
func (n cpeName) named() bool {
	for _, v := range []string{n[cpeVendor], n[cpeProduct]} {
		if v == "*" || v == "-" || v == "null" {
			return false
		}
	}
	return true
}

// value is an attribute without its escapes.
func (n cpeName) value(i int) string { return cpeUnescape(n[i]) }

func cpeUnescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// anyVersion is the name without version and update.
func (n cpeName) anyVersion() cpeName {
	n[cpeVersion], n[cpeUpdate] = "*", "*"
	return n
}

// String is the formatted string.
func (n cpeName) String() string { return "cpe:2.3:" + strings.Join(n[:], ":") }
