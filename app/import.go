package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/collect"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/store"
)

// importCmd takes files in.
type importCmd struct {
	Files       []string `arg:"" name:"file" help:"Files of any known format, .gz, .tar.gz or .zip; - is stdin."`
	Constituent string   `help:"Whom the files speak of." placeholder:"ID"`
	Source      string   `help:"Who says it; the format's own source by default. A new one of a public format needs --marking, which becomes its default." placeholder:"NAME"`
	As          string   `help:"Take the files as this format instead of recognising it." placeholder:"FORMAT"`
	Marking     string   `help:"TLP of the files; the source's default otherwise." placeholder:"TLP"`
	Audience    string   `help:"Who may read them, as org:ID|person:NAME." placeholder:"WHO"`
	AllowShrink bool     `help:"Let a full list leave out more than a tenth of what it had."`
}

// Help is shown by --help.
func (importCmd) Help() string {
	var b strings.Builder
	b.WriteString("Examples:\n  vedette import cves.jsonl.gz kev.json\n  vedette import --constituent alpha hosts.csv\n  vedette import --as kev --marking amber - < partner.json\n\nFormats:\n")
	for _, f := range read.All {
		fmt.Fprintf(&b, "  %-14s %s\n", f.Name, f.About)
	}
	return b.String()
}

// Run takes each file, then lets the line work. What is acknowledged on stdout is kept.
func (c *importCmd) Run(r *run) error {
	marking, err := c.marking()
	if err != nil {
		return err
	}
	own, err := r.owner()
	if err != nil {
		return err
	}
	im := &importer{run: r, order: collect.Order{Desk: storeDesk{r.sc, own}, Format: c.As, Source: c.source(marking), Marking: marking,
		Constituent: c.Constituent, Shrink: c.AllowShrink, Now: r.store.Now, Progress: r.progress}}
	if c.As != "" {
		if _, err := read.ByName(c.As); err != nil {
			return fmt.Errorf("%w: --as: %w", errUsage, err)
		}
	}
	for _, file := range c.Files {
		if err := im.order.File(r.ctx, file, r.in, im.report); err != nil {
			return err
		}
	}
	if err := r.drain(); err != nil {
		return err
	}
	if r.Output != "json" && r.Output != "jsonl" {
		if err := r.print(im.table()); err != nil {
			return err
		}
	}
	r.status = im.status()
	return nil
}

func (c *importCmd) marking() (m vedette.Marking, err error) {
	if c.Marking != "" {
		if m.TLP, err = vedette.ParseTLP(c.Marking); err != nil {
			return m, fmt.Errorf("%w: --marking: %w", errUsage, err)
		}
	}
	if m.Audience, err = vedette.ParseAudience(c.Audience); err != nil {
		return m, fmt.Errorf("%w: --audience: %w", errUsage, err)
	}
	if m.TLP == vedette.TLPNone && m.Audience != "" {
		return m, fmt.Errorf("%w: --audience needs --marking", errUsage)
	}
	return m, nil
}

// source is who says what a file of a format says.
func (c *importCmd) source(marking vedette.Marking) func(read.Format) vedette.Source {
	return func(f read.Format) vedette.Source {
		src := f.Source
		if c.Source != "" && c.Source != src.Name {
			// another's words in a public source's format are not public for that:
			// a new source says itself what its default is
			src.Name, src.About = c.Source, ""
			if marking.TLP != vedette.TLPNone || src.Marking.TLP < vedette.TLPAmber {
				src.Marking = marking
			}
		}
		return src
	}
}

// storeDesk is the store as a place to hand documents in, for one principal.
type storeDesk struct {
	sc  *store.Scoped
	own store.Owner
}

// Take begins to take a document in.
func (d storeDesk) Take(ctx context.Context, in vedette.Intake, src vedette.Source, f read.Format, shrink bool) (collect.Taking, error) {
	t, err := d.sc.Take(ctx, in, src, store.Way{Own: d.own, Whole: f.Whole, Shrink: shrink})
	return taking{t}, err
}

// taking is a document on its way into the store, with the aliases that its
// statements make of their products.
type taking struct{ t *store.Taking }

func (t taking) Known() bool                            { return t.t.Known }
func (t taking) Taken() vedette.Counts                  { return t.t.Counts }
func (t taking) Finish(size int64, own time.Time) error { return t.t.Finish(size, own) }

func (t taking) Add(record []byte, said vedette.Said) error {
	withProducts(&said)
	return t.t.Add(record, said)
}

// importer takes files in and tells of each.
type importer struct {
	*run
	order collect.Order
	done  []collect.Result
}

// report prints a line of JSON at once, or keeps the row for the table.
func (im *importer) report(res collect.Result) {
	if res.Refused == nil {
		res.Refused = []collect.Refusal{}
	}
	im.done = append(im.done, res)
	if im.Output == "json" || im.Output == "jsonl" {
		_ = (&run{Globals: &Globals{Output: "jsonl"}, out: im.out}).json(res) // a closed stdout shows in the exit
	}
	for _, x := range res.Refused {
		im.note("%s: refused %s: %s", plain(res.File), plain(x.Where), plain(x.Why))
	}
}

func (im *importer) table() *table {
	t := &table{columns: []string{"file", "format", "read", "new", "changed", "unchanged", "refused"}}
	for _, d := range im.done {
		t.add(d, d.File, d.Format, fmt.Sprint(d.Read), fmt.Sprint(d.New), fmt.Sprint(d.Changed), fmt.Sprint(d.Unchanged), fmt.Sprint(len(d.Refused)))
	}
	return t
}

// status: all refused is no, some is partial.
func (im *importer) status() int {
	refused, taken := 0, 0
	for _, d := range im.done {
		if len(d.Refused) > 0 {
			refused++
		}
		if d.Read > 0 && !d.Nothing() {
			taken++
		}
	}
	switch {
	case refused == 0:
		return exitOK
	case taken == 0:
		return exitNo
	}
	return exitPartial
}
