package infinitemap

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"sync"
	"syscall"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
)

// DefaultCacheBytes is the memory for tiles when Options do not say.
const DefaultCacheBytes = 64 << 20

// Options say how a map is opened. The zero value opens it for writing, and makes it
// with tiles of DefaultTileSize where there is none.
type Options struct {
	// TileSize is the side of a tile in pixels, a power of two from MinTileSize to
	// MaxTileSize. 0 means that of the map, or DefaultTileSize for a new one; another
	// size than an existing map has is an error.
	TileSize int
	// CacheBytes bounds the pixels held in memory; 0 means DefaultCacheBytes. At
	// least one tile is held.
	CacheBytes int64
	// ReadOnly opens the last flushed state. Any number of readers may be open beside
	// one writer, in this process and others.
	ReadOnly bool
	// Compression of new tiles, each by itself where it pays: pxi.None, pxi.RLE or
	// pxi.LZ4. The zero value and pxi.Auto mean LZ4; NoCompression stores tiles as
	// they are.
	Compression   pxi.Compression
	NoCompression bool
	// NoPrefetch leaves out reading ahead of a movement.
	NoPrefetch bool
	// Quota, when not nil, bounds the disk that this map and those beside it take.
	Quota *Quota
}

// Map is an open map. All methods may be called at the same time: readers do not wait
// for one another, and a flush stops writers only.
type Map struct {
	fsys      disk.FS
	opt       Options
	shift     uint // log2 of the tile's side
	size      int
	tileBytes int
	black     []byte
	pool      *filePool
	lock      io.Closer // the writer's

	// mu is held for reading by what only reads pixels, for writing by what changes
	// them. flushing means that a flush holds it for reading and changes must wait.
	mu       rwlock
	idle     *sync.Cond // flushing became false; uses mu
	flushing bool
	closed   bool
	fixed    bool // a snapshot

	view       *view
	base       *view // overlay: the state below
	generation uint64
	next       uint32
	unsure     bool // the last commit may or may not be on the disk
	top        int  // levels that are kept, with unflushed tiles counted in
	bounds     cells
	hasBounds  bool

	dirty    map[key]*change // guarded by mu for writing, or by cache.mu
	mem      memtable        // their keys
	unlifted []key           // of level 0, the levels above do not know of them yet
	seq      uint64

	cache    cache
	scratch  scratch
	room     pledge // in opt.Quota; guarded as dirty is
	spillErr error  // of the last eviction that failed; guarded by cache.mu

	joinBelow uint64               // index runs of at most so many entries are always joined
	snapshots map[string]*manifest // the writer's knowledge of them
	obsolete  map[string]uint64    // file → generation that no longer needs it
	sweepErr  error

	ahead prefetcher
	count counters
}

// Open opens the map in a directory. Without ReadOnly it makes the map when there is
// none, and fails with ErrBusy when the map has a writer. With ReadOnly it fails with
// an error that matches fs.ErrNotExist when there is no map.
func Open(fsys disk.FS, opt Options) (*Map, error) {
	return open(fsys, opt, nil)
}

func newMap(fsys disk.FS, opt Options, base *view) *Map {
	m := &Map{fsys: fsys, opt: opt, pool: newFilePool(), base: base, joinBelow: 4096}
	m.mu.init()
	m.idle = sync.NewCond(&m.mu)
	return m
}

