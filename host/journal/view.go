package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"sort"
	"time"
)

// View is a log as it was at one moment. What is appended later does not
// appear in it. Reading a view takes no lock, and any number of goroutines may
// read one.
type View struct {
	dir  string
	disk fileSystem
	last uint64 // number of the newest segment
	tail tail   // of the newest segment
	torn int64  // bytes behind the tail
	stub uint64 // a newer segment that is cut down to less than its header; 0 for none
}

// OpenView opens the journal in dir for reading only: nothing is created,
// changed or recovered. It holds a shared lock while it finds the end of the
// log, a matter of microseconds, so that an append which is under way is not
// taken for a torn one; where the directory allows no lock file to be opened
// it does without. The error matches fs.ErrNotExist when there is no journal,
// and is a [*Fault] when the newest segment is none that can be read: one that
// matches [ErrTorn] when the log ends before its first header does.
func OpenView(ctx context.Context, dir string) (*View, error) {
	v, err := openView(ctx, dir, disk{})
	if err != nil {
		return nil, fmt.Errorf("open journal %q for reading: %w", dir, err)
	}
	return v, nil
}

func openView(ctx context.Context, dir string, d fileSystem) (*View, error) {
	if lock, err := openRead(d, filepath.Join(dir, lockName)); err == nil {
		defer lock.Close()
		if acquire(ctx, lock, false, 10*time.Second) == nil {
			defer lock.Unlock()
		} else if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	names, err := d.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	v := &View{dir: dir, disk: d}
	for _, name := range names {
		v.last = max(v.last, segmentNumber(name))
	}
	for ; v.last > 0; v.last-- {
		torn, err := v.findTail()
		if err != nil {
			return nil, err
		}
		if v.torn += torn; v.tail.end > 0 {
			return v, nil
		}
		v.stub = v.last
	}
	if v.stub > 0 {
		return v, &Fault{Segment: v.stub, Kind: ErrTorn,
			Detail: fmt.Sprintf("the segment is %d bytes long, its header alone takes %d, and none is before it; the next append sets it aside and begins a new log", v.torn, HeaderSize)}
	}
	return nil, fmt.Errorf("no journal: %w", fs.ErrNotExist)
}

// findTail sets v.tail from segment v.last and returns the torn bytes behind
// it. A segment cut down to less than its header is all torn.
func (v *View) findTail() (torn int64, err error) {
	v.tail = tail{}
	f, size, err := v.open(v.last)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if size < HeaderSize {
		return size, readStub(f, v.last, size)
	}
	h, err := readHeader(f, v.last)
	if err != nil {
		return 0, err
	}
	v.tail, err = findTail(f, &h, size)
	return size - v.tail.end, err
}

func (v *View) open(segment uint64) (file, int64, error) {
	f, err := openRead(v.disk, filepath.Join(v.dir, segmentName(segment)))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = &Fault{Segment: segment, Kind: ErrCorrupt, Detail: "the segment file is missing"}
		}
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// View returns the log as it is now.
func (j *Journal) View(ctx context.Context) (*View, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var v *View
	err := j.exclusively(ctx, func() error {
		v = &View{dir: j.dir, disk: j.disk, last: j.hdr.segment, tail: j.tail}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", full(err))
	}
	return v, nil
}

// Read implements [Log].
func (j *Journal) Read(ctx context.Context, r Range) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		v, err := j.View(ctx)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		v.Read(ctx, r)(yield)
	}
}

// check enforces a guard. The lock is held and the tail is known.
func (j *Journal) check(ctx context.Context, g Guard) error {
	if j.tail.seq <= g.After {
		return nil
	}
	v := &View{dir: j.dir, disk: j.disk, last: j.hdr.segment, tail: j.tail}
	for e, err := range v.Read(ctx, Range{After: g.After, Types: []string{g.Prefix}, Newest: true, Limit: 1}) {
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: entry %d of type %q is newer than %d", ErrConflict, e.Seq, e.Type, g.After)
	}
	return nil
}

// Head names the newest entry of the view.
func (v *View) Head() Head {
	return Head{Seq: v.tail.seq, Segment: v.last, Size: v.tail.end, Hash: v.tail.hash}
}

// Torn returns how many bytes follow the last whole entry: an append that was
// cut off and that nobody has recovered yet. It is 0 for a view that an open
// [Journal] gave.
func (v *View) Torn() int64 { return v.torn }

