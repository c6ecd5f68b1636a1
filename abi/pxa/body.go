package pxa

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync/atomic"
)

// pngFront gives the file up to the first body chunk.
func pngFront(g geometry, cover []byte) []byte {
	b := []byte(pngSignature)
	ihdr := binary.BigEndian.AppendUint32(nil, uint32(g.width))
	ihdr = binary.BigEndian.AppendUint32(ihdr, uint32(g.height()))
	b = appendChunk(b, "IHDR", append(ihdr, 8, 2, 0, 0, 0))
	return appendChunk(b, "IDAT", cover)
}

func appendChunk(b []byte, typ string, data []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	at := len(b)
	b = append(append(b, typ...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[at:]))
}

// bodyWriter lays archive bytes out as rows, blocks and chunks. Three chunks
// are under way at once: one being filled, one summed, one written.
type bodyWriter struct {
	g     geometry
	row   int64 // the row being filled
	col   int64
	buf   []byte
	fill  chan []byte // empty buffers
	write chan []byte
	end   chan error
	dead  atomic.Bool // writing failed; the error waits in end
}

var errBodyDead = errors.New("pxa: the picture cannot be written")

func newBodyWriter(w io.Writer, g geometry, sum adler) *bodyWriter {
	b := &bodyWriter{g: g, fill: make(chan []byte, 3), write: make(chan []byte, 1), end: make(chan error, 1)}
	for range min(3, g.chunks()) {
		b.fill <- nil
	}
	summed := make(chan []byte, 1)
	go b.sums(sum, summed)
	go func() {
		var (
			err  error
			left = g.chunks()
		)
		for buf := range summed {
			if err == nil {
				if _, err = w.Write(buf); err != nil {
					b.dead.Store(true)
				}
			}
			left--
			b.fill <- buf
		}
		if err == nil && left == 0 {
			_, err = io.WriteString(w, iendChunk)
		}
		if err != nil {
			err = fmt.Errorf("writing the picture: %w", err)
		}
		b.end <- err
	}()
	return b
}

// sums completes filled chunks with the checksums.
func (b *bodyWriter) sums(sum adler, out chan<- []byte) {
	defer close(out)
	var c int64
	for buf := range b.write {
		rest := buf[8:]
		for n := c * blocksPerChunk; n < min((c+1)*blocksPerChunk, b.g.blocks()); n++ {
			sum.update(rest[5:b.g.blockSize(n)])
			rest = rest[b.g.blockSize(n):]
		}
		if c == b.g.chunks()-1 {
			buf = binary.BigEndian.AppendUint32(buf, sum.value())
		}
		out <- binary.BigEndian.AppendUint32(buf, crc32.ChecksumIEEE(buf[4:]))
		c++
	}
}

// Write takes archive bytes and keeps none of p.
func (b *bodyWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if b.dead.Load() {
			return 0, errBodyDead
		}
		if b.row == b.g.dataRows {
			return 0, fmt.Errorf("pxa: more archive bytes than planned")
		}
		if b.col == 0 {
			b.startRow()
		}
		n := min(int64(len(p)), b.g.rowBytes()-b.col)
		b.buf = append(b.buf, p[:n]...)
		p = p[n:]
		if b.col += n; b.col == b.g.rowBytes() {
			b.endRow()
		}
	}
	return total, nil
}

// startRow puts the framing in front of a row.
func (b *bodyWriter) startRow() {
	block := b.row / b.g.blockRows()
	if b.row%b.g.blockRows() == 0 {
		if block%blocksPerChunk == 0 {
			b.buf = (<-b.fill)[:0]
			if b.buf == nil {
				b.buf = make([]byte, 0, 12+b.g.chunkSize(0)+4)
			}
			b.buf = binary.BigEndian.AppendUint32(b.buf, uint32(b.g.chunkSize(block/blocksPerChunk)))
			b.buf = append(b.buf, "IDAT"...)
		}
		b.buf = appendBlockHead(b.buf, b.g, block)
	}
	b.buf = append(b.buf, 0)
}

// endRow sends a chunk on when the row was its last one.
func (b *bodyWriter) endRow() {
	b.col = 0
	b.row++
	if b.row == b.g.dataRows || b.row%(b.g.blockRows()*blocksPerChunk) == 0 {
		b.write <- b.buf
		b.buf = nil
	}
}

// close pads the last row and waits until everything is written. An error of
// the underlying writer comes from here.
func (b *bodyWriter) close() error {
	var err error
	if b.col > 0 {
		_, err = b.Write(make([]byte, b.g.rowBytes()-b.col))
	}
	if b.row != b.g.dataRows {
		err = fmt.Errorf("pxa: fewer archive bytes than planned")
	}
	close(b.write)
	if werr := <-b.end; werr != nil {
		return werr
	}
	return err
}
