package vfs

import (
	"errors"
	"hash/fnv"
	"io"
	"io/fs"
	"sort"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// Device numbers that guests see. A host directory shows the host's own.
const (
	devArchive = 1
	devMem     = 2
)

// Archive is a read-only view of an io/fs.FS. Every attempt to change it fails
// with EROFS. Inode numbers are derived from the path, so they are the same in
// every run; all times are the one given to [NewArchive].
type Archive struct {
	sys.UnimplementedFS
	fsys  fs.FS
	mtime int64
}

// NewArchive returns a view of fsys, whose times are all mtime.
//
// Files that implement io.ReaderAt are read at any offset at once. Of the
// others, those that implement io.Seeker are positioned before each read, and
// plain streams are reopened to go back and read to go forward; the bytes
// skipped so are reported to the [Guard] like bytes read.
func NewArchive(fsys fs.FS, mtime time.Time) *Archive {
	return &Archive{fsys: fsys, mtime: mtime.UnixNano()}
}

func (a *Archive) statOf(name string, fi fs.FileInfo) wasys.Stat_t {
	mode := fi.Mode().Type() | 0o444
	size := fi.Size()
	if fi.IsDir() {
		mode |= 0o111
		size = 0
	}
	return wasys.Stat_t{
		Dev: devArchive, Ino: pathInode(name), Mode: mode, Nlink: 1, Size: size,
		Atim: a.mtime, Mtim: a.mtime, Ctim: a.mtime,
	}
}

// pathInode hashes a cleaned path into an inode number, never zero.
func pathInode(name string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name)
	if v := h.Sum64(); v != 0 {
		return v
	}
	return 1
}

// archiveErrno also tells "no such entry" from "a parent is a file".
func (a *Archive) archiveErrno(name string, err error) sys.Errno {
	if errors.Is(err, fs.ErrInvalid) {
		return sys.ENOENT // a name that no archive can hold
	}
	errno := errnoOf(err)
	if errno != sys.ENOENT {
		return errno
	}
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if fi, err := fs.Stat(a.fsys, name[:i]); err == nil {
			if !fi.IsDir() {
				return sys.ENOTDIR
			}
			break
		}
	}
	return sys.ENOENT
}

// Stat implements sys.FS.
func (a *Archive) Stat(path string) (wasys.Stat_t, sys.Errno) {
	name, mustDir, errno := clean(path)
	if errno != 0 {
		return wasys.Stat_t{}, errno
	}
	fi, err := fs.Stat(a.fsys, name)
	if err != nil {
		return wasys.Stat_t{}, a.archiveErrno(name, err)
	}
	if mustDir && !fi.IsDir() {
		return wasys.Stat_t{}, sys.ENOTDIR
	}
	return a.statOf(name, fi), 0
}

// Lstat implements sys.FS. An archive has no links, so it is Stat.
func (a *Archive) Lstat(path string) (wasys.Stat_t, sys.Errno) { return a.Stat(path) }

// OpenFile implements sys.FS.
func (a *Archive) OpenFile(path string, flag sys.Oflag, _ fs.FileMode) (sys.File, sys.Errno) {
	name, mustDir, errno := clean(path)
	if errno != 0 {
		return nil, errno
	}
	_, write := access(flag)
	f, err := a.fsys.Open(name)
	if err != nil {
		errno = a.archiveErrno(name, err)
		if errno == sys.ENOENT && flag&sys.O_CREAT != 0 {
			return nil, sys.EROFS
		}
		return nil, errno
	}
	fi, err := f.Stat()
	if err == nil {
		switch {
		case flag&(sys.O_CREAT|sys.O_EXCL) == sys.O_CREAT|sys.O_EXCL:
			errno = sys.EEXIST
		case fi.IsDir() && (write || flag&sys.O_TRUNC != 0):
			errno = sys.EISDIR
		case !fi.IsDir() && (mustDir || flag&sys.O_DIRECTORY != 0):
			errno = sys.ENOTDIR
		case write || flag&sys.O_TRUNC != 0:
			errno = sys.EROFS
		}
	} else {
		errno = errnoOf(err)
	}
	if errno != 0 {
		_ = f.Close()
		return nil, errno
	}
	st := a.statOf(name, fi)
	if fi.IsDir() {
		_ = f.Close()
		return &archiveDir{a: a, name: name, st: st}, 0
	}
	af := &archiveFile{a: a, name: name, st: st, f: f}
	af.at, _ = f.(io.ReaderAt)
	af.seek, _ = f.(io.Seeker)
	return af, 0
}

// Readlink implements sys.FS: nothing in an archive is a link.
func (a *Archive) Readlink(path string) (string, sys.Errno) {
	if _, errno := a.Stat(path); errno != 0 {
		return "", errno
	}
	return "", sys.EINVAL
}

