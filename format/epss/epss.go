// Package epss reads the daily table of the Exploit Prediction Scoring System
// (first.org/epss, epss_scores-YYYY-MM-DD.csv): a comment line with model and
// day, a header, and one line per CVE.
package epss

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Header is what the comment line says.
type Header struct {
	Model string // model_version
	Day   string // score_date, YYYY-MM-DD
}

// Columns is the second line.
const Columns = "cve,epss,percentile"

// ParseHeader reads "#model_version:v2025.03.14,score_date:2025-03-17T00:00:00+0000".
func ParseHeader(line string) (Header, error) {
	rest, ok := strings.CutPrefix(line, "#")
	if !ok {
		return Header{}, errors.New("the first line does not name model_version and score_date: a table of before 2021-09 cannot be dated")
	}
	var h Header
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(part, ":")
		switch strings.TrimSpace(name) {
		case "model_version":
			h.Model = strings.TrimSpace(value)
		case "score_date":
			h.Day, _, _ = strings.Cut(strings.TrimSpace(value), "T")
		}
	}
	if h.Model == "" || len(h.Model) > 64 || strings.ContainsFunc(h.Model, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Header{}, errors.New("the first line names no model_version")
	}
	if len(h.Day) != len("2025-03-17") {
		return Header{}, errors.New("the first line names no score_date")
	}
	return h, nil
}

// Row is one line.
type Row struct {
	CVE        string
	Score      float64
	Percentile float64
}

// ParseRow reads one line. Scores outside 0-1 are an error.
func ParseRow(line string) (Row, error) {
	id, rest, ok := strings.Cut(line, ",")
	score, percentile, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 {
		return Row{}, errors.New("not three columns")
	}
	if !IsCVE(id) {
		return Row{}, errors.New("the first column is not a CVE id")
	}
	r := Row{CVE: id}
	var err error
	if r.Score, err = share(score); err != nil {
		return Row{}, fmt.Errorf("epss %w", err)
	}
	if r.Percentile, err = share(percentile); err != nil {
		return Row{}, fmt.Errorf("percentile %w", err)
	}
	return r, nil
}

func share(s string) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, errors.New("is not a number")
	}
	if !(x >= 0 && x <= 1) {
		return 0, fmt.Errorf("%g is not between 0 and 1", x)
	}
	return x, nil
}

// IsCVE says whether s is a CVE id in canonical form.
func IsCVE[T string | []byte](s T) bool {
	if len(s) < len("CVE-2025-0001") || len(s) > len("CVE-2025-123456789") || string(s[:4]) != "CVE-" || s[8] != '-' {
		return false
	}
	for i := 4; i < len(s); i++ {
		if i != 8 && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// Append writes a line with the day and model it belongs to: the form in which
// a row stands alone.
func Append(dst, line []byte, h Header) []byte {
	dst = append(dst, bytes.TrimSpace(line)...)
	dst = append(append(dst, ','), h.Day...)
	return append(append(dst, ','), h.Model...)
}

// Cut takes a line of Append apart.
func Cut(s string) (line string, h Header, ok bool) {
	i := strings.LastIndexByte(s, ',')
	if i < 0 {
		return "", h, false
	}
	h.Model, s = s[i+1:], s[:i]
	i = strings.LastIndexByte(s, ',')
	if i < 0 {
		return "", h, false
	}
	h.Day = s[i+1:]
	return s[:i], h, true
}
