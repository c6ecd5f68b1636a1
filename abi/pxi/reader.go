package pxi

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	scratchSize = 64 << 10
	wholeMax    = 16 << 10 // a file up to this size is read when it is opened
	slots       = 4
	slotMax     = 256 << 10 // larger blocks share one slot
)

// A Reader gives the data of one file, which must not change while the Reader
// is in use. Its methods may be called by many goroutines at once; each
// touches the file only on the goroutine that called it.
type Reader struct {
	src      io.ReaderAt
	mem      []byte // the file, where it is in memory; the data of a PNG
	fileSize int64
	kind     Kind
	h        Header
	comp     Compression // how the blocks are stored, whatever the header says
	base     int64       // file offset of the stored stream
	size     int64
	stored   int64
	damaged  bool // the trailer is not looked at

	tab      atomic.Pointer[table] // nil until a file without trailer was hashed
	proof    sync.Mutex
	proofErr error

	scratch sync.Pool // *[]byte of scratchSize or more
	slots   [slots]slot
}

// A slot keeps a block that was unpacked for a partial read, because the next
// one is likely to want the same.
type slot struct {
	mu    sync.Mutex
	valid bool
	i     int64
	buf   []byte
}

// NewReader opens a container of fileSize bytes. Header and trailer are
// checked before it returns; the data when they are read. Errors are
// *FormatError, *UnsupportedError or what r reports.
func NewReader(r io.ReaderAt, fileSize int64) (*Reader, error) {
	rd := &Reader{src: r, fileSize: fileSize}
	return opened(rd, rd.load(false))
}

// NewBytesReader opens a container that lies in memory, also in a mapping of a
// file: reads need no system call and no buffer.
func NewBytesReader(file []byte) (*Reader, error) {
	rd := &Reader{mem: file, fileSize: int64(len(file))}
	return opened(rd, rd.load(false))
}

// Open opens a container or a plain PNG picture. A picture is decoded into
// memory, at most MaxPNGPixels; its header is made up: compression None, size
// 3 × width × height, the digest of its RGB bytes.
func Open(r io.ReaderAt, fileSize int64) (*Reader, error) {
	rd, err := NewReader(r, fileSize)
	if f := (*FormatError)(nil); errors.As(err, &f) && f.kind == ErrNotPXI && fileSize >= int64(len(pngMagic)) {
		var prefix [len(pngMagic)]byte
		if err := readFull(r, prefix[:], 0); err != nil {
			return nil, err
		}
		if Sniff(prefix[:]) == PNG {
			return openPNG(r, fileSize)
		}
	}
	return rd, err
}

// OpenDamaged opens an uncompressed container without its trailer, which may
// be damaged or cut off: the header alone must hold. Reads then succeed if,
// and only if, all data match the SHA-256 in the header.
func OpenDamaged(r io.ReaderAt, fileSize int64) (*Reader, error) {
	rd := &Reader{src: r, fileSize: fileSize}
	return opened(rd, rd.load(true))
}

