package mapview

import (
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/infinitemap"
)

// plane makes a map on the disk, filled by paint and flushed, and returns it with a
// second one that only reads.
func plane(t testing.TB, tile int, paint func(m *infinitemap.Map)) (writer, reader *infinitemap.Map) {
	t.Helper()
	fsys, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	writer, err = infinitemap.Open(fsys, infinitemap.Options{TileSize: tile})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { writer.Close() })
	if paint != nil {
		paint(writer)
	}
	if err := writer.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	reader, err = infinitemap.Open(fsys, infinitemap.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	return writer, reader
}

// island paints the test's world into a map, 2·radius pixels a side.
func island(t testing.TB, radius int64) func(m *infinitemap.Map) {
	return func(m *infinitemap.Map) {
		w := newWorld(256, radius)
		for ty := -radius / 256; ty < radius/256; ty++ {
			for tx := -radius / 256; tx < radius/256; tx++ {
				rgb, version, _ := w.Tile(0, tx, ty)
				if version == 0 {
					continue
				}
				if err := m.WriteRegion(rgb, 3*256, tx*256, ty*256, 256, 256); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestFromMap(t *testing.T) {
	for _, tile := range []int{16, 256, 1024} {
		t.Run(fmt.Sprint(tile), func(t *testing.T) {
			ends := []infinitemap.Point{{X: -1 << 63, Y: -1 << 63}, {X: 1<<63 - 1, Y: 1<<63 - 1}, {X: -1, Y: 0}}
			writer, reader := plane(t, tile, func(m *infinitemap.Map) {
				for i, p := range ends {
					if err := m.Set(p.X, p.Y, infinitemap.RGB{R: byte(10 + i), G: 20, B: 30}); err != nil {
						t.Fatal(err)
					}
				}
			})
			h := Handler(FromMap(reader), Options{RefreshEvery: 1})
			var s stateJSON
			if err := json.Unmarshal(ask(h, "GET", "/api/state").Body.Bytes(), &s); err != nil {
				t.Fatal(err)
			}
			if s.Bounds == nil || *s.Bounds != (boundsJSON{-1 << 63, -1 << 63, 1<<63 - 1, 1<<63 - 1}) || s.TileSize != tile {
				t.Errorf("state: %+v %+v", s, s.Bounds)
			}
			if i := slices.IndexFunc(s.Stats, func(s Stat) bool { return s.Name == "Tiles with content" }); i < 0 || s.Stats[i].Value != "3" {
				t.Errorf("stats: %v", s.Stats)
			}
			for i, p := range ends {
				for _, level := range []int{0, 1, 30, s.MaxLevel} {
					x, y := p.X>>level<<level, p.Y>>level<<level
					r := ask(h, "GET", fmt.Sprintf("/api/pixel?x=%d&y=%d&level=%d", x, y, level))
					if want := fmt.Sprintf(`"hex":"#%02x141e"`, 10+i); !strings.Contains(r.Body.String(), want) {
						t.Errorf("level %d at %v: %s, want %s", level, p, r.Body, want)
					}
					tile := ask(h, "GET", fmt.Sprintf("/tiles/%d/%d/%d.png", level, p.X>>level>>8, p.Y>>level>>8))
					img, err := png.Decode(tile.Body)
					if err != nil {
						t.Fatal(err)
					}
					if red, _, _, _ := img.At(int(p.X>>level&255), int(p.Y>>level&255)).RGBA(); int(red>>8) != 10+i {
						t.Errorf("level %d at %v: the tile has red %d, want %d", level, p, red>>8, 10+i)
					}
				}
			}
			// A flush of the writer shows, and only what it changed has another ETag.
			at := fmt.Sprintf("/tiles/0/%d/%d.png", ends[0].X>>8, ends[0].Y>>8)
			same, changed := ask(h, "GET", at).Header().Get("ETag"), ask(h, "GET", "/tiles/0/-1/0.png").Header().Get("ETag")
			if err := writer.Set(-1, 0, infinitemap.RGB{R: 255}); err != nil {
				t.Fatal(err)
			}
			if err := writer.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			if ask(h, "GET", "/api/state").Code != 200 {
				t.Fatal("no state")
			}
			if r := ask(h, "GET", at, "If-None-Match", same); r.Code != 304 {
				t.Errorf("what did not change: %d", r.Code)
			}
			if r := ask(h, "GET", "/tiles/0/-1/0.png", "If-None-Match", changed); r.Code != 200 {
				t.Errorf("what changed: %d", r.Code)
			}
			if r := ask(h, "GET", "/api/pixel?x=-1&y=0"); !strings.Contains(r.Body.String(), "#ff0000") {
				t.Errorf("the pixel: %s", r.Body)
			}
		})
	}
}

// The page shows a real map, and what its writer flushes meanwhile.
func TestPageRealMap(t *testing.T) {
	writer, reader := plane(t, 256, island(t, 1280))
	b := newBrowser(t, Handler(FromMap(reader), Options{Name: "island"}), 1280, 800)
	b.open("#-200,-310,0")
	want, err := writer.At(-200, -310)
	if err != nil {
		t.Fatal(err)
	}
	b.shows("-200", "-310", hexOf(want.R, want.G, want.B))
	if err := writer.Set(-200, -310, infinitemap.RGB{R: 255, G: 0, B: 128}); err != nil {
		t.Fatal(err)
	}
	if err := writer.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.shows("-200", "-310", "#ff0080")
	b.key("f")
	b.settled()
	b.until(`document.getElementById("minimap").hidden`, "false")
	b.picture("island")
	b.quiet()
}

// BenchmarkTiles asks for the 60 tiles that fill a large window, over HTTP with six
// connections as a browser does: once as nothing is cached, once as everything is, once
// as the browser has them.
func BenchmarkTiles(b *testing.B) {
	_, reader := plane(b, 256, island(b, 2560))
	for _, level := range []int{0, 1, 2, 40} {
		var urls []string
		for y := range 6 {
			for x := range 10 {
				urls = append(urls, fmt.Sprintf("/tiles/%d/%d/%d.png", level, x-5, y-3))
			}
		}
		all := func(b *testing.B, base string, etags map[string]string, mu *sync.Mutex) {
			jobs := make(chan string)
			var wait sync.WaitGroup
			for range 6 {
				wait.Go(func() {
					for u := range jobs {
						r, err := http.NewRequest("GET", base+u, nil)
						if err != nil {
							b.Error(err)
							return
						}
						mu.Lock()
						if e := etags[u]; e != "" {
							r.Header.Set("If-None-Match", e)
						}
						mu.Unlock()
						answer, err := http.DefaultClient.Do(r)
						if err != nil {
							b.Error(err)
							return
						}
						if _, err := png.Decode(answer.Body); err != nil && answer.StatusCode == 200 {
							b.Error(err)
						}
						answer.Body.Close()
						mu.Lock()
						etags[u] = answer.Header.Get("ETag")
						mu.Unlock()
					}
				})
			}
			for _, u := range urls {
				jobs <- u
			}
			close(jobs)
			wait.Wait()
		}
		for _, how := range []string{"new", "encoded", "unchanged"} {
			b.Run(fmt.Sprintf("level %d/%s", level, how), func(b *testing.B) {
				var mu sync.Mutex
				var server *httptest.Server
				for b.Loop() {
					b.StopTimer()
					if server == nil || how == "new" {
						if server != nil {
							server.Close()
						}
						server = httptest.NewServer(Handler(FromMap(reader), Options{}))
					}
					etags := map[string]string{}
					if how != "new" {
						all(b, server.URL, etags, &mu)
					}
					if how == "encoded" {
						clear(etags)
					}
					b.StartTimer()
					all(b, server.URL, etags, &mu)
				}
				server.Close()
				b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/60tiles")
			})
		}
	}
}

// BenchmarkFirstPicture measures, inside Chromium, the time from the navigation to the
// last tile of the first picture.
func BenchmarkFirstPicture(b *testing.B) {
	_, reader := plane(b, 256, island(b, 2560))
	tab := newBrowser(b, Handler(FromMap(reader), Options{Name: "island"}), 1920, 1080)
	total := 0.0
	n := 0
	for b.Loop() {
		tab.run(chromedp.Navigate("about:blank"), chromedp.Navigate(tab.base+"/#0,0,0"))
		tab.until(`performance.getEntriesByName("picture").length > 0`, "true")
		var ms float64
		fmt.Sscan(tab.eval(`performance.getEntriesByName("picture")[0].startTime`), &ms)
		total += ms
		n++
	}
	b.ReportMetric(total/float64(n), "ms/picture")
	b.ReportMetric(float64(tab.count("/tiles/"))/float64(n), "tiles")
}
