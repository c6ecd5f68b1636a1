// Package journaltest is the test kit for implementations of journal.Log. An
// engine that passes it can take the place of the embedded journal.
package journaltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pxos/pxos/host/journal"
)

// Run tests the logs that open returns: each call gives a new, empty one with
// the clock that it is handed. Run closes them.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) journal.Log) {
	for _, c := range []struct {
		name string
		test func(*testing.T, journal.Log, *clock)
	}{
		{"empty", empty},
		{"append and read", appendAndRead},
		{"times never go back", monotone},
		{"ranges", ranges},
		{"refused drafts", refused},
		{"guards", guards},
		{"guards race", guardsRace},
		{"snapshots", snapshots},
		{"bodies are copies", copies},
		{"concurrent appends", concurrent},
		{"contexts", contexts},
		{"runs", runs},
		{"closed", closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			clk := &clock{at: time.Date(2025, 1, 2, 3, 4, 5, 6, time.UTC)}
			l := open(t, clk.now)
			t.Cleanup(func() { l.Close() })
			c.test(t, l, clk)
		})
	}
}

// clock goes on by one second each time it is read.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { return c.move(time.Second) }

func (c *clock) move(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return c.at
}

var ctx = context.Background()

type object map[string]any

func add(t *testing.T, l journal.Log, typ string, body any) journal.Entry {
	t.Helper()
	e, err := l.Append(ctx, journal.Draft{Type: typ, Body: body})
	if err != nil {
		t.Fatalf("append %q: %v", typ, err)
	}
	return e
}

func collect(t *testing.T, seq iter.Seq2[journal.Entry, error]) []journal.Entry {
	t.Helper()
	var out []journal.Entry
	for e, err := range seq {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		out = append(out, e)
	}
	return out
}

func seqs(es []journal.Entry) []uint64 {
	out := []uint64{}
	for _, e := range es {
		out = append(out, e.Seq)
	}
	return out
}

func head(t *testing.T, l journal.Log) journal.Head {
	t.Helper()
	h, err := l.Head(ctx)
	if err != nil {
		t.Fatalf("head: %v", err)
	}
	return h
}

func empty(t *testing.T, l journal.Log, _ *clock) {
	if h := head(t, l); h.Seq != 0 {
		t.Errorf("an empty log has the head %v", h)
	}
	if got := collect(t, l.Read(ctx, journal.Range{})); len(got) != 0 {
		t.Errorf("an empty log has %d entries", len(got))
	}
}

func appendAndRead(t *testing.T, l journal.Log, _ *clock) {
	var want []journal.Entry
	seen := map[journal.Hash]bool{}
	for i := range 10 {
		e := add(t, l, "kit.entry", object{"i": i, "s": "a<b>\u2028\x00\x1b"})
		if e.Seq != uint64(i+1) || e.Type != "kit.entry" || seen[e.Hash] || e.Tint == [3]byte{} {
			t.Errorf("append returned %+v", e)
		}
		seen[e.Hash] = true
		want = append(want, e)
		if h := head(t, l); h.Seq != e.Seq || h.Hash != e.Hash {
			t.Errorf("after entry %d the head is %v", e.Seq, h)
		}
	}
	got := collect(t, l.Read(ctx, journal.Range{}))
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i, e := range got {
		w := want[i]
		if e.Seq != w.Seq || e.Hash != w.Hash || !e.Time.Equal(w.Time) || string(e.Body) != string(w.Body) || e.Tint != w.Tint {
			t.Errorf("entry %d was returned as %+v and read as %+v", i+1, w, e)
		}
		for _, c := range e.Body {
			if c < 0x20 {
				t.Errorf("body %q has a control character", e.Body)
			}
		}
		if !json.Valid(e.Body) || e.Time.Location() != time.UTC {
			t.Errorf("entry %+v: body or time zone", e)
		}
	}
}

func monotone(t *testing.T, l journal.Log, clk *clock) {
	a := add(t, l, "kit", object{})
	clk.move(-time.Hour)
	b := add(t, l, "kit", object{})
	clk.move(2 * time.Hour)
	c := add(t, l, "kit", object{})
	if b.Time.Before(a.Time) || !c.Time.After(b.Time) {
		t.Errorf("times %v, %v, %v", a.Time, b.Time, c.Time)
	}
}

