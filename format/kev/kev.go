// Package kev holds the wire shape of CISA's catalogue of known exploited
// vulnerabilities (known_exploited_vulnerabilities_schema.json and the CSV form).
package kev

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
)

// Entry is one vulnerability of the catalogue.
type Entry struct {
	CVE         string   `json:"cveID"`
	Vendor      string   `json:"vendorProject"`
	Product     string   `json:"product"`
	Name        string   `json:"vulnerabilityName"`
	Added       string   `json:"dateAdded"` // YYYY-MM-DD
	Description string   `json:"shortDescription"`
	Action      string   `json:"requiredAction"`
	Due         string   `json:"dueDate"` // YYYY-MM-DD
	Ransomware  string   `json:"knownRansomwareCampaignUse"`
	Notes       string   `json:"notes"` // addresses and remarks, separated by " ; "
	CWEs        []string `json:"cwes"`
}

// Columns are the columns of the CSV form, in its order.
var Columns = []string{"cveID", "vendorProject", "product", "vulnerabilityName", "dateAdded", "shortDescription",
	"requiredAction", "dueDate", "knownRansomwareCampaignUse", "notes", "cwes"}

// Decode reads one element of vulnerabilities[].
func Decode(b []byte) (Entry, error) {
	var e Entry
	err := json.Unmarshal(b, &e)
	return e, err
}

// Encode writes an entry in the JSON form.
func Encode(e Entry) ([]byte, error) { return json.Marshal(e) }

// FromRow reads one row of the CSV form; index maps a column to its place.
func FromRow(row []string, index map[string]int) (Entry, error) {
	var e Entry
	fields := []*string{&e.CVE, &e.Vendor, &e.Product, &e.Name, &e.Added, &e.Description, &e.Action, &e.Due, &e.Ransomware, &e.Notes}
	for i, column := range Columns {
		at, ok := index[column]
		if !ok {
			continue
		}
		if at >= len(row) {
			return Entry{}, fmt.Errorf("no column %q", column)
		}
		if i < len(fields) {
			*fields[i] = row[at]
			continue
		}
		for c := range strings.SplitSeq(row[at], ",") {
			if c = strings.TrimSpace(c); c != "" {
				e.CWEs = append(e.CWEs, c)
			}
		}
	}
	return e, nil
}
