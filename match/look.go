package match

import (
	"github.com/vedette-hub/vedette"
)

// opinion is what one candidate says of the software.
type opinion struct {
	verdict  vedette.Verdict // "" when it says nothing
	c        *Candidate
	at       *vedette.Range // the range that decided, nil for the default
	explicit bool           // the source itself says that this version is not affected
	wild     bool           // affected only because all versions or none in particular are named
	unseen   string         // why it is only possible
	said     string         // the whole sentence, where no range decided
}

// look asks one candidate. The version of a distribution's package goes
// through distro.go instead.
func (j *judging) look(c *Candidate) opinion {
	a := &c.Affected
	o := opinion{c: c}
	f, why := narrow(&j.cpe, j.hasCPE, a)
	if f == misses {
		o.verdict, o.said = vedette.NotAffected, why+" ("+c.Source+")"
		return o
	}
	if g, whyg := narrowPlatform(&j.sw, j.target, a); f == fits && g == maybe {
		f, why = g, whyg
	}
	if f == fits && a.Scheme == "cna" && a.CPE == "" && nameless(a.Vendor) && j.sw.Vendor == "" && !j.hasCPE && j.sw.PURL == "" {
		f, why = maybe, "neither the source nor the look names a vendor of "+a.Product
	}
	switch j.v.text {
	case "":
		j.lookUnknown(&o)
	default:
		j.lookVersion(&o)
	}
	if f == maybe && o.verdict == vedette.Likely {
		o.verdict, o.unseen = vedette.Possible, why
	}
	return o
}

func nameless(vendor string) bool { return vendor == "" || silent(vendor) }

// defaultOf is the status of a version in no range.
func defaultOf(a *vedette.Affected) vedette.Status {
	switch {
	case a.Default != "":
		return a.Default
	case a.Scheme == "cna":
		return vedette.StatusUnknown
	}
	return vedette.StatusUnaffected
}

// lookUnknown judges software whose version nobody saw.
func (j *judging) lookUnknown(o *opinion) {
	a := &o.c.Affected
	all, cut := len(a.Ranges) == 0 && a.Default == vedette.StatusAffected, false
	some := a.Default == vedette.StatusAffected
	for i := range a.Ranges {
		r := &a.Ranges[i]
		if r.Status != vedette.StatusAffected {
			cut = true
			continue
		}
		some = true
		if every(r) {
			all, o.at = true, r
		}
	}
	switch {
	case !some && defaultOf(a) == vedette.StatusUnaffected:
		o.verdict, o.explicit = vedette.NotAffected, true
		o.said = "no affected version is named (" + o.c.Source + ")"
	case !some:
		o.verdict, o.said = vedette.Undetermined, "the source does not know which versions are affected ("+o.c.Source+")"
	case all && !cut && a.Scheme != "cpe":
		o.verdict = vedette.Likely
	case all:
		o.verdict, o.wild, o.unseen = vedette.Possible, true, "the version was not seen"
	default:
		o.verdict, o.unseen = vedette.Possible, "the version was not seen"
		o.at = soleAffected(a.Ranges)
	}
}

// soleAffected is the one affected range, nil when there are several.
func soleAffected(ranges []vedette.Range) *vedette.Range {
	var sole *vedette.Range
	for i := range ranges {
		if ranges[i].Status == vedette.StatusAffected {
			if sole != nil {
				return nil
			}
			sole = &ranges[i]
		}
	}
	return sole
}

