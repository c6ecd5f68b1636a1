package main

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"image"
	"image/draw"
	_ "image/gif" // for image.Decode
	_ "image/jpeg"
	_ "image/png"
	"io"
)

var (
	errNoPicture    = errors.New("this is no picture of a known kind")
	errLargePicture = errors.New("the picture is too large to be held in memory")
)

// Limits of pictures that are read. Rows of a streamed one and the whole of any other
// are held in memory.
const (
	maxStreamWidth = 1 << 20
	maxStreamed    = 1 << 34 // pixels
	maxHeld        = 100_000_000
)

// picture is where rows of pixels come from, from the top.
type picture struct {
	width, height int
	rows          func(dst []byte, n int) error // n rows of red, green, blue, alpha (not premultiplied)
	end           func() error                  // after all rows: checks what follows
	failed        bool                          // an error came from here
}

// openPicture reads the head of a picture. PNG pictures are then read row by row, unless
// they are interlaced; others are held in memory, up to 100 million pixels.
func openPicture(r io.Reader) (*picture, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(29)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(head) == 29 && string(head[:8]) == "\x89PNG\r\n\x1a\n" && head[28] == 0 {
		return newPNGRows(in)
	}
	return holdPicture(in)
}

// holdPicture decodes a picture at once.
func holdPicture(in io.Reader) (*picture, error) {
	var head bytes.Buffer
	cfg, _, err := image.DecodeConfig(io.TeeReader(in, &head))
	switch {
	case errors.Is(err, image.ErrFormat):
		return nil, errNoPicture
	case err != nil:
		return nil, err
	case cfg.Width < 1 || cfg.Height < 1:
		return nil, errors.New("the picture has no pixels")
	case cfg.Width > maxHeld/cfg.Height:
		return nil, fmt.Errorf("%d x %d pixels: %w", cfg.Width, cfg.Height, errLargePicture)
	}
	img, _, err := image.Decode(io.MultiReader(&head, in))
	if err != nil {
		return nil, err
	}
	b := img.Bounds()
	p := &picture{width: b.Dx(), height: b.Dy(), end: func() error { return nil }}
	if p.width < 1 || p.height < 1 {
		return nil, errors.New("the picture has no pixels")
	}
	y := b.Min.Y
	p.rows = func(dst []byte, n int) error {
		stride := 4 * p.width
		if straight, ok := img.(*image.NRGBA); ok {
			for i := range n {
				copy(dst[i*stride:][:stride], straight.Pix[straight.PixOffset(b.Min.X, y+i):])
			}
		} else {
			band := &image.RGBA{Pix: dst, Stride: stride, Rect: image.Rect(0, 0, p.width, n)}
			draw.Draw(band, band.Rect, img, image.Pt(b.Min.X, y), draw.Src)
			straighten(dst)
		}
		y += n
		return nil
	}
	return p, nil
}

// straighten undoes the premultiplication of pixels by their alpha.
func straighten(rgba []byte) {
	for p := rgba; len(p) >= 4; p = p[4:] {
		a := uint32(p[3])
		if a == 0 || a == 255 {
			continue
		}
		for i := range 3 {
			p[i] = uint8(min((uint32(p[i])*255+a/2)/a, 255))
		}
	}
}

// Kinds of PNG pictures.
const (
	pngGray      = 0
	pngRGB       = 2
	pngPalette   = 3
	pngGrayAlpha = 4
	pngRGBA      = 6
)

// pngRows reads the rows of a PNG picture that is not interlaced. Of samples of 16 bits
// it takes the upper 8; gamma and colour profiles are left aside, as image/png does.
type pngRows struct {
	chunks        pngChunks
	width, height int
	depth, kind   int
	palette       [256][4]byte
	colours       int
	key           [3]uint16 // the colour that is transparent
	hasKey        bool
	z             io.ReadCloser
	step          int // bytes from a sample to the one to its left, for the filters
	line, above   []byte
	y             int
}

type pngError string

func (e pngError) Error() string { return "invalid PNG: " + string(e) }

