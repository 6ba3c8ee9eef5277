package browser

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that takes no time on an idle machine.
const patience = 60 * time.Second

// program is the built program.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "vedette-browser-")
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, func() { os.RemoveAll(dir) })
	bin := filepath.Join(dir, "vedette")
	cmd := exec.Command("go", "build", "-trimpath", "-o", bin, "../cmd/vedette")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// hub is the program in a process of its own, with its pages.
type hub struct {
	base  string // http://127.0.0.1:8080
	link  string // of a first sign-in, a path
	began time.Time
	log   *transcript
}

// transcript is what a process has written so far.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *transcript) lines(with string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, with) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// reports are what browsers said of the content security policy.
func (h *hub) reports() []string { return h.log.lines("content security policy") }

// partial is the exit code of a command that did some of it.
const partial = 3

// vedette runs a command to its end.
func vedette(t *testing.T, args ...string) string {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != partial {
		t.Fatalf("vedette %s: %v\n%s%.2000s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// start runs a command until the test ends, and waits until one of its lines
// matches.
func start(t *testing.T, ready *regexp.Regexp, args ...string) (*hub, []string) {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{began: time.Now(), log: &transcript{}}
	cmd := exec.Command(bin, args...)
	r, w := io.Pipe()
	both := io.MultiWriter(w, h.log)
	cmd.Stdout, cmd.Stderr = both, both
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); w.Close() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
		}
		if t.Failed() {
			t.Logf("vedette %s wrote:\n%s", strings.Join(args, " "), strings.Join(h.log.lines(""), "\n"))
		}
	})
	found := make(chan []string, 1)
	go func() {
		for in := bufio.NewScanner(r); in.Scan(); {
			if m := ready.FindStringSubmatch(in.Text()); m != nil {
				found <- m
				break
			}
		}
		close(found)
		_, _ = io.Copy(io.Discard, r)
	}()
	select {
	case m, ok := <-found:
		if !ok {
			t.Fatalf("vedette %s ended: %s", strings.Join(args, " "), strings.Join(h.log.lines(""), "\n"))
		}
		return h, m
	case <-time.After(2 * patience):
		t.Fatalf("vedette %s is not ready after %s", strings.Join(args, " "), 2*patience)
	}
	return nil, nil
}

// demo starts `vedette demo` on a free port.
func demo(t *testing.T) *hub {
	t.Helper()
	h, m := start(t, regexp.MustCompile(`Open +(http://[^/]+)(/\S+)`), "demo", "--listen", "127.0.0.1:0")
	h.base, h.link = m[1], m[2]
	return h
}

// serve starts a hub on the store of a folder, with a link for a user.
func serve(t *testing.T, dir, user string) *hub {
	t.Helper()
	link := regexp.MustCompile(`/in/\S+`).FindString(vedette(t, "--data", dir, "user", "link", user))
	if link == "" {
		t.Fatal("user link prints no link")
	}
	h, m := start(t, regexp.MustCompile(`msg=pages address=(\S+)`), "--data", dir, "serve", "--listen", "127.0.0.1:0")
	h.base, h.link = "http://"+m[1], link
	return h
}

// within waits until something is so.
func within(t *testing.T, long time.Duration, what string, so func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !so() {
		if time.Since(began) > long {
			t.Fatalf("not within %s: %s", long, what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(context.Cause(t.Context()))
		case <-time.After(300 * time.Millisecond):
		}
	}
	return time.Since(began)
}
