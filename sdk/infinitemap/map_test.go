//go:build !wasip1

package infinitemap_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"io/fs"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/infinitemap"
	"github.com/pxos/pxos/sdk/pxostest"
)

// install makes a host that grants maps: each "name:mode" or "name:mode:area".
func install(t *testing.T, grants ...string) *pxostest.Storage {
	t.Helper()
	h := &pxostest.Host{Storage: pxostest.NewStorage()}
	for _, g := range grants {
		f := append(strings.Split(g, ":"), "")
		h.Granted = append(h.Granted, pxos.Capability{Kind: "infinitemap", Name: f[0], Mode: f[1], Area: f[2]})
	}
	h.Install(t)
	return h.Storage
}

func create(t *testing.T, name string) *infinitemap.Map {
	t.Helper()
	m, err := infinitemap.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func second[T any](_ T, err error) error { return err }

var (
	red   = infinitemap.RGB{R: 255}
	green = infinitemap.RGB{G: 255}
)

// Every place there is, to its last corner.
func TestPlaces(t *testing.T) {
	s := install(t, "*:write")
	m := create(t, "w")
	edges := []int64{math.MinInt64, math.MinInt64 + 1, -257, -256, -1, 0, 255, 256, math.MaxInt64 - 1, math.MaxInt64}
	rng := rand.New(rand.NewPCG(1, 2))
	var pixels []infinitemap.Pixel
	for _, x := range edges {
		for _, y := range edges {
			pixels = append(pixels, infinitemap.Pixel{Point: infinitemap.Point{X: x, Y: y}, RGB: infinitemap.RGB{R: uint8(rng.Uint32()), G: uint8(rng.Uint32()), B: 1}})
		}
	}
	check := func(how string) {
		t.Helper()
		points, colours := make([]infinitemap.Point, len(pixels)), make([]infinitemap.RGB, len(pixels))
		for i, p := range pixels {
			points[i] = p.Point
			if c, err := m.At(p.X, p.Y); c != p.RGB || err != nil {
				t.Fatalf("%s: %v is %v, %v", how, p, c, err)
			}
			if got := s.At("w", p.X, p.Y); got != uint32(p.R)<<16|uint32(p.G)<<8|uint32(p.B) {
				t.Fatalf("%s: storage has %x for %v", how, got, p)
			}
		}
		if err := m.GetMany(colours, points); err != nil {
			t.Fatal(err)
		}
		for i, p := range pixels {
			if colours[i] != p.RGB {
				t.Fatalf("%s: GetMany of %v is %v", how, p, colours[i])
			}
		}
	}
	for _, p := range pixels {
		if err := m.Set(p.X, p.Y, p.RGB); err != nil {
			t.Fatal(err)
		}
	}
	check("Set")
	for i := range pixels {
		pixels[i].RGB.B++
	}
	if err := m.SetMany(pixels); err != nil {
		t.Fatal(err)
	}
	check("SetMany")
	b := m.Batch()
	for i := range pixels {
		pixels[i].RGB.B++
		b.Set(pixels[i].X, pixels[i].Y, pixels[i].RGB)
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	check("Batch")
	first, last, ok, err := m.Bounds()
	if first != (infinitemap.Point{X: math.MinInt64, Y: math.MinInt64}) || last != (infinitemap.Point{X: math.MaxInt64, Y: math.MaxInt64}) || !ok || err != nil {
		t.Errorf("bounds %v %v %v %v", first, last, ok, err)
	}
	if tiles, err := m.Tiles(infinitemap.Everywhere); len(tiles) != 36 || err != nil {
		t.Errorf("%d tiles, %v", len(tiles), err)
	}
	around, err := m.Neighbours(math.MaxInt64, math.MinInt64, 1)
	if err != nil || len(around) != 9 || around[2] != (infinitemap.RGB{}) || around[4] == (infinitemap.RGB{}) || around[5] != (infinitemap.RGB{}) || around[6] == (infinitemap.RGB{}) {
		t.Errorf("neighbours of the corner: %v, %v", around, err)
	}
}

// More pixels than one call carries.
func TestManyPixels(t *testing.T) {
	install(t, "*:write")
	m := create(t, "w")
	b := m.Batch()
	pixels := make([]infinitemap.Pixel, 10_000)
	points := make([]infinitemap.Point, len(pixels))
	for i := range pixels {
		points[i] = infinitemap.Point{X: int64(i) * 1000, Y: -int64(i)}
		pixels[i] = infinitemap.Pixel{Point: points[i], RGB: infinitemap.RGB{R: uint8(i), G: uint8(i >> 8), B: 7}}
		b.Set(points[i].Y, points[i].X, pixels[i].RGB)
	}
	if err := errors.Join(m.SetMany(pixels), b.Flush()); err != nil {
		t.Fatal(err)
	}
	got := make([]infinitemap.RGB, len(pixels))
	for range 2 {
		if err := m.GetMany(got, points); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i] != pixels[i].RGB {
				t.Fatalf("%d is %v", i, got[i])
			}
			points[i].X, points[i].Y = points[i].Y, points[i].X
		}
	}
	if err := m.GetMany(got[:1], nil); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
}

