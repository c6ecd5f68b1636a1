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
	run  func(k *tester)
}{
	{"create and read", func(k *tester) {
		k.write("f", "hello")
		if got := k.read("f"); got != "hello" {
			k.t.Fatalf("read %q", got)
		}
		st, errno := k.Stat("f")
		k.ok(errno)
		if st.Size != 5 || st.Nlink != 1 || !st.Mode.IsRegular() || st.Ino == 0 {
			k.t.Fatalf("stat %+v", st)
		}
	}},
	{"missing", func(k *tester) {
		k.wantOpen(sys.ENOENT, "f", sys.O_RDONLY)
		k.wantOpen(sys.ENOENT, "d/f", create)
		_, errno := k.Stat("f")
		k.want(sys.ENOENT, errno)
		k.want(sys.ENOENT, k.Unlink("f"))
		k.want(sys.ENOENT, k.Rmdir("f"))
		k.want(sys.ENOENT, k.Rename("f", "g"))
		k.want(sys.ENOENT, k.Mkdir("d/e", 0o700))
		k.want(sys.ENOENT, k.Link("f", "g"))
		k.want(sys.ENOENT, k.Utimens("f", 1, 2))
	}},
	{"exclusive", func(k *tester) {
		k.ok(k.open("f", create|sys.O_EXCL).Close())
		k.wantOpen(sys.EEXIST, "f", create|sys.O_EXCL)
		k.ok(k.Mkdir("d", 0o700))
		k.wantOpen(sys.EEXIST, "d", create|sys.O_EXCL)
	}},
	{"truncate on open", func(k *tester) {
		k.write("f", "hello")
		k.ok(k.open("f", rw|sys.O_TRUNC).Close())
		if got := k.read("f"); got != "" {
			k.t.Fatalf("read %q", got)
		}
	}},
	{"append", func(k *tester) {
		k.write("f", "one")
		f := k.open("f", rw|sys.O_APPEND)
		if !f.IsAppend() {
			k.t.Fatal("not in append mode")
		}
		_, errno := f.Write([]byte("two"))
		k.ok(errno)
		k.ok(f.SetAppend(false))
		_, errno = f.Seek(0, io.SeekStart)
		k.ok(errno)
		_, errno = f.Write([]byte("O"))
		k.ok(errno)
		k.ok(f.SetAppend(true))
		_, errno = f.Write([]byte("!"))
		k.ok(errno)
		if got := k.read("f"); got != "Onetwo!" {
			k.t.Fatalf("read %q", got)
		}
	}},
	{"access mode", func(k *tester) {
		k.write("f", "hello")
		r, w := k.open("f", sys.O_RDONLY), k.open("f", sys.O_WRONLY)
		_, errno := r.Write([]byte("x"))
		k.want(sys.EBADF, errno)
		_, errno = r.Pwrite([]byte("x"), 0)
		k.want(sys.EBADF, errno)
		k.want(sys.EBADF, r.Truncate(0))
		_, errno = w.Read(make([]byte, 1))
		k.want(sys.EBADF, errno)
		_, errno = w.Pread(make([]byte, 1), 0)
		k.want(sys.EBADF, errno)
	}},
	{"closed", func(k *tester) {
		f := k.open("f", create)
		k.ok(f.Close())
		k.ok(f.Close())
		_, errno := f.Read(make([]byte, 1))
		k.want(sys.EBADF, errno)
		_, errno = f.Write([]byte("x"))
		k.want(sys.EBADF, errno)
		_, errno = f.Stat()
		k.want(sys.EBADF, errno)
		_, errno = f.Seek(0, io.SeekStart)
		k.want(sys.EBADF, errno)
		_, errno = f.Readdir(1)
		k.want(sys.EBADF, errno)
		k.want(sys.EBADF, f.Truncate(1))
		k.want(sys.EBADF, f.Sync())
		k.want(sys.EBADF, f.Utimens(1, 2))
	}},
	{"seek and positions", func(k *tester) {
		k.write("f", "0123456789")
		f := k.open("f", rw)
		for _, s := range []struct {
			off    int64
			whence int
			want   int64
		}{{3, io.SeekStart, 3}, {2, io.SeekCurrent, 5}, {-1, io.SeekEnd, 9}, {20, io.SeekStart, 20}} {
			pos, errno := f.Seek(s.off, s.whence)
			k.ok(errno)
			if pos != s.want {
				k.t.Fatalf("seek %d, %d = %d, want %d", s.off, s.whence, pos, s.want)
			}
		}
		n, errno := f.Read(make([]byte, 4))
		if n != 0 || errno != 0 {
			k.t.Fatalf("read past the end: %d, %v", n, errno)
		}
		_, errno = f.Seek(-1, io.SeekStart)
		k.want(sys.EINVAL, errno)
		_, errno = f.Seek(0, 3)
		k.want(sys.EINVAL, errno)
		_, errno = f.Pread(make([]byte, 1), -1)
		k.want(sys.EINVAL, errno)
		_, errno = f.Pwrite([]byte("x"), -1)
		k.want(sys.EINVAL, errno)
		buf := make([]byte, 4)
		n, errno = f.Pread(buf, 8)
		if n != 2 || errno != 0 || string(buf[:n]) != "89" {
			k.t.Fatalf("pread: %d, %v, %q", n, errno, buf)
		}
		_, errno = f.Pwrite([]byte("AB"), 1)
		k.ok(errno)
		if pos, _ := f.Seek(0, io.SeekCurrent); pos != 20 {
			k.t.Fatalf("pread or pwrite moved the position to %d", pos)
		}
		if got := k.read("f"); got != "0AB3456789" {
			k.t.Fatalf("read %q", got)
		}
	}},
	{"hole", func(k *tester) {
		f := k.open("f", create)
		_, errno := f.Pwrite([]byte("x"), 200_000)
		k.ok(errno)
		want := string(make([]byte, 200_000)) + "x"
		buf := make([]byte, 300_000)
		n, errno := f.Pread(buf, 0)
		k.ok(errno)
		if string(buf[:n]) != want {
			k.t.Fatalf("%d bytes, not zeros and an x", n)
		}
	}},
	{"truncate", func(k *tester) {
		k.write("f", strings.Repeat("x", 70_000))
		f := k.open("f", rw)
		k.ok(f.Truncate(66_000))
		k.ok(f.Truncate(70_000))
		buf := make([]byte, 70_000)
		n, errno := f.Pread(buf, 0)
		k.ok(errno)
		want := append(bytes.Repeat([]byte{'x'}, 66_000), make([]byte, 4000)...)
		if !bytes.Equal(buf[:n], want) {
			k.t.Fatal("what was cut off came back")
		}
		k.want(sys.EINVAL, f.Truncate(-1))
		k.ok(f.Truncate(0))
		st, _ := f.Stat()
		if st.Size != 0 {
			k.t.Fatalf("size %d", st.Size)
		}
	}},
	{"huge offsets", func(k *tester) {
		f := k.open("f", create)
		for _, off := range []int64{1 << 62, math.MaxInt64 - 1, math.MaxInt64} {
			if n, errno := f.Pwrite([]byte("xy"), off); n != 0 || errno == 0 {
				k.t.Fatalf("pwrite at %d: %d, %v", off, n, errno)
			}
		}
		n, errno := f.Pread(make([]byte, 8), math.MaxInt64)
		if n != 0 || errno != 0 && errno != sys.EINVAL {
			k.t.Fatalf("pread: %d, %v", n, errno)
		}
		if errno := f.Truncate(math.MaxInt64); errno == 0 {
			k.t.Fatal("truncate to 2^63-1 succeeded")
		}
	}},
	{"directories", func(k *tester) {
		k.ok(k.Mkdir("d", 0o700))
		k.want(sys.EEXIST, k.Mkdir("d", 0o700))
		k.want(sys.EEXIST, k.Mkdir(".", 0o700))
		k.ok(k.Mkdir("d/e/", 0o700))
		k.write("d/f", "x")
		if got := k.list("d"); got != "e/ f" {
			k.t.Fatalf("list %q", got)
		}
		k.want(sys.ENOTEMPTY, k.Rmdir("d"))
		k.want(sys.ENOTDIR, k.Rmdir("d/f"))
		k.want(sys.EISDIR, k.Unlink("d/e"))
		k.want(sys.ENOTDIR, k.Mkdir("d/f/g", 0o700))
		k.want(sys.EEXIST, k.Mkdir("d/f", 0o700))
		k.wantOpen(sys.ENOTDIR, "d/f/g", create)
		k.wantOpen(sys.ENOTDIR, "d/f/", sys.O_RDONLY)
		k.wantOpen(sys.ENOTDIR, "d/f", sys.O_RDONLY|sys.O_DIRECTORY)
		k.wantOpen(sys.EISDIR, "d", rw)
		k.wantOpen(sys.EISDIR, "d", sys.O_WRONLY)
		k.wantOpen(sys.EISDIR, "new/", create)
		k.want(k.opt.Busy, k.Rmdir("."))
		k.ok(k.Rmdir("d/e"))
		k.ok(k.Unlink("d/f"))
		k.ok(k.Rmdir("d"))
		if got := k.list("."); got != "" {
			k.t.Fatalf("list %q", got)
		}
	}},
	{"directory as a file", func(k *tester) {
		k.ok(k.Mkdir("d", 0o700))
		d := k.open("d", sys.O_RDONLY)
		if isDir, errno := d.IsDir(); !isDir || errno != 0 {
			k.t.Fatalf("IsDir: %v, %v", isDir, errno)
		}
		_, errno := d.Read(make([]byte, 1))
		k.want(sys.EISDIR, errno)
		_, errno = d.Write([]byte("x"))
		k.want(sys.EISDIR, errno)
		k.want(sys.EISDIR, d.Truncate(0))
		k.want(sys.EISDIR, d.SetAppend(true))
		f := k.open("f", create)
		_, errno = f.Readdir(1)
		k.want(sys.ENOTDIR, errno)
	}},
	{"rewind a directory", func(k *tester) {
		for i := range 10 {
			k.write(fmt.Sprint("f", i), "")
		}
		d := k.open(".", sys.O_RDONLY)
		list, errno := d.Readdir(4)
		k.ok(errno)
		if len(list) != 4 {
			k.t.Fatalf("%d entries", len(list))
		}
		_, errno = d.Seek(0, io.SeekStart)
		k.ok(errno)
		list, errno = d.Readdir(-1)
		k.ok(errno)
		if len(list) != 10 {
			k.t.Fatalf("%d entries after the rewind", len(list))
		}
		list, errno = d.Readdir(-1)
		if len(list) != 0 || errno != 0 {
			k.t.Fatalf("%d entries at the end, %v", len(list), errno)
		}
		_, errno = d.Seek(1, io.SeekStart)
		k.want(sys.EINVAL, errno)
	}},
	{"many entries", func(k *tester) {
		n := k.opt.Many
		if n == 0 {
			n = 3000
		}
		for i := range n {
			k.ok(k.open(fmt.Sprintf("f%04d", i), create).Close())
		}
		d := k.open(".", sys.O_RDONLY)
		seen := map[string]bool{}
		for {
			list, errno := d.Readdir(100)
			k.ok(errno)
			for _, e := range list {
				if seen[e.Name] {
					k.t.Fatalf("%q came twice", e.Name)
				}
				seen[e.Name] = true
			}
			if len(list) < 100 {
				break
			}
		}
		if len(seen) != n {
			k.t.Fatalf("%d entries, want %d", len(seen), n)
		}
	}},
	{"rename a file", func(k *tester) {
		k.write("a", "A")
		k.write("b", "B")
		k.ok(k.Rename("a", "c"))
		k.wantOpen(sys.ENOENT, "a", sys.O_RDONLY)
		k.ok(k.Rename("c", "b"))
		if got := k.read("b"); got != "A" {
			k.t.Fatalf("read %q", got)
		}
		k.ok(k.Rename("b", "b"))
		k.want(sys.ENOTDIR, k.Rename("b", "x/"))
		k.want(sys.ENOTDIR, k.Rename("b/", "x"))
		if got := k.list("."); got != "b" {
			k.t.Fatalf("list %q", got)
		}
	}},
	{"rename a directory", func(k *tester) {
		k.ok(k.Mkdir("d", 0o700))
		k.ok(k.Mkdir("d/in", 0o700))
		k.ok(k.Mkdir("empty", 0o700))
		k.write("f", "F")
		k.want(sys.EINVAL, k.Rename("d", "d/in/x"))
		k.want(sys.ENOTDIR, k.Rename("d", "f"))
		k.want(sys.EISDIR, k.Rename("f", "d"))
		k.want(sys.ENOTEMPTY, k.Rename("empty", "d"))
		k.want(k.opt.Busy, k.Rename("d", "."))
		k.want(k.opt.Busy, k.Rename(".", "x"))
		k.ok(k.Rename("d", "empty"))
		if got := k.list("empty"); got != "in/" {
			k.t.Fatalf("list %q", got)
		}
		k.ok(k.Rename("empty/in", "in"))
		if got := k.list("."); got != "empty/ f in/" {
			k.t.Fatalf("list %q", got)
		}
	}},
	{"unlinked but open", func(k *tester) {
		k.write("f", "kept")
		f := k.open("f", rw)
		k.ok(k.Unlink("f"))
		k.write("f", "new")
		if got := k.rest(f); got != "kept" {
			k.t.Fatalf("read %q", got)
		}
		_, errno := f.Write([]byte("!"))
		k.ok(errno)
		if st, errno := f.Stat(); errno != 0 || st.Nlink != 0 || st.Size != 5 {
			k.t.Fatalf("stat %+v, %v", st, errno)
		}
		if got := k.read("f"); got != "new" {
			k.t.Fatalf("read %q", got)
		}
	}},
	{"hard link", func(k *tester) {
		k.write("f", "one")
		k.ok(k.Link("f", "g"))
		k.want(sys.EEXIST, k.Link("f", "g"))
		k.ok(k.Mkdir("d", 0o700))
		k.want(sys.EPERM, k.Link("d", "e"))
		a, _ := k.Stat("f")
		b, _ := k.Stat("g")
		if a.Ino != b.Ino || a.Nlink != 2 {
			k.t.Fatalf("stat %+v and %+v", a, b)
		}
		k.ok(k.Unlink("f"))
		if got := k.read("g"); got != "one" {
			k.t.Fatalf("read %q", got)
		}
	}},
	{"symbolic link", func(k *tester) {
		k.ok(k.Mkdir("d", 0o700))
		k.write("d/f", "F")
		k.ok(k.Symlink("d/f", "l"))
		k.ok(k.Symlink("d", "ld"))
		k.ok(k.Symlink("nowhere", "dangling"))
		k.want(sys.EEXIST, k.Symlink("x", "l"))
		if got := k.read("l"); got != "F" {
			k.t.Fatalf("read %q", got)
		}
		if got := k.read("ld/f"); got != "F" {
			k.t.Fatalf("read %q", got)
		}
		if got := k.list("ld"); got != "f" {
			k.t.Fatalf("list %q", got)
		}
		if got := k.list("."); got != "d/ dangling@ l@ ld@" {
			k.t.Fatalf("list %q", got)
		}
		target, errno := k.Readlink("l")
		if target != "d/f" || errno != 0 {
			k.t.Fatalf("readlink %q, %v", target, errno)
		}
		_, errno = k.Readlink("d")
		k.want(sys.EINVAL, errno)
		st, errno := k.Lstat("l")
		if errno != 0 || st.Mode&fs.ModeSymlink == 0 || st.Size != 3 {
			k.t.Fatalf("lstat %+v, %v", st, errno)
		}
		k.wantOpen(sys.ELOOP, "l", sys.O_RDONLY|sys.O_NOFOLLOW)
		k.wantOpen(sys.EEXIST, "dangling", create|sys.O_EXCL)
		k.wantOpen(sys.ENOENT, "dangling", sys.O_RDONLY)
		k.ok(k.Rename("l", "l2"))
		k.ok(k.Unlink("l2"))
		k.ok(k.Unlink("ld"))
		if got := k.read("d/f"); got != "F" {
			k.t.Fatalf("read %q", got)
		}
	}},
	{"symbolic link loop", func(k *tester) {
		k.ok(k.Symlink("b", "a"))
		k.ok(k.Symlink("a", "b"))
		k.wantOpen(sys.ELOOP, "a", sys.O_RDONLY)
		k.wantOpen(sys.ELOOP, "a/x", create)
	}},
	{"absolute link", func(k *tester) {
		k.want(sys.EPERM, k.Symlink("/etc/passwd", "l"))
		k.want(sys.ENOENT, k.Symlink("", "l"))
		k.want(sys.EINVAL, k.Symlink("a\x00b", "l"))
	}},
	{"times", func(k *tester) {
		k.write("f", "x")
		k.ok(k.Mkdir("d", 0o700))
		if k.opt.OneTime {
			k.oneTime()
			return
		}
		for _, path := range []string{"f", "d"} {
			k.ok(k.Utimens(path, 1_000_000_000, 2_000_000_500))
			st, errno := k.Stat(path)
			if errno != 0 || st.Atim != 1_000_000_000 || st.Mtim != 2_000_000_500 {
				k.t.Fatalf("%s: stat %+v, %v", path, st, errno)
			}
			k.ok(k.Utimens(path, sys.UTIME_OMIT, 3_000_000_000))
			st, _ = k.Stat(path)
			if st.Atim != 1_000_000_000 || st.Mtim != 3_000_000_000 {
				k.t.Fatalf("%s: stat %+v", path, st)
			}
		}
		f := k.open("f", rw)
		k.ok(f.Utimens(4_000_000_000, sys.UTIME_OMIT))
		st, _ := f.Stat()
		if st.Atim != 4_000_000_000 || st.Mtim != 3_000_000_000 {
			k.t.Fatalf("stat %+v", st)
		}
	}},
	{"hostile paths", func(k *tester) {
		k.write("f", "x")
		for _, path := range []string{"..", "../f", "f/../../f", "/..", "/../etc/passwd"} {
			k.wantOpen(sys.EPERM, path, sys.O_RDONLY)
			k.wantOpen(sys.EPERM, path, create)
			k.want(sys.EPERM, k.Mkdir(path, 0o700))
			k.want(sys.EPERM, k.Unlink(path))
			k.want(sys.EPERM, k.Rmdir(path))
			k.want(sys.EPERM, k.Rename("f", path))
			k.want(sys.EPERM, k.Rename(path, "g"))
			k.want(sys.EPERM, k.Link("f", path))
			k.want(sys.EPERM, k.Link(path, "g"))
			k.want(sys.EPERM, k.Symlink("f", path))
			k.want(sys.EPERM, k.Utimens(path, 0, 0))
		}
		k.wantOpen(sys.EINVAL, "a\x00b", create)
		k.wantOpen(sys.ENAMETOOLONG, strings.Repeat("n", 256), create)
		k.wantOpen(sys.ENAMETOOLONG, strings.Repeat("d/", 5000), sys.O_RDONLY)
		k.wantOpen(sys.ENOENT, "", create)
		if got := k.read("/f"); got != "x" {
			k.t.Fatalf("read %q", got)
		}
		if got := k.list("/"); got != "f" {
			k.t.Fatalf("list %q", got)
		}
	}},
	{"strange names", func(k *tester) {
		names := []string{" ", "...", "a b", "é", "-", "CON"}
		if !k.opt.TextNames {
			names = append(names, "\xff\xfe", "\x1b[31m", "a\nb")
		}
		for _, name := range names {
			k.write(name, name)
			if got := k.read(name); got != name {
				k.t.Fatalf("read %q from %q", got, name)
			}
		}
	}},
	{"no links", func(k *tester) {
		k.write("f", "x")
		k.want(sys.ENOTSUP, k.Link("f", "g"))
		k.want(sys.ENOTSUP, k.Symlink("f", "g"))
		_, errno := k.Readlink("f")
		k.want(sys.EINVAL, errno)
		_, errno = k.Readlink("g")
		k.want(sys.ENOENT, errno)
	}},
}

// oneTime tests times where there is only that of the last change, of files.
func (k *tester) oneTime() {
	k.ok(k.Utimens("f", 1_000_000_000, 2_000_000_500))
	st, errno := k.Stat("f")
	if errno != 0 || st.Mtim != 2_000_000_500 {
		k.t.Fatalf("stat %+v, %v", st, errno)
	}
	k.ok(k.Utimens("f", 1_000_000_000, sys.UTIME_OMIT))
	k.ok(k.Utimens("d", 1_000_000_000, 2_000_000_500))
	f := k.open("f", rw)
	k.ok(f.Utimens(4_000_000_000, sys.UTIME_OMIT))
	if st, _ = f.Stat(); st.Mtim != 2_000_000_500 {
		k.t.Fatalf("stat %+v", st)
	}
	k.ok(f.Utimens(sys.UTIME_OMIT, 5_000_000_000))
	if st, _ = k.Stat("f"); st.Mtim != 5_000_000_000 {
		k.t.Fatalf("stat %+v", st)
	}
}
