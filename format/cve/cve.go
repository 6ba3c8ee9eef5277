// Package cve holds the wire shape of the CVE Record Format 5.x
// (github.com/CVEProject/cve-schema, schema/CVE_Record_Format.json): the part
// of it that says something about products, severity and repair.
package cve

import (
	"time"

	"github.com/go-json-experiment/json"
)

// Record is one CVE record.
type Record struct {
	DataType    string     `json:"dataType"`
	DataVersion string     `json:"dataVersion"`
	Metadata    Metadata   `json:"cveMetadata"`
	Containers  Containers `json:"containers"`
}

// Metadata is cveMetadata.
type Metadata struct {
	ID        string `json:"cveId"`
	State     string `json:"state"` // PUBLISHED, REJECTED
	Assigner  string `json:"assignerShortName"`
	Published string `json:"datePublished"`
	Updated   string `json:"dateUpdated"`
	Rejected  string `json:"dateRejected"`
}

// Containers holds what the CNA and the ADPs say.
type Containers struct {
	CNA Container   `json:"cna"`
	ADP []Container `json:"adp"`
}

// Container is what one organisation says of the CVE.
type Container struct {
	Provider        Provider           `json:"providerMetadata"`
	Title           string             `json:"title"`
	Public          string             `json:"datePublic"`
	Descriptions    []Text             `json:"descriptions"`
	RejectedReasons []Text             `json:"rejectedReasons"`
	Affected        []Product          `json:"affected"`
	Applicability   []CPEApplicability `json:"cpeApplicability"`
	ProblemTypes    []ProblemType      `json:"problemTypes"`
	References      []Reference        `json:"references"`
	Metrics         []Metric           `json:"metrics"`
	Solutions       []Text             `json:"solutions"`
	Workarounds     []Text             `json:"workarounds"`
}

// Provider is providerMetadata.
type Provider struct {
	ShortName string `json:"shortName"`
	Updated   string `json:"dateUpdated"`
}

// Text is a text in one language.
type Text struct {
	Lang  string `json:"lang"`
	Value string `json:"value"`
}

// Reference is an address with tags.
type Reference struct {
	URL  string   `json:"url"`
	Tags []string `json:"tags"`
}

// ProblemType is what kind of weakness it is.
type ProblemType struct {
	Descriptions []struct {
		CWE  string `json:"cweId"`
		Text string `json:"description"`
	} `json:"descriptions"`
}

// Metric is one assessment; one of the fields is set.
type Metric struct {
	V2    *CVSS  `json:"cvssV2_0"`
	V30   *CVSS  `json:"cvssV3_0"`
	V31   *CVSS  `json:"cvssV3_1"`
	V4    *CVSS  `json:"cvssV4_0"`
	Other *Other `json:"other"`
}

// CVSS is the common part of the CVSS JSON schemas 2.0 to 4.0.
type CVSS struct {
	Version  string  `json:"version"`
	Vector   string  `json:"vectorString"`
	Score    float64 `json:"baseScore"`
	Severity string  `json:"baseSeverity"`
}

// Other is a metric of another scheme; SSVC is what the CISA ADP puts there.
type Other struct {
	Type    string `json:"type"`
	Content SSVC   `json:"content"`
}

// SSVC is the decision data of type "ssvc"; options has one member per object.
type SSVC struct {
	Role    string              `json:"role"`
	At      string              `json:"timestamp"`
	Options []map[string]string `json:"options"`
}

// UnmarshalJSON reads the content of type "ssvc" and passes over any other.
func (o *Other) UnmarshalJSON(b []byte) error {
	var raw struct {
		Type    string `json:"type"`
		Content raw    `json:"content"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*o = Other{Type: raw.Type}
	if raw.Type != "ssvc" {
		return nil
	}
	return json.Unmarshal(raw.Content, &o.Content)
}

// raw keeps a value undecoded.
type raw []byte

// UnmarshalJSON keeps the bytes.
func (r *raw) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}

// Product is one entry of affected[].
type Product struct {
	Vendor        string    `json:"vendor"`
	Product       string    `json:"product"`
	PackageName   string    `json:"packageName"`
	CollectionURL string    `json:"collectionURL"`
	CPEs          []string  `json:"cpes"`
	Modules       []string  `json:"modules"`
	Platforms     []string  `json:"platforms"`
	Default       string    `json:"defaultStatus"`
	Versions      []Version `json:"versions"`
}

// Version is one entry of versions[]: one version, or, with an upper end, an
// interval whose status may change on the way.
type Version struct {
	Version         string   `json:"version"`
	Status          string   `json:"status"`
	Type            string   `json:"versionType"`
	LessThan        string   `json:"lessThan"`
	LessThanOrEqual string   `json:"lessThanOrEqual"`
	Changes         []Change `json:"changes"`
}

// Change says that from a version on the status is another.
type Change struct {
	At     string `json:"at"`
	Status string `json:"status"`
}

// CPEApplicability is one element of cpeApplicability (since 5.1); it has the
// shape of an NVD configuration.
type CPEApplicability struct {
	Operator string `json:"operator"`
	Negate   bool   `json:"negate"`
	Nodes    []Node `json:"nodes"`
}

// Node is one node of a CPE applicability.
type Node struct {
	Operator string  `json:"operator"`
	Negate   bool    `json:"negate"`
	Matches  []Match `json:"cpeMatch"`
}

// Match is one CPE match criterion.
type Match struct {
	Vulnerable bool   `json:"vulnerable"`
	Criteria   string `json:"criteria"`
	StartIncl  string `json:"versionStartIncluding"`
	StartExcl  string `json:"versionStartExcluding"`
	EndIncl    string `json:"versionEndIncluding"`
	EndExcl    string `json:"versionEndExcluding"`
}

// Decode reads one record.
func Decode(b []byte) (Record, error) {
	var r Record
	err := json.Unmarshal(b, &r)
	return r, err
}

// Time reads a timestamp of the record format: RFC 3339, where a missing zone
// means UTC. Anything else is the zero time.
func Time(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
