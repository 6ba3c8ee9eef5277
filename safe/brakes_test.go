package safe

import (
	"context"
	"math"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// passed is a connect that the brakes let out.
type passed struct {
	at   time.Duration
	addr netip.Addr
}

// tooFast is the first window in which more passed than a pace allows; even
// spacing lets at most 1+(d+grain)/gap pass in a time d.
func tooFast(times []time.Duration, pace float64) (from, to time.Duration, bad bool) {
	gap := newBrake(pace).gap
	for i := range times {
		for j := i + 1; j < min(i+500, len(times)); j++ {
			d := times[j] - times[i]
			if int64(j-i+1) > 1+int64((d+max(0, grain-gap))/gap) {
				return times[i], times[j], true
			}
		}
	}
	return 0, 0, false
}

// keepsPace checks what passed at all three brakes.
func keepsPace(t interface{ Errorf(string, ...any) }, all []passed, p Pace) {
	hosts, nets, every := map[netip.Addr][]time.Duration{}, map[netip.Prefix][]time.Duration{}, []time.Duration(nil)
	for _, x := range all {
		n, _ := x.addr.Prefix(24)
		hosts[x.addr], nets[n], every = append(hosts[x.addr], x.at), append(nets[n], x.at), append(every, x.at)
	}
	for a, times := range hosts {
		if from, to, bad := tooFast(times, p.Connects); bad {
			t.Errorf("%s is faster than %v a second from %s to %s", a, p.Connects, from, to)
		}
	}
	for n, times := range nets {
		if from, to, bad := tooFast(times, p.PerNetwork); bad {
			t.Errorf("%s is faster than %v a second from %s to %s", n, p.PerNetwork, from, to)
		}
	}
	if from, to, bad := tooFast(every, p.Constituent); bad {
		t.Errorf("all are faster than %v a second from %s to %s", p.Constituent, from, to)
	}
}

// TestPace: whoever asks, waiting or not, nothing is ever faster than the pace.
func TestPace(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.Float64Range(0.5, 400)
		p := Pace{Connects: rate.Draw(rt, "connects"), PerNetwork: rate.Draw(rt, "network"), Constituent: rate.Draw(rt, "all")}
		waiters := rapid.IntRange(0, 8).Draw(rt, "waiters")
		host := rapid.SliceOfN(rapid.IntRange(0, 5), 30, 120).Draw(rt, "hosts")
		pause := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 10).Draw(rt, "pauses")
		synctest.Test(t, func(t *testing.T) {
			b := NewBrakes(p)
			start := time.Now()
			var mu sync.Mutex
			var got []passed
			note := func(a netip.Addr) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, passed{time.Since(start), a})
			}
			var wg sync.WaitGroup
			for w := range waiters {
				wg.Go(func() {
					for i := w; i < len(host); i += waiters {
						a := netip.AddrFrom4([4]byte{127, 0, byte(host[i] % 2), byte(host[i])})
						if b.Connect(t.Context(), a) == nil {
							note(a)
						}
						time.Sleep(time.Duration(pause[i%len(pause)]) * time.Millisecond)
					}
				})
			}
			for i, n := range host { // a scan asks without waiting
				a := netip.AddrFrom4([4]byte{127, 0, byte(n % 2), byte(n)})
				if d, _ := b.try(b.of(a), time.Now()); d == 0 {
					note(a)
				}
				time.Sleep(time.Duration(pause[i%len(pause)]) * time.Millisecond)
			}
			wg.Wait()
			keepsPace(t, got, p)
			if waiters > 0 && len(got) < len(host) {
				t.Errorf("%d of %d passed", len(got), len(host))
			}
		})
	})
}

