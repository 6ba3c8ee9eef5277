package product

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
)

// Names lists the normalised names under which a software may be known, the
// strongest first: its CPE name, its package URL, vendor and product, and the
// distribution's package.
func Names(sw vedette.Software) []vedette.ProductName {
	var out names
	out.cpe(sw.CPE)
	out.purl(sw.PURL)
	scheme := ecosystemScheme(sw.Ecosystem)
	if scheme == "" || sw.Vendor != "" && isDistro(scheme) {
		out.add(vedette.ProductName{Vendor: sw.Vendor, Product: sw.Product})
	}
	if scheme != "" {
		out.add(vedette.ProductName{Scheme: scheme, Product: sw.Product})
	}
	if d, _, _ := strings.Cut(sw.Distro, ":"); scheme == "" && (d == "debian" || d == "ubuntu") {
		out.add(vedette.ProductName{Scheme: "deb", Product: strings.ReplaceAll(fold(sw.Product), "_", "-")})
	}
	return out
}

// FromAffected lists the normalised names under which a source states a range:
// its own name, and the CPE names it gives for this very entry. So the ranges
// of "Exchange Server 2019 CU 13" are found under the CPE product without an
// alias that would make all editions one product everywhere.
func FromAffected(a vedette.Affected) []vedette.ProductName {
	var out names
	out.add(vedette.ProductName{Scheme: a.Scheme, Vendor: a.Vendor, Product: a.Product})
	out.cpe(a.CPE)
	for _, s := range a.Same {
		out.cpe(s)
	}
	return out
}

// FromCPE returns the normalised name in a CPE name, false when it names no product.
func FromCPE(s string) (vedette.ProductName, bool) {
	n, err := cpe.Parse(s)
	if err != nil || n[cpe.Product].IsAny() || n[cpe.Product] == cpe.NA || n[cpe.Vendor].Wild() || n[cpe.Product].Wild() {
		return vedette.ProductName{}, false
	}
	v := n[cpe.Vendor].Text()
	if n[cpe.Vendor].IsAny() || n[cpe.Vendor] == cpe.NA {
		v = ""
	}
	out := Normalise(vedette.ProductName{Scheme: "cpe", Vendor: v, Product: n[cpe.Product].Text()})
	return out, out.Product != ""
}

type names []vedette.ProductName

func (l *names) add(n vedette.ProductName) {
	n = Normalise(n)
	if n.Product == "" {
		return
	}
	for _, o := range *l {
		if o == n {
			return
		}
	}
	*l = append(*l, n)
}

func (l *names) cpe(s string) {
	if s == "" {
		return
	}
	if n, ok := FromCPE(s); ok {
		l.add(n)
	}
}

// purl adds the package and, for distributions, the source package that a
// generator names in a qualifier ("upstream" or "source").
func (l *names) purl(s string) {
	if s == "" {
		return
	}
	p, err := packageurl.FromString(s)
	if err != nil {
		return
	}
	l.add(vedette.ProductName{Scheme: p.Type, Vendor: p.Namespace, Product: p.Name})
	for _, q := range p.Qualifiers {
		if q.Key == "upstream" || q.Key == "source" {
			name, _, _ := strings.Cut(q.Value, "@")
			name, _, _ = strings.Cut(name, " ")
			l.add(vedette.ProductName{Scheme: p.Type, Product: name})
		}
	}
}

func isDistro(scheme string) bool { return scheme == "deb" || scheme == "rpm" || scheme == "apk" }

// ecosystemScheme is the purl type of an OSV ecosystem (OSV schema, "Defined
// ecosystems"), "" for one without packages of its own.
func ecosystemScheme(ecosystem string) string {
	base, _, _ := strings.Cut(ecosystem, ":")
	switch base {
	case "Debian", "Ubuntu":
		return "deb"
	case "Red Hat", "AlmaLinux", "Rocky Linux", "SUSE", "openSUSE", "Mageia", "openEuler":
		return "rpm"
	case "Alpine", "Wolfi", "Chainguard", "Alpaquita":
		return "apk"
	case "PyPI", "npm", "Maven", "NuGet", "Hex", "Pub", "CRAN", "Hackage":
		return strings.ToLower(base)
	case "Go":
		return "golang"
	case "crates.io":
		return "cargo"
	case "RubyGems":
		return "gem"
	case "Packagist":
		return "composer"
	}
	return ""
}
