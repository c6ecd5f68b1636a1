package infinitemap

import (
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/pxos/pxos/host/disk/disktest"
)

// Writers, readers, flushes, pictures and queries at the same time, with a cache that is
// too small: each writer's pixels are what it wrote, and all are there at the end.
func TestConcurrent(t *testing.T) {
	mem := disktest.NewMem()
	m := mustOpen(t, mem, Options{TileSize: 16, CacheBytes: 70 * 768})
	const writers, rounds = 4, 150
	var wg sync.WaitGroup
	results := make([]model, writers)
	for w := range int64(writers) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(w), 1))
			now := model{}
			for range rounds {
				// Columns w, w + 4, w + 8 … are this writer's.
				p := Point{r.Int64N(200)*writers + w, r.Int64N(300)}
				c := RGB{byte(w + 1), byte(r.Uint32()), byte(r.Uint32())}
				if err := m.Set(p.X, p.Y, c); err != nil {
					t.Error(err)
				}
				now[p] = c
				if got, err := m.At(p.X, p.Y); err != nil || got != c {
					t.Errorf("%v is %v %v, want %v", p, got, err, c)
				}
			}
			results[w] = now
		}()
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 3 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			r := rand.New(rand.NewPCG(uint64(i), 2))
			buf := make([]byte, 3*64*64)
			for {
				select {
				case <-stop:
					return
				default:
				}
				var err error
				switch r.IntN(6) {
				case 0:
					err = m.Flush(context.Background())
				case 1:
					err = m.Render(buf, 3*64, Rect{Point{0, 0}, Point{799, 299}}, 64, 64)
				case 2:
					_, _, err = m.Bounds()
				case 3:
					err = m.Tiles(Plane, func(ti TileInfo) bool {
						_, err := m.At(ti.Area.Min.X, ti.Area.Min.Y)
						return err == nil
					})
				case 4:
					_ = m.Stats()
					_, _, err = m.Tile(1, 2, 3)
				default:
					err = m.ReadRegion(buf, 3*64, r.Int64N(700), r.Int64N(300), 64, 64)
				}
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	close(stop)
	readers.Wait()
	want := model{}
	for _, r := range results {
		for p, c := range r {
			want[p] = c
		}
	}
	compare(t, m, want)
	compareLevels(t, m, want, 1, 2)
	if err := errors.Join(m.Flush(context.Background()), m.Close()); err != nil {
		t.Fatal(err)
	}
	compare(t, mustOpen(t, mem, Options{ReadOnly: true}), want)
}

// The example of INFINITEMAP.md, section 10.
func TestWorkedExample(t *testing.T) {
	mem := disktest.NewMem()
	m := mustOpen(t, mem, Options{TileSize: 16})
	if err := errors.Join(m.Set(-1, 5, RGB{200, 100, 50}), m.Flush(context.Background()), m.Close()); err != nil {
		t.Fatal(err)
	}
	man := content(t, mem, manifestName)
	if len(man) != 112+80+56 {
		t.Errorf("the manifest has %d bytes", len(man))
	}
	state, err := decodeManifest(manifestName, man)
	if err != nil {
		t.Fatal(err)
	}
	seg := content(t, mem, segmentName(state.segments[0].number))
	if len(seg) != 768+64 || seg[285] != 200 || seg[286] != 100 || seg[287] != 50 {
		t.Errorf("the segment has %d bytes, and %v at 285", len(seg), seg[285:288])
	}
	run := content(t, mem, runName(state.runs[0].number))
	if key := hex.EncodeToString(run[32:48]); len(run) != 64 || key != "00955555555555555555555555555555" {
		t.Errorf("the run has %d bytes, the key is %s", len(run), key)
	}
}

// Whoever writes a pixel finds it at every level at once, whatever is read, fetched ahead,
// evicted and flushed meanwhile: dark pixels, whose mean is made bright enough to be
// seen, in tiles that were black until then.
func TestLevelsUnderLoad(t *testing.T) {
	for name, tiles := range map[string]int64{"one tile of cache": 1, "prefetching": 70} {
		t.Run(name, func(t *testing.T) {
			m := mustOpen(t, disktest.NewMem(), Options{TileSize: 16, CacheBytes: tiles * 768})
			stop := make(chan struct{})
			var others sync.WaitGroup
			load := func(f func(r *rand.Rand, i int64) error) {
				others.Add(1)
				go func() {
					defer others.Done()
					r := rand.New(rand.NewPCG(5, 6))
					for i := int64(0); ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						if err := f(r, i); err != nil {
							t.Error(err)
							return
						}
					}
				}()
			}
			const side = 100                         // tiles
			load(func(_ *rand.Rand, i int64) error { // along a row, so that what follows is fetched
				_, err := m.At(i%side*16, i/side%side*16)
				return err
			})
			load(func(r *rand.Rand, i int64) error {
				buf := make([]byte, 3*48*48)
				return m.ReadRegion(buf, 3*48, i%side*16, r.Int64N(side)*16, 48, 48)
			})
			load(func(r *rand.Rand, _ int64) error {
				_, _, err := m.Tile(1+r.IntN(4), r.Int64N(side/2), r.Int64N(side/2))
				return err
			})
			load(func(*rand.Rand, int64) error { return m.Flush(context.Background()) })
			r := rand.New(rand.NewPCG(7, 8))
			for range 300 {
				tx, ty := r.Int64N(side), r.Int64N(side)
				x, y := tx*16+r.Int64N(8)*2, ty*16+r.Int64N(8)*2
				if c, err := m.At(x, y); err != nil || c != (RGB{}) {
					continue // written before
				}
				if err := m.WriteRegion([]byte{1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, 6, x, y, 2, 2); err != nil {
					t.Fatal(err)
				}
				for level := 1; level <= 6; level++ {
					lx, ly := x>>level, y>>level
					pix, version, err := m.Tile(level, lx>>4, ly>>4)
					if err != nil {
						t.Fatal(err)
					}
					at := 3 * (ly&15*16 + lx&15)
					if c := (RGB{pix[at], pix[at+1], pix[at+2]}); version == 0 || c != (RGB{1, 0, 0}) {
						t.Fatalf("pixel (%d,%d) of level %d is %v", lx, ly, level, c)
					}
				}
			}
			close(stop)
			others.Wait()
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
