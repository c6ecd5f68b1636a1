package storage_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/storage"
)

// content reads a file as a later run sees it.
func content(t *testing.T, dir, path string) string {
	t.Helper()
	g := begin(t, config(t, dir, everything...), nil)
	defer g.end()
	p, n := g.text(pathAt, path)
	if code := g.call("pixelfs.open", p, n, 1, outAt); code != 0 {
		return code.String()
	}
	g.ok("pixelfs.read", uint64(g.u32(outAt)), dataAt, 1<<20, outAt)
	return string(g.mem(dataAt, g.u32(outAt)))
}

// colour reads a pixel as a later run sees it.
func colour(t *testing.T, dir, name string) uint32 {
	t.Helper()
	g := begin(t, config(t, dir, everything...), nil)
	defer g.end()
	g.ok("infinitemap.get", g.openMap(name, 1), 1, 1, outAt)
	return g.u32(outAt)
}

// What becomes of what a guest left open, by how it ended.
func TestEnd(t *testing.T) {
	for _, tc := range []struct {
		name  string
		end   func(g *guest)
		limit func(*engine.RunConfig)
		kind  abi.ErrorType
		kept  bool
	}{
		{"returns", func(*guest) {}, nil, "", true},
		{"traps", func(g *guest) { g.send(-4) }, nil, abi.ErrTrap, false},
		{"runs out of fuel", func(g *guest) { g.send(-5) }, func(c *engine.RunConfig) { c.Limits.Fuel = 3_000_000 }, abi.ErrFuel, false},
		{"runs out of time", func(g *guest) { g.send(-5) }, func(c *engine.RunConfig) { c.Limits.Time = 300 * time.Millisecond }, abi.ErrDeadline, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			g := begin(t, config(t, dir, everything...), nil)
			g.write("a", "old")
			h := g.openMap("world", 2|4)
			g.ok("infinitemap.set", h, 1, 1, 1)
			g.ok("infinitemap.close", h)
			g.end()

			g = begin(t, config(t, dir, everything...), tc.limit)
			f := g.openFile("a", 2|16)
			p, n := g.text(dataAt, "new")
			g.ok("pixelfs.write", f, p, n, outAt)
			synced := g.openFile("synced", 2|4)
			g.ok("pixelfs.write", synced, p, n, outAt)
			g.ok("pixelfs.sync", synced)
			g.ok("pixelfs.write", synced, p, n, outAt)
			g.ok("infinitemap.set", g.openMap("world", 2), 1, 1, 2)
			tc.end(g)
			if res := g.end(); res.ErrorType != tc.kind {
				t.Fatalf("ended with %q: %s", res.ErrorType, res.Error)
			}
			want := [3]any{"old", "new", uint32(1)}
			if tc.kept {
				want = [3]any{"new", "newnew", uint32(2)}
			}
			if got := [3]any{content(t, dir, "a"), content(t, dir, "synced"), colour(t, dir, "world")}; got != want {
				t.Errorf("left %v, want %v", got, want)
			}
		})
	}
}

// Several handles of one file and one map agree, and other runs see what was committed.
func TestVisibility(t *testing.T) {
	dir := t.TempDir()
	g := begin(t, config(t, dir, everything...), nil)
	other := begin(t, config(t, dir, everything...), nil)
	g.write("a", "one")
	r, w := g.openFile("a", 1), g.openFile("a", 2)
	p, n := g.text(dataAt, "TWO")
	g.ok("pixelfs.write", w, p, n, outAt)
	g.ok("pixelfs.read", r, dataAt, 10, outAt)
	if got := string(g.mem(dataAt, 3)); got != "TWO" {
		t.Errorf("another handle reads %q", got)
	}
	if got := other.read("a"); got != "one" {
		t.Errorf("another run reads %q before the commit", got)
	}
	if code := other.path("pixelfs.open", "a", 2, outAt); code != abi.CodeBusy {
		t.Errorf("another run opens to write: %v", code)
	}
	if code := other.path("pixelfs.trash", "a"); code != abi.CodeBusy {
		t.Errorf("another run removes: %v", code)
	}
	g.ok("pixelfs.sync", w)
	if got := other.read("a"); got != "TWO" {
		t.Errorf("another run reads %q after the commit", got)
	}
	g.ok("pixelfs.close", w)

	h := g.openMap("world", 2|4)
	g.ok("infinitemap.flush", h)
	reader, early := g.openMap("world", 1), other.openMap("world", 1)
	g.ok("infinitemap.set", h, 1, 1, 7)
	g.ok("infinitemap.get", reader, 1, 1, outAt)
	if got := g.u32(outAt); got != 7 {
		t.Errorf("another handle gets %x", got)
	}
	if code := other.path("infinitemap.open", "world", 2, outAt); code != abi.CodeBusy {
		t.Errorf("another run opens to write: %v", code)
	}
	g.ok("infinitemap.close", h)
	g.ok("infinitemap.get", reader, 1, 1, outAt)
	if got := g.u32(outAt); got != 7 {
		t.Errorf("the handle that is left gets %x", got)
	}
	late := other.openMap("world", 2)
	other.ok("infinitemap.get", late, 1, 1, outAt)
	if got := other.u32(outAt); got != 7 {
		t.Errorf("another run gets %x after the flush", got)
	}
	other.ok("infinitemap.get", early, 1, 1, outAt) // it has the writer's state now
	if got := other.u32(outAt); got != 7 {
		t.Errorf("its earlier handle gets %x", got)
	}
}