func ranges(t *testing.T, l journal.Log, _ *clock) {
	for i := range 30 {
		add(t, l, fmt.Sprintf("kit%d.x", i%3), object{"i": i, "pad": strings.Repeat("p", 20*i)})
	}
	all := collect(t, l.Read(ctx, journal.Range{}))
	for _, r := range []journal.Range{
		{}, {After: 7}, {Before: 9}, {After: 3, Before: 20}, {Since: all[11].Time}, {Until: all[11].Time},
		{Since: all[5].Time, Until: all[25].Time, Types: []string{"kit1", "kit2."}}, {Types: []string{"none"}},
		{After: 30}, {After: 1 << 60}, {Before: 1}, {Types: []string{""}},
	} {
		for _, limit := range []int{0, 1, 4} {
			for _, newest := range []bool{false, true} {
				r.Limit, r.Newest = limit, newest
				var want []journal.Entry
				for _, e := range all {
					if r.Selects(e) {
						want = append(want, e)
					}
				}
				if newest {
					slices.Reverse(want)
				}
				if limit > 0 && len(want) > limit {
					want = want[:limit]
				}
				if got := collect(t, l.Read(ctx, r)); !slices.Equal(seqs(got), seqs(want)) {
					t.Errorf("range %+v gives %v, want %v", r, seqs(got), seqs(want))
				}
			}
		}
	}
	n := 0
	for range l.Read(ctx, journal.Range{}) {
		if n++; n == 3 {
			break
		}
	}
}

func refused(t *testing.T, l journal.Log, _ *clock) {
	for _, c := range []struct {
		typ  string
		body any
		want error
	}{
		{"", object{}, journal.ErrInvalid},
		{"Upper", object{}, journal.ErrInvalid},
		{"kit", 1, journal.ErrInvalid},
		{"kit", json.RawMessage("{"), journal.ErrInvalid},
		{"kit", object{"s": strings.Repeat("x", journal.MaxRecord)}, journal.ErrTooBig},
	} {
		if _, err := l.Append(ctx, journal.Draft{Type: c.typ, Body: c.body}); !errors.Is(err, c.want) {
			t.Errorf("type %q: got %v, want %v", c.typ, err, c.want)
		}
	}
	if h := head(t, l); h.Seq != 0 {
		t.Errorf("a refused draft is in the log")
	}
}

func guards(t *testing.T, l journal.Log, _ *clock) {
	add(t, l, "fold.a", object{})
	add(t, l, "other", object{})
	for _, c := range []struct {
		g    journal.Guard
		want error
	}{
		{journal.Guard{Prefix: "fold.", After: 0}, journal.ErrConflict},
		{journal.Guard{Prefix: "", After: 1}, journal.ErrConflict},
		{journal.Guard{Prefix: "fold.", After: 1}, nil}, // the other entry does not disturb
		{journal.Guard{Prefix: "fold.", After: 2}, journal.ErrConflict},
		{journal.Guard{Prefix: "none.", After: 0}, nil},
		{journal.Guard{Prefix: "", After: 1 << 60}, nil},
	} {
		before := head(t, l)
		_, err := l.Append(ctx, journal.Draft{Type: "fold.b", Body: object{}, Guard: &c.g})
		if !errors.Is(err, c.want) {
			t.Errorf("guard %+v: got %v, want %v", c.g, err, c.want)
		}
		if c.want != nil && head(t, l) != before {
			t.Errorf("guard %+v: the refused entry is in the log", c.g)
		}
	}
}

// Writers that decide on what they read and retry on conflict count up without
// a gap.
func guardsRace(t *testing.T, l journal.Log, _ *clock) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for done := 0; done < 10; {
				n, at := 0, uint64(0)
				for e, err := range l.Read(ctx, journal.Range{Types: []string{"count"}, Newest: true, Limit: 1}) {
					var b struct{ N int }
					if err == nil {
						err = e.Decode(&b)
					}
					if err != nil {
						t.Error(err)
						return
					}
					n, at = b.N, e.Seq
				}
				_, err := l.Append(ctx, journal.Draft{Type: "count", Body: object{"n": n + 1}, Guard: &journal.Guard{Prefix: "count", After: at}})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, journal.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for i, e := range collect(t, l.Read(ctx, journal.Range{})) {
		var b struct{ N int }
		if err := e.Decode(&b); err != nil || b.N != i+1 {
			t.Fatalf("entry %d counts %d, %v", i+1, b.N, err)
		}
	}
	if h := head(t, l); h.Seq != 40 {
		t.Errorf("%d entries", h.Seq)
	}
}

