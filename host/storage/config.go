package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/infinitemap"
	"github.com/pxos/pxos/host/pixelfs"
)

// Guest is where a guest sees its pixel files.
const Guest = "/pixelfs"

// Config says where a run's files and maps are and what it may do with them.
type Config struct {
	// Files is the directory of the namespace's pixel files, Maps that in which each map
	// is a directory. They are made when they are first needed.
	Files string `json:"files"`
	Maps  string `json:"maps"`
	// Overlay, when not empty, is a directory that takes every change instead: files in
	// OverlayFiles below it, each map in OverlayMaps.
	Overlay string `json:"overlay,omitempty"`
	// About is a file to write, where it is missing, before anything is opened, and
	// AboutOverlay one to write before anything is made in the overlay.
	About        *Note `json:"about,omitempty"`
	AboutOverlay *Note `json:"about_overlay,omitempty"`

	// Granted is what the run may do; kinds other than CapPixelFS and CapInfiniteMap
	// have no meaning here.
	Granted []abi.Capability `json:"granted"`
	// Handles bounds the files and maps that are open at once through host functions.
	Handles int64 `json:"handles"`

	Policy
}

// Policy is what the owner decided about pixel storage.
type Policy struct {
	QuotaBytes  int64         `json:"quota_bytes,omitempty"` // of a namespace's files, versions and trash; 0: no bound
	QuotaFiles  int64         `json:"quota_files,omitempty"` // of all of them; 0: no bound
	Keep        int64         `json:"keep,omitempty"`        // versions that stay when the quota is reached; 0: all
	MaxAge      time.Duration `json:"max_age,omitempty"`     // age that versions reach before they go then; 0: any
	Compression string        `json:"compression,omitempty"` // auto, none, rle or lz4; empty: auto

	// Of a namespace's maps together, and once more of what a run has changed and not
	// flushed beyond its caches; 0: no bound.
	MapQuotaBytes int64 `json:"map_quota_bytes,omitempty"`
	CacheBytes    int64 `json:"cache_bytes,omitempty"` // for the tiles of one open map; 0: infinitemap.DefaultCacheBytes
}

// Note is a small file that describes what lies beside it.
type Note struct {
	Path string          `json:"path"`
	Data json.RawMessage `json:"data"`
}

// The directories in an overlay.
const (
	OverlayFiles = "pixelfs"
	OverlayMaps  = "maps"
)

// Uses reports whether a list grants anything of this package.
func Uses(granted []abi.Capability) bool {
	for _, c := range granted {
		if c.Kind == abi.CapPixelFS || c.Kind == abi.CapInfiniteMap {
			return true
		}
	}
	return false
}

// Session is the storage of one run. The guest calls it on one goroutine; End and Close
// may be called from another.
type Session struct {
	cfg     Config
	options pixelfs.Options
	areas   []mapGrant
	quota   *infinitemap.Quota // of the maps that it changes

	shut  atomic.Bool // of the gate
	ended atomic.Bool

	mu      sync.Mutex
	tree    tree
	files   handles[*file]
	maps    handles[*mapHandle]
	open    map[string]*mapNode
	closed  bool
	scratch scratch
	// described says which notes were written.
	described [2]bool
}

// Open checks the configuration. It opens and makes nothing.
func (c Config) Open() (*Session, error) {
	s := &Session{cfg: c, open: map[string]*mapNode{}}
	var err error
	if s.options, err = c.FileOptions(); err != nil {
		return nil, err
	}
	s.tree = tree{s: s}
	s.quota = c.MapQuota(c.Maps)
	if c.Overlay != "" {
		s.quota = c.MapQuota(filepath.Join(c.Overlay, OverlayMaps))
	}
	s.quota.Unflushed = c.MapQuotaBytes
	for _, g := range c.Granted {
		switch g.Kind {
		case abi.CapPixelFS:
			name, err := clean(g.Path)
			if err != nil {
				return nil, fmt.Errorf("capability %s: %w", g, err)
			}
			s.tree.grants = append(s.tree.grants, grant{name, g.Mode == abi.ModeWrite})
		case abi.CapInfiniteMap:
			area, err := g.Extent()
			if err != nil {
				return nil, fmt.Errorf("capability %s: %w", g, err)
			}
			s.areas = append(s.areas, mapGrant{g.Name, g.Mode == abi.ModeWrite, area})
		}
	}
	return s, nil
}