func TestRegions(t *testing.T) {
	install(t, "*:write")
	m := create(t, "w")
	rng := rand.New(rand.NewPCG(3, 4))
	pix := make([]byte, 3*300*270)
	for i := range pix {
		pix[i] = uint8(rng.Uint32())
	}
	if err := m.WriteRegion(pix, -150, -100, 300, 270); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(pix))
	if err := m.ReadRegion(got, -150, -100, 300, 270); err != nil || !bytes.Equal(got, pix) {
		t.Errorf("read back differs, %v", err)
	}
	if c, err := m.At(149, 169); err != nil || c != (infinitemap.RGB{R: pix[len(pix)-3], G: pix[len(pix)-2], B: pix[len(pix)-1]}) {
		t.Errorf("last pixel %v, %v", c, err)
	}
	around, err := m.Neighbours(0, 0, 1)
	if i := 3 * (99*300 + 149); err != nil || around[0] != (infinitemap.RGB{R: pix[i], G: pix[i+1], B: pix[i+2]}) {
		t.Errorf("neighbours %v, %v", around, err)
	}
	data := make([]byte, 4000)
	for i := range data {
		data[i] = uint8(i%255) + 1
	}
	if err := m.WriteBytes(1000, 1000, data); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, len(data))
	if err := m.ReadBytes(back, 1000, 1000); err != nil || !bytes.Equal(back, data) {
		t.Errorf("bytes read back differ, %v", err)
	}
	// 1,334 pixels are five rows of 256 and 54 more, of which the last has one byte.
	last, lerr := m.At(1000+53, 1000+5)
	next, nerr := m.At(1000+54, 1000+5)
	if last != (infinitemap.RGB{R: data[3999]}) || next != (infinitemap.RGB{}) || lerr != nil || nerr != nil {
		t.Errorf("end of the bytes: %v %v", last, next)
	}
	tiles, err := m.Tiles(infinitemap.Area{X: -1, Y: -1, Width: 2, Height: 1})
	if want := []infinitemap.Point{{X: -256, Y: -256}, {X: 0, Y: -256}}; err != nil || !slices.Equal(tiles, want) {
		t.Errorf("tiles %v, %v", tiles, err)
	}
	if err := m.Snapshot("first"); err != nil {
		t.Error(err)
	}
	if err := m.Snapshot("first"); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	st, err := m.Stats()
	if err != nil || st.TileSize != 256 || st.Tiles == 0 || st.Dirty != 0 || st.Generation != 2 || !st.Writable {
		t.Errorf("stats %+v, %v", st, err)
	}
}

