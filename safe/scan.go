package safe

import (
	"context"
	"errors"
	"fmt"
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
	// Why is what the network last said of a silent port, "no route to host"; "" nothing.
	Why string
	// Mute says that the address answered first and then no more, not even where
	// it had answered: its silent ports prove nothing.
	Mute bool

	alive bool // something answered, if only a port known from before
}

// Answered says whether the host said anything.
func (s Scanned) Answered() bool { return s.alive || len(s.Open)+len(s.Closed) > 0 }

// The bounds of one scan.
const (
	perHost    = 16   // connects to one address that wait for an answer
	perScan    = 1024 // connects that wait for an answer
	hostsAtOne = 256  // addresses that are begun and not done
	perTurn    = 64   // connects between two looks at the answers
	// askScope is how long a decision about an address holds.
	askScope = time.Second
	// pollTime is the longest wait for answers: ends of ctx are noticed then.
	pollTime = 50 * time.Millisecond
	// busyTime is the pause when the system has no socket for us.
	busyTime = 20 * time.Millisecond
)

// Scan runs a connect scan and hands over each address as it is done, one at a
// time; done holds the scan up while it runs. The scope is asked at most a
// second before each packet (a target without a name is decided by its address
// and class alone), the brakes allow each. An error is the end of ctx, or that
// the system gives no way to scan; what was handed over holds all the same.
func (b *Bound) Scan(ctx context.Context, sc Scan, done func(Scanned)) error {
	for {
		w, err := newWire(b.d)
		switch {
		case err == nil:
			return b.scan(ctx, sc, w, done)
		case !errors.Is(err, errBusy):
			return err
		}
		if err := sleep(ctx, busyTime); err != nil {
			return err
		}
	}
}

func (b *Bound) scan(ctx context.Context, sc Scan, w wire, done func(Scanned)) error {
	if sc.Timeout == 0 {
		sc.Timeout = 2 * time.Second
	}
	r := &scanRun{Bound: b, sc: sc, ctx: ctx, wire: w, done: done, first: none, last: none, known: map[netip.Addr][]uint16{}}
	for _, o := range sc.Open {
		r.known[o.Addr()] = append(r.known[o.Addr()], o.Port())
	}
	defer r.close()
	return r.run()
}

// wire opens connections without waiting for them; one goroutine uses it.
type wire interface {
	// open begins a connect. It is done at once, with err, or ended says so in a
	// later wait. errBusy: the system has no room for one more now.
	open(slot int32, to netip.AddrPort) (done bool, err error)
	// wait waits at most d for connects to end.
	wait(d time.Duration, ended func(slot int32, err error)) error
	// drop gives up a connect that did not end.
	drop(slot int32)
	close()
}

// errBusy: no socket, no port, no memory for one more connect.
var errBusy = errors.New("the system has no room for one more connection")

// busy tells errors that a later try may not meet apart from answers.
func busy(err error) error {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN, syscall.EADDRNOTAVAIL, syscall.ENOSPC} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", errBusy, err)
		}
	}
	return err
}

// sockets counts those that the scans of a dialer hold.
type sockets struct {
	once sync.Once
	room int64
	held atomic.Int64
}

func (s *sockets) take() bool {
	s.once.Do(func() { s.room = roomForSockets() })
	if s.held.Add(1) <= s.room {
		return true
	}
	s.held.Add(-1)
	return false
}

func (s *sockets) give() { s.held.Add(-1) }

// scanRun is one scan. One goroutine runs it: addresses take turns, each in the
// time of its brakes; the connects that wait for an answer are in slots.
type scanRun struct {
	*Bound
	sc    Scan
	ctx   context.Context
	wire  wire
	done  func(Scanned)
	known map[netip.Addr][]uint16 // open, by address

	now    time.Time // of this turn
	begun  int       // addresses
	active []*scanHost
	ready  ready
	rest   resting
	turn   int64     // connects begun
	hold   time.Time // nobody sends before
	epoch  int64     // of the decisions
	swept  time.Time // when the scope was asked about what waits

	flights     []flight // slots
	free        []int32
	first, last int32 // slots in the order of their ends
	path        tally // of all addresses
}

// flight is one connect that waits for an answer.
type flight struct {
	host       *scanHost
	ask        asking
	lost       bool // a lab's: there is no socket
	end        time.Time
	prev, next int32
}

const none = -1

// asking is a port to be asked; a canary answered before, or is known to be open.
type asking struct {
	port   uint16
	canary bool
}

// run goes round until every address is done.
func (r *scanRun) run() error {
	for {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		r.now = time.Now()
		r.begin()
		if len(r.active) == 0 {
			return nil
		}
		r.sweep()
		pause := r.send()
		r.now = time.Now() // what is answered until now is in time
		if err := r.wire.wait(pause, r.ended); err != nil {
			return err
		}
		r.expire()
	}
}

// close lets all sockets go.
func (r *scanRun) close() {
	for r.first != none {
		r.land(r.first, true)
	}
	r.wire.close()
}

// begin begins addresses up to hostsAtOne.
func (r *scanRun) begin() {
	for len(r.active) < hostsAtOne && r.begun < len(r.sc.Addresses) {
		a := r.sc.Addresses[r.begun]
		r.begun++
		h := &scanHost{at: Scanned{Addr: a}, place: len(r.active), brake: r.brakes.of(a), turn: r.turn}
		for _, p := range r.sc.Ports {
			h.asks = append(h.asks, asking{port: p})
		}
		for _, p := range r.known[a] { // those of Ports are asked anyway
			if !slices.Contains(r.sc.Ports, p) {
				h.asks = append(h.asks, asking{p, true})
			}
		}
		r.active = append(r.active, h)
		r.more(h)
	}
}

