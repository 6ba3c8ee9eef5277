package read

import (
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette/safe"
)

// knownDifferent is how many vectors of CVSS 4.0 score 0.1 lower than in the
// reference: the interpolation ends at x.x5, which it rounds up and go-cvss down.
const knownDifferent = 4

// The base scores we compute are those of other implementations.
func TestCVSSVectors(t *testing.T) {
	n, wrong, unread := 0, 0, 0
	err := safe.MembersFile(filepath.Join(realData(t), "vuln/cvss-vectors.tar.gz"), safe.Limits{}, func(m safe.Member) error {
		b, err := io.ReadAll(m.R)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			vector, scores, ok := strings.Cut(strings.TrimSpace(line), " - ")
			if !ok {
				continue
			}
			first, _, _ := strings.Cut(strings.Trim(scores, "()"), ",")
			want, err := strconv.ParseFloat(first, 64)
			if err != nil {
				t.Errorf("%s: %q", m.Name, line)
				continue
			}
			n++
			_, got, ok := scoreVector(vector)
			switch {
			case !ok:
				unread++
				t.Logf("not read: %s", vector)
			case math.Abs(got-want) > 0.1001 || got != want && !strings.HasPrefix(vector, "CVSS:4.0/"):
				t.Errorf("%s is %v, want %v", vector, got, want)
			case got != want:
				wrong++
				t.Logf("%s is %v, want %v", vector, got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d vectors, %d other scores, %d not read", n, wrong, unread)
	if n < 3800 || wrong > knownDifferent || unread > 0 {
		t.Errorf("%d vectors, %d other scores, %d not read", n, wrong, unread)
	}
}

func TestCVSSCompletes(t *testing.T) {
	for _, c := range []struct {
		version, vector string
		score           float64
		severity, want  string
	}{
		{"3.1", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 0, "", "3.1 9.8 CRITICAL"},
		{"4.0", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 0, "", "4.0 10 CRITICAL"},
		{"2.0", "AV:N/AC:L/Au:N/C:P/I:P/A:P", 7.5, "", "2.0 7.5 HIGH"},
		{"3.1", "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0, "none", "3.0 0 NONE"},
		{"3.1", "broken", 5, "", "3.1 5 MEDIUM"},
		{"3.1", "", 0, "", ""},
		{"3.1", "x", 11, "", ""},
		{"3.1", "CVSS:3.1/" + strings.Repeat("AV:N/", 1000), 0, "", "3.1 0 NONE"},
	} {
		got, ok := cvss(c.version, c.vector, c.score, c.severity, "s")
		text := got.Version + " " + strconv.FormatFloat(got.Score, 'g', -1, 64) + " " + got.Severity
		if !ok {
			text = ""
		}
		if text != c.want {
			t.Errorf("%.60s: got %q, want %q", c.vector, text, c.want)
		}
	}
}
