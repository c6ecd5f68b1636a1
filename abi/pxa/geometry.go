package pxa

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// A Digest is a SHA-256 sum: of the archive bytes where it names a cartridge,
// of the content where it belongs to an entry.
type Digest [sha256.Size]byte

// String gives the 64 hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short gives the first 12 digits, which is what the cover shows.
func (d Digest) Short() string { return hex.EncodeToString(d[:6]) }

// ParseDigest reads 64 hexadecimal digits, with or without the prefix
// "sha256:".
func ParseDigest(s string) (Digest, error) {
	var d Digest
	t := s
	if len(t) > 7 && t[:7] == "sha256:" {
		t = t[7:]
	}
	if len(t) != 2*len(d) {
		return d, fmt.Errorf("pxa: digest %q: want 64 hexadecimal digits", s)
	}
	if _, err := hex.Decode(d[:], []byte(t)); err != nil {
		return d, fmt.Errorf("pxa: digest %q: want 64 hexadecimal digits", s)
	}
	return d, nil
}

// Geometry of the picture (PXA.md section 3). Everything follows from the
// archive length, so that a picture of any other size is known to be altered.
const (
	coverWidth  = 256 // the cover is drawn on this grid, then enlarged
	coverHeight = 96

	blockMax       = 65535 // payload of one stored deflate block
	blocksPerChunk = 16
)

// widths are the picture widths. Each serves archives that fit a square below
// the cover; the last one serves all larger ones. It is 63 × 256 and not
// 64 × 256 because lossless WebP ends at 16383.
var widths = [...]int{256, 512, 1024, 2048, 4096, 8192, 16128}

func widthFor(archive int64) int {
	for _, w := range widths {
		if archive <= int64(w)*int64(w)*3 {
			return w
		}
	}
	return widths[len(widths)-1]
}

func knownWidth(w int) bool {
	for _, k := range widths {
		if k == w {
			return true
		}
	}
	return false
}

// geometry is the picture for one width and number of archive rows.
type geometry struct {
	width     int
	coverRows int64
	dataRows  int64
}

func geometryFor(archive int64) geometry {
	w := widthFor(archive)
	row := int64(3 * w)
	return geometry{width: w, coverRows: coverRowsFor(w), dataRows: (archive + row - 1) / row}
}

func coverRowsFor(width int) int64 { return int64(width / coverWidth * coverHeight) }

func (g geometry) rowBytes() int64  { return int64(3 * g.width) }
func (g geometry) stride() int64    { return 1 + g.rowBytes() }
func (g geometry) height() int64    { return g.coverRows + g.dataRows }
func (g geometry) capacity() int64  { return g.dataRows * g.rowBytes() }
func (g geometry) blockRows() int64 { return blockMax / g.stride() }
func (g geometry) blocks() int64    { return (g.dataRows + g.blockRows() - 1) / g.blockRows() }
func (g geometry) chunks() int64    { return (g.blocks() + blocksPerChunk - 1) / blocksPerChunk }

// rowsIn is the number of rows of block b.
func (g geometry) rowsIn(b int64) int64 {
	return min(g.blockRows(), g.dataRows-b*g.blockRows())
}

// blockSize is the encoded length of block b: header and rows.
func (g geometry) blockSize(b int64) int64 { return 5 + g.rowsIn(b)*g.stride() }

// blockOffset is where block b starts, counted from the first body chunk.
func (g geometry) blockOffset(b int64) int64 {
	full := 5 + g.blockRows()*g.stride()
	return b/blocksPerChunk*(12+blocksPerChunk*full) + 8 + b%blocksPerChunk*full
}

// chunkSize is the length field of body chunk c. The last chunk ends with the
// Adler-32 of the whole image stream.
func (g geometry) chunkSize(c int64) int64 {
	last := min((c+1)*blocksPerChunk, g.blocks()) - 1
	n := g.blockOffset(last) + g.blockSize(last) - g.chunkOffset(c) - 8
	if c == g.chunks()-1 {
		n += 4
	}
	return n
}

// chunkOffset is where body chunk c starts, counted from the first one.
func (g geometry) chunkOffset(c int64) int64 { return g.blockOffset(c*blocksPerChunk) - 8 }

// bodySize is the length of all body chunks together.
func (g geometry) bodySize() int64 {
	c := g.chunks() - 1
	return g.chunkOffset(c) + 12 + g.chunkSize(c)
}
