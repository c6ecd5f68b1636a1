package storage_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/pxos/pxos/host/engine/vfs"
	"github.com/pxos/pxos/host/engine/vfs/vfstest"
	"github.com/tetratelabs/wazero/experimental/sys"
)

func mounted(t *testing.T, dir string, sandboxed bool, grants ...string) sys.FS {
	t.Helper()
	cfg := config(t, dir, grants...)
	if sandboxed {
		cfg.Overlay = dir + "/overlay"
	}
	s, err := cfg.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.End(true)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Mounts()[0].FS
}

func TestMount(t *testing.T) {
	opt := vfstest.Options{Busy: vfs.EBUSY, NoLinks: true, TextNames: true, OneTime: true, Many: 200}
	for name, open := range map[string]func(t *testing.T) sys.FS{
		"overlay": func(t *testing.T) sys.FS { return mounted(t, t.TempDir(), true, "pixelfs:/:write") },
		"guarded": func(t *testing.T) sys.FS {
			return vfs.NewGuard(100, nil).Mount(mounted(t, t.TempDir(), false, "pixelfs:/:write"))
		},
	} {
		t.Run(name, func(t *testing.T) { vfstest.Run(t, opt, open) })
	}
}

// The same calls on the directory and on a file system in memory have the same results:
// random histories, with files that stay open while their names change.
func TestMountAgainstMemory(t *testing.T) {
	names := []string{"a", "b", "d", "d/a", "d/b", "d/e", "a/", "d/", "d/e/f", ".", "x/..", "d/./a"}
	for seed := range uint64(25) {
		random := rand.New(rand.NewPCG(seed, 7))
		both := [2]sys.FS{vfs.NewMem(vfs.DefaultQuota, nil), mounted(t, t.TempDir(), seed%2 == 1, "pixelfs:/:write")}
		var open [2][]sys.File
		for i := range 80 {
			op, a, b := random.IntN(12), names[random.IntN(len(names))], names[random.IntN(len(names))]
			n, off := random.IntN(9000), int64(random.IntN(20000))
			var got [2]string
			for j, fsys := range both {
				got[j] = apply(fsys, &open[j], op, a, b, n, off)
			}
			if got[0] != got[1] {
				t.Fatalf("seed %d, call %d: operation %d on %q and %q with %d at %d\nmemory: %s\npixels: %s", seed, i, op, a, b, n, off, got[0], got[1])
			}
		}
		for _, files := range open {
			for _, f := range files {
				f.Close()
			}
		}
	}
}

// apply makes one call and describes its result, with all failures made equal.
func apply(fsys sys.FS, open *[]sys.File, op int, a, b string, n int, off int64) string {
	outcome := func(errno sys.Errno) string {
		if errno != 0 {
			return "failed"
		}
		return "ok"
	}
	data := bytes.Repeat([]byte(b), n/len(b)+1)[:n]
	switch op {
	case 0:
		return outcome(fsys.Mkdir(a, 0o700))
	case 1:
		return outcome(fsys.Rmdir(a))
	case 2:
		return outcome(fsys.Unlink(a))
	case 3, 4:
		return outcome(fsys.Rename(a, b))
	case 5:
		st, errno := fsys.Stat(a)
		if st.Mode.IsDir() {
			st.Size = 0
		}
		return fmt.Sprint(st.Mode.Type(), st.Size, outcome(errno))
	case 6, 7, 8: // on a file that is open
		if len(*open) == 0 {
			return ""
		}
		f := (*open)[n%len(*open)]
		var result string
		switch op {
		case 6:
			k, errno := f.Pwrite(data, off)
			result = fmt.Sprint(k, outcome(errno))
		case 7:
			result = outcome(f.Truncate(off))
		case 8:
			result = outcome(f.Sync())
		}
		st, errno := f.Stat()
		return fmt.Sprint(result, st.Size, st.Nlink, outcome(errno), content32(f))
	}
	flag := map[int]sys.Oflag{9: sys.O_RDWR | sys.O_CREAT, 10: sys.O_RDWR | sys.O_CREAT | sys.O_TRUNC, 11: sys.O_RDWR | sys.O_CREAT | sys.O_EXCL | sys.O_APPEND}[op]
	f, errno := fsys.OpenFile(a, flag, 0o600)
	if errno != 0 {
		return outcome(errno)
	}
	k, errno := f.Write(data)
	result := fmt.Sprint(k, outcome(errno), content32(f))
	if n%3 == 0 {
		*open = append(*open, f)
		return result
	}
	return result + outcome(f.Close())
}

// content32 is a checksum of all that a file holds.
func content32(f sys.File) uint32 {
	buf := make([]byte, 64<<10)
	n, _ := f.Pread(buf, 0)
	return crc32.ChecksumIEEE(buf[:n])
}
