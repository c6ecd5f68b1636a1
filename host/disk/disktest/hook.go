package disktest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/pxos/pxos/host/disk"
)

// Op is one call of a file system or one of its files.
type Op struct {
	Number int // from 1, by [Count] and [Inject], over what they count; else 0
	// Name is "create", "write", "truncate", "sync", "syncdir", "mkdir", "rename",
	// "link", "remove", "chtimes" or "lock"; or, of what changes nothing and makes
	// nothing durable, "open", "read", "lstat", "readdir", "map", "stat", "seek",
	// "close", "unlock" or "free".
	Name string
	Path string // of rename and link: the old name
	To   string // of rename and link: the new name
	Off  int64  // of write: where; -1 for the file's own position; of truncate: the size
	Len  int    // of write and read: bytes
}

// String is a line such as "7 write a/b 4096 at 512".
func (o Op) String() string {
	s := fmt.Sprintf("%d %s %s", o.Number, o.Name, o.Path)
	switch {
	case o.To != "":
		s += " to " + o.To
	case o.Name == "write" && o.Off < 0:
		s += fmt.Sprintf(" %d", o.Len)
	case o.Name == "write":
		s += fmt.Sprintf(" %d at %d", o.Len, o.Off)
	case o.Name == "truncate":
		s += fmt.Sprintf(" to %d", o.Off)
	}
	return s
}

// Verdict is what a [Hook] decides about an operation. The zero Verdict lets it happen.
type Verdict struct {
	// Err, when not nil, is what the operation fails with; it is not done, except
	// for the Part of a write.
	Err error
	// Part is how many bytes a write that fails writes first.
	Part int
	// Then, when not nil, is called after the operation or its part.
	Then func()
}

// Hook returns a file system that asks judge before each operation of fsys. Operations
// that fsys would do in many steps (MkdirAll, RemoveAll) are done one step at a time,
// so that each can be judged. An opening with O_CREATE or O_TRUNC counts as "create",
// any other as "open". judge may be called by many goroutines at the same time.
func Hook(fsys disk.FS, judge func(Op) Verdict) disk.FS {
	return &hooked{fsys, judge}
}

type hooked struct {
	disk.FS
	judge func(Op) Verdict
}

// do judges an operation that is done whole or not at all.
func (h *hooked) do(op Op, f func() error) error {
	v := h.judge(op)
	err := v.Err
	if err == nil {
		err = f()
	} else {
		err = pathError(op.Name, op.Path, err)
	}
	if v.Then != nil {
		v.Then()
	}
	return err
}

