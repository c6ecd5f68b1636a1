package main

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// canvas is the picture of an island while it is drawn, in bands of rows.
type canvas struct {
	is        *island
	name      string
	data      []byte
	digest    [sha256.Size]byte
	provinces []province

	width, height int     // of the picture
	left          int     // of the square of the island in it
	at            []int32 // of each pixel of the square: the byte it shows, -1 for the sea
	disorder      []uint8 // of each pixel of the square, blurred
	share         [len(soils)]int
	middle        []struct{ x, y, n int64 } // sums, of each province
	ridges        *lattice
	current       int       // the province that was asked for last
	sea           [1024]rgb // colours by depth
	scale         int       // of the legend's letters
}

// legendScale is the size of the legend's letters below an island of a size.
func legendScale(side int) int { return min(max(side/450, 1), 8) }

// islandWidth is the width of the picture of an island: that of the island, or what
// the legend needs.
func islandWidth(side int) int { return max(side, 360*legendScale(side)) }

func newCanvas(name string, data []byte) *canvas {
	c := &canvas{name: name, data: data, digest: sha256.Sum256(data), provinces: provincesOf(name, data)}
	c.is = plan(len(data), c.digest)
	side := c.is.side
	c.scale = legendScale(side)
	c.width = islandWidth(side)
	c.left = (c.width - side) / 2
	c.height = side + c.legendHeight()
	c.at = make([]int32, side*side)
	for i := range c.at {
		c.at[i] = -1
	}
	for _, b := range data {
		c.share[soilOf(b)]++
	}
	c.middle = make([]struct{ x, y, n int64 }, len(c.provinces))
	c.disorder = make([]uint8, side*side)
	blocks := entropies(data)
	province := 0
	for i, o := range c.is.order() {
		at := int(uint32(o))
		c.at[at] = int32(i)
		c.disorder[at] = blocks[i/entropyBlock]
		for i >= c.provinces[province].first+c.provinces[province].size {
			province++
		}
		m := &c.middle[province]
		m.x, m.y, m.n = m.x+int64(at%side), m.y+int64(at/side), m.n+1
	}
	blur(c.disorder, side)
	shape := octaves(c.is.seed+1, min(max(uint(bits.Len(uint(side)))-3, 5), 8), 3)
	c.ridges = newLattice(side, func(x, y int64) (h float32) {
		amp, weight := float32(1), float32(1)
		for i := range shape {
			r := positive(1 - 2.4*abs(shape[i].at(x, y, 0, 0)))
			r *= r * weight
			h += amp * r
			weight = 0.1 + 0.9*clamp(2*r-0.1)
			amp *= 0.5
		}
		return h
	})
	for i := range c.sea {
		c.sea[i] = seaColour(float32(i) / float32(len(c.sea)))
	}
	return c
}

// blur replaces every value of a square by the mean of those within four of it, first
// along rows, then along columns.
func blur(v []uint8, side int) {
	const r = 4
	line := make([]uint8, side)
	pass := func(first, stride int) {
		sum := 0
		for i := range side {
			line[i] = v[first+i*stride]
		}
		for i := -r; i < side; i++ {
			if i+r < side {
				sum += int(line[i+r])
			}
			if i-r-1 >= 0 {
				sum -= int(line[i-r-1])
			}
			if i >= 0 {
				v[first+i*stride] = uint8(sum / (2*r + 1))
			}
		}
	}
	for y := range side {
		pass(y*side, 1)
	}
	for x := range side {
		pass(x, side)
	}
}

// ground stores the heights of a row of the picture, from one pixel left of it to one
// right of it. ridges is room for a row of the square.
func (c *canvas) ground(y int, out, ridges []float32) {
	for i := range out {
		out[i] = -0.9
	}
	side := c.is.side
	if uint(y) >= uint(side) {
		return
	}
	c.ridges.row(y, ridges)
	for x := range side {
		n := y*side + x
		f := (float32(c.is.lot[n]) - float32(c.is.cut)) * (6. / 65535)
		if c.at[n] < 0 {
			out[x+c.left+1] = -0.001 - positive(-0.55*f)
			continue
		}
		// What looks random stands high and is steep, what repeats itself is flat.
		e := float32(c.disorder[n]) * (1. / 255)
		out[x+c.left+1] = 0.004 + 0.05*clamp(f) + 0.10*e + 0.9*e*e*e*step(0, 0.5, f)*ridges[x]
	}
}

