// Package compose turns what is known into publications: one file and one
// template per kind. An edition is the variant for one constituent, and is made
// from what that constituent may read: what exceeds its reader is left out, the
// edition is never raised.
package compose

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"github.com/vedette-hub/vedette"
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
)

// Forms are all forms.
var Forms = []Form{Markdown, HTML, JSON}

// Write writes an alert in a form.
func (a Alert) Write(w io.Writer, form Form) error {
	switch form {
	case JSON:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(a)
	case Markdown:
		_, err := io.WriteString(w, a.text())
		return err
	case HTML:
		return a.html(w)
	}
	return vedette.Invalid("no form %q; the forms are %q", form, Forms)
}

// text is the alert in Markdown. Everything that comes from outside is escaped:
// a description must not become a heading, a link or a picture.
func (a Alert) text() string {
	t := texttemplate.Must(texttemplate.New("alert.md.tmpl").Funcs(texttemplate.FuncMap{
		"md": escape, "time": stamp, "place": Host.place, "defang": func(s string) string { return escape(defang(s)) },
	}).ParseFS(templates, "alert.md.tmpl"))
	var b bytes.Buffer
	if err := t.Execute(&b, a); err != nil {
		panic(err) // of the template alone: a test runs it
	}
	return squeeze(b.String())
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.Table)) // raw HTML is left out by default

// html is a whole page without script, style or picture from elsewhere.
func (a Alert) html(w io.Writer) error {
	var body bytes.Buffer
	if err := markdown.Convert([]byte(a.text()), &body); err != nil {
		return err
	}
	t, err := template.New("page.html.tmpl").Funcs(template.FuncMap{"clean": clean}).ParseFS(templates, "page.html.tmpl")
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		Alert
		Body template.HTML
	}{a, template.HTML(body.String())}) // goldmark's own output of escaped text
}

// escape makes text from outside plain text in Markdown (CommonMark §2.4), on one line.
func escape(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		switch {
		case strings.ContainsRune("\\`*_{}[]()#+-.!|<>~&\"'$^=:@/", r) && !plainInside(r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
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

// plainInside are punctuation characters that mean nothing where we put text:
// never at the start of a line.
func plainInside(r rune) bool { return strings.ContainsRune("-.():/'\"=$^,", r) }

// defang keeps a link from being followed by mistake.
func defang(s string) string {
	s = strings.Replace(s, "http", "hxxp", 1)
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	host, path, _ := strings.Cut(rest, "/")
	if path != "" {
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
	var out []Fault
	text := strings.ToLower(a.text())
	for _, o := range others {
		if o != "" && !strings.EqualFold(o, a.Constituent.ID) && !strings.EqualFold(o, a.Constituent.Name) && mentions(text, strings.ToLower(escape(o))) {
			out = append(out, Fault{"text", fmt.Sprintf("names another constituent, %s", o), true})
		}
	}
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
