package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// ImageOptions choose what [View.Image] draws. The zero value draws the whole
// log.
type ImageOptions struct {
	First uint64 // first segment; 0 means 1
	Last  uint64 // last segment; 0 means the newest
}

// The measures of a picture (JOURNAL.md, "The picture"). Tiles are measured in
// cells, squares of scale × scale pixels.
const (
	imageMagic   = "PXLI"
	imageVersion = 1
	imageHeader  = 48 // bytes in row 0

	imageWidth   = 1024
	imageMargin  = 20
	tileCells    = 32   // cells across the data of a tile
	gapCells     = 2    // between tiles, both ways
	capCells     = 3    // height of the coloured cap
	flagCells    = 12   // of the cap's width: the cartridge
	wideTile     = 2048 // pixels of data from which on a tile takes a whole shelf
	maxScale     = 4
	mosaicGoal   = 620 // pixels of height up to which the scale is raised
	imageMaxRows = math.MaxInt32
)

// shelves lays tiles out from left to right on shelves: a shelf is as high as
// its highest tile.
type shelves struct {
	cols          int
	col, high, at int // next column, height of this shelf, top of this shelf; in cells
}

func newShelves(scale int) shelves {
	return shelves{cols: (imageWidth - 2*imageMargin + gapCells*scale) / ((tileCells + gapCells) * scale)}
}

// width is the number of cells across a whole shelf.
func (s *shelves) width() int { return s.cols*(tileCells+gapCells) - gapCells }

// place returns where the tile for n pixels of data goes and how many cells
// of data it has across; fresh says that it begins a new shelf.
func (s *shelves) place(n int) (x, y, across int, fresh bool) {
	across, step := tileCells, 1
	if n > wideTile {
		across, step = s.width(), s.cols
	}
	if s.col+step > s.cols {
		s.end()
	}
	fresh = s.col == 0
	x, y = s.col*(tileCells+gapCells), s.at
	s.col += step
	s.high = max(s.high, capCells+(n+across-1)/across)
	return x, y, across, fresh
}

// end closes the shelf and returns the total height so far.
func (s *shelves) end() int {
	if s.col > 0 {
		s.at += s.high + gapCells
		s.col, s.high = 0, 0
	}
	return s.at
}

// picture is what one pass over the log gathers before anything is drawn.
type picture struct {
	view        *View
	first, last uint64
	logID       [16]byte
	entries     uint64
	segments    uint64
	bytes       int64
	from, to    int64     // times of the first and the last entry
	seq         [2]uint64 // first and last
	counts      [len(kinds)]uint64
	buckets     [bucketCount][len(kinds)]uint64
	layout      [maxScale + 1]shelves
	hash        Hash
	size        int64

	scale  int
	cols   int
	mosaic int // height in pixels
}

// Image writes the log as a PNG: a title, a legend and a timeline, and below
// them one tile for each entry whose cap has the entry's colour and whose
// pixels are the entry's bytes, three to a pixel. [DecodeImage] gets
// the log back from any lossless copy of it. The same log gives the same
// picture. Only whole entries are drawn; drawing checks frames, not hashes.
//
// The picture is streamed: memory does not grow with the log. A whole log of
// several segments makes a very high picture; viewers are happier with one
// segment at a time.
func (v *View) Image(ctx context.Context, w io.Writer, opt ImageOptions) error {
	p := &picture{view: v, first: max(1, opt.First), last: v.last}
	if opt.Last != 0 {
		p.last = opt.Last
	}
	if p.last > v.last || p.first > p.last {
		return fmt.Errorf("segments %d to %d: the journal has 1 to %d", p.first, p.last, v.last)
	}
	if err := p.measure(ctx); err != nil {
		return fmt.Errorf("draw journal: %w", err)
	}
	if err := p.draw(ctx, w); err != nil {
		return fmt.Errorf("draw journal: %w", err)
	}
	return nil
}

// each hands the segment headers (with r nil) and records to f in order.
func (p *picture) each(ctx context.Context, f func(h *header, raw []byte, r *record) error) error {
	for n := p.first; n <= p.last; n++ {
		if err := p.eachOf(ctx, n, f); err != nil {
			return err
		}
	}
	return nil
}

