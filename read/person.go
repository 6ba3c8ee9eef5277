package read

import (
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// personStatement is what a person states by hand: a finding, or that two
// product names are or are not of one product. The commands write such a small
// document and take it in like any other (design section 2, Claim).
var personStatement = Format{
	Name:   "person",
	About:  "JSON statements of a person: a finding by hand, two names of one product",
	Spec:   "design section 2 (Claim); written by vedette finding add and vedette product accept",
	Syntax: "JSON",
	Source: vedette.Source{
		Name: "person", About: "statements of persons", Redistribute: "internal",
		Marking: vedette.Marking{TLP: vedette.TLPAmberStrict}, Reliability: "B", Purpose: "verdicts",
	},
	Sniff: func(head []byte) bool { return jsonWith(head, "statement").has("statement", "by", "at") },
	Parse: func(r io.Reader, emit func(Record) error) (Document, error) {
		return Document{}, jsonDocuments(r, emit)
	},
	Say: sayPerson,
}

// Person is one statement of a person.
type Person struct {
	Statement string    `json:"statement"` // "finding" or "alias"
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	Reason    string    `json:"reason,omitempty"`
	// of a finding
	Weakness    string          `json:"weakness,omitempty"` // CVE-.., CWE-.., check:NAME
	Title       string          `json:"title,omitempty"`
	Constituent string          `json:"constituent,omitempty"`
	Asset       string          `json:"asset,omitempty"`
	Port        int             `json:"port,omitempty"`
	Proto       string          `json:"proto,omitempty"`
	Path        string          `json:"path,omitempty"`
	Verdict     vedette.Verdict `json:"verdict,omitempty"`
	Exposed     *bool           `json:"exposed,omitempty"`
	// of an alias
	From     vedette.ProductName `json:"from,omitzero"`
	To       vedette.ProductName `json:"to,omitzero"`
	Rejected bool                `json:"rejected,omitempty"`
}

func sayPerson(body []byte) (Said, error) {
	var p Person
	if err := json.Unmarshal(body, &p, json.RejectUnknownMembers(true)); err != nil {
		return Said{}, vedette.Invalid("%s", safe.Reason(err))
	}
	switch p.Statement {
	case "finding":
		return sayFinding(p)
	case "alias":
		return sayAlias(p)
	}
	return Said{}, vedette.Invalid("statement is finding or alias, not %s", safe.Quote(p.Statement))
}

// WeaknessID reads the id of a weakness: a CVE, a CWE, or check:NAME.
func WeaknessID(s string) (id, typ string, err error) {
	if id, err := vedette.ParseCVE(s); err == nil {
		return id, vedette.TypeVulnerability, nil
	}
	up := strings.ToUpper(strings.TrimSpace(s))
	if n, ok := strings.CutPrefix(up, "CWE-"); ok && n != "" && len(n) < 6 && strings.Trim(n, "0123456789") == "" {
		return up, vedette.TypeWeakness, nil
	}
	low := strings.ToLower(strings.TrimSpace(s))
	if n, ok := strings.CutPrefix(low, "check:"); ok && n != "" && len(n) < 64 && strings.Trim(n, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == "" {
		return low, vedette.TypeWeakness, nil
	}
	return "", "", vedette.Invalid("weakness %s is not CVE-YYYY-NNNN, CWE-N or check:NAME", safe.Quote(s))
}

func sayFinding(p Person) (Said, error) {
	id, typ, err := WeaknessID(p.Weakness)
	if err != nil {
		return Said{}, err
	}
	asset, err := vedette.ParseAsset(p.Asset)
	if err != nil {
		return Said{}, vedette.Invalid("asset: %w", err)
	}
	if p.Port < 0 || p.Port > 65535 || (p.Proto != "" && p.Proto != "tcp" && p.Proto != "udp") || (p.Port > 0 && p.Proto == "") {
		return Said{}, vedette.Invalid("port %d %s: a port is 1 to 65535, tcp or udp", p.Port, safe.Quote(p.Proto))
	}
	if p.Verdict != vedette.Confirmed && p.Verdict != vedette.Likely && p.Verdict != vedette.Possible {
		return Said{}, vedette.Invalid("verdict %s is not confirmed, likely or possible", safe.Quote(string(p.Verdict)))
	}
	if p.At.IsZero() {
		return Said{}, vedette.Invalid("at: when it was seen is missing")
	}
	st := vedette.Statement{Object: id, Own: asset.ID, Type: typ, Name: p.Title, Since: p.At, Text: text(p.Title, p.Reason)}
	if typ == vedette.TypeVulnerability {
		st.Vulnerability = &vedette.Vulnerability{ID: id, Title: p.Title}
	}
	o := vedette.Observation{Asset: asset.ID, Port: p.Port, Proto: p.Proto, Path: p.Path, Item: id, Check: "person", At: p.At, Exposed: p.Exposed, Constituent: p.Constituent,
		Fact: vedette.Fact{Reports: []vedette.Report{{Weakness: id, Verdict: p.Verdict, Note: clip(p.Reason, 512), By: p.By}}}}
	return Said{Statements: []vedette.Statement{st}, Observations: []vedette.Observation{o}}, nil
}

func sayAlias(p Person) (Said, error) {
	if p.From.Product == "" || p.To.Product == "" {
		return Said{}, vedette.Invalid("an alias needs from and to, each with a product")
	}
	id := "product:" + p.From.Scheme + ":" + p.From.String()
	a := vedette.Alias{From: p.From, To: p.To, Reason: "decided by " + p.By, Accepted: !p.Rejected, Rejected: p.Rejected}
	if p.Reason != "" {
		a.Reason += ": " + clip(p.Reason, 200)
	}
	return Said{Statements: []vedette.Statement{{Object: id, Own: p.To.Scheme + ":" + p.To.String(), Type: vedette.TypeProduct, Name: p.From.String(), Since: p.At, Products: []vedette.Alias{a}}}}, nil
}
