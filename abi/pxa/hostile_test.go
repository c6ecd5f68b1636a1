package pxa

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestTruncated cuts a cartridge at every byte, and a larger one around every
// boundary of its layout.
func TestTruncated(t *testing.T) {
	small := picture(craftArchive(lies{}, baseParts()...), manifest)
	for n := range small {
		if got := outcome(t, plain(small[:n]), int64(n), false); strings.HasPrefix(got, "ok") || strings.HasPrefix(got, "error") {
			t.Errorf("%d of %d bytes: %s", n, len(small), got)
		}
	}
	large, _ := mustPack(t, nil, BytesSource("big", noise(1, 3_300_000)), BytesSource(ManifestName, []byte(manifest)))
	g := geometryFor(3_300_000 + 300)
	body := int64(len(large)) - iendSize - g.bodySize()
	cuts := []int64{body}
	for b := range g.blocks() {
		cuts = append(cuts, body+g.blockOffset(b), body+g.blockOffset(b)+5, body+g.blockOffset(b)+5+g.stride())
	}
	for _, at := range cuts {
		for _, n := range []int64{at - 1, at, at + 1} {
			if _, err := Open(plain(large[:n]), n, nil); err == nil {
				t.Errorf("opened %d of %d bytes", n, len(large))
			}
		}
	}
	// A file that says it is longer than it is.
	if _, err := OpenVerified(t.Context(), plain(small[:len(small)-20]), int64(len(small)), nil); err == nil {
		t.Error("opened a file shorter than its size")
	}
}

