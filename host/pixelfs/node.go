package pixelfs

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"

	"github.com/pxos/pxos/abi/pxi"
)

const (
	maxFresh  = 1024     // pages kept in memory before they go to the log
	foldSmall = 1 << 20  // files up to this size are committed whole by the first Sync
	foldLog   = 64 << 20 // a log longer than this, and than the file, is folded
	foldMost  = 1 << 30  // a log longer than this is folded whatever the file
)

// node is a file that this process has open for editing or for reading through an Edit.
// All handles of one file share it. Its state is a base and pages over it; Sync writes
// the pages to a log, and folding makes a new file of it all.
type node struct {
	s *Store

	// Guarded by Store.mu.
	name    string
	refs    int
	writers int

	mu       sync.RWMutex
	layers   layers
	file     *File // the base
	lease    io.Closer
	gone     bool // the name stands for something else now, or for nothing
	closed   bool
	kept     bool  // the content before this session is kept
	stored   int64 // bytes on the disk of the base
	gen      uint64
	time     time.Time
	timeSet  bool  // by somebody, since the last change
	low      int64 // the least size since the last frame
	unsynced bool  // changed since the last commit
	unfolded bool  // changed since the base was made
	synced   int   // commits of this session
	broken   bool  // a sync of the log failed: it takes no more
	limbo    bool  // the base has its name, but perhaps not for good

	head    logHead
	logAt   int64 // end of the log
	number  uint64
	logOpen bool // the log's name is durable
	comp    pxi.Compression
	width   uint32
}

// rebase makes f the base, with nothing over it.
func (n *node) rebase(f *File) {
	old, oldLog := n.file, n.layers.log
	n.file, n.stored = f, f.info.Stored
	n.layers = layers{base: f, limit: f.info.Size, size: f.info.Size, pages: map[int64]slot{}, fresh: map[int64]*[page]byte{}}
	n.time, n.low = f.info.Modified, f.info.Size
	n.head = logHead{sum: f.info.Digest, size: f.info.Size}
	n.logAt, n.number, n.logOpen, n.broken = 0, 0, false, false
	n.unsynced, n.unfolded = false, false
	n.comp, n.width = f.info.Compression, f.info.Width
	if old != nil && old != f {
		old.Close()
	}
	if oldLog != nil {
		oldLog.Close()
	}
}

func (n *node) readAt(p []byte, off int64) (int, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.closed {
		return 0, fs.ErrClosed
	}
	return n.layers.ReadAt(p, off)
}

// credit is what a commit would free: the base, once its content is kept elsewhere.
func (n *node) credit() int64 {
	if n.kept {
		return n.stored
	}
	return 0
}

// fits checks that the file may have a size.
func (n *node) fits(size int64) error {
	if size < 0 || size > MaxSize {
		return ErrTooLarge
	}
	if size <= n.layers.size {
		return nil
	}
	if err := n.s.early(n.s.inflight.Load()+pxi.FileSize(size, n.width, 0), n.credit()); err != nil {
		return err
	}
	if size-n.layers.size > 1<<26 { // a jump: zeros that will be stored
		free, err := n.s.fsys.Free()
		if err == nil && size > free {
			return fmt.Errorf("%w: %d bytes are more than the %d that are free", ErrTooLarge, size, free)
		}
	}
	return nil
}

func (n *node) writeAt(p []byte, off int64) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.write(p, off)
}

func (n *node) appendBytes(p []byte) (int, int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := n.layers.size
	k, err := n.write(p, at)
	return k, at + int64(k), err
}

