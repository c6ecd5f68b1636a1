//go:build !wasip1

package pxostest

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/pxos/pxos/sdk/internal/hostapi"
)

// infinitemap implements the family infinitemap.
type infinitemap struct{ *fake }

var _ hostapi.InfinitemapHost = infinitemap{}

// mapHandle is an open map and where it may be read and written.
type mapHandle struct {
	plane        *plane
	write        bool
	read, change []area
}

func validMap(name string) bool {
	switch name {
	case "con", "prn", "aux", "nul":
		return false
	}
	if len(name) == 4 && (name[:3] == "com" || name[:3] == "lpt") && name[3] >= '0' && name[3] <= '9' {
		return false
	}
	return name != "" && len(name) <= 64 && name[0] != '-' && name[0] != '_' && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// areas returns what was granted of a map.
func (m infinitemap) areas(name string) (read, change []area) {
	for _, c := range m.caps {
		a, valid := parseArea(c.Area)
		if c.Kind != "infinitemap" || !valid || c.Name != "*" && c.Name != name {
			continue
		}
		read = append(read, a)
		if c.Mode == "write" {
			change = append(change, a)
		}
	}
	return read, change
}

func may(granted []area, want area) bool {
	for _, a := range granted {
		if a.contains(want) {
			return true
		}
	}
	return false
}

func (m infinitemap) List(dst []byte) (uint32, int32) {
	if !holds(m.caps, "infinitemap") {
		return 0, denied
	}
	var sb strings.Builder
	for _, name := range m.storage.Maps() {
		if read, _ := m.areas(name); len(read) > 0 {
			sb.WriteString(name)
			sb.WriteByte(0)
		}
	}
	return put(dst, []byte(sb.String()))
}

func (m infinitemap) Open(name string, flags uint32) (uint32, int32) {
	const read, write, create = 1, 2, 4
	if !holds(m.caps, "infinitemap") {
		return 0, denied
	}
	if !utf8.ValidString(name) || flags > read|write|create || flags&(read|write) == 0 || flags&create != 0 && flags&write == 0 || !validMap(name) {
		return 0, invalid
	}
	h := &mapHandle{write: flags&write != 0}
	if h.read, h.change = m.areas(name); len(h.read) == 0 || h.write && len(h.change) == 0 {
		return 0, denied
	}
	if h.plane = m.storage.maps[name]; h.plane == nil {
		if flags&create == 0 {
			return 0, notFound
		}
		h.plane = newPlane()
		m.storage.maps[name] = h.plane
	}
	m.nextHandle++
	m.open[m.nextHandle] = h
	return m.nextHandle, ok
}

func (m infinitemap) handle(id uint32) (*mapHandle, int32) {
	switch h := m.open[id]; {
	case !holds(m.caps, "infinitemap"):
		return nil, denied
	case h == nil:
		return nil, badHandle
	default:
		return h, ok
	}
}

// writer is handle for a change.
func (m infinitemap) writer(id uint32) (*mapHandle, int32) {
	h, code := m.handle(id)
	if code == ok && !h.write {
		return nil, badHandle
	}
	return h, code
}

func (m infinitemap) Close(id uint32) int32 {
	h, code := m.handle(id)
	if code == ok {
		if h.write {
			h.plane.flush()
		}
		delete(m.open, id)
	}
	return code
}

func (m infinitemap) Get(id uint32, x, y int64) (uint32, int32) {
	h, code := m.handle(id)
	switch {
	case code != ok:
		return 0, code
	case !may(h.read, area{x, y, x, y}):
		return 0, denied
	}
	return h.plane.get(x, y), ok
}

func (m infinitemap) Set(id uint32, x, y int64, rgb uint32) int32 {
	h, code := m.writer(id)
	switch {
	case code != ok:
		return code
	case rgb > 0xffffff:
		return invalid
	case !may(h.change, area{x, y, x, y}):
		return denied
	}
	h.plane.set(x, y, rgb)
	return ok
}

func place(b []byte) (x, y int64) {
	return int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:]))
}

// spread checks the rectangle around all places that lie in data, size bytes apart.
func spread(granted []area, data []byte, size int) bool {
	if len(data) == 0 {
		return true
	}
	box := area{math.MaxInt64, math.MaxInt64, math.MinInt64, math.MinInt64}
	for ; len(data) > 0; data = data[size:] {
		x, y := place(data)
		box = area{min(box.x0, x), min(box.y0, y), max(box.x1, x), max(box.y1, y)}
	}
	return may(granted, box)
}

func store(dst []byte, rgb uint32) { dst[0], dst[1], dst[2] = byte(rgb>>16), byte(rgb>>8), byte(rgb) }