func TestHandleLimit(t *testing.T) {
	cfg := config(t, t.TempDir(), everything...)
	cfg.Handles = 3
	g := begin(t, cfg, nil)
	f := g.openFile("a", 2|4)
	g.openMap("world", 2|4)
	g.openMap("world", 1)
	if code := g.path("pixelfs.open", "a", 1, outAt); code != abi.CodeLimit {
		t.Errorf("open a file: %v", code)
	}
	if code := g.path("pixelfs.open_version", "a", 1, outAt); code != abi.CodeLimit {
		t.Errorf("open a version: %v", code)
	}
	if code := g.path("infinitemap.open", "world", 1, outAt); code != abi.CodeLimit {
		t.Errorf("open a map: %v", code)
	}
	g.ok("pixelfs.close", f)
	if h := g.openFile("a", 1); h == f {
		t.Error("a handle was given twice")
	}
}

func TestOpenMapsLimit(t *testing.T) {
	cfg := config(t, t.TempDir(), everything...)
	cfg.Handles = 100
	g := begin(t, cfg, nil)
	for i := range 8 {
		g.openMap("m"+string(rune('a'+i)), 2|4)
	}
	if code := g.path("infinitemap.open", "one-more", 2|4, outAt); code != abi.CodeLimit {
		t.Errorf("the ninth map: %v", code)
	}
	g.openMap("ma", 1)
}

func TestQuota(t *testing.T) {
	dir := t.TempDir()
	cfg := config(t, dir, everything...)
	cfg.QuotaBytes, cfg.Compression = 64<<10, "none"
	g := begin(t, cfg, nil)
	h := g.openFile("a", 2|4)
	if code := g.call("pixelfs.write", h, dataAt, 100<<10, outAt); code != abi.CodeLimit {
		t.Errorf("write too much: %v", code)
	}
	g.ok("pixelfs.truncate", h, 0)
	g.ok("pixelfs.write_at", h, 0, dataAt, 1000, outAt)
	g.ok("pixelfs.close", h)
}

// The guest's versions, and that what is on the disk are pixel files.
func TestVersionsAndPixels(t *testing.T) {
	dir := t.TempDir()
	g := begin(t, config(t, dir, everything...), nil)
	versions := func() (out []struct {
		Version, Modified uint64
		Size              int
		Digest            string
		Current           bool
	}) {
		g.t.Helper()
		if code := g.path("pixelfs.versions", "a", dataAt, 4000, outAt); code != 0 {
			t.Fatal(code)
		}
		if err := json.Unmarshal(g.mem(dataAt, g.u32(outAt)), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	g.write("a", "1")
	g.write("a", "22")
	g.write("a", "333")
	vs := versions()
	if len(vs) != 3 || vs[0].Version != 3 || vs[0].Size != 3 || !vs[0].Current || vs[2].Version != 1 || vs[2].Size != 1 || vs[2].Current || vs[1].Digest == vs[0].Digest || vs[0].Modified == 0 {
		t.Fatalf("versions %+v", vs)
	}
	if code := g.path("pixelfs.restore", "a", 1); code != 0 {
		t.Fatal(code)
	}
	if got := g.read("a"); got != "1" {
		t.Errorf("restored %q", got)
	}
	if code := g.path("pixelfs.trash", "a"); code != 0 {
		t.Fatal(code)
	}
	vs = versions()
	if len(vs) != 4 || vs[0].Version != 4 || vs[0].Current {
		t.Fatalf("versions in the trash %+v", vs)
	}
	p, n := g.text(pathAt, "a")
	g.ok("pixelfs.open_version", p, n, 2, outAt)
	g.ok("pixelfs.read", uint64(g.u32(outAt)), dataAt, 10, outAt)
	if got := string(g.mem(dataAt, g.u32(outAt))); got != "22" {
		t.Errorf("version 2 in the trash is %q", got)
	}
	if code := g.path("pixelfs.restore", "a", 0); code != 0 {
		t.Fatal(code)
	}
	if got := g.read("a"); got != "1" {
		t.Errorf("restored %q from the trash", got)
	}
	if code := g.path("pixelfs.trash", "a"); code != 0 {
		t.Fatal(code)
	}
	if code := g.path("pixelfs.restore", "a", 3); code != 0 {
		t.Fatal(code)
	}
	if got := g.read("a"); got != "333" {
		t.Errorf("restored %q as version 3 from the trash", got)
	}
	g.end()
	file, err := os.ReadFile(filepath.Join(dir, "pixelfs", "a.pxi"))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := pxi.Decode(file); string(data) != "333" || err != nil {
		t.Errorf("the pixels hold %q, %v", data, err)
	}
}

// Damage is named, and what is sound stays readable.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "good", "bad")
	file := filepath.Join(dir, "pixelfs", "bad.pxi")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[70] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	g := begin(t, config(t, dir, everything...), nil)
	if code := g.path("pixelfs.verify", "bad"); code != abi.CodeCorrupt {
		t.Errorf("verify: %v", code)
	}
	h := g.openFile("bad", 1)
	if code := g.call("pixelfs.read", h, dataAt, 100, outAt); code != abi.CodeCorrupt {
		t.Errorf("read: %v", code)
	}
	if code := g.path("pixelfs.verify", "good"); code != 0 {
		t.Errorf("verify what is good: %v", code)
	}
}

func TestConfigErrors(t *testing.T) {
	for name, cfg := range map[string]storage.Config{
		"compression": {Policy: storage.Policy{Compression: "zip"}},
		"path":        {Granted: []abi.Capability{{Kind: abi.CapPixelFS, Path: "/a/../b", Mode: abi.ModeRead}}},
		"area":        {Granted: []abi.Capability{{Kind: abi.CapInfiniteMap, Name: "*", Mode: abi.ModeRead, Area: "1,2"}}},
	} {
		if _, err := cfg.Open(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
