package safe

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vedette-hub/vedette"
)

// Scan is a connect scan: which ports of which addresses accept a connection.
type Scan struct {
	Addresses []netip.Addr
	Ports     []uint16
	Class     vedette.CheckClass
	// Open are ports known to be open: with those that are found they are asked
	// again, so that a lossy path is noticed and silent ports are asked more often.
	Open    []netip.AddrPort
	Timeout time.Duration // of one connect, 2 s when 0
}

// Scanned is what the scan of one address found. Ports that the scope refused
// stand nowhere: they were not looked at.
type Scanned struct {
	Addr   netip.Addr
	Open   []uint16
	Closed []uint16 // answered that nobody listens
	Silent []uint16 // no answer to any attempt
}

// Answered says whether the host said anything.
func (s Scanned) Answered() bool { return len(s.Open)+len(s.Closed) > 0 }

// Scan runs a connect scan and hands over each address when it is done.
func (b *Bound) Scan(ctx context.Context, sc Scan, done func(Scanned)) error {
	if sc.Timeout == 0 {
		sc.Timeout = 2 * time.Second
	}
	r := scanRun{Bound: b, Scan: sc}
	var wg sync.WaitGroup
	out := make([]Scanned, len(sc.Addresses))
	for i, a := range sc.Addresses {
		wg.Go(func() { out[i] = r.host(ctx, a) })
	}
	wg.Wait()
	r.canaries(ctx, out)
	for i := range out {
		wg.Go(func() { r.again(ctx, &out[i]) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, s := range out {
		slices.Sort(s.Open)
		slices.Sort(s.Closed)
		done(s)
	}
	return nil
}

type scanRun struct {
	*Bound
	Scan
	asked, lost atomic.Int64 // canaries
}

// perHost bounds the connects to one address that wait for an answer.
const perHost = 16

func (r *scanRun) host(ctx context.Context, a netip.Addr) Scanned {
	s := Scanned{Addr: a}
	r.ports(ctx, &s, r.Ports)
	return s
}

// ports asks ports of an address and files the answers.
func (r *scanRun) ports(ctx context.Context, s *Scanned, ports []uint16) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, perHost)
	for _, p := range ports {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			state, looked := r.ask(ctx, netip.AddrPortFrom(s.Addr, p))
			if !looked {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			*r.file(s, state) = append(*r.file(s, state), p)
		})
	}
	wg.Wait()
}

type portState uint8

const (
	portOpen portState = iota
	portClosed
	portSilent
)

func (r *scanRun) file(s *Scanned, st portState) *[]uint16 {
	return [...]*[]uint16{portOpen: &s.Open, portClosed: &s.Closed, portSilent: &s.Silent}[st]
}

// ask tries one connect; looked is false when nothing was sent.
func (r *scanRun) ask(ctx context.Context, to netip.AddrPort) (st portState, looked bool) {
	if ctx.Err() != nil {
		return 0, false
	}
	t := vedette.Target{Network: "tcp", Addr: to, Class: r.Class}
	if r.May(t) != nil || r.brakes.Connect(ctx, to.Addr()) != nil {
		return 0, false
	}
	c, err := r.connect(ctx, t, r.Timeout)
	switch {
	case err == nil:
		c.Close()
		return portOpen, true
	case errors.Is(err, vedette.ErrRefused) || ctx.Err() != nil:
		return 0, false
	case errors.Is(err, syscall.ECONNREFUSED):
		return portClosed, true
	}
	return portSilent, true
}

// canaries asks again what is known to be open: what falls silent tells how
// lossy the path is.
func (r *scanRun) canaries(ctx context.Context, found []Scanned) {
	known := map[netip.AddrPort]bool{}
	for _, o := range r.Scan.Open {
		known[o] = true
	}
	for _, s := range found {
		for _, p := range s.Open {
			known[netip.AddrPortFrom(s.Addr, p)] = true
		}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4*perHost)
	for to := range known {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if st, looked := r.ask(ctx, to); looked {
				r.asked.Add(1)
				if st == portSilent {
					r.lost.Add(1)
				}
			}
		})
	}
	wg.Wait()
}

// attempts is how often a silent port of a host that answers is asked again:
// until a port that is open is missed once in ten thousand.
func (r *scanRun) attempts() int {
	const least, most, miss = 2, 10, 1e-4
	lost, asked := float64(r.lost.Load()), float64(r.asked.Load())
	if lost == 0 || asked == 0 {
		return least
	}
	if lost == asked {
		return most
	}
	return min(most, max(least, int(math.Ceil(math.Log(miss)/math.Log(lost/asked)))))
}

// again asks silent ports of a host that answers.
func (r *scanRun) again(ctx context.Context, s *Scanned) {
	if !s.Answered() && !r.known(s.Addr) {
		return
	}
	for range r.attempts() {
		silent := s.Silent
		s.Silent = nil
		r.ports(ctx, s, silent)
	}
}

func (r *scanRun) known(a netip.Addr) bool {
	return slices.ContainsFunc(r.Scan.Open, func(o netip.AddrPort) bool { return o.Addr() == a })
}