func load(src []byte) uint32 { return uint32(src[0])<<16 | uint32(src[1])<<8 | uint32(src[2]) }

func (m infinitemap) GetMany(id uint32, points, colours []byte) int32 {
	h, code := m.handle(id)
	switch {
	case code != ok:
		return code
	case len(points)%16 != 0 || len(colours)%3 != 0 || len(points)/16 != len(colours)/3:
		return invalid
	case !spread(h.read, points, 16):
		return denied
	}
	for ; len(points) > 0; points, colours = points[16:], colours[3:] {
		store(colours, h.plane.get(place(points)))
	}
	return ok
}

func (m infinitemap) SetMany(id uint32, pixels []byte) int32 {
	h, code := m.writer(id)
	switch {
	case code != ok:
		return code
	case len(pixels)%20 != 0:
		return invalid
	}
	for i := 19; i < len(pixels); i += 20 {
		if pixels[i] != 0 {
			return invalid
		}
	}
	if !spread(h.change, pixels, 20) {
		return denied
	}
	for ; len(pixels) > 0; pixels = pixels[20:] {
		x, y := place(pixels)
		h.plane.set(x, y, load(pixels[16:]))
	}
	return ok
}

// region checks a rectangle of pixels of a level and its buffer, and returns what it
// covers of the plane. none is one without pixels.
func region(x, y int64, w, h, level uint32, buffer int) (a area, none bool, code int32) {
	if w == 0 || h == 0 {
		if buffer != 0 {
			return a, true, invalid
		}
		return a, true, ok
	}
	a, fits := newArea(x, y, uint64(w), uint64(h))
	low, high := int64(math.MinInt64)>>level, int64(math.MaxInt64)>>level
	if !fits || level > 63 || uint64(w)*uint64(h) > math.MaxUint32/3 || 3*int(w)*int(h) != buffer ||
		a.x0 < low || a.y0 < low || a.x1 > high || a.y1 > high {
		return a, false, invalid
	}
	last := int64(1)<<level - 1
	return area{a.x0 << level, a.y0 << level, a.x1<<level | last, a.y1<<level | last}, false, ok
}

func (m infinitemap) ReadRegion(id uint32, x, y int64, width, height, level uint32, pixels []byte) int32 {
	h, code := m.handle(id)
	if code != ok {
		return code
	}
	if level > 63 {
		return invalid
	}
	a, none, code := region(x, y, width, height, level, len(pixels))
	switch {
	case code != ok || none:
		return code
	case !may(h.read, a):
		return denied
	}
	get := h.plane.get
	if level > 0 {
		pix := h.plane.level(level)
		get = func(x, y int64) uint32 { return pix[spot{x, y}] }
	}
	for row := range int64(height) {
		for column := range int64(width) {
			store(pixels[3*(row*int64(width)+column):], get(x+column, y+row))
		}
	}
	return ok
}

func (p *plane) writeRows(x, y int64, width int, pixels []byte) {
	for i := 0; i < len(pixels)/3; i++ {
		p.set(x+int64(i%width), y+int64(i/width), load(pixels[3*i:]))
	}
}

func (m infinitemap) WriteRegion(id uint32, x, y int64, width, height uint32, pixels []byte) int32 {
	h, code := m.writer(id)
	if code != ok {
		return code
	}
	a, none, code := region(x, y, width, height, 0, len(pixels))
	switch {
	case code != ok || none:
		return code
	case !may(h.change, a):
		return denied
	}
	h.plane.writeRows(x, y, int(width), pixels)
	return ok
}

// block is where bytes are laid out: as wide as a tile, or as there are pixels.
func block(x, y int64, bytes int) (a area, width int, fits bool) {
	pixels := (bytes + 2) / 3
	width = min(tileSize, pixels)
	a, fits = newArea(x, y, uint64(width), uint64((pixels+width-1)/width))
	return a, width, fits
}

func (m infinitemap) ReadBytes(id uint32, x, y int64, data []byte) int32 {
	h, code := m.handle(id)
	if code != ok || len(data) == 0 {
		return code
	}
	a, width, fits := block(x, y, len(data))
	switch {
	case !fits:
		return invalid
	case !may(h.read, a):
		return denied
	}
	for i := 0; i < len(data); i += 3 {
		var p [3]byte
		store(p[:], h.plane.get(x+int64(i/3%width), y+int64(i/3/width)))
		copy(data[i:], p[:])
	}
	return ok
}

func (m infinitemap) WriteBytes(id uint32, x, y int64, data []byte) int32 {
	h, code := m.writer(id)
	if code != ok || len(data) == 0 {
		return code
	}
	a, width, fits := block(x, y, len(data))
	switch {
	case !fits:
		return invalid
	case !may(h.change, a):
		return denied
	}
	rows := make([]byte, 3*width*((len(data)+3*width-1)/(3*width)))
	copy(rows, data)
	h.plane.writeRows(x, y, width, rows)
	return ok
}

