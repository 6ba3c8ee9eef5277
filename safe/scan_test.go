package safe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/vedette-hub/vedette"
)

var unlimited = Pace{Connects: 1e9, Requests: 1e9, PerNetwork: 1e9, Constituent: 1e9}

func anything(vedette.Target) error { return nil }

func nobody(vedette.Target, error) {}

// wires are the ways to connect that this system has.
func wires(t *testing.T, f func(t *testing.T, w func(*Dialer) wire)) {
	t.Run("system", func(t *testing.T) {
		f(t, func(d *Dialer) wire {
			w, err := newWire(d)
			if err != nil {
				t.Fatal(err)
			}
			return w
		})
	})
	t.Run("dial", func(t *testing.T) { f(t, func(d *Dialer) wire { return newDialWire(d) }) })
}

// listener counts the connections that it accepts.
type listener struct {
	at netip.AddrPort
	n  atomic.Int64
}

func listen(t *testing.T, addr string) *listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("%s is not on this machine: %v", addr, err)
	}
	t.Cleanup(func() { ln.Close() })
	l := &listener{at: netip.MustParseAddrPort(ln.Addr().String())}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			l.n.Add(1)
			c.Close()
		}
	}()
	return l
}

// scanAll scans with a wire and returns what came of each address.
func scanAll(t *testing.T, b *Bound, sc Scan, w wire) map[netip.Addr]Scanned {
	t.Helper()
	out := map[netip.Addr]Scanned{}
	if err := b.scan(t.Context(), sc, w, func(s Scanned) {
		if _, twice := out[s.Addr]; twice {
			t.Errorf("%s came twice", s.Addr)
		}
		out[s.Addr] = s
	}); err != nil {
		t.Error(err)
	}
	if held := b.d.sockets.held.Load(); held != 0 {
		t.Errorf("%d sockets are still held", held)
	}
	return out
}

// TestScanLikeADialer: open and closed are what a plain dialer finds; lost
// packets are silence.
func TestScanLikeADialer(t *testing.T) {
	wires(t, func(t *testing.T, w func(*Dialer) wire) {
		var sc Scan
		sc.Class, sc.Timeout = vedette.Active, 300*time.Millisecond
		for i := range 6 {
			sc.Addresses = append(sc.Addresses, netip.AddrFrom4([4]byte{127, 41, 0, byte(i + 1)}))
		}
		var open []netip.AddrPort
		for i := range 12 {
			l := listen(t, sc.Addresses[i%5].String()+":0")
			open = append(open, l.at)
			sc.Ports = append(sc.Ports, l.at.Port())
		}
		for p := uint16(61_000); p < 61_040; p++ {
			sc.Ports = append(sc.Ports, p)
		}
		slices.Sort(sc.Ports)
		sc.Ports = slices.Compact(sc.Ports)
		d := NewDialer(true)
		d.Drop = func(t vedette.Target) bool { return t.Addr.Port() >= 61_030 }
		got := scanAll(t, d.Scope(anything, nobody, NewBrakes(unlimited)), sc, w(d))
		for _, a := range sc.Addresses {
			var want Scanned
			for _, p := range sc.Ports {
				c, err := net.DialTimeout("tcp", netip.AddrPortFrom(a, p).String(), time.Second)
				switch {
				case p >= 61_030:
					want.Silent = append(want.Silent, p)
				case err == nil:
					want.Open = append(want.Open, p)
				default:
					want.Closed = append(want.Closed, p)
				}
				if err == nil {
					c.Close()
				}
			}
			s := got[a]
			if !slices.Equal(s.Open, want.Open) || !slices.Equal(s.Closed, want.Closed) || !slices.Equal(s.Silent, want.Silent) || s.Mute || !s.Answered() {
				t.Errorf("%s: %+v, a dialer found %+v", a, s, want)
			}
			for _, p := range s.Open {
				if !slices.Contains(open, netip.AddrPortFrom(a, p)) {
					t.Errorf("nothing listens on %s port %d", a, p)
				}
			}
		}
	})
}

