package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// SyncPolicy says when an append waits for the disk. [Draft.Sync] asks for it
// in any case; waiting covers all entries before, too. Without waiting, an
// entry survives the death of every process at once, but the entries of the
// last half minute or so can be lost when the machine loses power.
type SyncPolicy int

const (
	// SyncOnDemand waits only when the draft asks for it: the default.
	SyncOnDemand SyncPolicy = iota
	// SyncAlways waits after each entry.
	SyncAlways
	// SyncPeriodic waits when [Options.SyncEvery] has passed since this
	// handle last waited, and when it is closed.
	SyncPeriodic
)

// Options configure [Open]. The zero value is ready to use.
type Options struct {
	Sync         SyncPolicy
	SyncEvery    time.Duration    // for SyncPeriodic; 0 means one second
	SegmentBytes int64            // a new segment begins beyond this size; 0 means 64 MiB
	LockTimeout  time.Duration    // longest wait for other writers; 0 means ten seconds
	Now          func() time.Time // clock; nil means time.Now

	files fileSystem // nil means the disk
}

const (
	lockName = "journal.lock"
	tempName = "journal.tmp"
)

func segmentName(n uint64) string { return fmt.Sprintf("journal-%06d.pxl", n) }

// segmentNumber is the inverse of segmentName; 0 for any other name.
func segmentNumber(name string) uint64 {
	s, ok := strings.CutPrefix(name, "journal-")
	if !ok {
		return 0
	}
	if s, ok = strings.CutSuffix(s, ".pxl"); !ok {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > maxSegment || segmentName(n) != name {
		return 0
	}
	return n
}

// Journal is a log in a directory of segment files, open for appending. Any
// number of processes may have the same directory open.
type Journal struct {
	dir  string
	opt  Options
	disk fileSystem

	mu       sync.Mutex
	lock     file // nil once closed
	seg      file // the last segment; nil when nothing is known about it
	info     fs.FileInfo
	hdr      header
	tail     tail
	buf      []byte
	unsynced bool // this handle wrote to seg since it last synced
	lastSync time.Time
}

var _ Log = (*Journal)(nil)

// Open opens the journal in dir for appending and creates it when there is
// none. It reads the header and the last entry of the newest segment, so its
// cost does not depend on the size of the log. Where the last append was cut
// off it recovers: see [Recovered].
func Open(dir string, opt Options) (*Journal, error) {
	if opt.SyncEvery <= 0 {
		opt.SyncEvery = time.Second
	}
	if opt.SegmentBytes <= 0 {
		opt.SegmentBytes = 64 << 20
	}
	if opt.LockTimeout <= 0 {
		opt.LockTimeout = 10 * time.Second
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	j := &Journal{dir: dir, opt: opt, disk: opt.files}
	if j.disk == nil {
		j.disk = disk{}
	}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("open journal %q: %w", dir, full(err))
	}
	return j, nil
}

func (j *Journal) open() error {
	if err := j.disk.MkdirAll(j.dir); err != nil {
		return err
	}
	lock, err := j.disk.Open(j.path(lockName), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	j.lock = lock
	if err = j.exclusively(context.Background(), func() error { return nil }); err != nil {
		j.forget()
		lock.Close()
		j.lock = nil
	}
	return err
}

func (j *Journal) path(name string) string { return filepath.Join(j.dir, name) }

// Dir returns the directory of the journal.
func (j *Journal) Dir() string { return j.dir }

// Close syncs what a periodic policy still owes and releases the files.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lock == nil {
		return nil
	}
	var err error
	if j.opt.Sync == SyncPeriodic && j.unsynced && j.seg != nil {
		err = j.seg.Sync()
	}
	j.forget()
	if e := j.lock.Close(); err == nil {
		err = e
	}
	j.lock = nil
	return err
}

// forget drops what is known about the last segment; the next append reads it
// again.
func (j *Journal) forget() {
	if j.seg != nil {
		j.seg.Close()
	}
	j.seg, j.info, j.unsynced = nil, nil, false
}

