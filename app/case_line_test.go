package app

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// The people of the scenarios, by their roles.
var people = map[string]vedette.Principal{
	"lead":    {Name: "lead", Roles: []vedette.Role{vedette.Lead, vedette.Analyst}},
	"second":  {Name: "second lead", Roles: []vedette.Role{vedette.Lead}},
	"manager": {Name: "manager", Roles: []vedette.Role{vedette.Manager}, Constituents: []string{"alder"}},
}

// spaced is a word of a scenario with its spaces.
func spaced(w string) string { return strings.ReplaceAll(w, "-", " ") }

// by runs a command as one of the people.
func (s *scenario) by(who string, c command) (string, error) {
	p, ok := people[who]
	if !ok {
		return "", fmt.Errorf("nobody is called %s", who)
	}
	r := s.lw.run(p)
	err := c.Run(r)
	return r.out.(*bytes.Buffer).String(), err
}

func (s *scenario) apply(args []string) error {
	s.lw.do(&constituentApply{File: s.lw.file(args[0], s.files[args[0]])})
	return nil
}

// pass lets days pass without a look at anything.
func (s *scenario) pass(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	s.lw.clock = s.lw.clock.AddDate(0, 0, n)
	return s.lw.hub.line.Drain(s.t.Context())
}

// caseSeen is a case as `case list` shows it.
type caseSeen struct {
	vedette.Case
	Deadline time.Time `json:"deadline"`
}

// caseRows are all cases, the closed and the covered too.
func (s *scenario) caseRows() (map[string]caseSeen, error) {
	out, err := s.by("lead", &caseList{Closed: true, Covered: true, Limit: 1000})
	if err != nil {
		return nil, err
	}
	rows := map[string]caseSeen{}
	for _, c := range decode[[]caseSeen](s.t, out) {
		rows[c.Constituent+" "+c.Weakness] = c
		if err := s.sameAlone(c); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// sameAlone: what a list keeps of a case is what is computed when one asks for it.
func (s *scenario) sameAlone(listed caseSeen) error {
	r := s.lw.run(people["lead"])
	c, err := r.sc.Case(r.ctx, listed.ID)
	if err != nil {
		return err
	}
	if c.Ruling != nil {
		c.Ruling.Inputs = nil
	}
	c.Deadline, listed.Case.Deadline = time.Time{}, time.Time{}
	if got, want := fmt.Sprintf("%+v %+v", c, c.Ruling), fmt.Sprintf("%+v %+v", listed.Case, listed.Ruling); ruled.ReplaceAllString(got, "") != ruled.ReplaceAllString(want, "") {
		return fmt.Errorf("listed as\n%s\nand alone it is\n%s", want, got)
	}
	return nil
}

// ruled is a pointer in a text.
var ruled = regexp.MustCompile(`0x[0-9a-f]+`)

func (s *scenario) caseIs(args []string) error {
	rows, err := s.caseRows()
	if err != nil {
		return err
	}
	c, ok := rows[args[0]+" "+args[1]]
	if !ok {
		return fmt.Errorf("not there: %v", keysOf(rows))
	}
	if c.State != vedette.CaseState(spaced(args[2])) {
		return fmt.Errorf("it is %s", c.State)
	}
	is := map[string]string{"presence": string(c.Presence), "verdict": string(c.Verdict), "covered": "no", "back": sprintInt(c.Reopened),
		"check": strconv.FormatBool(c.ToCheck), "places": sprintInt(c.Findings), "opened": c.Opened.Format(time.DateOnly), "due": c.Deadline.Format(time.DateOnly)}
	if c.Covered != nil {
		is["covered"] = string(c.Covered.Kind)
	}
	for _, w := range args[3:] {
		if k, v, _ := strings.Cut(w, "="); is[k] != v && is[k] != spaced(v) {
			return fmt.Errorf("%s is %q", k, is[k])
		}
	}
	return nil
}

func (s *scenario) cases(args []string) error {
	rows, err := s.caseRows()
	if err == nil && sprintInt(len(rows)) != args[0] {
		err = fmt.Errorf("there are %d: %v", len(rows), keysOf(rows))
	}
	return err
}

// open are the cases that wait for somebody: neither closed nor covered.
func (s *scenario) open(args []string) error {
	rows, err := s.caseRows()
	if err != nil {
		return err
	}
	var got []string
	for _, c := range rows {
		if c.State != vedette.CaseClosed && c.Covered == nil {
			got = append(got, c.Constituent)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, args) {
		err = fmt.Errorf("open at %v", got)
	}
	return err
}

func (s *scenario) handle(args []string) error {
	rows, err := s.caseRows()
	if err == nil {
		_, err = s.by("lead", &caseSet{IDs: []string{rows[args[0]+" "+args[1]].ID}, State: spaced(args[2]), Reason: strings.Join(args[3:], " ")})
	}
	return err
}

func (s *scenario) decide(args []string) error {
	rows, err := s.caseRows()
	if err != nil {
		return err
	}
	c := &caseDecide{ID: rows[args[1]+" "+args[2]].ID, Kind: spaced(args[3]), Reason: "as the scenario says"}
	for _, w := range args[4:] {
		switch k, v, _ := strings.Cut(w, "="); k {
		case "days":
			n, err := strconv.Atoi(v)
			if err != nil {
				return err
			}
			c.Until = s.lw.clock.AddDate(0, 0, n).Format(time.DateOnly)
		case "asset":
			c.Asset = v
		case "everywhere":
			c.Everywhere = true
		}
	}
	_, err = s.by(args[0], c)
	return err
}

// decision is the id of the decision made last.
func (s *scenario) decision() (string, error) {
	r := s.lw.run(people["lead"])
	ds, err := r.sc.Decisions(r.ctx, "", 1)
	if err != nil || len(ds) == 0 {
		return "", fmt.Errorf("nobody decided anything (%v)", err)
	}
	return ds[0].ID, nil
}

func (s *scenario) approve(args []string) error {
	id, err := s.decision()
	if err == nil {
		_, err = s.by(args[0], &caseApprove{ID: id})
	}
	return err
}

func (s *scenario) revoke(args []string) error {
	id, err := s.decision()
	if err == nil {
		_, err = s.by(args[0], &caseRevoke{ID: id, Reason: strings.Join(args[1:], " ")})
	}
	return err
}

// rebuild computes everything again, and what is kept and computed is the same.
func (s *scenario) rebuild([]string) error {
	before := s.lw.hashes("events", "seals")
	s.lw.do(rebuildCmd{})
	sameHashes(s.t, s.lw.hashes("events", "seals"), before, "after a rebuild")
	return s.lw.hub.line.Drain(s.t.Context())
}

// publications are those of a kind, and how many editions they have.
func (s *scenario) publications(args []string) error {
	r := s.lw.run(people["lead"])
	ps, err := r.sc.Publications(r.ctx, "", 1000)
	if err != nil {
		return err
	}
	n, editions := 0, 0
	for _, p := range ps {
		if p.Kind == args[0] && p.State != vedette.PublicationWithdrawn {
			n, editions = n+1, editions+p.Editions
		}
	}
	if got := fmt.Sprintf("%d editions=%d", n, editions); got != strings.Join(args[1:], " ") {
		return fmt.Errorf("there are %s", got)
	}
	return nil
}
