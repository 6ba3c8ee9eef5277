package safe

import (
	"net/netip"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// fewFiles leaves the process room for three more files until restore.
func fewFiles(t *testing.T) (restore func()) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Skip(err)
	}
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: uint64(f.Fd()) + 3, Max: old.Max}
	f.Close()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Skip(err)
	}
	restore = sync.OnceFunc(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(restore)
	return restore
}

// TestConnectedToItself: on loopback the port that a connect is sent from can be
// the one it goes to; then nobody listens there.
func TestConnectedToItself(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	own := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Bind(fd, own); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, at); err != nil {
		t.Skip(err)
	}
	to := netip.AddrPortFrom(netip.AddrFrom4(own.Addr), uint16(at.(*unix.SockaddrInet4).Port))
	if err := new(epollWire).finish(fd, to); err != unix.ECONNREFUSED {
		t.Errorf("%v", err)
	}
}
