package pxos

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Archive returns the cartridge's own archive: its modules, its data and its
// manifest, read-only. The file system implements fs.ReadFileFS, fs.ReadDirFS and
// fs.StatFS, and its files io.ReaderAt and io.Seeker.
//
// The same files lie under / for packages that open paths with package os. This
// way in works without WASI files as well, and [Digest] is next to it.
func Archive() fs.FS { return &archive{} }

// Digest returns the SHA-256 that the archive records for one of its files. Reading
// the file compares the content with it.
func Digest(name string) ([32]byte, error) {
	_, digest, code := pxosArchiveStat(name)
	if code != CodeOK {
		return digest, &fs.PathError{Op: "stat", Path: name, Err: code}
	}
	return digest, nil
}

type archive struct {
	once  sync.Once
	paths []string // sorted
	err   error
}

var (
	_ fs.ReadFileFS = (*archive)(nil)
	_ fs.ReadDirFS  = (*archive)(nil)
	_ fs.StatFS     = (*archive)(nil)
	_ io.ReaderAt   = (*archiveFile)(nil)
	_ io.Seeker     = (*archiveFile)(nil)
)

// list asks the host for all paths once; an archive cannot change during a run.
func (a *archive) list() ([]string, error) {
	a.once.Do(func() {
		data, err := readBuffer(func(p []byte) (uint32, Code) { return pxosArchiveList("", p) })
		if err != nil {
			a.err = err
			return
		}
		a.paths = strings.Split(string(data), "\x00")
		a.paths = a.paths[:len(a.paths)-1] // every path ends in a NUL
	})
	return a.paths, a.err
}

