package infinitemap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/pxos/pxos/host/disk"
)

// Overlay is a map of changes over another map, which it never touches: a tile is copied
// when it is first changed, everything else is read from below. It has all methods of a
// Map; Flush makes the changes durable in the overlay's own directory.
//
// An entry of an overlay's index carries, in place of a generation of its own, that of
// the tile below when it was copied (0 for none), so that Keep sees what changed since.
type Overlay struct{ *Map }

// OpenOverlay opens or makes the overlay in a directory of its own. lower must be open
// for reading; the overlay shows the state that lower shows now, and stays valid when
// lower is refreshed or closed. Where lower has moved on since the overlay was last
// open, its changed tiles lie over the new state.
func OpenOverlay(lower *Map, upper disk.FS, opt Options) (*Overlay, error) {
	if opt.ReadOnly {
		return nil, errors.New("an overlay cannot be opened for reading only")
	}
	if !lower.opt.ReadOnly || lower.base != nil {
		return nil, errors.New("the map below an overlay must be open for reading, and be no overlay")
	}
	lower.mu.RLock()
	if lower.closed {
		lower.mu.RUnlock()
		return nil, ErrClosed
	}
	base := lower.view.retain()
	lower.mu.RUnlock()
	if opt.TileSize == 0 {
		opt.TileSize = 1 << base.shift
	}
	if opt.TileSize != 1<<base.shift {
		base.release()
		return nil, fmt.Errorf("the map below has tiles of %d pixels, not %d", 1<<base.shift, opt.TileSize)
	}
	m, err := open(upper, opt, base)
	if err != nil {
		base.release()
		return nil, err
	}
	if m.view.baseGen != base.generation {
		if err := m.rebase(); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	return &Overlay{m}, nil
}

// rebase forgets the overlay's levels above 0, which were made over an older state of
// the map below, and marks its tiles as changed, so that the levels are made again.
func (m *Map) rebase() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.room.force = true
	defer func() { m.room.force = false }()
	man := *m.view.manifest
	man.segments = slices.Clone(man.segments)
	m.view.manifest = &man
	m.top = m.base.top
	place := make(map[uint32]int, len(man.segments))
	for i, s := range man.segments {
		place[s.number] = i
	}
	var mine []cell
	fault := disk.Guarded(func() {
		above := key{hi: 1 << 56}
		sources := m.view.sources(nil, false)
		// Only the newest entry of a key holds its tile alive.
		for level := 1; level <= man.top; level++ {
			w := walker{sources: sources, area: everything(level, m.shift)}
			w.visit = func(s *source, i int, _ cell) bool {
				e := s.entry(i)
				if at, ok := place[e.segment]; ok && e.block != cleared && man.segments[at].live > 0 {
					man.segments[at].live--
				}
				return true
			}
			w.walk()
		}
		for _, r := range m.view.open {
			n := sort.Search(len(r.data)/entrySize, func(i int) bool { return !getEntry(r.data[i*entrySize : (i+1)*entrySize]).key.less(above) })
			r.data = r.data[:n*entrySize]
		}
		w := walker{sources: m.view.sources(nil, false), area: everything(0, m.shift)}
		w.visit = func(_ *source, _ int, c cell) bool {
			mine = append(mine, c)
			return true
		}
		w.walk()
	})
	if fault != nil {
		return &IndexError{File: "idx", Err: fault}
	}
	for _, c := range mine {
		var damaged *TileError
		if _, err := m.writable(c, false); err != nil && !errors.As(err, &damaged) {
			return err
		}
	}
	return nil
}

// ChangeKind says what an overlay did to a tile.
type ChangeKind string

// The kinds of Change.
const (
	Added   ChangeKind = "added"   // below it is black
	Changed ChangeKind = "changed" // other pixels than below
	Cleared ChangeKind = "cleared" // black, below it is not
)

// Change is a tile that differs from the map below.
type Change struct {
	TX, TY int64
	Area   Rect
	Kind   ChangeKind

	gen uint64
}

// Diff lists the tiles of level 0 that differ from the map below, in Morton order,
// unflushed changes included.
func (o *Overlay) Diff(ctx context.Context) ([]Change, error) {
	m := o.Map
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	var out []Change
	fault := disk.Guarded(func() {
		sources := m.view.sources(m.mem.sources(nil), false)
		w := walker{sources: sources, area: everything(0, m.shift)}
		w.visit = func(s *source, i int, c cell) bool {
			ch := Change{TX: c.x, TY: c.y, Area: c.pixels(m.shift)}
			if s.run != nil {
				ch.gen = s.entry(i).gen
			} else {
				m.cache.mu.Lock()
				ch.gen = m.dirty[s.keys[i]].baseGen
				m.cache.mu.Unlock()
			}
			out = append(out, ch)
			return true
		}
		w.walk()
	})
	if fault != nil {
		return nil, &IndexError{File: "idx", Err: fault}
	}
	if err := m.view.lost(); err != nil {
		return nil, err
	}
	below := make([]byte, m.tileBytes)
	kept := out[:0]
	for _, ch := range out {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c := cell{0, ch.TX, ch.TY}
		t, err := m.find(c)
		if err != nil {
			return nil, err
		}
		had, err := m.base.read(c, below)
		if err != nil {
			return nil, err
		}
		has := !t.absent && !isBlack(t.data, m.black)
		switch {
		case has && !had:
			ch.Kind = Added
		case had && !has:
			ch.Kind = Cleared
		case has && !bytes.Equal(t.data, below):
			ch.Kind = Changed
		default:
			continue
		}
		kept = append(kept, ch)
	}
	return kept, nil
}

