package lab

import (
	"fmt"
	"slices"
	"strings"
)

// Ports are all ports on which the hosts of the internet listen, in the form of
// a survey's: "tcp:21,22 udp:53". A survey of them meets everything there is.
func (in *Internet) Ports() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.Layout == Auto {
		in.Layout = BestLayout()
	}
	found := map[string][]string{}
	for _, h := range in.d.Hosts {
		for _, s := range h.Service {
			at := fmt.Sprint(in.place(spot{h.Address, s.Port, s.Proto}).Port())
			if !slices.Contains(found[s.Proto], at) {
				found[s.Proto] = append(found[s.Proto], at)
			}
		}
	}
	var out []string
	for _, proto := range []string{"tcp", "udp"} {
		if len(found[proto]) > 0 {
			slices.Sort(found[proto])
			out = append(out, proto+":"+strings.Join(found[proto], ","))
		}
	}
	return strings.Join(out, " ")
}