// TestScanAllows: exactly what is allowed is connected, whatever is asked for.
func TestScanAllows(t *testing.T) {
	var all []*listener
	var sc Scan
	first := listen(t, "127.42.0.1:0")
	for i := range 12 {
		a := netip.AddrFrom4([4]byte{127, 42, 0, byte(i + 1)})
		sc.Addresses = append(sc.Addresses, a)
		if i > 0 {
			all = append(all, listen(t, netip.AddrPortFrom(a, first.at.Port()).String()))
		} else {
			all = append(all, first)
		}
	}
	sc.Ports, sc.Class = []uint16{first.at.Port()}, vedette.Active
	rapid.Check(t, func(rt *rapid.T) {
		may := rapid.SliceOfN(rapid.Bool(), len(all), len(all)).Draw(rt, "may")
		before := make([]int64, len(all))
		for i, l := range all {
			before[i] = l.n.Load()
		}
		recorded := map[netip.Addr]int{}
		d := NewDialer(true)
		b := d.Scope(func(t vedette.Target) error {
			if t.Class != vedette.Active || t.Network != "tcp" || t.Name != "" || !may[slices.Index(sc.Addresses, t.Addr.Addr())] {
				return vedette.Refused("not yours")
			}
			return nil
		}, func(t vedette.Target, _ error) { recorded[t.Addr.Addr()]++ }, NewBrakes(unlimited))
		n := 0
		got := map[netip.Addr]Scanned{}
		if err := b.Scan(t.Context(), sc, func(s Scanned) { got[s.Addr] = s }); err != nil {
			rt.Fatal(err)
		}
		for i, a := range sc.Addresses {
			until := time.Now().Add(2 * time.Second)
			for may[i] && all[i].n.Load() == before[i] && time.Now().Before(until) {
				time.Sleep(time.Millisecond) // accept hears of it later
			}
			touched := all[i].n.Load() - before[i]
			switch s := got[a]; {
			case may[i] && (touched != 1 || len(s.Open) != 1 || recorded[a] != 0):
				rt.Errorf("%s is allowed: %d connections, %+v, %d refusals", a, touched, s, recorded[a])
			case !may[i] && (touched != 0 || s.Answered() || len(s.Silent) > 0 || recorded[a] != 1):
				rt.Errorf("%s is not allowed: %d connections, %+v, %d refusals", a, touched, s, recorded[a])
			}
			if may[i] {
				n++
			}
		}
		if b.Sent() != int64(n) || d.Sent().Of(ModeScope) != int64(n) || d.Refused().Of(ModeScope) != int64(len(all)-n) {
			rt.Errorf("%d allowed: %d sent, %d by mode, %d refused", n, b.Sent(), d.Sent().Of(ModeScope), d.Refused().Of(ModeScope))
		}
	})
}

// TestScanFiles: without files for sockets the scan waits, and loses nothing.
func TestScanFiles(t *testing.T) {
	wires(t, func(t *testing.T, w func(*Dialer) wire) {
		l := listen(t, "127.0.0.1:0")
		d := NewDialer(true)
		d.sockets.once.Do(func() { d.sockets.room = 1 << 20 }) // as if the limit were not known
		b := d.Scope(anything, nobody, NewBrakes(unlimited))
		wire := w(d)
		restore := fewFiles(t)
		sc := Scan{Ports: []uint16{l.at.Port(), 61_000, 61_001, 61_002}, Class: vedette.Active}
		for i := range 40 {
			sc.Addresses = append(sc.Addresses, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.AddrFrom4([4]byte{127, 43, 0, byte(i + 1)}))
		}
		go func() {
			time.Sleep(300 * time.Millisecond)
			restore()
		}()
		n := 0
		if err := b.scan(t.Context(), sc, wire, func(s Scanned) {
			if len(s.Silent) > 0 || len(s.Open)+len(s.Closed) != 4 || s.Addr == l.at.Addr() && len(s.Open) != 1 {
				t.Errorf("%+v", s)
			}
			n++
		}); err != nil || n != 80 {
			t.Errorf("%d addresses: %v", n, err)
		}
	})
}

