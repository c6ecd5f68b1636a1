package disktest

import (
	"io/fs"
	"os"
	"runtime"
	"time"
)

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
