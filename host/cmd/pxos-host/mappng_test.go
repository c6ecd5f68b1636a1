package main

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"math/rand/v2"
	"testing"
)

// craftPNG makes a PNG picture of raw rows, each with its filter in front.
func craftPNG(w, h uint32, depth, kind, interlace byte, rows []byte, extra ...[]byte) []byte {
	b := []byte("\x89PNG\r\n\x1a\n")
	head := binary.BigEndian.AppendUint32(nil, w)
	head = binary.BigEndian.AppendUint32(head, h)
	b = appendChunk(b, "IHDR", append(head, depth, kind, 0, 0, interlace))
	for _, e := range extra {
		b = appendChunk(b, string(e[:4]), e[4:])
	}
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	zw.Write(rows)
	zw.Close()
	// In pieces, with an empty one, as encoders may.
	d := z.Bytes()
	for _, part := range [][]byte{d[:1], nil, d[1 : len(d)/2], d[len(d)/2:]} {
		b = appendChunk(b, "IDAT", part)
	}
	return appendChunk(b, "IEND", nil)
}

func appendChunk(b []byte, kind string, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	at := len(b)
	b = append(append(b, kind...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[at:]))
}

// rawRows are rows of n bytes with all filters in turn, the same in each run.
func rawRows(n, h int) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	var out []byte
	for y := range h {
		out = append(out, byte(y%5))
		for range n {
			out = append(out, byte(rng.Uint32()))
		}
	}
	return out
}

func chunk(kind string, body ...byte) []byte { return append([]byte(kind), body...) }

func pngSeeds() map[string][]byte {
	seeds := make(map[string][]byte)
	for _, kind := range []string{"plain", "alpha", "palette", "gray", "deep"} {
		var b bytes.Buffer
		if err := png.Encode(&b, testPicture(kind, 37, 23)); err != nil {
			panic(err)
		}
		seeds[kind] = b.Bytes()
	}
	four := []byte{0, 0, 0, 9, 8, 7, 255, 0, 255, 1, 1, 1}
	for _, c := range []struct {
		name        string
		depth, kind byte
		bits        int
		extra       [][]byte
	}{
		{"gray 1", 1, 0, 1, nil}, {"gray 2", 2, 0, 2, nil}, {"gray 4", 4, 0, 4, nil}, {"gray 16", 16, 0, 16, nil},
		{"gray 2, transparent", 2, 0, 2, [][]byte{chunk("tRNS", 0, 2)}}, {"gray 8, transparent", 8, 0, 8, [][]byte{chunk("tRNS", 0, 77)}},
		{"gray 16, transparent", 16, 0, 16, [][]byte{chunk("tRNS", 1, 2)}},
		{"rgb 8", 8, 2, 24, nil}, {"rgb 8, palette for poor screens", 8, 2, 24, [][]byte{append([]byte("PLTE"), four...)}},
		{"rgb 8, transparent", 8, 2, 24, [][]byte{chunk("tRNS", 0, 1, 0, 2, 0, 3)}}, {"rgb 16", 16, 2, 48, nil},
		{"rgb 16, transparent", 16, 2, 48, [][]byte{chunk("tRNS", 0, 1, 0, 2, 0, 3)}},
		{"palette 2", 2, 3, 2, [][]byte{append([]byte("PLTE"), four...), chunk("tRNS", 0, 100)}},
		{"gray and alpha 8", 8, 4, 16, nil}, {"gray and alpha 16", 16, 4, 32, nil}, {"rgba 8", 8, 6, 32, nil}, {"rgba 16", 16, 6, 64, nil},
		{"more chunks", 8, 6, 32, [][]byte{chunk("gAMA", 0, 0, 1, 1), chunk("tEXt", 'a', 0, 'b')}},
	} {
		seeds[c.name] = craftPNG(11, 9, c.depth, c.kind, 0, rawRows((11*c.bits+7)/8, 9), c.extra...)
	}
	return seeds
}

