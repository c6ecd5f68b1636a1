package storage_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/infinitemap"
	"github.com/pxos/pxos/host/storage"
)

// tileBytes is a tile of noise, which no compression makes smaller.
const tileBytes = 3 * 256 * 256

// tile writes noise to a whole tile.
func (g *guest) tile(h uint64, tx, ty uint64) abi.Code {
	return g.call("infinitemap.write_region", h, tx<<8, ty<<8, 256, 256, dataAt, tileBytes)
}

func (g *guest) noise() {
	r := rand.New(rand.NewPCG(1, 1))
	b := make([]byte, tileBytes)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	g.put(dataAt, b)
}

// onDisk adds up the files below a directory.
func onDisk(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return n
}

// A guest that fills its maps is told so and keeps what it has, in a sandbox too.
func TestMapQuota(t *testing.T) {
	const quota = 2 << 20
	for name, cfg := range map[string]storage.Config{
		"plain": config(t, t.TempDir(), everything...), "sandboxed": sandboxed(t, t.TempDir(), everything...),
	} {
		t.Run(name, func(t *testing.T) {
			cfg.MapQuotaBytes = quota
			dir := filepath.Dir(cfg.Maps)
			g := begin(t, cfg, nil)
			g.noise()
			h, other := g.openMap("world", 2|4), g.openMap("other", 2|4)
			fits := uint64(0)
			for ; ; fits++ {
				if code := g.tile(h, fits, 0); code != 0 {
					t.Fatalf("tile %d: %v", fits, code)
				}
				if code := g.call("infinitemap.flush", h); code == abi.CodeLimit {
					break
				} else if code != 0 || fits > 30 {
					t.Fatalf("flush of tile %d: %v", fits, code)
				}
				if n := onDisk(t, dir); n > quota {
					t.Fatalf("%d bytes on the disk after tile %d", n, fits)
				}
			}
			if fits < 3 {
				t.Errorf("only %d tiles fit", fits)
			}
			if n := onDisk(t, dir); n > quota {
				t.Errorf("%d bytes on the disk", n)
			}
			// What was refused is still there, and others are told as well.
			g.ok("infinitemap.get", h, fits<<8, 0, outAt)
			if g.u32(outAt) == 0 {
				t.Error("the change is gone")
			}
			p, n := g.text(pathAt, "x")
			if code := g.call("infinitemap.snapshot", h, p, n); code != abi.CodeLimit {
				t.Errorf("snapshot: %v", code)
			}
			if code := g.tile(other, 0, 0); code != 0 {
				t.Fatal(code)
			}
			if code := g.call("infinitemap.close", other); code != abi.CodeLimit {
				t.Errorf("close the other map: %v", code)
			}
			// A smaller state can be flushed.
			g.put(dataAt, bytes.Repeat([]byte{0}, tileBytes))
			for i := range fits {
				if code := g.tile(h, i, 0); code != 0 {
					t.Fatal(code)
				}
			}
			g.ok("infinitemap.flush", h)
			if n := onDisk(t, dir); n > quota/2 {
				t.Errorf("%d bytes on the disk when all but a tile are black", n)
			}
			g.ok("infinitemap.get", h, fits<<8, 0, outAt)
			if g.u32(outAt) == 0 {
				t.Error("the change is gone after the flush")
			}
			g.ok("infinitemap.close", h)
		})
	}
}

// Maps without number are bounded too, and one that is refused leaves nothing behind.
func TestMapQuotaOfMaps(t *testing.T) {
	cfg := config(t, t.TempDir(), everything...)
	cfg.MapQuotaBytes = 200 << 10
	g := begin(t, cfg, nil)
	made := 0
	for ; ; made++ {
		code := g.path("infinitemap.open", "m"+string(rune('a'+made)), 2|4, outAt)
		if code == abi.CodeLimit {
			break
		}
		if code != 0 || made == 25 {
			t.Fatalf("map %d: %v", made, code)
		}
		g.ok("infinitemap.close", uint64(g.u32(outAt)))
	}
	if list, err := os.ReadDir(cfg.Maps); err != nil || len(list) != made || made < 5 {
		t.Errorf("%d maps were made, the directory has %d, %v", made, len(list), err)
	}
}

// What is not flushed is bounded on the disk as well.
func TestMapQuotaUnflushed(t *testing.T) {
	cfg := config(t, t.TempDir(), everything...)
	cfg.MapQuotaBytes, cfg.CacheBytes = 4<<20, 1
	g := begin(t, cfg, nil)
	g.noise()
	h := g.openMap("world", 2|4)
	n := uint64(0)
	for ; ; n++ {
		code := g.tile(h, n, n)
		if code == abi.CodeLimit {
			break
		}
		if code != 0 || n > 30 {
			t.Fatalf("tile %d: %v", n, code)
		}
	}
	if n < 5 {
		t.Errorf("only %d tiles", n)
	}
	if got := onDisk(t, cfg.Maps); got > 4<<20 {
		t.Errorf("%d bytes on the disk", got)
	}
	g.put(dataAt, make([]byte, tileBytes))
	for i := range n / 2 {
		if code := g.tile(h, i, i); code != 0 {
			t.Fatalf("clear a changed tile: %v", code)
		}
	}
	g.ok("infinitemap.flush", h)
	if code := g.tile(h, n, n); code != 0 {
		t.Errorf("after a flush: %v", code)
	}
	g.ok("infinitemap.close", h)
}

// Keeping a sandboxed run's changes is bounded by the quota of the namespace, and what
// cannot be kept stays in the overlay.
func TestMapQuotaOfKeep(t *testing.T) {
	for name, inNamespace := range map[string]bool{"a new map": false, "changes of a map": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if inNamespace {
				g := begin(t, config(t, dir, everything...), nil)
				h := g.openMap("world", 2|4)
				g.ok("infinitemap.set", h, 0, 0, 7)
				g.ok("infinitemap.close", h)
			}
			g := begin(t, sandboxed(t, dir, everything...), nil)
			g.noise()
			h := g.openMap("world", 2|4)
			for i := range uint64(4) {
				if code := g.tile(h, i+1, 0); code != 0 {
					t.Fatal(code)
				}
			}
			g.ok("infinitemap.close", h)
			g.end()
			p := places(dir)
			p.MapQuotaBytes = 500 << 10
			if _, err := p.Keep(context.Background()); !errors.Is(err, infinitemap.ErrQuota) {
				t.Fatalf("keep: %v", err)
			}
			if n := onDisk(t, p.Maps); n > 100<<10 {
				t.Errorf("%d bytes in the namespace", n)
			}
			p.MapQuotaBytes = 4 << 20
			if k, err := p.Keep(context.Background()); err != nil || len(k.Maps) != 1 {
				t.Errorf("keep with more room: %+v, %v", k, err)
			}
		})
	}
}
