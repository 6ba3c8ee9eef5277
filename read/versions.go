package read

import (
	"regexp"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cve"
)

// Versions of the CVE Record Format (cve-schema docs/versions.md). An entry
// without an upper end is one version. With lessThan or lessThanOrEqual it is
// the interval from version, included, to there; each element of changes gives
// the versions from "at" on another status. The first entry a version fits
// decides; one in no entry has the defaultStatus.
//
// What CNAs write beyond the schema is read where its meaning is plain: "*"
// and "all versions" are any version; ">= 1.0, < 1.4" and "1.4 and earlier" are
// intervals; "5.4.*" is that whole line and stays as it is. An
// entry that names no version ("n/a", "unspecified") has Exact "n/a", words that
// are no interval stay as Exact; a version in no range is then unknown, not
// unaffected. An
// end that cannot be known ("publication") makes the status unknown.

// versions are the ranges of an entry and the status of the rest.
type versions struct {
	ranges []vedette.Range
	vague  bool // some entry could not be expressed
}

func cnaVersions(p cve.Product) versions {
	var v versions
	for _, e := range p.Versions {
		v.entry(e)
	}
	v.nameFixes(p)
	return v
}

// defaultOf is the status of a version in no range.
func (v versions) defaultOf(p cve.Product) vedette.Status {
	d := vedette.Status(strings.ToLower(p.Default))
	if d != "" {
		d = status(p.Default)
	}
	if v.vague && d == vedette.StatusUnaffected {
		return vedette.StatusUnknown
	}
	return d
}

func status(s string) vedette.Status {
	switch s := vedette.Status(strings.ToLower(s)); s {
	case vedette.StatusAffected, vedette.StatusUnaffected:
		return s
	}
	return vedette.StatusUnknown
}

func (v *versions) entry(e cve.Version) {
	base := vedette.Range{Status: status(e.Status), Type: strings.TrimSpace(e.Type)}
	start := strings.TrimSpace(e.Version)
	switch {
	case strings.TrimSpace(e.LessThan) != "":
		v.interval(base, start, e.LessThan, false, e.Changes)
	case strings.TrimSpace(e.LessThanOrEqual) != "":
		v.interval(base, start, e.LessThanOrEqual, true, e.Changes)
	case len(e.Changes) > 0:
		v.interval(base, start, "*", true, e.Changes)
	default:
		v.single(base, start)
	}
}

// interval adds the ranges from start to end, split at the changes.
func (v *versions) interval(r vedette.Range, start, end string, incl bool, changes []cve.Change) {
	start = strings.TrimSpace(strings.TrimLeft(start, ">="))
	if !anyWord(start) && !noVersion(start) && start != "0" {
		r.From = strings.TrimSuffix(strings.TrimSuffix(start, ".x"), ".*")
	}
	to, incl, known := upper(strings.TrimSpace(end), incl)
	for _, c := range changes {
		at := strings.TrimSpace(c.At)
		if at == "" {
			continue
		}
		if at != r.From && !(r.From == "" && at == "0") {
			head := r
			head.To = at
			if status(c.Status) == vedette.StatusUnaffected && r.Status == vedette.StatusAffected {
				head.Fixed = at
			}
			v.add(head)
		}
		r.From, r.Status = at, status(c.Status)
	}
	r.To, r.ToIncl = to, incl && to != ""
	if !known {
		r.Status, v.vague = vedette.StatusUnknown, true
	}
	v.add(r)
}

// add normalises an interval of one version, and one without ends.
func (v *versions) add(r vedette.Range) {
	switch {
	case r.From == "" && r.To == "":
		r.Exact, r.ToIncl = "*", false
	case r.From == r.To && r.ToIncl:
		r.Exact, r.From, r.To, r.ToIncl = r.From, "", "", false
	}
	v.ranges = append(v.ranges, r)
}

// upper reads the end of an interval: "" is no end; known is false when an end
// exists that the record does not name.
func upper(s string, incl bool) (to string, inclusive, known bool) {
	if strings.HasPrefix(s, "<") {
		incl = strings.HasPrefix(s, "<=")
		s = strings.TrimSpace(strings.TrimLeft(s, "<="))
	}
	low := strings.ToLower(s)
	switch {
	case anyWord(s), low == "latest":
		return "", false, true
	case noVersion(s), low == "publication", low == "prior", strings.Contains(s, "://"):
		return "", false, false
	}
	if line, ok := cutLine(s); ok {
		return line + ".*", true, true
	}
	return s, incl, true
}

func anyWord(s string) bool {
	switch strings.TrimRight(strings.ToLower(s), ".") {
	case "*", "all", "any", "all versions", "all version", "any version", "firmware all versions", "all releases":
		return true
	}
	return false
}

func noVersion(s string) bool {
	switch strings.ToLower(s) {
	case "", "-", "n/a", "na", "none", "unspecified", "not specified", "unknown", "undefined", "various", "tbd",
		"see references", "see the reference url", "previous versions", "earlier", "prior", "next of":
		return true
	}
	return false
}

// single adds the range of an entry without an upper end.
func (v *versions) single(r vedette.Range, s string) {
	switch {
	case anyWord(s):
		r.Exact = "*"
		v.ranges = append(v.ranges, r)
	case noVersion(s):
		v.vague = true
		r.Exact = "n/a"
		v.ranges = append(v.ranges, r)
	case oneVersion.MatchString(s):
		r.Exact = s
		v.ranges = append(v.ranges, r)
	default:
		v.phrase(r, s)
	}
}

