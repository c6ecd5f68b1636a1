package vfs

import (
	"io/fs"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

const (
	maxLinks    = 32767 // hard links to one file
	maxSymlinks = 32    // symbolic links followed for one path
	direntCost  = 64    // bytes charged for a directory entry beside its name
)

// Quota bounds a [Mem].
//
// Bytes counts the logical size of every file, holes included, plus the names
// of directory entries (64 bytes and the name each) and the targets of symbolic
// links. Inodes counts files, directories and links; the root is free. A file
// that is unlinked while open is charged until it is closed. The memory really
// used stays under twice Bytes, plus some 200 bytes an inode.
type Quota struct {
	Bytes  int64
	Inodes int
}

// DefaultQuota is what a run gets when nobody chose: 64 MiB in 16,384 inodes.
var DefaultQuota = Quota{Bytes: 64 << 20, Inodes: 16384}

// Mem is a file system in memory with files, directories, hard links and
// relative symbolic links. It is safe for concurrent use. The access time is
// only changed by Utimens. Drop it or call [Mem.Close] to free its memory.
type Mem struct {
	mu     sync.Mutex
	quota  Quota
	now    func() time.Time
	root   *node
	bytes  int64
	inodes int
	next   uint64
	closed bool
}

type node struct {
	ino              uint64
	mode             fs.FileMode // type bits and permissions
	nlink            int
	open             int
	atim, mtim, ctim int64
	parent           *node // of a directory; nil at the root
	entries          []entry
	target           string // of a symbolic link
	data             extent
}

type entry struct {
	name string
	node *node
}

// NewMem returns an empty file system. Times come from now, or from time.Now
// if it is nil. A zero field of quota means none of that kind: nothing fits.
func NewMem(quota Quota, now func() time.Time) *Mem {
	if now == nil {
		now = time.Now
	}
	m := &Mem{quota: quota, now: now, next: 1}
	m.root = m.newNode(fs.ModeDir | 0o700)
	m.root.nlink = 1
	m.inodes = 0
	return m
}

// Usage reports what is charged against the quota.
func (m *Mem) Usage() Quota {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Quota{Bytes: m.bytes, Inodes: m.inodes}
}

// Close drops all content. Files that are still open fail with EBADF.
func (m *Mem) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.root = true, nil
	m.bytes, m.inodes = 0, 0
	return nil
}

// newNode makes an unlinked node; the caller has checked the inode quota.
func (m *Mem) newNode(mode fs.FileMode) *node {
	t := m.now().UnixNano()
	n := &node{ino: m.next, mode: mode, atim: t, mtim: t, ctim: t}
	m.next++
	m.inodes++
	return n
}

func (n *node) isDir() bool  { return n.mode.IsDir() }
func (n *node) isLink() bool { return n.mode&fs.ModeSymlink != 0 }

// find returns the index of name, or where it belongs.
func (n *node) find(name string) (int, bool) {
	i := sort.Search(len(n.entries), func(i int) bool { return n.entries[i].name >= name })
	return i, i < len(n.entries) && n.entries[i].name == name
}

func (n *node) lookup(name string) *node {
	if i, ok := n.find(name); ok {
		return n.entries[i].node
	}
	return nil
}

func (n *node) stat() wasys.Stat_t {
	st := wasys.Stat_t{
		Dev: devMem, Ino: n.ino, Mode: n.mode, Nlink: uint64(n.nlink),
		Size: n.data.size, Atim: n.atim, Mtim: n.mtim, Ctim: n.ctim,
	}
	switch {
	case n.isLink():
		st.Size = int64(len(n.target))
	case n.isDir():
		st.Nlink = 1
	}
	return st
}

// place is where a path leads: node is nil if the last component is missing,
// and name is empty if the path names a directory only by "." or "..".
type place struct {
	dir     *node
	name    string
	node    *node
	mustDir bool
}

// walk resolves path. The last component is followed if it is a symbolic link
// and follow is set or a slash comes after it. A missing last component is not
// an error here.
func (m *Mem) walk(path string, follow bool) (place, sys.Errno) {
	name, mustDir, errno := clean(path)
	if errno != 0 {
		return place{}, errno
	}
	return m.resolve(name, follow, mustDir)
}

