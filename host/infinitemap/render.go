package infinitemap

import (
	"fmt"
	"image"
	"math/bits"
)

// axis says which pixels of a level each row or column of a picture shows: from a[i] to
// b[i], none where b[i] < a[i].
type axis struct{ a, b []int64 }

// scale returns the whole part of i × (size1 + 1) / n, for i ≤ n. Of i == n the result
// is size1 + 1, which may not fit: it is 0 then, and the caller takes 1 off.
func scale(i, size1, n uint64) uint64 {
	hi, lo := bits.Mul64(i, size1)
	lo, carry := bits.Add64(lo, i, 0)
	hi += carry
	if hi >= n {
		return 0 // 2^64, for i == n and size1 == 2^64 - 1
	}
	q, _ := bits.Div64(hi, lo, n)
	return q
}

// axisOf spreads n picture pixels over the plane's pixels from first on, size1 + 1 of
// them, at level k, of which only from lo to hi are of interest.
func axisOf(first int64, size1 uint64, n int, k uint, lo, hi int64) axis {
	x := axis{make([]int64, n), make([]int64, n)}
	for i := range n {
		from := scale(uint64(i), size1, uint64(n))
		to := scale(uint64(i+1), size1, uint64(n)) - 1
		if i+1 < n && to+1 == from { // enlarged: several show one
			to = from
		}
		x.a[i] = max(int64(uint64(first)+from)>>k, lo)
		x.b[i] = min(int64(uint64(first)+to)>>k, hi)
	}
	return x
}

// zoom is the highest level whose pixels are not larger than those of a picture of n
// pixels for size1 + 1 of the plane.
func zoom(size1 uint64, n int) int {
	var q uint64
	if size1 == 1<<64-1 {
		if n == 1 {
			return 64
		}
		q, _ = bits.Div64(1, 0, uint64(n))
	} else {
		q = (size1 + 1) / uint64(n)
	}
	return max(bits.Len64(q)-1, 0)
}

// Render draws the pixels of r, any part of the plane, as a picture of w × h pixels into
// dst, 3 bytes each, rows stride bytes apart. Where r is larger than the picture, each
// picture pixel is the mean of what it covers at the nearest finer level of the pyramid,
// black left out, so that a single pixel can be seen from any height; where r is
// smaller, pixels are repeated. The time depends on the picture's size, not on that of
// r. Tiles that cannot be read are black, and the error names the first.
func (m *Map) Render(dst []byte, stride int, r Rect, w, h int) error {
	if !r.Valid() {
		return &RectError{X: r.Min.X, Y: r.Min.Y, Msg: fmt.Sprintf("its corners %v are in the wrong order", r)}
	}
	if _, err := area(len(dst), stride, 0, 0, w, h); err != nil {
		return err
	}
	unlock, err := m.lockLifted()
	if err != nil {
		return err
	}
	defer unlock()
	p := m.newPainter(r, w, h)
	for j := range h {
		p.row(dst[j*stride:][:3*w], j, dst, stride)
	}
	return p.err
}

// RenderImage is Render into an image, whose pixels become opaque.
func (m *Map) RenderImage(dst *image.RGBA, r Rect) error {
	w, h := dst.Rect.Dx(), dst.Rect.Dy()
	if w <= 0 || h <= 0 {
		return nil
	}
	if !r.Valid() {
		return &RectError{X: r.Min.X, Y: r.Min.Y, Msg: fmt.Sprintf("its corners %v are in the wrong order", r)}
	}
	unlock, err := m.lockLifted()
	if err != nil {
		return err
	}
	defer unlock()
	p := m.newPainter(r, w, h)
	rgb := make([]byte, 3*w)
	for j := range h {
		p.row(rgb, j, nil, 0)
		out := dst.Pix[j*dst.Stride:][:4*w]
		for i := range w {
			out[4*i], out[4*i+1], out[4*i+2], out[4*i+3] = rgb[3*i], rgb[3*i+1], rgb[3*i+2], 255
		}
	}
	return p.err
}

