// Package osv holds the wire shape of the Open Source Vulnerability format
// (ossf.github.io/osv-schema).
package osv

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Record is one vulnerability.
type Record struct {
	ID         string         `json:"id"`
	Modified   string         `json:"modified"`
	Published  string         `json:"published"`
	Withdrawn  string         `json:"withdrawn"`
	Aliases    []string       `json:"aliases"`
	Summary    string         `json:"summary"`
	Details    string         `json:"details"`
	Severity   []Severity     `json:"severity"`
	Affected   []Affected     `json:"affected"`
	References []Reference    `json:"references"`
	Database   jsontext.Value `json:"database_specific"`
}

// Severity is a score as a vector.
type Severity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// Reference is an address with its kind.
type Reference struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

// Affected is one package.
type Affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
		PURL      string `json:"purl"`
	} `json:"package"`
	Severity []Severity `json:"severity"`
	Ranges   []Range    `json:"ranges"`
	Versions []string   `json:"versions"`
}

// Range is a list of events on the line of versions of one type.
type Range struct {
	Type   string  `json:"type"` // SEMVER, ECOSYSTEM, GIT
	Repo   string  `json:"repo"`
	Events []Event `json:"events"`
}

// Event is one turn; one field is set.
type Event struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
	Limit        string `json:"limit"`
}

// Decode reads one record.
func Decode(b []byte) (Record, error) {
	var r Record
	err := json.Unmarshal(b, &r)
	return r, err
}

// CWEs are the ids some databases give in database_specific.
func CWEs(r Record) []string {
	var d struct {
		CWE []string `json:"cwe_ids"`
	}
	if len(r.Database) == 0 || json.Unmarshal(r.Database, &d) != nil {
		return nil
	}
	return d.CWE
}

// purlTypes are the package URL types of the ecosystems (osv-schema, defined
// ecosystems; purl-spec PURL-TYPES) whose names differ from them.
var purlTypes = map[string]string{
	"go": "golang", "crates.io": "cargo", "packagist": "composer", "rubygems": "gem", "debian": "deb", "ubuntu": "deb",
	"alpine": "apk", "wolfi": "apk", "chainguard": "apk", "red hat": "rpm", "almalinux": "rpm", "rocky linux": "rpm",
	"suse": "rpm", "opensuse": "rpm", "mageia": "rpm", "openeuler": "rpm", "swifturl": "swift", "github actions": "githubactions",
}

// PURLType is the package URL type of an ecosystem.
func PURLType(ecosystem string) string {
	name, _, _ := strings.Cut(ecosystem, ":")
	name = strings.ToLower(name)
	if t, ok := purlTypes[name]; ok {
		return t
	}
	return name
}

// Interval is a stretch of affected versions.
type Interval struct {
	From     string // "0" is the first version
	To       string // "" no end
	Included bool   // To itself is affected
	Fixed    bool   // To fixes it
}

// Intervals reads the events in the order of the record (osv-schema,
// "Evaluation": introduced opens, fixed, last_affected and limit close). An
// introduced event within an open interval and a closing one outside of any
// change nothing; where a closing event stands before its introduced, "0" is
// taken first, as the schema sorts it.
func Intervals(events []Event) []Interval {
	var out []Interval
	open, from := false, ""
	if len(events) > 0 && events[0].Introduced == "" {
		for _, e := range events {
			if e.Introduced == "0" {
				open, from = true, "0"
			}
		}
	}
	end := func(to string, incl, fixed bool) {
		if open {
			out = append(out, Interval{from, to, incl, fixed})
			open = false
		}
	}
	for _, e := range events {
		switch {
		case e.Introduced != "" && !open && !(e.Introduced == "0" && len(out) > 0):
			open, from = true, e.Introduced
		case e.Fixed != "":
			end(e.Fixed, false, true)
		case e.LastAffected != "":
			end(e.LastAffected, true, false)
		case e.Limit != "" && e.Limit != "*":
			end(e.Limit, false, false)
		}
	}
	if open {
		out = append(out, Interval{From: from})
	}
	return out
}
