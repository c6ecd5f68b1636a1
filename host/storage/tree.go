package storage

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/pixelfs"
)

// store is what a run needs of the pixel files, whether they are the namespace's
// (*pixelfs.Store) or an overlay's (*sandboxed).
type store interface {
	pixelfs.Files
	MkdirAll(name string) error
	Put(ctx context.Context, name string, r io.Reader, opt pixelfs.PutOptions) (pixelfs.Info, error)
	RestoreVersion(ctx context.Context, name string, v uint64) (pixelfs.Info, error)
	Trash() ([]pixelfs.Trashed, error)
	Close() error
}

// Errors of what was granted. The store's own are those of package pixelfs.
var (
	errDenied   = errors.New("the path is outside of what was granted")
	errReadOnly = errors.New("the path was granted for reading only")
	errBusy     = errors.New("the file is open for writing")
	errInvalid  = errors.New("the path cannot be used for this")

	errUnsupported = errors.New("this cannot be done in a sandboxed run")
)

// grant is a path of the pixel files, "." for all of them, that a run may use.
type grant struct {
	prefix string
	write  bool
}

// access is what a run may do at a path.
type access int

const (
	outside  access = iota
	above           // a directory on the way to what was granted
	readable        //
	writable        // and readable
)

// within reports whether name is dir or lies below it.
func within(dir, name string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir) && name[len(dir)] == '/'
}

// clean turns a guest's path into a name of the store, which has "." for the root. The
// error is a *pixelfs.NameError.
func clean(path string) (string, error) {
	name := strings.TrimPrefix(path, "/")
	switch name {
	case "":
		return ".", nil
	case ".": // to the store it is the root, to a guest a part like ..
		return "", &pixelfs.NameError{Name: path, Reason: `it has a part "." or ".."`}
	}
	return name, pixelfs.CheckName(name)
}

func join(dir, part string) string {
	if dir == "." {
		return part
	}
	return dir + "/" + part
}

func parent(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}

// tree is the pixel files as a run may see them.
type tree struct {
	s      *Session
	grants []grant
	st     store
	disks  []disk.FS // newest first; where the trash is looked through
	ready  map[string]bool
	open   map[*opened]struct{}
}

// opened is a file that a run has open in the current content.
type opened struct {
	*pixelfs.Edit
	write bool
}

func (t *tree) access(name string) access {
	best := outside
	for _, g := range t.grants {
		switch {
		case within(g.prefix, name):
			if g.write {
				return writable
			}
			best = readable
		case best == outside && within(name, g.prefix):
			best = above
		}
	}
	return best
}

// granted reports whether name itself was granted.
func (t *tree) granted(name string) bool {
	return slices.ContainsFunc(t.grants, func(g grant) bool { return g.prefix == name })
}

// assured reports whether a directory exists because something at or below it was
// granted for writing, whether or not the store has it yet.
func (t *tree) assured(name string) bool {
	return name == "." || slices.ContainsFunc(t.grants, func(g grant) bool { return g.write && within(name, g.prefix) })
}

func (t *tree) mayRead(name string) error {
	if t.access(name) < readable {
		return errDenied
	}
	return nil
}

func (t *tree) mayWrite(name string) error {
	switch t.access(name) {
	case writable:
		return nil
	case readable:
		return errReadOnly
	}
	return errDenied
}

// store opens the pixel files at the first call.
func (t *tree) store() (store, error) {
	if t.st != nil {
		return t.st, nil
	}
	s := t.s
	if s.closed || s.shut.Load() {
		return nil, errCut
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	lower, err := s.directory(s.cfg.Files)
	if err != nil {
		return nil, err
	}
	opt := s.options
	opt.ReadOnly = !slices.ContainsFunc(t.grants, func(g grant) bool { return g.write })
	if s.cfg.Overlay != "" {
		opt.ReadOnly = true // until there is a change, an overlay that exists aside
	}
	st, err := pixelfs.Open(lower, opt)
	if err != nil {
		return nil, err
	}
	t.st, t.disks = st, []disk.FS{lower}
	if s.cfg.Overlay != "" {
		// One that is there was begun by an earlier run.
		if _, err := os.Lstat(filepath.Join(s.cfg.Overlay, OverlayFiles)); err == nil {
			if err := t.overlay(); err != nil {
				t.st = nil
				return nil, errors.Join(err, st.Close())
			}
		}
	}
	return t.st, nil
}

// directory opens a directory of the host behind the session's gate, and makes it when
// it is missing.
func (s *Session) directory(dir string) (disk.FS, error) {
	fsys, err := disk.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Clean(dir), 0o700); err == nil {
			fsys, err = disk.Open(dir)
		}
	}
	if err != nil {
		return nil, err
	}
	return gate{fsys, &s.shut}, nil
}

func (t *tree) close() error {
	if t.st == nil {
		return nil
	}
	return t.st.Close()
}

func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, pixelfs.ErrNotDir)
}

