package vfstest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// writable lists what every writable file system must do. Each case starts with
// an empty one.
var writable = []struct {
	name string
	run  func(k *Tester)
}{
	{"create and read", func(k *Tester) {
		k.Write("f", "hello")
		if got := k.Read("f"); got != "hello" {
			k.T.Fatalf("read %q", got)
		}
		st, errno := k.Stat("f")
		k.OK(errno)
		if st.Size != 5 || st.Nlink != 1 || !st.Mode.IsRegular() || st.Ino == 0 {
			k.T.Fatalf("stat %+v", st)
		}
	}},
	{"missing", func(k *Tester) {
		k.WantOpen(sys.ENOENT, "f", sys.O_RDONLY)
		k.WantOpen(sys.ENOENT, "d/f", create)
		_, errno := k.Stat("f")
		k.Want(sys.ENOENT, errno)
		k.Want(sys.ENOENT, k.Unlink("f"))
		k.Want(sys.ENOENT, k.Rmdir("f"))
		k.Want(sys.ENOENT, k.Rename("f", "g"))
		k.Want(sys.ENOENT, k.Mkdir("d/e", 0o700))
		k.Want(sys.ENOENT, k.Link("f", "g"))
		k.Want(sys.ENOENT, k.Utimens("f", 1, 2))
	}},
	{"exclusive", func(k *Tester) {
		k.OK(k.Open("f", create|sys.O_EXCL).Close())
		k.WantOpen(sys.EEXIST, "f", create|sys.O_EXCL)
		k.OK(k.Mkdir("d", 0o700))
		k.WantOpen(sys.EEXIST, "d", create|sys.O_EXCL)
	}},
	{"truncate on open", func(k *Tester) {
		k.Write("f", "hello")
		k.OK(k.Open("f", rw|sys.O_TRUNC).Close())
		if got := k.Read("f"); got != "" {
			k.T.Fatalf("read %q", got)
		}
	}},
	{"append", func(k *Tester) {
		k.Write("f", "one")
		f := k.Open("f", rw|sys.O_APPEND)
		if !f.IsAppend() {
			k.T.Fatal("not in append mode")
		}
		_, errno := f.Write([]byte("two"))
		k.OK(errno)
		k.OK(f.SetAppend(false))
		_, errno = f.Seek(0, io.SeekStart)
		k.OK(errno)
		_, errno = f.Write([]byte("O"))
		k.OK(errno)
		k.OK(f.SetAppend(true))
		_, errno = f.Write([]byte("!"))
		k.OK(errno)
		if got := k.Read("f"); got != "Onetwo!" {
			k.T.Fatalf("read %q", got)
		}
	}},
	{"access mode", func(k *Tester) {
		k.Write("f", "hello")
		r, w := k.Open("f", sys.O_RDONLY), k.Open("f", sys.O_WRONLY)
		_, errno := r.Write([]byte("x"))
		k.Want(sys.EBADF, errno)
		_, errno = r.Pwrite([]byte("x"), 0)
		k.Want(sys.EBADF, errno)
		k.Want(sys.EBADF, r.Truncate(0))
		_, errno = w.Read(make([]byte, 1))
		k.Want(sys.EBADF, errno)
		_, errno = w.Pread(make([]byte, 1), 0)
		k.Want(sys.EBADF, errno)
	}},
	{"closed", func(k *Tester) {
		f := k.Open("f", create)
		k.OK(f.Close())
		k.OK(f.Close())
		_, errno := f.Read(make([]byte, 1))
		k.Want(sys.EBADF, errno)
		_, errno = f.Write([]byte("x"))
		k.Want(sys.EBADF, errno)
		_, errno = f.Stat()
		k.Want(sys.EBADF, errno)
		_, errno = f.Seek(0, io.SeekStart)
		k.Want(sys.EBADF, errno)
		_, errno = f.Readdir(1)
		k.Want(sys.EBADF, errno)
		k.Want(sys.EBADF, f.Truncate(1))
		k.Want(sys.EBADF, f.Sync())
		k.Want(sys.EBADF, f.Utimens(1, 2))
	}},
	{"seek and positions", func(k *Tester) {
		k.Write("f", "0123456789")
		f := k.Open("f", rw)
		for _, s := range []struct {
			off    int64
			whence int
			want   int64
		}{{3, io.SeekStart, 3}, {2, io.SeekCurrent, 5}, {-1, io.SeekEnd, 9}, {20, io.SeekStart, 20}} {
			pos, errno := f.Seek(s.off, s.whence)
			k.OK(errno)
			if pos != s.want {
				k.T.Fatalf("seek %d, %d = %d, want %d", s.off, s.whence, pos, s.want)
			}
		}
		n, errno := f.Read(make([]byte, 4))
		if n != 0 || errno != 0 {
			k.T.Fatalf("read past the end: %d, %v", n, errno)
		}
		_, errno = f.Seek(-1, io.SeekStart)
		k.Want(sys.EINVAL, errno)
		_, errno = f.Seek(0, 3)
		k.Want(sys.EINVAL, errno)
		_, errno = f.Pread(make([]byte, 1), -1)
		k.Want(sys.EINVAL, errno)
		_, errno = f.Pwrite([]byte("x"), -1)
		k.Want(sys.EINVAL, errno)
		buf := make([]byte, 4)
		n, errno = f.Pread(buf, 8)
		if n != 2 || errno != 0 || string(buf[:n]) != "89" {
			k.T.Fatalf("pread: %d, %v, %q", n, errno, buf)
		}
		_, errno = f.Pwrite([]byte("AB"), 1)
		k.OK(errno)
		if pos, _ := f.Seek(0, io.SeekCurrent); pos != 20 {
			k.T.Fatalf("pread or pwrite moved the position to %d", pos)
		}
		if got := k.Read("f"); got != "0AB3456789" {
			k.T.Fatalf("read %q", got)
		}
	}},
	{"hole", func(k *Tester) {
		f := k.Open("f", create)
		_, errno := f.Pwrite([]byte("x"), 200_000)
		k.OK(errno)
		want := string(make([]byte, 200_000)) + "x"
		buf := make([]byte, 300_000)
		n, errno := f.Pread(buf, 0)
		k.OK(errno)
		if string(buf[:n]) != want {
			k.T.Fatalf("%d bytes, not zeros and an x", n)
		}
	}},
	{"truncate", func(k *Tester) {
		k.Write("f", strings.Repeat("x", 70_000))
		f := k.Open("f", rw)
		k.OK(f.Truncate(66_000))
		k.OK(f.Truncate(70_000))
		buf := make([]byte, 70_000)
		n, errno := f.Pread(buf, 0)
		k.OK(errno)
		want := append(bytes.Repeat([]byte{'x'}, 66_000), make([]byte, 4000)...)
		if !bytes.Equal(buf[:n], want) {
			k.T.Fatal("what was cut off came back")
		}
		k.Want(sys.EINVAL, f.Truncate(-1))
		k.OK(f.Truncate(0))
		st, _ := f.Stat()
		if st.Size != 0 {
			k.T.Fatalf("size %d", st.Size)
		}
	}},
	{"huge offsets", func(k *Tester) {
		f := k.Open("f", create)
		for _, off := range []int64{1 << 62, math.MaxInt64 - 1, math.MaxInt64} {
			if n, errno := f.Pwrite([]byte("xy"), off); n != 0 || errno == 0 {
				k.T.Fatalf("pwrite at %d: %d, %v", off, n, errno)
			}
		}
		n, errno := f.Pread(make([]byte, 8), math.MaxInt64)
		if n != 0 || errno != 0 && errno != sys.EINVAL {
			k.T.Fatalf("pread: %d, %v", n, errno)
		}
		if errno := f.Truncate(math.MaxInt64); errno == 0 {
			k.T.Fatal("truncate to 2^63-1 succeeded")
		}
	}},
	{"directories", func(k *Tester) {
		k.OK(k.Mkdir("d", 0o700))
		k.Want(sys.EEXIST, k.Mkdir("d", 0o700))
		k.Want(sys.EEXIST, k.Mkdir(".", 0o700))
		k.OK(k.Mkdir("d/e/", 0o700))
		k.Write("d/f", "x")
		if got := k.List("d"); got != "e/ f" {
			k.T.Fatalf("list %q", got)
		}
		k.Want(sys.ENOTEMPTY, k.Rmdir("d"))
		k.Want(sys.ENOTDIR, k.Rmdir("d/f"))
		k.Want(sys.EISDIR, k.Unlink("d/e"))
		k.Want(sys.ENOTDIR, k.Mkdir("d/f/g", 0o700))
		k.Want(sys.EEXIST, k.Mkdir("d/f", 0o700))
		k.WantOpen(sys.ENOTDIR, "d/f/g", create)
		k.WantOpen(sys.ENOTDIR, "d/f/", sys.O_RDONLY)
		k.WantOpen(sys.ENOTDIR, "d/f", sys.O_RDONLY|sys.O_DIRECTORY)
		k.WantOpen(sys.EISDIR, "d", rw)
		k.WantOpen(sys.EISDIR, "d", sys.O_WRONLY)
		k.WantOpen(sys.EISDIR, "new/", create)
		k.Want(k.opt.Busy, k.Rmdir("."))
		k.OK(k.Rmdir("d/e"))
		k.OK(k.Unlink("d/f"))
		k.OK(k.Rmdir("d"))
		if got := k.List("."); got != "" {
			k.T.Fatalf("list %q", got)
		}
	}},
	{"directory as a file", func(k *Tester) {
		k.OK(k.Mkdir("d", 0o700))
		d := k.Open("d", sys.O_RDONLY)
		if isDir, errno := d.IsDir(); !isDir || errno != 0 {
			k.T.Fatalf("IsDir: %v, %v", isDir, errno)
		}
		_, errno := d.Read(make([]byte, 1))
		k.Want(sys.EISDIR, errno)
		_, errno = d.Write([]byte("x"))
		k.Want(sys.EISDIR, errno)
		k.Want(sys.EISDIR, d.Truncate(0))
		k.Want(sys.EISDIR, d.SetAppend(true))
		f := k.Open("f", create)
		_, errno = f.Readdir(1)
		k.Want(sys.ENOTDIR, errno)
	}},
	{"rewind a directory", func(k *Tester) {
		for i := range 10 {
			k.Write(fmt.Sprint("f", i), "")
		}
		d := k.Open(".", sys.O_RDONLY)
		list, errno := d.Readdir(4)
		k.OK(errno)
		if len(list) != 4 {
			k.T.Fatalf("%d entries", len(list))
		}
		_, errno = d.Seek(0, io.SeekStart)
		k.OK(errno)
		list, errno = d.Readdir(-1)
		k.OK(errno)
		if len(list) != 10 {
			k.T.Fatalf("%d entries after the rewind", len(list))
		}
		list, errno = d.Readdir(-1)
		if len(list) != 0 || errno != 0 {
			k.T.Fatalf("%d entries at the end, %v", len(list), errno)
		}
		_, errno = d.Seek(1, io.SeekStart)
		k.Want(sys.EINVAL, errno)
	}},
	{"many entries", func(k *Tester) {
		n := k.opt.Many
		if n == 0 {
			n = 3000
		}
		for i := range n {
			k.OK(k.Open(fmt.Sprintf("f%04d", i), create).Close())
		}
		d := k.Open(".", sys.O_RDONLY)
		seen := map[string]bool{}
		for {
			list, errno := d.Readdir(100)
			k.OK(errno)
			for _, e := range list {
				if seen[e.Name] {
					k.T.Fatalf("%q came twice", e.Name)
				}
				seen[e.Name] = true
			}
			if len(list) < 100 {
				break
			}
		}
		if len(seen) != n {
			k.T.Fatalf("%d entries, want %d", len(seen), n)
		}
	}},
	{"rename a file", func(k *Tester) {
		k.Write("a", "A")
		k.Write("b", "B")
		k.OK(k.Rename("a", "c"))
		k.WantOpen(sys.ENOENT, "a", sys.O_RDONLY)
		k.OK(k.Rename("c", "b"))
		if got := k.Read("b"); got != "A" {
			k.T.Fatalf("read %q", got)
		}
		k.OK(k.Rename("b", "b"))
		k.Want(sys.ENOTDIR, k.Rename("b", "x/"))
		k.Want(sys.ENOTDIR, k.Rename("b/", "x"))
		if got := k.List("."); got != "b" {
			k.T.Fatalf("list %q", got)
		}
	}},
	{"rename a directory", func(k *Tester) {
		k.OK(k.Mkdir("d", 0o700))
		k.OK(k.Mkdir("d/in", 0o700))
		k.OK(k.Mkdir("empty", 0o700))
		k.Write("f", "F")
		k.Want(sys.EINVAL, k.Rename("d", "d/in/x"))
		k.Want(sys.ENOTDIR, k.Rename("d", "f"))
		k.Want(sys.EISDIR, k.Rename("f", "d"))
		k.Want(sys.ENOTEMPTY, k.Rename("empty", "d"))
		k.Want(k.opt.Busy, k.Rename("d", "."))
		k.Want(k.opt.Busy, k.Rename(".", "x"))
		k.OK(k.Rename("d", "empty"))
		if got := k.List("empty"); got != "in/" {
			k.T.Fatalf("list %q", got)
		}
		k.OK(k.Rename("empty/in", "in"))
		if got := k.List("."); got != "empty/ f in/" {
			k.T.Fatalf("list %q", got)
		}
	}},
	{"unlinked but open", func(k *Tester) {
		k.Write("f", "kept")
		f := k.Open("f", rw)
		k.OK(k.Unlink("f"))
		k.Write("f", "new")
		if got := k.Rest(f); got != "kept" {
			k.T.Fatalf("read %q", got)
		}
		_, errno := f.Write([]byte("!"))
		k.OK(errno)
		if st, errno := f.Stat(); errno != 0 || st.Nlink != 0 || st.Size != 5 {
			k.T.Fatalf("stat %+v, %v", st, errno)
		}
		if got := k.Read("f"); got != "new" {
			k.T.Fatalf("read %q", got)
		}
	}},
	{"hard link", func(k *Tester) {
		k.Write("f", "one")
		k.OK(k.Link("f", "g"))
		k.Want(sys.EEXIST, k.Link("f", "g"))
		k.OK(k.Mkdir("d", 0o700))
		k.Want(sys.EPERM, k.Link("d", "e"))
		a, _ := k.Stat("f")
		b, _ := k.Stat("g")
		if a.Ino != b.Ino || a.Nlink != 2 {
			k.T.Fatalf("stat %+v and %+v", a, b)
		}
		k.OK(k.Unlink("f"))
		if got := k.Read("g"); got != "one" {
			k.T.Fatalf("read %q", got)
		}
	}},
	{"symbolic link", func(k *Tester) {
		k.OK(k.Mkdir("d", 0o700))
		k.Write("d/f", "F")
		k.OK(k.Symlink("d/f", "l"))
		k.OK(k.Symlink("d", "ld"))
		k.OK(k.Symlink("nowhere", "dangling"))
		k.Want(sys.EEXIST, k.Symlink("x", "l"))
		if got := k.Read("l"); got != "F" {
			k.T.Fatalf("read %q", got)
		}
		if got := k.Read("ld/f"); got != "F" {
			k.T.Fatalf("read %q", got)
		}
		if got := k.List("ld"); got != "f" {
			k.T.Fatalf("list %q", got)
		}
		if got := k.List("."); got != "d/ dangling@ l@ ld@" {
			k.T.Fatalf("list %q", got)
		}
		target, errno := k.Readlink("l")
		if target != "d/f" || errno != 0 {
			k.T.Fatalf("readlink %q, %v", target, errno)
		}
		_, errno = k.Readlink("d")
		k.Want(sys.EINVAL, errno)
		st, errno := k.Lstat("l")
		if errno != 0 || st.Mode&fs.ModeSymlink == 0 || st.Size != 3 {
			k.T.Fatalf("lstat %+v, %v", st, errno)
		}
		k.WantOpen(sys.ELOOP, "l", sys.O_RDONLY|sys.O_NOFOLLOW)
		k.WantOpen(sys.EEXIST, "dangling", create|sys.O_EXCL)
		k.WantOpen(sys.ENOENT, "dangling", sys.O_RDONLY)
		k.OK(k.Rename("l", "l2"))
		k.OK(k.Unlink("l2"))
		k.OK(k.Unlink("ld"))
		if got := k.Read("d/f"); got != "F" {
			k.T.Fatalf("read %q", got)
		}
	}},
	{"symbolic link loop", func(k *Tester) {
		k.OK(k.Symlink("b", "a"))
		k.OK(k.Symlink("a", "b"))
		k.WantOpen(sys.ELOOP, "a", sys.O_RDONLY)
		k.WantOpen(sys.ELOOP, "a/x", create)
	}},
	{"absolute link", func(k *Tester) {
		k.Want(sys.EPERM, k.Symlink("/etc/passwd", "l"))
		k.Want(sys.ENOENT, k.Symlink("", "l"))
		k.Want(sys.EINVAL, k.Symlink("a\x00b", "l"))
	}},
	{"times", func(k *Tester) {
		k.Write("f", "x")
		k.OK(k.Mkdir("d", 0o700))
		if k.opt.OneTime {
			k.oneTime()
			return
		}
		for _, path := range []string{"f", "d"} {
			k.OK(k.Utimens(path, 1_000_000_000, 2_000_000_500))
			st, errno := k.Stat(path)
			if errno != 0 || st.Atim != 1_000_000_000 || st.Mtim != 2_000_000_500 {
				k.T.Fatalf("%s: stat %+v, %v", path, st, errno)
			}
			k.OK(k.Utimens(path, sys.UTIME_OMIT, 3_000_000_000))
			st, _ = k.Stat(path)
			if st.Atim != 1_000_000_000 || st.Mtim != 3_000_000_000 {
				k.T.Fatalf("%s: stat %+v", path, st)
			}
		}
		f := k.Open("f", rw)
		k.OK(f.Utimens(4_000_000_000, sys.UTIME_OMIT))
		st, _ := f.Stat()
		if st.Atim != 4_000_000_000 || st.Mtim != 3_000_000_000 {
			k.T.Fatalf("stat %+v", st)
		}
	}},
	{"hostile paths", func(k *Tester) {
		k.Write("f", "x")
		for _, path := range []string{"..", "../f", "f/../../f", "/..", "/../etc/passwd"} {
			k.WantOpen(sys.EPERM, path, sys.O_RDONLY)
			k.WantOpen(sys.EPERM, path, create)
			k.Want(sys.EPERM, k.Mkdir(path, 0o700))
			k.Want(sys.EPERM, k.Unlink(path))
			k.Want(sys.EPERM, k.Rmdir(path))
			k.Want(sys.EPERM, k.Rename("f", path))
			k.Want(sys.EPERM, k.Rename(path, "g"))
			k.Want(sys.EPERM, k.Link("f", path))
			k.Want(sys.EPERM, k.Link(path, "g"))
			k.Want(sys.EPERM, k.Symlink("f", path))
			k.Want(sys.EPERM, k.Utimens(path, 0, 0))
		}
		k.WantOpen(sys.EINVAL, "a\x00b", create)
		k.WantOpen(sys.ENAMETOOLONG, strings.Repeat("n", 256), create)
		k.WantOpen(sys.ENAMETOOLONG, strings.Repeat("d/", 5000), sys.O_RDONLY)
		k.WantOpen(sys.ENOENT, "", create)
		if got := k.Read("/f"); got != "x" {
			k.T.Fatalf("read %q", got)
		}
		if got := k.List("/"); got != "f" {
			k.T.Fatalf("list %q", got)
		}
	}},
	{"strange names", func(k *Tester) {
		names := []string{" ", "...", "a b", "é", "-", "CON"}
		if !k.opt.TextNames {
			names = append(names, "\xff\xfe", "\x1b[31m", "a\nb")
		}
		for _, name := range names {
			k.Write(name, name)
			if got := k.Read(name); got != name {
				k.T.Fatalf("read %q from %q", got, name)
			}
		}
	}},
	{"no links", func(k *Tester) {
		k.Write("f", "x")
		k.Want(sys.ENOTSUP, k.Link("f", "g"))
		k.Want(sys.ENOTSUP, k.Symlink("f", "g"))
		_, errno := k.Readlink("f")
		k.Want(sys.EINVAL, errno)
		_, errno = k.Readlink("g")
		k.Want(sys.ENOENT, errno)
	}},
}

// oneTime tests times where there is only that of the last change, of files.
func (k *Tester) oneTime() {
	k.OK(k.Utimens("f", 1_000_000_000, 2_000_000_500))
	st, errno := k.Stat("f")
	if errno != 0 || st.Mtim != 2_000_000_500 {
		k.T.Fatalf("stat %+v, %v", st, errno)
	}
	k.OK(k.Utimens("f", 1_000_000_000, sys.UTIME_OMIT))
	k.OK(k.Utimens("d", 1_000_000_000, 2_000_000_500))
	f := k.Open("f", rw)
	k.OK(f.Utimens(4_000_000_000, sys.UTIME_OMIT))
	if st, _ = f.Stat(); st.Mtim != 2_000_000_500 {
		k.T.Fatalf("stat %+v", st)
	}
	k.OK(f.Utimens(sys.UTIME_OMIT, 5_000_000_000))
	if st, _ = k.Stat("f"); st.Mtim != 5_000_000_000 {
		k.T.Fatalf("stat %+v", st)
	}
}
