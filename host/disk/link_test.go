//go:build unix

package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pxos/pxos/host/disk"
)

// What others put into the directory is not followed out of it, opened as a file that
// it is not, or waited for.
func TestForeignEntries(t *testing.T) {
	t.Run("fast", foreignEntries)
	if disk.SlowOpen(t) {
		t.Run("slow", foreignEntries)
	}
}

func foreignEntries(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(secret, []byte("secret"), 0o600))
	must(os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	must(os.WriteFile(filepath.Join(dir, "sub", "file"), []byte("file"), 0o600))
	must(os.Symlink(secret, filepath.Join(dir, "out")))
	must(os.Symlink(outside, filepath.Join(dir, "outdir")))
	must(os.Symlink("sub/file", filepath.Join(dir, "in")))
	must(os.Symlink("sub", filepath.Join(dir, "indir")))
	must(os.Symlink("none", filepath.Join(dir, "dangling")))
	must(unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	d, err := disk.Open(dir)
	must(err)
	defer d.Close()

	for _, name := range []string{"out", "in", "dangling", "outdir", "indir", "pipe"} {
		for _, flag := range []int{os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE, os.O_WRONLY | os.O_TRUNC} {
			if f, err := d.OpenFile(name, flag); !errors.Is(err, disk.ErrIrregular) {
				t.Errorf("open %s %#x: %v, %v", name, flag, f, err)
			}
		}
		if _, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL); !errors.Is(err, fs.ErrExist) {
			t.Errorf("make %s: %v", name, err)
		}
		if _, err := d.Lock(name, disk.Exclusive); !errors.Is(err, disk.ErrIrregular) {
			t.Errorf("lock %s: %v", name, err)
		}
		if _, err := d.ReadDir(name); err == nil {
			t.Errorf("list %s works", name)
		}
		if err := d.SyncDir(name); err == nil {
			t.Errorf("sync %s works", name)
		}
		if name == "pipe" {
			continue
		}
		if err := d.Chtimes(name, time.Unix(1, 0)); !errors.Is(err, disk.ErrIrregular) {
			t.Errorf("chtimes %s: %v", name, err)
		}
		info, err := d.Lstat(name)
		must(err)
		if info.Mode().Type() != fs.ModeSymlink {
			t.Errorf("lstat %s gives %v", name, info.Mode())
		}
	}
	if _, err := d.OpenFile("outdir/secret", os.O_RDONLY); err == nil {
		t.Error("a link out of the directory is followed")
	}
	if err := d.Rename("sub/file", "outdir/file"); err == nil {
		t.Error("a file is renamed out of the directory")
	}
	if err := d.Link("outdir/secret", "mine"); err == nil {
		t.Error("a file is linked in from outside")
	}
	f, err := d.OpenFile("indir/file", os.O_RDONLY) // stays inside
	must(err)
	must(f.Close())

	must(d.RemoveAll("outdir")) // the link, not what it leads to
	must(d.Remove("in"))
	must(disk.WriteFile(d, "out", func(f disk.File) error { // replaces the link
		_, err := f.Write([]byte("new"))
		return err
	}))
	for name, want := range map[string]string{secret: "secret", filepath.Join(dir, "sub", "file"): "file", filepath.Join(dir, "out"): "new"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
	}
}

func TestCreate(t *testing.T) {
	top := t.TempDir()
	for _, dir := range []string{"a/b/c", "a/b/c", "a/d", "."} {
		d, err := disk.Create(filepath.Join(top, dir))
		if err != nil {
			t.Fatal(err)
		}
		f, err := d.OpenFile("here", os.O_RDWR|os.O_CREATE)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Close(), d.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(top, dir, "here")); err != nil {
			t.Error(err)
		}
	}
	info, err := os.Stat(filepath.Join(top, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("a new directory has mode %v", info.Mode())
	}
	if err := os.WriteFile(filepath.Join(top, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Create(filepath.Join(top, "file", "x")); err == nil {
		t.Error("a directory below a file")
	}
	if _, err := disk.Open(filepath.Join(top, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of none: %v", err)
	}
}

func TestTempNames(t *testing.T) {
	name, err := disk.TempName("a/b")
	if err != nil {
		t.Fatal(err)
	}
	if !disk.IsTemp(name) || !strings.HasPrefix(name, "a/b/") || !fs.ValidPath(name) {
		t.Errorf("temporary name %q", name)
	}
	for _, other := range []string{"", ".", "a", ".pxos-.tmp", name + "x", name[:len(name)-4], strings.ToUpper(name), ".pxos-" + strings.Repeat("g", 24) + ".tmp"} {
		if disk.IsTemp(other) {
			t.Errorf("%q passes for temporary", other)
		}
	}
}
