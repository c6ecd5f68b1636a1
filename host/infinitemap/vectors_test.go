package infinitemap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

var update = flag.Bool("update", false, "write testdata/vectors again")

const vectorDir = "testdata/vectors"

// A vector is one entry of the index, and a directory with a map. Damaged ones hold one
// fault each. Coordinates are text, "x,y", because many readers of JSON have no integers
// of 64 bits.
type vector struct {
	Name string `json:"name"`
	// Layer that must fail: container, manifest, index, segment, directory (behind the
	// tiles of a segment), snapshot, overlay; empty when all is valid.
	Layer string `json:"layer"`
	// Error is missing, format or unsupported when the map must not open; damaged when it
	// opens and just Lost cannot be read; empty when all is valid.
	Error string `json:"error"`
	Rule  string `json:"rule"` // of INFINITEMAP.md that is shown or broken

	Below     string                  `json:"below,omitempty"` // of an overlay: the vector below it
	State     *vectorState            `json:"state,omitempty"`
	Snapshots map[string]*vectorState `json:"snapshots,omitempty"`
	Bytes     []vectorBytes           `json:"bytes,omitempty"`
	Lost      []vectorTile            `json:"lost,omitempty"`

	files map[string][]byte
}

// vectorState is what a reader must see. Of a damaged map, what a reader would see if
// nothing were lost.
type vectorState struct {
	TileSize   int    `json:"tile_size"`
	Generation uint64 `json:"generation"`
	// Tiles of level 0 that are not black, sorted by y, then x; in a damaged map a reader
	// may leave out those that are lost.
	Tiles  []string      `json:"tiles"`
	Bounds string        `json:"bounds,omitempty"` // "x,y,x,y" in pixels, both ends included
	Pixels []vectorPixel `json:"pixels,omitempty"`
	// Levels holds whole tiles of some levels, all of them that are not black.
	Levels []vectorTile `json:"levels,omitempty"`
}

type vectorPixel struct {
	Level int    `json:"level"`
	At    string `json:"at"` // in pixels of the level
	RGB   string `json:"rgb"`
}

// vectorTile is a tile, with the SHA-256 of its 3 × side × side bytes when it is to be
// read, and the file that is damaged when it cannot be.
type vectorTile struct {
	Level  int    `json:"level"`
	At     string `json:"at"` // in tiles of the level
	SHA256 string `json:"sha256,omitempty"`
	File   string `json:"file,omitempty"`
}

type vectorBytes struct {
	At   string `json:"at"`
	Data string `json:"data"` // in hexadecimal digits
}

func at(x, y int64) string { return fmt.Sprintf("%d,%d", x, y) }

func place2(t *testing.T, s string) (x, y int64) {
	t.Helper()
	if n, err := fmt.Sscanf(s, "%d,%d", &x, &y); n != 2 || err != nil {
		t.Fatalf("%q is no place", s)
	}
	return x, y
}

func sorted(m map[Point]bool) []Point {
	out := slices.Collect(maps.Keys(m))
	slices.SortFunc(out, func(a, b Point) int {
		if a.Y != b.Y {
			return cmp64(a.Y, b.Y)
		}
		return cmp64(a.X, b.X)
	})
	return out
}

func cmp64(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// stateOf describes a model: all its tiles, some of its pixels, and the tiles of some
// levels, each by the definitions alone.
func stateOf(m model, size int64, generation uint64, levels ...int) *vectorState {
	s := &vectorState{TileSize: int(size), Generation: generation, Tiles: []string{}}
	for _, p := range sorted(m.tiles(size)) {
		s.Tiles = append(s.Tiles, at(p.X, p.Y))
	}
	if b, ok := m.bounds(size); ok {
		s.Bounds = at(b.Min.X, b.Min.Y) + "," + at(b.Max.X, b.Max.Y)
	}
	for _, level := range levels {
		up := m.level(level)
		all := make(map[Point]bool, len(up))
		for p := range up {
			all[p] = true
		}
		points := sorted(all)
		for i, p := range points {
			if i < 4 || i == len(points)-1 {
				s.Pixels = append(s.Pixels, vectorPixel{level, at(p.X, p.Y), fmt.Sprintf("%02x%02x%02x", up[p].R, up[p].G, up[p].B)})
			}
		}
		for _, tile := range sorted(up.tiles(size)) {
			b := make([]byte, 0, 3*size*size)
			for y := range size {
				for x := range size {
					c := up[Point{tile.X*size + x, tile.Y*size + y}]
					b = append(b, c.R, c.G, c.B)
				}
			}
			sum := sha256.Sum256(b)
			s.Levels = append(s.Levels, vectorTile{Level: level, At: at(tile.X, tile.Y), SHA256: hex.EncodeToString(sum[:])})
		}
	}
	return s
}

// load puts the files of a map where a map can be opened.
func load(t *testing.T, files map[string][]byte) *disktest.Mem {
	t.Helper()
	mem := disktest.NewMem()
	for name, b := range files {
		if dir, _, ok := strings.Cut(name, "/"); ok {
			if err := mem.MkdirAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := disk.WriteFile(mem, name, func(f disk.File) error { _, err := f.Write(b); return err }); err != nil {
			t.Fatal(err)
		}
	}
	return mem
}

// take reads all files of a map but locks.
func take(t *testing.T, mem disk.FS) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, dir := range []string{".", snapshotDir} {
		list, err := mem.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range list {
			name := e.Name()
			if e.IsDir() || name == lockName {
				continue
			}
			if dir != "." {
				name = dir + "/" + name
			}
			f, err := mem.OpenFile(name, os.O_RDONLY)
			if err != nil {
				t.Fatal(err)
			}
			st, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, st.Size())
			if _, err := f.ReadAt(b, 0); len(b) > 0 && err != nil {
				t.Fatal(err)
			}
			f.Close()
			files[name] = b
		}
	}
	return files
}

