package storage

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/pixelfs"
)

// overlay puts an overlay over the pixel files of a sandboxed run, which takes the
// changes from then on. Nothing changes those of the namespace.
func (t *tree) overlay() error {
	below, ok := t.st.(*pixelfs.Store)
	if !ok {
		return nil
	}
	if err := t.s.beginOverlay(); err != nil {
		return err
	}
	upper, err := t.s.directory(filepath.Join(t.s.cfg.Overlay, OverlayFiles))
	if err != nil {
		return err
	}
	o, err := pixelfs.NewOverlay(below, upper)
	if err != nil {
		return err
	}
	t.st, t.disks = &sandboxed{o, below}, append([]disk.FS{upper}, t.disks...)
	return nil
}

// sandboxed adds to an overlay what a guest needs of a store beyond pixelfs.Files.
type sandboxed struct {
	*pixelfs.Overlay
	lower *pixelfs.Store
}

func (s *sandboxed) Close() error { return errors.Join(s.Overlay.Close(), s.lower.Close()) }

// MkdirAll makes a directory and those above it that are missing.
func (s *sandboxed) MkdirAll(name string) error {
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		if err := s.Mkdir(name[:i]); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// RestoreVersion makes an earlier content the current one.
func (s *sandboxed) RestoreVersion(ctx context.Context, name string, v uint64) (pixelfs.Info, error) {
	f, err := s.OpenVersion(name, v)
	if err != nil {
		return pixelfs.Info{}, err
	}
	defer f.Close()
	return s.Put(ctx, name, io.NewSectionReader(f, 0, f.Size()), pixelfs.PutOptions{Hint: f.Size()})
}

// Trash lists what the run removed of its own making, and what was in the trash before
// it.
func (s *sandboxed) Trash() ([]pixelfs.Trashed, error) {
	upper, err := s.Upper().Trash()
	if err != nil {
		return nil, err
	}
	lower, err := s.lower.Trash()
	return append(upper, lower...), err
}

// restoreRemoved brings back what trash removed last from a name.
func (s *sandboxed) restoreRemoved(ctx context.Context, t *tree, name string) error {
	if _, err := s.Stat(name); err == nil {
		return fs.ErrExist
	} else if !missing(err) {
		return err
	}
	upper, err := s.Upper().Trash()
	if err != nil {
		return err
	}
	if e, ok := lastFrom(upper, name); ok {
		_, err := s.Upper().Restore(e.ID, "")
		return err
	}
	// What the namespace has is only hidden, and comes back as a copy.
	if info, err := s.lower.Stat(name); err == nil {
		return s.copyUp(ctx, info)
	}
	list, err := s.lower.Trash()
	if err != nil {
		return err
	}
	e, ok := lastFrom(list, name)
	if !ok {
		return fs.ErrNotExist
	}
	if e.Dir {
		// The trash of the namespace cannot be changed from here, and a copy of a tree
		// out of it would be a change of many steps.
		return errUnsupported
	}
	pasts, err := t.trashed(name)
	if err != nil {
		return err
	}
	return t.put(ctx, name, pasts[len(pasts)-1])
}

// copyUp makes a file or directory of the namespace visible again.
func (s *sandboxed) copyUp(ctx context.Context, top pixelfs.Info) error {
	return s.lower.Walk(top.Name, func(i pixelfs.Info) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i.Dir {
			return s.MkdirAll(i.Name)
		}
		f, err := s.lower.Open(i.Name)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = s.Put(ctx, i.Name, io.NewSectionReader(f, 0, f.Size()), pixelfs.PutOptions{Exclusive: true, Hint: f.Size(), Modified: i.Modified})
		return err
	})
}

// lastFrom finds what was removed last from a name.
func lastFrom(list []pixelfs.Trashed, name string) (pixelfs.Trashed, bool) {
	for _, e := range list {
		if e.Err() == nil && e.Name == name {
			return e, true
		}
	}
	return pixelfs.Trashed{}, false
}

// restoreRemoved brings back what trash removed last from a name.
func (t *tree) restoreRemoved(ctx context.Context, name string) error {
	switch st := t.st.(type) {
	case *sandboxed:
		return st.restoreRemoved(ctx, t, name)
	case *pixelfs.Store:
		list, err := st.Trash()
		if err != nil {
			return err
		}
		e, ok := lastFrom(list, name)
		if !ok {
			return fs.ErrNotExist
		}
		_, err = st.Restore(e.ID, "")
		return err
	}
	return errUnsupported
}

// hidden lists the contents of a file that a sandboxed run removed and the namespace
// still has.
func (t *tree) hidden(name string) []past {
	st, ok := t.st.(*sandboxed)
	if !ok {
		return nil
	}
	list, err := st.lower.Versions(name)
	if err != nil {
		return nil
	}
	out := make([]past, 0, len(list))
	for _, i := range list {
		out = append(out, past{Info: i, store: st.lower})
	}
	return out
}
