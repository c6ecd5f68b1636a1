package journal

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// example builds the log of the worked example in JOURNAL.md from its parts.
func example() []byte {
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	h := header{width: DefaultWidth, segment: 1, firstSeq: 1, created: at}
	copy(h.logID[:], "pixels remember!")
	b := h.encode()
	r := record{tint: [3]byte{0x3D, 0x8B, 0xFF}, seq: 1, time: at + 1_500_000_000, typ: []byte("note.hi"), body: []byte(`{"a":1}`)}
	return appendRecord(b, &r, &h.hash)
}

// hexDump writes b as JOURNAL.md does: an offset and 16 bytes a line.
func hexDump(b []byte) string {
	var out strings.Builder
	for at := 0; at < len(b); at += 16 {
		out.WriteString(strings.ToUpper(strconv.FormatInt(int64(at)+0x1000, 16)[1:]))
		for _, c := range b[at:min(at+16, len(b))] {
			out.WriteString(" " + hex.EncodeToString([]byte{c}))
		}
		out.WriteString("\n")
	}
	return out.String()
}

// The bytes that JOURNAL.md shows are the ones that this package writes, and
// they make a log that verifies under the head that it gives.
func TestSpecExample(t *testing.T) {
	doc, err := os.ReadFile("JOURNAL.md")
	if err != nil {
		t.Fatal(err)
	}
	want := hexDump(example())
	if !strings.Contains(string(doc), want) {
		t.Fatalf("JOURNAL.md does not show the example as it is:\n%s", want)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, segmentName(1)), example(), 0o600); err != nil {
		t.Fatal(err)
	}
	head, err := ParseHead(string(regexp.MustCompile(`pxlg1:1:1:[0-9a-f:]+`).Find(doc)))
	if err != nil {
		t.Fatalf("JOURNAL.md gives no head: %v; it is %s", err, view(t, dir).Head())
	}
	if r, err := audit(dir, &head); err != nil || r.Head != head || r.Entries != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for e, err := range view(t, dir).Read(ctx, Range{}) {
		if err != nil || e.Type != "note.hi" || string(e.Body) != `{"a":1}` || e.Time.Format(time.RFC3339Nano) != "2025-01-01T00:00:01.5Z" {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

// Every limit in the document is the one in the code.
func TestSpecNumbers(t *testing.T) {
	doc, err := os.ReadFile("JOURNAL.md")
	if err != nil {
		t.Fatal(err)
	}
	for what, n := range map[string]int{
		"Record, bytes": MaxRecord, "Type, bytes": MaxType, "Width, pixels": maxWidth, "Segment number": maxSegment,
		"Smallest record, bytes": minRecord, "Picture read back, pixels": maxImagePixels, "Error message in run.end, bytes": maxMessage,
	} {
		if row := []byte("| " + what + " | " + thousands(uint64(n)) + " |"); !bytes.Contains(doc, row) {
			t.Errorf("JOURNAL.md has no row %q", row)
		}
	}
}

// A newer minor version is read, a newer major version is refused, and flags
// that a newer version may set are reported for their entry alone.
func TestVersions(t *testing.T) {
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	newer := header{minor: 7, width: 99, segment: 1, firstSeq: 1, created: at}
	b := newer.encode()
	prev := newer.hash
	for i, flags := range []byte{0, 4, 0} {
		r := record{seq: uint64(i + 1), time: at, flags: flags, typ: []byte("t"), body: []byte(`{}`)}
		b = appendRecord(b, &r, &prev)
		prev = r.hash
	}
	dir := restore(t, map[uint64][]byte{1: b})
	if _, err := audit(dir, nil); err != nil {
		t.Errorf("verify of a newer minor version: %v", err)
	}
	for _, newest := range []bool{false, true} {
		good, odd := 0, 0
		for _, err := range view(t, dir).Read(ctx, Range{Newest: newest}) {
			switch {
			case err == nil:
				good++
			case strings.Contains(err.Error(), "flags"):
				odd++
			default:
				t.Error(err)
			}
		}
		if good != 2 || odd != 1 {
			t.Errorf("%d entries and %d reports", good, odd)
		}
	}
	b = bytes.Clone(b)
	b[4] = 2
	dir = restore(t, map[uint64][]byte{1: b})
	if _, err := OpenView(ctx, dir); err == nil || !strings.Contains(err.Error(), "format 2.7") {
		t.Errorf("view of a newer major version: %v", err)
	}
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("a newer major version was opened for appending")
	}
}
