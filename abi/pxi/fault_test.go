package pxi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// badDisk fails for some reads.
type badDisk struct {
	b   []byte
	bad func(off int64, n int) bool
	err error
}

func (d *badDisk) ReadAt(p []byte, off int64) (int, error) {
	if d.bad(off, len(p)) {
		return 0, d.err
	}
	return bytes.NewReader(d.b).ReadAt(p, off)
}

// fullDisk takes room bytes.
type fullDisk struct {
	memory
	room int
	err  error
}

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	d.memory.Write(p[:n])
	if n < len(p) {
		return n, d.err
	}
	return n, nil
}

func (d *fullDisk) WriteAt(p []byte, off int64) (int, error) {
	if d.room < len(p) {
		return 0, d.err
	}
	return d.memory.WriteAt(p, off)
}

func mustEncode(t testing.TB, data []byte, opt Options) []byte {
	t.Helper()
	file, err := Encode(data, opt)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func mustOpen(t testing.TB, file []byte) *Reader {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every flipped bit of a file must be noticed, whatever is read.
func TestEveryBit(t *testing.T) {
	data := text(1500)
	files := map[string][]byte{
		"plain":     mustEncode(t, data, Options{Width: 8, BlockSize: 512}),
		"rle":       mustEncode(t, data, Options{Width: 8, BlockSize: 512, Compression: RLE}),
		"lz4":       mustEncode(t, data, Options{Width: 8, BlockSize: 512, Compression: LZ4}),
		"prototype": craft(data, 8, 512, None, nil).prototype().bytes(),
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			for i := range len(file) * 8 {
				b := bytes.Clone(file)
				b[i/8] ^= 1 << (i % 8)
				got, err := Decode(b)
				// Without a trailer, the compression field says nothing and bits
				// of the minor version make the rest unknown, not wrong.
				if err == nil && name == "prototype" && (i/8 == 5 || i/8 == 22) && bytes.Equal(got, data) {
					continue
				}
				// Checksums are about data: an LZ4 block may say the same twice.
				if err == nil && name == "lz4" && i/8 >= HeaderSize && bytes.Equal(got, data) {
					continue
				}
				if err == nil {
					t.Fatalf("bit %d of byte %d was not noticed", i%8, i/8)
				}
				if classOf(err) == err.Error() {
					t.Fatalf("bit %d of byte %d: an error without class: %v", i%8, i/8, err)
				}
			}
		})
	}
}

// Every shorter file must be refused.
func TestEveryLength(t *testing.T) {
	for _, c := range []Compression{None, RLE, LZ4} {
		file := mustEncode(t, text(1500), Options{Width: 8, BlockSize: 512, Compression: c})
		for n := range file {
			if _, err := Decode(file[:n]); classOf(err) != "format" {
				t.Fatalf("%v: the first %d bytes: %v", c, n, err)
			}
		}
	}
}

