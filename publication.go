package vedette

import "time"

// PublicationState is how far a publication is.
type PublicationState string

// The states of a publication and of its editions.
const (
	PublicationDraft     PublicationState = "draft"
	PublicationApproved  PublicationState = "approved"
	PublicationWithdrawn PublicationState = "withdrawn"
)

// LineAuthor is the author of what the line drafts: one lead may approve it.
const LineAuthor = "line"

// Publication is an alert with its editions, one per constituent that it touches.
type Publication struct {
	ID       string           `json:"id"`
	Kind     string           `json:"kind"` // "alert"
	Weakness string           `json:"weakness"`
	Number   string           `json:"number,omitempty"` // of the series, given at the first approval
	Version  int              `json:"version"`          // of what is approved, or of the first draft
	State    PublicationState `json:"state"`
	Author   string           `json:"author"`
	Drafted  time.Time        `json:"drafted"`
	Approver string           `json:"approver,omitempty"`
	Approved time.Time        `json:"approved,omitzero"`
	Reason   string           `json:"reason,omitempty"` // of a withdrawal
	Editions int              `json:"editions"`         // that the reader sees
}

// Edition is the variant of a publication for one constituent, as it was drafted.
type Edition struct {
	Publication string           `json:"publication"`
	Constituent string           `json:"constituent"`
	Version     int              `json:"version"`
	State       PublicationState `json:"state"`
	Level       string           `json:"level"`
	Marking     Marking          `json:"marking"`
	Drafted     time.Time        `json:"drafted"`
	Deadline    time.Time        `json:"deadline,omitzero"` // until when to act; zero when no clock runs
	Body        []byte           `json:"-"`                 // the kind's own JSON
	// Says is equal for two editions that say the same but for when it was seen;
	// the body when empty.
	Says string `json:"-"`
}
