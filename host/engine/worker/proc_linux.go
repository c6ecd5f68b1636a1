package worker

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const rlimitAS = unix.RLIMIT_AS

func rlim(n uint64) uint64 { return n }

// sysProcAttr puts a worker into a process group of its own and ties its life to
// that of the thread that starts it; the pipe that it watches covers the rest.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