// TestScanSockets: scans side by side hold no more sockets than there is room for.
func TestScanSockets(t *testing.T) {
	d := NewDialer(true)
	d.sockets.once.Do(func() { d.sockets.room = 10 })
	w := &fakeWire{answer: func(netip.AddrPort, int) (error, time.Duration) { return nil, time.Millisecond }}
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		for range 3 {
			mine := &fakeWire{answer: w.answer, held: &w.most}
			wg.Go(func() {
				b := d.Scope(anything, nobody, NewBrakes(unlimited))
				sc := Scan{Addresses: hosts(20), Ports: []uint16{1, 2, 3}, Class: vedette.Active}
				if err := b.scan(t.Context(), sc, mine, func(s Scanned) {
					if len(s.Open) != 3 {
						t.Errorf("%+v", s)
					}
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
	if w.most.most > 10 || d.sockets.held.Load() != 0 {
		t.Errorf("%d at a time, %d left", w.most.most, d.sockets.held.Load())
	}
}

// hosts are n addresses of one network.
func hosts(n int) []netip.Addr {
	var out []netip.Addr
	for i := range n {
		out = append(out, netip.AddrFrom4([4]byte{127, 44, byte(i >> 8), byte(i)}))
	}
	return out
}

// fakeWire answers as it is told, in the time of the bubble it runs in.
type fakeWire struct {
	// answer is what comes of the n-th ask of a port, from 0, and when; a
	// negative time is never. errBusy comes at once.
	answer func(to netip.AddrPort, n int) (error, time.Duration)
	asked  map[netip.AddrPort]int
	sent   []passed
	start  time.Time
	slots  map[int32]fakeAnswer
	held   *mostHeld
	most   mostHeld
}

type fakeAnswer struct {
	at    time.Time
	never bool
	err   error
}

type mostHeld struct {
	mu      sync.Mutex
	n, most int
}

func (m *mostHeld) add(n int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n += n
	m.most = max(m.most, m.n)
}

func (w *fakeWire) open(slot int32, to netip.AddrPort) (bool, error) {
	if w.asked == nil {
		w.asked, w.slots, w.start = map[netip.AddrPort]int{}, map[int32]fakeAnswer{}, time.Now()
	}
	n := w.asked[to]
	w.asked[to]++
	err, after := w.answer(to, n)
	if errors.Is(err, errBusy) {
		return true, err
	}
	w.sent = append(w.sent, passed{time.Since(w.start), to.Addr()})
	if after == 0 {
		return true, err
	}
	w.held.add(1)
	w.slots[slot] = fakeAnswer{time.Now().Add(after), after < 0, err}
	return false, nil
}

func (w *fakeWire) wait(d time.Duration, ended func(int32, error)) error {
	time.Sleep(max(d, time.Microsecond))
	for slot, a := range w.slots {
		if !a.never && !a.at.After(time.Now()) {
			w.drop(slot)
			ended(slot, a.err)
		}
	}
	return nil
}

func (w *fakeWire) drop(slot int32) {
	delete(w.slots, slot)
	w.held.add(-1)
}

func (w *fakeWire) close() {}

const never = -1

// TestScanPace: a scan of many addresses keeps the pace of a survey, and uses it.
func TestScanPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDialer(true)
		b := d.Scope(anything, nobody, NewBrakes(DefaultPace))
		w := &fakeWire{answer: func(to netip.AddrPort, n int) (error, time.Duration) {
			return syscall.ECONNREFUSED, time.Duration(to.Port()) * time.Millisecond
		}}
		sc := Scan{Addresses: append(hosts(64), netip.MustParseAddr("127.45.0.1")), Class: vedette.Active}
		for p := range uint16(110) {
			sc.Ports = append(sc.Ports, p+1)
		}
		start := time.Now()
		scanAll(t, b, sc, w)
		keepsPace(t, w.sent, DefaultPace)
		// 64 addresses of one network at 100 a second
		if took, least := time.Since(start), 64*110*time.Second/100; took > least*11/10 || took < least*9/10 {
			t.Errorf("took %s, the pace allows %s", took, least)
		}
		if len(w.sent) != 65*110 || b.Sent() != 65*110 {
			t.Errorf("%d connects, %d counted", len(w.sent), b.Sent())
		}
	})
}

// TestScanLoss: on a path that loses, filtered ports and open ones are told
// apart, and dead addresses are asked twice.
func TestScanLoss(t *testing.T) {
	for loss, n := range map[float64]int{0: 200, 0.01: 200, 0.05: 300, 0.2: 200} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(1, 2))
				d := NewDialer(true)
				b := d.Scope(anything, nobody, NewBrakes(unlimited))
				// Of each address ports up to 3 are open, those up to 10 closed, the
				// rest filtered; every fourth closes none, every tenth is not there.
				w := &fakeWire{answer: func(to netip.AddrPort, n int) (error, time.Duration) {
					i := to.Addr().As4()[3]
					lost := r.Float64() < loss
					switch p := to.Port(); {
					case lost || i%10 == 0 || p > 10 || p > 3 && i%4 == 1:
						return nil, never
					case p <= 3:
						return nil, 30 * time.Millisecond
					}
					return syscall.ECONNREFUSED, 30 * time.Millisecond
				}}
				sc := Scan{Addresses: hosts(n), Class: vedette.Active}
				for p := range uint16(20) {
					sc.Ports = append(sc.Ports, p+1)
				}
				missed, asks, dead := 0, 0, 0
				for a, s := range scanAll(t, b, sc, w) {
					i := a.As4()[3]
					if s.Answered() == (i%10 == 0) || s.Mute {
						t.Errorf("%s: %+v", a, s)
					}
					if !s.Answered() {
						dead++
						asks += w.asked[netip.AddrPortFrom(a, 20)]
						continue
					}
					missed += 3 - len(s.Open)
					for _, p := range s.Open {
						if p > 3 {
							t.Errorf("%s: port %d is open", a, p)
						}
					}
				}
				if missed > 1 { // of less than a thousand
					t.Errorf("%d open ports were missed", missed)
				}
				if loss == 0 && asks != 2*dead || asks > 11*dead {
					t.Errorf("%d asks of a port of %d dead addresses", asks, dead)
				}
				if loss == 0 {
					if n := w.asked[netip.MustParseAddrPort("127.44.0.199:20")]; n != 3 {
						t.Errorf("a filtered port on a good path was asked %d times", n)
					}
				}
			})
		})
	}
}

