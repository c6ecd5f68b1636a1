package pxa

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
)

func TestValidPath(t *testing.T) {
	for _, good := range []string{"a", "a/b/c.txt", ".hidden", "a b", "ünï/日本語.txt", "console", "com10", "nul-and-void", "a..b", "...a", "x#%&{}$!'@+=`~[]();,^-_", strings.Repeat("x", 255)} {
		if err := ValidPath(good); err != nil {
			t.Error(err)
		}
	}
	// The vectors named name-* hold the bad ones.
	var fe *FormatError
	if err := ValidPath("..\\a"); !errors.As(err, &fe) || fe.ID != "PXA-N5" {
		t.Error(err)
	}
}

func TestParseDigest(t *testing.T) {
	hex := strings.Repeat("0a", 32)
	for _, good := range []string{hex, "sha256:" + hex, strings.ToUpper(hex)} {
		if d, err := ParseDigest(good); err != nil || d.String() != hex || d.Short() != hex[:12] {
			t.Errorf("%q: %v, %v", good, d, err)
		}
	}
	for _, bad := range []string{"", hex[1:], hex + "0", "md5:" + hex, strings.Repeat("zz", 32)} {
		if _, err := ParseDigest(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestConcurrent uses one reader from many goroutines, for both ways to read.
func TestConcurrent(t *testing.T) {
	a, b := noise(1, 90_000), bytes.Repeat([]byte("text "), 9000)
	file, digest := mustPack(t, &PackOptions{XZ: true}, BytesSource("a", a), BytesSource("b", b), BytesSource(ManifestName, []byte(manifest)))
	other := rasterOf(t, file).encode(encoding{filter: 5, level: 1})
	for name, f := range map[string][]byte{"native": file, "general": other} {
		t.Run(name, func(t *testing.T) {
			r, err := Open(plain(f), int64(len(f)), nil)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if got, err := r.ReadFile("a"); err != nil || !bytes.Equal(got, a) {
						t.Error(err)
					}
				})
				wg.Go(func() {
					src, err := r.Open("b")
					if err != nil {
						t.Error(err)
						return
					}
					defer src.Close()
					if got, err := io.ReadAll(src); err != nil || !bytes.Equal(got, b) {
						t.Error(err)
					}
				})
				wg.Go(func() {
					if d, err := r.Digest(t.Context()); err != nil || d != digest {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// TestAgreement lets the two ways to read judge a file in the writer's layout
// with a single row filtered otherwise: a valid picture that only looks like
// the writer's.
func TestAgreement(t *testing.T) {
	file, digest := mustPack(t, nil, BytesSource("a", noise(1, 5000)))
	cs := chunks(file)
	body := cs[2]
	g := geometryFor(5000 + 200)
	row := body.at + 8 + 5 + 2*int(g.stride()) // the third archive row
	b := edited(file, func(b []byte) {
		b[row] = 2
		for i := 1; i < int(g.stride()); i++ {
			b[row+i] -= file[row-int(g.stride())+i]
		}
		var sum adler
		_, top := drawCover(digest, title{}).encode(g.width)
		sum.join(top)
		sum.update(b[body.at+8+5 : body.at+body.size-8])
		tail := body.at + body.size - 8
		b[tail], b[tail+1], b[tail+2], b[tail+3] = byte(sum.value()>>24), byte(sum.value()>>16), byte(sum.value()>>8), byte(sum.value())
	})
	reseal(b)
	for range 2 {
		r, err := Open(plain(b), int64(len(b)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadFile("a"); err != nil {
			t.Error(err)
		}
		if d, err := r.Digest(t.Context()); err != nil || d != digest {
			t.Errorf("%v, %v", d, err)
		}
		if i, err := r.Inspect(); err != nil || i.Encoding != "re-encoded" {
			t.Errorf("%+v, %v", i.Encoding, err)
		}
	}
}

// Resume skips the check of a file that may be what was checked, and of no other.
func TestResume(t *testing.T) {
	data, want := mustPack(t, nil, BytesSource("a", noise(1, 3000)), BytesSource(ManifestName, []byte(manifest)))
	open := func(b []byte) *Reader {
		t.Helper()
		r, err := Open(Bytes(b), int64(len(b)), nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open(data)
	if !r.Native() {
		t.Error("what Pack wrote is not native")
	}
	planted := Digest{1}
	if !r.Resume(planted) {
		t.Error("a digest is not taken over")
	}
	if d, err := r.Check(t.Context(), nil); err != nil || d != planted {
		t.Errorf("Check gives %s, %v", d, err)
	}
	if r.Resume(Digest{2}) {
		t.Error("a second digest is taken over")
	}
	if _, err := r.Verify(t.Context(), nil); err == nil {
		t.Error("Verify believes a digest that is not the file's")
	}
	r = open(data)
	if d, err := r.Check(t.Context(), nil); err != nil || d != want || !r.Native() {
		t.Fatalf("Check gives %s, %v, native %v", d, err, r.Native())
	}
	if r.Resume(planted) {
		t.Error("a checked file takes over another digest")
	}
	r = open(rasterOf(t, data).encode(encoding{filter: 5, level: 1}))
	if r.Native() || r.Resume(planted) {
		t.Error("a file in another layout is native, or takes over a digest")
	}
}
