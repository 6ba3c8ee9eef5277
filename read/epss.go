package read

import (
	"bytes"
	"io"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/epss"
	"github.com/vedette-hub/vedette/safe"
)

// epssScores is one day of EPSS. There are hundreds of thousands of rows a day,
// so a row is kept as its line with day and model behind, and no JSON is made.
var epssScores = Format{
	Name:   "epss",
	About:  "EPSS: probability of exploitation within 30 days, one day",
	Spec:   "FIRST EPSS, epss_scores-YYYY-MM-DD.csv",
	Syntax: "CSV",
	Source: vedette.Source{
		Name: "epss", About: "FIRST Exploit Prediction Scoring System", Licence: "EPSS data, free use with attribution to FIRST",
		Redistribute: "attribution", Marking: vedette.Marking{TLP: vedette.TLPClear}, Reliability: "B", Purpose: "exploitation",
	},
	Sniff: func(head []byte) bool {
		return bytes.HasPrefix(head, []byte("#model_version:")) || bytes.HasPrefix(head, []byte(epss.Columns))
	},
	Parse: parseEPSS,
	Say:   sayEPSS,
}

func parseEPSS(r io.Reader, emit func(Record) error) (Document, error) {
	lines := safe.NewLines(r, safe.Limits{Line: 4 << 10})
	var head [2]string
	for i := range head {
		line, err := lines.Next()
		if err != nil && err != io.EOF {
			return Document{}, err
		}
		head[i] = string(line)
	}
	h, err := epss.ParseHeader(head[0])
	if err != nil {
		return Document{}, vedette.Invalid("line 1: %w", err)
	}
	doc := Document{Title: "EPSS " + h.Day}
	if doc.Time, err = day(h.Day); err != nil {
		return Document{}, vedette.Invalid("line 1: score_date: %w", err)
	}
	if head[1] != epss.Columns {
		return Document{}, vedette.Invalid("line 2: %s is not the header %q", safe.Quote(head[1]), epss.Columns)
	}
	var body []byte
	var where []byte
	for {
		line, err := lines.Next()
		if err == io.EOF {
			return doc, nil
		}
		if err != nil {
			return doc, err
		}
		if len(line) == 0 {
			continue
		}
		where = strconv.AppendInt(append(where[:0], "line "...), int64(lines.Line()), 10)
		rec := Record{Where: string(where)}
		if lines.Cut() {
			rec.Err = vedette.Invalid("%s: %w", where, errCut)
		} else if !plausible(line) {
			rec.Err = vedette.Invalid("%s: %s is not a CVE with two numbers", where, safe.Quote(line))
		} else {
			body = epss.Append(body[:0], line, h)
			rec.Body = body
		}
		if err := emit(rec); err != nil {
			return doc, err
		}
	}
}

// plausible is a quick look; Say looks at the numbers.
func plausible(line []byte) bool {
	i := bytes.IndexByte(line, ',')
	return i > 0 && epss.IsCVE(line[:i]) && bytes.Count(line, comma) == 2
}

var comma = []byte{','}

func sayEPSS(body []byte) (Said, error) {
	line, h, ok := epss.Cut(string(body))
	if !ok {
		return Said{}, vedette.Invalid("not a row with day and model")
	}
	row, err := epss.ParseRow(line)
	if err != nil {
		return Said{}, vedette.Invalid("%w", err)
	}
	d, ok := quickDay(h.Day)
	if !ok {
		return Said{}, vedette.Invalid("%s is not a day", safe.Quote(h.Day))
	}
	return Said{Points: []vedette.Point{{
		CVE: row.CVE, Day: d, Score: row.Score, Percentile: row.Percentile, Model: h.Model,
	}}}, nil
}

// quickDay reads YYYY-MM-DD without the cost of a layout.
func quickDay(s string) (time.Time, bool) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return time.Time{}, false
	}
	n := 0
	for i := range s {
		if i == 4 || i == 7 {
			continue
		}
		if s[i] < '0' || s[i] > '9' {
			return time.Time{}, false
		}
		n = n*10 + int(s[i]-'0')
	}
	t := time.Date(n/10000, time.Month(n/100%100), n%100, 0, 0, 0, 0, time.UTC)
	return t, t.Day() == n%100 && int(t.Month()) == n/100%100
}