func cutLine(s string) (string, bool) {
	if line, ok := strings.CutSuffix(s, ".x"); ok {
		return line, true
	}
	return strings.CutSuffix(s, ".*")
}

const versionText = `[vV]?\d[\w.+~:-]*`

var (
	oneVersion = regexp.MustCompile(`^` + versionText + `(?:\.\*)?$`)
	comparison = regexp.MustCompile(`^(?:[,\s]*(?:and )?)(<=|>=|==|<|>|=)\s*(` + versionText + `)`)
	allBefore  = regexp.MustCompile(`(?i)^(?:all )?versions? `)
	phrases    = []struct {
		is   *regexp.Regexp
		read func(r *vedette.Range, m []string)
	}{
		{phrase(`(?:prior to|before|earlier than|lower than|below|less than) V`), func(r *vedette.Range, m []string) { r.To = m[1] }},
		{phrase(`fixed in V`), func(r *vedette.Range, m []string) { r.To, r.Fixed = m[1], m[1] }},
		{phrase(`V (?:and|or|&) (?:all )?(?:prior|earlier|below|previous|older|lower)(?: versions?| releases?)?`), upTo},
		{phrase(`(?:up to|through|until|up to and including) V`), upTo},
		{phrase(`V (?:and|or|&) (?:later|above|newer|higher|after|greater)(?: versions?| releases?)?`), func(r *vedette.Range, m []string) { r.From = m[1] }},
		{phrase(`(?:from )?V ?(?:to|through|thru|up to|-|–) ?V`), func(r *vedette.Range, m []string) { r.From, r.To, r.ToIncl = m[1], m[2], true }},
		{phrase(`(?:from )?V (?:prior to|before|to before|up to but not including) V`), func(r *vedette.Range, m []string) { r.From, r.To = m[1], m[2] }},
	}
)

func upTo(r *vedette.Range, m []string) { r.To, r.ToIncl = m[1], true }

func phrase(s string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:all )?(?:versions? )?` + strings.ReplaceAll(s, "V", `(?:versions? )?(`+versionText+`)`) + `\.?$`)
}

// phrase reads the usual ways to write an interval in words.
func (v *versions) phrase(r vedette.Range, s string) {
	if len(s) > 256 || r.Type == "git" {
		v.unread(r, s)
		return
	}
	if c, ok := comparisons(r, s); ok {
		v.add(c)
		return
	}
	if list := strings.Split(s, ","); len(list) > 1 && allVersions(list) {
		for _, one := range list {
			r.Exact = strings.TrimSpace(one)
			v.ranges = append(v.ranges, r)
		}
		return
	}
	for _, p := range phrases {
		if m := p.is.FindStringSubmatch(s); m != nil {
			p.read(&r, m)
			v.add(r)
			return
		}
	}
	v.unread(r, s)
}

// unread keeps the words, which equal no version, for a person to read.
func (v *versions) unread(r vedette.Range, s string) {
	r.Exact = s
	v.ranges = append(v.ranges, r)
	if strings.ContainsAny(s, " <>,;") {
		v.vague = true
	}
}

func allVersions(list []string) bool {
	for _, s := range list {
		if !oneVersion.MatchString(strings.TrimSpace(s)) {
			return false
		}
	}
	return true
}

// comparisons reads ">= 1.0, < 1.4" and "All versions < V1.0".
func comparisons(r vedette.Range, s string) (vedette.Range, bool) {
	s = s[len(allBefore.FindString(s)):]
	for s != "" {
		m := comparison.FindStringSubmatch(s)
		if m == nil {
			return r, false
		}
		s = s[len(m[0]):]
		switch {
		case m[1][0] == '<' && r.To == "":
			r.To, r.ToIncl = m[2], m[1] == "<="
		case m[1][0] == '>' && r.From == "":
			r.From, r.FromExcl = m[2], m[1] == ">"
		case m[1][0] == '=' && r.From+r.To == "":
			r.From, r.To, r.ToIncl = m[2], m[2], true
		default:
			return r, false
		}
	}
	return r, r.From+r.To != "" && (r.From != r.To || r.ToIncl && !r.FromExcl)
}

// nameFixes sets Fixed where the record itself says that the end of an
// affected interval is unaffected: by an entry, or by the default.
func (v *versions) nameFixes(p cve.Product) {
	good := map[string]bool{}
	for _, e := range p.Versions {
		if status(e.Status) == vedette.StatusUnaffected {
			good[strings.TrimSpace(e.Version)] = true
		}
	}
	rest := strings.EqualFold(p.Default, "unaffected")
	for i := range v.ranges {
		r := &v.ranges[i]
		if r.Status == vedette.StatusAffected && r.To != "" && !r.ToIncl && r.Fixed == "" && (good[r.To] || rest) {
			r.Fixed = r.To
		}
	}
	v.statedBefore(p)
}

// statedBefore turns "affected, but not from X on" into the interval before X,
// which is the same and names the fix: the way Red Hat writes.
func (v *versions) statedBefore(p cve.Product) {
	if len(v.ranges) != 1 || !strings.EqualFold(p.Default, "affected") {
		return
	}
	r := v.ranges[0]
	if r.Status != vedette.StatusUnaffected || r.From == "" || r.FromExcl || r.To != "" || r.Type == "git" {
		return
	}
	before := vedette.Range{Status: vedette.StatusAffected, To: r.From, Type: r.Type, Fixed: r.From}
	v.ranges = []vedette.Range{before, r}
}
