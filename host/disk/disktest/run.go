package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pxos/pxos/host/disk"
)

// Run tests that a file system does what [disk.FS] says; fresh returns an empty one at
// each call. What survives a power loss cannot be tested from outside and is not.
func Run(t *testing.T, fresh func() disk.FS) {
	for _, c := range []struct {
		name string
		test func(k *kit)
	}{
		{"names", names},
		{"open flags", openFlags},
		{"irregular", irregular},
		{"read and write", readWrite},
		{"append", appendMode},
		{"positions", positions},
		{"truncate", truncate},
		{"closed", closed},
		{"access", access},
		{"mkdir", mkdir},
		{"rename", rename},
		{"link", link},
		{"remove", remove},
		{"remove all", removeAll},
		{"list", list},
		{"sync", syncs},
		{"chtimes", chtimes},
		{"locks", locks},
		{"waiting for a lock", lockWaits},
		{"removed lock file", lockRemoved},
		{"map", maps},
		{"free", freeSpace},
		{"write file", writeFile},
		{"make dirs", makeDirs},
		{"concurrent", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(&kit{t, fresh()}) })
	}
}

type kit struct {
	*testing.T
	disk.FS
}

func (k *kit) ok(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// is wants an error of the kinds that disk.FS promises; nil for target means any.
func (k *kit) is(what string, err, target error) {
	k.Helper()
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case err == nil:
		k.Errorf("%s: no error, want %v", what, target)
	case target != nil && !errors.Is(err, target):
		k.Errorf("%s: error %v, want %v", what, err, target)
	case !errors.As(err, &p) && !errors.As(err, &l):
		k.Errorf("%s: error %v of type %T, want a PathError or LinkError", what, err, err)
	}
}

func (k *kit) open(name string, flag int) disk.File {
	k.Helper()
	f, err := k.OpenFile(name, flag)
	k.ok(err)
	if f.Name() != name {
		k.Errorf("name %q, want %q", f.Name(), name)
	}
	return f
}

func (k *kit) put(name, content string) {
	k.Helper()
	f := k.open(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	_, err := io.WriteString(f, content)
	k.ok(err)
	k.ok(f.Close())
}

func (k *kit) want(name, content string) {
	k.Helper()
	got, err := read(k.FS, name)
	if err != nil {
		k.Error(err)
	} else if got != content {
		k.Errorf("%s holds %q, want %q", name, clip(got), clip(content))
	}
}

func (k *kit) gone(name string) {
	k.Helper()
	_, err := k.Lstat(name)
	k.is("lstat "+name, err, fs.ErrNotExist)
}

func (k *kit) listed(dir string, names ...string) {
	k.Helper()
	entries, err := k.ReadDir(dir)
	k.ok(err)
	var got []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		got = append(got, name)
	}
	if !slices.Equal(got, names) {
		k.Errorf("%s holds %q, want %q", dir, got, names)
	}
}

func read(fsys disk.FS, name string) (string, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(f)
	return string(b), errors.Join(err, f.Close())
}

func clip(s string) string {
	if len(s) > 80 {
		return fmt.Sprintf("%s… (%d bytes)", s[:80], len(s))
	}
	return s
}

