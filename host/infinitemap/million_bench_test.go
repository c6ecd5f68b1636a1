package infinitemap

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// millionMap makes a map of 1024 × 1024 tiles of 16 × 16 pixels.
func millionMap(tb testing.TB, side int64) func() *Map {
	tb.Helper()
	fsys := benchDir(tb)
	m := mustOpen(tb, fsys, Options{TileSize: 16, CacheBytes: 64 << 20})
	row := make([]byte, 3*16*16*side)
	for y := range side {
		for x := range side {
			for i := range 16 {
				b := row[3*16*(int(side)*i+int(x)):]
				binary.LittleEndian.PutUint64(b, uint64(x*7919+y*104729)|1)
			}
		}
		if err := m.WriteRegion(row, int(3*16*side), -side*8, (y-side/2)*16, int(16*side), 16); err != nil {
			tb.Fatal(err)
		}
		if y%256 == 255 {
			if err := m.Flush(context.Background()); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := m.Flush(context.Background()); err != nil {
		tb.Fatal(err)
	}
	if err := m.Close(); err != nil {
		tb.Fatal(err)
	}
	return func() *Map { return mustOpen(tb, fsys, Options{ReadOnly: true, NoPrefetch: true}) }
}

// A million tiles: opening, queries that find few tiles, bounds, a picture of all, and
// the memory that an open map takes.
func BenchmarkMillion(b *testing.B) {
	start := time.Now()
	open := millionMap(b, 1024)
	b.Logf("1,048,576 tiles written in %v", time.Since(start).Round(time.Millisecond))
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if err := open().Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := open()
	defer m.Close()
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.Logf("an open map takes %.1f MiB of heap; %+v", float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), m.Stats())
	r := rand.New(rand.NewPCG(1, 1))
	b.Run("query 30 tiles", func(b *testing.B) {
		n := 0
		for b.Loop() {
			x, y := r.Int64N(15000)-7500, r.Int64N(15000)-7500
			rect, _ := RectAt(x, y, 80, 80)
			_ = m.Tiles(rect, func(TileInfo) bool { n++; return true })
		}
		b.ReportMetric(float64(n)/float64(b.N), "tiles")
	})
	b.Run("query a column of 1024", func(b *testing.B) {
		n := 0
		for b.Loop() {
			rect := Rect{Point{35, -1 << 62}, Point{36, 1 << 62}}
			_ = m.Tiles(rect, func(TileInfo) bool { n++; return true })
		}
		b.ReportMetric(float64(n)/float64(b.N), "tiles")
	})
	b.Run("query empty space", func(b *testing.B) {
		for b.Loop() {
			_ = m.Tiles(Rect{Point{9000, -1 << 63}, Point{1<<63 - 1, 1<<63 - 1}}, func(TileInfo) bool { b.Fatal("found"); return true })
		}
	})
	b.Run("bounds", func(b *testing.B) {
		for b.Loop() {
			if _, ok, err := m.Bounds(); !ok || err != nil {
				b.Fatal(err)
			}
		}
	})
	pic := make([]byte, 3*512*512)
	b.Run("picture of all", func(b *testing.B) {
		for b.Loop() {
			if err := m.Render(pic, 3*512, Rect{Point{-8192, -8192}, Point{8191, 8191}}, 512, 512); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("picture of the plane", func(b *testing.B) {
		for b.Loop() {
			if err := m.Render(pic, 3*512, Plane, 512, 512); err != nil {
				b.Fatal(err)
			}
		}
	})
}
