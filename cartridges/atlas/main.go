// Command atlas is a pxOS cartridge that grows worlds on an endless map of pixels, and
// lays files out on it as islands.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"io/fs"
	"os"
	"slices"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/infinitemap"
)

// mapName is the map that everything is drawn on.
const mapName = "world"

// Bounds of arguments.
const (
	maxSize  = 64      // tiles along a side of what grows at once
	farthest = 1 << 62 // from the origin: beyond it distances do not fit
	tile     = 256     // pixels
	maxLook  = 2048    // pixels along a side of a picture

	defaultSeed = 9
)

// GrowArgs say which part of which world grows.
type GrowArgs struct {
	Seed *uint64 `json:"seed"` // of the world
	X    int64   `json:"x"`    // the middle, in pixels
	Y    int64   `json:"y"`
	Size int     `json:"size"` // tiles of 256 pixels along a side
}

// Grown is what grew.
type Grown struct {
	Seed        uint64       `json:"seed"`
	X           int64        `json:"x"` // of the first pixel
	Y           int64        `json:"y"`
	Size        int          `json:"size"` // pixels along a side
	Land        float64      `json:"land"` // part of it that is not sea
	Settlements int          `json:"settlements"`
	Places      []NamedPlace `json:"places"` // seas, realms, ranges, cities and towns, the largest first, at most 40
	CRC32C      string       `json:"crc32c"` // of its pixels, in the order of writing: the same for the same arguments
}

// NamedPlace is somewhere to look.
type NamedPlace struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // sea, realm, range, city, town, village or hamlet
	X    int64  `json:"x"`
	Y    int64  `json:"y"`
}

func (a *GrowArgs) check() error {
	if a.Seed == nil {
		seed := uint64(defaultSeed)
		a.Seed = &seed
	}
	if a.Size == 0 {
		a.Size = 8
	}
	if a.Size < 1 || a.Size > maxSize {
		return pxos.Errorf("out_of_range", "size is 1 to %d tiles, not %d", maxSize, a.Size)
	}
	return checkPlace(a.X, a.Y)
}

func checkPlace(x, y int64) error {
	if x < -farthest || x > farthest || y < -farthest || y > farthest {
		return pxos.Errorf("out_of_range", "x and y are -2^62 to 2^62")
	}
	return nil
}

// grow draws a square of a world on the map.
func grow(_ *pxos.Context, a GrowArgs) (*Grown, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	m, err := open(infinitemap.Create)
	if err != nil {
		return nil, err
	}
	half := int64(a.Size) * tile / 2
	g := &Grown{Places: []NamedPlace{}, Seed: *a.Seed, X: (a.X - half + tile/2) &^ (tile - 1), Y: (a.Y - half + tile/2) &^ (tile - 1), Size: a.Size * tile}
	w := newWorld(*a.Seed)
	p := newPiece(w)
	sum, land, told := uint32(0), 0, 0
	table := crc32.MakeTable(crc32.Castagnoli)
	var pix []byte
	for dy := 0; dy < g.Size; dy += pieceSide {
		for dx := 0; dx < g.Size; dx += pieceSide {
			x, y := g.X+int64(dx), g.Y+int64(dy)
			p.draw(x, y)
			width, height := min(pieceSide, g.Size-dx), min(pieceSide, g.Size-dy)
			pix = pix[:0]
			for j := range height {
				at := (j+border)*spread + border
				pix = append(pix, p.rgb[3*at:3*(at+width)]...)
				for _, h := range p.height[at : at+width] {
					if h > 0 {
						land++
					}
				}
			}
			sum = crc32.Update(sum, table, pix)
			if err := m.WriteRegion(pix, x, y, width, height); err != nil {
				return nil, errors.Join(err, m.Close())
			}
		}
		if done := (dy + pieceSide) * 10 / g.Size; g.Size > 16*tile && done > told && done < 10 {
			told = done
			pxos.Info("growing", "done", fmt.Sprintf("%d%%", done*10))
		}
	}
	g.Land = float64(land*1000/(g.Size*g.Size)) / 1000
	g.CRC32C = fmt.Sprintf("%08x", sum)
	w.places(g)
	if err := m.Close(); err != nil {
		return nil, fmt.Errorf("keep the map: %w", err)
	}
	return g, nil
}

