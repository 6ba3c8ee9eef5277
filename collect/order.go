// Package collect brings documents in: it fetches feeds politely, keeps each
// document whole before it looks into it, reads it, and hands over what it
// says. Imports by hand take the same path from Order on.
package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/safe"
)

// Desk is where documents are handed in: the store, for one principal.
type Desk interface {
	// Take begins to take a document in; shrink lets a full list leave out
	// more than it should.
	Take(ctx context.Context, in vedette.Intake, src vedette.Source, f read.Format, shrink bool) (Taking, error)
}

// Taking is one document on its way into the store. Nothing of a document that
// is taken whole or not at all is kept before Finish.
type Taking interface {
	// Known says that the source handed in the same bytes before: nothing is to do.
	Known() bool
	Add(record []byte, said vedette.Said) error
	// Finish ends the document; own is what it says of its own time.
	Finish(size int64, own time.Time) error
	Taken() vedette.Counts
}

// Refusal is one record or member that was not taken, and why.
type Refusal struct {
	Where string `json:"where"`
	Why   string `json:"why"`
}

// Result is what became of one file or member.
type Result struct {
	File   string `json:"file"`
	Format string `json:"format"`
	vedette.Counts
	Known   bool      `json:"known,omitempty"` // the same bytes came from the source before
	Refused []Refusal `json:"refused"`
	lost    int       // records that were not taken, listed or not
}

// Nothing says whether nothing of the document was taken, because of its faults.
func (r Result) Nothing() bool {
	return len(r.Refused) > 0 && (r.Read == 0 || r.New+r.Changed+r.Unchanged == 0)
}

// Order says how documents are taken in.
type Order struct {
	Desk        Desk
	Format      string // "" recognises each document by its first bytes
	Sure        bool   // refuses what does not look like the format
	Source      func(read.Format) vedette.Source
	Marking     vedette.Marking // zero is the source's default
	Constituent string
	Shrink      bool
	Now         func() time.Time
	Progress    func(format string, a ...any) // nil is silence
}

// maxRefusals is how many refusals of one file are listed; all are counted.
const maxRefusals = 100

// File takes in a file with its members; "-" is stdin. An error of the store or
// of the wall is returned; an error of the file is its refusal, which done gets.
func (o *Order) File(ctx context.Context, name string, stdin io.Reader, done func(Result)) error {
	if name == "-" {
		return o.Stream(ctx, "stdin", stdin, done)
	}
	return o.each(ctx, name, done, func(f func(safe.Member) error) error { return safe.MembersFile(name, limits, f) })
}

// Stream takes in a file that is read once, as File does.
func (o *Order) Stream(ctx context.Context, name string, r io.Reader, done func(Result)) error {
	return o.each(ctx, name, done, func(f func(safe.Member) error) error { return safe.Members(name, r, limits, f) })
}

// each takes in the members that walk gives.
func (o *Order) each(ctx context.Context, name string, done func(Result), walk func(func(safe.Member) error) error) error {
	err := walk(func(m safe.Member) error {
		if m.Err != nil {
			done(Result{File: m.Name, Refused: []Refusal{{m.Name, m.Err.Error()}}})
			return nil
		}
		return o.member(ctx, m.Name, m.R, done)
	})
	if fatal(err) {
		return err
	}
	if err != nil {
		done(Result{File: safe.Label(name), Refused: []Refusal{{safe.Label(name), err.Error()}}})
	}
	return nil
}

// fatal errors are not the file's fault.
func fatal(err error) bool {
	return err != nil && !errors.Is(err, vedette.ErrInvalid) && !errors.Is(err, vedette.ErrConflict) && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission)
}

// member takes one document.
func (o *Order) member(ctx context.Context, name string, r io.Reader, done func(Result)) error {
	doc, err := Spool(r)
	if err != nil {
		if fatal(err) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		done(Result{File: name, Refused: []Refusal{{name, err.Error()}}})
		return nil
	}
	defer doc.Close()
	res, err := o.Document(ctx, name, doc)
	if fatal(err) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		res.Refused = append(res.Refused, Refusal{name, err.Error()})
	}
	done(res)
	return nil
}

// Document takes one document in.
func (o *Order) Document(ctx context.Context, name string, doc *Document) (Result, error) {
	res := Result{File: name, Refused: []Refusal{}}
	f, err := o.format(doc.Head)
	if err != nil {
		return res, err
	}
	res.Format = f.Name
	src := o.Source(f)
	now := o.Now()
	t, err := o.Desk.Take(ctx, vedette.Intake{Source: src.Name, Document: doc.Hash, Format: f.Name, Marking: o.Marking, At: now, Time: now,
		Address: name, Constituent: o.Constituent}, src, f, o.Shrink)
	if err != nil {
		return res, err
	}
	if !t.Known() {
		err = o.take(ctx, t, f, doc, &res)
	}
	res.Counts, res.Known = t.Taken(), t.Known()
	if err != nil {
		res.Counts = vedette.Counts{Read: t.Taken().Read}
	}
	return res, err
}

func (o *Order) format(head []byte) (read.Format, error) {
	if o.Format == "" {
		return read.Sniff(head)
	}
	f, err := read.ByName(o.Format)
	if err == nil && o.Sure && !f.Sniff(head) {
		if other, err := read.Sniff(head); err == nil {
			return f, vedette.Invalid("this is %s, not %s", other.Name, f.Name)
		}
		return f, vedette.Invalid("this is no %s: it begins with %s", f.Name, safe.Quote(head[:min(len(head), 40)]))
	}
	return f, err
}

// take reads the records and hands them over.
func (o *Order) take(ctx context.Context, t Taking, f read.Format, doc *Document, res *Result) error {
	refuse := func(where string, err error) {
		if res.lost++; res.lost <= maxRefusals {
			res.Refused = append(res.Refused, Refusal{where, err.Error()})
		}
	}
	body, err := doc.Reader()
	if err != nil {
		return err
	}
	own, err := f.Read(body, func(rec read.Record, said read.Said) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if rec.Err != nil {
			refuse(rec.Where, rec.Err)
			return nil
		}
		if n := t.Taken().Read; n%1000 == 0 {
			o.progress("%s: %d records", res.File, n)
		}
		return t.Add(rec.Body, said)
	})
	o.progress("")
	if err != nil {
		return err
	}
	if res.lost > maxRefusals {
		res.Refused = append(res.Refused, Refusal{res.File, fmt.Sprintf("and %d more", res.lost-maxRefusals)})
	}
	if res.lost > 0 && t.Taken().Read == 0 {
		return vedette.Invalid("nothing in it could be read")
	}
	return t.Finish(doc.Size, own.Time)
}

func (o *Order) progress(format string, a ...any) {
	if o.Progress != nil {
		o.Progress(format, a...)
	}
}
