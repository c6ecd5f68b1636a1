//go:build !wasip1

package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// A pixel is the same whatever it is computed together with: pieces that overlap
// agree, close to the origin, below zero, and far away.
func TestPiecesAgree(t *testing.T) {
	for _, tc := range []struct {
		name string
		seed uint64
		x, y int64
	}{
		{"origin", 9, -512, -256},
		{"city", 9, 0, -256}, // with walls, roads and a river on the edge
		{"negative", 4, -70_000, -123_000},
		{"far", 1, 1 << 61, -1<<61 + 256},
		{"edge", 2, 1<<62 - 256, 1<<62 - 512},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x, y := tc.x&^255, tc.y&^255
			first := newPiece(newWorld(tc.seed))
			first.draw(x, y)
			second := newPiece(newWorld(tc.seed))
			second.draw(x-4096, y+8192) // it has seen something else before
			second.draw(x+256, y+256)
			for j := range 256 {
				for i := range 256 {
					a := 3 * ((j+256+border)*spread + i + 256 + border)
					b := 3 * ((j+border)*spread + i + border)
					if [3]uint8(first.rgb[a:]) != [3]uint8(second.rgb[b:]) {
						t.Fatalf("pixel %d, %d is %v and %v", x+256+int64(i), y+256+int64(j), first.rgb[a:a+3], second.rgb[b:b+3])
					}
				}
			}
		})
	}
}

// Every river runs downhill, and all the way: to a lake, or to the sea.
func TestRiversRunDownhill(t *testing.T) {
	w := newWorld(9)
	rivers, seas, lakes := 0, 0, 0
	for j := int64(-64); j < 64; j++ {
		for i := int64(-64); i < 64; i++ {
			if w.flow(i, j) < riverFlow || w.spring(i, j).height < 0 {
				continue
			}
			rivers++
			a, b := i, j
			for {
				s := *w.drain(a, b)
				if s.to == [2]int8{} {
					break
				}
				flow := w.flow(a, b)
				a, b = a+int64(s.to[0]), b+int64(s.to[1])
				if d := w.spring(a, b); d.height >= s.height {
					t.Fatalf("from %d, %d water runs up from %v to %v", i, j, s.height, d.height)
				}
				if w.spring(a, b).height >= -0.05 && w.flow(a, b) <= flow {
					t.Fatalf("a river of %d springs has %d further down", flow, w.flow(a, b))
				}
			}
			if w.spring(a, b).height < 0 {
				seas++
			} else {
				lakes++
			}
		}
	}
	if rivers < 200 || seas == 0 || lakes == 0 {
		t.Errorf("%d places on rivers, %d run to seas, %d to lakes: the test shows little", rivers, seas, lakes)
	}
}

