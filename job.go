package vedette

import (
	"encoding/json"
	"time"
)

// Job is a piece of work that processes do beside commands.
type Job struct {
	ID      int64           `json:"id"`
	Kind    string          `json:"kind"`
	State   string          `json:"state"` // available, scheduled, retryable, running, completed, cancelled, discarded
	Attempt int             `json:"attempt"`
	Max     int             `json:"max"`
	Args    json.RawMessage `json:"args"` // ids alone
	Created time.Time       `json:"created"`
	Worker  string          `json:"worker,omitempty"`
	Error   string          `json:"error,omitempty"`
}
