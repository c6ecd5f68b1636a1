package vfs

import (
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pxos/pxos/host/engine/vfs/vfstest"
	"github.com/tetratelabs/wazero/experimental/sys"
)

var archiveTime = time.Unix(1_600_000_000, 0)

func testMap() fstest.MapFS {
	return fstest.MapFS{
		"hello.txt":   {Data: []byte("hello, archive")},
		"data/b":      {Data: []byte(strings.Repeat("0123456789", 20_000))},
		"data/a":      {Data: nil},
		"data/sub/c":  {Data: []byte("c")},
		"empty/.keep": {Data: nil},
	}
}

// hide strips the optional methods from the files of an fs.FS.
type hide struct {
	fs.FS
	seek bool // keep io.Seeker
}

type streamFile struct{ f fs.File }

func (s streamFile) Stat() (fs.FileInfo, error) { return s.f.Stat() }
func (s streamFile) Read(p []byte) (int, error) { return s.f.Read(p) }
func (s streamFile) Close() error               { return s.f.Close() }

type seekFile struct {
	streamFile
	io.Seeker
}

func (h hide) Open(name string) (fs.File, error) {
	f, err := h.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if h.seek {
		if s, ok := f.(io.Seeker); ok {
			return seekFile{streamFile{f}, s}, nil
		}
	}
	return streamFile{f}, nil
}

func (h hide) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(h.FS, name) }

func TestArchiveRead(t *testing.T) {
	for _, src := range []struct {
		name string
		fsys fs.FS
	}{
		{"reader at", testMap()},
		{"seeker", hide{testMap(), true}},
		{"stream", hide{testMap(), false}},
	} {
		t.Run(src.name, func(t *testing.T) {
			k := &vfstest.Tester{T: t, FS: NewGuard(10, nil).Mount(NewArchive(src.fsys, archiveTime))}
			if got := k.Read("hello.txt"); got != "hello, archive" {
				t.Fatalf("read %q", got)
			}
			if got := k.List("."); got != "data/ empty/ hello.txt" {
				t.Fatalf("list %q", got)
			}
			if got := k.List("data/"); got != "a b sub/" {
				t.Fatalf("list %q", got)
			}
			want := string(testMap()["data/b"].Data)
			f := k.Open("data/b", sys.O_RDONLY)
			if got := k.Rest(f); got != want {
				t.Fatalf("read %d bytes, want %d", len(got), len(want))
			}
			buf := make([]byte, 1000)
			for _, off := range []int64{150_000, 3, 199_990, 0, 99_999, 200_000, 1 << 62} {
				n, errno := f.Pread(buf, off)
				k.OK(errno)
				lo := min(off, int64(len(want)))
				if expect := want[lo:min(lo+1000, int64(len(want)))]; string(buf[:n]) != expect {
					t.Fatalf("pread at %d: %d bytes, want %d", off, n, len(expect))
				}
			}
			if pos, errno := f.Seek(-5, io.SeekEnd); pos != 199_995 || errno != 0 {
				t.Fatalf("seek: %d, %v", pos, errno)
			}
			if got := k.Rest(f); got != "56789" {
				t.Fatalf("read %q", got)
			}
			_, errno := f.Pread(buf, -1)
			k.Want(sys.EINVAL, errno)
		})
	}
}

func TestArchiveStat(t *testing.T) {
	k := &vfstest.Tester{T: t, FS: NewArchive(testMap(), archiveTime)}
	seen := map[uint64]string{}
	for _, path := range []string{".", "data", "data/a", "data/b", "data/sub", "data/sub/c", "hello.txt"} {
		st, errno := k.Stat(path)
		k.OK(errno)
		again, _ := NewArchive(testMap(), archiveTime).Lstat("/" + path + "")
		if st != again {
			t.Errorf("%s: %+v, then %+v", path, st, again)
		}
		if other, ok := seen[st.Ino]; ok {
			t.Errorf("%s and %s have one inode number", path, other)
		}
		seen[st.Ino] = path
		if st.Mtim != archiveTime.UnixNano() || st.Nlink != 1 || st.Mode&0o222 != 0 {
			t.Errorf("%s: %+v", path, st)
		}
		f := k.Open(path, sys.O_RDONLY)
		if open, errno := f.Stat(); errno != 0 || open != st {
			t.Errorf("%s: fstat %+v, stat %+v", path, open, st)
		}
		dev, _ := f.Dev()
		if ino, _ := f.Ino(); ino != st.Ino || dev != st.Dev {
			t.Errorf("%s: ino %d, dev %d", path, ino, dev)
		}
	}
	list, _ := k.Open("data", sys.O_RDONLY).Readdir(-1)
	for _, d := range list {
		if st, _ := k.Stat("data/" + d.Name); st.Ino != d.Ino || st.Mode.Type() != d.Type {
			t.Errorf("dirent %+v, stat %+v", d, st)
		}
	}
}

