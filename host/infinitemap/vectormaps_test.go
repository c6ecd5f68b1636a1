package infinitemap

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk/disktest"
)

// maker grows one map and the model of it.
type maker struct {
	t     *testing.T
	mem   *disktest.Mem
	m     *Map
	now   model
	extra map[string][]byte
}

// newMaker makes an empty map whose identity is known.
func newMaker(t *testing.T, opt Options) *maker {
	t.Helper()
	mk := &maker{t: t, mem: disktest.NewMem(), now: model{}}
	size := 16
	if opt.TileSize != 0 {
		size = opt.TileSize
	}
	shift := uint(4)
	for 1<<shift < size {
		shift++
	}
	if err := writeManifest(mk.mem, manifestName, &manifest{shift: shift, generation: 1, next: 1, id: [16]byte([]byte("vector of a map!"))}); err != nil {
		t.Fatal(err)
	}
	mk.m = mustOpen(t, mk.mem, opt)
	mk.m.joinBelow = 0 // many short runs, as a large map has
	return mk
}

func (mk *maker) set(x, y int64, c RGB) *maker {
	mk.t.Helper()
	if err := mk.m.Set(x, y, c); err != nil {
		mk.t.Fatal(err)
	}
	mk.now.set(Point{x, y}, c)
	return mk
}

// paint fills a tile with pixels that tell their place; black leaves every fifth out.
func (mk *maker) paint(tx, ty int64, seed byte) *maker {
	size := int64(mk.m.TileSize())
	for y := range size {
		for x := range size {
			c := RGB{byte(x)*7 + seed, byte(y)*5 + 1, seed}
			if (x+3*y)%5 == 0 {
				c = RGB{}
			}
			mk.set(tx*size+x, ty*size+y, c)
		}
	}
	return mk
}

func (mk *maker) plain(tx, ty int64, c RGB) *maker {
	size := int64(mk.m.TileSize())
	for y := range size {
		for x := range size {
			mk.set(tx*size+x, ty*size+y, c)
		}
	}
	return mk
}

func (mk *maker) flush() *maker {
	mk.t.Helper()
	if err := mk.m.Flush(context.Background()); err != nil {
		mk.t.Fatal(err)
	}
	return mk
}

// done closes the map and gives its files.
func (mk *maker) done() map[string][]byte {
	mk.t.Helper()
	if err := mk.m.Close(); err != nil {
		mk.t.Fatal(err)
	}
	return take(mk.t, mk.mem)
}

// craft is a map whose files are changed one by one. What is around a change, such as a
// digest that covers it, is made to fit, so that only the change is at fault.
type craft struct {
	t     *testing.T
	files map[string][]byte
}

func (c craft) data(name string) []byte {
	c.t.Helper()
	b, err := pxi.Decode(c.files[name])
	if err != nil {
		c.t.Fatal(name, err)
	}
	return bytes.Clone(b)
}

func (c craft) manifest() *manifest {
	c.t.Helper()
	man, err := decodeManifest(manifestName, c.data(manifestName))
	if err != nil {
		c.t.Fatal(err)
	}
	return man
}

