//go:build !unix

package worker

import (
	"os"
	"syscall"
)

// Supported reports whether runs can have a process of their own here. Windows has
// no way to pass the pipes of the protocol, so everything runs inline there.
const Supported = false

func killGroup(p *os.Process) { _ = p.Kill() }

// Confine does nothing here: there are no such limits.
func Confine(*Job) error { return nil }

func sysProcAttr() *syscall.SysProcAttr { return nil }
