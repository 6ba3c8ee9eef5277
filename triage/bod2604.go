// Package triage decides what is to be done about findings and by when. A
// decision keeps the row of the table and every input with where it came from,
// so that anybody can redo it.
package triage

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vedette-hub/vedette"
)

//go:embed bod2604.csv
var bod2604Text string

// bodRow is one row of bod2604.csv.
type bodRow struct {
	number   int
	inputs   [4]string
	outcome  string
	days     int
	forensic bool
}

// bodInputs are the names of the inputs, in the order of the columns.
var bodInputs = [4]string{"in KEV", "publicly exposed", "automatable", "technical impact"}

var bod2604 = sync.OnceValue(func() map[[4]string]bodRow {
	rows, err := readBOD2604(bod2604Text)
	if err != nil {
		panic("triage: bod2604.csv: " + err.Error()) // embedded: a test reads it
	}
	return rows
})

func readBOD2604(text string) (map[[4]string]bodRow, error) {
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	rows := map[[4]string]bodRow{}
	for i, l := range lines[1:] {
		r := bodRow{inputs: [4]string(l[1:5]), outcome: l[5], forensic: l[7] == "yes"}
		if r.number, err = strconv.Atoi(l[0]); err != nil {
			return nil, fmt.Errorf("line %d: row %q", i+2, l[0])
		}
		if r.days, err = strconv.Atoi(l[6]); err != nil {
			return nil, fmt.Errorf("line %d: days %q", i+2, l[6])
		}
		if _, twice := rows[r.inputs]; twice {
			return nil, fmt.Errorf("line %d: %v stands twice", i+2, r.inputs)
		}
		rows[r.inputs] = r
	}
	return rows, nil
}

// BOD2604 decides how fast a vulnerability is to be fixed by the table of
// CISA's Binding Operational Directive 26-04 (SSVC decision table
// cisa:BOD2604:1.0.0): known exploitation, exposure to public networks,
// automatable, technical impact. What nobody says is assumed to be the
// stricter value, and the decision says so. Any source that confirms
// exploitation counts as KEV does, unless it has withdrawn it.
func BOD2604(v vedette.Vulnerability, exposed *bool) vedette.Ruling {
	inputs := []vedette.RulingInput{exploited(v.Exploited), exposure(exposed), automatable(v.SSVC), impact(v.SSVC)}
	var key [4]string
	for i := range inputs {
		inputs[i].Name = bodInputs[i]
		key[i] = inputs[i].Value
	}
	r := bod2604()[key]
	return vedette.Ruling{Table: "CISA BOD 26-04", Row: r.number, Inputs: inputs, Outcome: r.outcome, Days: r.days, Forensic: r.forensic}
}

func exploited(list []vedette.Exploitation) vedette.RulingInput {
	withdrawn := ""
	for _, e := range list {
		if e.Status != "confirmed" {
			continue
		}
		who := e.Source
		if who == "" {
			who = "a source"
		}
		if e.Ended.IsZero() {
			return vedette.RulingInput{Value: "yes", Why: who + " confirms exploitation" + since(e.Since)}
		}
		withdrawn = who + " withdrew its entry on " + e.Ended.Format(time.DateOnly)
	}
	if withdrawn != "" {
		return vedette.RulingInput{Value: "no", Why: withdrawn + ", and no other source confirms exploitation"}
	}
	return vedette.RulingInput{Value: "no", Why: "no source confirms exploitation"}
}

func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + t.Format(time.DateOnly)
}

func exposure(exposed *bool) vedette.RulingInput {
	switch {
	case exposed == nil:
		return vedette.RulingInput{Value: "yes", Assumed: true, Why: "nobody looked whether public networks reach it"}
	case *exposed:
		return vedette.RulingInput{Value: "yes", Why: "it was reached from public networks"}
	}
	return vedette.RulingInput{Value: "no", Why: "it is not reachable from public networks"}
}

func automatable(s *vedette.SSVC) vedette.RulingInput {
	if s != nil {
		switch a := strings.ToLower(s.Automatable); a {
		case "yes", "no":
			return vedette.RulingInput{Value: a, Why: ssvcSays(s)}
		}
	}
	return vedette.RulingInput{Value: "yes", Assumed: true, Why: "no SSVC data says whether it can be automated"}
}

func impact(s *vedette.SSVC) vedette.RulingInput {
	if s != nil {
		switch i := strings.ToLower(s.TechnicalImpact); i {
		case "partial", "total":
			return vedette.RulingInput{Value: i, Why: ssvcSays(s)}
		}
	}
	return vedette.RulingInput{Value: "total", Assumed: true, Why: "no SSVC data says how much an attacker gains"}
}

func ssvcSays(s *vedette.SSVC) string {
	if s.At.IsZero() {
		return "SSVC data of the CISA coordinator"
	}
	return "SSVC data of the CISA coordinator of " + s.At.Format(time.DateOnly)
}