// places lists what has a name in what grew.
func (w *world) places(g *Grown) {
	size := int64(g.Size)
	inside := func(p place) bool { return p.x-g.X >= 0 && p.x-g.X < size && p.y-g.Y >= 0 && p.y-g.Y < size }
	for j := g.Y >> regionBits; j <= (g.Y+size)>>regionBits; j++ {
		for i := g.X >> regionBits; i <= (g.X+size)>>regionBits; i++ {
			for _, r := range w.regionsOf(i, j) {
				if inside(r.place) {
					g.Places = append(g.Places, NamedPlace{r.name, r.kind, r.x, r.y})
				}
			}
		}
	}
	var all []*site
	for _, s := range w.sitesIn(g.X, g.Y, size, size, 0) {
		if inside(s.place) {
			all = append(all, s)
		}
	}
	g.Settlements = len(all)
	slices.SortStableFunc(all, func(a, b *site) int { return int(b.rank) - int(a.rank) })
	for _, s := range all[:min(len(all), max(40-len(g.Places), 0))] {
		g.Places = append(g.Places, NamedPlace{s.name, s.rank.String(), s.x, s.y})
	}
}

// open opens the map, with an error for people.
func open(how func(string) (*infinitemap.Map, error)) (*infinitemap.Map, error) {
	m, err := how(mapName)
	switch {
	case errors.Is(err, pxos.CodeDenied):
		return nil, pxos.Errorf("denied", "the map %q was not granted: run it with --yes, or with --grant infinitemap:%s:write", mapName, mapName)
	case errors.Is(err, pxos.CodeBusy):
		return nil, pxos.Errorf("busy", "another run is drawing on the map %q: try again when it is done", mapName)
	case errors.Is(err, fs.ErrNotExist):
		return nil, pxos.Errorf("empty", "there is no map %q yet: grow a world first", mapName)
	}
	return m, err
}

// LandArgs say what becomes land, and where.
type LandArgs struct {
	Entry string `json:"entry"` // path in this cartridge's archive, or "-" for standard input
	Name  string `json:"name"`  // on the legend; by default the entry's
	X     *int64 `json:"x"`     // of the picture's upper left corner
	Y     *int64 `json:"y"`
}

// Landed is an island.
type Landed struct {
	Name      string     `json:"name"`
	X         int64      `json:"x"` // of the picture's upper left corner: what atlas:read asks for
	Y         int64      `json:"y"`
	Width     int        `json:"width"`
	Height    int        `json:"height"`
	Bytes     int        `json:"bytes"`
	SHA256    string     `json:"sha256"`
	Provinces []Province `json:"provinces"`
}

// Province is a part of an island.
type Province struct {
	Name  string `json:"name"`
	First int    `json:"first"` // byte
	Bytes int    `json:"bytes"`
	X     int64  `json:"x"` // its middle
	Y     int64  `json:"y"`
}

// Where an island lies that is told no place: north of the world that grows by default, with room between.
const (
	islandX = -2048
	islandY = -9216
)

