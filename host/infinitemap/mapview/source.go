package mapview

import (
	"errors"
	"math/bits"
)

// Source is a plane of pixels. All methods are called from several goroutines at once;
// between two calls of Refresh they speak of one state of the map.
type Source interface {
	// TileSize returns the side of the source's tiles in pixels: a power of two from
	// 16 to 1024 that never changes.
	TileSize() int
	// Levels returns how many levels there are: 0 is the plane, and at Levels()-1 all
	// that was ever written lies in at most 16 tiles. It is at least 1.
	Levels() int
	// Tile returns 3·TileSize² bytes, rows of RGB, which the caller does not change,
	// or nil where nothing was written. The version is another one whenever the bytes
	// are. An error means that this tile is damaged.
	Tile(level int, tx, ty int64) (rgb []byte, version string, err error)
	// Bounds returns the smallest rectangle, both corners included, outside which
	// everything is black; ok is false for an empty map. It may be larger than needed.
	Bounds() (minX, minY, maxX, maxY int64, ok bool)
	// Generation returns a number that is another one after every flush.
	Generation() uint64
	// Stats returns what a person wants to know beyond bounds, tile size and levels, in
	// the order to be shown.
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
	maxLevel = 63 - viewBits // where the plane is two tiles wide and two high
	tileLen  = 3 * viewSize * viewSize
)

// onPlane reports whether the page's tile (vx, vy) exists at a level.
func onPlane(level int, vx, vy int64) bool {
	if level < 0 || level > maxLevel {
		return false
	}
	half := int64(1) << (maxLevel - level)
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
