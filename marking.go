package vedette

import (
	"slices"
	"strings"
)

// TLP is a FIRST Traffic Light Protocol 2.0 label. Greater is stricter.
// The zero value is no label: a source's default has to fill it.
type TLP uint8

// The labels of TLP 2.0 §2, in order of strictness.
const (
	TLPNone TLP = iota
	TLPClear
	TLPGreen
	TLPAmber
	TLPAmberStrict
	TLPRed
)

var tlpNames = [...]string{"", "TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"}

// String is the label as TLP 2.0 writes it, "" for none.
func (t TLP) String() string {
	if int(t) < len(tlpNames) {
		return tlpNames[t]
	}
	return "TLP:RED"
}

// ParseTLP reads a label in any letter case, with or without "TLP:"; WHITE of
// TLP 1 is CLEAR. Anything else, look-alike letters included, is an error, and
// the caller must treat what it marks as RED.
func ParseTLP(s string) (TLP, error) {
	switch strings.TrimPrefix(upper(s), "TLP:") {
	case "CLEAR", "WHITE":
		return TLPClear, nil
	case "GREEN":
		return TLPGreen, nil
	case "AMBER":
		return TLPAmber, nil
	case "AMBER+STRICT":
		return TLPAmberStrict, nil
	case "RED":
		return TLPRed, nil
	}
	return TLPRed, Invalid("marking %q is not CLEAR, GREEN, AMBER, AMBER+STRICT or RED", s)
}

// upper raises ASCII letters only: Unicode knows letters outside of ASCII whose
// capital is in it ("ı" of WHITE, "ſ" of STRICT).
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

// PAP is the Permissible Actions Protocol: what may be done with a thing.
// Greater is stricter; the zero value says nothing.
type PAP uint8

// The values of PAP (MISP taxonomy PAP v3).
const (
	PAPNone PAP = iota
	PAPClear
	PAPGreen
	PAPAmber
	PAPRed
)

var papNames = [...]string{"", "PAP:CLEAR", "PAP:GREEN", "PAP:AMBER", "PAP:RED"}

// String is the value with its prefix, "" for none.
func (p PAP) String() string {
	if int(p) < len(papNames) {
		return papNames[p]
	}
	return "PAP:RED"
}

// ParsePAP reads a PAP value as ParseTLP reads a label.
func ParsePAP(s string) (PAP, error) {
	switch strings.TrimPrefix(upper(s), "PAP:") {
	case "CLEAR", "WHITE":
		return PAPClear, nil
	case "GREEN":
		return PAPGreen, nil
	case "AMBER":
		return PAPAmber, nil
	case "RED":
		return PAPRed, nil
	}
	return PAPRed, Invalid("PAP %q is not CLEAR, GREEN, AMBER or RED", s)
}

// Marking says who may read a thing and what they may do with it. It is comparable.
type Marking struct {
	TLP TLP
	PAP PAP
	// Originator is who must consent to a lower marking: a source, a
	// constituent or HubOriginator; several are joined with ",".
	Originator string
	// Audience narrows the readers further.
	Audience Audience
}

// HubOriginator marks what the hub itself saw on a constituent's assets.
const HubOriginator = "hub"

// String is the label, the PAP and the audience, as a person reads them.
func (m Marking) String() string {
	s := m.TLP.String()
	if m.PAP != PAPNone {
		s += " " + m.PAP.String()
	}
	if m.Audience != "" {
		s += " [" + string(m.Audience) + "]"
	}
	return s
}

// Join is the marking of what is made of both: whoever may read the result may
// read each part. It is commutative, associative and idempotent.
//
// An empty audience is not everybody above GREEN: AMBER without one is the
// hub's own, RED without a named person is nobody's. The result says so in its
// audience where the other part's audience would hide it.
func (m Marking) Join(o Marking) Marking {
	if m == o {
		return m
	}
	m, o = m.decided(), o.decided()
	j := Marking{
		TLP:        max(m.TLP, o.TLP),
		PAP:        max(m.PAP, o.PAP),
		Originator: originators(m, o),
		Audience:   m.readers().And(o.readers()),
	}
	switch {
	case j.TLP == TLPRed && (contains(j.Audience, nobody) || !j.Audience.NamesPersons()),
		(j.TLP == TLPAmber || j.TLP == TLPAmberStrict) && j.Audience == Audience(HubReaders):
		j.Audience = "" // what it means at this label
	}
	return j
}

