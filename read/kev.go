package read

import (
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/kev"
	"github.com/vedette-hub/vedette/safe"
)

var kevSource = vedette.Source{
	Name: "cisa-kev", About: "CISA catalogue of known exploited vulnerabilities", Licence: "CC0-1.0",
	Redistribute: "yes", Marking: vedette.Marking{TLP: vedette.TLPClear}, Reliability: "A",
	Purpose: "exploitation", Full: true,
}

// kevJSON is the catalogue in its JSON form.
var kevJSON = Format{
	Name:   "kev",
	About:  "CISA known exploited vulnerabilities, JSON",
	Spec:   "CISA known_exploited_vulnerabilities_schema.json",
	Syntax: "JSON",
	Source: kevSource,
	Whole:  true,
	Sniff: func(head []byte) bool {
		s := jsonWith(head, "catalogVersion", "cveID")
		return s.kind == '{' && (s.has("catalogVersion") || s.inner["vulnerabilities"]["cveID"])
	},
	Parse: parseKEV,
	Say:   sayKEV,
}

// kevCSV is the same catalogue as CSV; its records are kept in the JSON form.
var kevCSV = Format{
	Name:   "kev-csv",
	About:  "CISA known exploited vulnerabilities, CSV",
	Spec:   "CISA known_exploited_vulnerabilities.csv",
	Syntax: "CSV",
	Source: kevSource,
	Whole:  true,
	Sniff:  func(head []byte) bool { return hasColumns(head, "cveid", "vendorproject", "dateadded") },
	Parse:  parseKEVCSV,
	Say:    sayKEV,
}

func parseKEV(r io.Reader, emit func(Record) error) (Document, error) {
	var doc Document
	n, count := 0, -1
	err := elements(r, "/vulnerabilities", true, func(rec Record) error {
		n++
		return emit(rec)
	}, func(e safe.Element) error {
		value := strings.Trim(string(e.Raw), `"`)
		var err error
		switch e.Name {
		case "title":
			doc.Title = clip(value, 200)
		case "dateReleased":
			if doc.Time, err = time.Parse(time.RFC3339Nano, value); err != nil {
				return vedette.Invalid("/dateReleased (byte %d): %s is not a time", e.Offset, safe.Quote(e.Raw))
			}
			doc.Time = doc.Time.UTC()
		case "count":
			if count, err = strconv.Atoi(value); err != nil || count < 0 {
				return vedette.Invalid("/count (byte %d): %s is not a number of entries", e.Offset, safe.Quote(e.Raw))
			}
		}
		return nil
	})
	if err == nil && count != n {
		err = vedette.Invalid("/count is %d but there are %d entries: the catalogue is not whole", count, n)
		if count < 0 {
			err = vedette.Invalid("/count is missing: the catalogue cannot be told to be whole")
		}
	}
	if err == nil && n == 0 {
		err = vedette.Invalid("/vulnerabilities is empty: an empty catalogue would close every entry")
	}
	return doc, err
}

func parseKEVCSV(r io.Reader, emit func(Record) error) (Document, error) {
	t, err := openTable(r, ',')
	if err != nil {
		return Document{}, err
	}
	if err := t.require("cveid", "dateadded"); err != nil {
		return Document{}, err
	}
	index := map[string]int{}
	for _, c := range kev.Columns {
		if i, ok := t.index[strings.ToLower(c)]; ok {
			index[c] = i
		}
	}
	return Document{}, t.each(func(where string, row []string) error {
		e, err := kev.FromRow(row, index)
		if err != nil {
			return vedette.Invalid("%s: %s", where, safe.Reason(err))
		}
		body, err := kev.Encode(e)
		if err != nil {
			return vedette.Invalid("%s: %s", where, safe.Reason(err))
		}
		return emit(Record{Where: where, Body: body})
	})
}

func sayKEV(body []byte) (Said, error) {
	e, err := kev.Decode(body)
	if err != nil {
		return Said{}, refused(err)
	}
	id, err := vedette.ParseCVE(e.CVE)
	if err != nil {
		return Said{}, err
	}
	added, err := day(e.Added)
	if err != nil {
		return Said{}, vedette.Invalid("dateAdded: %w", err)
	}
	x := vedette.Exploitation{
		Status: "confirmed", Since: added, Asserted: added,
		Evidence: "vendor_report", Signal: "successful_exploitation", Confidence: 0.8,
		Ransomware: strings.EqualFold(strings.TrimSpace(e.Ransomware), "Known"), Action: strings.TrimSpace(e.Action),
	}
	if e.Due != "" {
		if x.Due, err = day(e.Due); err != nil {
			return Said{}, vedette.Invalid("dueDate: %w", err)
		}
	}
	var refs references
	var notes, cwe adder
	for part := range strings.SplitSeq(e.Notes, ";") {
		part = strings.TrimSpace(part)
		if strings.HasPrefix(part, "https://") || strings.HasPrefix(part, "http://") {
			refs.add(part)
		} else {
			notes.add(part)
		}
	}
	for _, c := range e.CWEs {
		cwe.add(cweID(c))
	}
	x.Note = strings.Join(notes.all, "; ")
	v := &vedette.Vulnerability{
		ID: id, Title: strings.TrimSpace(e.Name), Description: strings.TrimSpace(e.Description),
		CWE: cwe.all, References: refs.all, Exploited: []vedette.Exploitation{x},
	}
	return Said{Statements: []vedette.Statement{{
		Object: id, Type: vedette.TypeVulnerability, Name: v.Title,
		Text: text(v.Title, v.Description, e.Vendor+" "+e.Product), Vulnerability: v,
	}}}, nil
}

// day reads YYYY-MM-DD.
func day(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, strings.TrimSpace(s))
	if err != nil {
		return time.Time{}, vedette.Invalid("%s is not a date (YYYY-MM-DD)", safe.Quote(s))
	}
	return t, nil
}
