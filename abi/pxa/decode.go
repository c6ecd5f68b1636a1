package pxa

import (
	"bufio"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
)

// pixels decodes any supported PNG encoding to rows of RGB bytes, top to
// bottom, in memory for two rows (and the picture, when it is interlaced).
type pixels struct {
	h     ihdr
	idat  *idatReader
	buf   *bufio.Reader
	z     io.Reader
	cur   []byte // filter byte and samples of the current row
	prev  []byte
	rgb   []byte
	row   int64
	image []byte // of an interlaced picture, once decoded
}

// newPixels starts at the first chunk after IHDR. The chunk structure has
// been walked.
func newPixels(ra io.ReaderAt, h ihdr, lim Limits) (*pixels, error) {
	d := &pixels{h: h, idat: &idatReader{ra: ra, off: ihdrEnd}}
	d.buf = bufio.NewReaderSize(d.idat, 64<<10)
	z, err := zlib.NewReader(d.buf)
	if err != nil {
		return nil, zlibErr(err)
	}
	d.z = z
	if h.interlaced {
		if n := h.width * h.height * 3; n > lim.Memory {
			return nil, &LimitError{What: "bytes of an interlaced picture (save it again without interlacing)", Got: n, Max: lim.Memory}
		}
		return d, d.deinterlace()
	}
	d.start(h.width)
	return d, nil
}

// start prepares for a picture or pass of a width.
func (d *pixels) start(width int64) {
	d.cur = make([]byte, 1+width*d.h.channels)
	d.prev = make([]byte, 1+width*d.h.channels)
}

func zlibErr(err error) error {
	var fe *FormatError
	var corrupt flate.CorruptInputError
	switch {
	case errors.As(err, &fe):
		return err
	case errors.Is(err, zlib.ErrChecksum):
		return formatErr("PXA-P7", -1, "the image data does not match its Adler-32: the file is damaged")
	case errors.Is(err, zlib.ErrHeader), errors.Is(err, zlib.ErrDictionary), errors.As(err, &corrupt):
		return formatErr("PXA-P7", -1, "the image data is not a valid zlib stream: %v", err)
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return formatErr("PXA-P7", -1, "the image data ends before the last row")
	}
	return err
}

// next gives the next row as 3 × width bytes, valid until the next call, and
// io.EOF after the last one, when everything behind it has been checked too.
func (d *pixels) next() ([]byte, error) {
	if d.row == d.h.height {
		if err := d.finish(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	if d.image != nil {
		n := 3 * d.h.width
		d.row++
		return d.image[(d.row-1)*n : d.row*n], nil
	}
	samples, err := d.unfilter()
	if err != nil {
		return nil, err
	}
	d.row++
	if d.h.channels == 3 {
		return samples, nil
	}
	if d.rgb == nil {
		d.rgb = make([]byte, 3*d.h.width)
	}
	return d.rgb, d.opaque(d.rgb, samples)
}

// opaque drops the alpha channel.
func (d *pixels) opaque(dst, src []byte) error {
	for i := 0; len(src) >= 4; i, src = i+3, src[4:] {
		if src[3] != 255 {
			return unsupported("PXA-P9", "the picture has a transparent pixel in row %d, a cartridge is opaque; it was edited or blended", d.row)
		}
		copy(dst[i:], src[:3])
	}
	return nil
}

// finish checks what follows the last row.
func (d *pixels) finish() error {
	var one [1]byte
	if n, err := io.ReadFull(d.z, one[:]); n != 0 {
		return formatErr("PXA-P7", -1, "the image data goes on after the last row")
	} else if err != io.EOF {
		return zlibErr(err)
	}
	if _, err := d.buf.ReadByte(); err == nil {
		return formatErr("PXA-P7", -1, "bytes follow the zlib stream of the image data")
	} else if err != io.EOF {
		return err
	}
	return nil
}

// unfilter reads one row and undoes its filter.
func (d *pixels) unfilter() ([]byte, error) {
	d.cur, d.prev = d.prev, d.cur
	if _, err := io.ReadFull(d.z, d.cur); err != nil {
		return nil, zlibErr(err)
	}
	cur, prev, bpp := d.cur[1:], d.prev[1:], int(d.h.channels)
	switch d.cur[0] {
	case 0:
	case 1:
		for i := bpp; i < len(cur); i++ {
			cur[i] += cur[i-bpp]
		}
	case 2:
		for i := range cur {
			cur[i] += prev[i]
		}
	case 3:
		for i := range bpp {
			cur[i] += prev[i] / 2
		}
		for i := bpp; i < len(cur); i++ {
			cur[i] += byte((int(cur[i-bpp]) + int(prev[i])) / 2)
		}
	case 4:
		for i := range bpp {
			cur[i] += prev[i]
		}
		for i := bpp; i < len(cur); i++ {
			cur[i] += paeth(cur[i-bpp], prev[i], prev[i-bpp])
		}
	default:
		return nil, formatErr("PXA-P8", -1, "row %d has the unknown filter %d", d.row, d.cur[0])
	}
	return cur, nil
}

// paeth picks the neighbour nearest to left + up − corner, in this order on a tie.
func paeth(left, up, corner byte) byte {
	a, b, c := int(left), int(up), int(corner)
	da, db, dc := abs(b-c), abs(a-c), abs(a+b-2*c)
	switch {
	case da <= db && da <= dc:
		return left
	case db <= dc:
		return up
	}
	return corner
}

func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}

// deinterlace decodes all seven passes into d.image.
func (d *pixels) deinterlace() error {
	d.image = make([]byte, 3*d.h.width*d.h.height)
	for _, p := range adam7 {
		w, ht := p.size(d.h)
		if w == 0 {
			continue
		}
		d.start(w)
		rgb := make([]byte, 3*w)
		for y := range ht {
			samples, err := d.unfilter()
			if err != nil {
				return err
			}
			if d.h.channels == 3 {
				rgb = samples
			} else if err := d.opaque(rgb, samples); err != nil {
				return err
			}
			row := d.image[3*d.h.width*(p.y0+y*p.dy):]
			for x := range w {
				copy(row[3*(p.x0+x*p.dx):][:3], rgb[3*x:])
			}
		}
	}
	return nil
}