// named is walk for an operation on the last name itself: a link is not
// followed, even with a slash behind it, and mustDir is left to the caller.
func (m *Mem) named(path string) (place, sys.Errno) {
	name, mustDir, errno := clean(path)
	if errno != 0 {
		return place{}, errno
	}
	p, errno := m.resolve(name, false, false)
	p.mustDir = mustDir
	return p, errno
}

func (m *Mem) resolve(name string, follow, mustDir bool) (place, sys.Errno) {
	if m.closed {
		return place{}, sys.ENOENT
	}
	rest := strings.Split(name, "/")
	cur, links := m.root, 0
	for len(rest) > 0 {
		c := rest[0]
		rest = rest[1:]
		switch c {
		case "", ".":
			continue
		case "..": // only from the target of a link
			if cur.parent == nil {
				return place{}, sys.EPERM
			}
			cur = cur.parent
			continue
		}
		if len(c) > maxName {
			return place{}, sys.ENAMETOOLONG
		}
		child := cur.lookup(c)
		last := len(rest) == 0
		switch {
		case child == nil && last:
			return place{dir: cur, name: c, mustDir: mustDir}, 0
		case child == nil:
			return place{}, sys.ENOENT
		case child.isLink() && (!last || follow || mustDir):
			if links++; links > maxSymlinks {
				return place{}, sys.ELOOP
			}
			target := strings.Split(child.target, "/")
			if last {
				// A target such as "d/" asks for a directory too, and a
				// trailing "" must not hide which component is the last.
				for len(target) > 1 && (target[len(target)-1] == "" || target[len(target)-1] == ".") {
					mustDir, target = true, target[:len(target)-1]
				}
			}
			rest = append(target, rest...)
		case last:
			if mustDir && !child.isDir() {
				return place{}, sys.ENOTDIR
			}
			return place{dir: cur, name: c, node: child, mustDir: mustDir}, 0
		case !child.isDir():
			return place{}, sys.ENOTDIR
		default:
			cur = child
		}
	}
	return place{dir: cur.parent, node: cur, mustDir: true}, 0
}

// charge takes bytes from the quota, or reports that they do not fit.
func (m *Mem) charge(n int64) sys.Errno {
	if n > m.quota.Bytes-m.bytes {
		return ENOSPC
	}
	m.bytes += n
	return 0
}

// link enters n as name into dir and charges for the entry.
func (m *Mem) link(dir *node, name string, n *node) sys.Errno {
	if errno := m.charge(direntCost + int64(len(name))); errno != 0 {
		return errno
	}
	i, _ := dir.find(name)
	dir.entries = append(dir.entries, entry{})
	copy(dir.entries[i+1:], dir.entries[i:])
	// The name may be a piece of a longer path; keep only its own bytes.
	dir.entries[i] = entry{strings.Clone(name), n}
	n.nlink++
	if n.isDir() {
		n.parent = dir
	}
	t := m.now().UnixNano()
	n.ctim, dir.mtim, dir.ctim = t, t, t
	return 0
}

// unlink removes name from dir and frees the node if nothing holds it.
func (m *Mem) unlink(dir *node, name string) {
	i, ok := dir.find(name)
	if !ok {
		return
	}
	n := dir.entries[i].node
	dir.entries = append(dir.entries[:i], dir.entries[i+1:]...)
	dir.entries[:len(dir.entries)+1][len(dir.entries)] = entry{}
	m.bytes -= direntCost + int64(len(name))
	n.nlink--
	t := m.now().UnixNano()
	n.ctim, dir.mtim, dir.ctim = t, t, t
	m.release(n)
}

// release frees the content of a node that has neither names nor handles.
func (m *Mem) release(n *node) {
	if n.nlink > 0 || n.open > 0 || m.closed {
		return
	}
	m.bytes -= n.data.size + int64(len(n.target))
	m.inodes--
	n.data, n.entries, n.target = extent{}, nil, ""
}