// newPNGRows reads up to the pixels.
func newPNGRows(in io.Reader) (*picture, error) {
	p := &pngRows{chunks: pngChunks{r: in, sum: crc32.NewIEEE()}}
	if err := p.head(in); err != nil {
		return nil, whole(err)
	}
	z, err := zlib.NewReader(&p.chunks)
	if err != nil {
		return nil, whole(err)
	}
	p.z = z
	return &picture{
		width: p.width, height: p.height,
		rows: func(dst []byte, n int) error {
			for i := range n {
				if err := p.row(dst[4*i*p.width:][:4*p.width]); err != nil {
					return whole(err)
				}
			}
			return nil
		},
		end: func() error { return whole(p.end()) },
	}, nil
}

// whole says of a stream that ended too early what that means.
func whole(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return pngError("the file ends in the middle")
	}
	if errors.Is(err, zlib.ErrHeader) || errors.Is(err, zlib.ErrDictionary) || errors.Is(err, zlib.ErrChecksum) {
		return pngError("its pixels are damaged: " + err.Error())
	}
	return err
}

// head reads everything before the first pixel data.
func (p *pngRows) head(in io.Reader) error {
	var magic [8]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil {
		return err
	}
	kind, n, err := p.chunks.next()
	if err != nil {
		return err
	}
	if kind != "IHDR" || n != 13 {
		return pngError("it does not begin with IHDR")
	}
	h, err := p.chunks.body(13)
	if err != nil {
		return err
	}
	if err := p.header(h); err != nil {
		return err
	}
	for {
		kind, n, err := p.chunks.next()
		if err != nil {
			return err
		}
		switch {
		case kind == "IDAT":
			if p.kind == pngPalette && p.colours == 0 {
				return pngError("it has no palette")
			}
			p.chunks.left, p.chunks.inData = n, true
			return nil
		case kind == "PLTE" && n%3 == 0 && n >= 3 && n <= 768 && p.colours == 0:
			b, err := p.chunks.body(int(n))
			if err != nil {
				return err
			}
			if p.kind != pngPalette {
				continue // a suggestion for poor screens
			}
			p.colours = len(b) / 3
			if p.colours > 1<<p.depth {
				return pngError("its palette is too long")
			}
			for i := range p.palette {
				p.palette[i] = [4]byte{0, 0, 0, 255}
				if i < p.colours {
					copy(p.palette[i][:3], b[3*i:])
				}
			}
		case kind == "tRNS" && n <= 256 && !p.hasKey:
			b, err := p.chunks.body(int(n))
			if err != nil {
				return err
			}
			if err := p.transparent(b); err != nil {
				return err
			}
		case kind[0]&0x20 != 0 && kind != "tRNS":
			if err := p.chunks.skip(n); err != nil {
				return err
			}
		default:
			return pngError(fmt.Sprintf("there is a chunk %q of %d bytes where none may be", kind, n))
		}
	}
}

func (p *pngRows) header(h []byte) error {
	w, ht := binary.BigEndian.Uint32(h), binary.BigEndian.Uint32(h[4:])
	p.depth, p.kind = int(h[8]), int(h[9])
	channels := 0
	switch p.kind {
	case pngGray, pngPalette:
		channels = 1
		if p.depth != 1 && p.depth != 2 && p.depth != 4 && p.depth != 8 && (p.depth != 16 || p.kind != pngGray) {
			channels = 0
		}
	case pngRGB, pngGrayAlpha, pngRGBA:
		channels = map[int]int{pngRGB: 3, pngGrayAlpha: 2, pngRGBA: 4}[p.kind]
		if p.depth != 8 && p.depth != 16 {
			channels = 0
		}
	}
	switch {
	case w == 0 || ht == 0 || w > 1<<31-1 || ht > 1<<31-1:
		return pngError(fmt.Sprintf("it cannot have %d x %d pixels", w, ht))
	case channels == 0:
		return pngError(fmt.Sprintf("there is no kind %d with %d bits", p.kind, p.depth))
	case h[10] != 0 || h[11] != 0 || h[12] != 0:
		return pngError("its compression, filter or interlacing is not known")
	case w > maxStreamWidth || int64(w)*int64(ht) > maxStreamed:
		return fmt.Errorf("%d x %d pixels are over the limit of %d in width and %d in all", w, ht, maxStreamWidth, int64(maxStreamed))
	}
	p.width, p.height = int(w), int(ht)
	bits := channels * p.depth
	p.step = max(bits/8, 1)
	n := (p.width*bits + 7) / 8
	p.line, p.above = make([]byte, n+1), make([]byte, n+1)
	return nil
}

