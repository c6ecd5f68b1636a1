package infinitemap

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/pxos/pxos/host/disk"
)

func benchDir(b testing.TB) disk.FS {
	b.Helper()
	fsys, err := disk.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	return fsys
}

// terrain is a picture that compresses about as well as drawn maps do.
func terrain(w, h int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, 3*w*h)
	for y := range h {
		run, c := 0, [3]byte{}
		for x := range w {
			if run == 0 {
				run = 1 + r.IntN(24)
				c = [3]byte{byte(40 + r.IntN(60)), byte(90 + r.IntN(80)), byte(30 + r.IntN(40))}
			}
			run--
			copy(out[3*(y*w+x):], c[:])
		}
	}
	return out
}

func perPixel(b *testing.B, pixels int) {
	b.ReportMetric(float64(pixels)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpx/s")
}

// Regions of 1024 × 1024 pixels at a place that is no tile border, tiles in memory. The
// peer is copying the same rows within one array.
func BenchmarkRegion(b *testing.B) {
	const w, h = 1024, 1024
	src := terrain(w, h, 1)
	dst := make([]byte, len(src))
	m := mustOpen(b, benchDir(b), Options{})
	defer m.Close()
	if err := m.WriteRegion(src, 3*w, -500, -300, w, h); err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if err := m.ReadRegion(dst, 3*w, -500, -300, w, h); err != nil {
				b.Fatal(err)
			}
		}
		perPixel(b, w*h)
	})
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if err := m.WriteRegion(src, 3*w, -500, -300, w, h); err != nil {
				b.Fatal(err)
			}
		}
		perPixel(b, w*h)
	})
	b.Run("peer copy", func(b *testing.B) {
		for b.Loop() {
			for y := range h {
				copy(dst[3*w*y:3*w*(y+1)], src[3*w*y:])
			}
		}
		perPixel(b, w*h)
	})
}

func BenchmarkPixel(b *testing.B) {
	m := mustOpen(b, benchDir(b), Options{})
	defer m.Close()
	const n = 1 << 12
	r := rand.New(rand.NewPCG(1, 1))
	points := make([]Point, n)
	pixels := make([]Pixel, n)
	for i := range points {
		points[i] = Point{int64(r.IntN(1024)) - 512, int64(r.IntN(1024)) - 512}
		pixels[i] = Pixel{points[i], RGB{1, 2, byte(i)}}
	}
	if _, err := m.SetMany(pixels); err != nil {
		b.Fatal(err)
	}
	b.Run("set in rows", func(b *testing.B) {
		i := int64(0)
		for b.Loop() {
			if err := m.Set(i&1023-512, i>>10&1023-512, RGB{1, 2, 3}); err != nil {
				b.Fatal(err)
			}
			i++
		}
		perPixel(b, 1)
	})
	b.Run("at in rows", func(b *testing.B) {
		i := int64(0)
		for b.Loop() {
			if _, err := m.At(i&1023-512, i>>10&1023-512); err != nil {
				b.Fatal(err)
			}
			i++
		}
		perPixel(b, 1)
	})
	b.Run("set anywhere", func(b *testing.B) {
		i := 0
		for b.Loop() {
			p := points[i%n]
			if err := m.Set(p.X, p.Y, RGB{1, 2, 3}); err != nil {
				b.Fatal(err)
			}
			i++
		}
		perPixel(b, 1)
	})
	b.Run("at anywhere", func(b *testing.B) {
		i := 0
		for b.Loop() {
			p := points[i%n]
			if _, err := m.At(p.X, p.Y); err != nil {
				b.Fatal(err)
			}
			i++
		}
		perPixel(b, 1)
	})
	b.Run("set many", func(b *testing.B) {
		for b.Loop() {
			if _, err := m.SetMany(pixels); err != nil {
				b.Fatal(err)
			}
		}
		perPixel(b, n)
	})
	b.Run("get many", func(b *testing.B) {
		dst := make([]RGB, n)
		for b.Loop() {
			if err := m.GetMany(dst, points); err != nil {
				b.Fatal(err)
			}
		}
		perPixel(b, n)
	})
}

func BenchmarkShrink(b *testing.B) {
	src := terrain(256, 256, 1)
	dst := make([]byte, len(src))
	black := make([]byte, len(src))
	for b.Loop() {
		shrink(dst, src, black, 256, 3)
	}
	perPixel(b, 256*256)
}

// Flushing N changed tiles of 256 × 256.
func BenchmarkFlush(b *testing.B) {
	const n = 256
	tile := terrain(256, 256, 3)
	m := mustOpen(b, benchDir(b), Options{CacheBytes: 256 << 20})
	defer m.Close()
	ctx := context.Background()
	for b.Loop() {
		for i := range n {
			if err := m.WriteRegion(tile, 3*256, int64(i%16)*256, int64(i/16)*256, 256, 256); err != nil {
				b.Fatal(err)
			}
		}
		if err := m.Flush(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "tiles/s")
}

// Reading tiles that are not in memory, from the system's cache of files.
func BenchmarkLoad(b *testing.B) {
	const side = 16
	fsys := benchDir(b)
	m := mustOpen(b, fsys, Options{})
	for i := range side * side {
		if err := m.WriteRegion(terrain(256, 256, uint64(i)), 3*256, int64(i%side)*256, int64(i/side)*256, 256, 256); err != nil {
			b.Fatal(err)
		}
	}
	if err := m.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	if err := m.Close(); err != nil {
		b.Fatal(err)
	}
	m = mustOpen(b, fsys, Options{ReadOnly: true, CacheBytes: 1})
	defer m.Close()
	r := rand.New(rand.NewPCG(2, 2))
	dst := make([]byte, 3*256*256)
	for b.Loop() {
		i := r.IntN(side * side)
		if err := m.ReadRegion(dst, 3*256, int64(i%side)*256, int64(i/side)*256, 256, 256); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tiles/s")
}
