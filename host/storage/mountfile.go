package storage

import (
	"io"
	"io/fs"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

func unixNano(ns int64) time.Time { return time.Unix(0, ns) }

// offset is the int64 of Seek: under its plain name go vet takes wazero's method for a
// mistaken io.Seeker.
type offset = int64

// pixelFile is an open file of the directory.
type pixelFile struct {
	m                   *mount
	edit                *opened
	name                string // at the opening, or the last one known
	read, write, append bool
	closed              bool
	pos                 int64
}

// enter takes the lock and checks that the file is open; the caller unlocks in any case.
func (f *pixelFile) enter() sys.Errno {
	errno := f.m.s.enter()
	if f.closed {
		errno = sys.EBADF
	}
	return errno
}

func (f *pixelFile) leave() { f.m.s.mu.Unlock() }

func (f *pixelFile) may(ok bool) sys.Errno {
	errno := f.enter()
	if errno == 0 && !ok {
		errno = sys.EBADF
	}
	return errno
}

func (f *pixelFile) Dev() (uint64, sys.Errno) { return deviceID, 0 }

func (f *pixelFile) Ino() (wasys.Inode, sys.Errno) {
	f.enter()
	defer f.leave()
	return inode(f.current()), 0
}

// current is the name now; of a file without one the last it had.
func (f *pixelFile) current() string {
	if !f.closed {
		if n := f.edit.Name(); n != "" {
			f.name = n
		}
	}
	return f.name
}

func (f *pixelFile) IsDir() (bool, sys.Errno) { return false, 0 }
func (f *pixelFile) IsAppend() bool           { return f.append }

func (f *pixelFile) SetAppend(enable bool) sys.Errno {
	defer f.leave()
	if errno := f.enter(); errno != 0 {
		return errno
	}
	f.append = enable
	return 0
}

func (f *pixelFile) Stat() (wasys.Stat_t, sys.Errno) {
	defer f.leave()
	if errno := f.enter(); errno != 0 {
		return wasys.Stat_t{}, errno
	}
	info := f.edit.Info()
	info.Name, info.Size = f.current(), f.edit.Size()
	st := f.m.stat(info)
	if f.edit.Name() == "" {
		st.Nlink = 0
	}
	return st, 0
}

func (f *pixelFile) Read(buf []byte) (int, sys.Errno) {
	defer f.leave()
	if errno := f.may(f.read); errno != 0 {
		return 0, errno
	}
	n, errno := f.pread(buf, f.pos)
	f.pos += int64(n)
	return n, errno
}

func (f *pixelFile) Pread(buf []byte, off int64) (int, sys.Errno) {
	defer f.leave()
	if errno := f.may(f.read); errno != 0 {
		return 0, errno
	}
	if off < 0 {
		return 0, sys.EINVAL
	}
	return f.pread(buf, off)
}

// maxTransfer bounds what one call moves, so that a deadline is noticed between two. More
// is as with a pipe: the caller learns how much it was.
const maxTransfer = 64 << 20

func (f *pixelFile) pread(buf []byte, off int64) (int, sys.Errno) {
	buf = buf[:min(len(buf), maxTransfer)]
	n, err := f.edit.ReadAt(buf, off)
	if err == io.EOF || n > 0 {
		err = nil // what is wrong behind it comes with the next call
	}
	return n, errnoOf(err)
}

func (f *pixelFile) Write(buf []byte) (int, sys.Errno) {
	defer f.leave()
	if errno := f.may(f.write); errno != 0 {
		return 0, errno
	}
	at := f.pos
	if f.append {
		at = f.edit.Size()
	}
	n, errno := f.pwrite(buf, at)
	if n > 0 {
		f.pos = at + int64(n)
	}
	return n, errno
}

func (f *pixelFile) Pwrite(buf []byte, off int64) (int, sys.Errno) {
	defer f.leave()
	if errno := f.may(f.write); errno != 0 {
		return 0, errno
	}
	if off < 0 {
		return 0, sys.EINVAL
	}
	return f.pwrite(buf, off)
}

// pwrite, like a disk, fails only when nothing was written.
func (f *pixelFile) pwrite(buf []byte, off int64) (int, sys.Errno) {
	buf = buf[:min(len(buf), maxTransfer)]
	n, err := f.edit.WriteAt(buf, off)
	if n > 0 {
		err = nil
	}
	return n, errnoOf(err)
}

func (f *pixelFile) Truncate(size int64) sys.Errno {
	defer f.leave()
	switch errno := f.may(f.write); {
	case errno != 0:
		return errno
	case size < 0:
		return sys.EINVAL
	}
	return errnoOf(f.edit.Truncate(size))
}

func (f *pixelFile) Seek(to offset, whence int) (int64, sys.Errno) {
	defer f.leave()
	if errno := f.enter(); errno != 0 {
		return 0, errno
	}
	pos, ok := seek(f.pos, f.edit.Size, to, uint32(whence))
	if !ok {
		return f.pos, sys.EINVAL
	}
	f.pos = pos
	return pos, 0
}

func (f *pixelFile) Readdir(int) ([]sys.Dirent, sys.Errno) {
	defer f.leave()
	if errno := f.enter(); errno != 0 {
		return nil, errno
	}
	return nil, sys.ENOTDIR
}

func (f *pixelFile) Sync() sys.Errno {
	defer f.leave()
	errno := f.enter()
	if errno != 0 || !f.write {
		return errno
	}
	return errnoOf(f.edit.Sync())
}

func (f *pixelFile) Datasync() sys.Errno { return f.Sync() }

func (f *pixelFile) Utimens(_, mtim int64) sys.Errno {
	defer f.leave()
	if errno := f.enter(); errno != 0 {
		return errno
	}
	if f.edit.Name() == "" {
		return 0 // nobody can see it any more
	}
	return f.m.setTime(f.current(), false, mtim)
}

// Close commits what was written when the file was the last one open for writing.
func (f *pixelFile) Close() sys.Errno {
	f.m.s.mu.Lock() // also after the session was closed: the file is given back
	defer f.leave()
	if f.closed {
		return 0
	}
	f.closed = true
	if f.m.s.closed {
		return 0 // with its store
	}
	return errnoOf(f.m.s.tree.release(f.edit))
}

// dirFile is an open directory. Its entries are those at the first Readdir, or at the
// first one after a rewind.
type dirFile struct {
	sys.DirFile
	m      *mount
	name   string
	list   []sys.Dirent
	loaded bool
	closed bool
	pos    int
}

func (d *dirFile) enter() sys.Errno {
	errno := d.m.s.enter()
	if d.closed {
		errno = sys.EBADF
	}
	return errno
}

func (d *dirFile) leave() { d.m.s.mu.Unlock() }

func (d *dirFile) Dev() (uint64, sys.Errno)      { return deviceID, 0 }
func (d *dirFile) Ino() (wasys.Inode, sys.Errno) { return inode(d.name), 0 }

func (d *dirFile) Stat() (wasys.Stat_t, sys.Errno) {
	defer d.leave()
	if errno := d.enter(); errno != 0 {
		return wasys.Stat_t{}, errno
	}
	info, errno := d.m.find(d.name)
	if errno != 0 {
		return wasys.Stat_t{}, errno
	}
	info.Name = d.name
	return d.m.stat(info), 0
}

func (d *dirFile) Seek(to offset, whence int) (int64, sys.Errno) {
	defer d.leave()
	switch errno := d.enter(); {
	case errno != 0:
		return 0, errno
	case to != 0 || whence != io.SeekStart:
		return 0, sys.EINVAL
	}
	d.pos, d.loaded = 0, false
	return 0, 0
}

func (d *dirFile) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	defer d.leave()
	if errno := d.enter(); errno != 0 {
		return nil, errno
	}
	if !d.loaded {
		list, err := d.m.s.tree.entries(d.name)
		if err != nil {
			return nil, errnoOf(err)
		}
		d.list, d.loaded = make([]sys.Dirent, len(list)), true
		for i, e := range list {
			d.list[i] = sys.Dirent{Ino: inode(join(d.name, e.Name)), Name: e.Name}
			if e.Dir {
				d.list[i].Type = fs.ModeDir
			}
		}
	}
	rest := d.list[d.pos:]
	if n > 0 && len(rest) > n {
		rest = rest[:n]
	}
	d.pos += len(rest)
	return rest[:len(rest):len(rest)], 0
}

func (d *dirFile) Sync() sys.Errno {
	defer d.leave()
	return d.enter()
}

func (d *dirFile) Datasync() sys.Errno { return d.Sync() }

func (d *dirFile) Utimens(_, mtim int64) sys.Errno {
	defer d.leave()
	if errno := d.enter(); errno != 0 {
		return errno
	}
	return d.m.setTime(d.name, true, mtim)
}

func (d *dirFile) Close() sys.Errno {
	defer d.leave()
	d.enter()
	d.closed, d.list = true, nil
	return 0
}
