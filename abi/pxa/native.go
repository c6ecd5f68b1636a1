package pxa

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// errLayout reports that a file is not laid out as Pack does it. The caller
// then decodes the picture as any other PNG.
var errLayout = errors.New("pxa: not the writer's own layout")

// Byter is implemented by an [io.ReaderAt] whose bytes are all in memory, such
// as a mapped file. [Open] then reads without copying. The bytes must not
// change while a Reader uses them.
type Byter interface{ Bytes() []byte }

// Bytes is a file in memory, for [Open] to read without copying.
type Bytes []byte

// Bytes implements [Byter].
func (b Bytes) Bytes() []byte { return b }

// ReadAt implements [io.ReaderAt].
func (b Bytes) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

const (
	ihdrEnd   = 8 + 25      // signature and IHDR chunk
	coverData = ihdrEnd + 8 // first byte of the cover's IDAT data
	iendSize  = 12
	coverMax  = 16 << 20 // more than any cover chunk takes
)

// native reads archive bytes of a file in the layout of PXA.md section 9,
// where they lie in stored deflate blocks at computable places.
type native struct {
	ra       io.ReaderAt
	mem      []byte // the whole file, or nil
	size     int64
	g        geometry
	coverLen int64 // data bytes of the cover's IDAT chunk
	body     int64 // file offset of the first body chunk
}

// newNative tells from sizes alone whether the file may have the layout.
func newNative(ra io.ReaderAt, size int64, g geometry, coverLen int64) (*native, bool) {
	if coverLen < 8 || coverLen > coverMax || coverData+coverLen+4+g.bodySize()+iendSize != size {
		return nil, false
	}
	n := &native{ra: ra, size: size, g: g, coverLen: coverLen, body: coverData + coverLen + 4}
	if m, ok := ra.(Byter); ok {
		if n.mem = m.Bytes(); int64(len(n.mem)) != size {
			return nil, false
		}
	}
	return n, true
}

// raw gives n file bytes at off, in buf unless the file is in memory.
func (s *native) raw(buf []byte, off, n int64) ([]byte, error) {
	if s.mem != nil {
		return s.mem[off : off+n], nil
	}
	b := buf[:n]
	if m, err := s.ra.ReadAt(b, off); int64(m) < n {
		return nil, noEOF(err)
	}
	return b, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

var blockBuffers = sync.Pool{New: func() any { return new([8 + 5 + blockMax]byte) }}

// readAt copies archive bytes, which must lie inside the picture. It returns
// errLayout where the framing around them is not the writer's.
func (s *native) readAt(p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	pooled := blockBuffers.Get().(*[8 + 5 + blockMax]byte)
	defer blockBuffers.Put(pooled)
	row, col := off/s.g.rowBytes(), off%s.g.rowBytes()
	for len(p) > 0 {
		// From this row to the end of its block, or as far as p goes.
		b, first := row/s.g.blockRows(), row%s.g.blockRows()
		rows := min(s.g.rowsIn(b)-first, (col+int64(len(p))+s.g.rowBytes()-1)/s.g.rowBytes())
		at, size := s.body+s.g.blockOffset(b)+5+first*s.g.stride(), rows*s.g.stride()
		head := int64(0)
		if first == 0 { // the framing in front of the block too
			if head = 5; b%blocksPerChunk == 0 {
				head = 13
			}
		}
		raw, err := s.raw(pooled[:], at-head, head+size)
		if err != nil {
			return err
		}
		if head == 13 && !s.chunkHead(raw, b/blocksPerChunk) || head > 0 && !s.blockHead(raw[head-5:], b) {
			return errLayout
		}
		for raw = raw[head:]; len(raw) > 0; raw = raw[s.g.stride():] {
			if raw[0] != 0 {
				return errLayout
			}
			p = p[copy(p, raw[1+col:s.g.stride()]):]
			col = 0
		}
		row += rows
	}
	return nil
}

func (s *native) chunkHead(b []byte, c int64) bool {
	return int64(binary.BigEndian.Uint32(b)) == s.g.chunkSize(c) && string(b[4:8]) == "IDAT"
}

// blockHead checks the header of a stored block: final bit, length and its
// complement.
func (s *native) blockHead(b []byte, n int64) bool {
	var final byte
	if n == s.g.blocks()-1 {
		final = 1
	}
	size := uint16(s.g.blockSize(n) - 5)
	return b[0] == final && binary.LittleEndian.Uint16(b[1:]) == size && binary.LittleEndian.Uint16(b[3:]) == ^size
}

func appendBlockHead(b []byte, g geometry, n int64) []byte {
	var final byte
	if n == g.blocks()-1 {
		final = 1
	}
	size := uint16(g.blockSize(n) - 5)
	b = append(b, final)
	b = binary.LittleEndian.AppendUint16(b, size)
	return binary.LittleEndian.AppendUint16(b, ^size)
}
