package pxi

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"io"
)

const (
	trailerMagic = "PXIB"
	trailerFixed = 28 // bytes before the tables
	trailerSum   = 32 // the SHA-256 at the end

	// Tables up to this size are read at once; larger ones are proven with a
	// small buffer before memory is taken for them.
	tableAtOnce = 4 << 20

	// The place of every stride-th stored block is kept; the others are added
	// up from there.
	stride = 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A table knows how the data are divided into blocks and what each must match.
// It is not changed once made.
type table struct {
	block int64
	count int64
	size  int64
	crc   []byte  // count × u32; nil where nothing is known yet
	lens  []byte  // count × u32 where the blocks are compressed
	marks []int64 // place of block 0, stride, 2×stride … in the stored stream
}

func blocks(size, block int64) int64 { return (size + block - 1) / block }

// length is the number of data bytes in block i.
func (t *table) length(i int64) int64 { return min(t.block, t.size-i*t.block) }

// matches reports whether b is the content of block i.
func (t *table) matches(i int64, b []byte) bool {
	return t.crc == nil || crc32.Update(0, castagnoli, b) == t.sum(i)
}

func (t *table) sum(i int64) uint32 { return binary.BigEndian.Uint32(t.crc[4*i:]) }

// place gives where block i lies in the stored stream.
func (t *table) place(i int64) (off, n int64) {
	if t.lens == nil {
		return i * t.block, t.length(i)
	}
	j := i / stride * stride
	off = t.marks[i/stride]
	for ; j < i; j++ {
		off += int64(binary.BigEndian.Uint32(t.lens[4*j:]))
	}
	return off, int64(binary.BigEndian.Uint32(t.lens[4*i:]))
}

// appendTrailerStart appends the bytes before the tables.
func appendTrailerStart(b []byte, block, count, stored int64) []byte {
	b = append(b, trailerMagic...)
	b = append(b, 1, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(block))
	b = binary.BigEndian.AppendUint64(b, uint64(count))
	return binary.BigEndian.AppendUint64(b, uint64(stored))
}

// readTrailer reads and checks the trailer of h. head is the header as it
// stands in the file. stored is the length of the stored stream.
func readTrailer(read func(p []byte, off int64) error, fileSize int64, head []byte, h *Header) (t *table, stored int64, err error) {
	at := int64(h.Trailer)
	var fixed [trailerFixed]byte
	if err := read(fixed[:], at); err != nil {
		return nil, 0, err
	}
	if string(fixed[:4]) != trailerMagic {
		return nil, 0, formatErr("PXI-T1", at, "no trailer stands where the header says")
	}
	if fixed[4] != 1 {
		return nil, 0, unsupported("PXI-T2", "trailer version %d is not known here", fixed[4])
	}
	if h.Minor == minorNumber && (fixed[5] != 0 || fixed[6] != 0 || fixed[7] != 0) {
		return nil, 0, formatErr("PXI-T3", at+5, "reserved bytes are not zero")
	}
	block := int64(binary.BigEndian.Uint32(fixed[8:]))
	if block < MinBlock || block > MaxBlock {
		return nil, 0, formatErr("PXI-T4", at+8, "a block size of %d is not between %d and %d", block, MinBlock, MaxBlock)
	}
	size := int64(h.Size)
	count := blocks(size, block)
	if got := binary.BigEndian.Uint64(fixed[12:]); got != uint64(count) {
		return nil, 0, formatErr("PXI-T5", at+12, "%d bytes in blocks of %d are %d blocks, not %d", size, block, count, got)
	}
	if count > MaxBlocks {
		return nil, 0, unsupported("PXI-T5", "%d blocks are over the limit of %d", count, MaxBlocks)
	}
	u := binary.BigEndian.Uint64(fixed[20:])
	switch {
	case h.Compression == None && u != uint64(size):
		return nil, 0, formatErr("PXI-T6", at+20, "%d bytes are stored; uncompressed data of %d bytes cannot be", u, size)
	case u > uint64(size):
		return nil, 0, formatErr("PXI-T6", at+20, "%d stored bytes are more than the %d bytes of data", u, size)
	}
	stored = int64(u)
	if want := rows(stored, h.Width); int64(h.Height) != want {
		return nil, 0, formatErr("PXI-H5", 18, "%d stored bytes at width %d are %d rows, not %d", stored, h.Width, want, h.Height)
	}
	tables := 4 * count
	if h.Compression != None {
		tables *= 2
	}
	end := at + trailerFixed + tables + trailerSum
	switch {
	case fileSize < end:
		return nil, 0, formatErr("PXI-T9", fileSize, "the file has %d bytes and needs %d; it was cut short", fileSize, end)
	case fileSize > end && h.Minor == minorNumber:
		return nil, 0, formatErr("PXI-T9", end, "%d bytes follow the end of the trailer", fileSize-end)
	}

	sum := sha256.New()
	sum.Write(head)
	sum.Write(fixed[:])
	if tables > tableAtOnce {
		if err := proveTables(read, at+trailerFixed, tables, head, fixed[:]); err != nil {
			return nil, 0, err
		}
	}
	buf := make([]byte, tables+trailerSum)
	if err := read(buf, at+trailerFixed); err != nil {
		return nil, 0, err
	}
	if err := compareSum(sum, buf[:tables], buf[tables:], end-trailerSum); err != nil {
		return nil, 0, err
	}

	t = &table{block: block, count: count, size: size, crc: buf[:tables:tables]}
	if h.Compression != None {
		t.lens, t.crc = t.crc[:4*count:4*count], t.crc[4*count:]
		t.marks = make([]int64, 0, (count+stride-1)/stride)
		var off int64
		for i := range count {
			if i%stride == 0 {
				t.marks = append(t.marks, off)
			}
			n := int64(binary.BigEndian.Uint32(t.lens[4*i:]))
			if n == 0 || n > t.length(i) {
				return nil, 0, formatErr("PXI-T7", at+trailerFixed+4*i, "block %d of %d bytes cannot be stored in %d", i, t.length(i), n)
			}
			off += n
		}
		if off != stored {
			return nil, 0, formatErr("PXI-T7", at+trailerFixed, "the blocks store %d bytes, not %d", off, stored)
		}
	}
	return t, stored, nil
}

// proveTables compares the tables with the SHA-256 behind them through a
// buffer of fixed size, so that a forged count costs no memory.
func proveTables(read func(p []byte, off int64) error, at, n int64, head, fixed []byte) error {
	sum := sha256.New()
	sum.Write(head)
	sum.Write(fixed)
	buf := make([]byte, 256<<10)
	for n > 0 {
		b := buf[:min(n, int64(len(buf)))]
		if err := read(b, at); err != nil {
			return err
		}
		sum.Write(b)
		at += int64(len(b))
		n -= int64(len(b))
	}
	var want [trailerSum]byte
	if err := read(want[:], at); err != nil {
		return err
	}
	return compareSum(sum, nil, want[:], at)
}

func compareSum(sum hash.Hash, rest, want []byte, at int64) error {
	sum.Write(rest)
	var got [trailerSum]byte
	if string(sum.Sum(got[:0])) != string(want) {
		return formatErr("PXI-T8", at, "header or trailer do not match their SHA-256; one of them is damaged")
	}
	return nil
}

// readFull turns a source that ends early into io.ErrUnexpectedEOF.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
