package pxi

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Options choose the form of a new file. The zero value is right for most.
type Options struct {
	// Width of the picture in pixels; 0 means DefaultWidth.
	Width uint32
	// Compression of the blocks; Auto decides from the first 256 KiB.
	Compression Compression
	// BlockSize is the data that one checksum covers and the least that a
	// partial read costs, in bytes: MinBlock to MaxBlock. 0 means DefaultBlock,
	// or DefaultCompressedBlock for compressed files, and more where Hint
	// announces 16 GiB or more.
	BlockSize int
	// Hint is the expected number of data bytes; 0 when unknown. A wrong one
	// costs memory or speed, nothing else.
	Hint int64
}

// block gives the block size for compression c.
func (o *Options) block(c Compression) int {
	if o.BlockSize != 0 {
		return o.BlockSize
	}
	b := DefaultBlock
	if c != None {
		b = DefaultCompressedBlock
	}
	for o.Hint/int64(b) >= 1<<22 && b < chunkSize {
		b *= 2
	}
	return b
}

func (o *Options) check() error {
	switch {
	case o.Width > MaxWidth:
		return fmt.Errorf("pxi: width %d: choose 1 to %d, or 0 for %d", o.Width, MaxWidth, DefaultWidth)
	case o.BlockSize != 0 && (o.BlockSize < MinBlock || o.BlockSize > MaxBlock):
		return fmt.Errorf("pxi: block size %d: choose %d to %d, or 0", o.BlockSize, MinBlock, MaxBlock)
	case o.Compression > LZ4 && o.Compression != Auto:
		return fmt.Errorf("pxi: %v: choose none, rle, lz4 or auto", o.Compression)
	case o.Hint < 0:
		return fmt.Errorf("pxi: a hint of %d bytes: give 0 when the size is not known", o.Hint)
	}
	return nil
}

// A Destination is a fresh, empty file, such as an *os.File. Data are written
// in order; the header, which is known last, is then put at offset 0.
type Destination interface {
	io.Writer
	io.WriterAt
}

// A Writer makes a container from a stream of unknown length. It holds about
// 1 MiB, or three blocks where blocks are larger, and 4 bytes a block (8
// compressed). SHA-256 is computed beside checksums, compression and output,
// so both cores of a small machine work. A Writer is for one goroutine at a
// time and, when not closed, needs no clean-up.
//
// Until Close returns, the file starts with zeros and is not valid (PXI-W2).
// The file depends on data and options, not on the pieces (PXI-W3).
type Writer struct {
	dst    Destination
	opt    Options
	width  uint32
	block  int
	comp   Compression // Auto until the first chunk is complete
	lane   *lane
	cur    *chunk
	n      int // bytes in cur
	begun  bool
	size   int64
	stored int64
	crcs   []byte
	lens   []byte
	out    []byte
	pack   *packer // nil unless something is to be compressed
	small  bool    // cur is a small chunk
	err    error
	closed bool
}

// directMin is the length from which Write hashes and writes the caller's
// bytes where they are, instead of copying them.
const directMin = 16 * chunkSize

var errClosed = errors.New("pxi: the writer is closed")

// NewWriter starts a container in dst.
func NewWriter(dst Destination, opt Options) (*Writer, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	w := &Writer{dst: dst, opt: opt, width: opt.Width, comp: opt.Compression}
	if w.width == 0 {
		w.width = DefaultWidth
	}
	if w.comp != None {
		w.pack = packers.Get().(*packer)
	}
	room := chunkSize
	if w.comp != Auto {
		w.block = opt.block(w.comp)
		room = max(chunkSize/w.block, 1) * w.block
		if n := opt.Hint / int64(w.block); n > 0 {
			w.crcs = make([]byte, 0, 4*min(n+1, 1<<18))
		}
	} else if opt.BlockSize != 0 {
		room = max(chunkSize/opt.BlockSize, 1) * opt.BlockSize
	}
	w.lane = newLane(room)
	return w, nil
}

// Write takes p. The digest of a p of 4 MiB or more is computed from where it
// lies, on another goroutine, before Write returns. After an error, from dst or for lack of room in the format,
// every further call returns the same one.
func (w *Writer) Write(p []byte) (int, error) {
	if err := w.ready(); err != nil {
		return 0, err
	}
	total := len(p)
	for len(p) > 0 {
		if w.n == 0 && len(p) >= max(directMin, w.lane.room) {
			n := len(p) / w.lane.room * w.lane.room
			if err := w.direct(p[:n]); err != nil {
				return total - len(p), err
			}
			p = p[n:]
			continue
		}
		n := copy(w.space(), p)
		p = p[n:]
		w.n += n
		if err := w.full(); err != nil {
			return total - len(p), err
		}
	}
	return total, nil
}

