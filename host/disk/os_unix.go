//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const errNotDir = unix.ENOTDIR

// lock uses flock: the lock belongs to the open file, so two handles in one process
// exclude each other too, and the kernel drops it with the last copy of the descriptor
// (which a child process never inherits: files are close-on-exec).
func lock(f *os.File, how LockMode) (bool, error) {
	op := unix.LOCK_SH
	if how&Exclusive != 0 {
		op = unix.LOCK_EX
	}
	if how&Wait == 0 {
		op |= unix.LOCK_NB
	}
	for {
		switch err := unix.Flock(int(f.Fd()), op); {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		default:
			return false, os.NewSyscallError("flock", err)
		}
	}
}

func unlock(f *os.File) error {
	return os.NewSyscallError("flock", unix.Flock(int(f.Fd()), unix.LOCK_UN))
}

func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// notSyncable is how some network and user-space file systems say that directories
// cannot be synced there.
func notSyncable(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS)
}

func mapFile(f *os.File, size int) (*mapping, error) {
	data, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &mapping{data: data}, nil
}

func unmap(data []byte) error { return os.NewSyscallError("munmap", unix.Munmap(data)) }
