package app

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
)

type findingList struct {
	Constituent string `help:"Only of this constituent." placeholder:"ID"`
	Weakness    string `help:"Only of this weakness." placeholder:"CVE"`
	Asset       string `help:"Only on this asset." placeholder:"NAME"`
	Verdict     string `help:"Only with this verdict." placeholder:"VERDICT"`
	Presence    string `help:"Only with this presence." placeholder:"PRESENCE"`
	Exploited   bool   `help:"Only of weaknesses that somebody says are exploited."`
	After       string `help:"Go on after this finding." placeholder:"ID"`
	Limit       int    `help:"How many, at most; ${default} otherwise." default:"100" placeholder:"N"`
}

var presences = []vedette.Presence{vedette.Present, vedette.NotObserved, vedette.Fixed, vedette.PresenceUndetermined}

// Help is shown by --help.
func (findingList) Help() string {
	return "Examples:\n  vedette finding list --exploited --presence present\n  vedette finding list --constituent alpha -o csv > alpha.csv\n\nVerdicts: confirmed, likely, possible, declared. Presence: present, \"not observed\", fixed, undetermined."
}

// Run lists findings.
func (c *findingList) Run(r *run) error {
	if v := vedette.Verdict(c.Verdict); v != "" && !v.MakesFinding() {
		return fmt.Errorf("%w: --verdict is one of %q", errUsage, vedette.Verdicts[:4])
	}
	if p := vedette.Presence(c.Presence); p != "" && !slices.Contains(presences, p) {
		return fmt.Errorf("%w: --presence is one of %q", errUsage, presences)
	}
	f := store.FindingFilter{Constituent: c.Constituent, Weakness: c.Weakness, Asset: c.Asset, Verdict: vedette.Verdict(c.Verdict),
		Presence: vedette.Presence(c.Presence), Exploited: c.Exploited, Limit: max(1, min(c.Limit, 100_000))}
	if c.After != "" {
		k, err := vedette.ParseFindingID(c.After)
		if err != nil {
			return err
		}
		f.After = k
	}
	fs, next, err := r.sc.Findings(r.ctx, f)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"id", "constituent", "weakness", "asset", "port", "verdict", "presence", "first seen", "last seen"}}
	for _, x := range fs {
		t.add(x, x.ID, x.Constituent, x.Weakness, orDash(x.Asset), portText(x.Port, x.Proto), string(x.Verdict), string(x.Presence), stamp(x.FirstSeen), stamp(x.LastSeen))
	}
	if c.Constituent == "" && c.Asset == "" && c.After == "" {
		shared, err := r.sc.SharedFindings(r.ctx, c.Weakness)
		if err != nil {
			return err
		}
		for _, x := range shared {
			t.add(x, "shared", "", x.Weakness, x.Asset, "", "", string(x.Presence), "", "")
		}
	}
	if next != 0 {
		r.note("more: --after %s", vedette.FindingID(next))
	}
	return r.print(t)
}

func portText(port int, proto string) string {
	if port == 0 {
		return ""
	}
	return strconv.Itoa(port) + "/" + proto
}

type findingShow struct {
	ID string `arg:"" help:"Finding id, F- and 16 hex digits."`
}

// Run shows a finding with everything that speaks for it.
func (c *findingShow) Run(r *run) error {
	f, err := r.sc.Finding(r.ctx, c.ID)
	if err != nil {
		return err
	}
	if r.Output != "table" {
		return r.json(f)
	}
	p := &printer{w: r.out}
	p.line("%s  %s at %s", f.ID, f.Weakness, f.Constituent)
	p.field("asset", orDash(f.Asset)+" "+portText(f.Port, f.Proto))
	p.field("place", f.Path)
	p.field("verdict", string(f.Verdict))
	p.field("presence", string(f.Presence))
	p.field("seen", fmt.Sprintf("first %s, last %s", stamp(f.FirstSeen), stamp(f.LastSeen)))
	for _, e := range f.Evidence {
		p.line("")
		p.line("  %s saw %s, %s  %s", e.Check, softwareText(e.Match.Software), stamp(e.Seen), e.Marking.String())
		if !e.Closed.IsZero() {
			p.line("      no longer since %s", stamp(e.Closed))
		}
		if e.Fact.Banner != "" {
			p.line("      banner %q", e.Fact.Banner)
		}
		p.line("      %s", e.Match.Verdict)
		for _, why := range e.Match.Reasons {
			p.line("      %s", why)
		}
		if e.Match.Fixed != "" {
			p.line("      fixed in %s", e.Match.Fixed)
		}
	}
	return p.err
}
