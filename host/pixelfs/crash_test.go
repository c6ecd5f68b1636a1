package pixelfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/pxos/pxos/host/disk/disktest"
)

func short() bool { return testing.Short() || os.Getenv("PXOS_TEST_SHORT") != "" }

// long asks for sweeps over every operation, which take many minutes.
func long() bool { return os.Getenv("PXOS_TEST_LONG") != "" }

// TestPowerCut cuts the power before operations of random histories.
func TestPowerCut(t *testing.T) {
	histories, steps := 20, 60
	if short() {
		histories, steps = 6, 40
	}
	if long() {
		histories = 1000
	}
	cuts := 0
	for h := range histories {
		m := disktest.NewMem()
		rng := rand.New(rand.NewPCG(uint64(h), 99))
		var w *world
		where := "open"
		looking := false
		var mu sync.Mutex // directories are synced side by side
		fsys := disktest.Hook(m, func(op disktest.Op) disktest.Verdict {
			mu.Lock()
			defer mu.Unlock()
			switch op.Name {
			case "write", "truncate", "sync", "syncdir", "rename", "link", "remove", "mkdir":
			default:
				return disktest.Verdict{}
			}
			if w == nil || looking || t.Failed() || rng.IntN(8) != 0 {
				return disktest.Verdict{}
			}
			looking = true
			defer func() { looking = false }()
			cuts++
			what := fmt.Sprintf("history %d, %s, before %v", h, where, op)
			w.inspect(m.PowerCut(rng), what, w.now, w.next)
			return disktest.Verdict{}
		})
		s, err := Open(fsys, Options{})
		if err != nil {
			t.Fatal(err)
		}
		w = newWorld(t, s, uint64(h))
		for i := range steps {
			where = fmt.Sprintf("step %d", i)
			desc, err := w.step()
			if err != nil {
				t.Fatalf("history %d, step %d, %s: %v", h, i, desc, err)
			}
			where += " after " + desc
			w.next = w.now.clone()
			cuts++
			w.inspect(m.PowerCut(rng), fmt.Sprintf("history %d, %s", h, where), w.now)
			if t.Failed() {
				return
			}
		}
		w = nil
		s.Close()
	}
	t.Logf("%d power cuts in %d histories", cuts, histories)
}

// TestFailures lets each operation of a history fail once, or from then on.
func TestFailures(t *testing.T) {
	cases := []struct {
		name string
		plan disktest.Plan
	}{
		{"EIO once", disktest.Plan{Err: syscall.EIO}},
		{"EIO once, short", disktest.Plan{Err: syscall.EIO, Short: true}},
		{"EIO once, reads too", disktest.Plan{Err: syscall.EIO, Reads: true}},
		{"ENOSPC from then on", disktest.Plan{Err: syscall.ENOSPC, Sticky: true, Short: true, Only: []string{"create", "write", "mkdir", "link"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			hits := 0
			stride, seeds := 11, uint64(2)
			switch {
			case short():
				stride, seeds = 29, 1
			case long():
				stride, seeds = 1, 8
			}
			for seed, at := uint64(1), 1; ; at += stride {
				if !failAt(t, c.plan, at, seed) {
					if seed++; seed > seeds {
						break
					}
					at = 1 - stride
					continue
				}
				hits++
				if t.Failed() {
					return
				}
			}
			t.Logf("%d failures", hits)
		})
	}
}

// failAt runs a history in which operation at fails; false when it ends before.
func failAt(t *testing.T, plan disktest.Plan, at int, seed uint64) bool {
	m := disktest.NewMem()
	init, err := Open(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	init.Close()
	var hit *disktest.Op
	plan.At = at
	plan.Hit = func(op disktest.Op) {
		if hit == nil {
			hit = &op
		}
	}
	s, err := Open(disktest.Inject(m, plan), Options{})
	if err != nil {
		return hit != nil
	}
	w := newWorld(t, s, seed)
	failed := 0
	for i := range 40 {
		before := hit
		desc, err := w.step()
		if err == nil {
			continue
		}
		if hit == nil {
			t.Fatalf("step %d, %s: %v without a failure", i, desc, err)
		}
		failed++
		what := fmt.Sprintf("failure %v (%v), step %d, %s: %v", hit, before == nil, i, desc, err)
		// A look with eyes of its own; edits that this process holds stay as they are.
		ro, e := Open(m, Options{ReadOnly: true})
		if e != nil {
			t.Fatalf("%s: open: %v", what, e)
		}
		got, e := snapshot(ro)
		if e != nil {
			t.Fatalf("%s: %v", what, e)
		}
		unfinished := ro.exists(intentPlace)
		if unfinished {
			// It is completed by whoever comes next.
			if e := m2redo(m); e == nil {
				got, e = snapshot(ro)
				if e != nil {
					t.Fatalf("%s: %v", what, e)
				}
			}
		}
		switch {
		case matches(got, w.now, w.next):
			w.now = got
		case matches(got, w.next, w.now):
			w.now = w.next.clone()
		default:
			t.Fatalf("%s: the store has\n%v\nand should have\n%v\nor\n%v", what, got, w.now, w.next)
		}
		if w.edit != nil {
			// A handle after an error: what it sees is no longer known.
			w.edit.Close()
			w.edit, w.name = nil, ""
			if got, e = snapshot(ro); e != nil {
				t.Fatalf("%s: %v", what, e)
			}
			w.now = got
		}
		ro.Close()
		if failed > 3 {
			break
		}
	}
	s.Close()
	if hit == nil {
		return false
	}
	ok := w.inspectLive(m, fmt.Sprintf("failure %v, at the end", hit))
	return ok
}
