package pxa

import (
	"io"
	"io/fs"
	"path"
	"sort"
	"time"
)

// FS gives the archive as a read-only file system that also has ReadDir,
// ReadFile and Stat. Directories follow from the paths. Files have mode 0444,
// or 0555 when executable, and the zero time. Files of stored entries can
// seek and read at any offset; only reading one from start to end, or
// ReadFile, compares it with its SHA-256.
func (r *Reader) FS() fs.FS {
	r.fsOnce.Do(func() { r.fsys = newArchiveFS(r) })
	return r.fsys
}

type archiveFS struct {
	r    *Reader
	dirs map[string][]fs.DirEntry // sorted by name
}

func newArchiveFS(r *Reader) *archiveFS {
	f := &archiveFS{r: r, dirs: map[string][]fs.DirEntry{".": nil}}
	for i := range r.entries {
		e := &r.entries[i]
		f.addDir(path.Dir(e.Path))
		f.dirs[path.Dir(e.Path)] = append(f.dirs[path.Dir(e.Path)], fs.FileInfoToDirEntry(fileInfo{e}))
	}
	// Table order puts "a.b" before "a/c", directories sort "a" before "a.b".
	for _, list := range f.dirs {
		sort.Slice(list, func(i, j int) bool { return list[i].Name() < list[j].Name() })
	}
	return f
}

func (f *archiveFS) addDir(dir string) {
	if _, ok := f.dirs[dir]; ok {
		return
	}
	f.dirs[dir] = nil
	parent := path.Dir(dir)
	f.addDir(parent)
	f.dirs[parent] = append(f.dirs[parent], fs.FileInfoToDirEntry(dirInfo(dir)))
}

func (f *archiveFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if list, ok := f.dirs[name]; ok {
		return &dirFile{info: dirInfo(name), list: list}, nil
	}
	e, err := f.r.lookup("open", name)
	if err != nil {
		return nil, err
	}
	src, err := f.r.openEntry(e)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if e.Codec != Stored {
		return &file{src, fileInfo{e}}, nil
	}
	return &seekFile{file: file{src, fileInfo{e}}, sect: io.NewSectionReader(archiveBytes{f.r}, e.Offset, e.Size)}, nil
}

func (f *archiveFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	list, ok := f.dirs[name]
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	return append([]fs.DirEntry{}, list...), nil
}

func (f *archiveFS) ReadFile(name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readfile", Path: name, Err: fs.ErrInvalid}
	}
	b, err := f.r.ReadFile(name)
	if err == nil {
		return b, nil
	}
	if _, ok := f.dirs[name]; ok {
		err = errIsDirectory
	} else if pe, ok := err.(*fs.PathError); ok {
		err = pe.Err
	}
	return nil, &fs.PathError{Op: "readfile", Path: name, Err: err}
}

func (f *archiveFS) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	if _, ok := f.dirs[name]; ok {
		return dirInfo(name), nil
	}
	e, err := f.r.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	return fileInfo{e}, nil
}

// fileInfo describes an entry; its Sys is the *Entry.
type fileInfo struct{ e *Entry }

func (i fileInfo) Name() string       { return path.Base(i.e.Path) }
func (i fileInfo) Size() int64        { return i.e.Size }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return false }
func (i fileInfo) Sys() any           { e := *i.e; return &e }
func (i fileInfo) Mode() fs.FileMode {
	if i.e.Executable {
		return 0o555
	}
	return 0o444
}

type dirInfo string

func (i dirInfo) Name() string       { return path.Base(string(i)) }
func (i dirInfo) Size() int64        { return 0 }
func (i dirInfo) Mode() fs.FileMode  { return fs.ModeDir | 0o555 }
func (i dirInfo) ModTime() time.Time { return time.Time{} }
func (i dirInfo) IsDir() bool        { return true }
func (i dirInfo) Sys() any           { return nil }

// file is an open entry.
type file struct {
	src  io.ReadCloser
	info fileInfo
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return f.src.Close() }

func (f *file) Read(p []byte) (int, error) { return f.src.Read(p) }

// seekFile is an open stored entry. It reads through the checking stream
// until it is asked to seek, and straight from the archive from then on.
type seekFile struct {
	file
	sect   *io.SectionReader
	moved  bool
	closed bool
}

func (f *seekFile) Read(p []byte) (int, error) {
	if f.closed {
		return 0, fs.ErrClosed
	}
	if f.moved {
		return f.sect.Read(p)
	}
	n, err := f.src.Read(p)
	f.sect.Seek(int64(n), io.SeekCurrent) // cannot fail: n is inside the section
	return n, err
}

func (f *seekFile) Seek(offset int64, whence int) (int64, error) {
	if f.closed {
		return 0, fs.ErrClosed
	}
	f.moved = true
	return f.sect.Seek(offset, whence)
}

func (f *seekFile) ReadAt(p []byte, off int64) (int, error) {
	if f.closed {
		return 0, fs.ErrClosed
	}
	return f.sect.ReadAt(p, off)
}

func (f *seekFile) Close() error {
	f.closed = true
	return f.src.Close()
}

type directoryError struct{}

func (directoryError) Error() string { return "is a directory" }

var errIsDirectory = directoryError{}

// dirFile is an open directory.
type dirFile struct {
	info dirInfo
	list []fs.DirEntry
	next int
}

func (d *dirFile) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *dirFile) Close() error               { return nil }

func (d *dirFile) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: string(d.info), Err: errIsDirectory}
}

func (d *dirFile) ReadDir(n int) ([]fs.DirEntry, error) {
	left := d.list[d.next:]
	if n > 0 {
		if len(left) == 0 {
			return nil, io.EOF
		}
		left = left[:min(n, len(left))]
	}
	d.next += len(left)
	return append([]fs.DirEntry{}, left...), nil
}