// Append implements [Log]. Without a sync it costs a lock, a stat and a write,
// tens of microseconds. It returns an error matching [ErrFull], [ErrBusy],
// [ErrConflict], [ErrTooBig], [ErrInvalid], [ErrCorrupt] or [ErrClosed], or
// one of the operating system; the entry is then not in the log.
func (j *Journal) Append(ctx context.Context, d Draft) (Entry, error) {
	body, tint, err := d.Normalize()
	if err != nil {
		return Entry{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var e Entry
	err = j.exclusively(ctx, func() error {
		if d.Guard != nil {
			if err := j.check(ctx, *d.Guard); err != nil {
				return err
			}
		}
		e, err = j.append(record{tint: tint, typ: []byte(d.Type), body: body}, d.Sync)
		return err
	})
	if err != nil {
		return Entry{}, fmt.Errorf("append %q to journal: %w", d.Type, full(err))
	}
	return e, nil
}

// exclusively runs f with the writer lock held and the tail known.
func (j *Journal) exclusively(ctx context.Context, f func() error) (err error) {
	if j.lock == nil {
		return ErrClosed
	}
	if err := acquire(ctx, j.lock, true, j.opt.LockTimeout); err != nil {
		return err
	}
	defer func() {
		if e := j.lock.Unlock(); err == nil {
			err = e
		}
	}()
	if err := j.refresh(); err != nil {
		j.forget()
		return err
	}
	return f()
}

// acquire polls for the lock rather than blocking in the kernel, so that a
// stopped process that holds it cannot hang this one.
func acquire(ctx context.Context, f file, exclusive bool, timeout time.Duration) error {
	var deadline time.Time
	for wait := 20 * time.Microsecond; ; wait = min(2*wait, 2*time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return err
		}
		ok, err := f.TryLock(exclusive)
		if ok || err != nil {
			return err
		}
		if now := time.Now(); deadline.IsZero() {
			deadline = now.Add(timeout)
		} else if now.After(deadline) {
			return fmt.Errorf("%w: waited %v", ErrBusy, timeout)
		}
		time.Sleep(wait)
	}
}

// refresh makes j.tail the tail of the log on disk. Nothing is read when no
// other process has appended since this handle did.
func (j *Journal) refresh() error {
	if j.seg != nil {
		info, err := j.disk.Stat(j.path(segmentName(j.hdr.segment)))
		if err == nil && info.Size() == j.tail.end && os.SameFile(info, j.info) {
			_, err = j.disk.Stat(j.path(segmentName(j.hdr.segment + 1)))
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
		}
		j.forget()
	}
	names, err := j.disk.ReadDir(j.dir)
	if err != nil {
		return err
	}
	var last uint64
	for _, name := range names {
		last = max(last, segmentNumber(name))
	}
	if last == 0 {
		return j.create(header{segment: 1, firstSeq: 1}, nil)
	}
	return j.load(last)
}

// load reads the header and the tail of segment n, the last one, and recovers
// where its end is torn.
func (j *Journal) load(n uint64) error {
	f, err := j.disk.Open(j.path(segmentName(n)), os.O_RDWR)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	if info.Size() < HeaderSize {
		return j.recreate(f, n, info.Size())
	}
	j.seg, j.info = f, info
	if j.hdr, err = readHeader(f, n); err != nil {
		return err
	}
	if j.tail, err = findTail(f, &j.hdr, info.Size()); err != nil {
		return err
	}
	if j.tail.end < info.Size() {
		return j.recover(info.Size())
	}
	return nil
}

// readHeader reads and checks the header of segment n.
func readHeader(f file, n uint64) (header, error) {
	b := make([]byte, HeaderSize)
	got, err := f.ReadAt(b, 0)
	if got < HeaderSize {
		if err == nil || isEOF(err) {
			err = &Fault{Segment: n, Kind: ErrCorrupt, Detail: fmt.Sprintf("the segment is %d bytes long, its header alone takes %d", got, HeaderSize)}
		}
		return header{}, err
	}
	h, err := decodeHeader(b)
	if err == nil && h.segment != n {
		err = fmt.Errorf("the header says segment %d", h.segment)
	}
	if err != nil {
		return h, locate(err, n, 0, 0)
	}
	return h, nil
}

// readStub checks segment n, whose file of size bytes is shorter than a header:
// it is torn when it is how a header begins, and damaged otherwise.
func readStub(f file, n uint64, size int64) error {
	b := make([]byte, size)
	if got, err := f.ReadAt(b, 0); got < len(b) {
		return fmt.Errorf("the segment ended early: %w", err)
	}
	if err := beginsHeader(b, n); err != nil {
		return locate(fmt.Errorf("the segment is %d bytes long, and they do not begin a header: %w", size, err), n, 0, 0)
	}
	return nil
}

// create makes segment h.segment, whose file appears under its name whole and
// durable or not at all, and opens it. When first is not nil the file holds
// that record from the start.
func (j *Journal) create(h header, first *record) error {
	h.minor, h.width = Minor, DefaultWidth
	h.created = max(j.now(), 0)
	if h.segment == 1 {
		if _, err := rand.Read(h.logID[:]); err != nil {
			return err
		}
	} else {
		h.logID = j.hdr.logID
		h.created = max(h.created, j.tail.time)
	}
	b := h.encode()
	end := emptyTail(&h)
	if first != nil {
		first.seq, first.time = h.firstSeq, h.created
		b = appendRecord(b, first, &h.hash)
		end = tailAt(first, int64(len(b)))
	}
	if err := j.writeFile(segmentName(h.segment), func(f file) error {
		_, err := f.WriteAt(b, 0)
		return err
	}); err != nil {
		return err
	}
	f, err := j.disk.Open(j.path(segmentName(h.segment)), os.O_RDWR)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	j.forget()
	j.seg, j.info, j.hdr, j.tail = f, info, h, end
	return nil
}

// writeFile writes a file beside the log and gives it its name once its bytes
// are on the disk.
func (j *Journal) writeFile(name string, fill func(file) error) error {
	f, err := j.disk.Open(j.path(tempName), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if err = fill(f); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = j.disk.Rename(j.path(tempName), j.path(name))
	}
	if err == nil {
		err = j.disk.SyncDir(j.dir)
	}
	return err
}

// now is the clock in unix nanoseconds, never before the last entry.
func (j *Journal) now() int64 { return max(j.opt.Now().UnixNano(), j.tail.time) }

// append writes r behind the tail. The lock is held and the tail is known.
func (j *Journal) append(r record, sync bool) (Entry, error) {
	size := int64(recordSize(len(r.typ), len(r.body)))
	if j.tail.end > HeaderSize && j.tail.end+size > j.opt.SegmentBytes {
		if err := j.rotate(); err != nil {
			j.forget()
			return Entry{}, err
		}
	}
	r.seq, r.time = j.tail.seq+1, j.now()
	j.buf = appendRecord(j.buf[:0], &r, &j.tail.hash)
	_, err := j.seg.WriteAt(j.buf, j.tail.end)
	if err == nil {
		err = j.sync(sync)
	}
	if err != nil {
		// Take the bytes back, so that an append that failed has not happened.
		// If even that fails, the next append finds a torn tail.
		if j.seg.Truncate(j.tail.end) != nil {
			j.forget()
		}
		return Entry{}, err
	}
	j.tail = tailAt(&r, j.tail.end+size)
	return Entry{Seq: r.seq, Time: time.Unix(0, r.time).UTC(), Type: string(r.typ), Body: r.body, Hash: r.hash, Tint: r.tint}, nil
}

// sync waits for the disk where the caller or the policy asks for it.
func (j *Journal) sync(asked bool) error {
	j.unsynced = true
	switch {
	case asked, j.opt.Sync == SyncAlways:
	case j.opt.Sync == SyncPeriodic && time.Since(j.lastSync) >= j.opt.SyncEvery:
	default:
		return nil
	}
	if err := j.seg.Sync(); err != nil {
		return err
	}
	j.unsynced, j.lastSync = false, time.Now()
	return nil
}

// rotate begins the next segment. The old one is made durable first, so that
// no later entry can outlive an earlier one.
func (j *Journal) rotate() error {
	if err := j.seg.Sync(); err != nil {
		return err
	}
	return j.create(header{
		segment: j.hdr.segment + 1, firstSeq: j.tail.seq + 1,
		prev: j.tail.hash, prevSize: uint64(j.tail.end),
	}, nil)
}

// Head implements [Log]. It also recovers a torn tail.
func (j *Journal) Head(ctx context.Context) (Head, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var h Head
	err := j.exclusively(ctx, func() error {
		h = j.head()
		return nil
	})
	if err != nil {
		return Head{}, fmt.Errorf("read journal head: %w", full(err))
	}
	return h, nil
}

func (j *Journal) head() Head {
	return Head{Seq: j.tail.seq, Segment: j.hdr.segment, Size: j.tail.end, Hash: j.tail.hash}
}

// full makes the operating system's ways to say that there is no room match
// ErrFull.
func full(err error) error {
	if isFull(err) && !errors.Is(err, ErrFull) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
