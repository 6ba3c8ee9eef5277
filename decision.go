package vedette

import "time"

// DecisionKind is what people decided about a weakness.
type DecisionKind string

// The kinds of decision.
const (
	RiskAccepted  DecisionKind = "risk accepted"
	FalsePositive DecisionKind = "false positive"
	NotAffectedBy DecisionKind = "not affected"
)

// DecisionKinds are all kinds.
var DecisionKinds = []DecisionKind{RiskAccepted, FalsePositive, NotAffectedBy}

// Decision is what people decided about the findings of a weakness: an interval
// with a predicate. Nothing is switched by it: what it covers is computed from
// it whenever somebody looks, so that it ends by itself.
type Decision struct {
	ID          string       `json:"id"`
	Kind        DecisionKind `json:"kind"`
	Weakness    string       `json:"weakness"`
	Constituent string       `json:"constituent,omitempty"` // "" is everywhere: the next constituents too
	Asset       string       `json:"asset,omitempty"`       // "" is every asset
	From        time.Time    `json:"from"`
	Until       time.Time    `json:"until,omitzero"` // zero is for ever; an accepted risk always ends
	Reason      string       `json:"reason"`
	By          string       `json:"by"`
	Approver    string       `json:"approver,omitempty"` // "" while nobody approved it: it covers nothing
	Approved    time.Time    `json:"approved,omitzero"`
	Ended       time.Time    `json:"ended,omitzero"` // by hand
}

// InForce says whether the decision covers anything at a time.
func (d Decision) InForce(at time.Time) bool {
	return d.Approver != "" && !at.Before(d.From) && (d.Until.IsZero() || at.Before(d.Until)) && (d.Ended.IsZero() || at.Before(d.Ended))
}

// Covers says whether a finding is among what the decision is about.
func (d Decision) Covers(f Finding) bool {
	return d.Weakness == f.Weakness && (d.Constituent == "" || d.Constituent == f.Constituent) && (d.Asset == "" || d.Asset == f.Asset)
}
