//go:build !wasip1

package pixelfs_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/pixelfs"
	"github.com/pxos/pxos/sdk/pxostest"
)

// install makes a host with some files, of which the given paths are granted: each
// "path:mode".
func install(t *testing.T, grants ...string) *pxostest.Storage {
	t.Helper()
	s := pxostest.NewStorage()
	for name, content := range map[string]string{"a.txt": "alpha", "notes/b.txt": "beta", "notes/deep/c.txt": strings.Repeat("c", 5000), "other/d.txt": ""} {
		s.WriteFile(name, content)
	}
	h := &pxostest.Host{Storage: s}
	for _, g := range grants {
		path, mode, _ := strings.Cut(g, ":")
		h.Granted = append(h.Granted, pxos.Capability{Kind: "pixelfs", Path: path, Mode: mode})
	}
	h.Install(t)
	return s
}

func TestFS(t *testing.T) {
	install(t, "/:read")
	if err := fstest.TestFS(pixelfs.FS(), "a.txt", "notes/b.txt", "notes/deep/c.txt", "other/d.txt"); err != nil {
		t.Error(err)
	}
	f, err := pixelfs.Open("notes/deep/c.txt")
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(f, bytes.Repeat([]byte("c"), 5000)); err != nil {
		t.Error(err)
	}
}