func opened(r *Reader, err error) (*Reader, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// load reads header and trailer.
func (r *Reader) load(ignoreTrailer bool) error {
	if r.fileSize < 0 {
		return fmt.Errorf("pxi: a file of %d bytes cannot be", r.fileSize)
	}
	r.kind, r.base = Container, HeaderSize
	if r.mem == nil && r.src != nil && r.fileSize <= wholeMax {
		// One read instead of four. A disk that fails may still give the parts.
		if b := make([]byte, r.fileSize); r.read(b, 0) == nil {
			r.mem = b
		}
	}
	head := make([]byte, min(HeaderSize, r.fileSize))
	if err := r.read(head, 0); err != nil {
		return err
	}
	h, err := parseFields(head)
	if err != nil {
		return err
	}
	r.h, r.size = h, int64(h.Size)
	if ignoreTrailer {
		if !h.raw() {
			return unsupported("PXI-T8", "compressed data cannot be read without their trailer")
		}
		if r.fileSize < HeaderSize+r.size {
			return formatErr("PXI-H8", r.fileSize, "the file ends inside the data; it was cut short")
		}
		r.stored, r.damaged = r.size, true
		return nil
	}
	if err := h.checkLength(r.fileSize); err != nil {
		return err
	}
	if h.Extension != extTrailer {
		r.stored = r.size
		return nil
	}
	t, stored, err := readTrailer(r.read, r.fileSize, head, &h)
	if err != nil {
		return err
	}
	r.comp, r.stored = h.Compression, stored
	r.tab.Store(t)
	return nil
}

// read fills p from the file.
func (r *Reader) read(p []byte, off int64) error {
	if r.mem == nil && r.src != nil {
		return readFull(r.src, p, off)
	}
	if off < 0 || off > int64(len(r.mem)) || copy(p, r.mem[off:]) != len(p) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// Kind tells a container from a plain picture.
func (r *Reader) Kind() Kind { return r.kind }

// Header is what the file says about itself.
func (r *Reader) Header() Header { return r.h }

// Size is the number of data bytes.
func (r *Reader) Size() int64 { return r.size }

// Stored is the number of bytes the data take in the file, without padding,
// header and trailer.
func (r *Reader) Stored() int64 { return r.stored }

// Compressed tells how the blocks are stored. It differs from the header in
// files without a trailer, where the field there is a label without effect.
func (r *Reader) Compressed() Compression { return r.comp }

// Blocks gives the bytes of data in a block and the number of blocks. A file
// without a trailer has none of its own and is read as if in the blocks given.
func (r *Reader) Blocks() (size int, n int64) {
	if t := r.tab.Load(); t != nil {
		return int(t.block), t.count
	}
	b := proofBlock(r.size)
	return int(b), blocks(r.size, b)
}

// table gives the checksums, hashing a file without any before its first use
// (PXI-R3).
func (r *Reader) table() (*table, error) {
	if t := r.tab.Load(); t != nil {
		return t, nil
	}
	r.proof.Lock()
	defer r.proof.Unlock()
	if t := r.tab.Load(); t != nil {
		return t, nil
	}
	if r.proofErr != nil {
		return nil, r.proofErr
	}
	t, err := r.prove()
	if err != nil {
		// Damage stays; a failed read may not.
		if c := (*CorruptError)(nil); errors.As(err, &c) && c.Faults[0].Kind == FaultDigest {
			r.proofErr = err
		}
		return nil, err
	}
	r.tab.Store(t)
	return t, nil
}

// ReadAt reads data, not file bytes, as io.ReaderAt says: io.EOF where they
// end. Every byte it returns was checked; on damage it returns those before
// the first damaged block, and a *CorruptError (PXI-R2). It takes no memory for
// uncompressed files.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("pxi: read at negative offset %d", off)
	}
	if off >= r.size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > r.size-off {
		p, end = p[:r.size-off], io.EOF
	}
	if len(p) == 0 {
		return 0, end
	}
	t, err := r.table()
	if err != nil {
		return 0, err
	}
	var n int
	switch {
	case r.comp != None:
		n, err = r.readPacked(t, p, off)
	case r.mem != nil:
		n, err = r.readMemory(t, p, off)
	default:
		n, err = r.readFile(t, p, off)
	}
	if err != nil {
		return n, err
	}
	return n, end
}

// readMemory checks what it copies, not what it copied from, so that a change
// in between cannot pass.
func (r *Reader) readMemory(t *table, p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		pos := off + int64(done)
		i := pos / t.block
		b := r.mem[r.base+i*t.block:][:t.length(i)]
		lo := pos - i*t.block
		n := copy(p[done:], b[lo:])
		sum := crc32.Update(0, castagnoli, b[:lo])
		sum = crc32.Update(sum, castagnoli, p[done:done+n])
		sum = crc32.Update(sum, castagnoli, b[lo+int64(n):])
		if sum != t.sum(i) {
			return done, r.corrupt(t, FaultBlock, i, nil)
		}
		done += n
	}
	return done, nil
}