// lost returns damage of an index that may hide changes.
func (v *view) lost() error {
	for _, r := range v.open {
		for _, g := range r.gaps {
			return &IndexError{File: runName(r.info.number), Err: g.err}
		}
	}
	return nil
}

// read copies a tile of a state into dst; false stands for black.
func (v *view) read(c cell, dst []byte) (ok bool, err error) {
	var e entry
	if fault := disk.Guarded(func() { e, ok, err = v.lookup(c.key()) }); fault != nil {
		err = &IndexError{File: "idx", Err: fault}
	}
	if err != nil {
		return false, &TileError{c.level, c.x, c.y, indexFile(err), err}
	}
	if !ok || e.block == cleared {
		return false, nil
	}
	s := v.segs[e.segment]
	if s == nil {
		return false, &TileError{c.level, c.x, c.y, segmentName(e.segment), errors.New("the manifest does not name this file")}
	}
	if err := s.readBlock(dst, e.block); err != nil {
		return false, &TileError{c.level, c.x, c.y, s.name(), err}
	}
	return true, nil
}

// Keep writes the overlay's changes to target, which is the map below opened for
// writing, in one flush: all or nothing. Tiles that target changed since the overlay
// copied them are a conflict, and a *ConflictError names them, unless both came to the
// same pixels. Nobody else may change target meanwhile. The overlay stays as it is;
// Drop it afterwards.
func (o *Overlay) Keep(ctx context.Context, target *Map) error {
	if target.opt.ReadOnly {
		return ErrReadOnly
	}
	target.mu.RLock()
	same := !target.closed && target.view.id == o.base.id && target.base == nil
	target.mu.RUnlock()
	if !same {
		return errors.New("this is not the map below the overlay")
	}
	changes, err := o.Diff(ctx)
	if err != nil {
		return err
	}
	if err := target.Flush(ctx); err != nil {
		return err
	}
	buf, have := make([]byte, o.tileBytes), make([]byte, o.tileBytes)
	var conflicts []TileID
	for _, ch := range changes {
		c := cell{0, ch.TX, ch.TY}
		target.mu.RLock()
		e, ok, err := target.lookup(c.key())
		target.mu.RUnlock()
		if err == nil && (ok && e.gen == ch.gen || !ok && ch.gen == 0) {
			continue
		}
		if err := o.tile(c, buf); err != nil {
			return err
		}
		if err := target.tile(c, have); err != nil || !bytes.Equal(buf, have) {
			conflicts = append(conflicts, TileID{0, ch.TX, ch.TY})
		}
	}
	if len(conflicts) > 0 {
		return &ConflictError{conflicts}
	}
	err = func() error {
		for _, ch := range changes {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := o.tile(cell{0, ch.TX, ch.TY}, buf); err != nil {
				return err
			}
			if err := target.WriteRegion(buf, 3*o.size, ch.Area.Min.X, ch.Area.Min.Y, o.size, o.size); err != nil {
				return err
			}
		}
		return target.Flush(ctx)
	}()
	var unsure *CommitError
	if err != nil && !errors.As(err, &unsure) {
		return errors.Join(err, target.Discard())
	}
	return err
}

// tile copies a tile of level 0.
func (m *Map) tile(c cell, dst []byte) error {
	at := c.pixels(m.shift).Min
	return m.ReadRegion(dst, 3*m.size, at.X, at.Y, m.size, m.size)
}

// Drop throws the overlay away, its snapshots too, and closes it. A crash on the way
// leaves an empty overlay or none.
func (o *Overlay) Drop() error {
	m := o.Map
	if err := m.lockWrite(); err != nil {
		return err
	}
	m.forgetChanges()
	// Without its manifest the directory is no map any more, whatever else is left.
	err := m.fsys.Remove(manifestName)
	if err == nil {
		err = m.fsys.SyncDir(".")
	}
	if err == nil {
		var list []string
		for name := range m.needed(m.view.manifest) {
			list = append(list, name)
		}
		for name := range m.obsolete {
			list = append(list, name)
		}
		slices.Sort(list)
		for _, name := range list {
			if e := m.fsys.Remove(name); e != nil && !missing(e) {
				err = errors.Join(err, e)
			}
		}
		err = errors.Join(err, m.fsys.RemoveAll(snapshotDir))
		m.snapshots, m.obsolete = nil, map[string]uint64{}
		m.unsure = true // nothing is left to sweep
	}
	m.mu.Unlock()
	return errors.Join(err, m.Close())
}
