package compose

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
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

	Withdrawn string     `json:"withdrawn,omitempty"` // the reason
	History   []Revision `json:"history,omitempty"`   // newest first
	Team      *Team      `json:"team,omitempty"`
}

// Team is who publishes, and where questions go.
type Team struct {
	Name    string `json:"name,omitempty"`
	Contact string `json:"contact,omitempty"`
}

// Revision is one version of an edition and what it changed.
type Revision struct {
	Version string    `json:"version"`
	Date    time.Time `json:"date"`
	Changes []string  `json:"changes"`
}

// Write writes an alert in a form.
func (a Alert) Write(w io.Writer, form Form) error { return a.sheet().write(w, form, a) }

// sheet is the alert ready to be written.
func (a Alert) sheet() Sheet {
	s := Sheet{Kind: "Threat alert", Number: a.Number, Version: a.Version, Level: string(a.Level), Marking: a.Marking, Reader: a.Constituent.Name,
		Title: a.Title, Keywords: []string{a.CVE}, Drafted: a.Drafted, Text: fill("alert.md.tmpl", a)}
	if a.Team != nil {
		s.Team = a.Team.Name
	}
	return s
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

// Place is where the host answers: "vpn.alder.example:443/tcp".
func (h Host) Place() string {
	if h.Asset == "" {
		return "declared"
	}
	if h.Port == 0 {
		return h.Asset
	}
	return strings.TrimSuffix(h.Asset+":"+strconv.Itoa(h.Port)+"/"+h.Proto, "/")
}

// Group are hosts that differ in nothing but where they are, when they were seen
// and whether they are still there.
type Group struct {
	Software string
	Verdict  vedette.Verdict
	Why      []string
	Hosts    []Host
}

// Groups are the hosts in groups, in their order.
func (a Alert) Groups() (out []Group) {
	for _, h := range a.Hosts {
		i := slices.IndexFunc(out, func(g Group) bool {
			return g.Software == h.Software && g.Verdict == h.Verdict && slices.Equal(g.Why, h.Why)
		})
		if i < 0 {
			i, out = len(out), append(out, Group{Software: h.Software, Verdict: h.Verdict, Why: h.Why})
		}
		out[i].Hosts = append(out[i].Hosts, h)
	}
	return out
}

// Alike says whether it takes less to read the hosts in groups.
func (a Alert) Alike() bool { return len(a.Hosts) >= 6 && 3*len(a.Groups()) <= len(a.Hosts) }

// Named says whether the title names the vulnerability already.
func (a Alert) Named() bool { return strings.Contains(a.Title, a.CVE) }

// Tally is how many places are in which state, in a few words.
func (a Alert) Tally() string {
	var states []vedette.Presence
	n := map[vedette.Presence]int{}
	for _, h := range a.Hosts {
		if n[h.Presence]++; n[h.Presence] == 1 {
			states = append(states, h.Presence)
		}
	}
	slices.SortFunc(states, func(x, y vedette.Presence) int { return cmp.Or(n[y]-n[x], cmp.Compare(x, y)) })
	out := make([]string, len(states))
	for i, s := range states {
		out[i] = fmt.Sprintf("%d %s", n[s], s)
	}
	return count(len(a.Hosts), "place") + ": " + strings.Join(out, ", ")
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

// Says is equal for alerts that say the same but for when it was last seen: a
// look that found nothing new is no reason for another mail.
func (a Alert) Says() string {
	a.Number, a.Version, a.Drafted, a.Withdrawn, a.History, a.Team = "", "", time.Time{}, "", nil, nil
	a.Hosts = slices.Clone(a.Hosts)
	for i := range a.Hosts {
		a.Hosts[i].Seen = time.Time{}
	}
	text, err := json.Marshal(a)
	if err != nil {
		return "" // it holds nothing that cannot be written
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
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

// Changes are what an alert says that the version before it did not, in words
// for its reader.
func (a Alert) Changes(before Alert) (out []string) {
	if a.Level != before.Level {
		out = append(out, fmt.Sprintf("the level is %s, was %s", a.Level, before.Level))
	}
	if was := before.Decision.Deadline; !a.Decision.Deadline.Equal(was) {
		switch {
		case a.Decision.Deadline.IsZero():
			out = append(out, "no clock runs any more")
		case was.IsZero():
			out = append(out, "fix by "+stamp(a.Decision.Deadline))
		default:
			out = append(out, "fix by "+stamp(a.Decision.Deadline)+", was "+stamp(was))
		}
	}
	out = append(out, a.placesSince(before)...)
	if who := fresh(a.Exploited, before.Exploited, func(x Exploited) string { return x.Source }); len(who) > 0 {
		out = append(out, several(who)+" reports exploitation")
	}
	if who := fresh(a.Actors, before.Actors, func(x Actor) string { return x.Name }); len(who) > 0 {
		out = append(out, "used by "+several(who))
	}
	if !slices.Equal(a.Mitigation, before.Mitigation) {
		out = append(out, "what to do")
	}
	if a.Title != before.Title || a.Summary != before.Summary || !slices.Equal(a.References, before.References) {
		out = append(out, "what it is")
	}
	if len(out) == 0 {
		out = []string{"details and sources"}
	}
	return out
}

// placesSince are places that are new, gone, or in another state.
func (a Alert) placesSince(before Alert) (out []string) {
	key := func(h Host) string { return h.Place() + " (" + h.Software + ")" }
	was := map[string]vedette.Presence{}
	for _, h := range before.Hosts {
		was[key(h)] = h.Presence
	}
	now := map[vedette.Presence][]string{}
	for _, h := range a.Hosts {
		if p, ok := was[key(h)]; ok && p != h.Presence {
			now[h.Presence] = append(now[h.Presence], h.Place())
		}
	}
	if places := fresh(a.Hosts, before.Hosts, key); len(places) > 0 {
		out = append(out, "new: "+several(places))
	}
	for _, p := range slices.Sorted(maps.Keys(now)) {
		out = append(out, fmt.Sprintf("now %s: %s", p, several(now[p])))
	}
	if places := fresh(before.Hosts, a.Hosts, key); len(places) > 0 {
		out = append(out, "no longer listed: "+several(places))
	}
	return out
}

// fresh are the keys of what is in now and was not before, each once.
func fresh[T any](now, before []T, key func(T) string) (out []string) {
	for _, x := range now {
		k := key(x)
		if !slices.Contains(out, k) && !slices.ContainsFunc(before, func(y T) bool { return key(y) == k }) {
			out = append(out, k)
		}
	}
	return out
}

// several names the first few.
func several(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}
