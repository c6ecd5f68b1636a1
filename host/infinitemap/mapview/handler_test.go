package mapview

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// ask sends a request as a browser's tab at localhost would; headers come in pairs.
func ask(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "localhost:4711"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestGuard(t *testing.T) {
	h := Handler(newWorld(256, 100), Options{Hosts: []string{"Map.Example"}})
	for _, c := range []struct {
		name    string
		method  string
		target  string
		headers []string
		want    int
	}{
		{"the page", "GET", "/", nil, 200},
		{"head", "HEAD", "/", nil, 200},
		{"IPv4", "GET", "/", []string{"Host", "127.0.0.1:80"}, 200},
		{"IPv4 without port", "GET", "/", []string{"Host", "192.168.1.7"}, 200},
		{"IPv6", "GET", "/", []string{"Host", "[::1]:80"}, 200},
		{"IPv6 without port", "GET", "/", []string{"Host", "[::1]"}, 200},
		{"a name that was allowed", "GET", "/", []string{"Host", "map.example:80"}, 200},
		{"the same with a dot", "GET", "/", []string{"Host", "MAP.example.:80"}, 200},
		{"rebound name", "GET", "/", []string{"Host", "evil.example:4711"}, 421},
		{"rebound name, data", "GET", "/tiles/0/0/0.png", []string{"Host", "evil.example"}, 421},
		{"name that ends like localhost", "GET", "/", []string{"Host", "notlocalhost"}, 421},
		{"name below localhost", "GET", "/", []string{"Host", "evil.localhost"}, 421},
		{"name that looks like an address", "GET", "/", []string{"Host", "127.0.0.1.evil.example"}, 421},
		{"no host", "GET", "/", []string{"Host", ""}, 421},
		{"own origin", "GET", "/api/state", []string{"Origin", "http://localhost:4711"}, 200},
		{"own origin behind TLS", "GET", "/api/state", []string{"Origin", "https://localhost:4711"}, 200},
		{"other port", "GET", "/api/state", []string{"Origin", "http://localhost:80"}, 403},
		{"other origin", "GET", "/api/state", []string{"Origin", "http://evil.example"}, 403},
		{"no origin at all", "GET", "/api/state", []string{"Origin", "null"}, 403},
		{"embedded elsewhere", "GET", "/tiles/0/0/0.png", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"embedded by another port", "GET", "/tiles/0/0/0.png", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"framed data", "GET", "/api/state", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
		{"link from elsewhere", "GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200},
		{"page fetched from elsewhere", "GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}, 403},
		{"own fetch", "GET", "/api/state", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"address bar", "GET", "/", []string{"Sec-Fetch-Site", "none"}, 200},
		{"post", "POST", "/", nil, 405},
		{"put a tile", "PUT", "/tiles/0/0/0.png", nil, 405},
		{"delete", "DELETE", "/api/state", nil, 405},
		{"options", "OPTIONS", "/", nil, 405},
		{"long path", "GET", "/" + strings.Repeat("a", 600), nil, 414},
		{"long query", "GET", "/api/pixel?x=" + strings.Repeat("1", 600), nil, 414},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(h, c.method, c.target, c.headers...)
			if w.Code != c.want {
				t.Fatalf("%d %s, want %d", w.Code, strings.TrimSpace(w.Body.String()), c.want)
			}
			if w.Header().Get("Content-Security-Policy") != contentPolicy || w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cross-Origin-Resource-Policy") != "same-origin" {
				t.Errorf("headers: %v", w.Header())
			}
			if c.want == 405 && w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow: %q", w.Header().Get("Allow"))
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Error("other origins are invited")
			}
		})
	}
}