func names(k *kit) {
	k.put("file", "x")
	for _, bad := range []string{"", "/", "/a", "a/", "a//b", "./a", "a/.", "..", "../a", "a/../b", "a\x00b"} {
		_, err := k.OpenFile(bad, os.O_RDWR|os.O_CREATE)
		k.is(fmt.Sprintf("open %q", bad), err, fs.ErrInvalid)
		_, err = k.Lstat(bad)
		k.is(fmt.Sprintf("lstat %q", bad), err, fs.ErrInvalid)
		_, err = k.ReadDir(bad)
		k.is(fmt.Sprintf("readdir %q", bad), err, fs.ErrInvalid)
		_, err = k.Lock(bad, disk.Shared)
		k.is(fmt.Sprintf("lock %q", bad), err, fs.ErrInvalid)
		for what, err := range map[string]error{
			"mkdir": k.Mkdir(bad), "mkdirall": k.MkdirAll(bad), "remove": k.Remove(bad), "removeall": k.RemoveAll(bad),
			"syncdir": k.SyncDir(bad), "chtimes": k.Chtimes(bad, time.Now()),
			"rename from": k.Rename(bad, "b"), "rename to": k.Rename("file", bad), "link from": k.Link(bad, "b"), "link to": k.Link("file", bad),
		} {
			k.is(fmt.Sprintf("%s %q", what, bad), err, fs.ErrInvalid)
		}
	}
	long := strings.Repeat("x", 256)
	_, err := k.OpenFile(long, os.O_RDWR|os.O_CREATE)
	k.is("open of 256 bytes", err, nil)
	k.is("mkdir of 256 bytes", k.Mkdir(long), nil)
	for _, good := range []string{strings.Repeat("y", 255), "a b", "ü", ".hidden", "...", "%", "-"} {
		if runtime.GOOS == "windows" && strings.HasSuffix(good, ".") {
			continue // Windows drops dots at the end
		}
		k.put(good, good)
		k.want(good, good)
	}
	for what, err := range map[string]error{
		"mkdir": k.Mkdir("."), "remove": k.Remove("."), "removeall": k.RemoveAll("."), "rename from": k.Rename(".", "b"),
		"rename to": k.Rename("file", "."), "link from": k.Link(".", "b"), "link to": k.Link("file", "."),
	} {
		k.is(what+" of the directory itself", err, nil)
	}
	k.ok(k.MkdirAll("."))
	k.want("file", "x")
}

func openFlags(k *kit) {
	_, err := k.OpenFile("none", os.O_RDWR)
	k.is("open what is not there", err, fs.ErrNotExist)
	_, err = k.OpenFile("none/a", os.O_RDWR|os.O_CREATE)
	k.is("create in what is not there", err, fs.ErrNotExist)
	for _, flag := range []int{
		os.O_RDWR | os.O_EXCL, os.O_RDONLY | os.O_TRUNC, os.O_RDONLY | os.O_CREATE | os.O_TRUNC, os.O_WRONLY | os.O_RDWR, os.O_RDWR | os.O_SYNC, 1 << 30,
	} {
		_, err = k.OpenFile("a", flag)
		k.is(fmt.Sprintf("open with flags %#x", flag), err, fs.ErrInvalid)
	}
	k.gone("a")
	k.ok(k.open("a", os.O_RDONLY|os.O_CREATE).Close())
	k.want("a", "")
	k.put("a", "abc")
	k.ok(k.open("a", os.O_RDWR|os.O_CREATE).Close())
	k.want("a", "abc")
	_, err = k.OpenFile("a", os.O_RDWR|os.O_CREATE|os.O_EXCL)
	k.is("make what is there", err, fs.ErrExist)
	k.ok(k.open("a", os.O_WRONLY|os.O_TRUNC).Close())
	k.want("a", "")
	k.ok(k.open("b", os.O_RDWR|os.O_CREATE|os.O_EXCL).Close())
	info, err := k.Lstat("b")
	k.ok(err)
	if runtime.GOOS != "windows" && info.Mode() != 0o600 {
		k.Errorf("mode %v, want 0600", info.Mode())
	}
}

func irregular(k *kit) {
	k.ok(k.Mkdir("dir"))
	k.put("file", "x")
	for _, name := range []string{"dir", "."} {
		_, err := k.OpenFile(name, os.O_RDONLY)
		k.is("open "+name, err, disk.ErrIrregular)
		_, err = k.OpenFile(name, os.O_RDWR|os.O_CREATE)
		k.is("open to write "+name, err, disk.ErrIrregular)
		_, err = k.Lock(name, disk.Exclusive)
		k.is("lock "+name, err, disk.ErrIrregular)
	}
	_, err := k.OpenFile("file/a", os.O_RDWR|os.O_CREATE)
	k.is("create in a file", err, nil)
	_, err = k.Lstat("file/a")
	k.is("lstat in a file", err, nil)
	_, err = k.ReadDir("file")
	k.is("list a file", err, nil)
	k.is("sync a file as a directory", k.SyncDir("file"), nil)
	k.is("make a directory in a file", k.MkdirAll("file/a"), nil)
	k.is("make a directory where a file is", k.MkdirAll("file"), nil)
	k.want("file", "x")
}

