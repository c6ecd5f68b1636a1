package infinitemap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

// model is the plane as a table of pixels, which is all that the tests below take for
// granted.
type model map[Point]RGB

func (m model) set(p Point, c RGB) {
	if c == (RGB{}) {
		delete(m, p)
	} else {
		m[p] = c
	}
}

func (m model) clone() model {
	out := make(model, len(m))
	for p, c := range m {
		out[p] = c
	}
	return out
}

func (m model) tiles(size int64) map[Point]bool {
	out := make(map[Point]bool)
	for p := range m {
		out[Point{floorDiv(p.X, size), floorDiv(p.Y, size)}] = true
	}
	return out
}

// floorDiv is written without shifts, so that it does not share a mistake with the map.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// level computes a level of the pyramid by its definition.
func (m model) level(n int) model {
	for range n {
		sums := make(map[Point][4]uint32)
		for p, c := range m {
			q := Point{floorDiv(p.X, 2), floorDiv(p.Y, 2)}
			s := sums[q]
			sums[q] = [4]uint32{s[0] + uint32(c.R), s[1] + uint32(c.G), s[2] + uint32(c.B), s[3] + 1}
		}
		up := make(model, len(sums))
		for p, s := range sums {
			up[p] = modelMean(s)
		}
		m = up
	}
	return m
}

// modelMean rounds by comparing fractions, not as the package does.
func modelMean(s [4]uint32) RGB {
	var c [3]uint32
	for i := range c {
		c[i] = uint32(math.Floor(float64(s[i])/float64(s[3]) + 0.5))
	}
	if c == [3]uint32{} {
		best := 0
		for i := 1; i < 3; i++ {
			if s[i] > s[best] {
				best = i
			}
		}
		c[best] = 1
	}
	return RGB{uint8(c[0]), uint8(c[1]), uint8(c[2])}
}

func (m model) bounds(size int64) (r Rect, ok bool) {
	for t := range m.tiles(size) {
		x0, y0 := t.X*size, t.Y*size
		c := Rect{Point{x0, y0}, Point{x0 + (size - 1), y0 + (size - 1)}}
		if !ok {
			r, ok = c, true
			continue
		}
		r = Rect{
			Point{min(r.Min.X, c.Min.X), min(r.Min.Y, c.Min.Y)},
			Point{max(r.Max.X, c.Max.X), max(r.Max.Y, c.Max.Y)},
		}
	}
	return r, ok
}

// compare checks everything that can be asked of a map against the model.
func compare(t *testing.T, m *Map, want model) {
	t.Helper()
	size := int64(m.TileSize())
	tiles := want.tiles(size)
	seen := make(map[Point]bool)
	var order key
	err := m.Tiles(Plane, func(ti TileInfo) bool {
		p := Point{ti.TX, ti.TY}
		if seen[p] {
			t.Errorf("tile %v is listed twice", p)
		}
		if k := (cell{0, ti.TX, ti.TY}).key(); len(seen) > 0 && !order.less(k) {
			t.Errorf("tile %v is out of order", p)
		} else {
			order = k
		}
		seen[p] = true
		return true
	})
	if err != nil {
		t.Fatal("tiles: ", err)
	}
	for p := range tiles {
		if !seen[p] {
			t.Errorf("tile %v is missing", p)
		}
	}
	buf := make([]byte, 3*size*size)
	for p := range seen {
		if !tiles[p] {
			t.Errorf("tile %v is listed and black", p)
			continue
		}
		if err := m.ReadRegion(buf, int(3*size), p.X*size, p.Y*size, int(size), int(size)); err != nil {
			t.Fatal(err)
		}
		for i := range size * size {
			at := Point{p.X*size + i%size, p.Y*size + i/size}
			if got := (RGB{buf[3*i], buf[3*i+1], buf[3*i+2]}); got != want[at] {
				t.Fatalf("pixel %v is %v, want %v", at, got, want[at])
			}
		}
	}
	wb, wok := want.bounds(size)
	gb, gok, err := m.Bounds()
	if err != nil || gok != wok || gb != wb {
		t.Fatalf("bounds are %v %v %v, want %v %v", gb, gok, err, wb, wok)
	}
}

// compareLevels checks tiles of the pyramid.
func compareLevels(t *testing.T, m *Map, want model, levels ...int) {
	t.Helper()
	size := int64(m.TileSize())
	for _, n := range levels {
		up := want.level(n)
		for p := range up.tiles(size) {
			pix, version, err := m.Tile(n, p.X, p.Y)
			if err != nil || version == 0 {
				t.Fatalf("level %d tile %v: version %d, %v", n, p, version, err)
			}
			for i := range size * size {
				at := Point{p.X*size + i%size, p.Y*size + i/size}
				if got := (RGB{pix[3*i], pix[3*i+1], pix[3*i+2]}); got != up[at] {
					t.Fatalf("level %d pixel %v is %v, want %v", n, at, got, up[at])
				}
			}
		}
	}
}

