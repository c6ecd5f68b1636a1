package infinitemap

import (
	"fmt"
	"math"
	"math/bits"
)

// RGB is one pixel. The zero value is black, which is what unwritten space reads as.
type RGB struct{ R, G, B uint8 }

// Point is a pixel of the plane. Every pair of int64 names one.
type Point struct{ X, Y int64 }

// Rect is a rectangle of pixels that includes both Min and Max, so that the whole plane
// (math.MinInt64 to math.MaxInt64 on both axes) has a name. One pixel is Min == Max;
// there is no empty Rect.
type Rect struct{ Min, Max Point }

// Plane is every pixel there is.
var Plane = Rect{Point{math.MinInt64, math.MinInt64}, Point{math.MaxInt64, math.MaxInt64}}

// RectAt returns the rectangle of w × h pixels whose first pixel is (x, y). It fails
// when a side is less than 1 or the last pixel would lie beyond 2^63 - 1.
func RectAt(x, y, w, h int64) (Rect, error) {
	if w < 1 || h < 1 {
		return Rect{}, &RectError{X: x, Y: y, W: w, H: h, Msg: "both sides must be at least 1"}
	}
	if x > math.MaxInt64-(w-1) || y > math.MaxInt64-(h-1) {
		return Rect{}, &RectError{X: x, Y: y, W: w, H: h, Msg: "it ends beyond the last pixel of the plane"}
	}
	return Rect{Point{x, y}, Point{x + (w - 1), y + (h - 1)}}, nil
}

// Canon returns r with its corners in order: the smaller coordinates in Min.
func (r Rect) Canon() Rect {
	return Rect{
		Point{min(r.Min.X, r.Max.X), min(r.Min.Y, r.Max.Y)},
		Point{max(r.Min.X, r.Max.X), max(r.Min.Y, r.Max.Y)},
	}
}

// Valid reports whether Min is at or before Max on both axes.
func (r Rect) Valid() bool { return r.Min.X <= r.Max.X && r.Min.Y <= r.Max.Y }

// Contains reports whether p lies inside r.
func (r Rect) Contains(p Point) bool {
	return r.Min.X <= p.X && p.X <= r.Max.X && r.Min.Y <= p.Y && p.Y <= r.Max.Y
}

// Intersect returns what r and s share; ok is false when they share nothing.
func (r Rect) Intersect(s Rect) (both Rect, ok bool) {
	both = Rect{
		Point{max(r.Min.X, s.Min.X), max(r.Min.Y, s.Min.Y)},
		Point{min(r.Max.X, s.Max.X), min(r.Max.Y, s.Max.Y)},
	}
	return both, both.Valid()
}

// Size returns the sides in pixels less one, which fits 64 bits where a side itself, up
// to 2^64, would not.
func (r Rect) Size() (w1, h1 uint64) {
	return uint64(r.Max.X) - uint64(r.Min.X), uint64(r.Max.Y) - uint64(r.Min.Y)
}

func (r Rect) String() string {
	return fmt.Sprintf("(%d,%d)-(%d,%d)", r.Min.X, r.Min.Y, r.Max.X, r.Max.Y)
}

// Sides of a tile in pixels, powers of two.
const (
	MinTileSize     = 16
	MaxTileSize     = 1024
	DefaultTileSize = 256
)

// maxLevel is the highest level of a plane of tiles of 2^shift pixels: there, two tiles
// span an axis.
func maxLevel(shift uint) int { return 63 - int(shift) }

// cell is a tile's place: its level and its coordinates in tiles of that level.
type cell struct {
	level int
	x, y  int64
}

func (c cell) parent() cell { return cell{c.level + 1, c.x >> 1, c.y >> 1} }

// child returns one of the four tiles of the level below; i counts them 0 to 3, x first.
func (c cell) child(i int) cell {
	return cell{c.level - 1, c.x<<1 | int64(i&1), c.y<<1 | int64(i>>1)}
}

// pixels returns the plane's pixels that a cell covers, for tiles of 2^shift pixels.
func (c cell) pixels(shift uint) Rect {
	s := shift + uint(c.level)
	x, y := c.x<<s, c.y<<s
	last := int64(uint64(1)<<s - 1)
	return Rect{Point{x, y}, Point{x | last, y | last}}
}

// onPlane reports whether a cell exists at its level.
func (c cell) onPlane(shift uint) bool {
	if c.level < 0 || c.level > maxLevel(shift) {
		return false
	}
	s := shift + uint(c.level)
	return c.x<<s>>s == c.x && c.y<<s>>s == c.y
}

// cells are the tiles of one level between two corners, both included.
type cells struct {
	level          int
	x0, y0, x1, y1 int64
}