func readWrite(k *kit) {
	f := k.open("a", os.O_RDWR|os.O_CREATE)
	defer f.Close()
	for _, s := range []string{"hello ", "", "world"} {
		n, err := f.Write([]byte(s))
		k.ok(err)
		if n != len(s) {
			k.Errorf("wrote %d of %d", n, len(s))
		}
	}
	p := make([]byte, 20)
	if n, err := f.Read(p); n != 0 || err != io.EOF {
		k.Errorf("read at the end: %d, %v", n, err)
	}
	if n, err := f.Read(nil); n != 0 || err != nil {
		k.Errorf("read nothing: %d, %v", n, err)
	}
	_, err := f.WriteAt([]byte("W"), 6)
	k.ok(err)
	for _, c := range []struct {
		off  int64
		size int
		want string
		err  error
	}{
		{0, 5, "hello", nil}, {6, 5, "World", nil}, {6, 6, "World", io.EOF}, {11, 1, "", io.EOF}, {1 << 40, 1, "", io.EOF}, {3, 0, "", nil}, {99, 0, "", nil},
	} {
		n, err := f.ReadAt(p[:c.size], c.off)
		if string(p[:n]) != c.want || err != c.err {
			k.Errorf("read %d at %d: %q, %v; want %q, %v", c.size, c.off, p[:n], err, c.want, c.err)
		}
	}
	_, err = f.ReadAt(p, -1)
	k.is("read below zero", err, nil)
	_, err = f.WriteAt(p, -1)
	k.is("write below zero", err, nil)
	_, err = f.WriteAt([]byte("!"), 1000)
	k.ok(err)
	k.want("a", "hello World"+strings.Repeat("\x00", 989)+"!")
	g := k.open("a", os.O_RDONLY) // a second handle sees what the first one did
	defer g.Close()
	n, err := g.Read(p[:5])
	k.ok(err)
	if string(p[:n]) != "hello" {
		k.Errorf("read %q", p[:n])
	}
	info, err := g.Stat()
	k.ok(err)
	if info.Size() != 1001 || info.Name() != "a" || !info.Mode().IsRegular() {
		k.Errorf("stat gives %v", fs.FormatFileInfo(info))
	}
}

func appendMode(k *kit) {
	k.put("a", "one")
	f, g := k.open("a", os.O_WRONLY|os.O_APPEND), k.open("a", os.O_RDWR|os.O_APPEND)
	defer f.Close()
	defer g.Close()
	for i, h := range []disk.File{f, g, f} {
		_, err := fmt.Fprint(h, i)
		k.ok(err)
	}
	_, err := g.Seek(0, io.SeekStart)
	k.ok(err)
	_, err = io.WriteString(g, "end")
	k.ok(err)
	k.want("a", "one012end")
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		k.Error("WriteAt on a file opened to append works")
	}
	k.want("a", "one012end")
}

func positions(k *kit) {
	k.put("a", "0123456789")
	f := k.open("a", os.O_RDWR)
	defer f.Close()
	p := make([]byte, 2)
	for _, c := range []struct {
		off    int64
		whence int
		want   int64
	}{
		{4, io.SeekStart, 4}, {1, io.SeekCurrent, 5}, {-3, io.SeekEnd, 7}, {-7, io.SeekCurrent, 0}, {5, io.SeekEnd, 15}, {2, io.SeekStart, 2},
	} {
		if got, err := f.Seek(c.off, c.whence); got != c.want || err != nil {
			k.Errorf("seek %d from %d: %d, %v; want %d", c.off, c.whence, got, err, c.want)
		}
		if _, err := f.ReadAt(p, 0); err != nil { // moves nothing
			k.Error(err)
		}
		if got, err := f.Seek(0, io.SeekCurrent); got != c.want || err != nil {
			k.Errorf("at %d, %v after seeking to %d", got, err, c.want)
		}
	}
	_, err := f.Read(p)
	k.ok(err)
	if string(p) != "23" {
		k.Errorf("read %q", p)
	}
	_, err = f.Write([]byte("xy"))
	k.ok(err)
	k.want("a", "0123xy6789")
	_, err = f.Seek(-1, io.SeekStart)
	k.is("seek below zero", err, nil)
	_, err = f.Seek(0, 77)
	k.is("seek from nowhere", err, nil)
	_, err = f.Seek(2, io.SeekEnd)
	k.ok(err)
	_, err = f.Write([]byte("z"))
	k.ok(err)
	k.want("a", "0123xy6789\x00\x00z")
}

