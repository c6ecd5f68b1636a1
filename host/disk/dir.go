package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Dir is the operating system's file system below one directory. Links are never
// followed out of it, whoever put them there and when: it stands on [os.Root], and on
// openat2 where Linux has it. A link to a directory inside is followed where it is not
// the last part of a name.
type Dir struct {
	root *os.Root
	fast *beneath
}

var _ FS = (*Dir)(nil)

// Open opens an existing directory. It stays the same directory when it is renamed.
func Open(dir string) (*Dir, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	fast, err := newBeneath(root)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &Dir{root, fast}, nil
}

// Create makes dir and the directories above it where they are missing, for the user
// alone and durably, and opens it.
func Create(dir string) (*Dir, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	// What is missing is made from the top, and each new name synced, so that the
	// directory outlives a power loss as what is stored in it does.
	var missing []string
	for at := abs; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || filepath.Dir(at) == at {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		missing = append(missing, at)
	}
	for _, at := range slices.Backward(missing) {
		if err := os.Mkdir(at, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		parent, err := os.Open(filepath.Dir(at))
		if err != nil {
			if errors.Is(err, fs.ErrPermission) {
				continue // a directory one may write to but not list, and so not sync
			}
			return nil, err
		}
		if err := syncDir(parent); err != nil {
			return nil, err
		}
	}
	return Open(abs)
}

// Close releases the directory. Open files, locks and mappings stay as they are.
func (d *Dir) Close() error { return errors.Join(d.fast.close(), d.root.Close()) }

// local checks a name and puts it in the form of the operating system, refusing what
// means something else there, such as a backslash or a device name on Windows.
func local(op, name string) (string, error) {
	l, err := filepath.Localize(name)
	if err != nil {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return l, nil
}

func locals(op, from, to string) (lf, lt string, err error) {
	if lf, err = filepath.Localize(from); err == nil {
		lt, err = filepath.Localize(to)
	}
	if err != nil || from == "." || to == "." {
		return "", "", &os.LinkError{Op: op, Old: from, New: to, Err: fs.ErrInvalid}
	}
	return lf, lt, nil
}

// file is an open file that knows its name below the directory.
type file struct {
	*os.File
	name      string
	writeOnly bool
}

func (f *file) Name() string { return f.name }

const flags = os.O_RDONLY | os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREATE | os.O_EXCL | os.O_TRUNC

// OpenFile implements [FS].
func (d *Dir) OpenFile(name string, flag int) (File, error) {
	f, err := d.open(name, flag)
	if err != nil {
		return nil, err
	}
	return &file{f, name, flag&os.O_WRONLY != 0}, nil
}

func (d *Dir) open(name string, flag int) (*os.File, error) {
	l, err := local("open", name)
	if err != nil {
		return nil, err
	}
	access := flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
	if flag&^flags != 0 || access == os.O_WRONLY|os.O_RDWR || flag&os.O_EXCL != 0 && flag&os.O_CREATE == 0 ||
		flag&os.O_TRUNC != 0 && access == os.O_RDONLY {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if f, err := d.fast.open(l, flag); f != nil || err != nil {
		return f, err
	}
	// A root follows links that stay inside it and waits at a pipe until somebody
	// opens the other end. So the name is looked at first, except where the call
	// itself refuses all that exists. Whoever swaps the file in between wins nothing
	// but another file of this directory.
	if flag&os.O_EXCL == 0 {
		switch info, err := d.root.Lstat(l); {
		case err == nil && !info.Mode().IsRegular():
			return nil, &fs.PathError{Op: "open", Path: name, Err: ErrIrregular}
		case err != nil && (flag&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist)):
			return nil, err
		}
	}
	return d.root.OpenFile(l, flag, fileMode)
}

// Mkdir implements [FS].
func (d *Dir) Mkdir(name string) error {
	l, err := local("mkdir", name)
	if err != nil {
		return err
	}
	return d.root.Mkdir(l, dirMode)
}

// MkdirAll implements [FS].
func (d *Dir) MkdirAll(name string) error {
	l, err := local("mkdir", name)
	if err != nil || name == "." {
		return err
	}
	return d.root.MkdirAll(l, dirMode)
}

// Rename implements [FS].
func (d *Dir) Rename(from, to string) error {
	lf, lt, err := locals("rename", from, to)
	if err != nil {
		return err
	}
	return d.root.Rename(lf, lt)
}

// Link implements [FS].
func (d *Dir) Link(from, to string) error {
	lf, lt, err := locals("link", from, to)
	if err != nil {
		return err
	}
	return d.root.Link(lf, lt)
}

// Remove implements [FS].
func (d *Dir) Remove(name string) error {
	l, err := local("remove", name)
	if err != nil {
		return err
	}
	if name == "." {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrInvalid}
	}
	return d.root.Remove(l)
}

// RemoveAll implements [FS].
func (d *Dir) RemoveAll(name string) error {
	l, err := local("remove", name)
	if err != nil {
		return err
	}
	if name == "." {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrInvalid}
	}
	return d.root.RemoveAll(l)
}