// readFile reads all touched blocks at once where they are few, otherwise the
// whole ones straight into p.
func (r *Reader) readFile(t *table, p []byte, off int64) (int, error) {
	first, last := off/t.block, (off+int64(len(p))-1)/t.block
	from, to := first*t.block, min((last+1)*t.block, r.size)
	if from == off && to == off+int64(len(p)) {
		return r.readWhole(t, p, first)
	}
	if to-from <= scratchSize {
		s := r.getScratch(scratchSize)
		defer r.scratch.Put(s)
		b := (*s)[:to-from]
		n, err := r.readWhole(t, b, first)
		if skip := int(off - from); n > skip {
			n = copy(p, b[skip:n])
		} else {
			n = 0
		}
		return n, err
	}
	done := 0
	if from != off || first == last {
		n := int(min(t.length(first)-(off-from), int64(len(p))))
		if err := r.readPart(t, p[:n], first, off-from); err != nil {
			return 0, err
		}
		done = n
		first++
	}
	whole := last - first + 1
	if to != off+int64(len(p)) {
		whole--
	}
	if whole > 0 {
		n := int(min(whole*t.block, r.size-first*t.block))
		n, err := r.readWhole(t, p[done:done+n], first)
		done += n
		if err != nil {
			return done, err
		}
	}
	if done < len(p) {
		if err := r.readPart(t, p[done:], last, 0); err != nil {
			return done, err
		}
	}
	return len(p), nil
}

// readWhole reads blocks from i on that fill p exactly.
func (r *Reader) readWhole(t *table, p []byte, i int64) (int, error) {
	if err := r.read(p, r.base+i*t.block); err != nil {
		return 0, err
	}
	for done := 0; done < len(p); i++ {
		n := int(t.length(i))
		if !t.matches(i, p[done:done+n]) {
			return done, r.corrupt(t, FaultBlock, i, nil)
		}
		done += n
	}
	return len(p), nil
}

// readPart reads p from place lo in block i and streams the rest of the block
// past its checksum.
func (r *Reader) readPart(t *table, p []byte, i, lo int64) error {
	s := r.getScratch(scratchSize)
	defer r.scratch.Put(s)
	var sum uint32
	at := r.base + i*t.block
	skip := func(from, to int64) error {
		for from < to {
			b := (*s)[:min(to-from, scratchSize)]
			if err := r.read(b, at+from); err != nil {
				return err
			}
			sum = crc32.Update(sum, castagnoli, b)
			from += int64(len(b))
		}
		return nil
	}
	if err := skip(0, lo); err != nil {
		return err
	}
	if err := r.read(p, at+lo); err != nil {
		return err
	}
	sum = crc32.Update(sum, castagnoli, p)
	if err := skip(lo+int64(len(p)), t.length(i)); err != nil {
		return err
	}
	if sum != t.sum(i) {
		clear(p)
		return r.corrupt(t, FaultBlock, i, nil)
	}
	return nil
}

func (r *Reader) getScratch(n int) *[]byte {
	s, _ := r.scratch.Get().(*[]byte)
	if s == nil {
		s = new([]byte)
	}
	if len(*s) < n {
		*s = make([]byte, max(n, scratchSize))
	}
	return s
}

// readPacked serves partial reads of compressed blocks from the slots.
func (r *Reader) readPacked(t *table, p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		pos := off + int64(done)
		i := pos / t.block
		lo, n := pos-i*t.block, t.length(i)
		if rest := p[done:]; lo == 0 && int64(len(rest)) >= n {
			if err := r.unpackBlock(t, rest[:n:n], i); err != nil {
				return done, err
			}
			done += int(n)
			continue
		}
		n2, err := r.readSlot(t, p[done:], i, lo)
		if err != nil {
			return done, err
		}
		done += n2
	}
	return done, nil
}

