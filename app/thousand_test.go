package app

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/lab"
)

// TestThousandHosts surveys a thousand hosts from end to end, on a good path and
// on one that loses every twentieth connect: nothing that listens is missed.
func TestThousandHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	for block, loss := range map[int]float64{221: 0, 222: 0.05} {
		in, err := lab.ThousandAt(block, 1000)
		if err != nil {
			t.Fatal(err)
		}
		lw := serveLab(t, newWorld(t, t.TempDir()), in)
		lw.hub.prober.dialer.Drop = in.Drop(loss, 1)
		start := time.Now()
		id := lw.ask("elder", vedette.Active).ID
		lw.workSideBySide()
		v := lw.workAll(id)
		if v.Looks < 1000 || v.Done != v.Parts || len(v.Trouble) > 0 {
			t.Errorf("loss %v: %+v", loss, v)
		}
		rows, missed, unnamed := 0, 0, 0
		for _, r := range in.Truth() {
			if r.Port == 0 {
				continue
			}
			rows++
			fact, ok := lw.seenAt(r)
			if !ok {
				missed++
				t.Errorf("loss %v: %s %d/%s (%s) was not seen", loss, r.Asset, r.Port, r.Proto, r.Service)
			} else if fact.Service != r.Service {
				unnamed++
			}
		}
		t.Logf("loss %v: %d connections in %s, %d of %d places missed, %d identified as another", loss, v.Sent, time.Since(start), missed, rows, unnamed)
		in.Close()
	}
}

// workSideBySide works the parts that wait as the jobs of one process do.
func (lw *labWorld) workSideBySide() {
	lw.t.Helper()
	parts, err := lw.hub.sys.WaitingParts(context.Background(), 0, 1000)
	if err != nil {
		lw.t.Fatal(err)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, partsAtOnce)
	for _, k := range parts {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := lw.hub.prober.work(context.Background(), k); err != nil {
				lw.t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := lw.hub.takeIn(context.Background()); err != nil {
		lw.t.Fatal(err)
	}
}
