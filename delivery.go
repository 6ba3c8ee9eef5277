package vedette

import "time"

// DeliveryState is how far a delivery is.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryQueued       DeliveryState = "queued"
	DeliverySent         DeliveryState = "sent"
	DeliveryFailed       DeliveryState = "failed"  // for good: a person has to act
	DeliveryStopped      DeliveryState = "stopped" // nobody wants it any more; Note says why
	DeliveryAcknowledged DeliveryState = "acknowledged"
)

// The reasons of deliveries that no table of steps names.
const (
	ReasonAlert      = "alert"      // the first that a contact gets of a publication
	ReasonCorrection = "correction" // a newer version, to who got an older one
	ReasonWithdrawal = "withdrawal" // to who got what is taken back
)

// Delivery is that an edition goes to a contact: once for each reason.
type Delivery struct {
	Publication string        `json:"publication"` // its number
	Constituent string        `json:"constituent"`
	Version     int           `json:"version"`
	Contact     string        `json:"contact"` // mail address, or webhook:NAME
	Role        ContactRole   `json:"role"`
	Reason      string        `json:"reason"` // "alert", "correction", "withdrawal", or that of a Step
	State       DeliveryState `json:"state"`
	Due         time.Time     `json:"due"`
	Tries       int           `json:"tries"`
	Error       string        `json:"error,omitempty"` // of the last try
	Note        string        `json:"note,omitempty"`
	Sent        time.Time     `json:"sent,omitzero"`
	Acked       time.Time     `json:"acknowledged,omitzero"`
}

// Try is one try of a delivery, as the log keeps it.
type Try struct {
	Constituent string    `json:"constituent"`
	Version     int       `json:"version"`
	Contact     string    `json:"contact"`
	Reason      string    `json:"reason"`
	N           int       `json:"n"` // 1 is the first
	At          time.Time `json:"at"`
	Answer      string    `json:"answer"`
}

// Webhook is the role of a receiver that is a program.
const Webhook ContactRole = "webhook"

// Step is one line of the table of who is told when. Percent is of the time
// between the first delivery of an edition and its deadline; 0 is at once.
type Step struct {
	Percent int
	Reason  string
	To      []ContactRole
	// Until is the state of the case from which on the step is not taken any
	// more; "" is never.
	Until CaseState
}
