package pxa

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz"
)

// The xz profile of PXA.md section 7: one stream, one block, LZMA2 alone, a
// bounded dictionary, no padding. The frame is checked here, before the
// library takes memory for the dictionary, and because the library accepts
// some frames that the xz format forbids.

const (
	xzMagic   = "\xfd7zXZ\x00"
	xzMinSize = 12 + 12 + 12 + 12 // stream header, block, index, footer at their smallest
)

// newXZReader decodes the content of e. Errors of the library are reported as
// format errors of the entry.
func newXZReader(s *io.SectionReader, e *Entry, lim Limits) (io.Reader, error) {
	dict, err := checkXZFrame(s, e, lim)
	if err != nil {
		return nil, err
	}
	cfg := xz.ReaderConfig{DictCap: int(dict), SingleStream: true}
	x, err := cfg.NewReader(bufio.NewReaderSize(s, 64<<10))
	if err != nil {
		return nil, xzErr(e, "%v", err)
	}
	return &xzReader{x, e}, nil
}

func xzErr(e *Entry, format string, args ...any) error {
	args = append([]any{e.Path}, args...)
	return formatErr("PXA-X1", e.Offset, "entry %q is not valid xz: "+format, args...)
}

type xzReader struct {
	x *xz.Reader
	e *Entry
}

func (r *xzReader) Read(p []byte) (int, error) {
	n, err := r.x.Read(p)
	if err != nil && err != io.EOF {
		err = xzErr(r.e, "%v", err)
	}
	return n, err
}

// checkXZFrame checks everything around the compressed block and gives the
// size of the dictionary.
func checkXZFrame(s *io.SectionReader, e *Entry, lim Limits) (dict int64, err error) {
	size := s.Size()
	if size < xzMinSize || size%4 != 0 {
		return 0, xzErr(e, "%d bytes are no whole stream", size)
	}
	front := make([]byte, min(size, 12+1024))
	tail := make([]byte, min(size, 12+64))
	if _, err := s.ReadAt(front, 0); err != nil {
		return 0, noEOF(err)
	}
	if _, err := s.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return 0, err
	}

	// Stream header and footer.
	foot := tail[len(tail)-12:]
	flags := front[6:8]
	switch {
	case string(front[:6]) != xzMagic || crc32.ChecksumIEEE(flags) != binary.LittleEndian.Uint32(front[8:]):
		return 0, xzErr(e, "bad stream header")
	case string(foot[10:]) != "YZ" || string(foot[8:10]) != string(flags) || crc32.ChecksumIEEE(foot[4:10]) != binary.LittleEndian.Uint32(foot):
		return 0, xzErr(e, "bad stream footer, or bytes after the stream")
	}
	check, ok := map[byte]int64{0: 0, 1: 4, 4: 8, 10: 32}[flags[1]]
	if flags[0] != 0 || !ok {
		return 0, xzErr(e, "unknown stream flags % x", flags)
	}

	// Index: exactly one block, of the size that the entry claims.
	back := (int64(binary.LittleEndian.Uint32(foot[4:])) + 1) * 4
	if back > int64(len(tail)-12) || back < 8 {
		return 0, unsupported("PXA-X2", "entry %q: its xz index of %d bytes is not that of one block; pack it again", e.Path, back)
	}
	index := tail[int64(len(tail))-12-back : len(tail)-12]
	if crc32.ChecksumIEEE(index[:back-4]) != binary.LittleEndian.Uint32(index[back-4:]) || index[0] != 0 {
		return 0, xzErr(e, "bad index")
	}
	fields := index[1 : back-4]
	blocks, fields, ok1 := xzInt(fields)
	unpadded, fields, ok2 := xzInt(fields)
	content, fields, ok3 := xzInt(fields)
	if ok1 && blocks != 1 {
		return 0, unsupported("PXA-X2", "entry %q: its xz stream has %d blocks, want one; pack it again", e.Path, blocks)
	}
	if !ok1 || !ok2 || !ok3 || len(fields) > 3 || !zero(fields) {
		return 0, xzErr(e, "bad index")
	}
	if content != uint64(e.Size) {
		return 0, formatErr("PXA-E2", e.Offset, "entry %q holds %d bytes but claims %d", e.Path, content, e.Size)
	}
	if unpadded > uint64(size) || (int64(unpadded)+3)/4*4 != size-12-12-back {
		return 0, xzErr(e, "the block is not as long as the index says, or bytes follow it")
	}

	// Block header: LZMA2 alone.
	if content == 0 && front[12] == 0 {
		return 0, xzErr(e, "no block")
	}
	n := (int64(front[12]) + 1) * 4
	if 12+n > int64(len(front)) || n+check > int64(unpadded) {
		return 0, xzErr(e, "bad block header")
	}
	head := front[12 : 12+n]
	if crc32.ChecksumIEEE(head[:n-4]) != binary.LittleEndian.Uint32(head[n-4:]) {
		return 0, xzErr(e, "bad block header")
	}
	if head[1]&0x3f != 0 {
		return 0, unsupported("PXA-X3", "entry %q: its xz stream uses filters other than one LZMA2; pack it again", e.Path)
	}
	rest := head[2 : n-4]
	if head[1]&0x40 != 0 {
		v, r, ok := xzInt(rest)
		if rest = r; !ok || int64(v) != int64(unpadded)-n-check {
			return 0, xzErr(e, "bad compressed size")
		}
	}
	if head[1]&0x80 != 0 {
		v, r, ok := xzInt(rest)
		if rest = r; !ok || v != content {
			return 0, xzErr(e, "bad uncompressed size")
		}
	}
	if len(rest) < 3 || rest[0] != 0x21 || rest[1] != 1 || !zero(rest[3:]) {
		return 0, unsupported("PXA-X3", "entry %q: its xz stream uses filters other than one LZMA2; pack it again", e.Path)
	}
	bits := rest[2]
	if bits > 40 {
		return 0, xzErr(e, "bad dictionary size")
	}
	dict = min(int64(2|bits&1)<<(bits/2+11), 1<<32-1)
	if err := checkLimit("xz dictionary bytes", dict, lim.Dictionary); err != nil {
		return 0, err
	}
	return max(dict, 4096), nil
}

// xzInt decodes a variable-length integer in its shortest form.
func xzInt(b []byte) (v uint64, rest []byte, ok bool) {
	for i, c := range b {
		if i == 9 || i > 0 && c == 0 {
			return 0, b, false
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, b[i+1:], true
		}
	}
	return 0, b, false
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