// What drains through a spring is what drains into it, counted one by one.
func TestFlow(t *testing.T) {
	w := newWorld(3)
	through := map[[2]int64]int32{}
	const reach = 90
	for j := int64(-reach); j < reach; j++ {
		for i := int64(-reach); i < reach; i++ {
			if w.spring(i, j).height < -0.05 {
				continue
			}
			for a, b := i, j; ; {
				through[[2]int64{a, b}]++
				s := w.drain(a, b)
				if s.to == [2]int8{} {
					break
				}
				a, b = a+int64(s.to[0]), b+int64(s.to[1])
			}
		}
	}
	compared := 0
	for j := int64(-16); j < 16; j++ {
		for i := int64(-16); i < 16; i++ {
			if n := through[[2]int64{i, j}]; n > 1 && w.spring(i, j).height >= -0.05 {
				compared++
				if f := w.flow(i, j); f != n {
					t.Fatalf("spring %d, %d has a flow of %d, and %d drain through it", i, j, f, n)
				}
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d springs were compared", compared)
	}
}

// A road leads from one settlement to the other, step by step, and hardly through water.
func TestRoads(t *testing.T) {
	w := newWorld(9)
	roads := 0
	for _, s := range w.sitesIn(-1024, -1024, 2048, 2048, 0) {
		for _, o := range w.neighbours(s) {
			way := w.road(s, o)
			if len(way) == 0 {
				continue
			}
			roads++
			first, last := way[0], way[len(way)-1]
			if !(first == s.place && last == o.place || first == o.place && last == s.place) {
				t.Fatalf("the road between %s and %s does not join them", s.name, o.name)
			}
			back := w.road(o, s)
			if len(back) != len(way) || back[0] != way[0] {
				t.Errorf("from %s to %s it is another road than back", s.name, o.name)
			}
			for i := 1; i < len(way); i++ {
				if dx, dy := way[i].x-way[i-1].x, way[i].y-way[i-1].y; dx*dx+dy*dy > 24*24 {
					t.Fatalf("the road between %s and %s jumps by %d, %d", s.name, o.name, dx, dy)
				}
			}
		}
	}
	if roads < 40 {
		t.Errorf("only %d roads", roads)
	}
}

// Names can be written with the font, and settlements lie on land.
func TestNames(t *testing.T) {
	write := func(name string) {
		if name == "" || len(name) > 40 || !utf8.ValidString(name) {
			t.Errorf("name %q", name)
		}
		for _, r := range name {
			if _, ok := letters[r]; !ok {
				t.Errorf("%q needs a letter %q", name, r)
			}
		}
	}
	for i := range tongues {
		tg := &tongues[i]
		for h := range uint64(300) {
			for _, which := range [][]string{tg.sea, tg.range_, tg.realm} {
				name := regionName(tg, which, hash(1, int64(h), int64(i)))
				write(name)
				write(strings.ToUpper(name))
			}
		}
		for _, head := range tg.heads {
			for _, ends := range [][]string{tg.port, tg.river, tg.hill, tg.plain} {
				for _, end := range ends {
					write(join(head, end))
				}
			}
		}
	}
	w := newWorld(9)
	for _, s := range w.sitesIn(-2000, -2000, 4000, 4000, 0) {
		write(s.name)
		if h := w.high(s.x, s.y); h < 0 {
			t.Errorf("%s lies %v deep in the sea", s.name, -h)
		}
	}
}

// Every row of a glyph is as wide as the others.
func TestFont(t *testing.T) {
	for r, g := range glyphs {
		rows := strings.Split(strings.TrimPrefix(g, "2/"), "/")
		if len(rows) > 8 {
			t.Errorf("%q has %d rows", r, len(rows))
		}
		for _, row := range rows {
			if len(row) != len(rows[0]) || strings.Trim(row, ".#") != "" {
				t.Errorf("%q has row %q", r, row)
			}
		}
	}
}

func TestHash(t *testing.T) {
	seen := map[uint64]bool{}
	ones := 0
	for y := int64(-100); y < 100; y++ {
		for x := int64(-100); x < 100; x++ {
			h := hash(7, x, y)
			seen[h] = true
			ones += int(h & 1)
		}
	}
	if len(seen) != 40_000 || ones < 19_500 || ones > 20_500 {
		t.Errorf("%d different values, %d odd", len(seen), ones)
	}
}

// The branchless forms are what their names say.
func TestForms(t *testing.T) {
	for _, v := range []float32{-1e6, -300, -1, -0.25, 0, 0.25, 0.5, 1, 2, 254.6, 255, 256, 300, 1e6} {
		if got, want := clamp(v), min(max(v, 0), 1); abs(got-want) > 1e-4 && v > -1e5 && v < 1e5 {
			t.Errorf("clamp(%v) = %v", v, got)
		}
		if got, want := positive(v), max(v, 0); got != want {
			t.Errorf("positive(%v) = %v", v, got)
		}
		if got := level(v); v < 1 && got != 1 || v >= 255 && got != 255 || v > 1 && v < 255 && abs(float32(got)-v) > 0.51 {
			t.Errorf("level(%v) = %d", v, got)
		}
	}
}

func BenchmarkPiece(b *testing.B) {
	b.SetBytes(pieceSide * pieceSide)
	w := newWorld(9)
	p := newPiece(w)
	for i := 0; b.Loop(); i++ {
		p.draw(int64(i%4*pieceSide-1024), int64(i/4%4*pieceSide-1024))
	}
}
