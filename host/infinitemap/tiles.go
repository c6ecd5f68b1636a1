package infinitemap

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/pxos/pxos/host/disk"
)

// counters are what Stats reports beside the state.
type counters struct {
	hits, loads, spills, prefetched, evictions atomic.Uint64
}

func (e entry) version() uint64 {
	if e.block == cleared {
		return 0
	}
	return uint64(e.segment)<<32 | uint64(e.block) + 1
}

// lookup finds the entry of a tile as of the last flush, the map below an overlay
// included. ok is false for a tile that is black.
func (m *Map) lookup(k key) (e entry, ok bool, err error) {
	e, _, ok, err = m.lookupIn(k)
	return e, ok, err
}

func (m *Map) lookupIn(k key) (e entry, in *view, ok bool, err error) {
	fault := disk.Guarded(func() {
		in = m.view
		e, ok, err = m.view.lookup(k)
		if err == nil && !ok && m.base != nil {
			in = m.base
			e, ok, err = m.base.lookup(k)
		}
	})
	if fault != nil {
		return entry{}, nil, false, &IndexError{File: "idx", Err: fault}
	}
	if err != nil || !ok || e.block == cleared {
		return entry{}, in, false, err
	}
	return e, in, true, nil
}

// load reads a tile as of the last flush into dst and gives its version; it reports
// false for a tile that is not there.
func (m *Map) load(c cell, dst func() []byte) (version uint64, ok bool, err error) {
	e, in, ok, err := m.lookupIn(c.key())
	if err != nil {
		return 0, false, &TileError{c.level, c.x, c.y, indexFile(err), err}
	}
	if !ok {
		return 0, false, nil
	}
	s := in.segs[e.segment]
	if s == nil {
		return 0, false, &TileError{c.level, c.x, c.y, segmentName(e.segment), errors.New("the manifest does not name this file")}
	}
	m.count.loads.Add(1)
	if err := s.readBlock(dst(), e.block); err != nil {
		return 0, false, &TileError{c.level, c.x, c.y, s.name(), err}
	}
	return e.version(), true, nil
}

func indexFile(err error) string {
	var ie *IndexError
	if errors.As(err, &ie) {
		return ie.File
	}
	return "idx"
}

// find returns a tile for reading. The caller holds mu. A tile that is not there comes
// back with absent set.
func (m *Map) find(c cell) (*tile, error) {
	if t := m.cache.hit(c.level, c.x, c.y); t != nil {
		return t, nil
	}
	if m.closed {
		return nil, ErrClosed
	}
	k := c.key()
	m.cache.mu.Lock()
	if t := m.cache.get(k); t != nil {
		m.cache.mu.Unlock()
		m.count.hits.Add(1)
		return t, nil
	}
	ch := m.dirty[k]
	m.cache.mu.Unlock()

	t := &tile{cell: c, change: ch}
	if ch != nil {
		t.data = make([]byte, m.tileBytes)
		if err := m.scratch.read(t.data, ch); err != nil {
			return nil, &TileError{c.level, c.x, c.y, scratchName, err}
		}
	} else {
		version, ok, err := m.load(c, func() []byte {
			t.data = make([]byte, m.tileBytes)
			return t.data
		})
		if err != nil {
			return nil, err
		}
		if !ok {
			t.absent, t.data = true, m.black
			m.cache.use(t)
			m.cache.show(t)
			return t, nil
		}
		t.version = version
	}
	m.cache.mu.Lock()
	defer m.cache.mu.Unlock()
	if other := m.cache.get(k); other != nil { // loaded twice at the same time
		return other, nil
	}
	if err := m.makeRoom(); err != nil {
		m.spillErr = err // the reader has its tile; the next change meets the error
		return t, nil
	}
	m.cache.put(k, t)
	if ch != nil {
		ch.tile = t
	}
	return t, nil
}

// makeRoom lets one more tile into the cache. A changed tile goes to the scratch file;
// where that fails an unchanged one goes instead, and where there is none the error
// comes back. The caller holds cache.mu, and mu at least for reading.
func (m *Map) makeRoom() error {
	for len(m.cache.heap) >= m.cache.limit {
		t := m.cache.oldest()
		if err := m.spill(t); err != nil {
			t = nil
			for _, o := range m.cache.heap {
				if (o.change == nil || o.change.stored) && (t == nil || o.stamp.Load() < t.stamp.Load()) {
					t = o
				}
			}
			if t == nil {
				return &SpillError{err}
			}
			m.spillErr = &SpillError{err}
		}
		if t.change != nil {
			t.change.tile = nil
		}
		t.hot = false
		m.cache.drop(t)
		m.count.evictions.Add(1)
	}
	return nil
}

// spill makes sure that a changed tile can leave the memory.
func (m *Map) spill(t *tile) error {
	ch := t.change
	if ch == nil || ch.stored {
		return nil
	}
	if err := m.scratch.write(m.fsys, t.data, ch); err != nil {
		return err
	}
	ch.black = isBlack(t.data, m.black)
	m.count.spills.Add(1)
	return nil
}

func isBlack(data, black []byte) bool {
	return data[0] == 0 && data[len(data)/2] == 0 && bytes.Equal(data, black[:len(data)])
}

