package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var digests = [3]string{strings.Repeat("a1", 32), strings.Repeat("a2", 32), strings.Repeat("b3", 32)}

// history appends runs that overlap: i ends after i+2 has begun; every fifth
// never ends.
func history(t testing.TB, l Log, n int) {
	t.Helper()
	var ids []uint64
	end := func(i int) {
		e := RunEnd{Result: ResultOK, DurationNS: int64(i), Calls: map[string]uint64{"pxos.log": uint64(i)}}
		switch i % 4 {
		case 1:
			e.Result, e.ExitCode = ResultExit, 3
		case 2:
			e.Result, e.Error = ResultError, &RunError{Type: "out_of_fuel", Message: "ran out"}
		}
		if i%5 != 0 {
			if err := EndRun(ctx, l, ids[i], e); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range n {
		id, err := BeginRun(ctx, l, RunBegin{Cartridge: digests[i%3], Name: fmt.Sprintf("cart%d", i%3), Version: "1.0.0", Program: []string{"main", "tool:run"}[i%2]})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		add(t, l, "other.entry", struct{}{})
		if i >= 2 {
			end(i - 2)
		}
	}
	end(n - 2)
	end(n - 1)
}

func TestRunsQueries(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick(), SegmentBytes: 6000})
	history(t, j, 24)
	var all []Run
	for r, err := range Runs(ctx, j, RunQuery{Oldest: true}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) != 24 {
		t.Fatalf("%d runs", len(all))
	}
	for i, r := range all {
		want := []Status{StatusOK, StatusError, StatusError, StatusOK}[i%4]
		if i%5 == 0 {
			want = StatusRunning // this process began it
		}
		if r.Status != want || (r.End == nil) != (i%5 == 0) || r.End != nil && (r.End.Run != r.ID || r.End.DurationNS != int64(i)) {
			t.Errorf("run %d: %+v", i, r)
		}
	}
	for _, c := range []struct {
		name string
		q    RunQuery
		want func(i int, r Run) bool
	}{
		{"all", RunQuery{}, func(int, Run) bool { return true }},
		{"by name", RunQuery{Cartridge: "cart1"}, func(i int, _ Run) bool { return i%3 == 1 }},
		{"by digest", RunQuery{Cartridge: digests[2]}, func(i int, _ Run) bool { return i%3 == 2 }},
		{"by digest prefix", RunQuery{Cartridge: "sha256:A1A1a1"}, func(i int, _ Run) bool { return i%3 == 0 }},
		{"prefix too short", RunQuery{Cartridge: "a1"}, func(int, Run) bool { return false }},
		{"by program", RunQuery{Program: "tool:run"}, func(i int, _ Run) bool { return i%2 == 1 }},
		{"by status", RunQuery{Status: []Status{StatusError, StatusRunning}}, func(_ int, r Run) bool { return r.Status != StatusOK }},
		{"since", RunQuery{Since: all[9].Time}, func(i int, _ Run) bool { return i >= 9 }},
		{"until", RunQuery{Until: all[9].Time}, func(i int, _ Run) bool { return i < 9 }},
		{"window and name", RunQuery{Since: all[3].Time, Until: all[20].Time, Cartridge: "cart0"}, func(i int, _ Run) bool { return i >= 3 && i < 20 && i%3 == 0 }},
		{"limit", RunQuery{Limit: 5, Program: "main"}, func(i int, _ Run) bool { return i%2 == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, oldest := range []bool{false, true} {
				q := c.q
				q.Oldest = oldest
				var got, want []uint64
				for r, err := range Runs(ctx, j, q) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, r.ID)
				}
				for i, r := range all {
					if c.want(i, r) {
						want = append(want, r.ID)
					}
				}
				if !oldest {
					slices.Reverse(want)
				}
				if q.Limit > 0 {
					want = want[:q.Limit]
				}
				if !slices.Equal(got, want) {
					t.Errorf("oldest %v: got %v, want %v", oldest, got, want)
				}
			}
		})
	}
}

func TestRunsOddEntries(t *testing.T) {
	j := open(t, t.TempDir(), Options{Now: tick()})
	add(t, j, TypeEnd, map[string]any{"run": 7})         // of the future
	add(t, j, TypeEnd, map[string]any{"run": "x"})       // no number
	add(t, j, TypeBegin, map[string]any{"name": 5})      // no name
	add(t, j, TypeBegin, map[string]any{"newer": "ok"})  // a field of a later version
	add(t, j, TypeEnd, map[string]any{"run": 4, "x": 1}) // and its end
	add(t, j, TypeEnd, map[string]any{"run": 4, "result": "ok"})
	for _, oldest := range []bool{false, true} {
		good, bad := 0, 0
		for r, err := range Runs(ctx, j, RunQuery{Oldest: oldest}) {
			if err != nil {
				bad++
			} else if good++; r.ID != 4 || r.Status != StatusError {
				t.Errorf("oldest %v: the first end counts: %+v", oldest, r)
			}
		}
		if good != 1 || bad != 3 {
			t.Errorf("oldest %v: %d runs, %d errors", oldest, good, bad)
		}
	}
}

