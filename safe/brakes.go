package safe

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Pace is how fast a survey may go. Zero fields take those of DefaultPace.
type Pace struct {
	Connects    float64 // to one address, per second
	Requests    float64 // HTTP requests to one address, per second
	PerNetwork  float64 // connects to one /24 or /48, per second
	Constituent float64 // connects to all of one constituent, per second
}

// DefaultPace is also the fastest outside of a lab.
var DefaultPace = Pace{Connects: 5, Requests: 1, PerNetwork: 100, Constituent: 200}

// Within is the pace with zero fields filled, and, unless in a lab, no field
// above its default: a configuration can slow us down only.
func (p Pace) Within(lab bool) Pace {
	f := func(v, d float64) float64 {
		if !(v > 0) || v > d && !lab { // what is no number is not above 0 either
			return d
		}
		return v
	}
	d := DefaultPace
	return Pace{f(p.Connects, d.Connects), f(p.Requests, d.Requests), f(p.PerNetwork, d.PerNetwork), f(p.Constituent, d.Constituent)}
}

// Brakes hold back connects and requests. They only get slower: an address that
// resets, or loses what it answered before, is asked half as often from then on.
type Brakes struct {
	pace  Pace
	all   *brake
	start time.Time

	mu    sync.Mutex
	hosts map[netip.Addr]*hostBrake
	nets  map[netip.Prefix]*brake
	full  int // hosts and networks at which those at rest are forgotten
}

// brake spaces what passes it evenly (the generic cell rate algorithm, ITU-T
// I.371 annex A.2): what passes in any time d is at most 1+(d+slack)/gap.
type brake struct {
	gap   time.Duration // between two
	slack time.Duration // how far the spacing may run ahead: the grain of timers
	next  time.Duration // when the next one is due, since the start of the brakes
	// turn is held by who waits at this brake and by who waits at the next one
	// having passed here: they pass in the order in which they came.
	turn    chan struct{}
	waiting int // who holds the turn or waits for it
}

// grain is how exactly a process is woken.
const grain = 5 * time.Millisecond

func newBrake(n float64) *brake {
	gap := 24 * time.Hour
	if g := math.Ceil(float64(time.Second) / n); g < float64(gap) {
		gap = time.Duration(g)
	}
	return &brake{gap: gap, slack: max(0, grain-gap), turn: make(chan struct{}, 1)}
}

// wait is how long it is until one more may pass.
func (k *brake) wait(now time.Duration) time.Duration { return max(0, k.next-k.slack-now) }

// take notes that one passes.
func (k *brake) take(now time.Duration) { k.next = max(k.next, now) + k.gap }

// hostBrake is one address with the network it is in.
type hostBrake struct {
	connects, requests *brake
	network            *brake
	used               time.Duration
	slowed             bool
}

// NewBrakes makes the brakes of one constituent.
func NewBrakes(p Pace) *Brakes {
	p = p.Within(true)
	return &Brakes{pace: p, all: newBrake(p.Constituent), start: time.Now(),
		hosts: map[netip.Addr]*hostBrake{}, nets: map[netip.Prefix]*brake{}, full: maxBrakes}
}

// Connect waits until one more connect to an address may go out. An error is
// the end of ctx, or that the wait would outlast it.
func (b *Brakes) Connect(ctx context.Context, a netip.Addr) error {
	h := b.of(a)
	return b.pass(ctx, h.connects, h.network, b.all)
}

// Request waits until one more HTTP request to an address may go out.
func (b *Brakes) Request(ctx context.Context, a netip.Addr) error {
	return b.pass(ctx, b.of(a).requests)
}

// pass waits at each brake for its turn and its time, and passes all at once:
// what waits at a later brake has not used up an earlier one.
func (b *Brakes) pass(ctx context.Context, brakes ...*brake) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, k := range brakes {
		b.wait(k, 1)
		defer b.wait(k, -1)
		select {
		case k.turn <- struct{}{}:
			defer func() { <-k.turn }()
		case <-ctx.Done():
			return ctx.Err()
		}
		for {
			d := b.due(k)
			if d == 0 {
				break
			}
			if err := sleep(ctx, d); err != nil {
				return err
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Since(b.start)
	for _, k := range brakes {
		k.take(now)
	}
	return nil
}

func (b *Brakes) wait(k *brake, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k.waiting += n
}

func (b *Brakes) due(k *brake) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return k.wait(time.Since(b.start))
}

func sleep(ctx context.Context, d time.Duration) error {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return context.DeadlineExceeded
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// try is Connect without waiting: it passes and returns 0, or says when to try
// again, and whether that holds for every address. Who waits in Connect goes first.
func (b *Brakes) try(h *hostBrake, at time.Time) (d time.Duration, everyone bool) {
	now := at.Sub(b.start)
	b.mu.Lock()
	defer b.mu.Unlock()
	h.used = now
	brakes := [...]*brake{b.all, h.network, h.connects}
	for i, k := range brakes {
		if d = k.wait(now); d == 0 && k.waiting > 0 {
			d = time.Millisecond
		}
		if d > 0 {
			return d, i == 0
		}
	}
	for _, k := range brakes {
		k.take(now)
	}
	return 0, false
}

// maxBrakes bounds how many hosts are remembered at a time, but for those in
// use or slowed within slowTime.
const (
	maxBrakes = 1 << 16
	slowTime  = time.Hour
)

func (b *Brakes) of(a netip.Addr) *hostBrake {
	a = a.Unmap().WithZone("")
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Since(b.start)
	h := b.hosts[a]
	if h == nil {
		if len(b.hosts)+len(b.nets) >= b.full {
			b.forget(now)
		}
		h = &hostBrake{connects: newBrake(b.pace.Connects), requests: newBrake(b.pace.Requests), network: b.netOf(a)}
		b.hosts[a] = h
	}
	h.used = now
	return h
}

func (b *Brakes) netOf(a netip.Addr) *brake {
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p := netip.PrefixFrom(a, bits).Masked()
	n := b.nets[p]
	if n == nil {
		n = newBrake(b.pace.PerNetwork)
		b.nets[p] = n
	}
	return n
}

// forget drops what was not asked for a minute and owes nothing. A host that
// was slowed stays slow for an hour.
func (b *Brakes) forget(now time.Duration) {
	kept := map[*brake]bool{}
	for a, h := range b.hosts {
		rest := time.Minute
		if h.slowed {
			rest = slowTime
		}
		if now-h.used > rest && h.connects.idle(now) && h.requests.idle(now) {
			delete(b.hosts, a)
		} else {
			kept[h.network] = true
		}
	}
	for p, n := range b.nets {
		if !kept[n] && n.idle(now) {
			delete(b.nets, p)
		}
	}
	b.full = max(maxBrakes, 2*(len(b.hosts)+len(b.nets)))
}

func (k *brake) idle(now time.Duration) bool { return k.waiting == 0 && k.next <= now }

// Failed hears of a connect that failed. A refused port and a silent one are
// normal; a host that resets what it accepted is asked half as often from then on.
func (b *Brakes) Failed(a netip.Addr, err error) {
	if errors.Is(err, syscall.ECONNRESET) {
		b.Slower(a)
	}
}

// slowest is how seldom an address is connected to at the least, unless the
// pace itself is slower.
const slowest = 10 * time.Second

// Slower halves how often an address is connected to, down to once in ten
// seconds: when it resets, and when ports known to be open fell silent.
func (b *Brakes) Slower(a netip.Addr) {
	h := b.of(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	k := h.connects
	k.gap, k.slack, h.slowed = max(k.gap, min(2*k.gap, slowest)), 0, true
}
