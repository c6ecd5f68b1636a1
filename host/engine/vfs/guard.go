package vfs

import (
	"io/fs"
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// Hook is called before every operation on a guarded mount. op is the name of
// the operation in lower case ("read", "open", "rename", …); n is the number of
// bytes that it may copy: the length of the buffer for a transfer, of the path
// or paths for an operation on names, of the entries for "readdir" (called
// after it), else zero. "skip" counts bytes that are decoded only to get to an
// offset. A hook stops the guest by panicking; no lock is held then.
type Hook func(op string, n int)

// Guard watches all mounts of one run: it limits the files open at once, calls
// the hook, and keeps the last error number that wazero cannot express. A guest
// runs on one thread; only Open may be called from another.
type Guard struct {
	max  int64
	open atomic.Int64
	hook Hook
	last uint32
}

// NewGuard returns a guard for one run. At most maxOpen files and directories
// can be open at a time over all its mounts; the next fails with EMFILE. hook
// may be nil.
func NewGuard(maxOpen int, hook Hook) *Guard {
	if hook == nil {
		hook = func(string, int) {}
	}
	return &Guard{max: int64(maxOpen), hook: hook}
}

// Open reports how many files and directories are open now.
func (g *Guard) Open() int { return int(g.open.Load()) }

// Note remembers errno if it is one of this package's own, and returns it. A
// writer for the guest's standard output uses it to report EPIPE or ENOSPC.
func (g *Guard) Note(errno sys.Errno) sys.Errno {
	if code, ok := WASI(errno); ok {
		g.last = code
	}
	return errno
}

// TakeErrno returns the preview 1 number of the last error that wazero cannot
// express, or zero, and forgets it.
func (g *Guard) TakeErrno() uint32 {
	code := g.last
	g.last = 0
	return code
}

// Mount wraps fsys. The result is comparable, as wazero requires.
func (g *Guard) Mount(fsys sys.FS) sys.FS { return &guardFS{g: g, fs: fsys} }

type guardFS struct {
	g  *Guard
	fs sys.FS
}

func (w *guardFS) OpenFile(path string, flag sys.Oflag, perm fs.FileMode) (sys.File, sys.Errno) {
	w.g.hook("open", len(path))
	// wazero passes perm 0 in two calls of its own and 0600 in all others.
	if perm == 0 && flag == sys.O_RDONLY && path == "." {
		return w.openRoot()
	}
	if perm == 0 && flag == sys.O_WRONLY {
		return w.openTimes(path)
	}
	if w.g.open.Add(1) > w.g.max {
		w.g.open.Add(-1)
		return nil, w.g.Note(EMFILE)
	}
	f, errno := w.fs.OpenFile(path, flag, perm)
	if errno != 0 {
		w.g.open.Add(-1)
		return nil, w.g.Note(errno)
	}
	return w.file(f, true), 0
}

func (w *guardFS) file(f sys.File, counted bool) *guardFile {
	if t, ok := f.(interface {
		setTick(func(op string, n int))
	}); ok {
		t.setTick(w.g.hook)
	}
	return &guardFile{g: w.g, f: f, counted: counted}
}

// openRoot opens the mount's own directory for wazero, which panics on any
// error but ENOENT. It opens it once a mount, so it takes none of the guest's
// handles.
func (w *guardFS) openRoot() (sys.File, sys.Errno) {
	f, errno := w.fs.OpenFile(".", sys.O_RDONLY, 0)
	if errno != 0 {
		return nil, sys.ENOENT
	}
	return w.file(f, false), 0
}

// openTimes serves path_filestat_set_times without following links, for which
// wazero opens the path for writing. That would fail for a directory.
func (w *guardFS) openTimes(path string) (sys.File, sys.Errno) {
	st, errno := w.fs.Lstat(path)
	switch {
	case errno != 0:
		return nil, w.g.Note(errno)
	case st.Mode&fs.ModeSymlink != 0:
		return nil, sys.ENOTSUP // no mount can set the times of a link itself
	}
	return &timesFile{w: w, path: path}, 0
}

type timesFile struct {
	sys.UnimplementedFile
	w    *guardFS
	path string
}

func (t *timesFile) Utimens(atim, mtim int64) sys.Errno {
	return t.w.g.Note(t.w.fs.Utimens(t.path, atim, mtim))
}

func (w *guardFS) Lstat(path string) (wasys.Stat_t, sys.Errno) {
	w.g.hook("lstat", len(path))
	st, errno := w.fs.Lstat(path)
	return st, w.g.Note(errno)
}

func (w *guardFS) Stat(path string) (wasys.Stat_t, sys.Errno) {
	w.g.hook("stat", len(path))
	st, errno := w.fs.Stat(path)
	return st, w.g.Note(errno)
}

func (w *guardFS) Mkdir(path string, perm fs.FileMode) sys.Errno {
	w.g.hook("mkdir", len(path))
	return w.g.Note(w.fs.Mkdir(path, perm))
}

func (w *guardFS) Chmod(path string, perm fs.FileMode) sys.Errno {
	w.g.hook("chmod", len(path))
	return w.g.Note(w.fs.Chmod(path, perm))
}

func (w *guardFS) Rename(from, to string) sys.Errno {
	w.g.hook("rename", len(from)+len(to))
	return w.g.Note(w.fs.Rename(from, to))
}

func (w *guardFS) Rmdir(path string) sys.Errno {
	w.g.hook("rmdir", len(path))
	return w.g.Note(w.fs.Rmdir(path))
}

func (w *guardFS) Unlink(path string) sys.Errno {
	w.g.hook("unlink", len(path))
	return w.g.Note(w.fs.Unlink(path))
}

func (w *guardFS) Link(oldPath, newPath string) sys.Errno {
	w.g.hook("link", len(oldPath)+len(newPath))
	return w.g.Note(w.fs.Link(oldPath, newPath))
}

func (w *guardFS) Symlink(oldPath, linkName string) sys.Errno {
	w.g.hook("symlink", len(oldPath)+len(linkName))
	return w.g.Note(w.fs.Symlink(oldPath, linkName))
}

func (w *guardFS) Readlink(path string) (string, sys.Errno) {
	w.g.hook("readlink", len(path))
	target, errno := w.fs.Readlink(path)
	return target, w.g.Note(errno)
}

func (w *guardFS) Utimens(path string, atim, mtim int64) sys.Errno {
	w.g.hook("utimens", len(path))
	return w.g.Note(w.fs.Utimens(path, atim, mtim))
}

type guardFile struct {
	g       *Guard
	f       sys.File
	counted bool
	closed  bool
}

func (w *guardFile) Dev() (uint64, sys.Errno)      { return w.f.Dev() }
func (w *guardFile) Ino() (wasys.Inode, sys.Errno) { return w.f.Ino() }
func (w *guardFile) IsDir() (bool, sys.Errno)      { return w.f.IsDir() }
func (w *guardFile) IsAppend() bool                { return w.f.IsAppend() }

func (w *guardFile) SetAppend(enable bool) sys.Errno {
	w.g.hook("setappend", 0)
	return w.g.Note(w.f.SetAppend(enable))
}

func (w *guardFile) Stat() (wasys.Stat_t, sys.Errno) {
	w.g.hook("fstat", 0)
	st, errno := w.f.Stat()
	return st, w.g.Note(errno)
}

func (w *guardFile) Read(buf []byte) (int, sys.Errno) {
	w.g.hook("read", len(buf))
	n, errno := w.f.Read(buf)
	return n, w.g.Note(errno)
}

func (w *guardFile) Pread(buf []byte, off int64) (int, sys.Errno) {
	w.g.hook("pread", len(buf))
	n, errno := w.f.Pread(buf, off)
	return n, w.g.Note(errno)
}

func (w *guardFile) Seek(to offset, whence int) (int64, sys.Errno) {
	w.g.hook("seek", 0)
	pos, errno := w.f.Seek(to, whence)
	return pos, w.g.Note(errno)
}

func (w *guardFile) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	list, errno := w.f.Readdir(n)
	size := 0
	for i := range list {
		size += direntCost + len(list[i].Name)
	}
	w.g.hook("readdir", size)
	return list, w.g.Note(errno)
}

