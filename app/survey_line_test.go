package app

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/store/storetest"
)

// TestLine plays what happens in the world against the whole line, on both
// engines. A scenario is an internet and the steps of scenarioSteps; a day
// passes before every survey and retest, which are counted from 1. A step that
// begins with refused must fail.
func TestLine(t *testing.T) {
	files, err := filepath.Glob("testdata/line/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	storetest.Each(t, func(t *testing.T, _ string) {
		for _, f := range files {
			t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) { playFile(t, f) })
		}
	})
}

func playFile(t *testing.T, file string) {
	place := t.TempDir()
	if strings.Contains(t.Name(), "/postgres/") {
		place = storetest.Postgres(t)
	}
	t.Parallel()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if lab.BestLayout() == lab.Single {
		t.Skip("only 127.0.0.1 exists here: the scopes of these tests need more addresses")
	}
	ar := txtar.Parse(lab.Moved(text, 100+int(blocks.Add(1))%100))
	s := &scenario{t: t, files: map[string]string{}}
	for _, f := range ar.Files {
		s.files[f.Name] = string(f.Data)
	}
	in, err := lab.Load([]byte(s.files["internet.yaml"]))
	if err != nil {
		t.Fatal(err)
	}
	s.lw = serveLab(t, newWorld(t, place), in)
	s.lw.conf.Timeout = config.Duration(500 * time.Millisecond)
	s.lw.hub = s.lw.newHub()
	for i, line := range strings.Split(string(ar.Comment), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		refused := words[0] == "refused"
		if refused {
			words = words[1:]
		}
		step := scenarioSteps[words[0]]
		if step == nil {
			t.Fatalf("%s:%d: no step is called %s", file, i+1, words[0])
		}
		if err := step(s, words[1:]); (err != nil) != refused {
			t.Errorf("%s:%d: %s: %v", file, i+1, line, err)
		}
	}
}

// scenario is one in play.
type scenario struct {
	t     *testing.T
	lw    *labWorld
	files map[string]string
	days  []time.Time // of the surveys and retests
}

// scenarioSteps are the verbs of a scenario.
var scenarioSteps = map[string]func(s *scenario, args []string) error{
	"import":   (*scenario).imports,  // import FILE...
	"survey":   (*scenario).surveys,  // survey CONSTITUENT [passive]
	"retest":   (*scenario).retest,   // retest WEAKNESS ASSET [PORT/PROTO]
	"set":      (*scenario).set,      // set HOST PORT stop|start|version=V|banner=B|weak=W|drop=W...
	"internet": (*scenario).internet, // internet FILE
	"lose":     (*scenario).lose,     // lose all|nothing: what becomes of packets
	"want":     (*scenario).want,     // want WEAKNESS ASSET [PORT/PROTO] PRESENCE [first=N] [last=N] [verdict=V]
	"none":     (*scenario).none,     // none WEAKNESS ASSET [PORT/PROTO]: there is no such finding
	"seen":     (*scenario).seen,     // seen CHECK ASSET [PORT/PROTO] N-M... N-: the intervals, from survey to survey
	"verdict":  (*scenario).verdict,  // verdict WEAKNESS ASSET VERDICT: what cve show says
	"diff":     (*scenario).diff,     // diff CONSTITUENT FILE: what survey diff says
	"unknowns": (*scenario).unknowns, // unknowns FILE

	"apply":        (*scenario).apply,        // apply FILE: the constituency is what it says
	"pass":         (*scenario).pass,         // pass N: days
	"case":         (*scenario).caseIs,       // case CONSTITUENT WEAKNESS STATE [presence=P] [covered=KIND|no] [back=N] [check=B] [places=N] [opened=DAY] [due=DAY]
	"cases":        (*scenario).cases,        // cases N: how many there are, the closed too
	"open":         (*scenario).open,         // open CONSTITUENT...: whose cases wait, one for each
	"handle":       (*scenario).handle,       // handle CONSTITUENT WEAKNESS STATE [REASON...]
	"decide":       (*scenario).decide,       // decide WHO CONSTITUENT WEAKNESS KIND [days=N] [asset=A] [everywhere]
	"approve":      (*scenario).approve,      // approve WHO: the last decision
	"revoke":       (*scenario).revoke,       // revoke WHO REASON...: the last decision
	"rebuild":      (*scenario).rebuild,      // rebuild
	"publications": (*scenario).publications, // publications KIND N editions=N
}

func (s *scenario) imports(args []string) error {
	for _, name := range args {
		text, ok := s.files[name]
		if !ok {
			var err error
			if text, err = readSample(name); err != nil {
				return err
			}
		}
		s.lw.importText(name, text)
	}
	return nil
}

// readSample reads a file of the sample world.
func readSample(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join("..", "sample", name))
	return string(b), err
}

// day lets a day pass.
func (s *scenario) day() {
	s.lw.clock = s.lw.clock.Add(24 * time.Hour)
	s.days = append(s.days, s.lw.clock)
}

// dayOf is the number of the survey that saw something, 0 for none.
func (s *scenario) dayOf(at time.Time) int { return 1 + slices.IndexFunc(s.days, at.Equal) }

func (s *scenario) surveys(args []string) error {
	s.day()
	c := &surveyRun{Constituent: args[0], Class: "active", Ports: s.lw.conf.Ports, Detach: true, Yes: true}
	if len(args) > 1 {
		c.Class = args[1]
	}
	return s.work(c)
}

