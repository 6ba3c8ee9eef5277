package safe

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"os"

	"github.com/vedette-hub/vedette"
)

// Member is one file of an archive, or the file itself when it is none.
type Member struct {
	Name string    // "file" or "file!member", fit for output; a label, never a path
	R    io.Reader // its decompressed bytes, until the function returns; nil with Err
	Err  error     // why this member is not read: a link, a device, encrypted, nested too deep
}

// MembersFile walks the file at path as Members does.
func MembersFile(path string, l Limits, f func(Member) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return Members(path, file, l, f)
	}
	return MembersAt(path, file, info.Size(), l, f)
}

// MembersAt walks size bytes of r as Members does, without holding a zip archive in memory.
func MembersAt(name string, r io.ReaderAt, size int64, l Limits, f func(Member) error) error {
	w := &unpack{l: l.filled(), f: f}
	head := make([]byte, 4)
	n, _ := r.ReadAt(head, 0)
	if isZip(head[:n]) {
		return w.zip(Label(name), r, size, 1, nil)
	}
	return w.stream(Label(name), io.NewSectionReader(r, 0, size))
}

// Members calls f for every file in r: the bytes themselves, or what is in
// them when they are gzip, tar, zip or one in the other, told by content and
// not by name (reliability.md FC12, FC13). An error of f ends the walk.
func Members(name string, r io.Reader, l Limits, f func(Member) error) error {
	w := &unpack{l: l.filled(), f: f}
	return w.stream(Label(name), r)
}

// unpack is one walk.
type unpack struct {
	l       Limits
	f       func(Member) error
	total   int64 // decompressed bytes handed out
	members int
}

func (w *unpack) stream(name string, r io.Reader) error {
	in := &counter{r: r}
	return w.open(name, in, 0, func() int64 { return in.n })
}

// open looks at the first bytes and hands the content on. packed is the number
// of bytes it came from so far, before any decompression.
func (w *unpack) open(name string, r io.Reader, depth int, packed func() int64) error {
	b := bufio.NewReaderSize(r, 32<<10)
	head, err := b.Peek(512)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case isGzip(head):
		return w.gzip(name, b, depth+1, packed)
	case isZip(head):
		return w.zipStream(name, b, depth+1, packed)
	case isTar(head):
		return w.tar(name, b, depth+1, packed)
	}
	if kind := otherPacking(head); kind != "" {
		return w.f(Member{Name: name, Err: vedette.Invalid("compressed as %s: pack it as gzip or zip", kind)})
	}
	return w.file(name, b, packed)
}

// file hands one file to the caller under the limits of size and ratio.
func (w *unpack) file(name string, r io.Reader, packed func() int64) error {
	g := &gate{r: r, w: w, packed: packed}
	if err := w.f(Member{Name: name, R: g}); err != nil {
		return err
	}
	return g.err // a parser must not swallow it
}

func (w *unpack) gzip(name string, r io.Reader, depth int, packed func() int64) error {
	if depth > w.l.Nesting {
		return w.tooDeep(name)
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return unpacked(name, err)
	}
	b := bufio.NewReaderSize(&named{name, z}, 32<<10)
	head, err := b.Peek(512)
	if err != nil && err != io.EOF {
		return err
	}
	if isTar(head) { // .tar.gz is one archive
		return w.tar(name, b, depth, packed)
	}
	return w.open(name, b, depth, packed)
}

func (w *unpack) tar(name string, r io.Reader, depth int, packed func() int64) error {
	if depth > w.l.Nesting {
		return w.tooDeep(name)
	}
	// what is skipped counts as well
	t := tar.NewReader(&gate{r: r, w: &unpack{l: w.l}, packed: packed})
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return unpacked(name, err)
		}
		if err := w.count(name); err != nil {
			return err
		}
		label := name + "!" + Label(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			err = w.open(label, &named{label, t}, depth, packed)
		case tar.TypeDir, tar.TypeXGlobalHeader:
		default:
			err = w.f(Member{Name: label, Err: vedette.Invalid("not a plain file but %s: skipped", tarKind(h.Typeflag))})
		}
		if err != nil {
			return err
		}
	}
}

func tarKind(flag byte) string {
	switch flag {
	case tar.TypeSymlink, tar.TypeLink:
		return "a link"
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return "a device"
	case tar.TypeGNUSparse:
		return "a sparse file"
	}
	return "a special file"
}

func (w *unpack) count(name string) error {
	w.members++
	if w.members > w.l.Members {
		return vedette.Invalid("%s: more than %d members", name, w.l.Members)
	}
	return nil
}

func (w *unpack) tooDeep(name string) error {
	return w.f(Member{Name: name, Err: vedette.Invalid("archives nested deeper than %d", w.l.Nesting)})
}

// unpacked names what is wrong with a compressed stream.
func unpacked(name string, err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, vedette.ErrInvalid):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		return vedette.Invalid("%s: the compressed data is cut off", name)
	case errors.Is(err, gzip.ErrChecksum):
		return vedette.Invalid("%s: the checksum does not match: the data is damaged", name)
	case errors.Is(err, gzip.ErrHeader):
		return vedette.Invalid("%s: not a gzip header where one should be", name)
	case errors.Is(err, tar.ErrHeader), errors.As(err, &corrupt):
		return vedette.Invalid("%s: the archive is damaged: %s", name, Reason(err))
	}
	return vedette.Invalid("%s: %s", name, Reason(err))
}

// named gives the errors of a decompressor the name of the member.
type named struct {
	name string
	r    io.Reader
}

func (n *named) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	if err != nil && err != io.EOF {
		err = unpacked(n.name, err)
	}
	return k, err
}

// counter counts the bytes that come in.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// gate holds decompressed bytes against the limits.
type gate struct {
	r      io.Reader
	w      *unpack
	n      int64
	packed func() int64
	err    error
}

func (g *gate) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.r.Read(p)
	g.n += int64(n)
	g.w.total += int64(n)
	l := g.w.l
	switch {
	case g.w.total > l.Total:
		g.err = vedette.Invalid("byte %d: more than %d bytes in all", g.n, l.Total)
	case g.w.total > l.Floor && g.w.total > l.Ratio*g.packed():
		g.err = vedette.Invalid("byte %d: expands more than %d times", g.n, l.Ratio)
	case err != nil && err != io.EOF:
		g.err = err
	}
	if g.err != nil {
		return 0, g.err
	}
	return n, err
}

func isGzip(b []byte) bool { return len(b) >= 3 && b[0] == 0x1f && b[1] == 0x8b && b[2] == 8 }

func isZip(b []byte) bool {
	return bytes.HasPrefix(b, []byte("PK\x03\x04")) || bytes.HasPrefix(b, []byte("PK\x05\x06"))
}

func isTar(b []byte) bool { return len(b) >= 262 && string(b[257:262]) == "ustar" }

func otherPacking(b []byte) string {
	for magic, name := range map[string]string{
		"\x28\xb5\x2f\xfd": "zstd", "BZh": "bzip2", "\xfd7zXZ\x00": "xz", "7z\xbc\xaf\x27\x1c": "7z", "Rar!\x1a\x07": "rar",
	} {
		if bytes.HasPrefix(b, []byte(magic)) {
			return name
		}
	}
	return ""
}
