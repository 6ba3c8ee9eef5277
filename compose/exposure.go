package compose

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
)

// Exposure is the edition of the known exploited exposure for one constituent:
// every exploited weakness that is there, whatever its age, in one list. What is
// newly exploited has an alert of its own beside it.
type Exposure struct {
	Number      string      `json:"number,omitempty"` // given at approval
	Version     string      `json:"version"`
	Marking     string      `json:"marking"`
	Constituent Constituent `json:"constituent"`
	Level       Level       `json:"level"`
	LevelWhy    []string    `json:"level_why"`

	Weaknesses []Exposed `json:"weaknesses"` // the nearest deadline first
	Drafted    time.Time `json:"drafted"`

	Withdrawn string     `json:"withdrawn,omitempty"` // the reason
	History   []Revision `json:"history,omitempty"`   // newest first
	Team      *Team      `json:"team,omitempty"`
}

// Exposed is one exploited weakness with where it is.
type Exposed struct {
	CVE      string    `json:"cve"`
	Title    string    `json:"title,omitempty"`
	Since    time.Time `json:"since,omitzero"` // first said to be exploited
	By       []string  `json:"by"`             // who says so
	Outcome  string    `json:"outcome,omitempty"`
	Deadline time.Time `json:"deadline,omitzero"`
	Hosts    []Host    `json:"hosts"`
	Fix      []string  `json:"fix,omitempty"` // the versions that fix
}

// Write writes the edition in a form.
func (x Exposure) Write(w io.Writer, form Form) error { return x.sheet().write(w, form, x) }

// sheet is the edition ready to be written.
func (x Exposure) sheet() Sheet {
	s := Sheet{Kind: "Known exploited exposure", Number: x.Number, Version: x.Version, Level: string(x.Level), Marking: x.Marking, Reader: x.Constituent.Name,
		Title: "Known exploited exposure", Drafted: x.Drafted, Text: fill("exposure.md.tmpl", x)}
	for _, w := range x.Weaknesses {
		s.Keywords = append(s.Keywords, w.CVE)
	}
	if x.Team != nil {
		s.Team = x.Team.Name
	}
	return s
}

// Tally is how much there is, in a few words.
func (x Exposure) Tally() string {
	places := 0
	for _, w := range x.Weaknesses {
		places += len(w.Hosts)
	}
	return numbered(len(x.Weaknesses), "exploited weakness", "exploited weaknesses") + " at " + count(places, "place")
}

func numbered(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// Rate gives the level: as an alert's, for the most urgent of the list.
func (x *Exposure) Rate() {
	sure, unsure := 0, 0
	for _, w := range x.Weaknesses {
		if slices.ContainsFunc(w.Hosts, func(h Host) bool { return h.Verdict == vedette.Confirmed || h.Verdict == vedette.Likely }) {
			sure++
		} else {
			unsure++
		}
	}
	x.Level, x.LevelWhy = Low, []string{"nothing that is exploited is there"}
	switch {
	case sure > 0:
		x.Level, x.LevelWhy = High, []string{numbered(sure, "weakness", "weaknesses") + " that attackers use " + is(sure) + " on hosts of yours"}
	case unsure > 0:
		x.Level, x.LevelWhy = Medium, []string{numbered(unsure, "weakness", "weaknesses") + " that attackers use may be on hosts of yours: somebody has to check"}
	}
}

// Deadline is the nearest of the list; zero when none has one.
func (x Exposure) Deadline() time.Time {
	var out time.Time
	for _, w := range x.Weaknesses {
		if !w.Deadline.IsZero() && (out.IsZero() || w.Deadline.Before(out)) {
			out = w.Deadline
		}
	}
	return out
}

// Says is equal for two editions that say the same but for when it was seen.
func (x Exposure) Says() string {
	x.Number, x.Version, x.Drafted, x.Withdrawn, x.History, x.Team = "", "", time.Time{}, "", nil, nil
	x.Weaknesses = slices.Clone(x.Weaknesses)
	for i := range x.Weaknesses {
		w := &x.Weaknesses[i]
		w.Hosts = slices.Clone(w.Hosts)
		for j := range w.Hosts {
			w.Hosts[j].Seen = time.Time{}
		}
	}
	text, err := json.Marshal(x)
	if err != nil {
		return "" // it holds nothing that cannot be written
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Changes is what the edition says other than the one before.
func (x Exposure) Changes(before Exposure) (out []string) {
	has := func(ws []Exposed, cve string) bool {
		return slices.ContainsFunc(ws, func(w Exposed) bool { return w.CVE == cve })
	}
	var came, went []string
	for _, w := range x.Weaknesses {
		if !has(before.Weaknesses, w.CVE) {
			came = append(came, w.CVE)
		}
	}
	for _, w := range before.Weaknesses {
		if !has(x.Weaknesses, w.CVE) {
			went = append(went, w.CVE)
		}
	}
	if len(came) > 0 {
		out = append(out, "new: "+several(came))
	}
	if len(went) > 0 {
		out = append(out, "gone: "+several(went))
	}
	if len(out) == 0 {
		out = append(out, "places, dates or decisions changed")
	}
	return out
}

// Check looks for what must not go out: another constituent in the text, and
// an edition that tells of nothing.
func (x Exposure) Check(others []string) []Fault {
	var hosts []Host
	for _, w := range x.Weaknesses {
		hosts = append(hosts, w.Hosts...)
	}
	out := names(x.sheet().Text, x.Constituent, hosts, others)
	if len(x.Weaknesses) == 0 {
		out = append(out, Fault{"weaknesses", "nothing exploited is there: there is nothing to tell", true})
	}
	for _, w := range x.Weaknesses {
		if len(w.Fix) == 0 {
			out = append(out, Fault{w.CVE, "no source says which version fixes it", false})
		}
	}
	return out
}