// TestVectors holds the published maps against the program that makes them, and against
// every way to read them.
func TestVectors(t *testing.T) {
	list := vectors(t)
	index, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	index = append(index, '\n')
	indexName := filepath.Join(vectorDir, "index.json")
	want := map[string][]byte{}
	for _, v := range list {
		for name, b := range v.files {
			want[v.Name+"/"+name] = b
		}
	}
	if *update {
		if err := os.RemoveAll(vectorDir); err != nil {
			t.Fatal(err)
		}
		for name, b := range want {
			file := filepath.Join(vectorDir, filepath.FromSlash(name))
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, b, 0o666)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(indexName, index, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	const again = "is not what the test makes: run go test -run TestVectors -update"
	published, err := os.ReadFile(indexName)
	if err != nil || !bytes.Equal(bytes.ReplaceAll(published, []byte("\r\n"), []byte("\n")), index) {
		t.Fatalf("%s %s (%v)", indexName, again, err)
	}
	have := map[string]map[string][]byte{}
	err = filepath.WalkDir(vectorDir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || file == indexName {
			return err
		}
		rel, err := filepath.Rel(vectorDir, file)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(file)
		name := filepath.ToSlash(rel)
		if w, ok := want[name]; err == nil && (!ok || !bytes.Equal(b, w)) {
			t.Errorf("%s %s", name, again)
		}
		delete(want, name)
		dir, rest, _ := strings.Cut(name, "/")
		if have[dir] == nil {
			have[dir] = map[string][]byte{}
		}
		have[dir][rest] = b
		return err
	})
	if err != nil || len(want) > 0 {
		t.Fatalf("%d files are missing: run go test -run TestVectors -update (%v)", len(want), err)
	}
	// From here on, only what is published counts.
	var read []*vector
	if err := json.Unmarshal(published, &read); err != nil {
		t.Fatal(err)
	}
	for _, v := range read {
		t.Run(v.Name, func(t *testing.T) { checkVector(t, v, have) })
	}
}

func classOf(err error) string {
	var (
		f  *FormatError
		u  *UnsupportedError
		pf *pxi.FormatError
		pu *pxi.UnsupportedError
		pc *pxi.CorruptError
	)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, fs.ErrNotExist):
		return "missing"
	case errors.As(err, &u), errors.As(err, &pu):
		return "unsupported"
	case errors.As(err, &f), errors.As(err, &pf), errors.As(err, &pc):
		return "format"
	}
	return err.Error()
}

