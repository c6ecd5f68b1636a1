package journal

import (
	"errors"
	"fmt"
	"io"
)

// tail is the end of the whole part of a segment.
type tail struct {
	end  int64 // offset just behind the last whole record
	seq  uint64
	time int64
	hash Hash // of the last record, or of the header where there is none
}

// tailRead is how many bytes at the end of a segment are read at once when a
// journal is opened: more than nearly every record.
const tailRead = 4096

// searchBudget bounds the bytes that a search for the last whole record may
// hash; a file made to present many long false ends is refused beyond it.
const searchBudget = 256 << 20

// window reads a file backwards: it keeps one block of bytes and slides down.
type window struct {
	f     io.ReaderAt
	block int64 // preferred size
	buf   []byte
	lo    int64 // file offset of buf[0]
}

// bytes returns the n bytes at off, valid until the next call. size is the end
// of what may be read; the block is chosen to end at or above off+n.
func (w *window) bytes(off, n int64) ([]byte, error) {
	if off < w.lo || off+n > w.lo+int64(len(w.buf)) {
		want := max(w.block, n)
		lo := max(0, off+n-want)
		if int64(cap(w.buf)) < want {
			w.buf = make([]byte, want)
		}
		w.buf = w.buf[:off+n-lo]
		if _, err := w.f.ReadAt(w.buf, lo); err != nil {
			w.buf = w.buf[:0]
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		w.lo = lo
	}
	at := off - w.lo
	return w.buf[at : at+n : at+n], nil
}

// recordEnding returns the record that ends at end and the hash of what comes
// before it, as stored. The record's bytes are valid until the next read.
// It returns a *Fault-free error text in bad when there is no sound record.
func recordEnding(w *window, h *header, end int64) (r record, prev Hash, bad, err error) {
	if end < HeaderSize+minRecord {
		return r, prev, errors.New("too few bytes for a record"), nil
	}
	b, err := w.bytes(end-3, 3)
	if err != nil {
		return r, prev, nil, err
	}
	size := int64(3 * uint24(b))
	if size < minRecord || size > MaxRecord || end-size < HeaderSize {
		return r, prev, fmt.Errorf("no record of %d bytes can end here", size), nil
	}
	start := end - size
	// The hash before the record is the end of another record, or the end of
	// the header: 32 bytes that lie 35 or 32 bytes before it.
	back := int64(recordTail)
	if start == HeaderSize {
		back = int64(len(prev))
	}
	b, err = w.bytes(start-back, back+size)
	if err != nil {
		return r, prev, nil, err
	}
	prev = Hash(b)
	r, bad = decodeRecord(b[back:])
	if bad == nil && chain(&prev, r.raw) != r.hash {
		bad = errors.New("the record does not match its hash")
	}
	if bad == nil && start == HeaderSize && (prev != h.hash || r.seq != h.firstSeq) {
		bad = errors.New("the first record does not follow its segment header")
	}
	return r, prev, bad, nil
}

func tailAt(r *record, end int64) tail {
	return tail{end: end, seq: r.seq, time: r.time, hash: r.hash}
}

func emptyTail(h *header) tail {
	return tail{end: HeaderSize, seq: h.firstSeq - 1, time: h.created, hash: h.hash}
}

// findTail finds the last whole record at or below size. Where the file ends
// with one, as it does unless an append was cut off, that is one read. Otherwise
// it tries every pixel below as an end until a record with a matching
// hash ends there; a body cannot contain such bytes (J-21).
func findTail(f io.ReaderAt, h *header, size int64) (tail, error) {
	if size == HeaderSize {
		return emptyTail(h), nil
	}
	w := window{f: f, block: min(size, tailRead)}
	if (size-HeaderSize)%3 == 0 {
		r, _, bad, err := recordEnding(&w, h, size)
		if err != nil {
			return tail{}, err
		}
		if bad == nil {
			return tailAt(&r, size), nil
		}
	}
	w.block = min(size, 4*MaxRecord)
	budget := int64(searchBudget)
	for end := size - (size-HeaderSize)%3; end >= HeaderSize+minRecord; end -= 3 {
		b, err := w.bytes(end-3, 3)
		if err != nil {
			return tail{}, err
		}
		n := int64(3 * uint24(b))
		if n < minRecord || n > MaxRecord || end-n < HeaderSize {
			continue
		}
		if b, err = w.bytes(end-n, n); err != nil {
			return tail{}, err
		}
		if _, bad := decodeRecord(b); bad != nil {
			continue
		}
		if budget -= n; budget < 0 {
			return tail{}, &Fault{Segment: h.segment, Offset: end, Kind: ErrCorrupt,
				Detail: "the end of the segment presents too many false entries to search; keep the file and start a new journal"}
		}
		r, _, bad, err := recordEnding(&w, h, end)
		if err != nil {
			return tail{}, err
		}
		if bad == nil {
			return tailAt(&r, end), nil
		}
	}
	return emptyTail(h), nil
}
