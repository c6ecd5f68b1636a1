package storage

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/infinitemap"
)

// scratch is the memory that calls convert in, kept from call to call.
type scratch struct {
	points  []infinitemap.Point
	colours []infinitemap.RGB
	pixels  []infinitemap.Pixel
}

// batch is how many single pixels are moved before the next look at the deadline.
const batch = 4096

// may reports whether one of areas holds all of want.
func may(areas []abi.Area, want abi.Area) bool {
	return slices.ContainsFunc(areas, func(a abi.Area) bool { return a.Contains(want) })
}

// reads checks a call that reads within an area.
func (h *mapHandle) reads(want abi.Area) error {
	if !may(h.areas, want) {
		return abi.CodeDenied
	}
	return nil
}

// writes checks a call that changes something within an area.
func (h *mapHandle) writes(want abi.Area) error {
	if !may(h.change, want) {
		return abi.CodeDenied
	}
	return nil
}

func pixelAt(c *engine.Call) (x, y int64, at abi.Area) {
	x, y = int64(c.U64(1)), int64(c.U64(2))
	return x, y, abi.Area{MinX: x, MinY: y, MaxX: x, MaxY: y}
}

func mapGet(h *mapHandle, _ *Session, c *engine.Call) error {
	x, y, at := pixelAt(c)
	if err := h.reads(at); err != nil {
		return err
	}
	p, err := h.m.At(x, y)
	if err != nil {
		return err
	}
	c.SetU32(3, uint32(p.R)<<16|uint32(p.G)<<8|uint32(p.B))
	return nil
}

func mapSet(h *mapHandle, _ *Session, c *engine.Call) error {
	x, y, at := pixelAt(c)
	rgb := c.U32(3)
	switch {
	case !h.write:
		return abi.CodeBadHandle
	case rgb > 0xffffff:
		return abi.CodeInvalid
	}
	if err := h.writes(at); err != nil {
		return err
	}
	return h.m.Set(x, y, infinitemap.RGB{R: uint8(rgb >> 16), G: uint8(rgb >> 8), B: uint8(rgb)})
}

// Sizes of one element of get_many and set_many.
const (
	pointBytes  = 16
	colourBytes = 3
	pixelBytes  = 20
)

// spread checks that one of areas holds all the places that lie in data, size bytes
// apart.
func spread(c *engine.Call, areas []abi.Area, data []byte, size int) error {
	if slices.Contains(areas, abi.WholePlane) || len(data) == 0 {
		return nil
	}
	x, y := place(data)
	box := abi.Area{MinX: x, MinY: y, MaxX: x, MaxY: y}
	for i := 0; len(data) > 0; i++ {
		x, y := place(data)
		box.MinX, box.MaxX = min(box.MinX, x), max(box.MaxX, x)
		box.MinY, box.MaxY = min(box.MinY, y), max(box.MaxY, y)
		if data = data[size:]; i%(16*batch) == 0 {
			c.Run.Charge(0)
		}
	}
	if !may(areas, box) {
		return abi.CodeDenied
	}
	return nil
}

func place(b []byte) (x, y int64) {
	return int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:]))
}

func mapGetMany(h *mapHandle, s *Session, c *engine.Call) error {
	points, colours := c.Bytes(1), c.Bytes(2)
	if len(points)%pointBytes != 0 || len(colours)%colourBytes != 0 || len(points)/pointBytes != len(colours)/colourBytes {
		return abi.CodeInvalid
	}
	if err := spread(c, h.areas, points, pointBytes); err != nil {
		return err
	}
	if s.scratch.points == nil {
		s.scratch.points, s.scratch.colours = make([]infinitemap.Point, batch), make([]infinitemap.RGB, batch)
	}
	for len(points) > 0 {
		n := min(len(points)/pointBytes, batch)
		at, out := s.scratch.points[:n], s.scratch.colours[:n]
		for i := range at {
			at[i].X, at[i].Y = place(points[i*pointBytes:])
		}
		if err := h.m.GetMany(out, at); err != nil {
			return err
		}
		for i, p := range out {
			to := colours[i*colourBytes:][:colourBytes:colourBytes]
			to[0], to[1], to[2] = p.R, p.G, p.B
		}
		points, colours = points[n*pointBytes:], colours[n*colourBytes:]
		c.Run.Charge(0)
	}
	return nil
}

