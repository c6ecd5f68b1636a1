package vfs

import (
	"io/fs"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/pxos/pxos/host/engine/vfs/vfstest"
	"github.com/tetratelabs/wazero/experimental/sys"
)

const (
	rw     = sys.O_RDWR
	create = sys.O_RDWR | sys.O_CREAT
)

// tester is a file system under test with helpers that end the test.
type tester struct {
	t *testing.T
	sys.FS
}

func (k *tester) open(path string, flag sys.Oflag) sys.File {
	k.t.Helper()
	f, errno := k.OpenFile(path, flag, 0o600)
	if errno != 0 {
		k.t.Fatalf("open %q with %#x: %v", path, flag, errno)
	}
	k.t.Cleanup(func() { f.Close() })
	return f
}

func (k *tester) write(path, content string) {
	k.t.Helper()
	f := k.open(path, create|sys.O_TRUNC)
	if n, errno := f.Write([]byte(content)); n != len(content) || errno != 0 {
		k.t.Fatalf("write %q: %d, %v", path, n, errno)
	}
	k.ok(f.Close())
}

func (k *tester) read(path string) string {
	k.t.Helper()
	f := k.open(path, sys.O_RDONLY)
	defer f.Close()
	return k.rest(f)
}

func (k *tester) rest(f sys.File) string {
	k.t.Helper()
	var all []byte
	buf := make([]byte, 7)
	for {
		n, errno := f.Read(buf)
		if errno != 0 {
			k.t.Fatalf("read: %v", errno)
		}
		if n == 0 {
			return string(all)
		}
		all = append(all, buf[:n]...)
	}
}

func (k *tester) ok(errno sys.Errno) {
	k.t.Helper()
	if errno != 0 {
		k.t.Fatalf("errno %v (%d), want success", errno, errno)
	}
}

func (k *tester) want(want, got sys.Errno) {
	k.t.Helper()
	if got != want {
		k.t.Fatalf("errno %v (%d), want %v (%d)", got, got, want, want)
	}
}

func (k *tester) wantOpen(want sys.Errno, path string, flag sys.Oflag) {
	k.t.Helper()
	f, errno := k.OpenFile(path, flag, 0o600)
	if f != nil {
		f.Close()
	}
	k.want(want, errno)
}

func (k *tester) list(path string) string {
	k.t.Helper()
	f := k.open(path, sys.O_RDONLY|sys.O_DIRECTORY)
	defer f.Close()
	var names []string
	for {
		list, errno := f.Readdir(2)
		k.ok(errno)
		for _, d := range list {
			n := d.Name
			switch d.Type {
			case fs.ModeDir:
				n += "/"
			case fs.ModeSymlink:
				n += "@"
			}
			if d.Ino == 0 {
				k.t.Errorf("%q has no inode number", d.Name)
			}
			names = append(names, n)
		}
		if len(list) < 2 {
			sort.Strings(names)
			return strings.Join(names, " ")
		}
	}
}

// newHost returns a host directory and where it is.
func newHost(t *testing.T, readOnly bool) (*HostDir, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return NewHostDir(root, readOnly), dir
}

func TestWritable(t *testing.T) {
	for _, sut := range []struct {
		name string
		make func(t *testing.T) sys.FS
	}{
		{"mem", func(t *testing.T) sys.FS { return NewMem(DefaultQuota, nil) }},
		{"hostdir", func(t *testing.T) sys.FS { h, _ := newHost(t, false); return h }},
		{"guarded mem", func(t *testing.T) sys.FS {
			return NewGuard(100, nil).Mount(NewMem(DefaultQuota, nil))
		}},
	} {
		t.Run(sut.name, func(t *testing.T) {
			vfstest.Run(t, vfstest.Options{Busy: EBUSY}, sut.make)
		})
	}
}
