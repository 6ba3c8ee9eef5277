package lab

import (
	"bytes"
	"context"
	"os"
	"time"

	"github.com/vedette-hub/vedette"
)

// Apply makes the running internet into what a file says: what it no longer
// names stops, what is new starts, what changed shows itself changed. A file
// that cannot be read changes nothing.
func (in *Internet) Apply(file []byte) error {
	d, err := readPlan(file)
	if err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.runs() {
		in.d = d
		return nil
	}
	if d.Resolver != in.d.Resolver {
		return vedette.Invalid("resolver: it stays where it is while the lab runs")
	}
	for at, stop := range in.flaps {
		stop()
		delete(in.flaps, at)
	}
	in.d = d
	in.wire.move(d.Tripwire)
	return in.reconcile()
}

// poll is how often a watched file is looked at.
const poll = 300 * time.Millisecond

// Watch applies a file whenever its content changes, until the context ends. So
// a lab that one process serves is steered from any shell by editing its file.
// The content at the start is taken for what runs. done hears of every change, with nil when it took effect.
func (in *Internet) Watch(ctx context.Context, path string, done func(error)) {
	last, _ := os.ReadFile(path)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := os.ReadFile(path)
		if err != nil || bytes.Equal(now, last) {
			continue // an editor may be between two writes
		}
		last = now
		done(in.Apply(now))
	}
}