// create makes a node of mode at p, which names nothing yet.
func (m *Mem) create(p place, mode fs.FileMode) (*node, sys.Errno) {
	if m.inodes >= m.quota.Inodes {
		return nil, ENOSPC
	}
	n := m.newNode(mode)
	if errno := m.link(p.dir, p.name, n); errno != 0 {
		m.inodes--
		return nil, errno
	}
	return n, 0
}

// OpenFile implements sys.FS.
func (m *Mem) OpenFile(path string, flag sys.Oflag, perm fs.FileMode) (sys.File, sys.Errno) {
	m.mu.Lock()
	defer m.mu.Unlock()
	exclusive := flag&(sys.O_CREAT|sys.O_EXCL) == sys.O_CREAT|sys.O_EXCL
	p, errno := m.walk(path, flag&sys.O_NOFOLLOW == 0 && !exclusive)
	if errno != 0 {
		return nil, errno
	}
	_, write := access(flag)
	n := p.node
	switch {
	case n == nil && flag&sys.O_CREAT == 0:
		return nil, sys.ENOENT
	case n == nil && p.mustDir:
		return nil, sys.EISDIR
	case n == nil:
		if n, errno = m.create(p, perm.Perm()); errno != 0 {
			return nil, errno
		}
	case exclusive:
		return nil, sys.EEXIST
	case n.isLink():
		return nil, sys.ELOOP
	case n.isDir() && (write || flag&(sys.O_CREAT|sys.O_TRUNC) != 0):
		return nil, sys.EISDIR
	case !n.isDir() && flag&sys.O_DIRECTORY != 0:
		return nil, sys.ENOTDIR
	case flag&sys.O_TRUNC != 0:
		m.bytes -= n.data.size
		n.data = extent{}
		n.mtim = m.now().UnixNano()
		n.ctim = n.mtim
	}
	n.open++
	return &memFile{m: m, n: n, flag: flag, append: flag&sys.O_APPEND != 0}, 0
}

func (m *Mem) stat(path string, follow bool) (wasys.Stat_t, sys.Errno) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, errno := m.existing(path, follow)
	if errno != 0 {
		return wasys.Stat_t{}, errno
	}
	return n.stat(), 0
}

func (m *Mem) existing(path string, follow bool) (*node, sys.Errno) {
	p, errno := m.walk(path, follow)
	if errno == 0 && p.node == nil {
		errno = sys.ENOENT
	}
	return p.node, errno
}

// Stat implements sys.FS.
func (m *Mem) Stat(path string) (wasys.Stat_t, sys.Errno) { return m.stat(path, true) }

// Lstat implements sys.FS.
func (m *Mem) Lstat(path string) (wasys.Stat_t, sys.Errno) { return m.stat(path, false) }

// Mkdir implements sys.FS.
func (m *Mem) Mkdir(path string, perm fs.FileMode) sys.Errno {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, errno := m.named(path)
	if errno != 0 {
		return errno
	}
	if p.node != nil {
		return sys.EEXIST
	}
	_, errno = m.create(p, fs.ModeDir|perm.Perm())
	return errno
}

// Chmod implements sys.FS. Permissions are kept and shown, never enforced.
func (m *Mem) Chmod(path string, perm fs.FileMode) sys.Errno {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, errno := m.existing(path, true)
	if errno == 0 {
		n.mode = n.mode.Type() | perm.Perm()
		n.ctim = m.now().UnixNano()
	}
	return errno
}

// Rename implements sys.FS.
func (m *Mem) Rename(from, to string) sys.Errno {
	m.mu.Lock()
	defer m.mu.Unlock()
	src, errno := m.named(from)
	if errno != 0 {
		return errno
	}
	dst, errno := m.named(to)
	if errno != 0 {
		return errno
	}
	switch {
	case src.node == nil:
		return sys.ENOENT
	case src.name == "" || dst.name == "":
		return EBUSY
	case (src.mustDir || dst.mustDir) && !src.node.isDir():
		return sys.ENOTDIR
	case src.node == dst.node:
		return 0
	}
	for d := dst.dir; d != nil && src.node.isDir(); d = d.parent {
		if d == src.node {
			return sys.EINVAL // a directory cannot move into itself
		}
	}
	if old := dst.node; old != nil {
		switch {
		case old.isDir() && !src.node.isDir():
			return sys.EISDIR
		case !old.isDir() && src.node.isDir():
			return sys.ENOTDIR
		case old.isDir() && len(old.entries) > 0:
			return sys.ENOTEMPTY
		}
		// The new entry reuses the charge of the old one, so this succeeds.
		m.unlink(dst.dir, dst.name)
	} else if grow := int64(len(dst.name) - len(src.name)); grow > m.quota.Bytes-m.bytes {
		return ENOSPC
	}
	src.node.nlink++ // keep it alive between the two steps
	m.unlink(src.dir, src.name)
	errno = m.link(dst.dir, dst.name, src.node)
	src.node.nlink--
	return errno
}

