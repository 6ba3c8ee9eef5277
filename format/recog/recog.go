// Package recog reads the fingerprint files of the Recog project (recog/README
// and CONTRIBUTING, xml/fingerprints.xsd): regular expressions on one text that
// a service shows, with what the text tells of service, system and hardware.
package recog

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Head is the root element of a file.
type Head struct {
	// Matches names the text that the file is about: "ssh.banner",
	// "http_header.server". Some files say nothing; then only the name of the file tells.
	Matches    string
	Protocol   string  // "ssh", "" none
	Type       string  // of the database: "service", "util.os"
	Preference float64 // 0 to 1 among files that tell of one port; 0 unknown
}

// Fingerprint is one expression with what it tells.
type Fingerprint struct {
	Pattern     string // in the dialect of Ruby
	Flags       []string
	Certainty   float64 // 0 to 1; 1 when the file gives none
	Description string
	Examples    []Example
	Params      []Param
}

// Param sets a field: to a value (Pos 0), in which {name} stands for another
// field, or to what the group Pos of the expression caught.
type Param struct {
	Pos   int
	Name  string
	Value string
}

// Example is a text that the expression must match, with fields that it must give.
type Example struct {
	Text string
	// File names the text beside the fingerprint file instead ("_filename").
	File string
	Want map[string]string
	// Err says why the text cannot be read.
	Err error
}

// maxField bounds the runes of one field, so that a capture of a hostile text stays small.
const maxField = 256

type wireFingerprint struct {
	Pattern     string        `xml:"pattern,attr"`
	Flags       string        `xml:"flags,attr"`
	Certainty   string        `xml:"certainty,attr"`
	Description string        `xml:"description"`
	Examples    []wireExample `xml:"example"`
	Params      []wireParam   `xml:"param"`
}

type wireExample struct {
	Attrs []xml.Attr `xml:",any,attr"`
	Text  string     `xml:",chardata"`
}

type wireParam struct {
	Pos   string `xml:"pos,attr"`
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

// Parse reads one file from its tokens; each gets the fingerprints in their
// order, which matters: the first that matches a text is the one that counts.
func Parse(tokens xml.TokenReader, each func(Fingerprint) error) (Head, error) {
	d := xml.NewTokenDecoder(tokens)
	var head Head
	root := false
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			if !root {
				return head, errors.New("no element fingerprints")
			}
			return head, nil
		}
		if err != nil {
			return head, err
		}
		start, ok := t.(xml.StartElement)
		switch {
		case !ok:
		case !root:
			if start.Name.Local != "fingerprints" {
				return head, fmt.Errorf("the root element is %q and not fingerprints", start.Name.Local)
			}
			root, head = true, readHead(start)
		case start.Name.Local != "fingerprint":
			if err := d.Skip(); err != nil {
				return head, err
			}
		default:
			var w wireFingerprint
			if err := d.DecodeElement(&w, &start); err != nil {
				return head, err
			}
			f, err := w.fingerprint()
			if err != nil {
				return head, fmt.Errorf("fingerprint %q: %w", w.Pattern, err)
			}
			if err := each(f); err != nil {
				return head, err
			}
		}
	}
}

func readHead(e xml.StartElement) Head {
	var h Head
	for _, a := range e.Attr {
		switch a.Name.Local {
		case "matches":
			h.Matches = a.Value
		case "protocol":
			h.Protocol = a.Value
		case "database_type":
			h.Type = a.Value
		case "preference":
			h.Preference = fraction(a.Value)
		}
	}
	return h
}

// fraction reads a number from 0 to 1; what is none is 0.
func fraction(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return 0
	}
	return f
}

func (w wireFingerprint) fingerprint() (Fingerprint, error) {
	f := Fingerprint{Pattern: w.Pattern, Certainty: 1, Description: strings.Join(strings.Fields(w.Description), " ")}
	if w.Certainty != "" {
		f.Certainty = fraction(w.Certainty)
	}
	if w.Pattern == "" {
		return f, errors.New("no pattern")
	}
	f.Flags = strings.FieldsFunc(w.Flags, func(r rune) bool { return r == ',' || r == ' ' || r == '|' })
	for _, p := range w.Params {
		pos, err := strconv.Atoi(p.Pos)
		if err != nil || pos < 0 || p.Name == "" {
			return f, fmt.Errorf("param %q has pos %q", p.Name, p.Pos)
		}
		f.Params = append(f.Params, Param{pos, p.Name, p.Value})
	}
	for _, e := range w.Examples {
		f.Examples = append(f.Examples, e.example())
	}
	return f, nil
}

func (w wireExample) example() Example {
	e := Example{Text: strings.TrimSpace(w.Text), Want: map[string]string{}}
	encoding := ""
	for _, a := range w.Attrs {
		switch a.Name.Local {
		case "_encoding":
			encoding = a.Value
		case "_filename":
			e.File = a.Value
		default:
			e.Want[a.Name.Local] = a.Value
		}
	}
	switch encoding {
	case "":
		e.Text = w.Text
	case "base64":
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(w.Text), ""))
		e.Text, e.Err = string(b), err
	default:
		e.Err = fmt.Errorf("the encoding %q of an example is not known", encoding)
	}
	return e
}
