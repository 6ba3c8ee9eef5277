package probe

// element is one data element of the Basic Encoding Rules (X.690 §8.1) with a
// tag of one byte and a definite length, as LDAP and SNMP use them; servers
// write lengths longer than they need to be, which DER forbids.
type element struct {
	tag  byte
	body []byte
}

// nextElement takes the first element of b; no when b holds no whole one.
func nextElement(b []byte) (e element, rest []byte, ok bool) {
	n, head, ok := lengthOf(b)
	if !ok || n > len(b)-head {
		return e, nil, false
	}
	return element{b[0], b[head : head+n]}, b[head+n:], true
}

// lengthOf reads how long the element at the start of b is, and its head.
func lengthOf(b []byte) (n, head int, ok bool) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, 0, false
	}
	if b[1] < 0x80 {
		return int(b[1]), 2, true
	}
	more := int(b[1] & 0x7f)
	if more == 0 || more > 4 || len(b) < 2+more {
		return 0, 0, false
	}
	for _, c := range b[2 : 2+more] {
		n = n<<8 | int(c)
	}
	return n, 2 + more, n >= 0 && n <= maxAnswer
}

// elements takes b apart, at most 1000 of them, as far as it is well formed.
func elements(b []byte) []element {
	var out []element
	for len(b) > 0 && len(out) < 1000 {
		e, rest, ok := nextElement(b)
		if !ok {
			break
		}
		out = append(out, e)
		b = rest
	}
	return out
}

// number reads an INTEGER or ENUMERATED; -1 for one that does not fit.
func (e element) number() int {
	if len(e.body) == 0 || len(e.body) > 4 || e.body[0]&0x80 != 0 {
		return -1
	}
	n := 0
	for _, c := range e.body {
		n = n<<8 | int(c)
	}
	return n
}

// ber encodes an element around parts.
func ber(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := []byte{tag, byte(n)}
	switch {
	case n > 255:
		out = []byte{tag, 0x82, byte(n >> 8), byte(n)}
	case n > 127:
		out = []byte{tag, 0x81, byte(n)}
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// berText encodes an OCTET STRING.
func berText(s string) []byte { return ber(0x04, []byte(s)) }
