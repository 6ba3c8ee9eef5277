package read

import (
	"bytes"
	"strings"

	"github.com/vedette-hub/vedette"
)

// All are the formats, in the order they are shown.
var All = []Format{
	cveRecords,
	kevJSON,
	kevCSV,
	euKEV,
	euvdMapping,
	epssScores,
	nvdPage,
	nvdOverrides,
	debianTracker,
	osvRecords,
	osvYAML,
	nmapReport,
	surveyPart,
	checkCatalogue,
	inventory,
	exploitedBy,
	personStatement,
}

// SniffSize is how many bytes Sniff wants to see.
const SniffSize = 64 << 10

// ByName finds a format by its name.
func ByName(name string) (Format, error) {
	for _, f := range All {
		if f.Name == name {
			return f, nil
		}
	}
	return Format{}, vedette.Invalid("no format %q; the formats are %s", clip(name, 80), strings.Join(names(All), ", "))
}

// Sniff recognises the format of a document by its first bytes. An unknown one
// is refused with the formats that come nearest.
func Sniff(head []byte) (Format, error) {
	head = head[:min(len(head), SniffSize)]
	var found []Format
	for _, f := range All {
		if f.Sniff(head) {
			found = append(found, f)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Format{}, unknown(head)
	}
	return Format{}, vedette.Invalid("the format is not clear: %s; say which with --as", strings.Join(names(found), " or "))
}

func unknown(head []byte) error {
	if len(bytes.TrimSpace(head)) == 0 {
		return vedette.Invalid("the document is empty")
	}
	syntax := map[byte]string{'{': "JSON", '[': "JSON", '<': "XML", ',': "CSV", 't': "YAML"}[kindOf(head)]
	if syntax == "" {
		return vedette.Invalid("binary data of no known format")
	}
	var near []Format
	for _, f := range All {
		if f.Syntax == syntax {
			near = append(near, f)
		}
	}
	if len(near) == 0 {
		near = All
	}
	return vedette.Invalid("no known format; the nearest are %s", strings.Join(names(near), ", "))
}

func names(fs []Format) []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.Name)
	}
	return out
}