func TestLevels(t *testing.T) {
	install(t, "*:write")
	m := create(t, "w")
	for _, p := range []infinitemap.Pixel{
		{infinitemap.Point{X: 0, Y: 0}, infinitemap.RGB{R: 10, G: 20, B: 31}},
		{infinitemap.Point{X: 1, Y: 0}, infinitemap.RGB{R: 20, G: 40, B: 30}},
		{infinitemap.Point{X: -1, Y: -1}, infinitemap.RGB{B: 1}},
		{infinitemap.Point{X: math.MaxInt64, Y: math.MaxInt64}, red},
		{infinitemap.Point{X: 4, Y: 0}, infinitemap.RGB{R: 1}},
		{infinitemap.Point{X: 5, Y: 0}, infinitemap.RGB{G: 1}},
		{infinitemap.Point{X: 4, Y: 1}, infinitemap.RGB{B: 1}},
	} {
		if err := m.Set(p.X, p.Y, p.RGB); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		level int
		x, y  int64
		want  infinitemap.RGB
	}{
		{1, 0, 0, infinitemap.RGB{R: 15, G: 30, B: 31}}, // halves up
		{1, -1, -1, infinitemap.RGB{B: 1}},
		{1, 2, 0, infinitemap.RGB{R: 1}}, // never black
		{1, 1, 0, infinitemap.RGB{}},
		{1, math.MaxInt64 >> 1, math.MaxInt64 >> 1, red},
		{40, -1, -1, infinitemap.RGB{B: 1}},
		{63, -1, -1, infinitemap.RGB{B: 1}},
		{62, 1, 1, red},
	} {
		var got [3]byte
		if err := m.ReadLevel(got[:], tc.level, tc.x, tc.y, 1, 1); err != nil || got != [3]byte{tc.want.R, tc.want.G, tc.want.B} {
			t.Errorf("level %d at %d,%d is %v, %v, want %v", tc.level, tc.x, tc.y, got, err, tc.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := install(t, "here:write", "there:read", "part:read", "part:write:0,0,10,10")
	s.Set("there", 1, 1, 0x0000ff)
	s.Set("part", 1, 1, 0x0000ff)
	s.Set("secret", 1, 1, 0x0000ff)
	here := create(t, "here")
	there, err := infinitemap.Open("there")
	if err != nil {
		t.Fatal(err)
	}
	part, err := infinitemap.OpenWrite("part")
	if err != nil {
		t.Fatal(err)
	}
	reader, err := infinitemap.Open("here")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 12)
	for _, tc := range []struct {
		name string
		do   func() error
		want error
	}{
		{"a map that was not granted", func() error { return second(infinitemap.Open("secret")) }, fs.ErrPermission},
		{"write where reading is granted", func() error { return second(infinitemap.OpenWrite("there")) }, fs.ErrPermission},
		{"no map", func() error { return second(infinitemap.Open("none")) }, fs.ErrPermission},
		{"no name", func() error { return second(infinitemap.Create("")) }, fs.ErrInvalid},
		{"a path", func() error { return second(infinitemap.Create("../here")) }, fs.ErrInvalid},
		{"a device", func() error { return second(infinitemap.Create("aux")) }, fs.ErrInvalid},
		{"write through a reader", func() error { return reader.Set(0, 0, red) }, pxos.CodeBadHandle},
		{"flush a reader", func() error { return reader.Flush() }, pxos.CodeBadHandle},
		{"read elsewhere in part", func() error { return second(part.At(11, 11)) }, nil},
		{"write the part", func() error { return part.Set(9, 9, red) }, nil},
		{"write elsewhere in part", func() error { return part.Set(10, 9, red) }, fs.ErrPermission},
		{"write over the edge", func() error { return part.WriteRegion(buf, 9, 0, 2, 2) }, fs.ErrPermission},
		{"write one of many elsewhere", func() error {
			return part.SetMany([]infinitemap.Pixel{{RGB: green}, {Point: infinitemap.Point{X: -1}, RGB: green}})
		}, fs.ErrPermission},
		{"snapshot of a part", func() error { return part.Snapshot("x") }, fs.ErrPermission},
		{"wrong size", func() error { return here.ReadRegion(buf, 0, 0, 2, 1) }, fs.ErrInvalid},
		{"negative size", func() error { return here.ReadRegion(buf, 0, 0, -2, -2) }, fs.ErrInvalid},
		{"beyond the plane", func() error { return here.WriteRegion(buf, math.MaxInt64, 0, 2, 2) }, fs.ErrInvalid},
		{"bytes beyond the plane", func() error { return here.WriteBytes(math.MaxInt64, 0, buf) }, fs.ErrInvalid},
		{"nothing", func() error { return here.WriteRegion(nil, math.MaxInt64, 0, 0, 7) }, nil},
		{"nothing with pixels", func() error { return here.WriteRegion(buf, 0, 0, 0, 7) }, fs.ErrInvalid},
		{"level below the plane", func() error { return here.ReadLevel(buf, -1, 0, 0, 2, 2) }, fs.ErrInvalid},
		{"level above all", func() error { return here.ReadLevel(buf, 64, 0, 0, 2, 2) }, fs.ErrInvalid},
		{"beyond a level", func() error { return here.ReadLevel(buf, 63, 0, 0, 2, 2) }, fs.ErrInvalid},
		{"all of a level", func() error { return here.ReadLevel(buf, 63, -1, -1, 2, 2) }, nil},
		{"radius below zero", func() error { return second(here.Neighbours(0, 0, -1)) }, fs.ErrInvalid},
		{"radius of the plane", func() error { return second(here.Neighbours(0, 0, math.MaxInt32)) }, fs.ErrInvalid},
		{"tiles beyond the plane", func() error { return second(here.Tiles(infinitemap.Area{X: 1, Width: 1 << 63})) }, fs.ErrInvalid},
		{"snapshot without a name", func() error { return here.Snapshot("") }, fs.ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.do(); !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	if s.At("part", 0, 0) != 0 || s.At("part", 9, 9) != 0xff0000 {
		t.Error("a refused call changed something")
	}
	if names, err := infinitemap.Maps(); err != nil || !slices.Equal(names, []string{"here", "part", "there"}) {
		t.Errorf("maps %v, %v", names, err)
	}
	if _, _, ok, err := here.Bounds(); ok || err != nil {
		t.Errorf("bounds of a black map: %v, %v", ok, err)
	}
	b := part.Batch()
	b.Set(-1, 0, red)
	if err := b.Flush(); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	if err := b.Flush(); err != nil {
		t.Error("an error is told twice")
	}
	if err := there.Close(); err != nil {
		t.Error(err)
	}
	for _, err := range []error{there.Close(), second(there.At(0, 0)), second(there.Stats())} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("a closed map: %v", err)
		}
	}
}

func TestWithoutHost(t *testing.T) {
	if _, err := infinitemap.Open("w"); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

// A view is what package image/draw says an image is, with blocks that cross zero and
// more of them than it holds.
func TestViewDrawsAsAnImage(t *testing.T) {
	s := install(t, "*:write")
	m := create(t, "w")
	r := image.Rect(-300, -70, 340, 90)
	s.Set("w", -300, -70, 0x010203)
	want := image.NewRGBA(r)
	draw.Draw(want, r, image.Black, image.Point{}, draw.Src)
	want.Set(-300, -70, color.RGBA{1, 2, 3, 255})
	source := image.NewNRGBA(image.Rect(0, 0, 100, 60))
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range source.Pix {
		source.Pix[i] = uint8(rng.Uint32())
	}
	v := m.View(r)
	for _, dst := range []draw.Image{v, want} {
		draw.Draw(dst, image.Rect(-320, -80, -220, -20), source, image.Point{}, draw.Src)
		draw.Draw(dst, image.Rect(-40, -30, 60, 30), source, image.Point{}, draw.Over)
		draw.Draw(dst, image.Rect(250, 60, 900, 900), image.NewUniform(green), image.Point{}, draw.Src)
		dst.Set(0, 0, color.White)
		dst.Set(340, 0, color.White)
		dst.Set(0, 90, color.White)
	}
	same := func(when string) {
		t.Helper()
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				got := toRGBA(v.At(x, y))
				// The image mixes with a transparent colour beneath in places; both round
				// the same way from 16 bits.
				w := want.RGBAAt(x, y)
				if d := diff(got, w); d > 1 || (v.RGBA64At(x, y) != color.RGBA64Model.Convert(got)) {
					t.Fatalf("%s: %d,%d is %v, want %v", when, x, y, got, w)
				}
			}
		}
	}
	same("before the flush")
	if s.At("w", 0, 0) != 0 {
		t.Error("written before the flush")
	}
	if err := v.Flush(); err != nil {
		t.Fatal(err)
	}
	same("after the flush")
	if s.At("w", 0, 0) != 0xffffff || s.At("w", 340, 0) != 0 || s.At("w", -301, -70) != 0 {
		t.Error("the map differs from the view")
	}
	if v.At(1000, 1000) != (infinitemap.RGB{}) || v.Bounds() != r || v.ColorModel().Convert(color.Gray{7}) != (infinitemap.RGB{R: 7, G: 7, B: 7}) {
		t.Error("the view is no image")
	}
}

func toRGBA(c color.Color) color.RGBA { return color.RGBAModel.Convert(c).(color.RGBA) }

func diff(a, b color.RGBA) int {
	d := 0
	for _, v := range []int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B)} {
		d = max(d, v, -v)
	}
	return d
}

