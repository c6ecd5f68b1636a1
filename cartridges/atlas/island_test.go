//go:build !wasip1

package main

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The curve visits every pixel once and goes from neighbour to neighbour.
func TestHilbert(t *testing.T) {
	const top = 5
	var at [1 << (2 * top)]*[2]int
	for y := range 1 << top {
		for x := range 1 << top {
			d := hilbert(top, uint32(x), uint32(y))
			if d >= uint32(len(at)) || at[d] != nil {
				t.Fatalf("%d, %d is number %d, as another pixel is", x, y, d)
			}
			at[d] = &[2]int{x, y}
		}
	}
	for d := 1; d < len(at); d++ {
		dx, dy := at[d][0]-at[d-1][0], at[d][1]-at[d-1][1]
		if dx*dx+dy*dy != 1 {
			t.Fatalf("number %d is %v, and the next %v", d-1, *at[d-1], *at[d])
		}
	}
}

func TestSorted(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	v := make([]uint64, 5000)
	for i := range v {
		v[i] = uint64(rng.Uint32N(1<<22))<<32 | uint64(i)
	}
	want := slices.Clone(v)
	slices.Sort(want)
	if got := sorted(v, 22); !slices.Equal(got, want) {
		t.Error("not sorted")
	}
}

// An island has a pixel for each byte, and no byte twice; sea is all around.
func TestPlan(t *testing.T) {
	for _, n := range []int{1, 2, 7, 1000, 33_333, 500_000} {
		is := plan(n, sha256.Sum256([]byte{byte(n)}))
		order := is.order()
		if len(order) != n {
			t.Fatalf("%d bytes have %d places", n, len(order))
		}
		seen := make([]bool, is.side*is.side)
		for _, o := range order {
			at := int(uint32(o))
			if seen[at] {
				t.Fatalf("%d bytes: two of them are at %d", n, at)
			}
			seen[at] = true
			if x, y := at%is.side, at/is.side; n > 100 && (x == 0 || y == 0 || x == is.side-1 || y == is.side-1) {
				t.Fatalf("%d bytes: land reaches the edge at %d, %d of %d", n, x, y, is.side)
			}
		}
	}
}

func TestHide(t *testing.T) {
	for b := range 256 {
		for _, c := range []uint8{1, 7, 100, 255} {
			pix := []byte{c, c, c}
			hide(pix, byte(b))
			if seek(pix) != byte(b) || pix[0] == 0 {
				t.Fatalf("%d in %d gives %v", b, c, pix)
			}
			for i, p := range pix {
				if d := int(p) - int(c); (d > 7 || d < -7) && c > 8 {
					t.Fatalf("part %d changes by %d", i, d)
				}
			}
		}
	}
}

func TestEntropies(t *testing.T) {
	random := make([]byte, 1024)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	for _, tc := range []struct {
		name   string
		data   []byte
		n      int
		lo, hi uint8
	}{
		{"empty", nil, 0, 0, 0},
		{"zeros", make([]byte, 600), 3, 0, 0},
		{"random", random, 4, 215, 255},
		{"text", []byte(strings.Repeat("words and more words ", 40)), 4, 60, 160},
		{"one", []byte{1}, 1, 0, 0},
	} {
		got := entropies(tc.data)
		if len(got) != tc.n {
			t.Errorf("%s: %d blocks", tc.name, len(got))
		}
		for _, e := range got {
			if e < tc.lo || e > tc.hi {
				t.Errorf("%s: %d", tc.name, e)
			}
		}
	}
}

// Provinces divide any file without a gap.
func FuzzProvinces(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x01\x03abc\x00\x06\x04namex"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00" + strings.Repeat("\x00\x00", 300)))
	f.Add([]byte("plain"))
	f.Fuzz(func(t *testing.T, data []byte) {
		next := 0
		list := provincesOf("file", data)
		for _, p := range list {
			if p.first != next || p.size < 0 || p.name == "" {
				t.Fatalf("province %+v begins at %d", p, next)
			}
			next += p.size
		}
		if next != len(data) || len(list) == 0 || len(list) > maxProvinces {
			t.Fatalf("%d provinces hold %d of %d bytes", len(list), next, len(data))
		}
	})
}

// A row of pixels that says it is an island's first is one, or is refused.
func FuzzIslandRow(f *testing.F) {
	f.Add(append(islandRow("name", 5, [32]byte{1}), make([]byte, maxIslandRow)...))
	f.Add([]byte("LAND1"))
	f.Fuzz(func(t *testing.T, row []byte) {
		name, n, digest, ok := parseIslandRow(row)
		if !ok {
			return
		}
		again := islandRow(name, n, digest)
		if string(again) != string(row[:len(again)]) || n < 1 || n > maxLand {
			t.Fatalf("%q, %d bytes", name, n)
		}
		if binary.BigEndian.Uint32(row[len(islandMark):]) != uint32(n) {
			t.Fatal("another length")
		}
	})
}
