package compose

import (
	"bytes"
	"encoding/json"
	"html/template"
	"io"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/vedette-hub/vedette"
)

// Sheet is an edition of any kind, ready to be written: its text and what stands
// around it. Marking and reader are not for the text of a kind to remember:
// every form puts them at the head and the foot, PDF on every page.
type Sheet struct {
	Kind     string // "Threat alert"
	Number   string // "" for a draft
	Version  string
	Level    string
	Marking  string // as [vedette.Marking.String] writes it
	Reader   string // the constituent
	Title    string
	Keywords []string
	Team     string // who publishes
	Drafted  time.Time
	Text     string // Markdown, from the title on
}

// name is what the edition is, on one line.
func (s Sheet) name() string {
	number, version, level := s.Number, "", ""
	if number == "" {
		number = "(draft)"
	}
	if s.Version != "" {
		version = "version " + s.Version
	}
	if s.Level != "" {
		level = "level " + s.Level
	}
	return join(" · ", s.Kind+" "+number, version, level)
}

// join joins what is not empty.
func join(by string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, by)
}

// write writes the sheet in a form; data is the edition for programs.
func (s Sheet) write(w io.Writer, form Form, data any) error {
	switch form {
	case JSON:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(data)
	case Markdown:
		_, err := io.WriteString(w, s.markdown())
		return err
	case HTML:
		return s.html(w)
	case PDF:
		return s.pdf(w)
	}
	return vedette.Invalid("no form %q; the forms are %q", form, Forms)
}

// markdown is the text between its head and its foot.
func (s Sheet) markdown() string {
	tlp, pap := labels(s.Marking)
	mark := "**" + join("** **", escape(tlp.String()), escape(pap)) + "** · "
	foot := mark + escape("for "+s.Reader)
	if !s.Drafted.IsZero() {
		foot += " · drafted " + stamp(s.Drafted)
	}
	return mark + escape(s.name()) + " · " + escape("for "+s.Reader) + "\n\n" + s.Text + "\n---\n\n" + foot + "\n"
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.Table)) // raw HTML is left out by default

// html is a whole page without script, style or picture from elsewhere.
func (s Sheet) html(w io.Writer) error {
	var body bytes.Buffer
	if err := markdown.Convert([]byte(s.Text), &body); err != nil {
		return err
	}
	t, err := template.New("page.html.tmpl").Funcs(template.FuncMap{"clean": clean, "time": stamp}).ParseFS(templates, "page.html.tmpl")
	if err != nil {
		return err
	}
	tlp, pap := labels(s.Marking)
	return t.Execute(w, struct {
		Sheet
		Name, TLP, Class, PAP string
		Body                  template.HTML
	}{s, s.name(), tlp.String(), tlpClass[tlp], pap, template.HTML(body.String())}) // goldmark's own output of escaped text
}

// Part is an edition as a part of a page that has a heading of its own.
type Part struct {
	Kind, Title, Reader string
	// HTML is the text: each heading is one lower, and links tell nobody where they
	// were followed. What came from outside was escaped before it became Markdown.
	HTML string
}

// Part is the alert for a page.
func (a Alert) Part() (Part, error) { return a.sheet().part() }

// Part is the list for a page.
func (x Exposure) Part() (Part, error) { return x.sheet().part() }

func (s Sheet) part() (Part, error) {
	src := []byte(s.Text)
	doc := markdown.Parser().Parse(text.NewReader(src))
	if err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Heading:
			if entering {
				n.Level = min(6, n.Level+1)
			}
		case *ast.AutoLink:
			n.SetAttributeString("rel", []byte("noreferrer noopener"))
		}
		return ast.WalkContinue, nil
	}); err != nil {
		return Part{}, err
	}
	var b bytes.Buffer
	err := markdown.Renderer().Render(&b, src, doc)
	return Part{s.Kind, s.Title, s.Reader, b.String()}, err
}

// tlpClass is how the page names the ink of a label.
var tlpClass = map[vedette.TLP]string{vedette.TLPClear: "clear", vedette.TLPGreen: "green", vedette.TLPAmber: "amber", vedette.TLPAmberStrict: "amber", vedette.TLPRed: "red"}

// fill runs the template of a kind. Everything that comes from outside is
// escaped there: a description must not become a heading, a link or a picture.
func fill(name string, data any) string {
	t := texttemplate.Must(texttemplate.New(name).Funcs(texttemplate.FuncMap{
		"md": escape, "time": stamp, "minute": minute, "link": linked,
	}).ParseFS(templates, name))
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		panic(err) // of the template alone: a test runs it
	}
	return squeeze(b.String())
}

// linked is an address from outside: a link that shows where it goes, or text
// that nobody follows by mistake.
func linked(s string) string {
	if to := webLink(s); to != "" {
		return "<" + to + ">" // CommonMark §6.5; webLink has neither < nor > nor space
	}
	return escape(defang(s))
}
