package read

import (
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/debian"
	"github.com/vedette-hub/vedette/safe"
)

// debianTracker is the export of the Debian security tracker. It is ordered by
// package; a statement is about a vulnerability, so it is turned around.
var debianTracker = Format{
	Name:   "debian",
	About:  "Debian security tracker: which package version fixes what in which release",
	Spec:   "security-tracker.debian.org/tracker/data/json",
	Syntax: "JSON",
	Source: vedette.Source{
		Name: "debian", About: "Debian security tracker", Licence: "Debian security tracker data, MIT (Expat)",
		Redistribute: "attribution", Marking: vedette.Marking{TLP: vedette.TLPClear}, Reliability: "A",
		Purpose: "backported fixes", Full: true,
	},
	Whole: true,
	Sniff: func(head []byte) bool {
		s := jsonWith(head, "releases")
		for _, names := range s.inner {
			for n := range names {
				if id, ok := strings.CutSuffix(n, "/releases"); ok && trackerID.MatchString(id) {
					return s.kind == '{'
				}
			}
		}
		return false
	},
	Parse: parseDebian,
	Say:   sayDebian,
}

var trackerID = regexp.MustCompile(`^(CVE-\d{4}-\d{4,9}|CVE-\d{4}-XXXX|TEMP-\d+-[0-9A-F]+)$`)

func parseDebian(r io.Reader, emit func(Record) error) (Document, error) {
	g := group[[]byte]{at: map[string]int{}}
	// one package may have ten thousand entries: they are read one by one
	err := safe.NewJSON(r, safe.Limits{}).Each("/*", func(issue safe.Element) error {
		if issue.Err != nil {
			return issue.Err
		}
		if !trackerID.MatchString(issue.Name) {
			return vedette.Invalid("%s: %s is no CVE and no TEMP id", safe.Label(issue.Pointer), safe.Quote(issue.Name))
		}
		b := g.of(issue.Name)
		if len(*b) == 0 {
			*b = append(*b, `{"id":"`+issue.Name+`","packages":{`...)
		} else {
			*b = append(*b, ',')
		}
		name, err := jsontext.AppendQuote(*b, issue.Of)
		if err != nil {
			return refused(err)
		}
		*b = append(append(name, ':'), issue.Raw...)
		return nil
	}, nil)
	if err != nil {
		return Document{}, err
	}
	if len(g.all) == 0 {
		return Document{}, vedette.Invalid("the tracker is empty: an empty one would close everything")
	}
	ids := slices.SortedFunc(maps.Keys(g.at), func(a, b string) int { return g.at[a] - g.at[b] })
	for i, id := range ids {
		if err := emit(Record{Where: id, Body: append(g.all[i], "}}"...)}); err != nil {
			return Document{}, err
		}
		g.all[i] = nil
	}
	return Document{}, nil
}

func sayDebian(body []byte) (Said, error) {
	r, err := debian.Decode(body)
	if err != nil {
		return Said{}, refused(err)
	}
	if !trackerID.MatchString(r.ID) {
		return Said{}, vedette.Invalid("%s is no CVE and no TEMP id", safe.Quote(r.ID))
	}
	v := &vedette.Vulnerability{ID: r.ID}
	for _, pkg := range slices.Sorted(maps.Keys(r.Packages)) {
		issue := r.Packages[pkg]
		if v.Description == "" {
			v.Description = strings.TrimSpace(issue.Description)
		}
		for _, codename := range debian.Codenames(issue) {
			v.Affected = append(v.Affected, vedette.Affected{
				Product: pkg, Scheme: "deb", Ecosystem: debian.Ecosystem(codename),
				Ranges: []vedette.Range{trackerRange(issue.Releases[codename])},
			})
		}
	}
	return Said{Statements: []vedette.Statement{{
		Object: r.ID, Type: vedette.TypeVulnerability, Text: text(v.Description), Vulnerability: v,
	}}}, nil
}

// trackerRange is the state of a package in a release. A fixed version of "0"
// says that the release never had the fault.
func trackerRange(r debian.Release) vedette.Range {
	switch {
	case r.Fixed == "0":
		return vedette.Range{Status: vedette.StatusUnaffected, Exact: "*"}
	case r.Status == "resolved" && r.Fixed != "":
		return vedette.Range{Status: vedette.StatusAffected, From: "0", To: r.Fixed, Fixed: r.Fixed}
	case r.Status == "open":
		return vedette.Range{Status: vedette.StatusAffected, From: "0"}
	}
	return vedette.Range{Status: vedette.StatusUnknown, From: "0"}
}
