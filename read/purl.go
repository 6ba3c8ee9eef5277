package read

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
	"github.com/vedette-hub/vedette/safe"
)

// fillFromPURL takes from a package URL (purl-spec, PURL-SPECIFICATION) what
// the row left out: the name as OSV writes it, the version and the ecosystem.
func fillFromPURL(s *vedette.Software) error {
	if len(s.PURL) > cpe.MaxLen {
		return vedette.Invalid("purl %s is not a package URL", safe.Quote(s.PURL))
	}
	p, err := packageurl.FromString(s.PURL)
	if err != nil {
		return vedette.Invalid("purl %s is not a package URL", safe.Quote(s.PURL))
	}
	if s.Product == "" {
		s.Product = p.Name
		switch {
		case p.Type == "maven" && p.Namespace != "":
			s.Product = p.Namespace + ":" + p.Name
		case p.Namespace != "" && namespaced[p.Type]:
			s.Product = p.Namespace + "/" + p.Name
		}
	}
	distribution := p.Type == "deb" || p.Type == "apk" || p.Type == "rpm"
	if s.Version == "" {
		s.Version = p.Version
	}
	if distribution && s.PackageVersion == "" {
		s.PackageVersion = p.Version
	}
	if s.Ecosystem == "" {
		s.Ecosystem = ecosystems[p.Type]
	}
	if s.Ecosystem == "" && p.Type == "deb" {
		family, release, _ := strings.Cut(p.Qualifiers.Map()["distro"], "-")
		switch {
		case family == "debian" && release != "":
			s.Ecosystem = "Debian:" + release
		case family == "ubuntu" && release != "":
			s.Ecosystem = "Ubuntu:" + release
		}
	}
	return nil
}

// namespaced are the package URL types whose names OSV writes with the namespace.
var namespaced = map[string]bool{"golang": true, "npm": true, "composer": true}

// ecosystems are the OSV ecosystems that a package URL type means.
var ecosystems = map[string]string{
	"pypi": "PyPI", "npm": "npm", "golang": "Go", "maven": "Maven", "cargo": "crates.io", "composer": "Packagist",
	"gem": "RubyGems", "nuget": "NuGet", "hex": "Hex", "pub": "Pub",
}
