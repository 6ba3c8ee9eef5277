// Package knowledge merges what sources say of one object. Nothing a source
// says is lost: a merge keeps who says what.
package knowledge

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
)

// Fold makes the summary of an object from the statements of one marking. The
// order of the statements does not matter to the result.
func Fold(sts []vedette.Statement) vedette.Head {
	var h vedette.Head
	h.Fields = map[string]string{}
	var vulns []vedette.Vulnerability
	for _, s := range sts {
		if better(s.Name, h.Name, s.Object) {
			h.Name = s.Name
		}
		if s.Since.After(h.Modified) {
			h.Modified = s.Since
		}
		if s.Vulnerability != nil {
			vulns = append(vulns, *s.Vulnerability)
		}
		if len(h.Text) < 16<<10 && s.Text != "" {
			h.Text += " " + s.Text
		}
	}
	if h.Name == "" && len(sts) > 0 {
		h.Name = sts[0].Object
	}
	if len(vulns) > 0 {
		summarise(h.Fields, Merge(vulns))
	}
	return h
}

// Join makes one summary of those at several markings, newest first: the
// newest that says something of a field wins, but the first assertion of
// exploitation and the highest score do.
func Join(heads []vedette.Head) vedette.Head {
	j := vedette.Head{Fields: map[string]string{}}
	for _, h := range heads {
		if j.Name == "" || h.Name != "" && h.Fields["title"] != "" && j.Fields["title"] == "" {
			j.Name = h.Name
		}
		if h.Modified.After(j.Modified) {
			j.Modified = h.Modified
		}
		higher := score(h.Fields["cvss"]) > score(j.Fields["cvss"])
		for k, v := range h.Fields {
			first := (k == "exploited" || k == "published") && v < j.Fields[k]
			if j.Fields[k] == "" || first || higher && (k == "cvss" || k == "cvss_version") {
				j.Fields[k] = v
			}
		}
	}
	if j.Fields["exploited"] != "" {
		delete(j.Fields, "withdrawn") // as in Merge
	}
	return j
}

// score is a base score as summarise writes it, -1 for none.
func score(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return -1
	}
	return f
}

// better prefers a name over none and over the bare id, then the shorter, then
// the first in order.
func better(name, than, id string) bool {
	switch {
	case name == "":
		return false
	case than == "" || (than == id && name != id):
		return true
	case name == id:
		return false
	}
	return cmp.Or(cmp.Compare(len(name), len(than)), cmp.Compare(name, than)) < 0
}

func summarise(f map[string]string, v vedette.Vulnerability) {
	set := func(k, s string) {
		if s != "" {
			f[k] = s
		}
	}
	set("title", v.Title)
	if c, ok := Worst(v.CVSS); ok {
		f["cvss"] = strconv.FormatFloat(c.Score, 'f', 1, 64)
		set("cvss_version", c.Version)
	}
	if v.SSVC != nil {
		set("ssvc", fmt.Sprintf("%s/%s/%s", v.SSVC.Exploitation, v.SSVC.Automatable, v.SSVC.TechnicalImpact))
	}
	if v.Withdrawn {
		f["withdrawn"] = "yes"
	}
	if !v.Published.IsZero() {
		f["published"] = v.Published.Format(time.RFC3339)
	}
	if since := ExploitedSince(v.Exploited); !since.IsZero() {
		f["exploited"] = since.Format(time.DateOnly)
	}
}

// Worst is the highest base score, of the newest CVSS version among equals.
func Worst(cs []vedette.CVSS) (vedette.CVSS, bool) {
	if len(cs) == 0 {
		return vedette.CVSS{}, false
	}
	return slices.MaxFunc(cs, func(a, b vedette.CVSS) int {
		return cmp.Or(cmp.Compare(a.Score, b.Score), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Vector, b.Vector))
	}), true
}

// ExploitedSince is the earliest standing assertion of exploitation, zero when there is none.
func ExploitedSince(es []vedette.Exploitation) time.Time {
	var since time.Time
	for _, e := range es {
		if !Stands(e) {
			continue
		}
		if t := cmpTime(e.Since, e.Asserted); since.IsZero() || (!t.IsZero() && t.Before(since)) {
			since = t
		}
	}
	return since
}

func cmpTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// Stands says whether an assertion still says that the vulnerability is or was
// exploited: confirmed, suspected or historical, and not withdrawn.
func Stands(e vedette.Exploitation) bool {
	return e.Ended.IsZero() && (e.Status == "confirmed" || e.Status == "suspected" || e.Status == "historical")
}

// Merge is the union of what several sources say of one vulnerability: the
// first title and description that are not empty, every score, range,
// reference and assertion. It is withdrawn when any source withdrew it and
// none asserts exploitation.
func Merge(vs []vedette.Vulnerability) vedette.Vulnerability {
	var m vedette.Vulnerability
	for _, v := range vs {
		m.ID = cmp.Or(m.ID, v.ID)
		m.Title = cmp.Or(m.Title, v.Title)
		m.Description = cmp.Or(m.Description, v.Description)
		if m.Published.IsZero() || (!v.Published.IsZero() && v.Published.Before(m.Published)) {
			m.Published = v.Published
		}
		if v.Modified.After(m.Modified) {
			m.Modified = v.Modified
		}
		m.Withdrawn = m.Withdrawn || v.Withdrawn
		m.Aliases = append(m.Aliases, v.Aliases...)
		m.CVSS = append(m.CVSS, v.CVSS...)
		m.CWE = append(m.CWE, v.CWE...)
		m.Solutions = append(m.Solutions, v.Solutions...)
		m.Workarounds = append(m.Workarounds, v.Workarounds...)
		m.Affected = append(m.Affected, v.Affected...)
		m.Exploited = append(m.Exploited, v.Exploited...)
		if v.SSVC != nil && (m.SSVC == nil || v.SSVC.At.After(m.SSVC.At)) {
			m.SSVC = v.SSVC
		}
		for _, r := range v.References {
			if !slices.ContainsFunc(m.References, func(o vedette.Reference) bool { return o.URL == r.URL }) {
				m.References = append(m.References, r)
			}
		}
	}
	for _, list := range []*[]string{&m.Aliases, &m.CWE} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	slices.SortStableFunc(m.CVSS, func(a, b vedette.CVSS) int {
		return cmp.Or(cmp.Compare(b.Version, a.Version), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Vector, b.Vector))
	})
	m.CVSS = slices.Compact(m.CVSS)
	m.Withdrawn = m.Withdrawn && ExploitedSince(m.Exploited).IsZero()
	return m
}
