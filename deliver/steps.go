package deliver

import (
	_ "embed"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette"
)

// stepsTable is who is told when: percent of the time between the first message
// and the deadline, reason, contact roles, and the state of the case from which
// on the step is not taken.
//
//go:embed steps.csv
var stepsTable string

// Steps is the table of who is told when.
func Steps() []vedette.Step {
	s, err := readSteps(strings.NewReader(stepsTable))
	if err != nil {
		panic(err) // of our own table: a test reads it
	}
	return s
}

func readSteps(r io.Reader) (out []vedette.Step, err error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil || len(rows) == 0 || strings.Join(rows[0], ",") != "percent,reason,to,until" {
		return nil, vedette.Invalid("steps: the columns are percent, reason, to, until (%v)", err)
	}
	reasons := map[string]bool{vedette.ReasonCorrection: true, vedette.ReasonWithdrawal: true}
	for i, row := range rows[1:] {
		n, err := strconv.Atoi(row[0])
		s := vedette.Step{Percent: n, Reason: row[1], Until: vedette.CaseState(row[3])}
		for _, role := range strings.Fields(row[2]) {
			s.To = append(s.To, vedette.ContactRole(role))
		}
		if err != nil || n < 0 || n > 1000 || s.Reason == "" || reasons[s.Reason] || len(s.To) == 0 || s.Until != "" && !slices.Contains(vedette.CaseStates, s.Until) || n == 0 && s.Reason != vedette.ReasonAlert {
			return nil, vedette.Invalid("steps: line %d: %v", i+2, row)
		}
		reasons[s.Reason] = true
		out = append(out, s)
	}
	return out, nil
}
