package infinitemap

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Three channels summed in one word, 20 bits each.
const ones = 1 | 1<<20 | 1<<40

// mean is the pixel that stands for n pixels of which none is black, given the sum of
// each channel: the nearest value, halves up. It is never black: where all channels
// would come to 0, the one with the largest sum (of equals the first) is 1.
func mean(r, g, b, n uint32) (byte, byte, byte) {
	mr, mg, mb := (r+n/2)/n, (g+n/2)/n, (b+n/2)/n
	if mr|mg|mb == 0 {
		switch {
		case r >= g && r >= b:
			mr = 1
		case g >= b:
			mg = 1
		default:
			mb = 1
		}
	}
	return byte(mr), byte(mg), byte(mb)
}

// shrink draws a tile of size × size pixels at half its size into quarter q (0 to 3, x
// first) of another: each pixel is the mean of those of its four that are not black.
func shrink(dst, src, black []byte, size, q int) {
	half := size / 2
	row := 3 * size
	at := (q>>1)*half*row + (q&1)*half*3
	for y := range half {
		out := dst[at+y*row:][: 3*half : 3*half]
		a := src[2*y*row:][:row:row]
		b := src[(2*y+1)*row:][:row:row]
		if isBlack(a, black) && isBlack(b, black) {
			clear(out)
			continue
		}
		for len(out) >= 3 && len(a) >= 6 && len(b) >= 6 {
			p0 := uint64(a[0]) | uint64(a[1])<<20 | uint64(a[2])<<40
			p1 := uint64(a[3]) | uint64(a[4])<<20 | uint64(a[5])<<40
			p2 := uint64(b[0]) | uint64(b[1])<<20 | uint64(b[2])<<40
			p3 := uint64(b[3]) | uint64(b[4])<<20 | uint64(b[5])<<40
			sum := p0 + p1 + p2 + p3
			if p0 != 0 && p1 != 0 && p2 != 0 && p3 != 0 {
				v := (sum + 2*ones) >> 2
				if v&(255*ones) != 0 {
					out[0], out[1], out[2] = byte(v), byte(v>>20), byte(v>>40)
				} else {
					out[0], out[1], out[2] = mean(uint32(sum&1023), uint32(sum>>20&1023), uint32(sum>>40&1023), 4)
				}
			} else if sum == 0 {
				out[0], out[1], out[2] = 0, 0, 0
			} else {
				n := uint32(0)
				for _, p := range [4]uint64{p0, p1, p2, p3} {
					if p != 0 {
						n++
					}
				}
				out[0], out[1], out[2] = mean(uint32(sum&1023), uint32(sum>>20&1023), uint32(sum>>40&1023), n)
			}
			out, a, b = out[3:], a[6:], b[6:]
		}
	}
}

// lift brings the levels above 0 up to date. The caller holds mu for writing. On an
// error the changes stay marked, and the next lift does them again.
func (m *Map) lift(ctx context.Context) error {
	if !m.hasBounds {
		return nil
	}
	top := m.top
	for !m.bounds.up(top).handful() {
		top++
	}
	if len(m.unlifted) == 0 && top == m.top {
		return nil
	}
	now := slices.Clone(m.unlifted)
	slices.SortFunc(now, compareKeys)
	var quarters [4][]byte
	for level := 1; level <= top; level++ {
		if level == m.top+1 {
			// This level and those above are new: all that is below is news to them.
			err := m.walk(everything(level-1, m.shift), key{}, func(_ *source, _ int, c cell) bool {
				now = append(now, c.key())
				return true
			})
			var ie *IndexError
			if err != nil && !errors.As(err, &ie) {
				return err
			}
			slices.SortFunc(now, compareKeys)
			now = slices.Compact(now)
		}
		parents := now[:0]
		for i := 0; i < len(now); {
			if err := ctx.Err(); err != nil {
				return err
			}
			at := now[i].cell().parent()
			given := 0
			for ; i < len(now) && now[i].cell().parent() == at; i++ {
				c := now[i].cell()
				q := int(c.x&1 | c.y&1<<1)
				data, err := m.readable(c)
				if err != nil {
					return err
				}
				if quarters[q] == nil {
					quarters[q] = make([]byte, m.tileBytes)
				}
				// Each quarter is kept where it belongs in a tile of its own.
				shrink(quarters[q], data, m.black, m.size, q)
				given |= 1 << q
			}
			if err := m.putQuarters(at, &quarters, given); err != nil {
				return err
			}
			parents = append(parents, at.key())
		}
		now = parents
	}
	m.top = top
	m.cache.mu.Lock()
	for _, k := range m.unlifted {
		ch := m.dirty[k]
		ch.lifted = true
		if ch.tile != nil {
			ch.tile.hot = false
		}
	}
	m.cache.mu.Unlock()
	m.unlifted = nil
	clear(m.room.above)
	return nil
}

func compareKeys(a, b key) int {
	switch {
	case a.less(b):
		return -1
	case b.less(a):
		return 1
	}
	return 0
}

