package infinitemap

import (
	"context"
	"errors"
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pxos/pxos/host/disk/disktest"
)

const (
	lowest  = math.MinInt64
	highest = math.MaxInt64
)

// Keys order tiles as Morton order does, come back as the cells they were made of, and
// all tiles between two keys of one cell lie in that cell.
func TestKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	coord := func() int64 {
		v := int64(r.Uint64()) >> 4 // 60 bits, as tiles of 16 pixels need
		switch r.IntN(5) {
		case 0:
			return v >> (r.UintN(59))
		case 1:
			return lowest >> 4
		case 2:
			return highest >> 4
		}
		return v
	}
	for range 20000 {
		a := cell{r.IntN(60), coord(), coord()}
		b := cell{a.level, coord(), coord()}
		if r.IntN(2) == 0 {
			b.x, b.y = a.x^int64(r.UintN(64)), a.y^int64(r.UintN(64))
		}
		if a.key().cell() != a {
			t.Fatalf("%v comes back as %v", a, a.key().cell())
		}
		// Morton order by definition: the highest bit that differs decides, y before x.
		want := false
		for bit := 59; bit >= 0; bit-- {
			ay, by := uint64(a.y+1<<59)>>bit&1, uint64(b.y+1<<59)>>bit&1
			ax, bx := uint64(a.x+1<<59)>>bit&1, uint64(b.x+1<<59)>>bit&1
			if ay != by {
				want = ay < by
				break
			}
			if ax != bx {
				want = ax < bx
				break
			}
		}
		if got := a.key().less(b.key()); got != want {
			t.Fatalf("%v before %v: %v", a, b, got)
		}
		lo, hi := a.key(), b.key()
		if hi.less(lo) {
			lo, hi = hi, lo
		}
		n := uint(common(lo, hi))
		if n < 60 && (a.x>>n != b.x>>n || a.y>>n != b.y>>n) {
			t.Fatalf("%v and %v are not in one cell of 2^%d", a, b, n)
		}
		if n > 0 && a.x>>(n-1) == b.x>>(n-1) && a.y>>(n-1) == b.y>>(n-1) {
			t.Fatalf("%v and %v are in one cell of 2^%d", a, b, n-1)
		}
	}
}

// A walk finds the keys in a rectangle, once each, in order, the newest source first.
func TestWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for round := range 400 {
		spread := uint(1 + r.IntN(59))
		coord := func() int64 { return int64(r.Uint64()) >> 4 >> (59 - spread) }
		newest := map[key]int{}
		var sources []source
		for n := range 1 + r.IntN(6) {
			var keys []key
			for range r.IntN(60) {
				c := cell{2, coord(), coord()}
				if r.IntN(4) == 0 {
					c.level = 1 + 2*r.IntN(2)
				}
				keys = append(keys, c.key())
			}
			slices.SortFunc(keys, compareKeys)
			keys = slices.Compact(keys)
			for _, k := range keys {
				if _, ok := newest[k]; !ok {
					newest[k] = n
				}
			}
			sources = append(sources, source{keys: keys})
		}
		area := cells{2, coord(), coord(), coord(), coord()}
		if area.x0 > area.x1 {
			area.x0, area.x1 = area.x1, area.x0
		}
		if area.y0 > area.y1 {
			area.y0, area.y1 = area.y1, area.y0
		}
		var want, got []key
		for k := range newest {
			if area.contains(k.cell()) {
				want = append(want, k)
			}
		}
		slices.SortFunc(want, compareKeys)
		w := walker{sources: sources, area: area}
		w.visit = func(s *source, i int, c cell) bool {
			got = append(got, s.keys[i])
			if !slices.Equal(s.keys, sources[newest[s.keys[i]]].keys) || c != s.keys[i].cell() {
				t.Fatalf("round %d: %v comes from an old source", round, c)
			}
			return true
		}
		w.walk()
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: found %d keys, want %d", round, len(got), len(want))
		}
		if len(want) > 1 { // going on in the middle
			got = nil
			w.from = want[len(want)/2]
			w.walk()
			if !slices.Equal(got, want[len(want)/2:]) {
				t.Fatalf("round %d: from the middle: %d keys", round, len(got))
			}
		}
	}
}