// writable returns a tile for a change of its pixels. With whole the caller replaces
// all of them, so that they need not be read. The caller holds mu for writing and makes
// its change before it asks for another tile.
func (m *Map) writable(c cell, whole bool) (*tile, error) {
	t := m.cache.hit(c.level, c.x, c.y)
	if t != nil && t.hot {
		m.seq++
		t.change.seq = m.seq
		return t, nil
	}
	k := c.key()
	m.cache.mu.Lock()
	defer m.cache.mu.Unlock()
	t = m.cache.get(k)
	ch := m.dirty[k]
	if c.level == 0 && m.opt.Quota != nil && (t == nil || ch == nil) {
		if err := m.pledge(c, ch != nil); err != nil {
			return nil, err
		}
	}
	var baseGen uint64
	if ch == nil && m.base != nil {
		var err error
		if baseGen, err = m.copiedFrom(k); err != nil {
			return nil, &TileError{c.level, c.x, c.y, indexFile(err), err}
		}
	}
	if t == nil {
		t = &tile{cell: c, change: ch, data: make([]byte, m.tileBytes)}
		switch {
		case whole:
		case ch != nil:
			if err := m.scratch.read(t.data, ch); err != nil {
				return nil, &TileError{c.level, c.x, c.y, scratchName, err}
			}
		default:
			if _, _, err := m.load(c, func() []byte { return t.data }); err != nil {
				return nil, err
			}
		}
		if err := m.makeRoom(); err != nil {
			m.spillErr = err
			return nil, err
		}
		if ch != nil {
			ch.tile = t
		}
		m.cache.put(k, t)
	}
	if ch == nil {
		ch = &change{tile: t, slot: -1, lifted: true, baseGen: baseGen}
		m.dirty[k] = ch
		delete(m.room.above, k)
		m.mem.add(k)
		t.change = ch
		if c.level == 0 {
			if !m.hasBounds {
				m.bounds, m.hasBounds = cells{0, c.x, c.y, c.x, c.y}, true
			} else {
				m.bounds = m.bounds.join(c)
			}
		}
	}
	if c.level == 0 && ch.lifted {
		ch.lifted = false
		m.unlifted = append(m.unlifted, k)
	}
	ch.stored = false
	t.hot = c.level == 0
	m.seq++
	ch.seq = m.seq
	return t, nil
}

// copiedFrom returns the generation of the tile below an overlay that a first change
// copies, 0 when there is none.
func (m *Map) copiedFrom(k key) (gen uint64, err error) {
	fault := disk.Guarded(func() {
		var e entry
		var ok bool
		if e, ok, err = m.view.lookup(k); err == nil && ok {
			gen = e.gen // copied before
			return
		}
		if e, ok, err = m.base.lookup(k); ok && e.block != cleared {
			gen = e.gen
		}
	})
	return gen, errors.Join(err, fault)
}

// sources returns all sorted arrays of keys, the newest first. The caller holds mu.
func (m *Map) sources() []source {
	n := len(m.mem.runs) + len(m.view.open)
	if m.base != nil {
		n += len(m.base.open)
	}
	out := m.mem.sources(make([]source, 0, n))
	out = m.view.sources(out, false)
	if m.base != nil {
		out = m.base.sources(out, true)
	}
	return out
}

// present reports whether what a walk found has a pixel that is not black.
func (m *Map) present(s *source, i int) bool {
	if s.run != nil {
		return s.entry(i).block != cleared
	}
	m.cache.mu.Lock()
	defer m.cache.mu.Unlock()
	ch := m.dirty[s.keys[i]]
	if ch == nil {
		return false
	}
	if ch.tile != nil {
		return !isBlack(ch.tile.data, m.black)
	}
	return !ch.black
}

// walk visits the tiles of an area that are not black, in key order, from key from on.
// visit must not take the map's lock. The error names a damaged part of the index that
// may hide further tiles; all others were visited.
func (m *Map) walk(area cells, from key, visit func(s *source, i int, c cell) bool) error {
	if m.closed {
		return ErrClosed
	}
	var lost error
	fault := disk.Guarded(func() {
		w := walker{sources: m.sources(), area: area, from: from}
		w.visit = func(s *source, i int, c cell) bool {
			return !m.present(s, i) || visit(s, i, c)
		}
		if !w.walk() {
			return
		}
		lost = m.lostIn(area, from)
	})
	if fault != nil {
		return &IndexError{File: "idx", Err: fault}
	}
	return lost
}

// lostIn returns the damage of the index that may hide tiles of an area.
func (m *Map) lostIn(area cells, from key) error {
	runs := m.view.open
	if m.base != nil {
		runs = slices.Concat(runs, m.base.open)
	}
	for _, r := range runs {
		for _, g := range r.gaps {
			if g.first.level() > area.level || g.last.level() < area.level || g.last.less(from) {
				continue
			}
			if g.first.level() == g.last.level() {
				b := uint(common(g.first, g.last))
				c := g.first.cell()
				x0, y0 := c.x>>b<<b, c.y>>b<<b
				last := int64(1)<<b - 1
				if b < coordBits && (x0 > area.x1 || x0|last < area.x0 || y0 > area.y1 || y0|last < area.y0) {
					continue
				}
			}
			return &IndexError{File: runName(r.info.number), Err: g.err}
		}
	}
	return nil
}

// probe visits tiles that are not black while visit narrows the area down, so that a
// search for an extreme looks at few of them. It goes on until visit returns false.
func (m *Map) probe(area *cells, visit func(c cell, area *cells) bool) error {
	var lost error
	fault := disk.Guarded(func() {
		w := walker{sources: m.sources(), area: *area, probe: true}
		w.visit = func(s *source, i int, c cell) bool {
			return !m.present(s, i) || visit(c, &w.area)
		}
		w.walk()
		lost = m.lostIn(*area, key{})
	})
	if fault != nil {
		return &IndexError{File: "idx", Err: fault}
	}
	return lost
}
