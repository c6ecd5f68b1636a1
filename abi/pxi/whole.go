package pxi

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// maxFaults bounds the list in a Report; neighbouring blocks count once.
const maxFaults = 1 << 16

// proofBlock is the block size for a file without a trailer: at most 2^20
// blocks, so that its checksums take 4 MiB at most.
func proofBlock(size int64) int64 {
	b := int64(DefaultBlock)
	for size/b >= 1<<20 {
		b *= 2
	}
	return b
}

// unproven divides a file without a trailer into blocks that match anything.
func (r *Reader) unproven() *table {
	b := proofBlock(r.size)
	return &table{block: b, count: blocks(r.size, b), size: r.size}
}

// scan passes all data, in order, through the lane to visit, a chunk at a
// time. bad is told about damaged blocks and ends the scan by returning an
// error; what visit gets up to there is good.
func (r *Reader) scan(l *lane, t *table, visit func(b []byte, off int64) error, bad func(Fault) error) error {
	var packed []byte
	for off := int64(0); off < r.size; {
		c := l.get()
		n := min(int64(l.room), r.size-off)
		c.b = c.buf[HeaderSize : HeaderSize+n]
		good, err := r.fill(t, c.b, off, &packed, bad)
		if err == nil {
			l.hash(c)
		}
		if good > 0 {
			if err2 := visit(c.b[:good], off); err2 != nil && err == nil {
				err = err2
			}
		}
		l.put(c)
		if err != nil {
			return err
		}
		off += n
	}
	return nil
}

// scanLane makes a lane whose chunks are whole blocks.
func scanLane(block int64) *lane {
	return newLane(int(max(chunkSize/block, 1) * block))
}

// fill reads the blocks at off, which fill b, and checks them. good is how
// many bytes come before the first fault that bad did not accept.
func (r *Reader) fill(t *table, b []byte, off int64, packed *[]byte, bad func(Fault) error) (good int, err error) {
	first := off / t.block
	count := blocks(int64(len(b)), t.block)
	if r.comp != None {
		return r.fillPacked(t, b, first, count, packed, bad)
	}
	readErr := r.read(b, r.base+off)
	for i := first; i < first+count; i++ {
		p := b[good : good+int(t.length(i))]
		kind, cause := FaultBlock, error(nil)
		if readErr != nil {
			// One block that cannot be read must not hide its neighbours.
			if cause = r.read(p, r.base+i*t.block); cause != nil {
				clear(p)
				kind = FaultUnreadable
			}
		}
		if cause != nil || !t.matches(i, p) {
			if err := bad(r.fault(t, kind, i, 1, cause)); err != nil {
				return good, err
			}
		}
		good += len(p)
	}
	return good, nil
}

func (r *Reader) fillPacked(t *table, b []byte, first, count int64, packed *[]byte, bad func(Fault) error) (good int, err error) {
	from, _ := t.place(first)
	to, n := t.place(first + count - 1)
	to += n
	if int64(cap(*packed)) < to-from {
		*packed = make([]byte, to-from)
	}
	stored := (*packed)[:to-from]
	readErr := r.read(stored, r.base+from)
	at := int64(0)
	for i := first; i < first+count; i++ {
		n := int64(binary.BigEndian.Uint32(t.lens[4*i:]))
		p, s := b[good:good+int(t.length(i))], stored[at:at+n]
		at += n
		kind, cause := FaultBlock, error(nil)
		if readErr != nil {
			if cause = r.read(s, r.base+from+at-n); cause != nil {
				kind = FaultUnreadable
			}
		}
		if cause == nil {
			cause = unpack(p, s, r.comp)
		}
		if cause != nil || !t.matches(i, p) {
			clear(p)
			if err := bad(r.fault(t, kind, i, 1, cause)); err != nil {
				return good, err
			}
		}
		good += len(p)
	}
	return good, nil
}

func stop(f Fault) error { return &CorruptError{Faults: []Fault{f}} }

// digestFault is about all data.
func (r *Reader) digestFault() Fault {
	f := Fault{Kind: FaultDigest, Block: -1, Length: r.size, FileOffset: r.base}
	f.FirstRow, f.LastRow = r.rowsOf(0, r.stored)
	return f
}

// padding finds what is not zero between the stored stream and the end of the
// pixels; ok is false if there is something.
func (r *Reader) padding() (f Fault, ok bool, err error) {
	if r.kind != Container {
		return Fault{}, true, nil
	}
	var buf [4096]byte
	from, to := int64(-1), int64(0)
	end := min(r.h.pixelBytes(), r.fileSize-r.base)
	for at := r.stored; at < end; {
		b := buf[:min(int64(len(buf)), end-at)]
		if err := r.read(b, r.base+at); err != nil {
			return Fault{}, false, err
		}
		for i, v := range b {
			if v != 0 {
				if from < 0 {
					from = at + int64(i)
				}
				to = at + int64(i) + 1
			}
		}
		at += int64(len(b))
	}
	if from < 0 {
		return Fault{}, true, nil
	}
	f = Fault{Kind: FaultPadding, Block: -1, Offset: r.size, Length: to - from, FileOffset: r.base + from}
	f.FirstRow, f.LastRow = r.rowsOf(from, to)
	return f, false, nil
}

