package app

import (
	"fmt"
	"slices"
	"time"

	"github.com/vedette-hub/vedette"
)

type caseDecide struct {
	ID         string `arg:"" name:"id" help:"Case, as list shows it."`
	Kind       string `help:"risk accepted, false positive or not affected." required:"" placeholder:"KIND"`
	Reason     string `help:"Why." required:"" placeholder:"TEXT"`
	Until      string `help:"The last day; an accepted risk takes one." placeholder:"YYYY-MM-DD"`
	Asset      string `help:"Only on this asset; on every asset of the case otherwise." placeholder:"NAME"`
	Everywhere bool   `help:"At every constituent, the next ones too."`
}

// Help is shown by --help.
func (caseDecide) Help() string {
	return "Examples:\n  vedette case decide C-0123456789ab --kind 'risk accepted' --until 2027-03-31 --reason 'replaced in March, behind a VPN until then'\n  vedette case decide C-0123456789ab --kind 'false positive' --everywhere --reason 'the banner of the appliance names another product'\n\nA decision covers nothing until another person approves it, and ends by itself."
}

// Run keeps the decision.
func (c *caseDecide) Run(r *run) error {
	if !slices.Contains(vedette.DecisionKinds, vedette.DecisionKind(c.Kind)) {
		return fmt.Errorf("%w: --kind is one of %q", errUsage, vedette.DecisionKinds)
	}
	x, err := r.sc.Case(r.ctx, c.ID)
	if err != nil {
		return err
	}
	d := vedette.Decision{Kind: vedette.DecisionKind(c.Kind), Weakness: x.Weakness, Constituent: x.Constituent, Reason: c.Reason}
	if c.Everywhere {
		d.Constituent = ""
	}
	if c.Until != "" {
		last, err := time.Parse(time.DateOnly, c.Until)
		if err != nil || !last.After(r.store.Now()) {
			return fmt.Errorf("%w: --until %q is not a day to come, YYYY-MM-DD", errUsage, c.Until)
		}
		d.Until = last.AddDate(0, 0, 1)
	}
	if c.Asset != "" {
		a, err := vedette.ParseAsset(c.Asset)
		if err != nil {
			return err
		}
		d.Asset = a.ID
	}
	if d, err = r.sc.Decide(r.ctx, d); err != nil {
		return err
	}
	if err := r.drain(); err != nil {
		return err
	}
	r.note("%s covers nothing yet: another lead approves it with `vedette case approve %s`", d.ID, d.ID)
	return r.print(r.decisionTable(d))
}

func (r *run) decisionTable(ds ...vedette.Decision) *table {
	t := &table{columns: []string{"id", "kind", "weakness", "constituent", "asset", "until", "by", "approver", "in force", "reason"}, most: map[string]int{"reason": 60}}
	for _, d := range ds {
		force := "no"
		if d.InForce(r.store.Now()) {
			force = "yes"
		}
		t.add(d, d.ID, string(d.Kind), d.Weakness, orAll(d.Constituent), orAll(d.Asset), untilText(d.Until), d.By, orDash(d.Approver), force, d.Reason)
	}
	return t
}

func orAll(s string) string {
	if s == "" {
		return "all"
	}
	return s
}

// untilText is the last day of an interval.
func untilText(t time.Time) string {
	if t.IsZero() {
		return "for ever"
	}
	return "until " + t.AddDate(0, 0, -1).Format(time.DateOnly)
}

type caseDecisions struct {
	Weakness string `arg:"" optional:"" help:"Only about this weakness." placeholder:"CVE"`
	Limit    int    `help:"How many, at most; ${default} otherwise." default:"100" placeholder:"N"`
}

// Run lists decisions.
func (c *caseDecisions) Run(r *run) error {
	ds, err := r.sc.Decisions(r.ctx, c.Weakness, max(1, min(c.Limit, 100_000)))
	if err != nil {
		return err
	}
	return r.print(r.decisionTable(ds...))
}

type caseApprove struct {
	ID string `arg:"" name:"id" help:"Decision, as decisions lists it."`
}

// Run approves.
func (c *caseApprove) Run(r *run) error {
	d, err := r.sc.ApproveDecision(r.ctx, c.ID)
	if err != nil {
		return err
	}
	if err := r.drain(); err != nil {
		return err
	}
	return r.print(r.decisionTable(d))
}

type caseRevoke struct {
	ID     string `arg:"" name:"id" help:"Decision, as decisions lists it."`
	Reason string `help:"Why; it is recorded." required:"" placeholder:"TEXT"`
}

// Run ends the decision.
func (c *caseRevoke) Run(r *run) error {
	d, err := r.sc.EndDecision(r.ctx, c.ID, c.Reason)
	if err != nil {
		return err
	}
	if err := r.drain(); err != nil {
		return err
	}
	return r.print(r.decisionTable(d))
}
