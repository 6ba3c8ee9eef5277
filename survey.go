package vedette

import (
	"net/netip"
	"time"
)

// SurveyKind says what a survey is for.
type SurveyKind string

// The kinds of survey.
const (
	FullSurvey    SurveyKind = "survey"  // all that the scope authorises
	RetestSurvey  SurveyKind = "retest"  // the places of one finding
	ConfirmSurvey SurveyKind = "confirm" // the places that a new exploitation hits
)

// SurveyState is how far a survey or one of its parts is.
type SurveyState string

// The states of a survey and of its parts.
const (
	SurveyWaiting SurveyState = "waiting"
	SurveyRunning SurveyState = "running"
	SurveyDone    SurveyState = "done"
	SurveyStopped SurveyState = "stopped" // by a person, or because its authorisation ended
	SurveyFailed  SurveyState = "failed"  // tried too often
)

// Survey is one run over what a constituent exposes: its plan is its parts.
type Survey struct {
	ID          string      `json:"id"`
	Constituent string      `json:"constituent"`
	Kind        SurveyKind  `json:"kind"`
	State       SurveyState `json:"state"`
	By          string      `json:"by"`
	Asked       time.Time   `json:"asked"`
	Ended       time.Time   `json:"ended,omitzero"`
	Parts       int         `json:"parts"`
	Done        int         `json:"done"` // parts that are not waiting and not running
	Note        string      `json:"note,omitempty"`
}

// Part is a piece of a survey that one process works at a time.
type Part struct {
	Survey      string     `json:"survey"`
	Constituent string     `json:"constituent"`
	N           int        `json:"n"`
	Class       CheckClass `json:"class"`              // the furthest its checks go
	Furthest    CheckClass `json:"furthest,omitempty"` // the furthest those of its survey go
	// Names are looked up and, where active checks are authorised, spoken to.
	Names []string `json:"names,omitempty"`
	// Consented are those of Names whose hosts may be scanned on Ports, because
	// who runs them consented.
	Consented []string `json:"consented,omitempty"`
	// Domains are looked up before: their mail and service records give ports of Names.
	Domains []string `json:"domains,omitempty"`
	// Addresses are scanned on Ports, "tcp:22,80,8000-8100 udp:53".
	Addresses []string `json:"addresses,omitempty"`
	Ports     string   `json:"ports,omitempty"`
	// Places are what a retest looks at, and nothing else.
	Places []Place `json:"places,omitempty"`
	// Hours are when the part may be worked, "22:00-05:00" UTC; "" is always.
	Hours string `json:"hours,omitempty"`
	// Open are places known to be open: when they fall silent, the path is lossy
	// and not the hosts are gone.
	Open []Place `json:"open,omitempty"`
}

// Place is a port of an asset. Port 0 is the asset itself.
type Place struct {
	Asset string `json:"asset"`
	Port  int    `json:"port,omitempty"`
	Proto string `json:"proto,omitempty"`
	Check string `json:"check,omitempty"` // that saw it; "" all
}

// Target is one connection or packet to be sent, as the scope decides it.
type Target struct {
	Network string         // "tcp" or "udp"
	Addr    netip.AddrPort // always an address: names are resolved before
	// Name is whom a session is opened to (SNI, Host); "" looks at the address
	// itself, as a port scan does.
	Name  string
	Class CheckClass
	// Resolved says that this run's own lookups gave Addr for Name, and Service
	// that the port stands in its service records. The dialer fills both in.
	Resolved, Service bool
}

// Refusal is a connection that the scope did not allow.
type Refusal struct {
	At     time.Time `json:"at"`
	Target string    `json:"target"` // address and port, with the name of the session
	Rule   string    `json:"rule"`   // "outside", "excluded", "expired", ...
	Why    string    `json:"why"`
	Count  int       `json:"count,omitempty"` // of equal ones
}

// OptOut is what its owner asked us not to touch, for a time.
type OptOut struct {
	What   string `json:"what" yaml:"what"`                       // an address, a network or a name with all below it
	Until  string `json:"until,omitempty" yaml:"until,omitempty"` // YYYY-MM-DD, the last day; "" for ever
	Reason string `json:"reason" yaml:"reason"`
	By     string `json:"by,omitempty" yaml:"-"`
}

// Look is what one part saw of one asset: the record that a probe hands in.
type Look struct {
	Asset        string        `json:"asset"`
	At           time.Time     `json:"at"`
	Observations []Observation `json:"observations,omitempty"`
	// Coverage says which checks looked successfully at which ports; what they
	// did not see is not there.
	Coverage []Coverage `json:"coverage,omitempty"`
	// Missed are looks that did not succeed: they prove nothing.
	Missed []Missed `json:"missed,omitempty"`
}

// Missed is one look that did not succeed, with the reason.
type Missed struct {
	Check string `json:"check"`
	Port  int    `json:"port,omitempty"`
	Proto string `json:"proto,omitempty"`
	Why   string `json:"why"`
}

// Assignment is a part with what decides about its packets, as it is now: a
// process that works the part reads it again every second.
type Assignment struct {
	Part        Part
	Constituent Constituent // its id, scope and exclusions, nothing else
	OptOuts     []OptOut
	Lab         bool   // the store is a lab: loopback and nothing else
	Stopped     string // why the part may not go on, "" when it may
}

// Schedule is how often a constituent is surveyed by itself.
type Schedule struct {
	Constituent string        `json:"constituent"`
	Class       CheckClass    `json:"class"`
	Every       time.Duration `json:"every"`           // nanoseconds
	Hours       string        `json:"hours,omitempty"` // "22:00-05:00" UTC; "" at any time
	Next        time.Time     `json:"next"`
	By          string        `json:"by"`
}
