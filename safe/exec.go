package safe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// Command is an installed program that is run in bounds.
type Command struct {
	Path string // absolute: nothing is looked for
	// Args are handed over one by one as they are; no shell sees them. What comes
	// from data has to be of a type that cannot look like an option, such as
	// netip.Addr and a number.
	Args []string
	Time time.Duration // after which it is ended, a minute when 0
	Out  int64         // bytes of output; more are an error, MaxOutput when 0
}

// MaxOutput bounds what a child may say, in bytes.
const MaxOutput = 64 << 20

const (
	maxNote = 4 << 10 // bytes kept of what it complains
	// maxChildren bounds how many run side by side in this process.
	maxChildren = 4
	// linger is how long the pipes of a child that ended are waited for:
	// somebody it left behind may hold them.
	linger = 2 * time.Second
)

// children has a place for each child that runs.
var children = make(chan struct{}, maxChildren)

// Exec runs a program and returns its output (reliability T18). The child gets
// an environment of nothing but PATH, an empty folder of its own that is
// removed afterwards, no input and no file of ours. It is the first of a group
// of processes that is ended as a whole: at the end of ctx, of its time or of
// its output, when this process dies, and when the child is done, so that
// nothing it left behind goes on. What leaves the group by itself is out of
// reach, and limits of memory and time on the processor are those of this
// process: Go cannot set a child's before it runs. The error carries the
// beginning of what the child complained, cleaned; it is
// context.DeadlineExceeded when its time was over.
func Exec(ctx context.Context, c Command) ([]byte, error) {
	if !filepath.IsAbs(c.Path) {
		return nil, vedette.Invalid("%s is no absolute path of a program", Quote(c.Path))
	}
	for _, a := range c.Args {
		if strings.ContainsRune(a, 0) {
			return nil, vedette.Invalid("%s cannot be handed to a program", Quote(a))
		}
	}
	select {
	case children <- struct{}{}:
		defer func() { <-children }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	dir, err := os.MkdirTemp("", "vedette-child-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.Time, time.Minute))
	defer cancel()
	out := &capped{max: or(c.Out, MaxOutput), full: cancel}
	note := &capped{max: maxNote}
	err = runChild(ctx, c, dir, out, note)
	name := filepath.Base(c.Path)
	switch {
	case out.over:
		return nil, vedette.Invalid("%s said more than %d bytes", name, out.max)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s was ended: %w", name, ctx.Err())
	case err != nil:
		why := strings.TrimSpace(Label(note.b.String()))
		if why != "" {
			why = ": " + why
		}
		return nil, fmt.Errorf("%s: %s%s", name, Reason(err), why)
	}
	return out.b.Bytes(), nil
}

// capped keeps the beginning of what is written. With full it is told once when
// there is more, and refuses the rest; without, it swallows the rest.
type capped struct {
	b    bytes.Buffer
	max  int64
	over bool
	full func()
}

var errFull = errors.New("too much")

// Write keeps what there is room for.
func (c *capped) Write(p []byte) (int, error) {
	room := c.max - int64(c.b.Len())
	if int64(len(p)) <= room {
		return c.b.Write(p)
	}
	c.b.Write(p[:room])
	c.over = true
	if c.full == nil {
		return len(p), nil
	}
	c.full()
	return int(room), errFull
}

// Lend allows a child to open one connection to a target by itself: the scope
// is asked before and after the brakes were waited for, and the connection
// counts as sent. Whoever lends asks May again while the child runs.
func (b *Bound) Lend(ctx context.Context, t vedette.Target) error {
	if err := b.May(t); err != nil {
		return err
	}
	if b.d.lab && !t.Addr.Addr().Unmap().IsLoopback() {
		return b.d.refuse(ModeScope, "%s: a lab touches loopback only", t.Addr)
	}
	if err := b.brakes.Connect(ctx, t.Addr.Addr()); err != nil {
		return err
	}
	if err := b.May(t); err != nil {
		return err
	}
	b.sent.Add(1)
	b.d.out.add(ModeScope)
	return nil
}

// Rate is how many connects a second one address bears.
func (b *Bound) Rate() float64 { return b.brakes.pace.Connects }