// Where only a part was granted, the rest is not there, and what leads there is.
func TestGrants(t *testing.T) {
	install(t, "/notes/deep:read", "/new/place:write")
	var seen []string
	err := fs.WalkDir(pixelfs.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		seen = append(seen, path)
		return err
	})
	if got := strings.Join(seen, " "); err != nil || got != ". new new/place notes notes/deep notes/deep/c.txt" {
		t.Errorf("saw %s, %v", got, err)
	}
	for _, tc := range []struct {
		name string
		do   func() error
		want error
	}{
		{"read outside", func() error { _, err := pixelfs.ReadFile("a.txt"); return err }, fs.ErrPermission},
		{"read above", func() error { _, err := pixelfs.ReadFile("notes/b.txt"); return err }, fs.ErrPermission},
		{"stat above", func() error { _, err := pixelfs.Stat("notes/b.txt"); return err }, fs.ErrPermission},
		{"write where reading is granted", func() error { return pixelfs.WriteFile("notes/deep/c.txt", nil) }, fs.ErrPermission},
		{"trash where reading is granted", func() error { return pixelfs.Trash("notes/deep/c.txt") }, fs.ErrPermission},
		{"make above", func() error { return pixelfs.Mkdir("new/other") }, fs.ErrPermission},
		{"move in", func() error { return pixelfs.Rename("notes/deep/c.txt", "new/place/c.txt") }, fs.ErrPermission},
		{"move out", func() error { return pixelfs.Rename("new/place/x", "elsewhere") }, fs.ErrPermission},
		{"trash what was granted", func() error { return pixelfs.Trash("new/place") }, fs.ErrInvalid},
		{"write within", func() error { return pixelfs.WriteFile("new/place/x", []byte("1")) }, nil},
		{"with a slash in front", func() error { _, err := pixelfs.ReadFile("/new/place/x"); return err }, nil},
		{"climb", func() error { _, err := pixelfs.ReadFile("new/place/../../a.txt"); return err }, fs.ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.do(); !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestWithoutGrant(t *testing.T) {
	install(t)
	if _, err := pixelfs.ReadDir("."); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}

func TestWithoutHost(t *testing.T) {
	if _, err := pixelfs.ReadDir("."); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

func TestFile(t *testing.T) {
	s := install(t, "/:write")
	f, err := pixelfs.Create("notes/new.txt")
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, n int, err error, want int) {
		t.Helper()
		if n != want || err != nil {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
	n, err := f.WriteString("hello")
	check("write", n, err, 5)
	n, err = f.WriteAt([]byte("J"), 0)
	check("write at", n, err, 1)
	n, err = f.WriteAt([]byte("!"), 7)
	check("write behind a gap", n, err, 1)
	if pos, err := f.Seek(-2, io.SeekEnd); pos != 6 || err != nil {
		t.Errorf("seek: %d, %v", pos, err)
	}
	if pos, err := f.Seek(-7, io.SeekCurrent); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("seek before the start: %d, %v", pos, err)
	}
	if _, err := f.Seek(0, 7); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	buf := make([]byte, 20)
	if n, err := f.ReadAt(buf, 0); n != 8 || err != io.EOF || string(buf[:n]) != "Jello\x00\x00!" {
		t.Errorf("read at: %q, %v", buf[:n], err)
	}
	if n, err := f.ReadAt(buf[:2], 8); n != 0 || err != io.EOF {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	if _, err := f.ReadAt(buf, -1); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	n, err = f.Read(buf)
	check("read from the position", n, err, 2)
	if n, err := f.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	n, err = f.Read(nil)
	check("read nothing", n, err, 0)

	// Another handle sees it at once, the directory after a sync.
	if got, err := pixelfs.ReadFile("notes/new.txt"); string(got) != "Jello\x00\x00!" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != 8 || info.Name() != "new.txt" {
		t.Errorf("%+v, %v", info, err)
	}
	if info, err := pixelfs.Stat("notes/new.txt"); err != nil || info.Size() != 0 {
		t.Errorf("before sync %+v, %v", info, err)
	}
	if err := f.Truncate(5); err != nil {
		t.Error(err)
	}
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
	info, err := pixelfs.Stat("notes/new.txt")
	if err != nil || info.Size() != 5 || info.Digest() != sha256.Sum256([]byte("Jello")) || info.Version() != 1 || info.Mode() != 0o644 || info.ModTime().Year() != 2026 {
		t.Errorf("after sync %+v, %v", info, err)
	}
	if err := pixelfs.Rename("notes/new.txt", "x"); !errors.Is(err, pxos.CodeBusy) {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	for _, err := range []error{f.Close(), f.Sync(), f.Truncate(0), second(f.Read(buf)), second(f.Write(buf)), second(f.ReadAt(buf, 0)), second(f.WriteAt(buf, 0)), second(f.Stat())} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("on a closed file: %v", err)
		}
	}
	if got := s.Files()["notes/new.txt"]; got != "Jello" {
		t.Errorf("left %q", got)
	}
}

func second[T any](_ T, err error) error { return err }

func TestOpenFile(t *testing.T) {
	install(t, "/:write")
	for _, tc := range []struct {
		name string
		path string
		flag int
		want error
	}{
		{"missing", "none", os.O_RDWR, fs.ErrNotExist},
		{"missing directory", "none/x", os.O_RDWR | os.O_CREATE, fs.ErrNotExist},
		{"exclusive", "a.txt", os.O_RDWR | os.O_CREATE | os.O_EXCL, fs.ErrExist},
		{"create for reading", "x", os.O_RDONLY | os.O_CREATE, fs.ErrInvalid},
		{"exclusive alone", "x", os.O_RDWR | os.O_EXCL, fs.ErrInvalid},
		{"directory", "notes", os.O_RDONLY, fs.ErrInvalid},
		{"root", ".", os.O_RDONLY, fs.ErrInvalid},
		{"flag that does not exist", "a.txt", 1 << 30, fs.ErrInvalid},
		{"empty part", "notes//b.txt", os.O_RDONLY, fs.ErrInvalid},
		{"NUL", "a\x00", os.O_RDWR | os.O_CREATE, fs.ErrInvalid},
		{"not UTF-8", "a\xff", os.O_RDWR | os.O_CREATE, fs.ErrInvalid},
		{"part of 201 bytes", strings.Repeat("x", 201), os.O_RDWR | os.O_CREATE, fs.ErrInvalid},
		{"part of 200 bytes", strings.Repeat("x", 200), os.O_RDWR | os.O_CREATE, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := pixelfs.OpenFile(tc.path, tc.flag)
			if err == nil {
				f.Close()
			}
			var pe *fs.PathError
			if !errors.Is(err, tc.want) || tc.want == nil && err != nil || err != nil && (!errors.As(err, &pe) || pe.Path != tc.path) {
				t.Errorf("got %v", err)
			}
		})
	}
	f, err := pixelfs.OpenFile("a.txt", os.O_WRONLY|os.O_APPEND)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Error(err)
	}
	if _, err := f.WriteString(" omega"); err != nil {
		t.Error(err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, pxos.CodeBadHandle) {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if got, err := pixelfs.ReadFile("a.txt"); string(got) != "alpha omega" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if f, err = pixelfs.Open("a.txt"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); !errors.Is(err, pxos.CodeBadHandle) {
		t.Error(err)
	}
	if _, err := f.WriteAt(make([]byte, 1), 1<<40); !errors.Is(err, pxos.CodeBadHandle) {
		t.Error(err)
	}
	f.Close()
}

func TestVersions(t *testing.T) {
	install(t, "/:write")
	for _, text := range []string{"one", "two", "three"} {
		if err := pixelfs.WriteFile("v.txt", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	show := func(name string) string {
		list, err := pixelfs.Versions(name)
		if err != nil {
			return err.Error()
		}
		var sb strings.Builder
		for _, v := range list {
			f, err := pixelfs.OpenVersion(name, v.Number)
			if err != nil {
				return err.Error()
			}
			data, err := io.ReadAll(f)
			if err != nil || int64(len(data)) != v.Size || sha256.Sum256(data) != v.Digest || v.Modified.IsZero() {
				t.Errorf("%q, %+v, %v", data, v, err)
			}
			f.Close()
			fmt.Fprintf(&sb, "%d %s", v.Number, data)
			if v.Current {
				sb.WriteByte('*')
			}
			sb.WriteByte(' ')
		}
		return sb.String()
	}
	step := func(want string, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		if got := show("v.txt"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	step("3 three* 2 two 1 one ", nil)
	step("4 one* 3 three 2 two 1 one ", pixelfs.Restore("v.txt", 1))
	step("4 one 3 three 2 two 1 one ", pixelfs.Trash("v.txt"))
	if _, err := pixelfs.ReadFile("v.txt"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	step("4 one* 3 three 2 two 1 one ", pixelfs.Untrash("v.txt"))
	if err := pixelfs.Untrash("v.txt"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, v := range []uint64{0, 5, 1 << 63} {
		if err := pixelfs.Restore("v.txt", v); err == nil {
			t.Errorf("restored version %d", v)
		}
	}
	step("4 one* 3 three 2 two 1 one ", pixelfs.Verify("v.txt"))

	// A rename puts one history behind the other.
	if err := pixelfs.Rename("a.txt", "v.txt"); err != nil {
		t.Error(err)
	}
	step("5 alpha* 4 one 3 three 2 two 1 one ", nil)

	// Something took its place.
	if err := pixelfs.Trash("notes"); err != nil {
		t.Error(err)
	}
	if err := pixelfs.Mkdir("notes"); err != nil {
		t.Error(err)
	}
	if err := pixelfs.Untrash("notes"); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if err := errors.Join(pixelfs.Rename("notes", "kept"), pixelfs.Untrash("notes")); err != nil {
		t.Error(err)
	}
	if got := show("notes/b.txt"); got != "1 beta* " {
		t.Error(got)
	}
	if _, err := pixelfs.Versions("never"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestDirectories(t *testing.T) {
	s := install(t, "/:write")
	for _, tc := range []struct {
		name string
		do   func() error
		want error
	}{
		{"make", func() error { return pixelfs.Mkdir("x") }, nil},
		{"make again", func() error { return pixelfs.Mkdir("x") }, fs.ErrExist},
		{"make in nothing", func() error { return pixelfs.Mkdir("y/z") }, fs.ErrNotExist},
		{"make all", func() error { return pixelfs.MkdirAll("y/z/w") }, nil},
		{"make all again", func() error { return pixelfs.MkdirAll("/y/z/w") }, nil},
		{"make all over a file", func() error { return pixelfs.MkdirAll("a.txt/b") }, fs.ErrExist},
		{"make all of the root", func() error { return pixelfs.MkdirAll(".") }, nil},
		{"rename a tree", func() error { return pixelfs.Rename("notes", "y/z/notes") }, nil},
		{"rename onto a directory", func() error { return pixelfs.Rename("x", "y") }, fs.ErrExist},
		{"rename a file onto a directory", func() error { return pixelfs.Rename("a.txt", "y") }, fs.ErrExist},
		{"rename into itself", func() error { return pixelfs.Rename("y", "y/z/y") }, fs.ErrInvalid},
		{"rename nothing", func() error { return pixelfs.Rename("none", "y/z/y") }, fs.ErrNotExist},
		{"list a file", func() error { _, err := pixelfs.ReadDir("a.txt"); return err }, fs.ErrInvalid},
		{"verify a directory", func() error { return pixelfs.Verify("y") }, fs.ErrInvalid},
		{"trash the root", func() error { return pixelfs.Trash(".") }, fs.ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.do(); !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	var le *os.LinkError
	if err := pixelfs.Rename("none", "y"); !errors.As(err, &le) || le.Old != "none" || le.New != "y" {
		t.Error(err)
	}
	if got := s.Files()["y/z/notes/deep/c.txt"]; len(got) != 5000 {
		t.Errorf("files %v", s.Files())
	}
}

// What a run leaves open is kept, and the next run finds it.
func TestStorageOutlivesRuns(t *testing.T) {
	pxos.Register("pixelfs:keep", func(_ *pxos.Context, in struct{ Add string }) (string, error) {
		f, err := pixelfs.OpenFile("log.txt", os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		if err != nil {
			return "", err
		}
		if _, err := f.WriteString(in.Add); err != nil {
			return "", err
		}
		data, err := pixelfs.ReadFile("log.txt")
		return string(data), err
	})
	h := &pxostest.Host{Storage: pxostest.NewStorage(), Granted: []pxos.Capability{{Kind: "pixelfs", Path: "/", Mode: "write"}}}
	var got string
	for _, want := range []string{"+", "++", "+++"} {
		if h.Run(t, "pixelfs:keep", map[string]string{"Add": "+"}).Decode(t, &got); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	h.Storage = nil
	r := h.Run(t, "pixelfs:keep", map[string]string{"Add": "x"})
	if r.Decode(t, &got); got != "x" || r.Storage.Files()["log.txt"] != "x" {
		t.Errorf("a run without storage of its own: %q", got)
	}
}
