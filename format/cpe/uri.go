package cpe

import (
	"fmt"
	"strings"
)

// parseURI unbinds the URI of CPE 2.2 (NISTIR 7695 §6.1.3): up to seven
// components, percent-encoded, the edition possibly packed with "~".
func parseURI(s string) (Name, error) {
	var n Name
	for i := range n {
		n[i] = Any
	}
	fields := strings.Split(s[len("cpe:/"):], ":")
	if len(fields) > Language+1 {
		return Name{}, fmt.Errorf("%w: %q has more than 7 components", ErrSyntax, clip(s))
	}
	for i, f := range fields {
		if i == Edition && strings.HasPrefix(f, "~") {
			parts := strings.Split(f[1:], "~")
			if len(parts) != 5 {
				return Name{}, fmt.Errorf("%w: packed edition of %q does not have 5 parts", ErrSyntax, clip(s))
			}
			for j, pos := range [5]int{Edition, SWEdition, TargetSW, TargetHW, Other} {
				a, err := decodeURI(parts[j])
				if err != nil {
					return Name{}, err
				}
				n[pos] = a
			}
			continue
		}
		a, err := decodeURI(f)
		if err != nil {
			return Name{}, err
		}
		n[i] = a
	}
	if err := n.checkPart(); err != nil {
		return Name{}, err
	}
	return n, nil
}

// decodeURI decodes one component: "" is ANY, "-" is NA, %01 is "?", %02 is
// "*", any other %xx is the escaped character.
func decodeURI(s string) (Attr, error) {
	if s == "" {
		return Any, nil
	}
	if s == "-" {
		return NA, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return "", fmt.Errorf("%w: broken escape in %q", ErrSyntax, clip(s))
			}
			c = hex(s[i+1])<<4 | hex(s[i+2])
			i += 2
			switch c {
			case 1:
				b.WriteByte('?')
				continue
			case 2:
				b.WriteByte('*')
				continue
			}
		}
		if !plainByte(lower(c)) && c > ' ' && c != 0x7f {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	a, err := readAttr(b.String())
	if err != nil {
		return "", fmt.Errorf("%w: component %q: %v", ErrSyntax, clip(s), err)
	}
	return a, nil
}

func isHex(c byte) bool {
	c = lower(c)
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
}

func hex(c byte) byte {
	if c = lower(c); c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