// send sends what may go out now and says how long there is nothing to do.
func (r *scanRun) send() time.Duration {
	for range perTurn {
		if r.now.Before(r.hold) {
			return r.pause()
		}
		h := r.pick()
		if h == nil {
			return r.pause()
		}
		if !r.may(h) {
			continue
		}
		if len(r.flights)-len(r.free) >= perScan || !r.d.sockets.take() {
			r.ready.add(h)
			r.hold = r.now.Add(time.Millisecond)
			continue
		}
		if d, everyone := r.brakes.try(h.brake, r.now); d > 0 {
			r.d.sockets.give()
			if everyone {
				r.ready.add(h)
				r.hold = r.now.Add(d)
			} else {
				r.rest.add(h, r.now.Add(d))
			}
			continue
		}
		r.connect(h)
	}
	return 0
}

// pick is the address whose turn it is.
func (r *scanRun) pick() *scanHost {
	for {
		h := r.rest.due(r.now)
		if h == nil {
			break
		}
		r.ready.add(h)
	}
	return r.ready.take()
}

// pause is how long nothing can be sent: answers end it.
func (r *scanRun) pause() time.Duration {
	d := pollTime
	until := func(t time.Time) { d = max(0, min(d, t.Sub(r.now))) }
	if len(r.ready.queue) > 0 {
		until(r.hold)
	}
	if len(r.rest.queue) > 0 {
		until(r.rest.queue[0].wake)
	}
	if r.first != none {
		until(r.flights[r.first].end)
	}
	return d
}

// connect sends the next port of an address; a socket is taken.
func (r *scanRun) connect(h *scanHost) {
	k := h.asks[h.next]
	h.next++
	r.turn++
	h.turn = r.turn
	t := r.target(h, k.port)
	if r.dropped(t) {
		r.d.sockets.give()
		r.fly(h, k, true)
		r.more(h)
		return
	}
	slot := r.fly(h, k, false)
	finished, err := r.wire.open(slot, netip.AddrPortFrom(h.at.Addr.Unmap(), k.port))
	if !errors.Is(err, errBusy) {
		r.sent.Add(1)
		r.d.out.add(ModeScope)
	}
	if finished {
		r.ended(slot, err)
	} else {
		r.more(h)
	}
}

// maxBusy is how often a port waits for a socket: where the cause is not ours
// to wait for it is silent in the end, with the reason.
const maxBusy = int(2 * time.Minute / busyTime)

func (r *scanRun) target(h *scanHost, port uint16) vedette.Target {
	return vedette.Target{Network: "tcp", Addr: netip.AddrPortFrom(h.at.Addr, port), Class: r.sc.Class}
}

// fly puts a connect in a slot, last to end: all have the same time.
func (r *scanRun) fly(h *scanHost, k asking, lost bool) int32 {
	var slot int32
	if n := len(r.free); n > 0 {
		slot, r.free = r.free[n-1], r.free[:n-1]
	} else {
		slot = int32(len(r.flights))
		r.flights = append(r.flights, flight{})
	}
	r.flights[slot] = flight{host: h, ask: k, lost: lost, end: r.now.Add(r.sc.Timeout), prev: r.last, next: none}
	if r.last == none {
		r.first = slot
	} else {
		r.flights[r.last].next = slot
	}
	r.last = slot
	h.flights++
	return slot
}

// land takes a connect out of its slot.
func (r *scanRun) land(slot int32, drop bool) flight {
	f := r.flights[slot]
	if f.prev == none {
		r.first = f.next
	} else {
		r.flights[f.prev].next = f.next
	}
	if f.next == none {
		r.last = f.prev
	} else {
		r.flights[f.next].prev = f.prev
	}
	r.flights[slot] = flight{}
	r.free = append(r.free, slot)
	f.host.flights--
	if !f.lost {
		if drop {
			r.wire.drop(slot)
		}
		r.d.sockets.give()
	}
	return f
}

// ended files a connect that the system ended.
func (r *scanRun) ended(slot int32, err error) {
	f := r.land(slot, false)
	h := f.host
	if errors.Is(err, errBusy) && h.busy < maxBusy { // not asked: later
		h.busy++
		h.asks = append(h.asks, f.ask)
		r.hold = r.now.Add(busyTime)
		r.more(h)
		return
	}
	h.busy = 0
	state, why := portOf(err)
	if errors.Is(err, syscall.ECONNRESET) {
		r.brakes.Failed(h.at.Addr, err)
	}
	r.file(h, f.ask, state, why)
	r.more(h)
}

// expire files the connects whose time is over.
func (r *scanRun) expire() {
	for r.first != none && !r.flights[r.first].end.After(r.now) {
		f := r.land(r.first, true)
		r.file(f.host, f.ask, portSilent, "")
		r.more(f.host)
	}
}

type portState uint8

const (
	portOpen portState = iota
	portClosed
	portSilent
)

// portOf is what the end of a connect says of the port. A connection that was
// reset at once had been accepted. What a router or our own system refuses is
// silence of the port, with a reason.
func portOf(err error) (portState, string) {
	var no syscall.Errno
	switch {
	case err == nil || errors.Is(err, syscall.ECONNRESET):
		return portOpen, ""
	case errors.Is(err, syscall.ECONNREFUSED):
		return portClosed, ""
	case errors.Is(err, syscall.ETIMEDOUT):
		return portSilent, ""
	case errors.As(err, &no):
		return portSilent, no.Error()
	case errors.Is(err, errBusy):
		return portSilent, errBusy.Error()
	}
	return portSilent, ""
}
