package safe

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// dialWire opens connections with a goroutine each: for systems without epoll.
type dialWire struct {
	net   net.Dialer
	slots map[int32]*dialing
	ends  chan *dialing
}

type dialing struct {
	slot int32
	err  error
	stop context.CancelFunc
}

func newDialWire(d *Dialer) *dialWire {
	w := &dialWire{net: d.net, slots: map[int32]*dialing{}, ends: make(chan *dialing, perScan)}
	w.net.Timeout = 0 // the scan says when a connect is over
	return w
}

func (w *dialWire) open(slot int32, to netip.AddrPort) (bool, error) {
	ctx, stop := context.WithCancel(context.Background())
	d := &dialing{slot: slot, stop: stop}
	w.slots[slot] = d
	go func() {
		c, err := w.net.DialContext(ctx, "tcp", to.String())
		if err == nil {
			if t, ok := c.(*net.TCPConn); ok {
				_ = t.SetLinger(0) // without it the close is a polite one
			}
			c.Close()
		}
		d.err = err
		select {
		case w.ends <- d:
		case <-ctx.Done():
		}
	}()
	return false, nil
}

func (w *dialWire) wait(d time.Duration, ended func(int32, error)) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case e := <-w.ends:
		w.end(e, ended)
	case <-t.C:
		return nil
	}
	for {
		select {
		case e := <-w.ends:
			w.end(e, ended)
		default:
			return nil
		}
	}
}

func (w *dialWire) end(e *dialing, ended func(int32, error)) {
	if w.slots[e.slot] != e {
		return // given up meanwhile
	}
	delete(w.slots, e.slot)
	e.stop()
	ended(e.slot, busy(e.err))
}

func (w *dialWire) drop(slot int32) {
	if e := w.slots[slot]; e != nil {
		delete(w.slots, slot)
		e.stop()
	}
}

func (w *dialWire) close() {
	for slot := range w.slots {
		w.drop(slot)
	}
}
