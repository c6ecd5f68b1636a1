package infinitemap

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/pxos/pxos/host/disk/disktest"
)

// An overlay behaves as a map that starts as the one below, which stays as it was;
// Diff lists exactly the tiles that differ, and Keep makes the map below the same.
func TestOverlayHistories(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 11))
		low, up := disktest.NewMem(), disktest.NewMem()
		m := mustOpen(t, low, Options{TileSize: 16})
		below := model{}
		for range 4 {
			scribble(t, r, m, below, 15)
			if err := m.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		lower := mustOpen(t, low, Options{ReadOnly: true})
		open := func() *Overlay {
			o, err := OpenOverlay(lower, up, Options{CacheBytes: 2 * 768})
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		o := open()
		now, flushed := below.clone(), below.clone()
		for range 40 {
			switch r.IntN(5) {
			case 0:
				if err := o.Flush(ctx); err != nil {
					t.Fatal(err)
				}
				flushed = now.clone()
			case 1:
				if err := o.Close(); err != nil {
					t.Fatal(err)
				}
				o = open()
				now = flushed.clone()
			case 2:
				// Clear a tile of the map below.
				for p := range below {
					x, y := floorDiv(p.X, 16)*16, floorDiv(p.Y, 16)*16
					if err := o.WriteRegion(make([]byte, 768), 48, x, y, 16, 16); err != nil {
						t.Fatal(err)
					}
					for i := range int64(256) {
						now.set(Point{x + i%16, y + i/16}, RGB{})
					}
					break
				}
			default:
				scribble(t, r, o.Map, now, 4)
			}
		}
		compare(t, o.Map, now)
		compareLevels(t, o.Map, now, 1, 2, 5, o.MaxLevel())
		compare(t, lower, below)

		want := map[Point]ChangeKind{}
		a, b := below.tiles(16), now.tiles(16)
		for p := range b {
			if !a[p] {
				want[p] = Added
			}
		}
		for p := range a {
			if !b[p] {
				want[p] = Cleared
			}
		}
		differ := func(p, q model) {
			for at, c := range p {
				tile := Point{floorDiv(at.X, 16), floorDiv(at.Y, 16)}
				if q[at] != c && want[tile] == "" {
					want[tile] = Changed
				}
			}
		}
		differ(below, now)
		differ(now, below)
		diff, err := o.Diff(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got := map[Point]ChangeKind{}
		for _, d := range diff {
			got[Point{d.TX, d.TY}] = d.Kind
		}
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d tiles differ, want %d", seed, len(got), len(want))
		}
		for p, k := range want {
			if got[p] != k {
				t.Fatalf("seed %d: tile %v is %q, want %q", seed, p, got[p], k)
			}
		}

		// The map below moves on. Far from the overlay's tiles that is no conflict.
		w := mustOpen(t, low, Options{})
		far := Point{1 << 50, 1 << 50}
		if err := errors.Join(w.Set(far.X, far.Y, RGB{5, 5, 5}), w.Flush(ctx), o.Flush(ctx), o.Close()); err != nil {
			t.Fatal(err)
		}
		now[far] = RGB{5, 5, 5}
		if moved, err := lower.Refresh(); err != nil || !moved {
			t.Fatal(moved, err)
		}
		o = open()
		compare(t, o.Map, now)
		compareLevels(t, o.Map, now, 1, 2, 5, 40)
		if seed%2 == 0 {
			conflict := Point{}
			for p := range got {
				conflict = p
				break
			}
			if len(got) > 0 {
				old, err := w.At(conflict.X*16, conflict.Y*16)
				if err != nil {
					t.Fatal(err)
				}
				if err := w.Set(conflict.X*16, conflict.Y*16, RGB{old.R + 1, 77, 78}); err != nil {
					t.Fatal(err)
				}
				before := state(t, w)
				var ce *ConflictError
				if err := o.Keep(ctx, w); !errors.As(err, &ce) || len(ce.Tiles) != 1 || ce.Tiles[0].TX != conflict.X {
					t.Fatalf("seed %d: keep over a conflict: %v", seed, err)
				}
				compare(t, w, before)
			}
		} else {
			if err := o.Keep(ctx, w); err != nil {
				t.Fatal(err)
			}
			compare(t, w, now)
			compareLevels(t, w, now, 1, 2, 5)
			if err := o.Keep(ctx, w); err != nil { // as after a crash before Drop
				t.Fatalf("keep twice: %v", err)
			}
		}
		if err := o.Drop(); err != nil {
			t.Fatal(err)
		}
		o = open()
		if diff, err := o.Diff(ctx); err != nil || len(diff) != 0 {
			t.Fatalf("after drop: %v %v", diff, err)
		}
		if err := errors.Join(o.Close(), w.Close(), lower.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOverlayMisuse(t *testing.T) {
	low := disktest.NewMem()
	w := mustOpen(t, low, Options{TileSize: 16})
	if _, err := OpenOverlay(w, disktest.NewMem(), Options{}); err == nil {
		t.Error("an overlay over a writer")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	lower := mustOpen(t, low, Options{ReadOnly: true})
	if _, err := OpenOverlay(lower, disktest.NewMem(), Options{TileSize: 64}); err == nil {
		t.Error("an overlay with other tiles")
	}
	up := disktest.NewMem()
	o, err := OpenOverlay(lower, up, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOverlay(lower, up, Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("the overlay twice: %v", err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(up, Options{}); err == nil {
		t.Error("an overlay opened as a map")
	}
	if _, err := OpenOverlay(lower, low, Options{}); err == nil {
		t.Error("a map opened as an overlay")
	}
	other := disktest.NewMem()
	if err := mustOpen(t, other, Options{TileSize: 16}).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOverlay(mustOpen(t, other, Options{ReadOnly: true}), up, Options{}); err == nil {
		t.Error("an overlay over another map")
	}
}
