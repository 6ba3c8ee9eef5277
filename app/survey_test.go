package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/survey"

	"github.com/vedette-hub/vedette"
)

func surveyParts(in survey.Input) []vedette.Part { return survey.Make(in).Parts }

// score counts what a survey found against what is there.
type score struct{ right, missed, wrong int }

// TestSurveyAgainstTheTruth surveys the built-in internet and holds every check
// against the ground truth: precision and recall of each are 1, and nothing
// outside of the scope was touched but the sessions to names that it authorises.
func TestSurveyAgainstTheTruth(t *testing.T) {
	t.Parallel() // it mostly waits
	w := newLabWorld(t, t.TempDir(), nil)
	for _, c := range []string{"alder", "birch", "cedar", "dogwood"} {
		v := w.survey(c)
		t.Logf("%s: %d parts, %d assets, %d connections, %d refusals, trouble %v", c, v.Parts, v.Looks, v.Sent, len(v.Refusals), v.Trouble)
	}
	want := map[string]bool{}
	for _, r := range w.net.Truth() {
		for _, id := range r.Weaknesses {
			if r.Reachable {
				want[placeName(id, r.Asset, r.Port, r.Proto)] = true
			}
		}
	}
	got := w.findings()
	scores := map[string]*score{}
	of := func(place string) *score {
		id, _, _ := strings.Cut(place, " ")
		if scores[id] == nil {
			scores[id] = &score{}
		}
		return scores[id]
	}
	for _, place := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[place]; ok {
			of(place).right++
		} else {
			of(place).missed++
			t.Errorf("missed %s", place)
		}
	}
	for _, place := range slices.Sorted(maps.Keys(got)) {
		if !want[place] && strings.HasPrefix(place, "check:") {
			of(place).wrong++
			t.Errorf("not there: %s", place)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(scores)) {
		s := scores[id]
		t.Logf("%-28s %2d right, %d missed, %d wrong", id, s.right, s.missed, s.wrong)
	}
	for _, x := range w.net.Tripwire().Trespasses() {
		t.Errorf("touched outside of the scope: %v", x)
	}
	servicesAre(t, w)
}

// servicesAre holds what was identified against the truth.
func servicesAre(t *testing.T, w *labWorld) {
	t.Helper()
	right, products := 0, 0
	for _, r := range w.net.Truth() {
		if r.Port == 0 || !r.Reachable || r.Service == "any" {
			continue
		}
		fact, ok := w.seenAt(r)
		switch {
		case !ok:
			t.Errorf("%s: %s %d/%s (%s) was not seen", r.Constituent, r.Asset, r.Port, r.Proto, r.Service)
		case r.TLS != fact.TLS:
			t.Errorf("%s %d/%s (%s): TLS %t", r.Asset, r.Port, r.Proto, r.Service, fact.TLS)
		case r.Product != "" && !shows(fact, r):
			t.Errorf("%s %d/%s (%s): %s %s is shown, seen as %s", r.Asset, r.Port, r.Proto, r.Service, r.Product, r.Version, fmt.Sprint(fact.Software))
		default:
			right++
			if r.Product != "" {
				products++
			}
		}
	}
	t.Logf("%d services seen, %d with their product", right, products)
}

func shows(f vedette.Fact, r lab.TruthRow) bool {
	return slices.ContainsFunc(f.Software, func(s vedette.Software) bool {
		return s.Product == r.Product && (r.Version == "" || s.Version == r.Version || s.PackageVersion == r.Version)
	})
}

// seenAt is what the service and http checks saw at a place, as one fact.
func (lw *labWorld) seenAt(r lab.TruthRow) (vedette.Fact, bool) {
	lw.t.Helper()
	run := lw.run(vedette.Local())
	a, err := run.sc.Asset(run.ctx, r.Asset)
	if err != nil {
		return vedette.Fact{}, false
	}
	var out vedette.Fact
	found := false
	for _, o := range a.Observations {
		if o.Port == r.Port && o.Proto == r.Proto && (o.Check == "service" || o.Check == "http") {
			out.Software = append(out.Software, o.Fact.Software...)
			if o.Check == "service" {
				out.Service, out.TLS, found = o.Fact.Service, o.Fact.TLS, true
			}
		}
	}
	return out, found
}
