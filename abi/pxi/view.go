package pxi

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"sync"
)

// A View shows data as a picture of a chosen width, three bytes a pixel, the
// rest of the last row black. It reads rows when they are looked at and keeps
// a band of them. It is an image.Image and safe for many goroutines.
type View struct {
	src           io.ReaderAt
	size          int64
	width, height int

	mu    sync.Mutex
	first int // row at the start of band
	n     int // rows in band
	band  []byte
	err   error
}

// NewView makes a View of the first size bytes of src, such as a [Reader].
func NewView(src io.ReaderAt, size int64, width int) (*View, error) {
	if width < 1 || width > MaxWidth || size < 0 {
		return nil, fmt.Errorf("pxi: %d bytes at width %d cannot be shown: the width is 1 to %d", size, width, MaxWidth)
	}
	h := rows(size, uint32(width))
	if h > 1<<31-1 {
		return nil, fmt.Errorf("pxi: %d rows are too many for a picture: choose a larger width", h)
	}
	return &View{src: src, size: size, width: width, height: int(h)}, nil
}

// ColorModel is RGBA; every pixel is opaque.
func (v *View) ColorModel() color.Model { return color.RGBAModel }

// Bounds starts at 0, 0; the height is 0 for empty data.
func (v *View) Bounds() image.Rectangle { return image.Rect(0, 0, v.width, v.height) }

// Opaque is always true; encoders ask.
func (v *View) Opaque() bool { return true }

// At gives a pixel. One that cannot be read is black, and Err tells why.
func (v *View) At(x, y int) color.Color { return v.RGBAAt(x, y) }

// RGBAAt is At without the interface. Outside of Bounds everything is zero.
func (v *View) RGBAAt(x, y int) color.RGBA {
	if x < 0 || y < 0 || x >= v.width || y >= v.height {
		return color.RGBA{}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if y < v.first || y >= v.first+v.n {
		if err := v.load(y); err != nil {
			if v.err == nil {
				v.err = err
			}
			return color.RGBA{A: 255}
		}
	}
	p := v.band[3*((y-v.first)*v.width+x):]
	return color.RGBA{p[0], p[1], p[2], 255}
}

// Err is the first error that At met.
func (v *View) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// Row reads row y into dst, which has at least 3 × width bytes.
func (v *View) Row(dst []byte, y int) error {
	if y < 0 || y >= v.height {
		return fmt.Errorf("pxi: there is no row %d; the picture has %d", y, v.height)
	}
	if len(dst) < 3*v.width {
		return errors.New("pxi: the buffer is shorter than a row")
	}
	return v.read(dst[:3*v.width], y)
}

func (v *View) read(dst []byte, y int) error {
	off := int64(y) * int64(v.width) * 3
	have := min(v.size-off, int64(len(dst)))
	clear(dst[have:])
	return readFull(v.src, dst[:have], off)
}

// load fills the band from row y on.
func (v *View) load(y int) error {
	row := 3 * v.width
	n := min(max(scratchSize/row, 1), v.height-y)
	if v.band == nil {
		v.band = make([]byte, max(scratchSize/row, 1)*row)
	}
	v.n = 0
	if err := v.read(v.band[:n*row], y); err != nil {
		return err
	}
	v.first, v.n = y, n
	return nil
}