func (w *guardFile) Write(buf []byte) (int, sys.Errno) {
	w.g.hook("write", len(buf))
	n, errno := w.f.Write(buf)
	return n, w.g.Note(errno)
}

func (w *guardFile) Pwrite(buf []byte, off int64) (int, sys.Errno) {
	w.g.hook("pwrite", len(buf))
	n, errno := w.f.Pwrite(buf, off)
	return n, w.g.Note(errno)
}

func (w *guardFile) Truncate(size int64) sys.Errno {
	w.g.hook("truncate", 0)
	return w.g.Note(w.f.Truncate(size))
}

func (w *guardFile) Sync() sys.Errno {
	w.g.hook("sync", 0)
	return w.g.Note(w.f.Sync())
}

func (w *guardFile) Datasync() sys.Errno {
	w.g.hook("datasync", 0)
	return w.g.Note(w.f.Datasync())
}

func (w *guardFile) Utimens(atim, mtim int64) sys.Errno {
	w.g.hook("futimens", 0)
	return w.g.Note(w.f.Utimens(atim, mtim))
}

// Close gives the handle back even if closing fails, and calls no hook: files
// are also closed after a guest was stopped.
func (w *guardFile) Close() sys.Errno {
	if w.closed {
		return 0
	}
	w.closed = true
	if w.counted {
		w.g.open.Add(-1)
	}
	return w.g.Note(w.f.Close())
}
