package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/product"
	"github.com/vedette-hub/vedette/read"
)

// byWeight orders name keys by how many places show them.
func byWeight(uses map[int64]int) []int64 {
	out := make([]int64, 0, len(uses))
	for k := range uses {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b int64) int { return cmp.Or(cmp.Compare(uses[b], uses[a]), cmp.Compare(a, b)) })
	return out
}

// namesSeen are the product names that the reader's constituents show, with
// how many places show each, and what the line knows of names.
func (r *run) namesSeen() (map[int64]int, *index, error) {
	uses, err := r.sc.NamesSeen(r.ctx)
	if err != nil {
		return nil, nil, err
	}
	ix, err := r.line.load(r.ctx)
	return uses, ix, err
}

type productList struct {
	All   bool `help:"Every name that is seen, not only those that nothing is known of."`
	Limit int  `help:"How many, at most; ${default} otherwise." default:"50" placeholder:"N"`
}

// Help is shown by --help.
func (productList) Help() string {
	return "Names of software that is seen at your constituents and that no source speaks of, by how many places show them: the first ones are worth an alias (vedette product propose, accept)."
}

// Run lists names by weight.
func (c *productList) Run(r *run) error {
	uses, ix, err := r.namesSeen()
	if err != nil {
		return err
	}
	keys := make([]int64, 0, len(uses))
	for k := range uses {
		keys = append(keys, ix.members[ix.class[k]]...)
	}
	spoken, err := r.sc.NamesSpoken(r.ctx, distinct(keys))
	if err != nil {
		return err
	}
	t := &table{columns: []string{"places", "product", "scheme", "known"}}
	n := 0
	for _, k := range byWeight(uses) {
		known := false
		for _, m := range ix.members[ix.class[k]] {
			known = known || spoken[m]
		}
		name := ix.names[k]
		if (known && !c.All) || name.Scheme == "weakness" {
			continue
		}
		if n++; n > max(1, c.Limit) {
			break
		}
		row := map[string]any{"places": uses[k], "vendor": name.Vendor, "product": name.Product, "scheme": name.Scheme, "known": known}
		t.add(row, fmt.Sprint(uses[k]), name.String(), name.Scheme, fmt.Sprint(known))
	}
	return r.print(t)
}

type productPropose struct {
	Limit int `help:"How many, at most; ${default} otherwise." default:"30" placeholder:"N"`
}

// Help is shown by --help.
func (productPropose) Help() string {
	return "Pairs of names that may be of one product, with the reasons. A proposal joins nothing: decide with vedette product accept or reject."
}

// Run compares the names that are seen with those that sources speak of.
func (c *productPropose) Run(r *run) error {
	uses, ix, err := r.namesSeen()
	if err != nil {
		return err
	}
	weaknesses, err := r.sc.NamesWithWeaknesses(r.ctx)
	if err != nil {
		return err
	}
	var known []product.NameUse
	for k, name := range ix.names {
		if uses[k] > 0 || weaknesses[k] != nil {
			known = append(known, product.NameUse{Name: name, Weaknesses: weaknesses[k]})
		}
	}
	slices.SortFunc(known, func(a, b product.NameUse) int { return cmp.Compare(a.Name.String(), b.Name.String()) })
	t := &table{columns: []string{"weight", "name", "may be", "why"}}
	for _, p := range product.Propose(known, ix.classes) {
		from, to := ix.keys[p.Alias.From], ix.keys[p.Alias.To]
		if uses[from] == 0 && uses[to] == 0 {
			continue // nobody shows either: nothing would follow
		}
		if len(t.rows) == max(1, c.Limit) {
			break
		}
		t.add(p, fmt.Sprintf("%.2f", p.Weight), nameText(p.Alias.From), nameText(p.Alias.To), strings.Join(p.Reasons, "; "))
	}
	return r.print(t)
}

func nameText(n vedette.ProductName) string {
	if n.Scheme != "" && n.Scheme != "cpe" && n.Scheme != "cna" {
		return n.Scheme + ":" + n.String()
	}
	return n.String()
}

// parseName reads "vendor/product", "product" or "scheme:name".
func parseName(s string) (vedette.ProductName, error) {
	var n vedette.ProductName
	if scheme, rest, ok := strings.Cut(s, ":"); ok {
		n.Scheme, s = scheme, rest
	}
	if vendor, rest, ok := strings.Cut(s, "/"); ok && n.Scheme == "" {
		n.Vendor, s = vendor, rest
	}
	n.Product = s
	n = product.Normalise(n)
	if n.Product == "" {
		return n, vedette.Invalid("%q is no product name: vendor/product, product, or scheme:name", s)
	}
	return n, nil
}

type productDecide struct {
	Name   string `arg:"" help:"One name: vendor/product, product, or scheme:name as in deb:openssh."`
	Other  string `arg:"" help:"The other name."`
	Reason string `help:"Why." required:"" placeholder:"TEXT"`
}

type productAccept struct{ productDecide }

type productReject struct{ productDecide }

// Run joins the names.
func (c *productAccept) Run(r *run) error { return c.decide(r, false) }

// Run parts the names.
func (c *productReject) Run(r *run) error { return c.decide(r, true) }

// decide states an alias. It is GREEN: what follows from it shows in findings
// of every constituent.
func (c *productDecide) decide(r *run, rejected bool) error {
	if len(r.p.Constituents) > 0 {
		return vedette.Refused("%s is bound to constituents; an alias holds for all", r.p.Name)
	}
	from, err := parseName(c.Name)
	if err != nil {
		return err
	}
	to, err := parseName(c.Other)
	if err != nil {
		return err
	}
	return r.state(read.Person{Statement: "alias", From: from, To: to, Rejected: rejected, Reason: c.Reason}, vedette.Marking{TLP: vedette.TLPGreen})
}
