package read

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/eukev"
	"github.com/vedette-hub/vedette/safe"
)

// euKEV is the list of exploited vulnerabilities of the EU.
var euKEV = Format{
	Name:   "eukev",
	About:  "EU known exploited vulnerabilities, EUVD dump",
	Spec:   "ENISA EUVD /api/kev/dump",
	Syntax: "JSON",
	Source: vedette.Source{
		Name: "eu-kev", About: "EU known exploited vulnerabilities (ENISA EUVD)", Licence: "EUVD terms of use",
		Redistribute: "attribution", Marking: vedette.Marking{TLP: vedette.TLPClear}, Reliability: "A",
		Purpose: "exploitation", Full: true,
	},
	Whole: true,
	Sniff: func(head []byte) bool {
		s := jsonWith(head, "euvdId")
		return s.kind == '[' && s.has("euvdId", "dateAdded")
	},
	Parse: func(r io.Reader, emit func(Record) error) (Document, error) {
		n := 0
		err := elements(r, "", true, func(rec Record) error {
			n++
			return emit(rec)
		}, nil)
		if err == nil && n == 0 {
			err = vedette.Invalid("the list is empty: an empty list would close every entry")
		}
		return Document{}, err
	},
	Say: sayEUKEV,
}

var euvdID = regexp.MustCompile(`^EUVD-\d{4}-\d{1,9}$`)

func parseEUVD(s string) (string, error) {
	id := strings.ToUpper(strings.TrimSpace(s))
	if !euvdID.MatchString(id) {
		return "", vedette.Invalid("%s is not an EUVD id (EUVD-YYYY-NNNN)", safe.Quote(s))
	}
	return id, nil
}

func sayEUKEV(body []byte) (Said, error) {
	e, err := eukev.Decode(body)
	if err != nil {
		return Said{}, refused(err)
	}
	var ids []string
	if e.CVE != "" {
		id, err := vedette.ParseCVE(e.CVE)
		if err != nil {
			return Said{}, err
		}
		ids = append(ids, id)
	}
	if e.EUVD != "" {
		id, err := parseEUVD(e.EUVD)
		if err != nil {
			return Said{}, err
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return Said{}, vedette.Invalid("neither cveId nor euvdId")
	}
	added, err := seenAt(strings.TrimSpace(e.Added))
	if err != nil { // as the rest of the EUVD writes it
		added, err = time.Parse("Jan 2, 2006, 3:04:05 PM", strings.TrimSpace(e.Added))
	}
	if err != nil || added.IsZero() {
		return Said{}, vedette.Invalid("dateAdded %s is not a date", safe.Quote(e.Added))
	}
	x := vedette.Exploitation{
		Status: "confirmed", Since: added, Asserted: added, Evidence: "unknown", Signal: "successful_exploitation",
		Confidence: 0.8, Note: "sources: " + strings.Join(e.Sources, ", "),
	}
	if slices.Contains(e.Sources, "cisa_kev") {
		x.Evidence = "vendor_report"
	}
	return Said{Statements: []vedette.Statement{{
		Object: ids[0], Type: vedette.TypeVulnerability, Values: ids[1:], Text: text(strings.TrimSpace(e.Vendor + " " + e.Product)),
		Vulnerability: &vedette.Vulnerability{ID: ids[0], Aliases: ids[1:], Exploited: []vedette.Exploitation{x}},
	}}}, nil
}