func truncate(k *kit) {
	f := k.open("a", os.O_RDWR|os.O_CREATE)
	defer f.Close()
	_, err := f.Write([]byte("0123456789"))
	k.ok(err)
	for _, c := range []struct {
		size int64
		want string
	}{{4, "0123"}, {4, "0123"}, {6, "0123\x00\x00"}, {0, ""}, {2, "\x00\x00"}} {
		k.ok(f.Truncate(c.size))
		k.want("a", c.want)
	}
	if at, err := f.Seek(0, io.SeekCurrent); at != 10 || err != nil {
		k.Errorf("truncate moved the position to %d, %v", at, err)
	}
	k.is("truncate below zero", f.Truncate(-1), nil)
}

func closed(k *kit) {
	f := k.open("a", os.O_RDWR|os.O_CREATE)
	k.ok(f.Close())
	p := make([]byte, 1)
	for what, call := range map[string]func() error{
		"close": f.Close, "sync": f.Sync,
		"read":     func() error { _, err := f.Read(p); return err },
		"readat":   func() error { _, err := f.ReadAt(p, 0); return err },
		"write":    func() error { _, err := f.Write(p); return err },
		"writeat":  func() error { _, err := f.WriteAt(p, 0); return err },
		"seek":     func() error { _, err := f.Seek(0, io.SeekStart); return err },
		"truncate": func() error { return f.Truncate(0) },
		"stat":     func() error { _, err := f.Stat(); return err },
		"map":      func() error { _, err := k.Map(f); return err },
	} {
		if err := call(); !errors.Is(err, fs.ErrClosed) {
			k.Errorf("%s of a closed file: %v", what, err)
		}
	}
}

func access(k *kit) {
	k.put("a", "abc")
	r, w := k.open("a", os.O_RDONLY), k.open("a", os.O_WRONLY)
	defer r.Close()
	defer w.Close()
	p := []byte("x")
	_, err := r.Write(p)
	k.is("write", err, nil)
	_, err = r.WriteAt(p, 0)
	k.is("writeat", err, nil)
	k.is("truncate", r.Truncate(0), nil)
	_, err = w.Read(p)
	k.is("read", err, nil)
	_, err = w.ReadAt(p, 0)
	k.is("readat", err, nil)
	_, err = k.Map(w)
	k.is("map", err, nil)
	k.want("a", "abc")
}

func mkdir(k *kit) {
	k.ok(k.Mkdir("a"))
	k.is("make a directory twice", k.Mkdir("a"), fs.ErrExist)
	k.is("make a directory in none", k.Mkdir("x/y"), fs.ErrNotExist)
	k.ok(k.MkdirAll("a/b/c"))
	k.ok(k.MkdirAll("a/b/c"))
	k.put("a/b/f", "")
	k.is("make a directory where a file is", k.Mkdir("a/b/f"), fs.ErrExist)
	k.is("make a directory below a file", k.MkdirAll("a/b/f/g/h"), nil)
	k.listed("a/b", "c/", "f")
	info, err := k.Lstat("a/b/c")
	k.ok(err)
	if !info.IsDir() || info.Name() != "c" || runtime.GOOS != "windows" && info.Mode() != fs.ModeDir|0o700 {
		k.Errorf("lstat gives %v", fs.FormatFileInfo(info))
	}
}

func rename(k *kit) {
	k.ok(k.MkdirAll("d/e"))
	k.ok(k.MkdirAll("empty"))
	k.put("a", "a")
	k.put("b", "b")
	k.put("d/e/f", "f")
	k.ok(k.Rename("a", "c"))
	k.gone("a")
	k.want("c", "a")
	k.ok(k.Rename("c", "b")) // replaces
	k.want("b", "a")
	k.gone("c")
	k.ok(k.Rename("b", "d/b")) // to another directory
	k.want("d/b", "a")
	k.ok(k.Rename("d/b", "d/b")) // to itself
	k.want("d/b", "a")
	k.ok(k.Rename("d", "g")) // a directory
	k.want("g/e/f", "f")
	k.gone("d")
	k.put("x", "x")
	k.is("rename what is not there", k.Rename("none", "y"), fs.ErrNotExist)
	k.is("rename into what is not there", k.Rename("x", "none/y"), fs.ErrNotExist)
	k.is("a file over a directory", k.Rename("x", "empty"), nil)
	k.is("a directory over a file", k.Rename("g", "x"), nil)
	k.is("a directory over a directory", k.Rename("g", "empty"), nil)
	k.is("a directory into itself", k.Rename("g", "g/e/g"), nil)
	k.listed(".", "empty/", "g/", "x")
	k.put("two", "two")
	k.ok(k.Link("two", "names"))
	if runtime.GOOS != "windows" { // there the old name goes
		k.ok(k.Rename("two", "names"))
		k.want("two", "two")
	}
	k.want("names", "two")
	f := k.open("x", os.O_RDWR) // an open file goes along
	defer f.Close()
	k.ok(k.Rename("x", "z"))
	_, err := f.WriteAt([]byte("open"), 0)
	k.ok(err)
	k.want("z", "open")
	if f.Name() != "x" {
		k.Errorf("the name of an open file became %q", f.Name())
	}
}

