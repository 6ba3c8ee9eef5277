package safe

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/vedette-hub/vedette"
)

// Lines reads lines that end in LF or CR LF, each no longer than the limit.
type Lines struct {
	r      *bufio.Reader
	max    int
	n      int
	off    int64
	next   int64
	buf    []byte
	cut    bool
	closed bool
}

// NewLines reads from r. A byte order mark at the beginning is skipped.
func NewLines(r io.Reader, l Limits) *Lines {
	return &Lines{r: bufio.NewReaderSize(skipBOM(r), 64<<10), max: l.filled().Line}
}

// Next is the next line without its end, valid until the next call; io.EOF
// after the last. A line longer than the limit ends the reading.
func (l *Lines) Next() ([]byte, error) {
	if l.closed {
		return nil, io.EOF
	}
	l.buf = l.buf[:0]
	l.n++
	l.off = l.next
	for {
		part, err := l.r.ReadSlice('\n')
		l.next += int64(len(part))
		if len(l.buf)+len(part) > l.max {
			l.closed = true
			return nil, vedette.Invalid("line %d (byte %d): longer than %d bytes", l.n, l.off, l.max)
		}
		if err == nil && len(l.buf) == 0 {
			return trimEnd(part), nil
		}
		l.buf = append(l.buf, part...)
		switch {
		case err == nil:
			return trimEnd(l.buf), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF && len(l.buf) > 0:
			l.closed, l.cut = true, true
			return l.buf, nil
		case err == io.EOF:
			l.closed = true
			return nil, io.EOF
		default:
			l.closed = true
			return nil, err
		}
	}
}

// Rest is what was not read yet; Next must not be called after it.
func (l *Lines) Rest() io.Reader { return l.r }

// Line is the number of the line Next returned, from 1.
func (l *Lines) Line() int { return l.n }

// Offset is the offset of its first byte, after a byte order mark.
func (l *Lines) Offset() int64 { return l.off }

// Cut says whether the line Next returned was the last and had no end: the
// file may have lost its rest.
func (l *Lines) Cut() bool { return l.cut }

func trimEnd(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r"))
}
