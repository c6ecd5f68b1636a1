package infinitemap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

// below is a directory of a file system as a file system, without the name of its mother.
type below struct {
	disk.FS
	dir string
}

func (b below) in(name string) string {
	if name == "." {
		return b.dir
	}
	return b.dir + "/" + name
}

func (b below) OpenFile(name string, flag int) (disk.File, error) {
	return b.FS.OpenFile(b.in(name), flag)
}
func (b below) Mkdir(name string) error                    { return b.FS.Mkdir(b.in(name)) }
func (b below) MkdirAll(name string) error                 { return b.FS.MkdirAll(b.in(name)) }
func (b below) Rename(from, to string) error               { return b.FS.Rename(b.in(from), b.in(to)) }
func (b below) Remove(name string) error                   { return b.FS.Remove(b.in(name)) }
func (b below) RemoveAll(name string) error                { return b.FS.RemoveAll(b.in(name)) }
func (b below) Lstat(name string) (fs.FileInfo, error)     { return b.FS.Lstat(b.in(name)) }
func (b below) ReadDir(name string) ([]fs.DirEntry, error) { return b.FS.ReadDir(b.in(name)) }
func (b below) SyncDir(name string) error                  { return b.FS.SyncDir(b.in(name)) }
func (b below) Lock(name string, how disk.LockMode) (io.Closer, error) {
	return b.FS.Lock(b.in(name), how)
}

// mapsIn makes directories of maps and a quota for them.
func mapsIn(t *testing.T, q *Quota, names ...string) (mem *disktest.Mem, dirs []disk.FS) {
	t.Helper()
	mem = disktest.NewMem()
	for _, n := range names {
		if err := mem.Mkdir(n); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, below{mem, n})
	}
	q.Dir = func() (disk.FS, error) { return mem, nil }
	return mem, dirs
}

// noise fills tiles of 16 pixels from (tx, 0) on with what no compression makes smaller.
func noise(t *testing.T, m *Map, seed uint64, tx int64, n int) error {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, m.tileBytes)
	for i := range int64(n) {
		for k := range b {
			b[k] = byte(r.Uint32())
		}
		if err := m.WriteRegion(b, 3*m.size, (tx+i)*int64(m.size), 0, m.size, m.size); err != nil {
			return err
		}
	}
	return nil
}

