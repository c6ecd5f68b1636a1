//go:build unix && !linux && !darwin

package worker

import "syscall"

const rlimitAS = -1

func rlim(n uint64) int64 { return int64(n) }

func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
