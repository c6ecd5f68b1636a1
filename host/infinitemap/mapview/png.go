package mapview

import (
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"io"
	"sync"
)

// pngWriter makes PNG files of one size quickly: colours are counted first, and up to
// 256 of them become a palette, which is a third of the bytes to compress; otherwise
// every row is filtered by the one above. Deflate runs at its fastest level. image/png
// tries all five filters on every row, which alone takes longer than all of this.
type pngWriter struct {
	out  []byte
	raw  []byte // filtered rows, each behind its filter's number
	z    *zlib.Writer
	keys [paletteSlots]uint32 // 1 + colour, 0 for a free slot
	vals [paletteSlots]uint8
	pal  []byte
}

const (
	paletteSlots = 1024 // four times as many as colours, so that probing ends soon
	paletteHash  = 0x9E3779B1
)

var pngWriters = sync.Pool{New: func() any {
	z, err := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed)
	if err != nil {
		panic(err) // BestSpeed is a level
	}
	return &pngWriter{z: z}
}}

// encodePNG returns the PNG file of w × h pixels, rows of RGB. Equal pixels give equal
// files.
func encodePNG(rgb []byte, w, h int) []byte {
	e := pngWriters.Get().(*pngWriter)
	defer pngWriters.Put(e)
	return e.encode(rgb, w, h)
}

// Write gathers what the compressor makes.
func (e *pngWriter) Write(p []byte) (int, error) {
	e.out = append(e.out, p...)
	return len(p), nil
}

func (e *pngWriter) encode(rgb []byte, w, h int) []byte {
	e.out = append(e.out[:0], "\x89PNG\r\n\x1a\n"...)
	depth, colour := byte(8), byte(2)
	if indexed := e.index(rgb, w, h); indexed {
		colour = 3
		depth = e.packRows(w, h)
	} else {
		e.filter(rgb, w, h)
	}
	head := make([]byte, 0, 13)
	head = binary.BigEndian.AppendUint32(head, uint32(w))
	head = binary.BigEndian.AppendUint32(head, uint32(h))
	head = append(head, depth, colour, 0, 0, 0)
	e.chunk("IHDR", head)
	if colour == 3 {
		e.chunk("PLTE", e.pal)
	}
	start := e.begin("IDAT")
	e.z.Reset(e)
	e.z.Write(e.raw)
	e.z.Close()
	e.end(start)
	e.chunk("IEND", nil)
	return append([]byte(nil), e.out...)
}

// index writes rows of palette indices to raw. It reports false, with raw undefined, as
// soon as it meets a 257th colour.
func (e *pngWriter) index(rgb []byte, w, h int) bool {
	e.pal = e.pal[:0]
	clear(e.keys[:])
	e.raw = grow(e.raw, h*(w+1))
	last, index := ^uint32(0), uint8(0)
	for y := range h {
		row := rgb[3*w*y:][:3*w]
		out := e.raw[(w+1)*y:][:w+1]
		out[0] = 0
		for x := range w {
			c := uint32(row[3*x])<<16 | uint32(row[3*x+1])<<8 | uint32(row[3*x+2])
			if c != last {
				slot := c * paletteHash >> 22
				for e.keys[slot] != 0 && e.keys[slot] != c+1 {
					slot = (slot + 1) % paletteSlots
				}
				if e.keys[slot] == 0 {
					if len(e.pal) == 3*256 {
						return false
					}
					e.keys[slot], e.vals[slot] = c+1, uint8(len(e.pal)/3)
					e.pal = append(e.pal, byte(c>>16), byte(c>>8), byte(c))
				}
				last, index = c, e.vals[slot]
			}
			out[x+1] = index
		}
	}
	return true
}

// packRows squeezes the indices in raw to as few bits as the palette allows, in place,
// and returns how many.
func (e *pngWriter) packRows(w, h int) byte {
	var depth int
	switch n := len(e.pal) / 3; {
	case n <= 2:
		depth = 1
	case n <= 4:
		depth = 2
	case n <= 16:
		depth = 4
	default:
		return 8
	}
	per := 8 / depth
	stride := 1 + (w+per-1)/per
	for y := range h {
		row := e.raw[(w+1)*y:][:w+1]
		out := e.raw[stride*y:][:stride]
		out[0] = 0
		for i := 1; i < stride; i++ {
			var b byte
			for j := range per {
				b <<= depth
				if x := (i-1)*per + j + 1; x <= w {
					b |= row[x]
				}
			}
			out[i] = b
		}
	}
	e.raw = e.raw[:stride*h]
	return byte(depth)
}

// filter writes rows of differences to raw: the first to the pixel at its left, the
// others to the row above.
func (e *pngWriter) filter(rgb []byte, w, h int) {
	n := 3 * w
	e.raw = grow(e.raw, h*(n+1))
	for y := range h {
		row := rgb[n*y:][:n]
		out := e.raw[(n+1)*y:][:n+1]
		if y == 0 {
			out[0] = 1
			copy(out[1:], row[:3])
			for i := 3; i < n; i++ {
				out[i+1] = row[i] - row[i-3]
			}
			continue
		}
		out[0] = 2
		above := rgb[n*(y-1):][:n]
		for i, v := range row {
			out[i+1] = v - above[i]
		}
	}
}

func (e *pngWriter) chunk(kind string, data []byte) {
	start := e.begin(kind)
	e.out = append(e.out, data...)
	e.end(start)
}

// begin starts a chunk whose length is not known yet; end fills it in.
func (e *pngWriter) begin(kind string) int {
	start := len(e.out)
	e.out = append(e.out, 0, 0, 0, 0)
	e.out = append(e.out, kind...)
	return start
}

func (e *pngWriter) end(start int) {
	binary.BigEndian.PutUint32(e.out[start:], uint32(len(e.out)-start-8))
	e.out = binary.BigEndian.AppendUint32(e.out, crc32.ChecksumIEEE(e.out[start+4:]))
}

// grow returns b with length n and any content.
func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}
