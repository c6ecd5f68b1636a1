package pxi

import (
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/draw"
	"image/png"
	"io"
)

// MaxPNGPixels bounds plain pictures, which are decoded in memory: 8 bytes a
// pixel at most while that is going on, 3 afterwards.
const MaxPNGPixels = 1 << 26

// maxInflate is what one byte of a deflate stream can become.
const maxInflate = 1032

// DecodePNG gives the RGB bytes of a plain PNG picture, row by row. Pictures
// with 16 bits a channel, with a transparent pixel or more than MaxPNGPixels
// pixels are an *UnsupportedError; other faults a *FormatError. Grey and
// palette pictures give the colours they show; gamma is not applied.
func DecodePNG(r io.ReaderAt, fileSize int64) (data []byte, width, height int, err error) {
	var head [29]byte
	if err := readFull(r, head[:min(max(fileSize, 0), 29)], 0); err != nil {
		return nil, 0, 0, err
	}
	if Sniff(head[:]) != PNG {
		return nil, 0, 0, &FormatError{ID: "PXI-G1", Msg: "this is no PNG picture", kind: ErrNotPXI}
	}
	src := &source{r: io.NewSectionReader(r, 0, fileSize)}
	cfg, err := png.DecodeConfig(src)
	if err != nil {
		return nil, 0, 0, src.explain(err)
	}
	pixels := int64(cfg.Width) * int64(cfg.Height)
	switch {
	case head[24] > 8:
		return nil, 0, 0, unsupported("PXI-G2", "a picture with %d bits a channel would lose some", head[24])
	case pixels > MaxPNGPixels:
		return nil, 0, 0, unsupported("PXI-G3", "%d × %d pixels are over the limit of %d", cfg.Width, cfg.Height, MaxPNGPixels)
	// A bit a pixel is the least there can be.
	case pixels/8 > maxInflate*fileSize:
		return nil, 0, 0, formatErr("PXI-G4", 16, "%d bytes cannot hold %d × %d pixels", fileSize, cfg.Width, cfg.Height)
	}
	src = &source{r: io.NewSectionReader(r, 0, fileSize)}
	img, err := png.Decode(src)
	if err != nil {
		return nil, 0, 0, src.explain(err)
	}
	data, err = rgb(img)
	return data, cfg.Width, cfg.Height, err
}

// A source remembers the error of the storage, so that it is not taken for one
// of the picture.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (s *source) explain(err error) error {
	if s.err != nil {
		return s.err
	}
	if u := png.UnsupportedError(""); errors.As(err, &u) {
		return unsupported("PXI-G1", "the PNG picture cannot be decoded: %v", err)
	}
	return formatErr("PXI-G1", -1, "the PNG picture is damaged: %v", err)
}

// rgb drops the alpha channel of an opaque picture.
func rgb(img image.Image) ([]byte, error) {
	b := img.Bounds()
	var pix []byte
	var stride int
	switch m := img.(type) {
	case *image.RGBA:
		pix, stride = m.Pix, m.Stride
	case *image.NRGBA:
		pix, stride = m.Pix, m.Stride
	case *image.Gray:
		out := make([]byte, 0, 3*b.Dx()*b.Dy())
		for y := range b.Dy() {
			for _, v := range m.Pix[y*m.Stride:][:b.Dx()] {
				out = append(out, v, v, v)
			}
		}
		return out, nil
	default:
		m2 := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
		draw.Draw(m2, m2.Rect, img, b.Min, draw.Src)
		pix, stride = m2.Pix, m2.Stride
	}
	out := make([]byte, 0, 3*b.Dx()*b.Dy())
	for y := range b.Dy() {
		row := pix[y*stride:][:4*b.Dx()]
		for x := 0; x < len(row); x += 4 {
			if row[x+3] != 255 {
				return nil, unsupported("PXI-G2", "pixel %d, %d is transparent; only opaque pictures carry data", x/4, y)
			}
			out = append(out, row[x], row[x+1], row[x+2])
		}
	}
	return out, nil
}