// prove hashes a file without a trailer and notes the checksums of what it
// saw, so that later reads are held against the same bytes.
func (r *Reader) prove() (*table, error) {
	t := r.unproven()
	l := scanLane(t.block)
	defer l.release()
	var crc []byte
	err := r.scan(l, t, func(b []byte, _ int64) error {
		for len(b) > 0 {
			n := min(len(b), int(t.block))
			crc = binary.BigEndian.AppendUint32(crc, crc32.Update(0, castagnoli, b[:n]))
			b = b[n:]
		}
		return nil
	}, stop)
	if err != nil {
		return nil, err
	}
	if l.sum() != r.h.Sum {
		return nil, &CorruptError{Faults: []Fault{r.digestFault()}}
	}
	t.crc = crc
	return t, nil
}

// WriteTo writes all data to w and compares them with their SHA-256, which is
// computed on a second core. Each block is checked before it is written; the
// digest, and all data of a file without a trailer, only at the end: what w
// got counts only if the error is nil (PXI-R1). A *CorruptError names the first damaged
// block and its pixel rows.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	t := r.tab.Load()
	if t == nil {
		t = r.unproven()
	}
	l := scanLane(t.block)
	defer l.release()
	var total int64
	err := r.scan(l, t, func(b []byte, _ int64) error {
		n, err := w.Write(b)
		total += int64(n)
		if err == nil && n != len(b) {
			err = io.ErrShortWrite
		}
		return err
	}, stop)
	if err != nil {
		return total, err
	}
	if l.sum() != r.h.Sum {
		return total, &CorruptError{Faults: []Fault{r.digestFault()}}
	}
	f, ok, err := r.padding()
	if err == nil && !ok {
		err = stop(f)
	}
	return total, err
}

// A Report is the result of a complete check.
type Report struct {
	Header    Header
	Size      int64    // bytes of data
	BlockSize int      // 0 when the file has no usable block checksums
	Blocks    int64    // of BlockSize
	Digest    [32]byte // SHA-256 of the data as they are; zero when not all could be read
	DigestOK  bool     // Digest is the one in the header
	Faults    []Fault  // in order of place; empty when the file is whole
	Bad       int64    // damaged blocks in all
	Omitted   int64    // faults beyond the 65,536 that Faults holds
}

// Err is nil if the file is whole, otherwise a *CorruptError with all faults.
func (r *Report) Err() error {
	if len(r.Faults) == 0 {
		return nil
	}
	return &CorruptError{Faults: r.Faults}
}

func (r *Report) add(f Fault) {
	r.Bad += f.Blocks
	if n := len(r.Faults); n > 0 && f.Blocks > 0 {
		p := &r.Faults[n-1]
		if p.Kind == f.Kind && sameText(p.Err, f.Err) && p.Block+p.Blocks == f.Block {
			p.Blocks += f.Blocks
			p.Length += f.Length
			p.LastRow = f.LastRow
			return
		}
	}
	if len(r.Faults) >= maxFaults {
		r.Omitted++
		return
	}
	r.Faults = append(r.Faults, f)
}

func sameText(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Error() == b.Error()
}

// Verify checks everything there is: header and trailer once more, every
// block, the digest, the padding, and goes on after a fault. The error is that
// of ctx, or nil; damage is in the Report. progress, where not nil, is called
// on this goroutine, at most once a chunk, with bytes of data.
func (r *Reader) Verify(ctx context.Context, progress func(done, total int64)) (*Report, error) {
	rep := &Report{Header: r.h, Size: r.size}
	if r.kind == PNG {
		return rep, r.verifyPNG(ctx, rep)
	}
	fresh := &Reader{src: r.src, fileSize: r.fileSize}
	if r.src == nil {
		fresh.mem = r.mem
	}
	if err := fresh.load(r.damaged); err != nil {
		rep.add(structureFault(err))
		fresh = r
	} else if fresh.h != r.h {
		rep.add(structureFault(errors.New("the header is another one than when the file was opened")))
	}
	return rep, fresh.verifyData(ctx, rep, progress)
}

func structureFault(err error) Fault {
	return Fault{Kind: FaultStructure, Block: -1, FirstRow: -1, LastRow: -1, Err: err}
}

func (r *Reader) verifyData(ctx context.Context, rep *Report, progress func(done, total int64)) error {
	t := r.unproven()
	if r.h.Extension == extTrailer && !r.damaged {
		t = r.tab.Load()
		rep.BlockSize, rep.Blocks = int(t.block), t.count
	}
	l := scanLane(t.block)
	defer l.release()
	unread := false
	err := r.scan(l, t, func(b []byte, off int64) error {
		if progress != nil {
			progress(off+int64(len(b)), r.size)
		}
		return ctx.Err()
	}, func(f Fault) error {
		unread = unread || f.Kind == FaultUnreadable
		rep.add(f)
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	if !unread {
		rep.Digest = l.sum()
		rep.DigestOK = rep.Digest == r.h.Sum
		if !rep.DigestOK && rep.Bad == 0 {
			rep.add(r.digestFault())
		}
	}
	f, ok, err := r.padding()
	switch {
	case err != nil:
		rep.add(structureFault(err))
	case !ok:
		rep.add(f)
	}
	return nil
}

// Check verifies a file of any kind and any state. Where the trailer is
// damaged, the data are still held against the digest in the header, so that a
// caller sees whether [OpenDamaged] will save them. The error is about ctx, or
// about a file of which not even the header can be used.
func Check(ctx context.Context, src io.ReaderAt, fileSize int64, progress func(done, total int64)) (*Report, error) {
	r, err := Open(src, fileSize)
	if err == nil {
		return r.Verify(ctx, progress)
	}
	d, err2 := OpenDamaged(src, fileSize)
	if err2 != nil {
		return nil, err
	}
	rep := &Report{Header: d.h, Size: d.size}
	rep.add(structureFault(err))
	return rep, d.verifyData(ctx, rep, progress)
}
