package pixelfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/pxos/pxos/host/disk"
)

// Edit is a handle as programs expect one: reads and writes at any place, truncation,
// a position. Handles of one file in one process see each other's writes at once.
// What Sync returned for survives a crash, and other processes see it; Close commits
// what the last writing handle leaves as a whole new file, and the content from before
// the session is kept as one version.
//
// A handle goes on when its file is renamed, replaced or removed; in the latter two
// cases what it writes from then on ends with it. Methods may be called by many
// goroutines at once.
type Edit struct {
	n    *node
	flag int
	name string // at Open, for errors

	mu     sync.Mutex
	pos    int64
	closed bool
}

const editFlags = os.O_RDONLY | os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREATE | os.O_EXCL | os.O_TRUNC | os.O_SYNC

// Edit opens a file for reading or writing in place. flag is made of the flags of
// package os; O_SYNC makes every write durable. Only one process at a time may have a
// file open for writing: the second gets ErrBusy. A handle for reading sees, beside
// what this process writes, the content at the time it was opened.
func (s *Store) Edit(name string, flag int) (*Edit, error) {
	n, err := s.edit(name, flag)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &Edit{n: n, flag: flag, name: name}, nil
}

func writes(flag int) bool { return flag&(os.O_WRONLY|os.O_RDWR) != 0 }

func (s *Store) edit(name string, flag int) (*node, error) {
	place, err := filePlace(name)
	if err != nil {
		if name == "." {
			err = ErrIsDir
		}
		return nil, err
	}
	if flag&^editFlags != 0 || flag&os.O_WRONLY != 0 && flag&os.O_RDWR != 0 ||
		flag&os.O_EXCL != 0 && flag&os.O_CREATE == 0 {
		return nil, fs.ErrInvalid
	}
	if !writes(flag) {
		if flag&(os.O_TRUNC|os.O_APPEND) != 0 {
			return nil, fs.ErrInvalid
		}
		if flag&os.O_CREATE == 0 {
			return s.editToRead(name)
		}
	}
	if err := s.writable(); err != nil {
		return nil, err
	}
	var n *node
	err = s.locked(func() error {
		n, err = s.editToWrite(name, place, flag)
		return err
	})
	if err != nil {
		return nil, err
	}
	if flag&os.O_TRUNC != 0 {
		if err := n.truncate(0); err != nil {
			return nil, errors.Join(err, s.put(n, writes(flag)))
		}
	}
	return n, nil
}

func (s *Store) editToRead(name string) (*node, error) {
	if n := s.take(name, false); n != nil {
		return n, nil
	}
	f, err := s.open(name)
	if err != nil {
		return nil, err
	}
	n := &node{s: s, name: name, refs: 1}
	n.rebase(f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		f.Close()
		return nil, fs.ErrClosed
	}
	if other := s.nodes[name]; other != nil {
		f.Close()
		other.refs++
		return other, nil
	}
	s.nodes[name] = n
	return n, nil
}

// take adds a handle to the node of a name, if there is one.
func (s *Store) take(name string, writer bool) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[name]
	if n == nil {
		return nil
	}
	n.refs++
	if writer {
		n.writers++
	}
	return n
}

