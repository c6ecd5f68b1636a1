//go:build !wasip1

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"strings"
	"testing"

	"github.com/pxos/pxos/sdk/pxostest"
)

// The board agrees with a second implementation that only knows the rules.
func TestStep(t *testing.T) {
	type point struct{ x, y int }
	b := newBoard(20, 16)
	b.begin("soup", 3)
	living := map[point]bool{}
	for i, lives := range b.alive {
		if lives {
			living[point{i % b.w, i / b.w}] = true
		}
	}
	for g := range 60 {
		neighbours := map[point]int{}
		for p := range living {
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					if dx != 0 || dy != 0 {
						neighbours[point{(p.x + dx + b.w) % b.w, (p.y + dy + b.h) % b.h}]++
					}
				}
			}
		}
		next := map[point]bool{}
		for p, n := range neighbours {
			if n == 3 || n == 2 && living[p] {
				next[p] = true
			}
		}
		living = next
		b.step()
		if b.population() != len(living) {
			t.Fatalf("generation %d: %d alive, want %d", g+1, b.population(), len(living))
		}
		for i, lives := range b.alive {
			if lives != living[point{i % b.w, i / b.w}] {
				t.Fatalf("generation %d: cell %d is wrong", g+1, i)
			}
		}
	}
}

func TestKnownPatterns(t *testing.T) {
	for _, tc := range []struct {
		pattern     string
		size        int
		populations map[int]int // generation to cells, from the literature
	}{
		{"pulsar", 20, map[int]int{0: 48, 1: 56, 2: 72, 3: 48, 6: 48}},
		{"rpentomino", 64, map[int]int{0: 5, 1: 6, 2: 7, 3: 9, 4: 8, 5: 9, 6: 12}},
		{"acorn", 64, map[int]int{0: 7}},
		{"gun", 64, map[int]int{0: 36, 30: 41, 60: 46}},
	} {
		t.Run(tc.pattern, func(t *testing.T) {
			b := newBoard(tc.size, tc.size)
			if !b.begin(tc.pattern, 0) {
				t.Fatal("unknown")
			}
			for g := 0; g <= 60; g++ {
				if want, ok := tc.populations[g]; ok && b.population() != want {
					t.Errorf("generation %d: %d alive, want %d", g, b.population(), want)
				}
				b.step()
			}
		})
	}
}

func TestKaleidoscopeStaysSymmetric(t *testing.T) {
	b := newBoard(32, 32)
	b.begin("kaleidoscope", 5)
	for range 50 {
		for y := range b.h {
			for x := range b.w {
				c := b.alive[y*b.w+x]
				if c != b.alive[y*b.w+b.w-1-x] || c != b.alive[(b.h-1-y)*b.w+x] || c != b.alive[x*b.w+y] {
					t.Fatalf("cell %d,%d has no mirror image", x, y)
				}
			}
		}
		b.step()
	}
	if b.population() == 0 {
		t.Error("nothing lives: the test shows nothing")
	}
}

// The pixels of the default picture, not its PNG bytes: those depend on the
// compressor of the Go release.
func TestPicture(t *testing.T) {
	r := pxostest.Run(t, "life", nil)
	if r.Err != nil || r.JSON != nil {
		t.Fatalf("result %s, error %+v", r.JSON, r.Err)
	}
	img, err := png.Decode(bytes.NewReader(r.Stdout))
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds() != image.Rect(0, 0, 1420, 1168) {
		t.Errorf("bounds %v", img.Bounds())
	}
	rgba, ok := img.(*image.RGBA)
	if !ok {
		t.Fatalf("got %T, want an opaque picture", img)
	}
	const want = "386d0984a4375a4c501666c04e12d81a72de9321c7f751283b93114ea1d7748c"
	if got := fmt.Sprintf("%x", sha256.Sum256(rgba.Pix)); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("pixels %s, want %s: look at the picture, and if it is right, change the test", got, want)
	}
	if len(r.Logs) != 1 || !strings.HasPrefix(r.Logs[0].Message, "drew pattern=kaleidoscope generations=176 alive=320 bytes=") {
		t.Errorf("logs %v", r.Logs)
	}

	var p Picture
	pxostest.Run(t, "life:picture", nil).Decode(t, &p)
	if !bytes.Equal(p.PNG, r.Stdout) || p.Width != 1420 || p.Height != 1168 {
		t.Errorf("life:picture gives another picture: %d bytes, %d by %d", len(p.PNG), p.Width, p.Height)
	}
	if fmt.Sprint(p.Generations) != "[0 16 32 48 64 80 96 112 128 144 160 176]" || len(p.Population) != 12 || p.Population[0] != 472 {
		t.Errorf("generations %v, population %v", p.Generations, p.Population)
	}
}