func cellsOf(r Rect, level int, shift uint) cells {
	s := shift + uint(level)
	return cells{level, r.Min.X >> s, r.Min.Y >> s, r.Max.X >> s, r.Max.Y >> s}
}

func (a cells) contains(c cell) bool {
	return c.level == a.level && a.x0 <= c.x && c.x <= a.x1 && a.y0 <= c.y && c.y <= a.y1
}

// up returns the cells of a higher level that cover a.
func (a cells) up(n int) cells {
	s := uint(n)
	return cells{a.level + n, a.x0 >> s, a.y0 >> s, a.x1 >> s, a.y1 >> s}
}

// join returns the smallest cells that hold a and c.
func (a cells) join(c cell) cells {
	return cells{a.level, min(a.x0, c.x), min(a.y0, c.y), max(a.x1, c.x), max(a.y1, c.y)}
}

// handful reports whether a is at most two tiles wide and two high. From there up a
// pyramid needs no further levels.
func (a cells) handful() bool { return a.x1-a.x0 <= 1 && a.y1-a.y0 <= 1 }

// key orders tiles: 8 bits of level, then the 120 bits of the two coordinates
// interleaved (Morton order), most significant first. A coordinate of a tile of at
// least 16 pixels needs 60 bits; 2^59 is added so that it is not negative. All tiles
// below one cell of a higher level are neighbours in this order.
type key struct{ hi, lo uint64 }

const (
	coordBits = 60
	coordBias = int64(1) << (coordBits - 1)
)

func (k key) less(o key) bool { return k.hi < o.hi || k.hi == o.hi && k.lo < o.lo }

// spread puts the 32 bits of v at the even places of 64.
func spread(v uint64) uint64 {
	v &= 0xFFFFFFFF
	v = (v | v<<16) & 0x0000FFFF0000FFFF
	v = (v | v<<8) & 0x00FF00FF00FF00FF
	v = (v | v<<4) & 0x0F0F0F0F0F0F0F0F
	v = (v | v<<2) & 0x3333333333333333
	v = (v | v<<1) & 0x5555555555555555
	return v
}

// squeeze undoes spread.
func squeeze(v uint64) uint64 {
	v &= 0x5555555555555555
	v = (v | v>>1) & 0x3333333333333333
	v = (v | v>>2) & 0x0F0F0F0F0F0F0F0F
	v = (v | v>>4) & 0x00FF00FF00FF00FF
	v = (v | v>>8) & 0x0000FFFF0000FFFF
	v = (v | v>>16) & 0x00000000FFFFFFFF
	return v
}

// morton makes a key of a level and biased coordinates of 60 bits.
func morton(level int, ux, uy uint64) key {
	return key{
		hi: uint64(level)<<56 | spread(ux>>32) | spread(uy>>32)<<1,
		lo: spread(ux) | spread(uy)<<1,
	}
}

func (c cell) key() key {
	return morton(c.level, uint64(c.x+coordBias), uint64(c.y+coordBias))
}

func (k key) level() int { return int(k.hi >> 56) }

// biased returns the coordinates of k with the bias still in them.
func (k key) biased() (ux, uy uint64) {
	h := k.hi & (1<<56 - 1)
	return squeeze(h)<<32 | squeeze(k.lo), squeeze(h>>1)<<32 | squeeze(k.lo>>1)
}

func (k key) cell() cell {
	ux, uy := k.biased()
	return cell{k.level(), int64(ux) - coordBias, int64(uy) - coordBias}
}

// common returns how many low bits of each coordinate two keys of one level may differ
// in: all keys between a and b lie in one cell of 2^common tiles a side.
func common(a, b key) int {
	if d := a.hi ^ b.hi; d != 0 {
		return (64 + bits.Len64(d) + 1) / 2
	}
	return (bits.Len64(a.lo^b.lo) + 1) / 2
}

// area checks w and h of a region at (x, y), and that rows of 3w bytes, stride apart,
// lie within have bytes. Nothing is computed that could overflow.
func area(have, stride int, x, y int64, w, h int) (Rect, error) {
	r, err := RectAt(x, y, int64(w), int64(h))
	if err != nil {
		return r, err
	}
	if w > math.MaxInt/3 || stride < 3*w {
		return r, &RectError{X: x, Y: y, W: int64(w), H: int64(h), Msg: fmt.Sprintf("rows of %d pixels do not fit a stride of %d bytes", w, stride)}
	}
	hi, lo := bits.Mul64(uint64(stride), uint64(h-1))
	if hi != 0 || lo > uint64(have) || uint64(have)-lo < uint64(3*w) {
		return r, &RectError{X: x, Y: y, W: int64(w), H: int64(h), Msg: fmt.Sprintf("the buffer of %d bytes is too short for it", have)}
	}
	return r, nil
}
