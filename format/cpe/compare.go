package cpe

import "strings"

// Relation is how the set of a source attribute lies to the set of a target
// attribute (NISTIR 7696 §6.1).
type Relation uint8

// The relations of NISTIR 7696 table 6-1.
const (
	Undefined Relation = iota // the target holds a wildcard
	Disjoint
	Equal
	Subset
	Superset
)

// Compare relates a source attribute, say of a criterion, to a target
// attribute, say of what was seen (NISTIR 7696 table 6-2).
func Compare(source, target Attr) Relation {
	if source.IsAny() {
		if target.IsAny() {
			return Equal
		}
		if target != NA && target.Wild() {
			return Undefined
		}
		return Superset
	}
	if target.IsAny() {
		return Subset
	}
	if source == target && (source == NA || !source.Wild()) {
		return Equal
	}
	if target.Wild() {
		return Undefined
	}
	if source == NA || target == NA || !source.Wild() {
		return Disjoint
	}
	if wildMatch(string(source), target.Text()) {
		return Superset
	}
	return Disjoint
}

// wildMatch matches a value with wildcards at its ends to a text: "*" stands
// for any characters, n question marks for n or fewer (NISTIR 7696 §6.3).
func wildMatch(pattern, text string) bool {
	lead, trail := 0, 0 // characters allowed around the body, -1 any
	if pattern[0] == '*' {
		lead, pattern = -1, pattern[1:]
	}
	for lead >= 0 && pattern != "" && pattern[0] == '?' {
		lead, pattern = lead+1, pattern[1:]
	}
	if n := len(pattern); n > 0 && pattern[n-1] == '*' && !escapedAt(pattern, n-1) {
		trail, pattern = -1, pattern[:n-1]
	}
	for n := len(pattern); trail >= 0 && n > 0 && pattern[n-1] == '?' && !escapedAt(pattern, n-1); n = len(pattern) {
		trail, pattern = trail+1, pattern[:n-1]
	}
	body := Attr(pattern).Text()
	for at := 0; at <= len(text); at++ {
		i := strings.Index(text[at:], body)
		if i < 0 {
			return false
		}
		at += i
		after := len(text) - at - len(body)
		if (lead < 0 || at <= lead) && (trail < 0 || after <= trail) {
			return true
		}
	}
	return false
}

// Covers says whether every attribute of the source is a superset of or equal
// to the attribute of the target: the source name matches the target
// (NISTIR 7696 §7.3, CPE_SUPERSET).
func (n Name) Covers(target Name) bool {
	for i := range n {
		if r := Compare(n[i], target[i]); r != Equal && r != Superset {
			return false
		}
	}
	return true
}

// Disjoint says whether some attribute of the names excludes the other:
// no product can have both names (NISTIR 7696 §7.3, CPE_DISJOINT).
func (n Name) Disjoint(target Name) bool {
	for i := range n {
		if Compare(n[i], target[i]) == Disjoint {
			return true
		}
	}
	return false
}