// ReadFrom takes everything r has, without copying it once more than reading
// does. It returns the number of bytes read; io.Copy uses it.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	if err := w.ready(); err != nil {
		return 0, err
	}
	var total int64
	idle := 0
	for {
		n, err := r.Read(w.space())
		if n < 0 || n > len(w.space()) {
			return total, w.fail(errors.New("pxi: the source returned an impossible count"))
		}
		w.n += n
		total += int64(n)
		if idle++; n > 0 {
			idle = 0
		}
		if err2 := w.full(); err2 != nil {
			return total, err2
		}
		if err == io.EOF {
			return total, nil
		}
		if err == nil && idle > 100 {
			err = io.ErrNoProgress
		}
		if err != nil {
			return total, err
		}
	}
}

func (w *Writer) ready() error {
	if w.closed {
		return errClosed
	}
	return w.err
}

func (w *Writer) fail(err error) error {
	w.err = err
	return err
}

// space is what is free in the current chunk; it is never empty. A file starts
// in a small chunk, because most files are small.
func (w *Writer) space() []byte {
	switch {
	case w.cur == nil && w.size == 0 && w.lane.room > smallSize:
		w.cur, w.small = smallPool.Get().(*chunk), true
		w.cur.refs.Store(1)
	case w.cur == nil:
		w.cur = w.lane.get()
	case w.small && w.n == smallSize:
		c := w.lane.get()
		copy(c.buf[HeaderSize:], w.cur.buf[HeaderSize:])
		smallPool.Put(w.cur)
		w.cur, w.small = c, false
	}
	return w.cur.buf[HeaderSize+w.n : HeaderSize+min(w.lane.room, len(w.cur.buf)-HeaderSize)]
}

// full sends the current chunk on its way when nothing more fits.
func (w *Writer) full() error {
	if w.n < w.lane.room {
		return nil
	}
	c := w.cur
	w.cur, w.n = nil, 0
	c.b = c.buf[HeaderSize : HeaderSize+w.lane.room]
	w.lane.hash(c)
	defer w.lane.put(c)
	w.decide(c.b, true)
	front := c.b
	if !w.begun && w.comp == None {
		clear(c.buf[:HeaderSize])
		front = c.buf[:HeaderSize+len(c.b)]
		w.begun = true
	}
	return w.emit(c.b, front)
}

