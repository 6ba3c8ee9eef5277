package app

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/deliver"
	"github.com/vedette-hub/vedette/scope"
)

type constituentApply struct {
	File   string `arg:"" help:"Constituency file (YAML); - is stdin."`
	Whole  bool   `help:"Remove constituents that the file does not name."`
	DryRun bool   `help:"Show the difference and change nothing."`
}

// Help is shown by --help.
func (constituentApply) Help() string {
	return "Examples:\n  vedette constituent apply --dry-run constituency.yaml\n  vedette constituent apply constituency.yaml\n\nApplying the same file again changes nothing."
}

// Run prints the difference and applies it.
func (c *constituentApply) Run(r *run) error {
	in := r.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return vedette.NotFound("%w", err)
		}
		defer f.Close()
		in = f
	}
	file, err := scope.ReadFile(in)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	for _, c := range file.Constituents {
		for _, x := range c.Contacts {
			if err := deliver.Usable(x, r.store.Now()); err != nil {
				r.note("%s, %s: mails will hold the link alone: %v", c.ID, x.Email, err)
			}
		}
	}
	kept, err := r.sc.Constituents(r.ctx)
	if err != nil {
		return err
	}
	diff := scope.Diff(kept, file.Constituents, c.Whole)
	if err := r.print(diffTable(diff)); err != nil {
		return err
	}
	if c.DryRun || len(diff) == 0 {
		r.note("%d differences", len(diff))
		return nil
	}
	if err := r.apply(kept, file.Constituents, diff); err != nil {
		return err
	}
	return r.drain()
}

func diffTable(diff []scope.Change) *table {
	t := &table{columns: []string{"constituent", "what", "field", "from", "to"}, most: map[string]int{"from": 60, "to": 60}}
	for _, d := range diff {
		t.add(d, d.Constituent, d.What, d.Field, d.From, d.To)
	}
	return t
}

// apply writes what the difference names; owners and users of assets follow.
func (r *run) apply(kept, said []vedette.Constituent, diff []scope.Change) error {
	touched, removed := map[string]bool{}, []string{}
	counts := map[string]int{}
	for _, d := range diff {
		if d.What == "removed" {
			removed = append(removed, d.Constituent)
		} else {
			touched[d.Constituent] = true
		}
		counts[d.What]++
	}
	now := map[string]vedette.Constituent{}
	for _, c := range append(slices.Clone(kept), said...) {
		now[c.ID] = c
	}
	var changed, all []vedette.Constituent
	for id, c := range now {
		if slices.Contains(removed, id) {
			continue
		}
		all = append(all, c)
		if touched[id] {
			changed = append(changed, c)
		}
	}
	slices.SortFunc(changed, func(a, b vedette.Constituent) int { return strings.Compare(a.ID, b.ID) })
	summary := map[string]string{}
	for what, n := range counts {
		summary[what] = strconv.Itoa(n)
	}
	return r.sc.ApplyConstituents(r.ctx, changed, removed, scope.NewMap(all).Owner, scope.Users(all), summary)
}

type constituentList struct{}

// Run lists; as JSON it is the constituency file.
func (constituentList) Run(r *run) error {
	cs, err := r.sc.Constituents(r.ctx)
	if err != nil {
		return err
	}
	if r.Output == "json" {
		if cs == nil {
			cs = []vedette.Constituent{}
		}
		return r.json(scope.File{Constituents: cs})
	}
	t := &table{columns: []string{"id", "name", "countries", "sectors", "scope", "software", "contacts"}, most: map[string]int{"sectors": 40}}
	for _, c := range cs {
		t.add(c, c.ID, c.Name, strings.Join(c.Countries, " "), strings.Join(c.Sectors, ", "),
			strconv.Itoa(len(c.Scope)), strconv.Itoa(len(c.Software)), strconv.Itoa(len(c.Contacts)))
	}
	return r.print(t)
}

type constituentShow struct {
	ID string `arg:"" help:"Id of the constituent."`
}

// Run shows the profile and what is known of its exposure.
func (c *constituentShow) Run(r *run) error {
	one, err := r.sc.Constituent(r.ctx, c.ID)
	if err != nil {
		return err
	}
	counts, err := r.sc.ExposureCounts(r.ctx, c.ID)
	if err != nil {
		return err
	}
	if r.Output != "table" {
		return r.json(struct {
			vedette.Constituent
			Exposure map[string]int `json:"exposure"`
		}{one, counts})
	}
	return writeConstituent(r.out, one, counts)
}

func writeConstituent(w io.Writer, c vedette.Constituent, counts map[string]int) error {
	p := &printer{w: w}
	p.line("%s  %s", c.ID, c.Name)
	p.field("countries", strings.Join(c.Countries, ", "))
	p.field("sectors", strings.Join(c.Sectors, ", "))
	p.field("partners", strings.Join(c.Partners, ", "))
	p.field("providers", strings.Join(c.Providers, ", "))
	for _, k := range c.Contacts {
		p.field("contact", fmt.Sprintf("%s  %s <%s>", k.Role, k.Name, k.Email))
	}
	for _, s := range c.Scope {
		p.field("scope", scopeLine(s))
	}
	for _, s := range c.Exclude {
		p.field("excluded", scopeLine(s))
	}
	for _, d := range c.Software {
		p.field("declares", strings.TrimSpace(d.Vendor+" "+d.Product+" "+d.Version))
	}
	for _, k := range []string{"assets", "observations", "findings"} {
		p.field(k, strconv.Itoa(counts[k]))
	}
	return p.err
}

func scopeLine(s vedette.ScopeEntry) string {
	line := s.Domain + s.CIDR + s.URL
	if s.Subdomains {
		line += " with subdomains"
	}
	if s.AuthorisedBy != "" {
		line += ", authorised by " + s.AuthorisedBy + " in " + s.Document
	}
	if s.ValidUntil != "" {
		line += ", until " + s.ValidUntil
	}
	return line
}

// printer writes lines of text and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, a ...any) {
	if p.err != nil {
		return
	}
	for i, x := range a {
		if s, ok := x.(string); ok {
			a[i] = plain(s)
		}
	}
	_, p.err = fmt.Fprintf(p.w, format+"\n", a...)
}

// field writes a labelled line, nothing when there is nothing to say.
func (p *printer) field(label, value string) {
	if value != "" {
		p.line("  %-13s %s", label, value)
	}
}
