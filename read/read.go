// Package read turns the bytes of a document into what it says: statements of
// sources, observations of looks, points of series. One file per format; a
// format never touches the network or the store (design section 3).
//
// To add a format: write a file with a Format value, put the value into All
// and a hand-written sample into testdata/NAME/; `go test ./read -update`
// writes what the sample says beside it. The family tests then cut the sample
// off, read it twice, sniff it against every other format and fuzz it. Read
// documents through package safe alone. Where a wire shape deserves a package
// of its own it goes to format/, which knows nothing of us.
//
// Times that are zero in what a record says (Statement.Since,
// Observation.At, Coverage.At) are those of the document, and where it has none
// of the intake.
package read

import (
	"io"
	"time"

	"github.com/vedette-hub/vedette"
)

// Format is one kind of document, as a value.
type Format struct {
	Name  string // as in `--as NAME` and in file names: "kev", "nmap"
	About string // one line for a person
	Spec  string // where the format is defined
	// Syntax is what it is written in, "JSON", "CSV", "XML", "YAML": an unknown
	// document is refused with the formats of its syntax.
	Syntax string
	// Source is the source a document of this format comes from when nobody names one.
	Source vedette.Source
	// Whole documents are taken whole or not at all; of others the readable
	// records are taken and the refused ones listed.
	Whole bool
	// Sniff recognises the format by the first bytes (up to 64 KiB, decompressed).
	Sniff func(head []byte) bool
	// Parse cuts a document into records, in the order of the document. An
	// error of emit ends it and is returned; any other error is of the
	// document and names where it broke.
	Parse func(r io.Reader, emit func(Record) error) (Document, error)
	// Say decodes the body of one record. It depends on nothing but the body,
	// so that a rebuild can read kept bodies again. A body it refuses is a
	// refused record, as if Parse had refused it.
	Say func(body []byte) (Said, error)
}

// Record is one record of a document.
type Record struct {
	Where string // "line 12", "/vulnerabilities/3", "host 192.0.2.1"
	// Body is the source's own bytes of a JSON record; for formats without one
	// JSON value per record it is a canonical form that Say reads. Valid until emit returns.
	Body []byte
	// Err is why this record is refused; Body is nil then. Parse of a Whole
	// format returns the error instead.
	Err error
}

// Document is what a document says of itself.
type Document struct {
	Title string
	Time  time.Time // its own time, zero when it has none
	// Coverage is what a scanner's report says it looked at.
	Coverage []vedette.Coverage
}

// Read parses a document and says each record: the one loop of every caller.
// emit gets a refused record with its Err and nothing said; of a Whole format
// the first refused record ends the reading with an error instead.
func (f Format) Read(r io.Reader, emit func(Record, Said) error) (Document, error) {
	return f.Parse(r, func(rec Record) error {
		var said Said
		if rec.Err == nil {
			said, rec.Err = f.Say(rec.Body)
		}
		if rec.Err != nil && f.Whole {
			return vedette.Invalid("%s: %w", rec.Where, rec.Err)
		}
		if rec.Err != nil {
			rec.Body = nil
		}
		return emit(rec, said)
	})
}

// Said is what one record says.
type Said = vedette.Said