// transparent takes over a tRNS chunk.
func (p *pngRows) transparent(b []byte) error {
	switch {
	case p.kind == pngPalette && p.colours > 0 && len(b) <= p.colours:
		for i, a := range b {
			p.palette[i][3] = a
		}
	case p.kind == pngGray && len(b) == 2, p.kind == pngRGB && len(b) == 6:
		for i := range len(b) / 2 {
			p.key[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		p.hasKey = true
	default:
		return pngError("its transparency does not fit its colours")
	}
	return nil
}

// row reads one row into 4 × width bytes.
func (p *pngRows) row(dst []byte) error {
	if p.y >= p.height {
		return io.EOF
	}
	if _, err := io.ReadFull(p.z, p.line); err != nil {
		return err
	}
	if err := unfilter(p.line[0], p.line[1:], p.above[1:], p.step); err != nil {
		return err
	}
	if err := p.expand(dst, p.line[1:]); err != nil {
		return err
	}
	p.line, p.above = p.above, p.line
	p.y++
	return nil
}

// unfilter undoes the filter of a row, given the row above it.
func unfilter(filter byte, line, above []byte, step int) error {
	switch filter {
	case 0:
	case 1:
		for i := step; i < len(line); i++ {
			line[i] += line[i-step]
		}
	case 2:
		for i := range line {
			line[i] += above[i]
		}
	case 3:
		for i := range line {
			left := 0
			if i >= step {
				left = int(line[i-step])
			}
			line[i] += uint8((left + int(above[i])) / 2)
		}
	case 4:
		for i := range line {
			left, corner := 0, 0
			if i >= step {
				left, corner = int(line[i-step]), int(above[i-step])
			}
			line[i] += nearest(left, int(above[i]), corner)
		}
	default:
		return pngError(fmt.Sprintf("there is no filter %d", filter))
	}
	return nil
}

// nearest is the Paeth predictor: of left, up and corner the one nearest to left + up -
// corner, the first of equals.
func nearest(left, up, corner int) uint8 {
	abs := func(n int) int { return max(n, -n) }
	dl, du, dc := abs(up-corner), abs(left-corner), abs(left+up-2*corner)
	switch {
	case dl <= du && dl <= dc:
		return uint8(left)
	case du <= dc:
		return uint8(up)
	}
	return uint8(corner)
}

// expand writes a row of samples as pixels of four bytes.
func (p *pngRows) expand(dst, line []byte) error {
	wide := p.depth / 8 // bytes of a sample, 0 for less than one
	switch p.kind {
	case pngGray, pngPalette:
		for x := range p.width {
			var v, full int
			if wide > 0 {
				full = int(line[x*wide])
				if v = full; wide == 2 {
					v = full<<8 | int(line[2*x+1])
				}
			} else {
				bit := x * p.depth
				v = int(line[bit/8]) >> (8 - p.depth - bit%8) & (1<<p.depth - 1)
				full = v * (255 / (1<<p.depth - 1))
			}
			d := dst[4*x : 4*x+4 : 4*x+4]
			if p.kind == pngPalette {
				if v >= p.colours {
					return pngError(fmt.Sprintf("a pixel has colour %d of a palette of %d", v, p.colours))
				}
				copy(d, p.palette[v][:])
				continue
			}
			d[0], d[1], d[2], d[3] = byte(full), byte(full), byte(full), 255
			if p.hasKey && v == int(p.key[0]) {
				d[3] = 0
			}
		}
	case pngGrayAlpha:
		for x := range p.width {
			s, d := line[2*wide*x:], dst[4*x:4*x+4:4*x+4]
			d[0], d[1], d[2], d[3] = s[0], s[0], s[0], s[wide]
		}
	case pngRGB:
		for x := range p.width {
			s, d := line[3*wide*x:], dst[4*x:4*x+4:4*x+4]
			d[0], d[1], d[2], d[3] = s[0], s[wide], s[2*wide], 255
			if p.hasKey && p.isKey(s, wide) {
				d[3] = 0
			}
		}
	case pngRGBA:
		for x := range p.width {
			s, d := line[4*wide*x:], dst[4*x:4*x+4:4*x+4]
			d[0], d[1], d[2], d[3] = s[0], s[wide], s[2*wide], s[3*wide]
		}
	}
	return nil
}

func (p *pngRows) isKey(s []byte, wide int) bool {
	for i := range 3 {
		v := uint16(s[i*wide])
		if wide == 2 {
			v = binary.BigEndian.Uint16(s[2*i:])
		}
		if v != p.key[i] {
			return false
		}
	}
	return true
}

// end checks that the pixels end after the last row, with the right checksum, and that
// the file ends as it should.
func (p *pngRows) end() error {
	var one [1]byte
	if n, err := io.ReadFull(p.z, one[:]); n > 0 {
		return pngError("there are more pixels than rows")
	} else if err != io.EOF {
		return err
	}
	if _, err := io.Copy(io.Discard, &p.chunks); err != nil {
		return err
	}
	for kind, n := p.chunks.kind, p.chunks.size; kind != "IEND"; {
		var err error
		if kind == "IDAT" || kind[0]&0x20 == 0 {
			return pngError(fmt.Sprintf("there is a chunk %q behind the pixels", kind))
		}
		if err = p.chunks.skip(n); err != nil {
			return err
		}
		if kind, n, err = p.chunks.next(); err != nil {
			return err
		}
		p.chunks.size = n
	}
	if p.chunks.size != 0 {
		return pngError("its last chunk is not empty")
	}
	return p.chunks.check()
}

// pngChunks reads chunks and compares their checksums. Once inData is set it is a reader
// of the contents of neighbouring IDAT chunks, and kind and size are then those of the
// chunk that ended them.
type pngChunks struct {
	r      io.Reader
	sum    hash.Hash32
	left   uint32 // of the IDAT chunk
	inData bool
	kind   string
	size   uint32
}

// next reads the head of a chunk.
func (c *pngChunks) next() (kind string, size uint32, err error) {
	var h [8]byte
	if _, err := io.ReadFull(c.r, h[:]); err != nil {
		return "", 0, err
	}
	size = binary.BigEndian.Uint32(h[:])
	for _, b := range h[4:] {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') {
			return "", 0, pngError("there is no chunk where one must be")
		}
	}
	if size > 1<<31-1 {
		return "", 0, pngError("a chunk is longer than a chunk can be")
	}
	c.sum.Reset()
	c.sum.Write(h[4:])
	return string(h[4:]), size, nil
}

// body reads the content of a small chunk.
func (c *pngChunks) body(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, err
	}
	c.sum.Write(b)
	return b, c.check()
}

// skip reads over the content of a chunk.
func (c *pngChunks) skip(n uint32) error {
	if _, err := io.CopyN(c.sum, c.r, int64(n)); err != nil {
		return err
	}
	return c.check()
}

// check compares the checksum behind a chunk's content.
func (c *pngChunks) check() error {
	var b [4]byte
	if _, err := io.ReadFull(c.r, b[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(b[:]) != c.sum.Sum32() {
		return pngError("the checksum of a chunk is wrong")
	}
	return nil
}

func (c *pngChunks) Read(p []byte) (int, error) {
	for c.left == 0 {
		if !c.inData {
			return 0, io.EOF
		}
		if err := c.check(); err != nil {
			return 0, noEOF(err)
		}
		kind, n, err := c.next()
		if err != nil {
			return 0, noEOF(err)
		}
		if kind != "IDAT" {
			c.inData, c.kind, c.size = false, kind, n
			return 0, io.EOF
		}
		c.left = n
	}
	n, err := c.r.Read(p[:min(len(p), int(c.left))])
	c.sum.Write(p[:n])
	c.left -= uint32(n)
	if n > 0 {
		return n, nil
	}
	return 0, noEOF(err)
}

// noEOF keeps the end of the file apart from the end of the pixels.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
