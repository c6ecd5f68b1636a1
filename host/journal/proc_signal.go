//go:build unix

package journal

import (
	"errors"
	"syscall"
)

// signalable reports whether a process with this id exists, by the signal that
// does nothing.
func signalable(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
