package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/infinitemap"
	"github.com/pxos/pxos/host/pixelfs"
)

// Places say where a namespace and an overlay over it are: the fields of a Config that
// the commands on overlays need.
type Places struct {
	Files, Maps, Overlay string
	Policy
}

// Diff is how an overlay differs from its namespace.
type Diff struct {
	Files []pixelfs.Change `json:"files"` // sorted by name
	Maps  []MapDiff        `json:"maps"`  // sorted by name
}

// Empty reports whether there is no difference.
func (d *Diff) Empty() bool { return len(d.Files) == 0 && len(d.Maps) == 0 }

// Conflicts says what in the overlay cannot be kept because the namespace has changed
// too, a sentence each.
func (d *Diff) Conflicts() []string {
	var out []string
	for _, c := range d.Files {
		if c.Conflict != "" {
			out = append(out, c.Conflict)
		}
	}
	for _, m := range d.Maps {
		if m.Conflict != "" {
			out = append(out, m.Conflict)
		}
	}
	return out
}

// MapDiff is how a map differs.
type MapDiff struct {
	Name  string               `json:"name"`
	New   bool                 `json:"new,omitempty"` // the namespace has no such map
	Tiles []infinitemap.Change `json:"tiles"`         // that differ; of a new map none are listed
	// Count is the number of tiles that differ, or of all tiles of a new map.
	Count    uint64 `json:"count"`
	Conflict string `json:"conflict,omitempty"`
}

// Kept is what Keep carried over.
type Kept struct {
	Files     []pixelfs.Change `json:"files"`
	Maps      []string         `json:"maps"`
	Conflicts []string         `json:"conflicts"` // why something, or everything, was not kept
}

// ErrInUse says that a run uses the overlay.
var ErrInUse = errors.New("a run is using the overlay: wait until it has ended")

// files opens the overlay of the pixel files, if there is one.
func (p Places) files(write bool) (o *pixelfs.Overlay, done func() error, err error) {
	dir := filepath.Join(p.Overlay, OverlayFiles)
	upper, err := disk.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, func() error { return nil }, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(p.Files, 0o700); err != nil {
		return nil, nil, err
	}
	lower, err := disk.Open(p.Files)
	if err != nil {
		return nil, nil, err
	}
	opt, err := p.FileOptions()
	if err != nil {
		return nil, nil, err
	}
	opt.ReadOnly = !write
	below, err := pixelfs.Open(lower, opt)
	if err != nil {
		return nil, nil, err
	}
	o, err = pixelfs.NewOverlay(below, upper)
	if errors.Is(err, pixelfs.ErrBusy) {
		err = ErrInUse
	}
	if err != nil {
		return nil, nil, errors.Join(err, below.Close())
	}
	return o, func() error { return errors.Join(o.Close(), below.Close()) }, nil
}

// mapNames lists the maps of the overlay.
func (p Places) mapNames() ([]string, error) {
	list, err := os.ReadDir(filepath.Join(p.Overlay, OverlayMaps))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range list {
		if e.IsDir() && abi.ValidMapName(e.Name()) {
			if _, err := os.Lstat(filepath.Join(p.Overlay, OverlayMaps, e.Name(), mapManifest)); err == nil {
				names = append(names, e.Name())
			}
		}
	}
	return names, err
}

// openMap opens a map of the overlay: over the namespace's, or by itself where that has
// none.
func (p Places) openMap(name string) (o *infinitemap.Overlay, alone *infinitemap.Map, err error) {
	upper, err := disk.Open(filepath.Join(p.Overlay, OverlayMaps, name))
	if err != nil {
		return nil, nil, err
	}
	opt, err := p.MapOptions()
	if err != nil {
		return nil, nil, err
	}
	alone, err = infinitemap.Open(upper, opt)
	if err == nil {
		return nil, alone, nil
	}
	if errors.Is(err, infinitemap.ErrBusy) {
		return nil, nil, ErrInUse
	}
	lower, lerr := disk.Open(filepath.Join(p.Maps, name))
	if lerr != nil {
		return nil, nil, errors.Join(err, lerr)
	}
	ro := opt
	ro.ReadOnly = true
	below, lerr := infinitemap.Open(lower, ro)
	if lerr != nil {
		return nil, nil, errors.Join(err, lerr)
	}
	o, err = infinitemap.OpenOverlay(below, upper, opt)
	if errors.Is(err, infinitemap.ErrBusy) {
		err = ErrInUse
	}
	return o, nil, errors.Join(err, below.Close())
}

// exists reports whether the namespace has a map.
func (p Places) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(p.Maps, name, mapManifest))
	return err == nil
}

