package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var ctx = context.Background()

// tick is a clock that goes on by one second each time it is read.
func tick() func() time.Time {
	t := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		t = t.Add(time.Second)
		return t
	}
}

func open(t testing.TB, dir string, opt Options) *Journal {
	t.Helper()
	j, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func view(t testing.TB, dir string) *View {
	t.Helper()
	v, err := OpenView(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func add(t testing.TB, l Log, typ string, body any) Entry {
	t.Helper()
	e, err := l.Append(ctx, Draft{Type: typ, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// fill appends n entries whose bodies number and pad them.
func fill(t testing.TB, l Log, n, pad int) {
	t.Helper()
	for i := range n {
		add(t, l, fmt.Sprintf("kind%d.x", i%3), map[string]any{"i": i, "pad": strings.Repeat("p", pad+i%5)})
	}
}

func collect(t testing.TB, seq func(func(Entry, error) bool)) []Entry {
	t.Helper()
	var out []Entry
	for e, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func seqs(es []Entry) []uint64 {
	out := []uint64{}
	for _, e := range es {
		out = append(out, e.Seq)
	}
	return out
}

func TestAppendReadReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "log")
	j := open(t, dir, Options{Now: tick()})
	want := []Entry{}
	for i := range 20 {
		want = append(want, add(t, j, "test.entry", map[string]int{"i": i}))
		if i%7 == 6 {
			j.Close()
			j = open(t, dir, Options{Now: tick()}) // the clock starts again: times must not go back
		}
	}
	got := collect(t, j.Read(ctx, Range{}))
	if len(got) != 20 {
		t.Fatalf("read %d entries, want 20", len(got))
	}
	for i, e := range got {
		w := want[i]
		if e.Seq != uint64(i+1) || e.Hash != w.Hash || !e.Time.Equal(w.Time) || string(e.Body) != string(w.Body) || e.Type != w.Type || e.Tint != w.Tint {
			t.Errorf("entry %d is %+v, want %+v", i, e, w)
		}
		if i > 0 && e.Time.Before(got[i-1].Time) {
			t.Errorf("entry %d is older than the one before", e.Seq)
		}
	}
	back := collect(t, view(t, dir).Read(ctx, Range{Newest: true}))
	slices.Reverse(back)
	if !slices.Equal(seqs(back), seqs(got)) {
		t.Errorf("newest first gives %v", seqs(back))
	}
	h, err := j.Head(ctx)
	if err != nil || h != view(t, dir).Head() || h.Seq != 20 {
		t.Errorf("head %v, %v; view says %v", h, err, view(t, dir).Head())
	}
}

func TestRange(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick(), SegmentBytes: 1000})
	fill(t, j, 60, 40)
	v := view(t, dir)
	if v.Segments() < 5 {
		t.Fatalf("%d segments, want several", v.Segments())
	}
	all := collect(t, v.Read(ctx, Range{}))
	for _, c := range []struct {
		name string
		r    Range
	}{
		{"all", Range{}},
		{"after", Range{After: 31}},
		{"before", Range{Before: 17}},
		{"between", Range{After: 20, Before: 40}},
		{"since", Range{Since: all[33].Time}},
		{"until", Range{Until: all[33].Time}},
		{"window", Range{Since: all[10].Time, Until: all[50].Time, Types: []string{"kind1"}}},
		{"types", Range{Types: []string{"kind0.", "kind2.x"}}},
		{"mixed bounds", Range{After: 5, Since: all[30].Time}},
		{"limit", Range{After: 20, Limit: 7}},
		{"nothing", Range{After: 60}},
		{"empty window", Range{Since: all[20].Time, Until: all[20].Time}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, newest := range []bool{false, true} {
				r := c.r
				r.Newest = newest
				want := []uint64{}
				for _, e := range all {
					if e.Seq > r.After && (r.Before == 0 || e.Seq < r.Before) && !e.Time.Before(r.Since) &&
						(r.Until.IsZero() || e.Time.Before(r.Until)) && r.wantsType([]byte(e.Type)) {
						want = append(want, e.Seq)
					}
				}
				if newest {
					slices.Reverse(want)
				}
				if r.Limit > 0 && len(want) > r.Limit {
					want = want[:r.Limit]
				}
				if got := seqs(collect(t, v.Read(ctx, r))); !slices.Equal(got, want) {
					t.Errorf("newest %v: got %v, want %v", newest, got, want)
				}
			}
		})
	}
}

func TestDrafts(t *testing.T) {
	j := open(t, t.TempDir(), Options{})
	big := strings.Repeat("x", MaxRecord)
	for _, c := range []struct {
		name string
		typ  string
		body any
		want error
	}{
		{"no type", "", struct{}{}, ErrInvalid},
		{"upper case", "Run", struct{}{}, ErrInvalid},
		{"dot first", ".run", struct{}{}, ErrInvalid},
		{"escape in type", "run\x1b", struct{}{}, ErrInvalid},
		{"long type", strings.Repeat("a", 65), struct{}{}, ErrInvalid},
		{"number", "t", 7, ErrInvalid},
		{"array", "t", []int{1}, ErrInvalid},
		{"nil", "t", nil, ErrInvalid},
		{"no JSON", "t", json.RawMessage("{x}"), ErrInvalid},
		{"channel", "t", map[string]any{"c": make(chan int)}, ErrInvalid},
		{"too big", "t", map[string]string{"s": big}, ErrTooBig},
		{"empty object", "t", struct{}{}, nil},
		{"control characters", "t", map[string]string{"s": "a\x00\x1b[2J\n\u202e"}, nil},
		{"indented", "t", json.RawMessage("{\n  \"a\":\t1\n}"), nil},
		{"as big as can be", "t", map[string]string{"s": big[:MaxRecord-recordFixed-recordTail-1-len(`{"s":""}`)]}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, _ := j.Head(ctx)
			e, err := j.Append(ctx, Draft{Type: c.typ, Body: c.body})
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			after, _ := j.Head(ctx)
			if c.want != nil {
				if before != after {
					t.Errorf("a refused draft moved the head")
				}
				return
			}
			if !plainBody(e.Body) || !json.Valid(e.Body) || after.Seq != before.Seq+1 {
				t.Errorf("stored body %.80q, head %v", e.Body, after)
			}
		})
	}
}

// Every byte value at every place of a body: only those below 0x20 are
// refused.
func TestPlainBody(t *testing.T) {
	for n := 2; n < 20; n++ {
		for at := range n {
			for c := range 256 {
				b := bytes.Repeat([]byte{0xFF}, n)
				b[0], b[n-1] = '{', '}'
				b[at] = byte(c)
				want := c >= 0x20 && b[0] == '{' && b[n-1] == '}'
				if plainBody(b) != want {
					t.Fatalf("plainBody(%x) is %v", b, !want)
				}
			}
		}
	}
}

func TestGuard(t *testing.T) {
	j := open(t, t.TempDir(), Options{})
	add(t, j, "registry.add", struct{}{})
	add(t, j, "run.begin", struct{}{})
	if _, err := j.Append(ctx, Draft{Type: "registry.add", Body: struct{}{}, Guard: &Guard{Prefix: "registry.", After: 1}}); err != nil {
		t.Fatalf("an entry of another type disturbed the guard: %v", err)
	}
	if _, err := j.Append(ctx, Draft{Type: "registry.add", Body: struct{}{}, Guard: &Guard{Prefix: "registry.", After: 2}}); !errors.Is(err, ErrConflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
	if _, err := j.Append(ctx, Draft{Type: "x", Body: struct{}{}, Guard: &Guard{After: 2}}); !errors.Is(err, ErrConflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
	if h, _ := j.Head(ctx); h.Seq != 3 {
		t.Errorf("head is %d, want 3", h.Seq)
	}
}

func TestConcurrentHandles(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for h := range 3 {
		j := open(t, dir, Options{SegmentBytes: 4000})
		for g := range 3 {
			wg.Go(func() {
				for i := range 30 {
					if _, err := j.Append(ctx, Draft{Type: "t", Body: map[string]int{"h": h, "g": g, "i": i}}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	next := map[[2]int]int{}
	for i, e := range collect(t, view(t, dir).Read(ctx, Range{})) {
		var b struct{ H, G, I int }
		if err := e.Decode(&b); err != nil || e.Seq != uint64(i+1) {
			t.Fatal(e, err)
		}
		if next[[2]int{b.H, b.G}] != b.I {
			t.Fatalf("entry %d of writer %d.%d is number %d", next[[2]int{b.H, b.G}], b.H, b.G, b.I)
		}
		next[[2]int{b.H, b.G}]++
	}
	for w, n := range next {
		if n != 30 {
			t.Errorf("writer %v has %d entries", w, n)
		}
	}
	if len(next) != 9 {
		t.Errorf("%d writers", len(next))
	}
}

// A handle whose segment did not grow still notices that another has begun the
// next one.
func TestRotationByAnother(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir, Options{SegmentBytes: 500})
	b := open(t, dir, Options{SegmentBytes: 500})
	pad := map[string]string{"s": strings.Repeat("x", 200)}
	add(t, b, "t", pad)
	add(t, a, "t", pad) // begins segment 2
	if e := add(t, b, "t", struct{}{}); e.Seq != 3 {
		t.Errorf("entry %d", e.Seq)
	}
	if e := add(t, b, "t", pad); e.Seq != 4 {
		t.Errorf("entry %d", e.Seq)
	}
	if r, err := view(t, dir).Verify(ctx, nil); err != nil || r.Entries != 4 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestClosedBusyMissing(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenView(ctx, dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("view of nothing: %v", err)
	}
	j := open(t, dir, Options{LockTimeout: 20 * time.Millisecond})
	other, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if ok, err := tryLock(other, true); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := j.Append(ctx, Draft{Type: "t", Body: struct{}{}}); !errors.Is(err, ErrBusy) {
		t.Errorf("append under a foreign lock: %v", err)
	}
	stop, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := j.Append(stop, Draft{Type: "t", Body: struct{}{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("append with a cancelled context: %v", err)
	}
	other.Close() // as the death of its holder does
	add(t, j, "t", struct{}{})
	j.Close()
	if _, err := j.Append(ctx, Draft{Type: "t", Body: struct{}{}}); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if _, err := j.Head(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("head after close: %v", err)
	}
	for _, err := range j.Read(ctx, Range{}) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
	}
	if err := j.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestDirectoryReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	j := open(t, dir, Options{})
	add(t, j, "t", struct{}{})
	if err := os.Rename(filepath.Join(dir, segmentName(1)), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if e := add(t, j, "t", struct{}{}); e.Seq != 1 {
		t.Errorf("entry %d went into a segment that is not there any more", e.Seq)
	}
}

func TestHeadText(t *testing.T) {
	h := Head{Seq: 7, Segment: 2, Size: 999, Hash: Hash{1, 2, 3}}
	got, err := ParseHead(" " + h.String() + "\n")
	if err != nil || got != h {
		t.Fatalf("%v, %v", got, err)
	}
	hex := h.Hash.String()
	for _, bad := range []string{"", "pxlg1", "pxlg2:7:2:999:" + hex, "pxlg1:x:2:999:" + hex, "pxlg1:7:0:999:" + hex, "pxlg1:7:2:3:" + hex,
		"pxlg1:7:2:999:" + hex[1:], "pxlg1:7:2:999:z" + hex[1:], "pxlg1:7:2:999:" + hex + ":1", "pxlg1:-1:2:999:" + hex} {
		if _, err := ParseHead(bad); err == nil {
			t.Errorf("%q was taken for a head", bad)
		}
	}
}
