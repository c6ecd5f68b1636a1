package mapview

import (
	"encoding/binary"
	"errors"
)

var errTileLength = errors.New("the tile has not as many bytes as its size asks for")

// picture is what a tile of the page shows.
type picture struct {
	etag   string // with its quotation marks; "" for a damaged picture
	rgb    []byte // tileLen bytes; nil when all is black
	damage error  // the first of them
}

// blackETag is the one of every tile in which nothing was written.
const blackETag = `"black"`

// painter puts pictures together from the tiles of a source.
type painter struct {
	src  Source
	bits int // log2 of the source's tile size
	// salt goes into every ETag, because versions are a map's own: a browser may have
	// tiles of another map that was served at the same address.
	salt [16]byte
}

// picture draws a tile of the page, which must be on the plane. Its bytes may be the
// source's own.
func (p *painter) picture(at place) picture {
	if p.bits >= viewBits {
		return p.crop(at)
	}
	return p.compose(at)
}

// crop shows a part of one source tile, or all of it.
func (p *painter) crop(at place) picture {
	up := p.bits - viewBits
	rgb, version, err := p.tile(at.level, at.vx>>up, at.vy>>up)
	if err != nil {
		return damaged(err)
	}
	if rgb == nil {
		return picture{etag: blackETag}
	}
	etag := p.etag(version)
	if up == 0 {
		return picture{etag: etag, rgb: rgb}
	}
	side := 1 << p.bits
	mask := int64(1)<<up - 1
	x, y := int(at.vx&mask)<<viewBits, int(at.vy&mask)<<viewBits
	out := make([]byte, tileLen)
	for row := range viewSize {
		copy(out[3*viewSize*row:][:3*viewSize], rgb[3*(side*(y+row)+x):])
	}
	return picture{etag: etag, rgb: out}
}

// compose lays several source tiles side by side.
func (p *painter) compose(at place) picture {
	down := viewBits - p.bits
	side, n := 1<<p.bits, 1<<down
	versions := make([]uint64, 0, n*n)
	var out []byte
	var damage error
	for j := range n {
		for i := range n {
			rgb, version, err := p.tile(at.level, at.vx<<down+int64(i), at.vy<<down+int64(j))
			versions = append(versions, version)
			if rgb == nil && err == nil {
				continue
			}
			if out == nil {
				out = make([]byte, tileLen)
			}
			if err != nil {
				if damage == nil {
					damage = err
				}
				stripes(out, i*side, j*side, side)
				continue
			}
			for row := range side {
				copy(out[3*(viewSize*(j*side+row)+i*side):], rgb[3*side*row:][:3*side])
			}
		}
	}
	switch {
	case out == nil:
		return picture{etag: blackETag}
	case damage != nil:
		return picture{rgb: out, damage: damage}
	}
	return picture{etag: p.etag(versions...), rgb: out}
}

// tile asks the source and holds it to its contract. What is black has no bytes.
func (p *painter) tile(level int, tx, ty int64) ([]byte, uint64, error) {
	rgb, version, err := p.src.Tile(level, tx, ty)
	if err == nil && version != 0 && len(rgb) != 3<<(2*p.bits) {
		err = errTileLength
	}
	if err != nil || version == 0 {
		return nil, 0, err
	}
	return rgb, version, nil
}

// colour returns the value of one pixel of a level, at pixel coordinates of that level.
func (p *painter) colour(level int, x, y int64) (c [3]byte, err error) {
	tile, _, err := p.tile(level, x>>p.bits, y>>p.bits)
	if tile != nil {
		mask := int64(1)<<p.bits - 1
		copy(c[:], tile[3*((y&mask)<<p.bits+x&mask):])
	}
	return c, err
}

// etag names what tiles of these versions look like.
func (p *painter) etag(versions ...uint64) string {
	b := append(make([]byte, 0, 16+8*len(versions)), p.salt[:]...)
	for _, v := range versions {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return etagOf(b)
}

func damaged(err error) picture {
	out := make([]byte, tileLen)
	stripes(out, 0, 0, viewSize)
	return picture{rgb: out, damage: err}
}

// stripes draws a square of slanted red and dark stripes with a bright frame: nothing
// that a map is likely to hold, at any zoom.
func stripes(out []byte, x0, y0, side int) {
	band := max(side/8, 4)
	for y := range side {
		for x := range side {
			c := [3]byte{0x2A, 0x0D, 0x14}
			if (x+y)/band%2 == 0 {
				c = [3]byte{0x8E, 0x1F, 0x38}
			}
			if e := max(side/64, 1); x < e || y < e || x >= side-e || y >= side-e {
				c = [3]byte{0xFF, 0x5C, 0x7A}
			}
			copy(out[3*(viewSize*(y0+y)+x0+x):], c[:])
		}
	}
}
