//go:build !wasip1

package pxostest

import (
	"cmp"
	"maps"
	"slices"
)

// tileSize is the side of a tile.
const tileSize = 256

// plane is a map in memory.
type plane struct {
	tiles     map[spot]*[tileSize * tileSize]uint32 // rgb, by place divided by tileSize
	dirty     map[spot]bool
	flushes   int
	kept      int // tiles that are not black, as of the last flush
	heights   int // levels above the plane, as of the last flush
	snapshots map[string]bool
}

type spot struct{ x, y int64 }

func newPlane() *plane {
	return &plane{tiles: map[spot]*[tileSize * tileSize]uint32{}, dirty: map[spot]bool{}, snapshots: map[string]bool{}}
}

func tileOf(x, y int64) (at spot, i int) {
	return spot{x >> 8, y >> 8}, int(y&(tileSize-1)*tileSize + x&(tileSize-1))
}

func (p *plane) get(x, y int64) uint32 {
	at, i := tileOf(x, y)
	if t := p.tiles[at]; t != nil {
		return t[i]
	}
	return 0
}

func (p *plane) set(x, y int64, rgb uint32) {
	at, i := tileOf(x, y)
	t := p.tiles[at]
	if t == nil {
		if rgb == 0 {
			return
		}
		t = new([tileSize * tileSize]uint32)
		p.tiles[at] = t
	}
	if t[i] != rgb {
		t[i] = rgb
		p.dirty[at] = true
	}
}

// present returns the tiles that have a pixel which is not black, sorted by row.
func (p *plane) present() []spot {
	var out []spot
	for at, t := range p.tiles {
		if slices.ContainsFunc(t[:], func(v uint32) bool { return v != 0 }) {
			out = append(out, at)
		}
	}
	slices.SortFunc(out, func(a, b spot) int { return cmp.Or(cmp.Compare(a.y, b.y), cmp.Compare(a.x, b.x)) })
	return out
}

func (p *plane) flush() {
	if len(p.dirty) == 0 {
		return
	}
	clear(p.dirty)
	p.flushes++
	p.kept, p.heights = len(p.present()), p.levels()
}

// level returns the pixels of a level above the plane that are not black.
func (p *plane) level(k uint32) map[spot]uint32 {
	pix := map[spot]uint32{}
	for at, t := range p.tiles {
		for i, v := range t {
			if v != 0 {
				pix[spot{at.x<<8 + int64(i%tileSize), at.y<<8 + int64(i/tileSize)}] = v
			}
		}
	}
	for range k {
		fours := map[spot][]uint32{}
		for at, v := range pix {
			up := spot{at.x >> 1, at.y >> 1}
			fours[up] = append(fours[up], v)
		}
		clear(pix)
		for at, list := range fours {
			pix[at] = mean(list)
		}
	}
	return pix
}

// mean stands for pixels that are not black: the nearest values, halves up, and never
// black.
func mean(list []uint32) uint32 {
	var sum [3]uint32
	for _, v := range list {
		for i := range sum {
			sum[i] += v >> (16 - 8*i) & 0xff
		}
	}
	n := uint32(len(list))
	out := uint32(0)
	for i := range sum {
		out |= (sum[i] + n/2) / n << (16 - 8*i)
	}
	if out == 0 {
		most := slices.Index(sum[:], slices.Max(sum[:]))
		out = 1 << (16 - 8*most)
	}
	return out
}

// levels is how many levels a host keeps: up to where everything lies in at most two
// by two tiles.
func (p *plane) levels() int {
	now := map[spot]bool{}
	for _, at := range p.present() {
		now[at] = true
	}
	n := 0
	for len(now) > 0 && !handful(now) {
		up := map[spot]bool{}
		for at := range now {
			up[spot{at.x >> 1, at.y >> 1}] = true
		}
		now = up
		n++
	}
	return n
}

func handful(tiles map[spot]bool) bool {
	list := slices.Collect(maps.Keys(tiles))
	lowX := slices.MinFunc(list, func(a, b spot) int { return cmp.Compare(a.x, b.x) }).x
	highX := slices.MaxFunc(list, func(a, b spot) int { return cmp.Compare(a.x, b.x) }).x
	lowY := slices.MinFunc(list, func(a, b spot) int { return cmp.Compare(a.y, b.y) }).y
	highY := slices.MaxFunc(list, func(a, b spot) int { return cmp.Compare(a.y, b.y) }).y
	return highX-lowX < 2 && highY-lowY < 2
}