// TestScanMute: an address that answers no more slows us down, and its silent
// ports prove nothing; one that comes back is looked at in full.
func TestScanMute(t *testing.T) {
	for _, back := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := NewDialer(true)
			brakes := NewBrakes(Pace{Connects: 100})
			b := d.Scope(anything, nobody, brakes)
			n := 0
			w := &fakeWire{answer: func(to netip.AddrPort, _ int) (error, time.Duration) {
				if n++; n > 10 && (!back || n < 60) {
					return nil, never
				}
				return nil, time.Millisecond
			}}
			sc := Scan{Addresses: hosts(1), Class: vedette.Active}
			for p := range uint16(30) {
				sc.Ports = append(sc.Ports, p+1)
			}
			s := scanAll(t, b, sc, w)[sc.Addresses[0]]
			if back && (s.Mute || len(s.Open) != 30) || !back && (!s.Mute || len(s.Open) != 10 || len(s.Silent) != 20) {
				t.Errorf("back %t: %+v", back, s)
			}
			if !brakes.of(sc.Addresses[0]).slowed {
				t.Error("not slowed")
			}
		})
	}
}

// TestScanReasons: what the network says of a port is silence with a reason,
// what was reset had been accepted, and what found no room is asked later.
func TestScanReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDialer(true)
		brakes := NewBrakes(unlimited)
		b := d.Scope(anything, nobody, brakes)
		w := &fakeWire{answer: func(to netip.AddrPort, n int) (error, time.Duration) {
			switch to.Port() {
			case 1:
				return syscall.EHOSTUNREACH, time.Millisecond
			case 2:
				return syscall.ENETUNREACH, 0
			case 3:
				return syscall.ECONNRESET, time.Millisecond
			case 4:
				return syscall.ECONNREFUSED, 0
			case 5:
				if n < 5 {
					return errBusy, 0
				}
				return nil, 0
			}
			return nil, never
		}}
		sc := Scan{Addresses: hosts(1), Ports: []uint16{6, 5, 4, 3, 2, 1}, Class: vedette.Active}
		s := scanAll(t, b, sc, w)[sc.Addresses[0]]
		if fmt.Sprint(s.Open, s.Closed, s.Silent) != "[3 5] [4] [1 2 6]" || s.Why == "" {
			t.Errorf("%+v", s)
		}
		if !brakes.of(sc.Addresses[0]).slowed {
			t.Error("a reset slowed nothing")
		}
		if b.Sent() != int64(len(w.sent)) {
			t.Errorf("%d sent, %d counted", len(w.sent), b.Sent())
		}
	})
}