func TestPaths(t *testing.T) {
	h := Handler(newWorld(256, 100), Options{})
	for target, want := range map[string]int{
		"/assets":                                404,
		"/assets/":                               404,
		"/assets/app.js":                         200,
		"/assets/index.html":                     404,
		"/assets/vendor/":                        404,
		"/assets/vendor/leaflet-1.9.4/VENDOR.md": 404,
		"/assets/vendor/leaflet-1.9.4/LICENSE":   200,
		"/assets/../handler.go":                  307,
		"/index.html":                            404,
		"/favicon.ico":                           200,
		"/tiles/":                                404,
		"/api":                                   404,
		"/api/":                                  404,
		"/tiles/0/0/0.png":                       200,
		"/tiles/0/-1/-1.png":                     200,
		"/tiles/0/0/0":                           404,
		"/tiles/0/0/0.jpg":                       404,
		"/tiles/0/0/0.png?a=1":                   400,
		"/tiles/00/0/0.png":                      404,
		"/tiles/0/+1/0.png":                      404,
		"/tiles/0/01/0.png":                      404,
		"/tiles/0/-0/0.png":                      404,
		"/tiles/-1/0/0.png":                      404,
		"/tiles/0/1e3/0.png":                     404,
		"/tiles/55/0/-1.png":                     200,
		"/tiles/55/1/0.png":                      404,
		"/tiles/55/-2/0.png":                     404,
		"/tiles/56/0/0.png":                      404,
		"/tiles/64/0/0.png":                      404,
		"/tiles/9223372036854775807/0/0.png":     404,
		"/tiles/0/36028797018963967/-36028797018963968.png":                200,
		"/tiles/0/36028797018963968/0.png":                                 404,
		"/tiles/0/9223372036854775808/0.png":                               404,
		"/api/pixel?x=0&y=0":                                               200,
		"/api/pixel?x=9223372036854775807&y=-9223372036854775808&level=55": 200,
		"/api/pixel?x=9223372036854775808&y=0":                             400,
		"/api/pixel?x=0":                                                   400,
		"/api/pixel?x=0&y=0&x=1":                                           400,
		"/api/pixel?x=0&y=0&z=1":                                           400,
		"/api/pixel?x=0&y=0&level=56":                                      400,
		"/api/pixel?x=0&y=0&level=-1":                                      400,
		"/api/pixel?x=0&y=0&level=":                                        400,
		"/api/pixel?x=%zz&y=0":                                             400,
		"/api/state?x=1":                                                   400,
	} {
		t.Run(target, func(t *testing.T) {
			if w := ask(h, "GET", target); w.Code != want {
				t.Errorf("%d %s, want %d", w.Code, strings.TrimSpace(w.Body.String()), want)
			}
		})
	}
}

func TestState(t *testing.T) {
	w := newWorld(512, 0)
	h := Handler(w, Options{Name: "a <b>", RefreshEvery: 1})
	get := func(etag string) (int, stateJSON, string) {
		t.Helper()
		r := ask(h, "GET", "/api/state", "If-None-Match", etag)
		var s stateJSON
		if r.Code == 200 {
			if err := json.Unmarshal(r.Body.Bytes(), &s); err != nil {
				t.Fatal(err)
			}
		}
		return r.Code, s, r.Header().Get("ETag")
	}
	code, s, etag := get("")
	if code != 200 || s.Bounds != nil || s.Name != "a <b>" || s.TileSize != 512 || s.MaxLevel != 54 || s.Generation != "1" {
		t.Fatalf("%d %+v", code, s)
	}
	if code, _, _ := get(`"other", W/` + etag); code != 304 {
		t.Errorf("unchanged state: %d", code)
	}
	w.flush(func(w *world) {
		w.points[point{-1 << 63, -5}] = [3]byte{1, 1, 1}
		w.points[point{7, 1<<63 - 1}] = [3]byte{1, 1, 1}
	})
	code, s, _ = get(etag)
	if code != 200 || s.Generation != "2" || *s.Bounds != (boundsJSON{-1 << 63, -5, 7, 1<<63 - 1}) {
		t.Errorf("after a flush: %d %+v %+v", code, s, s.Bounds)
	}
	if body := ask(h, "GET", "/api/state").Body.String(); !strings.Contains(body, `"min_x":"-9223372036854775808"`) {
		t.Errorf("coordinates are not strings: %s", body)
	}
	w.failing = errors.New("manifest.pxi: cut short")
	if _, s, _ = get(""); s.Problem != "manifest.pxi: cut short" || s.Generation != "2" {
		t.Errorf("after a failed refresh: %+v", s)
	}
}