func TestMemtable(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var m memtable
	var want []key
	for range 5000 {
		k := key{r.Uint64(), r.Uint64()}
		m.add(k)
		want = append(want, k)
	}
	if len(m.runs) > 12 {
		t.Errorf("%d runs", len(m.runs))
	}
	slices.SortFunc(want, compareKeys)
	if !slices.Equal(m.sorted(), want) {
		t.Error("the keys are not those that were added")
	}
}

// Regions that touch the last pixels of the plane on every side.
func TestEnds(t *testing.T) {
	for _, size := range []int{16, 256, 1024} {
		m := mustOpen(t, disktest.NewMem(), Options{TileSize: size})
		for _, c := range []struct {
			name string
			x, y int64
			w, h int
			ok   bool
		}{
			{"last pixel", highest, highest, 1, 1, true},
			{"first pixel", lowest, lowest, 1, 1, true},
			{"ends at the last pixel", highest - 39, highest - 29, 40, 30, true},
			{"one column too wide", highest - 38, 0, 40, 30, false},
			{"one row too high", 0, highest - 28, 40, 30, false},
			{"starts at the first pixel", lowest, lowest, 40, 30, true},
			{"left below", lowest, highest - 29, 40, 30, true},
			{"right above", highest - 39, lowest, 40, 30, true},
			{"around zero", -20, -15, 40, 30, true},
		} {
			t.Run(c.name, func(t *testing.T) {
				src := make([]byte, 3*c.w*c.h)
				for i := range src {
					src[i] = byte(i*7 + 1)
				}
				err := m.WriteRegion(src, 3*c.w, c.x, c.y, c.w, c.h)
				if !c.ok {
					var re *RectError
					if !errors.As(err, &re) {
						t.Fatalf("written: %v", err)
					}
					if err := m.ReadRegion(src, 3*c.w, c.x, c.y, c.w, c.h); !errors.As(err, &re) {
						t.Fatalf("read: %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				// Each flush of tiles of 3 MiB makes 4 × 53 of the levels above.
				if size < 1024 {
					if err := m.Flush(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				dst := make([]byte, len(src))
				if err := m.ReadRegion(dst, 3*c.w, c.x, c.y, c.w, c.h); err != nil || !slices.Equal(src, dst) {
					t.Fatal("other pixels came back: ", err)
				}
				got, err := m.At(c.x+int64(c.w-1), c.y+int64(c.h-1))
				if n := len(src); err != nil || got != (RGB{src[n-3], src[n-2], src[n-1]}) {
					t.Fatalf("the last pixel is %v, %v", got, err)
				}
				r, err := RectAt(c.x, c.y, int64(c.w), int64(c.h))
				if err != nil {
					t.Fatal(err)
				}
				pic := make([]byte, len(src))
				if err := m.Render(pic, 3*c.w, r, c.w, c.h); err != nil || !slices.Equal(src, pic) {
					t.Fatal("the picture at its own size is another: ", err)
				}
				n, err := m.Neighbours(c.x, c.y, 2)
				if want := (3 + 2*b2i(c.x != lowest && c.x != highest)) * (3 + 2*b2i(c.y != lowest && c.y != highest)); err != nil || len(n) != want-1 {
					t.Fatalf("%d neighbours, want %d: %v", len(n), want-1, err)
				}
			})
		}
		r, ok, err := m.Bounds()
		if err != nil || !ok || r != Plane {
			t.Errorf("bounds %v %v %v", r, ok, err)
		}
		// A lone pixel of the whole plane is seen in a picture of one pixel, and of many.
		for _, n := range []int{1, 2, 3, 64, 500} {
			pic := make([]byte, 3*n*n)
			if err := m.Render(pic, 3*n, Plane, n, n); err != nil {
				t.Fatal(err)
			}
			for _, at := range []int{0, n*n - 1} {
				if pic[3*at]|pic[3*at+1]|pic[3*at+2] == 0 {
					t.Errorf("size %d: corner %d of a picture of %d pixels is black", size, at, n)
				}
			}
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Areas that cannot be are refused whatever the buffer says, and nothing is allocated.
func TestAbsurdAreas(t *testing.T) {
	m := mustOpen(t, disktest.NewMem(), Options{TileSize: 16})
	buf := make([]byte, 300)
	for _, c := range []struct{ stride, w, h int }{
		{30, -1, 1}, {30, 1, -1}, {30, 10, 11}, {29, 10, 10}, {math.MaxInt, 1, math.MaxInt}, {math.MaxInt, math.MaxInt, 1},
		{-30, 10, 1}, {0, 1, 1}, {30, math.MaxInt / 3, 1}, {3, math.MaxInt, math.MaxInt}, {300, 100, 2},
	} {
		allocs := testing.AllocsPerRun(1, func() {
			if m.ReadRegion(buf, c.stride, 0, 0, c.w, c.h) == nil || m.WriteRegion(buf, c.stride, 0, 0, c.w, c.h) == nil {
				t.Errorf("%+v was accepted", c)
			}
			if m.Render(buf, c.stride, Plane, c.w, c.h) == nil {
				t.Errorf("a picture of %+v was accepted", c)
			}
		})
		if allocs > 30 {
			t.Errorf("%+v: %v allocations", c, allocs)
		}
	}
	if err := m.ReadRegion(buf, 30, 0, 0, 10, 10); err != nil {
		t.Error(err)
	}
	for _, radius := range []int{-1, MaxRadius + 1, math.MaxInt} {
		if _, err := m.Neighbours(0, 0, radius); err == nil {
			t.Errorf("radius %d", radius)
		}
	}
	if _, _, err := m.WriteBytes(highest, 0, make([]byte, 4)); err == nil {
		t.Error("bytes beyond the plane")
	}
	if _, _, err := m.Tile(-1, 0, 0); err == nil {
		t.Error("level -1")
	}
	if _, _, err := m.Tile(m.MaxLevel(), 1, 0); err == nil {
		t.Error("a tile beyond the plane")
	}
	if _, _, err := m.Tile(0, lowest>>4, highest>>4); err != nil {
		t.Error(err)
	}
	if err := m.Tiles(Rect{Point{1, 0}, Point{0, 0}}, func(TileInfo) bool { return true }); err == nil {
		t.Error("corners in the wrong order")
	}
}

// Bytes lie as the format's block says: min(tile, pixels) wide, zero padded.
func TestBytes(t *testing.T) {
	m := mustOpen(t, disktest.NewMem(), Options{TileSize: 16})
	if err := m.Set(15, 3, RGB{9, 9, 9}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 2, 3, 4, 46, 47, 48, 49, 50, 95, 96, 97, 150, 1000} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i + 1)
		}
		w, h, err := m.WriteBytes(-7, -9, data)
		pixels := (n + 2) / 3
		wantW := min(16, pixels)
		wantH := 0
		if wantW > 0 {
			wantH = (pixels + wantW - 1) / wantW
		}
		if err != nil || w != wantW || h != wantH {
			t.Fatalf("%d bytes: %d x %d, %v", n, w, h, err)
		}
		got := make([]byte, n)
		if err := m.ReadBytes(got, -7, -9); err != nil || !slices.Equal(got, data) {
			t.Fatalf("%d bytes came back as others: %v", n, err)
		}
		if n > 0 {
			block := make([]byte, 3*w*h)
			if err := m.ReadRegion(block, 3*w, -7, -9, w, h); err != nil || !slices.Equal(block[:n], data) {
				t.Fatal("the block is another: ", err)
			}
			for _, b := range block[n:] {
				if b != 0 {
					t.Fatalf("%d bytes: the padding is not zero", n)
				}
			}
		}
	}
}

// Pictures at any zoom against their definition from the level that they are made of.
func TestRender(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	m := mustOpen(t, disktest.NewMem(), Options{TileSize: 16, CacheBytes: 5 * 768})
	now := model{}
	for range 200 {
		p := Point{r.Int64N(600) - 300, r.Int64N(600) - 300}
		c := colour(r)
		if err := m.Set(p.X, p.Y, c); err != nil {
			t.Fatal(err)
		}
		now.set(p, c)
	}
	levels := []model{now}
	for len(levels) < 8 {
		levels = append(levels, levels[len(levels)-1].level(1))
	}
	for round := range 150 {
		x, y := r.Int64N(800)-400, r.Int64N(800)-400
		w, h := 1+r.Int64N(700), 1+r.Int64N(700)
		pw, ph := 1+r.IntN(60), 1+r.IntN(60)
		rect, _ := RectAt(x, y, w, h)
		pic := make([]byte, 3*pw*ph)
		if err := m.Render(pic, 3*pw, rect, pw, ph); err != nil {
			t.Fatal(err)
		}
		img := image.NewRGBA(image.Rect(0, 0, pw, ph))
		if err := m.RenderImage(img, rect); err != nil {
			t.Fatal(err)
		}
		k := 0
		for int64(pw)<<(k+1) <= w || int64(ph)<<(k+1) <= h {
			k++
		}
		k = min(k, m.Stats().Levels)
		for j := range ph {
			for i := range pw {
				x0, x1 := x+int64(i)*w/int64(pw), x+int64(i+1)*w/int64(pw)-1
				y0, y1 := y+int64(j)*h/int64(ph), y+int64(j+1)*h/int64(ph)-1
				x1, y1 = max(x0, x1), max(y0, y1)
				var s [4]uint32
				for ly := y0 >> k; ly <= y1>>k; ly++ {
					for lx := x0 >> k; lx <= x1>>k; lx++ {
						if c, ok := levels[k][Point{lx, ly}]; ok {
							s = [4]uint32{s[0] + uint32(c.R), s[1] + uint32(c.G), s[2] + uint32(c.B), s[3] + 1}
						}
					}
				}
				want := RGB{}
				if s[3] > 0 {
					want = modelMean(s)
				}
				b := pic[3*(j*pw+i):]
				if got := (RGB{b[0], b[1], b[2]}); got != want {
					t.Fatalf("round %d: %v as %d x %d, level %d: (%d,%d) is %v, want %v", round, rect, pw, ph, k, i, j, got, want)
				}
				if c := img.RGBAAt(i, j); c.R != want.R || c.G != want.G || c.B != want.B || c.A != 255 {
					t.Fatalf("the image has %v, want %v", c, want)
				}
			}
		}
	}
}

// Reading along a line loads what comes next before it is asked for.
func TestPrefetch(t *testing.T) {
	mem := disktest.NewMem()
	m := mustOpen(t, mem, Options{TileSize: 16})
	for i := range int64(40) {
		if err := m.Set(i*16, 0, RGB{1, 1, byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(m.Flush(context.Background()), m.Close()); err != nil {
		t.Fatal(err)
	}
	m = mustOpen(t, mem, Options{ReadOnly: true})
	defer m.Close()
	buf := make([]byte, 3*256)
	for i := range int64(30) {
		if err := m.ReadRegion(buf, 48, i*16, 0, 16, 16); err != nil {
			t.Fatal(err)
		}
		for m.ahead.busy.Load() > 0 { // the background is done
			m.mu.RLock()
			m.mu.RUnlock()
		}
	}
	if s := m.Stats(); s.Prefetched < 20 || s.Loads > 32 {
		t.Errorf("prefetched %d of %d loads", s.Prefetched, s.Loads)
	}
}

// The fast path of shrink against the definition, with the colours that round to black.
func TestShrink(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	const size = 64
	black := make([]byte, 3*size*size)
	for round := range 60 {
		src, dst := make([]byte, len(black)), make([]byte, len(black))
		for i := range src {
			switch round % 4 {
			case 0:
				src[i] = byte(r.Uint32())
			case 1:
				src[i] = byte(r.Uint32() & r.Uint32() & r.Uint32() & 1)
			case 2:
				src[i] = byte(r.IntN(3))
			case 3:
				if r.IntN(20) == 0 {
					src[i] = byte(r.Uint32())
				}
			}
		}
		q := r.IntN(4)
		shrink(dst, src, black, size, q)
		want := model{}
		for i := range int64(size * size) {
			want.set(Point{i % size, i / size}, RGB{src[3*i], src[3*i+1], src[3*i+2]})
		}
		want = want.level(1)
		for i := range int64(size * size) {
			x, y := i%size-int64(q&1)*size/2, i/size-int64(q>>1)*size/2
			got := RGB{dst[3*i], dst[3*i+1], dst[3*i+2]}
			if x >= 0 && y >= 0 && x < size/2 && y < size/2 {
				if got != want[Point{x, y}] {
					t.Fatalf("round %d: (%d,%d) is %v, want %v", round, x, y, got, want[Point{x, y}])
				}
			} else if got != (RGB{}) {
				t.Fatalf("round %d: outside the quarter", round)
			}
		}
	}
}