func snapshots(t *testing.T, l journal.Log, _ *clock) {
	for range 5 {
		add(t, l, "kit", object{})
	}
	n := 0
	for _, err := range l.Read(ctx, journal.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n > 5 {
			t.Fatal("what is appended while reading appears in the reading")
		}
		add(t, l, "kit", object{})
	}
	if n != 5 {
		t.Errorf("read %d entries", n)
	}
}

func copies(t *testing.T, l journal.Log, _ *clock) {
	raw := json.RawMessage(`{"a":1}`)
	e := add(t, l, "kit", raw)
	raw[2], e.Body[2] = 'X', 'Y'
	for _, e := range collect(t, l.Read(ctx, journal.Range{})) {
		if string(e.Body) != `{"a":1}` {
			t.Errorf("the stored body changed to %s", e.Body)
		}
		e.Body[2] = 'Z'
	}
	if e := collect(t, l.Read(ctx, journal.Range{}))[0]; string(e.Body) != `{"a":1}` {
		t.Errorf("the stored body changed to %s", e.Body)
	}
}

func concurrent(t *testing.T, l journal.Log, _ *clock) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				if _, err := l.Append(ctx, journal.Draft{Type: "kit", Body: object{"g": g, "i": i}}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	next := [8]int{}
	for i, e := range collect(t, l.Read(ctx, journal.Range{})) {
		var b struct{ G, I int }
		if err := e.Decode(&b); err != nil || e.Seq != uint64(i+1) || next[b.G] != b.I {
			t.Fatalf("entry %d: %s, %v", i+1, e.Body, err)
		}
		next[b.G]++
	}
	for g, n := range next {
		if n != 20 {
			t.Errorf("writer %d has %d entries", g, n)
		}
	}
}

func contexts(t *testing.T, l journal.Log, _ *clock) {
	add(t, l, "kit", object{})
	stop, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := l.Append(stop, journal.Draft{Type: "kit", Body: object{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("append with a cancelled context: %v", err)
	}
	n := 0
	for _, err := range l.Read(stop, journal.Range{}) {
		if n++; !errors.Is(err, context.Canceled) {
			t.Errorf("read with a cancelled context: %v", err)
		}
	}
	if n != 1 || head(t, l).Seq != 1 {
		t.Errorf("%d results, head %v", n, head(t, l))
	}
}

func runs(t *testing.T, l journal.Log, _ *clock) {
	a, err := journal.BeginRun(ctx, l, journal.RunBegin{Name: "a", Program: "main"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := journal.BeginRun(ctx, l, journal.RunBegin{Name: "b", Program: "main"})
	if err != nil {
		t.Fatal(err)
	}
	if err := journal.EndRun(ctx, l, a, journal.RunEnd{Result: journal.ResultOK, Fuel: 7}); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		id     uint64
		status journal.Status
	}{{b, journal.StatusRunning}, {a, journal.StatusOK}}
	i := 0
	for r, err := range journal.Runs(ctx, l, journal.RunQuery{}) {
		if err != nil || i >= len(want) || r.ID != want[i].id || r.Status != want[i].status {
			t.Fatalf("run %d: %+v, %v", i, r, err)
		}
		i++
	}
	if i != 2 {
		t.Errorf("%d runs", i)
	}
}

func closed(t *testing.T, l journal.Log, _ *clock) {
	add(t, l, "kit", object{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(ctx, journal.Draft{Type: "kit", Body: object{}}); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if _, err := l.Head(ctx); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("head: %v", err)
	}
	n := 0
	for _, err := range l.Read(ctx, journal.Range{}) {
		if n++; !errors.Is(err, journal.ErrClosed) {
			t.Errorf("read: %v", err)
		}
	}
	if n != 1 {
		t.Errorf("read gives %d results", n)
	}
}
