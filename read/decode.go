package read

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

const (
	maxText   = 8 << 10 // of Statement.Text
	maxBanner = 512     // of Fact.Banner
)

// refused turns an error of a decoder into the reason a record is refused.
func refused(err error) error { return vedette.Invalid("%s", safe.Reason(err)) }

// elements emits each element of the array, or member of the object, at path.
// An element that is refused ends a whole document and no other.
func elements(r io.Reader, path string, whole bool, emit func(Record) error, beside func(safe.Element) error) error {
	return safe.NewJSON(r, safe.Limits{}).Each(path, func(e safe.Element) error {
		if e.Err != nil && whole {
			return e.Err
		}
		return emit(Record{Where: e.Pointer, Body: e.Raw, Err: e.Err})
	}, beside)
}

// clip cuts a text to at most n bytes between two characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// text is what full text search reads of a statement.
func text(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return clip(strings.Join(parts, "\n"), maxText)
}

// adder collects distinct strings in order.
type adder struct {
	all  []string
	seen map[string]bool
}

func (a *adder) add(s string) {
	s = strings.TrimSpace(s)
	if s == "" || a.seen[s] {
		return
	}
	if a.seen == nil {
		a.seen = map[string]bool{}
	}
	a.seen[s] = true
	a.all = append(a.all, s)
}

// references collects references, one per address, with the tags of all.
type references struct {
	all []vedette.Reference
	at  map[string]int
}

func (r *references) add(url string, tags ...string) {
	url = strings.TrimSpace(url)
	if url == "" {
		return
	}
	i, ok := r.at[url]
	if !ok {
		if r.at == nil {
			r.at = map[string]int{}
		}
		i = len(r.all)
		r.at[url] = i
		r.all = append(r.all, vedette.Reference{URL: url})
	}
	for _, t := range tags {
		if t = strings.TrimSpace(t); t != "" && !strings.HasPrefix(t, "x_") && !slices.Contains(r.all[i].Tags, t) {
			r.all[i].Tags = append(r.all[i].Tags, t)
		}
	}
}

// cweID finds "CWE-79" at the beginning of a text, "" for none.
func cweID(s string) string {
	s = strings.TrimSpace(s)
	if len(s) < 5 || !strings.EqualFold(s[:4], "CWE-") {
		return ""
	}
	n := 4
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	if n == 4 || n > 10 {
		return ""
	}
	return "CWE-" + s[4:n]
}

// cvss completes a score as its source gives it: what it left out is computed
// from the vector.
func cvss(version, vector string, score float64, severity, source string) (vedette.CVSS, bool) {
	vector = strings.TrimSpace(vector)
	if vector == "" && score == 0 {
		return vedette.CVSS{}, false
	}
	if v, s, ok := scoreVector(vector); ok {
		version = v
		if score == 0 {
			score = s
		}
	}
	if score < 0 || score > 10 {
		return vedette.CVSS{}, false
	}
	severity = strings.ToUpper(severity)
	if severity == "" {
		severity = band(version, score)
	}
	return vedette.CVSS{Version: version, Vector: vector, Score: score, Severity: severity, Source: source}, true
}

// scoreVector computes the base score of a vector of any version of CVSS; of
// version 4.0 the score of all metrics given (CVSS-B, -BT, -BE, -BTE).
func scoreVector(vector string) (version string, score float64, ok bool) {
	if len(vector) > 512 {
		return "", 0, false
	}
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		if v, err := gocvss40.ParseVector(vector); err == nil {
			return "4.0", v.Score(), true
		}
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		if v, err := gocvss31.ParseVector(vector); err == nil {
			return "3.1", v.BaseScore(), true
		}
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		if v, err := gocvss30.ParseVector(vector); err == nil {
			return "3.0", v.BaseScore(), true
		}
	default:
		if v, err := gocvss20.ParseVector(strings.Trim(vector, "()")); err == nil {
			return "2.0", v.BaseScore(), true
		}
	}
	return "", 0, false
}

// band is the qualitative rating (CVSS 3.1 §5, 4.0 §6; for 2.0 that of the NVD).
func band(version string, score float64) string {
	switch {
	case score >= 9 && version != "2.0":
		return "CRITICAL"
	case score >= 7:
		return "HIGH"
	case score >= 4:
		return "MEDIUM"
	case score > 0 || version == "2.0":
		return "LOW"
	}
	return "NONE"
}

// canonicalID is an id of a vulnerability in canonical letter case: a CVE id
// in upper case, any other as its source writes it.
func canonicalID(s string) string {
	s = strings.TrimSpace(s)
	if id, err := vedette.ParseCVE(s); err == nil {
		return id
	}
	return s
}

// without drops one string from a list.
func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(o string) bool { return o == s })
}
