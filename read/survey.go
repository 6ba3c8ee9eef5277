package read

import (
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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

// ReadSurvey is the header and the end of a part's document, fit to be kept; its
// looks are read by the format as of any other document.
func ReadSurvey(r io.Reader) (SurveyHeader, SurveyEnd, error) {
	p := surveyParser{lines: safe.NewLines(r, safe.Limits{}), emit: func(Record) error { return nil }}
	err := p.all()
	p.head.Worker = safe.Label(p.head.Worker)
	if err != nil {
		return p.head, SurveyEnd{}, err
	}
	return p.head, p.end.fit(), nil
}

// What a part's end may carry; what an honest probe says is less.
const (
	maxRefusals = 1000
	maxFound    = 10_000
	maxCount    = 1 << 40
)

// fit is the end with nothing in it that a reader or a column could not bear.
func (e SurveyEnd) fit() SurveyEnd {
	e.Stopped = safe.Label(e.Stopped)
	e.Found = e.Found[:min(len(e.Found), maxFound)]
	e.Refusals = e.Refusals[:min(len(e.Refusals), maxRefusals)]
	for i := range e.Refusals {
		x := &e.Refusals[i]
		x.Target, x.Rule, x.Why = safe.Label(x.Target), safe.Label(x.Rule), safe.Label(x.Why)
		x.Count = max(1, min(x.Count, maxCount))
	}
	e.Sent = max(0, min(e.Sent, maxCount))
	return e
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
		if err := fitPlace(o); err != nil {
			return Said{}, vedette.Invalid("observation %d: %w", i, err)
		}
	}
	for i := range said.Coverage {
		c := &said.Coverage[i]
		if c.Asset != "" && c.Asset != look.Asset || c.Check == "" {
			return Said{}, vedette.Invalid("coverage %d is not of a check of %s", i, safe.Quote(look.Asset))
		}
		if len(c.Ports) > maxPorts || strings.Trim(c.Ports, "tcpud:,- 0123456789") != "" {
			return Said{}, vedette.Invalid("coverage %d: %s are no ports", i, safe.Quote(c.Ports))
		}
		c.Asset, c.At = look.Asset, look.At
	}
	return said, nil
}

// What a place on a host may be called, and how long a list of ports may be, in bytes.
const (
	maxPlace = 1 << 10
	maxPorts = 1 << 19
)

// fitPlace refuses what no probe can have seen.
func fitPlace(o *vedette.Observation) error {
	switch {
	case o.Port < 0 || o.Port > 65535 || (o.Port > 0) != (o.Proto != "") || o.Proto != "" && o.Proto != "tcp" && o.Proto != "udp":
		return vedette.Invalid("%s %d is no port", safe.Quote(o.Proto), o.Port)
	case !fitText(o.Path) || !fitText(o.Item):
		return vedette.Invalid("%s %s is no place", safe.Quote(o.Path), safe.Quote(o.Item))
	case len(o.Fact.Banner) > maxBanner:
		return vedette.Invalid("a banner of %d bytes", len(o.Fact.Banner))
	}
	for _, x := range o.Fact.Reports {
		if !slices.Contains(vedette.Verdicts, x.Verdict) || !fitText(x.Weakness) {
			return vedette.Invalid("%s of %s is no report", safe.Quote(string(x.Verdict)), safe.Quote(x.Weakness))
		}
	}
	for _, x := range o.Fact.Software {
		for _, text := range []string{x.Vendor, x.Product, x.Version, x.CPE, x.PURL, x.Ecosystem, x.Distro, x.PackageVersion} {
			if !fitText(text) {
				return vedette.Invalid("%s is no software", safe.Quote(text))
			}
		}
	}
	return nil
}

// fitText says whether a text can be part of a key: it is short and can be printed.
func fitText(s string) bool {
	return len(s) <= maxPlace && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError })
}
