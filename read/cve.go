package read

import (
	"io"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
	"github.com/vedette-hub/vedette/format/cve"
	"github.com/vedette-hub/vedette/format/nvd"
)

// cveRecords is the CVE Record Format 5.x: one record, an array of records, or
// one record per line.
var cveRecords = Format{
	Name:   "cve",
	About:  "CVE records as CNAs and ADPs publish them",
	Spec:   "CVE Record Format 5.x, github.com/CVEProject/cve-schema",
	Syntax: "JSON",
	Source: vedette.Source{
		Name: "cve", About: "CVE Program: records of the CNAs and ADPs", Licence: "CVE Program terms of use",
		Redistribute: "attribution", Marking: vedette.Marking{TLP: vedette.TLPClear}, Reliability: "A",
		Purpose: "vulnerability knowledge",
	},
	Sniff: func(head []byte) bool {
		s := jsonWith(head, "cveMetadata", "dataType")
		return s.has("cveMetadata") || s.has("dataType") && s.text["dataType"] == "CVE_RECORD"
	},
	Parse: func(r io.Reader, emit func(Record) error) (Document, error) {
		return Document{}, jsonDocuments(r, emit)
	},
	Say: sayCVE,
}

func sayCVE(body []byte) (Said, error) {
	r, err := cve.Decode(body)
	if err != nil {
		return Said{}, refused(err)
	}
	id, err := vedette.ParseCVE(r.Metadata.ID)
	if err != nil {
		return Said{}, err
	}
	v := &vedette.Vulnerability{
		ID: id, Title: strings.TrimSpace(r.Containers.CNA.Title),
		Published: cve.Time(r.Metadata.Published), Modified: cve.Time(r.Metadata.Updated),
		Withdrawn: strings.EqualFold(r.Metadata.State, "REJECTED"),
	}
	cna := r.Containers.CNA
	v.Description = english(cna.Descriptions)
	if v.Withdrawn {
		v.Description = english(cna.RejectedReasons)
	}
	all := append([]cve.Container{cna}, r.Containers.ADP...)
	var cwe adder
	var refs references
	for _, c := range all {
		container(v, c)
		for _, p := range c.ProblemTypes {
			for _, d := range p.Descriptions {
				cwe.add(cweID(d.CWE))
				cwe.add(cweID(d.Text))
			}
		}
		for _, ref := range c.References {
			refs.add(ref.URL, ref.Tags...)
		}
	}
	v.CWE, v.References = cwe.all, refs.all
	return Said{Statements: []vedette.Statement{{
		Object: id, Type: vedette.TypeVulnerability, Name: v.Title, Since: cveSince(r, all),
		Text: text(v.Title, v.Description), Vulnerability: v,
	}}}, nil
}

// cveSince is when the record was last changed.
func cveSince(r cve.Record, all []cve.Container) time.Time {
	if t := cve.Time(r.Metadata.Updated); !t.IsZero() {
		return t
	}
	var last time.Time
	for _, c := range all {
		if t := cve.Time(c.Provider.Updated); t.After(last) {
			last = t
		}
	}
	if last.IsZero() {
		last = cve.Time(r.Metadata.Published)
	}
	return last
}

// container adds what one organisation says.
func container(v *vedette.Vulnerability, c cve.Container) {
	for _, m := range c.Metrics {
		for _, s := range []struct {
			version string
			data    *cve.CVSS
		}{{"4.0", m.V4}, {"3.1", m.V31}, {"3.0", m.V30}, {"2.0", m.V2}} {
			if s.data == nil {
				continue
			}
			if score, ok := cvss(s.version, s.data.Vector, s.data.Score, s.data.Severity, c.Provider.ShortName); ok {
				v.CVSS = append(v.CVSS, score)
			}
		}
		if m.Other != nil && m.Other.Type == "ssvc" && v.SSVC == nil {
			v.SSVC = ssvc(m.Other.Content)
		}
	}
	for _, s := range c.Solutions {
		v.Solutions = appendText(v.Solutions, s)
	}
	for _, s := range c.Workarounds {
		v.Workarounds = appendText(v.Workarounds, s)
	}
	for _, p := range c.Affected {
		v.Affected = append(v.Affected, cnaAffected(p)...)
	}
	v.Affected = append(v.Affected, configurations(applicability(c.Applicability))...)
}

func ssvc(c cve.SSVC) *vedette.SSVC {
	s := &vedette.SSVC{At: cve.Time(c.At)}
	for _, o := range c.Options {
		for name, value := range o {
			value = strings.ToLower(value)
			switch strings.ToLower(name) {
			case "exploitation":
				s.Exploitation = value
			case "automatable":
				s.Automatable = value
			case "technical impact":
				s.TechnicalImpact = value
			}
		}
	}
	return s
}

func appendText(list []string, t cve.Text) []string {
	if s := strings.TrimSpace(t.Value); s != "" && isEnglish(t.Lang) {
		list = append(list, s)
	}
	return list
}

// english joins the English descriptions.
func english(ts []cve.Text) string {
	var out []string
	for _, t := range ts {
		out = appendText(out, t)
	}
	return strings.Join(out, "\n\n")
}

func isEnglish(lang string) bool {
	return lang == "" || len(lang) >= 2 && strings.EqualFold(lang[:2], "en")
}