// provinceOf returns the province of a byte. Neighbouring pixels are mostly of one.
func (c *canvas) provinceOf(i int) int {
	if p := &c.provinces[c.current]; i >= p.first && i < p.first+p.size {
		return c.current
	}
	lo, hi := 0, len(c.provinces)
	for lo+1 < hi {
		if mid := (lo + hi) / 2; c.provinces[mid].first <= i {
			lo = mid
		} else {
			hi = mid
		}
	}
	c.current = lo
	return lo
}

// draw makes the picture and calls write for each band of rows, three bytes a pixel.
func (c *canvas) draw(write func(pix []byte, y, rows int) error) error {
	const band = 256
	side := c.is.side
	above, here, below := make([]float32, c.width+2), make([]float32, c.width+2), make([]float32, c.width+2)
	ridges := make([]float32, side)
	c.ground(-1, here, ridges)
	c.ground(0, below, ridges)
	labels := c.labels()
	row := islandRow(c.name, len(c.data), c.digest)
	pix := make([]byte, 3*c.width*band)
	for y0 := 0; y0 < c.height; y0 += band {
		rows := min(band, c.height-y0)
		for y := y0; y < y0+rows; y++ {
			above, here, below = here, below, above
			c.ground(y+1, below, ridges)
			line := pix[3*c.width*(y-y0):][:3*c.width]
			for x := range c.width {
				var col rgb
				sx := x - c.left
				i := int32(-1)
				if uint(sx) < uint(side) && y < side {
					i = c.at[y*side+sx]
				}
				gx, gy := here[x+2]-here[x], below[x+1]-above[x+1]
				if i < 0 {
					col = c.sea[min(int(-here[x+1]*float32(len(c.sea))), len(c.sea)-1)].times(1.06 - 0.12*clamp(0.5+16*(gx+gy)))
				} else {
					col = c.soil(int(i), sx, y, gx, gy)
				}
				line[3*x], line[3*x+1], line[3*x+2] = level(col.r), level(col.g), level(col.b)
			}
		}
		for _, l := range labels {
			l.draw(pix, c.width, y0, rows)
		}
		c.legend(pix, y0, rows)
		for y := y0; y < min(y0+rows, side); y++ {
			line := pix[3*c.width*(y-y0):][:3*c.width]
			for x := range side {
				if i := c.at[y*side+x]; i >= 0 {
					hide(line[3*(x+c.left):], c.data[i])
				}
			}
		}
		if y0 == 0 {
			for x, b := range row {
				hide(pix[3*x:], b)
			}
		}
		if err := write(pix[:3*c.width*rows], y0, rows); err != nil {
			return err
		}
	}
	return nil
}

// soil colours a pixel of land, which shows the byte i.
func (c *canvas) soil(i, x, y int, gx, gy float32) rgb {
	b := c.data[i]
	col := soils[soilOf(b)].c.times(0.93 + (0.14/255)*float32(b))
	col = illuminate(col, gx, gy)
	side := c.is.side
	n := y*side + x
	p := &c.provinces[c.provinceOf(i)]
	end := p.first + p.size
	coast, frontier := false, false
	for _, m := range [...]int{n - 1, n + 1, n - side, n + side} {
		if uint(m) >= uint(len(c.at)) || c.at[m] < 0 {
			coast = true
		} else if int(c.at[m]) >= end {
			frontier = true
		}
	}
	switch {
	case coast:
		col = col.mix(rgb{90, 84, 66}, 0.6)
	case frontier:
		col = col.mix(rgb{120, 44, 40}, 0.7)
	}
	return col
}

// caption is a text with a place in the picture.
type caption struct {
	s      string
	x, top int // of its left upper corner
	pen    *pen
}

// labels returns the names of the provinces that have room for them.
func (c *canvas) labels() (out []caption) {
	if len(c.provinces) < 2 {
		return nil
	}
	side := c.is.side
	for i, m := range c.middle {
		for scale := max(side/220, 1); scale >= 1; scale-- {
			name := strings.ToUpper(c.provinces[i].name)
			w := textWidth(name, scale, 1)
			if float32(w*w)*1.4 > float32(m.n) || m.n == 0 {
				continue
			}
			q := &pen{scale: scale, gap: 1, ink: rgb{38, 26, 20}, halo: rgb{248, 240, 222}, deep: 0.80, glow: 0.45}
			out = append(out, caption{name, c.left + int(m.x/m.n) - w/2, int(m.y/m.n) - 3*scale, q})
			break
		}
	}
	return out
}

