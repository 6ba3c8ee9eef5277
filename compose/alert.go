package compose

import (
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// Alert is the edition of a threat alert for one constituent: one exploited
// vulnerability on its own hosts. It is what the constituent may read.
type Alert struct {
	Number      string      `json:"number,omitempty"` // given at approval
	Version     string      `json:"version"`
	Marking     string      `json:"marking"`
	Constituent Constituent `json:"constituent"`
	CVE         string      `json:"cve"`
	Title       string      `json:"title"`
	Summary     string      `json:"summary,omitempty"`
	Level       Level       `json:"level"`
	LevelWhy    []string    `json:"level_why"`

	Exploited  []Exploited `json:"exploited"`
	Actors     []Actor     `json:"actors,omitempty"`
	Hosts      []Host      `json:"hosts"`
	Decision   Decision    `json:"decision"`
	Mitigation []Sourced   `json:"mitigation,omitempty"`
	References []string    `json:"references,omitempty"`
	Sources    []Source    `json:"sources,omitempty"`
	Drafted    time.Time   `json:"drafted"`
}

// Constituent is whom an edition is for.
type Constituent struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Level is how near a threat is (CERT-EU CTI Framework, threat level).
type Level string

// The levels.
const (
	High   Level = "High"   // immediate: verify and act without delay
	Medium Level = "Medium" // close: watch and check
	Low    Level = "Low"    // distant: act as resources allow
)

// Urgency is the framework's advice for a level.
func (l Level) Urgency() string {
	return map[Level]string{High: "Verify and act without delay.", Medium: "Watch and check closely.", Low: "Monitor, and act as resources allow."}[l]
}

// Exploited is who says that the vulnerability is exploited.
type Exploited struct {
	Source string    `json:"source"`
	Since  time.Time `json:"since,omitzero"`
	What   string    `json:"what"` // "confirmed, successful exploitation"
}

// Actor is who uses it, and who says so.
type Actor struct {
	Name   string `json:"name"`
	Source string `json:"source"`
}

// Host is one place of the constituent, with the evidence.
type Host struct {
	Asset    string           `json:"asset"` // "" is declared, and nobody saw it
	Port     int              `json:"port,omitempty"`
	Proto    string           `json:"proto,omitempty"`
	Software string           `json:"software"`
	Verdict  vedette.Verdict  `json:"verdict"`
	Presence vedette.Presence `json:"presence"`
	Why      []string         `json:"why"`
	Fixed    string           `json:"fixed,omitempty"`
	Seen     time.Time        `json:"seen,omitzero"`
	Check    string           `json:"check,omitempty"`
}

func (h Host) place() string {
	if h.Asset == "" {
		return "declared"
	}
	if h.Port == 0 {
		return h.Asset
	}
	return strings.TrimSuffix(h.Asset+":"+strconv.Itoa(h.Port)+"/"+h.Proto, "/")
}

// Decision is until when it is to be fixed, and why.
type Decision struct {
	Table    string    `json:"table"`
	Row      int       `json:"row"`
	Outcome  string    `json:"outcome"`
	Deadline time.Time `json:"deadline,omitzero"`
	Start    time.Time `json:"start,omitzero"` // of the clock: the later of the two
	Asserted time.Time `json:"asserted,omitzero"`
	Observed time.Time `json:"observed,omitzero"`
	Inputs   []string  `json:"inputs"`
	Forensic bool      `json:"forensic,omitempty"`
}

// Sourced is a text with who says it.
type Sourced struct {
	Text   string `json:"text"`
	Source string `json:"source"`
}

// Source is one of the sources with its Admiralty rating.
type Source struct {
	Name      string `json:"name"`
	Says      string `json:"says"`
	Admiralty string `json:"admiralty"` // "A1"; "A" where nobody rated the credibility
	Marking   string `json:"marking"`
}

// Gate says whether a source may enter a publication: reliability A or B, and
// credibility 1 or 2 where it is rated (CERT-EU CTI Framework).
func (s Source) Gate() bool {
	if s.Admiralty == "" || s.Admiralty[0] != 'A' && s.Admiralty[0] != 'B' {
		return false
	}
	return len(s.Admiralty) == 1 || s.Admiralty[1] == '1' || s.Admiralty[1] == '2'
}

// Rate gives the alert its level with the reasons: a host of its own that is
// there makes it high, a declared one or one to be checked medium, else it is low.
func (a *Alert) Rate() {
	own, unsure, gone := 0, 0, 0
	for _, h := range a.Hosts {
		switch {
		case h.Presence == vedette.Fixed || h.Presence == vedette.NotObserved:
			gone++
		case h.Verdict == vedette.Confirmed || h.Verdict == vedette.Likely:
			own++
		default:
			unsure++
		}
	}
	a.LevelWhy = nil
	switch {
	case own > 0:
		a.Level = High
		a.LevelWhy = append(a.LevelWhy, "it is exploited, and "+count(own, "place")+" of yours "+is(own)+" affected")
	case unsure > 0:
		a.Level = Medium
		a.LevelWhy = append(a.LevelWhy, "it is exploited, and "+count(unsure, "place")+" of yours may be affected: somebody has to check")
	default:
		a.Level = Low
		a.LevelWhy = append(a.LevelWhy, "it is exploited, and nothing affected is there any more")
	}
	if gone > 0 && own+unsure > 0 {
		a.LevelWhy = append(a.LevelWhy, count(gone, "place")+" "+is(gone)+" fixed or gone")
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func is(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
