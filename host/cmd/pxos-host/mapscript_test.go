package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/infinitemap"
)

// testPicture draws a picture whose every pixel says where it is.
func testPicture(kind string, w, h int) image.Image {
	r := image.Rect(0, 0, w, h)
	at := func(x, y int) color.NRGBA { return color.NRGBA{uint8(x), uint8(y), uint8(x>>8<<4 | y>>8 | 1), 255} }
	switch kind {
	case "alpha": // columns: hidden, half, shown
		img := image.NewNRGBA(r)
		for y := range h {
			for x := range w {
				c := color.NRGBA{200, 100, 50, []uint8{0, 128, 255}[x%3]}
				img.SetNRGBA(x, y, c)
			}
		}
		return img
	case "palette":
		img := image.NewPaletted(r, color.Palette{color.NRGBA{1, 2, 3, 255}, color.NRGBA{250, 0, 0, 255}, color.NRGBA{}})
		for i := range img.Pix {
			img.Pix[i] = uint8(i % 3)
		}
		return img
	case "white":
		img := image.NewGray(r)
		for i := range img.Pix {
			img.Pix[i] = 255
		}
		return img
	case "gray":
		img := image.NewGray(r)
		for i := range img.Pix {
			img.Pix[i] = uint8(i)
		}
		return img
	case "deep":
		img := image.NewNRGBA64(r)
		for y := range h {
			for x := range w {
				img.SetNRGBA64(x, y, color.NRGBA64{uint16(x * 3001), uint16(y * 5003), 0x1234, uint16(0xffff - x*y)})
			}
		}
		return img
	}
	img := image.NewNRGBA(r)
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, at(x, y))
		}
	}
	return img
}

// picture FILE KIND W H draws a picture; the end of FILE says how it is encoded.
func cmdPicture(ts *testscript.TestScript, _ bool, args []string) {
	w, err := strconv.Atoi(args[2])
	ts.Check(err)
	h, err := strconv.Atoi(args[3])
	ts.Check(err)
	img := testPicture(args[1], w, h)
	var b bytes.Buffer
	switch {
	case strings.HasSuffix(args[0], ".png"):
		err = png.Encode(&b, img)
	case strings.HasSuffix(args[0], ".jpg"):
		err = jpeg.Encode(&b, img, &jpeg.Options{Quality: 100})
	case strings.HasSuffix(args[0], ".gif"):
		err = gif.Encode(&b, img, nil)
	default:
		err = fmt.Errorf("%s has no ending that is known", args[0])
	}
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}

func readPicture(ts *testscript.TestScript, name string) image.Image {
	f, err := os.Open(ts.MkAbs(name))
	ts.Check(err)
	defer f.Close()
	img, err := png.Decode(f)
	ts.Check(err)
	return img
}

// shows FILE WxH [X,Y=rrggbb...] checks the size and pixels of a PNG picture.
func cmdShows(ts *testscript.TestScript, _ bool, args []string) {
	img := readPicture(ts, args[0])
	if got := fmt.Sprintf("%dx%d", img.Bounds().Dx(), img.Bounds().Dy()); got != args[1] {
		ts.Fatalf("%s has %s pixels, want %s", args[0], got, args[1])
	}
	for _, want := range args[2:] {
		var x, y int
		var colour string
		if _, err := fmt.Sscanf(want, "%d,%d=%s", &x, &y, &colour); err != nil {
			ts.Fatalf("%q: %v", want, err)
		}
		r, g, b, _ := img.At(x, y).RGBA()
		if got := fmt.Sprintf("%02x%02x%02x", r>>8, g>>8, b>>8); got != colour {
			ts.Fatalf("pixel %d,%d of %s is %s, want %s", x, y, args[0], got, colour)
		}
	}
}

// alike FILE FILE compares the pixels of two PNG pictures.
func cmdAlike(ts *testscript.TestScript, neg bool, args []string) {
	a, b := readPicture(ts, args[0]), readPicture(ts, args[1])
	same := a.Bounds() == b.Bounds()
	for y := a.Bounds().Min.Y; same && y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; same && x < a.Bounds().Max.X; x++ {
			same = color.NRGBAModel.Convert(a.At(x, y)) == color.NRGBAModel.Convert(b.At(x, y))
		}
	}
	if same == neg {
		ts.Fatalf("%s and %s: alike is %v", args[0], args[1], same)
	}
}