// draw writes what of the caption lies in a band of rows of a picture.
func (l *caption) draw(pix []byte, width, y0, rows int) {
	if l.top > y0+rows || l.top+8*l.pen.scale+2 < y0 {
		return
	}
	put := func(x, y int, c rgb, a float32) {
		y -= y0
		if uint(x) >= uint(width) || uint(y) >= uint(rows) {
			return
		}
		q := pix[3*(y*width+x):][:3]
		q[0], q[1], q[2] = level(lerp(float32(q[0]), c.r, a)), level(lerp(float32(q[1]), c.g, a)), level(lerp(float32(q[2]), c.b, a))
	}
	l.pen.trace(l.s, func(x, y int, ink bool) {
		if ink {
			put(l.x+x, l.top+y, l.pen.ink, l.pen.deep)
		} else {
			put(l.x+x, l.top+y, l.pen.halo, l.pen.glow)
		}
	})
}

// The legend: a sheet below the island.
var (
	paper = rgb{240, 230, 205}
	frame = rgb{120, 96, 66}
)

// legendLines returns the lines of text of the legend: those on the left, and on the
// right the largest provinces.
func (c *canvas) legendLines() (left, right []string) {
	sum := fmt.Sprintf("%x", c.digest)
	left = []string{fmt.Sprintf("%d bytes, one to a pixel", len(c.data)), "SHA-256 " + sum[:32], "        " + sum[32:], ""}
	if len(c.provinces) > 1 {
		large := slices.Clone(c.provinces)
		slices.SortStableFunc(large, func(a, b province) int { return b.size - a.size })
		for _, p := range large[:min(len(large), len(soils)+4)] {
			right = append(right, fmt.Sprintf("%s  %d", p.name, p.size))
		}
	}
	return left, right
}

func (c *canvas) legendHeight() int { return (24 + lines*(6+len(soils))) * c.scale }

// legend draws what of it lies in a band of rows.
func (c *canvas) legend(pix []byte, y0, rows int) {
	s, top := c.scale, c.is.side
	if y0+rows <= top {
		return
	}
	m := 6 * s
	for y := max(y0, top+m); y < min(y0+rows, c.height-m); y++ {
		for x := m; x < c.width-m; x++ {
			col := paper
			if d := min(x-m, c.width-m-1-x, y-top-m, c.height-m-1-y); d < s || d >= 2*s && d < 3*s {
				col = frame
			}
			q := pix[3*((y-y0)*c.width+x):][:3]
			q[0], q[1], q[2] = level(col.r), level(col.g), level(col.b)
		}
	}
	ink, faint := &pen{scale: s, ink: rgb{52, 38, 28}, deep: 1}, &pen{scale: s, ink: rgb{112, 90, 66}, deep: 1}
	x, y := 2*m+2*s, top+2*m+2*s
	title := &pen{scale: 2 * s, ink: rgb{90, 40, 30}, deep: 1}
	(&caption{c.name, x, y, title}).draw(pix, c.width, y0, rows)
	y += 2 * lines * s
	left, right := c.legendLines()
	ry := y
	for _, l := range left {
		(&caption{l, x, y, faint}).draw(pix, c.width, y0, rows)
		y += lines * s
	}
	for i, k := range soils {
		for j := max(y, y0); j < min(y+7*s, y0+rows); j++ {
			for u := range 12 * s {
				q := pix[3*((j-y0)*c.width+x+u):][:3]
				q[0], q[1], q[2] = level(k.c.r), level(k.c.g), level(k.c.b)
			}
		}
		part := 100 * float64(c.share[i]) / float64(len(c.data))
		(&caption{fmt.Sprintf("%s  %.1f%%", k.name, part), x + 16*s, y, ink}).draw(pix, c.width, y0, rows)
		y += lines * s
	}
	rx := c.width/2 + 30*s
	for _, l := range right {
		(&caption{l, rx, ry, ink}).draw(pix, c.width, y0, rows)
		ry += lines * s
	}
}