// Diff compares the overlay with the namespace as it is now.
func (p Places) Diff(ctx context.Context) (d *Diff, err error) {
	d = &Diff{Files: []pixelfs.Change{}, Maps: []MapDiff{}}
	o, done, err := p.files(false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if o != nil {
		if d.Files, err = o.Diff(); err != nil {
			return nil, err
		}
	}
	names, err := p.mapNames()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		m, err := p.diffMap(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("map %q: %w", name, err)
		}
		if m.New || m.Count > 0 {
			d.Maps = append(d.Maps, m)
		}
	}
	return d, nil
}

func (p Places) diffMap(ctx context.Context, name string) (m MapDiff, err error) {
	m = MapDiff{Name: name, Tiles: []infinitemap.Change{}}
	o, alone, err := p.openMap(name)
	if err != nil {
		return m, err
	}
	if alone != nil {
		m.New, m.Count = true, alone.Stats().Tiles
		if p.exists(name) {
			m.Conflict = fmt.Sprintf("map %q was made in the namespace meanwhile", name)
		}
		return m, alone.Close()
	}
	m.Tiles, err = o.Diff(ctx)
	m.Count = uint64(len(m.Tiles))
	return m, errors.Join(err, o.Close())
}

// Keep carries the overlay's changes over to the namespace. When anything conflicts with
// what the namespace has become since, nothing is kept, and Kept says what it is. What
// was kept is no difference any more; an error in between leaves the rest in the overlay,
// each file and each map either kept or not.
func (p Places) Keep(ctx context.Context) (k *Kept, err error) {
	k = &Kept{Files: []pixelfs.Change{}, Maps: []string{}, Conflicts: []string{}}
	d, err := p.Diff(ctx)
	if err != nil {
		return nil, err
	}
	if list := d.Conflicts(); len(list) > 0 {
		k.Conflicts = list
		return k, nil
	}
	for _, m := range d.Maps {
		err := p.keepMap(ctx, m)
		var conflict *infinitemap.ConflictError
		switch {
		case errors.As(err, &conflict):
			k.Conflicts = append(k.Conflicts, fmt.Sprintf("map %q: %v", m.Name, conflict))
			return k, nil
		case err != nil:
			return k, fmt.Errorf("map %q: %w", m.Name, err)
		}
		k.Maps = append(k.Maps, m.Name)
	}
	o, done, err := p.files(true)
	if err != nil || o == nil {
		return k, err
	}
	defer func() { err = errors.Join(err, done()) }()
	rep, err := o.Keep(ctx)
	k.Files = append(k.Files, rep.Kept...)
	for _, c := range rep.Conflicts {
		k.Conflicts = append(k.Conflicts, c.Conflict)
	}
	return k, err
}

func (p Places) keepMap(ctx context.Context, d MapDiff) (err error) {
	target := filepath.Join(p.Maps, d.Name)
	dir := filepath.Join(p.Overlay, OverlayMaps, d.Name)
	if d.New {
		n, err := p.MapQuota(dir).Usage()
		if err != nil {
			return err
		}
		if err := p.MapQuota(p.Maps).Admit(n); err != nil {
			return err
		}
		if err := os.MkdirAll(p.Maps, 0o700); err != nil {
			return err
		}
		return os.Rename(dir, target)
	}
	lower, err := disk.Open(target)
	if err != nil {
		return err
	}
	o, _, err := p.openMap(d.Name)
	if err != nil {
		return err
	}
	opt, err := p.MapOptions()
	if err != nil {
		return errors.Join(err, o.Close())
	}
	opt.Quota = p.MapQuota(p.Maps)
	m, err := infinitemap.Open(lower, opt)
	if err != nil {
		return errors.Join(err, o.Close())
	}
	err = errors.Join(o.Keep(ctx, m), m.Close())
	if err != nil {
		return errors.Join(err, o.Close())
	}
	if err := o.Drop(); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// Drop throws the overlay away, for good.
func (p Places) Drop() error {
	o, done, err := p.files(false)
	if err != nil {
		return err
	}
	if o != nil {
		if err := errors.Join(o.Drop(), done()); err != nil {
			return err
		}
	}
	names, err := p.mapNames()
	if err != nil {
		return err
	}
	for _, name := range names {
		upper, err := disk.Open(filepath.Join(p.Overlay, OverlayMaps, name))
		if err != nil {
			return err
		}
		// Whatever the map is, its writer's lock says whether a run has it open.
		l, err := upper.Lock("lock", disk.Exclusive)
		if errors.Is(err, disk.ErrLocked) {
			return ErrInUse
		}
		if err != nil {
			return err
		}
		if err := errors.Join(upper.Remove(mapManifest), l.Close()); err != nil {
			return err
		}
	}
	return os.RemoveAll(p.Overlay)
}
