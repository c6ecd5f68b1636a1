package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// skipChunk bounds how far a plain stream is read ahead between two calls of
// the guard's hook.
const skipChunk = 32 << 10

// archiveFile is an open regular file of an [Archive].
type archiveFile struct {
	a      *Archive
	name   string
	st     wasys.Stat_t
	f      fs.File
	at     io.ReaderAt // nil if f has none
	seek   io.Seeker   // nil if f has none
	pos    int64       // the guest's position
	under  int64       // the position of f when it is read as a stream
	closed bool
	tick   func(op string, n int)
}

func (f *archiveFile) setTick(tick func(op string, n int)) { f.tick = tick }

func (f *archiveFile) Dev() (uint64, sys.Errno)        { return f.st.Dev, 0 }
func (f *archiveFile) Ino() (wasys.Inode, sys.Errno)   { return f.st.Ino, 0 }
func (f *archiveFile) IsDir() (bool, sys.Errno)        { return false, 0 }
func (f *archiveFile) IsAppend() bool                  { return false }
func (f *archiveFile) Stat() (wasys.Stat_t, sys.Errno) { return f.st, closedErr(f.closed) }
func (f *archiveFile) Sync() sys.Errno                 { return closedErr(f.closed) }
func (f *archiveFile) Datasync() sys.Errno             { return closedErr(f.closed) }

func (f *archiveFile) SetAppend(enable bool) sys.Errno {
	if f.closed || enable {
		return sys.EBADF // only a file open for writing can append
	}
	return 0
}

func (f *archiveFile) Read(buf []byte) (int, sys.Errno) {
	n, errno := f.Pread(buf, f.pos)
	f.pos += int64(n)
	return n, errno
}

func (f *archiveFile) Pread(buf []byte, off int64) (int, sys.Errno) {
	switch {
	case f.closed:
		return 0, sys.EBADF
	case off < 0:
		return 0, sys.EINVAL
	case off >= f.st.Size || len(buf) == 0:
		return 0, 0
	}
	if left := f.st.Size - off; int64(len(buf)) > left {
		buf = buf[:left]
	}
	if f.at != nil {
		n, err := f.at.ReadAt(buf, off)
		return n, readErrno(n, err)
	}
	if errno := f.moveTo(off); errno != 0 {
		return 0, errno
	}
	n, err := io.ReadFull(f.f, buf)
	f.under += int64(n)
	return n, readErrno(n, err)
}

// moveTo brings the stream f.f to off.
func (f *archiveFile) moveTo(off int64) sys.Errno {
	if off == f.under {
		return 0
	}
	if f.seek != nil {
		n, err := f.seek.Seek(off, io.SeekStart)
		f.under = n
		return errnoOf(err)
	}
	if off < f.under {
		fresh, err := f.a.fsys.Open(f.name)
		if err != nil {
			return errnoOf(err)
		}
		_ = f.f.Close()
		f.f, f.under = fresh, 0
	}
	for f.under < off {
		step := min(off-f.under, skipChunk)
		if f.tick != nil {
			f.tick("skip", int(step))
		}
		n, err := io.CopyN(io.Discard, f.f, step)
		f.under += n
		if err != nil {
			return readErrno(0, err)
		}
	}
	return 0
}

// readErrno drops the end of file, and an error that came after data: the next
// read meets it again.
func readErrno(n int, err error) sys.Errno {
	if n > 0 || err == nil || err == io.EOF {
		return 0
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return sys.EIO
	}
	return errnoOf(err)
}

func (f *archiveFile) Seek(to offset, whence int) (int64, sys.Errno) {
	if f.closed {
		return 0, sys.EBADF
	}
	pos, errno := seekTo(f.pos, f.st.Size, to, whence)
	if errno == 0 {
		f.pos = pos
	}
	return f.pos, errno
}

// seekTo computes a new file position without overflow.
func seekTo(pos, size, offset int64, whence int) (int64, sys.Errno) {
	var base int64
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		base = pos
	case io.SeekEnd:
		base = size
	default:
		return 0, sys.EINVAL
	}
	if offset > 0 && base > math.MaxInt64-offset || base+offset < 0 {
		return 0, sys.EINVAL
	}
	return base + offset, 0
}

func (f *archiveFile) Readdir(int) ([]sys.Dirent, sys.Errno) { return nil, sys.ENOTDIR }
func (f *archiveFile) Write([]byte) (int, sys.Errno)         { return 0, sys.EBADF }
func (f *archiveFile) Pwrite([]byte, int64) (int, sys.Errno) { return 0, sys.EBADF }

func (f *archiveFile) Truncate(size int64) sys.Errno {
	switch {
	case f.closed:
		return sys.EBADF
	case size < 0:
		return sys.EINVAL
	}
	return sys.EROFS
}

func (f *archiveFile) Utimens(_, _ int64) sys.Errno {
	if f.closed {
		return sys.EBADF
	}
	return sys.EROFS
}

func (f *archiveFile) Close() sys.Errno {
	if f.closed {
		return 0
	}
	f.closed = true
	return errnoOf(f.f.Close())
}
