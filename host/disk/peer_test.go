package disk_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"runtime"
	"strings"
	"testing"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

// TestSameAsMem does the same random things to a directory and to a file system in
// memory: answers, errors and what is there at the end must be the same.
func TestSameAsMem(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows refuses to rename and remove what is open, which Mem allows")
	}
	names := []string{"a", "b", "c", "d", "d/a", "d/b", "d/d", "d/d/a", "a/x", ".", "e", "e/a", "none/at/all"}
	flags := []int{
		os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_CREATE, os.O_RDWR | os.O_CREATE | os.O_EXCL, os.O_RDWR | os.O_CREATE | os.O_TRUNC,
		os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_APPEND, os.O_RDWR | os.O_CREATE | os.O_APPEND,
	}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			pick := func() string { return names[rng.IntN(len(names))] }
			real, mem := disk.FS(fresh(t)), disk.FS(disktest.NewMem())
			type pair struct{ a, b disk.File }
			var files []pair
			var log []string
			defer func() {
				for _, f := range files {
					f.a.Close()
				}
				if t.Failed() {
					t.Log("did:\n", strings.Join(log, "\n"))
				}
			}()
			both := func(what string, do func(fsys disk.FS) (string, error)) (ok bool) {
				log = append(log, what)
				a, errA := do(real)
				b, errB := do(mem)
				if a != b || class(errA) != class(errB) {
					t.Fatalf("%s: the directory gives %q, %v; memory %q, %v", what, a, errA, b, errB)
				}
				return errA == nil
			}
			plain := func(what string, do func(fsys disk.FS) error) {
				both(what, func(fsys disk.FS) (string, error) { return "", do(fsys) })
			}
			for range 300 {
				n, m := pick(), pick()
				for m == "." {
					m = pick()
				}
				switch k := rng.IntN(20); {
				case k < 4:
					flag := flags[rng.IntN(len(flags))]
					var opened []disk.File
					if both(fmt.Sprintf("open %s %#x", n, flag), func(fsys disk.FS) (string, error) {
						f, err := fsys.OpenFile(n, flag)
						if err == nil {
							opened = append(opened, f)
						}
						return "", err
					}) {
						files = append(files, pair{opened[0], opened[1]})
					}
				case k < 6 && n != ".":
					plain("rename "+n+" "+m, func(fsys disk.FS) error { return fsys.Rename(n, m) })
				case k == 6 && n != ".":
					plain("link "+n+" "+m, func(fsys disk.FS) error { return fsys.Link(n, m) })
				case k == 7:
					plain("remove "+n, func(fsys disk.FS) error { return fsys.Remove(n) })
				case k == 8:
					plain("mkdir "+n, func(fsys disk.FS) error { return fsys.Mkdir(n) })
				case k == 9:
					plain("mkdirall "+n, func(fsys disk.FS) error { return fsys.MkdirAll(n) })
				case k == 10 && rng.IntN(4) == 0:
					plain("removeall "+n, func(fsys disk.FS) error { return fsys.RemoveAll(n) })
				case k == 11:
					plain("syncdir "+n, func(fsys disk.FS) error { return fsys.SyncDir(n) })
				case k == 12 && n != ".":
					both("lstat "+n, func(fsys disk.FS) (string, error) {
						info, err := fsys.Lstat(n)
						if err != nil {
							return "", err
						}
						s := fmt.Sprint(info.Mode(), info.IsDir())
						if !info.IsDir() {
							s += fmt.Sprint(info.Size(), info.Name())
						}
						return s, nil
					})
				case len(files) > 0:
					i := rng.IntN(len(files))
					f := files[i]
					op, off, size := rng.IntN(8), rng.Int64N(3000), rng.IntN(2000)
					whence := rng.IntN(3)
					both(fmt.Sprintf("file %s: %d %d %d", f.a.Name(), op, off, size), func(fsys disk.FS) (string, error) {
						h := f.a
						if fsys == mem {
							h = f.b
						}
						p := []byte(strings.Repeat(string(rune('a'+off%26)), size))
						switch op {
						case 0:
							n, err := h.Write(p)
							return fmt.Sprint(n), err
						case 1:
							n, err := h.WriteAt(p, off)
							return fmt.Sprint(n), err
						case 2:
							n, err := h.Read(p)
							return string(p[:n]), err
						case 3:
							n, err := h.ReadAt(p, off)
							return string(p[:n]), err
						case 4:
							at, err := h.Seek(off-1500, whence)
							return fmt.Sprint(at), err
						case 5:
							return "", h.Truncate(off)
						case 6:
							m, err := fsys.Map(h)
							if err != nil {
								return "", err
							}
							s := string(m.Bytes())
							return s, m.Close()
						default:
							return "", h.Close()
						}
					})
					if op == 7 {
						files[i] = files[len(files)-1]
						files = files[:len(files)-1]
					}
				}
			}
			a, b := tree(t, real, "."), tree(t, mem, ".")
			if a != b {
				t.Errorf("the directory holds\n%s, memory\n%s", a, b)
			}
		})
	}
}

// class is what callers may ask of an error.
func class(err error) string {
	for _, e := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrClosed, disk.ErrIrregular, disk.ErrLocked, io.EOF} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	if err != nil {
		return "another error"
	}
	return ""
}

func tree(t *testing.T, fsys disk.FS, dir string) string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			fmt.Fprintf(&b, "%s/\n%s", name, tree(t, fsys, name))
			continue
		}
		f, err := fsys.OpenFile(name, os.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %q\n", name, content)
	}
	return b.String()
}
