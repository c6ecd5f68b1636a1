package pxi

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"

	"github.com/pierrec/lz4/v4"
)

// A crafted file is laid out field by field from PXI.md, without the code of
// the package, and can lie in each of them.
type crafted struct {
	magic         string
	major, minor  byte
	size          uint64
	width, height uint32
	comp          byte
	sum           [32]byte
	ext           byte
	trailer       uint64
	pixels        []byte // stored stream and padding

	trailerMagic   string
	trailerVersion byte
	reserved       [3]byte
	block          uint32
	count          uint64
	stored         uint64
	lens, crcs     []uint32
	wrongSum       bool   // of the trailer
	tail           []byte // behind everything
}

// craft makes the true file of data. packed blocks are given ready made;
// nil means uncompressed.
func craft(data []byte, width, block int, comp Compression, packed [][]byte) *crafted {
	c := &crafted{
		magic: "PXIF", major: 1, size: uint64(len(data)), width: uint32(width), comp: byte(comp),
		sum: sha256.Sum256(data), ext: 1, trailerMagic: "PXIB", trailerVersion: 1, block: uint32(block),
	}
	for off := 0; off < len(data); off += block {
		b := data[off:min(off+block, len(data))]
		c.crcs = append(c.crcs, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
		if packed != nil {
			b = packed[off/block]
			c.lens = append(c.lens, uint32(len(b)))
		}
		c.pixels = append(c.pixels, b...)
		c.count++
	}
	c.stored = uint64(len(c.pixels))
	for len(c.pixels)%(3*width) != 0 {
		c.pixels = append(c.pixels, 0)
	}
	c.height = uint32(len(c.pixels) / 3 / width)
	c.trailer = uint64(64 + len(c.pixels))
	return c
}

// prototype leaves the trailer out, as files of the prototype do.
func (c *crafted) prototype() *crafted {
	c.ext, c.trailer = 0, 0
	return c
}

func (c *crafted) bytes() []byte {
	be := binary.BigEndian
	b := append([]byte(c.magic), c.major, c.minor)
	b = be.AppendUint64(b, c.size)
	b = be.AppendUint32(b, c.width)
	b = be.AppendUint32(b, c.height)
	b = append(b, c.comp)
	b = append(b, c.sum[:]...)
	b = append(b, c.ext)
	b = be.AppendUint64(b, c.trailer)
	head := bytes.Clone(b)
	b = append(b, c.pixels...)
	if c.ext != 1 {
		return append(b, c.tail...)
	}
	at := len(b)
	b = append(b, c.trailerMagic...)
	b = append(b, c.trailerVersion, c.reserved[0], c.reserved[1], c.reserved[2])
	b = be.AppendUint32(b, c.block)
	b = be.AppendUint64(b, c.count)
	b = be.AppendUint64(b, c.stored)
	for _, v := range append(append([]uint32{}, c.lens...), c.crcs...) {
		b = be.AppendUint32(b, v)
	}
	sum := sha256.Sum256(append(head, b[at:]...))
	if c.wrongSum {
		sum[31] ^= 1
	}
	b = append(b, sum[:]...)
	return append(b, c.tail...)
}

// slowUnpackBits is PackBits from its definition, a byte at a time.
func slowUnpackBits(src []byte, n int) ([]byte, bool) {
	var out []byte
	for i := 0; i < len(src) && len(out) <= n; {
		c := int8(src[i])
		i++
		switch {
		case c >= 0:
			for range int(c) + 1 {
				if i >= len(src) {
					return nil, false
				}
				out = append(out, src[i])
				i++
			}
		case c > -128:
			if i >= len(src) {
				return nil, false
			}
			for range 1 - int(c) {
				out = append(out, src[i])
			}
			i++
		}
	}
	return out, len(out) == n
}

// slowDecode reads a whole file of version 1.0 in the plainest way: whether it
// is valid, and its data.
func slowDecode(b []byte) (data []byte, ok bool) {
	be := binary.BigEndian
	if len(b) < 64 || string(b[:4]) != "PXIF" || b[4] != 1 || b[5] != 0 {
		return nil, false
	}
	size, width, height, comp, ext, trailer := be.Uint64(b[6:]), uint64(be.Uint32(b[14:])), uint64(be.Uint32(b[18:])), b[22], b[55], be.Uint64(b[56:])
	if width < 1 || width > 1<<20 || comp > 2 || ext > 1 || size > 1<<50 {
		return nil, false
	}
	end := 64 + width*height*3
	if end > uint64(len(b)) {
		return nil, false
	}
	pixels := b[64:end]
	rows := func(n uint64) uint64 { return ((n+2)/3 + width - 1) / width }
	zero := func(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
	if ext == 0 {
		if trailer != 0 || uint64(len(b)) != end || height != rows(size) || !zero(pixels[size:]) {
			return nil, false
		}
		data = pixels[:size]
		return data, sha256.Sum256(data) == [32]byte(b[23:55])
	}
	t := b[end:]
	if trailer != end || len(t) < 60 || string(t[:8]) != "PXIB\x01\x00\x00\x00" {
		return nil, false
	}
	block, count, stored := uint64(be.Uint32(t[8:])), be.Uint64(t[12:]), be.Uint64(t[20:])
	tables := uint64(4)
	if comp != 0 {
		tables = 8
	}
	if block < 512 || block > 16<<20 || count != (size+block-1)/block || stored > size || (comp == 0 && stored != size) ||
		height != rows(stored) || count > 1<<26 || uint64(len(t)) != 60+tables*count || !zero(pixels[stored:]) {
		return nil, false
	}
	if sha256.Sum256(append(bytes.Clone(b[:64]), t[:len(t)-32]...)) != [32]byte(t[len(t)-32:]) {
		return nil, false
	}
	crcs := t[28+(tables-4)*count:]
	at := uint64(0)
	for i := range count {
		n := min(block, size-i*block)
		m := n
		if comp != 0 {
			m = uint64(be.Uint32(t[28+4*i:]))
		}
		if m == 0 || m > n || at+m > stored {
			return nil, false
		}
		p := pixels[at : at+m]
		at += m
		if m < n {
			q := make([]byte, n)
			switch comp {
			case 1:
				if q, ok = slowUnpackBits(p, int(n)); !ok {
					return nil, false
				}
			case 2:
				if k, err := lz4.UncompressBlock(p, q); err != nil || uint64(k) != n {
					return nil, false
				}
			}
			p = q
		}
		if crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) != be.Uint32(crcs[4*i:]) {
			return nil, false
		}
		data = append(data, p...)
	}
	return data, at == stored && sha256.Sum256(data) == [32]byte(b[23:55])
}