// readOnly gives the errno of an attempt to create path: an existing name is
// reported as such, and so is a broken path; anything else is EROFS.
func (a *Archive) readOnly(path string, existing sys.Errno) sys.Errno {
	name, _, errno := clean(path)
	if errno != 0 {
		return errno
	}
	_, err := fs.Stat(a.fsys, name)
	switch {
	case err == nil && existing != 0:
		return existing
	case err != nil && a.archiveErrno(name, err) == sys.ENOTDIR:
		return sys.ENOTDIR
	}
	return sys.EROFS
}

// change gives the errno of an attempt to alter path, which must exist.
func (a *Archive) change(path string) sys.Errno {
	if _, errno := a.Stat(path); errno != 0 {
		return errno
	}
	return sys.EROFS
}

// Mkdir implements sys.FS.
func (a *Archive) Mkdir(path string, _ fs.FileMode) sys.Errno {
	return a.readOnly(path, sys.EEXIST)
}

// Chmod implements sys.FS.
func (a *Archive) Chmod(path string, _ fs.FileMode) sys.Errno { return a.change(path) }

// Rename implements sys.FS.
func (a *Archive) Rename(from, to string) sys.Errno {
	if errno := a.change(from); errno != sys.EROFS {
		return errno
	}
	return a.readOnly(to, 0)
}

// Rmdir implements sys.FS.
func (a *Archive) Rmdir(path string) sys.Errno { return a.change(path) }

// Unlink implements sys.FS.
func (a *Archive) Unlink(path string) sys.Errno { return a.change(path) }

// Link implements sys.FS.
func (a *Archive) Link(oldPath, newPath string) sys.Errno {
	if errno := a.change(oldPath); errno != sys.EROFS {
		return errno
	}
	return a.readOnly(newPath, sys.EEXIST)
}

// Symlink implements sys.FS.
func (a *Archive) Symlink(_, linkName string) sys.Errno {
	return a.readOnly(linkName, sys.EEXIST)
}

// Utimens implements sys.FS.
func (a *Archive) Utimens(path string, _, _ int64) sys.Errno { return a.change(path) }

// archiveDir is an open directory; its entries are read at the first Readdir.
type archiveDir struct {
	sys.DirFile
	a       *Archive
	name    string
	st      wasys.Stat_t
	entries []sys.Dirent
	loaded  bool
	pos     int
	closed  bool
}

func (d *archiveDir) Dev() (uint64, sys.Errno)      { return d.st.Dev, 0 }
func (d *archiveDir) Ino() (wasys.Inode, sys.Errno) { return d.st.Ino, 0 }
func (d *archiveDir) Sync() sys.Errno               { return closedErr(d.closed) }
func (d *archiveDir) Datasync() sys.Errno           { return closedErr(d.closed) }

func (d *archiveDir) Stat() (wasys.Stat_t, sys.Errno) { return d.st, closedErr(d.closed) }

func (d *archiveDir) Utimens(_, _ int64) sys.Errno {
	if d.closed {
		return sys.EBADF
	}
	return sys.EROFS
}

func (d *archiveDir) Seek(to offset, whence int) (int64, sys.Errno) {
	if d.closed {
		return 0, sys.EBADF
	}
	if to != 0 || whence != io.SeekStart {
		return 0, sys.EINVAL
	}
	d.pos = 0
	return 0, 0
}

func (d *archiveDir) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	if d.closed {
		return nil, sys.EBADF
	}
	if !d.loaded {
		list, err := fs.ReadDir(d.a.fsys, d.name)
		if err != nil {
			return nil, errnoOf(err)
		}
		d.entries = make([]sys.Dirent, len(list))
		for i, e := range list {
			full := e.Name()
			if d.name != "." {
				full = d.name + "/" + full
			}
			d.entries[i] = sys.Dirent{Ino: pathInode(full), Name: e.Name(), Type: e.Type()}
		}
		// fs.ReadDir promises this order; a broken FS must not change results.
		sort.SliceStable(d.entries, func(i, j int) bool { return d.entries[i].Name < d.entries[j].Name })
		d.loaded = true
	}
	rest := d.entries[d.pos:]
	if n > 0 && len(rest) > n {
		rest = rest[:n]
	}
	d.pos += len(rest)
	// The full slice expression keeps a caller's append out of our entries.
	return rest[:len(rest):len(rest)], 0
}

func (d *archiveDir) Close() sys.Errno {
	d.closed, d.entries = true, nil
	return 0
}

func closedErr(closed bool) sys.Errno {
	if closed {
		return sys.EBADF
	}
	return 0
}
