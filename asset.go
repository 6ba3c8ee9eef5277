package vedette

import (
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"
)

// AssetKind tells a name from an address; an asset is never both.
type AssetKind string

// The kinds of asset.
const (
	NameAsset    AssetKind = "name"
	AddressAsset AssetKind = "address"
)

// Asset is a name or an address that a constituent exposes. Its ID is the
// lower-case name without a final dot, or the address as netip prints it.
type Asset struct {
	ID    string    `json:"id"`
	Kind  AssetKind `json:"kind"`
	Owner string    `json:"owner,omitempty"` // constituent id: the longest matching scope; "" when a person has to decide
	Users []string  `json:"users,omitempty"` // constituents that learn the fact, never the host data
}

// ParseAsset reads a host name or an address. Names are kept in the form of
// RFC 1035 §2.3.1, widened by "_" (RFC 8552); an IPv4-mapped address is its IPv4 address.
func ParseAsset(s string) (Asset, error) {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" {
			return Asset{}, Invalid("address %q has a zone: it means nothing on another host", s)
		}
		return Asset{ID: a.Unmap().String(), Kind: AddressAsset}, nil
	}
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if name == "" || len(name) > 253 {
		return Asset{}, Invalid("%q is neither an address nor a host name", clip(s))
	}
	for _, label := range strings.Split(name, ".") {
		if !validLabel(label) {
			return Asset{}, Invalid("%q is neither an address nor a host name", clip(s))
		}
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return Asset{}, Invalid("%q looks like an address but is none", clip(s))
	}
	return Asset{ID: name, Kind: NameAsset}, nil
}

func validLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := 0; i < len(l); i++ {
		c := l[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func clip(s string) string {
	if len(s) <= 80 {
		return s
	}
	n := 80
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// Software is one product as some look saw it or somebody declared it.
type Software struct {
	Vendor  string `json:"vendor,omitempty"`
	Product string `json:"product"`
	Version string `json:"version,omitempty"` // as seen; "" unknown, "-" none (CPE NA)
	CPE     string `json:"cpe,omitempty"`     // CPE 2.3 formatted string, when the source gave one
	PURL    string `json:"purl,omitempty"`    // package URL, when the source gave one
	// Ecosystem orders the version: "Debian:12", "PyPI", "Go" (OSV schema
	// §affected[].package); "" is upstream order.
	Ecosystem string `json:"ecosystem,omitempty"`
	// Distro is what a banner tells of the packaging: "debian", "debian:12",
	// "ubuntu:22.04"; its fixes are backported, so the upstream version alone proves nothing.
	Distro string `json:"distro,omitempty"`
	// PackageVersion is the distribution's version, "1:8.4p1-5+deb11u3", when known.
	PackageVersion string `json:"package_version,omitempty"`
}

// Fact is what one look saw at one place, without the place and the time:
// thousands of hosts share one fact, so it is stored and matched once.
type Fact struct {
	Service  string     `json:"service,omitempty"` // "ssh", "http"; IANA service name where one exists
	TLS      bool       `json:"tls,omitempty"`
	Banner   string     `json:"banner,omitempty"` // at most 512 bytes
	Software []Software `json:"software,omitempty"`
	// Reports are weaknesses that the look itself reports, whatever the software.
	Reports []Report `json:"reports,omitempty"`
	// Address is set by a "resolves to" observation and nothing else.
	Address string `json:"address,omitempty"`
	// Details are what the look saw besides, by name: "title", "issuer", "not_after".
	Details map[string]string `json:"details,omitempty"`
}

// Report is a weakness that a person or a scanner says is there.
type Report struct {
	Weakness string  `json:"weakness"` // CVE-.., CWE-.., check:NAME
	Verdict  Verdict `json:"verdict"`
	Note     string  `json:"note,omitempty"` // why, in a sentence
	By       string  `json:"by,omitempty"`
}

// Observation is what one check saw at one place of one asset, as an interval:
// a look opens it, a look that sees otherwise closes it, an identical repeat writes nothing.
type Observation struct {
	Asset string `json:"asset"` // Asset.ID, "" for declared software
	Port  int    `json:"port,omitempty"`
	Proto string `json:"proto,omitempty"` // "tcp" or "udp", "" without a port
	Path  string `json:"path,omitempty"`
	// Item tells apart what one check sees side by side at one place: the
	// packages of a host, the addresses of a name. A new version of an item closes the old one.
	Item  string    `json:"item,omitempty"`
	Check string    `json:"check"` // "nmap", "inventory", "declared", "resolves"
	At    time.Time `json:"at"`    // of the look
	Fact  Fact      `json:"fact"`
	// Exposed says whether the place is reachable from public networks; nil is unknown.
	Exposed *bool `json:"exposed,omitempty"`
	// Constituent is whom the document names for this asset, "" when it names none.
	Constituent string `json:"constituent,omitempty"`
}

// Coverage is what one run of one check looked at successfully. It is the
// proof that something not seen was not there.
type Coverage struct {
	Check string    `json:"check"`
	At    time.Time `json:"at"`
	Asset string    `json:"asset"`
	// Ports are inclusive ranges per protocol, "tcp:1-1024,8080"; "" means the
	// whole asset, for checks that know no port.
	Ports string `json:"ports,omitempty"`
}
