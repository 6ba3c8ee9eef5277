package vedette

import "time"

// RulingInput is one input of a ruling.
type RulingInput struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Assumed bool   `json:"assumed,omitempty"` // nobody says it: the stricter value was taken
	Why     string `json:"why"`               // who says so, or why it was assumed
}

// Ruling is a row of a decision table, and how it was reached: how fast something
// is to be fixed.
type Ruling struct {
	Table    string        `json:"table"` // "CISA BOD 26-04"
	Row      int           `json:"row"`   // as the table numbers it
	Inputs   []RulingInput `json:"inputs,omitempty"`
	Outcome  string        `json:"outcome"`
	Days     int           `json:"days,omitempty"` // calendar days to fix; 0: with the next upgrade of the system
	Forensic bool          `json:"forensic,omitempty"`
}

// Deadline is the day the ruling gives, counted in calendar days from start;
// the zero time when it gives none.
func (r Ruling) Deadline(start time.Time) time.Time {
	if r.Days == 0 {
		return time.Time{}
	}
	return start.AddDate(0, 0, r.Days)
}
