package infinitemap

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

// grown makes a small map with runs, segments, cleared tiles and a snapshot.
func grown(tb testing.TB) *disktest.Mem {
	tb.Helper()
	mem := disktest.NewMem()
	m := mustOpen(tb, mem, Options{TileSize: 16})
	r := rand.New(rand.NewPCG(1, 1))
	for range 4 {
		for range 12 {
			if err := m.Set(place(r), place(r), colour(r)); err != nil {
				tb.Fatal(err)
			}
		}
		if err := m.Flush(context.Background()); err != nil {
			tb.Fatal(err)
		}
	}
	if err := m.Snapshot("s"); err != nil {
		tb.Fatal(err)
	}
	if err := m.Close(); err != nil {
		tb.Fatal(err)
	}
	return mem
}

func content(tb testing.TB, fsys disk.FS, name string) []byte {
	tb.Helper()
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		tb.Fatal(err)
	}
	b := make([]byte, st.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		tb.Fatal(err)
	}
	data, err := pxi.Decode(b)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// What decodes encodes to the same bytes.
func FuzzManifest(f *testing.F) {
	mem := grown(f)
	f.Add(content(f, mem, manifestName))
	f.Add((&manifest{shift: 8, generation: 1, next: 1}).encode())
	f.Add([]byte("PMAP"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeManifest("manifest", b)
		if err != nil {
			return
		}
		if !bytes.Equal(m.encode(), b) {
			t.Fatal("it encodes to other bytes")
		}
	})
}

func FuzzDirectory(f *testing.F) {
	f.Add([]byte{}, uint32(1), uint32(0))
	e := make([]byte, entrySize)
	entry{key: cell{0, 3, -4}.key(), gen: 1, segment: 7}.put(e)
	f.Add(append(encodeDirectoryHead(7, 8, 1, 1), e...), uint32(1), uint32(1))
	f.Fuzz(func(t *testing.T, b []byte, blocks, entries uint32) {
		info := segmentInfo{number: 7, blocks: blocks, entries: entries}
		list, err := decodeDirectory(b, info, 8)
		if err != nil {
			return
		}
		out := encodeDirectoryHead(7, 8, blocks, entries)
		for _, e := range list {
			out = append(out, make([]byte, entrySize)...)
			e.put(out[len(out)-entrySize:])
		}
		if !bytes.Equal(out, b) {
			t.Fatal("it encodes to other bytes")
		}
	})
}

// FuzzIndex puts any bytes in place of an index run whose container is sound, which no
// checksum can notice: whatever they are, nothing crashes, what is listed lies on the
// plane and in the area that was asked for, once, and what cannot be read is an error.
func FuzzIndex(f *testing.F) {
	mem := grown(f)
	man, err := readManifest(mem, manifestName)
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range man.runs {
		f.Add(content(f, mem, runName(r.number))[runHead:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < entrySize || len(b) > 1<<16 {
			return
		}
		b = b[:len(b)/entrySize*entrySize]
		fsys := grown(t)
		now := *man
		now.runs = slices.Clone(man.runs)
		info := &now.runs[0]
		now.runs = now.runs[:1]
		*info = runInfo{number: info.number, entries: uint64(len(b) / entrySize), first: getEntry(b).key, last: getEntry(b[len(b)-entrySize:]).key}
		file, err := pxi.Encode(append(encodeRunHead(info.number), b...), pxi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		h, err := pxi.ParseHeader(file, int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		info.sum = h.Sum
		put := func(name string, b []byte) {
			if err := disk.WriteFile(fsys, name, func(f disk.File) error { _, err := f.Write(b); return err }); err != nil {
				t.Fatal(err)
			}
		}
		put(runName(info.number), file)
		data, err := pxi.Encode(now.encode(), pxi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		put(manifestName, data)
		m, err := Open(fsys, Options{ReadOnly: true, NoPrefetch: true})
		if err != nil {
			return
		}
		area, _ := RectAt(-1000, -1000, 1500, 1500)
		seen := map[Point]bool{}
		_ = m.Tiles(area, func(ti TileInfo) bool {
			p := Point{ti.TX, ti.TY}
			if _, ok := area.Intersect(ti.Area); !ok || seen[p] {
				t.Fatalf("tile %v is listed", p)
			}
			seen[p] = true
			return true
		})
		_, _, _ = m.Bounds()
		pic := make([]byte, 3*32*32)
		_ = m.Render(pic, 96, Plane, 32, 32)
		_ = m.Render(pic, 96, area, 32, 32)
		_, _ = m.Verify(context.Background(), nil)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		w, err := Open(fsys, Options{NoPrefetch: true})
		if err != nil {
			return
		}
		_ = w.Set(3, 3, RGB{1, 2, 3})
		_ = w.Flush(context.Background())
		_ = w.Compact(context.Background())
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