func mustUse(t *testing.T, q *Quota) int64 {
	t.Helper()
	n, err := q.Usage()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var quotaOptions = Options{TileSize: 16, NoPrefetch: true}

// A flush over the quota changes nothing, neither on the disk nor in memory.
func TestQuotaFlush(t *testing.T) {
	ctx := context.Background()
	q := &Quota{Bytes: 200 << 10}
	mem, dirs := mapsIn(t, q, "a", "b")
	opt := quotaOptions
	opt.Quota = q
	a := mustOpen(t, dirs[0], opt)
	if err := errors.Join(noise(t, a, 1, 0, 100), a.Flush(ctx)); err != nil { // about 100 KiB with the levels
		t.Fatal(err)
	}
	before := mustUse(t, q)
	names := mem.String()
	if err := noise(t, a, 2, 100, 150); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := a.Flush(ctx)
		var over *QuotaError
		if !errors.Is(err, ErrQuota) || !errors.As(err, &over) || over.Limit != q.Bytes || over.Need <= q.Bytes {
			t.Fatalf("flush: %v", err)
		}
	}
	if got := mustUse(t, q); got != before || mem.String() != names {
		t.Errorf("%d bytes are in use, before the flush that failed %d", got, before)
	}
	buf := make([]byte, a.tileBytes)
	if err := a.ReadRegion(buf, 48, 240*16, 0, 16, 16); err != nil || isBlack(buf, a.black) {
		t.Errorf("the change is not there: %v", err)
	}
	if pix, _, err := a.Tile(1, 120, 0); err != nil || isBlack(pix, a.black) {
		t.Errorf("the change is not there at level 1: %v", err)
	}
	// Another map of the directory counts as well.
	b := mustOpen(t, dirs[1], opt)
	if err := errors.Join(noise(t, b, 3, 0, 40)); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := noise(t, b, 4, 40, 60); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(ctx); !errors.Is(err, ErrQuota) {
		t.Errorf("the other map: %v", err)
	}
	// With more room the same changes are kept.
	q.Bytes = 2 << 20
	if err := errors.Join(a.Flush(ctx), b.Flush(ctx), a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	c := mustOpen(t, dirs[0], Options{ReadOnly: true})
	if s := c.Stats(); s.Tiles != 250 {
		t.Errorf("%d tiles", s.Tiles)
	}
}

// What is over the quota can be made smaller, and replaced tiles make room for new ones.
func TestQuotaMakesRoom(t *testing.T) {
	ctx := context.Background()
	q := &Quota{}
	_, dirs := mapsIn(t, q, "a")
	opt := quotaOptions
	opt.Quota = q
	m := mustOpen(t, dirs[0], opt)
	if err := errors.Join(noise(t, m, 1, 0, 256), m.Flush(ctx)); err != nil {
		t.Fatal(err)
	}
	// A third is replaced, less than what a flush tidies of itself.
	q.Bytes = mustUse(t, q) + 20<<10
	if err := errors.Join(noise(t, m, 2, 0, 85), m.Flush(ctx)); err != nil {
		t.Fatalf("replace tiles: %v", err)
	}
	if got := mustUse(t, q); got > q.Bytes {
		t.Errorf("%d bytes of %d", got, q.Bytes)
	}
	q.Bytes = 10 << 10
	if err := m.WriteRegion(make([]byte, 3*16*128*16), 3*16*128, 0, 0, 16*128, 16); err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(ctx); err != nil {
		t.Fatalf("make it smaller: %v", err)
	}
	if err := errors.Join(noise(t, m, 3, 0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(ctx); !errors.Is(err, ErrQuota) {
		t.Errorf("one tile more: %v", err)
	}
	if err := m.Discard(); err != nil {
		t.Fatal(err)
	}
	if err := m.WriteRegion(make([]byte, 3*16*256*16), 3*16*256, 0, 0, 16*256, 16); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Flush(ctx), m.Close()); err != nil {
		t.Fatalf("clear it: %v", err)
	}
}

// What snapshots and readers hold counts.
func TestQuotaHeld(t *testing.T) {
	ctx := context.Background()
	q := &Quota{}
	_, dirs := mapsIn(t, q, "a")
	opt := quotaOptions
	opt.Quota = q
	m := mustOpen(t, dirs[0], opt)
	if err := errors.Join(noise(t, m, 1, 0, 100), m.Snapshot("kept")); err != nil {
		t.Fatal(err)
	}
	q.Bytes = mustUse(t, q) + 40<<10
	if err := noise(t, m, 2, 0, 100); err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(ctx); !errors.Is(err, ErrQuota) {
		t.Errorf("replace what a snapshot holds: %v", err)
	}
	r := mustOpen(t, dirs[0], Options{ReadOnly: true})
	if err := errors.Join(m.DeleteSnapshot("kept"), m.Flush(ctx)); err != nil {
		t.Fatalf("without the snapshot: %v", err)
	}
	// The reader still has the old ones now.
	if err := noise(t, m, 3, 0, 100); err != nil {
		t.Fatal(err)
	}
	if got := mustUse(t, q); got <= q.Bytes {
		t.Fatalf("%d bytes of %d with a reader", got, q.Bytes)
	}
	if err := noise(t, m, 4, 100, 5); err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(ctx); !errors.Is(err, ErrQuota) {
		t.Errorf("more than there is beside what a reader holds: %v", err)
	}
	if err := errors.Join(r.Close(), m.Flush(ctx)); err != nil {
		t.Fatal(err)
	}
	if got := mustUse(t, q); got > q.Bytes {
		t.Errorf("%d bytes of %d", got, q.Bytes)
	}
	q.Bytes = mustUse(t, q)
	if err := m.Snapshot("more"); !errors.Is(err, ErrQuota) {
		t.Errorf("snapshot: %v", err)
	}
	if err := q.AdmitMap(); !errors.Is(err, ErrQuota) {
		t.Errorf("a new map: %v", err)
	}
	q.Bytes += newMapBytes
	if err := errors.Join(q.AdmitMap(), m.Snapshot("more"), m.Close()); err != nil {
		t.Error(err)
	}
}

// However the changes lie on the plane, those that were not refused can be flushed, and
// the scratch file stays within its bound.
func TestQuotaUnflushed(t *testing.T) {
	for name, place := range map[string]func(r *rand.Rand, i int) Point{
		"side by side": func(_ *rand.Rand, i int) Point { return Point{int64(i%40) * 16, int64(i/40) * 16} },
		"far apart":    func(r *rand.Rand, _ int) Point { return Point{int64(r.Uint64()), int64(r.Uint64())} },
		"growing":      func(_ *rand.Rand, i int) Point { return Point{1 << (i % 63), -1 << (i * 7 % 63)} },
	} {
		t.Run(name, func(t *testing.T) {
			const tile = 768
			q := &Quota{Unflushed: 400 * unit}
			_, dirs := mapsIn(t, q, "a", "b")
			opt := quotaOptions
			opt.Quota, opt.CacheBytes = q, tile
			m := mustOpen(t, dirs[0], opt)
			other := mustOpen(t, dirs[1], opt)
			r := rand.New(rand.NewPCG(1, 2))
			want := model{}
			refused := 0
			for i := range 1200 {
				p, c := place(r, i), RGB{1, byte(i), 9}
				err := m.Set(p.X, p.Y, c)
				if errors.Is(err, ErrQuota) {
					refused++
					if i%2 == 0 {
						if _, _, err := m.Tile(1, 0, 0); err != nil { // lifts
							t.Fatal(err)
						}
					}
					if err := other.Set(1, 1, c); err != nil && !errors.Is(err, ErrQuota) {
						t.Fatal(err)
					}
					if err := m.Flush(context.Background()); err != nil {
						t.Fatalf("after %d changes: %v", i, err)
					}
					err = m.Set(p.X, p.Y, c)
				}
				if err != nil {
					t.Fatal(err)
				}
				want.set(p, c)
				if used := m.scratch.end + other.scratch.end; used > q.Unflushed {
					t.Fatalf("%d bytes of changed tiles on the disk after %d changes", used, i)
				}
			}
			if refused == 0 && name != "growing" {
				t.Error("no change was refused")
			}
			compare(t, m, want)
			if err := errors.Join(m.Flush(context.Background()), m.Close(), other.Close()); err != nil {
				t.Fatal(err)
			}
			if q.held != 0 {
				t.Errorf("%d bytes are still held", q.held)
			}
		})
	}
}

// What is forgotten is not counted any more, and counts in full when it is done again.
func TestQuotaDiscard(t *testing.T) {
	q := &Quota{Unflushed: 1 << 20}
	_, dirs := mapsIn(t, q, "a")
	opt := quotaOptions
	opt.Quota = q
	m := mustOpen(t, dirs[0], opt)
	if err := errors.Join(m.Set(1, 1, RGB{1, 1, 1}), m.Flush(context.Background())); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ x, low, high int64 }{{1 << 40, 36, 60}, {5, 1, 3}, {1 << 40, 36, 60}} {
		if err := m.Set(tc.x, 0, RGB{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		if q.held < tc.low*unit || q.held > tc.high*unit { // with the levels up to the one where both are near
			t.Errorf("%d bytes are held for a change at %d", q.held, tc.x)
		}
		if err := m.Discard(); err != nil || q.held != 0 {
			t.Errorf("%d bytes are held after Discard, %v", q.held, err)
		}
	}
}

// Random changes, flushes, snapshots and closings of two maps under a quota: what a flush
// refuses is still there, and no flush that succeeds leaves more than the quota.
func TestQuotaHistories(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 11))
			q := &Quota{Bytes: 120<<10 + r.Int64N(100<<10), Unflushed: (20 + r.Int64N(200)) * unit}
			_, dirs := mapsIn(t, q, "a", "b")
			opt := quotaOptions
			opt.Quota, opt.CacheBytes = q, (1+r.Int64N(20))*768
			var m [2]*Map
			now, flushed := [2]model{{}, {}}, [2]model{{}, {}}
			for i := range m {
				m[i] = mustOpen(t, dirs[i], opt)
			}
			refused := 0
			limit := func(err error) bool {
				if errors.Is(err, ErrQuota) {
					refused++
					return true
				}
				if err != nil {
					t.Fatal(err)
				}
				return false
			}
			for range 250 {
				i := r.IntN(2)
				switch r.IntN(12) {
				default:
					p := Point{r.Int64N(80) * 16, r.Int64N(20) * 16}
					px := make([]Pixel, 0, 256)
					dark := r.IntN(4) == 0
					for k := range int64(256) {
						c := RGB{byte(r.Uint32()), byte(r.Uint32()), 1}
						if dark {
							c = RGB{}
						}
						px = append(px, Pixel{Point{p.X + k%16, p.Y + k/16}, c})
					}
					n, err := m[i].SetMany(px)
					limit(err)
					for _, p := range px[:n] {
						now[i].set(p.Point, p.RGB)
					}
				case 0, 1:
					if !limit(m[i].Flush(context.Background())) {
						flushed[i] = now[i].clone()
						if got := mustUse(t, q); got > q.Bytes+2*unit { // a shrinking flush may need a longer manifest
							t.Fatalf("%d bytes after a flush, the quota is %d", got, q.Bytes)
						}
					}
				case 2:
					if r.IntN(6) > 0 {
						continue
					}
					name := fmt.Sprint("s", r.Uint32())
					if !limit(m[i].Snapshot(name)) {
						flushed[i] = now[i].clone()
					} else if len(m[i].dirty) == 0 {
						flushed[i] = now[i].clone() // flushed, and then there was no room for the name
					}
				case 3:
					if r.IntN(4) > 0 {
						continue
					}
					if err := m[i].Close(); err != nil {
						t.Fatal(err)
					}
					m[i] = mustOpen(t, dirs[i], opt)
					now[i] = flushed[i].clone()
				}
				if r.IntN(20) == 0 {
					compare(t, m[i], now[i])
					compareLevels(t, m[i], now[i], 1, 2)
				}
			}
			for i := range m {
				compare(t, m[i], now[i])
				if err := m[i].Close(); err != nil {
					t.Fatal(err)
				}
			}
			if refused == 0 {
				t.Error("nothing was refused")
			}
		})
	}
}
