package pxa

import (
	"io"
	"sync"
)

// general reads archive bytes of a picture in any encoding by decoding it
// from the top. It keeps the first Limits.Memory bytes; behind them, reading
// backwards decodes again.
type general struct {
	ra    io.ReaderAt
	h     ihdr
	g     geometry
	lim   Limits
	extra []string // chunk types without meaning for the cartridge

	mu   sync.Mutex
	d    *pixels
	kept []byte // the archive bytes from 0 on
	row  []byte // the row that d delivered last
	at   int64  // archive offset of row
}

func newGeneral(ra io.ReaderAt, size int64, h ihdr, g geometry, lim Limits) (*general, error) {
	extra, err := walkChunks(ra, size, lim)
	if err != nil {
		return nil, err
	}
	// Deflate never expands more than 1032 times, which exposes invented
	// dimensions before anything is decoded.
	if raw := h.rawSize(); raw/1032 > size {
		return nil, formatErr("PXA-P7", 16, "%d × %d pixels cannot come from a file of %d bytes", h.width, h.height, size)
	}
	return &general{ra: ra, h: h, g: g, lim: lim, extra: extra}, nil
}

// readAt copies archive bytes, which must lie inside the picture.
func (s *general) readAt(p []byte, off int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(p) > 0 {
		switch {
		case off < int64(len(s.kept)):
			n := copy(p, s.kept[off:])
			p, off = p[n:], off+int64(n)
		case s.d != nil && off >= s.at && off < s.at+int64(len(s.row)):
			n := copy(p, s.row[off-s.at:])
			p, off = p[n:], off+int64(n)
		default:
			if s.d == nil || off < s.at {
				if err := s.restart(); err != nil {
					return err
				}
			}
			if err := s.advance(); err != nil {
				s.d = nil
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
		}
	}
	return nil
}

// restart puts the decoder behind the cover.
func (s *general) restart() (err error) {
	if s.d, err = newPixels(s.ra, s.h, s.lim); err != nil {
		return err
	}
	for range s.g.coverRows {
		if _, err := s.d.next(); err != nil {
			s.d = nil
			return err
		}
	}
	s.row, s.at = nil, 0
	return nil
}

// advance decodes one more row.
func (s *general) advance() error {
	s.at += int64(len(s.row))
	row, err := s.d.next()
	if err != nil {
		return err
	}
	s.row = row
	if s.at == int64(len(s.kept)) && s.at+int64(len(row)) <= s.lim.Memory {
		s.kept = append(s.kept, row...)
	}
	return nil
}
