package disktest

import (
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"

	"github.com/pxos/pxos/host/disk"
)

// memFile is an open file of a Mem. Everything is under the Mem's lock.
type memFile struct {
	m      *Mem
	node   *node
	name   string
	flag   int
	access int
	pos    int64
	closed bool
}

var _ disk.File = (*memFile)(nil)

func (f *memFile) Name() string { return f.name }

// begin takes the lock and says whether an operation may go on.
func (f *memFile) begin(op string, not int) error {
	f.m.mu.Lock()
	if f.closed {
		return pathError(op, f.name, fs.ErrClosed)
	}
	if f.access == not {
		return pathError(op, f.name, syscall.EBADF)
	}
	return nil
}

const anyAccess = -1

func (f *memFile) Read(p []byte) (int, error) {
	err := f.begin("read", os.O_WRONLY)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := f.readAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 || len(p) == 0 {
		err = nil
	}
	return n, err
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	err := f.begin("read", os.O_WRONLY)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("read", f.name, fs.ErrInvalid)
	}
	return f.readAt(p, off)
}

func (f *memFile) readAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var n int
	if off < int64(len(f.node.data)) {
		n = copy(p, f.node.data[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	err := f.begin("write", os.O_RDONLY)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if f.flag&os.O_APPEND != 0 {
		f.pos = int64(len(f.node.data))
	}
	n, err := f.writeAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.begin("write", os.O_RDONLY)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if off < 0 || f.flag&os.O_APPEND != 0 {
		return 0, pathError("write", f.name, fs.ErrInvalid)
	}
	return f.writeAt(p, off)
}

// writeAt writes as much as there is room for.
func (f *memFile) writeAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	size := int64(len(f.node.data))
	var short error
	// The files of a Mem have no holes: what lies between takes room too.
	if room := size + max(0, f.m.capacity-f.m.used); off > room || int64(len(p)) > room-off {
		p, short = p[:max(0, room-off)], syscall.ENOSPC
	}
	if off > maxFile || int64(len(p)) > maxFile-off {
		p, short = p[:max(0, maxFile-off)], syscall.EFBIG
	}
	if len(p) > 0 {
		f.node.put(p, off)
		f.m.used += int64(len(f.node.data)) - size
		f.node.writes = append(f.node.writes, &write{seq: f.m.next(), path: f.name, off: off, data: slices.Clone(p), size: -1})
		f.node.mtime = f.m.now()
	}
	if short != nil {
		return len(p), pathError("write", f.name, short)
	}
	return len(p), nil
}

// put copies p to off, growing the content as needed.
func (n *node) put(p []byte, off int64) { n.data = putBytes(n.data, p, off) }

func putBytes(data, p []byte, off int64) []byte {
	data = growBytes(data, off+int64(len(p)))
	copy(data[off:], p)
	return data
}

// growBytes makes data at least size bytes long, adding zeros.
func growBytes(data []byte, size int64) []byte {
	old := int64(len(data))
	if old >= size {
		return data
	}
	data = slices.Grow(data, int(size-old))[:size]
	clear(data[old:])
	return data
}

func (f *memFile) Seek(offset int64, whence int) (int64, error) {
	err := f.begin("seek", anyAccess)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += int64(len(f.node.data))
	default:
		return 0, pathError("seek", f.name, fs.ErrInvalid)
	}
	if offset < 0 {
		return 0, pathError("seek", f.name, fs.ErrInvalid)
	}
	f.pos = offset
	return offset, nil
}

func (f *memFile) Truncate(size int64) error {
	err := f.begin("truncate", os.O_RDONLY)
	defer f.m.mu.Unlock()
	if err != nil {
		return err
	}
	grow := size - int64(len(f.node.data))
	switch {
	case size < 0:
		err = fs.ErrInvalid
	case size > maxFile:
		err = syscall.EFBIG
	case grow > max(0, f.m.capacity-f.m.used):
		err = syscall.ENOSPC
	}
	if err != nil {
		return pathError("truncate", f.name, err)
	}
	f.m.resize(f.node, f.name, size)
	return nil
}

// resize sets the size of a file that has room for it.
func (m *Mem) resize(n *node, name string, size int64) {
	old := int64(len(n.data))
	n.data = resizeBytes(n.data, size)
	m.used += size - old
	n.writes = append(n.writes, &write{seq: m.next(), path: name, size: size})
	n.mtime = m.now()
}

func resizeBytes(data []byte, size int64) []byte {
	if size <= int64(len(data)) {
		return data[:size]
	}
	return growBytes(data, size)
}

func (f *memFile) Sync() error {
	err := f.begin("sync", anyAccess)
	defer f.m.mu.Unlock()
	if err != nil {
		return err
	}
	f.node.sync()
	return nil
}

// sync makes durable what was written since the last sync and not lost by one that
// failed.
func (n *node) sync() {
	for _, w := range n.writes {
		switch {
		case w.lost:
		case w.size >= 0:
			n.durable = resizeBytes(n.durable, w.size)
		default:
			n.durable = putBytes(n.durable, w.data, w.off)
		}
	}
	n.writes = nil
}

// syncFails tells the file that a sync has failed: what was written until now reaches
// the disk only by luck, and no later sync will try again.
func (f *memFile) syncFails() {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	for _, w := range f.node.writes {
		w.lost = true
	}
}

func (f *memFile) Stat() (fs.FileInfo, error) {
	err := f.begin("stat", anyAccess)
	defer f.m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return f.node.info(path.Base(f.name)), nil
}

func (f *memFile) Close() error {
	err := f.begin("close", anyAccess)
	defer f.m.mu.Unlock()
	if err != nil {
		return err
	}
	f.closeLocked()
	return nil
}

func (f *memFile) closeLocked() {
	f.closed = true
	f.node.open--
	f.m.release(f.node)
}
