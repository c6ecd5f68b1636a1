package pxa

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

// TestPackOrder packs the same files in any order to the same bytes.
func TestPackOrder(t *testing.T) {
	s := []Source{BytesSource("b", noise(1, 5000)), BytesSource(ManifestName, []byte(manifest)), BytesSource("a/x", make([]byte, 9000)), BytesSource("a.b", nil)}
	for _, xz := range []bool{false, true} {
		want, _ := mustPack(t, &PackOptions{XZ: xz}, s...)
		for i := range uint64(5) {
			rand.New(rand.NewPCG(i, i)).Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
			if got, _ := mustPack(t, &PackOptions{XZ: xz}, s...); !bytes.Equal(got, want) {
				t.Errorf("xz %v: order %d gives other bytes", xz, i)
			}
		}
	}
}

// TestPackGolden pins the whole writer: the same input must give these bytes
// on every machine and in every later version.
func TestPackGolden(t *testing.T) {
	b, d := mustPack(t, nil, BytesSource(ManifestName, []byte(manifest)), BytesSource("data/notes.txt", []byte("the quick brown fox\n")))
	if want, err := os.ReadFile(filepath.Join(vectorDir, "ok-base.pxa")); err != nil || !bytes.Equal(b, want) {
		t.Errorf("packed %d bytes, the vector ok-base has %d (%v)", len(b), len(want), err)
	}
	const want = "da592e7d96f6fceeff4e657d4cb38d80976dfc51922c54cd3440d3f3304dcee3"
	if d.String() != want {
		t.Errorf("digest %s, want %s", d, want)
	}
}

