package journal

import (
	"encoding/binary"
	"fmt"
	"io"
)

// walker goes through the records of a segment from off to end by their
// leading lengths. It holds at most one block or one record.
type walker struct {
	f     io.ReaderAt
	off   int64 // of the next record
	end   int64
	block int
	buf   []byte // bytes read ahead, beginning at off
	store []byte
}

// next returns the bytes of the next record, valid until the next call. Only
// the length is checked. A record that would reach beyond the end is an error.
func (w *walker) next() ([]byte, error) {
	if err := w.fill(minRecord); err != nil {
		return nil, err
	}
	size, err := frameSize(w.buf)
	if err != nil {
		return nil, err
	}
	if err = w.fill(size); err != nil {
		return nil, err
	}
	b := w.buf[:size:size]
	w.buf = w.buf[size:]
	w.off += int64(size)
	return b, nil
}

// fill makes at least n bytes available in w.buf.
func (w *walker) fill(n int) error {
	if len(w.buf) >= n {
		return nil
	}
	if left := w.end - w.off; left < int64(n) {
		return fmt.Errorf("%d bytes are left, the entry needs %d", left, n)
	}
	if want := max(w.block, n); len(w.store) < want {
		store := make([]byte, want)
		w.buf = store[:copy(store, w.buf)]
		w.store = store
	} else {
		w.buf = w.store[:copy(w.store, w.buf)]
	}
	have := len(w.buf)
	read := int(min(int64(len(w.store)-have), w.end-w.off-int64(have)))
	got, err := w.f.ReadAt(w.store[have:have+read], w.off+int64(have))
	w.buf = w.store[:have+got]
	if len(w.buf) >= n {
		return nil
	}
	if err == nil || isEOF(err) {
		return fmt.Errorf("the segment ended early: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// jump goes on at off, where resync found a record, and returns the hash that
// stands before it and its sequence number.
func (w *walker) jump(off int64) (prev Hash, seq uint64, err error) {
	var b [recordTail + 14]byte
	if _, err = w.f.ReadAt(b[:], off-recordTail); err != nil {
		return prev, 0, err
	}
	w.off, w.buf = off, nil
	return Hash(b[:]), binary.BigEndian.Uint64(b[recordTail+6:]), nil
}

// resync returns the first offset from on at which a record stands that
// matches its hash and the one stored before it; -1 when there is none. It is
// how reading goes on behind damage that hides where the next record begins.
func resync(f io.ReaderAt, from, end int64) (int64, error) {
	const block = 4 * MaxRecord
	var buf []byte // bytes from base on
	base := from - recordTail
	load := func(off int64) error {
		base = off - recordTail
		n := min(block, end-base)
		if int64(cap(buf)) < n {
			buf = make([]byte, n)
		}
		buf = buf[:n]
		if _, err := f.ReadAt(buf, base); err != nil {
			return fmt.Errorf("the segment ended early: %w", err)
		}
		return nil
	}
	budget := int64(searchBudget)
	for off := from; off+minRecord <= end && budget > 0; off += 3 {
		if len(buf) == 0 || off+6 > base+int64(len(buf)) {
			if err := load(off); err != nil {
				return -1, err
			}
		}
		size, err := frameSize(buf[off-base:])
		if err != nil || off+int64(size) > end {
			continue
		}
		if off+int64(size) > base+int64(len(buf)) {
			if err := load(off); err != nil {
				return -1, err
			}
		}
		at := int(off - base)
		r, err := decodeRecord(buf[at : at+size])
		if err != nil {
			continue
		}
		prev := Hash(buf[at-recordTail:])
		if chain(&prev, r.raw) == r.hash {
			return off, nil
		}
		budget -= int64(size)
	}
	return -1, nil
}
