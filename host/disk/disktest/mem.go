package disktest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pxos/pxos/host/disk"
)

// Limits of a Mem.
const (
	defaultCapacity = 1 << 32 // bytes
	maxFile         = 1 << 31 // bytes; every byte below the size takes memory
	maxName         = 255     // bytes in one part of a name, as on most systems
)

// Mem is a file system in memory. It remembers what a disk would have been told to keep,
// so that [Mem.PowerCut] can show what is left when the power goes. All methods may be
// called at the same time. Unlike a disk it does not read the clock: times of change
// count up by a second at each change from 2000-01-01 UTC.
type Mem struct {
	mu       sync.Mutex
	freed    *sync.Cond // a lock was released
	root     *node
	capacity int64
	used     int64
	seq      int      // numbers the changes, from 1
	entries  []*entry // changes of names that no SyncDir has made durable, oldest first
}

var _ disk.FS = (*Mem)(nil)

// node is a file or, when names is not nil, a directory.
type node struct {
	names map[string]*node // now
	safe  map[string]*node // after a power cut that loses all that was not synced
	mtime time.Time

	// Of files.
	data    []byte
	durable []byte   // as of the last sync; shares no memory with data
	writes  []*write // since then
	links   int      // names now
	open    int      // handles now

	locks map[*memLock]disk.LockMode
}

// entry is one step that changes names: each of set becomes its node, or nothing, all
// in one. moves are the nodes whose names change.
type entry struct {
	seq   int
	op    string
	set   []slot
	moves []*node
}

type slot struct {
	dir  *node
	base string
	node *node // nil: the name is gone
	path string
}

// write is a change of a file's bytes or, when size is not -1, of its size alone.
type write struct {
	seq  int
	path string
	off  int64
	data []byte
	size int64
	// lost is set by a sync that failed: a later one will not store this.
	lost bool
}

// NewMem returns an empty file system of 4 GiB.
func NewMem() *Mem {
	m := &Mem{root: newDir(), capacity: defaultCapacity}
	m.freed = sync.NewCond(&m.mu)
	m.root.mtime = m.now()
	return m
}

func newDir() *node { return &node{names: map[string]*node{}, safe: map[string]*node{}} }

func (n *node) isDir() bool { return n.names != nil }

func (m *Mem) now() time.Time {
	return time.Date(2000, 1, 1, 0, 0, m.seq, 0, time.UTC)
}

func (m *Mem) next() int {
	m.seq++
	return m.seq
}