// TestPackLarge goes the way of archives that are not kept in memory.
func TestPackLarge(t *testing.T) {
	big := noise(1, 1<<20)
	open := func() (io.ReadCloser, error) {
		var list []io.Reader
		for range 70 {
			list = append(list, bytes.NewReader(big))
		}
		return io.NopCloser(io.MultiReader(list...)), nil
	}
	sources := []Source{{Path: "big", Size: 70 << 20, Open: open}, BytesSource(ManifestName, []byte(manifest)), BytesSource("text", bytes.Repeat([]byte("x"), 1<<16))}
	name := filepath.Join(t.TempDir(), "large.pxa")
	var last int64
	d, err := PackFile(t.Context(), name, sources, &PackOptions{XZ: true, Progress: func(done, total int64) { last = total - done }})
	if err != nil || last != 0 {
		t.Fatal(err, last)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := Open(f, info.Size(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadFile(ManifestName); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("opening and reading the manifest allocated %d bytes", n)
	}
	rep, err := r.Verify(t.Context(), func(done, total int64) { last = total - done })
	if err != nil || rep.Digest != d || last != 0 {
		t.Fatal(rep, err, last)
	}
	if e, _ := r.Lookup("text"); e.Codec != XZ {
		t.Errorf("text is %v", e.Codec)
	}
	if i, err := r.Inspect(); err != nil || i.Encoding != "native" || i.Format != "1.0" || !i.Manifest || len(i.Entries) != 3 {
		t.Errorf("%+v, %v", i, err)
	}
	if e, _ := r.Lookup(ManifestName); e.Codec != Stored {
		t.Errorf("the manifest is %v", e.Codec)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := r.Verify(ctx, func(done, total int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}

	// A source that changes between the readings.
	n := 0
	sources[0].Open = func() (io.ReadCloser, error) {
		if n++; n > 1 {
			return io.NopCloser(io.LimitReader(zeroReader{}, 70<<20)), nil
		}
		return open()
	}
	if _, err := Pack(t.Context(), io.Discard, sources, nil); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("a source that changes: %v", err)
	}
}

type fullDisk struct{ left int }

var errFull = errors.New("no space left on device")

func (w *fullDisk) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestPackFails(t *testing.T) {
	short := BytesSource("a", []byte("abc"))
	short.Size = 4
	long := BytesSource("a", []byte("abc"))
	long.Size = 2
	missing := Source{Path: "a", Size: 1, Open: func() (io.ReadCloser, error) { return nil, fs.ErrNotExist }}
	tests := []struct {
		name    string
		sources []Source
		limits  Limits
		want    string
	}{
		{"path", []Source{BytesSource("../a", nil)}, Limits{}, "PXA-N3"},
		{"twins", []Source{BytesSource("A", nil), BytesSource("a", nil)}, Limits{}, "PXA-N8"},
		{"twice", []Source{BytesSource("a", nil), BytesSource("a", nil)}, Limits{}, "PXA-N9"},
		{"short", []Source{short}, Limits{}, "changed"},
		{"long", []Source{long}, Limits{}, "changed"},
		{"missing", []Source{missing}, Limits{}, "not exist"},
		{"entries", []Source{BytesSource("a", nil), BytesSource("b", nil)}, Limits{Entries: 1}, "over the limit of 1"},
		{"entry size", []Source{BytesSource("a", make([]byte, 11))}, Limits{EntrySize: 10}, "over the limit of 10"},
		{"total size", []Source{BytesSource("a", make([]byte, 9)), BytesSource("b", make([]byte, 9))}, Limits{TotalSize: 10}, "over the limit of 10"},
		{"archive", []Source{BytesSource("a", make([]byte, 999))}, Limits{Archive: 1000}, "over the limit of 1000"},
		{"no opener", []Source{{Path: "a"}}, Limits{}, "no way to open"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, "out.pxa")
			if err := os.WriteFile(name, []byte("before"), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := PackFile(t.Context(), name, tt.sources, &PackOptions{Limits: tt.limits})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			list, _ := os.ReadDir(dir)
			if b, _ := os.ReadFile(name); len(list) != 1 || string(b) != "before" {
				t.Errorf("left %v, %q", list, b)
			}
		})
	}
	for _, n := range []int{0, 100, 5000, 3_000_000} {
		_, err := Pack(t.Context(), &fullDisk{n}, []Source{BytesSource("a", noise(1, 4_000_000))}, nil)
		if !errors.Is(err, errFull) {
			t.Errorf("disk full after %d bytes: %v", n, err)
		}
	}
}

func TestSources(t *testing.T) {
	fsys := fstest.MapFS{
		"a/run": {Data: []byte("#!"), Mode: 0o755},
		"b":     {Data: []byte("b"), Mode: 0o644},
	}
	list, err := Sources(fsys)
	if err != nil || len(list) != 2 || list[0].Path != "a/run" || !list[0].Executable || list[1].Executable {
		t.Errorf("%+v, %v", list, err)
	}
	fsys["c"] = &fstest.MapFile{Data: []byte("b"), Mode: fs.ModeSymlink | 0o777}
	if _, err := Sources(fsys); err == nil {
		t.Error("took a link")
	}
}

func TestUnpack(t *testing.T) {
	run := BytesSource("bin/run", []byte("#!"))
	run.Executable = true
	b, _ := mustPack(t, &PackOptions{XZ: true}, run, BytesSource("bin/zero", make([]byte, 5000)), BytesSource("z", []byte("z")))
	r, err := Open(plain(b), int64(len(b)), nil)
	if err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	dir := filepath.Join(parent, "new", "place")
	if err := r.Unpack(t.Context(), dir, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "bin", "zero")); err != nil || !bytes.Equal(got, make([]byte, 5000)) {
		t.Error(len(got), err)
	}
	if info, err := os.Stat(filepath.Join(dir, "bin", "run")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm()&0o100 == 0 {
		t.Error(info, err)
	}
	back, err := Sources(os.DirFS(dir))
	if err != nil || len(back) != 3 {
		t.Fatalf("%d files back, %v", len(back), err)
	}

	z := filepath.Join(dir, "z")
	if err := os.WriteFile(z, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.Unpack(t.Context(), dir, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over existing files: %v", err)
	}
	if got, _ := os.ReadFile(z); string(got) != "mine" {
		t.Errorf("z is %q", got)
	}
	if err := r.Unpack(t.Context(), dir, &UnpackOptions{Overwrite: true}); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(z); string(got) != "z" {
		t.Errorf("z is %q", got)
	}
}

// TestUnpackLink leaves a directory alone that a link in the target points to.
func TestUnpackLink(t *testing.T) {
	b, _ := mustPack(t, nil, BytesSource("bin/run", []byte("evil")), BytesSource("conf", []byte("evil")))
	r, err := Open(plain(b), int64(len(b)), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, overwrite := range []bool{false, true} {
		dir, outside := t.TempDir(), t.TempDir()
		if err := os.Symlink(outside, filepath.Join(dir, "bin")); err != nil {
			if runtime.GOOS == "windows" {
				t.Skip("links need a privilege on Windows")
			}
			t.Fatal(err)
		}
		secret := filepath.Join(outside, "secret")
		if err := os.WriteFile(secret, []byte("kept"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(secret, filepath.Join(dir, "conf")); err != nil {
			t.Fatal(err)
		}
		if err := r.Unpack(t.Context(), dir, &UnpackOptions{Overwrite: overwrite}); err == nil {
			t.Error("unpacked through a link")
		}
		list, _ := os.ReadDir(outside)
		if got, _ := os.ReadFile(secret); len(list) != 1 || string(got) != "kept" {
			t.Errorf("outside the target: %v, %q", list, got)
		}
	}
}