// TestEveryBit flips each bit of a small cartridge: it is refused, or it is
// the same cartridge still.
func TestEveryBit(t *testing.T) {
	b, digest := mustPack(t, nil, BytesSource("a", noise(3, 300)), BytesSource(ManifestName, []byte(manifest)))
	var (
		wg   sync.WaitGroup
		same atomic.Int64
	)
	step := runtime.GOMAXPROCS(0)
	if testing.Short() {
		step *= 13
	}
	for k := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			b := bytes.Clone(b)
			for i := k; i < 8*len(b); i += step {
				b[i/8] ^= 1 << (i % 8)
				got := outcome(t, inMemory(b), int64(len(b)), false)
				b[i/8] ^= 1 << (i % 8)
				switch {
				case got == "ok "+digest.String():
					same.Add(1)
				case strings.HasPrefix(got, "ok"), strings.HasPrefix(got, "part"), strings.HasPrefix(got, "error"):
					t.Errorf("bit %d of byte %d: %s", i%8, i/8, got)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d bytes; %d flips left the same cartridge", len(b), same.Load())
}

// TestReEncoded writes the same pixels in other ways and reads them back.
func TestReEncoded(t *testing.T) {
	b, digest := mustPack(t, nil, BytesSource("a", noise(4, 40_000)), BytesSource("b.txt", bytes.Repeat([]byte("text "), 5000)), BytesSource(ManifestName, []byte(manifest)))
	r := rasterOf(t, b)
	text := appendChunk(appendChunk(nil, "tEXt", []byte("Software\x00test")), "gAMA", []byte{0, 0, 0xb1, 0x8f})
	tests := map[string]encoding{
		"stored":        {},
		"huffman":       {level: -2},
		"best":          {level: 9},
		"sub":           {filter: 1, level: 1},
		"up":            {filter: 2, level: 1},
		"average":       {filter: 3, level: 1},
		"paeth":         {filter: 4, level: 6},
		"all filters":   {filter: 5, level: 6},
		"adam7":         {filter: 5, level: 6, interlace: true},
		"rgba":          {filter: 5, level: 6, rgba: true},
		"rgba adam7":    {filter: 4, level: 6, rgba: true, interlace: true},
		"idat 1 byte":   {level: 1, split: 1},
		"idat 8192":     {filter: 5, level: 1, split: 8192},
		"text and gama": {level: 6, before: text, after: text},
	}
	for name, o := range tests {
		t.Run(name, func(t *testing.T) {
			f := r.encode(o)
			checkCopy(t, f, digest)
		})
	}
}

// checkCopy opens a re-encoded cartridge and reads all of it.
func checkCopy(t *testing.T, f []byte, digest Digest) {
	t.Helper()
	c, err := Open(plain(f), int64(len(f)), nil)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := c.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Digest != digest {
		t.Errorf("digest %s, want %s", rep.Digest, digest)
	}
	if i, err := c.Inspect(); err != nil || !strings.HasPrefix(i.Encoding, "re-encoded") {
		t.Errorf("inspect: %+v, %v", i, err)
	}
	if m, err := c.Manifest(); err != nil || string(m) != manifest {
		t.Errorf("manifest %q, %v", m, err)
	}
}

// TestTools runs the programs that people shrink and convert PNG files with.
func TestTools(t *testing.T) {
	tools := []struct {
		name string
		args func(in, out string) []string
	}{
		{"optipng", func(in, out string) []string { return []string{"optipng", "-quiet", "-o2", "-out", out, in} }},
		{"optipng", func(in, out string) []string { return []string{"optipng", "-quiet", "-o1", "-i1", "-out", out, in} }},
		{"pngcrush", func(in, out string) []string { return []string{"pngcrush", "-q", in, out} }},
		{"zopflipng", func(in, out string) []string {
			return []string{"zopflipng", "-y", "--iterations=1", "--filters=01", "--lossy_8bit", in, out}
		}},
		{"convert", func(in, out string) []string { return []string{"convert", in, out} }},
		{"convert", func(in, out string) []string {
			return []string{"convert", in, "-interlace", "PNG", "-set", "comment", "by a test", out}
		}},
		{"convert", func(in, out string) []string { return []string{"convert", in, "png32:" + out} }},
	}
	dir := t.TempDir()
	var files []string
	var digests []Digest
	for i, sources := range [][]Source{
		{BytesSource(ManifestName, []byte(manifest))},
		{BytesSource(ManifestName, []byte(manifest)), BytesSource("zero", make([]byte, 30_000))},
		{BytesSource(ManifestName, []byte(manifest)), BytesSource("noise", noise(9, 40_000))},
	} {
		b, d := mustPack(t, nil, sources...)
		name := filepath.Join(dir, fmt.Sprint(i, ".png"))
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		files, digests = append(files, name), append(digests, d)
	}
	for n, tool := range tools {
		t.Run(fmt.Sprint(tool.name, n), func(t *testing.T) {
			if _, err := exec.LookPath(tool.name); err != nil {
				if os.Getenv("PXOS_TEST_FORBID_SKIP") == "1" {
					t.Fatalf("%s is not installed and skips are forbidden", tool.name)
				}
				t.Skipf("%s is not installed", tool.name)
			}
			for i, in := range files {
				out := filepath.Join(dir, fmt.Sprintf("out%d-%d.png", n, i))
				args := tool.args(in, out)
				if msg, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", args, err, msg)
				}
				b, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				checkCopy(t, b, digests[i])
			}
		})
	}
}

// TestRestart reads a re-encoded picture that is larger than the memory
// allowed for it, forwards and backwards.
func TestRestart(t *testing.T) {
	big := noise(5, 200_000)
	b, _ := mustPack(t, nil, BytesSource("a", big), BytesSource("b", noise(6, 1000)))
	f := rasterOf(t, b).encode(encoding{filter: 5, level: 1})
	r, err := Open(plain(f), int64(len(f)), &Options{Limits: Limits{Memory: 10_000}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, name := range []string{"b", "a"} {
			if _, err := r.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	s, err := r.Section("a")
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 1000)
	for off := int64(199_000); off >= 0; off -= 49_000 {
		if _, err := s.ReadAt(p, off); err != nil || !bytes.Equal(p, big[off:off+1000]) {
			t.Fatalf("at %d: %v", off, err)
		}
	}
	g := rasterOf(t, b).encode(encoding{level: 1, interlace: true})
	var limit *LimitError
	if _, err := Open(plain(g), int64(len(g)), &Options{Limits: Limits{Memory: 10_000}}); !errors.As(err, &limit) {
		t.Errorf("interlaced over the limit: %v", err)
	}
}

// TestMemory holds bombs to the memory that their stored size justifies.
func TestMemory(t *testing.T) {
	base := rasterOf(t, picture(craftArchive(lies{}, baseParts()...), manifest))
	bombs := map[string][]byte{
		"deflate": base.encode(encoding{level: 9, raw: func(raw []byte) []byte { return append(raw, make([]byte, 64<<20)...) }}),
		"entries": picture(craftArchive(lies{header: func(h []byte) { h[12], h[14] = 0, 0xff }}, baseParts()...), manifest),
		"size":    picture(craftArchive(lies{entries: func(e []Entry) { e[1].Codec, e[1].Size = XZ, 1<<31 }}, baseParts()...), manifest),
	}
	for name, file := range bombs {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if got := outcome(t, plain(file), int64(len(file)), false); strings.HasPrefix(got, "ok") {
				t.Fatal(got)
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("%d bytes allocated for a file of %d", n, len(file))
			}
		})
	}
}

// changing is a file whose bytes are exchanged while it is read.
type changing struct {
	mu sync.Mutex
	b  []byte
}

func (c *changing) ReadAt(p []byte, off int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.NewReader(c.b).ReadAt(p, off)
}

func (c *changing) set(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.b = b
}

// TestReplaced exchanges a cartridge for one with other contents and the same
// sizes after it was opened: nothing of the other one is taken for the first.
func TestReplaced(t *testing.T) {
	one, _ := mustPack(t, nil, BytesSource("a", noise(1, 5000)), BytesSource(ManifestName, []byte(manifest)))
	two, _ := mustPack(t, nil, BytesSource("a", noise(2, 5000)), BytesSource(ManifestName, []byte(manifest)))
	c := &changing{b: one}
	r, err := OpenVerified(t.Context(), c, int64(len(one)), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.set(two)
	if _, err := r.ReadFile("a"); err == nil {
		t.Error("read after the exchange")
	}
	if _, err := r.Verify(t.Context(), nil); err == nil {
		t.Error("verified after the exchange")
	}
	c.set(two[:100])
	if _, err := r.ReadFile("a"); err == nil {
		t.Error("read from a file that was cut")
	}
}

// TestUnknownCodec fails for the one entry and for no other.
func TestUnknownCodec(t *testing.T) {
	parts := append(baseParts(), part{path: "future", data: []byte("?"), codec: 9, content: []byte("something else")})
	f := picture(craftArchive(lies{}, parts...), manifest)
	r, err := OpenVerified(t.Context(), plain(f), int64(len(f)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Entries()); n != 3 {
		t.Errorf("%d entries listed", n)
	}
	var u *UnsupportedError
	if _, err := r.ReadFile("future"); !errors.As(err, &u) {
		t.Errorf("unknown codec: %v", err)
	}
	if _, err := r.ReadFile("data/notes.txt"); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := r.Unpack(t.Context(), dir, nil); !errors.As(err, &u) {
		t.Errorf("unpack: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "notes.txt")); err != nil {
		t.Error(err)
	}
	if _, ok := r.Lookup("nothing"); ok {
		t.Error("found what is not there")
	}
	if _, err := r.Open("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := io.ReadAll(io.NewSectionReader(archiveBytes{r}, 1<<40, 1)); err != nil {
		t.Error("reading past the end:", err)
	}
}
