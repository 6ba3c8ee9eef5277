package read

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/vedette-hub/vedette/safe"
)

// jsonDocuments emits the records of a document that is one JSON object, an
// array of objects, or one object per line. A line that cannot be read is
// refused alone.
func jsonDocuments(r io.Reader, emit func(Record) error) error {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(512)
	if err != nil && err != io.EOF {
		return err
	}
	if head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"); len(head) > 0 && head[0] == '[' {
		return elements(b, "", false, emit, nil)
	}
	lines := safe.NewLines(b, safe.Limits{})
	check := safe.NewChecker(safe.Limits{})
	for first := true; ; {
		line, err := lines.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		err = check.Check(line)
		if errors.Is(err, safe.ErrCut) && first && !lines.Cut() {
			line = append(bytes.Clone(line), '\n')
			return oneDocument(io.MultiReader(bytes.NewReader(line), lines.Rest()), emit)
		}
		rec := Record{Where: "line " + strconv.Itoa(lines.Line()), Body: line}
		if err != nil {
			rec.Body, rec.Err = nil, err
		}
		if err := emit(rec); err != nil {
			return err
		}
		first = false
	}
}

// oneDocument emits a document that is one JSON value.
func oneDocument(r io.Reader, emit func(Record) error) error {
	j := safe.NewJSON(r, safe.Limits{})
	e, err := j.Value()
	if err != nil {
		return err
	}
	body := bytes.Clone(e.Raw)
	if err := j.End(); err != nil {
		return err
	}
	return emit(Record{Where: "document", Body: body})
}
