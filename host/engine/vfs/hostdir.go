package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// HostDir is a directory of the host that was granted to a guest. Every
// operation goes through one os.Root, so no path, symbolic link, rename or race
// leads out of it; an attempt fails with EPERM.
//
// Only regular files and directories are opened. FIFOs, sockets and devices can
// be listed, renamed and unlinked, and opening one fails with EACCES at once,
// without blocking. A symbolic link that exists is followed while it stays
// inside. The guest can create only links whose target is relative and has no
// ".." component, since another program may follow them without our care.
// New files and directories get the permissions that the guest asks for less
// the host process's umask, and never set-user-id, set-group-id or sticky bits.
//
// On Windows, appending seeks to the end before each write, so it is atomic
// only within one run, and O_NOFOLLOW depends on the file identity that Windows
// reports. A backslash, a colon and names that Windows reserves are refused.
type HostDir struct {
	root     *os.Root
	readOnly bool
}

// NewHostDir returns the file system of root. The caller keeps root open for as
// long as the file system is used, and closes it. With readOnly, every attempt
// to change something fails with EROFS.
func NewHostDir(root *os.Root, readOnly bool) *HostDir {
	return &HostDir{root: root, readOnly: readOnly}
}

// path cleans p for os.Root. A trailing slash is kept as mustDir alone: os.Root
// follows a link that has one, which must not happen when a name is created.
func (h *HostDir) path(p string) (name string, mustDir bool, errno sys.Errno) {
	name, mustDir, errno = clean(p)
	if errno == 0 && runtime.GOOS == "windows" && strings.ContainsAny(name, `\:`) {
		errno = sys.EINVAL
	}
	return name, mustDir, errno
}

// rootErrno translates an error of os.Root. An error that carries no number of
// the system and is none of io/fs's is its refusal to leave the root.
func rootErrno(err error) sys.Errno {
	errno := errnoOf(err)
	var no syscall.Errno
	if errno == sys.EIO && !errors.As(err, &no) {
		return sys.EPERM
	}
	return errno
}

func (h *HostDir) stat(p string, follow bool) (wasys.Stat_t, sys.Errno) {
	name, mustDir, errno := h.path(p)
	if errno != 0 {
		return wasys.Stat_t{}, errno
	}
	lookup := h.root.Lstat
	if follow || mustDir {
		lookup = h.root.Stat
	}
	fi, err := lookup(name)
	if err != nil {
		return wasys.Stat_t{}, rootErrno(err)
	}
	if mustDir && !fi.IsDir() {
		return wasys.Stat_t{}, sys.ENOTDIR
	}
	return wasys.NewStat_t(fi), 0
}

// Stat implements sys.FS.
func (h *HostDir) Stat(p string) (wasys.Stat_t, sys.Errno) { return h.stat(p, true) }

// Lstat implements sys.FS.
func (h *HostDir) Lstat(p string) (wasys.Stat_t, sys.Errno) { return h.stat(p, false) }

// ordinary reports whether a file of this mode may be opened.
func ordinary(mode fs.FileMode) bool { return mode.IsRegular() || mode.IsDir() }

