package read

import (
	"io"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cve"
	"github.com/vedette-hub/vedette/format/nvd"
	"github.com/vedette-hub/vedette/safe"
)

// nvdPage is a page of the NVD CVE API 2.0.
var nvdPage = Format{
	Name:   "nvd",
	About:  "NVD vulnerabilities with CPE configurations, API 2.0",
	Spec:   "NVD CVE API 2.0, cve_api_json_2.0.schema",
	Syntax: "JSON",
	Source: vedette.Source{
		Name: "nvd", About: "NIST National Vulnerability Database", Licence: "public domain (US Government work)",
		Redistribute: "yes", Marking: vedette.Marking{TLP: vedette.TLPClear}, Reliability: "A", Purpose: "vulnerability knowledge",
	},
	Sniff: func(head []byte) bool {
		s := jsonWith(head, "vulnerabilities", "NVD_CVE")
		return s.text["format"] == "NVD_CVE" || s.inner["vulnerabilities"]["cve/id"]
	},
	Parse: func(r io.Reader, emit func(Record) error) (Document, error) {
		var doc Document
		err := elements(r, "/vulnerabilities", false, emit, func(e safe.Element) error {
			if e.Name == "timestamp" {
				doc.Time = cve.Time(strings.Trim(string(e.Raw), `"`))
			}
			return nil
		})
		return doc, err
	},
	Say: sayNVD,
}

// nvdOverrides are CPE configurations in the shape of the NVD by somebody else.
var nvdOverrides = Format{
	Name:   "nvd-overrides",
	About:  "CPE configurations that correct or precede the NVD, one JSON object per line",
	Spec:   "NVD CVE API 2.0 configurations with an _annotation, github.com/anchore/nvd-data-overrides",
	Syntax: "JSON",
	Source: vedette.Source{
		Name: "nvd-overrides", About: "NVD data overrides", Licence: "CC0-1.0", Redistribute: "yes",
		Marking: vedette.Marking{TLP: vedette.TLPClear}, Reliability: "B", Purpose: "vulnerability knowledge",
	},
	Sniff: func(head []byte) bool { return jsonWith(head, "_annotation").has("_annotation", "cve") },
	Parse: func(r io.Reader, emit func(Record) error) (Document, error) {
		return Document{}, jsonDocuments(r, emit)
	},
	Say: sayNVD,
}

func sayNVD(body []byte) (Said, error) {
	item, err := nvd.Decode(body)
	if err != nil {
		return Said{}, refused(err)
	}
	c := item.CVE
	if a := item.Annotation; a != nil {
		c.ID, c.Published, c.Modified = a.ID, a.Published, a.Modified
		for _, url := range a.References {
			c.References = append(c.References, nvd.Reference{URL: url})
		}
	}
	id, err := vedette.ParseCVE(c.ID)
	if err != nil {
		return Said{}, err
	}
	v := &vedette.Vulnerability{
		ID: id, Published: cve.Time(c.Published), Modified: cve.Time(c.Modified),
		Withdrawn: strings.EqualFold(c.Status, "Rejected"),
		CVSS:      nvdScores(c.Metrics), Affected: configurations(c.Configurations),
	}
	var desc []string
	for _, d := range c.Descriptions {
		desc = appendText(desc, cve.Text(d))
	}
	v.Description = strings.Join(desc, "\n\n")
	var cwe adder
	for _, w := range c.Weaknesses {
		for _, d := range w.Description {
			cwe.add(cweID(d.Value))
		}
	}
	var refs references
	for _, r := range c.References {
		refs.add(r.URL, r.Tags...)
	}
	v.CWE, v.References = cwe.all, refs.all
	return Said{Statements: []vedette.Statement{{
		Object: id, Type: vedette.TypeVulnerability, Since: latest(v.Modified, v.Published),
		Text: text(v.Description), Vulnerability: v,
	}}}, nil
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func nvdScores(m nvd.Metrics) []vedette.CVSS {
	var out []vedette.CVSS
	for _, list := range []struct {
		version string
		metrics []nvd.Metric
	}{{"4.0", m.V40}, {"3.1", m.V31}, {"3.0", m.V30}, {"2.0", m.V2}} {
		for _, x := range list.metrics {
			severity := x.Data.Severity
			if severity == "" {
				severity = x.Severity
			}
			if s, ok := cvss(list.version, x.Data.Vector, x.Data.Score, severity, x.Source); ok {
				out = append(out, s)
			}
		}
	}
	return out
}
