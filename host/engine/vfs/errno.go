package vfs

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// extended marks an error number of this package: the low byte is the number
// that WASI preview 1 gives to the error. wazero's own values are below 0x100.
const extended sys.Errno = 0x1000

// Error numbers that wazero's set lacks. [WASI] gives their preview 1 numbers.
const (
	EBUSY  = extended | 10 // the root of a mount cannot be removed or renamed
	EFBIG  = extended | 22 // a file would pass the largest offset
	EMFILE = extended | 33 // the run has no open handle left
	EMLINK = extended | 34 // a file has as many hard links as it can
	ENOMEM = extended | 48 // the host has no memory for the operation
	ENOSPC = extended | 51 // the quota or the disk is used up
	EPIPE  = extended | 64 // the other end of a pipe is gone
	ESPIPE = extended | 70 // not a file with a position
	EXDEV  = extended | 75 // source and target are on different mounts
)

// WASI returns the preview 1 number of an error number that only this package
// knows. It reports false for wazero's own numbers, which wazero translates.
func WASI(e sys.Errno) (code uint32, ok bool) {
	if e&extended == 0 {
		return 0, false
	}
	return uint32(e &^ extended), true
}

// errnoOf translates an error of package os or io/fs.
func errnoOf(err error) sys.Errno {
	if err == nil {
		return 0
	}
	var no syscall.Errno
	if errors.As(err, &no) {
		switch no {
		case syscall.ENOSPC, syscall.EDQUOT:
			return ENOSPC
		case syscall.EFBIG:
			return EFBIG
		case syscall.EMFILE, syscall.ENFILE:
			return EMFILE
		case syscall.EMLINK:
			return EMLINK
		case syscall.ENOMEM:
			return ENOMEM
		case syscall.EXDEV:
			return EXDEV
		case syscall.EBUSY:
			return EBUSY
		case syscall.EPIPE:
			return EPIPE
		case syscall.ESPIPE:
			return ESPIPE
		}
		return sys.UnwrapOSError(no)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return sys.ENOENT
	case errors.Is(err, fs.ErrExist):
		return sys.EEXIST
	case errors.Is(err, fs.ErrPermission):
		return sys.EPERM
	case errors.Is(err, fs.ErrClosed):
		return sys.EBADF
	case errors.Is(err, fs.ErrInvalid):
		return sys.EINVAL
	}
	return sys.UnwrapOSError(err)
}
