package journal

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// twoSegments returns a log with entries in segment 1 and a segment 2 behind it.
func twoSegments(t *testing.T) map[uint64][]byte {
	t.Helper()
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick(), SegmentBytes: 400})
	for len(segments(t, dir)) < 2 {
		fill(t, j, 1, 20)
	}
	j.Close()
	return segments(t, dir)
}

// A header that is cut at any byte is torn: reported until the next writer sets
// the bytes aside, and reported by the log ever after.
func TestHeaderCutAtEveryByte(t *testing.T) {
	s := twoSegments(t)
	for n := uint64(1); n <= 2; n++ {
		for end := range HeaderSize {
			log := map[uint64][]byte{n: s[n][:end]}
			if n == 2 {
				log[1] = s[1]
			}
			dir := restore(t, log)
			_, err := audit(dir, nil)
			var f *Fault
			if !errors.As(err, &f) || !errors.Is(err, ErrTorn) || errors.Is(err, ErrCorrupt) || errors.Is(err, fs.ErrNotExist) || f.Segment != n {
				t.Fatalf("segment %d cut at %d: %v", n, end, err)
			}
			if end%13 > 0 && end != HeaderSize-1 {
				continue // a recovery waits for the disk
			}
			j, err := Open(dir, Options{Now: tick()})
			if err != nil {
				t.Fatalf("segment %d cut at %d: %v", n, end, err)
			}
			add(t, j, "after", struct{}{})
			j.Close()
			r, err := audit(dir, nil)
			if err != nil || len(r.Recovered) != 1 || r.Recovered[0].Segment != n || r.Recovered[0].Bytes != int64(end) {
				t.Fatalf("segment %d cut at %d: after recovery: %+v, %v", n, end, r, err)
			}
			if aside := setAside(t, dir); !bytes.Equal(aside, s[n][:end]) {
				t.Fatalf("segment %d cut at %d: %d bytes are set aside", n, end, len(aside))
			}
		}
	}
}

// A log whose first segment is torn can be verified by name: the report counts its
// bytes, and a head that was saved tells that entries are gone.
func TestVerifyTornFirstSegment(t *testing.T) {
	s := twoSegments(t)
	whole := view(t, restore(t, s)).Head()
	for _, end := range []int{0, 1, HeaderSize - 1} {
		dir := restore(t, map[uint64][]byte{1: s[1][:end]})
		r, err := Verify(ctx, dir, nil)
		if !errors.Is(err, ErrTorn) || r.Torn != int64(end) || r.Segments != 0 || r.Entries != 0 {
			t.Errorf("%d bytes: %+v, %v", end, r, err)
		}
		if r, err = Verify(ctx, dir, &whole); !errors.Is(err, ErrShort) || errors.Is(err, ErrTorn) || r.Torn != int64(end) {
			t.Errorf("%d bytes against a head: %+v, %v", end, r, err)
		}
	}
	if r, err := Verify(ctx, restore(t, s), &whole); err != nil || r.Head != whole {
		t.Errorf("a whole log: %+v, %v", r, err)
	}
	if _, err := Verify(ctx, t.TempDir(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no log: %v", err)
	}
}

// Bytes in place of a segment that do not begin its header are damage, which
// nobody recovers from in silence.
func TestShortSegmentOfOtherBytes(t *testing.T) {
	s := twoSegments(t)
	edit := func(n uint64, end, at int, v byte) []byte {
		b := bytes.Clone(s[n][:end])
		b[at] = v
		return b
	}
	for _, c := range []struct {
		name string
		n    uint64
		b    []byte
		want string
		kind error
	}{
		{"noise", 1, bytes.Repeat([]byte{0xa7, 0x13, 0x5c, 0xee}, 25), "PXLG", ErrCorrupt},
		{"one byte", 1, []byte{0}, "PXLG", ErrCorrupt},
		{"zeros", 1, make([]byte, 191), "PXLG", ErrCorrupt},
		{"noise as segment 2", 2, []byte("hello"), "PXLG", ErrCorrupt},
		{"header of segment 2 as 1", 1, s[2][:100], "segment 2", ErrCorrupt},
		{"header of segment 1 as 2", 2, s[1][:100], "segment 1", ErrCorrupt},
		{"reserved byte", 1, edit(1, 100, 6, 1), "reserved", ErrCorrupt},
		{"header size", 1, edit(1, 100, 15, 0), "declares", ErrCorrupt},
		{"first entry", 1, edit(1, 100, 31, 9), "sequence number 9", ErrCorrupt},
		{"hash", 1, edit(1, 161, 160, s[1][160]^1), "hash", ErrCorrupt},
		{"field under a hash", 1, edit(1, 191, 90, s[1][90]^1), "hash", ErrCorrupt},
		{"newer format", 1, edit(1, 100, 4, 2), "format 2.0", ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := map[uint64][]byte{c.n: c.b}
			if c.n == 2 {
				log[1] = s[1]
			}
			dir := restore(t, log)
			_, viewErr := audit(dir, nil)
			j, openErr := Open(dir, Options{Now: tick()})
			if openErr == nil {
				j.Close()
			}
			for _, err := range []error{viewErr, openErr} {
				var f *Fault
				if !errors.As(err, &f) || !errors.Is(err, c.kind) || errors.Is(err, ErrTorn) || f.Segment != c.n || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %v with %q", err, c.kind, c.want)
				}
			}
			if b, err := os.ReadFile(filepath.Join(dir, segmentName(c.n))); err != nil || !bytes.Equal(b, c.b) {
				t.Errorf("the file was changed: %d bytes, %v", len(b), err)
			}
			if names, _ := (disk{}).ReadDir(dir); len(names) != len(log)+1 { // and the lock
				t.Errorf("files %v", names)
			}
		})
	}
}
