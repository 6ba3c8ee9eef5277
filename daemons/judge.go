package main

import (
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// grade is how good an answer about a daemon is.
type grade int

// The grades, from the worst up.
const (
	wrong   grade = iota // another product, or another version
	nothing              // no product
	named                // the product, without a version
	exact                // the product and its upstream version
	sharp                // the version of the package as well
)

// String is what the table says.
func (g grade) String() string {
	return [...]string{"wrong", "nothing", "product", "version", "package"}[g]
}

// upstream is the version of the makers in one of a package (deb-version(7)):
// without the epoch, the revision, and what the packaging adds to the version.
func upstream(pkg string) string {
	if _, rest, ok := strings.Cut(pkg, ":"); ok {
		pkg = rest
	}
	if i := strings.LastIndexByte(pkg, '-'); i >= 0 {
		pkg = pkg[:i]
	}
	v, _, _ := strings.Cut(pkg, "+")
	v, _, _ = strings.Cut(v, "~")
	return v
}

// noEpoch is a version of a package as a program shows it.
func noEpoch(pkg string) string {
	if _, rest, ok := strings.Cut(pkg, ":"); ok {
		return rest
	}
	return pkg
}

// judge grades what was said about a daemon: the best of what names the
// product. A version that is not the true one is wrong, and so is other software
// when nothing names the daemon; "9.6.0 or later" is right and no version.
func judge(said []vedette.Software, product []string, pkg string) (grade, vedette.Software) {
	best, which := nothing, vedette.Software{}
	others := false
	for _, sw := range said {
		if !slices.Contains(product, sw.Vendor+"/"+sw.Product) {
			others = true
			continue
		}
		g := named
		switch {
		case sw.Version == "" || strings.HasSuffix(sw.Version, " or later"):
		case sw.Version != upstream(pkg):
			return wrong, sw
		case sw.PackageVersion == "":
			g = exact
		case noEpoch(sw.PackageVersion) != noEpoch(pkg):
			return wrong, sw
		default:
			g = sharp
		}
		if g > best {
			best, which = g, sw
		}
	}
	if best == nothing && others {
		return wrong, said[0]
	}
	return best, which
}
