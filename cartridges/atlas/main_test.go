//go:build !wasip1

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/pxostest"
)

// host is a host that grants the map.
func host(s *pxostest.Storage) *pxostest.Host {
	if s == nil {
		s = pxostest.NewStorage()
	}
	return &pxostest.Host{Storage: s, Granted: []pxos.Capability{{Kind: "infinitemap", Name: mapName, Mode: "write"}}}
}

func args(format string, a ...any) json.RawMessage { return json.RawMessage(fmt.Sprintf(format, a...)) }

// What grew at different times, in different pieces, is one world.
func TestGrowJoins(t *testing.T) {
	whole, parts := pxostest.NewStorage(), pxostest.NewStorage()
	var g Grown
	r := host(whole).Run(t, "atlas:grow", args(`{"seed":5,"x":0,"y":-1280,"size":2}`))
	r.Decode(t, &g)
	if g.Seed != 5 || g.X != -256 || g.Y != -1536 || g.Size != 512 || len(g.CRC32C) != 8 {
		t.Errorf("grew %+v", g)
	}
	sums := map[string]bool{}
	for _, at := range [][2]int64{{-128, -1408}, {128, -1152}, {128, -1408}, {-128, -1152}} {
		var p Grown
		host(parts).Run(t, "atlas:grow", args(`{"seed":5,"x":%d,"y":%d,"size":1}`, at[0], at[1])).Decode(t, &p)
		if p.Size != 256 || p.X > at[0] || p.X+256 <= at[0] || p.Y > at[1] || p.Y+256 <= at[1] {
			t.Errorf("at %v grew %+v", at, p)
		}
		sums[p.CRC32C] = true
	}
	if len(sums) != 4 {
		t.Errorf("four parts have the checksums %v", sums)
	}
	for y := g.Y - 1; y <= g.Y+512; y++ {
		for x := g.X - 1; x <= g.X+512; x++ {
			a, b := whole.At(mapName, x, y), parts.At(mapName, x, y)
			inside := x >= g.X && x < g.X+512 && y >= g.Y && y < g.Y+512
			if a != b || (a != 0) != inside {
				t.Fatalf("at %d, %d the whole is %06x and its parts are %06x", x, y, a, b)
			}
		}
	}
	var again, other Grown
	host(nil).Run(t, "atlas:grow", args(`{"seed":5,"x":0,"y":-1280,"size":2}`)).Decode(t, &again)
	host(nil).Run(t, "atlas:grow", args(`{"seed":6,"x":0,"y":-1280,"size":2}`)).Decode(t, &other)
	if again.CRC32C != g.CRC32C || other.CRC32C == g.CRC32C {
		t.Errorf("checksums %s, again %s, of another seed %s", g.CRC32C, again.CRC32C, other.CRC32C)
	}
}

// What is listed is there.
func TestGrowPlaces(t *testing.T) {
	var g Grown
	host(nil).Run(t, "atlas:grow", args(`{"size":4}`)).Decode(t, &g)
	kinds := map[string]int{}
	for _, p := range g.Places {
		if p.X < g.X || p.X >= g.X+int64(g.Size) || p.Y < g.Y || p.Y >= g.Y+int64(g.Size) || p.Name == "" {
			t.Errorf("place %+v", p)
		}
		kinds[p.Kind]++
	}
	if g.Land < 0.2 || g.Land > 1 || g.Settlements < 5 || kinds["realm"] == 0 || kinds["hamlet"]+kinds["village"]+kinds["town"]+kinds["city"] == 0 {
		t.Errorf("land %v, settlements %d, kinds %v", g.Land, g.Settlements, kinds)
	}
}

// Bytes come back from their island, whatever they are and wherever it lies.
func TestIslands(t *testing.T) {
	random := make([]byte, 70_000)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	module := "\x00asm\x01\x00\x00\x00" + "\x01\x03abc" + "\x00\x06\x04namex" + "\x0a\xe8\x07" + strings.Repeat("code", 250)
	for _, tc := range []struct {
		name, data string
		x, y       int64
		provinces  string
	}{
		{"one byte", "x", 0, 0, "[thing 1]"},
		{"two bytes", "\x00\xff", -5000, 7, "[thing 2]"},
		{"zeros", strings.Repeat("\x00", 3000), 1 << 61, -1 << 61, "[thing 3000]"},
		{"text", strings.Repeat("All the world is a map.\n", 80), -1, -1, "[thing 1920]"},
		{"random", string(random), 300, -70000, "[thing 70000]"},
		{"module", module, 0, 3000, "[types 13 name 8 code 1003]"},
		{"cut module", module[:len(module)-1], 0, 3000, "[thing 1023]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := host(nil)
			h.Archive = map[string]string{"thing": tc.data}
			var l Landed
			h.Run(t, "atlas:land", args(`{"entry":"thing","x":%d,"y":%d}`, tc.x, tc.y)).Decode(t, &l)
			var provinces []string
			for _, p := range l.Provinces {
				provinces = append(provinces, fmt.Sprint(p.Name, " ", p.Bytes))
			}
			if l.Bytes != len(tc.data) || l.X != tc.x || l.Y != tc.y || fmt.Sprint(provinces) != tc.provinces {
				t.Errorf("landed %+v", l)
			}
			r := h.Run(t, "atlas:read", args(`{"x":%d,"y":%d}`, tc.x, tc.y))
			if r.Err != nil || string(r.Stdout) != tc.data {
				t.Fatalf("%d bytes came back, error %+v", len(r.Stdout), r.Err)
			}
			for _, p := range l.Provinces {
				if h.Storage.At(mapName, p.X, p.Y) == 0 {
					t.Errorf("nothing is drawn in %+v", p)
				}
			}
			if r := h.Run(t, "atlas:read", args(`{"x":%d,"y":%d}`, tc.x+1, tc.y)); r.Err == nil || r.Err.Type != "not_found" {
				t.Errorf("beside it: %+v", r.Err)
			}
		})
	}
}

