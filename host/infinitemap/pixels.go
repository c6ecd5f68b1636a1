package infinitemap

import (
	"fmt"
	"math"
)

// At returns one pixel.
func (m *Map) At(x, y int64) (RGB, error) {
	m.mu.RLock()
	t := m.cache.hit(0, x>>m.shift, y>>m.shift)
	if t == nil {
		var err error
		if t, err = m.find(cell{0, x >> m.shift, y >> m.shift}); err != nil {
			m.mu.RUnlock()
			return RGB{}, err
		}
		m.ahead.saw(m, cells{0, t.x, t.y, t.x, t.y})
	}
	p := t.data[m.offset(x, y):]
	c := RGB{p[0], p[1], p[2]}
	m.mu.RUnlock()
	return c, nil
}

// offset is the place of a pixel in its tile.
func (m *Map) offset(x, y int64) int {
	mask := int64(m.size - 1)
	return int((y&mask)<<m.shift|x&mask) * 3
}

// Set changes one pixel. On an error nothing is changed.
func (m *Map) Set(x, y int64, c RGB) error {
	m.mu.Lock()
	if !m.flushing {
		if t := m.cache.hit(0, x>>m.shift, y>>m.shift); t != nil && t.hot {
			p := t.data[m.offset(x, y):]
			p[0], p[1], p[2] = c.R, c.G, c.B
			m.seq++
			t.change.seq = m.seq
			m.mu.Unlock()
			return nil
		}
	}
	m.mu.Unlock()
	if err := m.lockWrite(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	return m.set(x, y, c)
}

func (m *Map) set(x, y int64, c RGB) error {
	at := cell{0, x >> m.shift, y >> m.shift}
	if c == (RGB{}) { // black on nothing makes no tile
		if t, err := m.find(at); err == nil && t.absent {
			return nil
		}
	}
	t, err := m.writable(at, false)
	if err != nil {
		return err
	}
	p := t.data[m.offset(x, y):]
	p[0], p[1], p[2] = c.R, c.G, c.B
	return nil
}

// Pixel is a pixel with its place.
type Pixel struct {
	Point
	RGB
}

// GetMany reads the pixels at points into dst, which must be as long. All come from one
// state of the map.
func (m *Map) GetMany(dst []RGB, points []Point) error {
	if len(dst) != len(points) {
		return fmt.Errorf("there are %d points and room for %d pixels", len(points), len(dst))
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var t *tile
	for i, p := range points {
		tx, ty := p.X>>m.shift, p.Y>>m.shift
		if t == nil || t.x != tx || t.y != ty {
			var err error
			if t, err = m.find(cell{0, tx, ty}); err != nil {
				return err
			}
		}
		d := t.data[m.offset(p.X, p.Y):]
		dst[i] = RGB{d[0], d[1], d[2]}
	}
	return nil
}

// SetMany changes pixels in order; of two at one place the later stays. On an error it
// reports how many of the first were changed.
func (m *Map) SetMany(pixels []Pixel) (n int, err error) {
	if err := m.lockWrite(); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	var t *tile
	for i := range pixels {
		p := &pixels[i]
		tx, ty := p.X>>m.shift, p.Y>>m.shift
		if t == nil || t.x != tx || t.y != ty {
			t = nil
			at := cell{0, tx, ty}
			if p.RGB == (RGB{}) {
				if f, err := m.find(at); err == nil && f.absent {
					continue
				}
			}
			if t, err = m.writable(at, false); err != nil {
				return i, err
			}
		}
		d := t.data[m.offset(p.X, p.Y):]
		d[0], d[1], d[2] = p.R, p.G, p.B
	}
	return len(pixels), nil
}

// part is the share of one tile in a region.
type part struct {
	cell
	x, y int // first pixel in the tile
	w, h int
	at   int // offset of its first byte in a buffer of the region's rows
}

// parts calls f for each tile under a region until f returns false.
func (m *Map) parts(r Rect, stride int, f func(p part) bool) {
	size := int64(m.size)
	for y := r.Min.Y; ; {
		ty := y >> m.shift
		h := min(size-y&(size-1), r.Max.Y-y+1)
		if r.Max.Y-y < 0 || h <= 0 { // r.Max.Y - y + 1 cannot overflow: a region has at most MaxInt rows
			return
		}
		for x := r.Min.X; ; {
			tx := x >> m.shift
			w := min(size-x&(size-1), r.Max.X-x+1)
			p := part{
				cell{0, tx, ty}, int(x & (size - 1)), int(y & (size - 1)), int(w), int(h),
				int(y-r.Min.Y)*stride + int(x-r.Min.X)*3,
			}
			if !f(p) {
				return
			}
			if r.Max.X-x < w {
				break
			}
			x += w
		}
		if r.Max.Y-y < h {
			return
		}
		y += h
	}
}

// ReadRegion copies the w × h pixels from (x, y) on to dst, 3 bytes a pixel, rows stride
// bytes apart. A tile that cannot be read is left black: the others are all there, and
// the error, a *TileError, names the first.
func (m *Map) ReadRegion(dst []byte, stride int, x, y int64, w, h int) error {
	if w == 0 || h == 0 {
		return nil
	}
	r, err := area(len(dst), stride, x, y, w, h)
	if err != nil {
		return err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return ErrClosed
	}
	m.parts(r, stride, func(p part) bool {
		t, e := m.find(p.cell)
		if e != nil || t.absent {
			if e != nil && err == nil {
				err = e
			}
			for i := range p.h {
				clear(dst[p.at+i*stride:][:3*p.w])
			}
			return true
		}
		from := (p.y<<m.shift + p.x) * 3
		for i := range p.h {
			copy(dst[p.at+i*stride:][:3*p.w], t.data[from+i*3*m.size:])
		}
		return true
	})
	m.ahead.saw(m, cellsOf(r, 0, m.shift))
	return err
}

// WriteRegion copies w × h pixels from src, 3 bytes a pixel, rows stride bytes apart, to
// the plane from (x, y) on. An area that cannot be is refused before anything changes.
// When a tile cannot be read or no changed tile can be moved out of memory, the error
// says so and the tiles before it, row by row of tiles, are changed.
func (m *Map) WriteRegion(src []byte, stride int, x, y int64, w, h int) error {
	if w == 0 || h == 0 {
		return nil
	}
	r, err := area(len(src), stride, x, y, w, h)
	if err != nil {
		return err
	}
	if err := m.lockWrite(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	return m.write(src, stride, r)
}

func (m *Map) write(src []byte, stride int, r Rect) (err error) {
	m.parts(r, stride, func(p part) bool {
		if t := m.cache.hit(0, p.cell.x, p.cell.y); (t == nil || t.absent) && m.blackOnNothing(src[p.at:], stride, p) {
			return true
		}
		var t *tile
		if t, err = m.writable(p.cell, p.w == m.size && p.h == m.size); err != nil {
			return false
		}
		to := (p.y<<m.shift + p.x) * 3
		for i := range p.h {
			copy(t.data[to+i*3*m.size:][:3*p.w], src[p.at+i*stride:])
		}
		return true
	})
	return err
}

// blackOnNothing reports whether a part is black where there is no tile.
func (m *Map) blackOnNothing(src []byte, stride int, p part) bool {
	for i := range p.h {
		if !isBlack(src[i*stride:][:3*p.w], m.black) {
			return false
		}
	}
	t, err := m.find(p.cell)
	return err == nil && t.absent
}

// block gives the sides of the rectangle that n bytes fill: rows of as many pixels as a
// tile is wide, or as there are.
func (m *Map) block(n int) (w, h int) {
	pixels := n/3 + (n%3+2)/3
	w = min(m.size, pixels)
	if w == 0 {
		return 0, 0
	}
	return w, (pixels + w - 1) / w
}

// WriteBytes lays data out row by row in a block min(tile size, pixels) wide from (x, y)
// on, three bytes a pixel, the last row filled up with zeros. It returns the block's
// sides.
func (m *Map) WriteBytes(x, y int64, data []byte) (w, h int, err error) {
	w, h = m.block(len(data))
	if w == 0 {
		return 0, 0, nil
	}
	if _, err = RectAt(x, y, int64(w), int64(h)); err != nil {
		return 0, 0, err
	}
	if err := m.lockWrite(); err != nil {
		return 0, 0, err
	}
	defer m.mu.Unlock()
	full := len(data) / (3 * w)
	if full > 0 {
		r, _ := RectAt(x, y, int64(w), int64(full))
		if err := m.write(data, 3*w, r); err != nil {
			return w, h, err
		}
	}
	if full < h {
		row := make([]byte, 3*w)
		copy(row, data[full*3*w:])
		r, _ := RectAt(x, y+int64(full), int64(w), 1)
		if err := m.write(row, 3*w, r); err != nil {
			return w, h, err
		}
	}
	return w, h, nil
}

// ReadBytes fills dst with what WriteBytes of as many bytes at (x, y) wrote.
func (m *Map) ReadBytes(dst []byte, x, y int64) error {
	w, h := m.block(len(dst))
	if w == 0 {
		return nil
	}
	if _, err := RectAt(x, y, int64(w), int64(h)); err != nil {
		return err
	}
	full := len(dst) / (3 * w)
	if full > 0 {
		if err := m.ReadRegion(dst, 3*w, x, y, w, full); err != nil {
			return err
		}
	}
	if full < h {
		row := make([]byte, 3*w)
		if err := m.ReadRegion(row, 3*w, x, y+int64(full), w, 1); err != nil {
			return err
		}
		copy(dst[full*3*w:], row)
	}
	return nil
}

// MaxRadius is the largest radius that Neighbours takes.
const MaxRadius = 512

// Neighbours returns the pixels at most radius away from (x, y) on both axes, row by
// row, without the pixel itself. What would lie beyond the plane is left out.
func (m *Map) Neighbours(x, y int64, radius int) ([]Pixel, error) {
	if radius < 0 || radius > MaxRadius {
		return nil, fmt.Errorf("a radius of %d: choose 0 to %d", radius, MaxRadius)
	}
	d := int64(radius)
	r := Rect{Min: Point{x - d, y - d}, Max: Point{x + d, y + d}}
	if r.Min.X > x {
		r.Min.X = math.MinInt64
	}
	if r.Min.Y > y {
		r.Min.Y = math.MinInt64
	}
	if r.Max.X < x {
		r.Max.X = math.MaxInt64
	}
	if r.Max.Y < y {
		r.Max.Y = math.MaxInt64
	}
	w, h := int(r.Max.X-r.Min.X)+1, int(r.Max.Y-r.Min.Y)+1
	buf := make([]byte, 3*w*h)
	if err := m.ReadRegion(buf, 3*w, r.Min.X, r.Min.Y, w, h); err != nil {
		return nil, err
	}
	out := make([]Pixel, 0, w*h-1)
	for j := range h {
		for i := range w {
			p := Point{r.Min.X + int64(i), r.Min.Y + int64(j)}
			if p != (Point{x, y}) {
				b := buf[3*(j*w+i):]
				out = append(out, Pixel{p, RGB{b[0], b[1], b[2]}})
			}
		}
	}
	return out, nil
}
