package pxa

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"testing"
)

// TestCover checks that the own deflate encoder says what the cover is, at
// every width, and that the cover keeps its promises.
func TestCover(t *testing.T) {
	for i, name := range []string{"hello", "life", "a name that is too long for its line by far", "", "αβγ\x00\x1b[0m"} {
		d := Digest(sha256.Sum256([]byte(name)))
		c := drawCover(d, title{name, fmt.Sprintf("1.%d.0", i)})
		colours := map[rgb]bool{}
		for y := range c {
			for _, px := range c[y] {
				colours[px] = true
			}
		}
		if len(colours) <= 256 {
			t.Errorf("%q: %d colours fit a palette", name, len(colours))
		}
		for _, w := range widths {
			if w > 1024 && i > 0 {
				break // the largest take a second each
			}
			data, sum := c.encode(w)
			tail := binary.BigEndian.AppendUint32([]byte{1, 0, 0, 0xff, 0xff}, sum.value())
			z, err := zlib.NewReader(io.MultiReader(bytes.NewReader(data), bytes.NewReader(tail)))
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			cur, prev := make([]byte, 1+3*w), make([]byte, 1+3*w)
			for y := range coverRowsFor(w) {
				cur, prev = prev, cur
				if _, err := io.ReadFull(z, cur); err != nil {
					t.Fatalf("%q: width %d: row %d: %v", name, w, y, err)
				}
				for k := 1; k < len(cur); k++ {
					switch {
					case cur[0] == 2:
						cur[k] += prev[k]
					case cur[0] == 1 && k > 3:
						cur[k] += cur[k-3]
					}
				}
				h.Write(cur[1:])
			}
			if n, err := z.Read(cur); n != 0 || err != io.EOF {
				t.Errorf("%q: width %d: %d more bytes, %v", name, w, n, err)
			}
			if Digest(h.Sum(nil)) != c.sum(w) {
				t.Errorf("%q: width %d: decoded cover is another one", name, w)
			}
			if w == coverWidth && len(data) > 1800 {
				t.Errorf("%q: the small cover takes %d bytes", name, len(data))
			}
		}
	}
}

// TestCoverGolden pins cover and encoder for ever: other bytes here mean that
// cartridges packed before no longer check.
func TestCoverGolden(t *testing.T) {
	c := drawCover(Digest(sha256.Sum256([]byte("golden"))), title{"golden", "1.0.0"})
	h := sha256.New()
	for _, w := range widths {
		data, _ := c.encode(w)
		h.Write(data)
	}
	const wantPixels = "2544fb2e67a34486596f5e9539710fca6c3d7a0423791b6a896f4f889ca21eaf"
	const wantData = "5e76a85dcab5460e5804a44b01749d3b08ad8f06fa1b6a5b7a8ab79bc364ec9e"
	if got := c.sum(coverWidth).String(); got != wantPixels {
		t.Errorf("pixels %s, want %s", got, wantPixels)
	}
	if got := Digest(h.Sum(nil)).String(); got != wantData {
		t.Errorf("encoded %s, want %s", got, wantData)
	}
	// With PXA_COVER_SHEET naming a file, a sheet of covers to look at.
	if name := os.Getenv("PXA_COVER_SHEET"); name != "" {
		writeSheet(t, name)
	}
}

func writeSheet(t *testing.T, name string) {
	img := image.NewRGBA(image.Rect(0, 0, 2*264, 10*104))
	for i := range 20 {
		text := title{fmt.Sprintf("number %d", i), "1.0.0"}
		c := drawCover(Digest(sha256.Sum256([]byte(text.name))), text)
		for y := range c {
			for x, p := range c[y] {
				img.Set(i%2*264+x, i/2*104+y, color.RGBA{byte(p), byte(p >> 8), byte(p >> 16), 255})
			}
		}
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func FuzzDeflate(f *testing.F) {
	f.Add([]byte("pixels pixels pixels all the way down"))
	f.Add(bytes.Repeat([]byte{0}, 1000))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		var w deflater
		w.compress(p)
		var out bitWriter
		out.block(w.tokens)
		got, err := io.ReadAll(flate.NewReader(bytes.NewReader(append(out.out, 1, 0, 0, 0xff, 0xff))))
		if err != nil || !bytes.Equal(got, p) {
			t.Fatalf("%d bytes came back as %d: %v", len(p), len(got), err)
		}
	})
}

func BenchmarkCover(b *testing.B) {
	for _, w := range []int{256, 1024, 16128} {
		b.Run(fmt.Sprintf("width=%d", w), func(b *testing.B) {
			for b.Loop() {
				drawCover(Digest(sha256.Sum256([]byte("hello"))), title{"hello", "1.0.0"}).encode(w)
			}
		})
	}
}
