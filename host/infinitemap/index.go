package infinitemap

import (
	"encoding/binary"
	"sort"
)

// entrySize is the length of one index entry: key (16 bytes), generation u64, segment
// u32, block u32, all big-endian.
const entrySize = 32

// cleared is the block number of a tile that became black: it has no block, and hides
// older entries of its key.
const cleared = ^uint32(0)

type entry struct {
	key     key
	gen     uint64 // the flush that wrote the tile; in an overlay see Overlay
	segment uint32
	block   uint32
}

func (e entry) put(b []byte) {
	binary.BigEndian.PutUint64(b, e.key.hi)
	binary.BigEndian.PutUint64(b[8:], e.key.lo)
	binary.BigEndian.PutUint64(b[16:], e.gen)
	binary.BigEndian.PutUint32(b[24:], e.segment)
	binary.BigEndian.PutUint32(b[28:], e.block)
}

func getEntry(b []byte) entry {
	return entry{
		key:     key{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])},
		gen:     binary.BigEndian.Uint64(b[16:]),
		segment: binary.BigEndian.Uint32(b[24:]),
		block:   binary.BigEndian.Uint32(b[28:]),
	}
}

// source is one sorted array of keys: entries of an index run (data), or keys of tiles
// that are changed and not flushed (keys).
type source struct {
	data []byte // entries of entrySize bytes
	keys []key
	run  *run // nil for keys
	base bool // belongs to the map below an overlay
}

func (s *source) len() int {
	if s.run != nil {
		return len(s.data) / entrySize
	}
	return len(s.keys)
}

func (s *source) at(i int) key {
	if s.run != nil {
		b := s.data[i*entrySize:]
		return key{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:16])}
	}
	return s.keys[i]
}

func (s *source) entry(i int) entry { return getEntry(s.data[i*entrySize : (i+1)*entrySize]) }

