//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// running is a daemon that was begun.
type running struct {
	daemon
	dir  string
	cmd  *exec.Cmd
	out  bytes.Buffer
	over chan struct{} // closed when it has ended
}

// start writes a daemon's files into a folder of its own and begins it.
func (d daemon) start(base string) (*running, error) {
	r := &running{daemon: d, dir: filepath.Join(base, strings.ReplaceAll(d.name, " ", "-")), over: make(chan struct{})}
	who, err := r.credential(d.user)
	if err != nil {
		return nil, err
	}
	if err := r.write(base); err != nil {
		return nil, err
	}
	for _, args := range d.before {
		cmd := r.command(args, who)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", args[0], err, out)
		}
	}
	r.cmd = r.command(d.run, who)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	r.cmd.SysProcAttr.Setpgid = true
	r.cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	began := make(chan error)
	go func() {
		runtime.LockOSThread() // with the thread that began it a child ends
		err := r.cmd.Start()
		began <- err
		if err == nil {
			_ = r.cmd.Wait() // how it ended says nothing: it was told to
			close(r.over)
		}
	}()
	return r, <-began
}

// stop ends the daemon with all that it began in its group.
func (r *running) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.over:
	case <-time.After(10 * time.Second):
	}
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
}

// ended says whether the daemon ended by itself.
func (r *running) ended() bool {
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}

func (r *running) fill(s string, base string) string {
	return strings.NewReplacer("{dir}", r.dir, "{addr}", r.addr, "{cert}", filepath.Join(base, "cert.pem"), "{key}", filepath.Join(base, "key.pem")).Replace(s)
}

func (r *running) command(args []string, who *syscall.Credential) *exec.Cmd {
	filled := make([]string, len(args))
	for i, a := range args {
		filled[i] = r.fill(a, filepath.Dir(r.dir))
	}
	cmd := exec.Command(filled[0], filled[1:]...)
	cmd.Dir = r.dir
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + r.dir, "TMPDIR=" + r.dir, "LC_ALL=C.UTF-8"}
	for _, e := range r.env {
		cmd.Env = append(cmd.Env, r.fill(e, filepath.Dir(r.dir)))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	cmd.WaitDelay = time.Second
	return cmd
}

// credential is whom a user's name means; nil is ourselves.
func (r *running) credential(name string) (*syscall.Credential, error) {
	if name == "" {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

// write makes the folder of the daemon, which belongs to its user.
func (r *running) write(base string) error {
	owner := r.owner
	if owner == "" {
		owner = r.user
	}
	who, err := r.credential(owner)
	if err != nil {
		return err
	}
	paths := []string{r.dir}
	for _, d := range r.dirs {
		paths = append(paths, filepath.Join(r.dir, d))
	}
	for _, p := range paths {
		if err := os.MkdirAll(p, 0o755); err != nil {
			return err
		}
	}
	for name, text := range r.files {
		p := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p, []byte(r.fill(text, base)), 0o644); err != nil {
			return err
		}
	}
	for _, p := range paths {
		if who != nil {
			if err := os.Chown(p, int(who.Uid), int(who.Gid)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeCertificate writes a certificate that nobody trusts.
func writeCertificate(base string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "daemons.example"}, DNSNames: []string{"daemons.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(base, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(filepath.Join(base, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// installed is the version of a package, "" for one that is not there.
func installed(ctx context.Context, pkg string) string {
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", pkg).Output()
	if v, ok := strings.CutPrefix(string(out), "installed "); ok && err == nil {
		return v
	}
	return ""
}
