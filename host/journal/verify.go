package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// Report is what [View.Verify] found. When the log is sound it covers all of
// it, otherwise the part before the first fault.
type Report struct {
	Entries   uint64      `json:"entries"`
	Segments  uint64      `json:"segments"`
	Bytes     int64       `json:"bytes"`
	Head      Head        `json:"head"`      // of the last sound entry
	Torn      int64       `json:"torn"`      // bytes behind the last whole entry
	Recovered []Recovered `json:"recovered"` // crashes that the log reports of itself, the first 1000
}

// Verify reads the whole log and checks every byte of it: headers, frames,
// the hash chain through all segments, sequence numbers, times, and that
// bodies can be objects. (What a body says is not looked at: one that is no
// JSON fails when it is decoded.) When saved is not nil the log must contain that head
// (a log may have grown since). The error is a [*Fault] that names the first
// place where the log is not what was written; a torn tail, which a crash
// leaves and the next append sets aside, is one that matches [ErrTorn] only.
//
// A valid chain does not prove that the log is complete: without a saved head
// nothing tells a shorter log, or one written anew from the start, from the
// original.
func (v *View) Verify(ctx context.Context, saved *Head) (Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &checker{view: v, saved: saved, ctx: ctx, cancel: cancel}
	err := c.run()
	return c.report, err
}

// Verify is [View.Verify] of the journal in dir, also of one that cannot be read
// because nothing of it is whole: of a first segment that is torn before its header
// ends, Torn in the report says how many bytes there are, and the error matches
// [ErrTorn], or [ErrShort] when a head was saved. Errors are otherwise those of
// [OpenView] and View.Verify.
func Verify(ctx context.Context, dir string, saved *Head) (Report, error) {
	v, err := openView(ctx, dir, disk{})
	if err == nil {
		return v.Verify(ctx, saved)
	}
	var f *Fault
	if v == nil || !errors.As(err, &f) {
		return Report{}, fmt.Errorf("open journal %q for reading: %w", dir, err)
	}
	if saved != nil {
		f.Kind, f.Detail = ErrShort, fmt.Sprintf("the saved head is entry %d; %s", saved.Seq, f.Detail)
	}
	return Report{Torn: v.torn}, f
}

// checker walks the frames in order and leaves the hashing, which needs only
// the stored hash before each record, to workers.
type checker struct {
	view   *View
	saved  *Head
	report Report
	ctx    context.Context
	cancel context.CancelFunc

	work chan *batch
	free chan *batch

	mu    sync.Mutex
	fault *Fault // the earliest that a worker found

	seen bool // the saved head was met
	seq  uint64
	time int64
	prev Hash
}

// batch is a run of whole records.
type batch struct {
	buf     []byte
	prev    Hash // before the first
	segment uint64
	off     int64
	seq     uint64
}

const batchBytes = 512 << 10

func (c *checker) run() error {
	n := max(1, min(runtime.GOMAXPROCS(0), 16))
	c.work, c.free = make(chan *batch, n), make(chan *batch, 2*n+1)
	for range cap(c.free) {
		c.free <- &batch{}
	}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for b := range c.work {
				if f := b.check(); f != nil {
					c.found(f)
				}
				c.free <- b
			}
		})
	}
	err := c.walk()
	close(c.work)
	wg.Wait()
	if f := c.fault; f != nil {
		// The earlier place is the cause, and at one place the walk's finding
		// says more than a hash that differs.
		var w *Fault
		if err == nil || errors.Is(err, context.Canceled) || errors.As(err, &w) && f.before(w) {
			err = f
		}
	}
	if err != nil {
		return err
	}
	return c.finish()
}

func (f *Fault) before(g *Fault) bool {
	return f.Segment < g.Segment || f.Segment == g.Segment && f.Offset < g.Offset
}

func (c *checker) found(f *Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault == nil || f.before(c.fault) {
		c.fault = f
	}
	c.cancel()
}

// walk goes through all segments in order.
func (c *checker) walk() error {
	v := c.view
	var logID [16]byte
	size := int64(0) // of the segment before
	for n := uint64(1); n <= v.last; n++ {
		f, end, err := v.open(n)
		if err != nil {
			return err
		}
		h, err := readHeader(f, n)
		if err == nil {
			err = c.link(&h, logID, size)
		}
		if err != nil {
			f.Close()
			return err
		}
		logID = h.logID
		if n == v.last {
			end = v.tail.end
		}
		c.report.Segments, c.report.Bytes = n, c.report.Bytes+HeaderSize
		c.report.Head = Head{Seq: c.seq, Segment: n, Size: HeaderSize, Hash: h.hash}
		err = c.segment(f, &h, end)
		f.Close()
		if err != nil {
			return err
		}
		size = end
	}
	return nil
}

// link checks that segment h continues what came before.
func (c *checker) link(h *header, logID [16]byte, size int64) error {
	bad := ""
	switch {
	case h.segment == 1:
	case h.logID != logID:
		bad = "the segment belongs to another log"
	case h.firstSeq != c.seq+1:
		bad = fmt.Sprintf("the segment begins with entry %d, the one before ended with %d", h.firstSeq, c.seq)
	case h.prev != c.prev || int64(h.prevSize) != size:
		bad = "the segment does not follow the end of the one before: entries are missing or were changed there"
	case h.created < c.time:
		bad = "the segment is older than the entry before it"
	}
	if bad != "" {
		return &Fault{Segment: h.segment, Seq: h.firstSeq, Kind: ErrCorrupt, Detail: bad}
	}
	if s := c.saved; s != nil && s.Segment == h.segment && s.Size == HeaderSize && s.Seq == h.firstSeq-1 {
		if s.Hash != h.hash {
			return c.rewritten(h.segment, 0, "the segment header is another one")
		}
		c.seen = true
	}
	c.prev, c.time = h.hash, max(c.time, h.created)
	return nil
}