func checkVector(t *testing.T, v *vector, have map[string]map[string][]byte) {
	mem := load(t, have[v.Name])
	var m *Map
	var err error
	if v.Below == "" {
		m, err = Open(mem, Options{ReadOnly: true})
	} else {
		below := mustOpen(t, load(t, have[v.Below]), Options{ReadOnly: true})
		var o *Overlay
		if o, err = OpenOverlay(below, mem, Options{}); err == nil {
			m = o.Map
		}
		defer below.Close()
	}
	refused := v.Error != "" && v.Error != "damaged"
	if v.Layer == "snapshot" {
		if err != nil {
			t.Fatal(err)
		}
		_, err = OpenSnapshot(mem, "bad", Options{})
	}
	if v.Layer == "overlay" && err == nil {
		t.Fatal("it opens")
	}
	if refused != (err != nil) || refused && v.Layer != "overlay" && classOf(err) != v.Error {
		t.Fatalf("open: %v; want class %q", err, v.Error)
	}
	if v.State == nil {
		return
	}
	defer m.Close()
	checkState(t, m, v.State, v.Lost)
	for _, b := range v.Bytes {
		want, err := hex.DecodeString(b.Data)
		x, y := place2(t, b.At)
		got := make([]byte, len(want))
		if e := m.ReadBytes(got, x, y); err != nil || e != nil || !bytes.Equal(got, want) {
			t.Errorf("bytes at %s: %x %v", b.At, got, e)
		}
	}
	for name, s := range v.Snapshots {
		old, err := OpenSnapshot(mem, name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		checkState(t, old, s, nil)
		if err := old.Close(); err != nil {
			t.Error(err)
		}
	}
	report, err := m.Verify(context.Background(), nil)
	if err != nil || report.OK() != (v.Layer == "" || v.Layer == "directory" || v.Layer == "snapshot") {
		t.Errorf("verify: %+v, %v", report, err)
	}
	bad := false
	for _, s := range m.view.segs {
		_, err := s.directory(m.tileBytes, m.shift)
		bad = bad || err != nil
	}
	if v.Layer == "directory" && !bad || v.Layer == "" && bad {
		t.Errorf("directories: damaged is %v", bad)
	}
	if v.Below != "" {
		return
	}
	// A writer opens it too, and saves every tile that can be read anew.
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	w := mustOpen(t, mem, Options{})
	defer w.Close()
	checkState(t, w, v.State, v.Lost)
	if v.Error == "" {
		if err := w.Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
		again := *v.State
		again.Generation++
		checkState(t, w, &again, nil)
	}
}

func checkState(t *testing.T, m *Map, s *vectorState, lost []vectorTile) {
	t.Helper()
	if m.TileSize() != s.TileSize || m.Generation() != s.Generation {
		t.Errorf("tiles of %d, generation %d; want %d, %d", m.TileSize(), m.Generation(), s.TileSize, s.Generation)
	}
	gone := map[cell]string{}
	for _, l := range lost {
		x, y := place2(t, l.At)
		gone[cell{l.Level, x, y}] = l.File
	}
	var list []Point
	err := m.Tiles(Plane, func(ti TileInfo) bool {
		list = append(list, Point{ti.TX, ti.TY})
		return true
	})
	var damaged *IndexError
	if err != nil && (!errors.As(err, &damaged) || len(lost) == 0) {
		t.Errorf("tiles: %v", err)
	}
	found := make(map[Point]bool, len(list))
	for _, p := range list {
		found[p] = true
	}
	var want []string
	for _, p := range s.Tiles {
		x, y := place2(t, p)
		if _, ok := gone[cell{0, x, y}]; !ok || found[Point{x, y}] {
			want = append(want, p)
		}
	}
	var got []string
	for _, p := range sorted(found) {
		got = append(got, at(p.X, p.Y))
	}
	if !slices.Equal(got, want) {
		t.Errorf("tiles %v, want %v", got, want)
	}
	if r, ok, err := m.Bounds(); len(lost) == 0 {
		text := ""
		if ok {
			text = at(r.Min.X, r.Min.Y) + "," + at(r.Max.X, r.Max.Y)
		}
		if err != nil || text != s.Bounds {
			t.Errorf("bounds %s %v, want %s", text, err, s.Bounds)
		}
	}
	size := int64(m.TileSize())
	for c, file := range gone {
		_, _, err := m.Tile(c.level, c.x, c.y)
		var te *TileError
		if !errors.As(err, &te) || te.Level != c.level || te.TX != c.x || te.TY != c.y || te.File != file {
			t.Errorf("tile %d,%d of level %d, which is lost: %v", c.x, c.y, c.level, err)
		}
	}
	for _, p := range s.Tiles {
		x, y := place2(t, p)
		if _, ok := gone[cell{0, x, y}]; ok {
			continue
		}
		if _, version, err := m.Tile(0, x, y); err != nil || version == 0 {
			t.Errorf("tile %s: version %d, %v", p, version, err)
		}
	}
	for _, p := range s.Pixels {
		x, y := place2(t, p.At)
		if _, ok := gone[cell{p.Level, floorDiv(x, size), floorDiv(y, size)}]; ok {
			continue
		}
		pix, _, err := m.Tile(p.Level, floorDiv(x, size), floorDiv(y, size))
		if err != nil {
			t.Fatal(err)
		}
		from := 3 * ((y-floorDiv(y, size)*size)*size + x - floorDiv(x, size)*size)
		if got := hex.EncodeToString(pix[from : from+3]); got != p.RGB {
			t.Errorf("pixel %s of level %d is %s, want %s", p.At, p.Level, got, p.RGB)
		}
		if p.Level == 0 {
			if c, err := m.At(x, y); err != nil || fmt.Sprintf("%02x%02x%02x", c.R, c.G, c.B) != p.RGB {
				t.Errorf("pixel %s is %v %v", p.At, c, err)
			}
		}
	}
	for _, l := range s.Levels {
		x, y := place2(t, l.At)
		if _, ok := gone[cell{l.Level, x, y}]; ok {
			continue
		}
		pix, version, err := m.Tile(l.Level, x, y)
		if sum := sha256.Sum256(pix); err != nil || version == 0 || hex.EncodeToString(sum[:]) != l.SHA256 {
			t.Errorf("tile %s of level %d: %x, %v", l.At, l.Level, sum, err)
		}
	}
}
