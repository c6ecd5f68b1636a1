package pxa

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// ihdr is what the first chunk of a PNG says.
type ihdr struct {
	width, height int64
	channels      int64 // 3 RGB, 4 RGBA
	interlaced    bool
}

// decodeIHDR takes the first 33 bytes of a PNG file.
func decodeIHDR(b []byte) (h ihdr, err error) {
	if binary.BigEndian.Uint32(b[8:]) != 13 || string(b[12:16]) != "IHDR" {
		return h, formatErr("PXA-P2", 8, "the PNG does not start with an IHDR chunk")
	}
	if crc32.ChecksumIEEE(b[12:29]) != binary.BigEndian.Uint32(b[29:]) {
		return h, formatErr("PXA-P4", 29, "the IHDR chunk does not match its CRC")
	}
	w, ht := binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:])
	depth, colour, compression, filter, interlace := b[24], b[25], b[26], b[27], b[28]
	if w == 0 || ht == 0 || w > 1<<31-1 || ht > 1<<31-1 {
		return h, formatErr("PXA-P2", 16, "%d × %d is not a picture size", w, ht)
	}
	if compression != 0 || filter != 0 || interlace > 1 {
		return h, formatErr("PXA-P2", 26, "unknown compression %d, filter %d or interlace method %d", compression, filter, interlace)
	}
	h = ihdr{width: int64(w), height: int64(ht), interlaced: interlace == 1}
	switch {
	case depth != 8 && (colour == 2 || colour == 6):
		return h, unsupported("PXA-P3", "the picture has %d bits a channel, a cartridge has 8; save it again as 8-bit RGB or get the original file", depth)
	case colour == 2:
		h.channels = 3
	case colour == 6:
		h.channels = 4
	case colour == 0 || colour == 4:
		return h, unsupported("PXA-P3", "the picture is greyscale, a cartridge is 8-bit RGB; get the original file")
	case colour == 3:
		return h, unsupported("PXA-P3", "the picture has a palette, a cartridge is 8-bit RGB; save it again as RGB or get the original file")
	default:
		return h, formatErr("PXA-P3", 25, "unknown colour type %d", colour)
	}
	return h, nil
}

// rawSize is the length of the inflated image data: filter bytes and samples.
func (h ihdr) rawSize() int64 {
	if !h.interlaced {
		return h.height * (1 + h.width*h.channels)
	}
	var n int64
	for _, p := range adam7 {
		if w, ht := p.size(h); w > 0 {
			n += ht * (1 + w*h.channels)
		}
	}
	return n
}

// A pass is one of the seven sub-pictures of an interlaced PNG.
type pass struct{ x0, y0, dx, dy int64 }

var adam7 = [7]pass{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}

// size is zero in both directions for a pass without pixels.
func (p pass) size(h ihdr) (w, ht int64) {
	w, ht = (h.width-p.x0+p.dx-1)/p.dx, (h.height-p.y0+p.dy-1)/p.dy
	if w <= 0 || ht <= 0 {
		return 0, 0
	}
	return w, ht
}