func (h *hooked) OpenFile(name string, flag int) (disk.File, error) {
	op := Op{Name: "open", Path: name}
	if flag&creates != 0 {
		op.Name = "create"
	}
	var f disk.File
	err := h.do(op, func() (err error) {
		f, err = h.FS.OpenFile(name, flag)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &hookedFile{f, h}, nil
}

func (h *hooked) Mkdir(name string) error {
	return h.do(Op{Name: "mkdir", Path: name}, func() error { return h.FS.Mkdir(name) })
}

func (h *hooked) MkdirAll(name string) error {
	if !fs.ValidPath(name) || name == "." {
		return h.FS.MkdirAll(name)
	}
	for _, dir := range ancestors(name) {
		info, err := h.Lstat(dir)
		if err == nil && info.IsDir() {
			continue
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return h.FS.MkdirAll(name) // fails, in its own words
		}
		if err := h.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func (h *hooked) Rename(from, to string) error {
	return h.do(Op{Name: "rename", Path: from, To: to}, func() error { return h.FS.Rename(from, to) })
}

func (h *hooked) Link(from, to string) error {
	return h.do(Op{Name: "link", Path: from, To: to}, func() error { return h.FS.Link(from, to) })
}

func (h *hooked) Remove(name string) error {
	return h.do(Op{Name: "remove", Path: name}, func() error { return h.FS.Remove(name) })
}

func (h *hooked) RemoveAll(name string) error {
	if name == "." {
		return h.FS.RemoveAll(name)
	}
	info, err := h.FS.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		list, err := h.FS.ReadDir(name)
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := h.RemoveAll(path.Join(name, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := h.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (h *hooked) Lstat(name string) (info fs.FileInfo, err error) {
	err = h.do(Op{Name: "lstat", Path: name}, func() (err error) {
		info, err = h.FS.Lstat(name)
		return err
	})
	return info, err
}

func (h *hooked) ReadDir(name string) (list []fs.DirEntry, err error) {
	err = h.do(Op{Name: "readdir", Path: name}, func() (err error) {
		list, err = h.FS.ReadDir(name)
		return err
	})
	return list, err
}

func (h *hooked) SyncDir(name string) error {
	return h.do(Op{Name: "syncdir", Path: name}, func() error { return h.FS.SyncDir(name) })
}

func (h *hooked) Lock(name string, how disk.LockMode) (c io.Closer, err error) {
	err = h.do(Op{Name: "lock", Path: name}, func() (err error) {
		c, err = h.FS.Lock(name, how)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &hookedLock{c, h, name}, nil
}

type hookedLock struct {
	io.Closer
	h    *hooked
	name string
}

// Close always unlocks: a judge that says otherwise would leave the lock to nobody.
func (l *hookedLock) Close() error {
	v := l.h.judge(Op{Name: "unlock", Path: l.name})
	err := l.Closer.Close()
	if v.Then != nil {
		v.Then()
	}
	return errors.Join(v.Err, err)
}

func (h *hooked) Map(f disk.File) (m disk.Mapping, err error) {
	hf, ok := f.(*hookedFile)
	if !ok || hf.h != h {
		return nil, pathError("map", f.Name(), fs.ErrInvalid)
	}
	err = h.do(Op{Name: "map", Path: f.Name()}, func() (err error) {
		m, err = h.FS.Map(hf.File)
		return err
	})
	return m, err
}

func (h *hooked) Chtimes(name string, mtime time.Time) error {
	return h.do(Op{Name: "chtimes", Path: name}, func() error { return h.FS.Chtimes(name, mtime) })
}

func (h *hooked) Free() (n int64, err error) {
	err = h.do(Op{Name: "free"}, func() (err error) {
		n, err = h.FS.Free()
		return err
	})
	return n, err
}

type hookedFile struct {
	disk.File
	h *hooked
}

func (f *hookedFile) Read(p []byte) (n int, err error) {
	err = f.h.do(Op{Name: "read", Path: f.Name(), Off: -1, Len: len(p)}, func() (err error) {
		n, err = f.File.Read(p)
		return err
	})
	return n, err
}

func (f *hookedFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.h.do(Op{Name: "read", Path: f.Name(), Off: off, Len: len(p)}, func() (err error) {
		n, err = f.File.ReadAt(p, off)
		return err
	})
	return n, err
}

func (f *hookedFile) Write(p []byte) (int, error) {
	return f.write(p, -1, f.File.Write)
}

func (f *hookedFile) WriteAt(p []byte, off int64) (int, error) {
	return f.write(p, off, func(p []byte) (int, error) { return f.File.WriteAt(p, off) })
}

func (f *hookedFile) write(p []byte, off int64, to func([]byte) (int, error)) (n int, err error) {
	v := f.h.judge(Op{Name: "write", Path: f.Name(), Off: off, Len: len(p)})
	switch {
	case v.Err == nil:
		n, err = to(p)
	default:
		if part := min(v.Part, len(p)); part > 0 {
			n, err = to(p[:part])
		}
		if err == nil {
			err = pathError("write", f.Name(), v.Err)
		}
	}
	if v.Then != nil {
		v.Then()
	}
	return n, err
}

func (f *hookedFile) Seek(offset int64, whence int) (n int64, err error) {
	err = f.h.do(Op{Name: "seek", Path: f.Name()}, func() (err error) {
		n, err = f.File.Seek(offset, whence)
		return err
	})
	return n, err
}

func (f *hookedFile) Truncate(size int64) error {
	return f.h.do(Op{Name: "truncate", Path: f.Name(), Off: size}, func() error { return f.File.Truncate(size) })
}

func (f *hookedFile) Sync() error {
	done := false
	err := f.h.do(Op{Name: "sync", Path: f.Name()}, func() error {
		done = true
		return f.File.Sync()
	})
	if !done {
		f.syncFails()
	}
	return err
}

// syncFails passes on that a sync was not done, through wrappers, to a file in memory.
func (f *hookedFile) syncFails() {
	if in, ok := f.File.(interface{ syncFails() }); ok {
		in.syncFails()
	}
}

func (f *hookedFile) Stat() (info fs.FileInfo, err error) {
	err = f.h.do(Op{Name: "stat", Path: f.Name()}, func() (err error) {
		info, err = f.File.Stat()
		return err
	})
	return info, err
}

// Close always closes, whatever the judge says.
func (f *hookedFile) Close() error {
	v := f.h.judge(Op{Name: "close", Path: f.Name()})
	err := f.File.Close()
	if v.Then != nil {
		v.Then()
	}
	return errors.Join(v.Err, err)
}
