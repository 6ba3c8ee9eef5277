package match

import (
	"strings"

	"github.com/vedette-hub/vedette"
)

// readText reads a range that a CNA wrote into the field of a single version:
// ">= 3.0, < 3.1.5", "before 5.4", "1.2 and earlier", "1.0 to 1.4". CVE Record
// Format 5.x has fields for it, but tens of thousands of records do not use
// them. It changes nothing when the text is not wholly understood.
func readText(r *vedette.Range) *vedette.Range {
	s := r.Exact
	if !strings.ContainsAny(s, " <>=,") {
		return r
	}
	out := &vedette.Range{}
	*out = *r
	out.Exact, out.Update = "", ""
	low := strings.ToLower(strings.TrimSpace(s))
	for _, w := range [...]string{"all ", "firmware ", "versions ", "version "} {
		low = strings.TrimPrefix(low, w)
	}
	if branch, rest, ok := strings.Cut(low, ": "); ok { // "ArubaOS 10.5.x.x: 10.5.0.0 and below"
		branch, wild := cutWild(branch[strings.LastIndexByte(branch, ' ')+1:])
		if !wild || !single(branch) || !readWords(rest, out) || out.From != "" {
			return r
		}
		out.From = branch
		return out
	}
	if strings.ContainsAny(low, "<>=") {
		if readOperators(low, out) {
			return out
		}
		return r
	}
	if readWords(low, out) {
		return out
	}
	return r
}

// readOperators reads "<", "<=", ">", ">=" and "=" terms joined by commas or spaces.
func readOperators(s string, r *vedette.Range) bool {
	for _, op := range [...]string{" <", " >", " ="} { // ">= 1 < 2"
		s = strings.ReplaceAll(s, op, ","+op)
	}
	for _, term := range strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == '&' }) {
		if term = strings.TrimSpace(term); term == "" {
			continue
		}
		n := len(term) - len(strings.TrimLeft(term, "<>="))
		op, v := term[:n], strings.TrimSpace(term[n:])
		if !single(v) {
			return false
		}
		switch {
		case op == "<" && r.To == "":
			r.To = v
		case op == "<=" && r.To == "":
			r.To, r.ToIncl = v, true
		case op == ">" && r.From == "":
			r.From, r.FromExcl = v, true
		case op == ">=" && r.From == "":
			r.From = v
		case (op == "=" || op == "==") && r.From == "" && r.To == "" && strings.Count(s, "=") == len(op):
			r.Exact = v
		default:
			return false
		}
	}
	return r.From != "" || r.To != "" || r.Exact != ""
}

// The words that open or close a range, and what they mean.
var (
	openings = []struct {
		word string
		incl bool
	}{{"before ", false}, {"prior to ", false}, {"prior ", false}, {"below ", false}, {"earlier than ", false},
		{"up to and including ", true}, {"up to ", true}, {"through ", true}, {"until ", true}}
	closings = []string{" and prior", " and earlier", " or earlier", " and below", " and lower", " or prior", " and before",
		" and prior versions", " and earlier versions", " or lower", " or below"}
	joins = []string{" through ", " to ", " - "}
)

func readWords(s string, r *vedette.Range) bool {
	for _, o := range openings {
		if v, ok := strings.CutPrefix(s, o.word); ok {
			r.To, r.ToIncl = strings.TrimSpace(v), o.incl
			return single(r.To)
		}
	}
	for _, c := range closings {
		if v, ok := strings.CutSuffix(s, c); ok {
			r.To, r.ToIncl = strings.TrimSpace(v), true
			return single(r.To)
		}
	}
	for _, j := range joins {
		if from, to, ok := strings.Cut(s, j); ok {
			r.From, r.To, r.ToIncl = strings.TrimSpace(from), strings.TrimSpace(to), true
			return single(r.From) && single(r.To)
		}
	}
	return false
}

// single says whether a text is one version that can be ordered.
func single(v string) bool {
	if v == "" {
		return false
	}
	base, _ := cutWild(v)
	_, err := ParseVersion(base)
	return err == nil
}
