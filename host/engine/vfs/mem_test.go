package vfs

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pxos/pxos/host/engine/vfs/vfstest"
	"github.com/tetratelabs/wazero/experimental/sys"
)

func TestMemQuota(t *testing.T) {
	const names = direntCost + 1 // what a one-letter name costs
	newMem := func(bytes int64, inodes int) *vfstest.Tester {
		return &vfstest.Tester{T: t, FS: NewMem(Quota{Bytes: bytes, Inodes: inodes}, nil)}
	}
	usage := func(k *vfstest.Tester) Quota { return k.FS.(*Mem).Usage() }

	t.Run("bytes", func(t *testing.T) {
		k := newMem(names+100, 10)
		f := k.Open("f", create)
		n, errno := f.Write(make([]byte, 150))
		if n != 100 || errno != 0 {
			t.Fatalf("write: %d, %v; want what fits", n, errno)
		}
		n, errno = f.Write([]byte("x"))
		if n != 0 || errno != ENOSPC {
			t.Fatalf("write: %d, %v", n, errno)
		}
		if _, errno = f.Pwrite([]byte("yy"), 98); errno != 0 {
			t.Fatalf("overwriting: %v", errno)
		}
		k.WantOpen(ENOSPC, "g", create)
		k.OK(f.Truncate(100 - names))
		k.OK(k.Open("g", create).Close())
	})
	t.Run("holes count", func(t *testing.T) {
		k := newMem(1<<20, 10)
		f := k.Open("f", create)
		k.Want(ENOSPC, f.Truncate(1<<20))
		k.Want(ENOSPC, f.Truncate(math.MaxInt64))
		n, errno := f.Pwrite([]byte("x"), 1<<20)
		if n != 0 || errno != ENOSPC {
			t.Fatalf("pwrite: %d, %v", n, errno)
		}
		n, errno = f.Pwrite([]byte("x"), math.MaxInt64)
		if n != 0 || errno != EFBIG {
			t.Fatalf("pwrite: %d, %v", n, errno)
		}
		n, errno = f.Pwrite([]byte("x"), 1<<62)
		if n != 0 || errno != ENOSPC {
			t.Fatalf("pwrite: %d, %v", n, errno)
		}
		k.OK(f.Truncate(1 << 19))
		if got := usage(k); got.Bytes != 1<<19+names {
			t.Fatalf("usage %+v", got)
		}
	})
	t.Run("inodes", func(t *testing.T) {
		k := newMem(1<<20, 3)
		k.OK(k.Mkdir("a", 0o700))
		k.OK(k.Symlink("a", "b"))
		k.OK(k.Open("c", create).Close())
		k.WantOpen(ENOSPC, "d", create)
		k.Want(ENOSPC, k.Mkdir("d", 0o700))
		k.Want(ENOSPC, k.Symlink("a", "d"))
		k.OK(k.Link("c", "d"))
		k.OK(k.Unlink("c"))
		k.WantOpen(ENOSPC, "e", create)
		k.OK(k.Unlink("d"))
		k.OK(k.Open("e", create).Close())
	})
	t.Run("nothing leaks", func(t *testing.T) {
		k := newMem(1<<20, 100)
		for range 1000 {
			k.OK(k.Mkdir("d", 0o700))
			k.Write("d/f", "hello")
			k.OK(k.Link("d/f", "g"))
			k.OK(k.Symlink("target", "l"))
			k.OK(k.Rename("d/f", "longer name"))
			k.OK(k.Rename("longer name", "l"))
			f := k.Open("g", rw)
			k.OK(k.Unlink("g"))
			k.OK(k.Unlink("l"))
			if got := usage(k); got.Inodes != 2 || got.Bytes != names+5 {
				t.Fatalf("usage with an unlinked open file: %+v", got)
			}
			k.OK(f.Close())
			k.OK(k.Rmdir("d"))
		}
		if got := usage(k); got != (Quota{}) {
			t.Fatalf("usage %+v", got)
		}
		k.OK(k.Open(".", sys.O_RDONLY).Close())
		if got := usage(k); got != (Quota{}) {
			t.Fatalf("usage after the root was open: %+v", got)
		}
	})
	t.Run("link name without room", func(t *testing.T) {
		k := newMem(names+10, 10)
		k.OK(k.Open("a", create).Close())
		k.Want(ENOSPC, k.Rename("a", strings.Repeat("n", 20)))
		k.Want(ENOSPC, k.Symlink(strings.Repeat("t", 20), "b"))
		k.Want(ENOSPC, k.Link("a", "b"))
		if got := k.List("."); got != "a" {
			t.Fatalf("list %q", got)
		}
	})
}

func TestMemReleasesMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	m := NewMem(Quota{Bytes: 64 << 20, Inodes: 10}, nil)
	before := heap()
	f, _ := m.OpenFile("f", create, 0o600)
	if n, errno := f.Write(make([]byte, 32<<20)); n != 32<<20 || errno != 0 {
		t.Fatal(n, errno)
	}
	if grown := heap() - before; grown < 31<<20 || grown > 40<<20 {
		t.Errorf("32 MiB take %d bytes", grown)
	}
	// A file of one byte must not take a chunk of 64 KiB.
	if errno := f.Truncate(1 << 20); errno != 0 {
		t.Fatal(errno)
	}
	if grown := int64(heap() - before); grown > 4<<20 {
		t.Errorf("%d bytes held after truncation to 1 MiB", grown)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, errno := f.Write([]byte("x")); errno != sys.EBADF {
		t.Errorf("write after Close: %v", errno)
	}
	if _, errno := m.OpenFile("f", create, 0o600); errno != sys.ENOENT {
		t.Errorf("open after Close: %v", errno)
	}
	f.Close()
	f = nil
	if grown := int64(heap()) - int64(before); grown > 1<<20 {
		t.Errorf("%d bytes held after Close", grown)
	}
	runtime.KeepAlive(m)
}

func TestMemSmallFiles(t *testing.T) {
	m := NewMem(Quota{Bytes: 1 << 20, Inodes: 1 << 20}, nil)
	var stored int
	for i := 0; ; i++ {
		f, errno := m.OpenFile(fmt.Sprint(i), create, 0o600)
		if errno == ENOSPC {
			break
		}
		_, _ = f.Write([]byte("x"))
		stored += cap(f.(*memFile).n.data.chunks[0])
		f.Close()
	}
	if stored > 8<<20 {
		t.Errorf("a quota of 1 MiB in files of one byte takes %d bytes", stored)
	}
}

func TestMemReadonlySymlinkEscape(t *testing.T) {
	k := &vfstest.Tester{T: t, FS: NewMem(DefaultQuota, nil)}
	k.OK(k.Mkdir("d", 0o700))
	k.OK(k.Symlink("../..", "d/up"))
	k.OK(k.Symlink("../f", "d/f"))
	k.Write("f", "inside")
	if got := k.Read("d/f"); got != "inside" {
		t.Fatalf("read %q", got)
	}
	k.WantOpen(sys.EPERM, "d/up", sys.O_RDONLY)
	k.WantOpen(sys.EPERM, "d/up/x", create)
}

func TestMemReaddirWhileChanging(t *testing.T) {
	k := &vfstest.Tester{T: t, FS: NewMem(DefaultQuota, nil)}
	for i := range 100 {
		k.OK(k.Open(fmt.Sprintf("f%02d", i), create).Close())
	}
	d := k.Open(".", sys.O_RDONLY)
	seen := 0
	for {
		list, errno := d.Readdir(7)
		k.OK(errno)
		for _, e := range list {
			seen++
			k.OK(k.Unlink(e.Name))
		}
		if len(list) < 7 {
			break
		}
	}
	if seen != 100 || k.List(".") != "" {
		t.Fatalf("saw %d entries, left %q", seen, k.List("."))
	}
}

func TestMemClock(t *testing.T) {
	now := time.Unix(100, 5)
	k := &vfstest.Tester{T: t, FS: NewMem(DefaultQuota, func() time.Time { return now })}
	k.Write("f", "x")
	if st, _ := k.Stat("f"); st.Mtim != now.UnixNano() || st.Ctim != now.UnixNano() {
		t.Fatalf("stat %+v", st)
	}
	now = now.Add(time.Second)
	f := k.Open("f", rw)
	k.OK(f.Truncate(0))
	if st, _ := f.Stat(); st.Mtim != now.UnixNano() {
		t.Fatalf("stat %+v", st)
	}
}

