package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// segments reads all segment files of a journal.
func segments(t testing.TB, dir string) map[uint64][]byte {
	t.Helper()
	names, err := disk{}.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[uint64][]byte{}
	for _, name := range names {
		if n := segmentNumber(name); n > 0 {
			if out[n], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

// restore writes segment files into a new directory.
func restore(t testing.TB, segs map[uint64][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for n, b := range segs {
		if err := os.WriteFile(filepath.Join(dir, segmentName(n)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// bounds returns the offsets at which the records of a segment begin, and its
// end.
func bounds(b []byte) []int {
	out := []int{HeaderSize}
	for at := HeaderSize; at < len(b); {
		at += 3 * uint24(b[at+3:])
		out = append(out, at)
	}
	return out
}

// audit opens a view and verifies it.
func audit(dir string, saved *Head) (Report, error) {
	v, err := OpenView(ctx, dir)
	if err != nil {
		return Report{}, err
	}
	return v.Verify(ctx, saved)
}

func TestVerifySound(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick(), SegmentBytes: 1500})
	empty, _ := j.Head(ctx)
	fill(t, j, 10, 30)
	old, _ := j.Head(ctx)
	fill(t, j, 30, 30)
	head, _ := j.Head(ctx)
	for _, saved := range []*Head{nil, &empty, &old, &head} {
		r, err := audit(dir, saved)
		if err != nil || r.Entries != 40 || r.Head != head || r.Segments != head.Segment || r.Torn != 0 {
			t.Errorf("saved head %v: %+v, %v", saved, r, err)
		}
		if saved != nil {
			if err := view(t, dir).Contains(*saved); err != nil {
				t.Errorf("Contains(%v): %v", *saved, err)
			}
		}
	}
	stop, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := view(t, dir).Verify(stop, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Every single bit of a log of several segments is flipped in turn.
func TestVerifyEveryBit(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick(), SegmentBytes: 400})
	fill(t, j, 3, 2)
	good := segments(t, dir)
	if len(good) < 2 {
		t.Fatalf("%d segments", len(good))
	}
	for n, b := range good {
		path := filepath.Join(dir, segmentName(n))
		for i := range b {
			for bit := range 8 {
				b[i] ^= 1 << bit
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := audit(dir, nil); err == nil {
					t.Fatalf("segment %d: bit %d of byte %d was flipped and nothing noticed", n, bit, i)
				}
				b[i] ^= 1 << bit
			}
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := audit(dir, nil); err != nil {
		t.Fatalf("the restored log: %v", err)
	}
}

func TestVerifyTampering(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick(), SegmentBytes: 1500})
	fill(t, j, 40, 30)
	head, _ := j.Head(ctx)
	orig := segments(t, dir)
	cut := bounds(orig[2])
	if len(cut) < 6 || len(orig) < 4 {
		t.Fatalf("%d records, %d segments", len(cut)-1, len(orig))
	}
	rec := func(i int) []byte { return orig[2][cut[i]:cut[i+1]] }
	build := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	pre, post := orig[2][:cut[1]], orig[2][cut[4]:]

	other := t.TempDir()
	k := open(t, other, Options{Now: tick(), SegmentBytes: 1500})
	fill(t, k, 40, 30)
	foreign := segments(t, other)

	for _, c := range []struct {
		name   string
		change func(map[uint64][]byte)
		saved  *Head
		want   error
	}{
		{"entry dropped", func(s map[uint64][]byte) { s[2] = build(pre, rec(2), rec(3), post) }, nil, ErrCorrupt},
		{"entries swapped", func(s map[uint64][]byte) { s[2] = build(pre, rec(2), rec(1), rec(3), post) }, nil, ErrCorrupt},
		{"entry duplicated", func(s map[uint64][]byte) { s[2] = build(pre, rec(1), rec(1), rec(2), rec(3), post) }, nil, ErrCorrupt},
		{"last of a segment dropped", func(s map[uint64][]byte) { s[2] = s[2][:cut[len(cut)-2]] }, nil, ErrCorrupt},
		{"segment missing", func(s map[uint64][]byte) { delete(s, 2) }, nil, ErrCorrupt},
		{"first segment missing", func(s map[uint64][]byte) { delete(s, 1) }, nil, ErrCorrupt},
		{"segments swapped", func(s map[uint64][]byte) { s[2], s[3] = s[3], s[2] }, nil, ErrCorrupt},
		{"segment of another log", func(s map[uint64][]byte) { s[2] = foreign[2] }, nil, ErrCorrupt},
		{"segment cut in its middle", func(s map[uint64][]byte) { s[2] = s[2][:cut[2]+10] }, nil, ErrCorrupt},
		{"segment emptied", func(s map[uint64][]byte) { s[2] = nil }, nil, ErrCorrupt},
		{"last segment emptied", func(s map[uint64][]byte) { s[head.Segment] = nil }, nil, ErrTorn},
		{"last entry torn", func(s map[uint64][]byte) { b := s[head.Segment]; s[head.Segment] = b[:len(b)-1] }, nil, ErrTorn},
		{"last entry edited", func(s map[uint64][]byte) { b := s[head.Segment]; b[len(b)-60] ^= 1 }, nil, ErrCorrupt},
		{"zeros at the end", func(s map[uint64][]byte) { s[head.Segment] = append(s[head.Segment], make([]byte, 5000)...) }, nil, ErrTorn},
		{"last entry dropped, head saved", func(s map[uint64][]byte) {
			b := bounds(s[head.Segment])
			s[head.Segment] = s[head.Segment][:b[len(b)-2]]
		}, &head, ErrShort},
		{"last segment dropped, head saved", func(s map[uint64][]byte) { delete(s, head.Segment) }, &head, ErrShort},
		{"written anew, head saved", func(s map[uint64][]byte) {
			clear(s)
			for n, b := range foreign {
				s[n] = b
			}
		}, &head, ErrRewritten},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := map[uint64][]byte{}
			for n, b := range orig {
				s[n] = bytes.Clone(b)
			}
			c.change(s)
			dir := restore(t, s)
			_, err := audit(dir, c.saved)
			var f *Fault
			if !errors.Is(err, c.want) || !errors.As(err, &f) || f.Segment == 0 {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if c.saved != nil {
				if err := view(t, dir).Contains(*c.saved); !errors.Is(err, c.want) {
					t.Errorf("Contains: got %v, want %v", err, c.want)
				}
			}
		})
	}
}

// Entries that a program with write access forges with a proper chain are
// still checked for what they say.
func TestVerifyForgedButWrong(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(last tail) record
	}{
		{"sequence repeats", func(l tail) record { return record{seq: l.seq, time: l.time, typ: []byte("t"), body: []byte("{}")} }},
		{"sequence skips", func(l tail) record { return record{seq: l.seq + 2, time: l.time, typ: []byte("t"), body: []byte("{}")} }},
		{"time goes back", func(l tail) record {
			return record{seq: l.seq + 1, time: l.time - 1, typ: []byte("t"), body: []byte("{}")}
		}},
		{"flags", func(l tail) record {
			return record{seq: l.seq + 1, time: l.time, flags: 1, typ: []byte("t"), body: []byte("{}")}
		}},
		{"body is no object", func(l tail) record {
			return record{seq: l.seq + 1, time: l.time, typ: []byte("t"), body: []byte("[1]")}
		}},
		{"control character", func(l tail) record {
			return record{seq: l.seq + 1, time: l.time, typ: []byte("t"), body: []byte("{\n}")}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			j := open(t, dir, Options{Now: tick()})
			fill(t, j, 3, 3)
			r := c.make(j.tail)
			b := segments(t, dir)[1]
			dir = restore(t, map[uint64][]byte{1: appendRecord(b, &r, &j.tail.hash)})
			if _, err := audit(dir, nil); !errors.Is(err, ErrCorrupt) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A segment that was edited and given a new chain of its own no longer fits the
// next one.
func TestVerifyRechainedSegment(t *testing.T) {
	dir := t.TempDir()
	fill(t, open(t, dir, Options{Now: tick(), SegmentBytes: 900}), 20, 30)
	s := segments(t, dir)
	if len(s) < 3 {
		t.Fatalf("%d segments", len(s))
	}
	h, err := decodeHeader(s[1])
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Clone(s[1][:HeaderSize])
	prev := h.hash
	cut := bounds(s[1])
	for i := range len(cut) - 1 {
		r, err := decodeRecord(s[1][cut[i]:cut[i+1]])
		if err != nil {
			t.Fatal(err)
		}
		r.body = bytes.Replace(r.body, []byte("pp"), []byte("qq"), 1)
		forged = appendRecord(forged, &r, &prev)
		prev = r.hash
	}
	s[1] = forged
	_, err = audit(restore(t, s), nil)
	var f *Fault
	if !errors.As(err, &f) || f.Segment != 2 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// A damaged entry in the middle costs that entry, not what lies on its far
// side.
func TestReadPastDamage(t *testing.T) {
	for _, c := range []struct {
		name string
		at   int // byte of the fourth record
	}{{"body", 60}, {"leading length", 5}, {"trailing length", -1}, {"hash", -10}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, open(t, dir, Options{Now: tick()}), 10, 30)
			s := segments(t, dir)
			cut := bounds(s[1])
			at := cut[3] + c.at
			if c.at < 0 {
				at = cut[4] + c.at
			}
			s[1][at] ^= 0x10
			v := view(t, restore(t, s))
			for _, newest := range []bool{false, true} {
				var got []uint64
				bad := 0
				for e, err := range v.Read(ctx, Range{Newest: newest}) {
					if err == nil {
						got = append(got, e.Seq)
					} else if bad++; !errors.Is(err, ErrCorrupt) {
						t.Errorf("%v", err)
					}
				}
				// A changed hash also spoils the entry that it is chained into.
				if len(got) < 8 || bad == 0 || bad > 2 || slices.Contains(got, 4) {
					t.Errorf("newest %v: read %v with %d errors", newest, got, bad)
				}
			}
		})
	}
}

func TestVerifyReportsRecoveries(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick()})
	fill(t, j, 3, 3)
	j.Close()
	s := segments(t, dir)
	if err := os.WriteFile(filepath.Join(dir, segmentName(1)), append(s[1], "half an entry"...), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Options{Now: tick()})
	r, err := audit(dir, nil)
	if err != nil || len(r.Recovered) != 1 || r.Recovered[0].Bytes != 13 {
		b, _ := json.Marshal(r)
		t.Fatalf("%s, %v", b, err)
	}
}
