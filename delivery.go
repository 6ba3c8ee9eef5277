package vedette

import "time"

// DeliveryState is how far a delivery is.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryQueued       DeliveryState = "queued"
	DeliverySent         DeliveryState = "sent"
	DeliveryFailed       DeliveryState = "failed" // for good: a person has to act
	DeliveryAcknowledged DeliveryState = "acknowledged"
)

// Delivery is that an edition goes to a contact: once for each reason.
type Delivery struct {
	Publication string        `json:"publication"` // its number
	Constituent string        `json:"constituent"`
	Version     int           `json:"version"`
	Contact     string        `json:"contact"` // mail address
	Role        ContactRole   `json:"role"`
	Reason      string        `json:"reason"` // "alert"
	State       DeliveryState `json:"state"`
	Due         time.Time     `json:"due"`
	Tries       int           `json:"tries"`
	Error       string        `json:"error,omitempty"`
	Sent        time.Time     `json:"sent,omitzero"`
	Acked       time.Time     `json:"acknowledged,omitzero"`
}
