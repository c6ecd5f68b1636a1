package journal

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func drawn(t testing.TB, v *View, opt ImageOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := v.Image(ctx, &b, opt); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpack writes what a picture holds into a new directory.
func unpack(t testing.TB, b []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := DecodeImage(bytes.NewReader(b), func(name string, seg []byte) error {
		return os.WriteFile(filepath.Join(dir, name), seg, 0o600)
	}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// story fills a log with what a week of use looks like.
func story(t testing.TB, j *Journal, n int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	names := []string{"hello", "life", "wc", "sqlite", "lua"}
	for i := range n {
		k := rng.IntN(len(names)) * rng.IntN(len(names)) / len(names)
		b := RunBegin{
			Cartridge: strings.Repeat(string("0123456789abcdef"[k])+"5", 32), Name: names[k], Version: "1.0.0", Program: "main",
			ArgsDigest: strings.Repeat("e3", 32), ArgsBytes: int64(i), Grants: []string{"log", "clock"}, Isolation: "process", Host: "0.1.0",
			Limits: RunLimits{MemoryBytes: 256 << 20, Fuel: 1e10, TimeoutNS: 3e10, OutputBytes: 16 << 20},
		}
		id, err := BeginRun(ctx, j, b)
		if err != nil {
			t.Fatal(err)
		}
		e := RunEnd{Result: ResultOK, DurationNS: rng.Int64N(1e9), Fuel: rng.Uint64N(1e9), MemoryPeak: 4 << 20, OutputBytes: rng.Uint64N(5000), Calls: map[string]uint64{"pxos.log": rng.Uint64N(9)}}
		switch rng.IntN(9) {
		case 0:
			e.Result, e.ExitCode = ResultExit, 1
		case 1:
			e.Result, e.Error = ResultError, &RunError{Type: "out_of_fuel", Message: "the program used up its fuel of 10000000000"}
		case 2:
			continue
		}
		if err := EndRun(ctx, j, id, e); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(12) == 0 {
			add(t, j, "registry.promote", map[string]any{"cartridge": b.Cartridge, "to": "current", "reason": strings.Repeat("it is better ", rng.IntN(60))})
		}
	}
}

// A log goes into its picture and back, and verifies.
func TestImageRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name string
		seg  int64
		fill func(*Journal)
	}{
		{"empty", 0, func(*Journal) {}},
		{"one entry", 0, func(j *Journal) { add(t, j, "t", struct{}{}) }},
		{"a few runs", 0, func(j *Journal) { story(t, j, 8) }},
		{"many runs, many segments", 30000, func(j *Journal) { story(t, j, 400) }},
		{"wide entries", 0, func(j *Journal) {
			for _, n := range []int{10, 7000, 6100, 100, 100000, 50, 6050, 6070, 300} {
				fill(t, j, 2, n)
			}
		}},
		{"wide entry first", 0, func(j *Journal) { fill(t, j, 3, 90000) }},
		{"the biggest entry", 0, func(j *Journal) {
			fill(t, j, 2, 5)
			add(t, j, "t", map[string]string{"s": strings.Repeat("x", MaxRecord-recordFixed-recordTail-1-len(`{"s":""}`))})
			fill(t, j, 2, 5)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			j := open(t, dir, Options{Now: tick(), SegmentBytes: c.seg})
			c.fill(j)
			head, _ := j.Head(ctx)
			b := drawn(t, view(t, dir), ImageOptions{})
			if again := drawn(t, view(t, dir), ImageOptions{}); !bytes.Equal(b, again) {
				t.Error("two pictures of one log differ")
			}
			back := unpack(t, b)
			want, got := segments(t, dir), segments(t, back)
			if len(got) != len(want) {
				t.Fatalf("%d segments came back, want %d", len(got), len(want))
			}
			for n := range want {
				if !bytes.Equal(got[n], want[n]) {
					t.Fatalf("segment %d: %d bytes came back, want %d", n, len(got[n]), len(want[n]))
				}
			}
			if r, err := audit(back, &head); err != nil || r.Head != head {
				t.Fatal(r, err)
			}
		})
	}
}

// Other encoders, colour models and added alpha leave the pixels alone.
func TestImageReencoded(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick()})
	story(t, j, 30)
	m, err := png.Decode(bytes.NewReader(drawn(t, view(t, dir), ImageOptions{})))
	if err != nil {
		t.Fatal(err)
	}
	n := image.NewNRGBA(m.Bounds())
	draw.Draw(n, n.Bounds(), m, image.Point{}, draw.Src)
	n.Set(1023, n.Bounds().Dy()-1, color.NRGBA{1, 2, 3, 200}) // keeps the alpha channel in the file
	for name, m := range map[string]image.Image{"recompressed": m, "with alpha": n} {
		var b bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		if _, err := audit(unpack(t, b.Bytes()), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestImageOfSegments(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick(), SegmentBytes: 9000})
	story(t, j, 60)
	v := view(t, dir)
	if v.Segments() < 5 {
		t.Fatal("too few segments")
	}
	got := segments(t, unpack(t, drawn(t, v, ImageOptions{First: 2, Last: 4})))
	want := segments(t, dir)
	if len(got) != 3 || !bytes.Equal(got[2], want[2]) || !bytes.Equal(got[4], want[4]) {
		t.Errorf("%d segments came back", len(got))
	}
	for _, bad := range []ImageOptions{{First: 4, Last: 3}, {First: 99}, {Last: v.Segments() + 1}} {
		if err := v.Image(ctx, &bytes.Buffer{}, bad); err == nil {
			t.Errorf("%+v was drawn", bad)
		}
	}
}

func TestDecodeImageRefuses(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick()})
	story(t, j, 40)
	good := drawn(t, view(t, dir), ImageOptions{})
	m, err := png.Decode(bytes.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	rgba := m.(*image.RGBA)
	encode := func(m image.Image) []byte {
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	dirty := func(x, y int, c color.RGBA) []byte {
		n := *rgba
		n.Pix = bytes.Clone(rgba.Pix)
		n.SetRGBA(x, y, c)
		return encode(&n)
	}
	half := image.NewRGBA(image.Rect(0, 0, 512, rgba.Rect.Dy()/2))
	for y := range half.Rect.Dy() {
		for x := range 512 {
			half.Set(x, y, rgba.At(2*x, 2*y))
		}
	}
	huge := bytes.Clone(good)
	copy(huge[16:], []byte{0x7f, 0, 0, 0, 0x7f, 0, 0, 0})
	for name, b := range map[string][]byte{
		"empty":          nil,
		"text":           []byte(strings.Repeat("no picture ", 20)),
		"cut":            good[:len(good)/2],
		"huge":           huge,
		"cropped":        encode(rgba.SubImage(image.Rect(0, 0, 1024, 300))),
		"resized":        encode(half),
		"other picture":  encode(image.NewGray(image.Rect(0, 0, 200, 200))),
		"newer version":  dirty(1, 0, color.RGBA{'I', 9, 1, 255}),
		"no scale":       dirty(1, 0, color.RGBA{'I', 1, 0, 255}),
		"header flipped": dirty(imageMargin, panelHeight+capCells*int(rgba.RGBAAt(1, 0).B), color.RGBA{'P', 'X', 'M', 255}),
	} {
		t.Run(name, func(t *testing.T) {
			err := DecodeImage(bytes.NewReader(b), func(string, []byte) error { return nil })
			if err == nil {
				t.Error("was taken for a picture of a journal")
			}
			if name == "newer version" && !errors.Is(err, ErrUnsupported) {
				t.Errorf("got %v", err)
			}
		})
	}
}
