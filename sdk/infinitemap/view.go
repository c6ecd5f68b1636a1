package infinitemap

import (
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"maps"
	"math"
	"slices"

	pxos "github.com/pxos/pxos/sdk"
)

// View is a rectangle of a map as an image to draw on: with package image/draw, an
// encoder, or At and Set. It moves blocks of pixels, not single ones, and holds at
// most 6 MiB of them, whatever its size; a block that was drawn on is written when its
// place is needed and by Flush.
//
// Images have no errors, so that a pixel which cannot be read is black, one that
// cannot be written is lost, and the first error is kept for Flush. While a view holds
// blocks, changes that are made to the map there in other ways may not be seen, and may
// be overwritten.
type View struct {
	m      *Map
	rect   image.Rectangle
	blocks map[image.Point]*block
	last   *block
	clock  uint64
	err    error
}

var (
	_ draw.RGBA64Image = (*View)(nil)
	_ draw.Image       = (*View)(nil)
)

// A block is as wide as a tile and holds some of its rows, since drawing goes row by
// row: 128 of them reach over 32,768 columns.
const (
	blockWidth  = 256
	blockHeight = 64
	maxBlocks   = 128
)

// block is a part of the view, clipped to it.
type block struct {
	rect  image.Rectangle
	pix   []byte
	dirty image.Rectangle
	used  uint64
	bad   bool // could not be read: what is drawn on it is lost, so that it erases nothing
}

func (b *block) at(x, y int) []byte {
	i := 3 * ((y-b.rect.Min.Y)*b.rect.Dx() + x - b.rect.Min.X)
	return b.pix[i : i+3 : i+3]
}

// View returns the pixels of r as an image. Its coordinates are places of the map;
// the last column and row of the plane, which no image.Rectangle can hold, are out
// of its reach.
func (m *Map) View(r image.Rectangle) *View {
	return &View{m: m, rect: r.Canon(), blocks: map[image.Point]*block{}}
}

// Bounds returns the rectangle of the view.
func (v *View) Bounds() image.Rectangle { return v.rect }

// ColorModel returns Model.
func (v *View) ColorModel() color.Model { return Model }

// At returns a pixel as an RGB, and black outside the view.
func (v *View) At(x, y int) color.Color {
	if p := v.pixel(x, y); p != nil {
		return RGB{p[0], p[1], p[2]}
	}
	return RGB{}
}

// RGBA64At is At in the form that package image/draw prefers.
func (v *View) RGBA64At(x, y int) color.RGBA64 {
	if p := v.pixel(x, y); p != nil {
		return color.RGBA64{R: uint16(p[0]) * 0x101, G: uint16(p[1]) * 0x101, B: uint16(p[2]) * 0x101, A: 0xffff}
	}
	return color.RGBA64{A: 0xffff}
}

// Set changes a pixel; outside the view it does nothing.
func (v *View) Set(x, y int, c color.Color) { v.set(x, y, toRGB(c)) }

// SetRGBA64 is Set in the form that package image/draw prefers.
func (v *View) SetRGBA64(x, y int, c color.RGBA64) {
	v.set(x, y, RGB{uint8(c.R >> 8), uint8(c.G >> 8), uint8(c.B >> 8)})
}

func (v *View) set(x, y int, c RGB) {
	p := v.pixel(x, y)
	if p == nil {
		return
	}
	p[0], p[1], p[2] = c.R, c.G, c.B
	b := v.last
	if b.dirty.Empty() {
		b.dirty = image.Rectangle{Min: image.Pt(x, y), Max: image.Pt(x+1, y+1)}
		return
	}
	b.dirty.Min.X, b.dirty.Max.X = min(b.dirty.Min.X, x), max(b.dirty.Max.X, x+1)
	b.dirty.Min.Y, b.dirty.Max.Y = min(b.dirty.Min.Y, y), max(b.dirty.Max.Y, y+1)
}

// pixel returns the bytes of a pixel inside the view, in the block v.last.
func (v *View) pixel(x, y int) []byte {
	at := image.Pt(x, y)
	if v.last != nil && at.In(v.last.rect) {
		return v.last.at(x, y)
	}
	if !at.In(v.rect) {
		return nil
	}
	place := image.Pt(x&^(blockWidth-1), y&^(blockHeight-1))
	b := v.blocks[place]
	if b == nil {
		b = v.load(place)
	}
	v.clock++
	b.used = v.clock
	v.last = b
	return b.at(x, y)
}

// upTo is the end of a block, which must not run over where the plane ends.
func upTo(from, n int) int {
	if from > math.MaxInt-n {
		return math.MaxInt
	}
	return from + n
}

func (v *View) load(place image.Point) *block {
	if len(v.blocks) >= maxBlocks {
		v.evict()
	}
	r := image.Rectangle{Min: place, Max: image.Pt(upTo(place.X, blockWidth), upTo(place.Y, blockHeight))}.Intersect(v.rect)
	b := &block{rect: r, pix: make([]byte, 3*r.Dx()*r.Dy())}
	code := infinitemapReadRegion(v.m.id(), int64(r.Min.X), int64(r.Min.Y), uint32(r.Dx()), uint32(r.Dy()), 0, b.pix)
	if code != pxos.CodeOK {
		clear(b.pix)
		b.bad = true
		v.keep(v.m.done("read", code))
	}
	v.blocks[place] = b
	return b
}

// evict writes and forgets the block that was used least recently.
func (v *View) evict() {
	var oldest image.Point
	var b *block
	for p, c := range v.blocks {
		if b == nil || c.used < b.used {
			oldest, b = p, c
		}
	}
	v.write(b)
	delete(v.blocks, oldest)
	if v.last == b {
		v.last = nil
	}
}

// write writes what was drawn on a block: the rectangle around it, which had its
// pixels from the map.
func (v *View) write(b *block) {
	d := b.dirty
	if d.Empty() || b.bad {
		return
	}
	pix := b.pix
	if d.Dx() == b.rect.Dx() {
		pix = pix[3*(d.Min.Y-b.rect.Min.Y)*d.Dx():][:3*d.Dx()*d.Dy()]
	} else {
		pix = make([]byte, 0, 3*d.Dx()*d.Dy())
		for y := d.Min.Y; y < d.Max.Y; y++ {
			from := 3 * ((y-b.rect.Min.Y)*b.rect.Dx() + d.Min.X - b.rect.Min.X)
			pix = append(pix, b.pix[from:from+3*d.Dx()]...)
		}
	}
	b.dirty = image.Rectangle{}
	v.keep(v.m.WriteRegion(pix, int64(d.Min.X), int64(d.Min.Y), d.Dx(), d.Dy()))
}

func (v *View) keep(err error) {
	if v.err == nil {
		v.err = err
	}
}

// Flush writes what was drawn to the map and forgets all blocks, so that what is read
// next comes from the map. It returns the first error since the last Flush. It does
// not make the map durable; Map.Flush does.
func (v *View) Flush() error {
	places := slices.SortedFunc(maps.Keys(v.blocks), func(p, q image.Point) int { return cmp.Or(cmp.Compare(p.Y, q.Y), cmp.Compare(p.X, q.X)) })
	for _, p := range places { // in an order, so that a run can be repeated
		v.write(v.blocks[p])
	}
	clear(v.blocks)
	v.last = nil
	err := v.err
	v.err = nil
	return err
}