// OpenFile implements sys.FS.
func (h *HostDir) OpenFile(p string, flag sys.Oflag, perm fs.FileMode) (sys.File, sys.Errno) {
	name, mustDir, errno := h.path(p)
	if errno != 0 {
		return nil, errno
	}
	read, write := access(flag)
	create, trunc := flag&sys.O_CREAT != 0, flag&sys.O_TRUNC != 0
	exclusive := create && flag&sys.O_EXCL != 0

	// Look before opening: opening a device can have effects of its own. The
	// file that was opened is looked at again below.
	look := h.root.Stat
	noFollow := flag&sys.O_NOFOLLOW != 0 || exclusive
	if noFollow && !mustDir {
		look = h.root.Lstat
	}
	before, err := look(name)
	switch {
	case err != nil && rootErrno(err) != sys.ENOENT:
		return nil, rootErrno(err)
	case err != nil && !create:
		return nil, sys.ENOENT
	case err != nil && mustDir:
		return nil, sys.EISDIR
	case err != nil && h.readOnly:
		return nil, sys.EROFS
	case err != nil:
	case exclusive:
		return nil, sys.EEXIST
	case before.Mode()&fs.ModeSymlink != 0:
		return nil, sys.ELOOP
	case before.IsDir() && (write || create || trunc):
		return nil, sys.EISDIR
	case !before.IsDir() && (mustDir || flag&sys.O_DIRECTORY != 0):
		return nil, sys.ENOTDIR
	case !ordinary(before.Mode()):
		return nil, sys.EACCES
	case h.readOnly && (write || trunc):
		return nil, sys.EROFS
	}

	how := openSafely
	switch {
	case read && write:
		how |= os.O_RDWR
	case write:
		how |= os.O_WRONLY
	}
	if !h.readOnly {
		if create {
			how |= os.O_CREATE
		}
		if exclusive {
			how |= os.O_EXCL
		}
	}
	if flag&(sys.O_SYNC|sys.O_DSYNC) != 0 {
		how |= os.O_SYNC
	}
	// Truncation waits until the file is known to be a regular one.
	if trunc && !write {
		how |= os.O_RDWR
	}
	f, err := h.root.OpenFile(name, how, perm.Perm())
	if err != nil {
		return nil, rootErrno(err)
	}
	fi, err := f.Stat()
	errno = errnoOf(err)
	if errno == 0 && !ordinary(fi.Mode()) {
		errno = sys.EACCES
	}
	if errno == 0 && flag&sys.O_NOFOLLOW != 0 && !mustDir {
		// os.Root follows links itself; the name must be the file's own.
		if now, err := h.root.Lstat(name); err == nil && !os.SameFile(now, fi) {
			errno = sys.ELOOP
		}
	}
	if errno == 0 && trunc && fi.Mode().IsRegular() {
		errno = errnoOf(f.Truncate(0))
	}
	hf := &hostFile{h: h, f: f, name: name, flag: flag, isDir: errno == 0 && fi.IsDir()}
	if errno == 0 && flag&sys.O_APPEND != 0 {
		errno = hf.SetAppend(true)
	}
	if errno != 0 {
		_ = f.Close()
		return nil, errno
	}
	return hf, 0
}

// change cleans a path that an operation is about to alter.
func (h *HostDir) change(p string) (name string, mustDir bool, errno sys.Errno) {
	name, mustDir, errno = h.path(p)
	if errno == 0 && h.readOnly {
		errno = sys.EROFS
	}
	return name, mustDir, errno
}

// Mkdir implements sys.FS.
func (h *HostDir) Mkdir(p string, perm fs.FileMode) sys.Errno {
	name, _, errno := h.path(p)
	if errno != 0 {
		return errno
	}
	if _, err := h.root.Lstat(name); err == nil {
		return sys.EEXIST
	}
	if h.readOnly {
		return sys.EROFS
	}
	return rootErrno(h.root.Mkdir(name, perm.Perm()))
}

// Chmod implements sys.FS. Only the nine permission bits can be set.
func (h *HostDir) Chmod(p string, perm fs.FileMode) sys.Errno {
	name, _, errno := h.change(p)
	if errno != 0 {
		return errno
	}
	return rootErrno(h.root.Chmod(name, perm.Perm()))
}

// Rename implements sys.FS. os.Root refuses to replace an empty directory,
// which POSIX allows; there the old one is removed first, so that a failure
// between the two steps can leave the target missing.
func (h *HostDir) Rename(from, to string) sys.Errno {
	src, srcDir, errno := h.change(from)
	if errno != 0 {
		return errno
	}
	dst, dstDir, errno := h.change(to)
	if errno != 0 {
		return errno
	}
	if src == "." || dst == "." {
		return EBUSY
	}
	old, err := h.root.Lstat(src)
	if err != nil {
		return rootErrno(err)
	}
	if (srcDir || dstDir) && !old.IsDir() {
		return sys.ENOTDIR
	}
	if strings.HasPrefix(dst, src+"/") && old.IsDir() {
		return sys.EINVAL
	}
	if now, err := h.root.Lstat(dst); err == nil {
		switch {
		case os.SameFile(now, old):
			return 0 // two names of one file: POSIX leaves both
		case now.IsDir() && !old.IsDir():
			return sys.EISDIR
		case !now.IsDir() && old.IsDir():
			return sys.ENOTDIR
		case now.IsDir():
			if errno := removeErrno(h.root.Remove(dst)); errno != 0 {
				return errno
			}
		}
	}
	return rootErrno(h.root.Rename(src, dst))
}

