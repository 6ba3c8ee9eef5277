package web

import (
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

// answerCase sets what a constituent answers: "acknowledged" or "reported fixed",
// with a day, which goes into the note before what stands there.
func answerCase(r *face.Request, id string) error {
	c, err := r.Desk.Rows().Case(r.Context(), id)
	if err != nil {
		return err
	}
	state := vedette.CaseState(r.PostFormValue("state"))
	if state != vedette.CaseAcknowledged && state != vedette.CaseReportedFixed {
		return vedette.Invalid("state: acknowledged or reported fixed")
	}
	note, err := answerNote(state, r.PostFormValue("date"), r.PostFormValue("note"))
	if err != nil {
		return err
	}
	ch := store.CaseChange{State: &state}
	if note != "" {
		if c.Note != "" {
			note += "; " + c.Note
		}
		ch.Note = &note
	}
	out, err := r.Desk.SetCases(r.Context(), []string{id}, ch)
	if err != nil {
		return err
	}
	if out.Done == 0 && len(out.Refused) > 0 {
		return vedette.Conflict("%s", out.Refused[0])
	}
	told := "Acknowledged: the team knows that you have it."
	if state == vedette.CaseReportedFixed {
		told = "Reported fixed: a look will prove it."
	}
	r.Session.Tell(r.Context(), told, out.Undo)
	return nil
}

// answerNote is the day and the words of an answer in one line.
func answerNote(state vedette.CaseState, date, words string) (string, error) {
	var parts []string
	if date = strings.TrimSpace(date); date != "" {
		if _, err := time.Parse(time.DateOnly, date); err != nil {
			return "", vedette.Invalid("the day %q: YYYY-MM-DD", date)
		}
		if state == vedette.CaseReportedFixed {
			parts = append(parts, "fixed on "+date)
		} else {
			parts = append(parts, "fix by "+date)
		}
	}
	if words = strings.Join(strings.Fields(words), " "); words != "" {
		if len(words) > 1000 {
			return "", vedette.Invalid("the note is longer than 1000 bytes")
		}
		parts = append(parts, words)
	}
	return strings.Join(parts, ": "), nil
}