// lookVersion judges a version that was seen. In CVE records the first entry
// that holds the version decides (CVE Record Format 5.x, product.versions);
// elsewhere a named exception wins over a range.
func (j *judging) lookVersion(o *opinion) {
	a := &o.c.Affected
	var hit, near, dark, mute *vedette.Range
	for i := range a.Ranges {
		r := &a.Ranges[i]
		if r.Exact != "" && a.Scheme != "cpe" {
			r = readText(r)
		}
		switch j.v.lies(a, r) {
		case inside:
			if hit == nil || a.Scheme != "cna" && r.Exact != "" && r.Status == vedette.StatusUnaffected {
				hit = r
			}
		case partly:
			if near == nil || near.Status != vedette.StatusAffected {
				near = r
			}
		case unclear:
			if silent(r.Exact) {
				mute = r
			} else if r.Status == vedette.StatusAffected {
				dark = r
			}
		}
		if hit != nil && a.Scheme == "cna" {
			break
		}
	}
	o.at = hit
	switch {
	case hit != nil:
		j.statusOf(o, hit.Status)
		if near != nil && (hit.Status == vedette.StatusAffected) != (near.Status == vedette.StatusAffected) {
			if near.Status == vedette.StatusAffected {
				o.at = near
			}
			o.verdict, o.unseen = vedette.Possible, "version "+j.v.text+" is not precise enough"
		}
	case near != nil && (near.Status == vedette.StatusAffected || defaultOf(a) == vedette.StatusAffected):
		o.verdict, o.at, o.unseen = vedette.Possible, near, "version "+j.v.text+" is not precise enough"
	case dark != nil:
		o.verdict, o.said = vedette.Undetermined, cannotOrder(j.v.text, o.c.Source, dark)
	case mute != nil && mute.Status == vedette.StatusAffected && a.Default != vedette.StatusUnaffected:
		o.verdict, o.wild, o.at, o.unseen = vedette.Possible, true, mute, "the source names no version"
	case j.v.text == "-" && len(a.Ranges) > 0:
		o.verdict, o.said = vedette.Undetermined, "the software is said to have no version, the source names versions ("+o.c.Source+")"
	case a.Default == vedette.StatusAffected && exceptions(a.Ranges) == 0 && len(a.Ranges) > 0:
		j.lookRedundant(o)
	default:
		j.statusOf(o, defaultOf(a))
	}
}

// exceptions counts the ranges that are not affected.
func exceptions(ranges []vedette.Range) int {
	n := 0
	for i := range ranges {
		if ranges[i].Status != vedette.StatusAffected {
			n++
		}
	}
	return n
}

// lookRedundant: some CNAs list affected ranges and call all other versions
// affected as well. Taken by the letter, the fixed version itself is affected;
// so a version above the end of a range is left open, one below is possible.
func (j *judging) lookRedundant(o *opinion) {
	a := &o.c.Affected
	for i := range a.Ranges {
		r := &a.Ranges[i]
		if r.Exact != "" {
			r = readText(r)
		}
		end := r.To
		if r.Exact != "" {
			end = r.Exact
		}
		if isLast(end) {
			continue
		}
		base, _ := cutWild(end)
		if c, _, ok := j.v.compare(a.Ecosystem, base); !ok || c >= 0 {
			o.verdict = vedette.Undetermined
			o.said = "the source calls every version affected that it does not list, but lists no exception, and version " + j.v.text +
				" is beyond an affected range (" + o.c.Source + ", " + rangeText(r) + ")"
			return
		}
	}
	o.verdict, o.unseen = vedette.Possible, "version "+j.v.text+" is older than the listed ranges, and the source calls other versions affected"
}

func cannotOrder(version, source string, r *vedette.Range) string {
	if r.Type == "git" {
		return "the source gives commits, which have no order (" + source + ")"
	}
	return "version " + version + " cannot be ordered (" + source + ", " + rangeText(r) + ")"
}

// statusOf turns a status into a verdict; o.at is nil when it is the default.
func (j *judging) statusOf(o *opinion, s vedette.Status) {
	a := &o.c.Affected
	switch s {
	case vedette.StatusAffected:
		o.verdict = vedette.Likely
		if o.at != nil && every(o.at) && a.Scheme == "cpe" {
			o.verdict, o.wild, o.unseen = vedette.Possible, true, "no version bounds the match"
		}
	case vedette.StatusUnaffected:
		o.verdict = vedette.NotAffected
		o.explicit = a.Scheme == "cna" && (o.at != nil || a.Default == vedette.StatusUnaffected) || sameEcosystem(a.Ecosystem, j.sw.Ecosystem)
	default:
		o.verdict = vedette.Undetermined
	}
}

// sentence says what the candidate says.
func (j *judging) sentence(o *opinion) string {
	src, a := o.c.Source, &o.c.Affected
	switch {
	case o.said != "":
		return o.said
	case o.unseen != "" && o.at != nil:
		return o.unseen + " (" + src + ", " + rangeText(o.at) + ")"
	case o.unseen != "":
		return o.unseen + " (" + src + ")"
	case o.verdict == vedette.Likely && o.at != nil:
		return sayInside(j.v.text, src, o.at)
	case o.verdict == vedette.Likely && j.v.text == "":
		return "every version is affected (" + src + ")"
	case o.verdict == vedette.Likely:
		return "version " + j.v.text + " is not among the exceptions, and every other version is affected (" + src + ")"
	case o.verdict == vedette.NotAffected && o.at != nil:
		return "version " + j.v.text + " is stated to be unaffected (" + src + ", " + rangeText(o.at) + ")"
	case o.verdict == vedette.NotAffected:
		return sayOutside(j.v.text, src, a.Ranges)
	}
	return "the source leaves version " + j.v.text + " open (" + src + ")"
}
