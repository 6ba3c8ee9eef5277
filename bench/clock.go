package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// spent is what a part of a run took.
type spent struct {
	wall   time.Duration
	cpu    time.Duration // of this process
	server time.Duration // of the PostgreSQL server
}

// total is the CPU of both sides.
func (s spent) total() float64 { return (s.cpu + s.server).Seconds() }

func (s spent) String() string {
	text := fmt.Sprintf("wall %.2f s, cpu %.2f s", s.wall.Seconds(), s.cpu.Seconds())
	if s.server > 0 {
		text += fmt.Sprintf(" + server %.2f s", s.server.Seconds())
	}
	return text
}

// measure runs f and says what it took.
func (b *bench) measure(e engine, f func() error) (spent, error) {
	start, cpu := time.Now(), ownCPU()
	server, _ := b.serverCPU()
	err := f()
	s := spent{wall: time.Since(start), cpu: ownCPU() - cpu}
	if e == "postgres" && b.server > 0 {
		now, _ := b.serverCPU()
		s.server = now - server
	}
	return s, err
}

// ownCPU is user and system time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the largest resident memory so far, in MB.
func peak() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Maxrss >> 10
}

// serverPID is the process of the PostgreSQL server that answers at pg, 0 when it is
// not on this machine: the parent of the one that serves a connection.
func serverPID(ctx context.Context, pg string) int {
	db, err := sql.Open("pgx", pg)
	if err != nil {
		return 0
	}
	defer db.Close()
	var backend int
	if err := db.QueryRowContext(ctx, "select pg_backend_pid()").Scan(&backend); err != nil {
		return 0
	}
	f := stat(filepath.Join("/proc", strconv.Itoa(backend), "stat"))
	if len(f) < 2 || f[0] != "postgres" {
		return 0
	}
	parent, _ := strconv.Atoi(f[2])
	return parent
}

// stat are the fields of a process from its name on (proc_pid_stat(5)).
func stat(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil // it ended meanwhile
	}
	s := string(text)
	i, j := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if i < 0 || j < i {
		return nil
	}
	return append([]string{s[i+1 : j]}, strings.Fields(s[j+1:])...)
}

// serverCPU is user and system time of the server's processes, those that
// ended included: their parent has it.
func (b *bench) serverCPU() (time.Duration, bool) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	var ticks int64
	found := false
	for _, name := range files {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		f := stat(name)
		if len(f) < 16 || b.server == 0 || pid != b.server && f[2] != strconv.Itoa(b.server) {
			continue
		}
		found = true
		for _, i := range []int{12, 13, 14, 15} { // utime, stime, cutime, cstime
			n, _ := strconv.ParseInt(f[i], 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * (time.Second / 100), found
}