func (a *archive) Stat(name string) (fs.FileInfo, error) {
	info, err := a.stat(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return info, nil
}

func (a *archive) stat(name string) (*archiveInfo, error) {
	if !fs.ValidPath(name) {
		return nil, CodeInvalid
	}
	if name != "." {
		size, _, code := pxosArchiveStat(name)
		if code == CodeOK {
			return &archiveInfo{name: path.Base(name), size: int64(size)}, nil
		}
		if code != CodeNotFound {
			return nil, code
		}
	}
	_, within, err := a.within(name)
	if err != nil {
		return nil, err
	}
	if len(within) == 0 && name != "." {
		return nil, CodeNotFound
	}
	return &archiveInfo{name: path.Base(name), dir: true}, nil
}

// within returns the paths below a directory, and the prefix they share.
func (a *archive) within(dir string) (prefix string, paths []string, err error) {
	all, err := a.list()
	if err != nil || dir == "." {
		return "", all, err
	}
	prefix = dir + "/"
	from := sort.SearchStrings(all, prefix)
	to := from
	for to < len(all) && strings.HasPrefix(all[to], prefix) {
		to++
	}
	return prefix, all[from:to], nil
}

func (a *archive) ReadDir(name string) ([]fs.DirEntry, error) {
	info, err := a.stat(name)
	if err == nil && !info.dir {
		err = errors.New("not a directory")
	}
	var entries []fs.DirEntry
	if err == nil {
		entries, err = a.entries(name)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return entries, nil
}

func (a *archive) entries(dir string) ([]fs.DirEntry, error) {
	prefix, paths, err := a.within(dir)
	if err != nil {
		return nil, err
	}
	var out []fs.DirEntry
	last := ""
	for _, p := range paths {
		name, _, isDir := strings.Cut(p[len(prefix):], "/")
		// The files of one directory follow each other, so that one comparison is
		// enough to name it once.
		if isDir && name == last {
			continue
		}
		if isDir {
			last = name
		}
		out = append(out, &archiveEntry{a, prefix + name, archiveInfo{name: name, dir: isDir}})
	}
	// Paths are sorted with their slash, which sorts after "-" and ".".
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

func (a *archive) ReadFile(name string) ([]byte, error) {
	info, err := a.stat(name)
	if err == nil && info.dir {
		err = errors.New("is a directory")
	}
	var data []byte
	if err == nil {
		data = make([]byte, info.size)
		var n int
		n, err = readAt(name, data, 0)
		data = data[:n]
	}
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return data, nil
}

// readAt reads until p is full or the file ends.
func readAt(name string, p []byte, off int64) (n int, err error) {
	for n < len(p) {
		got, code := pxosArchiveRead(name, uint64(off)+uint64(n), p[n:])
		if code != CodeOK {
			return n, code
		}
		if got == 0 {
			break
		}
		n += int(got)
	}
	return n, nil
}

func (a *archive) Open(name string) (fs.File, error) {
	info, err := a.stat(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if info.dir {
		return &archiveDir{a: a, name: name, info: info}, nil
	}
	return &archiveFile{name: name, info: info}, nil
}

// archiveFile is an open file.
type archiveFile struct {
	name   string
	info   *archiveInfo
	off    int64
	closed bool
}

func (f *archiveFile) fault(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

func (f *archiveFile) Stat() (fs.FileInfo, error) {
	if f.closed {
		return nil, f.fault("stat", fs.ErrClosed)
	}
	return f.info, nil
}

func (f *archiveFile) Close() error {
	if f.closed {
		return f.fault("close", fs.ErrClosed)
	}
	f.closed = true
	return nil
}

func (f *archiveFile) Read(p []byte) (int, error) {
	if f.closed {
		return 0, f.fault("read", fs.ErrClosed)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if f.off >= f.info.size {
		return 0, io.EOF
	}
	n, err := readAt(f.name, p, f.off)
	f.off += int64(n)
	if err != nil {
		return n, f.fault("read", err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *archiveFile) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case f.closed:
		return 0, f.fault("read", fs.ErrClosed)
	case off < 0:
		return 0, f.fault("read", CodeInvalid)
	}
	n, err := readAt(f.name, p, off)
	if err != nil {
		return n, f.fault("read", err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *archiveFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.off
	case io.SeekEnd:
		offset += f.info.size
	default:
		return 0, f.fault("seek", CodeInvalid)
	}
	if f.closed {
		return 0, f.fault("seek", fs.ErrClosed)
	}
	if offset < 0 {
		return 0, f.fault("seek", CodeInvalid)
	}
	f.off = offset
	return offset, nil
}

// archiveDir is an open directory.
type archiveDir struct {
	a      *archive
	name   string
	info   *archiveInfo
	rest   []fs.DirEntry
	loaded bool
}

func (d *archiveDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *archiveDir) Close() error               { return nil }

func (d *archiveDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a directory")}
}

func (d *archiveDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.loaded {
		entries, err := d.a.entries(d.name)
		if err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: d.name, Err: err}
		}
		d.rest, d.loaded = entries, true
	}
	if n <= 0 {
		out := d.rest
		d.rest = nil
		return out, nil
	}
	if len(d.rest) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.rest))
	out := d.rest[:n:n]
	d.rest = d.rest[n:]
	return out, nil
}

type archiveInfo struct {
	name string
	size int64
	dir  bool
}

func (i *archiveInfo) Name() string       { return i.name }
func (i *archiveInfo) Size() int64        { return i.size }
func (i *archiveInfo) ModTime() time.Time { return time.Time{} }
func (i *archiveInfo) IsDir() bool        { return i.dir }
func (i *archiveInfo) Sys() any           { return nil }

func (i *archiveInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

type archiveEntry struct {
	a    *archive
	path string
	info archiveInfo
}

func (e *archiveEntry) Name() string               { return e.info.name }
func (e *archiveEntry) IsDir() bool                { return e.info.dir }
func (e *archiveEntry) Type() fs.FileMode          { return e.info.Mode().Type() }
func (e *archiveEntry) Info() (fs.FileInfo, error) { return e.a.Stat(e.path) }