func FuzzExtent(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, ops []byte) {
		var e extent
		var ref []byte
		for i := 0; i+4 <= len(ops) && i < 400; i += 4 {
			off := int(ops[i+1])<<10 | int(ops[i+2])<<2
			n := int(ops[i+3]) * 97
			switch ops[i] % 3 {
			case 0:
				p := bytes.Repeat([]byte{ops[i] | 1}, n)
				if n > 0 {
					if off+n > len(ref) {
						ref = append(ref, make([]byte, off+n-len(ref))...)
					}
					copy(ref[off:], p)
				}
				e.writeAt(p, int64(off))
			case 1:
				if off < len(ref) {
					ref = ref[:off]
				} else {
					ref = append(ref, make([]byte, off-len(ref))...)
				}
				e.truncate(int64(off))
			case 2:
				if off >= len(ref) {
					continue
				}
				got := make([]byte, n)
				got = got[:e.readAt(got, int64(off))]
				if want := ref[off:min(off+n, len(ref))]; !bytes.Equal(got, want) {
					t.Fatalf("read %d at %d differs", n, off)
				}
			}
			if e.size != int64(len(ref)) {
				t.Fatalf("size %d, want %d", e.size, len(ref))
			}
		}
	})
}

// FuzzMemAgainstHost makes the same calls on a Mem and on a host directory, and
// wants the same results from both. Which error a call with several faults gets
// is left open.
func FuzzMemAgainstHost(f *testing.F) {
	f.Add([]byte("create write rename unlink mkdir rmdir link symlink"))
	f.Add([]byte{1, 0, 0, 2, 0, 0, 3, 1, 0, 4, 0, 1, 5, 2, 0, 6, 2, 3, 7, 1, 2, 8, 0, 3, 9, 1, 1})
	names := []string{"a", "b", "d", "d/a", "d/b", "d/e", "a/", "d/", "d/e/f", ".", "l", "l/a", "x/.."}
	f.Fuzz(func(t *testing.T, ops []byte) {
		host, _ := newHost(t, false)
		both := [2]sys.FS{NewMem(DefaultQuota, nil), host}
		for i := 0; i+3 <= len(ops) && i < 300; i += 3 {
			a, b := names[int(ops[i+1])%len(names)], names[int(ops[i+2])%len(names)]
			var got [2]string
			for j, fsys := range both {
				got[j] = apply(fsys, ops[i]%12, a, b)
			}
			if got[0] != got[1] {
				t.Fatalf("call %d of %v: operation %d on %q and %q\nmem:  %s\nhost: %s", i/3, ops, ops[i]%12, a, b, got[0], got[1])
			}
		}
	})
}

// outcome is an error number with all failures made equal.
func outcome(errno sys.Errno) string {
	if errno != 0 {
		return "failed"
	}
	return "ok"
}

// apply makes one call and describes its result.
func apply(fsys sys.FS, op byte, a, b string) string {
	switch op {
	case 0:
		return outcome(fsys.Mkdir(a, 0o700))
	case 1:
		return outcome(fsys.Rmdir(a))
	case 2:
		return outcome(fsys.Unlink(a))
	case 3:
		return outcome(fsys.Rename(a, b))
	case 4:
		return outcome(fsys.Link(a, b))
	case 5:
		if strings.Contains(a, "..") {
			return "" // a host directory takes no such target
		}
		return outcome(fsys.Symlink(a, b))
	case 6:
		target, errno := fsys.Readlink(a)
		return target + outcome(errno)
	case 7, 8:
		stat := fsys.Stat
		if op == 8 {
			stat = fsys.Lstat
		}
		st, errno := stat(a)
		if st.Mode.IsDir() {
			st.Size, st.Nlink = 0, 0
		}
		return fmt.Sprint(st.Mode.Type(), st.Size, st.Nlink, outcome(errno))
	}
	flags := map[byte]sys.Oflag{
		9:  sys.O_RDONLY,
		10: create | sys.O_APPEND,
		11: create | sys.O_EXCL,
	}
	flag := flags[op]
	if len(b) == 3 { // some variety without another byte
		flag |= sys.O_NOFOLLOW
	}
	f, errno := fsys.OpenFile(a, flag, 0o600)
	if errno != 0 {
		return outcome(errno)
	}
	defer f.Close()
	n, werrno := f.Write([]byte(b))
	buf := make([]byte, 64)
	k, rerrno := f.Pread(buf, 0)
	list, derrno := f.Readdir(-1)
	var names []string
	for _, d := range list {
		names = append(names, d.Name+d.Type.String())
	}
	isDir, _ := f.IsDir()
	st, serrno := f.Stat()
	if st.Mode.IsDir() {
		st.Size = 0
	}
	return fmt.Sprint(n, outcome(werrno), string(buf[:k]), outcome(rerrno), len(names), outcome(derrno), isDir, st.Size, st.Mode.Type(), outcome(serrno))
}