func link(k *kit) {
	k.put("a", "abc")
	k.ok(k.Mkdir("d"))
	k.ok(k.Link("a", "d/b"))
	k.want("d/b", "abc")
	f := k.open("a", os.O_WRONLY)
	_, err := f.WriteAt([]byte("xyz!"), 0)
	k.ok(err)
	k.ok(f.Close())
	k.want("d/b", "xyz!")
	k.ok(k.Remove("a"))
	k.want("d/b", "xyz!")
	k.put("a", "other")
	k.want("d/b", "xyz!")
	k.is("link over a file", k.Link("a", "d/b"), fs.ErrExist)
	k.is("link over itself", k.Link("a", "a"), fs.ErrExist)
	k.is("link what is not there", k.Link("none", "b"), fs.ErrNotExist)
	k.is("link a directory", k.Link("d", "e"), nil)
	k.is("link into what is not there", k.Link("a", "none/b"), fs.ErrNotExist)
	k.listed(".", "a", "d/")
}

func remove(k *kit) {
	k.ok(k.MkdirAll("d/e"))
	k.put("a", "abc")
	k.is("remove what is not there", k.Remove("none"), fs.ErrNotExist)
	k.is("remove a full directory", k.Remove("d"), nil)
	k.ok(k.Remove("d/e"))
	k.ok(k.Remove("d"))
	f := k.open("a", os.O_RDWR)
	k.ok(k.Remove("a"))
	k.gone("a")
	_, err := f.WriteAt([]byte("x"), 1) // an open file stays with those who have it
	k.ok(err)
	p := make([]byte, 3)
	_, err = f.ReadAt(p, 0)
	k.ok(err)
	if string(p) != "axc" {
		k.Errorf("a removed file holds %q", p)
	}
	k.ok(f.Sync())
	k.ok(f.Close())
	k.listed(".")
}

func removeAll(k *kit) {
	k.ok(k.MkdirAll("d/e/f"))
	k.put("d/a", "a")
	k.put("d/e/b", "b")
	k.put("keep", "keep")
	k.ok(k.RemoveAll("none"))
	k.ok(k.RemoveAll("none/at/all"))
	k.ok(k.RemoveAll("d/a"))
	k.listed("d", "e/")
	k.ok(k.RemoveAll("d"))
	k.listed(".", "keep")
}

func list(k *kit) {
	k.listed(".")
	want := []string{"A", "B/", "a", "a-b", "a.b", "a0", "b"}
	for _, name := range []string{"a0", "a", "b", "a.b", "a-b"} {
		k.put(name, name)
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" { // a and A may be one name
		want = []string{"a", "a-b", "a.b", "a0", "b"}
	} else {
		k.put("A", "A")
		k.ok(k.Mkdir("B"))
	}
	k.listed(".", want...)
	_, err := k.ReadDir("none")
	k.is("list what is not there", err, fs.ErrNotExist)
	entries, err := k.ReadDir(".")
	k.ok(err)
	for _, e := range entries {
		info, err := e.Info()
		k.ok(err)
		if info.Name() != e.Name() || info.IsDir() != e.IsDir() || !e.IsDir() && info.Size() != int64(len(e.Name())) {
			k.Errorf("%s: %s", e.Name(), fs.FormatFileInfo(info))
		}
	}
}

func syncs(k *kit) {
	k.ok(k.MkdirAll("a/b"))
	f := k.open("a/b/c", os.O_RDWR|os.O_CREATE)
	_, err := f.Write([]byte("x"))
	k.ok(err)
	k.ok(f.Sync())
	k.ok(f.Sync())
	k.ok(f.Close())
	for _, dir := range []string{".", "a", "a/b"} {
		k.ok(k.SyncDir(dir))
	}
	k.is("sync what is not there", k.SyncDir("none"), fs.ErrNotExist)
	k.want("a/b/c", "x")
}

