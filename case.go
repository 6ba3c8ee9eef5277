package vedette

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// CaseState is how far people are with a case.
type CaseState string

// The states of a case, in the order of a life.
const (
	CaseNew           CaseState = "new"
	CaseTriaged       CaseState = "triaged"
	CaseNotified      CaseState = "notified"
	CaseAcknowledged  CaseState = "acknowledged"
	CaseReportedFixed CaseState = "reported fixed" // the constituent says so; a look has to prove it
	CaseClosed        CaseState = "closed"
)

// CaseStates are all states.
var CaseStates = []CaseState{CaseNew, CaseTriaged, CaseNotified, CaseAcknowledged, CaseReportedFixed, CaseClosed}

// Case is one weakness at one constituent, covering its findings there. Its
// state is set by people; it closes by itself when every finding is fixed, and
// returns to new, with a count, when one is back. It is never rebuilt.
type Case struct {
	ID          string    `json:"id"`
	Constituent string    `json:"constituent"`
	Weakness    string    `json:"weakness"`
	State       CaseState `json:"state"`
	// ToCheck is set while no finding is confirmed or likely: a person looks first.
	ToCheck  bool      `json:"to_check,omitempty"`
	Presence Presence  `json:"presence"`
	Verdict  Verdict   `json:"verdict"`
	Findings int       `json:"findings"` // that are not fixed
	Opened   time.Time `json:"opened"`
	Changed  time.Time `json:"changed"` // its state, last
	By       string    `json:"by"`      // who changed it
	Closed   time.Time `json:"closed,omitzero"`
	Reopened int       `json:"reopened,omitempty"`
	Assignee string    `json:"assignee,omitempty"`
	Note     string    `json:"note,omitempty"`
	// Covered is the decision in force that covers all of its findings that are not fixed.
	Covered *Decision `json:"covered,omitempty"`
	// Title, the ruling and the clock are those of the weakness at the
	// constituent, as the reader may know them.
	Title      string    `json:"title,omitempty"`
	Ruling     *Ruling   `json:"ruling,omitempty"`
	ClockStart time.Time `json:"clock_start,omitzero"`
	Deadline   time.Time `json:"deadline,omitzero"`
}

// Clock is until when a weakness is to be fixed at a constituent, and why.
type Clock struct {
	Ruling   Ruling
	Asserted time.Time // when somebody first said that it is exploited; zero when nobody does
	Start    time.Time // the later of assertion and observation; zero while nothing is there
	Deadline time.Time // zero when the ruling gives none
}

// CaseID is the public id of the case of a weakness at a constituent.
func CaseID(constituent, weakness string) string {
	h := sha256.Sum256([]byte("case\x00" + constituent + "\x00" + weakness))
	return fmt.Sprintf("C-%x", h[:6])
}
