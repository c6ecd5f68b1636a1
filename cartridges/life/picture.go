package main

import (
	"image"
	"image/color"
)

// The sheet: panels in rows, each with a caption, under a title.
const (
	side    = 320 // least width of a panel in pixels
	margin  = 28  // around and between the panels
	caption = 22  // below a panel
	heading = 58  // above the first row
)

var (
	background = color.RGBA{0x0a, 0x0d, 0x1a, 0xff}
	ground     = color.RGBA{0x11, 0x16, 0x2b, 0xff} // of a panel
	ink        = color.RGBA{0xe8, 0xe4, 0xd8, 0xff}
	faint      = color.RGBA{0x7d, 0x86, 0xa8, 0xff}
)

// stop is a colour at an age; ages between two stops have the colours between.
type stop struct {
	age int
	c   color.RGBA
}

// living colours a cell by how long it has lived: white-hot at birth, then cooling
// to violet and blue.
var living = []stop{
	{0, color.RGBA{0xff, 0xf8, 0xdc, 0xff}},
	{2, color.RGBA{0xff, 0xd4, 0x5e, 0xff}},
	{5, color.RGBA{0xff, 0x93, 0x45, 0xff}},
	{11, color.RGBA{0xf2, 0x4d, 0x72, 0xff}},
	{24, color.RGBA{0xc0, 0x4b, 0xd0, 0xff}},
	{55, color.RGBA{0x7d, 0x6b, 0xf2, 0xff}},
	{120, color.RGBA{0x4f, 0xa3, 0xff, 0xff}},
}

// fading colours a cell by how long it has been dead, down to the ground.
var fading = []stop{
	{0, color.RGBA{0x2f, 0x8c, 0x9c, 0xff}},
	{5, color.RGBA{0x22, 0x5f, 0x86, 0xff}},
	{16, color.RGBA{0x25, 0x41, 0x74, 0xff}},
	{34, color.RGBA{0x24, 0x2b, 0x55, 0xff}},
	{trail, ground},
}

// mix returns a at 0, b at of, and what lies between.
func mix(a, b color.RGBA, at, of int) color.RGBA {
	part := func(x, y uint8) uint8 { return uint8((int(x)*(of-at) + int(y)*at) / of) }
	return color.RGBA{part(a.R, b.R), part(a.G, b.G), part(a.B, b.B), 0xff}
}

// colourAt returns the colour of an age between the stops.
func colourAt(stops []stop, age int) color.RGBA {
	for i := 1; i < len(stops); i++ {
		if lo, hi := stops[i-1], stops[i]; age <= hi.age {
			return mix(lo.c, hi.c, age-lo.age, hi.age-lo.age)
		}
	}
	return stops[len(stops)-1].c
}

// colour returns the colour of a cell, living or fading.
func (b *board) colour(i int) color.RGBA {
	if b.alive[i] {
		return colourAt(living, b.age[i])
	}
	return colourAt(fading, b.gone[i])
}

// sheet is the picture of a run: some of its generations side by side.
type sheet struct {
	img           *image.RGBA
	columns, rows int
	pitch         int // pixels from one cell to the next
	w, h          int // of a panel, in pixels
}

func newSheet(b *board, columns, rows int) *sheet {
	pitch := (side + b.w - 1) / b.w
	s := &sheet{columns: columns, rows: rows, pitch: pitch, w: b.w * pitch, h: b.h * pitch}
	s.img = image.NewRGBA(image.Rect(0, 0, margin+columns*(s.w+margin), heading+rows*(s.h+caption+margin)))
	fill(s.img, s.img.Rect, background)
	return s
}

func fill(img *image.RGBA, r image.Rectangle, c color.RGBA) {
	r = r.Intersect(img.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := img.Pix[img.PixOffset(r.Min.X, y):img.PixOffset(r.Max.X, y)]
		for i := 0; i+3 < len(row); i += 4 {
			row[i], row[i+1], row[i+2], row[i+3] = c.R, c.G, c.B, c.A
		}
	}
}