// direct handles whole chunks that lie in p.
func (w *Writer) direct(p []byte) error {
	w.lane.external(p)
	defer w.lane.wait()
	w.decide(p[:w.lane.room], true)
	for len(p) > 0 {
		n := min(len(p), max(directMin/w.lane.room, 1)*w.lane.room)
		if err := w.begin(); err != nil {
			return err
		}
		if err := w.emit(p[:n], p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// begin reserves the place of the header.
func (w *Writer) begin() error {
	if w.begun || w.comp != None {
		return nil
	}
	w.begun = true
	var zero [HeaderSize]byte
	return w.output(zero[:])
}

func (w *Writer) output(b []byte) error {
	n, err := w.dst.Write(b)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return w.fail(err)
	}
	return nil
}

// decide ends the choice of compression. more tells that data follow, or may.
func (w *Writer) decide(sample []byte, more bool) {
	if w.comp != Auto {
		return
	}
	w.comp = w.pack.choose(sample, w.opt.block(LZ4))
	w.block = w.opt.block(w.comp)
	if w.comp == None || more {
		return
	}
	// The whole content is here: rows and tables decide, not the sample.
	stored := int64(0)
	for rest := sample; len(rest) > 0; {
		b := rest[:min(w.block, len(rest))]
		rest = rest[len(b):]
		w.out = w.pack.pack(w.out[:0], b, w.comp)
		stored += int64(len(w.out))
	}
	size := int64(len(sample))
	plain := FileSize(size, w.width, w.opt.block(None))
	packed := HeaderSize + rows(stored, w.width)*int64(w.width)*3 + trailerFixed + 8*blocks(size, int64(w.block)) + trailerSum
	if packed > plain-plain/8 {
		w.comp, w.block = None, w.opt.block(None)
	}
}

// FileSize is the length of an uncompressed container with size bytes of data;
// a compressed one is at most 4 bytes a block longer. 0 for width or block
// means the default.
func FileSize(size int64, width uint32, block int) int64 {
	if width == 0 {
		width = DefaultWidth
	}
	if block == 0 {
		block = DefaultBlock
	}
	return HeaderSize + rows(size, width)*int64(width)*3 + trailerFixed + 4*blocks(size, int64(block)) + trailerSum
}

// emit notes the checksums of data and stores them. front is data, with or
// without room for the header before it.
func (w *Writer) emit(data, front []byte) error {
	if err := w.note(data); err != nil {
		return err
	}
	if w.comp == None {
		return w.output(front)
	}
	w.out = w.out[:0]
	if !w.begun {
		w.begun = true
		w.out = append(w.out, make([]byte, HeaderSize)...)
	}
	for len(data) > 0 {
		n := min(w.block, len(data))
		w.squeeze(data[:n])
		data = data[n:]
		if len(w.out) >= chunkSize {
			if err := w.output(w.out); err != nil {
				return err
			}
			w.out = w.out[:0]
		}
	}
	return w.output(w.out)
}

// squeeze appends one block to w.out.
func (w *Writer) squeeze(b []byte) {
	before := len(w.out)
	w.out = w.pack.pack(w.out, b, w.comp)
	n := len(w.out) - before
	w.stored += int64(n)
	w.lens = binary.BigEndian.AppendUint32(w.lens, uint32(n))
}

func (w *Writer) note(data []byte) error {
	size := w.size + int64(len(data))
	if blocks(size, int64(w.block)) > MaxBlocks || rows(size, w.width) > maxHeight {
		return w.fail(fmt.Errorf("pxi: more than %d bytes do not fit into blocks of %d and a width of %d: choose larger ones",
			w.size, w.block, w.width))
	}
	w.size = size
	for len(data) > 0 {
		b := data[:min(w.block, len(data))]
		data = data[len(b):]
		w.crcs = binary.BigEndian.AppendUint32(w.crcs, crc32.Update(0, castagnoli, b))
	}
	if w.comp == None {
		w.stored = w.size
	}
	return nil
}

// Close stores what is left, the trailer (PXI-W1) and, last, the header, which it
// returns. It neither syncs nor closes the file. A file of up to 256 KiB is
// written by one call of Write.
func (w *Writer) Close() (Header, error) {
	if err := w.ready(); err != nil {
		if !w.closed {
			w.closed = true
			w.release()
		}
		return Header{}, err
	}
	w.closed = true
	defer w.release()

	whole := !w.begun
	var data []byte
	if c := w.cur; c != nil {
		w.cur = nil
		c.b = c.buf[HeaderSize : HeaderSize+w.n]
		w.lane.hash(c)
		if w.small {
			defer smallPool.Put(c) // less than the lane leaves to its goroutine
		} else {
			defer w.lane.put(c)
		}
		data = c.b
	}
	w.decide(data, w.begun)
	if err := w.note(data); err != nil {
		return Header{}, err
	}
	w.out = w.out[:0]
	if whole {
		w.out = append(w.out, make([]byte, HeaderSize)...)
	}
	if w.comp == None {
		w.out = append(w.out, data...)
	} else {
		for len(data) > 0 {
			n := min(w.block, len(data))
			w.squeeze(data[:n])
			data = data[n:]
		}
	}
	h := Header{
		Major: majorNumber, Minor: minorNumber, Size: uint64(w.size), Width: w.width,
		Height: uint32(rows(w.stored, w.width)), Compression: w.comp, Sum: w.lane.sum(), Extension: extTrailer,
	}
	h.Trailer = uint64(HeaderSize + h.pixelBytes())
	head, _ := h.AppendBinary(nil)

	w.out = append(w.out, make([]byte, h.pixelBytes()-w.stored)...)
	mark := len(w.out)
	w.out = appendTrailerStart(w.out, int64(w.block), blocks(w.size, int64(w.block)), w.stored)
	sum := sha256.New()
	sum.Write(head)
	sum.Write(w.out[mark:])
	sum.Write(w.lens)
	sum.Write(w.crcs)
	if whole {
		copy(w.out, head)
	}
	if len(w.lens)+len(w.crcs) <= chunkSize {
		w.out = append(append(w.out, w.lens...), w.crcs...)
		w.out = sum.Sum(w.out)
		if err := w.output(w.out); err != nil {
			return Header{}, err
		}
	} else {
		for _, b := range [][]byte{w.out, w.lens, w.crcs, sum.Sum(nil)} {
			if err := w.output(b); err != nil {
				return Header{}, err
			}
		}
	}
	if !whole {
		if _, err := w.dst.WriteAt(head, 0); err != nil {
			return Header{}, w.fail(err)
		}
	}
	return h, nil
}

func (w *Writer) release() {
	w.lane.release()
	if w.pack != nil {
		packers.Put(w.pack)
		w.pack = nil
	}
}

// memory is a Destination that grows.
type memory struct{ b []byte }

func (m *memory) Write(p []byte) (int, error) {
	m.b = append(m.b, p...)
	return len(p), nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(m.b)) || len(p) > len(m.b)-int(off) {
		return 0, errors.New("pxi: write outside of the file")
	}
	return copy(m.b[off:], p), nil
}

// Encode gives the container of data. The same data and options give the same
// bytes on every machine.
func Encode(data []byte, opt Options) ([]byte, error) {
	opt.Hint = int64(len(data))
	if err := opt.check(); err != nil {
		return nil, err
	}
	m := &memory{}
	if opt.Compression == None {
		m.b = make([]byte, 0, FileSize(opt.Hint, opt.Width, opt.block(None)))
	}
	w, err := NewWriter(m, opt)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if _, err := w.Close(); err != nil {
		return nil, err
	}
	return m.b, nil
}
