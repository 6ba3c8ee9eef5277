// Package policy decides who may read and do what. The store renders what it
// decides into queries, commands and routes ask May; nobody else decides.
package policy

import (
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
)

// staff serve all constituents unless they are bound to some.
var staff = []vedette.Role{vedette.Analyst, vedette.Lead}

// hub are the readers of AMBER that names no audience.
var hub = []vedette.Role{vedette.Analyst, vedette.Lead, vedette.Responder, vedette.Assessor}

// Bound says whether the principal acts for some constituents only. What
// concerns the whole store is not for it, whatever its roles.
func Bound(p vedette.Principal) bool {
	return len(p.Constituents) > 0 || p.Has(vedette.Viewer, vedette.Manager, vedette.Ingest)
}

// Constituents says which constituents' rows the principal may meet: all of
// them, or the listed ids. Nobody meets rows of a constituent by accident:
// a role without a rule here meets none.
func Constituents(p vedette.Principal) (all bool, ids []string) {
	if len(p.Constituents) > 0 {
		if p.Has(exposure...) {
			return false, p.Constituents
		}
		return false, nil
	}
	if p.Has(staff...) {
		return true, nil
	}
	return false, nil
}

// Sees says whether the principal may read what carries the marking. It is
// monotone: who sees a.Join(b) sees a and b.
//
// TLP 2.0: RED goes to named persons only; AMBER+STRICT and AMBER to the
// organisations of the audience and to the hub's own analysts; GREEN to every
// authenticated reader of intelligence; CLEAR to the world.
func Sees(p vedette.Principal, m vedette.Marking) bool {
	if !readsAtAll(p) {
		return false
	}
	if m.TLP == vedette.TLPNone || m.TLP > vedette.TLPRed {
		return false // a marking that was never decided is nobody's
	}
	groups := m.Audience.Groups()
	if m.TLP == vedette.TLPRed && !m.Audience.NamesPersons() { // quarantine
		return false
	}
	if m.TLP >= vedette.TLPAmber && !readsAmber(p, m) {
		return false
	}
	for _, g := range groups {
		if !inGroup(p, g) {
			return false
		}
		if m.TLP == vedette.TLPRed && namesPersons(g) && !slices.Contains(g, "person:"+p.Name) {
			return false // an organisation beside the names opens nothing that is RED
		}
	}
	return true
}

// readsAtAll: the machine's roles read nothing that carries a marking.
func readsAtAll(p vedette.Principal) bool {
	return p.Has(vedette.Viewer, vedette.Manager, vedette.Partner, vedette.Responder,
		vedette.Analyst, vedette.Assessor, vedette.Lead, vedette.Auditor)
}

// readsAmber: AMBER without an audience stays with the hub; members of the
// audience come in by their group. An auditor reads what was done, in the
// events, and of AMBER content only that it exists.
func readsAmber(p vedette.Principal, m vedette.Marking) bool {
	if p.Has(hub...) {
		return true
	}
	return m.Audience != "" && !p.Has(vedette.Auditor)
}

func namesPersons(group []string) bool {
	return slices.ContainsFunc(group, func(m string) bool { return strings.HasPrefix(m, "person:") })
}

func inGroup(p vedette.Principal, group []string) bool {
	for _, member := range group {
		kind, id, _ := strings.Cut(member, ":")
		switch kind {
		case vedette.HubReaders:
			if p.Has(hub...) {
				return true
			}
		case "person":
			if id == p.Name && id != "" {
				return true
			}
		case "org":
			if speaksFor(p, id) {
				return true
			}
		}
	}
	return false
}

// speaksFor: staff without a binding stand in every organisation's
// group, for the hub is the recipient; everybody else only in his own.
func speaksFor(p vedette.Principal, org string) bool {
	if slices.Contains(p.Orgs, org) || slices.Contains(p.Constituents, org) {
		return true
	}
	all, _ := Constituents(p)
	return all
}

// MayLower says whether the principal may give a thing a lower marking:
// a named lead, with a reason, and with the consent of the originator.
func MayLower(p vedette.Principal, from, to vedette.Marking, reason string, consent bool) error {
	switch {
	case covers(to, from):
		return nil
	case !p.Has(vedette.Lead):
		return vedette.Refused("lowering %s to %s needs a lead", from, to)
	case strings.TrimSpace(reason) == "":
		return vedette.Refused("lowering %s to %s needs a reason", from, to)
	case !consent:
		return vedette.Refused("lowering %s to %s needs the consent of %s", from, to, orNobody(from.Originator))
	}
	return nil
}

func orNobody(s string) string {
	if s == "" {
		return "its originator, who is not known"
	}
	return s
}

// covers says whether a is at least as strict as b in every respect.
func covers(a, b vedette.Marking) bool { return a.Join(b) == a }
