package pxi

import (
	"bytes"
	"errors"
	"image/png"
	"io"
	"testing"
)

// bigPNG is a small file that claims a large picture.
func bigPNG(width, height int) []byte {
	var b bytes.Buffer
	out := &idat{w: &b}
	b.WriteString(pngMagic)
	out.chunk("IHDR", []byte{byte(width >> 24), byte(width >> 16), byte(width >> 8), byte(width),
		byte(height >> 24), byte(height >> 16), byte(height >> 8), byte(height), 8, 2, 0, 0, 0})
	out.chunk("IDAT", []byte{0x78, 0x9C, 3, 0, 0, 0, 0, 1})
	out.chunk("IEND", nil)
	return b.Bytes()
}

func TestWritePNG(t *testing.T) {
	for name, c := range map[string]struct{ size, width, height int }{
		"empty":            {0, 7, 1},
		"one byte":         {1, 7, 1},
		"a row":            {21, 7, 1},
		"a row and a byte": {22, 7, 2},
		"width 1":          {100, 1, 34},
		"several bands":    {900_001, 1000, 301},
		"wide":             {3 << 20, 1 << 20, 1},
	} {
		t.Run(name, func(t *testing.T) {
			data := noise(c.size)
			var b, again bytes.Buffer
			if err := WritePNG(&b, bytes.NewReader(data), int64(c.size), c.width); err != nil {
				t.Fatal(err)
			}
			WritePNG(&again, bytes.NewReader(data), int64(c.size), c.width)
			if !bytes.Equal(b.Bytes(), again.Bytes()) {
				t.Error("not the same twice")
			}
			got, w, h, err := DecodePNG(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil || w != c.width || h != c.height {
				t.Fatalf("%d × %d, %v", w, h, err)
			}
			want := make([]byte, 3*w*h)
			copy(want, data)
			if !bytes.Equal(got, want) {
				t.Error("other pixels")
			}
		})
	}
}

func TestWritePNGFails(t *testing.T) {
	data := noise(1 << 20)
	for name, c := range map[string]struct {
		src   io.ReaderAt
		size  int64
		width int
	}{
		"width 0":      {bytes.NewReader(data), 10, 0},
		"too wide":     {bytes.NewReader(data), 10, MaxWidth + 1},
		"too high":     {bytes.NewReader(data), 1 << 40, 1},
		"short source": {bytes.NewReader(data), 2 << 20, 100},
		"negative":     {bytes.NewReader(data), -1, 100},
	} {
		if err := WritePNG(io.Discard, c.src, c.size, c.width); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	full := errors.New("disk full")
	for room := 0; room < 3000; room += 13 {
		err := WritePNG(&fullDisk{room: room, err: full}, bytes.NewReader(data[:2000]), 2000, 20)
		if room < 2000 && !errors.Is(err, full) {
			t.Fatalf("with room for %d bytes: %v", room, err)
		}
	}
}

func TestPNGReader(t *testing.T) {
	pic := rgbPicture(nil)
	r, err := Open(bytes.NewReader(pic), int64(len(pic)))
	if err != nil {
		t.Fatal(err)
	}
	if h := r.Header(); r.Kind() != PNG || h.Width != 5 || h.Height != 4 || r.Size() != 60 || h.Size != 60 {
		t.Errorf("kind %v, header %+v", r.Kind(), r.Header())
	}
	buf := make([]byte, 10)
	if n, err := r.ReadAt(buf, 55); n != 5 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	var out bytes.Buffer
	if n, err := r.WriteTo(&out); n != 60 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := NewReader(bytes.NewReader(pic), int64(len(pic))); !errors.Is(err, ErrNotPXI) {
		t.Errorf("as a container: %v", err)
	}
	// The picture rots while it is open.
	pic[len(pic)-20] ^= 1
	rep, err := r.Verify(t.Context(), nil)
	if err != nil || rep.Err() == nil || rep.Faults[0].Kind != FaultStructure {
		t.Errorf("%v, %+v", err, rep)
	}
}

// A failing disk is not a damaged picture.
func TestPNGStorageError(t *testing.T) {
	pic := rgbPicture(nil)
	boom := errors.New("boom")
	_, err := Open(&badDisk{b: pic, bad: func(off int64, n int) bool { return off+int64(n) > 60 && off > 0 }, err: boom}, int64(len(pic)))
	if !errors.Is(err, boom) || classOf(err) == "format" {
		t.Errorf("got %v", err)
	}
}

func TestView(t *testing.T) {
	data := noise(100_003)
	file, err := Encode(data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewBytesReader(file)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewView(r, r.Size(), 77)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, v); err != nil {
		t.Fatal(err)
	}
	got, w, h, err := DecodePNG(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || w != 77 || h != v.Bounds().Dy() || !bytes.Equal(got[:len(data)], data) || v.Err() != nil {
		t.Errorf("%d × %d, %v, %v", w, h, err, v.Err())
	}
	row := make([]byte, 3*77)
	if err := v.Row(row, 5); err != nil || !bytes.Equal(row, data[5*231:6*231]) {
		t.Errorf("row 5: %v", err)
	}
	if v.Row(row, h) == nil || v.Row(row, -1) == nil || v.Row(row[:10], 0) == nil {
		t.Error("rows that are not there, or a short buffer, were accepted")
	}
	file[HeaderSize+50_000] ^= 1
	dark, _ := NewView(r, r.Size(), 77)
	if c := dark.RGBAAt(0, 50_000/231); c.R|c.G|c.B != 0 || c.A != 255 || classOf(dark.Err()) != "corrupt" {
		t.Errorf("%v, %v", c, dark.Err())
	}
}