func (p *picture) eachOf(ctx context.Context, n uint64, f func(h *header, raw []byte, r *record) error) error {
	file, end, err := p.view.open(n)
	if err != nil {
		return err
	}
	defer file.Close()
	h, err := readHeader(file, n)
	if err != nil {
		return err
	}
	if n == p.view.last {
		end = p.view.tail.end
	}
	var raw [HeaderSize]byte
	if _, err = file.ReadAt(raw[:], 0); err != nil {
		return err
	}
	if err = f(&h, raw[:], nil); err != nil {
		return err
	}
	w := walker{f: file, off: HeaderSize, end: end, block: 256 << 10}
	for seq := h.firstSeq; w.off < w.end; seq++ {
		at := w.off
		b, err := w.next()
		var r record
		if err == nil {
			r, err = decodeRecord(b)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = f(&h, b, &r)
		}
		if err != nil {
			return locate(err, n, at, seq)
		}
	}
	return nil
}

const (
	bucketWidth = 4 // pixels across one bar of the timeline
	bucketCount = (imageWidth - 2*imageMargin) / bucketWidth
)

// measure makes the first pass.
func (p *picture) measure(ctx context.Context) error {
	for s := 1; s <= maxScale; s++ {
		p.layout[s] = newShelves(s)
	}
	// The span of the timeline is known from the ends, so that one pass is
	// enough.
	r := Range{Limit: 1}
	if err := p.spanEnd(ctx, r, &p.from); err != nil {
		return err
	}
	r.Newest = true
	if err := p.spanEnd(ctx, r, &p.to); err != nil {
		return err
	}
	err := p.each(ctx, func(h *header, raw []byte, r *record) error {
		for s := 1; s <= maxScale; s++ {
			p.layout[s].place(len(raw) / 3)
		}
		p.bytes += int64(len(raw))
		p.size += int64(len(raw))
		if r == nil {
			p.logID, p.hash, p.size = h.logID, h.hash, HeaderSize
			p.segments++
			p.seq[1] = h.firstSeq - 1
			if p.segments == 1 {
				p.seq[0] = h.firstSeq
			}
			return nil
		}
		p.entries++
		p.seq[1], p.hash = r.seq, r.hash
		kind := kindOf(r.tint)
		p.counts[kind]++
		p.buckets[p.bucket(r.time)][kind]++
		return nil
	})
	if err != nil {
		return err
	}
	for p.scale = maxScale; ; p.scale-- {
		l := &p.layout[p.scale]
		p.cols, p.mosaic = l.cols, l.end()*p.scale
		if p.scale == 1 || p.mosaic <= mosaicGoal {
			break
		}
	}
	if p.mosaic > imageMaxRows-1000 {
		return errors.New("the log is too long for one picture: draw fewer segments at once")
	}
	return nil
}

// spanEnd finds the time of the first or last entry in the chosen segments.
func (p *picture) spanEnd(ctx context.Context, r Range, at *int64) error {
	part := *p.view
	if r.Newest && p.last != part.last {
		f, size, err := part.open(p.last)
		if err != nil {
			return err
		}
		defer f.Close()
		part.last, part.tail.end = p.last, size
	}
	if !r.Newest && p.first > 1 {
		f, _, err := part.open(p.first)
		if err != nil {
			return err
		}
		defer f.Close()
		h, err := readHeader(f, p.first)
		if err != nil {
			return err
		}
		r.After = h.firstSeq - 1
	}
	for e, err := range part.Read(ctx, r) {
		if err != nil {
			return err
		}
		*at = e.Time.UnixNano()
	}
	return nil
}

func (p *picture) bucket(t int64) int {
	if span := p.to - p.from; span > 0 && t >= p.from {
		return min(bucketCount-1, int(float64(t-p.from)/float64(span)*bucketCount))
	}
	return 0
}

// header is the machine-readable part of the picture, in its first row.
func (p *picture) header(top int) []byte {
	b := make([]byte, imageHeader)
	copy(b, imageMagic)
	b[4], b[5], b[6], b[7] = imageVersion, byte(p.scale), tileCells, gapCells
	b[8], b[9] = capCells, byte(p.cols)
	binary.BigEndian.PutUint16(b[10:], imageMargin)
	binary.BigEndian.PutUint32(b[12:], uint32(top))
	binary.BigEndian.PutUint64(b[16:], p.entries)
	binary.BigEndian.PutUint64(b[24:], p.segments)
	binary.BigEndian.PutUint64(b[32:], p.first)
	binary.BigEndian.PutUint64(b[40:], uint64(p.bytes))
	return b
}

// draw makes the second pass, row by row.
func (p *picture) draw(ctx context.Context, out io.Writer) error {
	head := p.panel()
	foot := p.footer()
	top := head.Bounds().Dy()
	w, err := newPNG(out, imageWidth, top+p.mosaic+foot.Bounds().Dy())
	if err != nil {
		return err
	}
	copy3(head.Pix, p.header(top))
	if err = w.rgba(head); err != nil {
		return err
	}
	c := &canvas{png: w, scale: p.scale, layout: newShelves(p.scale), flags: map[uint64][3][3]byte{}}
	err = p.each(ctx, func(_ *header, raw []byte, r *record) error { return c.tile(raw, r) })
	if err == nil {
		err = c.flush()
	}
	if err == nil {
		err = w.rgba(foot)
	}
	if err != nil {
		return err
	}
	return w.close()
}