// cnaAffected is one entry of affected[] and, where its CPE names tell more
// than one product or it names none itself, one more per CPE product.
func cnaAffected(p cve.Product) []vedette.Affected {
	vs := cnaVersions(p)
	if strings.TrimRight(p.CollectionURL, "/") == redHatPackages && !notGiven(p.PackageName) {
		return redHatAffected(p, vs)
	}
	a := vedette.Affected{
		Vendor: strings.TrimSpace(p.Vendor), Product: strings.TrimSpace(p.Product), Scheme: "cna",
		Ranges: vs.ranges, Default: vs.defaultOf(p), Platforms: p.Platforms, Modules: p.Modules,
	}
	if notGiven(a.Product) && !notGiven(p.PackageName) {
		a.Product = strings.TrimSpace(p.PackageName)
	}
	named := !notGiven(a.Product) && !strings.EqualFold(a.Vendor, "n/a")
	products, same := cpeProducts(p.CPEs)
	var out []vedette.Affected
	if named {
		if len(products) == 1 {
			a.Same = same
			products = nil
		}
		out = append(out, a)
	}
	for _, n := range products {
		c := a
		c.Scheme, c.Vendor, c.Product, c.CPE, c.Same = "cpe", n[cpe.Vendor].Text(), n[cpe.Product].Text(), n.String(), nil
		if c.Default == "" {
			c.Default = vedette.StatusUnknown
		}
		out = append(out, c)
	}
	if eco, ok := collections[strings.TrimRight(p.CollectionURL, "/")]; ok && !notGiven(p.PackageName) {
		c := a
		c.Scheme, c.Vendor, c.Product, c.Ecosystem, c.Same = eco.scheme, "", strings.TrimSpace(p.PackageName), eco.name, nil
		out = append(out, c)
	}
	return out
}

// redHatPackages is the collection of the packages of Red Hat's products.
const redHatPackages = "https://access.redhat.com/downloads/content/package-browser"

// redHatAffected reads an entry whose product is a distribution and whose
// versions are those of one of its packages: it is the package that is
// affected, in the ecosystem OSV names after the CPE name of the distribution
// ("Red Hat:enterprise_linux:9::baseos").
func redHatAffected(p cve.Product, vs versions) []vedette.Affected {
	a := vedette.Affected{
		Product: strings.TrimSpace(p.PackageName), Scheme: "rpm", Ecosystem: "Red Hat",
		Ranges: vs.ranges, Default: vs.defaultOf(p), Modules: p.Modules,
	}
	if len(p.CPEs) == 0 {
		a.Platforms = []string{strings.TrimSpace(p.Product)}
		return []vedette.Affected{a}
	}
	var out []vedette.Affected
	seen := map[string]bool{}
	for _, s := range p.CPEs {
		n, ok := parseCPE(s)
		if !ok {
			continue
		}
		var parts []string
		for _, i := range []int{cpe.Product, cpe.Version, cpe.Update, cpe.Edition} {
			if n[i].IsAny() {
				parts = append(parts, "")
			} else {
				parts = append(parts, n[i].Text())
			}
		}
		eco := "Red Hat:" + strings.TrimRight(strings.Join(parts, ":"), ":")
		if !seen[eco] {
			seen[eco] = true
			b := a
			b.Ecosystem, b.Platforms = eco, []string{strings.TrimSpace(p.Product)}
			out = append(out, b)
		}
	}
	return out
}

func notGiven(s string) bool {
	s = strings.TrimSpace(s)
	return s == "" || strings.EqualFold(s, "n/a")
}

// collections are the package collections whose names mean one ecosystem.
var collections = map[string]struct{ scheme, name string }{
	"https://pypi.org":                     {"pypi", "PyPI"},
	"https://pypi.python.org":              {"pypi", "PyPI"},
	"https://registry.npmjs.org":           {"npm", "npm"},
	"https://www.npmjs.com":                {"npm", "npm"},
	"https://pkg.go.dev":                   {"golang", "Go"},
	"https://crates.io":                    {"cargo", "crates.io"},
	"https://rubygems.org":                 {"gem", "RubyGems"},
	"https://repo.maven.apache.org/maven2": {"maven", "Maven"},
	"https://repo.packagist.org":           {"composer", "Packagist"},
	"https://packagist.org":                {"composer", "Packagist"},
	"https://www.nuget.org/packages":       {"nuget", "NuGet"},
	"https://api.nuget.org/v3/index.json":  {"nuget", "NuGet"},
}

// cpeProducts are the products that CPE names tell, one each, and the names
// without versions.
func cpeProducts(cpes []string) (products []cpe.Name, same []string) {
	var names adder
	seen := map[[2]cpe.Attr]bool{}
	for _, s := range cpes {
		n, ok := parseCPE(s)
		if !ok {
			continue
		}
		n = anyVersion(n)
		names.add(n.String())
		key := [2]cpe.Attr{n[cpe.Vendor], n[cpe.Product]}
		if !seen[key] {
			seen[key] = true
			products = append(products, n)
		}
	}
	return products, names.all
}

// applicability gives CPE applicability the type of an NVD configuration.
func applicability(as []cve.CPEApplicability) []nvd.Configuration {
	var out []nvd.Configuration
	for _, a := range as {
		c := nvd.Configuration{Operator: a.Operator, Negate: a.Negate}
		for _, n := range a.Nodes {
			node := nvd.Node{Operator: n.Operator, Negate: n.Negate}
			for _, m := range n.Matches {
				node.Matches = append(node.Matches, nvd.Match(m))
			}
			c.Nodes = append(c.Nodes, node)
		}
		out = append(out, c)
	}
	return out
}