// work plays a command that asks for a survey, and the survey.
func (s *scenario) work(c command) error {
	asked := decode[[]vedette.Survey](s.t, s.lw.do(c))
	v := s.lw.workAll(asked[0].ID)
	if v.State != vedette.SurveyDone {
		return fmt.Errorf("%s: %v", v.State, v.Trouble)
	}
	return nil
}

func (s *scenario) finding(args []string) (vedette.Finding, []string, bool) {
	port, rest := "", args[2:]
	if len(rest) > 0 && strings.Contains(rest[0], "/") {
		port, rest = rest[0], rest[1:]
	}
	f, ok := s.lw.findings()[args[0]+" "+args[1]+" "+port]
	return f, rest, ok
}

func (s *scenario) retest(args []string) error {
	f, _, ok := s.finding(args)
	if !ok {
		return fmt.Errorf("no such finding")
	}
	s.day()
	return s.work(&findingRetest{ID: f.ID, Detach: true})
}

func (s *scenario) set(args []string) error {
	port, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var c lab.Change
	for _, w := range args[2:] {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "stop":
			c.Stop = true
		case "start":
			c.Start = true
		case "version":
			c.Version = v
		case "banner":
			c.Banner = v
		case "weak":
			c.Weak = append(c.Weak, v)
		case "drop":
			c.Drop = append(c.Drop, v)
		default:
			return fmt.Errorf("no change is called %s", k)
		}
	}
	return s.lw.net.Set(args[0], port, c)
}

func (s *scenario) internet(args []string) error { return s.lw.net.Apply([]byte(s.files[args[0]])) }

func (s *scenario) lose(args []string) error {
	s.lw.hub.prober.dialer.Drop = nil
	if args[0] == "all" {
		s.lw.hub.prober.dialer.Drop = func(vedette.Target) bool { return true }
	}
	return nil
}

func (s *scenario) want(args []string) error {
	f, rest, ok := s.finding(args)
	if !ok {
		return fmt.Errorf("not there: %v", keysOf(s.lw.findings()))
	}
	if got := strings.ReplaceAll(string(f.Presence), " ", "-"); len(rest) == 0 || got != rest[0] {
		return fmt.Errorf("it is %s", got)
	}
	for _, w := range rest[1:] {
		k, v, _ := strings.Cut(w, "=")
		got := map[string]string{"first": sprintInt(s.dayOf(f.FirstSeen)), "last": sprintInt(s.dayOf(f.LastSeen)), "verdict": strings.ReplaceAll(string(f.Verdict), " ", "-")}[k]
		if got != v {
			return fmt.Errorf("%s is %s (%s)", k, got, cmp.Or(f.FirstSeen, f.LastSeen))
		}
	}
	return nil
}

func keysOf[V any](m map[string]V) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (s *scenario) none(args []string) error {
	if f, _, ok := s.finding(args); ok {
		return fmt.Errorf("there is one: %s %s", f.Verdict, f.Presence)
	}
	return nil
}

func (s *scenario) seen(args []string) error {
	r := s.lw.run(vedette.Local())
	a, err := r.sc.Asset(r.ctx, args[1])
	if err != nil {
		return err
	}
	port, want := "", args[2:]
	if len(want) > 0 && strings.Contains(want[0], "/") {
		port, want = want[0], want[1:]
	}
	var got []string
	for i, o := range a.Observations {
		if o.Check != args[0] || portText(o.Port, o.Proto) != port {
			continue
		}
		until := ""
		if !a.Closed[i].IsZero() {
			until = sprintInt(s.dayOf(a.Closed[i]))
		}
		got = append(got, sprintInt(s.dayOf(o.At))+"-"+until)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("seen %v", got)
	}
	return nil
}

func (s *scenario) verdict(args []string) error {
	r := s.lw.run(vedette.Local())
	j, err := r.line.join(r.ctx, r.sc, args[0])
	if err != nil {
		return err
	}
	hosts := j.LeftOut
	for _, c := range j.Constituents {
		hosts = append(hosts, c.Hosts...)
	}
	var got []string
	for _, h := range hosts {
		if h.Asset == args[1] {
			got = append(got, strings.ReplaceAll(string(h.Verdict), " ", "-"))
		}
	}
	if !slices.Contains(got, args[2]) {
		return fmt.Errorf("it says %v", got)
	}
	return nil
}

// shows compares the output of a command, as CSV without times, with a file.
func (s *scenario) shows(c command, file string, columns int) error {
	r := s.lw.run(vedette.Local())
	r.Output = "csv"
	if err := c.Run(r); err != nil {
		return err
	}
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(fmt.Sprint(r.out)), "\n")[1:] {
		cells := strings.Split(strings.TrimSpace(line), ",")
		got = append(got, strings.Join(cells[:min(columns, len(cells))], ","))
	}
	if want := strings.TrimSpace(s.files[file]); strings.Join(got, "\n") != want {
		return fmt.Errorf("it says\n%s\nand not\n%s", strings.Join(got, "\n"), want)
	}
	return nil
}

func (s *scenario) diff(args []string) error {
	return s.shows(&surveyDiff{Constituent: args[0], Limit: 1000}, args[1], 7)
}

func (s *scenario) unknowns(args []string) error {
	return s.shows(&surveyUnknowns{Limit: 50}, args[0], 4)
}

// TestScenariosSayWhatTheyAre: a scenario begins with what it is about.
func TestScenariosSayWhatTheyAre(t *testing.T) {
	files, _ := filepath.Glob("testdata/line/*.txtar") // the pattern is valid
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || !strings.HasPrefix(string(b), "# ") {
			t.Errorf("%s does not say what it is about (%v)", f, err)
		}
	}
}
