// Package debian holds the wire shape of the Debian security tracker's export
// (security-tracker.debian.org/tracker/data/json): an object of source
// packages, each an object of vulnerabilities.
package debian

import (
	"cmp"
	"slices"

	"github.com/go-json-experiment/json"
)

// Issue is what the tracker says of one vulnerability in one source package.
type Issue struct {
	Description string             `json:"description"`
	Scope       string             `json:"scope"`
	Releases    map[string]Release `json:"releases"` // by code name
}

// Release is the state of the package in one release.
type Release struct {
	Status  string `json:"status"` // open, resolved, undetermined
	Fixed   string `json:"fixed_version"`
	Urgency string `json:"urgency"`
}

// Record is one vulnerability with its packages: the tracker's export turned
// around.
type Record struct {
	ID       string           `json:"id"`
	Packages map[string]Issue `json:"packages"`
}

// Decode reads a Record.
func Decode(b []byte) (Record, error) {
	var r Record
	err := json.Unmarshal(b, &r)
	return r, err
}

// numbers are the release numbers of the code names (wiki.debian.org/DebianReleases).
var numbers = map[string]string{
	"wheezy": "7", "jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12",
	"trixie": "13", "forky": "14", "duke": "15",
}

// Ecosystem is the OSV name of a release: "Debian:12", "Debian:sid".
func Ecosystem(codename string) string {
	if n, ok := numbers[codename]; ok {
		return "Debian:" + n
	}
	return "Debian:" + codename
}

// Codenames are the releases of an issue, oldest first.
func Codenames(i Issue) []string {
	var names []string
	for n := range i.Releases {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(age(a), age(b)), cmp.Compare(a, b))
	})
	return names
}

func age(codename string) int {
	n := numbers[codename]
	switch {
	case n == "":
		return 100
	case len(n) == 1:
		return int(n[0] - '0')
	}
	return int(n[0]-'0')*10 + int(n[1]-'0')
}
