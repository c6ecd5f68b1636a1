package vfs

import (
	"io"
	"math"
	"math/bits"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// extent is the content of a file: chunks of 64 KiB, of which the last ones
// may be short and any may be missing. What is missing below size reads as
// zeros. A chunk holds zeros beyond size.
type extent struct {
	size   int64
	chunks [][]byte
}

const (
	chunkBits = 16
	chunkSize = 1 << chunkBits
	minChunk  = 512
)

// readAt copies from off, which is below e.size, and returns the count.
func (e *extent) readAt(p []byte, off int64) int {
	if left := e.size - off; int64(len(p)) > left {
		p = p[:left]
	}
	for done := 0; done < len(p); {
		i, at := int(off>>chunkBits), int(off&(chunkSize-1))
		part := p[done:min(len(p), done+chunkSize-at)]
		n := 0
		if i < len(e.chunks) && at < len(e.chunks[i]) {
			n = copy(part, e.chunks[i][at:])
		}
		clear(part[n:])
		done += len(part)
		off += int64(len(part))
	}
	return len(p)
}

// writeAt stores p at off. The caller has charged for the new size.
func (e *extent) writeAt(p []byte, off int64) {
	for len(p) > 0 {
		i, at := int(off>>chunkBits), int(off&(chunkSize-1))
		n := min(len(p), chunkSize-at)
		for len(e.chunks) <= i {
			e.chunks = append(e.chunks, nil)
		}
		c := e.chunks[i]
		if at+n > len(c) {
			// Powers of two keep appends cheap and the waste under one half.
			c = make([]byte, max(minChunk, 1<<bits.Len(uint(at+n-1))))
			copy(c, e.chunks[i])
			e.chunks[i] = c
		}
		copy(c[at:], p[:n])
		p = p[n:]
		off += int64(n)
		e.size = max(e.size, off)
	}
}

// truncate sets the size and frees what lies beyond it.
func (e *extent) truncate(size int64) {
	if size < e.size {
		keep := int((size + chunkSize - 1) >> chunkBits)
		if keep < len(e.chunks) {
			clear(e.chunks[keep:])
			e.chunks = e.chunks[:keep]
		}
		if i, at := int(size>>chunkBits), int(size&(chunkSize-1)); i < len(e.chunks) && at < len(e.chunks[i]) {
			clear(e.chunks[i][at:])
		}
	}
	e.size = size
}

// memFile is an open file or directory of a [Mem].
type memFile struct {
	m      *Mem
	n      *node
	flag   sys.Oflag
	append bool
	closed bool
	pos    int64
	after  string // the last name that Readdir returned
	begun  bool   // whether Readdir returned any
}

// lock takes the file system's lock and checks that the file is usable. The
// caller unlocks in any case.
func (f *memFile) lock() sys.Errno {
	f.m.mu.Lock()
	if f.closed || f.m.closed {
		return sys.EBADF
	}
	return 0
}

// lockFor is lock for the transfer of data in one direction.
func (f *memFile) lockFor(write bool) sys.Errno {
	if errno := f.lock(); errno != 0 {
		return errno
	}
	r, w := access(f.flag)
	switch {
	case f.n.isDir():
		return sys.EISDIR
	case write && !w || !write && !r:
		return sys.EBADF
	}
	return 0
}

func (f *memFile) unlock() { f.m.mu.Unlock() }

func (f *memFile) Dev() (uint64, sys.Errno)      { return devMem, 0 }
func (f *memFile) Ino() (wasys.Inode, sys.Errno) { return f.n.ino, 0 }
func (f *memFile) IsDir() (bool, sys.Errno)      { return f.n.isDir(), 0 }
func (f *memFile) IsAppend() bool                { return f.append }

func (f *memFile) SetAppend(enable bool) sys.Errno {
	defer f.unlock()
	errno := f.lock()
	switch {
	case errno != 0:
		return errno
	case f.n.isDir():
		return sys.EISDIR
	}
	f.append = enable
	return 0
}

func (f *memFile) Stat() (wasys.Stat_t, sys.Errno) {
	defer f.unlock()
	if errno := f.lock(); errno != 0 {
		return wasys.Stat_t{}, errno
	}
	return f.n.stat(), 0
}

func (f *memFile) Read(buf []byte) (int, sys.Errno) {
	defer f.unlock()
	if errno := f.lockFor(false); errno != 0 {
		return 0, errno
	}
	n := f.read(buf, f.pos)
	f.pos += int64(n)
	return n, 0
}

func (f *memFile) Pread(buf []byte, off int64) (int, sys.Errno) {
	defer f.unlock()
	if errno := f.lockFor(false); errno != 0 {
		return 0, errno
	}
	if off < 0 {
		return 0, sys.EINVAL
	}
	return f.read(buf, off), 0
}

func (f *memFile) read(buf []byte, off int64) int {
	if off >= f.n.data.size {
		return 0
	}
	return f.n.data.readAt(buf, off)
}

func (f *memFile) Write(buf []byte) (int, sys.Errno) {
	defer f.unlock()
	if errno := f.lockFor(true); errno != 0 {
		return 0, errno
	}
	off := f.pos
	if f.append {
		off = f.n.data.size
	}
	n, errno := f.write(buf, off)
	if n > 0 {
		f.pos = off + int64(n)
	}
	return n, errno
}

func (f *memFile) Pwrite(buf []byte, off int64) (int, sys.Errno) {
	defer f.unlock()
	if errno := f.lockFor(true); errno != 0 {
		return 0, errno
	}
	if off < 0 {
		return 0, sys.EINVAL
	}
	return f.write(buf, off)
}

// write stores as much of buf as the quota allows; like a disk, it fails only
// if that is nothing.
func (f *memFile) write(buf []byte, off int64) (int, sys.Errno) {
	if len(buf) == 0 {
		return 0, 0
	}
	if off > math.MaxInt64-int64(len(buf)) {
		return 0, EFBIG
	}
	size := f.n.data.size
	room := f.m.quota.Bytes - f.m.bytes // may grow by this much
	if end := off + int64(len(buf)); end > size && end-size > room {
		fit := size + room - off
		if fit <= 0 {
			return 0, ENOSPC
		}
		buf = buf[:fit]
	}
	f.n.data.writeAt(buf, off)
	f.m.bytes += f.n.data.size - size
	f.touch()
	return len(buf), 0
}

func (f *memFile) touch() {
	f.n.mtim = f.m.now().UnixNano()
	f.n.ctim = f.n.mtim
}

func (f *memFile) Truncate(size int64) sys.Errno {
	defer f.unlock()
	if errno := f.lockFor(true); errno != 0 {
		return errno
	}
	if size < 0 {
		return sys.EINVAL
	}
	if errno := f.m.charge(size - f.n.data.size); errno != 0 {
		return errno
	}
	f.n.data.truncate(size)
	f.touch()
	return 0
}

func (f *memFile) Seek(to offset, whence int) (int64, sys.Errno) {
	defer f.unlock()
	if errno := f.lock(); errno != 0 {
		return 0, errno
	}
	if f.n.isDir() {
		if to != 0 || whence != io.SeekStart {
			return 0, sys.EINVAL
		}
		f.after, f.begun = "", false
		return 0, 0
	}
	pos, errno := seekTo(f.pos, f.n.data.size, to, whence)
	if errno == 0 {
		f.pos = pos
	}
	return f.pos, errno
}

// Readdir implements sys.File. Entries come in byte order of their names, and
// the position is a name, so entries that appear or vanish while a directory is
// read never make another one appear twice or not at all.
func (f *memFile) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	defer f.unlock()
	if errno := f.lock(); errno != 0 {
		return nil, errno
	}
	if !f.n.isDir() {
		return nil, sys.ENOTDIR
	}
	i := 0
	if f.begun {
		var found bool
		if i, found = f.n.find(f.after); found {
			i++
		}
	}
	rest := f.n.entries[i:]
	if n > 0 && len(rest) > n {
		rest = rest[:n]
	}
	list := make([]sys.Dirent, len(rest))
	for i, e := range rest {
		list[i] = sys.Dirent{Ino: e.node.ino, Name: e.name, Type: e.node.mode.Type()}
	}
	if len(rest) > 0 {
		f.after, f.begun = rest[len(rest)-1].name, true
	}
	return list, 0
}

func (f *memFile) Sync() sys.Errno {
	defer f.unlock()
	return f.lock()
}

func (f *memFile) Datasync() sys.Errno { return f.Sync() }

func (f *memFile) Utimens(atim, mtim int64) sys.Errno {
	defer f.unlock()
	errno := f.lock()
	if errno == 0 {
		f.m.setTimes(f.n, atim, mtim)
	}
	return errno
}

func (f *memFile) Close() sys.Errno {
	defer f.unlock()
	if f.lock(); f.closed {
		return 0
	}
	f.closed = true
	f.n.open--
	f.m.release(f.n)
	return 0
}