// TestScanKnown: ports known to be open make a silent address be asked as often
// as one that answers, and those that are not to be scanned stand nowhere.
func TestScanKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewDialer(true).Scope(anything, nobody, NewBrakes(unlimited))
		a := hosts(3)
		w := &fakeWire{answer: func(to netip.AddrPort, n int) (error, time.Duration) {
			if to.Addr() == a[0] && n >= 2 || to.Addr() == a[2] && to.Port() == 99 {
				return nil, time.Millisecond
			}
			return nil, never
		}}
		sc := Scan{Addresses: a, Ports: []uint16{1, 2}, Class: vedette.Active, Open: []netip.AddrPort{netip.AddrPortFrom(a[0], 1), netip.AddrPortFrom(a[2], 99)}}
		got := scanAll(t, b, sc, w)
		if s := got[a[0]]; len(s.Open) != 2 {
			t.Errorf("known: %+v", s)
		}
		if s := got[a[1]]; s.Answered() || w.asked[netip.AddrPortFrom(a[1], 1)] != 2 {
			t.Errorf("unknown: %+v", s)
		}
		if s := got[a[2]]; !s.Answered() || len(s.Open) > 0 || len(s.Silent) != 2 {
			t.Errorf("known by another port: %+v", s)
		}
	})
}

// TestScanEnds: a scope that ends stops the scan within seconds, with nothing
// sent and no socket left; so do a changed scope and the end of ctx, at once.
func TestScanEnds(t *testing.T) {
	const end = 10 * time.Second
	for _, how := range []string{"expires", "changes", "cancelled"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, over := time.Now(), atomic.Bool{}
				refusals := 0
				b := NewDialer(true).Scope(func(vedette.Target) error {
					if how == "expires" && time.Since(start) >= end || over.Load() {
						return vedette.Refused("it was until then")
					}
					return nil
				}, func(vedette.Target, error) { refusals++ }, NewBrakes(Pace{Connects: 10}))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w := &fakeWire{answer: func(to netip.AddrPort, n int) (error, time.Duration) {
					if to.Port()%2 == 0 {
						return nil, never
					}
					return nil, time.Millisecond
				}}
				time.AfterFunc(end, func() {
					switch how {
					case "changes":
						over.Store(true)
						b.Recheck()
					case "cancelled":
						cancel()
					}
				})
				sc := Scan{Addresses: hosts(20), Class: vedette.Active}
				for p := range uint16(500) {
					sc.Ports = append(sc.Ports, p+1)
				}
				n := 0
				err := b.scan(ctx, sc, w, func(s Scanned) {
					if n++; len(s.Silent) > 0 || len(s.Open) == 0 {
						t.Errorf("%+v", s)
					}
				})
				late := 200 * time.Millisecond
				if how == "expires" {
					late = 1100 * time.Millisecond
				}
				if last := w.sent[len(w.sent)-1].at; last > end+late || time.Since(start) > end+2*late {
					t.Errorf("the last packet went %s after the end, the scan ended %s after", last-end, time.Since(start)-end)
				}
				if len(w.slots) > 0 {
					t.Errorf("%d sockets are left", len(w.slots))
				}
				if how == "cancelled" && (!errors.Is(err, context.Canceled) || n > 0) || how != "cancelled" && (err != nil || n != 20 || refusals != 20) {
					t.Errorf("%v, %d handed over, %d refusals", err, n, refusals)
				}
			})
		})
	}
}

