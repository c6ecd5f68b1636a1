package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/storage"
)

// Overlay is what a sandboxed run changed, kept apart from its namespace.
type Overlay struct {
	ID        string    `json:"id"`
	Run       uint64    `json:"run"`       // in the journal
	Cartridge string    `json:"cartridge"` // digest
	Name      string    `json:"name"`      // of the cartridge
	Version   string    `json:"version"`
	Program   string    `json:"program"`
	Namespace string    `json:"namespace"`
	Time      time.Time `json:"time"`
}

const overlayAbout = "overlay.json"

// OverlaysDir is where a host with that home keeps the overlays of sandboxed runs.
func OverlaysDir(home string) string { return filepath.Join(home, "overlays") }

// sandbox has the changes of a run go to an overlay, which is made at the first of them.
func (h *Host) sandbox(p *plan, run uint64) error {
	id := strconv.FormatUint(run, 10)
	home, err := filepath.Abs(h.cfg.Home)
	if err != nil {
		return err
	}
	dir := filepath.Join(OverlaysDir(home), id)
	for n := 2; ; n++ { // numbers begin anew with a new journal
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
		dir = filepath.Join(OverlaysDir(home), fmt.Sprintf("%s-%d", id, n))
	}
	about, err := json.Marshal(Overlay{
		ID: filepath.Base(dir), Run: run, Cartridge: p.c.Digest(), Name: p.manifest.Name, Version: p.manifest.Version,
		Program: p.program.Name, Namespace: p.namespace, Time: time.Now().UTC().Truncate(time.Second),
	})
	if err != nil {
		return err
	}
	p.storage.Overlay = dir
	p.storage.AboutOverlay = &storage.Note{Path: filepath.Join(dir, overlayAbout), Data: about}
	return nil
}

// Overlays lists what sandboxed runs left, oldest first.
func (h *Host) Overlays() ([]Overlay, error) {
	out := []Overlay{}
	err := h.each("overlays", func(e fs.DirEntry) error {
		if !e.IsDir() || !ValidNamespace(e.Name()) {
			return nil
		}
		o, err := h.overlay(e.Name())
		if err == nil {
			out = append(out, *o)
		}
		return err
	})
	slices.SortFunc(out, func(a, b Overlay) int { return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.ID, b.ID)) })
	return out, err
}

// Overlay describes one overlay.
func (h *Host) Overlay(id string) (*Overlay, error) { return h.overlay(id) }

func (h *Host) overlay(id string) (*Overlay, error) {
	noSuch := errorf(abi.ErrInternal, "pxos-host overlay list shows them", "there is no overlay %q", id)
	if !ValidNamespace(id) {
		return nil, noSuch
	}
	dir := filepath.Join(OverlaysDir(h.cfg.Home), id)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, noSuch
	} else if err != nil {
		return nil, err
	}
	o := &Overlay{}
	data, err := os.ReadFile(filepath.Join(dir, overlayAbout))
	if err == nil {
		err = json.Unmarshal(data, o)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errorf(abi.ErrInternal, "drop it, or repair its "+overlayAbout, "description of overlay %q: %w", id, err)
	}
	o.ID = id
	return o, nil
}

func (h *Host) places(id string) (storage.Places, error) {
	o, err := h.overlay(id)
	if err != nil {
		return storage.Places{}, err
	}
	if !ValidNamespace(o.Namespace) {
		return storage.Places{}, errorf(abi.ErrInternal, "drop it, or repair its "+overlayAbout, "overlay %q does not say whose changes it has", id)
	}
	return storage.Places{
		Files: FilesDir(h.cfg.Home, o.Namespace), Maps: MapsDir(h.cfg.Home, o.Namespace),
		Overlay: filepath.Join(OverlaysDir(h.cfg.Home), id), Policy: h.cfg.Storage,
	}, nil
}

// DiffOverlay compares an overlay with its namespace as it is now.
func (h *Host) DiffOverlay(ctx context.Context, id string) (*storage.Diff, error) {
	p, err := h.places(id)
	if err != nil {
		return nil, err
	}
	return p.Diff(ctx)
}

// KeepOverlay carries the changes of an overlay over to its namespace, and removes the
// overlay. Where the two conflict nothing is kept: the result says what is in the way.
func (h *Host) KeepOverlay(ctx context.Context, id string) (*storage.Kept, error) {
	p, err := h.places(id)
	if err != nil {
		return nil, err
	}
	k, err := p.Keep(ctx)
	if err == nil && len(k.Conflicts) == 0 {
		err = p.Drop()
	}
	return k, err
}

// DropOverlay throws an overlay away, for good.
func (h *Host) DropOverlay(id string) error {
	p, err := h.places(id)
	if err != nil {
		// One that does not say what it is can still go.
		if _, serr := os.Lstat(filepath.Join(OverlaysDir(h.cfg.Home), id)); !ValidNamespace(id) || serr != nil {
			return err
		}
		return os.RemoveAll(filepath.Join(OverlaysDir(h.cfg.Home), id))
	}
	return p.Drop()
}
