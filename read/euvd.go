package read

import (
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/vedette-hub/vedette"
)

// euvdMapping joins the ids of the EU Vulnerability Database to CVE ids.
var euvdMapping = Format{
	Name:   "euvd",
	About:  "EUVD ids of CVE ids",
	Spec:   "ENISA EUVD /api/dump/cve-euvd-mapping, columns euvd_id,cve_id",
	Syntax: "CSV",
	Source: vedette.Source{
		Name: "euvd", About: "EU Vulnerability Database (ENISA): ids", Licence: "EUVD terms of use",
		Redistribute: "attribution", Marking: vedette.Marking{TLP: vedette.TLPClear}, Reliability: "A",
		Purpose: "vulnerability knowledge", Full: true,
	},
	Whole: true,
	Sniff: func(head []byte) bool { return hasColumns(head, "euvd_id", "cve_id") },
	Parse: parseEUVDMapping,
	Say:   sayEUVD,
}

// mapping is the record of one CVE.
type mapping struct {
	CVE  string   `json:"cve"`
	EUVD []string `json:"euvd"`
}

func parseEUVDMapping(r io.Reader, emit func(Record) error) (Document, error) {
	t, err := openTable(r, ',')
	if err != nil {
		return Document{}, err
	}
	if err := t.require("euvd_id", "cve_id"); err != nil {
		return Document{}, err
	}
	g := group[mapping]{at: map[string]int{}}
	err = t.each(func(where string, row []string) error {
		euvd, err := parseEUVD(t.get(row, "euvd_id"))
		if err != nil {
			return vedette.Invalid("%s: %w", where, err)
		}
		written := t.get(row, "cve_id")
		if written == "" {
			return nil // an entry without a CVE joins nothing
		}
		id, err := vedette.ParseCVE(written)
		if err != nil {
			return vedette.Invalid("%s: %w", where, err)
		}
		m := g.of(id)
		m.CVE = id
		if !slices.Contains(m.EUVD, euvd) {
			m.EUVD = append(m.EUVD, euvd)
		}
		return nil
	})
	if err != nil {
		return Document{}, err
	}
	for _, m := range g.all {
		slices.Sort(m.EUVD)
		body, err := json.Marshal(m)
		if err != nil {
			return Document{}, err
		}
		if err := emit(Record{Where: m.CVE, Body: body}); err != nil {
			return Document{}, err
		}
	}
	return Document{}, nil
}

func sayEUVD(body []byte) (Said, error) {
	var m mapping
	if err := json.Unmarshal(body, &m); err != nil {
		return Said{}, refused(err)
	}
	if m.CVE == "" || len(m.EUVD) == 0 {
		return Said{}, vedette.Invalid("no ids")
	}
	return Said{Statements: []vedette.Statement{{
		Object: m.CVE, Type: vedette.TypeVulnerability, Values: m.EUVD, Text: strings.Join(m.EUVD, " "),
		Vulnerability: &vedette.Vulnerability{ID: m.CVE, Aliases: m.EUVD},
	}}}, nil
}
