package mapview

import (
	"bytes"
	"image"
	"image/png"
	"math/rand/v2"
	"testing"
)

// pixels makes w × h pixels with about a number of colours.
func pixels(w, h, colours int, rng *rand.Rand) []byte {
	palette := make([]byte, 3*colours)
	for i := range palette {
		palette[i] = byte(rng.Uint32())
	}
	out := make([]byte, 0, 3*w*h)
	for range w * h {
		c := rng.IntN(colours)
		out = append(out, palette[3*c:3*c+3]...)
	}
	return out
}

// sameImage decodes a PNG with the standard library and compares it with the pixels.
func sameImage(t *testing.T, file, rgb []byte, w, h int) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds() != image.Rect(0, 0, w, h) {
		t.Fatalf("bounds are %v, want %d × %d", img.Bounds(), w, h)
	}
	for i := range w * h {
		r, g, b, a := img.At(i%w, i/w).RGBA()
		if got := [4]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8), byte(a >> 8)}; got != [4]byte{rgb[3*i], rgb[3*i+1], rgb[3*i+2], 255} {
			t.Fatalf("pixel (%d,%d) is %v, want %v", i%w, i/w, got, rgb[3*i:3*i+3])
		}
	}
}

func TestEncodePNG(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name          string
		w, h, colours int
		colourType    byte
		depth         byte
	}{
		{"one colour", 256, 256, 1, 3, 1},
		{"two colours", 9, 5, 2, 3, 1},
		{"three colours", 7, 3, 3, 3, 2},
		{"sixteen colours, odd width", 31, 33, 16, 3, 4},
		{"seventeen colours", 64, 64, 17, 3, 8},
		{"256 colours", 256, 256, 256, 3, 8},
		{"257 colours", 256, 256, 257, 2, 8},
		{"every pixel another", 256, 256, 1 << 20, 2, 8},
		{"one pixel", 1, 1, 1, 3, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			rgb := pixels(c.w, c.h, c.colours, rng)
			file := encodePNG(rgb, c.w, c.h)
			sameImage(t, file, rgb, c.w, c.h)
			if file[24] != c.depth || file[25] != c.colourType {
				t.Errorf("depth %d, colour type %d, want %d and %d", file[24], file[25], c.depth, c.colourType)
			}
			if again := encodePNG(rgb, c.w, c.h); !bytes.Equal(file, again) {
				t.Error("the same pixels gave another file")
			}
		})
	}
}

func FuzzEncodePNG(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6}, uint8(2), uint16(3))
	f.Add([]byte{0}, uint8(1), uint16(300))
	f.Fuzz(func(t *testing.T, seed []byte, width uint8, more uint16) {
		w := int(width%64) + 1
		rng := rand.New(rand.NewPCG(uint64(len(seed)), uint64(more)))
		rgb := append([]byte(nil), seed[:len(seed)/3*3]...)
		rgb = append(rgb, pixels(w, 1+int(more%40), 1+int(more), rng)...)
		h := len(rgb) / 3 / w
		if h == 0 {
			return
		}
		rgb = rgb[:3*w*h]
		sameImage(t, encodePNG(rgb, w, h), rgb, w, h)
	})
}

// The peer is image/png at its fastest setting that compresses.
func BenchmarkEncodePNG(b *testing.B) {
	w := newWorld(viewSize, 2600)
	terrain, _, _ := w.Tile(0, -1, -1)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name string
		rgb  []byte
	}{
		{"terrain", terrain},
		{"noise", pixels(viewSize, viewSize, 1<<20, rng)},
		{"palette", pixels(viewSize, viewSize, 60, rng)},
		{"black", make([]byte, tileLen)},
	} {
		b.Run(c.name+"/ours", func(b *testing.B) {
			var file []byte
			b.SetBytes(tileLen)
			for b.Loop() {
				file = encodePNG(c.rgb, viewSize, viewSize)
			}
			b.ReportMetric(float64(len(file)), "file-bytes")
		})
		b.Run(c.name+"/image-png", func(b *testing.B) {
			img := image.NewNRGBA(image.Rect(0, 0, viewSize, viewSize))
			for i := range viewSize * viewSize {
				copy(img.Pix[4*i:], c.rgb[3*i:3*i+3])
				img.Pix[4*i+3] = 255
			}
			enc := png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: &onePool{}}
			var out bytes.Buffer
			b.SetBytes(tileLen)
			for b.Loop() {
				out.Reset()
				if err := enc.Encode(&out, img); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(out.Len()), "file-bytes")
		})
	}
}

type onePool struct{ b *png.EncoderBuffer }

func (p *onePool) Get() *png.EncoderBuffer  { return p.b }
func (p *onePool) Put(b *png.EncoderBuffer) { p.b = b }