func open(fsys disk.FS, opt Options, base *view) (_ *Map, err error) {
	if s := opt.TileSize; s != 0 && (s < MinTileSize || s > MaxTileSize || s&(s-1) != 0) {
		return nil, fmt.Errorf("a tile of %d pixels: choose a power of two from %d to %d", s, MinTileSize, MaxTileSize)
	}
	switch opt.Compression {
	case pxi.None, pxi.Auto:
		opt.Compression = pxi.LZ4
		if opt.NoCompression {
			opt.Compression = pxi.None
		}
	case pxi.RLE, pxi.LZ4:
	default:
		return nil, fmt.Errorf("compression %v: choose none, rle or lz4", opt.Compression)
	}
	m := newMap(fsys, opt, base)
	if opt.ReadOnly {
		man, pin, err := readPinned(fsys, manifestName)
		if err != nil {
			return nil, err
		}
		if err := m.start(newView(fsys, m.pool, man, nil, pin)); err != nil {
			return nil, err
		}
		return m, nil
	}
	m.lock, err = fsys.Lock(lockName, disk.Exclusive)
	if errors.Is(err, disk.ErrLocked) {
		return nil, ErrBusy
	}
	if err != nil {
		return nil, fmt.Errorf("lock the map: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.lock.Close())
		}
	}()
	man, err := readManifest(fsys, manifestName)
	if missing(err) {
		man, err = m.create()
	}
	if err != nil {
		return nil, err
	}
	if err := m.start(newView(fsys, m.pool, man, nil, nil)); err != nil {
		return nil, err
	}
	if err := m.adopt(); err != nil {
		m.view.release()
		return nil, err
	}
	return m, nil
}

// create writes the manifest of a new, empty map.
func (m *Map) create() (*manifest, error) {
	size := m.opt.TileSize
	if size == 0 {
		size = DefaultTileSize
	}
	man := &manifest{shift: uint(bits.TrailingZeros(uint(size))), generation: 1, next: 1}
	if m.base != nil {
		man.overlay, man.baseID, man.baseGen = true, m.base.id, m.base.generation
		man.shift, man.top = m.base.shift, m.base.top
		man.bounds, man.hasBounds = m.base.bounds, m.base.hasBounds
	}
	if _, err := rand.Read(man.id[:]); err != nil {
		return nil, err
	}
	if err := writeManifest(m.fsys, manifestName, man); err != nil {
		return nil, fmt.Errorf("make the map: %w", err)
	}
	return man, nil
}

// start sets up the memory of a map whose state is v.
func (m *Map) start(v *view) error {
	fail := func(err error) error {
		v.release()
		return err
	}
	if s := m.opt.TileSize; s != 0 && s != 1<<v.shift {
		return fail(fmt.Errorf("the map has tiles of %d pixels, not %d", 1<<v.shift, s))
	}
	switch {
	case m.base == nil && v.overlay:
		return fail(errors.New("this is an overlay: open it with OpenOverlay and the map below it"))
	case m.base != nil && !v.overlay:
		return fail(errors.New("this is a map of its own and no overlay: choose another directory"))
	case m.base != nil && v.baseID != m.base.id:
		return fail(errors.New("the overlay belongs to another map"))
	}
	m.shift = v.shift
	m.size = 1 << m.shift
	m.tileBytes = 3 * m.size * m.size
	m.black = make([]byte, m.tileBytes)
	cache := m.opt.CacheBytes
	if cache <= 0 {
		cache = DefaultCacheBytes
	}
	m.cache.limit = int(max(1, min(cache/int64(m.tileBytes), 1<<24)))
	m.cache.tiles = make(map[key]*tile)
	m.dirty = make(map[key]*change)
	m.next = v.next
	m.setView(v)
	m.ahead.start(m)
	return nil
}

// setView takes over a state that has no unflushed changes beside it.
func (m *Map) setView(v *view) {
	m.view = v
	m.generation = v.generation
	m.top, m.bounds, m.hasBounds = v.top, v.bounds, v.hasBounds
	if m.base != nil && m.base.hasBounds {
		if m.hasBounds {
			m.bounds = m.bounds.join(cell{0, m.base.bounds.x0, m.base.bounds.y0}).join(cell{0, m.base.bounds.x1, m.base.bounds.y1})
		} else {
			m.bounds, m.hasBounds = m.base.bounds, true
		}
		m.top = max(m.top, m.base.top)
	}
}

