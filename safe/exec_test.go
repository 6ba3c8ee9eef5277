//go:build linux

package safe

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
)

// shell runs a script as a child.
func shell(ctx context.Context, c Command, script string, args ...string) (string, error) {
	c.Path = "/bin/sh"
	c.Args = append([]string{"-c", script, "fake"}, args...)
	out, err := Exec(ctx, c)
	return string(out), err
}

// TestExecHandsOver: arguments arrive as they are, and nothing else does.
func TestExecHandsOver(t *testing.T) {
	hostile := []string{"-oN", "/etc/x", "--script=x", "a;id", "$(id)", "`id`", "a b", "\n", "", "*"}
	t.Setenv("VEDETTE_SECRET", "do not hand over")
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := shell(t.Context(), Command{}, `for a in "$@"; do printf '<%s>' "$a"; done`, hostile...)
	if want := "<" + strings.Join(hostile, "><") + ">"; err != nil || out != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
	out, err = shell(t.Context(), Command{}, "tr '\\0' '\\n' </proc/self/environ; echo; readlink /proc/self/cwd; ls -A; ls /proc/self/fd; read line; echo \"[$line]\"")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(out)
	// ls opens the folder that it lists as 3
	if len(lines) != 7 || !strings.HasPrefix(lines[0], "PATH=") || !strings.HasPrefix(filepath.Base(lines[1]), "vedette-child-") ||
		strings.Join(lines[2:], " ") != "0 1 2 3 []" {
		t.Errorf("the child sees more than its output: %q", lines)
	}
	if _, err := os.Stat(lines[1]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the child is still there: %v", err)
	}
}

// TestExecHostile: T18, what a child can do to us.
func TestExecHostile(t *testing.T) {
	for _, c := range []struct {
		name, script string
		command      Command
		want         string // in the error
	}{
		{"endless", "exec yes", Command{Out: 1 << 20}, "said more than 1048576 bytes"},
		{"endless complaint", "yes >&2 & sleep 0.2; kill $!; echo -e '\\033[2Jno' >&2; exit 3", Command{}, "exit status 3"},
		{"hangs", "sleep 1000", Command{Time: 100 * time.Millisecond}, "ended"},
		{"does not want to end", "trap '' TERM INT HUP; while :; do sleep 1; done", Command{Time: 100 * time.Millisecond}, "ended"},
		{"escapes", "printf '\\033]0;x\\007\\n\\342\\200\\256' >&2; exit 1", Command{}, "exit status 1: ?]0;x???"},
		{"kills itself", "kill -9 $$", Command{}, "signal: killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			out, err := shell(t.Context(), c.command, c.script)
			if err == nil || !strings.Contains(err.Error(), c.want) || out != "" {
				t.Errorf("%d bytes, %v, want %q", len(out), err, c.want)
			}
			if err != nil && (len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\033\a\n")) {
				t.Errorf("%q", err)
			}
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
	if _, err := shell(t.Context(), Command{Time: 50 * time.Millisecond}, "sleep 100"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	for _, path := range []string{"sh", "./sh", "", "../bin/sh", "/nowhere/nmap"} {
		if _, err := Exec(t.Context(), Command{Path: path}); err == nil {
			t.Errorf("%q was run", path)
		}
	}
	if _, err := Exec(t.Context(), Command{Path: "/bin/echo", Args: []string{"a\x00b"}}); !errors.Is(err, vedette.ErrInvalid) {
		t.Errorf("NUL: %v", err)
	}
}

// TestExecEndsTheGroup: with the child goes whatever it began, however it ends.
func TestExecEndsTheGroup(t *testing.T) {
	for name, script := range map[string]string{
		"at its time":   "sleep 1000 & echo $! >%s; wait",
		"at its output": "sleep 1000 & echo $! >%s; exec yes",
		"left behind":   "sleep 1000 >/dev/null 2>&1 & echo $! >%s",
		"with the pipe": "(sleep 1000; echo) & echo $! >%s",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			began := time.Now()
			shell(t.Context(), Command{Time: 2 * time.Second, Out: 1 << 20}, strings.Replace(script, "%s", file, 1))
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("took %s", d)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			if !gone(pid) {
				t.Errorf("process %d goes on", pid)
			}
		})
	}
}

// TestExecStops: a cancelled look ends its child, and one that waits for a
// place does not begin.
func TestExecStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 3*maxChildren)
	began := time.Now()
	for range cap(done) {
		go func() {
			_, err := shell(ctx, Command{}, "sleep 1000")
			done <- err
		}()
	}
	time.Sleep(100 * time.Millisecond)
	cancel()
	for range cap(done) {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("took %s", d)
	}
}

// gone says whether a process ends within seconds.
func gone(pid int) bool {
	for range 500 {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// TestLend: what a child opens is asked for, counted and braked.
func TestLend(t *testing.T) {
	allowed := true
	var recorded []vedette.Target
	decide := func(vedette.Target) error {
		if !allowed {
			return vedette.ErrRefused
		}
		return nil
	}
	d := NewDialer(true)
	b := d.Scope(decide, func(t vedette.Target, _ error) { recorded = append(recorded, t) }, NewBrakes(Pace{Connects: 7, Requests: 1, PerNetwork: 100, Constituent: 100}))
	inside := vedette.Target{Network: "tcp", Addr: netip.MustParseAddrPort("127.9.9.9:80"), Class: vedette.Active}
	if err := b.Lend(t.Context(), inside); err != nil || b.Sent() != 1 || d.Sent().Of(ModeScope) != 1 {
		t.Errorf("%v, %d sent", err, b.Sent())
	}
	if r := b.Rate(); r != 7 {
		t.Errorf("rate %v", r)
	}
	outside := inside
	outside.Addr = netip.MustParseAddrPort("192.0.2.1:80")
	if err := b.Lend(t.Context(), outside); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("a lab lends %s: %v", outside.Addr, err)
	}
	allowed = false
	if err := b.Lend(t.Context(), inside); !errors.Is(err, vedette.ErrRefused) || len(recorded) != 2 {
		t.Errorf("%v, %d recorded", err, len(recorded))
	}
	if b.Sent() != 1 {
		t.Errorf("%d sent", b.Sent())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	allowed = true
	if err := b.Lend(ctx, inside); err == nil {
		t.Error("lent without waiting for the brakes")
	}
}
