//go:build linux || darwin || freebsd || dragonfly

package disk

import (
	"math"
	"math/bits"
	"os"

	"golang.org/x/sys/unix"
)

func free(f *os.File) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil {
		return 0, os.NewSyscallError("fstatfs", err)
	}
	// Some systems count below zero once the reserve for the administrator is used.
	blocks := int64(s.Bavail)
	if blocks < 0 {
		return 0, nil
	}
	hi, lo := bits.Mul64(uint64(blocks), uint64(s.Bsize))
	if hi != 0 || lo > math.MaxInt64 {
		return math.MaxInt64, nil
	}
	return int64(lo), nil
}
