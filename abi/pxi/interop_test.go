package pxi

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// prototype finds the earlier Python program and an interpreter that can run
// it. Where it is not at hand, the test is skipped: the vectors named
// prototype-* hold its layout.
func prototype(t *testing.T) (python, dir string) {
	t.Helper()
	root := os.Getenv("PXOS_TEST_PROTOTYPE")
	if root == "" {
		root = filepath.FromSlash("../../../shared/reference")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(root, "pixel_llm", "core")
	if _, err := os.Stat(filepath.Join(dir, "pixelfs.py")); err != nil {
		t.Skipf("the prototype is not at hand: set PXOS_TEST_PROTOTYPE to the folder that holds pixel_llm (%v)", err)
	}
	skip := func(format string, args ...any) {
		t.Helper()
		if os.Getenv("PXOS_TEST_FORBID_SKIP") == "1" {
			t.Fatalf("skips are forbidden: "+format, args...)
		}
		t.Skipf(format, args...)
	}
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import numpy, PIL.Image").Run() == nil {
			return python, dir
		}
	}
	skip("no python3 with numpy and PIL: install python3-numpy and python3-pil")
	return "", ""
}

// Both programs work on one directory of the test. The prototype writes the
// files this package must read, then reads and verifies those written here.
const script = `
import sys, pathlib
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import pixelfs
how, root, out = sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
fs = pixelfs.PixelFS(root)
for raw in sorted(out.glob("*.raw")):
    name, width = raw.stem, int(raw.stem.split("-")[1])
    data = raw.read_bytes()
    if how == "write":
        fs.write(name, data, width=width or None, compression=int(name.split("-")[2]))
        continue
    assert fs.verify(name), name + ": verify"
    for use_mmap in (True, False):
        assert fs.read(name, use_mmap=use_mmap) == data, name + ": read"
        assert fs.read(name, 1, 5, use_mmap=use_mmap) == data[1:6], name + ": part"
        assert fs.read(name, len(data) // 2, use_mmap=use_mmap) == data[len(data) // 2:], name + ": rest"
    info = fs.get_info(name)
    assert info.original_size == len(data) and info.width == (width or 1024), name + ": info"
    if data:
        picture = pixelfs.visualize_pixel_file(fs, name)
        assert picture.size == (info.width, info.height), name + ": picture"
        assert picture.tobytes()[:len(data)] == data, name + ": pixels"
print("done")
`

func runPrototype(t *testing.T, how, store, raw string) {
	t.Helper()
	python, dir := prototype(t)
	out, err := exec.Command(python, "-c", script, dir, how, store, raw).CombinedOutput()
	if err != nil || !bytes.HasSuffix(bytes.TrimSpace(out), []byte("done")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// interopData gives data by name: case, width (0: default) and compression
// number joined by dashes.
func interopData(labels ...int) map[string][]byte {
	files := map[string][]byte{}
	for _, width := range []int{0, 1, 7, 640} {
		w := width
		if w == 0 {
			w = DefaultWidth
		}
		for _, label := range labels {
			for _, size := range []int{0, 1, 2, 3, 3*w - 1, 3 * w, 3*w + 1, 4095, 4096, 4097, 8192, 100_000} {
				files[fmt.Sprintf("%d-%d-%d", size, width, label)] = noise(size)
			}
		}
	}
	// Above 10 MiB the prototype maps the file.
	files[fmt.Sprintf("%d-0-0", 11<<20)] = noise(11 << 20)
	return files
}

func writeRaw(t *testing.T, files map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name+".raw"), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPrototypeReadsOurs(t *testing.T) {
	prototype(t)
	files := interopData(0)
	store := t.TempDir()
	for name, data := range files {
		var size, width, label int
		fmt.Sscanf(name, "%d-%d-%d", &size, &width, &label)
		file := mustEncode(t, data, Options{Width: uint32(width)})
		if err := os.WriteFile(filepath.Join(store, name+".pxi"), file, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	runPrototype(t, "read", store, writeRaw(t, files))
}

func TestOursReadsPrototype(t *testing.T) {
	prototype(t)
	files := interopData(0, 1, 2) // its compressions are labels only
	store := t.TempDir()
	raw := writeRaw(t, files)
	runPrototype(t, "write", store, raw)
	for name, data := range files {
		f, err := os.Open(filepath.Join(store, name+".pxi"))
		if err != nil {
			t.Fatal(err)
		}
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		r, err := Open(f, st.Size())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			f.Close()
			continue
		}
		var out bytes.Buffer
		if _, err := r.WriteTo(&out); err != nil || !bytes.Equal(out.Bytes(), data) {
			t.Errorf("%s: %v", name, err)
		}
		part := make([]byte, 10)
		if n, _ := r.ReadAt(part, int64(len(data)/2)); !bytes.HasPrefix(data[len(data)/2:], part[:n]) || n < min(10, len(data)/2) {
			t.Errorf("%s: a part of %d bytes", name, n)
		}
		if rep, err := r.Verify(t.Context(), nil); err != nil || rep.Err() != nil {
			t.Errorf("%s: %v %v", name, err, rep.Err())
		}
		f.Close()
	}
}
