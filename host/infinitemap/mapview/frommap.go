package mapview

import (
	"fmt"
	"strconv"

	"github.com/pxos/pxos/host/infinitemap"
)

// FromMap returns m as the page wants it. Open m for reading: then Refresh follows the
// flushes of the map's writer, in this process or another.
func FromMap(m *infinitemap.Map) Source { return fromMap{m} }

type fromMap struct{ m *infinitemap.Map }

func (s fromMap) TileSize() int      { return s.m.TileSize() }
func (s fromMap) Generation() uint64 { return s.m.Generation() }

func (s fromMap) Tile(level int, tx, ty int64) ([]byte, uint64, error) {
	return s.m.Tile(level, tx, ty)
}

func (s fromMap) Bounds() (minX, minY, maxX, maxY int64, ok bool, err error) {
	r, ok, err := s.m.Bounds()
	return r.Min.X, r.Min.Y, r.Max.X, r.Max.Y, ok, err
}

func (s fromMap) Refresh() error {
	_, err := s.m.Refresh()
	return err
}

func (s fromMap) Stats() []Stat {
	st := s.m.Stats()
	out := []Stat{
		{"Tiles with content", thousands(st.Tiles)},
		{"Levels above the plane", strconv.Itoa(st.Levels)},
		{"Size on disk", size(st.SegmentBytes)},
		{"Segments", thousands(uint64(st.Segments))},
		{"Tiles stored", thousands(st.StoredTiles)},
		{"of them in use", thousands(st.LiveTiles)},
		{"Index runs", thousands(uint64(st.IndexRuns))},
	}
	if st.DamagedRuns > 0 {
		out = append(out, Stat{"Damaged index runs", thousands(uint64(st.DamagedRuns))})
	}
	return out
}

// thousands writes a number with commas between its thousands.
func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1000, 0
	for v >= 999.95 && unit < 3 {
		v, unit = v/1000, unit+1
	}
	return fmt.Sprintf("%.1f %cB", v, "kMGT"[unit])
}
