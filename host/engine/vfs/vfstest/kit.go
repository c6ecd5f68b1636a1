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
		t.Run(tt.name, func(t *testing.T) { tt.run(&Tester{t, open(t), opt}) })
	}
}

// Tester is a file system under test with helpers that end the test.
type Tester struct {
	T *testing.T
	sys.FS
	opt Options
}

// Open opens a file and closes it when the test ends.
func (k *Tester) Open(path string, flag sys.Oflag) sys.File {
	k.T.Helper()
	f, errno := k.OpenFile(path, flag, 0o600)
	if errno != 0 {
		k.T.Fatalf("open %q with %#x: %v", path, flag, errno)
	}
	k.T.Cleanup(func() { f.Close() })
	return f
}

// Write makes or replaces a file.
func (k *Tester) Write(path, content string) {
	k.T.Helper()
	f := k.Open(path, create|sys.O_TRUNC)
	if n, errno := f.Write([]byte(content)); n != len(content) || errno != 0 {
		k.T.Fatalf("write %q: %d, %v", path, n, errno)
	}
	k.OK(f.Close())
}

// Read returns the content of a file.
func (k *Tester) Read(path string) string {
	k.T.Helper()
	f := k.Open(path, sys.O_RDONLY)
	defer f.Close()
	return k.Rest(f)
}

// Rest reads an open file to its end, in small pieces.
func (k *Tester) Rest(f sys.File) string {
	k.T.Helper()
	var all []byte
	buf := make([]byte, 7)
	for {
		n, errno := f.Read(buf)
		if errno != 0 {
			k.T.Fatalf("read: %v", errno)
		}
		if n == 0 {
			return string(all)
		}
		all = append(all, buf[:n]...)
	}
}

// OK ends the test on an error number.
func (k *Tester) OK(errno sys.Errno) {
	k.T.Helper()
	if errno != 0 {
		k.T.Fatalf("errno %v (%d), want success", errno, errno)
	}
}

// Want ends the test where got is another error number.
func (k *Tester) Want(want, got sys.Errno) {
	k.T.Helper()
	if got != want {
		k.T.Fatalf("errno %v (%d), want %v (%d)", got, got, want, want)
	}
}

// WantOpen ends the test where opening does not fail with that error number.
func (k *Tester) WantOpen(want sys.Errno, path string, flag sys.Oflag) {
	k.T.Helper()
	f, errno := k.OpenFile(path, flag, 0o600)
	if f != nil {
		f.Close()
	}
	k.Want(want, errno)
}

// List returns the sorted names in a directory: / ends directories, @ links.
func (k *Tester) List(path string) string {
	k.T.Helper()
	f := k.Open(path, sys.O_RDONLY|sys.O_DIRECTORY)
	defer f.Close()
	var names []string
	for {
		list, errno := f.Readdir(2)
		k.OK(errno)
		for _, d := range list {
			n := d.Name
			switch d.Type {
			case fs.ModeDir:
				n += "/"
			case fs.ModeSymlink:
				n += "@"
			}
			if d.Ino == 0 {
				k.T.Errorf("%q has no inode number", d.Name)
			}
			names = append(names, n)
		}
		if len(list) < 2 {
			sort.Strings(names)
			return strings.Join(names, " ")
		}
	}
}
