package storage

import (
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/pxos/pxos/host/engine/vfs"
	"github.com/pxos/pxos/host/pixelfs"
	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// Scratch names the files whose earlier contents are not worth keeping, by the last part
// of their names: the rollback journals, write-ahead logs and shared indexes that SQLite
// makes and removes beside a database with every transaction.
func Scratch(name string) bool {
	for _, suffix := range []string{"-journal", "-wal", "-shm"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// deviceID is what the files of a mount have as their device, beside those of package vfs.
const deviceID = 3

// mount is the pixel files as a directory.
type mount struct {
	sys.UnimplementedFS
	s *Session
}

// enter takes the lock of the session; the caller unlocks in any case.
func (s *Session) enter() sys.Errno {
	s.mu.Lock()
	if s.closed {
		return sys.EBADF
	}
	return 0
}

// maxGuestPath is the longest path that is looked at, before . and .. are resolved.
const maxGuestPath = 4096

// resolve gives the name of a path, "." for the root. dir says that only a directory will
// do. The name is a copy: wazero's strings lie in the guest's memory.
func resolve(path string) (name string, dir bool, errno sys.Errno) {
	switch {
	case path == "":
		return "", false, sys.ENOENT
	case len(path) > maxGuestPath:
		return "", false, sys.ENAMETOOLONG
	case strings.IndexByte(path, 0) >= 0:
		return "", false, sys.EINVAL
	}
	parts := make([]string, 0, 8)
	for rest, more := path, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, "/")
		dir = part == "" || part == "." || part == ".."
		switch {
		case part == "..":
			if len(parts) == 0 {
				return "", false, sys.EPERM
			}
			parts = parts[:len(parts)-1]
		case !dir:
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return ".", true, 0
	}
	name = strings.Join(parts, "/")
	if len(parts) == 1 {
		name = strings.Clone(name)
	}
	return name, dir, 0
}

// holdable is what an attempt to make name comes to when no store can hold it.
func holdable(name string) sys.Errno { return errnoOf(pixelfs.CheckName(name)) }

// find describes what is at a name. A name that cannot be is not there, unless it is too
// long.
func (m *mount) find(name string) (pixelfs.Info, sys.Errno) {
	if errno := holdable(name); errno != 0 {
		if errno == eilseq {
			errno = sys.ENOENT
		}
		return pixelfs.Info{}, errno
	}
	info, err := m.s.tree.stat(name)
	return info, errnoOf(err)
}

// inode derives a number from a name, never zero.
func inode(name string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name)
	return max(h.Sum64(), 1)
}

func (m *mount) stat(info pixelfs.Info) wasys.Stat_t {
	mtime := int64(0)
	if !info.Modified.IsZero() {
		mtime = info.Modified.UnixNano()
	}
	st := wasys.Stat_t{
		Dev: deviceID, Ino: inode(info.Name), Nlink: 1, Size: info.Size, Mode: 0o644,
		Atim: mtime, Mtim: mtime, Ctim: mtime,
	}
	if info.Dir {
		st.Mode, st.Size = fs.ModeDir|0o755, 0
	}
	return st
}

// split gives what the exclusive part of flag allows.
func split(flag sys.Oflag) (read, write bool) {
	switch {
	case flag&sys.O_RDWR != 0:
		return true, true
	case flag&sys.O_WRONLY != 0:
		return false, true
	}
	return true, false
}

// OpenFile implements sys.FS.
func (m *mount) OpenFile(path string, flag sys.Oflag, _ fs.FileMode) (sys.File, sys.Errno) {
	errno := m.s.enter()
	defer m.s.mu.Unlock()
	if errno != 0 {
		return nil, errno
	}
	name, mustDir, errno := resolve(path)
	if errno != 0 {
		return nil, errno
	}
	read, write := split(flag)
	create, truncate := flag&sys.O_CREAT != 0, flag&sys.O_TRUNC != 0
	exclusive := create && flag&sys.O_EXCL != 0
	info := pixelfs.Info{Name: ".", Dir: true} // known without opening the store
	if name != "." {
		info, errno = m.find(name)
	}
	switch {
	case errno == sys.ENOENT && create:
		if mustDir {
			return nil, sys.EISDIR
		}
		if errno := holdable(name); errno != 0 {
			return nil, errno
		}
	case errno != 0:
		return nil, errno
	case exclusive:
		return nil, sys.EEXIST
	case info.Dir && (write || create || truncate):
		return nil, sys.EISDIR
	case info.Dir:
		return &dirFile{m: m, name: name}, 0
	case mustDir, flag&sys.O_DIRECTORY != 0:
		return nil, sys.ENOTDIR
	default:
		create = false // a file that is there can be opened where only reading was granted
	}
	how := os.O_RDONLY
	if write || truncate {
		how = os.O_RDWR
	}
	if create {
		how |= os.O_CREATE
	}
	if exclusive {
		how |= os.O_EXCL
	}
	if truncate {
		how |= os.O_TRUNC
	}
	if flag&(sys.O_SYNC|sys.O_DSYNC) != 0 {
		how |= os.O_SYNC
	}
	e, err := m.s.tree.edit(name, how)
	if err != nil {
		return nil, errnoOf(err)
	}
	return &pixelFile{m: m, edit: e, name: name, read: read, write: write, append: flag&sys.O_APPEND != 0}, 0
}

// Stat implements sys.FS.
func (m *mount) Stat(path string) (wasys.Stat_t, sys.Errno) {
	errno := m.s.enter()
	defer m.s.mu.Unlock()
	if errno != 0 {
		return wasys.Stat_t{}, errno
	}
	name, dir, errno := resolve(path)
	if errno != 0 {
		return wasys.Stat_t{}, errno
	}
	info, errno := m.find(name)
	switch {
	case errno != 0:
		return wasys.Stat_t{}, errno
	case dir && !info.Dir:
		return wasys.Stat_t{}, sys.ENOTDIR
	}
	info.Name = name
	return m.stat(info), 0
}

// Lstat implements sys.FS: there are no links.
func (m *mount) Lstat(path string) (wasys.Stat_t, sys.Errno) { return m.Stat(path) }

// at runs f for a path that is resolved.
func (m *mount) at(path string, f func(name string, dir bool) sys.Errno) sys.Errno {
	errno := m.s.enter()
	defer m.s.mu.Unlock()
	if errno != 0 {
		return errno
	}
	name, dir, errno := resolve(path)
	if errno != 0 {
		return errno
	}
	return f(name, dir)
}

// Mkdir implements sys.FS.
func (m *mount) Mkdir(path string, _ fs.FileMode) sys.Errno {
	return m.at(path, func(name string, _ bool) sys.Errno {
		switch _, errno := m.find(name); errno {
		case 0:
			return sys.EEXIST
		case sys.ENOENT:
		default:
			return errno
		}
		if errno := holdable(name); errno != 0 {
			return errno
		}
		return errnoOf(m.s.tree.mkdir(name))
	})
}

// Chmod implements sys.FS: there are no permissions but what was granted.
func (m *mount) Chmod(path string, _ fs.FileMode) sys.Errno {
	return m.at(path, func(name string, _ bool) sys.Errno {
		if _, errno := m.find(name); errno != 0 {
			return errno
		}
		return sys.ENOTSUP
	})
}

// leaving checks that what is at name may go from there.
func (m *mount) leaving(name string) sys.Errno {
	if name == "." {
		return vfs.EBUSY
	}
	return errnoOf(m.s.tree.moves(name))
}

// Rename implements sys.FS.
func (m *mount) Rename(from, to string) sys.Errno {
	return m.at(from, func(from string, fromDir bool) sys.Errno {
		to, toDir, errno := resolve(to)
		if errno != 0 {
			return errno
		}
		info, errno := m.find(from)
		if errno != 0 {
			return errno
		}
		if errno := m.leaving(from); errno != 0 {
			return errno
		}
		if to == "." {
			return vfs.EBUSY
		}
		if errno := holdable(to); errno != 0 {
			return errno
		}
		if errno := m.leaving(to); errno != 0 {
			return errno
		}
		switch {
		case (fromDir || toDir) && !info.Dir:
			return sys.ENOTDIR
		case from == to:
			return 0
		case info.Dir && within(from, to):
			return sys.EINVAL
		}
		switch old, errno := m.find(to); {
		case errno == sys.ENOENT:
		case errno != 0:
			return errno
		case old.Dir && !info.Dir:
			return sys.EISDIR
		case !old.Dir && info.Dir:
			return sys.ENOTDIR
		}
		st, err := m.s.tree.change(to)
		if err == nil {
			err = st.Rename(from, to)
		}
		return errnoOf(err)
	})
}

// Rmdir implements sys.FS.
func (m *mount) Rmdir(path string) sys.Errno {
	return m.at(path, func(name string, _ bool) sys.Errno {
		info, errno := m.find(name)
		switch {
		case errno != 0:
			return errno
		case !info.Dir:
			return sys.ENOTDIR
		}
		if errno := m.leaving(name); errno != 0 {
			return errno
		}
		list, err := m.s.tree.entries(name)
		switch {
		case err != nil:
			return errnoOf(err)
		case len(list) > 0:
			return sys.ENOTEMPTY
		}
		st, err := m.s.tree.change(name)
		if err == nil {
			err = st.Rmdir(name)
		}
		return errnoOf(err)
	})
}

// Unlink implements sys.FS: the file goes to the trash.
func (m *mount) Unlink(path string) sys.Errno {
	return m.at(path, func(name string, dir bool) sys.Errno {
		info, errno := m.find(name)
		switch {
		case errno != 0:
			return errno
		case info.Dir:
			return sys.EISDIR
		case dir:
			return sys.ENOTDIR
		}
		if errno := m.leaving(name); errno != 0 {
			return errno
		}
		st, err := m.s.tree.change(name)
		if err == nil {
			err = st.Remove(name)
		}
		return errnoOf(err)
	})
}

// Link implements sys.FS: there are no links.
func (m *mount) Link(from, to string) sys.Errno {
	return m.at(from, func(from string, _ bool) sys.Errno {
		if _, _, errno := resolve(to); errno != 0 {
			return errno
		}
		if _, errno := m.find(from); errno != 0 {
			return errno
		}
		return sys.ENOTSUP
	})
}

// Symlink implements sys.FS: there are no links.
func (m *mount) Symlink(_, link string) sys.Errno {
	return m.at(link, func(string, bool) sys.Errno { return sys.ENOTSUP })
}

// Readlink implements sys.FS: nothing is a link.
func (m *mount) Readlink(path string) (string, sys.Errno) {
	if _, errno := m.Stat(path); errno != 0 {
		return "", errno
	}
	return "", sys.EINVAL
}

// Utimens implements sys.FS. Files have one time, that of the last change; a directory
// has the disk's.
func (m *mount) Utimens(path string, _, mtim int64) sys.Errno {
	return m.at(path, func(name string, dir bool) sys.Errno {
		info, errno := m.find(name)
		switch {
		case errno != 0:
			return errno
		case dir && !info.Dir:
			return sys.ENOTDIR
		}
		return m.setTime(name, info.Dir, mtim)
	})
}

func (m *mount) setTime(name string, dir bool, mtim int64) sys.Errno {
	st, err := m.s.tree.change(name)
	switch {
	case err != nil:
		return errnoOf(err)
	case dir, mtim == sys.UTIME_OMIT:
		return 0
	}
	return errnoOf(st.Chtimes(name, unixNano(mtim)))
}