func chtimes(k *kit) {
	k.put("a", "a")
	k.ok(k.Mkdir("d"))
	when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, name := range []string{"a", "d"} {
		k.ok(k.Chtimes(name, when))
		info, err := k.Lstat(name)
		k.ok(err)
		if !info.ModTime().Equal(when) {
			k.Errorf("the time of %s is %v", name, info.ModTime())
		}
	}
	k.put("a", "b")
	info, err := k.Lstat("a")
	k.ok(err)
	if info.ModTime().Equal(when) {
		k.Error("a write leaves the time as it was")
	}
	k.is("set the time of what is not there", k.Chtimes("none", when), fs.ErrNotExist)
}

func locks(k *kit) {
	for _, how := range []disk.LockMode{0, disk.Wait, disk.Shared | disk.Exclusive, 1 << 7, disk.Shared | 1<<7} {
		_, err := k.Lock("l", how)
		k.is(fmt.Sprintf("lock in mode %#x", how), err, fs.ErrInvalid)
	}
	for _, c := range []struct {
		first, second disk.LockMode
		ok            bool
	}{
		{disk.Shared, disk.Shared, true},
		{disk.Shared, disk.Exclusive, false},
		{disk.Exclusive, disk.Shared, false},
		{disk.Exclusive, disk.Exclusive, false},
		{disk.Exclusive | disk.Wait, disk.Exclusive, false},
		{disk.Shared | disk.Wait, disk.Shared | disk.Wait, true},
	} {
		first, err := k.Lock("l", c.first)
		k.ok(err)
		second, err := k.Lock("l", c.second)
		if c.ok {
			k.ok(err)
			k.ok(second.Close())
		} else {
			k.is(fmt.Sprintf("lock %#x after %#x", c.second, c.first), err, disk.ErrLocked)
		}
		k.ok(first.Close())
		if err := first.Close(); !errors.Is(err, fs.ErrClosed) {
			k.Errorf("unlock twice: %v", err)
		}
		third, err := k.Lock("l", disk.Exclusive)
		k.ok(err)
		other, err := k.Lock("m", disk.Exclusive) // another file, another lock
		k.ok(err)
		k.ok(other.Close())
		k.ok(third.Close())
	}
	k.listed(".", "l", "m")
	k.want("l", "")
}