// removeErrno makes the two names that systems have for "not empty" one.
func removeErrno(err error) sys.Errno {
	errno := rootErrno(err)
	if errno == sys.EEXIST {
		errno = sys.ENOTEMPTY
	}
	return errno
}

// Rmdir implements sys.FS.
func (h *HostDir) Rmdir(p string) sys.Errno {
	name, _, errno := h.change(p)
	if errno != 0 {
		return errno
	}
	fi, err := h.root.Lstat(name)
	switch {
	case err != nil:
		return rootErrno(err)
	case !fi.IsDir():
		return sys.ENOTDIR
	case name == ".":
		return EBUSY
	}
	return removeErrno(h.root.Remove(name))
}

// Unlink implements sys.FS.
func (h *HostDir) Unlink(p string) sys.Errno {
	name, mustDir, errno := h.change(p)
	if errno != 0 {
		return errno
	}
	fi, err := h.root.Lstat(name)
	switch {
	case err != nil:
		return rootErrno(err)
	case fi.IsDir():
		return sys.EISDIR
	case mustDir:
		return sys.ENOTDIR
	}
	return rootErrno(h.root.Remove(name))
}

// Link implements sys.FS. Only a regular file can be linked.
func (h *HostDir) Link(oldPath, newPath string) sys.Errno {
	src, srcDir, errno := h.change(oldPath)
	if errno != 0 {
		return errno
	}
	dst, dstDir, errno := h.change(newPath)
	if errno != 0 {
		return errno
	}
	fi, err := h.root.Lstat(src)
	switch {
	case err != nil:
		return rootErrno(err)
	case !fi.Mode().IsRegular():
		return sys.EPERM
	case srcDir:
		return sys.ENOTDIR
	}
	if _, err := h.root.Lstat(dst); err == nil {
		return sys.EEXIST
	}
	if dstDir {
		return sys.ENOENT
	}
	return rootErrno(h.root.Link(src, dst))
}

// Symlink implements sys.FS. See [HostDir] for the targets that are allowed.
func (h *HostDir) Symlink(oldPath, linkName string) sys.Errno {
	name, mustDir, errno := h.change(linkName)
	switch {
	case errno != 0:
		return errno
	case oldPath == "":
		return sys.ENOENT
	case len(oldPath) > maxPath:
		return sys.ENAMETOOLONG
	case strings.IndexByte(oldPath, 0) >= 0:
		return sys.EINVAL
	case path.IsAbs(oldPath), runtime.GOOS == "windows" && strings.ContainsAny(oldPath, `\:`):
		return sys.EPERM
	}
	for _, c := range strings.Split(oldPath, "/") {
		if c == ".." {
			return sys.EPERM
		}
	}
	if _, err := h.root.Lstat(name); err == nil {
		return sys.EEXIST
	}
	if mustDir {
		return sys.ENOENT
	}
	return rootErrno(h.root.Symlink(strings.Clone(oldPath), name))
}

// Readlink implements sys.FS. A target outside the root is shown as it is.
func (h *HostDir) Readlink(p string) (string, sys.Errno) {
	name, mustDir, errno := h.path(p)
	if errno != 0 {
		return "", errno
	}
	if fi, err := h.root.Lstat(name); err != nil {
		return "", rootErrno(err)
	} else if mustDir || fi.Mode()&fs.ModeSymlink == 0 {
		return "", sys.EINVAL
	}
	target, err := h.root.Readlink(name)
	if err != nil {
		return "", rootErrno(err)
	}
	if runtime.GOOS == "windows" {
		target = strings.ReplaceAll(target, `\`, "/")
	}
	return target, 0
}

// Utimens implements sys.FS.
func (h *HostDir) Utimens(p string, atim, mtim int64) sys.Errno {
	name, _, errno := h.change(p)
	if errno != 0 {
		return errno
	}
	return rootErrno(h.root.Chtimes(name, timeOf(atim), timeOf(mtim)))
}

// timeOf gives the zero time, which os takes for "leave it", for UTIME_OMIT.
func timeOf(ns int64) time.Time {
	if ns == sys.UTIME_OMIT {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
