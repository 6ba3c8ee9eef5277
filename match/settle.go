package match

import (
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
)

// held says whether a further condition holds on an asset.
type held uint8

const (
	unsaid held = iota // nothing seen tells
	holds
	fails
)

// Settle weighs the conditions that a match puts on the rest of the asset (AND
// nodes of NVD configurations) against the other software seen there. A
// condition that holds leaves the verdict; one that fails ends it; one nobody
// saw makes it possible at most and stays in Requires.
func Settle(m vedette.Match, on []vedette.Software) vedette.Match {
	if len(m.Requires) == 0 || !m.Verdict.MakesFinding() {
		return m
	}
	m.Reasons = append([]string(nil), m.Reasons...)
	var open []vedette.Require
	for _, r := range m.Requires {
		h, name := condition(&m.Software, on, &r)
		text := "the condition " + requireText(&r)
		switch h {
		case holds:
			m.Reasons = append(m.Reasons, text+" holds: "+name)
		case fails:
			m.Verdict, m.Fixed, m.Requires = vedette.NotAffected, "", nil
			m.Reasons = append(m.Reasons, text+" does not hold: "+name)
			return m
		default:
			open = append(open, r)
			m.Reasons = append(m.Reasons, text+" was not seen")
		}
	}
	m.Requires = open
	if len(open) > 0 && m.Verdict.Rank() < vedette.Possible.Rank() {
		m.Verdict = vedette.Possible
	}
	return m
}

func requireText(r *vedette.Require) string {
	word, list := " or ", make([]string, 0, 3)
	if r.All {
		word = " and "
	}
	for i := range r.Any {
		if i == 3 {
			list = append(list, "...")
			break
		}
		text := r.Any[i].CPE
		if n, err := cpe.Parse(text); err == nil {
			text = n[cpe.Vendor].Text() + "/" + n[cpe.Product].Text()
			if rr := r.Any[i].Range; !every(&rr) && rr.Exact != "-" && rr != (vedette.Range{Status: rr.Status}) {
				text += " " + rangeText(&rr)
			}
		}
		list = append(list, text)
	}
	if r.Negate {
		return "(none of " + strings.Join(list, word) + ")"
	}
	return "(" + strings.Join(list, word) + ")"
}

// condition evaluates one node; name is what decided.
func condition(sw *vedette.Software, on []vedette.Software, r *vedette.Require) (held, string) {
	yes, no, open := "", "", 0
	for i := range r.Any {
		switch h, name := present(sw, on, &r.Any[i]); h {
		case holds:
			yes = name
		case fails:
			no = name
		default:
			open++
		}
	}
	result, name := unsaid, ""
	switch {
	case r.All && no != "", !r.All && yes == "" && open == 0 && no != "":
		result, name = fails, no
	case r.All && open == 0 && yes != "", !r.All && yes != "":
		result, name = holds, yes
	}
	if r.Negate && result != unsaid {
		result = fails + holds - result
	}
	return result, name
}

// present says whether one CPE match is on the asset.
func present(sw *vedette.Software, on []vedette.Software, m *vedette.CPEMatch) (held, string) {
	want, err := cpe.Parse(m.CPE)
	if err != nil {
		return unsaid, ""
	}
	if want[cpe.Part] == "h" && sameDevice(sw, &want) {
		return holds, "the firmware runs on this device"
	}
	otherOS := ""
	for i := range on {
		have := nameOf(&on[i])
		if !sameProduct(&have, &want) {
			if have[cpe.Part] == "o" && want[cpe.Part] == "o" && !aboveKernel(&have) {
				otherOS = label(&on[i])
			}
			continue
		}
		if h := versionHolds(&on[i], &have, &want, m); h != unsaid {
			return h, label(&on[i])
		}
		otherOS = ""
		return unsaid, ""
	}
	if otherOS != "" {
		return fails, "the system is " + otherOS
	}
	return unsaid, ""
}

func label(sw *vedette.Software) string {
	s := sw.Product
	if s == "" && sw.Distro != "" {
		s = sw.Distro
	}
	if sw.Version != "" {
		s += " " + sw.Version
	}
	return s + " was seen"
}

// versionHolds compares the version of a condition. NVD writes "-" for "any" in
// the products something runs on: a device or a system without a version.
func versionHolds(sw *vedette.Software, have, want *cpe.Name, m *vedette.CPEMatch) held {
	for i := cpe.SWEdition; i <= cpe.Other; i++ {
		if cpe.Compare(want[i], have[i]) == cpe.Disjoint && have[i] != cpe.NA && want[i] != cpe.NA {
			return fails
		}
	}
	r := m.Range
	if every(&r) || r.Exact == "-" {
		return holds
	}
	j := judging{sw: *sw, cpe: *have, hasCPE: true}
	v := see(j.version())
	if v.text == "" || v.text == "-" {
		return unsaid
	}
	switch v.lies(&vedette.Affected{Scheme: "cpe"}, &r) {
	case inside:
		return holds
	case outside:
		return fails
	}
	return unsaid
}

// nameOf is the CPE name of a software, made from what is known when its source gave none.
func nameOf(sw *vedette.Software) cpe.Name {
	if n, err := cpe.Parse(sw.CPE); err == nil {
		return n
	}
	n := cpe.Name{cpe.Part: cpe.Any, cpe.Vendor: cpe.Literal(sw.Vendor), cpe.Product: cpe.Literal(sw.Product), cpe.Version: cpe.Literal(sw.Version)}
	if d, release, _ := strings.Cut(strings.ToLower(sw.Distro), ":"); sw.Product == "" || strings.EqualFold(sw.Product, d) {
		switch d {
		case "debian":
			n = cpe.Name{cpe.Part: "o", cpe.Vendor: "debian", cpe.Product: "debian_linux", cpe.Version: cpe.Literal(release)}
		case "ubuntu":
			n = cpe.Name{cpe.Part: "o", cpe.Vendor: "canonical", cpe.Product: "ubuntu_linux", cpe.Version: cpe.Literal(release)}
		}
	}
	return n
}

// aboveKernel: Linux is the kernel of many systems, so seeing it excludes none of them.
func aboveKernel(n *cpe.Name) bool { return n[cpe.Product] == "linux_kernel" }

func sameProduct(have, want *cpe.Name) bool {
	if !have[cpe.Part].IsAny() && have[cpe.Part] != want[cpe.Part] {
		return false
	}
	if plainName(have[cpe.Product]) != plainName(want[cpe.Product]) {
		return false
	}
	return have[cpe.Vendor].IsAny() || want[cpe.Vendor].IsAny() || plainName(have[cpe.Vendor]) == plainName(want[cpe.Vendor])
}

// sameDevice says whether the software under judgement is the firmware of the device.
func sameDevice(sw *vedette.Software, want *cpe.Name) bool {
	have := nameOf(sw)
	device := plainName(cpe.Attr(firmwareOf(string(want[cpe.Product]))))
	mine := plainName(cpe.Attr(firmwareOf(strings.ReplaceAll(string(have[cpe.Product]), " firmware", "_firmware"))))
	return mine == device && (have[cpe.Vendor].IsAny() || plainName(have[cpe.Vendor]) == plainName(want[cpe.Vendor]))
}

// plainName is a name without separators, for names of one and the same source world.
func plainName(a cpe.Attr) string {
	return strings.Map(func(c rune) rune {
		switch c {
		case '_', '-', '\\', ' ', '.':
			return -1
		}
		return c
	}, string(a))
}