// search returns the first place in [lo, hi) whose key is not less than k, or hi.
func (s *source) search(k key, lo, hi int) int {
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s.at(mid).less(k) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// find returns the place of k, or -1.
func (s *source) find(k key) int {
	n := s.len()
	if i := s.search(k, 0, n); i < n && s.at(i) == k {
		return i
	}
	return -1
}

// span is a part of a source.
type span struct{ lo, hi int }

// walker visits the keys of several sources inside a rectangle of cells, in key order,
// once each, from the newest source that has it. It goes down cells that hold at least
// one key, so that empty space costs nothing however large it is.
type walker struct {
	sources []source // newest first
	area    cells
	from    key  // the first key of interest
	probe   bool // area shrinks as tiles are found
	visit   func(src *source, i int, c cell) bool
	arena   []span
}

// few keys in a cell are looked at one by one.
const few = 8

// walk returns false when visit did.
func (w *walker) walk() bool {
	first := morton(w.area.level, 0, 0)
	if first.less(w.from) {
		first = w.from
	}
	last := morton(w.area.level, 1<<coordBits-1, 1<<coordBits-1)
	base := len(w.arena)
	for i := range w.sources {
		s := &w.sources[i]
		n := s.len()
		lo := s.search(first, 0, n)
		hi := n
		if n > 0 && last.less(s.at(n-1)) {
			hi = lo + sort.Search(n-lo, func(i int) bool { return last.less(s.at(lo + i)) })
		}
		w.arena = append(w.arena, span{lo, hi})
	}
	ok := w.down(base)
	w.arena = w.arena[:base]
	return ok
}

// down visits the keys in the spans that start at base in the arena.
func (w *walker) down(base int) bool {
	n := len(w.sources)
	total := 0
	var kmin, kmax key
	for i := range n {
		sp := w.arena[base+i]
		if sp.lo >= sp.hi {
			continue
		}
		a, b := w.sources[i].at(sp.lo), w.sources[i].at(sp.hi-1)
		if total == 0 || a.less(kmin) {
			kmin = a
		}
		if total == 0 || kmax.less(b) {
			kmax = b
		}
		total += sp.hi - sp.lo
	}
	if total == 0 {
		return true
	}
	b := uint(common(kmin, kmax))
	ux, uy := kmin.biased()
	ux, uy = ux>>b<<b, uy>>b<<b
	side := uint64(1)<<b - 1
	x0, y0 := int64(ux)-coordBias, int64(uy)-coordBias
	x1, y1 := int64(ux|side)-coordBias, int64(uy|side)-coordBias
	if x1 < w.area.x0 || w.area.x1 < x0 || y1 < w.area.y0 || w.area.y1 < y0 {
		return true
	}
	inside := w.area.x0 <= x0 && x1 <= w.area.x1 && w.area.y0 <= y0 && y1 <= w.area.y1
	if inside && !w.probe || total <= few || b == 0 {
		return w.merge(base, inside && !w.probe)
	}
	// Four quarters, in key order: the spans of each go behind those of the parent.
	half := uint64(1) << (b - 1)
	mine := len(w.arena)
	for i := range n { // the first quarter starts where the parent does
		sp := w.arena[base+i]
		w.arena = append(w.arena, span{sp.lo, sp.lo})
	}
	for q := range 4 {
		for i := range n {
			from, to := w.arena[mine+i].hi, w.arena[base+i].hi
			end := to
			if q < 3 {
				nx, ny := ux+uint64((q+1)&1)*half, uy+uint64((q+1)>>1)*half
				end = w.sources[i].search(morton(w.area.level, nx, ny), from, to)
			}
			w.arena[mine+i] = span{from, end}
		}
		if !w.down(mine) {
			return false
		}
	}
	w.arena = w.arena[:mine]
	return true
}

// merge visits the keys of the spans at base in order.
func (w *walker) merge(base int, inside bool) bool {
	n := len(w.sources)
	mine := len(w.arena)
	w.arena = append(w.arena, w.arena[base:base+n]...)
	for {
		best := -1
		var bk key
		for i := range n {
			if sp := w.arena[mine+i]; sp.lo < sp.hi {
				if k := w.sources[i].at(sp.lo); best < 0 || k.less(bk) {
					best, bk = i, k
				}
			}
		}
		if best < 0 {
			break
		}
		at := w.arena[mine+best].lo
		for i := best; i < n; i++ { // older entries of the key are hidden
			if sp := &w.arena[mine+i]; sp.lo < sp.hi && w.sources[i].at(sp.lo) == bk {
				sp.lo++
			}
		}
		c := bk.cell()
		if !inside && !w.area.contains(c) {
			continue
		}
		if !w.visit(&w.sources[best], at, c) {
			w.arena = w.arena[:mine]
			return false
		}
	}
	w.arena = w.arena[:mine]
	return true
}

// memtable is a growing set of keys in sorted arrays whose lengths at least halve from
// one to the next, so that adding costs a logarithm and walking needs few sources.
type memtable struct{ runs [][]key }

// add inserts a key that is not in the table yet.
func (t *memtable) add(k key) {
	const tail = 32
	last := len(t.runs) - 1
	if last >= 0 && len(t.runs[last]) < tail {
		r := t.runs[last]
		i := sort.Search(len(r), func(i int) bool { return k.less(r[i]) })
		r = append(r, key{})
		copy(r[i+1:], r[i:])
		r[i] = k
		t.runs[last] = r
		return
	}
	for last >= 1 && len(t.runs[last-1]) < 2*len(t.runs[last]) {
		t.runs[last-1] = mergeKeys(t.runs[last-1], t.runs[last])
		t.runs = t.runs[:last]
		last--
	}
	t.runs = append(t.runs, append(make([]key, 0, tail), k))
}

// sorted returns all keys as one array.
func (t *memtable) sorted() []key {
	for len(t.runs) > 1 {
		n := len(t.runs)
		t.runs[n-2] = mergeKeys(t.runs[n-2], t.runs[n-1])
		t.runs = t.runs[:n-1]
	}
	if len(t.runs) == 0 {
		return nil
	}
	return t.runs[0]
}

func (t *memtable) sources(dst []source) []source {
	for i := len(t.runs) - 1; i >= 0; i-- {
		dst = append(dst, source{keys: t.runs[i]})
	}
	return dst
}

func mergeKeys(a, b []key) []key {
	out := make([]key, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].less(b[0]) {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