func (r *Reader) readSlot(t *table, p []byte, i, lo int64) (int, error) {
	k := int64(0)
	if t.block <= slotMax {
		k = i % slots
	}
	s := &r.slots[k]
	if !s.mu.TryLock() {
		// Another goroutine unpacks here; do not wait for it.
		b := r.getScratch(int(t.block))
		defer r.scratch.Put(b)
		if err := r.unpackBlock(t, (*b)[:t.length(i)], i); err != nil {
			return 0, err
		}
		return copy(p, (*b)[lo:t.length(i)]), nil
	}
	defer s.mu.Unlock()
	if !s.valid || s.i != i {
		s.valid = false
		if s.buf == nil {
			s.buf = make([]byte, min(t.block, t.size))
		}
		s.buf = s.buf[:cap(s.buf)][:t.length(i)]
		if err := r.unpackBlock(t, s.buf, i); err != nil {
			return 0, err
		}
		s.valid, s.i = true, i
	}
	return copy(p, s.buf[lo:]), nil
}

// unpackBlock reads, unpacks and checks block i into dst, which has its length.
func (r *Reader) unpackBlock(t *table, dst []byte, i int64) error {
	off, n := t.place(i)
	off += r.base
	var stored []byte
	if r.mem != nil {
		stored = r.mem[off : off+n]
	} else {
		s := r.getScratch(int(n))
		defer r.scratch.Put(s)
		stored = (*s)[:n]
		if err := r.read(stored, off); err != nil {
			return err
		}
	}
	return r.unpackStored(t, dst, stored, i)
}

func (r *Reader) unpackStored(t *table, dst, stored []byte, i int64) error {
	err := unpack(dst, stored, r.comp)
	if err == nil && t.matches(i, dst) {
		return nil
	}
	clear(dst)
	return r.corrupt(t, FaultBlock, i, err)
}

// ReadBlock gives block i, checked. It uses dst, whose content is replaced, if
// the capacity allows, and takes memory otherwise.
func (r *Reader) ReadBlock(dst []byte, i int64) ([]byte, error) {
	t, err := r.table()
	if err != nil {
		return nil, err
	}
	if i < 0 || i >= t.count {
		return nil, fmt.Errorf("pxi: there is no block %d; the file has %d", i, t.count)
	}
	n := int(t.length(i))
	dst = slices.Grow(dst[:0], n)[:n]
	if r.comp != None {
		err = r.unpackBlock(t, dst, i)
	} else {
		_, err = r.readWhole(t, dst, i)
	}
	if err != nil {
		return nil, err
	}
	return dst, nil
}

// fault describes count blocks from i on.
func (r *Reader) fault(t *table, kind FaultKind, i, count int64, err error) Fault {
	last := i + count - 1
	f := Fault{Kind: kind, Block: i, Blocks: count, Offset: i * t.block, Err: err}
	f.Length = last*t.block + t.length(last) - f.Offset
	from, _ := t.place(i)
	to, n := t.place(last)
	f.FileOffset = r.base + from
	f.FirstRow, f.LastRow = r.rowsOf(from, to+n)
	return f
}

// rowsOf gives the pixel rows that hold [from, to) of the stored stream.
func (r *Reader) rowsOf(from, to int64) (first, last int64) {
	if from >= to {
		return -1, -1
	}
	w := int64(r.h.Width) * 3
	return from / w, (to - 1) / w
}

func (r *Reader) corrupt(t *table, kind FaultKind, i int64, err error) error {
	return &CorruptError{Faults: []Fault{r.fault(t, kind, i, 1, err)}}
}

// Decode gives the data of a container or a plain PNG, completely checked. They
// may be 255 times as long as a compressed file: for files of strangers, look
// at [Reader.Size] first.
func Decode(file []byte) ([]byte, error) {
	if Sniff(file) == PNG {
		data, _, _, err := DecodePNG(bytes.NewReader(file), int64(len(file)))
		return data, err
	}
	r, err := NewBytesReader(file)
	if err != nil {
		return nil, err
	}
	// Compressed data may be far larger than the file; the size is believed
	// step by step (PXI-R4).
	var out bytes.Buffer
	if r.comp == None {
		out.Grow(int(r.size))
	}
	if _, err := r.WriteTo(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func digestOf(b []byte) [32]byte { return sha256.Sum256(b) }
