package infinitemap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

// state reads all pixels of a map.
func state(t *testing.T, m *Map) model {
	t.Helper()
	out := model{}
	size := int64(m.TileSize())
	buf := make([]byte, 3*size*size)
	err := m.Tiles(Plane, func(ti TileInfo) bool {
		if err := m.ReadRegion(buf, int(3*size), ti.Area.Min.X, ti.Area.Min.Y, int(size), int(size)); err != nil {
			t.Fatal(err)
		}
		for i := range size * size {
			out.set(Point{ti.Area.Min.X + i%size, ti.Area.Min.Y + i/size}, RGB{buf[3*i], buf[3*i+1], buf[3*i+2]})
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func equal(a, b model) bool {
	if len(a) != len(b) {
		return false
	}
	for p, c := range a {
		if b[p] != c {
			return false
		}
	}
	return true
}

func scribble(t *testing.T, r *rand.Rand, m *Map, now model, n int) {
	t.Helper()
	for range n {
		p, c := Point{place(r), place(r)}, colour(r)
		if err := m.Set(p.X, p.Y, c); err != nil {
			t.Fatal(err)
		}
		now.set(p, c)
	}
}

// near is a place that needs few levels, for tests that do a thing once per operation.
func near(r *rand.Rand) Point { return Point{r.Int64N(160) - 80, r.Int64N(160) - 80} }

func scribbleNear(t *testing.T, r *rand.Rand, m *Map, now model, n int) {
	t.Helper()
	for range n {
		p, c := near(r), colour(r)
		if err := m.Set(p.X, p.Y, c); err != nil {
			t.Fatal(err)
		}
		now.set(p, c)
	}
}

// After a power cut at any moment, with anything unsynced lost, a map is as one of its
// flushes left it: the last that returned, or the one on its way.
func TestPowerCut(t *testing.T) {
	ctx := context.Background()
	opt := Options{TileSize: 16, CacheBytes: 2 * 768}
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 3))
		mem := disktest.NewMem()
		var mu sync.Mutex // a file is written by a goroutine of its own
		var cuts []*disktest.Mem
		hr := rand.New(rand.NewPCG(seed, 4))
		fsys := disktest.Hook(mem, func(op disktest.Op) disktest.Verdict {
			mu.Lock()
			defer mu.Unlock()
			// Writes to the scratch file are many, and mean nothing after a crash.
			if odds := 12; op.Name != "read" && hr.IntN(odds) == 0 && (op.Path != scratchName || hr.IntN(100) == 0) {
				cuts = append(cuts, mem.PowerCut(hr))
			}
			return disktest.Verdict{}
		})
		m := mustOpen(t, fsys, opt)
		now := model{}
		before := model{}
		for round := range 12 {
			cuts = nil
			scribble(t, r, m, now, 20)
			var err error
			switch round % 6 {
			case 3:
				err = m.Snapshot(fmt.Sprintf("s%d", round))
			case 4:
				err = m.Compact(ctx)
			default:
				err = m.Flush(ctx)
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, cut := range cuts {
				again := mustOpen(t, cut, opt)
				got := state(t, again)
				if !equal(got, before) && !equal(got, now) {
					t.Fatalf("seed %d round %d cut %d: neither the old nor the new state", seed, round, i)
				}
				if rep, err := again.Verify(ctx, nil); err != nil || !rep.OK() {
					t.Fatalf("seed %d round %d cut %d: %v %+v", seed, round, i, err, rep)
				}
				scribble(t, r, again, got, 5) // and it can be written on
				if err := again.Flush(ctx); err != nil {
					t.Fatal(err)
				}
				compareLevels(t, again, got, 1, 3)
				if err := again.Close(); err != nil {
					t.Fatal(err)
				}
			}
			after := mem.PowerCut(r)
			again := mustOpen(t, after, opt)
			if !equal(state(t, again), now) {
				t.Fatalf("seed %d round %d: the flush was lost", seed, round)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			before = now.clone()
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A flush in which any one operation fails leaves the changes in memory, the old state
// or the new on the disk, and the next flush saves all.
func TestFailures(t *testing.T) {
	ctx := context.Background()
	opt := Options{TileSize: 16, CacheBytes: 4 * 768}
	for _, c := range []struct {
		name string
		plan disktest.Plan
	}{
		{"input/output error", disktest.Plan{Err: syscall.EIO, Reads: true}},
		{"disk full", disktest.Plan{Err: syscall.ENOSPC, Short: true, Only: []string{"create", "write", "mkdir", "truncate"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := disktest.Sweep(t, c.plan, func(t *testing.T, inject func(disk.FS) disk.FS) {
				r := rand.New(rand.NewPCG(5, 5))
				mem := disktest.NewMem()
				m := mustOpen(t, mem, opt)
				now := model{}
				for range 9 {
					scribbleNear(t, r, m, now, 3)
					if err := m.Flush(ctx); err != nil {
						t.Fatal(err)
					}
				}
				if err := m.Snapshot("kept"); err != nil {
					t.Fatal(err)
				}
				kept := now.clone()
				if err := m.Close(); err != nil {
					t.Fatal(err)
				}
				m, err := Open(inject(mem), opt)
				if err != nil { // the failure met the opening
					if m, err = Open(mem, opt); err != nil {
						t.Fatal(err)
					}
				}
				flushed := now.clone()
				wrote := false
				for range 4 {
					p, c := near(r), colour(r)
					err := m.Set(p.X, p.Y, c)
					if err != nil {
						err = m.Set(p.X, p.Y, c) // nothing was changed, and once more it works
					}
					if errors.As(err, new(*IndexError)) { // the failure met an index that was being opened
						if err = m.Close(); err == nil {
							m, err = Open(mem, opt)
						}
						now = flushed.clone()
						if err == nil {
							err = m.Set(p.X, p.Y, c)
						}
					}
					if err != nil {
						t.Fatal(err)
					}
					now.set(p, c)
				}
				ferr := m.Flush(ctx)
				if ferr == nil {
					flushed, wrote = now.clone(), true
				}
				// Whatever happened, what the writer sees is all there.
				for p, c := range now {
					got, err := m.At(p.X, p.Y)
					if err != nil {
						got, err = m.At(p.X, p.Y)
					}
					if err != nil || got != c {
						t.Fatalf("pixel %v is %v %v, want %v (flush: %v)", p, got, err, c, ferr)
					}
				}
				cut := mem.PowerCut(r)
				again := mustOpen(t, cut, opt)
				got := state(t, again)
				if !equal(got, flushed) && (wrote || !equal(got, now)) {
					t.Fatalf("after a power cut it is neither the old nor the new state (flush: %v)", ferr)
				}
				if err := again.Close(); err != nil {
					t.Fatal(err)
				}
				if err := m.Flush(ctx); err != nil {
					if err = m.Flush(ctx); err != nil {
						t.Fatal(err)
					}
				}
				_ = m.Close() // closing may be what fails
				again = mustOpen(t, mem.PowerCut(r), opt)
				compare(t, again, now)
				compareLevels(t, again, now, 1, 2)
				s, err := again.OpenSnapshot("kept")
				if err != nil {
					t.Fatal(err)
				}
				compare(t, s, kept)
			})
			if n < 12 {
				t.Errorf("only %d operations were tried", n)
			}
		})
	}
}

// A full disk stops what needs room, says so, and loses nothing.
func TestDiskFullWhileSpilling(t *testing.T) {
	mem := disktest.NewMem()
	full := false
	fsys := disktest.Hook(mem, func(op disktest.Op) disktest.Verdict {
		if full && (op.Name == "write" || op.Name == "create") {
			return disktest.Verdict{Err: syscall.ENOSPC}
		}
		return disktest.Verdict{}
	})
	m := mustOpen(t, fsys, Options{TileSize: 16, CacheBytes: 3 * 768})
	want := model{}
	for i := range int64(5) {
		if err := m.Set(i*16, 0, RGB{1, 2, byte(i)}); err != nil {
			t.Fatal(err)
		}
		want.set(Point{i * 16, 0}, RGB{1, 2, byte(i)})
	}
	full = true
	refused := 0
	for i := range int64(20) {
		p := Point{i * 16, 5}
		var spill *SpillError
		err := m.Set(p.X, p.Y, RGB{9, 9, 9})
		switch {
		case err == nil:
			want.set(p, RGB{9, 9, 9})
		case errors.As(err, &spill) && errors.Is(err, syscall.ENOSPC):
			refused++
		default:
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Fatal("nothing was refused")
	}
	if err := m.Flush(context.Background()); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("flush on a full disk: %v", err)
	}
	compare(t, m, want)
	full = false
	if err := m.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	compare(t, mustOpen(t, mem, Options{}), want)
}

// build makes a map of a hundred tiles on a real disk, in three flushes.
func build(t *testing.T, dir string) model {
	t.Helper()
	fsys, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := mustOpen(t, fsys, Options{TileSize: 16})
	want := model{}
	r := rand.New(rand.NewPCG(9, 9))
	for i := range int64(100) {
		x, y := i%10*16, i/10*16
		for range 20 {
			p, c := Point{x + r.Int64N(16), y + r.Int64N(16)}, RGB{byte(1 + i), byte(r.Uint32()), 7}
			if err := m.Set(p.X, p.Y, c); err != nil {
				t.Fatal(err)
			}
			want.set(p, c)
		}
		if i == 30 || i == 60 || i == 99 {
			if err := m.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return want
}

func files(t *testing.T, dir, prefix string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, prefix+"*.pxi"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no %s files: %v", prefix, err)
	}
	return list
}

// Whatever happens to the files behind a map's back: no crash, no wrong pixel, the
// damage is named, and tiles in other files stay readable.
func TestDamage(t *testing.T) {
	read := func(t *testing.T, name string) []byte {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	write := func(t *testing.T, name string, b []byte) {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kinds := []struct {
		name string
		harm func(t *testing.T, dir, file string)
	}{
		{"cut short", func(t *testing.T, dir, file string) { write(t, file, read(t, file)[:len(read(t, file))/2]) }},
		{"emptied", func(t *testing.T, dir, file string) { write(t, file, nil) }},
		{"deleted", func(t *testing.T, dir, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}},
		{"replaced by a link", func(t *testing.T, dir, file string) {
			if err := os.Rename(file, file+".real"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Base(file)+".real", file); err != nil {
				t.Fatal(err)
			}
		}},
		{"replaced by a directory", func(t *testing.T, dir, file string) {
			if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil {
				t.Fatal(err)
			}
		}},
		{"swapped", func(t *testing.T, dir, file string) {
			for _, other := range files(t, dir, filepath.Base(file)[:4]) {
				if other != file {
					a, b := read(t, file), read(t, other)
					write(t, file, b)
					write(t, other, a)
					return
				}
			}
			write(t, file, read(t, filepath.Join(dir, manifestName)))
		}},
		{"a bit flipped", func(t *testing.T, dir, file string) {
			b := read(t, file)
			b[len(b)*2/5] ^= 4
			write(t, file, b)
		}},
		{"noise", func(t *testing.T, dir, file string) {
			b := read(t, file)
			r := rand.New(rand.NewPCG(1, 2))
			for i := 70; i < len(b); i++ {
				b[i] = byte(r.Uint32())
			}
			write(t, file, b)
		}},
	}
	for _, prefix := range []string{"seg-", "idx-", "manifest"} {
		for _, k := range kinds {
			if prefix == "manifest" && k.name == "swapped" {
				continue // there is only one
			}
			t.Run(prefix+" "+k.name, func(t *testing.T) {
				dir := t.TempDir()
				want := build(t, dir)
				victim := files(t, dir, prefix)[0]
				k.harm(t, dir, victim)
				fsys, err := disk.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				m, err := Open(fsys, Options{ReadOnly: true, TileSize: 16})
				if prefix == "manifest" {
					if err == nil {
						t.Fatal("a damaged manifest was accepted")
					}
					if w, werr := Open(fsys, Options{}); k.name != "deleted" && werr == nil {
						_ = w.Close()
						t.Fatal("a writer took a damaged manifest")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				good, bad := 0, 0
				for p, c := range want {
					got, err := m.At(p.X, p.Y)
					var te *TileError
					switch {
					case err == nil && got == c:
						good++
					case errors.As(err, &te):
						bad++
						if te.TX != floorDiv(p.X, 16) || te.TY != floorDiv(p.Y, 16) || te.File == "" || te.File == "idx" {
							t.Fatalf("the damage of %v has the wrong name: %v", p, te)
						}
						if want := filepath.Base(victim); te.File != want && k.name != "swapped" {
							t.Fatalf("the damage is in %s, not in %s", want, te.File)
						}
					default:
						t.Fatalf("pixel %v is %v %v, want %v", p, got, err, c)
					}
				}
				if bad == 0 {
					t.Error("nothing was found damaged")
				}
				if good == 0 && prefix == "seg-" && k.name != "swapped" {
					t.Error("nothing is readable")
				}
				rep, err := m.Verify(context.Background(), nil)
				if err != nil || rep.OK() {
					t.Errorf("verify says %+v %v", rep, err)
				}
				var ie *IndexError
				n := 0
				err = m.Tiles(Plane, func(TileInfo) bool { n++; return true })
				if prefix == "idx-" && !errors.As(err, &ie) || prefix == "seg-" && (err != nil || n != 100) {
					t.Errorf("tiles: %d, %v", n, err)
				}
				pic := make([]byte, 3*64*64)
				if err := m.Render(pic, 3*64, Rect{Point{0, 0}, Point{159, 159}}, 64, 64); err != nil && !errors.As(err, new(*TileError)) {
					t.Error(err)
				}
			})
		}
	}
}

// A damaged tile can be replaced by writing all of it, and the levels above heal.
func TestOverwriteDamage(t *testing.T) {
	dir := t.TempDir()
	want := build(t, dir)
	for _, f := range files(t, dir, "seg-") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i := 64; i < len(b)/3; i += 97 {
			b[i] ^= 0x55
		}
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fsys, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := mustOpen(t, fsys, Options{})
	rep, err := m.Verify(context.Background(), nil)
	if err != nil || len(rep.Damaged) < 5 {
		t.Fatalf("verify: %v %+v", err, rep)
	}
	buf := make([]byte, 3*256)
	for _, d := range rep.Damaged {
		if d.Level != 0 {
			continue
		}
		if err := m.Set(d.TX*16, d.TY*16, RGB{1, 1, 1}); !errors.As(err, new(*TileError)) {
			t.Fatalf("a part of a damaged tile was written: %v", err)
		}
		for i := range int64(256) {
			c := want[Point{d.TX*16 + i%16, d.TY*16 + i/16}]
			buf[3*i], buf[3*i+1], buf[3*i+2] = c.R, c.G, c.B
		}
		if err := m.WriteRegion(buf, 48, d.TX*16, d.TY*16, 16, 16); err != nil {
			t.Fatal(err)
		}
	}
	// Whatever level was damaged is made again when something below it changes.
	for x := int64(0); x < 160; x += 16 {
		for y := int64(0); y < 160; y += 16 {
			c := want[Point{x, y}]
			if err := errors.Join(m.Set(x, y, RGB{8, 8, 8}), m.Set(x, y, c)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := m.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if rep, err = m.Verify(context.Background(), nil); err != nil || !rep.OK() {
		t.Fatalf("verify: %v %+v", err, rep)
	}
	compare(t, m, want)
	compareLevels(t, m, want, 1, 2, 3)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// Names that no map uses are left alone; links are not followed out of the directory.
func TestForeignFiles(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	want := build(t, dir)
	precious := filepath.Join(outside, "precious")
	if err := errors.Join(
		os.WriteFile(precious, []byte("keep"), 0o600),
		os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("keep"), 0o600),
		os.Symlink(precious, filepath.Join(dir, "seg-900.pxi")),
	); err != nil {
		t.Fatal(err)
	}
	fsys, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := mustOpen(t, fsys, Options{})
	compare(t, m, want)
	if err := errors.Join(m.Set(0, 0, RGB{1, 1, 1}), m.Flush(context.Background()), m.Close()); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{precious, filepath.Join(dir, "notes.txt")} {
		if b, err := os.ReadFile(f); err != nil || string(b) != "keep" {
			t.Errorf("%s: %q %v", f, b, err)
		}
	}
}

func TestMissingMap(t *testing.T) {
	if _, err := Open(disktest.NewMem(), Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open nothing for reading: %v", err)
	}
	for _, o := range []Options{{TileSize: 8}, {TileSize: 100}, {TileSize: 2048}, {Compression: 9}} {
		if _, err := Open(disktest.NewMem(), o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	mem := disktest.NewMem()
	m := mustOpen(t, mem, Options{TileSize: 32})
	if _, err := Open(mem, Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("a second writer: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(mem, Options{TileSize: 64}); err == nil || !strings.Contains(err.Error(), "32") {
		t.Errorf("another tile size: %v", err)
	}
	if err := m.Set(1, 1, RGB{1, 1, 1}); !errors.Is(err, ErrClosed) {
		t.Errorf("set after close: %v", err)
	}
	if _, err := m.At(1, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("at after close: %v", err)
	}
}

// Without any index a map with tiles at both ends of the plane can still be written, in
// work proportional to what is known and not to the empty space between.
func TestLostIndexFarAway(t *testing.T) {
	mem := grown(t)
	man, err := readManifest(mem, manifestName)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range man.runs {
		if err := mem.Remove(runName(r.number)); err != nil {
			t.Fatal(err)
		}
	}
	m := mustOpen(t, mem, Options{})
	tile := make([]byte, 768)
	for i := range tile {
		tile[i] = byte(i + 1)
	}
	if err := m.Set(3, 3, RGB{1, 2, 3}); !errors.As(err, new(*IndexError)) {
		t.Fatalf("a part of an unknown tile was written: %v", err)
	}
	if err := m.WriteRegion(tile, 48, 0, 0, 16, 16); err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got, err := m.At(1, 0); err != nil || got != (RGB{4, 5, 6}) {
		t.Fatal(got, err)
	}
	pic := make([]byte, 3*16*16)
	if err := m.Render(pic, 48, Rect{Point{0, 0}, Point{15, 15}}, 16, 16); err != nil || string(pic) != string(tile) {
		t.Fatal("another picture: ", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}
