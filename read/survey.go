package read

import (
	"errors"
	"io"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// surveyPart is what a probe hands in of one part of a survey: JSON lines, a
// header, one look per asset, and an end. Without the end it was cut off and is refused.
var surveyPart = Format{
	Name:   "survey",
	About:  "one part of a vedette survey, JSON lines",
	Spec:   "design section 4, the inbox; vedette.Look",
	Syntax: "JSON",
	Source: vedette.Source{
		Name: SurveySource, About: "surveys of this hub", Redistribute: "internal",
		Marking: vedette.Marking{TLP: vedette.TLPAmberStrict}, Reliability: "A", Purpose: "assets",
	},
	Whole: true,
	Sniff: func(head []byte) bool {
		return jsonWith(head, "vedette_survey").has("vedette_survey", "survey", "part")
	},
	Parse: parseSurvey,
	Say:   saySurvey,
}

// SurveySource is the source of what this hub's own probes see.
const SurveySource = "survey"

// SurveyHeader is the first line of a part's document.
type SurveyHeader struct {
	Version     int       `json:"vedette_survey"`
	Survey      string    `json:"survey"`
	Part        int       `json:"part"`
	Constituent string    `json:"constituent"`
	At          time.Time `json:"at"`
	Worker      string    `json:"worker,omitempty"`
}

// SurveyEnd is the last line: how the part went.
type SurveyEnd struct {
	Looks    int               `json:"looks"` // lines before it
	Stopped  string            `json:"stopped,omitempty"`
	Found    []string          `json:"found,omitempty"` // names met on the way, for the plan to decide
	Refusals []vedette.Refusal `json:"refusals,omitempty"`
	Sent     int64             `json:"sent,omitempty"` // connections and sockets that were opened
}

func parseSurvey(r io.Reader, emit func(Record) error) (Document, error) {
	p := surveyParser{lines: safe.NewLines(r, safe.Limits{}), emit: emit}
	err := p.all()
	return Document{Title: "survey " + safe.Label(p.head.Survey), Time: p.head.At}, err
}

// ReadSurvey is the header and the end of a part's document; its looks are read
// by the format as of any other document.
func ReadSurvey(r io.Reader) (SurveyHeader, SurveyEnd, error) {
	p := surveyParser{lines: safe.NewLines(r, safe.Limits{}), emit: func(Record) error { return nil }}
	if err := p.all(); err != nil {
		return p.head, SurveyEnd{}, err
	}
	return p.head, *p.end, nil
}

type surveyParser struct {
	lines *safe.Lines
	emit  func(Record) error
	head  SurveyHeader
	end   *SurveyEnd
	looks int
}

func (p *surveyParser) all() error {
	for {
		line, err := p.lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.line(line)
		}
		if err != nil {
			return err
		}
	}
	if p.end == nil {
		return vedette.Invalid("the document ends without its end: the part was cut off")
	}
	return nil
}

func (p *surveyParser) line(line []byte) error {
	n := p.lines.Line()
	if n == 1 {
		if err := json.Unmarshal(line, &p.head, json.RejectUnknownMembers(true)); err != nil {
			return vedette.Invalid("line 1: %s", safe.Reason(err))
		}
		if p.head.Version != 1 {
			return vedette.Invalid("line 1: version %d, not 1", p.head.Version)
		}
		return nil
	}
	var l struct {
		End   *SurveyEnd `json:"end"`
		Asset string     `json:"asset"`
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return vedette.Invalid("line %d: %s", n, safe.Reason(err))
	}
	switch {
	case p.end != nil:
		return vedette.Invalid("line %d: stands behind the end", n)
	case l.End != nil && l.End.Looks != p.looks:
		return vedette.Invalid("line %d: %d looks stand before the end, which counts %d", n, p.looks, l.End.Looks)
	case l.End != nil:
		p.end = l.End
		return nil
	case l.Asset == "":
		return vedette.Invalid("line %d: no asset", n)
	}
	p.looks++
	return p.emit(Record{Where: "asset " + safe.Label(l.Asset), Body: line})
}

func saySurvey(body []byte) (Said, error) {
	var look vedette.Look
	if err := json.Unmarshal(body, &look, json.RejectUnknownMembers(true)); err != nil {
		return Said{}, refused(err)
	}
	a, err := vedette.ParseAsset(look.Asset)
	if err != nil || a.ID != look.Asset {
		return Said{}, vedette.Invalid("%s is no asset", safe.Quote(look.Asset))
	}
	said := Said{Observations: look.Observations, Coverage: look.Coverage}
	for i := range said.Observations {
		o := &said.Observations[i]
		if o.Asset != "" && o.Asset != look.Asset || o.Check == "" || o.Constituent != "" {
			return Said{}, vedette.Invalid("observation %d is not of a check of %s", i, safe.Quote(look.Asset))
		}
		o.Asset, o.At = look.Asset, look.At
		if len(o.Fact.Banner) > maxBanner {
			return Said{}, vedette.Invalid("observation %d: a banner of %d bytes", i, len(o.Fact.Banner))
		}
	}
	for i := range said.Coverage {
		c := &said.Coverage[i]
		if c.Asset != "" && c.Asset != look.Asset || c.Check == "" {
			return Said{}, vedette.Invalid("coverage %d is not of a check of %s", i, safe.Quote(look.Asset))
		}
		c.Asset, c.At = look.Asset, look.At
	}
	return said, nil
}
