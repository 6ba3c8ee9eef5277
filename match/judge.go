// Package match joins knowledge and assets: it judges whether one software is
// in the affected ranges that sources state for one vulnerability, and says why.
//
// It reasons like a careful analyst: a version is compared in the order of its
// ecosystem or not at all; "-" (no version) is not "*" (any version); a
// distribution's banner is judged by the distribution's tracker, because fixes
// are backported; a wildcard without a range proves little; where sources
// disagree, every reason names who says what.
package match

import (
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
)

// Candidate is what one source says of one product; its product is already
// known to be that of the software.
type Candidate struct {
	Source   string // short name of the source, as reasons print it: "cve", "nvd", "debian"
	Affected vedette.Affected
}

// judging is one software under judgement.
type judging struct {
	sw     vedette.Software
	cpe    cpe.Name
	hasCPE bool
	target string // what it runs on, when its CPE name tells
	v      seen
	distro distro
}

// Judge concludes from all ranges of one vulnerability whether the software is
// affected. The result is Likely, Possible, FixedByBackport, NotAffected or
// Undetermined; ByCheck and Settle refine it.
func Judge(sw vedette.Software, weakness string, ranges []Candidate) vedette.Match {
	m := vedette.Match{Weakness: weakness, Software: sw, Verdict: vedette.Undetermined}
	sw = Unpack(sw)
	j := judging{sw: sw, distro: distroOf(sw)}
	if sw.CPE != "" {
		if n, err := cpe.Parse(sw.CPE); err == nil {
			j.cpe, j.hasCPE = n, true
			if t := n[cpe.TargetSW]; !t.IsAny() && t != cpe.NA {
				j.target = t.Text()
			}
		}
	}
	version := j.version()
	if j.distro.family != "" {
		version = j.distro.upstream
	}
	j.v = see(version)
	if j.distro.family != "" {
		j.judgeDistro(&m, ranges)
	} else {
		j.judgeUpstream(&m, ranges)
	}
	if len(m.Reasons) == 0 {
		m.Reasons = []string{"no source says anything of this product"}
	}
	return m
}

// version is the version to compare: as seen, else from the CPE name.
func (j *judging) version() string {
	if j.sw.Version != "" || !j.hasCPE {
		if j.sw.Version == "*" {
			return ""
		}
		return j.sw.Version
	}
	v, u := j.cpe[cpe.Version], j.cpe[cpe.Update]
	switch {
	case v.IsAny() || v.Wild():
		return ""
	case v == cpe.NA:
		return "-"
	case u.IsAny() || u == cpe.NA || u.Wild():
		return v.Text()
	}
	if t := u.Text(); len(t) > 1 && t[0] == 'p' && isDigit(t[1]) {
		return v.Text() + t // 8.4 and p1 are 8.4p1
	}
	return v.Text() + " " + u.Text()
}

// judgeUpstream weighs what all sources say of the vendor's own version.
func (j *judging) judgeUpstream(m *vedette.Match, ranges []Candidate) {
	var buf [12]opinion
	said := buf[:0]
	for i := range ranges {
		if j.concerns(&ranges[i].Affected) {
			said = append(said, j.look(&ranges[i]))
		}
	}
	if len(said) == 0 && len(ranges) > 0 {
		m.Reasons = append(m.Reasons, "only packages of other ecosystems are named, and the packaging of this software was not seen")
		return
	}
	j.weigh(m, said)
}

// concerns says whether a candidate is about the software's own kind of
// package: a distribution's tracker says nothing of other builds.
func (j *judging) concerns(a *vedette.Affected) bool {
	if a.Ecosystem == "" {
		return a.Scheme != "deb" && a.Scheme != "rpm" && a.Scheme != "apk"
	}
	if isDistro(a.Ecosystem) {
		return false
	}
	return j.sw.Ecosystem == "" || j.distro.family != "" || sameEcosystem(a.Ecosystem, j.sw.Ecosystem)
}

func sameEcosystem(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	x, _, _ := strings.Cut(a, ":")
	y, _, _ := strings.Cut(b, ":")
	return x == y
}

// weigh takes the strongest opinion, and weakens it where a source that knows
// the product better contradicts it.
func (j *judging) weigh(m *vedette.Match, said []opinion) {
	var best, against, open *opinion
	for i := range said {
		o := &said[i]
		switch {
		case o.verdict.MakesFinding():
			if best == nil || stronger(o, best) {
				best = o
			}
		case o.verdict == vedette.NotAffected:
			if against == nil || o.explicit && !against.explicit {
				against = o
			}
		case o.verdict == vedette.Undetermined:
			if open == nil {
				open = o
			}
		}
	}
	switch {
	case best != nil:
		j.conclude(m, said, best, against)
	case against != nil:
		m.Verdict, m.Source = vedette.NotAffected, against.c.Source
		m.Reasons = append(m.Reasons, j.sentence(against))
		if open != nil && open.c.Source != against.c.Source {
			m.Reasons = append(m.Reasons, j.sentence(open))
		}
	case open != nil:
		m.Verdict, m.Source = vedette.Undetermined, open.c.Source
		m.Reasons = append(m.Reasons, j.sentence(open))
	}
}