func (m infinitemap) Neighbours(id uint32, x, y int64, radius uint32, pixels []byte) int32 {
	h, code := m.handle(id)
	r := int64(radius)
	side := 2*r + 1
	switch {
	case code != ok:
		return code
	case radius > 18917 || 3*side*side != int64(len(pixels)):
		return invalid
	}
	a := area{x, y, x, y}
	for range r {
		a = area{max(a.x0, math.MinInt64+1) - 1, max(a.y0, math.MinInt64+1) - 1, min(a.x1, math.MaxInt64-1) + 1, min(a.y1, math.MaxInt64-1) + 1}
	}
	if !may(h.read, a) {
		return denied
	}
	for dy := -r; dy <= r; dy++ {
		for dx := -r; dx <= r; dx++ {
			rgb := uint32(0)
			// What overflows lies on the other side of the plane, outside of a.
			if px, py := x+dx, y+dy; (px >= x) == (dx >= 0) && (py >= y) == (dy >= 0) {
				rgb = h.plane.get(px, py)
			}
			store(pixels[3*((dy+r)*side+dx+r):], rgb)
		}
	}
	return ok
}

func (m infinitemap) Tiles(id uint32, x, y int64, width, height uint64, dst []byte) (uint32, int32) {
	h, code := m.handle(id)
	if code != ok {
		return 0, code
	}
	a := area{x, y, math.MaxInt64, math.MaxInt64}
	for _, side := range []struct {
		from int64
		n    uint64
		to   *int64
	}{{x, width, &a.x1}, {y, height, &a.y1}} {
		if side.n == 0 {
			continue
		}
		to, fits := reach(side.from, side.n)
		if !fits {
			return 0, invalid
		}
		*side.to = to
	}
	if !may(h.read, a) {
		return 0, denied
	}
	var out []byte
	for _, t := range h.plane.present() {
		if t.x >= a.x0>>8 && t.x <= a.x1>>8 && t.y >= a.y0>>8 && t.y <= a.y1>>8 {
			out = binary.LittleEndian.AppendUint64(out, uint64(t.x<<8))
			out = binary.LittleEndian.AppendUint64(out, uint64(t.y<<8))
		}
	}
	return put(dst, out)
}

func (m infinitemap) Bounds(id uint32) (minX, minY, maxX, maxY uint64, code int32) {
	h, code := m.handle(id)
	switch {
	case code != ok:
		return 0, 0, 0, 0, code
	case !may(h.read, everywhere):
		return 0, 0, 0, 0, denied
	}
	tiles := h.plane.present()
	if len(tiles) == 0 {
		return 0, 0, 0, 0, notFound
	}
	b := area{math.MaxInt64, math.MaxInt64, math.MinInt64, math.MinInt64}
	for _, t := range tiles {
		b = area{min(b.x0, t.x<<8), min(b.y0, t.y<<8), max(b.x1, t.x<<8|255), max(b.y1, t.y<<8|255)}
	}
	return uint64(b.x0), uint64(b.y0), uint64(b.x1), uint64(b.y1), ok
}

func (m infinitemap) Stats(id uint32, dst []byte) (uint32, int32) {
	h, code := m.handle(id)
	switch {
	case code != ok:
		return 0, code
	case !may(h.read, everywhere):
		return 0, denied
	}
	p := h.plane
	data, err := json.Marshal(struct {
		TileSize   int  `json:"tile_size"`
		Tiles      int  `json:"tiles"`
		Levels     int  `json:"levels"`
		Dirty      int  `json:"dirty"`
		Bytes      int  `json:"bytes"`
		Generation int  `json:"generation"`
		Writable   bool `json:"writable"`
	}{tileSize, p.kept, p.heights, len(p.dirty), 0, 1 + p.flushes, h.write})
	if err != nil {
		panic(err) // numbers only: cannot happen
	}
	return put(dst, data)
}

func (m infinitemap) Flush(id uint32) int32 {
	h, code := m.writer(id)
	if code == ok {
		h.plane.flush()
	}
	return code
}

func (m infinitemap) Snapshot(id uint32, name string) int32 {
	h, code := m.writer(id)
	switch {
	case code != ok:
		return code
	case !validMap(name):
		return invalid
	case !may(h.change, everywhere):
		return denied
	case h.plane.snapshots[name]:
		return exists
	}
	h.plane.flush()
	h.plane.snapshots[name] = true
	return ok
}

// end closes what the run left open.
func (m infinitemap) end() {
	for id := range m.open {
		m.Close(id)
	}
}
