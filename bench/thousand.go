package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/app"
	"github.com/vedette-hub/vedette/lab"
	"github.com/vedette-hub/vedette/store"
)

// asHub is the first argument with which this program is the hub.
const asHub = "as-hub"

// thousand surveys a thousand hosts of loopback from end to end. The hub is a
// process of its own, as an operator runs it; the hosts are in this one.
func (b *bench) thousand(e engine) error {
	if e != "sqlite" {
		return nil // what it costs is not the store's
	}
	in, err := lab.ThousandAt(60, 1000)
	if err != nil {
		return err
	}
	if err := in.Serve(b.ctx); err != nil {
		return err
	}
	defer in.Close()
	dir, clean, err := b.place(e)
	if err != nil {
		return err
	}
	defer clean()
	if err := thousandHub(b.ctx, dir, in); err != nil {
		return err
	}
	start := time.Now()
	h := hubProcess(b.ctx, "--data", dir, "survey", "run", "elder", "--yes")
	if err := h.Start(); err != nil {
		return err
	}
	memory := make(chan int64)
	done := make(chan struct{})
	go func() { memory <- highWater(h.Process.Pid, done) }()
	err = h.Wait()
	took := time.Since(start)
	close(done)
	most := <-memory
	if err != nil {
		return fmt.Errorf("survey: %w", err)
	}
	places, found, err := b.foundOf(dir, in)
	if err != nil {
		return err
	}
	cpu := h.ProcessState.UserTime() + h.ProcessState.SystemTime()
	fmt.Fprintf(b.out, "thousand hosts\t%s\t%d MB\t300 MB (goal)\t%.2f\t%d of %d places found; wall %.1f s, cpu %.1f s\n", e, most, float64(most)/300, found, places, took.Seconds(), cpu.Seconds())
	return nil
}

// hubProcess is a command of vedette.
func hubProcess(ctx context.Context, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	c := exec.CommandContext(ctx, self, append([]string{asHub}, args...)...)
	c.Stderr = os.Stderr
	return c
}

// thousandHub prepares the data folder of a lab's hub.
func thousandHub(ctx context.Context, dir string, in *lab.Internet) error {
	if err := hubProcess(ctx, "--data", dir, "lab", "init", "--bare").Run(); err != nil {
		return err
	}
	text, err := in.ConstituencyFile()
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "constituency.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	conf := fmt.Appendf(nil, "survey:\n  contact: csirt@hub.example\n  resolvers: [%q]\n  ports: %q\n  connects: 200\n  requests: 50\n  per_network: 5000\n  per_constituent: 5000\n  timeout: 2s\n", in.Resolver().String(), in.Ports())
	if err := os.WriteFile(filepath.Join(dir, "vedette.yaml"), conf, 0o600); err != nil {
		return err
	}
	return hubProcess(ctx, "--data", dir, "constituent", "apply", file).Run()
}

// foundOf counts the places of the truth, and those that the survey saw.
func (b *bench) foundOf(dir string, in *lab.Internet) (places, found int, err error) {
	s, err := store.Open(b.ctx, dir, app.StoreOptions())
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	sc, err := s.As(b.ctx, vedette.Local())
	if err != nil {
		return 0, 0, err
	}
	for _, r := range in.Truth() {
		if r.Port == 0 {
			continue
		}
		places++
		a, err := sc.Asset(b.ctx, r.Asset)
		if err != nil {
			continue // not seen at all
		}
		for _, o := range a.Observations {
			if o.Port == r.Port && o.Proto == r.Proto && o.Check == "service" && o.Fact.Service == r.Service {
				found++
				break
			}
		}
	}
	return places, found, nil
}

var hwm = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// highWater is the most resident memory of a process in MB, of proc_pid_status(5);
// rusage would count what the parent held before the exec.
func highWater(pid int, done <-chan struct{}) (most int64) {
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if m := hwm.FindSubmatch(text); err == nil && m != nil {
			n, _ := strconv.ParseInt(string(m[1]), 10, 64)
			most = max(most, n>>10)
		}
		select {
		case <-done:
			return most
		case <-time.After(50 * time.Millisecond):
		}
	}
}
