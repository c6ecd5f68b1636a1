package pxa

import (
	"bytes"
	"image/png"
	"io"
	"math/rand/v2"
	"testing"
	"testing/fstest"
)

const manifest = "name = \"probe\"\nversion = \"1.2.3\"\n"

// plain is a file in memory that does not say so.
func plain(b []byte) io.ReaderAt { return bytes.NewReader(b) }

func inMemory(b []byte) Bytes { return Bytes(b) }

func noise(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func mustPack(t testing.TB, opts *PackOptions, sources ...Source) ([]byte, Digest) {
	t.Helper()
	var b bytes.Buffer
	d, err := Pack(t.Context(), &b, sources, opts)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), d
}

func TestRoundTrip(t *testing.T) {
	text := bytes.Repeat([]byte("pixels all the way down. "), 4000)
	tests := []struct {
		name    string
		xz      bool
		sources []Source
	}{
		{"nothing", false, nil},
		{"manifest only", false, []Source{BytesSource(ManifestName, []byte(manifest))}},
		{"empty files", false, []Source{BytesSource("a", nil), BytesSource("b/c", nil), BytesSource("z", nil)}},
		{"one row exactly", false, []Source{BytesSource("a", noise(1, 768-headerSize-recordFixed-1-15))}},
		{"many", false, []Source{BytesSource("x/y/z.bin", noise(2, 100_000)), BytesSource(ManifestName, []byte(manifest)), BytesSource("x.txt", text), BytesSource("ünïcode/日本", noise(3, 5))}},
		{"xz", true, []Source{BytesSource("noise", noise(4, 9000)), BytesSource(ManifestName, []byte(manifest)), BytesSource("text", text), BytesSource("zero", make([]byte, 50_000))}},
		{"several chunks", false, []Source{BytesSource("big", noise(5, 3_500_000)), BytesSource(ManifestName, []byte(manifest))}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, d := mustPack(t, &PackOptions{XZ: tt.xz}, tt.sources...)
			if _, err := png.Decode(bytes.NewReader(b)); err != nil {
				t.Fatal("image/png:", err)
			}
			r, err := OpenVerified(t.Context(), plain(b), int64(len(b)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.own.Load() == nil {
				t.Fatal("the writer's own layout was not recognised")
			}
			rep, err := r.Verify(t.Context(), nil)
			if err != nil || rep.Digest != d || rep.Entries != len(tt.sources) {
				t.Fatalf("verify: %+v, %v", rep, err)
			}
			m, err := OpenVerified(t.Context(), inMemory(b), int64(len(b)), nil)
			if err != nil {
				t.Fatal(err)
			}
			g, err := Open(plain(b), int64(len(b)), nil)
			if err != nil {
				t.Fatal(err)
			}
			g.own.Store(nil)
			if rep, err := g.Verify(t.Context(), nil); err != nil || rep.Digest != d {
				t.Fatalf("general: %+v, %v", rep, err)
			}
			var names []string
			for _, s := range tt.sources {
				src, _ := s.Open()
				var want bytes.Buffer
				want.ReadFrom(src)
				names = append(names, s.Path)
				for _, rd := range []*Reader{r, m, g} {
					got, err := rd.ReadFile(s.Path)
					if err != nil || !bytes.Equal(got, want.Bytes()) {
						t.Errorf("%s: %d bytes, %v", s.Path, len(got), err)
					}
				}
			}
			if len(names) > 0 && len(b) < 1<<20 {
				for _, rd := range []*Reader{r, g} {
					if err := fstest.TestFS(rd.FS(), names...); err != nil {
						t.Error(err)
					}
				}
			}
			again, _ := mustPack(t, &PackOptions{XZ: tt.xz}, tt.sources...)
			if !bytes.Equal(b, again) {
				t.Error("packing again gave other bytes")
			}
			t.Log(len(b), "bytes")
		})
	}
}
