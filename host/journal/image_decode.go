package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/png" // the format that pictures of the log are in
	"io"
)

// maxImagePixels bounds the picture that DecodeImage takes into memory, at
// four bytes a pixel.
const maxImagePixels = 1 << 28

// DecodeImage gets the segments out of a picture that [View.Image] made, or
// of any lossless copy of it as PNG, and hands each to emit, in order, as the
// whole bytes of its file under the name it has in a journal. Write them into an
// empty directory and open that to verify the log: DecodeImage itself checks
// only that the bytes make headers and records.
func DecodeImage(r io.Reader, emit func(name string, segment []byte) error) error {
	// The size is read, and refused, before the pixels are.
	buffered := bufio.NewReaderSize(r, 1<<16)
	start, err := buffered.Peek(33) // signature and IHDR
	if err != nil {
		return errors.New("no picture of a journal: too short for a PNG")
	}
	if string(start[:8]) != "\x89PNG\r\n\x1a\n" || string(start[12:16]) != "IHDR" {
		return errors.New("no picture of a journal: not a PNG")
	}
	width, height := binary.BigEndian.Uint32(start[16:]), binary.BigEndian.Uint32(start[20:])
	if uint64(width)*uint64(height) > maxImagePixels {
		return fmt.Errorf("picture of %d × %d pixels is over the limit of %d: draw fewer segments at once", width, height, maxImagePixels)
	}
	m, _, err := image.Decode(buffered)
	if err != nil {
		return fmt.Errorf("no picture of a journal: %w", err)
	}
	d := &unpainter{m: m, bounds: m.Bounds()}
	if err := d.run(emit); err != nil {
		return fmt.Errorf("picture of a journal: %w", err)
	}
	return nil
}

type unpainter struct {
	m      image.Image
	bounds image.Rectangle
	scale  int
	left   int
	top    int
	layout shelves
}

// pixel returns the colour at x, y as three bytes.
func (d *unpainter) pixel(x, y int) (rgb [3]byte, err error) {
	if x < 0 || y < 0 || x >= d.bounds.Dx() || y >= d.bounds.Dy() {
		return rgb, errors.New("the picture was cropped: an entry reaches beyond it")
	}
	c, ok := d.m.At(d.bounds.Min.X+x, d.bounds.Min.Y+y).(color.RGBA)
	if !ok {
		n := color.NRGBAModel.Convert(d.m.At(d.bounds.Min.X+x, d.bounds.Min.Y+y)).(color.NRGBA)
		c = color.RGBA(n)
	}
	return [3]byte{c.R, c.G, c.B}, nil
}

func (d *unpainter) run(emit func(string, []byte) error) error {
	var h []byte
	for x := range imageHeader / 3 {
		p, err := d.pixel(x, 0)
		if err != nil {
			return err
		}
		h = append(h, p[:]...)
	}
	if string(h[:4]) != imageMagic {
		return errors.New("its first pixels are not PXLI: it is none, or it was resized, recoloured or stored with loss")
	}
	if h[4] != imageVersion {
		return fmt.Errorf("%w: picture version %d, this host reads %d", ErrUnsupported, h[4], imageVersion)
	}
	d.scale, d.left, d.top = int(h[5]), int(binary.BigEndian.Uint16(h[10:])), int(binary.BigEndian.Uint32(h[12:]))
	d.layout.cols = int(h[9])
	entries, segments := binary.BigEndian.Uint64(h[16:]), binary.BigEndian.Uint64(h[24:])
	if h[6] != tileCells || h[7] != gapCells || h[8] != capCells || d.scale == 0 || d.layout.cols == 0 || segments == 0 {
		return errors.New("its measures are impossible")
	}
	var segment []byte
	var number uint64
	flush := func() error {
		if segment == nil {
			return nil
		}
		out := segment
		segment = nil
		return emit(segmentName(number), out)
	}
	for entries+segments > 0 {
		b, err := d.tile()
		if err != nil {
			return err
		}
		if [4]byte(b) == magic {
			if segments == 0 {
				return errors.New("it holds more segments than it says")
			}
			segments--
			h, err := decodeHeader(b)
			if err == nil {
				err = flush()
			}
			if err != nil {
				return err
			}
			number = h.segment
		} else {
			if entries == 0 || segment == nil {
				return errors.New("an entry stands where a segment should begin")
			}
			entries--
			if _, err = decodeRecord(b); err != nil {
				return err
			}
		}
		segment = append(segment, b...)
	}
	return flush()
}

// tile reads the bytes of the next tile.
func (d *unpainter) tile() ([]byte, error) {
	// Where the tile goes depends on its size, and its size stands in its
	// second pixel: look where a narrow tile would be, then at the left edge of
	// the next shelf.
	try := func(l shelves) (size, x, y, across int, err error) {
		x, y, across, _ = l.place(1)
		var b [6]byte
		for i := range 2 {
			p, err := d.cell(x+i, y+capCells)
			if err != nil {
				return 0, 0, 0, 0, err
			}
			copy(b[3*i:], p[:])
		}
		if [4]byte(b[:]) == magic {
			return HeaderSize, x, y, across, nil
		}
		size, err = frameSize(b[:])
		return size, x, y, across, err
	}
	size, x, y, across, err := try(d.layout)
	if err != nil || size/3 > wideTile && d.layout.col != 0 {
		next := d.layout
		if next.end(); next == d.layout {
			return nil, err
		}
		if size, _, _, _, err = try(next); err != nil {
			return nil, err
		}
		if size/3 <= wideTile {
			return nil, errors.New("an entry stands where there should be none")
		}
	}
	x, y, across, _ = d.layout.place(size / 3)
	out := make([]byte, 0, size)
	for i := range size / 3 {
		p, err := d.cell(x+i%across, y+capCells+i/across)
		if err != nil {
			return nil, err
		}
		out = append(out, p[:]...)
	}
	return out, nil
}

func (d *unpainter) cell(x, y int) ([3]byte, error) {
	return d.pixel(d.left+x*d.scale, d.top+y*d.scale)
}
