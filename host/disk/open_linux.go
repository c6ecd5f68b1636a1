package disk

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// beneath opens names in one system call, openat2, where os.Root takes two for each
// directory on the way. It only ever gives what the slow way gives; all else, errors
// included, it leaves to that.
type beneath struct {
	dir  *os.File
	conn syscall.RawConn
}

// noOpenat2 is set once the kernel says that it is older than Linux 5.6.
var noOpenat2 atomic.Bool

func newBeneath(root *os.Root) (*beneath, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	conn, err := dir.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &beneath{dir, conn}, nil
}

func (b *beneath) close() error { return b.dir.Close() }

// open returns nil when the slow way must be gone. The error that it returns itself is
// that of a name that does not exist or, with O_EXCL, does.
func (b *beneath) open(name string, flag int) (*os.File, error) {
	if noOpenat2.Load() {
		return nil, nil
	}
	how := unix.OpenHow{
		// O_NONBLOCK means nothing to files, and keeps the open of a pipe from
		// waiting until somebody opens the other end.
		Flags:   uint64(flag | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_LARGEFILE),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flag&os.O_CREATE != 0 {
		how.Mode = fileMode
	}
	fd, err := -1, error(nil)
	if e := b.conn.Control(func(dir uintptr) {
		for {
			if fd, err = unix.Openat2(int(dir), name, &how); err != unix.EINTR {
				return
			}
		}
	}); e != nil {
		return nil, nil // closed
	}
	switch {
	case err == nil:
	case err == unix.ENOENT, err == unix.EEXIST && flag&os.O_EXCL != 0:
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	case err == unix.ENOSYS:
		noOpenat2.Store(true)
		fallthrough
	default:
		return nil, nil
	}
	want := uint32(unix.S_IFREG)
	if flag&unix.O_DIRECTORY != 0 {
		want = unix.S_IFDIR
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != want {
		unix.Close(fd)
		return nil, nil
	}
	return os.NewFile(uintptr(fd), b.dir.Name()+"/"+name), nil
}

func (b *beneath) openDir(name string) (*os.File, error) {
	return b.open(name, os.O_RDONLY|unix.O_DIRECTORY)
}