func mustOpen(t testing.TB, fsys disk.FS, opt Options) *Map {
	t.Helper()
	m, err := Open(fsys, opt)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// places are coordinates where things go wrong: around zero, tile borders, both ends.
func place(r *rand.Rand) int64 {
	near := int64(r.IntN(40)) - 20
	switch r.IntN(12) {
	case 0:
		return math.MinInt64 + int64(r.IntN(20))
	case 1:
		return math.MaxInt64 - int64(r.IntN(20))
	case 2:
		return 1<<40 + near
	case 3:
		return -1<<33 + near
	case 4, 5, 6:
		return int64(r.IntN(400)) - 200
	}
	return near
}

func colour(r *rand.Rand) RGB {
	if r.IntN(5) == 0 {
		return RGB{}
	}
	if r.IntN(3) == 0 {
		return RGB{uint8(r.IntN(2)), uint8(r.IntN(2)), uint8(r.IntN(2))}
	}
	return RGB{uint8(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32())}
}

// history does random things to a map and to the model of it.
type history struct {
	t       *testing.T
	r       *rand.Rand
	fsys    disk.FS
	opt     Options
	m       *Map
	now     model // with unflushed changes
	flushed model
	snaps   map[string]model
	log     []string
}

func newHistory(t *testing.T, seed uint64, fsys disk.FS, opt Options) *history {
	h := &history{
		t: t, r: rand.New(rand.NewPCG(seed, 7)), fsys: fsys, opt: opt,
		now: model{}, flushed: model{}, snaps: map[string]model{},
	}
	h.open()
	return h
}

// open opens the map; in every second history short index runs are not joined either, so
// that there are many of them.
func (h *history) open() {
	h.m = mustOpen(h.t, h.fsys, h.opt)
	if h.r.IntN(2) == 0 {
		h.m.joinBelow = 0
	}
}

// checkLive compares the live counts of the segments with what the index points to.
func checkLive(t *testing.T, m *Map) {
	t.Helper()
	live := map[uint32]uint32{}
	for level := range m.MaxLevel() + 1 {
		w := walker{sources: m.view.sources(nil, false), area: everything(level, m.shift)}
		w.visit = func(s *source, i int, _ cell) bool {
			if e := s.entry(i); e.block != cleared {
				live[e.segment]++
			}
			return true
		}
		w.walk()
	}
	for _, s := range m.view.segments {
		if live[s.number] != s.live {
			t.Fatalf("segment %d has %d live tiles, the manifest says %d", s.number, live[s.number], s.live)
		}
		delete(live, s.number)
	}
	if len(live) > 0 {
		t.Fatalf("the index points to segments that are not there: %v", live)
	}
	tiles := uint64(0)
	if err := m.Tiles(Plane, func(ti TileInfo) bool {
		if !ti.Changed {
			tiles++
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if len(m.dirty) == 0 && tiles != m.Stats().Tiles {
		t.Fatalf("%d tiles, the manifest says %d", tiles, m.Stats().Tiles)
	}
}

func (h *history) check(err error, what string, args ...any) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v\nafter %v", fmt.Sprintf(what, args...), err, h.log)
	}
}

func (h *history) change() {
	r := h.r
	switch r.IntN(4) {
	case 0:
		p, c := Point{place(r), place(r)}, colour(r)
		h.check(h.m.Set(p.X, p.Y, c), "set %v", p)
		h.now.set(p, c)
	case 1:
		n := r.IntN(30)
		var px []Pixel
		for range n {
			px = append(px, Pixel{Point{place(r), place(r)}, colour(r)})
		}
		got, err := h.m.SetMany(px)
		h.check(err, "set many")
		if got != n {
			h.t.Fatalf("set %d of %d", got, n)
		}
		for _, p := range px {
			h.now.set(p.Point, p.RGB)
		}
	case 2:
		x, y := place(r), place(r)
		w, hh := 1+r.IntN(50), 1+r.IntN(50)
		stride := 3*w + r.IntN(5)
		src := make([]byte, stride*hh)
		if r.IntN(6) > 0 {
			for i := range src {
				src[i] = byte(r.Uint32() >> r.IntN(9))
			}
		}
		err := h.m.WriteRegion(src, stride, x, y, w, hh)
		var re *RectError
		if x > math.MaxInt64-int64(w-1) || y > math.MaxInt64-int64(hh-1) {
			if !errors.As(err, &re) {
				h.t.Fatalf("a region beyond the plane: %v", err)
			}
			return
		}
		h.check(err, "write region")
		for j := range hh {
			for i := range w {
				b := src[j*stride+3*i:]
				h.now.set(Point{x + int64(i), y + int64(j)}, RGB{b[0], b[1], b[2]})
			}
		}
	case 3:
		// All of a tile, often to black.
		size := int64(h.m.TileSize())
		x, y := floorDiv(place(r), size)*size, floorDiv(place(r), size)*size
		src := make([]byte, 3*size*size)
		if r.IntN(2) == 0 {
			c := colour(r)
			for i := 0; i < len(src); i += 3 {
				src[i], src[i+1], src[i+2] = c.R, c.G, c.B
			}
		}
		h.check(h.m.WriteRegion(src, int(3*size), x, y, int(size), int(size)), "write tile")
		for i := range size * size {
			h.now.set(Point{x + i%size, y + i/size}, RGB{src[3*i], src[3*i+1], src[3*i+2]})
		}
	}
}

func (h *history) step() {
	r := h.r
	switch n := r.IntN(40); {
	case n < 24:
		h.log = append(h.log, "change")
		h.change()
	case n < 28:
		h.log = append(h.log, "flush")
		h.check(h.m.Flush(context.Background()), "flush")
		h.flushed = h.now.clone()
	case n < 29:
		h.log = append(h.log, "compact")
		h.check(h.m.Compact(context.Background()), "compact")
		h.flushed = h.now.clone()
	case n < 31:
		h.log = append(h.log, "reopen")
		h.check(h.m.Close(), "close")
		h.open()
		h.now = h.flushed.clone()
	case n < 32:
		h.log = append(h.log, "discard")
		h.check(h.m.Discard(), "discard")
		h.now = h.flushed.clone()
	case n < 33:
		name := fmt.Sprintf("s%d", r.IntN(4))
		h.log = append(h.log, "snapshot "+name)
		err := h.m.Snapshot(name)
		h.flushed = h.now.clone()
		if h.snaps[name] != nil {
			if !errors.Is(err, fs.ErrExist) {
				h.t.Fatalf("a snapshot twice: %v", err)
			}
			return
		}
		h.check(err, "snapshot")
		h.snaps[name] = h.now.clone()
	case n < 34:
		name := fmt.Sprintf("s%d", r.IntN(4))
		if h.snaps[name] == nil {
			return
		}
		if r.IntN(3) == 0 {
			h.log = append(h.log, "delete "+name)
			h.check(h.m.DeleteSnapshot(name), "delete")
			delete(h.snaps, name)
			return
		}
		h.log = append(h.log, "restore "+name)
		h.check(h.m.Restore(name), "restore")
		h.now, h.flushed = h.snaps[name].clone(), h.snaps[name].clone()
	case n < 35:
		h.log = append(h.log, "compare")
		compare(h.t, h.m, h.now)
		checkLive(h.t, h.m)
	case n < 36:
		h.log = append(h.log, "levels")
		compareLevels(h.t, h.m, h.now, 1, r.IntN(h.m.MaxLevel()+1), h.m.MaxLevel())
	default:
		x, y := place(r), place(r)
		w, hh := 1+r.IntN(60), 1+r.IntN(60)
		buf := make([]byte, 3*w*hh)
		if err := h.m.ReadRegion(buf, 3*w, x, y, w, hh); err != nil {
			var re *RectError
			if !errors.As(err, &re) || x <= math.MaxInt64-int64(w-1) && y <= math.MaxInt64-int64(hh-1) {
				h.t.Fatal(err)
			}
			return
		}
		for i := range w * hh {
			p := Point{x + int64(i%w), y + int64(i/w)}
			if got := (RGB{buf[3*i], buf[3*i+1], buf[3*i+2]}); got != h.now[p] {
				h.t.Fatalf("pixel %v is %v, want %v\nafter %v", p, got, h.now[p], h.log)
			}
			if i%97 == 0 {
				if c, err := h.m.At(p.X, p.Y); err != nil || c != h.now[p] {
					h.t.Fatalf("at %v: %v %v, want %v", p, c, err, h.now[p])
				}
			}
		}
	}
}

func TestRandomHistories(t *testing.T) {
	for _, c := range []struct {
		name  string
		opt   Options
		seeds uint64
		steps int
	}{
		{"one tile in memory", Options{TileSize: 16, CacheBytes: 1}, 12, 300},
		{"three tiles", Options{TileSize: 16, CacheBytes: 3 * 768, NoCompression: true}, 6, 300},
		{"all in memory", Options{TileSize: 16}, 6, 300},
		{"larger tiles", Options{TileSize: 64, CacheBytes: 5 * 64 * 64 * 3}, 3, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range c.seeds {
				h := newHistory(t, seed, disktest.NewMem(), c.opt)
				for range c.steps {
					h.step()
				}
				compare(t, h.m, h.now)
				h.check(h.m.Flush(context.Background()), "flush")
				compareLevels(t, h.m, h.now, 0, 1, 2, 3)
				checkLive(t, h.m)
				for name, want := range h.snaps {
					s, err := h.m.OpenSnapshot(name)
					h.check(err, "open snapshot")
					compare(t, s, want)
					compareLevels(t, s, want, 1, 2)
					h.check(s.Close(), "close snapshot")
				}
				h.check(h.m.Close(), "close")
				m := mustOpen(t, h.fsys, Options{ReadOnly: true})
				compare(t, m, h.now)
				compareLevels(t, m, h.now, 1)
				h.check(m.Close(), "close reader")
			}
		})
	}
}
