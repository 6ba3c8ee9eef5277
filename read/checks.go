package read

import (
	"io"

	"github.com/go-json-experiment/json"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// checkCatalogue is what checks of this hub report, so that what a probe
// reports is an object like a CVE: with a title, the reason and the repair.
var checkCatalogue = Format{
	Name:   "checks",
	About:  "catalogue of what checks report, JSON lines: id, title, type, why, fix",
	Spec:   "design section 2, Weakness; type is of the Reference Security Incident Taxonomy",
	Syntax: "JSON",
	Source: vedette.Source{
		Name: "vedette", About: "what the checks of this hub report", Licence: "Apache-2.0", Redistribute: "yes",
		Marking: vedette.Marking{TLP: vedette.TLPClear}, Reliability: "A", Purpose: "weaknesses", Full: true,
	},
	Whole: true,
	Sniff: func(head []byte) bool { return jsonWith(head, "check").has("check", "title", "fix") },
	Parse: func(r io.Reader, emit func(Record) error) (Document, error) {
		n := 0
		err := jsonDocuments(r, func(rec Record) error { n++; return emit(rec) })
		if err == nil && n == 0 {
			err = vedette.Invalid("the catalogue is empty")
		}
		return Document{Title: "checks"}, err
	},
	Say: sayCheck,
}

// Check is one record of a catalogue of checks.
type Check struct {
	ID    string `json:"check"` // "check:NAME"
	Title string `json:"title"`
	Type  string `json:"type,omitempty"` // "vulnerable: weak-crypto"
	Why   string `json:"why,omitempty"`
	Fix   string `json:"fix"`
}

func sayCheck(body []byte) (Said, error) {
	var c Check
	if err := json.Unmarshal(body, &c, json.RejectUnknownMembers(true)); err != nil {
		return Said{}, vedette.Invalid("%s", safe.Reason(err))
	}
	id, typ, err := WeaknessID(c.ID)
	if err != nil {
		return Said{}, err
	}
	if typ != vedette.TypeWeakness || c.Title == "" {
		return Said{}, vedette.Invalid("a check has an id check:NAME and a title")
	}
	return Said{Statements: []vedette.Statement{{Object: id, Type: typ, Name: c.Title, Text: text(c.Title, c.Type, c.Why, c.Fix)}}}, nil
}