// TestPaceIsReached: the brakes hold back no more than they say.
func TestPaceIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, start := NewBrakes(Pace{Connects: 5, PerNetwork: 100, Constituent: 200}), time.Now()
		var wg sync.WaitGroup
		for i := range 100 { // of three networks
			wg.Go(func() {
				for range 10 {
					if err := b.Connect(t.Context(), netip.AddrFrom4([4]byte{127, 0, byte(i % 3), byte(i)})); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 6*time.Second || took < 4900*time.Millisecond {
			t.Errorf("1,000 connects at 200 a second took %s", took)
		}
	})
}

// TestSlower: resets slow an address down, nothing makes it faster again.
func TestSlower(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pace := rapid.Float64Range(0.01, 1000).Draw(rt, "pace")
		steps := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 60).Draw(rt, "steps")
		b := NewBrakes(Pace{Connects: pace})
		a := netip.MustParseAddr("127.0.0.1")
		gap := b.of(a).connects.gap
		for _, s := range steps {
			before := gap
			switch s {
			case 0:
				b.Failed(a, syscall.ECONNRESET)
			case 1:
				b.Slower(a)
			case 2:
				b.Failed(a, syscall.ECONNREFUSED)
			case 3:
				b.mu.Lock()
				b.forget(time.Since(b.start) + 2*time.Minute)
				b.mu.Unlock()
			}
			gap = b.of(a).connects.gap
			if s < 2 && gap != max(before, min(2*before, slowest)) || s >= 2 && gap != before {
				rt.Errorf("step %d: from one in %s to one in %s", s, before, gap)
			}
		}
	})
}

// TestWithin: outside of a lab nothing is above its default.
func TestWithin(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0, 1e-9, 0.5, 1, 5, 6, 1e18} {
		in := Pace{v, v, v, v}
		d, out, lab := DefaultPace, in.Within(false), in.Within(true)
		for _, x := range [][4]float64{{out.Connects, d.Connects, v, lab.Connects}, {out.Requests, d.Requests, v, lab.Requests}, {out.PerNetwork, d.PerNetwork, v, lab.PerNetwork}, {out.Constituent, d.Constituent, v, lab.Constituent}} {
			got, def, asked, inLab := x[0], x[1], x[2], x[3]
			if !(got > 0 && got <= def) || asked > 0 && asked < def && got != asked {
				t.Errorf("%v became %v, the default is %v", asked, got, def)
			}
			if !(inLab > 0) || asked > 0 && inLab != asked {
				t.Errorf("%v became %v in a lab", asked, inLab)
			}
		}
	}
}

// TestBrakesForget: many hosts do not stay in memory, slowed ones stay slow.
func TestBrakesForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBrakes(Pace{Connects: 1})
		slow := netip.MustParseAddr("127.9.9.9")
		b.Slower(slow)
		for i := range 3 * maxBrakes {
			b.of(netip.AddrFrom4([4]byte{127, byte(i >> 16), byte(i >> 8), byte(i)}))
			if i%10_000 == 0 {
				time.Sleep(30 * time.Second)
			}
		}
		if n := len(b.hosts) + len(b.nets); n > maxBrakes+20_000 {
			t.Errorf("%d are remembered", n)
		}
		if !b.of(slow).slowed {
			t.Error("the slowed host is fast again")
		}
	})
}

// TestConnectEnds: who gives up waiting lets the others go on, and a wait that
// outlasts the deadline is not begun.
func TestConnectEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := NewBrakes(Pace{Connects: 0.1}), netip.MustParseAddr("127.0.0.1")
		if err := b.Connect(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := b.Connect(short, a); err != context.DeadlineExceeded || time.Since(start) > 0 {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		gone, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- b.Connect(gone, a) }()
		time.Sleep(time.Second)
		go func() { second <- b.Connect(t.Context(), a) }()
		time.Sleep(time.Second)
		cancel()
		if err := <-first; err != context.Canceled {
			t.Error(err)
		}
		if err := <-second; err != nil || time.Since(start) > 10*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// TestTryWaits: who does not wait does not overtake who does.
func TestTryWaits(t *testing.T) {
	b, a := NewBrakes(unlimited), netip.MustParseAddr("127.0.0.1")
	h := b.of(a)
	for i, k := range []*brake{b.all, h.network, h.connects} {
		k.waiting++
		if d, everyone := b.try(h, time.Now()); d == 0 || everyone != (i == 0) {
			t.Errorf("brake %d: passed, or everyone (%t) waits", i, everyone)
		}
		k.waiting--
	}
	if d, _ := b.try(h, time.Now()); d != 0 {
		t.Errorf("held back for %s", d)
	}
}