// walkChunks checks the chunk structure of the file without reading image
// data: order, lengths, the end. It returns the types of chunks that carry
// nothing of the cartridge, each once.
func walkChunks(ra io.ReaderAt, size int64, lim Limits) (extra []string, err error) {
	var (
		head  [8]byte
		idat  int // 0 before, 1 in, 2 after the image data
		count int64
		seen  = map[string]bool{}
	)
	for off := int64(8); ; {
		count++
		if err := checkLimit("PNG chunks", count, lim.Chunks); err != nil {
			return nil, err
		}
		if size-off < 12 {
			return nil, formatErr("PXA-P4", off, "the file is cut off: no room for another PNG chunk, and no IEND so far")
		}
		if _, err := ra.ReadAt(head[:], off); err != nil {
			return nil, noEOF(err)
		}
		n, typ := int64(binary.BigEndian.Uint32(head[:])), string(head[4:])
		if n > 1<<31-1 || n > size-off-12 {
			return nil, formatErr("PXA-P4", off, "the file is cut off: PNG chunk %q claims %d bytes, %d are left", typ, n, max(size-off-12, 0))
		}
		if off == 8 && typ != "IHDR" {
			return nil, formatErr("PXA-P2", off, "the PNG does not start with an IHDR chunk")
		}
		switch {
		case typ == "IHDR" && off != 8:
			return nil, formatErr("PXA-P5", off, "a second IHDR chunk")
		case typ == "IDAT" && idat == 2:
			return nil, formatErr("PXA-P5", off, "IDAT chunks do not follow one another")
		case typ == "IDAT":
			idat = 1
		case idat == 1:
			idat = 2
		}
		switch typ {
		case "IHDR", "IDAT":
		case "IEND":
			switch {
			case idat == 0:
				return nil, formatErr("PXA-P5", off, "the PNG has no image data")
			case n != 0:
				return nil, formatErr("PXA-P6", off, "the IEND chunk has %d bytes of data", n)
			case off+12 != size:
				return nil, formatErr("PXA-P6", off+12, "%d bytes follow the end of the picture", size-off-12)
			}
			return extra, nil
		case "tRNS":
			return nil, unsupported("PXA-P9", "the picture has transparency, a cartridge is opaque; save it again without")
		default:
			for _, c := range head[4:] {
				if c|0x20 < 'a' || c|0x20 > 'z' {
					return nil, formatErr("PXA-P4", off, "%q is not a PNG chunk type", typ)
				}
			}
			if head[4]&0x20 == 0 && typ != "PLTE" {
				return nil, unsupported("PXA-P5", "the picture needs the unknown PNG chunk %q", typ)
			}
			if !seen[typ] && len(extra) < 64 {
				seen[typ] = true
				extra = append(extra, typ)
			}
		}
		off += 12 + n
	}
}

// idatReader joins the data of the IDAT chunks and checks the CRC of every
// chunk it passes.
type idatReader struct {
	ra   io.ReaderAt
	off  int64 // of the next byte to read
	left int64 // data bytes left in the current IDAT chunk
	crc  uint32
	done bool // IEND was passed
	open bool // inside an IDAT chunk
}

func (r *idatReader) Read(p []byte) (int, error) {
	for r.left == 0 {
		if r.done {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	p = p[:min(int64(len(p)), r.left)]
	n, err := r.ra.ReadAt(p, r.off)
	if n < len(p) {
		return 0, noEOF(err)
	}
	r.crc = crc32.Update(r.crc, crc32.IEEETable, p)
	r.off += int64(n)
	r.left -= int64(n)
	return n, nil
}

// next closes the current chunk and moves to the next IDAT chunk or past IEND.
func (r *idatReader) next() error {
	var b [8]byte
	if r.open {
		if _, err := r.ra.ReadAt(b[:4], r.off); err != nil {
			return noEOF(err)
		}
		if binary.BigEndian.Uint32(b[:]) != r.crc {
			return formatErr("PXA-P4", r.off, "a PNG chunk does not match its CRC: the file is damaged")
		}
		r.off += 4
		r.open = false
	}
	if _, err := r.ra.ReadAt(b[:], r.off); err != nil {
		return noEOF(err)
	}
	n, typ := int64(binary.BigEndian.Uint32(b[:])), string(b[4:])
	r.off += 8
	r.crc = crc32.ChecksumIEEE(b[4:])
	if typ == "IDAT" {
		r.left, r.open = n, true
		return nil
	}
	var buf [4096]byte
	for end := r.off + n; r.off < end; {
		p := buf[:min(int64(len(buf)), end-r.off)]
		if _, err := r.ra.ReadAt(p, r.off); err != nil {
			return noEOF(err)
		}
		r.crc = crc32.Update(r.crc, crc32.IEEETable, p)
		r.off += int64(len(p))
	}
	if _, err := r.ra.ReadAt(b[:4], r.off); err != nil && (err != io.EOF || typ != "IEND") {
		return noEOF(err)
	}
	if binary.BigEndian.Uint32(b[:]) != r.crc {
		return formatErr("PXA-P4", r.off, "PNG chunk %q does not match its CRC: the file is damaged", typ)
	}
	r.off += 4
	r.done = typ == "IEND"
	return nil
}