// FileOptions are the options of a store of pixel files under the policy.
func (p Policy) FileOptions() (pixelfs.Options, error) {
	c, err := compression(p.Compression)
	return pixelfs.Options{
		Quota:       pixelfs.Quota{Bytes: p.QuotaBytes, Files: p.QuotaFiles},
		Retention:   pixelfs.Retention{Keep: int(p.Keep), MaxAge: p.MaxAge},
		Compression: c,
		Scratch:     Scratch,
	}, err
}

// MapOptions are the options of a map under the policy.
func (p Policy) MapOptions() (infinitemap.Options, error) {
	c, err := compression(p.Compression)
	return infinitemap.Options{CacheBytes: p.CacheBytes, Compression: c, NoCompression: c == pxi.None}, err
}

// MapQuota is the policy's bound of the maps in a directory, which need not be there.
func (p Policy) MapQuota(dir string) *infinitemap.Quota {
	return &infinitemap.Quota{Bytes: p.MapQuotaBytes, Dir: func() (disk.FS, error) { return disk.Open(dir) }}
}

func compression(name string) (pxi.Compression, error) {
	switch name {
	case "", "auto":
		return pxi.Auto, nil
	case "none":
		return pxi.None, nil
	case "rle":
		return pxi.RLE, nil
	case "lz4":
		return pxi.LZ4, nil
	}
	return 0, fmt.Errorf("compression %q: choose auto, none, rle or lz4", name)
}

// Families returns the host functions of this package. They work in runs whose services
// are those of a Session.
func Families() []engine.Family { return []engine.Family{filesFamily(), mapsFamily()} }

// Services returns what engine.RunConfig.Services is to have.
func (s *Session) Services() map[string]any {
	return map[string]any{"pixelfs": s, "infinitemap": s}
}

// Mounts returns the directory of the pixel files, if any of them were granted.
func (s *Session) Mounts() []engine.Mount {
	if len(s.tree.grants) == 0 {
		return nil
	}
	return []engine.Mount{{Guest: Guest, FS: &mount{s: s}}}
}

// End is for engine.RunConfig.Ending. What a guest left open is committed when it ended
// by itself, at Close; of a guest that was stopped, nothing reaches the disk from here on
// that was not committed before.
func (s *Session) End(byItself bool) {
	if !byItself {
		s.shut.Store(true)
	}
	s.ended.Store(true)
}

// Close commits and closes what the guest left open. After a guest that was stopped, or
// that is not known to have ended, it commits nothing. The error says what could not be
// committed.
func (s *Session) Close() error {
	if !s.ended.Load() {
		s.shut.Store(true) // before the lock, so that a call under way ends sooner
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, n := range s.open {
		if n.writers > 0 && !s.shut.Load() {
			if err := n.flush(); err != nil {
				errs = append(errs, fmt.Errorf("map %q: %w", n.name, err))
			}
		}
		errs = append(errs, n.m.Close())
	}
	s.open = nil
	errs = append(errs, s.tree.close())
	if s.shut.Load() {
		return nil
	}
	return errors.Join(errs...)
}

// begin prepares the disk for the first use of storage in a run, and beginOverlay for
// the first change of a sandboxed one.
func (s *Session) begin() error        { return s.write(s.cfg.About, &s.described[0]) }
func (s *Session) beginOverlay() error { return s.write(s.cfg.AboutOverlay, &s.described[1]) }

func (s *Session) write(n *Note, done *bool) error {
	if n == nil || *done {
		return nil
	}
	err := n.make()
	*done = err == nil
	return err
}

func (n *Note) make() error {
	if _, err := os.Lstat(n.Path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(n.Path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(n.Path), ".note-*")
	if err != nil {
		return err
	}
	_, err = f.Write(n.Data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), n.Path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// handles are what a guest has open of one kind. Numbers begin with 1 and are not given
// twice, so that a stale one finds nothing.
type handles[T any] struct {
	list map[uint32]T
	last uint32
}

func (h *handles[T]) add(v T) uint32 {
	if h.list == nil {
		h.list = map[uint32]T{}
	}
	for {
		h.last++
		if _, taken := h.list[h.last]; h.last != 0 && !taken {
			break
		}
	}
	h.list[h.last] = v
	return h.last
}

// room reports whether one more thing may be open.
func (s *Session) room() bool {
	return int64(len(s.files.list)+len(s.maps.list)) < s.cfg.Handles
}
