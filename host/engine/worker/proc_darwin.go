package worker

import "syscall"

// Darwin does not enforce a limit on address space.
const rlimitAS = -1

func rlim(n uint64) uint64 { return n }

func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