func (c craft) pack(data []byte, opt pxi.Options) []byte {
	c.t.Helper()
	b, err := pxi.Encode(data, opt)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// raw changes the bytes of the manifest.
func (c craft) raw(f func(b []byte) []byte) {
	c.files[manifestName] = c.pack(f(c.data(manifestName)), pxi.Options{})
}

// state changes what the manifest says.
func (c craft) state(f func(man *manifest)) {
	man := c.manifest()
	f(man)
	c.files[manifestName] = c.pack(man.encode(), pxi.Options{})
}

// run changes the bytes of the newest run.
func (c craft) run(f func(b []byte) []byte) {
	info := c.manifest().runs[0]
	name := runName(info.number)
	c.files[name] = c.pack(f(c.data(name)), pxi.Options{})
	c.state(func(man *manifest) { copy(man.runs[0].sum[:], c.files[name][23:55]) })
}

// entry changes one entry of the newest run, its key kept.
func (c craft) entry(i int, f func(e *entry)) {
	c.run(func(b []byte) []byte {
		at := b[runHead+i*entrySize:][:entrySize]
		e := getEntry(at)
		f(&e)
		e.put(at)
		return b
	})
}

// segment stores the first segment anew.
func (c craft) segment(opt pxi.Options, f func(b []byte) []byte) {
	name := segmentName(c.manifest().segments[0].number)
	c.files[name] = c.pack(f(c.data(name)), opt)
	c.state(func(man *manifest) {
		man.segments[0].bytes = uint64(len(c.files[name]))
		copy(man.segments[0].sum[:], c.files[name][23:55])
	})
}

// vectors makes all of them.
func vectors(t *testing.T) []*vector {
	var out []*vector
	add := func(layer, class, rule, name string, files map[string][]byte) *vector {
		v := &vector{Name: name, Layer: layer, Error: class, Rule: rule, files: files}
		out = append(out, v)
		return v
	}
	good := func(rule, name string, mk *maker, levels ...int) *vector {
		gen, size := mk.m.Generation(), int64(mk.m.TileSize())
		v := add("", "", rule, "good-"+name, mk.done())
		v.State = stateOf(mk.now, size, gen, levels...)
		return v
	}
	const low, high = math.MinInt64, math.MaxInt64
	begin := func() *maker { return newMaker(t, Options{}) }

	good("IM-1", "empty", begin(), 0)
	good("IM-3", "worked-example", begin().set(-1, 5, RGB{200, 100, 50}).flush(), 0, 1, 59)
	good("IM-2", "corners", begin().set(low, low, RGB{1, 0, 0}).set(high, low, RGB{0, 2, 0}).set(low, high, RGB{0, 0, 3}).
		set(high, high, RGB{4, 4, 4}).set(0, 0, RGB{9, 9, 9}).flush(), 0, 1, 30, 58, 59)
	dark := begin()
	for i, c := range []RGB{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {}, {0, 0, 1}, {}, {}, {0, 1, 0}, {255, 255, 255}, {}, {}, {}, {3, 1, 0}, {2, 2, 0}, {1, 1, 1}, {1, 1, 0}} {
		dark.set(int64(i%2+i/4*2), int64(i/2%2), c)
	}
	good("IM-6", "rounding", dark.flush(), 0, 1, 2, 3, 4)
	good("IM-7", "around-zero", begin().paint(0, 0, 1).paint(-1, 0, 2).paint(0, -1, 3).paint(-1, -1, 4).paint(5, -3, 5).flush(), 0, 1, 2, 3, 4)
	for name, opt := range map[string]Options{
		"uncompressed": {NoCompression: true}, "rle": {Compression: pxi.RLE}, "lz4": {Compression: pxi.LZ4}, "side-32": {TileSize: 32}, "side-256": {TileSize: 256},
	} {
		mk := newMaker(t, opt).plain(0, 0, RGB{7, 8, 9}).set(1, 1, RGB{1, 2, 3})
		if opt.TileSize < 256 {
			mk.paint(1, 0, 77)
		}
		good("Segment", name, mk.flush(), 0, 1, 2)
	}
	// Forty tiles, then changes that stay in runs of their own, one of them to black.
	grid := func() *maker {
		mk := begin()
		for i := range int64(40) {
			mk.plain(i%8, i/8, RGB{byte(i + 1), 5, 5})
		}
		return mk.flush()
	}
	good("Index run", "many-runs", grid().set(0, 0, RGB{99, 0, 0}).flush().set(0, 0, RGB{98, 0, 0}).set(900, 900, RGB{5, 5, 5}).flush(), 0, 1, 2, 3)
	good("IM-4", "cleared", grid().plain(3, 2, RGB{}).plain(7, 4, RGB{}).flush(), 0, 1, 2, 3)
	far := begin().set(100000, 0, RGB{1, 1, 1}).set(0, 0, RGB{2, 2, 2}).flush()
	good("Manifest", "bounds-larger", far.set(100000, 0, RGB{}).flush(), 0, 1)
	half := begin()
	for i := range int64(20) {
		half.plain(i, 0, RGB{byte(i + 1), 1, 2})
	}
	half.flush()
	for i := range int64(12) {
		half.plain(i, 0, RGB{9, byte(i), 2})
	}
	good("5", "moved-tiles", half.flush(), 0, 1)
	text := begin()
	data := []byte("Bytes lie row by row, three to a pixel, and the last row is filled up with zeros.")
	if _, _, err := text.m.WriteBytes(-20, 30, data); err != nil {
		t.Fatal(err)
	}
	padded := append(bytes.Clone(data), make([]byte, 3*32-len(data))...)
	for i := 0; i < len(padded); i += 3 {
		text.now.set(Point{-20 + int64(i/3%16), 30 + int64(i/3/16)}, RGB{padded[i], padded[i+1], padded[i+2]})
	}
	good("IM-5", "bytes", text.flush(), 0, 1).Bytes = []vectorBytes{{at(-20, 30), hex.EncodeToString(data)}}

	snap := begin().paint(2, 2, 1)
	if err := snap.m.Snapshot("first"); err != nil {
		t.Fatal(err)
	}
	old := stateOf(snap.now, 16, snap.m.Generation(), 0, 1)
	v := good("7", "snapshot", snap.paint(2, 2, 8).paint(3, 2, 9).flush(), 0, 1)
	v.Snapshots = map[string]*vectorState{"first": old}
	v = good("3", "foreign-files", begin().paint(0, 0, 1).flush(), 0)
	stray := craft{t, v.files}
	for name, b := range map[string][]byte{
		"scratch": []byte("left by a crash"), "seg-900.pxi": stray.pack([]byte("no segment"), pxi.Options{}), "idx-901.pxi": nil,
		"seg-01.pxi": []byte("not a name of a segment"), "readme.txt": []byte("not of the map"), ".pxos-0123456789abcdef.tmp": []byte("PX"),
	} {
		v.files[name] = b
	}

	below := begin().paint(0, 0, 1).paint(1, 0, 2).paint(4, 4, 3).flush()
	over := &maker{t: t, mem: disktest.NewMem(), now: below.now.clone()}
	baseFiles := good("8", "below", below, 0, 1).files
	base := mustOpen(t, load(t, baseFiles), Options{ReadOnly: true})
	lower := base.view.manifest
	if err := writeManifest(over.mem, manifestName, &manifest{
		shift: 4, generation: 1, next: 1, id: [16]byte([]byte("vector, overlay!")), overlay: true, baseID: lower.id, baseGen: lower.generation,
		top: lower.top, bounds: lower.bounds, hasBounds: true,
	}); err != nil {
		t.Fatal(err)
	}
	o, err := OpenOverlay(base, over.mem, Options{})
	if err != nil {
		t.Fatal(err)
	}
	over.m = o.Map
	v = good("8", "overlay", over.set(5, 5, RGB{250, 1, 1}).plain(1, 0, RGB{}).set(-40, 0, RGB{3, 3, 3}).flush(), 0, 1, 2)
	v.Below = "good-below"
	overlaid := v.files
	if err := base.Close(); err != nil {
		t.Fatal(err)
	}

	// Four tiles in one quarter, so that level 1 is the top.
	four := func() *maker { return begin().paint(0, 0, 1).paint(1, 0, 2).paint(0, 1, 3).paint(5, 5, 4).flush() }
	sound := four()
	now, gen := sound.now, sound.m.Generation()
	fourFiles := sound.done()
	bad := func(layer, class, rule, name string, f func(c craft)) *vector {
		c := craft{t, maps.Clone(fourFiles)}
		f(c)
		return add(layer, class, rule, name, c.files)
	}
	const format, unsup, missing, damaged = "format", "unsupported", "missing", "damaged"
	be := binary.BigEndian

	bad("manifest", missing, "3", "manifest-missing", func(c craft) { delete(c.files, manifestName) })
	bad("container", format, "IM-9", "manifest-cut", func(c craft) { c.files[manifestName] = c.files[manifestName][:200] })
	bad("container", format, "IM-9", "manifest-bit", func(c craft) { b := bytes.Clone(c.files[manifestName]); b[100] ^= 8; c.files[manifestName] = b })
	bad("container", format, "IM-9", "manifest-plain", func(c craft) { c.files[manifestName] = c.data(manifestName) })
	lie := func(class, name string, f func(b []byte) []byte) {
		bad("manifest", class, "IM-9", "manifest-"+name, func(c craft) { c.raw(f) })
	}
	poke := func(name string, off int, v ...byte) {
		lie(format, name, func(b []byte) []byte { copy(b[off:], v); return b })
	}
	poke("magic", 0, 'P', 'M', 'A', 'Q')
	poke("version-0", 4, 0)
	lie(unsup, "version-2", func(b []byte) []byte { b[4] = 2; return b })
	lie(format, "head-cut", func(b []byte) []byte { return b[:100] })
	lie(format, "empty", func([]byte) []byte { return nil })
	poke("side-8", 5, 3)
	poke("side-2048", 5, 11)
	poke("side-all-bits", 5, 255)
	poke("level-60", 6, 60)
	poke("level-too-low", 6, 0)
	poke("flag-4", 7, flagBounds|4)
	poke("reserved", 20, 0, 0, 0, 1)
	poke("bounds-not-set", 7, 0)
	poke("bounds-order", 32, 0, 0, 0, 0, 0, 0, 0, 6)
	poke("bounds-off-plane", 48, 0x10)
	poke("below-named", 80, 1)
	poke("generation-below-named", 103, 1)
	poke("runs-all-bits", 104, 255, 255, 255, 255)
	poke("segments-one-more", 108, 0, 0, 0, 2)
	lie(format, "longer", func(b []byte) []byte { return append(b, 0) })
	fact := func(name string, f func(man *manifest)) {
		bad("manifest", format, "IM-9", "manifest-"+name, func(c craft) { c.state(f) })
	}
	fact("run-never-given", func(man *manifest) { man.runs[0].number = man.next })
	fact("run-twice", func(man *manifest) { man.runs = append(man.runs, man.runs[0]) })
	fact("run-empty", func(man *manifest) { man.runs[0].entries = 0 })
	fact("run-too-long", func(man *manifest) { man.runs[0].entries = 1<<63 + 1 })
	fact("run-keys", func(man *manifest) { r := &man.runs[0]; r.first, r.last = r.last, r.first })
	lie(format, "run-reserved", func(b []byte) []byte { b[manifestHead+7] = 1; return b })
	fact("segment-never-given", func(man *manifest) { man.segments[0].number = man.next })
	fact("segment-twice", func(man *manifest) { man.segments = append(man.segments, man.segments[0]) })
	fact("segment-empty", func(man *manifest) { s := &man.segments[0]; s.blocks, s.live = 0, 0 })
	fact("segment-entries", func(man *manifest) { s := &man.segments[0]; s.entries = s.blocks - 1 })
	fact("segment-dead", func(man *manifest) { man.segments[0].live = 0 })
	fact("segment-live", func(man *manifest) { s := &man.segments[0]; s.live = s.blocks + 1 })
	add("overlay", format, "8", "overlay-without-below", maps.Clone(overlaid))
	v = add("overlay", format, "8", "overlay-of-another", maps.Clone(overlaid))
	v.Below = "good-empty"
	other := craft{t, v.files}
	other.state(func(man *manifest) { man.baseID[0] ^= 1 })

	c := craft{t, maps.Clone(fourFiles)}
	man := c.manifest()
	seg, run := segmentName(man.segments[0].number), runName(man.runs[0].number)
	var entries []entry
	for b := c.data(run)[runHead:]; len(b) > 0; b = b[entrySize:] {
		entries = append(entries, getEntry(b))
	}
	// lose adds a map that opens and of which the given entries are lost.
	lose := func(layer, rule, name, file string, lost []entry, f func(c craft)) *vector {
		v := bad(layer, damaged, rule, name, f)
		v.State = stateOf(now, 16, gen, 0, 1, 2)
		for _, e := range lost {
			at2 := e.key.cell()
			v.Lost = append(v.Lost, vectorTile{Level: at2.level, At: at(at2.x, at2.y), File: file})
		}
		return v
	}
	all := entries
	lose("index", "IM-10", "index-missing", run, all, func(c craft) { delete(c.files, run) })
	lose("index", "IM-10", "index-cut", run, all, func(c craft) { c.files[run] = c.files[run][:100] })
	lose("index", "Manifest", "index-swapped", run, all, func(c craft) {
		c.files[run] = c.pack(append(encodeRunHead(man.runs[0].number), c.data(run)[runHead+entrySize:]...), pxi.Options{})
	})
	lose("index", "Index run", "index-head-version", run, all, func(c craft) { c.run(func(b []byte) []byte { b[4] = 2; return b }) })
	lose("index", "Index run", "index-head-number", run, all, func(c craft) { c.run(func(b []byte) []byte { b[11]++; return b }) })
	lose("index", "Index run", "index-compressed", run, all, func(c craft) {
		c.files[run] = c.pack(c.data(run), pxi.Options{Compression: pxi.LZ4})
	})
	lose("index", "IM-10", "index-first-key", run, all, func(c craft) {
		c.state(func(man *manifest) { man.runs[0].first = entries[1].key })
	})
	lose("index", "IM-10", "index-last-key", run, all, func(c craft) {
		c.state(func(man *manifest) { man.runs[0].last = entries[len(entries)-2].key })
	})
	lose("index", "Manifest", "index-longer", run, all, func(c craft) {
		c.run(func(b []byte) []byte { return append(b, make([]byte, entrySize)...) })
	})
	lose("segment", "IM-10", "segment-missing", seg, entries, func(c craft) { delete(c.files, seg) })
	lose("segment", "Manifest", "segment-cut", seg, entries, func(c craft) { c.files[seg] = c.files[seg][:len(c.files[seg])-1] })
	lose("segment", "Manifest", "segment-swapped", seg, entries, func(c craft) {
		sides := c.data(seg)
		copy(sides, sides[768:1536])
		c.files[seg] = c.pack(sides, pxi.Options{Width: 16, Compression: pxi.LZ4, BlockSize: 768})
		c.state(func(man *manifest) { man.segments[0].bytes = uint64(len(c.files[seg])) })
	})
	lose("segment", "Segment", "segment-blocks-of-1024", seg, entries, func(c craft) {
		c.segment(pxi.Options{Width: 16, BlockSize: 1024}, func(b []byte) []byte { return b })
	})
	lose("segment", "Segment", "segment-tile-bit", seg, entries[1:2], func(c craft) {
		// Stored as they are, the second tile is at a known place.
		c.segment(pxi.Options{Width: 16, BlockSize: 768}, func(b []byte) []byte { return b })
		c.files[seg][pxi.HeaderSize+768+5] ^= 1
	})
	lose("segment", "Entry", "entry-block-beyond", seg, entries[:1], func(c craft) { c.entry(0, func(e *entry) { e.block = 1000 }) })
	lose("segment", "Entry", "entry-segment-unknown", segmentName(77), entries[:1], func(c craft) { c.entry(0, func(e *entry) { e.segment = 77 }) })

	// The directory of a segment is for moving tiles and for saving what is left.
	for name, f := range map[string]func(d []byte){
		"magic": func(d []byte) { d[3] = 'S' }, "side": func(d []byte) { d[5] = 5 }, "number": func(d []byte) { d[11]++ },
		"tiles":   func(d []byte) { be.PutUint32(d[12:], be.Uint32(d[12:])+1) },
		"block":   func(d []byte) { d[directoryHead+31]++ },
		"segment": func(d []byte) { d[directoryHead+27]++ },
		"order": func(d []byte) {
			a, b := d[directoryHead:][:16], d[directoryHead+entrySize:][:16]
			for i := range a {
				a[i], b[i] = b[i], a[i]
			}
		},
		"cleared-too-many": func(d []byte) { be.PutUint32(d[directoryHead+28:], cleared) },
		"off-plane":        func(d []byte) { d[directoryHead] = 200 },
	} {
		lose("directory", "Segment", "directory-"+name, "", nil, func(c craft) {
			c.segment(pxi.Options{Width: 16, BlockSize: 768, Compression: pxi.LZ4}, func(b []byte) []byte {
				f(b[int(man.segments[0].blocks)*768:])
				return b
			})
		})
	}

	// A run of two blocks: what is lost of it ends with the block.
	long := begin()
	for i := range int64(160) {
		long.plain(i%16, i/16, RGB{byte(i + 1), 1, 1})
	}
	v = good("Index run", "two-blocks", long.flush(), 1, 2, 3)
	longState, longFiles := v.State, v.files
	partly := func(rule, name string, from int, f func(c craft, run string)) {
		c := craft{t, maps.Clone(longFiles)}
		run := runName(c.manifest().runs[0].number)
		entries := c.data(run)[runHead:]
		f(c, run)
		v := add("index", damaged, rule, name, c.files)
		v.State = longState
		for i := from; i < len(entries)/entrySize; i++ {
			p := getEntry(entries[i*entrySize:][:entrySize]).key.cell()
			v.Lost = append(v.Lost, vectorTile{Level: p.level, At: at(p.x, p.y), File: run})
		}
	}
	const firstBlock = (4096 - runHead) / entrySize
	partly("IM-10", "index-bit", firstBlock, func(c craft, run string) {
		c.files[run] = bytes.Clone(c.files[run])
		c.files[run][pxi.HeaderSize+5000] ^= 1
	})
	partly("IM-10", "index-head-bit", 0, func(c craft, run string) {
		c.files[run] = bytes.Clone(c.files[run])
		c.files[run][pxi.HeaderSize+3] ^= 1
	})
	keys := func(name string, f func(b []byte)) {
		lose("index", "IM-10", "index-"+name, run, all, func(c craft) {
			c.run(func(b []byte) []byte { f(b[runHead:]); return b })
		})
	}
	keys("order", func(b []byte) {
		x := bytes.Clone(b[entrySize:][:entrySize])
		copy(b[entrySize:], b[2*entrySize:][:entrySize])
		copy(b[2*entrySize:], x)
	})
	keys("twice", func(b []byte) { copy(b[2*entrySize:], b[entrySize:][:entrySize]) })
	keys("off-plane", func(b []byte) { b[len(b)-entrySize] = 200 })

	bad("snapshot", format, "7", "snapshot-cut", func(c craft) {
		c.files["snapshots/bad.pxi"] = c.files[manifestName][:150]
	}).State = stateOf(now, 16, gen, 0)
	bad("snapshot", unsup, "7", "snapshot-version-2", func(c craft) {
		b := c.data(manifestName)
		b[4] = 2
		c.files["snapshots/bad.pxi"] = c.pack(b, pxi.Options{})
	}).State = stateOf(now, 16, gen, 0)
	slices.SortFunc(out, func(a, b *vector) int { return strings.Compare(a.Name, b.Name) })
	return out
}
