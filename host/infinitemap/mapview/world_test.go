package mapview

import (
	"errors"
	"math"
	"sync"
)

// point is a pixel of the plane.
type point struct{ x, y int64 }

// world is a Source that is a formula: an island around the origin, and single pixels
// anywhere. Every level is worked out on its own, so that any tile costs the same.
type world struct {
	side   int
	radius int64 // of the island; 0 for none

	mu         sync.Mutex
	points     map[point][3]byte
	bad        map[place]string // tiles of the source that cannot be read
	generation uint64
	pending    func(*world) // what the next Refresh brings
	failing    error        // what Refresh answers
	made       map[place]tileOf
}

func newWorld(side int, radius int64) *world {
	return &world{side: side, radius: radius, points: map[point][3]byte{}, bad: map[place]string{}, generation: 1}
}

func (w *world) TileSize() int { return w.side }

func (w *world) Generation() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.generation
}

func (w *world) Stats() []Stat {
	return []Stat{{"Tiles with content", "1,089"}, {"Size on disk", "61.4 MB"}, {"Segments", "3"}}
}

// flush makes change visible at the next Refresh.
func (w *world) flush(change func(*world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = change
}

func (w *world) Refresh() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failing != nil {
		return w.failing
	}
	if w.pending != nil {
		w.pending(w)
		w.pending, w.made = nil, nil
		w.generation++
	}
	return nil
}

func (w *world) Bounds() (x0, y0, x1, y1 int64, ok bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.radius > 0 {
		x0, y0, x1, y1, ok = -w.radius, -w.radius, w.radius-1, w.radius-1, true
	}
	for p := range w.points {
		if !ok {
			x0, y0, x1, y1, ok = p.x, p.y, p.x, p.y, true
		}
		x0, y0, x1, y1 = min(x0, p.x), min(y0, p.y), max(x1, p.x), max(y1, p.y)
	}
	return x0, y0, x1, y1, ok, nil
}

func (w *world) Tile(level int, tx, ty int64) ([]byte, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if why := w.bad[place{level, tx, ty}]; why != "" {
		return nil, 0, errors.New(why)
	}
	if t, ok := w.made[place{level, tx, ty}]; ok {
		return t.rgb, t.version, nil
	}
	rgb, version := w.make(level, tx, ty)
	if w.made == nil {
		w.made = map[place]tileOf{}
	}
	w.made[place{level, tx, ty}] = tileOf{rgb, version}
	return rgb, version, nil
}

type tileOf struct {
	rgb     []byte
	version uint64
}

func (w *world) make(level int, tx, ty int64) ([]byte, uint64) {
	side := int64(w.side)
	rgb := make([]byte, 3*side*side)
	x0, y0 := tx*side, ty*side // in pixels of the level
	any := false
	if far := w.radius >> level; w.radius > 0 && x0 <= far && y0 <= far && x0+side >= -far-1 && y0+side >= -far-1 {
		for y := range side {
			for x := range side {
				c, ok := w.land((x0+x)<<level+int64(1)<<level/2, (y0+y)<<level+int64(1)<<level/2)
				if ok {
					any = true
					copy(rgb[3*(y*side+x):], c[:])
				}
			}
		}
	}
	for p, c := range w.points {
		x, y := p.x>>level-x0, p.y>>level-y0
		if 0 <= x && x < side && 0 <= y && y < side {
			any = true
			copy(rgb[3*(y*side+x):], c[:])
		}
	}
	if !any {
		return nil, 0
	}
	h := uint64(1469598103934665603)
	for _, v := range rgb {
		h = (h ^ uint64(v)) * 1099511628211
	}
	return rgb, h | 1
}

// land is the colour of the island at a place.
func (w *world) land(x, y int64) ([3]byte, bool) {
	fx, fy := float64(x), float64(y)
	r := math.Hypot(fx, fy) / float64(w.radius)
	if r >= 1 {
		return [3]byte{}, false
	}
	unit := float64(w.radius) / 5
	warp := noise(fx/unit+40, fy/unit-7) - 0.5
	h := 0.0
	for octave, a := 0, 0.5; octave < 7; octave, a = octave+1, a/2 {
		f := float64(int(1)<<octave) / unit * 1.4
		h += a * noise(fx*f+warp*2+13*float64(octave), fy*f+warp*2)
	}
	h = h*1.2 - 0.16 - 0.55*r*r
	light := (h - (noise(fx*22/unit+3, fy*22/unit+3)-0.5)*0.05)
	shade := 1 + 3*(light-h)
	switch {
	case h < 0.26:
		d := math.Max(0, (h+0.25)/0.51)
		fade := math.Min(1, (1-r)*6)
		return mix([3]float64{6, 16, 34}, [3]float64{34, 110, 140}, d*d, (0.25+0.75*d)*fade), true
	case h < 0.285:
		return mix([3]float64{222, 200, 148}, [3]float64{205, 180, 124}, (h-0.26)/0.025, shade), true
	case h < 0.42:
		return mix([3]float64{112, 158, 92}, [3]float64{52, 104, 74}, (h-0.285)/0.135, shade), true
	case h < 0.52:
		return mix([3]float64{62, 100, 74}, [3]float64{118, 108, 96}, (h-0.42)/0.1, shade), true
	default:
		return mix([3]float64{130, 122, 116}, [3]float64{240, 244, 248}, (h-0.52)/0.08, shade), true
	}
}

func mix(a, b [3]float64, t, light float64) (c [3]byte) {
	t = math.Min(math.Max(t, 0), 1)
	for i := range c {
		c[i] = byte(math.Min(math.Max((a[i]+(b[i]-a[i])*t)*light, 1), 255))
	}
	return c
}

// noise is smooth value noise from 0 to 1.
func noise(x, y float64) float64 {
	x0, y0 := math.Floor(x), math.Floor(y)
	u, v := x-x0, y-y0
	u, v = u*u*(3-2*u), v*v*(3-2*v)
	at := func(i, j float64) float64 {
		n := uint64(int64(x0+i))*0x9E3779B97F4A7C15 ^ uint64(int64(y0+j))*0xC2B2AE3D27D4EB4F
		n ^= n >> 29
		n *= 0xBF58476D1CE4E5B9
		n ^= n >> 32
		return float64(n>>11) / (1 << 53)
	}
	top := at(0, 0)*(1-u) + at(1, 0)*u
	bottom := at(0, 1)*(1-u) + at(1, 1)*u
	return top*(1-v) + bottom*v
}
