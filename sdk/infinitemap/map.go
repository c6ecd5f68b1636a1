package infinitemap

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image/color"
	"io/fs"
	"math"
	"strings"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/internal/buffer"
)

// RGB is the colour of a pixel.
type RGB struct{ R, G, B uint8 }

// RGBA implements color.Color; a pixel of a map has no transparency.
func (c RGB) RGBA() (r, g, b, a uint32) {
	return uint32(c.R) * 0x101, uint32(c.G) * 0x101, uint32(c.B) * 0x101, 0xffff
}

// Model turns any colour into an RGB. What is transparent is laid over black.
var Model = color.ModelFunc(func(c color.Color) color.Color { return toRGB(c) })

func toRGB(c color.Color) RGB {
	if c, ok := c.(RGB); ok {
		return c
	}
	r, g, b, _ := c.RGBA()
	return RGB{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8)}
}

// Point is a place of the plane.
type Point struct{ X, Y int64 }

// Pixel is a place and its colour.
type Pixel struct {
	Point
	RGB
}

// MaxLevel is the highest level of ReadLevel.
const MaxLevel = rawMaxLevel

// Map is an open map.
type Map struct {
	name   string
	handle uint32
	closed bool
	buf    []byte // of SetMany and GetMany
}

// Maps returns the names of the maps that exist and that the run may open.
func Maps() ([]string, error) {
	data, code := buffer.Read(infinitemapList, pxos.CodeTooSmall, pxos.CodeInternal)
	if code != pxos.CodeOK {
		return nil, fmt.Errorf("list maps: %w", code)
	}
	names := strings.Split(string(data), "\x00")
	return names[:len(names)-1], nil // every name ends in a NUL
}

// Open opens a map for reading. It sees the last flush before it opened.
func Open(name string) (*Map, error) { return open(name, rawRead) }

// OpenWrite opens a map that exists for reading and writing. It fails with
// pxos.CodeBusy while another run writes it.
func OpenWrite(name string) (*Map, error) { return open(name, rawRead|rawWrite) }

// Create opens a map for reading and writing, and makes it when there is none. A name
// has 1 to 64 characters of a-z, 0-9, - and _ and begins with a letter or digit.
func Create(name string) (*Map, error) { return open(name, rawRead|rawWrite|rawCreate) }

func open(name string, flags uint32) (*Map, error) {
	handle, code := infinitemapOpen(name, flags)
	if code != pxos.CodeOK {
		return nil, fmt.Errorf("open map %q: %w", name, code)
	}
	return &Map{name: name, handle: handle}, nil
}

// Name returns the name that the map was opened with.
func (m *Map) Name() string { return m.name }

// done is nil for CodeOK.
func (m *Map) done(what string, code pxos.Code) error {
	if code == pxos.CodeOK {
		return nil
	}
	if m.closed {
		return fmt.Errorf("%s map %q: %w", what, m.name, fs.ErrClosed)
	}
	return fmt.Errorf("%s map %q: %w", what, m.name, code)
}

// id is the host's number of the map, and for a closed one none that is open.
func (m *Map) id() uint32 {
	if m.closed {
		return math.MaxUint32
	}
	return m.handle
}

// Close flushes and closes the map. When it fails the map is closed all the same and
// stays as the last flush left it.
func (m *Map) Close() error {
	code := infinitemapClose(m.id())
	err := m.done("close", code)
	m.closed = true
	return err
}

// At returns the colour of one pixel.
func (m *Map) At(x, y int64) (RGB, error) {
	v, code := infinitemapGet(m.id(), x, y)
	return RGB{uint8(v >> 16), uint8(v >> 8), uint8(v)}, m.done("read", code)
}

// Set changes one pixel.
func (m *Map) Set(x, y int64, c RGB) error {
	return m.done("write", infinitemapSet(m.id(), x, y, uint32(c.R)<<16|uint32(c.G)<<8|uint32(c.B)))
}

// Sizes of one element of get_many and set_many, and how many go in one call.
const (
	pointBytes = 16
	pixelBytes = 20
	batchSize  = 4096
)

// scratch returns n bytes to encode into.
func (m *Map) scratch(n int) []byte {
	if cap(m.buf) < n {
		m.buf = make([]byte, n)
	}
	return m.buf[:n]
}

