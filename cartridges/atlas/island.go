package main

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"
)

// An island is bytes laid out as land, one to a pixel. Its coast follows from the
// digest of the bytes; along a Hilbert curve through the land, neighbours in the file
// become neighbours on the ground, so that what is alike in the file lies together.
//
// The picture is the file as well: the lowest bits of a pixel, three of its red, two
// of its green and three of its blue, are the byte that it shows. They change a colour
// by less than can be seen, and read gets the bytes back.
type island struct {
	side  int // pixels, of the square that holds the land
	n     int // bytes
	seed  uint64
	lot   []uint16 // of each pixel: how far from the coast it lies, more than cut on land
	cut   uint16
	spare int // how many of those at the cut are land too, in the order of the curve
}

// maxLand bounds an island, so that its pixels fit into the memory of a run.
const maxLand = 6 << 20

// plan lays out the coast of an island of n bytes with a digest.
func plan(n int, digest [sha256.Size]byte) *island {
	side := (int(math.Ceil(math.Sqrt(float64(n)/0.30))) + 23) &^ 7
	is := &island{side: side, n: n, seed: binary.LittleEndian.Uint64(digest[:]), lot: make([]uint16, side*side)}
	shape := octaves(is.seed, uint(bits.Len(uint(side)))-1, 3)
	field := newLattice(side, func(x, y int64) float32 {
		u, v := (float32(x)+0.5)/float32(side)*2-1, (float32(y)+0.5)/float32(side)*2-1
		f, amp := 1.1-2.3*(u*u+v*v), float32(1.8)
		for i := range shape {
			f += amp * shape[i].at(x, y, 0, 0)
			amp *= 0.52
		}
		edge := 0.5 * (abs(u) + abs(v) + abs(abs(u)-abs(v)))
		return f - 2*step(0.72, 1, edge) // the sea lies all around
	})
	row := make([]float32, side)
	count := make([]int, 1<<16)
	for y := range side {
		field.row(y, row)
		for x, f := range row {
			q := uint16(clamp((f+4)/6) * 65535)
			is.lot[y*side+x] = q
			count[q]++
		}
	}
	land := 0
	for q := 1<<16 - 1; q >= 0; q-- {
		if land+count[q] >= n {
			is.cut, is.spare = uint16(q), n-land
			break
		}
		land += count[q]
	}
	return is
}

// order returns the places of the pixels of land in the order of the bytes: in the
// low 32 bits of each number. It follows a Hilbert curve that is bent here and there, so
// that what lies together in the file has frontiers as land has them.
func (is *island) order() []uint64 {
	out := make([]uint64, 0, is.n)
	top := uint(bits.Len(uint(is.side - 1)))
	var bend [2]*lattice
	var rows [2][]float32
	for i := range bend {
		shape := octaves(is.seed+uint64(7+i), max(top, 5)-2, 3)
		bend[i] = newLattice(is.side, func(x, y int64) (d float32) {
			amp := float32(is.side) * 0.11
			for j := range shape {
				d += amp * shape[j].at(x, y, 0, 0)
				amp *= 0.5
			}
			return d
		})
		rows[i] = make([]float32, is.side)
	}
	spare := is.spare
	for y := range is.side {
		bend[0].row(y, rows[0])
		bend[1].row(y, rows[1])
		for x := range is.side {
			at := y*is.side + x
			switch q := is.lot[at]; {
			case q < is.cut || q == is.cut && spare == 0:
				continue
			case q == is.cut:
				spare--
			}
			u := min(max(int32(x)+int32(floor(rows[0][x])), 0), 1<<top-1)
			v := min(max(int32(y)+int32(floor(rows[1][x])), 0), 1<<top-1)
			out = append(out, uint64(hilbert(top, uint32(u), uint32(v)))<<32|uint64(at))
		}
	}
	return sorted(out, 2*top)
}

// sorted sorts numbers by the lowest n bits of their upper half; equal ones keep their
// order. It may use the numbers' memory.
func sorted(v []uint64, n uint) []uint64 {
	const digit = 12
	other := make([]uint64, len(v))
	var first [1<<digit + 1]int
	for shift := uint(32); shift < 32+n; shift += digit {
		clear(first[:])
		for _, x := range v {
			first[x>>shift&(1<<digit-1)+1]++
		}
		for i := 1; i < len(first); i++ {
			first[i] += first[i-1]
		}
		for _, x := range v {
			d := x >> shift & (1<<digit - 1)
			other[first[d]] = x
			first[d]++
		}
		v, other = other, v
	}
	return v
}

// hilbert returns how far along a Hilbert curve through a square of 1<<top by 1<<top
// pixels a pixel lies.
func hilbert(top uint, x, y uint32) (d uint32) {
	for s := uint32(1) << top >> 1; s > 0; s >>= 1 {
		d <<= 2
		switch right, low := x&s != 0, y&s != 0; {
		case right && low:
			d |= 2
		case low:
			d |= 1
		case right:
			d |= 3
			x, y = ^y, ^x
		default:
			x, y = y, x
		}
	}
	return d
}

// hide puts a byte into the lowest bits of a pixel.
func hide(pix []byte, b byte) {
	pix[0] = max(pix[0]&^7, 8) | b>>5
	pix[1] = pix[1]&^3 | b>>3&3
	pix[2] = pix[2]&^7 | b&7
}

// seek gets it back.
func seek(pix []byte) byte { return pix[0]&7<<5 | pix[1]&3<<3 | pix[2]&7 }

// The first row of an island's picture tells what it holds, a byte to a pixel: the
// mark, the number of bytes, their digest, and the length of the name with the name.
const (
	islandMark   = "LAND1"
	islandHeader = len(islandMark) + 4 + sha256.Size + 1
	maxIslandRow = islandHeader + 64
)

func islandRow(name string, n int, digest [sha256.Size]byte) []byte {
	if len(name) > maxIslandRow-islandHeader {
		name = name[len(name)-(maxIslandRow-islandHeader):]
	}
	row := append([]byte(islandMark), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(row[len(islandMark):], uint32(n))
	row = append(row, digest[:]...)
	return append(append(row, byte(len(name))), name...)
}

// parseIslandRow reads what islandRow wrote; ok is false for any other row.
func parseIslandRow(row []byte) (name string, n int, digest [sha256.Size]byte, ok bool) {
	if len(row) < maxIslandRow || string(row[:len(islandMark)]) != islandMark {
		return
	}
	size := binary.BigEndian.Uint32(row[len(islandMark):])
	copy(digest[:], row[len(islandMark)+4:])
	length := int(row[islandHeader-1])
	if size == 0 || size > maxLand || length > maxIslandRow-islandHeader {
		return
	}
	return string(row[islandHeader : islandHeader+length]), int(size), digest, true
}
