package safe

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"
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
		if v <= 0 || v > d && !lab {
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
	pace Pace
	all  *rate.Limiter

	mu    sync.Mutex
	hosts map[netip.Addr]*hostBrake
	nets  map[netip.Prefix]*rate.Limiter
	now   func() time.Time
}

type hostBrake struct {
	connects, requests *rate.Limiter
	used               time.Time
}

// NewBrakes makes the brakes of one constituent.
func NewBrakes(p Pace) *Brakes {
	return &Brakes{pace: p, all: limiter(p.Constituent), hosts: map[netip.Addr]*hostBrake{}, nets: map[netip.Prefix]*rate.Limiter{}, now: time.Now}
}

// limiter allows n a second and bursts of one second.
func limiter(n float64) *rate.Limiter { return rate.NewLimiter(rate.Limit(n), max(1, int(n))) }

// Connect waits until one more connect to an address may go out.
func (b *Brakes) Connect(ctx context.Context, a netip.Addr) error {
	host, network := b.of(a)
	for _, l := range []*rate.Limiter{host.connects, network, b.all} {
		if err := wait(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// Request waits until one more HTTP request to an address may go out.
func (b *Brakes) Request(ctx context.Context, a netip.Addr) error {
	host, _ := b.of(a)
	return wait(ctx, host.requests)
}

func wait(ctx context.Context, l *rate.Limiter) error {
	if err := l.Wait(ctx); err != nil {
		if ctx.Err() == nil { // the wait would outlast the deadline
			return context.DeadlineExceeded
		}
		return err
	}
	return nil
}

// maxBrakes bounds how many hosts are remembered at a time.
const maxBrakes = 1 << 16

func (b *Brakes) of(a netip.Addr) (*hostBrake, *rate.Limiter) {
	a = a.Unmap()
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p := netip.PrefixFrom(a, bits).Masked()
	b.mu.Lock()
	defer b.mu.Unlock()
	h, n := b.hosts[a], b.nets[p]
	if h == nil {
		if len(b.hosts) >= maxBrakes {
			b.forget()
		}
		h = &hostBrake{connects: limiter(b.pace.Connects), requests: limiter(b.pace.Requests)}
		b.hosts[a] = h
	}
	if n == nil {
		n = limiter(b.pace.PerNetwork)
		b.nets[p] = n
	}
	h.used = b.now()
	return h, n
}

// forget drops hosts that were not asked for a minute: their brakes are full again.
func (b *Brakes) forget() {
	for a, h := range b.hosts {
		if b.now().Sub(h.used) > time.Minute {
			delete(b.hosts, a)
		}
	}
}

// Failed hears of a connect that failed. A refused port and a silent one are
// normal; a host that resets what it accepted is asked half as often from then on.
func (b *Brakes) Failed(a netip.Addr, err error) {
	if errors.Is(err, syscall.ECONNRESET) {
		b.Slower(a)
	}
}

// Slower halves how often an address is connected to, down to once in ten
// seconds: when it resets, and when a port known to be open fell silent.
func (b *Brakes) Slower(a netip.Addr) {
	h, _ := b.of(a)
	h.connects.SetLimit(max(h.connects.Limit()/2, rate.Every(10*time.Second)))
	h.connects.SetBurst(1)
}