// GetMany stores the colours of many pixels, anywhere, in dst, which must be as long
// as points.
func (m *Map) GetMany(dst []RGB, points []Point) error {
	if len(dst) != len(points) {
		return m.done("read", pxos.CodeInvalid)
	}
	for len(points) > 0 {
		n := min(len(points), batchSize)
		b := m.scratch(n * (pointBytes + 3))
		places, colours := b[:n*pointBytes], b[n*pointBytes:]
		for i, p := range points[:n] {
			at := places[i*pointBytes:][:pointBytes:pointBytes]
			binary.LittleEndian.PutUint64(at, uint64(p.X))
			binary.LittleEndian.PutUint64(at[8:], uint64(p.Y))
		}
		if code := infinitemapGetMany(m.id(), places, colours); code != pxos.CodeOK {
			return m.done("read", code)
		}
		for i := range dst[:n] {
			c := colours[i*3:][:3:3]
			dst[i] = RGB{c[0], c[1], c[2]}
		}
		dst, points = dst[n:], points[n:]
	}
	return nil
}

// SetMany changes many pixels, anywhere, in their order. It makes a call for each
// 4,096 of them; when one of a call is refused none of that call and of those after
// it is changed.
func (m *Map) SetMany(pixels []Pixel) error {
	for len(pixels) > 0 {
		n := min(len(pixels), batchSize)
		b := m.scratch(n * pixelBytes)
		for i, p := range pixels[:n] {
			putPixel(b[i*pixelBytes:], p.X, p.Y, p.RGB)
		}
		if code := infinitemapSetMany(m.id(), b); code != pxos.CodeOK {
			return m.done("write", code)
		}
		pixels = pixels[n:]
	}
	return nil
}

func putPixel(b []byte, x, y int64, c RGB) {
	b = b[:pixelBytes:pixelBytes]
	binary.LittleEndian.PutUint64(b, uint64(x))
	binary.LittleEndian.PutUint64(b[8:], uint64(y))
	binary.LittleEndian.PutUint32(b[16:], uint32(c.R)|uint32(c.G)<<8|uint32(c.B)<<16)
}

// region checks a rectangle and its buffer as far as the host cannot.
func region(pix []byte, width, height int) (w, h uint32, code pxos.Code) {
	if width < 0 || height < 0 || int64(width) > math.MaxUint32 || int64(height) > math.MaxUint32 ||
		int64(len(pix)) > math.MaxUint32 {
		return 0, 0, pxos.CodeInvalid
	}
	return uint32(width), uint32(height), pxos.CodeOK
}

// ReadRegion stores a rectangle in pix, three bytes a pixel, row by row: exactly
// 3 * width * height bytes.
func (m *Map) ReadRegion(pix []byte, x, y int64, width, height int) error {
	return m.ReadLevel(pix, 0, x, y, width, height)
}

// ReadLevel is ReadRegion at a smaller scale: a pixel of level k stands for 2^k by
// 2^k of the plane, as the mean of those that are not black, and x and y count
// pixels of that level. It costs as much as a region of that many pixels.
func (m *Map) ReadLevel(pix []byte, level int, x, y int64, width, height int) error {
	w, h, code := region(pix, width, height)
	if level < 0 || level > MaxLevel {
		code = pxos.CodeInvalid
	}
	if code == pxos.CodeOK {
		code = infinitemapReadRegion(m.id(), x, y, w, h, uint32(level), pix)
	}
	return m.done("read", code)
}

// WriteRegion changes a rectangle to pix, in the form of ReadRegion.
func (m *Map) WriteRegion(pix []byte, x, y int64, width, height int) error {
	w, h, code := region(pix, width, height)
	if code == pxos.CodeOK {
		code = infinitemapWriteRegion(m.id(), x, y, w, h, pix)
	}
	return m.done("write", code)
}

// WriteBytes lays bytes out as pixels, three to a pixel, row by row, in a block as
// wide as a tile, or as there are pixels when they are fewer. The rest of the last
// row becomes zeros.
func (m *Map) WriteBytes(x, y int64, data []byte) error {
	return m.done("write", infinitemapWriteBytes(m.id(), x, y, data))
}

