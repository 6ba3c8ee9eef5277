package web

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
)

func casePath(id string) string    { return "/cases/" + url.PathEscape(id) }
func findingPath(id string) string { return "/findings/" + url.PathEscape(id) }
func query1(s string) string       { return url.QueryEscape(s) }

func constituentName(id, name string) string { return cmp.Or(name, id) }

func orWords(s, words string) string { return cmp.Or(s, words) }

// short2 is a day and an hour.
func short2(t time.Time) string { return t.UTC().Format("2 Jan 15:04Z") }

func shortOr(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return short2(t)
}

// short3 is what tells a moment from its neighbours: the hour of today, else the day.
func short3(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	switch {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
		return t.Format("15:04Z")
	case t.Year() == now.Year():
		return t.Format("2 Jan")
	}
	return t.Format("Jan 2006")
}

// webURL is an address that a reader may follow: http or https with a host.
func webURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return u.String()
}

// defang keeps an address from being followed by mistake.
func defang(s string) string {
	s = strings.Replace(s, "http", "hxxp", 1)
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	host, path, more := strings.Cut(rest, "/")
	if more {
		path = "/" + path
	}
	return scheme + "://" + strings.ReplaceAll(host, ".", "[.]") + path
}

// bestCVSS is the score of the newest version, the highest of those.
func bestCVSS(all []vedette.CVSS) (best *vedette.CVSS) {
	for i := range all {
		if best == nil || all[i].Version > best.Version || all[i].Version == best.Version && all[i].Score > best.Score {
			best = &all[i]
		}
	}
	return best
}

// epssMoved is how the last two points differ, where one model made both.
func epssMoved(ps []vedette.Point) string {
	n := len(ps)
	if n < 2 || ps[n-1].Model != ps[n-2].Model {
		return ""
	}
	return fmt.Sprintf("%+.2f since %s", ps[n-1].Score-ps[n-2].Score, ps[n-2].Day.UTC().Format("2 Jan"))
}

// sparkPath draws a series in a box of 96 by 20.
func sparkPath(ps []vedette.Point) string {
	var b strings.Builder
	for i, p := range ps {
		fmt.Fprintf(&b, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], float64(i)*96/float64(max(1, len(ps)-1)), 19-p.Score*18)
	}
	return b.String()
}

func saysOf(x vedette.Exploitation) string {
	text := "Exploited, " + cmp.Or(x.Status, "unknown")
	if x.Status == "disputed" {
		text = "Disputed"
	}
	if !x.Ended.IsZero() {
		text += ", taken back " + day(x.Ended)
	}
	return text
}

func signalOf(x vedette.Exploitation) string {
	var out []string
	for _, s := range []string{strings.ReplaceAll(x.Signal, "_", " "), strings.ReplaceAll(x.Evidence, "_", " ")} {
		if s != "" {
			out = append(out, s)
		}
	}
	if x.Actor != "" {
		out = append(out, "by "+x.Actor)
	}
	if x.Ransomware {
		out = append(out, "in ransomware campaigns")
	}
	if !x.Due.IsZero() {
		out = append(out, "its own deadline is "+day(x.Due))
	}
	if x.Note != "" {
		out = append(out, x.Note)
	}
	return strings.Join(out, ", ")
}

// reliabilityOf is how the source of an assertion is rated. A document may name
// another as its source: then the rating is of who handed it on.
func reliabilityOf(x vedette.Exploitation, ss []vedette.JoinSource) string {
	for _, s := range ss {
		if s.Name == x.Source {
			return s.Reliability
		}
	}
	for _, s := range ss {
		if s.Says == "exploited" && s.Marking == x.Marking.String() {
			return s.Reliability
		}
	}
	return ""
}

// inputsShort is why a ruling came out as it did, in half a line.
func inputsShort(ins []vedette.RulingInput) string {
	var out []string
	for _, in := range ins {
		text := in.Name + " " + in.Value
		switch in.Value {
		case "yes":
			text = in.Name
		case "no":
			text = "not " + in.Name
		}
		out = append(out, strings.TrimPrefix(text, "publicly "))
	}
	return strings.ReplaceAll(strings.Join(out, ", "), "not publicly exposed", "not exposed")
}

