package infinitemap

import (
	"fmt"
	"math"
)

// TileID names a tile by its coordinates in tiles of its level.
type TileID struct {
	Level  int
	TX, TY int64
}

// TileInfo is a tile of level 0 with at least one pixel that is not black.
type TileInfo struct {
	TX, TY  int64 // in tiles
	Area    Rect  // in pixels
	Changed bool  // since the last flush
}

// batch is how many tiles a query takes under one lock.
const batch = 4096

// Tiles calls visit for the tiles under r, quarter by quarter of the plane (Morton
// order), until it returns false. It costs what it finds: empty space takes no time.
// visit may use the map. A query of more than 4096 tiles may see changes made meanwhile
// for the tiles still to come. An *IndexError says that all but the tiles in the damaged
// part of the index were visited.
func (m *Map) Tiles(r Rect, visit func(TileInfo) bool) error {
	if !r.Valid() {
		return &RectError{X: r.Min.X, Y: r.Min.Y, Msg: fmt.Sprintf("its corners %v are in the wrong order", r)}
	}
	area := cellsOf(r, 0, m.shift)
	var from key
	var found []TileInfo
	for {
		found = found[:0]
		m.mu.RLock()
		err := m.walk(area, from, func(s *source, i int, c cell) bool {
			found = append(found, TileInfo{c.x, c.y, c.pixels(m.shift), s.run == nil})
			return len(found) < batch
		})
		m.mu.RUnlock()
		for _, t := range found {
			if !visit(t) {
				return nil
			}
		}
		if err != nil || len(found) < batch {
			return err
		}
		last := found[len(found)-1]
		from = cell{0, last.TX, last.TY}.key()
		if from.lo++; from.lo == 0 {
			from.hi++
		}
	}
}

// Bounds returns the smallest rectangle of whole tiles that holds every pixel that is
// not black; ok is false when all are.
func (m *Map) Bounds() (r Rect, ok bool, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return r, false, ErrClosed
	}
	if !m.hasBounds {
		return r, false, nil
	}
	// For each side: look only at what would move it further out.
	b := m.bounds
	side := func(better func(c cell) bool, shrink func(a *cells, c cell) bool) (cell, bool, error) {
		var best cell
		found := false
		a := b
		err := m.probe(&a, func(c cell, area *cells) bool {
			if !found || better(c) {
				best, found = c, true
				return shrink(area, c)
			}
			return true
		})
		return best, found, err
	}
	var best cell
	left, found, err := side(func(c cell) bool { return c.x < best.x }, func(a *cells, c cell) bool {
		best = c
		a.x1 = c.x - 1
		return c.x > a.x0
	})
	if err != nil || !found {
		return r, false, err
	}
	right, _, err := side(func(c cell) bool { return c.x > best.x }, func(a *cells, c cell) bool {
		best = c
		a.x0 = c.x + 1
		return c.x < a.x1
	})
	if err != nil {
		return r, false, err
	}
	top, _, err := side(func(c cell) bool { return c.y < best.y }, func(a *cells, c cell) bool {
		best = c
		a.y1 = c.y - 1
		return c.y > a.y0
	})
	if err != nil {
		return r, false, err
	}
	bottom, _, err := side(func(c cell) bool { return c.y > best.y }, func(a *cells, c cell) bool {
		best = c
		a.y0 = c.y + 1
		return c.y < a.y1
	})
	if err != nil {
		return r, false, err
	}
	lt := cell{0, left.x, top.y}.pixels(m.shift)
	rb := cell{0, right.x, bottom.y}.pixels(m.shift)
	return Rect{lt.Min, rb.Max}, true, nil
}

// Stats describes a map.
type Stats struct {
	TileSize      int    `json:"tile_size"`
	Levels        int    `json:"levels"` // above level 0
	Generation    uint64 `json:"generation"`
	Tiles         uint64 `json:"tiles"` // of level 0 as of the last flush
	Changed       int    `json:"changed"`
	CachedTiles   int    `json:"cached_tiles"`
	CacheLimit    int    `json:"cache_limit"` // in tiles
	Segments      int    `json:"segments"`
	StoredTiles   uint64 `json:"stored_tiles"` // in the segments, all levels
	LiveTiles     uint64 `json:"live_tiles"`   // of them in use
	SegmentBytes  uint64 `json:"segment_bytes"`
	IndexRuns     int    `json:"index_runs"`
	IndexEntries  uint64 `json:"index_entries"`
	DamagedRuns   int    `json:"damaged_runs"`
	Loads         uint64 `json:"loads"`
	Spills        uint64 `json:"spills"`
	Evictions     uint64 `json:"evictions"`
	Prefetched    uint64 `json:"prefetched"`
	ReadOnly      bool   `json:"read_only"`
	Overlay       bool   `json:"overlay"`
	LastEviction  string `json:"last_eviction_error,omitempty"`
	LastCleanup   string `json:"last_cleanup_error,omitempty"`
	ObsoleteFiles int    `json:"obsolete_files"` // kept for readers
}

// Stats returns numbers for people and dashboards. The tiles of the map below an overlay
// are not counted.
func (m *Map) Stats() Stats {
	m.mu.RLock()
	defer m.mu.RUnlock()
	m.cache.mu.Lock()
	defer m.cache.mu.Unlock()
	s := Stats{
		TileSize: m.size, Levels: m.top, Generation: m.view.generation, Tiles: m.view.tiles,
		Changed: len(m.dirty), CachedTiles: len(m.cache.heap), CacheLimit: m.cache.limit,
		Segments: len(m.view.segments), IndexRuns: len(m.view.open),
		Loads: m.count.loads.Load(), Spills: m.count.spills.Load(), Evictions: m.count.evictions.Load(),
		Prefetched: m.count.prefetched.Load(),
		ReadOnly:   m.opt.ReadOnly, Overlay: m.base != nil, ObsoleteFiles: len(m.obsolete),
	}
	for _, g := range m.view.segments {
		s.StoredTiles += uint64(g.blocks)
		s.LiveTiles += uint64(g.live)
		s.SegmentBytes += g.bytes
	}
	for _, r := range m.view.open {
		s.IndexEntries += r.info.entries
		if len(r.gaps) > 0 {
			s.DamagedRuns++
		}
	}
	if m.spillErr != nil {
		s.LastEviction = m.spillErr.Error()
	}
	if m.sweepErr != nil {
		s.LastCleanup = m.sweepErr.Error()
	}
	return s
}

// everything is the area of a level.
func everything(level int, shift uint) cells {
	return cellsOf(Rect{Point{math.MinInt64, math.MinInt64}, Point{math.MaxInt64, math.MaxInt64}}, level, shift)
}
