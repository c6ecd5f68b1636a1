// Package vfstest has tests that every writable file system of a guest must pass.
package vfstest

import (
	"io/fs"
	"sort"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"
)

const (
	rw     = sys.O_RDWR
	create = sys.O_RDWR | sys.O_CREAT
)

// Options say what a file system cannot do by its nature.
type Options struct {
	// Busy is the error number of what would remove or rename the root: vfs.EBUSY.
	Busy sys.Errno
	// NoLinks: Link and Symlink give ENOTSUP for every path that is valid.
	NoLinks bool
	// TextNames: names are text in UTF-8 without control characters.
	TextNames bool
	// OneTime: there is no time of the last access, and directories keep their own time.
	OneTime bool
	// Many is how many files a directory gets in the test of large ones; 0: 3000.
	Many int
}

// Run tests file systems that open makes, each empty.
func Run(t *testing.T, opt Options, open func(t *testing.T) sys.FS) {
	for _, tt := range writable {
		if opt.NoLinks && strings.Contains(tt.name, " link") {
			continue // "no links" is the test of what cannot be
		}
		if !opt.NoLinks && tt.name == "no links" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) { tt.run(&tester{t, open(t), opt}) })
	}
}

// tester is a file system under test with helpers that end the test.
type tester struct {
	t *testing.T
	sys.FS
	opt Options
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