// readAll reads a picture with our reader, in uneven bands.
func readAll(file []byte) (*image.NRGBA, *picture, error) {
	p, err := openPicture(bytes.NewReader(file))
	if err != nil {
		return nil, nil, err
	}
	if p.width*p.height > 1<<20 {
		return nil, p, nil
	}
	img := image.NewNRGBA(image.Rect(0, 0, p.width, p.height))
	for y, n := 0, 1; y < p.height; y += n {
		n = min(y%3+1, p.height-y)
		if err := p.rows(img.Pix[y*img.Stride:][:n*img.Stride], n); err != nil {
			return nil, p, err
		}
	}
	return img, p, p.end()
}

// shown converts a pixel of image/png to what pxos-host takes: 8 bits, the upper ones.
func shown(c color.Color) color.NRGBA {
	switch c := c.(type) {
	case color.NRGBA:
		return c
	case color.NRGBA64:
		return color.NRGBA{uint8(c.R >> 8), uint8(c.G >> 8), uint8(c.B >> 8), uint8(c.A >> 8)}
	}
	return color.NRGBAModel.Convert(c).(color.NRGBA)
}

func comparePNG(t *testing.T, file []byte, got *image.NRGBA) {
	t.Helper()
	want, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return // what image/png finds fault with is compared nowhere
	}
	if got.Rect != want.Bounds() {
		t.Fatalf("the picture is %v, want %v", got.Rect, want.Bounds())
	}
	for y := range got.Rect.Dy() {
		for x := range got.Rect.Dx() {
			if g, w := got.NRGBAAt(x, y), shown(want.At(x, y)); g != w {
				t.Fatalf("pixel %d,%d is %v, want %v", x, y, g, w)
			}
		}
	}
}

// The rows are those that image/png reads all at once.
func TestPNGRows(t *testing.T) {
	for name, file := range pngSeeds() {
		t.Run(name, func(t *testing.T) {
			got, _, err := readAll(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := png.Decode(bytes.NewReader(file)); err != nil {
				t.Fatalf("the test is wrong: %v", err)
			}
			comparePNG(t, file, got)
		})
	}
}

// A picture that is cut short anywhere, or has a flipped bit, is an error: nothing of it
// gets on a map.
func TestPNGFaults(t *testing.T) {
	file := pngSeeds()["rgba 8"]
	for n := range file {
		if _, _, err := readAll(file[:n]); err == nil {
			t.Fatalf("the first %d bytes of %d were taken for a picture", n, len(file))
		}
	}
	for i := range file {
		bad := bytes.Clone(file)
		bad[i] ^= 0x10
		if _, _, err := readAll(bad); err == nil {
			t.Fatalf("a flipped bit in byte %d was not found", i)
		}
	}
	row := append([]byte{0}, make([]byte, 4)...)
	for _, tc := range []struct {
		name string
		file []byte
	}{
		{"no rows", craftPNG(1, 1, 8, 6, 0, nil)},
		{"a row too many", craftPNG(1, 1, 8, 6, 0, append(row, row...))},
		{"a filter that is none", craftPNG(1, 1, 8, 6, 0, []byte{5, 0, 0, 0, 0})},
		{"no width", craftPNG(0, 1, 8, 6, 0, row)},
		{"a huge width", craftPNG(1<<31-1, 1, 8, 6, 0, row)},
		{"too many pixels", craftPNG(1<<20, 1<<20, 8, 6, 0, row)},
		{"beyond 2^31", craftPNG(1<<31, 1, 8, 6, 0, row)},
		{"3 bits", craftPNG(1, 1, 3, 0, 0, row)},
		{"palette of 16 bits", craftPNG(1, 1, 16, 3, 0, row)},
		{"no such kind", craftPNG(1, 1, 8, 5, 0, row)},
		{"no palette", craftPNG(1, 1, 8, 3, 0, []byte{0, 0})},
		{"a long palette", craftPNG(1, 1, 1, 3, 0, []byte{0, 0}, chunk("PLTE", 1, 2, 3, 4, 5, 6, 7, 8, 9))},
		{"a colour not in the palette", craftPNG(1, 1, 8, 3, 0, []byte{0, 1}, chunk("PLTE", 1, 2, 3))},
		{"two palettes", craftPNG(1, 1, 8, 3, 0, []byte{0, 0}, chunk("PLTE", 1, 2, 3), chunk("PLTE", 1, 2, 3))},
		{"a palette and a half", craftPNG(1, 1, 8, 3, 0, []byte{0, 0}, chunk("PLTE", 1, 2, 3, 4))},
		{"transparency of alpha", craftPNG(1, 1, 8, 6, 0, row, chunk("tRNS", 0, 0))},
		{"transparency before the palette", craftPNG(1, 1, 8, 3, 0, []byte{0, 0}, chunk("tRNS", 0), chunk("PLTE", 1, 2, 3))},
		{"an unknown critical chunk", craftPNG(1, 1, 8, 6, 0, row, chunk("ABCD", 0))},
		{"an unknown way of interlacing", craftPNG(1, 1, 8, 6, 2, row)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, _, err := readAll(tc.file); err == nil {
				t.Error("it was taken for a picture")
			}
		})
	}
}

