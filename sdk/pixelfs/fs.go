package pixelfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/internal/buffer"
)

// FS returns the files as a file system. It implements fs.ReadFileFS, fs.ReadDirFS
// and fs.StatFS; its files are *File. Above what was granted it shows only what
// leads there.
func FS() fs.FS { return fileSystem{} }

type fileSystem struct{}

var (
	_ fs.ReadFileFS = fileSystem{}
	_ fs.ReadDirFS  = fileSystem{}
	_ fs.StatFS     = fileSystem{}
)

func checked(op, name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

func (fileSystem) Open(name string) (fs.File, error) {
	if err := checked("open", name); err != nil {
		return nil, err
	}
	info, err := Stat(name)
	if err != nil {
		err.(*fs.PathError).Op = "open"
		return nil, err
	}
	if info.dir {
		return &directory{name: name, info: info}, nil
	}
	f, err := Open(name)
	if err != nil {
		return nil, err // never a nil *File in an fs.File
	}
	return f, nil
}

func (fileSystem) ReadFile(name string) ([]byte, error) {
	if err := checked("read", name); err != nil {
		return nil, err
	}
	return ReadFile(name)
}

func (fileSystem) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := checked("readdir", name); err != nil {
		return nil, err
	}
	return ReadDir(name)
}

func (fileSystem) Stat(name string) (fs.FileInfo, error) {
	if err := checked("stat", name); err != nil {
		return nil, err
	}
	info, err := Stat(name)
	if err != nil {
		return nil, err
	}
	return info, nil
}

// Info describes a file or directory, as its last kept content.
type Info struct {
	name     string
	size     int64
	modified time.Time
	dir      bool
	digest   [32]byte
	version  uint64
}

var _ fs.FileInfo = (*Info)(nil)

// Name returns the last part of the path.
func (i *Info) Name() string { return i.name }

// Size returns the bytes of a file, 0 for a directory.
func (i *Info) Size() int64 { return i.size }

// ModTime returns when the content was kept, or the zero time where that is unknown.
func (i *Info) ModTime() time.Time { return i.modified }

// IsDir reports whether it is a directory.
func (i *Info) IsDir() bool { return i.dir }

// Sys returns nil.
func (i *Info) Sys() any { return nil }

// Mode returns 0644 for files and 0755 for directories: permissions are capabilities.
func (i *Info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// Digest returns the SHA-256 of a file's content.
func (i *Info) Digest() [32]byte { return i.digest }

// Version returns the number of a file's current version, from 1 on.
func (i *Info) Version() uint64 { return i.version }

// base is the last part of a name, and "." of the root.
func base(name string) string {
	if name = strings.TrimPrefix(name, "/"); name == "" {
		return "."
	}
	return path.Base(name)
}

// Stat describes a file or directory.
func Stat(name string) (*Info, error) {
	kind, size, modified, digest, version, code := pixelfsStat(hostName(name))
	if code != pxos.CodeOK {
		return nil, fault("stat", name, code)
	}
	info := &Info{name: base(name), size: int64(size), dir: kind == rawDirectory, digest: digest, version: version}
	if modified != 0 {
		info.modified = time.Unix(0, int64(modified)).UTC()
	}
	return info, nil
}

// ReadDir lists a directory, sorted by name.
func ReadDir(name string) ([]fs.DirEntry, error) {
	data, code := buffer.Read(func(p []byte) (uint32, pxos.Code) { return pixelfsList(hostName(name), p) }, pxos.CodeTooSmall, pxos.CodeInternal)
	if code != pxos.CodeOK {
		return nil, fault("readdir", name, code)
	}
	var out []fs.DirEntry
	for len(data) > 0 {
		entry, rest, _ := bytes.Cut(data, []byte{0})
		data = rest
		plain := bytes.TrimSuffix(entry, []byte("/"))
		out = append(out, &dirEntry{path.Join(hostName(name), string(plain)), string(plain), len(plain) < len(entry)})
	}
	return out, nil
}

type dirEntry struct {
	path, name string
	dir        bool
}

func (e *dirEntry) Name() string { return e.name }
func (e *dirEntry) IsDir() bool  { return e.dir }

func (e *dirEntry) Type() fs.FileMode { return (&Info{dir: e.dir}).Mode().Type() }

func (e *dirEntry) Info() (fs.FileInfo, error) {
	info, err := Stat(e.path)
	if err != nil {
		return nil, err
	}
	return info, nil
}

// ReadFile returns the content of a file, compared with its checksums.
func ReadFile(name string) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, code := pixelfsSize(f.handle)
	if code != pxos.CodeOK {
		return nil, fault("read", name, code)
	}
	if size > uint64(^uint(0)>>1) {
		return nil, fault("read", name, pxos.CodeLimit)
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if err == io.EOF { // another file of this run cut it meanwhile
		err = nil
	}
	return data[:n], err
}

// WriteFile makes a file with that content, or gives the content to the file that is
// there, in one step.
func WriteFile(name string, data []byte) error {
	f, err := OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// Mkdir makes a directory in one that exists.
func Mkdir(name string) error { return fault("mkdir", name, pixelfsMkdir(hostName(name))) }

// MkdirAll makes a directory and those above it that are missing. One that is there
// already is no error.
func MkdirAll(name string) error {
	info, err := Stat(name)
	switch {
	case err == nil && info.dir:
		return nil
	case err == nil:
		return fault("mkdir", name, pxos.CodeExists)
	}
	if up := path.Dir(strings.TrimPrefix(name, "/")); up != "." && up != name {
		if err := MkdirAll(up); err != nil {
			return err
		}
	}
	return Mkdir(name)
}

// Rename renames a file with its versions, or a directory with all it holds. A file
// that has the new name is replaced, and its content stays as a version. The error
// is an *os.LinkError, as of os.Rename.
func Rename(from, to string) error {
	if code := pixelfsRename(hostName(from), hostName(to)); code != pxos.CodeOK {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: code}
	}
	return nil
}

// directory is an open directory of FS.
type directory struct {
	name   string
	info   *Info
	rest   []fs.DirEntry
	loaded bool
}

var _ fs.ReadDirFile = (*directory)(nil)

func (d *directory) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *directory) Close() error               { return nil }

func (d *directory) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a directory")}
}

func (d *directory) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.loaded {
		entries, err := ReadDir(d.name)
		if err != nil {
			return nil, err
		}
		d.rest, d.loaded = entries, true
	}
	if n > 0 && len(d.rest) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.rest) {
		n = len(d.rest)
	}
	out := d.rest[:n:n]
	d.rest = d.rest[n:]
	return out, nil
}
