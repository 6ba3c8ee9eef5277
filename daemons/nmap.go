//go:build linux

package main

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/read"
	"github.com/vedette-hub/vedette/safe"
)

// askNmap looks with nmap, and reads its answer as an import does.
func askNmap(ctx context.Context, path string, up []*running) (map[place][]vedette.Fact, error) {
	out := map[place][]vedette.Fact{}
	for proto, args := range map[string][]string{"tcp": {"-sT"}, "udp": {"-sU"}} {
		args = append(args, "-sV", "-Pn", "-n", "--open", "-oX", "-", "-p", portsOf(up, proto, ""))
		for _, r := range up {
			if len(r.ports(proto)) > 0 {
				args = append(args, r.addr)
			}
		}
		doc, err := safe.Exec(ctx, safe.Command{Path: path, Args: args, Time: 15 * time.Minute})
		if err != nil {
			return nil, err
		}
		if err := readNmap(doc, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readNmap(doc []byte, out map[place][]vedette.Fact) error {
	f, err := read.ByName("nmap")
	if err != nil {
		return err
	}
	_, err = f.Parse(bytes.NewReader(doc), func(r read.Record) error {
		said, err := f.Say(r.Body)
		for _, o := range said.Observations {
			at := place{o.Asset, o.Port, o.Proto}
			out[at] = append(out[at], inName(o.Fact))
		}
		return err
	})
	return err
}

// inName puts into software what nmap knows of some brokers and tells as the
// name of the service alone, "mosquitto version 2.0.11".
func inName(f vedette.Fact) vedette.Fact {
	if product, version, ok := strings.Cut(f.Service, " version "); ok && len(f.Software) == 0 {
		f.Service, f.Software = product, []vedette.Software{{Product: product, Version: version}}
	}
	return f
}
