//go:build !wasip1

package pxostest

import (
	"math/big"
	"slices"
	"strings"

	pxos "github.com/pxos/pxos/sdk"
)

// Storage is what a cartridge keeps beyond its runs: pixel files and maps. Runs that
// are given the same one, in [Host], see what earlier ones left, as the runs of one
// lineage do.
//
// It answers as the contract says but for three things: names need not be in NFC,
// nothing is ever corrupt or busy with another process, and there is no quota, though
// one file has at most 64 MiB.
type Storage struct {
	files filesystem
	maps  map[string]*plane
	steps int64 // commits, which are a microsecond apart
}

// NewStorage returns one that holds nothing.
func NewStorage() *Storage {
	return &Storage{files: newFilesystem(), maps: map[string]*plane{}}
}

// WriteFile gives a file a content, and makes the directories above it. A name is
// slash-separated, such as notes/a.txt.
func (s *Storage) WriteFile(name, content string) {
	name = strings.Trim(name, "/")
	s.files.makeAll(parent(name))
	s.steps++
	s.files.put(name, []byte(content), s.steps)
}

// Files returns every file with its current content.
func (s *Storage) Files() map[string]string {
	out := map[string]string{}
	for name, f := range s.files.list {
		out[name] = string(f.current().data)
	}
	return out
}

// Maps returns the names of the maps, sorted.
func (s *Storage) Maps() []string {
	var out []string
	for name := range s.maps {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// At returns the colour of a pixel, red << 16 | green << 8 | blue. A map that does
// not exist is black.
func (s *Storage) At(name string, x, y int64) uint32 {
	if p := s.maps[name]; p != nil {
		return p.get(x, y)
	}
	return 0
}

// Set changes a pixel of a map, and makes the map when there is none.
func (s *Storage) Set(name string, x, y int64, rgb uint32) {
	if s.maps[name] == nil {
		s.maps[name] = newPlane()
	}
	s.maps[name].set(x, y, rgb)
}

// Codes of the storage families.
const (
	denied    = int32(pxos.CodeDenied)
	exists    = int32(pxos.CodeExists)
	badHandle = int32(pxos.CodeBadHandle)
	busy      = int32(pxos.CodeBusy)
)

// holds reports whether anything of that kind was granted, which the host asks
// before everything else.
func holds(granted []pxos.Capability, kind string) bool {
	return slices.ContainsFunc(granted, func(c pxos.Capability) bool { return c.Kind == kind })
}

// area is a rectangle with its edges included.
type area struct{ x0, y0, x1, y1 int64 }

var everywhere = area{-1 << 63, -1 << 63, 1<<63 - 1, 1<<63 - 1}

func (a area) contains(b area) bool {
	return a.x0 <= b.x0 && a.y0 <= b.y0 && b.x1 <= a.x1 && b.y1 <= a.y1
}

// newArea is a rectangle by its size. ok is false when it is empty or reaches beyond the
// plane.
func newArea(x, y int64, w, h uint64) (a area, ok bool) {
	x1, okX := reach(x, w)
	y1, okY := reach(y, h)
	return area{x, y, x1, y1}, okX && okY
}

func reach(from int64, n uint64) (to int64, ok bool) {
	if n == 0 {
		return 0, false
	}
	last := new(big.Int).Add(big.NewInt(from), new(big.Int).SetUint64(n-1))
	return last.Int64(), last.IsInt64()
}

// parseArea reads the area of a capability; the empty one is everywhere.
func parseArea(text string) (a area, ok bool) {
	if text == "" {
		return everywhere, true
	}
	f := strings.Split(text, ",")
	if len(f) != 4 {
		return a, false
	}
	var n [4]*big.Int
	for i := range n {
		if n[i], ok = new(big.Int).SetString(f[i], 10); !ok {
			return a, false
		}
	}
	one := big.NewInt(1)
	x1 := new(big.Int).Sub(new(big.Int).Add(n[0], n[2]), one)
	y1 := new(big.Int).Sub(new(big.Int).Add(n[1], n[3]), one)
	for _, v := range []*big.Int{n[0], n[1], x1, y1} {
		if !v.IsInt64() {
			return a, false
		}
	}
	return area{n[0].Int64(), n[1].Int64(), x1.Int64(), y1.Int64()}, n[2].Sign() > 0 && n[3].Sign() > 0
}
