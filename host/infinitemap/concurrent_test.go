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
