package journal

import (
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
