// Package compose turns what is known into publications: one file and one
// template per kind. An edition is the variant for one constituent, and is made
// from what that constituent may read: what exceeds its reader is left out, the
// edition is never raised.
package compose

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"
)

//go:embed *.tmpl
var templates embed.FS

// Form is how an edition is written.
type Form string

// The forms of an edition.
const (
	Markdown Form = "md"
	HTML     Form = "html"
	JSON     Form = "json"
	PDF      Form = "pdf"
)

// Forms are all forms.
var Forms = []Form{Markdown, HTML, JSON, PDF}

// Binary says whether a form is no text: a terminal must not get it.
func (f Form) Binary() bool { return f == PDF }

// escape makes text from outside plain text in Markdown (CommonMark §2.4), on
// one line, wherever on a line it stands.
func escape(s string) string {
	s = clean(s)
	var b strings.Builder
	if n := blockStart(s); n > 0 {
		b.WriteString(s[:n-1] + "\\" + s[n-1:n])
		s = s[n:]
	}
	for _, r := range s {
		if strings.ContainsRune("\\`*_{}[]#+!|<>~&@", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// blockStart is how long the beginning is that would start a list, a line or a
// heading where a line begins (CommonMark §4.1, §4.3, §5.2); else 0.
func blockStart(s string) int {
	if s == "" {
		return 0
	}
	if s[0] == '-' || s[0] == '=' {
		return 1
	}
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n > 0 && n < len(s) && (s[n] == '.' || s[n] == ')') && (n+1 == len(s) || s[n+1] == ' ') {
		return n + 1
	}
	return 0
}

// clean is a text on one line without control and direction characters.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff {
			return -1
		}
		return r
	}, strings.Join(strings.Fields(s), " "))
}

// defang keeps a link from being followed by mistake.
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

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("Mon 2 Jan 2006, 15:04Z")
}

// minute is a time in a table.
func minute(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

// squeeze takes out lines that a template left empty, but for one.
func squeeze(s string) string {
	for strings.Contains(s, "\n\n\n") {
		s = strings.ReplaceAll(s, "\n\n\n", "\n\n")
	}
	return strings.TrimSpace(s) + "\n"
}

// Fault is what a check of an edition found.
type Fault struct {
	Where string `json:"where"`
	What  string `json:"what"`
	Stop  bool   `json:"stop"` // it must not be approved
}

// Check looks for what must not go out: another constituent in the text, a
// source below the gate, nothing to do, a marking above the reader.
func (a Alert) Check(others []string) []Fault {
	out := names(a.sheet().Text, a.Constituent, a.Hosts, others)
	if len(a.Hosts) == 0 {
		out = append(out, Fault{"hosts", "no host of the constituent is affected: there is nothing to tell", true})
	}
	if len(a.Mitigation) == 0 {
		out = append(out, Fault{"mitigation", "no source says what to do", false})
	}
	if slices.ContainsFunc(a.Sources, func(s Source) bool { return s.Gate() }) || len(a.Sources) == 0 {
		return out
	}
	return append(out, Fault{"sources", "no source passes the gate (A1, A2, B1, B2)", false})
}

// names finds other constituents in the text of an edition.
func names(text string, whose Constituent, hosts []Host, others []string) (out []Fault) {
	text = strings.ToLower(text)
	for _, h := range hosts { // its own host may stand below another's domain
		if h.Asset != "" {
			text = strings.ReplaceAll(text, strings.ToLower(escape(h.Asset)), " ")
		}
	}
	for _, o := range others {
		if o != "" && !strings.EqualFold(o, whose.ID) && !strings.EqualFold(o, whose.Name) && mentions(text, strings.ToLower(escape(o))) {
			out = append(out, Fault{"text", fmt.Sprintf("names another constituent, %s", o), true})
		}
	}
	return out
}

// mentions says whether a word stands in a text by itself.
func mentions(text, word string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		i += at
		if !letterAt(text, i-1) && !letterAt(text, i+len(word)) {
			return true
		}
		at = i + len(word)
	}
}

func letterAt(s string, i int) bool {
	return i >= 0 && i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= '0' && s[i] <= '9')
}