// TestScanEndsWaiting: connects that wait for an answer end with the scope, when
// nothing is left to send either.
func TestScanEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := NewDialer(true).Scope(func(vedette.Target) error {
			if time.Since(start) > 3*time.Second {
				return vedette.Refused("it was until then")
			}
			return nil
		}, nobody, NewBrakes(unlimited))
		w := &fakeWire{answer: func(netip.AddrPort, int) (error, time.Duration) { return nil, never }}
		got := scanAll(t, b, Scan{Addresses: hosts(3), Ports: []uint16{1, 2, 3}, Class: vedette.Active, Timeout: time.Minute}, w)
		if took := time.Since(start); took > 5*time.Second || len(got) != 3 || len(w.slots) > 0 {
			t.Errorf("took %s, %d handed over, %d sockets left", took, len(got), len(w.slots))
		}
	})
}

// TestScanLossyHost: where one address alone loses much, it is asked more often.
func TestScanLossyHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		b := NewDialer(true).Scope(anything, nobody, NewBrakes(unlimited))
		w := &fakeWire{answer: func(to netip.AddrPort, n int) (error, time.Duration) {
			if to.Addr().As4()[3] == 7 && r.Float64() < 0.4 || to.Port() > 60 {
				return nil, never
			}
			return nil, time.Millisecond
		}}
		sc := Scan{Addresses: hosts(100), Class: vedette.Active}
		for p := range uint16(64) {
			sc.Ports = append(sc.Ports, p+1)
		}
		if s := scanAll(t, b, sc, w)[sc.Addresses[7]]; len(s.Open) != 60 || len(s.Silent) != 4 {
			t.Errorf("%d open, %d silent", len(s.Open), len(s.Silent))
		}
		if n := w.asked[netip.AddrPortFrom(sc.Addresses[8], 64)]; n > 4 {
			t.Errorf("%d asks where nothing is lost", n)
		}
	})
}

// TestScanSix: addresses of the other family, and of the one in its clothes.
func TestScanSix(t *testing.T) {
	six, four := listen(t, "[::1]:0"), listen(t, "127.0.0.1:0")
	wires(t, func(t *testing.T, w func(*Dialer) wire) {
		d := NewDialer(true)
		mapped := netip.AddrFrom16(four.at.Addr().As16())
		sc := Scan{Addresses: []netip.Addr{six.at.Addr(), mapped, netip.MustParseAddr("::1%lo")}, Ports: []uint16{six.at.Port(), four.at.Port()}, Class: vedette.Active}
		got := scanAll(t, d.Scope(anything, nobody, NewBrakes(unlimited)), sc, w(d))
		if s := got[six.at.Addr()]; !slices.Contains(s.Open, six.at.Port()) {
			t.Errorf("%+v", s)
		}
		if s := got[mapped]; !slices.Contains(s.Open, four.at.Port()) {
			t.Errorf("%+v", s)
		}
		if s := got[sc.Addresses[2]]; s.Answered() || len(s.Silent) > 0 {
			t.Errorf("with a zone: %+v", s)
		}
	})
}
