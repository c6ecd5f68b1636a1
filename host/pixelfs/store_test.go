package pixelfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

func openMem(t *testing.T, opt Options) (*Store, *disktest.Mem) {
	t.Helper()
	m := disktest.NewMem()
	return openOn(t, m, opt), m
}

func openOn(t *testing.T, fsys disk.FS, opt Options) *Store {
	t.Helper()
	s, err := Open(fsys, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openDisk(t testing.TB, opt Options) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	d, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(d, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		d.Close()
	})
	return s, dir
}

func put(t testing.TB, s *Store, name, data string) Info {
	t.Helper()
	i, err := s.Put(context.Background(), name, strings.NewReader(data), PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func get(t testing.TB, s *Store, name string) string {
	t.Helper()
	f, err := s.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func clean(t testing.TB, s *Store) {
	t.Helper()
	rep, err := s.Fsck(context.Background(), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range rep.Problems {
		t.Errorf("fsck: %v", p)
	}
}

func TestPutAndGet(t *testing.T) {
	for _, where := range []string{"memory", "disk"} {
		t.Run(where, func(t *testing.T) {
			var s *Store
			if where == "memory" {
				s, _ = openMem(t, Options{})
			} else {
				s, _ = openDisk(t, Options{})
			}
			i := put(t, s, "a/b/c", "one")
			if i.Version != 1 || i.Size != 3 || i.Name != "a/b/c" {
				t.Errorf("%+v", i)
			}
			i = put(t, s, "a/b/c", "two!")
			if i.Version != 2 {
				t.Errorf("%+v", i)
			}
			if st, err := s.Stat("a/b/c"); err != nil || st.Size != 4 || st.Version != 2 || st.Digest != i.Digest {
				t.Errorf("%+v %v", st, err)
			}
			if got := get(t, s, "a/b/c"); got != "two!" {
				t.Errorf("got %q", got)
			}
			vs, err := s.Versions("a/b/c")
			if err != nil || len(vs) != 2 || vs[0].Size != 3 || vs[1].Version != 2 {
				t.Errorf("%+v %v", vs, err)
			}
			if _, err := s.RestoreVersion(context.Background(), "a/b/c", 1); err != nil {
				t.Error(err)
			}
			if got := get(t, s, "a/b/c"); got != "one" {
				t.Errorf("got %q", got)
			}
			if i := put(t, s, "a/b/c", "one"); i.Version != 3 {
				t.Errorf("the same content again is version %d", i.Version)
			}
			clean(t, s)
		})
	}
}

func TestTrashAndRestore(t *testing.T) {
	s, _ := openMem(t, Options{})
	put(t, s, "d/x", "1")
	put(t, s, "d/x", "2")
	put(t, s, "d/y", "3")
	if err := s.Remove("d/x"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "d/x", "new")
	put(t, s, "d/x", "newer")
	if err := s.Remove("d"); err != nil {
		t.Fatal(err)
	}
	list, err := s.Trash()
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v %v", list, err)
	}
	if _, err := s.Stat("d"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, tr := range list {
		if !tr.Dir {
			if _, err := s.Restore(tr.ID, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tr := range list {
		if tr.Dir {
			if _, err := s.Restore(tr.ID, ""); !errors.Is(err, fs.ErrExist) {
				t.Errorf("restored over what is there: %v", err)
			}
			if _, err := s.Restore(tr.ID, "e"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if vs, err := s.Versions("d/x"); err != nil || len(vs) != 2 || get(t, s, "d/x") != "2" {
		t.Error(vs, err)
	}
	if vs, err := s.Versions("e/x"); err != nil || len(vs) != 2 || get(t, s, "e/x") != "newer" || get(t, s, "e/y") != "3" {
		t.Error(vs, err)
	}
	clean(t, s)
}

func TestRenameKeepsVersions(t *testing.T) {
	s, _ := openMem(t, Options{})
	put(t, s, "a", "a1")
	put(t, s, "a", "a2")
	put(t, s, "b", "b1")
	put(t, s, "b", "b2")
	if err := s.Rename("a", "b"); err != nil {
		t.Fatal(err)
	}
	var got []string
	vs, err := s.Versions("b")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vs {
		f, err := s.OpenVersion("b", v.Version)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(f)
		f.Close()
		got = append(got, string(b))
	}
	if strings.Join(got, " ") != "b1 b2 a1 a2" {
		t.Errorf("versions are %v", got)
	}
	put(t, s, "dir/x", "x1")
	put(t, s, "dir/x", "x2")
	if err := s.Rename("dir", "other"); err != nil {
		t.Fatal(err)
	}
	if vs, err := s.Versions("other/x"); err != nil || len(vs) != 2 {
		t.Error(vs, err)
	}
	if err := s.Rename("other", "other/in"); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	clean(t, s)
}

func TestEdit(t *testing.T) {
	for _, where := range []string{"memory", "disk"} {
		t.Run(where, func(t *testing.T) {
			var s *Store
			if where == "memory" {
				s, _ = openMem(t, Options{})
			} else {
				s, _ = openDisk(t, Options{})
			}
			e, err := s.Edit("db", os.O_RDWR|os.O_CREATE)
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			var model []byte
			for i := range 3000 {
				switch rng.IntN(12) {
				case 0:
					n := rng.IntN(200000)
					if err := e.Truncate(int64(n)); err != nil {
						t.Fatal(err)
					}
					if n <= len(model) {
						model = model[:n]
					} else {
						model = append(model, make([]byte, n-len(model))...)
					}
				case 1:
					if err := e.Sync(); err != nil {
						t.Fatal(err)
					}
					if got := get(t, s, "db"); got != string(model) {
						t.Fatalf("step %d: others see something else after Sync", i)
					}
				case 2:
					if rng.IntN(10) == 0 {
						if err := e.Close(); err != nil {
							t.Fatal(err)
						}
						if e, err = s.Edit("db", os.O_RDWR); err != nil {
							t.Fatal(err)
						}
					}
				default:
					off, n := rng.IntN(300000), rng.IntN(20000)
					p := make([]byte, n)
					for i := range p {
						p[i] = byte(rng.Uint32())
					}
					if _, err := e.WriteAt(p, int64(off)); err != nil {
						t.Fatal(err)
					}
					if n == 0 {
						break
					}
					if off+n > len(model) {
						model = append(model, make([]byte, off+n-len(model))...)
					}
					copy(model[off:], p)
				}
				if e.Size() != int64(len(model)) {
					t.Fatalf("step %d: size %d, not %d", i, e.Size(), len(model))
				}
				got := make([]byte, len(model))
				if n, err := e.ReadAt(got, 0); n != len(model) || err != nil && len(model) > 0 {
					t.Fatal(n, err)
				}
				if !bytes.Equal(got, model) {
					t.Fatalf("step %d: content differs", i)
				}
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			if get(t, s, "db") != string(model) {
				t.Error("content differs after Close")
			}
			clean(t, s)
		})
	}
}

func TestFSKit(t *testing.T) {
	s, _ := openMem(t, Options{Now: func() time.Time { return time.Unix(1e9, 0) }})
	put(t, s, "a", "alpha")
	put(t, s, "dir/b.txt", "beta")
	put(t, s, "dir/sub/c%d.pxi", "gamma")
	if err := s.Mkdir("empty"); err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(s.FS(), "a", "dir/b.txt", "dir/sub/c%d.pxi", "empty"); err != nil {
		t.Error(err)
	}
}

func nowForTests() time.Time { return time.Unix(1e9, 0) }
