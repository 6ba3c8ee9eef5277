package app

import (
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
)

// TestTwiceIsOnce: a second survey of the same internet sees the same and opens
// and closes nothing: no fact holds what changes from look to look.
func TestTwiceIsOnce(t *testing.T) {
	t.Parallel()
	w := newLabWorld(t, t.TempDir(), nil)
	ids := []string{"alder", "birch", "cedar", "dogwood"}
	for _, id := range ids {
		w.survey(id)
	}
	before := w.hashes()
	w.clock = w.clock.Add(24 * time.Hour)
	begun := w.clock
	for _, id := range ids {
		w.survey(id)
	}
	after := w.hashes()
	for _, table := range []string{"observations", "findings", "evidence", "assets"} {
		if before[table] == "" || before[table] != after[table] {
			t.Errorf("%s changed", table)
		}
	}
	r := w.run(vedette.Local())
	cs, _, err := r.sc.Changes(r.ctx, store.ChangeFilter{Since: begun, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cs {
		t.Errorf("%s %d/%s %s %s: %s, then %s", c.Asset, c.Port, c.Proto, c.Check, c.What, factText(c.Before), factText(c.After))
	}
}
