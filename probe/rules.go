package probe

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
)

// Rules turn what services say into software: our own rules (rules/*.yaml) and
// those of fingerprint packs. They are safe for concurrent use. The zero value
// and nil know nothing.
type Rules struct {
	own   map[string][]*sight
	packs map[string][]*pack
}

// NewRules are our own rules and the fingerprints of packs: file systems with
// Recog XML files (https://github.com/rapid7/recog, xml/*.xml) anywhere below.
// The error names the file that cannot be read.
func NewRules(packs ...fs.FS) (*Rules, error) {
	own, err := ownRules()
	if err != nil {
		return nil, err
	}
	r := &Rules{own: map[string][]*sight{}, packs: map[string][]*pack{}}
	for _, rule := range own {
		for i := range rule.See {
			s := &rule.See[i]
			key := canonical(s.On)
			r.own[key] = append(r.own[key], s)
		}
	}
	for _, p := range packs {
		files, err := readPack(p)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			r.packs[f.key] = append(r.packs[f.key], f)
		}
	}
	return r, nil
}

// keyNames are other words for the keys of Recog, which names the texts of
// protocols in singular and plural.
var keyNames = map[string]string{
	"imap.banner": "imap4.banner", "pop.banner": "pop3.banner", "mysql.banner": "mysql.banners", "ntp.banner": "ntp.readvar",
	"favicon.hash": "favicon.mmh3", "rtsp.server": "rtsp_header.server", "sip.server": "sip_header.server", "sip.banner": "sip_header.server",
}

func canonical(key string) string {
	if k, ok := keyNames[key]; ok {
		return k
	}
	return key
}

// Keys are the places for which there are rules, sorted: "ssh.banner",
// "http_header.server". The keys of Recog, and of our own "http_body",
// "http_path", "http_generator" (a page's meta generator), "favicon.mmh3" and
// "http_header.NAME" for any header in lower case.
func (r *Rules) Keys() []string {
	if r == nil {
		return nil
	}
	all := map[string]bool{}
	for k := range r.own {
		all[k] = true
	}
	for k := range r.packs {
		all[k] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// maxText bounds what is matched, in bytes.
const maxText = 256 << 10

// Match finds the software that a text tells of, the strongest evidence first:
// ours with a version, ours, then what the packs tell of service, components,
// system and hardware. Each product stands there once; our name for it wins.
// The key says where the text stood (Keys).
func (r *Rules) Match(key, text string) []vedette.Software {
	if r == nil || text == "" {
		return nil
	}
	if len(text) > maxText {
		text = text[:maxText]
	}
	key = canonical(key)
	var out []vedette.Software
	for _, s := range r.own[key] {
		if sw, ok := s.match(text); ok {
			out = addSoftware(out, sw)
		}
	}
	slices.SortStableFunc(out, func(a, b vedette.Software) int { return unknownLast(a) - unknownLast(b) })
	for _, p := range r.packs[key] {
		for _, sw := range p.match(text) {
			out = addSoftware(out, sw)
		}
	}
	return out
}

func unknownLast(sw vedette.Software) int {
	if sw.Version == "" {
		return 1
	}
	return 0
}

// addSoftware adds what is not there yet; of what is, it fills in the version
// and the packaging.
func addSoftware(list []vedette.Software, sw vedette.Software) []vedette.Software {
	for i := range list {
		have := &list[i]
		if !sameProduct(*have, sw) {
			continue
		}
		if have.Version == "" && sw.Version != "" {
			have.Version, have.PackageVersion = sw.Version, sw.PackageVersion
			have.CPE = exactCPE(partOf(sw.CPE), have.Vendor, have.Product, sw.Version, "")
			if sw.Vendor == have.Vendor && sw.Product == have.Product {
				have.CPE = sw.CPE
			}
		}
		if have.Distro == "" && (have.Version == sw.Version || sw.Version == "") {
			have.Distro = sw.Distro
			if have.PackageVersion == "" {
				have.PackageVersion = sw.PackageVersion
			}
		}
		return list
	}
	return append(list, sw)
}

// sameProduct says whether two looks tell of one product, however they write it.
func sameProduct(a, b vedette.Software) bool {
	return sameName(a.Product, b.Product) && (a.Vendor == b.Vendor || a.Vendor == "" || b.Vendor == "" || kinVendors(a.Vendor, b.Vendor))
}

// sameName says whether two names are one product's, within one vendor.
func sameName(a, b string) bool {
	a, b = letters(a), letters(b)
	return a == b || shortNames[a] == b || shortNames[b] == a
}

// shortNames are products that the dictionary knows under a long name as well.
var shortNames = map[string]string{"iis": "internetinformationservices"}

// kinVendors are one vendor under two names: one is the beginning of the other,
// or the product moved ("nginx" to "f5").
func kinVendors(a, b string) bool {
	a, b = letters(a), letters(b)
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) || movedVendors[a] == b || movedVendors[b] == a
}

// movedVendors are vendors whose products went to another.
var movedVendors = map[string]string{"nginx": "f5", "igorsysoev": "f5", "pulsesecure": "ivanti", "zimbra": "synacor", "mobileiron": "ivanti",
	"zohocorp": "manageengine", "mysql": "oracle", "bea": "oracle", "macromedia": "adobe", "elasticsearch": "elastic", "openbsd": "openssh"}

// letters are the letters and digits of a name, in lower case.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, s)
}

// exactCPE is the CPE 2.3 name of one version, "" when there is none: a name
// without a version says no more than vendor and product.
func exactCPE(part, vendor, product, version, update string) string {
	if version == "" || vendor == "" || product == "" {
		return ""
	}
	if part == "" {
		part = "a"
	}
	s := cpe.Name{cpe.Attr(part), cpe.Literal(vendor), cpe.Literal(product), cpe.Literal(version), cpe.Literal(update)}.String()
	if _, err := cpe.Parse(s); err != nil {
		return ""
	}
	return s
}

// partOf is the part of a CPE 2.3 name, "" for none.
func partOf(name string) string {
	if rest, ok := strings.CutPrefix(name, "cpe:2.3:"); ok && rest != "" {
		return rest[:1]
	}
	return ""
}

// ruleFault is a mistake in a rule file.
func ruleFault(file, product, format string, a ...any) error {
	return fmt.Errorf("rules/%s: %s: %s", file, product, fmt.Sprintf(format, a...))
}
