package infinitemap

import (
	"sync"
	"sync/atomic"
)

// tile is one tile in memory. Its pixels change only while the map's lock is held for
// writing, so that whoever holds it for reading may copy from a tile that has left the
// cache meanwhile.
type tile struct {
	cell
	data    []byte  // rows of 3 × size bytes
	change  *change // nil while the tile is as the last flush left it
	absent  bool    // stands for a tile that is not there; data is shared and black
	hot     bool    // changed, and neither lifted nor stored: pixels may be set at once
	version uint64  // of an unchanged tile: segment << 32 | block + 1

	stamp  atomic.Uint64 // time of the last use
	listed uint64        // stamp that the heap knows; guarded by cache.mu
	index  int           // place in the heap
}

// change is a tile that differs from the last flush. It is in memory, or in the scratch
// file, or in both.
type change struct {
	tile    *tile  // nil when only in the scratch file
	slot    int64  // place in the scratch file, -1 without one
	room    int    // of the place
	length  int    // of what the place holds
	stored  bool   // the slot holds the present pixels
	black   bool   // of the slot
	crc     uint32 // of the slot
	lifted  bool   // the levels above know of the present pixels
	seq     uint64 // grows with each change
	baseGen uint64 // overlay: generation of the tile below when it was copied
}

// frontSize is the number of tiles found without a lock beyond the map's own.
const frontSize = 512

// cache holds the tiles in memory, at most limit of them except where changed tiles
// cannot be moved out. The order of use is exact for one goroutine: a use of a tile
// that is not the last used one gives it the next stamp, and the heap is brought up to
// date when a tile has to go.
type cache struct {
	limit int
	front [frontSize]atomic.Pointer[tile]
	clock atomic.Uint64

	mu    sync.Mutex
	tiles map[key]*tile
	heap  []*tile // by listed, the smallest first
}

func frontIndex(level int, x, y int64) uint {
	h := uint64(x)*0x9E3779B97F4A7C15 + uint64(y)*0xC2B2AE3D27D4EB4F + uint64(level)*0x165667B19E3779F9
	return uint(h>>(64-9)) % frontSize
}

// hit returns the tile when the front knows it.
func (c *cache) hit(level int, x, y int64) *tile {
	t := c.front[frontIndex(level, x, y)].Load()
	if t == nil || t.x != x || t.y != y || t.level != level {
		return nil
	}
	c.use(t)
	return t
}

func (c *cache) use(t *tile) {
	if t.stamp.Load() != c.clock.Load() {
		t.stamp.Store(c.clock.Add(1))
	}
}

func (c *cache) show(t *tile) {
	c.front[frontIndex(t.level, t.x, t.y)].Store(t)
}

func (c *cache) hide(t *tile) {
	c.front[frontIndex(t.level, t.x, t.y)].CompareAndSwap(t, nil)
}

// get returns a cached tile. The caller holds c.mu.
func (c *cache) get(k key) *tile {
	t := c.tiles[k]
	if t != nil {
		c.use(t)
		c.show(t)
	}
	return t
}

// put adds a tile that is not in the cache. The caller holds c.mu and has made room.
func (c *cache) put(k key, t *tile) {
	c.use(t)
	t.listed = t.stamp.Load()
	t.index = len(c.heap)
	c.heap = append(c.heap, t)
	c.up(t.index)
	c.tiles[k] = t
	c.show(t)
}

// oldest returns the least recently used tile, nil when there is none.
func (c *cache) oldest() *tile {
	for len(c.heap) > 0 {
		t := c.heap[0]
		now := t.stamp.Load()
		if now == t.listed {
			return t
		}
		t.listed = now
		c.downFrom(0)
	}
	return nil
}

// drop removes a tile from the cache.
func (c *cache) drop(t *tile) {
	delete(c.tiles, t.key())
	c.hide(t)
	last := len(c.heap) - 1
	i := t.index
	c.swap(i, last)
	c.heap[last] = nil
	c.heap = c.heap[:last]
	if i < last {
		c.downFrom(i)
		c.up(i)
	}
}

// clear empties the cache of the tiles for which gone is true, and the front.
func (c *cache) clear(gone func(*tile) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*tile
	for _, t := range c.heap {
		if gone(t) {
			out = append(out, t)
		}
	}
	for _, t := range out {
		c.drop(t)
	}
	for i := range c.front {
		c.front[i].Store(nil)
	}
}

func (c *cache) swap(i, j int) {
	h := c.heap
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (c *cache) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if c.heap[p].listed <= c.heap[i].listed {
			return
		}
		c.swap(i, p)
		i = p
	}
}

func (c *cache) downFrom(i int) {
	for {
		j := 2*i + 1
		if j >= len(c.heap) {
			return
		}
		if j+1 < len(c.heap) && c.heap[j+1].listed < c.heap[j].listed {
			j++
		}
		if c.heap[i].listed <= c.heap[j].listed {
			return
		}
		c.swap(i, j)
		i = j
	}
}