func (n *node) write(p []byte, off int64) (int, error) {
	if n.closed {
		return 0, fs.ErrClosed
	}
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	if off > MaxSize-int64(len(p)) {
		return 0, ErrTooLarge
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := n.fits(off + int64(len(p))); err != nil {
		return 0, err
	}
	done := 0
	for done < len(p) {
		// A long write goes in pieces, so that the memory stays bounded.
		part := p[done:min(len(p), done+maxFresh*page/2)]
		k, err := n.layers.write(part, off+int64(done))
		if k > 0 {
			n.touch()
		}
		done += k
		if err == nil && len(n.layers.fresh) >= maxFresh {
			err = n.spill(0)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (n *node) touch() {
	n.gen++
	n.unsynced, n.unfolded = true, true
	n.time, n.timeSet = n.s.now(), false
}

func (n *node) truncate(size int64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return fs.ErrClosed
	}
	if size < 0 {
		return fs.ErrInvalid
	}
	if size == n.layers.size {
		return nil
	}
	if err := n.fits(size); err != nil {
		return err
	}
	if err := n.layers.truncate(size); err != nil {
		return err
	}
	n.low = min(n.low, size)
	n.touch()
	return nil
}

func (n *node) size() int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.layers.size
}

// spill writes the fresh pages to the log, in frames of which the last has the flags.
func (n *node) spill(flags uint32) error {
	if n.broken {
		return errors.New("the log of its edits cannot be written any more")
	}
	if err := n.openLog(); err != nil {
		return err
	}
	list := sortedPages(n.layers.fresh)
	for {
		part := list[:min(len(list), maxFramePages)]
		list = list[len(part):]
		f := frame{number: n.number + 1, size: n.layers.size, low: min(n.low, n.layers.size), time: n.time.UnixNano(), pages: part}
		if len(list) == 0 {
			f.flags = flags
		}
		for _, i := range part {
			f.crcs = append(f.crcs, crc32.Checksum(n.layers.fresh[i][:], castagnoli))
		}
		b := f.encode(n.head.id)
		data := n.logAt + int64(len(b))
		for _, i := range part {
			b = append(b, n.layers.fresh[i][:]...)
		}
		if _, err := n.layers.log.WriteAt(b, n.logAt); err != nil {
			return err
		}
		n.logAt += int64(len(b))
		n.number++
		n.low = n.layers.size
		for k, i := range part {
			n.layers.pages[i] = slot{data + int64(k)*page, f.crcs[k]}
			delete(n.layers.fresh, i)
		}
		if len(list) == 0 {
			return nil
		}
	}
}

// openLog makes the log when there is none yet.
func (n *node) openLog() error {
	if n.layers.log != nil {
		return nil
	}
	name := n.s.temp()
	n.head.kept = n.kept
	if !n.gone {
		place, err := filePlace(n.name)
		if err != nil {
			return err
		}
		name = editDir + "/" + place
		n.head.name = n.name
		if err := n.s.durable(path.Dir(name)); err != nil {
			return err
		}
	} else {
		n.head.name = "unnamed"
	}
	f, err := n.s.fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if err := startLog(f, &n.head); err != nil {
		return errors.Join(err, f.Close())
	}
	if n.gone {
		// Nobody else needs the name; where it cannot go while the file is open, it
		// goes with the next start.
		n.s.fsys.Remove(name)
	}
	n.layers.log, n.logAt, n.number, n.logOpen = f, logHeader, 0, false
	return nil
}

// sync makes the state durable; other processes see it from then on.
func (n *node) sync() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return fs.ErrClosed
	}
	if n.gone || !n.unsynced {
		n.mu.Unlock()
		return nil
	}
	whole := n.broken || n.synced == 0 && n.layers.size <= foldSmall && n.layers.log == nil
	if !whole {
		if err := n.commitLog(); err != nil {
			// What the log took may be lost although it reads back: all of it goes
			// into a new file.
			n.broken, whole = true, true
		}
	}
	n.synced++
	long := n.logAt > foldMost || n.logAt > foldLog && n.logAt > n.layers.size
	n.mu.Unlock()
	if whole || long {
		return n.fold()
	}
	return nil
}

func (n *node) commitLog() error {
	if err := n.spill(frameCommit); err != nil {
		return err
	}
	if err := n.layers.log.Sync(); err != nil {
		return err
	}
	if !n.logOpen {
		place, err := filePlace(n.name)
		if err != nil {
			return err
		}
		if err := n.s.fsys.SyncDir(path.Dir(editDir + "/" + place)); err != nil {
			return err
		}
		n.logOpen = true
	}
	n.unsynced = false
	return nil
}

// fold makes a new whole file of the state and commits it under the name.
func (n *node) fold() error {
	n.mu.RLock()
	if n.gone || !n.unfolded {
		n.mu.RUnlock()
		return nil
	}
	gen := n.gen
	st, err := n.stage()
	n.mu.RUnlock()
	if err != nil {
		return err
	}
	return n.s.locked(func() error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.gone || n.closed || !n.unfolded {
			st.drop(false)
			return nil
		}
		if n.gen != gen {
			st.drop(false)
			if st, err = n.stage(); err != nil {
				return err
			}
		}
		return n.publish(st)
	})
}