func mapSetMany(h *mapHandle, s *Session, c *engine.Call) error {
	data := c.Bytes(1)
	if !h.write {
		return abi.CodeBadHandle
	}
	if len(data)%pixelBytes != 0 {
		return abi.CodeInvalid
	}
	for i := pixelBytes - 1; i < len(data); i += pixelBytes {
		if data[i] != 0 {
			return abi.CodeInvalid
		}
		if i%(16*batch*pixelBytes) == 0 {
			c.Run.Charge(0)
		}
	}
	if err := spread(c, h.change, data, pixelBytes); err != nil {
		return err
	}
	if s.scratch.pixels == nil {
		s.scratch.pixels = make([]infinitemap.Pixel, batch)
	}
	for len(data) > 0 {
		n := min(len(data)/pixelBytes, batch)
		out := s.scratch.pixels[:n]
		for i := range out {
			b := data[i*pixelBytes:][:pixelBytes:pixelBytes]
			out[i].X, out[i].Y = place(b)
			out[i].RGB = infinitemap.RGB{R: b[16], G: b[17], B: b[18]}
		}
		if _, err := h.m.SetMany(out); err != nil {
			return err
		}
		data = data[n*pixelBytes:]
		c.Run.Charge(0)
	}
	return nil
}

// region is a rectangle of a call in pixels of a level, and its buffer's.
type region struct {
	x, y  int64
	w, h  int
	level uint
	area  abi.Area // in the plane
}

// newRegion checks a rectangle against the plane and the exact size of its buffer. empty
// is one without pixels.
func newRegion(x, y int64, w, h uint32, level uint, buffer int) (r region, empty bool, err error) {
	if w == 0 || h == 0 {
		if buffer != 0 {
			return r, true, abi.CodeInvalid
		}
		return r, true, nil
	}
	// w*h fits 64 bits; a buffer has less than 2^32 bytes.
	if n := uint64(w) * uint64(h); n > math.MaxUint32/3 || 3*n != uint64(buffer) {
		return r, false, abi.CodeInvalid
	}
	a, ok := abi.NewArea(x, y, uint64(w), uint64(h))
	if !ok {
		return r, false, abi.CodeInvalid
	}
	if level > 0 {
		low, high := int64(math.MinInt64)>>level, int64(math.MaxInt64)>>level
		if a.MinX < low || a.MinY < low || a.MaxX > high || a.MaxY > high {
			return r, false, abi.CodeInvalid
		}
		last := int64(1)<<level - 1
		a = abi.Area{MinX: a.MinX << level, MinY: a.MinY << level, MaxX: a.MaxX<<level | last, MaxY: a.MaxY<<level | last}
	}
	return region{x, y, int(w), int(h), level, a}, false, nil
}

// rows is how many rows of a region are moved before the next look at the deadline.
func (r region) rows() int { return max(1, piece/(3*r.w)) }

func mapReadRegion(h *mapHandle, _ *Session, c *engine.Call) error {
	level, dst := c.U32(5), c.Bytes(6)
	if level > 63 {
		return abi.CodeInvalid
	}
	r, empty, err := newRegion(int64(c.U64(1)), int64(c.U64(2)), c.U32(3), c.U32(4), uint(level), len(dst))
	if err != nil || empty {
		return err
	}
	if err := h.reads(r.area); err != nil {
		return err
	}
	if level > 0 {
		return h.readLevel(c, dst, r)
	}
	return h.readRows(c, dst, 3*r.w, r)
}

// readRows reads a region of the plane itself, rows stride bytes apart.
func (h *mapHandle) readRows(c *engine.Call, dst []byte, stride int, r region) error {
	for done := 0; done < r.h; {
		n := min(r.rows(), r.h-done)
		if err := h.m.ReadRegion(dst[done*stride:], stride, r.x, r.y+int64(done), r.w, n); err != nil {
			return err
		}
		done += n
		c.Run.Charge(0)
	}
	return nil
}