func land(ctx *pxos.Context, a LandArgs) (*Landed, error) {
	if a.Entry == "" {
		a.Entry = "atlas.wasm"
	}
	out := &Landed{Name: a.Name, X: islandX, Y: islandY}
	if a.X != nil {
		out.X = *a.X
	}
	if a.Y != nil {
		out.Y = *a.Y
	}
	if err := checkPlace(out.X, out.Y); err != nil {
		return nil, err
	}
	data, err := readEntry(ctx, a.Entry)
	if err != nil {
		return nil, err
	}
	if out.Name == "" {
		if out.Name = a.Entry; a.Entry == "-" {
			out.Name = "standard input"
		}
	}
	if len(out.Name) > maxIslandRow-islandHeader {
		return nil, pxos.Errorf("out_of_range", "a name has at most %d bytes", maxIslandRow-islandHeader)
	}
	m, err := open(infinitemap.Create)
	if err != nil {
		return nil, err
	}
	c := newCanvas(out.Name, data)
	err = c.draw(func(pix []byte, y, rows int) error {
		return m.WriteRegion(pix, out.X, out.Y+int64(y), c.width, rows)
	})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	out.Width, out.Height, out.Bytes, out.SHA256 = c.width, c.height, len(data), fmt.Sprintf("%x", c.digest)
	for i, p := range c.provinces {
		mid := c.middle[i]
		q := Province{Name: p.name, First: p.first, Bytes: p.size}
		if mid.n > 0 {
			q.X, q.Y = out.X+int64(c.left)+mid.x/mid.n, out.Y+mid.y/mid.n
		}
		out.Provinces = append(out.Provinces, q)
	}
	if err := m.Close(); err != nil {
		return nil, fmt.Errorf("keep the map: %w", err)
	}
	return out, nil
}

// readEntry returns what becomes land.
func readEntry(ctx *pxos.Context, entry string) ([]byte, error) {
	var data []byte
	var err error
	if entry == "-" {
		data, err = io.ReadAll(io.LimitReader(ctx.Stdin, maxLand+1))
	} else {
		var f fs.File
		if f, err = pxos.Archive().Open(entry); errors.Is(err, fs.ErrNotExist) {
			return nil, pxos.Errorf("not_found", "this cartridge has no entry %q; \"-\" is standard input", entry)
		}
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(f, maxLand+1))
			f.Close()
		}
	}
	switch {
	case err != nil:
		return nil, err
	case len(data) == 0:
		return nil, pxos.Errorf("out_of_range", "there are no bytes to make land of")
	case len(data) > maxLand:
		return nil, pxos.Errorf("out_of_range", "an island has at most %d bytes: lay a part of it out", maxLand)
	}
	return data, nil
}

// ReadArgs say where an island lies.
type ReadArgs struct {
	X *int64 `json:"x"`
	Y *int64 `json:"y"`
}

// read writes the bytes of an island to standard output.
func read(ctx *pxos.Context, a ReadArgs) (pxos.None, error) {
	x, y := int64(islandX), int64(islandY)
	if a.X != nil {
		x = *a.X
	}
	if a.Y != nil {
		y = *a.Y
	}
	if err := checkPlace(x, y); err != nil {
		return pxos.None{}, err
	}
	m, err := open(infinitemap.Open)
	if err != nil {
		return pxos.None{}, err
	}
	defer m.Close()
	data, err := readIsland(m, x, y)
	if err == nil {
		_, err = ctx.Stdout.Write(data)
	}
	return pxos.None{}, err
}

func readIsland(m *infinitemap.Map, x, y int64) ([]byte, error) {
	pix := make([]byte, 3*maxIslandRow)
	if err := m.ReadRegion(pix, x, y, maxIslandRow, 1); err != nil {
		return nil, err
	}
	row := make([]byte, maxIslandRow)
	for i := range row {
		row[i] = seek(pix[3*i:])
	}
	_, n, digest, ok := parseIslandRow(row)
	if !ok {
		return nil, pxos.Errorf("not_found", "no island has its upper left corner at %d, %d", x, y)
	}
	is := plan(n, digest)
	left := (islandWidth(is.side) - is.side) / 2
	at := make([]byte, is.side*is.side)
	const band = 256
	pix = make([]byte, 3*is.side*band)
	for j := 0; j < is.side; j += band {
		rows := min(band, is.side-j)
		part := pix[:3*is.side*rows]
		if err := m.ReadRegion(part, x+int64(left), y+int64(j), is.side, rows); err != nil {
			return nil, err
		}
		for i := range is.side * rows {
			at[j*is.side+i] = seek(part[3*i:])
		}
	}
	data := make([]byte, 0, n)
	for _, o := range is.order() {
		data = append(data, at[uint32(o)])
	}
	if sha256.Sum256(data) != digest {
		return nil, pxos.Errorf("changed", "the island at %d, %d was drawn over: its bytes no longer match their digest", x, y)
	}
	return data, nil
}

