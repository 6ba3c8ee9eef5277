package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/scope"
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

// refusal is one record or member that was not taken, and why.
type refusal struct {
	Where string `json:"where"`
	Why   string `json:"why"`
}

// imported is the line of output for one file or member.
type imported struct {
	File   string `json:"file"`
	Format string `json:"format"`
	store.Counts
	Known   bool      `json:"known,omitempty"` // the same bytes came from the source before
	Refused []refusal `json:"refused"`
}

// maxRefusals is how many refusals of one file are listed; all are counted.
const maxRefusals = 100

// Run takes each file, then lets the line work. What is acknowledged on stdout is kept.
func (c *importCmd) Run(r *run) error {
	marking, err := c.marking()
	if err != nil {
		return err
	}
	cs, err := r.store.System().AllConstituents(r.ctx)
	if err != nil {
		return err
	}
	im := &importer{run: r, cmd: c, marking: marking, way: store.Way{Own: scope.NewMap(cs).Owner, Shrink: c.AllowShrink}}
	for _, file := range c.Files {
		if err := im.file(file); err != nil {
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

// importer takes the members of files in.
type importer struct {
	*run
	cmd     *importCmd
	marking vedette.Marking
	way     store.Way
	done    []imported
}

// file takes one file with its members. An error of the store or of the wall
// ends the command; an error of the file is its refusal.
func (im *importer) file(name string) error {
	visit := func(m safe.Member) error {
		if m.Err != nil {
			im.report(imported{File: m.Name, Refused: []refusal{{m.Name, m.Err.Error()}}})
			return nil
		}
		return im.member(m.Name, m.R)
	}
	var err error
	if name == "-" {
		err = safe.Members("stdin", im.in, importLimits, visit)
	} else {
		err = safe.MembersFile(name, importLimits, visit)
	}
	if fatal(err) {
		return err
	}
	if err != nil {
		im.report(imported{File: safe.Label(name), Refused: []refusal{{safe.Label(name), err.Error()}}})
	}
	return nil
}

// importLimits are the guard's, with room for the bulk archives of the CVE
// programme and of OSV, which have a member for each record.
var importLimits = safe.Limits{Members: 500_000, Total: 16 << 30}

// fatal errors are not the file's fault.
func fatal(err error) bool {
	return err != nil && !errors.Is(err, vedette.ErrInvalid) && !errors.Is(err, vedette.ErrConflict) && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission)
}

// member takes one document: spooled and hashed first, so that the same bytes
// are recognised before anything is parsed.
func (im *importer) member(name string, r io.Reader) error {
	doc, err := spool(r)
	if err != nil {
		if fatal(err) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		im.report(imported{File: name, Refused: []refusal{{name, err.Error()}}})
		return nil
	}
	defer doc.close()
	res, err := im.document(name, doc)
	if fatal(err) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		res.Refused = append(res.Refused, refusal{name, err.Error()})
	}
	im.report(res)
	return nil
}

func (im *importer) document(name string, doc *spooled) (imported, error) {
	res := imported{File: name, Refused: []refusal{}}
	f, err := im.format(doc.head)
	if err != nil {
		return res, err
	}
	res.Format = f.Name
	src := f.Source
	if im.cmd.Source != "" && im.cmd.Source != src.Name {
		// another's words in a public source's format are not public for that:
		// a new source says itself what its default is
		src.Name, src.About = im.cmd.Source, ""
		if im.marking.TLP != vedette.TLPNone || src.Marking.TLP < vedette.TLPAmber {
			src.Marking = im.marking
		}
	}
	marking := im.marking
	now := im.store.Now()
	t, err := im.sc.Take(im.ctx, vedette.Intake{Source: src.Name, Document: doc.hash, Format: f.Name, Marking: marking, At: now, Time: now,
		Address: name, Constituent: im.cmd.Constituent}, src, im.wayOf(f))
	if err != nil {
		return res, err
	}
	if !t.Known {
		err = im.take(t, f, doc, &res)
	}
	res.Counts, res.Known = t.Counts, t.Known
	if err != nil {
		res.Counts = store.Counts{Read: t.Read}
	}
	return res, err
}

func (im *importer) wayOf(f read.Format) store.Way {
	way := im.way
	way.Whole = f.Whole
	return way
}

func (im *importer) format(head []byte) (read.Format, error) {
	if im.cmd.As != "" {
		f, err := read.ByName(im.cmd.As)
		if err != nil {
			return f, fmt.Errorf("%w: --as: %w", errUsage, err)
		}
		return f, nil
	}
	return read.Sniff(head)
}

// take reads the records into the store.
func (im *importer) take(t *store.Taking, f read.Format, doc *spooled, res *imported) error {
	refused := 0
	refuse := func(where string, err error) {
		if refused++; refused <= maxRefusals {
			res.Refused = append(res.Refused, refusal{where, err.Error()})
		}
	}
	body, err := doc.reader()
	if err != nil {
		return err
	}
	own, err := f.Read(body, func(rec read.Record, said read.Said) error {
		if err := im.ctx.Err(); err != nil {
			return err
		}
		if rec.Err != nil {
			refuse(rec.Where, rec.Err)
			return nil
		}
		withProducts(&said)
		if t.Read%1000 == 0 {
			im.progress("%s: %d records", res.File, t.Read)
		}
		return t.Add(rec.Body, said)
	})
	im.progress("")
	if err != nil {
		return err
	}
	if refused > maxRefusals {
		res.Refused = append(res.Refused, refusal{res.File, fmt.Sprintf("and %d more", refused-maxRefusals)})
	}
	if refused > 0 && t.Read == 0 {
		return vedette.Invalid("nothing in it could be read")
	}
	return t.Finish(doc.size, own.Time)
}

// report prints a line of JSON at once, or keeps the row for the table.
func (im *importer) report(res imported) {
	if res.Refused == nil {
		res.Refused = []refusal{}
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
		if d.Read > 0 && (d.New+d.Changed+d.Unchanged > 0 || len(d.Refused) == 0) {
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

// spooled is a document on its way: small ones in memory, large ones in an
// unnamed file.
type spooled struct {
	hash string
	size int64
	head []byte
	mem  *bytes.Buffer
	file *os.File
}

const spoolMemory = 32 << 20

func spool(r io.Reader) (*spooled, error) {
	h := sha256.New()
	d := &spooled{mem: &bytes.Buffer{}}
	n, err := io.Copy(io.MultiWriter(h, d.mem), io.LimitReader(r, spoolMemory))
	if err != nil {
		return nil, err
	}
	d.size = n
	d.head = bytes.Clone(d.mem.Bytes()[:min(d.mem.Len(), read.SniffSize)])
	if n == spoolMemory {
		if d.file, err = os.CreateTemp("", "vedette-*"); err != nil {
			return nil, err
		}
		if err := os.Remove(d.file.Name()); err != nil { // it lives as long as it is open
			return nil, errors.Join(err, d.file.Close())
		}
		if _, err := d.mem.WriteTo(d.file); err != nil {
			return nil, errors.Join(err, d.file.Close())
		}
		rest, err := io.Copy(io.MultiWriter(h, d.file), r)
		if err != nil {
			return nil, errors.Join(err, d.file.Close())
		}
		d.mem, d.size = nil, n+rest
	}
	d.hash = hex.EncodeToString(h.Sum(nil))
	return d, nil
}

func (d *spooled) reader() (io.Reader, error) {
	if d.file == nil {
		return bytes.NewReader(d.mem.Bytes()), nil
	}
	_, err := d.file.Seek(0, io.SeekStart)
	return d.file, err
}

func (d *spooled) close() {
	if d.file != nil {
		d.file.Close()
	}
}
