package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// What W7 scans: all of them answer, a few ports each are open.
const (
	scanHosts = 250
	scanFirst = 10_000
	scanPorts = 1000
)

// scan is W7: a connect scan of loopback, beside nmap -sT where it is installed.
func (b *bench) scan(e engine) error {
	if e != "sqlite" {
		return nil // no store takes part
	}
	truth, done, err := listeners()
	if err != nil {
		return err
	}
	defer done()
	sc := safe.Scan{Class: vedette.Active}
	for i := range scanHosts {
		sc.Addresses = append(sc.Addresses, scanHost(i))
	}
	for p := range scanPorts {
		sc.Ports = append(sc.Ports, uint16(scanFirst+p))
	}
	fast := safe.Pace{Connects: 1e9, Requests: 1e9, PerNetwork: 1e9, Constituent: 1e9}
	net := safe.NewDialer(true).Scope(func(vedette.Target) error { return nil }, func(vedette.Target, error) {}, safe.NewBrakes(fast))
	var found []netip.AddrPort
	took, err := b.measure(e, func() error {
		return net.Scan(b.ctx, sc, func(s safe.Scanned) {
			for _, p := range s.Open {
				found = append(found, netip.AddrPortFrom(s.Addr, p))
			}
		})
	})
	if err != nil {
		return err
	}
	const probes = scanHosts * scanPorts
	ours := probes / took.total()
	theirs, note, err := nmapScan(sc.Addresses, truth)
	if err != nil {
		return err
	}
	b.row("W7 scan", e, ours, theirs, "probes/cpu-s", fmt.Sprintf("%d of %d open found; %s, peak %d MB; nmap -sT: %s; the goal is a ratio of 0.5", same(found, truth), len(truth), took, peak(), note))
	return nil
}

func scanHost(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 40, 0, byte(1 + i)}) }

// listeners open three ports of each host. Nobody accepts: the system completes
// the connections, and this process spends nothing on them.
func listeners() (truth []netip.AddrPort, done func(), err error) {
	var open []net.Listener
	done = func() {
		for _, l := range open {
			l.Close()
		}
	}
	for i := range scanHosts {
		for j := range 3 {
			at := netip.AddrPortFrom(scanHost(i), uint16(scanFirst+(i*7+j*331)%scanPorts))
			l, err := net.Listen("tcp", at.String())
			if err != nil {
				done()
				return nil, nil, err
			}
			open, truth = append(open, l), append(truth, at)
		}
	}
	return truth, done, nil
}

// same is how many of the truth were found; -1 when anything else was too.
func same(found, truth []netip.AddrPort) int {
	n := 0
	for _, f := range found {
		if !slices.Contains(truth, f) {
			return -1
		}
		n++
	}
	return n
}

// nmapScan runs nmap over the same ports and says how many probes a second of
// its CPU makes.
func nmapScan(addrs []netip.Addr, truth []netip.AddrPort) (float64, string, error) {
	if _, err := exec.LookPath("nmap"); err != nil {
		return 0, "not installed, left out", nil
	}
	args := []string{"-sT", "-Pn", "-n", "-T5", "--open", "-oG", "-", "-p", fmt.Sprintf("%d-%d", scanFirst, scanFirst+scanPorts-1)}
	for _, a := range addrs {
		args = append(args, a.String())
	}
	cmd := exec.Command("nmap", args...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return 0, "", fmt.Errorf("nmap: %w", err)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	found := grepable(out)
	note := fmt.Sprintf("%d of %d found, wall %.2f s, cpu %.2f s", same(found, truth), len(truth), time.Since(start).Seconds(), cpu.Seconds())
	return float64(len(addrs)*scanPorts) / cpu.Seconds(), note, nil
}

// grepable reads the open ports of nmap's -oG: "Host: 127.0.0.1 ()	Ports: 22/open/tcp//ssh///, ...".
func grepable(out []byte) []netip.AddrPort {
	var found []netip.AddrPort
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		host, ports, ok := strings.Cut(s.Text(), "\tPorts: ")
		f := strings.Fields(host)
		if !ok || len(f) < 2 {
			continue
		}
		ports, _, _ = strings.Cut(ports, "\t")
		for _, p := range strings.Split(ports, ", ") {
			if n, state, _ := strings.Cut(p, "/"); strings.HasPrefix(state, "open/") {
				if at, err := netip.ParseAddrPort(f[1] + ":" + n); err == nil {
					found = append(found, at)
				}
			}
		}
	}
	return found
}