// LookArgs say which part of the map to look at.
type LookArgs struct {
	X      int64 `json:"x"` // the middle
	Y      int64 `json:"y"`
	Width  int   `json:"width"` // of the picture
	Height int   `json:"height"`
	Level  int   `json:"level"` // a pixel of the picture stands for 2^level by 2^level
}

// Picture is what atlas:picture returns.
type Picture struct {
	PNG     []byte            `json:"png"` // base64 in JSON
	X       int64             `json:"x"`   // of the first pixel, in pixels of the map
	Y       int64             `json:"y"`
	Width   int               `json:"width"`
	Height  int               `json:"height"`
	Scale   int64             `json:"scale"`   // pixels of the map along a side of one of the picture
	Written float64           `json:"written"` // part of the picture that is not black
	Colours int               `json:"colours"` // different ones
	Map     infinitemap.Stats `json:"map"`
}

func look(a LookArgs) (*Picture, error) {
	if a.Width == 0 {
		a.Width = 768
	}
	if a.Height == 0 {
		a.Height = 512
	}
	switch {
	case a.Width < 1 || a.Width > maxLook || a.Height < 1 || a.Height > maxLook:
		return nil, pxos.Errorf("out_of_range", "width and height are 1 to %d", maxLook)
	case a.Level < 0 || a.Level > 40:
		return nil, pxos.Errorf("out_of_range", "level is 0 to 40")
	}
	if err := checkPlace(a.X, a.Y); err != nil {
		return nil, err
	}
	m, err := open(infinitemap.Open)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	x, y := a.X>>a.Level-int64(a.Width/2), a.Y>>a.Level-int64(a.Height/2)
	pix := make([]byte, 3*a.Width*a.Height)
	if err := m.ReadLevel(pix, a.Level, x, y, a.Width, a.Height); err != nil {
		return nil, err
	}
	p := &Picture{X: x << a.Level, Y: y << a.Level, Width: a.Width, Height: a.Height, Scale: 1 << a.Level}
	img := image.NewNRGBA(image.Rect(0, 0, a.Width, a.Height))
	colours := map[[3]byte]struct{}{}
	written := 0
	for i := range a.Width * a.Height {
		c := [3]byte(pix[3*i:])
		copy(img.Pix[4*i:], c[:])
		img.Pix[4*i+3] = 0xff
		if c != [3]byte{} {
			written++
		}
		colours[c] = struct{}{}
	}
	p.Written, p.Colours = float64(written)/float64(a.Width*a.Height), len(colours)
	if p.Map, err = m.Stats(); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(&buf, img); err != nil {
		return nil, err
	}
	p.PNG = buf.Bytes()
	return p, nil
}

// show writes the picture to standard output.
func show(ctx *pxos.Context, a LookArgs) (pxos.None, error) {
	if isTerminal(ctx.Stdout) {
		return pxos.None{}, pxos.Errorf("terminal", "the picture is a PNG: send it to a file with > look.png")
	}
	p, err := look(a)
	if err == nil {
		pxos.Info("looked", "x", p.X, "y", p.Y, "scale", p.Scale, "written", fmt.Sprintf("%.0f%%", 100*p.Written), "colours", p.Colours)
		_, err = ctx.Stdout.Write(p.PNG)
	}
	return pxos.None{}, err
}

func picture(_ *pxos.Context, a LookArgs) (*Picture, error) { return look(a) }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func init() {
	pxos.Register("atlas:grow", grow)
	pxos.Register("atlas:land", land)
	pxos.Register("atlas:read", read)
	pxos.Register("atlas:look", show)
	pxos.Register("atlas:picture", picture)
}

func main() { pxos.Main() }