// Lstat implements [FS].
func (d *Dir) Lstat(name string) (fs.FileInfo, error) {
	l, err := local("lstat", name)
	if err != nil {
		return nil, err
	}
	return d.root.Lstat(l)
}

// ReadDir implements [FS].
func (d *Dir) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := d.openDir("readdir", name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	for i, e := range list {
		list[i] = &entry{e, d, name}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, err
}

// entry describes a name when it is asked to, from this directory whatever its path is
// by then.
type entry struct {
	fs.DirEntry
	root *Dir
	dir  string // its name
}

func (e *entry) Info() (fs.FileInfo, error) { return e.root.Lstat(path.Join(e.dir, e.Name())) }

func (d *Dir) openDir(op, name string) (*os.File, error) {
	l, err := local(op, name)
	if err != nil {
		return nil, err
	}
	if f, err := d.fast.openDir(l); f != nil || err != nil {
		return f, err
	}
	if name != "." {
		switch info, err := d.root.Lstat(l); {
		case err != nil:
			return nil, err
		case !info.IsDir():
			return nil, &fs.PathError{Op: op, Path: name, Err: errNotDir}
		}
	}
	return d.root.Open(l)
}

// SyncDir implements [FS].
func (d *Dir) SyncDir(name string) error {
	f, err := d.openDir("sync", name)
	if err != nil {
		return err
	}
	return syncDir(f)
}

// syncDir syncs and closes an open directory.
func syncDir(f *os.File) error {
	var err error
	// Windows refuses to sync a directory, and NTFS keeps names in a journal of its
	// own; Plan 9 writes through.
	if runtime.GOOS != "windows" && runtime.GOOS != "plan9" {
		if err = f.Sync(); notSyncable(err) {
			err = nil
		}
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// Lock implements [FS].
func (d *Dir) Lock(name string, how LockMode) (io.Closer, error) {
	if !how.valid() {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: fs.ErrInvalid}
	}
	for {
		f, err := d.open(name, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return nil, err
		}
		ok, err := lock(f, how)
		if err == nil && !ok {
			err = ErrLocked
		}
		if err != nil {
			return nil, errors.Join(&fs.PathError{Op: "lock", Path: name, Err: err}, f.Close())
		}
		// The file may have been removed or replaced while this waited: the lock
		// would then exclude nobody who comes later.
		same, err := d.still(name, f)
		if err == nil && same {
			return &held{f}, nil
		}
		if e := (&held{f}).Close(); err == nil {
			err = e
		}
		if err != nil {
			return nil, err
		}
	}
}

// still reports whether name still stands for f.
func (d *Dir) still(name string, f *os.File) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := d.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}

type held struct{ f *os.File }

// Close unlocks before it closes: a child process between fork and exec has a copy of
// the descriptor, which would keep the lock for that moment.
func (h *held) Close() error {
	err := Unlock(h.f)
	if e := h.f.Close(); err == nil || errors.Is(e, os.ErrClosed) {
		err = e
	}
	return err
}

// Map implements [FS].
func (d *Dir) Map(f File) (Mapping, error) {
	of, ok := f.(*file)
	if !ok {
		return nil, &fs.PathError{Op: "map", Path: f.Name(), Err: fs.ErrInvalid}
	}
	info, err := of.Stat()
	if err != nil {
		return nil, err
	}
	if of.writeOnly {
		return nil, &fs.PathError{Op: "map", Path: f.Name(), Err: fs.ErrPermission}
	}
	size := info.Size()
	if size == 0 {
		return &mapping{}, nil
	}
	if int64(int(size)) != size {
		return nil, &fs.PathError{Op: "map", Path: f.Name(), Err: errTooBigToMap}
	}
	m, err := mapFile(of.File, int(size))
	if err != nil {
		return nil, &fs.PathError{Op: "map", Path: f.Name(), Err: err}
	}
	mapped.add(m.data)
	return m, nil
}

var errTooBigToMap = errors.New("too large for the addresses of this machine; read it instead")

// Chtimes implements [FS].
func (d *Dir) Chtimes(name string, mtime time.Time) error {
	info, err := d.Lstat(name)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return &fs.PathError{Op: "chtimes", Path: name, Err: ErrIrregular}
	}
	l, err := local("chtimes", name)
	if err != nil {
		return err
	}
	return d.root.Chtimes(l, time.Time{}, mtime)
}

// Free implements [FS].
func (d *Dir) Free() (int64, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return free(f)
}