// writeRows writes a region of the plane.
func (h *mapHandle) writeRows(c *engine.Call, src []byte, r region) error {
	for done := 0; done < r.h; {
		n := min(r.rows(), r.h-done)
		if err := h.m.WriteRegion(src[done*3*r.w:], 3*r.w, r.x, r.y+int64(done), r.w, n); err != nil {
			return err
		}
		done += n
		c.Run.Charge(0)
	}
	return nil
}

// readLevel reads a region of a level above the plane, tile by tile.
func (h *mapHandle) readLevel(c *engine.Call, dst []byte, r region) error {
	size := int64(h.m.TileSize())
	top := uint(h.m.MaxLevel())
	if r.level > top {
		return h.readSummit(dst, r, top)
	}
	for ty := floorDiv(r.y, size); ty <= floorDiv(r.y+int64(r.h)-1, size); ty++ {
		for tx := floorDiv(r.x, size); tx <= floorDiv(r.x+int64(r.w)-1, size); tx++ {
			tile, _, err := h.m.Tile(int(r.level), tx, ty)
			if err != nil {
				return err
			}
			x0, x1 := max(r.x, tx*size), min(r.x+int64(r.w), (tx+1)*size)
			for y := max(r.y, ty*size); y < min(r.y+int64(r.h), (ty+1)*size); y++ {
				from := 3 * ((y-ty*size)*size + x0 - tx*size)
				to := 3 * ((y-r.y)*int64(r.w) + x0 - r.x)
				copy(dst[to:to+3*(x1-x0)], tile[from:])
			}
			c.Run.Charge(0)
		}
	}
	return nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// readSummit reads a region of a level above the highest that has tiles of its own. There
// four tiles are the whole plane, so that the levels beyond are small pictures.
func (h *mapHandle) readSummit(dst []byte, r region, top uint) error {
	size := h.m.TileSize()
	side := 2 * size
	picture := make([]byte, 3*side*side)
	for q := range 4 {
		tile, _, err := h.m.Tile(int(top), int64(q&1)-1, int64(q>>1)-1)
		if err != nil {
			return err
		}
		for y := range size {
			copy(picture[3*((y+q>>1*size)*side+q&1*size):], tile[3*y*size:3*(y+1)*size])
		}
	}
	for level := top; level < r.level; level++ {
		picture = halve(picture, side)
		side /= 2
	}
	for y := range r.h {
		from := 3 * ((int(r.y)+y+side/2)*side + int(r.x) + side/2)
		copy(dst[3*y*r.w:3*(y+1)*r.w], picture[from:])
	}
	return nil
}

// halve draws a square picture at half its size by the rule of the levels: each pixel is
// the mean of those of its four that are not black.
func halve(src []byte, side int) []byte {
	half := side / 2
	out := make([]byte, 3*half*half)
	for y := range half {
		for x := range half {
			var sum [3]uint32
			n := uint32(0)
			for q := range 4 {
				p := src[3*((2*y+q>>1)*side+2*x+q&1):][:3]
				if p[0]|p[1]|p[2] != 0 {
					n++
					for i := range sum {
						sum[i] += uint32(p[i])
					}
				}
			}
			if n > 0 {
				to := out[3*(y*half+x):]
				to[0], to[1], to[2] = mean(sum, n)
			}
		}
	}
	return out
}

// mean is the pixel that stands for n pixels that are not black, given the sum of each
// channel: the nearest value, halves up, and never black.
func mean(sum [3]uint32, n uint32) (r, g, b byte) {
	var m [3]uint32
	for i := range m {
		m[i] = (sum[i] + n/2) / n
	}
	if m == [3]uint32{} {
		most := 0
		for i := range sum {
			if sum[i] > sum[most] {
				most = i
			}
		}
		m[most] = 1
	}
	return byte(m[0]), byte(m[1]), byte(m[2])
}

func mapWriteRegion(h *mapHandle, _ *Session, c *engine.Call) error {
	if !h.write {
		return abi.CodeBadHandle
	}
	src := c.Bytes(5)
	r, empty, err := newRegion(int64(c.U64(1)), int64(c.U64(2)), c.U32(3), c.U32(4), 0, len(src))
	if err != nil || empty {
		return err
	}
	if err := h.writes(r.area); err != nil {
		return err
	}
	return h.writeRows(c, src, r)
}

// block is the region that bytes are laid out in: as wide as a tile, or as there are
// pixels when they are fewer.
func (h *mapHandle) block(c *engine.Call, n int) (r region, err error) {
	pixels := (uint64(n) + 2) / 3
	w := min(uint64(h.m.TileSize()), pixels)
	rows := (pixels + w - 1) / w
	x, y := int64(c.U64(1)), int64(c.U64(2))
	a, ok := abi.NewArea(x, y, w, rows)
	if !ok {
		return r, abi.CodeInvalid
	}
	return region{x: x, y: y, w: int(w), h: int(rows), area: a}, nil
}

func mapReadBytes(h *mapHandle, _ *Session, c *engine.Call) error {
	dst := c.Bytes(3)
	if len(dst) == 0 {
		return nil
	}
	r, err := h.block(c, len(dst))
	if err != nil {
		return err
	}
	if err := h.reads(r.area); err != nil {
		return err
	}
	full := len(dst) / (3 * r.w)
	whole := r
	whole.h = full
	if err := h.readRows(c, dst, 3*r.w, whole); err != nil || full == r.h {
		return err
	}
	row := make([]byte, 3*r.w)
	if err := h.m.ReadRegion(row, 3*r.w, r.x, r.y+int64(full), r.w, 1); err != nil {
		return err
	}
	copy(dst[3*r.w*full:], row)
	return nil
}

func mapWriteBytes(h *mapHandle, _ *Session, c *engine.Call) error {
	if !h.write {
		return abi.CodeBadHandle
	}
	data := c.Bytes(3)
	if len(data) == 0 {
		return nil
	}
	r, err := h.block(c, len(data))
	if err != nil {
		return err
	}
	if err := h.writes(r.area); err != nil {
		return err
	}
	full := len(data) / (3 * r.w)
	whole := r
	whole.h = full
	if err := h.writeRows(c, data, whole); err != nil || full == r.h {
		return err
	}
	row := make([]byte, 3*r.w)
	copy(row, data[3*r.w*full:])
	return h.m.WriteRegion(row, 3*r.w, r.x, r.y+int64(full), r.w, 1)
}

// maxRadius is the largest whose square fits a buffer.
const maxRadius = 18917

func mapNeighbours(h *mapHandle, _ *Session, c *engine.Call) error {
	x, y := int64(c.U64(1)), int64(c.U64(2))
	radius, dst := c.U32(3), c.Bytes(4)
	if radius > maxRadius {
		return abi.CodeInvalid
	}
	d := int64(radius)
	side := 2*d + 1
	if 3*side*side != int64(len(dst)) {
		return abi.CodeInvalid
	}
	// How far the plane reaches on each side, up to the radius.
	left, right := reach(x, d)
	up, down := reach(y, d)
	a := abi.Area{MinX: x - left, MinY: y - up, MaxX: x + right, MaxY: y + down}
	if err := h.reads(a); err != nil {
		return err
	}
	if left < d || right < d || up < d || down < d {
		clear(dst)
	}
	r := region{x: a.MinX, y: a.MinY, w: int(left + right + 1), h: int(up + down + 1)}
	return h.readRows(c, dst[3*((d-up)*side+d-left):], int(3*side), r)
}

// reach returns how many of d steps the plane has before and behind v.
func reach(v, d int64) (before, behind int64) {
	before, behind = d, d
	if v < math.MinInt64+d {
		before = v - math.MinInt64
	}
	if v > math.MaxInt64-d {
		behind = math.MaxInt64 - v
	}
	return before, behind
}

func mapTiles(h *mapHandle, _ *Session, c *engine.Call) error {
	x, y := int64(c.U64(1)), int64(c.U64(2))
	a := abi.Area{MinX: x, MinY: y, MaxX: math.MaxInt64, MaxY: math.MaxInt64}
	for _, side := range []struct {
		n   uint64
		max *int64
		at  func(abi.Area) int64
	}{{c.U64(3), &a.MaxX, func(b abi.Area) int64 { return b.MaxX }}, {c.U64(4), &a.MaxY, func(b abi.Area) int64 { return b.MaxY }}} {
		if side.n == 0 {
			continue
		}
		b, ok := abi.NewArea(x, 0, side.n, 1)
		if side.max == &a.MaxY {
			b, ok = abi.NewArea(0, y, 1, side.n)
		}
		if !ok {
			return abi.CodeInvalid
		}
		*side.max = side.at(b)
	}
	if err := h.reads(a); err != nil {
		return err
	}
	room := len(c.Bytes(5)) / pointBytes
	var list []infinitemap.Point
	n := 0
	stopping := c.Run.Stopping()
	err := h.m.Tiles(infinitemap.Rect{Min: infinitemap.Point{X: a.MinX, Y: a.MinY}, Max: infinitemap.Point{X: a.MaxX, Y: a.MaxY}}, func(t infinitemap.TileInfo) bool {
		if n++; n <= room {
			list = append(list, t.Area.Min)
		}
		return n%batch != 0 || stopping.Err() == nil
	})
	c.Run.Charge(uint64(n))
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(p, q infinitemap.Point) int { return cmp.Or(cmp.Compare(p.Y, q.Y), cmp.Compare(p.X, q.X)) })
	if n > math.MaxInt/pointBytes {
		return abi.CodeLimit
	}
	return c.PutFunc(5, n*pointBytes, func(dst []byte) {
		for i, p := range list {
			binary.LittleEndian.PutUint64(dst[i*pointBytes:], uint64(p.X))
			binary.LittleEndian.PutUint64(dst[i*pointBytes+8:], uint64(p.Y))
		}
	}).Err()
}