// readPinned reads a manifest and keeps the writer from removing what it names. Where
// nothing can be written, as on a read-only disk, nothing is kept: there, a tile whose
// file is gone gives a TileError.
func readPinned(fsys disk.FS, name string) (*manifest, io.Closer, error) {
	gate, err := fsys.Lock(gateName, disk.Shared|disk.Wait)
	if missing(err) {
		if e := fsys.MkdirAll(pinDir); e == nil {
			gate, err = fsys.Lock(gateName, disk.Shared|disk.Wait)
		} else {
			err = e
		}
	}
	if err != nil && !unwritable(err) {
		return nil, nil, fmt.Errorf("wait for the writer: %w", err)
	}
	man, rerr := readManifest(fsys, name)
	var pin io.Closer
	if rerr == nil && err == nil {
		pin, err = fsys.Lock(pinName(man.generation), disk.Shared|disk.Wait)
		if err != nil && !unwritable(err) {
			rerr = fmt.Errorf("keep the state from being removed: %w", err)
		}
	}
	if gate != nil {
		if err := gate.Close(); err != nil && rerr == nil {
			rerr = err
		}
	}
	if rerr != nil {
		if pin != nil {
			rerr = errors.Join(rerr, pin.Close())
		}
		return nil, nil, rerr
	}
	return man, pin, nil
}

func pinName(generation uint64) string { return fmt.Sprintf("%s/%d", pinDir, generation) }

// unwritable reports whether a lock could not be taken because nothing may be written.
func unwritable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// lockWrite takes the lock for a change and says why there can be none.
func (m *Map) lockWrite() error {
	m.mu.Lock()
	for m.flushing {
		m.idle.Wait()
	}
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	if m.opt.ReadOnly {
		m.mu.Unlock()
		return ErrReadOnly
	}
	return nil
}

// TileSize is the side of a tile in pixels.
func (m *Map) TileSize() int { return m.size }

// ReadOnly reports whether changes are refused.
func (m *Map) ReadOnly() bool { return m.opt.ReadOnly }

// Generation counts the flushed states of a map; a reader's is that of the state it
// shows.
func (m *Map) Generation() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.view.generation
}

// Refresh moves a reader to the newest flushed state and reports whether there was a
// newer one. A writer sees its own changes anyway, and a snapshot stays what it is: for
// them Refresh does nothing.
func (m *Map) Refresh() (bool, error) {
	if !m.opt.ReadOnly || m.fixed {
		return false, nil
	}
	man, pin, err := readPinned(m.fsys, manifestName)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || man.generation == m.view.generation && man.id == m.view.id {
		err := error(nil)
		if m.closed {
			err = ErrClosed
		}
		if pin != nil {
			err = errors.Join(err, pin.Close())
		}
		return false, err
	}
	if man.shift != m.shift || man.overlay != m.view.overlay {
		if pin != nil {
			_ = pin.Close()
		}
		return false, errors.New("another map is in the directory now: open it again")
	}
	old := m.view
	m.setView(newView(m.fsys, m.pool, man, old, pin))
	old.release()
	m.cache.clear(func(t *tile) bool {
		e, ok, err := m.lookup(t.key())
		return err != nil || !ok || e.version() != t.version
	})
	return true, nil
}

// Close releases the map. Changes that were not flushed are lost, as a crash would lose
// them: call Flush before.
func (m *Map) Close() error {
	m.ahead.stop()
	m.mu.Lock()
	for m.flushing {
		m.idle.Wait()
	}
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	m.cache.clear(func(*tile) bool { return true })
	m.dirty, m.mem, m.unlifted = nil, memtable{}, nil
	m.unpledge()
	err := m.scratch.close(m.fsys)
	if m.lock != nil {
		m.sweep()
	}
	m.view.release()
	if m.base != nil {
		m.base.release()
	}
	if m.lock != nil {
		err = errors.Join(err, m.lock.Close())
	}
	return err
}

// Discard forgets all changes since the last flush.
func (m *Map) Discard() error {
	if err := m.lockWrite(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.forgetChanges()
	m.setView(m.view)
	return nil
}

// forgetChanges drops what is not flushed. The caller holds mu for writing.
func (m *Map) forgetChanges() {
	m.cache.clear(func(t *tile) bool { return t.change != nil })
	m.dirty = make(map[key]*change)
	m.mem, m.unlifted = memtable{}, nil
	m.scratch.reset()
	m.unpledge()
}
