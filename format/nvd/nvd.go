// Package nvd holds the wire shape of the NVD CVE API 2.0
// (nvd.nist.gov/developers/vulnerabilities, schema cve_api_json_2.0) and of
// the overrides that are published in its shape.
package nvd

import "github.com/go-json-experiment/json"

// Item is one element of vulnerabilities[].
type Item struct {
	// Annotation is set in overrides alone.
	Annotation *Annotation `json:"_annotation"`
	CVE        CVE         `json:"cve"`
}

// Annotation is what an override says of itself.
type Annotation struct {
	ID         string   `json:"cve_id"`
	Modified   string   `json:"modified"`
	Published  string   `json:"published"`
	Reason     string   `json:"reason"`
	References []string `json:"references"`
}

// CVE is one vulnerability.
type CVE struct {
	ID             string          `json:"id"`
	Published      string          `json:"published"`
	Modified       string          `json:"lastModified"`
	Status         string          `json:"vulnStatus"`
	Descriptions   []Text          `json:"descriptions"`
	Metrics        Metrics         `json:"metrics"`
	Weaknesses     []Weakness      `json:"weaknesses"`
	Configurations []Configuration `json:"configurations"`
	References     []Reference     `json:"references"`
}

// Text is a text in one language.
type Text struct {
	Lang  string `json:"lang"`
	Value string `json:"value"`
}

// Weakness is a list of CWE ids.
type Weakness struct {
	Source      string `json:"source"`
	Description []Text `json:"description"`
}

// Reference is an address with tags.
type Reference struct {
	URL  string   `json:"url"`
	Tags []string `json:"tags"`
}

// Metrics are the scores by version.
type Metrics struct {
	V2  []Metric `json:"cvssMetricV2"`
	V30 []Metric `json:"cvssMetricV30"`
	V31 []Metric `json:"cvssMetricV31"`
	V40 []Metric `json:"cvssMetricV40"`
}

// Metric is one score.
type Metric struct {
	Source   string `json:"source"`
	Severity string `json:"baseSeverity"` // of version 2 alone
	Data     struct {
		Version  string  `json:"version"`
		Vector   string  `json:"vectorString"`
		Score    float64 `json:"baseScore"`
		Severity string  `json:"baseSeverity"`
	} `json:"cvssData"`
}

// Configuration is a set of nodes joined by an operator, OR when it has none.
type Configuration struct {
	Operator string `json:"operator"`
	Negate   bool   `json:"negate"`
	Nodes    []Node `json:"nodes"`
}

// Node is a set of matches joined by an operator.
type Node struct {
	Operator string  `json:"operator"`
	Negate   bool    `json:"negate"`
	Matches  []Match `json:"cpeMatch"`
}

// Match is one CPE match criterion: a CPE name and an interval of versions.
type Match struct {
	Vulnerable bool   `json:"vulnerable"`
	Criteria   string `json:"criteria"`
	StartIncl  string `json:"versionStartIncluding"`
	StartExcl  string `json:"versionStartExcluding"`
	EndIncl    string `json:"versionEndIncluding"`
	EndExcl    string `json:"versionEndExcluding"`
}

// Decode reads one element of vulnerabilities[].
func Decode(b []byte) (Item, error) {
	var i Item
	err := json.Unmarshal(b, &i)
	return i, err
}