// ReadBytes stores what WriteBytes of as many bytes wrote at that place.
func (m *Map) ReadBytes(data []byte, x, y int64) error {
	return m.done("read", infinitemapReadBytes(m.id(), x, y, data))
}

// Neighbours returns the square of pixels around a place, 2*radius+1 on a side, row
// by row, the place itself in the middle. What lies beyond the plane is black.
func (m *Map) Neighbours(x, y int64, radius int) ([]RGB, error) {
	// The largest square that one call can carry.
	const most = 18917
	if radius < 0 || radius > most {
		return nil, m.done("read", pxos.CodeInvalid)
	}
	side := 2*radius + 1
	pix := make([]byte, 3*side*side)
	if code := infinitemapNeighbours(m.id(), x, y, uint32(radius), pix); code != pxos.CodeOK {
		return nil, m.done("read", code)
	}
	out := make([]RGB, side*side)
	for i := range out {
		out[i] = RGB{pix[3*i], pix[3*i+1], pix[3*i+2]}
	}
	return out, nil
}

// Area is a rectangle by its first place and its size. A Width or Height of 0 reaches
// as far as the plane does.
type Area struct {
	X, Y          int64
	Width, Height uint64
}

// Everywhere is the whole plane.
var Everywhere = Area{X: math.MinInt64, Y: math.MinInt64}

// Tiles returns the first place of each tile that touches the area and holds a pixel
// that is not black, sorted by Y, then by X. It costs what it finds, not what the
// area covers.
func (m *Map) Tiles(a Area) ([]Point, error) {
	data, code := buffer.Read(func(p []byte) (uint32, pxos.Code) {
		return infinitemapTiles(m.id(), a.X, a.Y, a.Width, a.Height, p)
	}, pxos.CodeTooSmall, pxos.CodeInternal)
	if code != pxos.CodeOK {
		return nil, m.done("query", code)
	}
	out := make([]Point, len(data)/pointBytes)
	for i := range out {
		at := data[i*pointBytes:]
		out[i] = Point{int64(binary.LittleEndian.Uint64(at)), int64(binary.LittleEndian.Uint64(at[8:]))}
	}
	return out, nil
}

// Bounds returns the first and the last place of the smallest rectangle of whole
// tiles that holds every pixel that is not black; ok is false when there is none.
func (m *Map) Bounds() (first, last Point, ok bool, err error) {
	x0, y0, x1, y1, code := infinitemapBounds(m.id())
	if code == pxos.CodeNotFound {
		return first, last, false, nil
	}
	return Point{int64(x0), int64(y0)}, Point{int64(x1), int64(y1)}, code == pxos.CodeOK, m.done("query", code)
}

// Stats describes a map.
type Stats struct {
	TileSize   int    `json:"tile_size"`  // pixels of a side
	Tiles      uint64 `json:"tiles"`      // with a pixel that is not black, as of the last flush
	Levels     int    `json:"levels"`     // above the plane that are kept, as of the last flush
	Dirty      int    `json:"dirty"`      // changed tiles that are not flushed
	Bytes      uint64 `json:"bytes"`      // on disk
	Generation uint64 `json:"generation"` // raised by one by each flush of a change
	Writable   bool   `json:"writable"`   // whether it was opened for writing
}

// Stats returns what is known of the map.
func (m *Map) Stats() (Stats, error) {
	data, code := buffer.Read(func(p []byte) (uint32, pxos.Code) { return infinitemapStats(m.id(), p) }, pxos.CodeTooSmall, pxos.CodeInternal)
	var s Stats
	if code == pxos.CodeOK && json.Unmarshal(data, &s) != nil {
		code = pxos.CodeInternal
	}
	return s, m.done("query", code)
}

// Flush commits every change since the last flush, all of it or nothing, so that it
// survives a power cut.
func (m *Map) Flush() error { return m.done("flush", infinitemapFlush(m.id())) }

// Snapshot flushes, and keeps the map as it is now under a name, which the owner of
// the machine can restore. It fails with fs.ErrExist when the name is taken.
func (m *Map) Snapshot(name string) error {
	return m.done("snapshot", infinitemapSnapshot(m.id(), name))
}