// copy3 puts bytes into the colour channels of RGBA pixels, three to a pixel.
func copy3(rgba, b []byte) {
	for i, v := range b {
		rgba[i/3*4+i%3] = v
	}
}

var (
	inkBack  = [3]byte{0x0C, 0x11, 0x1F} // night
	inkTile  = [3]byte{0x18, 0x20, 0x34} // unused cells of a tile
	inkText  = [3]byte{0xE8, 0xEC, 0xF4}
	inkFaint = [3]byte{0x8A, 0x96, 0xB0}
	inkLine  = [3]byte{0x2A, 0x35, 0x50}
	inkOther = [3]byte{0xB4, 0xBE, 0xD2} // entries of other types, in legend and timeline
	inkSeg   = [3]byte{0xFF, 0xFF, 0xFF} // cap of a segment header
)

// canvas draws one shelf at a time.
type canvas struct {
	png    *pngWriter
	scale  int
	layout shelves
	rows   []byte // of this shelf, in cells: imageWidth/scale × height × 3
	high   int
	flags  map[uint64][3][3]byte // of runs that have not ended
}

// maxFlags bounds the runs whose cartridge is remembered for their end.
const maxFlags = 1 << 16

func (c *canvas) tile(raw []byte, r *record) error {
	n := len(raw) / 3
	before := c.layout
	x, _, across, fresh := c.layout.place(n)
	if fresh && before.col > 0 {
		if err := c.flush(); err != nil {
			return err
		}
	}
	line := imageWidth / c.scale * 3 // bytes of one row of cells
	for ; c.high < c.layout.high; c.high++ {
		for range line / 3 {
			c.rows = append(c.rows, inkBack[:]...)
		}
	}
	put := func(cx, cy int, ink []byte) { copy(c.rows[cy*line+3*cx:], ink[:3]) }
	tint, flag, flagged := inkSeg, [3][3]byte{}, false
	if r != nil {
		tint = r.tint
		flag, flagged = c.flag(r)
	}
	for y := range capCells {
		for i := range across {
			ink := tint
			if part := i - (across - flagCells); flagged && part >= 0 {
				ink = flag[part/(flagCells/3)]
			}
			put(x+i, y, ink[:])
		}
	}
	for y := capCells; len(raw) > 0; y++ {
		raw = raw[copy(c.rows[y*line+3*x:][:3*across], raw):]
	}
	for i := n; i%across != 0; i++ {
		put(x+i%across, capCells+i/across, inkTile[:])
	}
	return nil
}

// flush writes the shelf as pixels, with the margins and the gap below.
func (c *canvas) flush() error {
	if c.high == 0 {
		return nil
	}
	line := imageWidth / c.scale * 3
	row := make([]byte, 3*imageWidth)
	for i := range imageWidth {
		copy(row[3*i:], inkBack[:])
	}
	body := row[3*imageMargin:][:3*c.layout.width()*c.scale]
	for y := range c.high + gapCells {
		switch {
		case y == c.high:
			for i := range len(body) / 3 {
				copy(body[3*i:], inkBack[:])
			}
		case y < c.high && c.scale == 1:
			copy(body, c.rows[y*line:])
		case y < c.high:
			for i := range c.layout.width() {
				for k := range c.scale {
					copy(body[3*(i*c.scale+k):], c.rows[y*line+3*i:][:3])
				}
			}
		}
		for range c.scale {
			if err := c.png.row(row); err != nil {
				return err
			}
		}
	}
	c.rows, c.high = c.rows[:0], 0
	return nil
}

// flag gives the three colours of the cartridge that an entry is about, made
// from its digest: the same cartridge, the same colours.
func (c *canvas) flag(r *record) (flag [3][3]byte, ok bool) {
	switch string(r.typ) {
	case TypeEnd:
		if id, err := endOf(Entry{Seq: r.seq, Body: r.body}); err == nil {
			flag, ok = c.flags[id]
			delete(c.flags, id)
		}
	case TypeBegin:
		digest := leading(r.body, "cartridge")
		if digest == nil {
			break
		}
		flag, ok = flagOf(digest), true
		if len(c.flags) < maxFlags {
			c.flags[r.seq] = flag
		}
	}
	return flag, ok
}

func utc(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05") }
