package safe

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"slices"

	"github.com/vedette-hub/vedette"
)

// zipStream holds an archive in memory: its directory is at the end.
func (w *unpack) zipStream(name string, r io.Reader, depth int, packed func() int64) error {
	if depth > w.l.Nesting {
		return w.tooDeep(name)
	}
	all, err := io.ReadAll(io.LimitReader(r, w.l.Buffer+1))
	if err != nil {
		return unpacked(name, err)
	}
	if int64(len(all)) > w.l.Buffer {
		return vedette.Invalid("%s: a zip archive of more than %d bytes cannot be read from a stream: give it as a file of its own", name, w.l.Buffer)
	}
	if depth == 1 {
		packed = nil
	}
	return w.zip(name, bytes.NewReader(all), int64(len(all)), depth, packed)
}

func (w *unpack) zip(name string, r io.ReaderAt, size int64, depth int, packed func() int64) error {
	if err := w.directory(name, r, size); err != nil {
		return err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return vedette.Invalid("%s: not a readable zip archive: %s", name, Reason(err))
	}
	if err := apart(name, z); err != nil {
		return err
	}
	for _, f := range z.File {
		if err := w.count(name); err != nil {
			return err
		}
		if f.Mode().IsDir() {
			continue
		}
		if err := w.zipMember(name+"!"+Label(f.Name), f, depth, packed); err != nil {
			return err
		}
	}
	return nil
}

func (w *unpack) zipMember(label string, f *zip.File, depth int, packed func() int64) error {
	var why error
	switch {
	case !f.Mode().IsRegular():
		why = vedette.Invalid("not a plain file but a link or a device: skipped")
	case f.Flags&1 != 0:
		why = vedette.Invalid("encrypted: skipped")
	case f.Method != zip.Store && f.Method != zip.Deflate:
		why = vedette.Invalid("compressed by method %d, which is not read: skipped", f.Method)
	}
	if why != nil {
		return w.f(Member{Name: label, Err: why})
	}
	r, err := f.Open()
	if err != nil {
		return vedette.Invalid("%s: %s", label, Reason(err))
	}
	defer r.Close()
	if packed == nil {
		// of this member alone: what the members before it took is let pass
		share := int64(f.CompressedSize64) + w.total/w.l.Ratio + 1
		packed = func() int64 { return share }
	}
	return w.open(label, &named{label, r}, depth, packed)
}

// apart refuses entries that share bytes: the overlapping-entry bomb.
func apart(name string, z *zip.Reader) error {
	type span struct{ from, to int64 }
	var spans []span
	for _, f := range z.File {
		from, err := f.DataOffset()
		if err != nil {
			return vedette.Invalid("%s: %s: no local header where the directory says", name, Quote(f.Name))
		}
		// the local header itself: 30 bytes and the name
		spans = append(spans, span{from - 30, from + int64(f.CompressedSize64)})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(spans); i++ {
		if spans[i].from < spans[i-1].to {
			return vedette.Invalid("%s: entries of the zip archive overlap", name)
		}
	}
	return nil
}

// directory counts the headers before the standard library takes memory for them
// (APPNOTE 4.3.12, 4.3.16).
func (w *unpack) directory(name string, r io.ReaderAt, size int64) error {
	tail := make([]byte, min(size, 22+65535))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return err
	}
	i := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if i < 0 || len(tail)-i < 22 {
		return vedette.Invalid("%s: the zip archive is cut off: it has no directory", name)
	}
	end := tail[i:]
	length, start := binary.LittleEndian.Uint32(end[12:]), binary.LittleEndian.Uint32(end[16:])
	if length == 0xffffffff || start == 0xffffffff || binary.LittleEndian.Uint16(end[10:]) == 0xffff {
		return vedette.Invalid("%s: a zip64 archive: split it or use tar.gz", name)
	}
	at := size - int64(len(tail)-i)
	for _, from := range []int64{int64(start), at - int64(length)} {
		if w.headers(r, from, at) > w.l.Members {
			return vedette.Invalid("%s: more than %d members", name, w.l.Members)
		}
	}
	return nil
}

// headers counts directory headers from an offset on, up to one more than the limit.
func (w *unpack) headers(r io.ReaderAt, from, to int64) int {
	var h [46]byte
	n := 0
	for from >= 0 && from < to && n <= w.l.Members {
		if _, err := r.ReadAt(h[:], from); err != nil || string(h[:4]) != "PK\x01\x02" {
			break
		}
		n++
		from += 46 + int64(binary.LittleEndian.Uint16(h[28:])) + int64(binary.LittleEndian.Uint16(h[30:])) + int64(binary.LittleEndian.Uint16(h[32:]))
	}
	return n
}