func TestSeed(t *testing.T) {
	run := func(args string) string {
		return string(pxostest.Run(t, "life", json.RawMessage(args)).Stdout)
	}
	a, b, c := run(`{"seed":0,"size":32}`), run(`{"seed":0,"size":32}`), run(`{"seed":1,"size":32}`)
	if a == "" || a != b || a == c {
		t.Error("a picture must follow from its seed")
	}
}

// Panels stay readable and pictures stay small at every size of the board.
func TestSizes(t *testing.T) {
	for _, size := range []int{16, 63, 64, 110, 161, 256} {
		b := newBoard(size, size)
		s := newSheet(b, columns, rows)
		if s.w < side || s.w > 2*side || s.img.Rect.Dx() > 2800 {
			t.Errorf("size %d: panels of %d pixels in a picture of %v", size, s.w, s.img.Rect)
		}
	}
	var p Picture
	pxostest.Run(t, "life:picture", json.RawMessage(`{"size":16,"pattern":"soup","generations":11}`)).Decode(t, &p)
	if _, err := png.Decode(bytes.NewReader(p.PNG)); err != nil || p.Width != 4*320+5*margin {
		t.Errorf("width %d, error %v", p.Width, err)
	}
}

func TestText(t *testing.T) {
	r := pxostest.Run(t, "life", json.RawMessage(`{"pattern":"pulsar","size":16,"generations":12,"format":"text"}`))
	want := `
   ▄▄▄   ▄▄▄
 ▄    ▄ ▄    ▄
 █    █ █    █
   ▀▀▀   ▀▀▀
 ▄ ▀▀▀▄ ▄▀▀▀ ▄
 █    █ █    █
   ▄▄▄   ▄▄▄

`
	if got := string(r.Stdout); r.Err != nil || got != strings.TrimPrefix(want, "\n") {
		t.Errorf("error %+v\n%s", r.Err, got)
	}
}

func TestArguments(t *testing.T) {
	for _, tc := range []struct{ name, args, typ, msg string }{
		{"pattern", `{"pattern":"spaceship"}`, "unknown_pattern", `no pattern "spaceship": there are kaleidoscope, soup`},
		{"small", `{"size":15}`, "out_of_range", "size is 16 to 256 cells, not 15"},
		{"large", `{"size":257}`, "out_of_range", "not 257"},
		{"gun without room", `{"pattern":"gun","size":32}`, "out_of_range", "at least 40"},
		{"few generations", `{"generations":3}`, "out_of_range", "11 to 10000"},
		{"many generations", `{"generations":10001}`, "out_of_range", "not 10001"},
		{"format", `{"format":"gif"}`, "unknown_format", "png, text"},
		{"key", `{"speed":1}`, "invalid_arguments", "speed"},
		{"negative seed", `{"seed":-1}`, "invalid_arguments", `argument "seed" must be an integer that fits uint64`},
	} {
		for _, program := range []string{"life", "life:picture"} {
			t.Run(program+" "+tc.name, func(t *testing.T) {
				r := pxostest.Run(t, program, json.RawMessage(tc.args))
				if r.Err == nil || r.Err.Type != tc.typ || !strings.Contains(r.Err.Message, tc.msg) || len(r.Stdout) > 0 {
					t.Errorf("error %+v, %d bytes out", r.Err, len(r.Stdout))
				}
			})
		}
	}
}

// Every character that a caption can hold has a glyph with rows of equal width.
func TestFont(t *testing.T) {
	for _, r := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -" {
		rows := strings.Split(glyphs[r], "/")
		if len(rows) != 5 {
			t.Errorf("%q has %d rows", r, len(rows))
		}
		for _, row := range rows {
			if len(row) != len(rows[0]) || strings.Trim(row, ".#") != "" {
				t.Errorf("%q has row %q", r, row)
			}
		}
	}
}
