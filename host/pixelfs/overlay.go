package pixelfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"sync"
	"time"

	"github.com/pxos/pxos/host/disk"
)

// Overlay shows a store as its user would have changed it, without changing it: what is
// written goes to a store of its own, the upper one, and what is removed from the lower
// one is only hidden. [Overlay.Diff] tells what differs, [Overlay.Keep] carries it over,
// [Overlay.Drop] throws it away. An overlay is for one process at a time; its methods may
// be called by many goroutines.
//
// A file of the lower store is copied when it is first opened for writing, or renamed.
// A handle that was opened for reading before that goes on reading the lower file.
type Overlay struct {
	lower *Store
	upper *Store
	fsys  disk.FS
	lock  io.Closer

	mu    sync.Mutex // orders what changes names
	state sync.RWMutex
	notes *notes
}

var _ Files = (*Overlay)(nil)

// NewOverlay opens the overlay in a directory, which may be empty, over a store. The
// upper store has the options of the lower one, but is never read only.
func NewOverlay(lower *Store, upper disk.FS) (*Overlay, error) {
	opt := lower.opt
	opt.ReadOnly = false
	u, err := Open(upper, opt)
	if err != nil {
		return nil, fmt.Errorf("open the overlay: %w", err)
	}
	o := &Overlay{lower: lower, upper: u, fsys: upper}
	if o.lock, err = upper.Lock(overlayLock, disk.Exclusive); err == nil {
		o.notes, err = openNotes(upper)
	}
	if errors.Is(err, disk.ErrLocked) {
		err = ErrBusy
	}
	if err != nil {
		return nil, fmt.Errorf("open the overlay: %w", errors.Join(err, o.Close()))
	}
	if o.notes.dropped {
		// A crash came in the way of Drop.
		if err := o.Drop(); err != nil {
			return nil, err
		}
		return NewOverlay(lower, upper)
	}
	for name := range maps.Clone(o.notes.pending) {
		if err := o.removeUpper(name); err != nil {
			return nil, fmt.Errorf("open the overlay: %w", errors.Join(err, o.Close()))
		}
	}
	return o, nil
}

// Close ends the use of the overlay, which stays as it is. The lower store stays open.
func (o *Overlay) Close() error {
	errs := []error{o.upper.Close()}
	o.state.Lock()
	defer o.state.Unlock()
	if o.notes != nil && o.notes.f != nil {
		errs = append(errs, o.notes.f.Close())
		o.notes.f = nil
	}
	if o.lock != nil {
		errs = append(errs, o.lock.Close())
		o.lock = nil
	}
	return errors.Join(errs...)
}

// Upper is the store that takes the writes, for its versions and its trash.
func (o *Overlay) Upper() *Store { return o.upper }

// shown reports whether what the lower store has under a name is seen where the upper
// one has nothing.
func (o *Overlay) shown(name string) bool {
	o.state.RLock()
	defer o.state.RUnlock()
	for d := name; d != "."; d = path.Dir(d) {
		if o.notes.hidden[d] {
			return false
		}
	}
	return true
}

// below describes what the lower store shows under a name.
func (o *Overlay) below(name string) (Info, error) {
	if !o.shown(name) {
		return Info{}, fs.ErrNotExist
	}
	// A file of the upper store hides a directory of the lower one.
	for d := path.Dir(name); d != "." && name != "."; d = path.Dir(d) {
		if i, err := o.upper.stat(d); err == nil && !i.Dir {
			return Info{}, fs.ErrNotExist
		}
	}
	return o.lower.stat(name)
}

// Edit opens a file for reading or writing in place, see [Store.Edit].
func (o *Overlay) Edit(name string, flag int) (*Edit, error) {
	e, err := o.edit(name, flag)
	return e, pathError("open", name, err)
}

