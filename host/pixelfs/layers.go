package pixelfs

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/pxos/pxos/host/disk"
)

// page is the unit in which edits are kept.
const page = 4096

// layers is a file under change: a base that does not change, and pages over it.
type layers struct {
	base  io.ReaderAt // nil where there is none
	limit int64       // bytes of base that still count; what is behind reads as zeros
	size  int64
	pages map[int64]slot // in the log
	fresh map[int64]*[page]byte
	log   disk.File
}

// slot is where the log has a page.
type slot struct {
	off int64
	crc uint32
}

// PageError says that edited data cannot be read back from the log of edits.
type PageError struct {
	Offset int64 // of the page in the file
	Err    error
}

func (e *PageError) Error() string {
	return fmt.Sprintf("the edited page at offset %d is damaged: %v", e.Offset, e.Err)
}

func (e *PageError) Unwrap() error { return e.Err }

var errPageSum = errors.New("its checksum differs")

// ReadAt implements [io.ReaderAt].
func (l *layers) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at negative offset %d", off)
	}
	if off >= l.size {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > l.size-off {
		p = p[:l.size-off]
		end = io.EOF
	}
	n, err := l.fill(p, off)
	if err != nil {
		return n, err
	}
	return n, end
}

// fill reads p, which lies within the size.
func (l *layers) fill(p []byte, off int64) (int, error) {
	if len(l.pages) == 0 && len(l.fresh) == 0 {
		return l.under(p, off)
	}
	var buf [page]byte
	for done := 0; done < len(p); {
		at := off + int64(done)
		i := at / page
		in := int(at - i*page)
		if !l.has(i) {
			// A run of untouched pages at once.
			run := page - in
			for run < len(p)-done && !l.has(i+int64(in+run)/page) {
				run += page
			}
			run = min(run, len(p)-done)
			n, err := l.under(p[done:done+run], at)
			if done += n; err != nil {
				return done, err
			}
			continue
		}
		n := min(page-in, len(p)-done)
		if f := l.fresh[i]; f != nil {
			copy(p[done:done+n], f[in:])
		} else if n == page {
			if err := l.logged(p[done:done+n], i); err != nil {
				return done, err
			}
		} else {
			if err := l.logged(buf[:], i); err != nil {
				return done, err
			}
			copy(p[done:done+n], buf[in:])
		}
		done += n
	}
	return len(p), nil
}

func (l *layers) has(i int64) bool {
	if l.fresh[i] != nil {
		return true
	}
	_, ok := l.pages[i]
	return ok
}

// logged reads a page from the log.
func (l *layers) logged(dst []byte, i int64) error {
	s := l.pages[i]
	if _, err := l.log.ReadAt(dst, s.off); err != nil {
		return &PageError{i * page, err}
	}
	if crc32.Checksum(dst, castagnoli) != s.crc {
		return &PageError{i * page, errPageSum}
	}
	return nil
}

// under reads from the base, and zeros behind it.
func (l *layers) under(p []byte, off int64) (int, error) {
	n := 0
	if off < l.limit {
		part := p[:min(int64(len(p)), l.limit-off)]
		var err error
		n, err = l.base.ReadAt(part, off)
		if n < len(part) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
	}
	clear(p[n:])
	return len(p), nil
}

// get gives the page i for change, as it reads now.
func (l *layers) get(i int64) (*[page]byte, error) {
	if f := l.fresh[i]; f != nil {
		return f, nil
	}
	f := new([page]byte)
	if from := i * page; from < l.size {
		if _, err := l.fill(f[:min(page, l.size-from)], from); err != nil {
			return nil, err
		}
	}
	l.fresh[i] = f
	return f, nil
}

// write puts p at off; the size grows as needed.
func (l *layers) write(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		at := off + int64(done)
		i := at / page
		in := int(at - i*page)
		n := min(page-in, len(p)-done)
		f := l.fresh[i]
		if f == nil && n == page {
			f = new([page]byte)
			l.fresh[i] = f
		} else if f == nil {
			var err error
			if f, err = l.get(i); err != nil {
				return done, err
			}
		}
		copy(f[in:], p[done:done+n])
		done += n
		l.size = max(l.size, at+int64(n))
	}
	return done, nil
}

// truncate sets the size. What grows reads as zeros.
func (l *layers) truncate(size int64) error {
	if size < l.size {
		if in := size % page; in != 0 && l.has(size/page) {
			f, err := l.get(size / page)
			if err != nil {
				return err
			}
			clear(f[in:])
		}
		l.cut(size)
	}
	l.size = size
	return nil
}

// cut drops what lies behind size.
func (l *layers) cut(size int64) {
	first := (size + page - 1) / page
	for i := range l.fresh {
		if i >= first {
			delete(l.fresh, i)
		}
	}
	for i := range l.pages {
		if i >= first {
			delete(l.pages, i)
		}
	}
	l.limit = min(l.limit, size)
	l.size = min(l.size, size)
}
