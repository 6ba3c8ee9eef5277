package vedette

import "time"

// Join is the answer to "what does this vulnerability mean to those we
// protect": as the reader may know it.
type Join struct {
	ID           string            `json:"id"`
	Aliases      []string          `json:"aliases,omitempty"`
	Title        string            `json:"title,omitempty"`
	Description  string            `json:"description,omitempty"`
	Published    time.Time         `json:"published,omitzero"`
	Modified     time.Time         `json:"modified,omitzero"`
	Withdrawn    bool              `json:"withdrawn,omitempty"`
	CVSS         []CVSS            `json:"cvss,omitempty"`
	EPSS         []Point           `json:"epss,omitempty"` // oldest first
	SSVC         *SSVC             `json:"ssvc,omitempty"`
	CWE          []string          `json:"cwe,omitempty"`
	Exploited    []Exploitation    `json:"exploited"`
	Actors       []JoinActor       `json:"actors"`
	Constituents []JoinConstituent `json:"constituents"`
	LeftOut      []JoinHost        `json:"left_out"` // looked at, and no finding
	Shared       []Finding         `json:"shared,omitempty"`
	Solutions    []string          `json:"solutions,omitempty"`
	Workarounds  []string          `json:"workarounds,omitempty"`
	References   []Reference       `json:"references,omitempty"`
	Sources      []JoinSource      `json:"sources"`
	Marking      string            `json:"marking"` // of all of it together
	Mark         Marking           `json:"-"`
}

// JoinSource is who says something of the vulnerability.
type JoinSource struct {
	Name        string    `json:"name"`
	Says        string    `json:"says"`
	Since       time.Time `json:"since,omitzero"`
	Closed      time.Time `json:"closed,omitzero"`
	Reliability string    `json:"reliability,omitempty"`
	Marking     string    `json:"marking"`
	Mark        Marking   `json:"-"`
}

// JoinActor is who uses the vulnerability, and who says so.
type JoinActor struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Source string `json:"source"`
}

// JoinConstituent is one constituent that is touched, with its decision.
type JoinConstituent struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Decision   Ruling     `json:"decision"`
	Asserted   time.Time  `json:"asserted,omitzero"` // first assertion of exploitation
	Observed   time.Time  `json:"observed,omitzero"` // first observation of an affected host
	ClockStart time.Time  `json:"clock_start,omitzero"`
	Deadline   time.Time  `json:"deadline,omitzero"`
	Hosts      []JoinHost `json:"hosts"`
}

// JoinHost is one place with what matching concluded of it.
type JoinHost struct {
	Constituent string    `json:"constituent,omitempty"`
	Asset       string    `json:"asset,omitempty"`
	Port        int       `json:"port,omitempty"`
	Proto       string    `json:"proto,omitempty"`
	Software    string    `json:"software"`
	Verdict     Verdict   `json:"verdict"`
	Presence    Presence  `json:"presence,omitempty"`
	Exposed     *bool     `json:"exposed,omitempty"`
	Reasons     []string  `json:"reasons"`
	Fixed       string    `json:"fixed,omitempty"`
	FirstSeen   time.Time `json:"first_seen,omitzero"`
	LastSeen    time.Time `json:"last_seen,omitzero"`
	Check       string    `json:"check,omitempty"`
	Finding     string    `json:"finding,omitempty"`
	Banner      string    `json:"banner,omitempty"` // what the place said, at most 512 bytes
}
