// Command summary reads the output of `go test -json`, prints go test's own
// closing line of every package and whatever a failed test wrote, counts, and
// fails when a test failed or was skipped that could have run: one for
// PostgreSQL where VEDETTE_TEST_PG is set, one on real data where
// VEDETTE_TEST_DATA is, one in a browser where VEDETTE_TEST_BROWSER is.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// event is one line of test2json (`go doc test2json`).
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64
}

// key names a test, or with an empty name a package.
type key struct{ pkg, test string }

type summary struct {
	output  map[key][]string
	passed  int
	failed  []key
	skipped []key
	broken  bool // a build or a package failed
	results int  // of tests and packages
	tested  int  // packages
}

var (
	forPG      = regexp.MustCompile(`(?i)VEDETTE_TEST_PG|postgres|\bpgx?\b`)
	forData    = regexp.MustCompile(`(?i)VEDETTE_TEST_DATA|real.?data`)
	forBrowser = regexp.MustCompile(`(?i)VEDETTE_TEST_BROWSER|make assets`)
)

func main() {
	s := summary{output: map[key][]string{}}
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
	if !s.print(os.Stdout) {
		os.Exit(1)
	}
}

func (s *summary) read(r io.Reader) error {
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			s.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *summary) line(line string) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		fmt.Print(line) // of make, vet or the linker
		return
	}
	k := key{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
	case "build-fail":
		s.broken = true
	case "output":
		s.output[k] = append(s.output[k], e.Output)
	case "pass", "fail", "skip":
		s.results++
		if e.Test == "" {
			s.pack(k, e.Action)
		} else {
			s.test(k, e.Action)
		}
	}
}

// pack ends a package: its last line is go test's verdict.
func (s *summary) pack(k key, action string) {
	out := s.output[k]
	if action == "fail" {
		s.broken = true
		for _, l := range out {
			fmt.Print(l)
		}
		return
	}
	if action == "pass" {
		s.tested++
	}
	if len(out) > 0 {
		fmt.Print(out[len(out)-1])
	}
}

func (s *summary) test(k key, action string) {
	switch action {
	case "pass":
		s.passed++
		delete(s.output, k)
	case "fail":
		s.failed = append(s.failed, k)
	case "skip":
		s.skipped = append(s.skipped, k)
	}
}

// print says what ran and whether that is enough.
func (s *summary) print(w io.Writer) bool {
	ok := len(s.failed) == 0 && !s.broken && s.results > 0
	for _, k := range s.failed {
		fmt.Fprintf(w, "\nFAILED %s %s\n%s", k.pkg, k.test, strings.Join(s.output[k], ""))
	}
	reasons := map[string]int{}
	var wanted []string
	for _, k := range s.skipped {
		why := s.why(k)
		reasons[why]++
		text := k.test + " " + why
		if os.Getenv("VEDETTE_TEST_PG") != "" && forPG.MatchString(text) {
			wanted = append(wanted, fmt.Sprintf("%s %s wants PostgreSQL, which is there: %s", k.pkg, k.test, why))
		}
		if os.Getenv("VEDETTE_TEST_DATA") != "" && forData.MatchString(text) {
			wanted = append(wanted, fmt.Sprintf("%s %s wants real data, which is there: %s", k.pkg, k.test, why))
		}
		if os.Getenv("VEDETTE_TEST_BROWSER") != "" && forBrowser.MatchString(text) {
			wanted = append(wanted, fmt.Sprintf("%s %s wants a browser, which is there: %s", k.pkg, k.test, why))
		}
	}
	fmt.Fprintf(w, "\n%d packages with tests, %d tests passed, %d failed, %d skipped\n", s.tested, s.passed, len(s.failed), len(s.skipped))
	var lines []string
	for why, n := range reasons {
		lines = append(lines, fmt.Sprintf("  skipped %d: %s\n", n, why))
	}
	slices.Sort(lines)
	fmt.Fprint(w, strings.Join(lines, ""))
	for _, l := range wanted {
		fmt.Fprintln(w, "SKIPPED BUT POSSIBLE:", l)
		ok = false
	}
	if ok {
		fmt.Fprintln(w, "PASS")
	} else {
		fmt.Fprintln(w, "FAIL")
	}
	return ok
}

var place = regexp.MustCompile(`^\s+\S+\.go:\d+: `)

// why is the reason a test gave for its skip.
func (s *summary) why(k key) string {
	for _, l := range slices.Backward(s.output[k]) {
		if place.MatchString(l) {
			return strings.TrimSpace(place.ReplaceAllString(l, ""))
		}
	}
	return "no reason given"
}