// Segments returns the number of the newest segment; the oldest is 1.
func (v *View) Segments() uint64 { return v.last }

// Contains checks in constant time that the log still holds the entry that h
// names, where it was: a log that was cut short or written anew does not. The
// error is a [*Fault]. It does not check what comes before or after; that is
// what [View.Verify] does.
func (v *View) Contains(h Head) error {
	fault := func(kind error, detail string) error {
		return &Fault{Segment: h.Segment, Offset: h.Size, Seq: h.Seq, Kind: kind, Detail: detail}
	}
	if h.Seq > v.tail.seq || h.Segment > v.last || h.Segment == v.last && h.Size > v.tail.end {
		return fault(ErrShort, fmt.Sprintf("the log ends with entry %d in segment %d", v.tail.seq, v.last))
	}
	f, size, err := v.open(h.Segment)
	if err != nil {
		return err
	}
	defer f.Close()
	hdr, err := readHeader(f, h.Segment)
	if err != nil {
		return err
	}
	if h.Size == HeaderSize && h.Seq == hdr.firstSeq-1 {
		if h.Hash != hdr.hash {
			return fault(ErrRewritten, "the segment header is another one")
		}
		return nil
	}
	if h.Size > size {
		return fault(ErrShort, fmt.Sprintf("the segment is %d bytes long", size))
	}
	w := window{f: f, block: min(h.Size, tailRead)}
	r, _, bad, err := recordEnding(&w, &hdr, h.Size)
	switch {
	case err != nil:
		return err
	case bad != nil:
		return fault(ErrRewritten, bad.Error())
	case r.seq != h.Seq || r.hash != h.Hash:
		return fault(ErrRewritten, fmt.Sprintf("entry %d with hash %s is there", r.seq, r.hash))
	}
	return nil
}

// Read iterates over the entries that r selects, as [Log.Read] does. Each
// entry is checked against its hash and that of the entry before; a damaged
// one yields a [*Fault] in its place. It reads as little as it can: newest
// first goes by the trailing lengths from the end, and bounds in sequence or
// time skip whole segments.
func (v *View) Read(ctx context.Context, r Range) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		left := r.Limit
		emit := func(rec *record, err error) bool {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return yield(Entry{}, err) && ctx.Err() == nil
			}
			e, ok, more := r.pick(rec)
			if !ok {
				return more
			}
			left--
			return yield(e, nil) && left != 0
		}
		if r.Newest {
			v.backward(r, emit)
		} else {
			v.forward(r, emit)
		}
	}
}

// pick decides about one record: ok when it is selected, more when selected
// ones may follow.
func (r *Range) pick(rec *record) (e Entry, ok, more bool) {
	low := rec.seq <= r.After || !r.Since.IsZero() && rec.time < r.Since.UnixNano()
	high := r.Before != 0 && rec.seq >= r.Before || !r.Until.IsZero() && rec.time >= r.Until.UnixNano()
	switch {
	case low:
		return e, false, !r.Newest
	case high:
		return e, false, r.Newest
	case !r.wantsType(rec.typ):
		return e, false, true
	}
	return Entry{
		Seq: rec.seq, Time: time.Unix(0, rec.time).UTC(), Type: string(rec.typ),
		Body: append([]byte(nil), rec.body...), Hash: rec.hash, Tint: rec.tint,
	}, true, true
}

// segmentFor returns the last segment whose header passes ok, which holds for
// all older segments too; 1 when none does. Segments that cannot be read count
// as passing, so that the reader meets them.
func (v *View) segmentFor(ok func(*header) bool) uint64 {
	n := sort.Search(int(v.last), func(i int) bool {
		f, _, err := v.open(uint64(i) + 1)
		if err != nil {
			return false
		}
		defer f.Close()
		h, err := readHeader(f, uint64(i)+1)
		return err == nil && !ok(&h)
	})
	return max(1, uint64(n))
}

// first returns the segment in which reading forward starts.
func (v *View) first(r Range) uint64 {
	if r.After == 0 && r.Since.IsZero() {
		return 1
	}
	return v.segmentFor(func(h *header) bool {
		return h.firstSeq <= r.After+1 || !r.Since.IsZero() && h.created < r.Since.UnixNano()
	})
}

// newest returns the segment in which reading backward starts.
func (v *View) newest(r Range) uint64 {
	if r.Before == 0 && r.Until.IsZero() {
		return v.last
	}
	return v.segmentFor(func(h *header) bool {
		return (r.Before == 0 || h.firstSeq < r.Before) && (r.Until.IsZero() || h.created < r.Until.UnixNano())
	})
}

