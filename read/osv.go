package read

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cve"
	"github.com/vedette-hub/vedette/format/osv"
	"github.com/vedette-hub/vedette/safe"
)

var osvSource = vedette.Source{
	Name: "osv", About: "OSV records of package ecosystems", Licence: "CC-BY-4.0 as a rule; each database has its own",
	Redistribute: "attribution", Marking: vedette.Marking{TLP: vedette.TLPClear}, Reliability: "A", Purpose: "vulnerability knowledge",
}

// osvRecords are OSV records as JSON: one, an array, or one per line.
var osvRecords = Format{
	Name:   "osv",
	About:  "OSV vulnerability records, JSON",
	Spec:   "OSV schema 1.7, ossf.github.io/osv-schema",
	Syntax: "JSON",
	Source: osvSource,
	Sniff: func(head []byte) bool {
		s := jsonWith(head, "affected", "schema_version", "modified")
		rest := []string{"aliases", "summary", "details", "withdrawn"}
		return s.has("id") && !s.has("type") && (s.has("affected") || s.has("schema_version") ||
			s.has("modified") && slices.ContainsFunc(rest, func(n string) bool { return s.names[n] }))
	},
	Parse: func(r io.Reader, emit func(Record) error) (Document, error) {
		return Document{}, jsonDocuments(r, emit)
	},
	Say: sayOSV,
}

// osvYAML is one OSV record as YAML, the way advisory databases keep it. The
// record is kept as JSON.
var osvYAML = Format{
	Name:   "osv-yaml",
	About:  "one OSV vulnerability record, YAML",
	Spec:   "OSV schema 1.7 in YAML, github.com/pypa/advisory-database",
	Syntax: "YAML",
	Source: osvSource,
	Sniff: func(head []byte) bool {
		return kindOf(head) != '{' && hasKeys(head, "id:") && (hasKeys(head, "affected:") || hasKeys(head, "modified:"))
	},
	Parse: func(r io.Reader, emit func(Record) error) (Document, error) {
		b, err := readYAML(r)
		if err != nil {
			return Document{}, err
		}
		return Document{}, emit(Record{Where: "document", Body: b})
	},
	Say: sayOSV,
}

// hasKeys says whether a line begins with the key.
func hasKeys(head []byte, key string) bool {
	return bytes.HasPrefix(head, []byte(key)) || bytes.Contains(head, []byte("\n"+key))
}

func sayOSV(body []byte) (Said, error) {
	r, err := osv.Decode(body)
	if err != nil {
		return Said{}, refused(err)
	}
	r.ID = strings.TrimSpace(r.ID)
	if r.ID == "" || len(r.ID) > 128 || safe.Label(r.ID) != r.ID {
		return Said{}, vedette.Invalid("id %s is empty or not an id", safe.Quote(r.ID))
	}
	if r.Modified == "" { // required; YAML that was cut off often lacks it
		return Said{}, vedette.Invalid("no modified: the record is not whole")
	}
	id, aliases := osvID(r)
	v := &vedette.Vulnerability{
		ID: id, Aliases: aliases, Title: strings.TrimSpace(r.Summary), Description: strings.TrimSpace(r.Details),
		Published: osvTime(r.Published), Modified: osvTime(r.Modified), Withdrawn: r.Withdrawn != "",
	}
	var cwe adder
	for _, c := range osv.CWEs(r) {
		cwe.add(cweID(c))
	}
	var refs references
	for _, ref := range r.References {
		refs.add(ref.URL, strings.ToLower(ref.Type))
	}
	v.CWE, v.References = cwe.all, refs.all
	v.CVSS = osvScores(v.CVSS, r.Severity)
	for _, a := range r.Affected {
		v.CVSS = osvScores(v.CVSS, a.Severity)
		v.Affected = append(v.Affected, osvAffected(a)...)
	}
	return Said{Statements: []vedette.Statement{{
		Object: id, Own: canonicalID(r.ID), Type: vedette.TypeVulnerability, Name: v.Title, Since: latest(v.Modified, osvTime(r.Withdrawn)),
		Values: aliases, Text: text(v.Title, v.Description), Vulnerability: v,
	}}}, nil
}

// osvID is the object of a record and its other ids: the CVE when it is
// exactly one, else its own id.
func osvID(r osv.Record) (id string, others []string) {
	own := canonicalID(r.ID)
	var all, cves adder
	all.add(own)
	for _, a := range r.Aliases {
		all.add(canonicalID(a))
	}
	for _, a := range all.all {
		if _, err := vedette.ParseCVE(a); err == nil {
			cves.add(a)
		}
	}
	id = own
	if len(cves.all) == 1 {
		id = cves.all[0]
	}
	return id, without(all.all, id)
}

// osvTime reads a time; year 1, which some databases write for "never", is none.
func osvTime(s string) time.Time {
	t := cve.Time(s)
	if t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

func osvScores(have []vedette.CVSS, ss []osv.Severity) []vedette.CVSS {
	for _, s := range ss {
		if !strings.HasPrefix(s.Type, "CVSS_") {
			continue
		}
		version, score, ok := scoreVector(s.Score)
		if !ok {
			continue
		}
		c := vedette.CVSS{Version: version, Vector: s.Score, Score: score, Severity: band(version, score)}
		known := false
		for _, h := range have {
			known = known || h == c
		}
		if !known {
			have = append(have, c)
		}
	}
	return have
}

// osvAffected is one package. A version is affected when it is listed or lies
// in a range (osv-schema, "Evaluation"). Commits say nothing of a release: GIT
// ranges are kept only where the record has nothing else.
func osvAffected(a osv.Affected) []vedette.Affected {
	if a.Package.Name == "" {
		return nil
	}
	scheme := osv.PURLType(a.Package.Ecosystem)
	pkg := vedette.Affected{Product: a.Package.Name, Scheme: scheme, Ecosystem: a.Package.Ecosystem}
	released := len(a.Versions) > 0 || slices.ContainsFunc(a.Ranges, func(r osv.Range) bool { return r.Type != "GIT" })
	for _, r := range a.Ranges {
		if r.Type == "GIT" && released {
			continue
		}
		for _, i := range osv.Intervals(r.Events) {
			x := vedette.Range{
				Status: vedette.StatusAffected, From: i.From, To: i.To, ToIncl: i.Included, Type: strings.ToLower(r.Type),
			}
			if i.Fixed {
				x.Fixed = i.To
			}
			pkg.Ranges = append(pkg.Ranges, x)
		}
	}
	for _, v := range a.Versions {
		if v = strings.TrimSpace(v); v != "" {
			pkg.Ranges = append(pkg.Ranges, vedette.Range{Status: vedette.StatusAffected, Exact: v})
		}
	}
	return []vedette.Affected{pkg}
}
