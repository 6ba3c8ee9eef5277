package vedette

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Verdict is what matching concluded of one software and one vulnerability.
type Verdict string

// The verdicts, from the strongest evidence down. Only the first four make findings.
const (
	Confirmed       Verdict = "confirmed"         // exact version from the host itself, or a check proved it
	Likely          Verdict = "likely"            // the version a service shows lies in an affected range
	Possible        Verdict = "possible"          // product seen, but version, platform or name is uncertain
	DeclaredOnly    Verdict = "declared"          // the constituent declares it; nobody saw it
	FixedByBackport Verdict = "fixed by backport" // the distribution's package has the fix
	NotAffected     Verdict = "not affected"      // the version lies outside, or the source says so
	Undetermined    Verdict = "undetermined"      // the evidence cannot tell
)

// Verdicts in the order of strength.
var Verdicts = []Verdict{Confirmed, Likely, Possible, DeclaredOnly, FixedByBackport, NotAffected, Undetermined}

// MakesFinding says whether a verdict is evidence of a weakness.
func (v Verdict) MakesFinding() bool {
	return v == Confirmed || v == Likely || v == Possible || v == DeclaredOnly
}

// Rank orders verdicts by strength, 0 the strongest.
func (v Verdict) Rank() int {
	for i, o := range Verdicts {
		if v == o {
			return i
		}
	}
	return len(Verdicts)
}

// Match is one piece of evidence: knowledge met software, with its reasons.
type Match struct {
	Weakness string   `json:"weakness"`
	Software Software `json:"software"`
	Verdict  Verdict  `json:"verdict"`
	Reasons  []string `json:"reasons"`         // in the order of the reasoning, each a sentence
	Fixed    string   `json:"fixed,omitempty"` // the version that fixes, when known
	Source   string   `json:"source"`          // whose range it was
	// Requires is what else must be on the asset; the verdict holds when it is, and falls to possible when nobody saw it.
	Requires []Require `json:"requires,omitempty"`
}

// Presence says whether a weakness is there now; it is computed, never set.
type Presence string

// The presences of design section 2.
const (
	Present              Presence = "present"      // still there
	NotObserved          Presence = "not observed" // gone or unreachable
	Fixed                Presence = "fixed"        // a successful look did not find it
	PresenceUndetermined Presence = "undetermined" // check broken, declared only, imported without coverage
)

// Finding is one weakness on one asset of one constituent.
type Finding struct {
	ID          string   `json:"id"`
	Constituent string   `json:"constituent"`
	Weakness    string   `json:"weakness"` // CVE-.., EUVD-.., CWE-.., check:NAME
	Asset       string   `json:"asset"`    // "" for declared software
	Port        int      `json:"port,omitempty"`
	Proto       string   `json:"proto,omitempty"`
	Path        string   `json:"path,omitempty"`
	Presence    Presence `json:"presence"`
	Verdict     Verdict  `json:"verdict"` // the strongest of the evidence
	// Exposed says whether public networks reach it, by any look that still sees it; nil is unknown.
	Exposed   *bool     `json:"exposed,omitempty"`
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	// Shared is set for a user of the asset: the fact without the host data.
	Shared   bool       `json:"shared,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
}

// Evidence is one reason to believe a finding, with where it was seen.
type Evidence struct {
	Check   string    `json:"check"`
	Seen    time.Time `json:"seen"`
	Closed  time.Time `json:"closed,omitzero"`
	Fact    Fact      `json:"fact"`
	Match   Match     `json:"match"`
	Exposed *bool     `json:"exposed,omitempty"` // reachable from public networks; nil unknown
	Marking Marking   `json:"marking"`
}

// FindingKey is the 63-bit hash of a finding's key, so that a rebuild finds the
// same finding again. Place is the port, protocol, path and item on the asset.
func FindingKey(constituent, weakness, asset string, port int, proto, place string) int64 {
	h := sha256.Sum256([]byte(strings.Join([]string{constituent, weakness, asset, strconv.Itoa(port), proto, place}, "\x00")))
	return int64(binary.BigEndian.Uint64(h[:8]) >> 1)
}

// FindingID is the public form of a finding's key.
func FindingID(key int64) string { return fmt.Sprintf("F-%016x", key) }

// ParseFindingID is the reverse of FindingID.
func ParseFindingID(s string) (int64, error) {
	hex, ok := strings.CutPrefix(s, "F-")
	if k, err := strconv.ParseInt(hex, 16, 64); ok && err == nil && len(hex) == 16 {
		return k, nil
	}
	return 0, Invalid("%q is not a finding id (F- and 16 hex digits)", clip(s))
}
