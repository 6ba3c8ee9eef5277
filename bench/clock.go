package main

import (
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
	server, _ := serverCPU()
	err := f()
	s := spent{wall: time.Since(start), cpu: ownCPU() - cpu}
	if e == "postgres" && b.server {
		now, _ := serverCPU()
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

// serverCPU is user and system time of all processes named postgres, those
// that ended included, from /proc (proc_pid_stat(5)).
func serverCPU() (time.Duration, bool) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	var ticks int64
	found := false
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it ended meanwhile
		}
		s := string(text)
		if !strings.Contains(s, "(postgres)") {
			continue
		}
		found = true
		fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
		for _, i := range []int{11, 12, 13, 14} { // utime, stime, cutime, cstime
			if i < len(fields) {
				n, _ := strconv.ParseInt(fields[i], 10, 64)
				ticks += n
			}
		}
	}
	return time.Duration(ticks) * (time.Second / 100), found
}