// foldHere is fold within the store's lock, for a node that is locked.
func (n *node) foldHere() error {
	if n.gone || !n.unfolded {
		return nil
	}
	st, err := n.stage()
	if err != nil {
		return err
	}
	return n.publish(st)
}

func (n *node) stage() (*staged, error) {
	opt := PutOptions{Compression: n.comp, Plain: n.comp == pxi.None && n.s.opt.Compression == pxi.None, Width: n.width, Hint: n.layers.size}
	if n.timeSet {
		opt.Modified = n.time
	}
	return n.s.stage(nil, &layerReader{l: &n.layers}, opt, n.credit())
}

// layerReader reads a state from the start, whatever its length becomes.
type layerReader struct {
	l   *layers
	off int64
}

func (r *layerReader) Read(p []byte) (int, error) {
	n, err := r.l.ReadAt(p, r.off)
	r.off += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// publish commits staged content as the file. The node and the store are locked.
func (n *node) publish(st *staged) error {
	// The new base is opened before it has its name, so that nothing can come between.
	f, err := n.s.fsys.OpenFile(st.temp, os.O_RDONLY)
	if err != nil {
		st.drop(false)
		return err
	}
	base, err := n.s.newFile(n.name, f)
	if err != nil {
		st.drop(false)
		return errors.Join(err, f.Close())
	}
	if n.layers.log != nil && !n.broken {
		// So that a crash between here and the removal of the log is understood: without
		// it, the log would be that of a file that somebody replaced.
		fr := frame{flags: frameFolded, number: n.number + 1, size: n.layers.size, low: n.layers.size, sum: st.header.Sum}
		if _, err := n.layers.log.WriteAt(fr.encode(n.head.id), n.logAt); err == nil {
			n.number++
			n.logAt += fr.bytes()
			if n.logOpen {
				n.layers.log.Sync()
			}
		}
	}
	place, err := filePlace(n.name)
	if err != nil {
		st.drop(false)
		return errors.Join(err, base.Close())
	}
	c := &change{name: n.name, place: place, st: st, self: n, settled: true, nokeep: n.kept}
	if _, err = n.s.commitOne(c); err != nil && !c.renamed {
		base.Close()
		return err
	}
	n.kept = true
	hadLog := n.layers.log != nil || n.limbo
	mtime := n.time
	n.rebase(base)
	n.time = mtime
	if n.limbo = err != nil; n.limbo {
		// The file has its name, but a power loss may take it away again. The log
		// stays for that case, and everything goes once more into a new file.
		n.broken, n.unsynced, n.unfolded = true, true, true
		return err
	}
	if hadLog {
		// The file is committed. Where this fails the log is cleared away before the
		// next change of the file.
		n.s.removeLog(place)
	}
	return nil
}

// settle prepares the node of a name for the end of its standing for it: what was
// changed becomes a file first.
func (n *node) settle() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.foldHere()
}

// detach ends the node's standing for its name. Handles go on with the content.
func (n *node) detach() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone {
		return
	}
	n.gone = true
	if n.layers.log != nil {
		if place, err := filePlace(n.name); err == nil {
			n.s.fsys.Remove(editDir + "/" + place)
		}
	}
	n.release()
}

// release gives the lease back.
func (n *node) release() {
	if n.lease == nil {
		return
	}
	if place, err := filePlace(n.name); err == nil {
		n.s.fsys.Remove(leaseDir + "/" + place)
	}
	n.lease.Close()
	n.lease = nil
}

// describe corrects what a listing says about the file; false where the file says it all.
func (n *node) describe(i *Info) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.gone || n.closed || n.lease == nil {
		return false
	}
	if n.unfolded {
		i.Size, i.Modified, i.Digest, i.Editing = n.layers.size, n.time, [32]byte{}, true
	}
	return true
}

func (n *node) setTime(t time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.time, n.timeSet = t, true
}

// shut commits what is open and closes it for good.
func (n *node) shut() error {
	err := n.fold()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.finish()
	return err
}

// finish closes what the node has open. The node is locked.
func (n *node) finish() {
	if n.closed {
		return
	}
	n.closed = true
	n.release()
	if n.file != nil {
		n.file.Close()
	}
	if n.layers.log != nil {
		n.layers.log.Close()
	}
	n.layers = layers{}
}