func TestTile(t *testing.T) {
	for _, side := range []int{16, 64, 256, 512, 1024} {
		t.Run(fmt.Sprint(side), func(t *testing.T) {
			w := newWorld(side, 290)
			h := Handler(w, Options{RefreshEvery: 1})
			for _, level := range []int{0, 1, 3} {
				for _, at := range []place{{level, 0, 0}, {level, -1, 0}, {level, -2, 1}, {level, 1, -1}} {
					r := ask(h, "GET", fmt.Sprintf("/tiles/%d/%d/%d.png", at.level, at.vx, at.vy))
					img, err := png.Decode(r.Body)
					if err != nil || r.Header().Get("Content-Type") != "image/png" {
						t.Fatal(err, r.Header())
					}
					for i := 0; i < viewSize*viewSize; i += 97 {
						x, y := at.vx*viewSize+int64(i%viewSize), at.vy*viewSize+int64(i/viewSize)
						half := int64(1) << level / 2
						want, _ := w.land(x<<level+half, y<<level+half)
						red, g, b, _ := img.At(i%viewSize, i/viewSize).RGBA()
						if got := [3]byte{byte(red >> 8), byte(g >> 8), byte(b >> 8)}; got != want {
							t.Fatalf("%v: pixel %d is %v, want %v", at, i, got, want)
						}
					}
					p := ask(h, "GET", fmt.Sprintf("/api/pixel?x=%d&y=%d&level=%d", at.vx<<(level+8), at.vy<<(level+8), level))
					red, g, b, _ := img.At(0, 0).RGBA()
					if want := `"hex":"` + hexOf(byte(red>>8), byte(g>>8), byte(b>>8)) + `"`; !strings.Contains(p.Body.String(), want) {
						t.Errorf("%v: the pixel is %s, its tile says %s", at, p.Body, want)
					}
				}
			}
		})
	}
}

func TestTileETag(t *testing.T) {
	w := newWorld(64, 300)
	opt := Options{RefreshEvery: 1}
	h := Handler(w, opt)
	first := ask(h, "GET", "/tiles/0/0/0.png")
	etag := first.Header().Get("ETag")
	if first.Code != 200 || etag == "" || first.Header().Get("Cache-Control") != "no-cache" {
		t.Fatalf("%d %v", first.Code, first.Header())
	}
	again := ask(h, "GET", "/tiles/0/0/0.png", "If-None-Match", etag)
	if again.Code != 304 || again.Body.Len() != 0 {
		t.Errorf("unchanged: %d", again.Code)
	}
	if head := ask(h, "HEAD", "/tiles/0/0/0.png"); head.Body.Len() != 0 || head.Header().Get("Content-Length") != fmt.Sprint(first.Body.Len()) || head.Header().Get("ETag") != etag {
		t.Errorf("HEAD: %v", head.Header())
	}
	if other := ask(Handler(w, opt), "GET", "/tiles/0/0/0.png", "If-None-Match", etag); other.Code != 200 {
		t.Errorf("another server knows the ETag: %d", other.Code)
	}
	w.flush(func(w *world) { w.points[point{200, 200}] = [3]byte{9, 9, 9} })
	ask(h, "GET", "/api/state")
	changed := ask(h, "GET", "/tiles/0/0/0.png", "If-None-Match", etag)
	if changed.Code != 200 || changed.Header().Get("ETag") == etag || bytes.Equal(changed.Body.Bytes(), first.Body.Bytes()) {
		t.Errorf("after a flush: %d %v", changed.Code, changed.Header())
	}
	if black := ask(h, "GET", "/tiles/0/99/99.png"); black.Header().Get("ETag") != blackETag || black.Body.Len() > 300 {
		t.Errorf("a black tile: %v", black.Header())
	}
}

