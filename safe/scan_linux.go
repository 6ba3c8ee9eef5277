package safe

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// newWire is how connects are made on this system.
func newWire(*Dialer) (wire, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, busy(err)
	}
	return &epollWire{ep: ep}, nil
}

// epollWire opens sockets that do not block and has epoll tell when they are
// connected (connect(2), EINPROGRESS). It closes them without a trace in the
// tables of either side (SO_LINGER of 0, socket(7)).
type epollWire struct {
	ep     int
	fds    []int // by slot
	under  int   // sockets that epoll knows
	events [256]unix.EpollEvent
	v4     unix.SockaddrInet4
	v6     unix.SockaddrInet6
}

func (w *epollWire) open(slot int32, to netip.AddrPort) (bool, error) {
	family, sa := w.address(to)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return true, busy(err)
	}
	switch err = unix.Connect(fd, sa); err {
	case nil:
		return true, w.finish(fd, to)
	case unix.EINPROGRESS, unix.EINTR:
	default:
		unix.Close(fd)
		return true, busy(err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: slot}
	if err = unix.EpollCtl(w.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		reset(fd)
		return true, busy(err)
	}
	for len(w.fds) <= int(slot) {
		w.fds = append(w.fds, none)
	}
	w.fds[slot] = fd
	w.under++
	return false, nil
}

// address is where to connect to, in the system's form.
func (w *epollWire) address(to netip.AddrPort) (int, unix.Sockaddr) {
	if to.Addr().Is4() {
		w.v4.Port, w.v4.Addr = int(to.Port()), to.Addr().As4()
		return unix.AF_INET, &w.v4
	}
	w.v6.Port, w.v6.Addr = int(to.Port()), to.Addr().As16()
	return unix.AF_INET6, &w.v6
}

// finish lets a connected socket go. One that is connected to itself says that
// nobody listens: on loopback the own port can be the one that is asked.
func (w *epollWire) finish(fd int, to netip.AddrPort) error {
	own, err := unix.Getsockname(fd)
	reset(fd)
	if err != nil {
		return nil
	}
	switch own := own.(type) {
	case *unix.SockaddrInet4:
		if netip.AddrPortFrom(netip.AddrFrom4(own.Addr), uint16(own.Port)) == to {
			return unix.ECONNREFUSED
		}
	case *unix.SockaddrInet6:
		if netip.AddrPortFrom(netip.AddrFrom16(own.Addr), uint16(own.Port)) == to {
			return unix.ECONNREFUSED
		}
	}
	return nil
}

func reset(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // without it the close is a polite one
	unix.Close(fd)
}

func (w *epollWire) wait(d time.Duration, ended func(int32, error)) error {
	if w.under == 0 {
		time.Sleep(d)
		return nil
	}
	n, err := unix.EpollWait(w.ep, w.events[:], int((d+time.Millisecond-1)/time.Millisecond))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, ev := range w.events[:max(n, 0)] {
		fd := w.fds[ev.Fd]
		if fd == none {
			continue
		}
		w.fds[ev.Fd] = none
		w.under--
		ended(ev.Fd, w.result(fd))
	}
	return nil
}

// result is how a connect ended (connect(2): SO_ERROR); it lets the socket go.
func (w *epollWire) result(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	to, err := unix.Getpeername(fd)
	if err != nil { // reset since it was connected
		unix.Close(fd)
		return nil
	}
	var at netip.AddrPort
	switch to := to.(type) {
	case *unix.SockaddrInet4:
		at = netip.AddrPortFrom(netip.AddrFrom4(to.Addr), uint16(to.Port))
	case *unix.SockaddrInet6:
		at = netip.AddrPortFrom(netip.AddrFrom16(to.Addr), uint16(to.Port))
	}
	return w.finish(fd, at)
}

func (w *epollWire) drop(slot int32) {
	if fd := w.fds[slot]; fd != none {
		w.fds[slot] = none
		w.under--
		reset(fd)
	}
}

func (w *epollWire) close() { unix.Close(w.ep) }

// roomForSockets is how many sockets scans of this process may hold: half of
// the files it may open, for the rest needs some too.
func roomForSockets() int64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 256
	}
	return int64(max(8, min(l.Cur/2, 8*perScan)))
}