func (c *checker) rewritten(segment uint64, off int64, detail string) error {
	return &Fault{Segment: segment, Offset: off, Seq: c.saved.Seq, Kind: ErrRewritten, Detail: detail}
}

// segment walks the records of one segment.
func (c *checker) segment(f file, h *header, end int64) error {
	w := walker{f: f, off: HeaderSize, end: end, block: batchBytes}
	var b *batch
	flush := func() {
		if b != nil {
			c.work <- b
			b = nil
		}
	}
	defer flush()
	for w.off < w.end {
		at := w.off
		raw, err := w.next()
		if err != nil {
			return locate(err, h.segment, at, c.seq+1)
		}
		if b != nil && len(b.buf)+len(raw) > batchBytes {
			flush()
		}
		if b == nil {
			if c.ctx.Err() != nil {
				return context.Canceled
			}
			b = <-c.free
			*b = batch{buf: b.buf[:0], prev: c.prev, segment: h.segment, off: at, seq: c.seq + 1}
		}
		r, err := decodeRecord(raw)
		if err == nil {
			err = c.order(&r, h)
		}
		if err == nil && r.seq == c.savedSeq() {
			c.seen = true
			if r.hash != c.saved.Hash || h.segment != c.saved.Segment || w.off != c.saved.Size {
				err = c.rewritten(h.segment, at, fmt.Sprintf("the entry is there with hash %s", r.hash))
			}
		}
		if err != nil {
			return locate(err, h.segment, at, c.seq+1)
		}
		b.buf = append(b.buf, raw...)
		c.note(&r)
		c.prev, c.seq, c.time = r.hash, r.seq, r.time
		c.report.Entries++
		c.report.Bytes += int64(len(raw))
		c.report.Head = Head{Seq: r.seq, Segment: h.segment, Size: w.off, Hash: r.hash}
	}
	return nil
}

func (c *checker) savedSeq() uint64 {
	if c.saved == nil {
		return 0
	}
	return c.saved.Seq
}

// order checks what a record says about its place.
func (c *checker) order(r *record, h *header) error {
	switch want := c.seq + 1; {
	case r.seq > want:
		return fmt.Errorf("entry %d follows entry %d: entries are missing", r.seq, c.seq)
	case r.seq < want:
		return fmt.Errorf("entry %d follows entry %d: an entry was repeated or moved", r.seq, c.seq)
	case r.time < c.time:
		return errors.New("the entry is older than the one before")
	case r.flags != 0 && h.minor == 0:
		return fmt.Errorf("flags are %#02x, version %d.0 has none", r.flags, Major)
	}
	return nil
}

// note keeps what the log says about its own recoveries.
func (c *checker) note(r *record) {
	if string(r.typ) != TypeRecovered || len(c.report.Recovered) == 1000 {
		return
	}
	var rec Recovered
	if json.Unmarshal(r.body, &rec) == nil {
		c.report.Recovered = append(c.report.Recovered, rec)
	}
}

// check hashes the records of a batch.
func (b *batch) check() *Fault {
	prev, seq := b.prev, b.seq
	for at := 0; at < len(b.buf); seq++ {
		size := 3 * uint24(b.buf[at+3:])
		raw := b.buf[at : at+size]
		stored := Hash(raw[size-recordTail:])
		body := raw[recordFixed+int(raw[22]):]
		body = body[:uint24(raw[24:])]
		detail := ""
		if chain(&prev, raw) != stored {
			detail = "the entry or the one before it was changed: it does not match its hash"
		} else if !plainBody(body) {
			detail = "the body is not an object without control characters"
		}
		if detail != "" {
			return &Fault{Segment: b.segment, Offset: b.off + int64(at), Seq: seq, Kind: ErrCorrupt, Detail: detail}
		}
		prev, at = stored, at+size
	}
	return nil
}

// finish checks what can only be said at the end of a sound log.
func (c *checker) finish() error {
	v := c.view
	at := Fault{Segment: v.last, Offset: v.tail.end, Seq: c.seq}
	if c.saved != nil && !c.seen {
		at.Kind = ErrShort
		at.Detail = fmt.Sprintf("the log ends with entry %d, the saved head is entry %d", c.seq, c.saved.Seq)
		if c.saved.Seq <= c.seq {
			at.Kind, at.Detail = ErrRewritten, "the saved head names a place that the log does not have"
		}
		return &at
	}
	if c.report.Torn = v.torn; v.torn > 0 || v.stub > 0 {
		f, _, err := v.open(v.last)
		if err != nil {
			return err
		}
		defer f.Close()
		at.Kind, at.Detail = ErrTorn, fmt.Sprintf("%d bytes follow the last whole entry", v.torn)
		if v.stub > 0 {
			at.Segment, at.Offset = v.stub, 0
			at.Detail = "the segment is shorter than its header"
		}
		if wholeRecord(f, v.tail.end, v.torn) {
			at.Kind, at.Detail = ErrCorrupt, "the last entry was changed: it does not match its hash"
		}
		return &at
	}
	return nil
}