// writer DIR is the writer of a map until the script ends.
func cmdWriter(ts *testscript.TestScript, _ bool, args []string) {
	dir, err := disk.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	m, err := infinitemap.Open(dir, infinitemap.Options{})
	ts.Check(err)
	ts.Defer(func() { m.Close(); dir.Close() })
}

func TestNegatives(t *testing.T) {
	for _, tc := range []struct{ name, line, want string }{
		{"nothing negative", "map get world 5 7", "map get world 5 7"},
		{"coordinates", "map get world -5 -7", "map get -- world -5 -7"},
		{"flags stay flags", "map get world -5 -7 --json", "map get --json -- world -5 -7"},
		{"flags between", "map get --json world --snapshot x -5 -7", "map get --json --snapshot x -- world -5 -7"},
		{"a flag of the commands above", "map -n user get world -5 0", "map get -n user -- world -5 0"},
		{"the value of a flag", "map export w -5 0 1 1 o --width -3", "map export --width -3 -- w -5 0 1 1 o"},
		{"a value with =", "map export w -5 0 1 1 o --width=-3", "map export --width=-3 -- w -5 0 1 1 o"},
		{"short flag", "map view w -5 0 1 1 -o x.png", "map view -o x.png -- w -5 0 1 1"},
		{"behind --", "map get world -5 -- -7", "map get -- world -5 -7"},
		{"standard output", "map export w -5 0 1 1 -", "map export -- w -5 0 1 1 -"},
		{"not a number", "map get world -5x", "map get world -5x"},
		{"a command without numbers", "map info -5", "map info -5"},
		{"another command", "run x.pxa -5", "run x.pxa -5"},
		{"a map called get", "map get get -5 -7", "map get -- get -5 -7"},
		{"the number of a command that is not", "map nope -5", "map nope -5"},
		{"nothing", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := strings.Fields(tc.line)
			if got := strings.Join(negatives(newApp().root(args), args), " "); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestRegion(t *testing.T) {
	const low, high = "-9223372036854775808", "9223372036854775807"
	for _, tc := range []struct {
		name, line string
		want       string // as regionText writes it; empty: refused
	}{
		{"plain", "-5 -7 10 20", "-5 -7 10 20"},
		{"one pixel", "0 0 1 1", "0 0 1 1"},
		{"the last pixel", high + " " + high + " 1 1", high + " " + high + " 1 1"},
		{"one beyond it", high + " 0 2 1", ""},
		{"one below it", "0 " + high + " 1 2", ""},
		{"the plane", low + " " + low + " 18446744073709551616 18446744073709551616", low + " " + low + " 18446744073709551616 18446744073709551616"},
		{"one pixel more than the plane", low + " 0 18446744073709551617 1", ""},
		{"the plane from one further", "-9223372036854775807 0 18446744073709551616 1", ""},
		{"the rest of it", "-9223372036854775807 0 18446744073709551615 1", "-9223372036854775807 0 18446744073709551615 1"},
		{"half of it", "0 0 9223372036854775808 9223372036854775808", "0 0 9223372036854775808 9223372036854775808"},
		{"beyond 64 bits", "9223372036854775808 0 1 1", ""},
		{"below 64 bits", "-9223372036854775809 0 1 1", ""},
		{"no width", "0 0 0 1", ""},
		{"a negative height", "0 0 1 -1", ""},
		{"leading zeros", "0 0 0000000000000000000000001 2", "0 0 1 2"},
		{"a huge width", "0 0 " + strings.Repeat("9", 5000) + " 1", ""},
		{"no number", "0 x 1 1", ""},
		{"a fraction", "0 0.5 1 1", ""},
		{"in hexadecimal", "0x10 0 1 1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := region(strings.Fields(tc.line))
			if (err == nil) != (tc.want != "") {
				t.Fatalf("error %v", err)
			}
			if err == nil && regionText(r) != tc.want {
				t.Errorf("got %s, want %s", regionText(r), tc.want)
			}
		})
	}
}

func TestColour(t *testing.T) {
	for s, want := range map[string]string{
		"ff8800": "#ff8800", "#FF8800": "#ff8800", "f80": "#ff8800", "#000": "#000000", "255,136,0": "#ff8800", "1, 2, 3": "#010203",
		"": "", "#": "", "ff88": "", "ff88001": "", "256,0,0": "", "1,2": "", "1,2,3,4": "", "-1,0,0": "", "red": "", "+f8800": "", "0x0000": "", "##ffffff": "",
	} {
		c, err := colour(s)
		if (err == nil) != (want != "") || err == nil && colourText(c) != want {
			t.Errorf("%q is %v, %v; want %q", s, c, err, want)
		}
	}
}

func TestPictureSize(t *testing.T) {
	at := func(w, h int64) infinitemap.Rect {
		r, err := infinitemap.RectAt(0, 0, w, h)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, tc := range []struct {
		name  string
		r     infinitemap.Rect
		scale string
		width int
		want  string // empty: refused
	}{
		{"exact", at(640, 480), "", 0, "640x480"},
		{"as wide as can be", at(1<<20, 2), "", 0, "1048576x2"},
		{"too wide", at(1<<20+1, 1), "", 0, ""},
		{"too many", at(1<<20, 1<<14+1), "", 0, ""},
		{"the plane", infinitemap.Plane, "", 0, ""},
		{"the plane, small", infinitemap.Plane, "", 100, "100x100"},
		{"half", at(640, 480), "1/2", 0, "320x240"},
		{"half, too", at(640, 480), "0.5", 0, "320x240"},
		{"odd sides", at(3, 5), "1/2", 0, "2x3"},
		{"never nothing", at(640, 2), "1/1000", 0, "1x1"},
		{"enlarged", at(10, 5), "16", 0, "160x80"},
		{"in proportion", at(640, 480), "", 64, "64x48"},
		{"a thin line", at(1<<40, 1), "", 64, "64x1"},
		{"a thin column", at(1, 1<<40), "", 64, ""},
		{"both", at(1, 1), "2", 2, ""},
		{"scale 0", at(1, 1), "0", 0, ""},
		{"a negative scale", at(1, 1), "-1", 0, ""},
		{"scale 1/0", at(1, 1), "1/0", 0, ""},
		{"a huge scale", at(1, 1), "1e999999", 0, ""},
		{"another huge scale", at(1, 1), "9999999999999999999", 0, ""},
		{"a negative width", at(1, 1), "", -1, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, h, err := pictureSize(tc.r, tc.scale, tc.width, tc.width != 0)
			if (err == nil) != (tc.want != "") {
				t.Fatalf("error %v", err)
			}
			if got := fmt.Sprintf("%dx%d", w, h); err == nil && got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// The colours that terminals have are found exactly, and others nearly.
func TestOf256(t *testing.T) {
	for want, c := range map[int][]byte{16: {0, 0, 0}, 231: {255, 255, 255}, 196: {255, 0, 0}, 244: {128, 128, 128}, 110: {135, 175, 215}, 208: {255, 130, 3}} {
		if got := of256(c); got != want {
			t.Errorf("%v is %d, want %d", c, got, want)
		}
	}
}

func TestTimeLeft(t *testing.T) {
	for _, tc := range []struct {
		done, total int64
		spent       time.Duration
		want        string
	}{
		{0, 100, time.Second, ""}, {100, 100, time.Second, ""}, {50, 100, 100 * time.Millisecond, ""}, {1, 3, 10 * time.Second, "  20 s left"},
		{1, 100, 10 * time.Second, "  17 min left"}, {1, 1000, 100 * time.Second, "  27.8 h left"}, {1, 1 << 62, time.Second, "  days left"}, {50, 0, time.Second, ""},
	} {
		if got := timeLeft(tc.done, tc.total, tc.spent); got != tc.want {
			t.Errorf("%d of %d after %s: %q, want %q", tc.done, tc.total, tc.spent, got, tc.want)
		}
	}
}