func (o *Overlay) edit(name string, flag int) (*Edit, error) {
	if !writes(flag) && flag&os.O_CREATE == 0 {
		e, err := o.upper.Edit(name, flag)
		if errors.Is(err, fs.ErrNotExist) {
			if _, err = o.below(name); err == nil {
				e, err = o.lower.Edit(name, flag)
			}
		}
		return e, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	i, err := o.stat(name)
	switch {
	case err == nil && i.Dir:
		return nil, ErrIsDir
	case err == nil && flag&os.O_EXCL != 0:
		return nil, fs.ErrExist
	case err == nil:
		if flag&os.O_TRUNC != 0 && writes(flag) {
			if err := o.touch(name); err != nil {
				return nil, err
			}
			flag |= os.O_CREATE
		} else if err := o.copyUp(name); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case flag&os.O_CREATE == 0:
		return nil, fs.ErrNotExist
	default:
		if err := o.touch(name); err != nil {
			return nil, err
		}
	}
	return o.upper.Edit(name, flag)
}

// touch prepares the upper store for a file or directory of a name: its directory
// exists, and what the lower store has is noted.
func (o *Overlay) touch(name string) error {
	// A removal that failed half way is completed before anything new takes its name.
	for d := name; d != "."; d = parent(d) {
		o.state.RLock()
		pending := o.notes.pending[d]
		o.state.RUnlock()
		if pending {
			if err := o.removeUpper(d); err != nil {
				return err
			}
		}
	}
	if _, err := o.upper.stat(name); err == nil {
		return nil
	}
	dir := parent(name)
	i, err := o.stat(dir)
	if err != nil {
		return err
	}
	if !i.Dir {
		return ErrNotDir
	}
	if err := o.upper.mkdir(dir, true); err != nil {
		return err
	}
	return o.noteOrigin(name)
}

// noteOrigin notes once what the lower store has under a name.
func (o *Overlay) noteOrigin(name string) error {
	o.state.RLock()
	_, known := o.notes.origins[name]
	o.state.RUnlock()
	if known {
		return nil
	}
	// Also what is hidden: it is what Keep will replace.
	i, err := o.lower.stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return o.write(note{Op: noteOrigin, Name: name})
	}
	if err != nil {
		return err
	}
	return o.write(originNote(name, i))
}

func originNote(name string, i Info) note {
	n := note{Op: noteOrigin, Name: name, Exists: true, Dir: i.Dir}
	if !i.Dir {
		n.Version, n.Size, n.Digest = i.Version, i.Size, fmt.Sprintf("%x", i.Digest)
	}
	return n
}

func (o *Overlay) write(list ...note) error {
	o.state.Lock()
	defer o.state.Unlock()
	if o.notes.f == nil {
		return fs.ErrClosed
	}
	return o.notes.write(list...)
}

// copyUp makes sure that the upper store has a file.
func (o *Overlay) copyUp(name string) error {
	if _, err := o.upper.stat(name); err == nil {
		return nil
	}
	if err := o.touch(name); err != nil {
		return err
	}
	f, err := o.lower.open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = o.upper.Put(context.Background(), name, f.whole(nil), PutOptions{
		Compression: f.info.Compression, Width: f.info.Width, Hint: f.info.Size, Modified: f.info.Modified,
	})
	return err
}

// Put stores a file, see [Store.Put].
func (o *Overlay) Put(ctx context.Context, name string, r io.Reader, opt PutOptions) (Info, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i, err := o.put(ctx, name, r, opt)
	return i, pathError("put", name, err)
}

func (o *Overlay) put(ctx context.Context, name string, r io.Reader, opt PutOptions) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	if err := o.mkdirs(parent(name)); err != nil {
		return Info{}, err
	}
	i, err := o.stat(name)
	switch {
	case err == nil && i.Dir:
		return Info{}, ErrIsDir
	case err == nil && opt.Exclusive:
		return Info{}, fs.ErrExist
	case err == nil && opt.IfVersion != 0 && opt.IfVersion != i.Version:
		return Info{}, ErrVersion
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return Info{}, err
	case err != nil && opt.IfVersion != 0:
		return Info{}, ErrVersion
	}
	opt.Exclusive, opt.IfVersion = false, 0
	if err := o.touch(name); err != nil {
		return Info{}, err
	}
	i, err = o.upper.Put(ctx, name, r, opt)
	i.Version += o.before(name)
	return i, err
}

