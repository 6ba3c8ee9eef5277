package app

import (
	"fmt"
	"strings"

	"github.com/vedette-hub/vedette/store"
)

type assetList struct {
	Constituent string `help:"Only of this constituent." placeholder:"ID"`
	After       string `help:"Go on after this asset." placeholder:"ID"`
	Limit       int    `help:"How many, at most; ${default} otherwise." default:"100" placeholder:"N"`
}

// Run lists assets by name.
func (c *assetList) Run(r *run) error {
	limit := max(1, min(c.Limit, 1_000_000))
	as, err := r.sc.Assets(r.ctx, store.AssetFilter{Constituent: c.Constituent, After: c.After, Limit: limit})
	if err != nil {
		return err
	}
	t := &table{columns: []string{"asset", "kind", "owner", "places", "first seen"}}
	for _, a := range as {
		owner, places := orDash(a.Owner), fmt.Sprint(a.Places)
		if a.Shared {
			owner, places = "shared", ""
		}
		t.add(a, a.ID, string(a.Kind), owner, places, stamp(a.FirstSeen))
	}
	if len(as) >= limit && !as[limit-1].Shared {
		r.note("more: --after %s", as[limit-1].ID)
	}
	return r.print(t)
}

type assetShow struct {
	ID string `arg:"" help:"Name or address."`
}

// Run shows what is and was seen on an asset.
func (c *assetShow) Run(r *run) error {
	a, err := r.sc.Asset(r.ctx, c.ID)
	if err != nil {
		return err
	}
	if r.Output != "table" {
		return r.json(a)
	}
	p := &printer{w: r.out}
	p.line("%s  %s of %s", a.ID, string(a.Kind), orDash(a.Owner))
	p.field("used by", strings.Join(a.Users, ", "))
	p.field("first seen", stamp(a.FirstSeen))
	for i, o := range a.Observations {
		what := o.Fact.Service
		for _, s := range o.Fact.Software {
			what += " " + softwareText(s)
		}
		for _, rep := range o.Fact.Reports {
			what += " " + rep.Weakness + " (" + string(rep.Verdict) + ")"
		}
		if o.Fact.Address != "" {
			what += " " + o.Fact.Address
		}
		until := "still there"
		if !a.Closed[i].IsZero() {
			until = "until " + stamp(a.Closed[i])
		}
		p.line("  %-10s %-12s %-40s since %s, %s", portText(o.Port, o.Proto), o.Check, short(strings.TrimSpace(what), 40), stamp(o.At), until)
	}
	return p.err
}

type sourceList struct{}

// Run lists who says things.
func (sourceList) Run(r *run) error {
	ss, err := r.sc.Sources(r.ctx)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"name", "about", "marking", "reliability", "redistribute", "documents", "newest"}, most: map[string]int{"about": 40}}
	for _, s := range ss {
		t.add(s, s.Name, s.About, s.Marking.String(), s.Reliability, s.Redistribute, fmt.Sprint(s.Documents), stamp(s.Newest))
	}
	return r.print(t)
}
