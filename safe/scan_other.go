//go:build !linux

package safe

// newWire is how connects are made on this system.
func newWire(d *Dialer) (wire, error) { return newDialWire(d), nil }

// roomForSockets is how many sockets scans of this process may hold.
func roomForSockets() int64 { return 256 }
