package journal

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// sample is a small valid segment.
func sample(t testing.TB) []byte {
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick()})
	fill(t, j, 3, 8)
	j.Close()
	return segments(t, dir)[1]
}

// FuzzRecord takes any bytes for a record: what decodes encodes to the same
// bytes again.
func FuzzRecord(f *testing.F) {
	seg := sample(f)
	for cut := bounds(seg); len(cut) > 1; cut = cut[1:] {
		f.Add(seg[cut[0]:cut[1]])
	}
	f.Add(make([]byte, minRecord))
	// Padding that is not zero must not decode.
	padded := appendRecord(nil, &record{seq: 1, typ: []byte("ab"), body: []byte(`{"a":1}`)}, &Hash{})
	if len(padded) == recordFixed+2+7+recordTail {
		f.Fatal("the seed has no padding")
	}
	for i := range padded {
		odd := bytes.Clone(padded)
		odd[i] ^= 1
		f.Add(odd)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		again := appendRecord(nil, &r, &Hash{})
		// The hash depends on what came before; all else must agree.
		n := len(b) - recordTail
		if len(again) != len(b) || !bytes.Equal(again[:n], b[:n]) || !bytes.Equal(again[len(b)-3:], b[len(b)-3:]) {
			t.Errorf("%x decodes and encodes as %x", b, again)
		}
	})
}

// FuzzHeader does the same for segment headers.
func FuzzHeader(f *testing.F) {
	f.Add(sample(f)[:HeaderSize])
	f.Add(make([]byte, HeaderSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHeader(b)
		if err != nil || h.minor != Minor {
			return
		}
		if again := h.encode(); !bytes.Equal(again, b[:HeaderSize]) {
			t.Errorf("%x decodes and encodes as %x", b[:HeaderSize], again)
		}
	})
}

// FuzzSegment puts any bytes behind a valid header, reads them in both
// directions, verifies them, and lets an append recover. Nothing may panic, and
// after recovery the log reads the same in both directions.
func FuzzSegment(f *testing.F) {
	seg := sample(f)
	head, tail := seg[:HeaderSize], seg[HeaderSize:]
	f.Add(tail)
	f.Add(tail[:len(tail)-7])
	f.Add(append(bytes.Clone(tail), tail...))
	f.Add(bytes.Repeat([]byte{0, 0, 40}, 100))
	f.Add([]byte{})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		dir, err := os.MkdirTemp(dir, "log")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), append(bytes.Clone(head), b...), 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := OpenView(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		_, sound := v.Verify(ctx, nil)
		var fault *Fault
		if sound != nil && !errors.As(sound, &fault) {
			t.Errorf("verify: %v", sound)
		}
		var there, back []uint64
		for e, err := range v.Read(ctx, Range{}) {
			if err == nil {
				there = append(there, e.Seq)
			}
		}
		for e, err := range v.Read(ctx, Range{Newest: true}) {
			if err == nil {
				back = append(back, e.Seq)
			}
		}
		if (sound == nil || errors.Is(sound, ErrTorn)) && len(there) != len(back) {
			t.Errorf("%d entries forward, %d backward", len(there), len(back))
		}
		for range v.Runs(ctx, RunQuery{}) {
		}
		j, err := Open(dir, Options{Now: tick(), files: &stopDisk{left: -1}})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		add(t, j, "after", struct{}{})
		if after, err := audit(dir, nil); errors.Is(sound, ErrTorn) && err != nil {
			t.Errorf("after recovery: %+v, %v", after, err)
		}
	})
}

// FuzzImage takes any bytes for a picture.
func FuzzImage(f *testing.F) {
	dir := f.TempDir()
	j := open(f, dir, Options{Now: tick()})
	fill(f, j, 3, 8)
	f.Add(drawn(f, view(f, dir), ImageOptions{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		err := DecodeImage(bytes.NewReader(b), func(string, []byte) error { return nil })
		if errors.Is(err, fs.ErrInvalid) {
			t.Error(err)
		}
	})
}

// FuzzHead: what parses prints the same.
func FuzzHead(f *testing.F) {
	f.Add(Head{Seq: 7, Segment: 2, Size: 999, Hash: Hash{1}}.String())
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHead(s)
		if err != nil {
			return
		}
		if again, err := ParseHead(h.String()); err != nil || again != h {
			t.Errorf("%q parses to %v, which does not come back: %v", s, h, err)
		}
	})
}
