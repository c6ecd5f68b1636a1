package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/infinitemap"
)

// maxMaps bounds the maps that a run has open at once: each has a cache of its own.
const maxMaps = 8

// mapManifest is the file that makes a directory a map (INFINITEMAP.md).
const mapManifest = "manifest.pxi"

// mapGrant is what a run may do with a map, or with all of them.
type mapGrant struct {
	name  string // or abi.AnyMap
	write bool
	area  abi.Area
}

func (g mapGrant) covers(name string) bool { return g.name == abi.AnyMap || g.name == name }

// mapNode is a map that a run has open, whatever the number of handles: they share its
// state, so that each sees what the others write.
type mapNode struct {
	s       *Session
	name    string
	m       *infinitemap.Map
	refs    int
	writers int
}

// mapHandle is an open map of the family infinitemap, with the areas that the run may
// read and write through it.
type mapHandle struct {
	*mapNode
	write         bool
	areas, change []abi.Area
	closed        bool
}

func (s *Session) mapDir(name string) string { return filepath.Join(s.cfg.Maps, name) }

func (s *Session) overlayMapDir(name string) string {
	return filepath.Join(s.cfg.Overlay, OverlayMaps, name)
}

// existing opens the directory of a map, if there is one in it.
func (s *Session) existing(dir string) (disk.FS, error) {
	fsys, err := disk.Open(dir)
	if err != nil {
		return nil, err
	}
	if _, err := fsys.Lstat(mapManifest); err != nil {
		return nil, err
	}
	return gate{fsys, &s.shut}, nil
}

