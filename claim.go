package vedette

import "time"

// Source is who says something.
type Source struct {
	Name         string        `json:"name"`
	About        string        `json:"about,omitempty"`
	Licence      string        `json:"licence,omitempty"`
	Redistribute string        `json:"redistribute,omitempty"` // yes, attribution, internal, named
	Marking      Marking       `json:"marking"`                // of what comes without one
	Reliability  string        `json:"reliability,omitempty"`  // Admiralty A-F
	Purpose      string        `json:"purpose,omitempty"`
	Retention    time.Duration `json:"retention,omitempty"` // 0 keeps until purged
	// Full sources state everything they know in each document: what a newer
	// document leaves out is closed. Others are closed only by a newer claim.
	Full bool `json:"full,omitempty"`
}

// Intake is that a source handed in a document: the document itself has no
// marking, time or address.
type Intake struct {
	Source      string    `json:"source"`
	Document    string    `json:"document"` // SHA-256 of the bytes, hex
	Format      string    `json:"format"`
	Marking     Marking   `json:"marking"`
	At          time.Time `json:"at"`   // when it was taken in
	Time        time.Time `json:"time"` // what the document says of its own time, else At
	Address     string    `json:"address,omitempty"`
	Constituent string    `json:"constituent,omitempty"` // whom it speaks of
	By          string    `json:"by"`                    // the principal
}

// Counts are what taking a document changed. New, Changed and Unchanged count
// statements, observations and points.
type Counts struct {
	Read      int `json:"read"`
	New       int `json:"new"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	Closed    int `json:"closed,omitempty"` // what a full source left out
}

// The types of object.
const (
	TypeVulnerability = "vulnerability"
	TypeActor         = "intrusion-set"
	TypeRelationship  = "relationship"
	TypeProduct       = "product"
	TypeWeakness      = "weakness" // a CWE or a check: no vulnerability record
)

// Statement is what one record of a document says of one object, decoded: the
// typed side of a claim. Everything in it can be read again from the record's bytes.
type Statement struct {
	Object string // id, unique over all types: "CVE-2024-1234", "intrusion-set:name"
	Type   string
	Name   string // as a person calls it
	// Own is the source's own id of the record, for sources that state several
	// records of one object: each of them holds until a newer one of the same id.
	Own string
	// Since is when the source made this statement; the latest of a source holds.
	Since time.Time
	// Marking is set when the record carries its own; MarkingErr when it carries one that cannot be read.
	Marking    *Marking
	MarkingErr error
	Values     []string // canonical values by which the object can be found: aliases, other ids
	Text       string   // what full text search reads beside the name
	Links      []Link
	// Vulnerability is set when Type is TypeVulnerability: what this source alone says.
	Vulnerability *Vulnerability
	Products      []Alias // product names the record joins
}

// Link is a relationship the statement makes from its object to another.
type Link struct {
	Relation string // "exploits", "uses", ... (STIX 2.1 relationship types)
	From     string // object id; "" is the statement's own object
	FromType string
	FromName string
	To       string
	ToType   string
	ToName   string
}

// Claim is a statement as the store keeps it.
type Claim struct {
	Source  string    `json:"source"`
	Object  string    `json:"object"`
	Format  string    `json:"format"`
	From    time.Time `json:"from"`
	Closed  time.Time `json:"closed,omitzero"` // zero while it holds
	Marking Marking   `json:"marking"`
	Body    []byte    `json:"-"` // the source's own bytes
	At      time.Time `json:"at"`
}

// Said is what one record of a document says: statements of objects,
// observations of looks, points of series.
type Said struct {
	Statements   []Statement
	Observations []Observation
	Coverage     []Coverage
	Points       []Point
}

// Head is the summary of an object at one marking: what lists and search show.
// Details and provenance come from the claims' bodies.
type Head struct {
	Name     string
	Modified time.Time
	Fields   map[string]string // short: "title", "cvss", "exploited", ...
	Text     string            // what full text search reads beside the name
}
