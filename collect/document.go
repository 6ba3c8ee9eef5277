package collect

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/safe"
)

// Document is a document on its way in, whole: small ones in memory, large ones
// in a file without a name. So the same bytes are recognised before anything is
// parsed, and what was cut off on the way is not looked into.
type Document struct {
	Hash string // SHA-256, hex
	Size int64
	Head []byte // its first bytes: what a format is recognised by
	mem  *bytes.Buffer
	file *os.File
}

const inMemory = 32 << 20

// Spool reads a document to its end.
func Spool(r io.Reader) (*Document, error) {
	h := sha256.New()
	d := &Document{mem: &bytes.Buffer{}}
	n, err := io.Copy(io.MultiWriter(h, d.mem), io.LimitReader(r, inMemory))
	if err != nil {
		return nil, err
	}
	d.Size = n
	d.Head = bytes.Clone(d.mem.Bytes()[:min(d.mem.Len(), read.SniffSize)])
	if n == inMemory {
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
		d.mem, d.Size = nil, n+rest
	}
	d.Hash = hex.EncodeToString(h.Sum(nil))
	return d, nil
}

// Reader reads the document from its beginning.
func (d *Document) Reader() (io.Reader, error) {
	if d.file == nil {
		return bytes.NewReader(d.mem.Bytes()), nil
	}
	_, err := d.file.Seek(0, io.SeekStart)
	return d.file, err
}

// Close lets the document go.
func (d *Document) Close() {
	if d.file != nil {
		d.file.Close()
	}
}

// members walks what the document holds, as safe.Members does.
func (d *Document) members(name string, f func(safe.Member) error) error {
	if d.file == nil {
		return safe.MembersAt(name, bytes.NewReader(d.mem.Bytes()), d.Size, limits, f)
	}
	return safe.MembersAt(name, d.file, d.Size, limits, f)
}

// limits are the guard's, with room for the bulk archives of the CVE programme
// and of OSV, which have a member for each record.
var limits = safe.Limits{Members: 500_000, Total: 16 << 30}