// A byte that was drawn over is noticed.
func TestIslandChanged(t *testing.T) {
	h := host(nil)
	h.Stdin = strings.NewReader(strings.Repeat("abc", 500))
	var l Landed
	h.Run(t, "atlas:land", args(`{"entry":"-","name":"letters","x":0,"y":0}`)).Decode(t, &l)
	if l.Name != "letters" || l.Bytes != 1500 {
		t.Errorf("landed %+v", l)
	}
	p := l.Provinces[0]
	found := false
	for x := p.X; x < p.X+20 && !found; x++ { // any pixel of land; beside it may be sea
		c := h.Storage.At(mapName, x, p.Y)
		h.Storage.Set(mapName, x, p.Y, c^1)
		r := h.Run(t, "atlas:read", args(`{"x":0,"y":0}`))
		found = r.Err != nil && r.Err.Type == "changed" && len(r.Stdout) == 0
		h.Storage.Set(mapName, x, p.Y, c)
	}
	if !found {
		t.Error("a changed pixel is not noticed")
	}
}

func TestLook(t *testing.T) {
	h := host(nil)
	h.Storage.Set(mapName, -3, 2, 0x102030)
	h.Storage.Set(mapName, -4, 2, 0xfefdfc)
	r := h.Run(t, "atlas:look", args(`{"width":9,"height":7}`))
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	img, err := png.Decode(bytes.NewReader(r.Stdout))
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != 9 || b.Dy() != 7 {
		t.Fatalf("bounds %v", b)
	}
	if cr, cg, cb, _ := img.At(1, 5).RGBA(); cr>>8 != 0x10 || cg>>8 != 0x20 || cb>>8 != 0x30 {
		t.Errorf("pixel %x %x %x", cr>>8, cg>>8, cb>>8)
	}
	var p Picture
	h.Run(t, "atlas:picture", args(`{"width":9,"height":7}`)).Decode(t, &p)
	if !bytes.Equal(p.PNG, r.Stdout) || p.X != -4 || p.Y != -3 || p.Scale != 1 || p.Colours != 3 || p.Written < 0.03 || p.Written > 0.04 || p.Map.TileSize == 0 {
		t.Errorf("picture %+v", p)
	}
	h.Run(t, "atlas:picture", args(`{"width":4,"height":4,"level":1}`)).Decode(t, &p)
	if p.X != -4 || p.Scale != 2 || p.Colours != 2 {
		t.Errorf("level 1: %+v", p)
	}
}

func TestArguments(t *testing.T) {
	for _, tc := range []struct{ name, program, args, typ, msg string }{
		{"size", "grow", `{"size":65}`, "out_of_range", "size is 1 to 64 tiles, not 65"},
		{"negative size", "grow", `{"size":-1}`, "out_of_range", "not -1"},
		{"too far", "grow", `{"x":4611686018427387905}`, "out_of_range", "-2^62 to 2^62"},
		{"key", "grow", `{"sise":1}`, "invalid_arguments", "sise"},
		{"seed", "grow", `{"seed":-1}`, "invalid_arguments", `argument "seed"`},
		{"no entry", "land", `{"entry":"nothing"}`, "not_found", `no entry "nothing"`},
		{"no bytes", "land", `{"entry":"-"}`, "out_of_range", "no bytes"},
		{"own code is not there", "land", `{}`, "not_found", "atlas.wasm"},
		{"land too far", "land", `{"entry":"-","y":-4611686018427387905}`, "out_of_range", "-2^62"},
		{"long name", "land", `{"entry":"small","name":"` + strings.Repeat("n", 65) + `"}`, "out_of_range", "at most 64 bytes"},
		{"no map", "look", `{}`, "empty", "grow a world first"},
		{"no map to read", "read", `{}`, "empty", "grow a world first"},
		{"wide", "look", `{"width":2049}`, "out_of_range", "width and height are 1 to 2048"},
		{"high", "picture", `{"height":-1}`, "out_of_range", "width and height"},
		{"level", "picture", `{"level":41}`, "out_of_range", "level is 0 to 40"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := host(nil)
			h.Archive = map[string]string{"small": "s"}
			r := h.Run(t, "atlas:"+tc.program, json.RawMessage(tc.args))
			if r.Err == nil || r.Err.Type != tc.typ || !strings.Contains(r.Err.Message, tc.msg) || len(r.Stdout) > 0 {
				t.Errorf("error %+v, %d bytes out", r.Err, len(r.Stdout))
			}
		})
	}
}