func whySummary(g cveGroup) string {
	assumed := 0
	for _, in := range g.Decision.Inputs {
		if in.Assumed {
			assumed++
		}
	}
	text := "Why this deadline"
	if g.ClockStart.IsZero() {
		text = "Why no clock runs"
	}
	if assumed > 0 {
		text += fmt.Sprintf(": %s assumed", count(assumed, "input"))
	}
	return text
}

func reasonsShort(rs []string) string {
	if len(rs) == 0 {
		return "What it said"
	}
	if len(rs) == 1 {
		return rs[0]
	}
	return fmt.Sprintf("%s, and %s more", rs[0], count(len(rs)-1, "reason"))
}

func lastReason(rs []string) string {
	if len(rs) == 0 {
		return "no reason was kept"
	}
	return rs[len(rs)-1]
}

// leftAt are the constituents of places, each once.
func leftAt(hs []vedette.JoinHost) string {
	var out []string
	for _, h := range hs {
		if !slices.Contains(out, h.Constituent) {
			out = append(out, h.Constituent)
		}
	}
	if n := len(out); n > 4 {
		return strings.Join(out[:4], ", ") + fmt.Sprintf(" and %d more", n-4)
	}
	return strings.Join(out, ", ")
}

func exposure(e *bool) string {
	switch {
	case e == nil:
		return ""
	case *e:
		return "reached from public networks"
	}
	return "not reached from public networks"
}

// mitigation is one thing to do, with who says so.
type mitigation struct{ What, Text, Source string }

func mitigations(j *vedette.Join) (out []mitigation) {
	fixed := map[string]bool{}
	for _, c := range j.Constituents {
		for _, h := range c.Hosts {
			if h.Fixed != "" && !fixed[h.Fixed] {
				fixed[h.Fixed] = true
				out = append(out, mitigation{"Update", "To " + h.Fixed + " or newer.", "the affected range of the record"})
			}
		}
	}
	for _, s := range j.Solutions {
		out = append(out, mitigation{"Fix", s, "vendor, solution"})
	}
	for _, s := range j.Workarounds {
		out = append(out, mitigation{"Until then", s, "vendor, workaround"})
	}
	for _, x := range j.Exploited {
		if x.Action != "" && x.Ended.IsZero() {
			out = append(out, mitigation{"Required", x.Action, x.Source + ", required action"})
		}
	}
	return out
}

// proofPart is a part of evidence; Proof is what proved it.
type proofPart struct {
	Text  string
	Proof bool
}

// proofWords are the words of a software that its evidence shows: the version
// first, then the product.
func proofWords(software string) []string {
	var out []string
	for _, w := range strings.Fields(software) {
		if len(w) > 2 {
			out = append(out, w)
		}
	}
	return out
}

// exactly shows evidence byte for byte, what proved it marked. It writes the
// element itself: a template would put spaces between the parts.
func exactly(bytes string, words []string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b strings.Builder
		b.WriteString("<pre>")
		for _, p := range marked(bytes, words) {
			if p.Proof {
				b.WriteString("<b>" + templ.EscapeString(p.Text) + "</b>")
			} else {
				b.WriteString(templ.EscapeString(p.Text))
			}
		}
		b.WriteString("</pre>")
		_, err := io.WriteString(w, b.String())
		return err
	})
}

// marked cuts evidence at what proved it, whatever the letter case.
func marked(s string, words []string) (out []proofPart) {
	s = shown(s)
	low := strings.ToLower(s)
	if len(low) != len(s) { // letters whose small form has another length: nothing is marked
		return []proofPart{{s, false}}
	}
	for s != "" {
		at, n := -1, 0
		for _, w := range words {
			w = strings.ToLower(w)
			if i := strings.Index(low, w); w != "" && i >= 0 && (at < 0 || i < at || i == at && len(w) > n) {
				at, n = i, len(w)
			}
		}
		if at < 0 {
			return append(out, proofPart{s, false})
		}
		if at > 0 {
			out = append(out, proofPart{s[:at], false})
		}
		out = append(out, proofPart{s[at : at+n], true})
		s, low = s[at+n:], low[at+n:]
	}
	return out
}

// shown makes bytes of evidence readable: what is no text is written as \x1b.
func shown(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			if r != '\r' {
				b.WriteRune(r)
			}
		case r == '\uFFFD' && s[i] != 0xEF, r < ' ', r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r >= 0x80 && r <= 0x9f, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func openAlert(p vedette.Publication) string {
	if p.Number == "" {
		return "Open the draft of the alert"
	}
	return "Open " + p.Number
}