// decided takes what is no label for RED: nobody has decided who may read it.
func (m Marking) decided() Marking {
	if m.TLP == TLPNone || m.TLP > TLPRed {
		m.TLP, m.Audience = TLPRed, ""
	}
	return m
}

// HubReaders is the member of an audience that the hub's own people are: the
// audience of AMBER without one, once it is joined with another.
const HubReaders = "hub"

// nobody is a member that no reader is.
const nobody = "nobody"

// readers is the audience with what the label alone says of it.
func (m Marking) readers() Audience {
	switch {
	case m.TLP == TLPRed && !m.Audience.NamesPersons():
		return nobody
	case (m.TLP == TLPAmber || m.TLP == TLPAmberStrict) && m.Audience == "":
		return HubReaders
	}
	return m.Audience
}

func contains(a Audience, member string) bool {
	return slices.ContainsFunc(a.Groups(), func(g []string) bool { return slices.Contains(g, member) })
}

// NamesPersons says whether a group of the audience names a person.
func (a Audience) NamesPersons() bool {
	return slices.ContainsFunc(a.Groups(), func(g []string) bool {
		return slices.ContainsFunc(g, func(m string) bool { return strings.HasPrefix(m, "person:") })
	})
}

// originators: nobody has to consent to the sharing of what is public already.
func originators(a, b Marking) string {
	switch {
	case a.TLP <= TLPClear && b.TLP > TLPClear:
		return b.Originator
	case b.TLP <= TLPClear && a.TLP > TLPClear:
		return a.Originator
	}
	return union(a.Originator, b.Originator, ",")
}

// Audience is a conjunction of groups of readers: "org:alpha|person:ana&org:bravo"
// is read by those in (alpha or ana) and in bravo. The empty audience narrows nothing.
// Members are "org:ID" (a constituent or partner) and "person:NAME"; a join
// may put HubReaders in.
type Audience string

// ToOrgs is the audience of any of the organisations.
func ToOrgs(ids ...string) Audience { return group("org:", ids) }

// ToPersons is the audience of any of the named persons.
func ToPersons(names ...string) Audience { return group("person:", names) }

func group(prefix string, ids []string) Audience {
	members := make([]string, len(ids))
	for i, id := range ids {
		members[i] = prefix + id
	}
	slices.Sort(members)
	return Audience(strings.Join(slices.Compact(members), "|"))
}

// ParseAudience reads the canonical or any equivalent form.
func ParseAudience(s string) (Audience, error) {
	var a Audience
	if strings.TrimSpace(s) == "" {
		return "", nil
	}
	for _, g := range strings.Split(s, "&") {
		members := strings.Split(g, "|")
		for i, m := range members {
			m = strings.TrimSpace(m)
			kind, id, ok := strings.Cut(m, ":")
			if !ok || id == "" || (kind != "org" && kind != "person") || strings.ContainsAny(id, ",&| \t\n") {
				return "", Invalid("audience member %q is not org:ID or person:NAME", m)
			}
			members[i] = m
		}
		slices.Sort(members)
		a = a.And(Audience(strings.Join(slices.Compact(members), "|")))
	}
	return a, nil
}

// And narrows the audience by another.
func (a Audience) And(b Audience) Audience { return Audience(union(string(a), string(b), "&")) }

// Groups are the conjuncts, each a list of members of which one must hold.
func (a Audience) Groups() [][]string {
	if a == "" {
		return nil
	}
	var gs [][]string
	for _, g := range strings.Split(string(a), "&") {
		gs = append(gs, strings.Split(g, "|"))
	}
	return gs
}

// union merges two sorted lists written with a separator into one.
func union(a, b, sep string) string {
	if a == b || b == "" {
		return a
	}
	if a == "" {
		return b
	}
	all := append(strings.Split(a, sep), strings.Split(b, sep)...)
	slices.Sort(all)
	return strings.Join(slices.Compact(all), sep)
}
