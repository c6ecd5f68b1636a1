package journal

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"io"
)

// pngWriter writes an 8-bit RGB PNG row by row, since the standard encoder
// wants the whole picture first.
type pngWriter struct {
	out  io.Writer
	z    *zlib.Writer
	idat *bufio.Writer
	line []byte
}

func newPNG(out io.Writer, width, height int) (*pngWriter, error) {
	p := &pngWriter{out: out, line: make([]byte, 1+3*width)}
	ihdr := make([]byte, 13)
	binary.BigEndian.PutUint32(ihdr, uint32(width))
	binary.BigEndian.PutUint32(ihdr[4:], uint32(height))
	ihdr[8], ihdr[9] = 8, 2 // bits a channel, RGB
	if _, err := io.WriteString(out, "\x89PNG\r\n\x1a\n"); err != nil {
		return nil, err
	}
	if err := p.chunk("IHDR", ihdr); err != nil {
		return nil, err
	}
	p.idat = bufio.NewWriterSize(chunker{p}, 1<<16)
	var err error
	p.z, err = zlib.NewWriterLevel(p.idat, zlib.BestSpeed)
	return p, err
}

// chunker makes one IDAT chunk of each write.
type chunker struct{ p *pngWriter }

func (c chunker) Write(b []byte) (int, error) { return len(b), c.p.chunk("IDAT", b) }

func (p *pngWriter) chunk(name string, data []byte) error {
	var b [8]byte
	binary.BigEndian.PutUint32(b[:], uint32(len(data)))
	copy(b[4:], name)
	sum := crc32.Update(crc32.ChecksumIEEE(b[4:]), crc32.IEEETable, data)
	if _, err := p.out.Write(b[:]); err != nil {
		return err
	}
	if _, err := p.out.Write(data); err != nil {
		return err
	}
	binary.BigEndian.PutUint32(b[:], sum)
	_, err := p.out.Write(b[:4])
	return err
}

// row writes one row of RGB bytes.
func (p *pngWriter) row(rgb []byte) error {
	copy(p.line[1:], rgb)
	_, err := p.z.Write(p.line)
	return err
}

// rgba writes all rows of m, which is as wide as the picture.
func (p *pngWriter) rgba(m *image.RGBA) error {
	row := make([]byte, len(p.line)-1)
	for y := range m.Bounds().Dy() {
		pix := m.Pix[y*m.Stride:]
		for x := range len(row) / 3 {
			copy(row[3*x:3*x+3], pix[4*x:])
		}
		if err := p.row(row); err != nil {
			return err
		}
	}
	return nil
}

func (p *pngWriter) close() error {
	if err := p.z.Close(); err != nil {
		return err
	}
	if err := p.idat.Flush(); err != nil {
		return err
	}
	return p.chunk("IEND", nil)
}
