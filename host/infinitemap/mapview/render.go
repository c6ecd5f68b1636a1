package mapview

import (
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"io"
)

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
	src    Source
	bits   int // log2 of the source's tile size
	summit summit
}

// picture draws tile (vx, vy) of a level, which must be on the plane. The result is the
// caller's only until release, and its bytes may be the source's own: they are not to
// be changed.
func (p *painter) picture(at place) picture {
	if at.level >= p.src.Levels() {
		return p.summit.picture(p, at)
	}
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
	sum := sha256.New()
	addVersion(sum, version)
	if up == 0 {
		return picture{etag: finish(sum), rgb: rgb}
	}
	side := 1 << p.bits
	mask := int64(1)<<up - 1
	x, y := int(at.vx&mask)<<viewBits, int(at.vy&mask)<<viewBits
	out := make([]byte, tileLen)
	for row := range viewSize {
		copy(out[3*viewSize*row:][:3*viewSize], rgb[3*(side*(y+row)+x):])
	}
	return picture{etag: finish(sum), rgb: out}
}

// compose lays several source tiles side by side.
func (p *painter) compose(at place) picture {
	down := viewBits - p.bits
	side, n := 1<<p.bits, 1<<down
	sum := sha256.New()
	var out []byte
	var damage error
	for j := range n {
		for i := range n {
			rgb, version, err := p.tile(at.level, at.vx<<down+int64(i), at.vy<<down+int64(j))
			if rgb == nil && err == nil {
				addVersion(sum, "")
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
			addVersion(sum, version)
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
	return picture{etag: finish(sum), rgb: out}
}

// tile asks the source and holds it to its contract.
func (p *painter) tile(level int, tx, ty int64) ([]byte, string, error) {
	rgb, version, err := p.src.Tile(level, tx, ty)
	if err == nil && rgb != nil && len(rgb) != 3<<(2*p.bits) {
		err = errTileLength
	}
	if err != nil {
		return nil, "", err
	}
	return rgb, version, nil
}

// colour returns the value of one pixel of a level, at pixel coordinates of that level.
func (p *painter) colour(level int, x, y int64) (rgb [3]byte, err error) {
	var tile []byte
	side := 1 << p.bits
	if level >= p.src.Levels() {
		pic := p.summit.picture(p, place{level, x >> viewBits, y >> viewBits})
		if pic.damage != nil {
			return rgb, pic.damage
		}
		tile, side = pic.rgb, viewSize
	} else if tile, _, err = p.tile(level, x>>p.bits, y>>p.bits); err != nil {
		return rgb, err
	}
	if tile != nil {
		mask := int64(side - 1)
		copy(rgb[:], tile[3*(int(y&mask)*side+int(x&mask)):])
	}
	return rgb, nil
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

// addVersion hashes a version so that no two lists of versions run together.
func addVersion(sum hash.Hash, version string) {
	io.WriteString(sum, version)
	sum.Write([]byte{0xFF}) // not in UTF-8
}

func finish(sum hash.Hash) string {
	return `"` + base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:15]) + `"`
}
