//go:build unix

package vfs

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pxos/pxos/host/engine/vfs/vfstest"
	"github.com/tetratelabs/wazero/experimental/sys"
	"golang.org/x/sys/unix"
)

const secret = "secret of the host"

// jail returns a host directory that has a secret file beside it.
func jail(t *testing.T) (k *vfstest.Tester, inside, outside string) {
	t.Helper()
	base := t.TempDir()
	inside, outside = filepath.Join(base, "in"), filepath.Join(base, "out")
	for _, dir := range []string{inside, outside, filepath.Join(outside, "dir")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"file", "dir/file"} {
		if err := os.WriteFile(filepath.Join(outside, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(inside)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &vfstest.Tester{T: t, FS: NewHostDir(root, false)}, inside, outside
}

// unharmed fails if anything outside was changed.
func unharmed(t *testing.T, outside string) {
	t.Helper()
	var seen []string
	err := filepath.WalkDir(outside, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, rerr := os.ReadFile(path)
			if string(b) != secret {
				t.Errorf("%s holds %q", path, b)
			}
			err = rerr
		}
		rel, _ := filepath.Rel(outside, path)
		seen = append(seen, rel)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if got := strings.Join(seen, " "); got != ". dir dir/file file" {
		t.Errorf("outside there is now %q", got)
	}
}

func TestHostDirLinksOut(t *testing.T) {
	k, inside, outside := jail(t)
	for name, target := range map[string]string{
		"abs":      outside,
		"rel":      "../out",
		"absfile":  filepath.Join(outside, "file"),
		"relfile":  "../out/file",
		"chain1":   "chain2",
		"chain2":   "deep/chain3",
		"root":     "/",
		"self":     "../in/../out/file",
		"newfile":  "../out/new",
		"proc":     "/proc/self/root",
		"deep/out": "../../out",
	} {
		if err := os.MkdirAll(filepath.Join(inside, "deep"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(inside, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../out/file", filepath.Join(inside, "deep/chain3")); err != nil {
		t.Fatal(err)
	}
	k.Write("own", "own")
	for _, path := range []string{
		"abs", "rel", "absfile", "relfile", "chain1", "chain2", "deep/chain3", "root", "self", "newfile", "proc",
		"deep/out", "abs/file", "rel/file", "rel/dir/file", "deep/out/file", "deep/out/new", "root/etc/passwd",
		"abs/../file", "rel/", "rel/.", "proc/etc/passwd",
	} {
		for _, flag := range []sys.Oflag{
			sys.O_RDONLY, rw, create, create | sys.O_TRUNC, sys.O_WRONLY | sys.O_APPEND, sys.O_DIRECTORY,
			create | sys.O_EXCL, sys.O_NOFOLLOW, sys.O_TRUNC,
		} {
			f, errno := k.OpenFile(path, flag, 0o600)
			if errno == 0 && path == "abs/../file" {
				f.Close() // by name this is "file", which the guest may create
				k.Unlink("file")
				continue
			}
			if errno == 0 {
				t.Errorf("open %q with %#x succeeded", path, flag)
				f.Close()
			}
		}
		if path == "abs/../file" {
			continue
		}
		if st, errno := k.Stat(path); errno == 0 {
			t.Errorf("stat %q: %+v", path, st)
		}
		for call, errno := range map[string]sys.Errno{
			"mkdir":     k.Mkdir(path+"/new", 0o700),
			"unlink":    k.Unlink(path + "/file"),
			"rmdir":     k.Rmdir(path + "/dir"),
			"rename in": k.Rename("own", path+"/file"),
			"rename":    k.Rename(path+"/file", "stolen"),
			"link":      k.Link(path+"/file", "stolen"),
			"link out":  k.Link("own", path+"/new"),
			"symlink":   k.Symlink("own", path+"/new"),
			"chmod":     k.Chmod(path, 0o777),
			"utimens":   k.Utimens(path, 1, 1),
		} {
			if errno == 0 {
				t.Errorf("%s of %q succeeded", call, path)
			}
		}
		if _, errno := k.Readlink(path + "/file"); errno == 0 {
			t.Errorf("readlink through %q succeeded", path)
		}
		k.OK(k.Unlink("own"))
		k.Write("own", "own")
	}
	k.WantOpen(sys.EPERM, "rel/file", sys.O_RDONLY)
	k.WantOpen(sys.EPERM, "absfile", sys.O_RDONLY)
	// The links themselves can be looked at and moved, which changes nothing.
	if _, errno := k.Lstat("relfile"); errno != 0 {
		t.Error(errno)
	}
	k.OK(k.Rename("relfile", "deep/moved"))
	if _, errno := k.OpenFile("deep/moved", sys.O_RDONLY, 0); errno == 0 {
		t.Error("opened a moved link")
	}
	unharmed(t, outside)
}

func TestHostDirGuestLinks(t *testing.T) {
	k, inside, outside := jail(t)
	k.OK(k.Mkdir("d", 0o700))
	for _, target := range []string{"/etc/passwd", "..", "../out/file", "d/../../out", "./..", "d/..", "//x"} {
		if errno := k.Symlink(target, "l"); errno != sys.EPERM {
			t.Errorf("symlink to %q: %v, want EPERM", target, errno)
		}
	}
	k.OK(k.Symlink("d", "l"))
	k.OK(k.Symlink("x", "l/l2")) // made in d
	k.OK(k.Rename("d/l2", "up")) // now points to x beside it
	if target, _ := os.Readlink(filepath.Join(inside, "up")); target != "x" {
		t.Errorf("target %q", target)
	}
	unharmed(t, outside)
}

func TestHostDirRace(t *testing.T) {
	k, inside, outside := jail(t)
	k.OK(k.Mkdir("real", 0o700))
	k.Write("real/file", "mine")
	swap := filepath.Join(inside, "swap")
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
			}
			// The pauses let opens meet each state, not only the changes.
			os.Rename(filepath.Join(inside, "real"), swap)
			time.Sleep(50 * time.Microsecond)
			os.Rename(swap, filepath.Join(inside, "real"))
			os.Symlink("../out", swap)
			time.Sleep(50 * time.Microsecond)
			os.Remove(swap)
			os.Symlink(outside, swap)
			os.Remove(swap)
		}
	}()
	var inTime, failed int
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		f, errno := k.OpenFile("swap/file", rw, 0o600)
		if errno != 0 {
			failed++
			continue
		}
		buf := make([]byte, 64)
		n, _ := f.Pread(buf, 0)
		if string(buf[:n]) != "mine" {
			t.Errorf("read %q", buf[:n])
		}
		f.Pwrite([]byte("mine"), 0)
		f.Close()
		inTime++
		k.Mkdir("swap/dir/x", 0o700)
		k.Unlink("swap/dir/file")
		k.Rename("swap/dir", "taken")
		k.Symlink("x", "swap/planted")
	}
	close(done)
	<-stopped
	t.Logf("%d opens hit the directory, %d missed", inTime, failed)
	unharmed(t, outside)
}

func TestHostDirSpecialFiles(t *testing.T) {
	k, inside, _ := jail(t)
	fifo := filepath.Join(inside, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// The path of a socket is short; a directory of its own keeps it so.
	short, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	l, err := net.Listen("unix", filepath.Join(short, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Rename(filepath.Join(short, "s"), filepath.Join(inside, "socket")); err != nil {
		t.Fatal(err)
	}
	names := []string{"fifo", "socket"}
	if err := unix.Mknod(filepath.Join(inside, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err == nil {
		names = append(names, "null")
	} else if !errors.Is(err, unix.EPERM) {
		t.Fatal(err)
	}
	for _, name := range names {
		for _, flag := range []sys.Oflag{sys.O_RDONLY, sys.O_WRONLY, rw, create, sys.O_TRUNC, sys.O_NOFOLLOW} {
			k.WantOpen(sys.EACCES, name, flag)
		}
		k.WantOpen(sys.ENOTDIR, name, sys.O_DIRECTORY)
		st, errno := k.Stat(name)
		if errno != 0 || st.Mode.IsRegular() {
			t.Errorf("stat %q: %+v, %v", name, st, errno)
		}
		k.OK(k.Rename(name, "moved"))
		k.OK(k.Unlink("moved"))
	}
}

// TestHostDirSwappedForFIFO swaps a file for a FIFO between the look and the
// open: the open must not wait for a writer.
func TestHostDirSwappedForFIFO(t *testing.T) {
	k, inside, _ := jail(t)
	file, fifo := filepath.Join(inside, "f"), filepath.Join(inside, "fifo")
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
			}
			os.WriteFile(file+"x", nil, 0o600)
			os.Rename(file+"x", file)
			unix.Mkfifo(fifo, 0o600)
			os.Rename(fifo, file)
		}
	}()
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		f, errno := k.OpenFile("f", sys.O_RDONLY, 0)
		if errno == 0 {
			if st, _ := f.Stat(); !st.Mode.IsRegular() {
				t.Errorf("opened %v", st.Mode)
			}
			f.Close()
		}
	}
	close(done)
	<-stopped
}

func TestHostDirReadOnly(t *testing.T) {
	h, dir := newHost(t, true)
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	k := &vfstest.Tester{T: t, FS: h}
	if got := k.Read("f"); got != "x" {
		t.Fatalf("read %q", got)
	}
	k.OK(k.Open("f", sys.O_RDONLY|sys.O_CREAT).Close())
	k.WantOpen(sys.EROFS, "f", rw)
	k.WantOpen(sys.EROFS, "f", sys.O_WRONLY|sys.O_APPEND)
	k.WantOpen(sys.EROFS, "f", sys.O_TRUNC)
	k.WantOpen(sys.EROFS, "new", create)
	k.WantOpen(sys.EEXIST, "f", create|sys.O_EXCL)
	k.Want(sys.EROFS, h.Mkdir("new", 0o700))
	k.Want(sys.EEXIST, h.Mkdir("d", 0o700))
	k.Want(sys.EROFS, h.Rmdir("d"))
	k.Want(sys.EROFS, h.Unlink("f"))
	k.Want(sys.EROFS, h.Rename("f", "g"))
	k.Want(sys.EROFS, h.Link("f", "g"))
	k.Want(sys.EROFS, h.Symlink("f", "g"))
	k.Want(sys.EROFS, h.Chmod("f", 0o777))
	k.Want(sys.EROFS, h.Utimens("f", 1, 2))
	f := k.Open("f", sys.O_RDONLY)
	_, errno := f.Write([]byte("y"))
	k.Want(sys.EBADF, errno)
	k.Want(sys.EBADF, f.Truncate(0))
	k.Want(sys.EROFS, f.Utimens(1, 2))
	if got := k.List("."); got != "d/ f" {
		t.Fatalf("list %q", got)
	}
}

func TestHostDirPermissions(t *testing.T) {
	h, dir := newHost(t, false)
	old := unix.Umask(0o027)
	defer unix.Umask(old)
	f, errno := h.OpenFile("f", create, fs.ModeSetuid|fs.ModeSetgid|0o777)
	if errno != 0 {
		t.Fatal(errno)
	}
	f.Close()
	if errno := h.Mkdir("d", fs.ModeSticky|0o777); errno != 0 {
		t.Fatal(errno)
	}
	for name, want := range map[string]fs.FileMode{"f": 0o750, "d": fs.ModeDir | 0o750} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil || fi.Mode() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, fi.Mode(), err, want)
		}
	}
	if errno := h.Chmod("f", fs.ModeSetuid|0o640); errno != 0 {
		t.Fatal(errno)
	}
	if fi, _ := os.Stat(filepath.Join(dir, "f")); fi.Mode() != 0o640 {
		t.Errorf("mode %v", fi.Mode())
	}
}

// TestHostDirAppendIsAtomic appends from two handles in turn.
func TestHostDirAppendIsAtomic(t *testing.T) {
	h, _ := newHost(t, false)
	k := &vfstest.Tester{T: t, FS: h}
	a, b := k.Open("f", create|sys.O_APPEND), k.Open("f", create|sys.O_APPEND)
	for _, s := range []string{"1", "3"} {
		a.Write([]byte(s))
		b.Write([]byte(string(s[0] + 1)))
	}
	if got := k.Read("f"); got != "1234" {
		t.Fatalf("read %q", got)
	}
	if _, errno := a.Pwrite([]byte("x"), 0); errno != 0 {
		t.Fatalf("pwrite on a file in append mode: %v", errno)
	}
}

func TestHostDirRootRemoved(t *testing.T) {
	h, dir := newHost(t, false)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, errno := h.OpenFile("f", create, 0o600); errno != sys.ENOENT {
		t.Errorf("open: %v", errno)
	}
	if _, errno := h.Stat("f"); errno != sys.ENOENT {
		t.Errorf("stat: %v", errno)
	}
}
