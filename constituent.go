package vedette

import (
	"net/netip"
	"strings"
	"time"
)

// Constituent is an organisation we protect.
type Constituent struct {
	ID        string       `yaml:"id" json:"id"` // lower-case letters, digits and "-"
	Name      string       `yaml:"name" json:"name"`
	Countries []string     `yaml:"countries,omitempty" json:"countries,omitempty"` // ISO 3166-1 alpha-2
	Sectors   []string     `yaml:"sectors,omitempty" json:"sectors,omitempty"`
	Events    []string     `yaml:"events,omitempty" json:"events,omitempty"`
	Partners  []string     `yaml:"partners,omitempty" json:"partners,omitempty"`
	Providers []string     `yaml:"providers,omitempty" json:"providers,omitempty"`
	Software  []Declared   `yaml:"software,omitempty" json:"software,omitempty"`
	Systems   []System     `yaml:"systems,omitempty" json:"systems,omitempty"`
	Contacts  []Contact    `yaml:"contacts,omitempty" json:"contacts,omitempty"`
	Scope     []ScopeEntry `yaml:"scope,omitempty" json:"scope,omitempty"`
	Exclude   []ScopeEntry `yaml:"exclude,omitempty" json:"exclude,omitempty"`
}

// Declared is software a constituent says it runs.
type Declared struct {
	Vendor         string `yaml:"vendor,omitempty" json:"vendor,omitempty"`
	Product        string `yaml:"product" json:"product"`
	Version        string `yaml:"version,omitempty" json:"version,omitempty"`
	CPE            string `yaml:"cpe,omitempty" json:"cpe,omitempty"` // CPE 2.3 formatted string (NISTIR 7695 §6.2)
	InternetFacing *bool  `yaml:"internet_facing,omitempty" json:"internet_facing,omitempty"`
}

// System is an information system a constituent uses, possibly with others.
// The constituent becomes a user of its assets without owning them.
type System struct {
	Name   string   `yaml:"name" json:"name"`
	Assets []string `yaml:"assets,omitempty" json:"assets,omitempty"` // names or addresses
}

// ContactRole says what a contact is told.
type ContactRole string

// The contact roles of the CERT-EU framework, and the teams beside them.
const (
	POC        ContactRole = "POC" // primary operational contact
	LCO        ContactRole = "LCO" // local cybersecurity officer
	Management ContactRole = "management"
	SOC        ContactRole = "SOC"
	DFIR       ContactRole = "DFIR"
)

// Contact is a person or a mailbox of a constituent.
type Contact struct {
	Role     ContactRole `yaml:"role" json:"role"`
	Name     string      `yaml:"name" json:"name"`
	Email    string      `yaml:"email" json:"email"`
	Language string      `yaml:"language,omitempty" json:"language,omitempty"` // BCP 47
	OpenPGP  string      `yaml:"openpgp,omitempty" json:"openpgp,omitempty"`   // armoured key
	SMIME    string      `yaml:"smime,omitempty" json:"smime,omitempty"`       // PEM certificate
}

// CheckClass is how far a check may go.
type CheckClass string

// The check classes a scope entry can authorise.
const (
	Passive     CheckClass = "passive"
	Active      CheckClass = "active"
	Intrusive   CheckClass = "intrusive"
	Credentials CheckClass = "credentials"
)

// ScopeEntry is one thing we may touch: exactly one of Domain, CIDR and URL.
// In an exclusion only that and Subdomains count.
type ScopeEntry struct {
	Domain       string       `yaml:"domain,omitempty" json:"domain,omitempty"`
	CIDR         string       `yaml:"cidr,omitempty" json:"cidr,omitempty"`
	URL          string       `yaml:"url,omitempty" json:"url,omitempty"`
	Subdomains   bool         `yaml:"subdomains,omitempty" json:"subdomains,omitempty"`
	AuthorisedBy string       `yaml:"authorised_by,omitempty" json:"authorised_by,omitempty"`
	Document     string       `yaml:"document,omitempty" json:"document,omitempty"`
	ValidUntil   string       `yaml:"valid_until,omitempty" json:"valid_until,omitempty"` // YYYY-MM-DD, the last day
	Classes      []CheckClass `yaml:"classes,omitempty" json:"classes,omitempty"`
	ThirdParty   string       `yaml:"third_party,omitempty" json:"third_party,omitempty"` // consent of another operator
}

// Valid says whether the entry is in force at a time.
func (s ScopeEntry) Valid(at time.Time) bool {
	if s.ValidUntil == "" {
		return true
	}
	last, err := time.Parse(time.DateOnly, s.ValidUntil)
	return err == nil && at.Before(last.AddDate(0, 0, 1))
}

// Prefix is the network of a CIDR entry; a bare address is its own network, and
// IPv4-mapped addresses (RFC 4291 §2.5.5.2) are the IPv4 addresses they stand for.
func (s ScopeEntry) Prefix() (netip.Prefix, bool) {
	if s.CIDR == "" {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(s.CIDR)
	if err != nil {
		a, err := netip.ParseAddr(s.CIDR)
		if err != nil {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// Host is the host of a URL entry in lower case, "" when it is none.
func (s ScopeEntry) Host() string {
	_, rest, ok := strings.Cut(s.URL, "://")
	if !ok {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if h, _, ok := strings.Cut(host, ":"); ok && !strings.HasPrefix(host, "[") {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}
