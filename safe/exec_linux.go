package safe

import (
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// runChild runs the program in a group of its own. The kernel ends the child
// when the thread that began it ends, and with it this process: the thread is
// kept until the child is done.
func runChild(ctx context.Context, c Command, dir string, out, note io.Writer) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = out, note
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = linger
	if err := keepFiles(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err := cmd.Wait()
	// What it left behind keeps the number of the group from being given anew.
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nobody there is the usual answer
	return err
}

// keepFiles keeps from children what this process inherited itself; what it
// opened is kept from them anyway.
func keepFiles() error {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}
