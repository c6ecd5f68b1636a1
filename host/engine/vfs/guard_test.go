package vfs

import (
	"errors"
	"fmt"
	"testing"

	"github.com/pxos/pxos/host/engine/vfs/vfstest"
	"github.com/tetratelabs/wazero/experimental/sys"
)

func TestGuardHandles(t *testing.T) {
	g := NewGuard(3, nil)
	a := &vfstest.Tester{T: t, FS: g.Mount(NewMem(DefaultQuota, nil))}
	b := &vfstest.Tester{T: t, FS: g.Mount(NewArchive(testMap(), archiveTime))}
	f1, f2, f3 := a.Open("f", create), b.Open("hello.txt", sys.O_RDONLY), b.Open("data", sys.O_RDONLY)
	a.WantOpen(EMFILE, "g", create)
	b.WantOpen(EMFILE, "hello.txt", sys.O_RDONLY)
	if code := g.TakeErrno(); code != 33 {
		t.Fatalf("noted %d, want EMFILE", code)
	}
	if code := g.TakeErrno(); code != 0 {
		t.Fatalf("noted %d twice", code)
	}
	_, errno := a.Stat("g")
	a.Want(sys.ENOENT, errno) // it was not created either
	a.OK(f1.Close())
	a.OK(f1.Close())
	if g.Open() != 2 {
		t.Fatalf("%d open, want 2", g.Open())
	}
	b.WantOpen(sys.ENOENT, "nothing", sys.O_RDONLY) // a failure takes no handle
	f4 := a.Open("g", create)
	for _, f := range []sys.File{f2, f3, f4} {
		a.OK(f.Close())
	}
	if g.Open() != 0 {
		t.Fatalf("%d open at the end", g.Open())
	}
}

// TestGuardRoot opens what wazero opens for a preopened directory.
func TestGuardRoot(t *testing.T) {
	g := NewGuard(0, nil)
	m := NewMem(DefaultQuota, nil)
	f, errno := g.Mount(m).OpenFile(".", sys.O_RDONLY, 0)
	if errno != 0 || g.Open() != 0 {
		t.Fatalf("%v, %d open", errno, g.Open())
	}
	f.Close()
	if g.Open() != 0 {
		t.Fatalf("%d open after Close", g.Open())
	}
	if _, errno = g.Mount(broken{}).OpenFile(".", sys.O_RDONLY, 0); errno != sys.ENOENT {
		t.Fatalf("%v, want ENOENT: wazero panics on anything else", errno)
	}
}

type broken struct{ sys.UnimplementedFS }

func TestGuardHook(t *testing.T) {
	var log []string
	stop := errors.New("stopped")
	left := 1000
	g := NewGuard(10, func(op string, n int) {
		log = append(log, fmt.Sprint(op, " ", n))
		if left--; left < 0 {
			panic(stop)
		}
	})
	k := &vfstest.Tester{T: t, FS: g.Mount(NewMem(DefaultQuota, nil))}
	f := k.Open("file", create)
	f.Write([]byte("hello"))
	f.Pread(make([]byte, 7), 0)
	f.Close()
	k.Rename("file", "b")
	k.Open(".", sys.O_RDONLY).Readdir(-1)
	want := "[open 4 write 5 pread 7 rename 5 open 1 readdir 65]"
	if got := fmt.Sprint(log); got != want {
		t.Errorf("hook saw %s, want %s", got, want)
	}

	left = 0
	func() {
		defer func() {
			if got := recover(); got != stop {
				t.Errorf("recovered %v", got)
			}
		}()
		k.OpenFile("x", create, 0o600)
	}()
	left = 1000
	if g.Open() != 1 {
		t.Errorf("%d open, want 1: a hook that stops an open takes no handle", g.Open())
	}
	k.Write("x", "still usable") // no lock is held
}

// TestGuardTimesWithoutFollowing makes the call that wazero makes for
// path_filestat_set_times without the follow flag.
func TestGuardTimesWithoutFollowing(t *testing.T) {
	k := &vfstest.Tester{T: t, FS: NewGuard(1, nil).Mount(NewMem(DefaultQuota, nil))}
	k.OK(k.Mkdir("d", 0o700))
	k.OK(k.Symlink("d", "l"))
	f, errno := k.OpenFile("d", sys.O_WRONLY, 0)
	k.OK(errno)
	k.OK(f.Utimens(7, 8))
	if st, _ := k.Stat("d"); st.Atim != 7 || st.Mtim != 8 {
		t.Fatalf("stat %+v", st)
	}
	_, errno = k.OpenFile("l", sys.O_WRONLY, 0)
	k.Want(sys.ENOTSUP, errno)
	_, errno = k.OpenFile("x", sys.O_WRONLY, 0)
	k.Want(sys.ENOENT, errno)
}

func TestGuardCountsSkippedBytes(t *testing.T) {
	var skipped int
	g := NewGuard(10, func(op string, n int) {
		if op == "skip" {
			skipped += n
		}
	})
	k := &vfstest.Tester{T: t, FS: g.Mount(NewArchive(hide{testMap(), false}, archiveTime))}
	f := k.Open("data/b", sys.O_RDONLY)
	buf := make([]byte, 10)
	f.Pread(buf, 100_000)
	f.Pread(buf, 50_000)
	if skipped != 150_000 {
		t.Fatalf("%d bytes skipped, want 150000", skipped)
	}
}