// openMap opens a map for reading or writing; create makes it when there is none.
func (s *Session) openMap(name string, write, create bool) (*infinitemap.Map, error) {
	if s.shut.Load() {
		return nil, errCut
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	opt, err := s.cfg.MapOptions()
	if err != nil {
		return nil, err
	}
	opt.ReadOnly = !write
	if write {
		opt.Quota = s.quota
	}
	if s.cfg.Overlay != "" {
		return s.openOverlay(name, opt, write, create)
	}
	fsys, err := s.existing(s.mapDir(name))
	if errors.Is(err, fs.ErrNotExist) && create {
		if err := s.quota.AdmitMap(); err != nil {
			return nil, err
		}
		fsys, err = s.directory(s.mapDir(name))
	}
	if err != nil {
		return nil, err
	}
	return infinitemap.Open(fsys, opt)
}

// openOverlay opens a map as a sandboxed run sees it: with the changes of the overlay
// over the map of the namespace, or a map of the overlay alone where there is none.
func (s *Session) openOverlay(name string, opt infinitemap.Options, write, create bool) (*infinitemap.Map, error) {
	lower, err := s.existing(s.mapDir(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	upper, uerr := s.existing(s.overlayMapDir(name))
	if uerr != nil && !errors.Is(uerr, fs.ErrNotExist) {
		return nil, uerr
	}
	switch {
	case upper == nil && lower == nil && !create:
		return nil, fs.ErrNotExist
	case upper == nil && lower != nil && !write:
		return infinitemap.Open(lower, opt)
	case upper == nil:
		if err := s.quota.AdmitMap(); err != nil {
			return nil, err
		}
		if err := s.beginOverlay(); err != nil {
			return nil, err
		}
		if upper, err = s.directory(s.overlayMapDir(name)); err != nil {
			return nil, err
		}
	}
	if lower == nil {
		return infinitemap.Open(upper, opt)
	}
	below, err := infinitemap.Open(lower, infinitemap.Options{ReadOnly: true, CacheBytes: 1})
	if err != nil {
		return nil, err
	}
	// The overlay keeps what it needs of the state below.
	opt.ReadOnly = false
	o, err := infinitemap.OpenOverlay(below, upper, opt)
	if err = errors.Join(err, below.Close()); err != nil {
		if o != nil {
			err = errors.Join(err, o.Close())
		}
		return nil, err
	}
	return o.Map, nil
}

// mapNames lists the maps that exist and that the run may open.
func (s *Session) mapNames() ([]string, error) {
	dirs := []string{s.cfg.Maps}
	if s.cfg.Overlay != "" {
		dirs = append(dirs, filepath.Join(s.cfg.Overlay, OverlayMaps))
	}
	var names []string
	for _, dir := range dirs {
		fsys, err := disk.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list, err := fsys.ReadDir(".")
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if !e.IsDir() || !abi.ValidMapName(e.Name()) || !slices.ContainsFunc(s.areas, func(g mapGrant) bool { return g.covers(e.Name()) }) {
				continue
			}
			if _, err := fsys.Lstat(e.Name() + "/" + mapManifest); err == nil {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// flush commits the changes of a map.
func (n *mapNode) flush() error { return n.m.Flush(context.Background()) }

// upgrade makes a map that is open for reading one that can be written.
func (n *mapNode) upgrade(create bool) error {
	if !n.m.ReadOnly() {
		return nil
	}
	m, err := n.s.openMap(n.name, true, create)
	if err != nil {
		return err
	}
	old := n.m
	n.m = m
	return old.Close()
}

// release gives a handle back. The last one that could write flushes.
func (n *mapNode) release(write bool) error {
	var err error
	n.refs--
	if write {
		n.writers--
		err = n.flush()
		if err != nil {
			// The map stays as the last flush left it, for other handles too.
			err = errors.Join(err, n.m.Discard())
		}
	}
	if n.refs == 0 {
		delete(n.s.open, n.name)
		return errors.Join(err, n.m.Close())
	}
	if write && n.writers == 0 && n.s.cfg.Overlay == "" {
		// Others may write from now on; the handles that are left go on reading. An
		// overlay is this run's alone.
		m, e := n.s.openMap(n.name, false, false)
		if e == nil {
			old := n.m
			n.m = m
			e = old.Close()
		}
		err = errors.Join(err, e)
	}
	return err
}

func mapsFamily() engine.Family {
	funcs := map[string]engine.Func{}
	for name, f := range map[string]func(s *Session, c *engine.Call) error{"list": mapList, "open": mapOpen, "close": mapClose} {
		funcs[name] = body("infinitemap", f)
	}
	for name, f := range map[string]func(h *mapHandle, s *Session, c *engine.Call) error{
		"get": mapGet, "set": mapSet, "get_many": mapGetMany, "set_many": mapSetMany,
		"read_region": mapReadRegion, "write_region": mapWriteRegion, "read_bytes": mapReadBytes, "write_bytes": mapWriteBytes,
		"neighbours": mapNeighbours, "tiles": mapTiles, "bounds": mapBounds, "stats": mapStats,
		"flush": mapFlush, "snapshot": mapSnapshot,
	} {
		funcs[name] = body("infinitemap", func(s *Session, c *engine.Call) error {
			h := s.maps.list[c.U32(0)]
			if h == nil {
				return abi.CodeBadHandle
			}
			return f(h, s, c)
		})
	}
	return engine.Family{Module: "infinitemap", Funcs: funcs}
}

func mapList(s *Session, c *engine.Call) error {
	names, err := s.mapNames()
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, n := range names {
		b.WriteString(n)
		b.WriteByte(0)
	}
	return c.Put(0, []byte(b.String())).Err()
}

// Flags of open.
const (
	mapFlagRead = 1 << iota
	mapFlagWrite
	mapFlagCreate
)

func mapOpen(s *Session, c *engine.Call) error {
	flags := c.U32(1)
	if flags >= 2*mapFlagCreate || flags&(mapFlagRead|mapFlagWrite) == 0 || flags&mapFlagCreate != 0 && flags&mapFlagWrite == 0 {
		return abi.CodeInvalid
	}
	if len(c.Bytes(0)) > 64 || !abi.ValidMapName(c.Text(0)) {
		return abi.CodeInvalid
	}
	h := &mapHandle{write: flags&mapFlagWrite != 0}
	name := c.Text(0)
	for _, g := range s.areas {
		if g.covers(name) {
			h.areas = append(h.areas, g.area)
			if g.write {
				h.change = append(h.change, g.area)
			}
		}
	}
	if len(h.areas) == 0 || h.write && len(h.change) == 0 {
		return abi.CodeDenied
	}
	if !s.room() {
		return abi.CodeLimit
	}
	create := flags&mapFlagCreate != 0
	n := s.open[name]
	if n == nil {
		if len(s.open) == maxMaps {
			return abi.CodeLimit
		}
		m, err := s.openMap(name, h.write, create)
		if err != nil {
			return fmt.Errorf("open map: %w", err)
		}
		n = &mapNode{s: s, name: name, m: m}
		s.open[name] = n
	} else if h.write {
		if err := n.upgrade(create); err != nil {
			return fmt.Errorf("open map: %w", err)
		}
	}
	n.refs++
	if h.write {
		n.writers++
	}
	h.mapNode = n
	c.SetU32(2, s.maps.add(h))
	return nil
}

func mapClose(s *Session, c *engine.Call) error {
	h := s.maps.list[c.U32(0)]
	if h == nil {
		return abi.CodeBadHandle
	}
	delete(s.maps.list, c.U32(0))
	return h.release(h.write)
}