// editToWrite runs within the lock.
func (s *Store) editToWrite(name, place string, flag int) (*node, error) {
	writer := writes(flag)
	n := s.take(name, writer)
	if n != nil && flag&os.O_EXCL != 0 {
		s.drop(n, writer)
		return nil, fs.ErrExist
	}
	if n == nil {
		n = &node{s: s, name: name, refs: 1}
		if writer {
			n.writers = 1
		}
		if err := s.base(n, name, place, flag); err != nil {
			n.mu.Lock()
			n.finish()
			n.mu.Unlock()
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			n.finish()
			return nil, fs.ErrClosed
		}
		s.nodes[name] = n
		return n, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if writer && n.lease == nil {
		// Handles for reading go over to the content as it is now, so that all
		// handles of this process agree.
		if err := s.base(n, name, place, flag); err != nil {
			s.drop(n, writer)
			return nil, err
		}
	}
	return n, nil
}

// base takes the lease of a file and makes its current content, or that of a new file,
// the base of a node.
func (s *Store) base(n *node, name, place string, flag int) error {
	if err := s.dirFor(parent(name), needDirs); err != nil {
		return err
	}
	if err := s.notDir(name); err != nil {
		return err
	}
	lease, err := s.lease(place)
	if err != nil {
		return err
	}
	fail := func(err error) error {
		s.fsys.Remove(leaseDir + "/" + place)
		return errors.Join(err, lease.Close())
	}
	if err := s.recoverLog(name, place); err != nil {
		return fail(err)
	}
	f, err := s.openFile(name, place)
	if err == nil && s.notTwin(place) != nil {
		f.Close()
		return fail(ErrTwin)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0:
		st, err := s.stage(nil, strings.NewReader(""), PutOptions{}, 0)
		if err != nil {
			return fail(err)
		}
		if _, err := s.commitOne(&change{name: name, place: place, st: st, self: n, settled: true, opt: PutOptions{Exclusive: true}}); err != nil {
			return fail(err)
		}
		if f, err = s.openFile(name, place); err != nil {
			return fail(err)
		}
		n.kept = true // there is nothing to keep of a file that this session made
	case err != nil:
		return fail(err)
	case flag&os.O_EXCL != 0:
		f.Close()
		return fail(fs.ErrExist)
	default:
		n.kept = s.scratch(name)
	}
	n.rebase(f)
	if writes(flag) {
		n.lease = lease
		return nil
	}
	s.fsys.Remove(leaseDir + "/" + place)
	return lease.Close()
}

// lease keeps other processes from writing a file. It runs within the lock.
func (s *Store) lease(place string) (io.Closer, error) {
	p := leaseDir + "/" + place
	l, err := s.fsys.Lock(p, disk.Exclusive)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.fsys.MkdirAll(path.Dir(p)); err != nil {
			return nil, err
		}
		l, err = s.fsys.Lock(p, disk.Exclusive)
	}
	if errors.Is(err, disk.ErrLocked) {
		return nil, ErrBusy
	}
	return l, err
}

// drop takes a handle off a node that another one keeps alive.
func (s *Store) drop(n *node, writer bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n.refs--
	if writer {
		n.writers--
	}
}

// put gives a handle back: the last writing one commits, the last one closes.
func (s *Store) put(n *node, writer bool) error {
	var err error
	last := false
	if writer {
		s.mu.Lock()
		n.writers--
		last = n.writers == 0
		s.mu.Unlock()
	}
	if last {
		if err = n.fold(); err != nil {
			// The file cannot be made now. What was written is kept in the log,
			// which readers see and the next writer makes into the file.
			n.mu.Lock()
			if !n.gone && !n.closed && (!n.unsynced || n.commitLog() == nil) {
				err = fmt.Errorf("what was written is safe in the log of edits, but not committed: %w", err)
			}
			n.mu.Unlock()
		}
	}
	s.ns.Lock() // against a name that is being changed
	defer s.ns.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	s.mu.Lock()
	n.refs--
	end, idle := n.refs == 0, n.writers == 0
	if end && s.nodes[n.name] == n {
		delete(s.nodes, n.name)
	}
	s.mu.Unlock()
	if last && idle {
		n.release()
		n.kept = false // a later session keeps its own
	}
	if end {
		n.finish()
	}
	return err
}

func (e *Edit) use() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return fs.ErrClosed
	}
	return nil
}

func (e *Edit) fail(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return pathError(op, e.name, err)
}

func (e *Edit) mayWrite() error {
	if !writes(e.flag) {
		return ErrReadOnly
	}
	return e.use()
}

// ReadAt implements [io.ReaderAt].
func (e *Edit) ReadAt(p []byte, off int64) (int, error) {
	err := e.use()
	if err == nil && e.flag&os.O_WRONLY != 0 {
		err = fs.ErrPermission
	}
	if err != nil {
		return 0, e.fail("read", err)
	}
	n, err := e.n.readAt(p, off)
	return n, e.fail("read", err)
}

