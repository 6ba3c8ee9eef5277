//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// alone is the argument of the process that is in a network of its own.
const alone = "alone"

// isolate runs this program again in a network of its own that has a loopback
// and nothing else: no daemon reaches out, nobody reaches a daemon, and no port
// is taken already (network_namespaces(7)).
func isolate(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", alone)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute // the daemons are ended one by one
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("in a network of its own: %w", err)
	}
	return nil
}

// addresses brings the loopback up and gives it the daemons' addresses: all of
// 127.0.0.0/8 answers there, but some listen only on what an interface has.
func addresses(ctx context.Context) error {
	steps := [][]string{{"link", "set", "lo", "up"}}
	for _, d := range list {
		steps = append(steps, []string{"addr", "add", d.addr + "/8", "dev", "lo"})
	}
	for _, args := range steps {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	return nil
}