// lockWaits has goroutines take turns; a lock that two hold at a time is seen as a
// count that is not one.
func lockWaits(k *kit) {
	var wg sync.WaitGroup
	var inside, turns atomic.Int32
	held, err := k.Lock("l", disk.Exclusive)
	k.ok(err)
	const workers, rounds = 4, 20
	errs := make(chan error, workers*rounds*2)
	for range workers {
		wg.Go(func() {
			for range rounds {
				l, err := k.Lock("l", disk.Exclusive|disk.Wait)
				if err != nil {
					errs <- err
					return
				}
				if n := inside.Add(1); n != 1 {
					errs <- fmt.Errorf("%d hold the lock", n)
				}
				turns.Add(1)
				runtime.Gosched()
				inside.Add(-1)
				if err := l.Close(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	k.ok(held.Close())
	wg.Wait()
	close(errs)
	for err := range errs {
		k.Error(err)
	}
	if turns.Load() != workers*rounds {
		k.Errorf("%d turns, want %d", turns.Load(), workers*rounds)
	}
}

// lockRemoved: a lock on a file that was removed and made again is one on the new file.
func lockRemoved(k *kit) {
	old, err := k.Lock("l", disk.Exclusive)
	k.ok(err)
	if err := k.Remove("l"); err != nil {
		k.ok(old.Close())
		return // the system keeps lock files that are held, which is as good
	}
	l, err := k.Lock("l", disk.Exclusive)
	k.ok(err)
	_, err = k.Lock("l", disk.Exclusive)
	k.is("lock the new file twice", err, disk.ErrLocked)
	k.ok(l.Close())
	k.ok(old.Close())
}

func maps(k *kit) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	k.put("a", string(content))
	k.put("empty", "")
	f := k.open("a", os.O_RDONLY)
	m, err := k.Map(f)
	k.ok(err)
	again, err := k.Map(f)
	k.ok(err)
	k.ok(f.Close())
	k.ok(again.Close())
	var got []byte
	k.ok(disk.Guarded(func() { got = bytes.Clone(m.Bytes()) }))
	if !bytes.Equal(got, content) {
		k.Error("the mapping differs from the file")
	}
	// Cut short, the file gives what it held or an error, and never ends the
	// process. (Windows does not cut a mapped file.)
	f = k.open("a", os.O_RDWR)
	if err := f.Truncate(10); err == nil {
		var got []byte
		if err := disk.Guarded(func() { got = bytes.Clone(m.Bytes()) }); err == nil && !bytes.Equal(got, content) ||
			err != nil && !errors.Is(err, disk.ErrFault) {
			k.Errorf("after the file was cut short: error %v, same bytes: %v", err, bytes.Equal(got, content))
		}
	}
	k.ok(m.Close())
	k.ok(m.Close())
	if len(m.Bytes()) != 0 {
		k.Error("a closed mapping has bytes")
	}
	k.ok(f.Close())
	e := k.open("empty", os.O_RDWR)
	m, err = k.Map(e)
	k.ok(err)
	if len(m.Bytes()) != 0 {
		k.Error("the mapping of an empty file has bytes")
	}
	k.ok(m.Close())
	k.ok(e.Close())
	stranger, err := NewMem().OpenFile("a", os.O_RDWR|os.O_CREATE)
	k.ok(err)
	_, err = k.Map(stranger)
	k.is("map a file of another file system", err, fs.ErrInvalid)
}

func freeSpace(k *kit) {
	n, err := k.Free()
	if errors.Is(err, errors.ErrUnsupported) {
		k.Log(err)
		return
	}
	k.ok(err)
	if n < 0 {
		k.Errorf("%d bytes free", n)
	}
}

func writeFile(k *kit) {
	k.ok(k.Mkdir("d"))
	for _, content := range []string{"one", "", "three"} {
		k.ok(disk.WriteFile(k.FS, "d/a", func(f disk.File) error {
			_, err := io.WriteString(f, content)
			return err
		}))
		k.want("d/a", content)
		k.listed("d", "a")
	}
	bad := errors.New("bad")
	if err := disk.WriteFile(k.FS, "d/a", func(f disk.File) error {
		_, err := io.WriteString(f, "four")
		return errors.Join(err, bad)
	}); !errors.Is(err, bad) {
		k.Errorf("error %v", err)
	}
	k.is("write a file over a directory", disk.WriteFile(k.FS, "d", func(disk.File) error { return nil }), nil)
	k.is("write a file into none", disk.WriteFile(k.FS, "none/a", func(disk.File) error { return nil }), fs.ErrNotExist)
	k.want("d/a", "three")
	k.listed("d", "a")
	k.listed(".", "d/")
}

func makeDirs(k *kit) {
	k.ok(disk.MakeDirs(k.FS, "."))
	k.ok(disk.MakeDirs(k.FS, "a/b/c"))
	k.ok(disk.MakeDirs(k.FS, "a/b/c"))
	k.listed("a/b", "c/")
	k.is("make directories outside", disk.MakeDirs(k.FS, "../a"), fs.ErrInvalid)
}

func concurrent(k *kit) {
	var wg sync.WaitGroup
	shared := k.open("shared", os.O_RDWR|os.O_CREATE)
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("d%d/f", i%4)
			if err := k.MkdirAll(fmt.Sprintf("d%d", i%4)); err != nil {
				k.Error(err)
			}
			for j := range 20 {
				content := strings.Repeat(string(rune('a'+i)), 100+j)
				err := disk.WriteFile(k.FS, name, func(f disk.File) error {
					_, err := io.WriteString(f, content)
					return err
				})
				if err != nil {
					k.Error(err)
				}
				got, err := read(k.FS, name)
				if err != nil || len(got) < 100 || strings.Trim(got, got[:1]) != "" {
					k.Errorf("%s holds %q, %v", name, clip(got), err)
				}
				if _, err := shared.WriteAt([]byte{byte(i)}, int64(i*20+j)); err != nil {
					k.Error(err)
				}
				if _, err := k.ReadDir("."); err != nil {
					k.Error(err)
				}
			}
		})
	}
	wg.Wait()
	k.ok(shared.Close())
	got, err := read(k.FS, "shared")
	k.ok(err)
	for i := range got {
		if got[i] != byte(i/20) {
			k.Fatalf("byte %d is %d", i, got[i])
		}
	}
	if len(got) != 160 {
		k.Errorf("%d bytes", len(got))
	}
}