// SetCapacity sets how many bytes all files together can hold; what is stored already
// stays.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// Free implements [disk.FS].
func (m *Mem) Free() (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(0, m.capacity-m.used), nil
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// find walks to a name; "." is the root.
func (m *Mem) find(name string) (*node, error) {
	if !fs.ValidPath(name) || strings.IndexByte(name, 0) >= 0 {
		return nil, fs.ErrInvalid
	}
	n := m.root
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxName {
			return nil, syscall.ENAMETOOLONG
		}
		if !n.isDir() {
			return nil, syscall.ENOTDIR
		}
		if n = n.names[part]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

// parent finds the directory of a name that is not ".", and what is there, if anything.
func (m *Mem) parent(name string) (s slot, err error) {
	if name == "." {
		return s, fs.ErrInvalid
	}
	_, err = m.find(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	dir, err := m.find(path.Dir(name))
	if err != nil {
		return s, err
	}
	if !dir.isDir() {
		return s, syscall.ENOTDIR
	}
	base := path.Base(name)
	return slot{dir, base, dir.names[base], name}, nil
}

// change records and does one step.
func (m *Mem) change(op string, moves []*node, set ...slot) {
	e := &entry{m.next(), op, set, moves}
	m.entries = append(m.entries, e)
	for _, s := range set {
		if s.node == nil {
			delete(s.dir.names, s.base)
		} else {
			s.dir.names[s.base] = s.node
		}
		s.dir.mtime = m.now()
	}
}

// OpenFile implements [disk.FS].
func (m *Mem) OpenFile(name string, flag int) (disk.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.openFile(name, flag)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return f, nil
}

const allFlags = os.O_RDONLY | os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREATE | os.O_EXCL | os.O_TRUNC

func (m *Mem) openFile(name string, flag int) (*memFile, error) {
	access := flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
	if flag&^allFlags != 0 || access == os.O_WRONLY|os.O_RDWR || flag&os.O_EXCL != 0 && flag&os.O_CREATE == 0 ||
		flag&os.O_TRUNC != 0 && access == os.O_RDONLY {
		return nil, fs.ErrInvalid
	}
	s := slot{node: m.root}
	if name != "." {
		var err error
		if s, err = m.parent(name); err != nil {
			return nil, err
		}
	}
	switch {
	case s.node != nil && flag&os.O_EXCL != 0:
		return nil, fs.ErrExist
	case s.node != nil && s.node.isDir():
		return nil, disk.ErrIrregular
	case s.node == nil && flag&os.O_CREATE == 0:
		return nil, fs.ErrNotExist
	case s.node == nil:
		s.node = &node{links: 1}
		m.change("create", []*node{s.node}, s)
		s.node.mtime = m.now()
	case flag&os.O_TRUNC != 0 && len(s.node.data) > 0:
		m.resize(s.node, name, 0)
	}
	s.node.open++
	return &memFile{m: m, node: s.node, name: name, flag: flag, access: access}, nil
}

// Mkdir implements [disk.FS].
func (m *Mem) Mkdir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mkdir(name)
}

func (m *Mem) mkdir(name string) error {
	s, err := m.parent(name)
	if name == "." || err == nil && s.node != nil {
		err = fs.ErrExist
	}
	if err != nil {
		return pathError("mkdir", name, err)
	}
	s.node = newDir()
	m.change("mkdir", []*node{s.node}, s)
	s.node.mtime = m.now()
	return nil
}

// MkdirAll implements [disk.FS].
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, dir := range ancestors(name) {
		switch n, err := m.find(dir); {
		case errors.Is(err, fs.ErrNotExist):
			if err := m.mkdir(dir); err != nil {
				return err
			}
		case err != nil:
			return pathError("mkdir", name, err)
		case !n.isDir() && dir == name:
			return pathError("mkdir", dir, fs.ErrExist)
		case !n.isDir():
			return pathError("mkdir", dir, syscall.ENOTDIR)
		}
	}
	return nil
}

// ancestors returns "a", "a/b", "a/b/c" for "a/b/c".
func ancestors(name string) []string {
	var all []string
	for i, c := range name {
		if c == '/' {
			all = append(all, name[:i])
		}
	}
	return append(all, name)
}

// Rename implements [disk.FS].
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func (m *Mem) rename(from, to string) error {
	a, err := m.parent(from)
	if err != nil {
		return err
	}
	b, err := m.parent(to)
	switch {
	case err != nil:
		return err
	case a.node == nil:
		return fs.ErrNotExist
	case a.node == b.node && !a.node.isDir():
		return nil // two names of one file, or one name: nothing happens, as POSIX says
	case b.node != nil && b.node.isDir():
		return fs.ErrExist
	case a.node.isDir() && b.node != nil:
		return syscall.ENOTDIR
	case a.node.isDir() && strings.HasPrefix(to, from+"/"):
		return fs.ErrInvalid
	}
	moves := []*node{a.node}
	if b.node != nil {
		moves = append(moves, b.node)
	}
	replaced := b.node
	b.node, a.node = a.node, nil
	m.change("rename", moves, a, b)
	if replaced != nil {
		replaced.links--
		m.release(replaced)
	}
	return nil
}

// Link implements [disk.FS].
func (m *Mem) Link(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, err := m.parent(from)
	var b slot
	if err == nil {
		b, err = m.parent(to)
	}
	switch {
	case err != nil:
	case a.node == nil:
		err = fs.ErrNotExist
	case b.node != nil:
		err = fs.ErrExist
	case a.node.isDir():
		err = fs.ErrPermission
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: err}
	}
	b.node = a.node
	b.node.links++
	m.change("link", []*node{b.node}, b)
	return nil
}

// Remove implements [disk.FS].
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.remove(name)
}

func (m *Mem) remove(name string) error {
	s, err := m.parent(name)
	switch {
	case err != nil:
	case s.node == nil:
		err = fs.ErrNotExist
	case s.node.isDir() && len(s.node.names) > 0:
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	n := s.node
	s.node = nil
	m.change("remove", []*node{n}, s)
	if !n.isDir() {
		n.links--
		m.release(n)
	}
	return nil
}

// release gives back the room of a file that nobody can reach any more.
func (m *Mem) release(n *node) {
	if n.links == 0 && n.open == 0 {
		m.used -= int64(len(n.data))
	}
}

// RemoveAll implements [disk.FS].
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if name == "." {
		return pathError("remove", name, fs.ErrInvalid)
	}
	return m.removeAll(name)
}