// Rmdir implements sys.FS.
func (m *Mem) Rmdir(path string) sys.Errno {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, errno := m.named(path)
	switch {
	case errno != 0:
		return errno
	case p.node == nil:
		return sys.ENOENT
	case !p.node.isDir():
		return sys.ENOTDIR
	case p.name == "":
		return EBUSY
	case len(p.node.entries) > 0:
		return sys.ENOTEMPTY
	}
	m.unlink(p.dir, p.name)
	return 0
}

// Unlink implements sys.FS.
func (m *Mem) Unlink(path string) sys.Errno {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, errno := m.named(path)
	switch {
	case errno != 0:
		return errno
	case p.node == nil:
		return sys.ENOENT
	case p.node.isDir():
		return sys.EISDIR
	case p.mustDir:
		return sys.ENOTDIR
	}
	m.unlink(p.dir, p.name)
	return 0
}

// Link implements sys.FS. Only a regular file can be linked.
func (m *Mem) Link(oldPath, newPath string) sys.Errno {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, errno := m.existing(oldPath, false)
	if errno != 0 {
		return errno
	}
	p, errno := m.walk(newPath, false)
	switch {
	case errno != 0:
		return errno
	case !n.mode.IsRegular():
		return sys.EPERM
	case p.node != nil:
		return sys.EEXIST
	case p.mustDir:
		return sys.ENOENT
	case n.nlink >= maxLinks:
		return EMLINK
	}
	return m.link(p.dir, p.name, n)
}

// Symlink implements sys.FS. An absolute target is refused with EPERM: a guest
// resolves it against its own root, which is not this mount.
func (m *Mem) Symlink(oldPath, linkName string) sys.Errno {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case oldPath == "":
		return sys.ENOENT
	case len(oldPath) > maxPath:
		return sys.ENAMETOOLONG
	case strings.IndexByte(oldPath, 0) >= 0:
		return sys.EINVAL
	case oldPath[0] == '/':
		return sys.EPERM
	}
	p, errno := m.walk(linkName, false)
	switch {
	case errno != 0:
		return errno
	case p.node != nil:
		return sys.EEXIST
	case p.mustDir:
		return sys.ENOENT
	}
	if errno = m.charge(int64(len(oldPath))); errno != 0 {
		return errno
	}
	n, errno := m.create(p, fs.ModeSymlink|0o777)
	if errno != 0 {
		m.bytes -= int64(len(oldPath))
		return errno
	}
	// wazero's oldPath points into the guest's memory, which will change.
	n.target = strings.Clone(oldPath)
	return 0
}

// Readlink implements sys.FS.
func (m *Mem) Readlink(path string) (string, sys.Errno) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, errno := m.existing(path, false)
	if errno != 0 {
		return "", errno
	}
	if !n.isLink() {
		return "", sys.EINVAL
	}
	return n.target, 0
}

// Utimens implements sys.FS.
func (m *Mem) Utimens(path string, atim, mtim int64) sys.Errno {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, errno := m.existing(path, true)
	if errno == 0 {
		m.setTimes(n, atim, mtim)
	}
	return errno
}

func (m *Mem) setTimes(n *node, atim, mtim int64) {
	if atim != sys.UTIME_OMIT {
		n.atim = atim
	}
	if mtim != sys.UTIME_OMIT {
		n.mtim = mtim
	}
	n.ctim = m.now().UnixNano()
}