// A view larger than what it holds writes what it gives up.
func TestViewGivesUpBlocks(t *testing.T) {
	s := install(t, "*:write")
	m := create(t, "w")
	v := m.View(image.Rect(0, 0, 1<<30, 1<<30))
	for i := range 1000 {
		v.Set(i*256, i*64, infinitemap.RGB{R: 1, G: uint8(i >> 8), B: uint8(i)})
	}
	if s.At("w", 0, 0) != 0x010000 {
		t.Error("the first block was not written")
	}
	for i := range 1000 {
		if got := v.At(i*256, i*64); got != (infinitemap.RGB{R: 1, G: uint8(i >> 8), B: uint8(i)}) {
			t.Fatalf("%d is %v", i, got)
		}
	}
	if err := v.Flush(); err != nil {
		t.Error(err)
	}
}

func TestViewKeepsErrors(t *testing.T) {
	s := install(t, "w:read", "w:write:0,0,64,64")
	s.Set("w", 70, 0, 0xffffff)
	m, err := infinitemap.OpenWrite("w")
	if err != nil {
		t.Fatal(err)
	}
	v := m.View(image.Rect(0, 0, 128, 64))
	v.Set(1, 1, red)
	v.Set(70, 0, red)
	if err := v.Flush(); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	if err := v.Flush(); err != nil {
		t.Error(err)
	}
	if s.At("w", 70, 0) != 0xffffff {
		t.Error("written where it was not granted")
	}
	m.Close()
	v.Set(0, 0, red)
	if v.At(1, 1) != (infinitemap.RGB{}) {
		t.Error("a pixel of a closed map")
	}
	if err := v.Flush(); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
}

