package mapview

import (
	"embed"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed web
var web embed.FS

// types are the files that are served, by their suffix; others, such as VENDOR.md, are
// for people who read the source.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// asset is one file of the page.
type asset struct {
	kind string
	etag string
	body []byte
}

// assets are the files by the path in their URL, each registered by its own name: there
// is no folder that could be listed or left.
var assets = sync.OnceValue(loadAssets)

func loadAssets() map[string]*asset {
	out := make(map[string]*asset)
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := web.ReadDir(dir)
		if err != nil {
			panic(err) // the files are part of this program
		}
		for _, e := range entries {
			name := dir + "/" + e.Name()
			if e.IsDir() {
				walk(name)
				continue
			}
			kind, ok := types[path.Ext(name)]
			if !ok && e.Name() != "LICENSE" {
				continue
			}
			if !ok {
				kind = "text/plain; charset=utf-8"
			}
			body, err := web.ReadFile(name)
			if err != nil {
				panic(err)
			}
			a := &asset{kind, etagOf(body), body}
			out["/assets"+strings.TrimPrefix(name, "web")] = a
		}
	}
	walk("web")
	// "{$}" means this path alone.
	out["/{$}"] = out["/assets/index.html"]
	delete(out, "/assets/index.html")
	// Browsers ask for this one on their own.
	out["/favicon.ico"] = out["/assets/icon.svg"]
	return out
}

func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.kind)
	if !keep(w, r, a.etag) {
		serve(w, r, a.body)
	}
}
