//go:build unix

package vfs

import (
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
	"golang.org/x/sys/unix"
)

// openSafely keeps the open itself from blocking on a FIFO and from making a
// terminal the controlling one, if a path is swapped after it was looked at.
const openSafely = unix.O_NONBLOCK | unix.O_NOCTTY

// appendByKernel tells that every write to a file in append mode goes to its
// end, atomically with writes of other processes.
const appendByKernel = true

// setAppend switches O_APPEND on an open file. It is not passed to os.OpenFile,
// which would refuse WriteAt from then on.
func setAppend(f *os.File, enable bool) sys.Errno {
	conn, err := f.SyscallConn()
	if err != nil {
		return errnoOf(err)
	}
	var inner error
	err = conn.Control(func(fd uintptr) {
		var flags int
		if flags, inner = unix.FcntlInt(fd, unix.F_GETFL, 0); inner != nil {
			return
		}
		if enable {
			flags |= unix.O_APPEND
		} else {
			flags &^= unix.O_APPEND
		}
		_, inner = unix.FcntlInt(fd, unix.F_SETFL, flags)
	})
	if err == nil {
		err = inner
	}
	return errnoOf(err)
}