// panel draws a generation at its place, with what is written below it.
func (s *sheet) panel(n int, b *board, left, right string) {
	x0 := margin + n%s.columns*(s.w+margin)
	y0 := heading + n/s.columns*(s.h+caption+margin)
	light := glow(b)
	for y := range s.h {
		for x := range s.w {
			s.img.SetRGBA(x0+x, y0+y, light.at(x, y, s.pitch))
		}
	}
	for i := range b.alive {
		if b.alive[i] || b.gone[i] < trail {
			s.cell(x0+i%b.w*s.pitch, y0+i/b.w*s.pitch, b.colour(i))
		}
	}
	text(s.img, x0, y0+s.h+10, 2, ink, left)
	text(s.img, x0+s.w-textWidth(right, 2), y0+s.h+10, 2, faint, right)
}

// cell draws one cell. Where there is room it keeps apart from its neighbour, and its
// corners are half lit so that it looks round.
func (s *sheet) cell(x0, y0 int, c color.RGBA) {
	size := s.pitch
	if size < 4 {
		fill(s.img, image.Rect(x0, y0, x0+size, y0+size), c)
		return
	}
	size--
	for y := range size {
		for x := range size {
			d := c
			if (x == 0 || x == size-1) && (y == 0 || y == size-1) {
				d = mix(c, s.img.RGBAAt(x0+x, y0+y), 3, 5)
			}
			s.img.SetRGBA(x0+x, y0+y, d)
		}
	}
}

// halo is the light that the cells of a board throw on the ground around them, one
// value a cell.
type halo struct {
	w, h int
	c    []color.RGBA
}

// glow spreads the colour of living cells and of trails over their neighbourhood.
func glow(b *board) *halo {
	type light struct{ r, g, b int }
	src, tmp := make([]light, b.w*b.h), make([]light, b.w*b.h)
	for i := range b.alive {
		c := b.colour(i)
		src[i] = light{int(c.R) - int(ground.R), int(c.G) - int(ground.G), int(c.B) - int(ground.B)}
	}
	// Weights 1 4 6 4 1 along each axis; the sum over both is 256.
	weights := [...]int{1, 4, 6, 4, 1}
	for pass := range 2 {
		for y := range b.h {
			for x := range b.w {
				var sum light
				for k, weight := range weights {
					i := y*b.w + (x+k-2+b.w)%b.w
					if pass == 1 {
						i = (y+k-2+b.h)%b.h*b.w + x
					}
					sum.r += src[i].r * weight
					sum.g += src[i].g * weight
					sum.b += src[i].b * weight
				}
				tmp[y*b.w+x] = light{sum.r / 16, sum.g / 16, sum.b / 16}
			}
		}
		src, tmp = tmp, src
	}
	out := &halo{b.w, b.h, make([]color.RGBA, b.w*b.h)}
	for i, l := range src {
		add := func(base uint8, v int) uint8 { return uint8(min(max(int(base)+v*2/5, 0), 255)) }
		out.c[i] = color.RGBA{add(ground.R, l.r), add(ground.G, l.g), add(ground.B, l.b), 0xff}
	}
	return out
}

// at returns the light at a pixel, between those of the four nearest cells, which are
// pitch pixels apart.
func (h *halo) at(x, y, pitch int) color.RGBA {
	// Positions in tenths of a cell from the middle of the first one.
	u, v := (x*10+5)/pitch-5+10*h.w, (y*10+5)/pitch-5+10*h.h
	x0, y0, fx, fy := u/10%h.w, v/10%h.h, u%10, v%10
	x1, y1 := (x0+1)%h.w, (y0+1)%h.h
	top := mix(h.c[y0*h.w+x0], h.c[y0*h.w+x1], fx, 10)
	bottom := mix(h.c[y1*h.w+x0], h.c[y1*h.w+x1], fx, 10)
	return mix(top, bottom, fy, 10)
}