// forward hands the records from the range's first segment on to emit until it
// returns false.
func (v *View) forward(r Range, emit func(*record, error) bool) {
	for n := v.first(r); n <= v.last; n++ {
		more, err := v.segmentForward(n, emit)
		if err != nil && !emit(nil, err) || !more {
			return
		}
	}
}

func (v *View) segmentForward(n uint64, emit func(*record, error) bool) (more bool, err error) {
	f, size, err := v.open(n)
	if err != nil {
		return true, err
	}
	defer f.Close()
	h, err := readHeader(f, n)
	if err != nil {
		return true, err
	}
	if n == v.last {
		size = v.tail.end
	}
	w := walker{f: f, off: HeaderSize, end: size, block: 256 << 10}
	prev, seq := h.hash, h.firstSeq
	for w.off < w.end {
		at := w.off
		var rec record
		b, err := w.next()
		if err == nil {
			rec, err = decodeRecord(b)
		}
		if err != nil {
			if !emit(nil, locate(err, n, at, seq)) {
				return false, nil
			}
			off, err := resync(f, at+3, size)
			if err != nil || off < 0 {
				return true, err
			}
			prev, seq, err = w.jump(off)
			if err != nil {
				return true, err
			}
			continue
		}
		if err = rec.follows(&prev, seq); err != nil {
			if !emit(nil, locate(err, n, at, seq)) {
				return false, nil
			}
		} else if !emit(&rec, nil) {
			return false, nil
		}
		prev, seq = rec.hash, rec.seq+1
	}
	return true, nil
}

// follows checks that r is the record with sequence number seq after one with
// the hash prev.
func (r *record) follows(prev *Hash, seq uint64) error {
	switch {
	case chain(prev, r.raw) != r.hash:
		return errors.New("the entry or the one before it was changed: it does not match its hash")
	case r.seq != seq:
		return fmt.Errorf("entry %d stands where %d belongs", r.seq, seq)
	case r.flags != 0:
		return fmt.Errorf("%w: entry has flags %#02x of a newer version", ErrUnsupported, r.flags)
	}
	return nil
}

// locate makes a *Fault of a format error; errors of the operating system
// pass.
func locate(err error, segment uint64, off int64, seq uint64) error {
	var f *Fault
	var sys *fs.PathError
	switch {
	case errors.As(err, &f), errors.As(err, &sys), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, ErrUnsupported):
		return &Fault{Segment: segment, Offset: off, Seq: seq, Kind: ErrUnsupported, Detail: err.Error()}
	}
	return &Fault{Segment: segment, Offset: off, Seq: seq, Kind: ErrCorrupt, Detail: err.Error()}
}

// backward hands the records from the range's newest segment down to emit
// until it returns false.
func (v *View) backward(r Range, emit func(*record, error) bool) {
	for n := v.newest(r); n > 0; n-- {
		more, err := v.segmentBackward(n, emit)
		if err != nil && !emit(nil, err) || !more {
			return
		}
	}
}

func (v *View) segmentBackward(n uint64, emit func(*record, error) bool) (more bool, err error) {
	f, end, err := v.open(n)
	if err != nil {
		return true, err
	}
	defer f.Close()
	h, err := readHeader(f, n)
	if err != nil {
		return true, err
	}
	if n == v.last {
		end = v.tail.end
	}
	// Small steps at first, since many a reader wants the newest few only.
	w := window{f: f, block: 16 << 10}
	for end > HeaderSize {
		rec, _, bad, err := recordEnding(&w, &h, end)
		if err != nil {
			return true, err
		}
		if bad == nil && rec.flags != 0 {
			if !emit(nil, &Fault{Segment: n, Offset: end, Seq: rec.seq, Kind: ErrUnsupported, Detail: "the entry has flags of a newer version"}) {
				return false, nil
			}
		} else if bad == nil {
			if !emit(&rec, nil) {
				return false, nil
			}
		} else {
			if !emit(nil, &Fault{Segment: n, Offset: end, Kind: ErrCorrupt, Detail: "no whole entry ends here: " + bad.Error()}) {
				return false, nil
			}
			below, err := findTail(f, &h, end-3)
			if err != nil {
				return true, err
			}
			end = below.end
			continue
		}
		end -= int64(len(rec.raw))
		w.block = min(2*w.block, 1<<20)
	}
	return true, nil
}