// stat describes a file or a directory.
func (t *tree) stat(name string) (pixelfs.Info, error) {
	a := t.access(name)
	if a == outside {
		return pixelfs.Info{}, errDenied
	}
	st, err := t.store()
	if err != nil {
		return pixelfs.Info{}, err
	}
	info, err := st.Stat(name)
	switch {
	case err == nil && a == above && !info.Dir:
		return pixelfs.Info{}, errDenied
	case missing(err) && t.assured(name):
		return pixelfs.Info{Name: name, Dir: true}, nil
	}
	return info, err
}

// entries lists a directory, sorted by name.
func (t *tree) entries(name string) ([]pixelfs.Entry, error) {
	a := t.access(name)
	if a == outside {
		return nil, errDenied
	}
	info, err := t.stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Dir {
		return nil, pixelfs.ErrNotDir
	}
	st, err := t.store()
	if err != nil {
		return nil, err
	}
	list, err := st.Entries(name)
	if err != nil && !(missing(err) && t.assured(name)) {
		return nil, err
	}
	if a == above {
		list = slices.DeleteFunc(list, func(e pixelfs.Entry) bool {
			a := t.access(join(name, e.Name))
			return a == outside || a == above && !e.Dir
		})
	}
	for _, g := range t.grants {
		if !g.write || g.prefix == name || !within(name, g.prefix) {
			continue
		}
		rest := g.prefix
		if name != "." {
			rest = rest[len(name)+1:]
		}
		part, _, _ := strings.Cut(rest, "/")
		if !slices.ContainsFunc(list, func(e pixelfs.Entry) bool { return e.Name == part }) {
			list = append(list, pixelfs.Entry{Name: part, Dir: true})
		}
	}
	slices.SortFunc(list, func(a, b pixelfs.Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// prepare makes the directories that exist because they were granted, on the way to
// name, before something is made there.
func (t *tree) prepare(name string) error {
	for _, g := range t.grants {
		if !g.write || g.prefix == "." || !within(g.prefix, name) || t.ready[g.prefix] {
			continue
		}
		if _, err := t.st.Stat(g.prefix); missing(err) {
			err = t.st.MkdirAll(g.prefix)
			if err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		if t.ready == nil {
			t.ready = map[string]bool{}
		}
		t.ready[g.prefix] = true
	}
	return nil
}

// change gives the store for a change at name.
func (t *tree) change(name string) (store, error) {
	if err := t.mayWrite(name); err != nil {
		return nil, err
	}
	if _, err := t.store(); err != nil {
		return nil, err
	}
	if t.s.cfg.Overlay != "" {
		if err := t.overlay(); err != nil {
			return nil, err
		}
	}
	return t.st, t.prepare(name)
}

// edit opens a file; flag is made of the flags of package os.
func (t *tree) edit(name string, flag int) (*opened, error) {
	e, err := t.openEdit(name, flag)
	if err != nil {
		return nil, t.directoryFirst(name, flag, err)
	}
	o := &opened{e, flag&(os.O_WRONLY|os.O_RDWR) != 0}
	if o.write && t.s.cfg.Overlay != "" {
		t.follow(name)
	}
	if t.open == nil {
		t.open = map[*opened]struct{}{}
	}
	t.open[o] = struct{}{}
	return o, nil
}

func (t *tree) openEdit(name string, flag int) (*pixelfs.Edit, error) {
	if flag&writing != 0 {
		st, err := t.change(name)
		if err != nil {
			return nil, err
		}
		return st.Edit(name, flag)
	}
	if t.access(name) < readable {
		return nil, errDenied
	}
	st, err := t.store()
	if err != nil {
		return nil, err
	}
	return st.Edit(name, flag)
}

// follow has the handles that read a file of the namespace go over to the copy that an
// overlay has of it from now on, so that all handles of the run agree.
func (t *tree) follow(name string) {
	for o := range t.open {
		if o.write || o.Name() != name {
			continue
		}
		if e, err := t.st.Edit(name, os.O_RDONLY); err == nil {
			_ = o.Edit.Close() // it wrote nothing
			o.Edit = e
		}
	}
}

// directoryFirst names a directory as such when it was opened as a file.
func (t *tree) directoryFirst(name string, flag int, err error) error {
	if errors.Is(err, pixelfs.ErrIsDir) || flag&writing != 0 && (errors.Is(err, errDenied) || errors.Is(err, errReadOnly)) {
		return err
	}
	if info, e := t.stat(name); e == nil && info.Dir {
		return pixelfs.ErrIsDir
	}
	return err
}

func (t *tree) release(o *opened) error {
	delete(t.open, o)
	return o.Close()
}

// beingWritten reports whether the run has a file at or below name open for writing.
func (t *tree) beingWritten(name string) bool {
	for o := range t.open {
		if n := o.Name(); o.write && n != "" && within(name, n) {
			return true
		}
	}
	return false
}

// mkdir makes a directory.
func (t *tree) mkdir(name string) error {
	st, err := t.change(name)
	if err != nil {
		return err
	}
	return st.Mkdir(name)
}

// moves checks that a file or directory may leave its place or be replaced there.
func (t *tree) moves(name string) error {
	if err := t.mayWrite(name); err != nil {
		return err
	}
	if name == "." || t.granted(name) {
		return errInvalid
	}
	return nil
}