// Interlaced pictures and other kinds are held in memory.
func TestHeldPictures(t *testing.T) {
	pixel := []byte{0, 10, 20, 30, 40}
	got, _, err := readAll(craftPNG(1, 1, 8, 6, 1, pixel))
	if err != nil || got.NRGBAAt(0, 0) != (color.NRGBA{10, 20, 30, 40}) {
		t.Errorf("interlaced: %v, %v", got, err)
	}
	if _, _, err := readAll(craftPNG(1<<16, 1<<16, 8, 6, 1, pixel)); !errors.Is(err, errLargePicture) {
		t.Errorf("a large interlaced one: %v", err)
	}
	var b bytes.Buffer
	small := image.NewPaletted(image.Rect(2, 1, 4, 3), color.Palette{color.NRGBA{9, 8, 7, 255}, color.NRGBA{}})
	small.Pix[3] = 1
	if err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{small}, Delay: []int{0}, Config: image.Config{Width: 5, Height: 5, ColorModel: small.Palette}}); err != nil {
		t.Fatal(err)
	}
	got, _, err = readAll(b.Bytes())
	if err != nil || got.NRGBAAt(0, 0) != (color.NRGBA{9, 8, 7, 255}) || got.NRGBAAt(1, 1).A != 0 {
		t.Errorf("GIF: %v, %v", got, err)
	}
	for _, text := range []string{"", "x", "GIF89a", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff"} {
		if _, _, err := readAll([]byte(text)); err == nil {
			t.Errorf("%q was taken for a picture", text)
		}
	}
}

func TestBlend(t *testing.T) {
	dst := []byte{10, 20, 30, 10, 20, 30, 10, 20, 30, 0, 0, 0}
	blend(dst, []byte{200, 100, 50, 0, 200, 100, 50, 128, 200, 100, 50, 255, 255, 255, 255, 1})
	want := []byte{10, 20, 30, 105, 60, 40, 200, 100, 50, 1, 1, 1}
	if !bytes.Equal(dst, want) {
		t.Errorf("got %v, want %v", dst, want)
	}
}

func FuzzPNGRows(f *testing.F) {
	for _, file := range pngSeeds() {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) < 29 || file[28] != 0 {
			return // not for the reader of rows
		}
		got, _, err := readAll(file)
		if err == nil && got != nil {
			comparePNG(t, file, got)
		}
	})
}

// Rows, palettes and transparency of any content, with checksums that are right.
func FuzzPNGContent(f *testing.F) {
	f.Add(uint8(3), uint8(2), uint8(8), uint8(6), rawRows(12, 2), []byte{}, []byte{})
	f.Add(uint8(9), uint8(2), uint8(2), uint8(3), rawRows(3, 2), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 1, 1}, []byte{7, 8})
	f.Add(uint8(9), uint8(1), uint8(1), uint8(0), rawRows(2, 1), []byte{}, []byte{0, 1})
	f.Fuzz(func(t *testing.T, w, h, depth, kind uint8, rows, palette, clear []byte) {
		var extra [][]byte
		if len(palette) > 0 {
			extra = append(extra, append([]byte("PLTE"), palette...))
		}
		if len(clear) > 0 {
			extra = append(extra, append([]byte("tRNS"), clear...))
		}
		file := craftPNG(uint32(w), uint32(h), depth, kind, 0, rows, extra...)
		got, _, err := readAll(file)
		if err == nil && got != nil {
			comparePNG(t, file, got)
		}
	})
}