func mapBounds(h *mapHandle, _ *Session, c *engine.Call) error {
	if err := h.reads(abi.WholePlane); err != nil {
		return err
	}
	r, ok, err := h.m.Bounds()
	if err != nil {
		return err
	}
	if !ok {
		return abi.CodeNotFound
	}
	for i, v := range []int64{r.Min.X, r.Min.Y, r.Max.X, r.Max.Y} {
		c.SetU64(1+i, uint64(v))
	}
	return nil
}

func mapStats(h *mapHandle, _ *Session, c *engine.Call) error {
	if err := h.reads(abi.WholePlane); err != nil {
		return err
	}
	s := h.m.Stats()
	data, err := json.Marshal(struct {
		TileSize   int    `json:"tile_size"`
		Tiles      uint64 `json:"tiles"`
		Levels     int    `json:"levels"`
		Dirty      int    `json:"dirty"`
		Bytes      uint64 `json:"bytes"`
		Generation uint64 `json:"generation"`
		Writable   bool   `json:"writable"`
	}{s.TileSize, s.Tiles, s.Levels, s.Changed, s.SegmentBytes, s.Generation, h.write})
	if err != nil {
		return err
	}
	return c.Put(1, data).Err()
}

func mapFlush(h *mapHandle, _ *Session, c *engine.Call) error {
	if !h.write {
		return abi.CodeBadHandle
	}
	err := h.m.Flush(c.Run.Stopping())
	c.Run.Charge(0)
	return err
}

func mapSnapshot(h *mapHandle, _ *Session, c *engine.Call) error {
	if !h.write {
		return abi.CodeBadHandle
	}
	if len(c.Bytes(1)) > 64 || !abi.ValidMapName(c.Text(1)) {
		return abi.CodeInvalid
	}
	if err := h.writes(abi.WholePlane); err != nil {
		return err
	}
	return h.m.Snapshot(c.Text(1))
}