func TestArchiveIsReadOnly(t *testing.T) {
	a := NewArchive(testMap(), archiveTime)
	k := &vfstest.Tester{T: t, FS: a}
	open := func(path string, flag sys.Oflag) sys.Errno {
		f, errno := a.OpenFile(path, flag, 0o600)
		if f != nil {
			f.Close()
		}
		return errno
	}
	file, dir := k.Open("hello.txt", sys.O_RDONLY), k.Open("data", sys.O_RDONLY)
	for _, tt := range []struct {
		name      string
		got, want sys.Errno
	}{
		{"open to write", open("hello.txt", rw), sys.EROFS},
		{"open to write only", open("hello.txt", sys.O_WRONLY), sys.EROFS},
		{"open to truncate", open("hello.txt", sys.O_TRUNC), sys.EROFS},
		{"create", open("new", create), sys.EROFS},
		{"create in a directory", open("data/new", create), sys.EROFS},
		{"create below a file", open("hello.txt/new", create), sys.ENOTDIR},
		{"create what exists", open("hello.txt", sys.O_CREAT), 0},
		{"create exclusively", open("hello.txt", create|sys.O_EXCL), sys.EEXIST},
		{"write a directory", open("data", rw), sys.EISDIR},
		{"file as a directory", open("hello.txt", sys.O_DIRECTORY), sys.ENOTDIR},
		{"slash after a file", open("hello.txt/", sys.O_RDONLY), sys.ENOTDIR},
		{"missing", open("nothing", sys.O_RDONLY), sys.ENOENT},
		{"missing directory", open("no/thing", sys.O_RDONLY), sys.ENOENT},
		{"leaving", open("../etc/passwd", sys.O_RDONLY), sys.EPERM},
		{"not UTF-8", open("\xff", sys.O_RDONLY), sys.ENOENT},
		{"backslash", open(`data\a`, sys.O_RDONLY), sys.ENOENT},
		{"NUL", open("hello.txt\x00", sys.O_RDONLY), sys.EINVAL},
		{"long", open(strings.Repeat("x", 300), sys.O_RDONLY), sys.ENAMETOOLONG},
		{"mkdir", a.Mkdir("new", 0o700), sys.EROFS},
		{"mkdir what exists", a.Mkdir("data", 0o700), sys.EEXIST},
		{"rmdir", a.Rmdir("data"), sys.EROFS},
		{"unlink", a.Unlink("hello.txt"), sys.EROFS},
		{"unlink missing", a.Unlink("nothing"), sys.ENOENT},
		{"rename", a.Rename("hello.txt", "x"), sys.EROFS},
		{"rename missing", a.Rename("nothing", "x"), sys.ENOENT},
		{"link", a.Link("hello.txt", "x"), sys.EROFS},
		{"symlink", a.Symlink("hello.txt", "x"), sys.EROFS},
		{"chmod", a.Chmod("hello.txt", 0), sys.EROFS},
		{"utimens", a.Utimens("hello.txt", 1, 2), sys.EROFS},
		{"truncate a file", file.Truncate(0), sys.EROFS},
		{"futimens", file.Utimens(1, 2), sys.EROFS},
		{"futimens of a directory", dir.Utimens(1, 2), sys.EROFS},
		{"truncate a directory", dir.Truncate(0), sys.EISDIR},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	if n, errno := file.Write([]byte("x")); n != 0 || errno != sys.EBADF {
		t.Errorf("write: %d, %v", n, errno)
	}
	if n, errno := file.Pwrite([]byte("x"), 0); n != 0 || errno != sys.EBADF {
		t.Errorf("pwrite: %d, %v", n, errno)
	}
	if _, errno := a.Readlink("hello.txt"); errno != sys.EINVAL {
		t.Errorf("readlink: %v", errno)
	}
}

// TestArchiveBrokenEntry has an entry whose content ends early.
func TestArchiveBrokenEntry(t *testing.T) {
	for _, stream := range []bool{false, true} {
		var fsys fs.FS = shortFS{testMap()}
		if stream {
			fsys = hide{fsys, false}
		}
		k := &vfstest.Tester{T: t, FS: NewArchive(fsys, archiveTime)}
		f := k.Open("data/b", sys.O_RDONLY)
		n, errno := f.Pread(make([]byte, 10), 150_000)
		if n != 0 || errno != sys.EIO {
			t.Errorf("stream %v: read of what is missing: %d, %v", stream, n, errno)
		}
	}
}

type shortFS struct{ fs.FS }

type shortFile struct {
	fs.File
	r *io.SectionReader
}

func (s shortFile) Read(p []byte) (int, error) { return short(s.r.Read(p)) }

func (s shortFile) ReadAt(p []byte, off int64) (int, error) { return short(s.r.ReadAt(p, off)) }

func short(n int, err error) (int, error) {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (s shortFS) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	if ra, ok := f.(io.ReaderAt); ok && err == nil {
		return shortFile{f, io.NewSectionReader(ra, 0, 1000)}, nil
	}
	return f, err
}
