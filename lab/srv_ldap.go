package lab

import "strings"

// The operations of LDAP (RFC 4511 §4.2 and on).
const (
	ldapBind       = 0x60
	ldapBound      = 0x61
	ldapUnbind     = 0x42
	ldapSearch     = 0x63
	ldapEntry      = 0x64
	ldapSearchDone = 0x65
	ldapExtended   = 0x77
	ldapExtendedIs = 0x78
	oidStartTLS    = "1.3.6.1.4.1.1466.20037"
)

// serveLDAP binds anybody, shows its root DSE (RFC 4512 §5.1) and nothing more.
func serveLDAP(s *session) {
	for range maxCommands {
		msg, err := s.takeBER()
		if err != nil {
			return
		}
		_, id, rest, ok := takeTLV(msg)
		tag, op, _, ok2 := takeTLV(rest)
		if !ok || !ok2 {
			return
		}
		reply := func(tag byte, body ...[]byte) error {
			_, err := s.Write(tlv(0x30, tlv(2, id), tlv(tag, body...)))
			return err
		}
		switch tag {
		case ldapBind:
			err = reply(ldapBound, ldapResult(0)...)
		case ldapSearch:
			if err = s.searchLDAP(op, reply); err == nil {
				err = reply(ldapSearchDone, ldapResult(0)...)
			}
		case ldapExtended:
			if _, oid, _, ok := takeTLV(op); !ok || string(oid) != oidStartTLS || !s.canTLS() {
				err = reply(ldapExtendedIs, ldapResult(2)...) // protocolError
			} else if err = reply(ldapExtendedIs, append(ldapResult(0), tlv(0x8a, oid))...); err == nil {
				err = s.secure()
			}
		case ldapUnbind:
			return
		default:
			err = reply(ldapExtendedIs, ldapResult(2)...)
		}
		if err != nil {
			return
		}
	}
}

// ldapResult is the body of LDAPResult with a code.
func ldapResult(code byte) [][]byte { return [][]byte{{10, 1, code}, berString(""), berString("")} }

// searchLDAP answers a search of the entry "" alone.
func (s *session) searchLDAP(op []byte, reply func(byte, ...[]byte) error) error {
	if _, base, _, ok := takeTLV(op); !ok || len(base) > 0 {
		return nil
	}
	attr := func(name string, values ...string) []byte {
		var set []byte
		for _, v := range values {
			set = append(set, berString(v)...)
		}
		return tlv(0x30, berString(name), tlv(0x31, set))
	}
	suffix := "dc=" + strings.ReplaceAll(parentOf(s.live.host.name()), ".", ",dc=")
	class := []string{"top"}
	if s.live.svc.Software.Product == "openldap" { // which tells its name there, and no version
		class = append(class, "OpenLDAProotDSE")
	}
	attrs := [][]byte{attr("objectClass", class...), attr("supportedLDAPVersion", "3"), attr("namingContexts", suffix)}
	if s.canTLS() {
		attrs = append(attrs, attr("supportedExtension", oidStartTLS))
	}
	if shown := s.shown(); shown != "" { // RFC 3045
		attrs = append(attrs, attr("vendorName", s.live.svc.Greeting), attr("vendorVersion", shown))
	}
	var all []byte
	for _, a := range attrs {
		all = append(all, a...)
	}
	return reply(ldapEntry, berString(""), tlv(0x30, all))
}

func parentOf(name string) string {
	_, parent, ok := strings.Cut(name, ".")
	if !ok {
		return name
	}
	return parent
}

// takeBER reads one element and returns its body.
func (s *session) takeBER() ([]byte, error) {
	head, err := s.r.Peek(2)
	if err != nil {
		return nil, err
	}
	size, n := 0, int(head[1])
	if n >= 0x80 {
		size = n & 0x7f
		if size > 3 {
			return nil, errBER
		}
		if head, err = s.r.Peek(2 + size); err != nil {
			return nil, err
		}
		n = 0
		for _, c := range head[2:] {
			n = n<<8 | int(c)
		}
	}
	if _, err := s.take(2 + size); err != nil {
		return nil, err
	}
	return s.take(n)
}
