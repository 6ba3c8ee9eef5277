//go:build !linux

package lab

import "context"

// sniff counts packets on Linux alone.
func (t *Tripwire) sniff(context.Context) (run func(), ok bool) { return nil, false }
