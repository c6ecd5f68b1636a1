package vfs

import (
	"errors"
	"io"
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// hostFile is an open file or directory below a [HostDir].
type hostFile struct {
	h      *HostDir
	f      *os.File
	name   string // cleaned, as it was when the file was opened
	flag   sys.Oflag
	append bool
	isDir  bool
	rewind bool // reopen the directory before the next Readdir
	closed bool
}

func (f *hostFile) Dev() (uint64, sys.Errno) {
	st, errno := f.Stat()
	return st.Dev, errno
}

func (f *hostFile) Ino() (wasys.Inode, sys.Errno) {
	st, errno := f.Stat()
	return st.Ino, errno
}

func (f *hostFile) IsDir() (bool, sys.Errno) { return f.isDir, 0 }
func (f *hostFile) IsAppend() bool           { return f.append }

func (f *hostFile) SetAppend(enable bool) sys.Errno {
	switch {
	case f.closed:
		return sys.EBADF
	case f.isDir:
		return sys.EISDIR
	}
	if errno := setAppend(f.f, enable); errno != 0 {
		return errno
	}
	f.append = enable
	return 0
}

func (f *hostFile) Stat() (wasys.Stat_t, sys.Errno) {
	if f.closed {
		return wasys.Stat_t{}, sys.EBADF
	}
	fi, err := f.f.Stat()
	if err != nil {
		return wasys.Stat_t{}, errnoOf(err)
	}
	return wasys.NewStat_t(fi), 0
}

// usable checks a transfer of data in one direction.
func (f *hostFile) usable(write bool) sys.Errno {
	r, w := access(f.flag)
	switch {
	case f.closed:
		return sys.EBADF
	case f.isDir:
		return sys.EISDIR
	case write && !w || !write && !r:
		return sys.EBADF
	}
	return 0
}

// transferred drops the end of file, and an error after some data.
func transferred(n int, err error) (int, sys.Errno) {
	if n > 0 || errors.Is(err, io.EOF) {
		return n, 0
	}
	return n, errnoOf(err)
}

func (f *hostFile) Read(buf []byte) (int, sys.Errno) {
	if errno := f.usable(false); errno != 0 || len(buf) == 0 {
		return 0, errno
	}
	return transferred(f.f.Read(buf))
}

func (f *hostFile) Pread(buf []byte, off int64) (int, sys.Errno) {
	if errno := f.usable(false); errno != 0 {
		return 0, errno
	}
	if off < 0 {
		return 0, sys.EINVAL
	}
	return transferred(f.f.ReadAt(buf, off))
}

func (f *hostFile) Write(buf []byte) (int, sys.Errno) {
	if errno := f.usable(true); errno != 0 || len(buf) == 0 {
		return 0, errno
	}
	if f.append && !appendByKernel {
		if _, err := f.f.Seek(0, io.SeekEnd); err != nil {
			return 0, errnoOf(err)
		}
	}
	return transferred(f.f.Write(buf))
}

func (f *hostFile) Pwrite(buf []byte, off int64) (int, sys.Errno) {
	if errno := f.usable(true); errno != 0 {
		return 0, errno
	}
	if off < 0 {
		return 0, sys.EINVAL
	}
	return transferred(f.f.WriteAt(buf, off))
}

func (f *hostFile) Seek(to offset, whence int) (int64, sys.Errno) {
	switch {
	case f.closed:
		return 0, sys.EBADF
	case whence < io.SeekStart || whence > io.SeekEnd:
		return 0, sys.EINVAL
	case f.isDir && (to != 0 || whence != io.SeekStart):
		return 0, sys.EINVAL
	case f.isDir:
		f.rewind = true
		return 0, 0
	}
	pos, err := f.f.Seek(to, whence)
	return pos, errnoOf(err)
}

// Readdir implements sys.File. Types and inode numbers come from the open
// directory itself, so a swapped path cannot show another one's.
func (f *hostFile) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	switch {
	case f.closed:
		return nil, sys.EBADF
	case !f.isDir:
		return nil, sys.ENOTDIR
	}
	if f.rewind {
		if errno := f.reopenDir(); errno != 0 {
			return nil, errno
		}
	}
	infos, err := f.f.Readdir(n)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errnoOf(err)
	}
	list := make([]sys.Dirent, len(infos))
	for i, fi := range infos {
		list[i] = sys.Dirent{Ino: wasys.NewStat_t(fi).Ino, Name: fi.Name(), Type: fi.Mode().Type()}
	}
	return list, 0
}

// reopenDir starts the directory again. Where the system can rewind an open
// directory it does; elsewhere the same directory is opened by name.
func (f *hostFile) reopenDir() sys.Errno {
	if _, err := f.f.Seek(0, io.SeekStart); err == nil {
		f.rewind = false
		return 0
	}
	fresh, err := f.h.root.Open(f.name)
	if err != nil {
		return rootErrno(err)
	}
	a, err1 := f.f.Stat()
	b, err2 := fresh.Stat()
	if err1 != nil || err2 != nil || !os.SameFile(a, b) {
		_ = fresh.Close()
		return sys.ENOENT // it was moved or replaced meanwhile
	}
	_ = f.f.Close()
	f.f, f.rewind = fresh, false
	return 0
}

func (f *hostFile) Truncate(size int64) sys.Errno {
	if errno := f.usable(true); errno != 0 {
		return errno
	}
	if size < 0 {
		return sys.EINVAL
	}
	return errnoOf(f.f.Truncate(size))
}

func (f *hostFile) Sync() sys.Errno {
	if f.closed {
		return sys.EBADF
	}
	return errnoOf(f.f.Sync())
}

func (f *hostFile) Datasync() sys.Errno { return f.Sync() }

// Utimens implements sys.File. It goes by the name the file was opened under,
// and fails with ENOENT if that is another file by now.
func (f *hostFile) Utimens(atim, mtim int64) sys.Errno {
	switch {
	case f.closed:
		return sys.EBADF
	case f.h.readOnly:
		return sys.EROFS
	}
	open, err := f.f.Stat()
	if err != nil {
		return errnoOf(err)
	}
	named, err := f.h.root.Stat(f.name)
	if err != nil {
		return rootErrno(err)
	}
	if !os.SameFile(open, named) {
		return sys.ENOENT
	}
	return rootErrno(f.h.root.Chtimes(f.name, timeOf(atim), timeOf(mtim)))
}

func (f *hostFile) Close() sys.Errno {
	if f.closed {
		return 0
	}
	f.closed = true
	return errnoOf(f.f.Close())
}