// putQuarters replaces the given quarters of a tile. A tile that cannot be read is made
// anew from all four.
func (m *Map) putQuarters(at cell, quarters *[4][]byte, given int) error {
	t, err := m.writable(at, given == 15)
	var damaged *TileError
	if errors.As(err, &damaged) && damaged.File != scratchName {
		for q := range 4 {
			if given>>q&1 == 1 {
				continue
			}
			data, err := m.readable(at.child(q))
			if err != nil {
				return err
			}
			if quarters[q] == nil {
				quarters[q] = make([]byte, m.tileBytes)
			}
			shrink(quarters[q], data, m.black, m.size, q)
		}
		given = 15
		t, err = m.writable(at, true)
	}
	if err != nil {
		return err
	}
	half, row := m.size/2, 3*m.size
	for q := range 4 {
		if given>>q&1 == 0 {
			continue
		}
		for y := range half {
			off := ((q>>1)*half+y)*row + (q&1)*half*3
			copy(t.data[off:off+3*half], quarters[q][off:])
		}
	}
	return nil
}

// readable returns the pixels of a tile for making the level above. What a damaged
// unchanged tile held is taken from the level below it, and is black at level 0: the
// damage stays what it is there and is reported to whoever reads the tile.
func (m *Map) readable(c cell) ([]byte, error) {
	t, err := m.find(c)
	if err == nil {
		return t.data, nil
	}
	var damaged *TileError
	if !errors.As(err, &damaged) || damaged.File == scratchName {
		return nil, err
	}
	// Where the index is damaged every tile in the damaged part is unreadable, known or
	// not; going down only to known ones keeps the work in proportion to them.
	if c.level == 0 || !m.knownBelow(c) {
		return m.black, nil
	}
	out := make([]byte, m.tileBytes)
	for q := range 4 {
		data, err := m.readable(c.child(q))
		if err != nil {
			return nil, err
		}
		shrink(out, data, m.black, m.size, q)
	}
	return out, nil
}

// knownBelow reports whether the index, as far as it can be read, has a tile of level 0
// below c.
func (m *Map) knownBelow(c cell) bool {
	found := false
	r := c.pixels(m.shift)
	_ = m.walk(cellsOf(r, 0, m.shift), key{}, func(*source, int, cell) bool {
		found = true
		return false
	})
	return found
}

// lockLifted takes the lock for reading pixels of any level. Unflushed changes are
// worked into the levels first.
func (m *Map) lockLifted() (unlock func(), err error) {
	m.mu.RLock()
	if m.closed {
		m.mu.RUnlock()
		return nil, ErrClosed
	}
	if len(m.unlifted) == 0 {
		return m.mu.RUnlock, nil
	}
	m.mu.RUnlock()
	if err := m.lockWrite(); err != nil {
		return nil, err
	}
	if err := m.lift(context.Background()); err != nil {
		m.mu.Unlock()
		return nil, err
	}
	return m.mu.Unlock, nil
}

// MaxLevel is the highest level that Tile knows: there four tiles are the whole plane.
func (m *Map) MaxLevel() int { return maxLevel(m.shift) }

// Tile returns the pixels of one tile of the pyramid, 3 bytes each, TileSize × TileSize
// of them. At level n a pixel stands for 2^n × 2^n of the plane, and tile (tx, ty) covers
// those from (tx, ty) × TileSize × 2^n on. The version changes whenever the pixels do;
// it is 0 for a tile that is black.
func (m *Map) Tile(level int, tx, ty int64) (pixels []byte, version uint64, err error) {
	c := cell{level, tx, ty}
	if !c.onPlane(m.shift) {
		return nil, 0, fmt.Errorf("there is no tile (%d,%d) at level %d", tx, ty, level)
	}
	unlock, err := m.lockLifted()
	if err != nil {
		return nil, 0, err
	}
	defer unlock()
	data, version, err := m.above(c)
	if err != nil {
		return nil, 0, err
	}
	return slices.Clone(data), version, nil
}

// above returns a tile of any level; those above the top are made on the spot.
func (m *Map) above(c cell) ([]byte, uint64, error) {
	if !m.hasBounds || !touches(m.bounds.up(c.level), c) {
		return m.black, 0, nil
	}
	if c.level <= m.top {
		t, err := m.find(c)
		if err != nil {
			return nil, 0, err
		}
		return t.data, t.currentVersion(), nil
	}
	out := make([]byte, m.tileBytes)
	sum := uint64(0)
	for q := range 4 {
		data, v, err := m.above(c.child(q))
		if err != nil {
			return nil, 0, err
		}
		if v != 0 {
			shrink(out, data, m.black, m.size, q)
			sum = (sum ^ v ^ uint64(q)<<48) * 0x9E3779B97F4A7C15
		}
	}
	if sum == 0 {
		return m.black, 0, nil
	}
	return out, sum, nil
}

func touches(a cells, c cell) bool { return a.contains(c) }

func (t *tile) currentVersion() uint64 {
	if t.change != nil {
		return 1<<63 | t.change.seq
	}
	return t.version
}