// painter draws one picture.
type painter struct {
	m          *Map
	level      int
	cols, rows axis
	x0, x1     int64 // columns of the level that are needed at all
	line       []byte
	sums       []uint32 // red, green, blue, count of each column
	single     bool     // each picture column shows at most one of the level
	lineY      int64    // row of the level that line holds
	lineOK     bool
	err        error
}

func (m *Map) newPainter(r Rect, w, h int) *painter {
	w1, h1 := r.Size()
	p := &painter{m: m, level: min(max(zoom(w1, w), zoom(h1, h)), m.top), single: true, x0: 1}
	k := uint(p.level)
	lo, hi := Point{1, 1}, Point{}
	if m.hasBounds {
		lo = cell{0, m.bounds.x0, m.bounds.y0}.pixels(m.shift).Min
		hi = cell{0, m.bounds.x1, m.bounds.y1}.pixels(m.shift).Max
	}
	p.cols = axisOf(r.Min.X, w1, w, k, lo.X>>k, hi.X>>k)
	p.rows = axisOf(r.Min.Y, h1, h, k, lo.Y>>k, hi.Y>>k)
	if !m.hasBounds {
		for i := range p.cols.a {
			p.cols.a[i], p.cols.b[i] = 1, 0
		}
	}
	for i, a := range p.cols.a {
		b := p.cols.b[i]
		if b < a {
			continue
		}
		if p.x0 > p.x1 {
			p.x0, p.x1 = a, b
		}
		p.x1 = b
		p.single = p.single && a == b
	}
	if p.x0 <= p.x1 {
		p.line = make([]byte, 3*(p.x1-p.x0+1))
	}
	if !p.single {
		p.sums = make([]uint32, 4*w)
	}
	return p
}

// row draws row j. Given the picture, rows that show the same as the one before are
// copied.
func (p *painter) row(out []byte, j int, picture []byte, stride int) {
	a, b := p.rows.a[j], p.rows.b[j]
	if b < a || len(p.line) == 0 {
		clear(out)
		return
	}
	if j > 0 && picture != nil && p.rows.a[j-1] == a && p.rows.b[j-1] == b {
		copy(out, picture[(j-1)*stride:][:len(out)])
		return
	}
	if a == b && p.single {
		p.fetch(a)
		for i, x := range p.cols.a {
			o := out[3*i : 3*i+3]
			if p.cols.b[i] < x {
				o[0], o[1], o[2] = 0, 0, 0
				continue
			}
			s := p.line[3*(x-p.x0):][:3]
			o[0], o[1], o[2] = s[0], s[1], s[2]
		}
		return
	}
	if p.sums == nil {
		p.sums = make([]uint32, 4*len(p.cols.a))
	}
	clear(p.sums)
	for y := a; ; y++ {
		p.fetch(y)
		for i, x := range p.cols.a {
			s := p.sums[4*i : 4*i+4]
			for end := p.cols.b[i]; x <= end; x++ {
				c := p.line[3*(x-p.x0):][:3]
				if c[0]|c[1]|c[2] != 0 {
					s[0] += uint32(c[0])
					s[1] += uint32(c[1])
					s[2] += uint32(c[2])
					s[3]++
				}
			}
		}
		if y == b {
			break
		}
	}
	for i := range p.cols.a {
		s, o := p.sums[4*i:4*i+4], out[3*i:3*i+3]
		if s[3] == 0 {
			o[0], o[1], o[2] = 0, 0, 0
		} else {
			o[0], o[1], o[2] = mean(s[0], s[1], s[2], s[3])
		}
	}
}

// fetch copies one row of the level into line.
func (p *painter) fetch(y int64) {
	if p.lineOK && p.lineY == y {
		return
	}
	m := p.m
	mask := int64(m.size - 1)
	for x := p.x0; ; {
		n := min(int64(m.size)-x&mask, p.x1-x+1)
		out := p.line[3*(x-p.x0):][:3*n]
		t, err := m.find(cell{p.level, x >> m.shift, y >> m.shift})
		if err != nil {
			if p.err == nil {
				p.err = err
			}
			clear(out)
		} else {
			copy(out, t.data[m.offset(x, y):])
		}
		if p.x1-x < n {
			break
		}
		x += n
	}
	p.lineY, p.lineOK = y, true
}
