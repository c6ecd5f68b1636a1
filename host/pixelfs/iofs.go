package pixelfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"time"
)

// Files is what guests and commands need of a store. [*Store] and [*Overlay] have it.
type Files interface {
	Stat(name string) (Info, error)
	List(dir string) ([]Info, error)
	Entries(dir string) ([]Entry, error)
	Open(name string) (*File, error)
	Edit(name string, flag int) (*Edit, error)
	Mkdir(name string) error
	Rmdir(name string) error
	Rename(from, to string) error
	Remove(name string) error
	Chtimes(name string, mtime time.Time) error
	Versions(name string) ([]Info, error)
	OpenVersion(name string, v uint64) (*File, error)
}

var _ Files = (*Store)(nil)

// FS gives the files for reading as an [fs.FS] that has ReadDir, ReadFile and Stat too.
func (s *Store) FS() fs.FS { return ioFS{s} }

type ioFS struct{ files Files }

var (
	_ fs.ReadDirFS  = ioFS{}
	_ fs.ReadFileFS = ioFS{}
	_ fs.StatFS     = ioFS{}
)

func (f ioFS) Open(name string) (fs.File, error) {
	i, err := f.stat("open", name)
	if err != nil {
		return nil, err
	}
	if i.Dir {
		return &openDir{files: f.files, info: i}, nil
	}
	file, err := f.files.Open(name)
	if err != nil {
		return nil, err
	}
	return file, nil
}

func (f ioFS) stat(op, name string) (Info, error) {
	if !fs.ValidPath(name) {
		return Info{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	i, err := f.files.Stat(name)
	var ne *NameError
	if errors.As(err, &ne) {
		err = &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return i, err
}

func (f ioFS) Stat(name string) (fs.FileInfo, error) {
	i, err := f.stat("stat", name)
	if err != nil {
		return nil, err
	}
	return fileInfo{i}, nil
}

func (f ioFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if _, err := f.stat("readdir", name); err != nil {
		return nil, err
	}
	list, err := f.files.List(name)
	out := make([]fs.DirEntry, len(list))
	for i := range list {
		out[i] = fs.FileInfoToDirEntry(fileInfo{list[i]})
	}
	return out, err
}

func (f ioFS) ReadFile(name string) ([]byte, error) {
	if _, err := f.stat("open", name); err != nil {
		return nil, err
	}
	file, err := f.files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var b bytes.Buffer
	if n := file.Size(); n < 64<<20 {
		b.Grow(int(n))
	}
	_, err = file.WriteTo(&b)
	return b.Bytes(), err
}

// fileInfo is an Info as the standard library knows it. Sys gives the Info.
type fileInfo struct{ i Info }

func (f fileInfo) Name() string { return path.Base(f.i.Name) }
func (f fileInfo) Size() int64  { return f.i.Size }
func (f fileInfo) Mode() fs.FileMode {
	if f.i.Dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}
func (f fileInfo) ModTime() time.Time { return f.i.Modified }
func (f fileInfo) IsDir() bool        { return f.i.Dir }
func (f fileInfo) Sys() any           { return f.i }

// openDir is a directory opened through the fs.FS.
type openDir struct {
	files  Files
	info   Info
	list   []Info
	read   bool
	closed bool
}

func (d *openDir) Stat() (fs.FileInfo, error) { return fileInfo{d.info}, nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.Name, Err: ErrIsDir}
}

func (d *openDir) Close() error {
	if d.closed {
		return &fs.PathError{Op: "close", Path: d.info.Name, Err: fs.ErrClosed}
	}
	d.closed = true
	return nil
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if d.closed {
		return nil, &fs.PathError{Op: "readdir", Path: d.info.Name, Err: fs.ErrClosed}
	}
	if !d.read {
		list, err := d.files.List(d.info.Name)
		if err != nil {
			return nil, err
		}
		d.list, d.read = list, true
	}
	k := len(d.list)
	if n > 0 {
		if k == 0 {
			return nil, io.EOF
		}
		k = min(k, n)
	}
	out := make([]fs.DirEntry, k)
	for i := range k {
		out[i] = fs.FileInfoToDirEntry(fileInfo{d.list[i]})
	}
	d.list = d.list[k:]
	return out, nil
}
