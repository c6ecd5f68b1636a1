package pixelfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/pxos/pxos/host/disk/disktest"
)

func openOverlay(t *testing.T, lower *Store) (*Overlay, *disktest.Mem) {
	t.Helper()
	m := disktest.NewMem()
	o, err := NewOverlay(lower, m)
	must(t, err)
	t.Cleanup(func() { o.Close() })
	return o, m
}

func putOver(t *testing.T, o *Overlay, name, data string) {
	t.Helper()
	_, err := o.Put(context.Background(), name, strings.NewReader(data), PutOptions{})
	must(t, err)
}

// shows reads everything that an overlay or store shows.
func shows(t testing.TB, f Files) model {
	t.Helper()
	m := model{}
	var visit func(dir string)
	visit = func(dir string) {
		list, err := f.List(dir)
		must(t, err)
		for _, i := range list {
			if i.Dir {
				m[i.Name+"/"] = ""
				visit(i.Name)
				continue
			}
			file, err := f.Open(i.Name)
			must(t, err)
			b, err := io.ReadAll(file)
			must(t, err)
			file.Close()
			m[i.Name] = string(b)
		}
	}
	visit(".")
	return m
}

func TestOverlay(t *testing.T) {
	lower, _ := openMem(t, Options{})
	put(t, lower, "keep", "keep")
	put(t, lower, "change", "old")
	put(t, lower, "gone", "gone")
	put(t, lower, "move", "moved")
	put(t, lower, "d/a", "a")
	put(t, lower, "d/b", "b")
	put(t, lower, "e/x", "x")
	before := shows(t, lower)
	o, m := openOverlay(t, lower)
	if got := shows(t, o); !equal(got, before) {
		t.Fatalf("an empty overlay shows%v", got)
	}
	e := edit(t, o, "change", os.O_RDWR)
	write(t, e, "new content", 0)
	must(t, e.Close())
	putOver(t, o, "d/new", "new")
	must(t, o.Remove("gone"))
	must(t, o.Rename("move", "d/moved"))
	must(t, o.Rename("d", "dd"))
	must(t, o.Remove("e"))
	must(t, o.Mkdir("e"))
	if err := o.Mkdir("e"); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if err := o.Rmdir("dd"); !errors.Is(err, ErrNotEmpty) {
		t.Error(err)
	}
	for _, name := range []string{"gone", "move", "d", "d/a", "e/x"} {
		if _, err := o.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := o.Edit(name, os.O_RDONLY); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := model{"keep": "keep", "change": "new content", "dd/": "", "dd/a": "a", "dd/b": "b", "dd/new": "new", "dd/moved": "moved", "e/": ""}
	if got := shows(t, o); !equal(got, want) {
		t.Fatalf("shows%v", got)
	}
	if got := shows(t, lower); !equal(got, before) {
		t.Fatalf("the lower store has changed:%v", got)
	}
	if vs, err := o.Versions("change"); err != nil || len(vs) < 2 || vs[0].Size != 3 || vs[len(vs)-1].Size != 11 {
		t.Errorf("%+v %v", vs, err)
	}
	if err := fstest.TestFS(o.FS(), "change", "dd/moved", "keep"); err != nil {
		t.Error(err)
	}
	// It is the same after it was closed and opened.
	must(t, o.Close())
	o, err := NewOverlay(lower, m)
	must(t, err)
	defer func() { o.Close() }()
	if got := shows(t, o); !equal(got, want) {
		t.Fatalf("shows%v", got)
	}
	list, err := o.Diff()
	must(t, err)
	kinds := map[string]string{}
	for _, c := range list {
		kinds[c.Name] = string(c.Kind) + " " + c.From
		if c.Conflict != "" {
			t.Errorf("%s: %s", c.Name, c.Conflict)
		}
	}
	wantKinds := map[string]string{
		"change": "changed ", "gone": "removed ", "dd": "added ", "dd/a": "renamed d/a", "dd/b": "renamed d/b",
		"dd/new": "added ", "dd/moved": "renamed move", "d": "removed ", "e/x": "removed ",
	}
	if !maps.Equal(kinds, wantKinds) {
		t.Errorf("differences are %v", kinds)
	}
	// Two things change below meanwhile: they are conflicts, the rest is kept.
	put(t, lower, "change", "by somebody else")
	put(t, lower, "dd/new", "also")
	rep, err := o.Keep(context.Background())
	must(t, err)
	if len(rep.Conflicts) != 2 || rep.Conflicts[0].Name != "change" || rep.Conflicts[1].Name != "dd/new" {
		t.Errorf("conflicts: %+v", rep.Conflicts)
	}
	wantLower := model{"keep": "keep", "change": "by somebody else", "dd/": "", "dd/a": "a", "dd/b": "b", "dd/new": "also", "dd/moved": "moved", "e/": ""}
	if got := shows(t, lower); !equal(got, wantLower) {
		t.Errorf("after keep the store has%v", got)
	}
	if list, err := o.Diff(); err != nil || len(list) != 2 {
		t.Errorf("%+v %v", list, err)
	}
	if tr, err := lower.Trash(); err != nil || len(tr) != 2 { // gone, e/x
		t.Errorf("%+v %v", tr, err)
	}
	clean(t, lower)
	must(t, o.Drop())
	if list, err := m.ReadDir("."); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
	if o, err = NewOverlay(lower, m); err != nil {
		t.Fatal(err)
	}
	if got := shows(t, o); !equal(got, wantLower) {
		t.Errorf("after drop it shows%v", got)
	}
}

// TestOverlayRandom: an overlay shows what a store would have after the same history, and
// Keep makes the lower store just that.
func TestOverlayRandom(t *testing.T) {
	rounds := 40
	if short() {
		rounds = 5
	}
	names := []string{"a", "b", "d/x", "d/y", "e/z", "e/f/w"}
	for seed := range rounds {
		rng := rand.New(rand.NewPCG(uint64(seed), 3))
		lower, _ := openMem(t, Options{})
		twin, _ := openMem(t, Options{})
		for i, n := range names {
			if rng.IntN(3) > 0 {
				c := strings.Repeat("l", i+1)
				put(t, lower, n, c)
				put(t, twin, n, c)
			}
		}
		before := shows(t, lower)
		o, m := openOverlay(t, lower)
		for step := range 30 {
			a, b := names[rng.IntN(len(names))], names[rng.IntN(len(names))]
			dir := []string{"d", "e", "e/f", "g"}
			x, y := dir[rng.IntN(4)], dir[rng.IntN(4)]
			c := strings.Repeat("u", 100+step)
			var desc string
			var do func(f Files) error
			switch rng.IntN(8) {
			case 0, 1:
				desc = "put " + a
				do = func(f Files) error {
					e, err := f.Edit(a, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
					if err != nil {
						return err
					}
					e.WriteAt([]byte(c), 0)
					return e.Close()
				}
			case 2:
				desc = "edit " + a
				do = func(f Files) error {
					e, err := f.Edit(a, os.O_RDWR)
					if err != nil {
						return err
					}
					e.WriteAt([]byte("U"), int64(step))
					return e.Close()
				}
			case 3:
				desc = "remove " + a
				do = func(f Files) error { return f.Remove(a) }
			case 4:
				desc = "rename " + a + " " + b
				do = func(f Files) error { return f.Rename(a, b) }
			case 5:
				desc = "rename " + x + " " + y
				do = func(f Files) error { return f.Rename(x, y) }
			case 6:
				desc = "remove " + x
				do = func(f Files) error { return f.Remove(x) }
			default:
				desc = "mkdir " + x
				do = func(f Files) error { return f.Mkdir(x) }
			}
			e1, e2 := do(twin), do(o)
			if (e1 == nil) != (e2 == nil) {
				t.Fatalf("seed %d, step %d, %s: the store says %v, the overlay %v", seed, step, desc, e1, e2)
			}
			if want, got := shows(t, twin), shows(t, o); !equal(want, got) {
				t.Fatalf("seed %d, step %d, %s:\nwant%v\ngot%v", seed, step, desc, want, got)
			}
			if step%10 == 9 {
				must(t, o.Close())
				var err error
				o, err = NewOverlay(lower, m)
				must(t, err)
			}
		}
		if got := shows(t, lower); !equal(got, before) {
			t.Fatalf("seed %d: the lower store has changed", seed)
		}
		diff, err := o.Diff()
		must(t, err)
		rep, err := o.Keep(context.Background())
		if err != nil || len(rep.Conflicts) > 0 {
			t.Fatalf("seed %d: %v\n%+v\nof %+v\nfrom%v\nto%v", seed, err, rep.Conflicts, diff, before, shows(t, twin))
		}
		if want, got := shows(t, twin), shows(t, lower); !equal(want, got) {
			t.Fatalf("seed %d, after Keep:\nwant%v\ngot%v\ndiff %+v", seed, want, got, diff)
		}
		if diff, err := o.Diff(); err != nil || len(diff) != 0 {
			t.Fatalf("seed %d: %+v %v", seed, diff, err)
		}
		clean(t, lower)
		must(t, o.Close())
	}
}

type putter interface {
	Files
	Put(context.Context, string, io.Reader, PutOptions) (Info, error)
}

// TestOverlayPowerCut cuts the power while an overlay is changed: it shows what it showed
// before the change or after it.
func TestOverlayPowerCut(t *testing.T) {
	histories := 12
	if short() {
		histories = 3
	}
	cuts := 0
	for seed := range histories {
		rng := rand.New(rand.NewPCG(uint64(seed), 4))
		lower, _ := openMem(t, Options{})
		for _, n := range []string{"a", "b", "d/x", "d/y", "e/z"} {
			put(t, lower, n, "lower "+n)
		}
		m := disktest.NewMem()
		var before, after model
		looking, what := true, ""
		var mu sync.Mutex
		look := func(what string) {
			looking = true
			defer func() { looking = false }()
			cuts++
			left := m.PowerCut(rng)
			o, err := NewOverlay(lower, left)
			must(t, err)
			defer o.Close()
			if got := shows(t, o); !matches(got, before, before, after) && !matches(got, after, before, after) {
				t.Fatalf("seed %d, %s: it shows%v\nnot%v\nor%v", seed, what, got, before, after)
			}
		}
		fsys := disktest.Hook(m, func(op disktest.Op) disktest.Verdict {
			mu.Lock()
			defer mu.Unlock()
			switch op.Name {
			case "write", "sync", "syncdir", "rename", "link", "remove", "mkdir":
				if !looking && rng.IntN(3) == 0 {
					look(what + ", before " + op.String())
				}
			}
			return disktest.Verdict{}
		})
		o, err := NewOverlay(lower, fsys)
		must(t, err)
		twin, _ := openMem(t, Options{})
		for n, c := range shows(t, lower) {
			if !strings.HasSuffix(n, "/") {
				put(t, twin, n, c)
			}
		}
		before = shows(t, twin)
		names, dirs := []string{"a", "b", "d/x", "e/z", "g/w"}, []string{"d", "e", "g"}
		for step := range 25 {
			a, b, x, y := names[rng.IntN(5)], names[rng.IntN(5)], dirs[rng.IntN(3)], dirs[rng.IntN(3)]
			c := strings.Repeat("u", 100+step)
			var do func(f putter) error
			switch rng.IntN(6) {
			case 0, 1:
				what = "put " + a
				do = func(f putter) error {
					return second(f.Put(context.Background(), a, strings.NewReader(c), PutOptions{}))
				}
			case 2:
				what = "remove " + a
				do = func(f putter) error {
					return f.Remove(a)
				}
			case 3:
				what = "rename " + a + " to " + b
				do = func(f putter) error {
					return f.Rename(a, b)
				}
			case 4:
				what = "rename " + x + " to " + y
				do = func(f putter) error {
					return f.Rename(x, y)
				}
			default:
				what = "remove " + x
				do = func(f putter) error {
					return f.Remove(x)
				}
			}
			e1 := do(twin)
			after = shows(t, twin)
			looking = false
			e2 := do(o)
			looking = true
			if (e1 == nil) != (e2 == nil) {
				t.Fatalf("seed %d, step %d, %s: the store says %v, the overlay %v", seed, step, what, e1, e2)
			}
			before = after
			look("after " + what)
			looking = true
		}
		must(t, o.Close())
	}
	t.Logf("%d power cuts", cuts)
}
