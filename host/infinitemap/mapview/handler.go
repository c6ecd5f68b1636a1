package mapview

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options are what the page should know beyond its map. The zero value is a good one.
type Options struct {
	// Name is shown in the title and in the hints for the command line.
	Name string
	// Hosts are names, without a port, by which browsers may call this server, besides
	// localhost and IP addresses.
	Hosts []string
	// CacheBytes bounds the encoded tiles that are kept; 0 means 32 MiB.
	CacheBytes int64
	// RefreshEvery is the shortest time between two calls of Source.Refresh, however
	// many pages ask; 0 means 250 ms.
	RefreshEvery time.Duration
}

const (
	defaultCache   = 32 << 20
	defaultRefresh = 250 * time.Millisecond
)

// Handler serves the page of a map and the data it asks for. The source stays the
// caller's to close, after the server has shut down.
func Handler(source Source, opt Options) http.Handler {
	if opt.CacheBytes == 0 {
		opt.CacheBytes = defaultCache
	}
	if opt.RefreshEvery == 0 {
		opt.RefreshEvery = defaultRefresh
	}
	g := &guard{}
	for _, h := range opt.Hosts {
		g.hosts = append(g.hosts, strings.TrimSuffix(strings.ToLower(h), "."))
	}
	mux := http.NewServeMux()
	for path, a := range assets() {
		mux.Handle("GET "+path, a)
	}
	bits, err := tileBits(source)
	if err != nil {
		fail := func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
		mux.HandleFunc("GET /api/", fail)
		mux.HandleFunc("GET /tiles/", fail)
		g.next = mux
		return g
	}
	s := &server{
		opt:     opt,
		paint:   painter{src: source, bits: bits},
		top:     topLevel(bits),
		pngs:    newPNGCache(opt.CacheBytes),
		working: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	rand.Read(s.paint.salt[:])
	mux.HandleFunc("GET /api/state", s.state)
	mux.HandleFunc("GET /api/pixel", s.pixel)
	mux.HandleFunc("GET /tiles/{level}/{x}/{y}", s.tile)
	g.next = mux
	return g
}

type server struct {
	opt     Options
	top     int // highest level
	pngs    *pngCache
	working chan struct{} // as many tiles are drawn at once as there are processors

	// view is held for writing while the source moves to another state, so that one
	// answer never speaks of two.
	view  sync.RWMutex
	paint painter

	refresh   sync.Mutex
	refreshed time.Time
	problem   string // why the last Refresh failed
}

// refreshSoon moves the source on, unless that was tried a moment ago.
func (s *server) refreshSoon() (problem string) {
	s.refresh.Lock()
	defer s.refresh.Unlock()
	if now := time.Now(); s.refreshed.IsZero() || now.Sub(s.refreshed) >= s.opt.RefreshEvery {
		s.view.Lock()
		err := s.paint.src.Refresh()
		s.view.Unlock()
		s.refreshed, s.problem = now, ""
		if err != nil {
			s.problem = err.Error()
		}
	}
	return s.problem
}

type stateJSON struct {
	Name       string      `json:"name"`
	Server     string      `json:"server"` // another one after every start
	Generation string      `json:"generation"`
	TileSize   int         `json:"tile_size"`
	MaxLevel   int         `json:"max_level"`
	Bounds     *boundsJSON `json:"bounds"` // null for an empty map
	Stats      []Stat      `json:"stats"`
	Problem    string      `json:"problem"`
}

type boundsJSON struct {
	MinX int64 `json:"min_x,string"`
	MinY int64 `json:"min_y,string"`
	MaxX int64 `json:"max_x,string"`
	MaxY int64 `json:"max_y,string"`
}

func (s *server) state(w http.ResponseWriter, r *http.Request) {
	if _, ok := query(w, r); !ok {
		return
	}
	problem := s.refreshSoon()
	s.view.RLock()
	src := s.paint.src
	out := stateJSON{
		Name: s.opt.Name, Generation: strconv.FormatUint(src.Generation(), 10),
		Server: etagOf(s.paint.salt[:])[1:9], TileSize: src.TileSize(), MaxLevel: s.top,
		Stats: src.Stats(), Problem: problem,
	}
	x0, y0, x1, y1, ok, err := src.Bounds()
	if err != nil {
		// Where content ends is not known, so it may be anywhere.
		out.Problem = err.Error()
		x0, y0, x1, y1, ok = math.MinInt64, math.MinInt64, math.MaxInt64, math.MaxInt64, true
	}
	if ok {
		out.Bounds = &boundsJSON{x0, y0, x1, y1}
	}
	s.view.RUnlock()
	if out.Stats == nil {
		out.Stats = []Stat{}
	}
	writeJSON(w, r, out)
}

type pixelJSON struct {
	X      int64  `json:"x,string"`
	Y      int64  `json:"y,string"`
	Level  int    `json:"level"`
	Hex    string `json:"hex,omitempty"` // "#rrggbb"
	RGB    []int  `json:"rgb,omitempty"`
	Damage string `json:"damage,omitempty"`
}

func (s *server) pixel(w http.ResponseWriter, r *http.Request) {
	q, ok := query(w, r, "x", "y", "level")
	if !ok {
		return
	}
	level := int64(0)
	x, okX := parseInt(q.Get("x"))
	y, okY := parseInt(q.Get("y"))
	okL := true
	if q.Has("level") {
		level, okL = parseInt(q.Get("level"))
	}
	if !okX || !okY || !okL || level < 0 || level > int64(s.top) {
		http.Error(w, fmt.Sprintf("x and y must be whole numbers from -2^63 to 2^63-1, level one from 0 to %d", s.top), http.StatusBadRequest)
		return
	}
	out := pixelJSON{X: x, Y: y, Level: int(level)}
	s.view.RLock()
	c, err := s.paint.colour(int(level), x>>level, y>>level)
	s.view.RUnlock()
	if err != nil {
		out.Damage = err.Error()
	} else {
		const digits = "0123456789abcdef"
		hex := []byte{'#'}
		for _, v := range c {
			hex = append(hex, digits[v>>4], digits[v&15])
			out.RGB = append(out.RGB, int(v))
		}
		out.Hex = string(hex)
	}
	writeJSON(w, r, out)
}

func (s *server) tile(w http.ResponseWriter, r *http.Request) {
	if _, ok := query(w, r); !ok {
		return
	}
	name, png := strings.CutSuffix(r.PathValue("y"), ".png")
	level, okL := parseInt(r.PathValue("level"))
	vx, okX := parseInt(r.PathValue("x"))
	vy, okY := parseInt(name)
	if !png || !okL || !okX || !okY || level < 0 || level > int64(s.top) || !onPlane(int(level), vx, vy) {
		http.Error(w, fmt.Sprintf("no such tile: /tiles/LEVEL/X/Y.png with LEVEL from 0 to %d and X, Y on the plane", s.top), http.StatusNotFound)
		return
	}
	select {
	case s.working <- struct{}{}:
		defer func() { <-s.working }()
	case <-r.Context().Done():
		return
	}
	at := place{int(level), vx, vy}
	s.view.RLock()
	pic := s.paint.picture(at)
	s.view.RUnlock()
	w.Header().Set("Content-Type", "image/png")
	if pic.damage != nil {
		w.Header().Set("X-Tile-Damage", url.PathEscape(clip(pic.damage.Error(), 400)))
		serve(w, r, encodePNG(pic.rgb, viewSize, viewSize))
		return
	}
	if keep(w, r, pic.etag) {
		return
	}
	if pic.rgb == nil {
		serve(w, r, blackPNG())
		return
	}
	file := s.pngs.get(at, pic.etag)
	if file == nil {
		file = encodePNG(pic.rgb, viewSize, viewSize)
		s.pngs.put(at, pic.etag, file)
	}
	serve(w, r, file)
}

var blackPNG = sync.OnceValue(func() []byte { return encodePNG(make([]byte, tileLen), viewSize, viewSize) })

// query parses the parameters of a request and refuses those it does not know, and any
// that come twice.
func query(w http.ResponseWriter, r *http.Request, known ...string) (url.Values, bool) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	ok := err == nil
	left := len(q)
	for _, k := range known {
		if v, has := q[k]; has {
			left--
			ok = ok && len(v) == 1
		}
	}
	if !ok || left > 0 {
		http.Error(w, "unknown or repeated parameters", http.StatusBadRequest)
		return nil, false
	}
	return q, true
}

// parseInt reads the one spelling that an int64 has: no plus sign, no leading zeros.
func parseInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == s
}

// clip cuts a text to about n bytes without splitting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

func writeJSON(w http.ResponseWriter, r *http.Request, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if keep(w, r, etagOf(body)) {
		return
	}
	serve(w, r, body)
}

func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
}

// keep lets the browser keep an answer under its ETag, to be asked about each time. It
// reports true, with 304 sent, when the browser has it already.
func keep(w http.ResponseWriter, r *http.Request, etag string) bool {
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "no-cache")
	for have := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if have = strings.TrimPrefix(strings.TrimSpace(have), "W/"); have == etag || have == "*" {
			w.Header().Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

func serve(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		bytes.NewReader(body).WriteTo(w)
	}
}