// mkdirs makes a directory and those above it, as far as they are not seen.
func (o *Overlay) mkdirs(dir string) error {
	i, err := o.stat(dir)
	if err == nil {
		if !i.Dir {
			return ErrNotDir
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := o.mkdirs(parent(dir)); err != nil {
		return err
	}
	return o.mkdir(dir)
}

// Mkdir makes a directory. Its parent must exist.
func (o *Overlay) Mkdir(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return pathError("mkdir", name, o.mkdir(name))
}

func (o *Overlay) mkdir(name string) error {
	if _, err := o.stat(name); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := o.touch(name); err != nil {
		return err
	}
	return o.upper.mkdir(name, false)
}

// Rmdir removes an empty directory.
func (o *Overlay) Rmdir(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return pathError("rmdir", name, o.rmdir(name))
}

func (o *Overlay) rmdir(name string) error {
	list, err := o.list(name)
	if err != nil {
		return err
	}
	if name == "." {
		return fs.ErrInvalid
	}
	if len(list) > 0 {
		return ErrNotEmpty
	}
	if err := o.hide(name); err != nil {
		return err
	}
	if err := o.upper.rmdir(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// hide makes what the lower store has under a name invisible.
func (o *Overlay) hide(names ...string) error {
	var list []note
	for _, name := range names {
		if _, err := o.below(name); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return err
		}
		if err := o.noteOrigin(name); err != nil {
			return err
		}
		list = append(list, note{Op: noteHide, Name: name})
	}
	return o.write(list...)
}

// Remove removes a file or a directory with everything in it. What the upper store had
// of it goes to the trash there; the lower store keeps what it has.
func (o *Overlay) Remove(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return pathError("remove", name, o.remove(name))
}

func (o *Overlay) remove(name string) error {
	if _, err := o.stat(name); err != nil {
		return err
	}
	if name == "." {
		return fs.ErrInvalid
	}
	_, err := o.upper.stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return o.hide(name)
	}
	if err != nil {
		return err
	}
	_, err = o.below(name)
	if errors.Is(err, fs.ErrNotExist) {
		return o.upper.remove(name)
	}
	if err != nil {
		return err
	}
	// Both have it: it is gone with this note.
	if err := o.noteOrigin(name); err != nil {
		return err
	}
	if err := o.write(note{Op: noteRemove, Name: name}); err != nil {
		return err
	}
	return o.removeUpper(name)
}

// removeUpper completes a removal that is noted.
func (o *Overlay) removeUpper(name string) error {
	if err := o.upper.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return o.write(note{Op: noteHide, Name: name})
}

// Rename gives a file or directory another name, see [Store.Rename].
func (o *Overlay) Rename(from, to string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.rename(from, to)
	if pe := (*fs.PathError)(nil); err != nil && errors.As(pathError("rename", from, err), &pe) {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: pe.Err}
	}
	return err
}

func (o *Overlay) rename(from, to string) error {
	if err := CheckName(to); err != nil {
		return err
	}
	i, err := o.stat(from)
	if err != nil {
		return err
	}
	if from == "." || to == "." || from != to && within(to, from) {
		return fs.ErrInvalid
	}
	if from == to {
		return nil
	}
	target, err := o.stat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case target.Dir && !i.Dir:
		return ErrIsDir
	case !target.Dir && i.Dir:
		return ErrNotDir
	case target.Dir:
		if list, err := o.list(to); err != nil {
			return err
		} else if len(list) > 0 {
			return ErrNotEmpty
		}
	}
	if err := o.copyUpAll(i); err != nil {
		return err
	}
	if err := o.touch(to); err != nil {
		return err
	}
	if err := o.noteRename(i, from, to); err != nil {
		return err
	}
	// The upper store still has the old name, which is seen until this succeeds.
	hidden := []string{from}
	if i.Dir {
		hidden = append(hidden, to)
		if target.Dir {
			if err := o.upper.mkdir(to, true); err != nil {
				return err
			}
		}
	}
	if err := o.hide(hidden...); err != nil {
		return err
	}
	return o.upper.rename(from, to)
}

// copyUpAll copies a file, or a directory with all that is seen in it.
func (o *Overlay) copyUpAll(i Info) error {
	if !i.Dir {
		return o.copyUp(i.Name)
	}
	if err := o.upper.mkdir(i.Name, true); err != nil {
		return err
	}
	list, err := o.list(i.Name)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := o.copyUpAll(c); err != nil {
			return err
		}
	}
	return nil
}

// noteRename notes, for the files that a rename moves, what they were called below.
func (o *Overlay) noteRename(i Info, from, to string) error {
	if i.Dir {
		list, err := o.list(from)
		if err != nil {
			return err
		}
		for _, c := range list {
			if err := o.noteRename(c, c.Name, to+"/"+path.Base(c.Name)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := o.noteOrigin(to); err != nil {
		return err
	}
	o.state.RLock()
	was := o.notes.from[from]
	if was == "" && o.notes.origins[from].exists {
		was = from
	}
	o.state.RUnlock()
	if was == to {
		was = ""
	}
	return o.write(note{Op: noteFrom, Name: to, From: was})
}

// Chtimes notes another time for the content of a file.
func (o *Overlay) Chtimes(name string, mtime time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	i, err := o.stat(name)
	if err == nil && !i.Dir {
		err = o.copyUp(name)
	}
	if err == nil {
		err = o.upper.Chtimes(name, mtime)
	}
	return pathError("chtimes", name, err)
}
