package probe

import (
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// ldap is a directory: it tells about itself in the root DSE, which everybody
// may read (RFC 4512 §5.1, RFC 4511 §4.5).
var ldap = &protocol{
	name:     "ldap",
	spec:     "RFC 4511 §4.5, RFC 4512 §5.1",
	ports:    []uint16{389, 3268},
	tlsPorts: []uint16{636, 3269},
	hello:    func(*peer) []byte { return rootDSE() },
	read:     readLDAP,
	upgrade: func(p *peer) (bool, error) {
		// ExtendedRequest StartTLS, message 1 (§4.14); the result is resultCode 0
		if !p.send(ber(0x30, []byte{2, 1, 1}, ber(0x77, ber(0x80, []byte(oidStartTLS))))) {
			return false, errUpgrade
		}
		op, ok := p.ldapMessage()
		if !ok {
			return false, errUpgrade
		}
		parts := elements(op.body)
		return op.tag == 0x78 && len(parts) > 0 && parts[0].number() == 0, nil
	},
}

const oidStartTLS = "1.3.6.1.4.1.1466.20037"

// ldapAsked are the attributes that stay the same from look to look.
var ldapAsked = []string{"objectClass", "vendorName", "vendorVersion", "supportedLDAPVersion", "supportedExtension", "supportedCapabilities",
	"domainFunctionality", "forestFunctionality", "domainControllerFunctionality"}

// rootDSE is a search request for the root entry alone, filter objectClass present.
func rootDSE() []byte {
	var asked [][]byte
	for _, a := range ldapAsked {
		asked = append(asked, berText(a))
	}
	return ber(0x30, []byte{2, 1, 1}, ber(0x63,
		berText(""), []byte{0x0a, 1, 0}, []byte{0x0a, 1, 0}, // base "", the entry itself, no dereferencing
		[]byte{2, 1, 1}, []byte{2, 1, 5}, []byte{1, 1, 0}, // one entry, 5 seconds, values too
		ber(0x87, []byte("objectClass")), ber(0x30, asked...)))
}

// ldapMessage reads one LDAPMessage of ours and gives its operation.
func (p *peer) ldapMessage() (element, bool) {
	h, ok := p.take(2)
	if !ok || h[0] != 0x30 {
		return element{}, false
	}
	if more := int(h[1] & 0x7f); h[1] > 0x80 && more <= 4 {
		l, ok := p.take(more)
		if !ok {
			return element{}, false
		}
		h = append(h, l...)
	}
	n, _, ok := lengthOf(h)
	if !ok {
		return element{}, false
	}
	body, ok := p.take(n)
	parts := elements(body)
	if !ok || len(parts) < 2 || parts[0].tag != 2 || parts[0].number() > 1 || parts[0].number() < 0 {
		return element{}, false
	}
	return parts[1], true
}

func readLDAP(p *peer) (vedette.Fact, bool) {
	dse, raw := map[string][]string{}, ""
	for range 20 {
		op, ok := p.ldapMessage()
		if !ok {
			return vedette.Fact{}, false
		}
		switch op.tag {
		case 0x64: // SearchResultEntry: name, attributes
			raw = string(op.body)
			ldapEntry(op.body, dse)
		case 0x65, 0x78: // SearchResultDone, or a notice of disconnection
			return ldapFact(p, dse, raw), true
		case 0x73: // a reference
		default:
			return vedette.Fact{}, false
		}
	}
	return vedette.Fact{}, false
}

// ldapEntry reads the attributes of an entry.
func ldapEntry(b []byte, into map[string][]string) {
	parts := elements(b)
	if len(parts) < 2 {
		return
	}
	for _, a := range elements(parts[1].body) {
		pair := elements(a.body)
		if len(pair) < 2 {
			continue
		}
		for _, v := range elements(pair[1].body) {
			into[strings.ToLower(string(pair[0].body))] = append(into[strings.ToLower(string(pair[0].body))], string(v.body))
		}
	}
}

// The capability of Active Directory, and the levels of its domain controllers
// ([MS-ADTS] §3.1.1.3.4.1, §3.1.1.3.2.25).
const oidActiveDirectory = "1.2.840.113556.1.4.800"

var domainController = map[string]string{"0": "windows 2000", "2": "windows server 2003", "3": "windows server 2008", "4": "windows server 2008 r2", "5": "windows server 2012", "6": "windows server 2012 r2", "7": "windows server 2016 or newer", "10": "windows server 2025"}

func ldapFact(p *peer, dse map[string][]string, raw string) vedette.Fact {
	one := func(k string) string {
		if v := dse[k]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	f := vedette.Fact{Details: map[string]string{"starttls": yesNo(slices.Contains(dse["supportedextension"], oidStartTLS))}}
	var told []vedette.Software
	shown := strings.TrimSpace(one("vendorname") + " " + one("vendorversion"))
	switch {
	case slices.Contains(dse["supportedcapabilities"], oidActiveDirectory) && one("vendorname") == "":
		shown = "Active Directory"
		if level := domainController[one("domaincontrollerfunctionality")]; level != "" {
			f.Details["domain_controller"] = level
		}
		told = append(told, vedette.Software{Vendor: "microsoft", Product: "active directory"})
	case slices.Contains(dse["objectclass"], "OpenLDAProotDSE"):
		shown = "OpenLDAP"
		told = append(told, vedette.Software{Vendor: "openldap", Product: "openldap"})
	case shown != "":
		told = append(told, vendorSoftware(one("vendorname"), one("vendorversion")))
	}
	f.Banner = Banner([]byte(shown), MaxBanner)
	f.Software = p.software("ldap.search_result", raw, told...)
	return f
}

// vendorSoftware reads what a server says of itself (RFC 3045): "389 Project"
// and "389-Directory/1.4.3.39", or "Example Directory" and "2.4.1".
func vendorSoftware(vendor, version string) vedette.Software {
	product, number, found := strings.Cut(version, "/")
	if !found {
		product, number = vendor, version
	}
	number, _, _ = strings.Cut(number, " ")
	if !dotted(number) {
		number = ""
	}
	if product == "389-Directory" {
		vendor, product = "fedoraproject", "389_directory_server"
	}
	return vedette.Software{Vendor: Banner([]byte(vendor), 64), Product: Banner([]byte(product), 64), Version: number}
}