func openPNG(src io.ReaderAt, fileSize int64) (*Reader, error) {
	data, w, h, err := DecodePNG(src, fileSize)
	if err != nil {
		return nil, err
	}
	r := &Reader{src: src, mem: data, fileSize: fileSize, kind: PNG, size: int64(len(data)), stored: int64(len(data))}
	r.h = Header{Major: majorNumber, Size: uint64(len(data)), Width: uint32(w), Height: uint32(h), Sum: digestOf(data)}
	if _, err := r.table(); err != nil {
		return nil, err
	}
	return r, nil
}

// verifyPNG decodes the picture again: its own checksums and the bytes that
// were found when it was opened.
func (r *Reader) verifyPNG(ctx context.Context, rep *Report) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	data, _, _, err := DecodePNG(r.src, r.fileSize)
	if err != nil {
		rep.add(structureFault(err))
		return nil
	}
	rep.Digest = digestOf(data)
	rep.DigestOK = rep.Digest == r.h.Sum
	if !rep.DigestOK {
		rep.add(r.digestFault())
	}
	return nil
}

// WritePNG writes size bytes of src as an 8-bit RGB picture of the width given,
// three bytes a pixel, the last row filled up with black. It reads a few rows
// at a time and keeps no more. Empty data become one black row. The same data
// give the same file with the same release of Go.
func WritePNG(w io.Writer, src io.ReaderAt, size int64, width int) error {
	if width < 1 || width > MaxWidth {
		return fmt.Errorf("pxi: a picture %d pixels wide: choose 1 to %d", width, MaxWidth)
	}
	if size < 0 {
		return fmt.Errorf("pxi: %d bytes cannot be drawn", size)
	}
	height := max(rows(size, uint32(width)), 1)
	if height > 1<<31-1 {
		return fmt.Errorf("pxi: %d rows do not fit into a PNG picture: choose a larger width", height)
	}
	out := &idat{w: w}
	head := make([]byte, 0, 13)
	head = binary.BigEndian.AppendUint32(head, uint32(width))
	head = binary.BigEndian.AppendUint32(head, uint32(height))
	head = append(head, 8, 2, 0, 0, 0) // 8 bits, RGB, deflate, filters, not interlaced
	if _, err := io.WriteString(w, pngMagic); err != nil {
		return err
	}
	if err := out.chunk("IHDR", head); err != nil {
		return err
	}
	z, err := zlib.NewWriterLevel(out, zlib.BestSpeed)
	if err != nil {
		return err
	}
	row := 3 * int64(width)
	band := make([]byte, max(chunkSize/row, 1)*row)
	for y := int64(0); y < height; {
		n := min(int64(len(band))/row, height-y)
		b := band[:n*row]
		have := max(min(size-y*row, int64(len(b))), 0)
		if have > 0 {
			if err := readFull(src, b[:have], y*row); err != nil {
				return err
			}
		}
		clear(b[have:])
		for ; len(b) > 0; b = b[row:] {
			if _, err := z.Write([]byte{0}); err != nil { // filter: none
				return err
			}
			if _, err := z.Write(b[:row]); err != nil {
				return err
			}
		}
		y += n
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	return out.chunk("IEND", nil)
}

// idat cuts a stream into IDAT chunks of 64 KiB.
type idat struct {
	w   io.Writer
	buf []byte
}

func (d *idat) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), 64<<10-len(d.buf))
		d.buf = append(d.buf, p[:n]...)
		p = p[n:]
		if len(d.buf) == 64<<10 {
			if err := d.flush(); err != nil {
				return total - len(p), err
			}
		}
	}
	return total, nil
}

func (d *idat) flush() error {
	if len(d.buf) == 0 {
		return nil
	}
	err := d.chunk("IDAT", d.buf)
	d.buf = d.buf[:0]
	return err
}

func (d *idat) chunk(kind string, b []byte) error {
	out := make([]byte, 0, 12+len(b))
	out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
	out = append(out, kind...)
	out = append(out, b...)
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
	_, err := d.w.Write(out)
	return err
}
