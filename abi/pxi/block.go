package pxi

import (
	"errors"
	"fmt"
	"sync"

	"github.com/pierrec/lz4/v4"
)

// A packer compresses blocks one by one. The bytes it makes depend on the
// block only, not on what it compressed before.
type packer struct {
	lz  lz4.Compressor // 128 KiB of tables, so packers are kept
	buf []byte
}

var packers = sync.Pool{New: func() any { return new(packer) }}

// pack appends block to dst, compressed if that makes it shorter
// (PXI-C3).
func (p *packer) pack(dst, block []byte, c Compression) []byte {
	base := len(dst)
	switch c {
	case RLE:
		if out, ok := packBits(dst, block, len(block)-1); ok {
			return out
		}
	case LZ4:
		if n := p.lz4(block); n > 0 {
			return append(dst[:base], p.buf[:n]...)
		}
	}
	return append(dst[:base], block...)
}

// lz4 compresses block into p.buf; 0 means that it did not get shorter.
func (p *packer) lz4(block []byte) int {
	if len(block) < 2 {
		return 0
	}
	if cap(p.buf) < len(block) {
		p.buf = make([]byte, len(block))
	}
	n, err := p.lz.CompressBlock(block, p.buf[:len(block)-1])
	if err != nil || n >= len(block) {
		return 0
	}
	return n
}

// choose is what Auto does: the compression for data that start with sample.
func (p *packer) choose(sample []byte, block int) Compression {
	rle, lz := 0, 0
	for rest := sample; len(rest) > 0; {
		b := rest[:min(block, len(rest))]
		rest = rest[len(b):]
		if out, ok := packBits(p.buf[:0], b, len(b)-1); ok {
			rle += len(out)
			p.buf = out[:0]
		} else {
			rle += len(b)
		}
		if n := p.lz4(b); n > 0 {
			lz += n
		} else {
			lz += len(b)
		}
	}
	switch {
	case min(rle, lz) > len(sample)-len(sample)/8 || len(sample) < MinBlock:
		return None
	case rle <= lz:
		return RLE
	}
	return LZ4
}

var errLZ4 = errors.New("the LZ4 block is not valid")

// unpack fills dst, which has the length of the original block, from stored.
func unpack(dst, stored []byte, c Compression) error {
	if len(stored) == len(dst) {
		copy(dst, stored)
		return nil
	}
	switch c {
	case RLE:
		return unpackBits(dst, stored)
	case LZ4:
		// The capacity is cut so that no decoder can write past the block.
		n, err := lz4.UncompressBlock(stored, dst[:len(dst):len(dst)])
		if err != nil {
			return fmt.Errorf("%w: %w", errLZ4, err)
		}
		if n != len(dst) {
			return fmt.Errorf("%w: it holds %d bytes, not %d", errLZ4, n, len(dst))
		}
		return nil
	}
	return fmt.Errorf("compression %d is not known", uint8(c))
}