func (m *Mem) removeAll(name string) error {
	n, err := m.find(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	for _, base := range sortedNames(n.names) {
		if err := m.removeAll(path.Join(name, base)); err != nil {
			return err
		}
	}
	return m.remove(name)
}

func sortedNames(names map[string]*node) []string {
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// Lstat implements [disk.FS].
func (m *Mem) Lstat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return nil, pathError("lstat", name, err)
	}
	return n.info(path.Base(name)), nil
}

// ReadDir implements [disk.FS].
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && !n.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("readdir", name, err)
	}
	list := make([]fs.DirEntry, 0, len(n.names))
	for _, base := range sortedNames(n.names) {
		list = append(list, fs.FileInfoToDirEntry(n.names[base].info(base)))
	}
	return list, nil
}

// Chtimes implements [disk.FS]. The time survives a power cut only when Mem happens to
// keep it: do not build on it.
func (m *Mem) Chtimes(name string, mtime time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return pathError("chtimes", name, err)
	}
	n.mtime = mtime
	return nil
}

// Lock implements [disk.FS]. Locks of one Mem exclude each other; a Mem that a power
// cut left behind has none.
func (m *Mem) Lock(name string, how disk.LockMode) (io.Closer, error) {
	alone := how&disk.Exclusive != 0
	if kind := how &^ disk.Wait; kind != disk.Shared && kind != disk.Exclusive {
		return nil, pathError("lock", name, fs.ErrInvalid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		f, err := m.openFile(name, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return nil, pathError("lock", name, err)
		}
		n := f.node
		if !n.locked(alone) {
			if n.locks == nil {
				n.locks = map[*memLock]disk.LockMode{}
			}
			l := &memLock{f}
			n.locks[l] = how
			return l, nil
		}
		f.closeLocked()
		if how&disk.Wait == 0 {
			return nil, pathError("lock", name, disk.ErrLocked)
		}
		m.freed.Wait()
	}
}

func (n *node) locked(alone bool) bool {
	for _, how := range n.locks {
		if alone || how&disk.Exclusive != 0 {
			return true
		}
	}
	return false
}

type memLock struct{ f *memFile }

func (l *memLock) Close() error {
	m := l.f.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.f.closed {
		return pathError("unlock", l.f.name, fs.ErrClosed)
	}
	delete(l.f.node.locks, l)
	l.f.closeLocked()
	m.freed.Broadcast()
	return nil
}

// Map implements [disk.FS]: the mapping is a copy and never faults.
func (m *Mem) Map(f disk.File) (disk.Mapping, error) {
	mf, ok := f.(*memFile)
	if !ok || mf.m != m {
		return nil, pathError("map", f.Name(), fs.ErrInvalid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case mf.closed:
		return nil, pathError("map", mf.name, fs.ErrClosed)
	case mf.access == os.O_WRONLY:
		return nil, pathError("map", mf.name, fs.ErrPermission)
	}
	return &memMapping{slices.Clone(mf.node.data)}, nil
}

type memMapping struct{ data []byte }

func (m *memMapping) Bytes() []byte { return m.data }

func (m *memMapping) Close() error {
	m.data = nil
	return nil
}

func (n *node) info(name string) fs.FileInfo {
	return &memInfo{name, int64(len(n.data)), n.isDir(), n.mtime}
}

type memInfo struct {
	name  string
	size  int64
	dir   bool
	mtime time.Time
}

func (i *memInfo) Name() string       { return i.name }
func (i *memInfo) Size() int64        { return i.size }
func (i *memInfo) ModTime() time.Time { return i.mtime }
func (i *memInfo) IsDir() bool        { return i.dir }
func (i *memInfo) Sys() any           { return nil }
func (i *memInfo) String() string     { return fs.FormatFileInfo(i) }

func (i *memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}

// String lists every file and directory with its size, for messages of tests.
func (m *Mem) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	var walk func(name string, n *node)
	walk = func(name string, n *node) {
		if !n.isDir() {
			fmt.Fprintf(&b, "%s %d\n", name, len(n.data))
			return
		}
		if name != "." {
			fmt.Fprintf(&b, "%s/\n", name)
		}
		for _, base := range sortedNames(n.names) {
			walk(path.Join(name, base), n.names[base])
		}
	}
	walk(".", m.root)
	return b.String()
}