func TestMapsOutliveRuns(t *testing.T) {
	pxos.Register("infinitemap:grow", func(*pxos.Context, pxos.None) (string, error) {
		m, err := infinitemap.Create("w")
		if err != nil {
			return "", err
		}
		c, err := m.At(0, 0)
		if err != nil {
			return "", err
		}
		c.R++
		return fmt.Sprint(c.R), m.Set(0, 0, c) // left open
	})
	h := &pxostest.Host{Storage: pxostest.NewStorage(), Granted: []pxos.Capability{{Kind: "infinitemap", Name: "*", Mode: "write"}}}
	for want := range 3 {
		var got string
		if h.Run(t, "infinitemap:grow", nil).Decode(t, &got); got != fmt.Sprint(want+1) {
			t.Errorf("run %d: %s", want, got)
		}
	}
	if h.Storage.At("w", 0, 0) != 0x030000 {
		t.Error("the storage differs")
	}
}

func TestImages(t *testing.T) {
	install(t, "*:write")
	m := create(t, "w")
	rng := rand.New(rand.NewPCG(7, 8))
	whole := image.NewRGBA(image.Rect(-5, -5, 700, 600))
	for i := range whole.Pix {
		whole.Pix[i] = uint8(rng.Uint32())
	}
	for i := 3; i < len(whole.Pix); i += 4 {
		whole.Pix[i] = 255
	}
	r := image.Rect(0, 3, 650, 590) // more rows than one band holds
	part := whole.SubImage(r).(*image.RGBA)
	for _, tc := range []struct {
		name string
		img  image.Image
	}{{"RGBA", part}, {"any image", struct{ image.Image }{part}}} {
		t.Run(tc.name, func(t *testing.T) {
			if err := m.WriteRegion(make([]byte, 3*r.Dx()*r.Dy()), -7, 1<<40, r.Dx(), r.Dy()); err != nil {
				t.Fatal(err)
			}
			if err := m.WriteImage(-7, 1<<40, tc.img); err != nil {
				t.Fatal(err)
			}
			got, err := m.ReadImage(0, -7, 1<<40, r.Dx(), r.Dy())
			if err != nil {
				t.Fatal(err)
			}
			for y := range r.Dy() {
				for x := range r.Dx() {
					if g, w := got.RGBAAt(x, y), part.RGBAAt(r.Min.X+x, r.Min.Y+y); g != w {
						t.Fatalf("%d,%d is %v, want %v", x, y, g, w)
					}
				}
			}
		})
	}
	if img, err := m.ReadImage(0, 0, 0, 0, 9); err != nil || !img.Rect.Empty() {
		t.Errorf("empty: %v, %v", img.Rect, err)
	}
	for _, side := range [][2]int{{-1, 1}, {1, -1}, {math.MaxInt32, 1}, {1 << 20, 1 << 20}} {
		if _, err := m.ReadImage(0, 0, 0, side[0], side[1]); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%v: %v", side, err)
		}
	}
	if err := m.WriteImage(0, math.MaxInt64, part); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	if err := m.WriteImage(0, 0, image.NewUniform(red)); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
}
