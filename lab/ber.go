package lab

// Basic encoding rules (X.690), as far as LDAP and SNMP need them.

// tlv is a tag, the length of the parts, and the parts.
func tlv(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := []byte{tag}
	switch {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n))
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// berInt is an INTEGER that is not negative.
func berInt(n int) []byte {
	var b []byte
	for ; n > 0 || len(b) == 0; n >>= 8 {
		b = append([]byte{byte(n)}, b...)
	}
	if b[0] >= 0x80 {
		b = append([]byte{0}, b...)
	}
	return tlv(2, b)
}

func berString(s string) []byte { return tlv(4, []byte(s)) }

// takeTLV parts the first element from the rest.
func takeTLV(b []byte) (tag byte, body, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, nil, false
	}
	tag, n, at := b[0], int(b[1]), 2
	if n >= 0x80 {
		size := n & 0x7f
		if size < 1 || size > 3 || len(b) < 2+size {
			return 0, nil, nil, false
		}
		n = 0
		for _, c := range b[2 : 2+size] {
			n = n<<8 | int(c)
		}
		at = 2 + size
	}
	if n > len(b)-at {
		return 0, nil, nil, false
	}
	return tag, b[at : at+n], b[at+n:], true
}