// stronger orders positive opinions: the verdict, then evidence that bounds
// versions, then no further condition, then the vendor's word, then a known fix.
func stronger(a, b *opinion) bool {
	if a.verdict != b.verdict {
		return a.verdict.Rank() < b.verdict.Rank()
	}
	if a.wild != b.wild {
		return b.wild
	}
	if x, y := len(a.c.Affected.Requires), len(b.c.Affected.Requires); (x == 0) != (y == 0) {
		return x == 0
	}
	if x, y := a.c.Affected.Scheme == "cna", b.c.Affected.Scheme == "cna"; x != y {
		return x
	}
	return a.fix() != "" && b.fix() == ""
}

func (j *judging) conclude(m *vedette.Match, said []opinion, best, against *opinion) {
	m.Verdict, m.Source = best.verdict, best.c.Source
	m.Reasons = append(m.Reasons, j.sentence(best))
	m.Fixed = j.fixOf(best)
	m.Requires = best.c.Affected.Requires
	for i := range said {
		o := &said[i]
		if o == best || !o.verdict.MakesFinding() {
			continue
		}
		if o.c.Source != best.c.Source && !o.wild {
			addReason(m, j.sentence(o))
		}
		if m.Fixed == "" && o.verdict == vedette.Likely {
			m.Fixed = j.fixOf(o)
		}
	}
	if against == nil || against.c == best.c {
		return
	}
	better := against.explicit && best.c.Affected.Scheme == "cpe"
	switch {
	case best.wild && (against.explicit || against.c.Source != best.c.Source && len(against.c.Affected.Ranges) > 0):
		m.Verdict, m.Source, m.Fixed, m.Requires = vedette.NotAffected, against.c.Source, "", nil
		m.Reasons = append(m.Reasons, j.sentence(against), against.c.Source+" names versions, "+best.c.Source+" does not: not affected")
	case better && against.c.Source != best.c.Source:
		m.Verdict = vedette.Possible
		m.Reasons = append(m.Reasons, j.sentence(against), "the sources disagree: "+best.c.Source+" says affected, "+against.c.Source+" says not")
	case against.c.Source != best.c.Source:
		m.Reasons = append(m.Reasons, j.sentence(against))
	}
}

// addReason adds a sentence that is not there yet: a source may say the same in several entries.
func addReason(m *vedette.Match, s string) {
	for _, r := range m.Reasons {
		if r == s {
			return
		}
	}
	m.Reasons = append(m.Reasons, s)
}

// fix is the version that fixes on the branch of the range that decided.
func (o *opinion) fix() string {
	if o.at == nil || o.at.Status != vedette.StatusAffected {
		return ""
	}
	if o.at.Fixed != "" {
		return o.at.Fixed
	}
	if o.at.Exact == "" && !o.at.ToIncl && !isLast(o.at.To) {
		return o.at.To
	}
	return ""
}

// fixOf is the version that fixes: of the range that decided, else the lowest
// later version that the source calls unaffected.
func (j *judging) fixOf(o *opinion) string {
	if f := o.fix(); f != "" || j.v.text == "" || j.v.text == "-" {
		return f
	}
	a, best := &o.c.Affected, ""
	for i := range a.Ranges {
		r := &a.Ranges[i]
		from := r.From
		if r.Exact != "" {
			from = r.Exact
		}
		if r.Status != vedette.StatusUnaffected || isFirst(from) || r.FromExcl || r.Type == "git" {
			continue
		}
		if c, short, ok := j.v.compare(a.Ecosystem, from); !ok || c >= 0 || short {
			continue
		}
		if best != "" {
			if c, err := Compare(a.Ecosystem, from, best); err != nil || c >= 0 {
				continue
			}
		}
		best = from
	}
	return best
}

// ByCheck weighs who looked: the host's own inventory confirms what a banner
// makes likely; what is only declared stays declared.
func ByCheck(v vedette.Verdict, check string) vedette.Verdict {
	switch {
	case check == "declared" && v.MakesFinding():
		return vedette.DeclaredOnly
	case check == "inventory" && v == vedette.Likely:
		return vedette.Confirmed
	}
	return v
}
