package mapview

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
)

var (
	errTileLength = errors.New("the tile has not as many bytes as its size asks for")
	errPyramid    = errors.New("the map's levels end before everything fits a few tiles")
)

// summit draws the levels above a source's pyramid. All content lies in a few tiles
// there, so each level is one small picture: half the one below.
type summit struct {
	mu         sync.Mutex
	built      bool
	generation uint64
	first      int     // level of steps[0]
	steps      []patch // one for each level from first to maxLevel
	err        error
}

// patch is a rectangle of pixels of one level.
type patch struct {
	x, y int64 // of its first pixel
	w, h int
	rgb  []byte
	etag string
}

// maxSummitTiles bounds what is held in memory: 48 MiB where tiles are the largest.
const maxSummitTiles = 16

func (s *summit) picture(p *painter, at place) picture {
	s.mu.Lock()
	if g := p.src.Generation(); !s.built || s.generation != g {
		s.build(p)
		s.built, s.generation = true, g
	}
	steps, first, err := s.steps, s.first, s.err
	s.mu.Unlock()
	if err != nil {
		return damaged(err)
	}
	i := at.level - first
	if i < 0 || i >= len(steps) {
		return picture{etag: blackETag}
	}
	return steps[i].picture(at)
}

// build reads the top of the pyramid and halves it up to maxLevel.
func (s *summit) build(p *painter) {
	s.first, s.steps, s.err = p.src.Levels(), nil, nil
	x0, y0, x1, y1, ok := p.src.Bounds()
	if !ok || s.first < 1 {
		return
	}
	top := s.first - 1
	step, err := p.top(top, x0>>top, y0>>top, x1>>top, y1>>top)
	if err != nil {
		s.err = err
		return
	}
	sum := sha256.Sum256(step.rgb)
	for level := s.first; level <= maxLevel; level++ {
		step = step.halve()
		h := sha256.New()
		addVersion(h, string(sum[:]))
		addVersion(h, fmt.Sprint(level, top))
		step.etag = finish(h)
		s.steps = append(s.steps, step)
	}
}

// top reads the pixels of a level between two corners, both included.
func (p *painter) top(level int, x0, y0, x1, y1 int64) (patch, error) {
	tx0, ty0, tx1, ty1 := x0>>p.bits, y0>>p.bits, x1>>p.bits, y1>>p.bits
	if tx1-tx0 >= maxSummitTiles || ty1-ty0 >= maxSummitTiles || (tx1-tx0+1)*(ty1-ty0+1) > maxSummitTiles {
		return patch{}, errPyramid
	}
	out := patch{x: x0, y: y0, w: int(x1-x0) + 1, h: int(y1-y0) + 1}
	out.rgb = make([]byte, 3*out.w*out.h)
	side := int64(1) << p.bits
	for ty := ty0; ty <= ty1; ty++ {
		for tx := tx0; tx <= tx1; tx++ {
			rgb, _, err := p.tile(level, tx, ty)
			if err != nil {
				return patch{}, err
			}
			if rgb == nil {
				continue
			}
			left, right := max(x0, tx*side), min(x1, tx*side+side-1)
			first, last := max(y0, ty*side), min(y1, ty*side+side-1)
			for row := range last - first + 1 {
				y := first + row
				from := rgb[3*((y-ty*side)*side+left-tx*side):]
				copy(out.rgb[3*((y-y0)*int64(out.w)+left-x0):], from[:3*(right-left+1)])
			}
		}
	}
	return out, nil
}

// halve returns the level above: each pixel is the mean of those of its four that are
// not black.
func (s patch) halve() patch {
	out := patch{x: s.x >> 1, y: s.y >> 1}
	out.w = int((s.x+int64(s.w)-1)>>1-out.x) + 1
	out.h = int((s.y+int64(s.h)-1)>>1-out.y) + 1
	out.rgb = make([]byte, 3*out.w*out.h)
	for y := range out.h {
		for x := range out.w {
			var r, g, b, n int
			for i := range int64(4) {
				sx, sy := (out.x+int64(x))<<1+i&1-s.x, (out.y+int64(y))<<1+i>>1-s.y
				if sx < 0 || sy < 0 || sx >= int64(s.w) || sy >= int64(s.h) {
					continue
				}
				c := s.rgb[3*(sy*int64(s.w)+sx):][:3]
				if c[0]|c[1]|c[2] == 0 {
					continue
				}
				r, g, b, n = r+int(c[0]), g+int(c[1]), b+int(c[2]), n+1
			}
			if n > 0 {
				// Rounded up, so that a mean of colours is never black.
				to := out.rgb[3*(y*out.w+x):]
				to[0], to[1], to[2] = byte((r+n-1)/n), byte((g+n-1)/n), byte((b+n-1)/n)
			}
		}
	}
	return out
}

// picture cuts a tile of the page out of a patch.
func (s patch) picture(at place) picture {
	x0, y0 := at.vx<<viewBits, at.vy<<viewBits
	left, top := max(x0, s.x), max(y0, s.y)
	right, bottom := min(x0+viewSize, s.x+int64(s.w)), min(y0+viewSize, s.y+int64(s.h))
	if left >= right || top >= bottom {
		return picture{etag: blackETag}
	}
	out := make([]byte, tileLen)
	for y := top; y < bottom; y++ {
		from := s.rgb[3*((y-s.y)*int64(s.w)+left-s.x):]
		copy(out[3*((y-y0)*viewSize+left-x0):], from[:3*(right-left)])
	}
	return picture{etag: s.etag, rgb: out}
}