func TestDamage(t *testing.T) {
	for _, side := range []int{64, 256, 1024} {
		w := newWorld(side, 300)
		w.bad[place{0, 0, 0}] = "tile (0,0): CRC-32C\r\nX-Evil: 1 “differs” " + strings.Repeat("é", 900)
		h := Handler(w, Options{})
		r := ask(h, "GET", "/tiles/0/0/0.png", "If-None-Match", "*")
		why, err := url.PathUnescape(r.Header().Get("X-Tile-Damage"))
		if r.Code != 200 || err != nil || !strings.HasPrefix(why, "tile (0,0): CRC-32C") || r.Header().Get("ETag") != "" || r.Header().Get("Cache-Control") != "no-store" || r.Header().Get("X-Evil") != "" {
			t.Fatalf("side %d: %d %v %v", side, r.Code, err, r.Header())
		}
		img, err := png.Decode(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if red, g, _, _ := img.At(0, 0).RGBA(); red>>8 != 0xFF || g>>8 != 0x5C {
			t.Errorf("side %d: no frame", side)
		}
		// Beside the damage, the map's own pixels.
		want, _ := w.land(70, 70)
		red, g, b, _ := img.At(70, 70).RGBA()
		if got := [3]byte{byte(red >> 8), byte(g >> 8), byte(b >> 8)}; side == 64 && got != want {
			t.Errorf("the tile beside is %v, want %v", got, want)
		}
		if p := ask(h, "GET", "/api/pixel?x=3&y=3"); p.Code != 200 || !strings.Contains(p.Body.String(), `"damage"`) || strings.Contains(p.Body.String(), `"hex"`) {
			t.Errorf("the pixel: %d %s", p.Code, p.Body)
		}
		if p := ask(h, "GET", "/tiles/0/-1/-1.png"); p.Header().Get("X-Tile-Damage") != "" && side != 1024 {
			t.Error("the damage is everywhere")
		}
	}
}

// A source that breaks its contract is an error, not a crash.
func TestBrokenSource(t *testing.T) {
	if w := ask(Handler(newWorld(100, 10), Options{}), "GET", "/api/state"); w.Code != 500 {
		t.Errorf("tile size 100: %d", w.Code)
	}
	w := newWorld(256, 0)
	w.made = map[place]tileOf{{0, 0, 0}: {make([]byte, 5), 1}}
	if r := ask(Handler(w, Options{}), "GET", "/tiles/0/0/0.png"); r.Header().Get("X-Tile-Damage") == "" {
		t.Error("a short tile is no damage")
	}
}

func TestCacheIsBounded(t *testing.T) {
	w := newWorld(256, 4000)
	s := Handler(w, Options{CacheBytes: 300 << 10}).(*guard)
	var wait sync.WaitGroup
	for i := range 40 {
		wait.Go(func() {
			if r := ask(s, "GET", fmt.Sprintf("/tiles/2/%d/%d.png", i%8-4, i/8-4)); r.Code != 200 {
				t.Error(r.Code)
			}
		})
	}
	wait.Wait()
	c := newPNGCache(1000)
	for i := range 10 {
		c.put(place{0, int64(i), 0}, "a", make([]byte, 100))
	}
	if c.bytes > 1000 || c.order.Len() != len(c.at) || c.order.Len() != 2 {
		t.Errorf("%d bytes, %d entries", c.bytes, c.order.Len())
	}
	if c.get(place{0, 9, 0}, "a") == nil || c.get(place{0, 9, 0}, "b") != nil || c.get(place{0, 0, 0}, "a") != nil {
		t.Error("the wrong tiles were kept")
	}
	c.put(place{0, 9, 0}, "b", make([]byte, 50))
	if c.get(place{0, 9, 0}, "b") == nil || c.order.Len() != 2 {
		t.Error("a new version did not replace the old one")
	}
	c.put(place{0, 1, 1}, "a", make([]byte, 5000))
	if c.bytes != 0 || len(c.at) != 0 {
		t.Errorf("a file larger than the cache leaves %d bytes", c.bytes)
	}
}

// What the page loads is what was vendored: the hashes in the page, in VENDOR.md and of
// the files are the same.
func TestVendored(t *testing.T) {
	page, _ := web.ReadFile("web/index.html")
	notes, _ := web.ReadFile("web/vendor/leaflet-1.9.4/VENDOR.md")
	for _, name := range []string{"leaflet.js", "leaflet.css"} {
		body, err := web.ReadFile("web/vendor/leaflet-1.9.4/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha512.Sum384(body)
		hash := base64.StdEncoding.EncodeToString(sum[:])
		if !bytes.Contains(page, []byte(`/assets/vendor/leaflet-1.9.4/`+name+`" integrity="sha384-`+hash+`"`)) {
			t.Errorf("index.html has another hash of %s than sha384-%s", name, hash)
		}
		if !bytes.Contains(notes, []byte("| `"+name+"`, sha384 | `"+hash+"` |")) {
			t.Errorf("VENDOR.md has another hash of %s than %s", name, hash)
		}
	}
	if len(assets()) < 12 {
		t.Errorf("only %d files are served", len(assets()))
	}
	// The policy allows no inline script or style, so there must be none.
	for _, bad := range []string{"<script>", " style=", " onclick=", "javascript:"} {
		if bytes.Contains(page, []byte(bad)) {
			t.Errorf("index.html has %q", bad)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("GET", "/tiles/0/0/0.png", "localhost", "")
	f.Add("HEAD", "/api/pixel?x=1&y=2&level=55", "[::1]:1", "http://[::1]:1")
	f.Add("GET", "/../x", "[", "null")
	h := Handler(newWorld(16, 60), Options{})
	f.Fuzz(func(t *testing.T, method, target, host, origin string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || method == "" {
			return
		}
		r := &http.Request{Method: method, URL: u, Host: host, Header: http.Header{"Origin": {origin}}, RequestURI: target}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == 500 {
			t.Errorf("%s %s: %s", method, target, w.Body)
		}
		if w.Code == 200 && (method != "GET" && method != "HEAD") {
			t.Errorf("%s was answered", method)
		}
	})
}
