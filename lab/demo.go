package lab

import (
	_ "embed" // the demo's internet
	"slices"
)

//go:embed demo.yaml
var demo []byte

// Demo is the internet of the demo in the form of its file: six constituents.
func Demo() []byte { return slices.Clone(demo) }

// Hosts are the hosts as they are now.
func (in *Internet) Hosts() []Host {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := slices.Clone(in.d.Hosts)
	for i := range out {
		out[i].Service = slices.Clone(out[i].Service)
	}
	return out
}