// WriteAt implements [io.WriterAt]; a handle with O_APPEND writes at the end whatever off is.
func (e *Edit) WriteAt(p []byte, off int64) (int, error) {
	if e.flag&os.O_APPEND != 0 {
		n, _, err := e.append(p)
		return n, err
	}
	if err := e.mayWrite(); err != nil {
		return 0, e.fail("write", err)
	}
	n, err := e.n.writeAt(p, off)
	return n, e.written(err)
}

func (e *Edit) append(p []byte) (int, int64, error) {
	if err := e.mayWrite(); err != nil {
		return 0, 0, e.fail("write", err)
	}
	n, end, err := e.n.appendBytes(p)
	return n, end, e.written(err)
}

func (e *Edit) written(err error) error {
	if err == nil && e.flag&os.O_SYNC != 0 {
		err = e.n.sync()
	}
	return e.fail("write", err)
}

// Read implements [io.Reader] at the handle's position.
func (e *Edit) Read(p []byte) (int, error) {
	e.mu.Lock()
	at := e.pos
	e.mu.Unlock()
	n, err := e.ReadAt(p, at)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pos = at + int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Write implements [io.Writer] at the handle's position.
func (e *Edit) Write(p []byte) (int, error) {
	e.mu.Lock()
	at := e.pos
	e.mu.Unlock()
	var n int
	var err error
	if e.flag&os.O_APPEND != 0 {
		var end int64
		n, end, err = e.append(p)
		at = end - int64(n)
	} else {
		n, err = e.WriteAt(p, at)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pos = at + int64(n)
	return n, err
}

// Seek implements [io.Seeker].
func (e *Edit) Seek(offset int64, whence int) (int64, error) {
	size := e.Size()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0, e.fail("seek", fs.ErrClosed)
	}
	at, err := seekTo(e.pos, size, offset, whence)
	if err != nil {
		return e.pos, e.fail("seek", err)
	}
	e.pos = at
	return at, nil
}

// Truncate sets the size; what is added reads as zeros.
func (e *Edit) Truncate(size int64) error {
	err := e.mayWrite()
	if err == nil {
		err = e.n.truncate(size)
	}
	if err == nil && e.flag&os.O_SYNC != 0 {
		err = e.n.sync()
	}
	return e.fail("truncate", err)
}

// Size is the number of bytes now; 0 after Close.
func (e *Edit) Size() int64 { return e.n.size() }

// Sync makes everything that any handle of the file has written durable.
func (e *Edit) Sync() error {
	err := e.use()
	if err == nil {
		err = e.n.sync()
	}
	return e.fail("sync", err)
}

// Name is the name that the file has now; "" when it has none any more.
func (e *Edit) Name() string {
	e.n.mu.RLock()
	defer e.n.mu.RUnlock()
	if e.n.gone {
		return ""
	}
	return e.n.name
}

// Info describes the file as it is through this handle.
func (e *Edit) Info() Info {
	n := e.n
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.closed {
		return Info{Name: e.name}
	}
	i := n.file.info
	i.Name, i.Modified = n.name, n.time
	if n.unfolded {
		i.Size, i.Digest, i.Editing = n.layers.size, [32]byte{}, true
	}
	return i
}

// Chtimes notes another time of the last change.
func (e *Edit) Chtimes(mtime time.Time) error {
	if err := e.mayWrite(); err != nil {
		return e.fail("chtimes", err)
	}
	if name := e.Name(); name != "" {
		return e.n.s.Chtimes(name, mtime)
	}
	e.n.setTime(mtime)
	return nil
}

// Close ends the handle. When it is the last one that could write, the file is
// committed; an error says that it was not, and what became of it.
func (e *Edit) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return e.fail("close", fs.ErrClosed)
	}
	e.closed = true
	e.mu.Unlock()
	return e.fail("close", e.n.s.put(e.n, writes(e.flag)))
}
