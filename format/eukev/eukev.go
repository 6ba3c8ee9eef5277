// Package eukev holds the wire shape of the known exploited vulnerabilities of
// the EU Vulnerability Database (euvdservices.enisa.europa.eu/api/kev/dump): a
// JSON array, the whole list in one answer.
package eukev

import "github.com/go-json-experiment/json"

// Entry is one vulnerability.
type Entry struct {
	CVE     string   `json:"cveId"` // absent when there is none
	EUVD    string   `json:"euvdId"`
	Added   string   `json:"dateAdded"`
	Sources []string `json:"sources"` // "cisa_kev", "eukev_kev"
	Vendor  string   `json:"vendorProject"`
	Product string   `json:"product"`
}

// Decode reads one element of the array.
func Decode(b []byte) (Entry, error) {
	var e Entry
	err := json.Unmarshal(b, &e)
	return e, err
}