// Damage is named completely, and everything else stays readable.
func TestVerifyNamesAll(t *testing.T) {
	data := noise(1_000_000)
	for _, c := range []Compression{None, LZ4} {
		file := mustEncode(t, data, Options{Compression: c, BlockSize: 4096, Width: 100})
		bad := []int64{0, 7, 8, 9, 63, 64, 200, 244}
		for _, i := range bad {
			file[HeaderSize+i*4096+i] ^= 0x10
		}
		r := mustOpen(t, file)
		var calls, last int64
		rep, err := r.Verify(context.Background(), func(done, total int64) {
			calls++
			last = done
			if total != r.Size() {
				t.Errorf("total %d", total)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, f := range rep.Faults {
			for i := f.Block; i < f.Block+f.Blocks; i++ {
				got = append(got, i)
			}
			if f.FirstRow != f.Offset/300 || f.LastRow != (f.Offset+f.Length-1)/300 || f.FileOffset != HeaderSize+f.Offset {
				t.Errorf("%+v", f)
			}
		}
		if len(got) != len(bad) || rep.Bad != int64(len(bad)) || len(rep.Faults) != 5 || rep.DigestOK || rep.Digest == [32]byte{} {
			t.Errorf("%v: got %v, %+v", c, got, rep)
		}
		if calls < 2 || last != r.Size() {
			t.Errorf("progress: %d calls, the last at %d", calls, last)
		}
		buf := make([]byte, 4096)
		for i := range int64(245) {
			n, err := r.ReadAt(buf, i*4096)
			want := data[i*4096 : min((i+1)*4096, 1_000_000)]
			isBad := bytes.Contains([]byte{0, 7, 8, 9, 63, 64, 200, 244}, []byte{byte(i)})
			switch {
			case isBad && (n != 0 || classOf(err) != "corrupt"):
				t.Errorf("block %d: %d, %v", i, n, err)
			case !isBad && !bytes.Equal(buf[:n], want):
				t.Errorf("block %d: %d, %v", i, n, err)
			}
		}
		// A read that runs into damage gives what comes before.
		large := make([]byte, 100_000)
		if n, err := r.ReadAt(large, 5000); n != 7*4096-5000 || !bytes.Equal(large[:n], data[5000:5000+n]) || classOf(err) != "corrupt" {
			t.Errorf("%d, %v", n, err)
		}
		var out bytes.Buffer
		file[HeaderSize] ^= 0x10
		if n, err := mustOpen(t, file).WriteTo(&out); n != 7*4096 || !strings.Contains(err.Error(), "block 7 (bytes 28672 to 32767, pixel rows 95 to 109)") {
			t.Errorf("%d, %v", n, err)
		}
	}
}

func TestCheckDamagedTrailer(t *testing.T) {
	data := noise(20_000)
	file := mustEncode(t, data, Options{})
	for name, b := range map[string][]byte{
		"trailer damaged": append(bytes.Clone(file[:len(file)-1]), file[len(file)-1]^1),
		"trailer cut off": file[:len(file)-50],
		"padding cut off": file[:HeaderSize+20_000],
		"more behind":     append(bytes.Clone(file), 1),
	} {
		rep, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), nil)
		if err != nil || !rep.DigestOK || rep.Faults[0].Kind != FaultStructure {
			t.Fatalf("%s: %v, %+v", name, err, rep)
		}
		r, err := OpenDamaged(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := file[:HeaderSize+19_999]
	if _, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), nil); classOf(err) != "format" {
		t.Errorf("data cut off: %v", err)
	}
}

// A disk that cannot read some sectors: their blocks are named, others read.
func TestUnreadable(t *testing.T) {
	data := noise(1_000_000)
	boom := errors.New("input/output error")
	for _, c := range []Compression{None, RLE} {
		file := mustEncode(t, data, Options{Compression: c, BlockSize: 4096})
		at := int64(HeaderSize + 50*4096 + 100)
		disk := &badDisk{file, func(off int64, n int) bool { return off <= at && at < off+int64(n) }, boom}
		r, err := NewReader(disk, int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		rep, err := r.Verify(context.Background(), nil)
		if err != nil || len(rep.Faults) != 1 || rep.Faults[0].Kind != FaultUnreadable || rep.Faults[0].Block != 50 ||
			rep.Bad != 1 || rep.DigestOK || !errors.Is(rep.Err(), boom) {
			t.Errorf("%v: %v, %+v", c, err, rep)
		}
		if _, err := r.WriteTo(io.Discard); !errors.Is(err, boom) {
			t.Errorf("%v: %v", c, err)
		}
		if _, err := r.ReadAt(make([]byte, 10), 50*4096); !errors.Is(err, boom) {
			t.Errorf("%v: %v", c, err)
		}
		if n, err := r.ReadAt(make([]byte, 10), 51*4096); n != 10 || err != nil {
			t.Errorf("%v: %d, %v", c, n, err)
		}
	}
	// Without a trailer a failed read is not remembered as damage.
	file := craft(data, 64, 512, None, nil).prototype().bytes()
	fail := true
	disk := &badDisk{file, func(off int64, n int) bool { return fail && off > 500_000 }, boom}
	r, err := NewReader(disk, int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if _, err := r.ReadAt(buf, 5); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	rep, err := r.Verify(context.Background(), nil)
	if err != nil || rep.DigestOK || rep.Faults[0].Kind != FaultUnreadable || rep.Faults[0].Block != 128 || rep.Bad != 117 {
		t.Errorf("%v, %+v", err, rep)
	}
	fail = false
	if n, err := r.ReadAt(buf, 5); n != 10 || err != nil || !bytes.Equal(buf, data[5:15]) {
		t.Errorf("%d, %v", n, err)
	}
	// Once proven, later changes are noticed block by block.
	file[HeaderSize+6] ^= 1
	if _, err := r.ReadAt(buf, 5); classOf(err) != "corrupt" {
		t.Errorf("got %v", err)
	}
}

func TestVerifyStops(t *testing.T) {
	r := mustOpen(t, mustEncode(t, noise(2<<20), Options{}))
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	_, err := r.Verify(ctx, func(done, total int64) {
		if n++; n == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || n != 2 {
		t.Errorf("%d calls, %v", n, err)
	}
}

func TestWriterFails(t *testing.T) {
	data := noise(600_000)
	full := errors.New("no space left")
	for _, opt := range []Options{{}, {Compression: LZ4}, {Compression: Auto}} {
		size := len(mustEncode(t, data, opt))
		for room := 0; room < size; room += size / 40 {
			w, err := NewWriter(&fullDisk{room: room, err: full}, opt)
			if err != nil {
				t.Fatal(err)
			}
			var first error
			for rest := data; len(rest) > 0 && first == nil; rest = rest[30_000:] {
				_, first = w.Write(rest[:30_000])
			}
			if _, err := w.Close(); !errors.Is(err, full) {
				t.Fatalf("room for %d of %d bytes: %v", room, size, err)
			}
			if _, err := w.Write(data[:1]); err == nil {
				t.Fatal("written after Close")
			}
			if _, err := w.Close(); err == nil {
				t.Fatal("closed twice")
			}
		}
	}
	w, _ := NewWriter(&memory{}, Options{})
	if _, err := w.ReadFrom(io.MultiReader(bytes.NewReader(data), &brokenReader{})); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	if _, err := w.ReadFrom(&brokenReader{idle: true}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
	// An error of the source is the caller's to judge: the writer goes on.
	if h, err := w.Close(); err != nil || h.Size != 600_000 {
		t.Errorf("%+v, %v", h, err)
	}
	for name, opt := range map[string]Options{
		"width":       {Width: MaxWidth + 1},
		"block":       {BlockSize: 511},
		"large block": {BlockSize: MaxBlock + 1},
		"compression": {Compression: 9},
		"hint":        {Hint: -1},
	} {
		if _, err := NewWriter(&memory{}, opt); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

var errBroken = errors.New("broken")

type brokenReader struct{ idle bool }

func (r *brokenReader) Read([]byte) (int, error) {
	if r.idle {
		return 0, nil
	}
	return 0, errBroken
}

// zeros is a sparse file: prefix, then zeros for ever.
type zeros []byte

func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(z)) {
		copy(p, z[off:])
	}
	return len(p), nil
}

// A forged count costs no memory, even where the file is as long as it says.
func TestForgedCounts(t *testing.T) {
	const size = 1 << 34 // 4 Mi blocks of 4096, 32 MiB of tables
	c := craft(nil, 1<<20, 4096, LZ4, [][]byte{})
	c.size, c.count, c.stored = size, size/4096, size/4096
	c.height = uint32((c.stored/3 + 1<<20) >> 20)
	c.trailer = 64 + uint64(c.height)*3<<20
	head := c.bytes()
	file := make(zeros, c.trailer+28)
	copy(file, head[:64])
	copy(file[c.trailer:], head[64:92])
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := NewReader(file, int64(c.trailer)+28+8*int64(c.count)+32)
	runtime.ReadMemStats(&after)
	if ruleOf(err) != "PXI-T8" {
		t.Errorf("got %v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
		t.Errorf("%d bytes were taken", n)
	}
	c.size, c.count = maxSize, maxSize/4096
	binary.BigEndian.PutUint64(file[6:], c.size)
	binary.BigEndian.PutUint64(file[c.trailer+12:], c.count)
	if _, err := NewReader(file, 1<<62); ruleOf(err) != "PXI-T5" || classOf(err) != "unsupported" {
		t.Errorf("got %v", err)
	}
}

// Partial reads of uncompressed files take no memory once warm.
func TestReadAtAllocates(t *testing.T) {
	file := mustEncode(t, noise(300_000), Options{})
	mem, err := NewBytesReader(file)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10_000)
	for name, r := range map[string]*Reader{"file": mustOpen(t, file), "memory": mem} {
		for _, c := range []struct{ off, n int64 }{{0, 4096}, {100, 4096}, {5, 1}, {4096, 8192}, {1, 10_000}} {
			got := testing.AllocsPerRun(100, func() {
				if _, err := r.ReadAt(buf[:c.n], c.off); err != nil {
					t.Fatal(err)
				}
			})
			// The race detector and a collection in between may empty the pool.
			if got > 0 && !raceEnabled {
				t.Errorf("%s, %+v: %v allocations", name, c, got)
			}
		}
	}
}

func TestReadersTogether(t *testing.T) {
	data := append(text(400_000), noise(300_000)...)
	files := map[string][]byte{
		"plain":     mustEncode(t, data, Options{}),
		"rle":       mustEncode(t, data, Options{Compression: RLE, BlockSize: 5000}),
		"lz4":       mustEncode(t, data, Options{Compression: LZ4}),
		"prototype": craft(data, 100, 512, None, nil).prototype().bytes(),
	}
	for name, file := range files {
		mem, err := NewBytesReader(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*Reader{mustOpen(t, file), mem} {
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					rng := rand.New(rand.NewPCG(uint64(g), 1))
					buf := make([]byte, 200_000)
					for range 40 {
						off := rng.IntN(len(data) + 10)
						p := buf[:rng.IntN(1<<rng.IntN(17))]
						n, err := r.ReadAt(p, int64(off))
						want := data[min(off, len(data)):min(off+len(p), len(data))]
						if !bytes.Equal(p[:n], want) || (n < len(p)) != (err == io.EOF) {
							t.Errorf("%s: %d bytes at %d: %d, %v", name, len(p), off, n, err)
							return
						}
					}
					if _, err := r.WriteTo(io.Discard); err != nil {
						t.Error(err)
					}
				}()
			}
			wg.Wait()
		}
	}
}

func TestReadBlock(t *testing.T) {
	data := text(100_000)
	for _, c := range []Compression{None, RLE, LZ4} {
		r := mustOpen(t, mustEncode(t, data, Options{Compression: c, BlockSize: 7000}))
		size, n := r.Blocks()
		var got, b []byte
		var err error
		for i := range n {
			if b, err = r.ReadBlock(b, i); err != nil {
				t.Fatal(err)
			}
			got = append(got, b...)
		}
		if size != 7000 || n != 15 || !bytes.Equal(got, data) {
			t.Errorf("%v: %d blocks of %d", c, n, size)
		}
		for _, i := range []int64{-1, n, 1 << 62} {
			if _, err := r.ReadBlock(nil, i); err == nil {
				t.Errorf("block %d was read", i)
			}
		}
	}
}

func TestAutoChooses(t *testing.T) {
	var runs []byte
	for _, v := range noise(40_000) {
		runs = append(runs, bytes.Repeat([]byte{v}, 8)...)
	}
	words := bytes.Repeat([]byte("a page of words, not of runs; "), 10_000)
	for name, c := range map[string]struct {
		data []byte
		want Compression
	}{
		"runs": {runs, RLE}, "words": {words, LZ4}, "noise": {noise(300_000), None}, "little": {[]byte("aaaaaaaaaa"), None},
		"zeros": {make([]byte, 300_000), LZ4}, "a row": {runs[:3000], None}, // the picture would not get smaller
		"some rows":        {words[:20_000], LZ4},
		"mostly noise":     {append(noise(290_000), runs...), None},
		"empty":            {nil, None},
		"noise after runs": {append(bytes.Clone(runs), noise(300_000)...), RLE},
	} {
		h := mustOpen(t, mustEncode(t, c.data, Options{Compression: Auto})).Header()
		if h.Compression != c.want {
			t.Errorf("%s: %v, want %v", name, h.Compression, c.want)
		}
	}
}

// Memory is bounded, whatever the length of the stream.
func TestMemoryIsBounded(t *testing.T) {
	const size = 128 << 20
	piece := text(100_000)
	for _, c := range []Compression{None, RLE, LZ4} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w, err := NewWriter(discard{}, Options{Compression: c})
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < size; n += len(piece) {
			if _, err := w.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 6<<20 {
			t.Errorf("%v: %d bytes were taken", c, n)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error)            { return len(p), nil }
func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// Small files are taken into memory when they are opened; Verify must still
// look at the disk, and a bad sector must not hide the rest.
func TestSmallFiles(t *testing.T) {
	data := noise(10_000)
	file := mustEncode(t, data, Options{Width: 10})
	boom := errors.New("input/output error")
	disk := &badDisk{file, func(off int64, n int) bool { return off+int64(n) > 5000 && off < 5001 }, boom}
	r, err := NewReader(disk, int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1000)
	if n, err := r.ReadAt(buf, 9000); n != 1000 || err != nil || !bytes.Equal(buf, data[9000:]) {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := r.ReadAt(buf, 4900); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	r = mustOpen(t, file)
	file[HeaderSize+4096] ^= 1
	rep, err := r.Verify(context.Background(), nil)
	if err != nil || len(rep.Faults) != 1 || rep.Faults[0].Block != 1 {
		t.Errorf("%v, %+v", err, rep)
	}
}