// The first of two ends counts in both directions, also while an older run
// keeps the order waiting.
func TestRunsEndedTwice(t *testing.T) {
	m := NewMemory(tick())
	a, _ := BeginRun(ctx, m, RunBegin{Name: "a"})
	b, _ := BeginRun(ctx, m, RunBegin{Name: "b"})
	for _, e := range []struct {
		id     uint64
		result string
	}{{b, ResultOK}, {b, ResultError}, {a, ResultOK}} {
		if err := EndRun(ctx, m, e.id, RunEnd{Result: e.result}); err != nil {
			t.Fatal(err)
		}
	}
	for _, oldest := range []bool{false, true} {
		n := 0
		for r, err := range Runs(ctx, m, RunQuery{Oldest: oldest}) {
			if n++; err != nil || r.Status != StatusOK {
				t.Errorf("oldest %v: %+v, %v", oldest, r, err)
			}
		}
		if n != 2 {
			t.Errorf("%d runs", n)
		}
	}
}

// What is looked for may be written with escapes by another encoder.
func TestRunsFindEscapedNames(t *testing.T) {
	m := NewMemory(tick())
	add(t, m, TypeBegin, json.RawMessage(`{"name":"\u0063art","program":"m\u0061in"}`))
	n := 0
	for _, err := range Runs(ctx, m, RunQuery{Cartridge: "cart", Program: "main"}) {
		if n++; err != nil {
			t.Error(err)
		}
	}
	if n != 1 {
		t.Errorf("%d runs", n)
	}
}

func TestEndRunClipsMessage(t *testing.T) {
	j := open(t, t.TempDir(), Options{})
	id, err := BeginRun(ctx, j, RunBegin{})
	if err != nil {
		t.Fatal(err)
	}
	given := &RunError{Type: "trap", Message: strings.Repeat("é\x1b", MaxRecord)}
	if err := EndRun(ctx, j, id, RunEnd{Result: ResultError, Error: given}); err != nil {
		t.Fatal(err)
	}
	for r, err := range Runs(ctx, j, RunQuery{}) {
		if err != nil || len(r.End.Error.Message) > maxMessage || len(r.End.Error.Message) < maxMessage-4 || !strings.HasPrefix(given.Message, r.End.Error.Message) {
			t.Errorf("stored %d bytes, %v", len(r.End.Error.Message), err)
		}
	}
	if len(given.Message) != 3*MaxRecord {
		t.Error("the caller's error was changed")
	}
}

func TestProcState(t *testing.T) {
	self := Self()
	for _, c := range []struct {
		name   string
		change func(*Proc)
		want   liveness
	}{
		{"self", func(*Proc) {}, alive},
		{"parent", func(p *Proc) { p.PID = os.Getppid(); p.Start = 0 }, alive},
		{"reused id", func(p *Proc) { p.Start++ }, gone},
		{"before a reboot", func(p *Proc) { p.Boot = "another boot" }, gone},
		{"another namespace", func(p *Proc) { p.Space = "pid:[1]" }, unseen},
		{"no id", func(p *Proc) { p.PID = 0 }, gone},
		{"negative id", func(p *Proc) { p.PID = -1 }, gone},
	} {
		t.Run(c.name, func(t *testing.T) {
			if self.Start == 0 && c.name == "reused id" || self.Boot == "" && c.name == "before a reboot" {
				t.Skip("this platform does not tell start times or boots")
			}
			p := self
			c.change(&p)
			if got := p.state(); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestRunsPassErrorsOn(t *testing.T) {
	bad := errors.New("bad disk")
	read := func(context.Context, Range) iter.Seq2[Entry, error] {
		return func(yield func(Entry, error) bool) { yield(Entry{}, bad) }
	}
	for _, oldest := range []bool{false, true} {
		n := 0
		for _, err := range runs(ctx, read, RunQuery{Oldest: oldest, Since: time.Unix(1, 0)}) {
			if n++; err != bad {
				t.Errorf("got %v", err)
			}
		}
		if n != 1 {
			t.Errorf("%d results", n)
		}
	}
}

// Runs with which the host checked itself are in the log, and can be left out of an
// answer; the limit counts what is in it.
func TestRunsAskedFor(t *testing.T) {
	j := open(t, t.TempDir(), Options{Now: tick()})
	for _, purpose := range []string{"", PurposeGenesis, "", PurposeGenesis} {
		id, err := BeginRun(ctx, j, RunBegin{Cartridge: digests[0], Name: "c", Purpose: purpose})
		if err == nil {
			err = EndRun(ctx, j, id, RunEnd{Result: ResultOK})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		q    RunQuery
		want []uint64
	}{
		{"all", RunQuery{Oldest: true}, []uint64{1, 3, 5, 7}},
		{"asked for", RunQuery{Oldest: true, Asked: true}, []uint64{1, 5}},
		{"newest asked for", RunQuery{Asked: true, Limit: 1}, []uint64{5}},
	} {
		var got []uint64
		for r, err := range Runs(ctx, j, c.q) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: runs %d, want %d", c.name, got, c.want)
		}
	}
}
