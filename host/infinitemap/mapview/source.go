package mapview

import (
	"errors"
	"math/bits"
)

// Source is a plane of pixels, as FromMap makes one of an infinitemap.Map. All methods
// are called from several goroutines at once; between two calls of Refresh they speak of
// one state of the map.
type Source interface {
	// TileSize returns the side of the source's tiles in pixels: a power of two from
	// 16 to 1024 that never changes.
	TileSize() int
	// Tile returns 3·TileSize² bytes, rows of RGB, which neither side changes
	// afterwards, and a version that is another one whenever the bytes are; 0 is that
	// of a tile in which all is black, whose bytes are not looked at. Levels go from 0,
	// the plane, to 63 - log2(TileSize), where four tiles are all of it. An error means
	// that this tile cannot be read; others may.
	Tile(level int, tx, ty int64) (rgb []byte, version uint64, err error)
	// Bounds returns a rectangle, both corners included, outside which everything is
	// black; ok is false for an empty map.
	Bounds() (minX, minY, maxX, maxY int64, ok bool, err error)
	// Generation returns a number that is another one after every change that Refresh
	// brought.
	Generation() uint64
	// Stats returns what a person wants to know beyond bounds, tile size and
	// generation, in the order to be shown.
	Stats() []Stat
	// Refresh moves on to the newest state. After an error the older one stays.
	Refresh() error
}

// Stat is one line of the page's panel: a short English name and a value for a person,
// such as {"Tiles", "1,024"}.
type Stat struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

const (
	viewBits = 8
	viewSize = 1 << viewBits // side of the page's tiles in pixels
	tileLen  = 3 * viewSize * viewSize
)

// topLevel returns the highest level that the page shows of a plane of tiles of 2^bits
// pixels: 55, where four of the page's tiles are the whole plane, or a little less where
// the source's tiles are larger than the page's.
func topLevel(bits int) int { return 63 - max(bits, viewBits) }

// onPlane reports whether the page's tile (vx, vy) exists at a level up to 55.
func onPlane(level int, vx, vy int64) bool {
	half := int64(1) << (63 - viewBits - level)
	return -half <= vx && vx < half && -half <= vy && vy < half
}

// tileBits returns log2 of the source's tile size, or an error for a source that breaks
// its contract.
func tileBits(s Source) (int, error) {
	n := s.TileSize()
	if n < 16 || n > 1024 || n&(n-1) != 0 {
		return 0, errors.New("the map's tile size is not a power of two from 16 to 1024")
	}
	return bits.Len(uint(n)) - 1, nil
}
