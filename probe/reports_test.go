package probe

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var reportedID = regexp.MustCompile(`"(check:[a-z0-9-]+)"`)

// TestEveryReportIsExplained: what a check reports stands in Weaknesses with a
// title, the reason and the repair, and nothing stands there that none reports.
func TestEveryReportIsExplained(t *testing.T) {
	said := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") || f == "reports.go" {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reportedID.FindAllSubmatch(text, -1) {
			said[string(m[1])] = true
		}
	}
	if len(said) < 20 {
		t.Fatalf("only %d reports were found", len(said))
	}
	for id := range said {
		if !slices.ContainsFunc(Weaknesses, func(w Weakness) bool { return w.ID == id }) {
			t.Errorf("%s is reported and not explained", id)
		}
	}
	for i, w := range Weaknesses {
		if !said[w.ID] {
			t.Errorf("%s is explained and reported by no check", w.ID)
		}
		if w.Title == "" || w.Type == "" || w.Why == "" || w.Fix == "" {
			t.Errorf("%s is explained by halves", w.ID)
		}
		if slices.ContainsFunc(Weaknesses[:i], func(o Weakness) bool { return o.ID == w.ID }) {
			t.Errorf("%s stands twice", w.ID)
		}
	}
}
