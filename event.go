package vedette

import "time"

// Event is who did what to what, when and why: written in the transaction of
// the change, one per command or batch, never altered.
type Event struct {
	ID          int64             `json:"id"`
	At          time.Time         `json:"at"`
	Principal   string            `json:"principal"`
	Token       string            `json:"token,omitempty"`
	Verb        string            `json:"verb"`    // "import", "constituent apply", "token add", ...
	Subject     string            `json:"subject"` // what it was done to
	Constituent string            `json:"constituent,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Detail      map[string]string `json:"detail,omitempty"` // counts and hashes, never content
	Hash        string            `json:"hash,omitempty"`   // of the chain up to here, once sealed
}
