package pxa

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"sync"
)

// A Report is what [Reader.Verify] found in a cartridge without fault.
type Report struct {
	Digest       Digest
	Entries      int
	Content      int64 // decoded bytes of all entries
	ArchiveBytes int64
	Unsupported  []string // paths whose codec is unknown and whose content could not be checked
}

// Check reads the whole file once and establishes the digest: the PNG
// structure with every checksum, the archive bytes, zero padding, and that
// the cover is the one that belongs to them. Contents are not compared with
// their own sums, which happens when they are read, or all together in
// [Reader.Verify]. Progress, which may be nil, is called with archive bytes
// done and in total. A later Check gives the same digest at once.
func (r *Reader) Check(ctx context.Context, progress func(done, total int64)) (Digest, error) {
	return r.check(ctx, progress, nil)
}

// CheckVersion is the version of what [Reader.Check] accepts in files of the writer's
// own layout. It goes up with every change of this package after which Check refuses
// a file that it let pass before, or gives another digest: what was remembered of
// earlier checks ends with it.
const CheckVersion = 1

// Native reports whether the file is in the writer's own layout, as far as it has been
// read: after a Check, whether all of it is.
func (r *Reader) Native() bool { return r.own.Load() != nil }

// Resume takes over the digest that [Reader.Check] established before, by the same
// [CheckVersion], for a file with the very same bytes that was Native then; Check gives
// it at once from now on. The caller vouches for that, for example by a SHA-256 of the
// whole file: nothing here can tell. It reports false, and changes nothing, where the
// file cannot be such a one.
func (r *Reader) Resume(d Digest) bool {
	r.checkMu.Lock()
	defer r.checkMu.Unlock()
	if r.own.Load() == nil || r.checked {
		return false
	}
	r.digest, r.checked = d, true
	return true
}

// Digest is [Reader.Check] without progress.
func (r *Reader) Digest(ctx context.Context) (Digest, error) { return r.Check(ctx, nil) }

// Verify does what [Reader.Check] does and decodes and compares every entry,
// in the same pass for stored ones and on all cores for the others.
func (r *Reader) Verify(ctx context.Context, progress func(done, total int64)) (*Report, error) {
	sums := &contentWalk{entries: r.entries}
	digest, err := r.check(ctx, progress, sums)
	if err != nil {
		return nil, err
	}
	rep := &Report{Digest: digest, Entries: len(r.entries), ArchiveBytes: r.header.archiveLen}
	var coded []*Entry
	for i := range r.entries {
		e := &r.entries[i]
		rep.Content += e.Size
		switch e.Codec {
		case Stored:
		case XZ:
			coded = append(coded, e)
		default:
			rep.Unsupported = append(rep.Unsupported, e.Path)
		}
	}
	return rep, eachEntry(ctx, coded, func(e *Entry) error {
		src, err := r.openEntry(e)
		if err != nil {
			return err
		}
		defer src.Close()
		_, err = io.Copy(io.Discard, src)
		return err
	})
}

// eachEntry runs f for all entries on all cores and gives the error of the
// first entry that failed, in their order.
func eachEntry(ctx context.Context, entries []*Entry, f func(*Entry) error) error {
	var (
		wg   sync.WaitGroup
		next = make(chan int)
		errs = make([]error, len(entries))
	)
	for range min(runtime.GOMAXPROCS(0), len(entries)) {
		wg.Go(func() {
			for i := range next {
				if errs[i] = ctx.Err(); errs[i] == nil {
					errs[i] = f(entries[i])
				}
			}
		})
	}
	for i := range entries {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// check runs one pass. With sums it compares stored contents too, and then a
// digest known from before does not end it early.
func (r *Reader) check(ctx context.Context, progress func(done, total int64), sums *contentWalk) (Digest, error) {
	r.checkMu.Lock()
	defer r.checkMu.Unlock()
	if r.checked && sums == nil {
		return r.digest, nil
	}
	p := &checkPass{r: r, ctx: ctx, progress: progress}
	var (
		digest Digest
		err    = errLayout
	)
	if n := r.own.Load(); n != nil {
		digest, err = p.native(n, sums)
	}
	// What is not exactly the writer's layout is judged as a PNG like any
	// other, so that there is one definition of a valid picture.
	if err == errLayout {
		r.own.Store(nil)
		if sums != nil {
			*sums = contentWalk{entries: r.entries}
		}
		digest, err = p.general(sums)
	}
	if err != nil {
		return Digest{}, err
	}
	if r.checked && digest != r.digest {
		return Digest{}, alteredErr("PXA-C2", -1, "the file changed while it was in use: its digest was %s and is now %s", r.digest.Short(), digest.Short())
	}
	r.digest, r.checked = digest, true
	return digest, nil
}

// cover draws the cover that belongs to the archive.
func (r *Reader) cover(d Digest) (*cover, error) {
	var manifest []byte
	if e, ok := r.Lookup(ManifestName); ok && e.Size <= maxManifest {
		b, err := r.readEntry(&e)
		if err != nil {
			return nil, fmt.Errorf("reading the manifest for the cover: %w", err)
		}
		manifest = b
	}
	return drawCover(d, titleOf(manifest)), nil
}

// checkPass is one reading of the whole file.
type checkPass struct {
	r        *Reader
	ctx      context.Context
	progress func(done, total int64)
}

// piece is one body chunk on its way through the pass.
type piece struct {
	chunk int64
	data  []byte // the whole chunk with its length, type and CRC
	buf   []byte // what data lies in, to be used again
	users sync.WaitGroup
}

const (
	piecesAhead = 4
	inlineSize  = 256 << 10 // files up to this size are checked without goroutines
)

// native checks a file in the writer's layout. Framing and checksums of the
// PNG go on beside the SHA-256 of the archive and those of the contents, each
// over the same chunks in memory.
func (p *checkPass) native(n *native, sums *contentWalk) (Digest, error) {
	var (
		frame = &frameWalk{n: n, gaps: newZeroWalk(p.r)}
		arch  = &digestWalk{n: n, left: p.r.header.archiveLen, sum: sha256.New()}
		steps = []func(*piece) error{frame.chunk, arch.chunk}
		err   error
	)
	if sums != nil {
		steps = append(steps, func(c *piece) error { return sums.chunk(n, c) })
	}
	if n.size <= inlineSize {
		err = p.inline(n, steps)
	} else {
		err = p.pipeline(n, steps)
	}
	if err != nil {
		return Digest{}, err
	}
	if sums != nil {
		if err := sums.write(nil); err != nil { // entries without bytes at the end
			return Digest{}, err
		}
	}
	digest := Digest(arch.sum.Sum(nil))
	return digest, p.nativeEnds(n, frame, digest)
}

func (p *checkPass) load(n *native, c int64, pc *piece) (err error) {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	size := 12 + n.g.chunkSize(c)
	if n.mem == nil && pc.buf == nil {
		pc.buf = make([]byte, 12+n.g.chunkSize(0)+4)
	}
	pc.chunk = c
	pc.data, err = n.raw(pc.buf, n.body+n.g.chunkOffset(c), size)
	return err
}

func (p *checkPass) report(n *native, c int64) {
	if p.progress != nil {
		total := p.r.header.archiveLen
		p.progress(min((c+1)*blocksPerChunk*n.g.blockRows()*n.g.rowBytes(), total), total)
	}
}

func (p *checkPass) inline(n *native, steps []func(*piece) error) error {
	var pc piece
	for c := range n.g.chunks() {
		if err := p.load(n, c, &pc); err != nil {
			return err
		}
		for _, f := range steps {
			if err := f(&pc); err != nil {
				return err
			}
		}
		p.report(n, c)
	}
	return nil
}

func (p *checkPass) pipeline(n *native, steps []func(*piece) error) error {
	var (
		ctx, stop = context.WithCancel(p.ctx)
		wg        sync.WaitGroup
		feeds     = make([]chan *piece, len(steps))
		errs      = make([]error, len(steps)+1)
	)
	defer stop()
	for i, f := range steps {
		feeds[i] = make(chan *piece, piecesAhead)
		wg.Go(func() {
			for pc := range feeds[i] {
				if errs[i] == nil {
					if errs[i] = f(pc); errs[i] != nil {
						stop()
					}
				}
				pc.users.Done()
			}
		})
	}
	var ring [piecesAhead]piece
	for c := range n.g.chunks() {
		pc := &ring[c%piecesAhead]
		pc.users.Wait()
		if ctx.Err() != nil {
			break
		}
		if err := p.load(n, c, pc); err != nil {
			errs[len(steps)] = err
			break
		}
		pc.users.Add(len(steps))
		for _, feed := range feeds {
			feed <- pc
		}
		p.report(n, c)
	}
	for _, feed := range feeds {
		close(feed)
	}
	wg.Wait()
	// The layout decides first: with another one the other steps saw noise.
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return p.ctx.Err()
}

// nativeEnds checks the cover in front of the body and IEND behind it.
func (p *checkPass) nativeEnds(n *native, frame *frameWalk, digest Digest) error {
	front, err := n.raw(make([]byte, n.body), 0, n.body)
	if err != nil {
		return err
	}
	c, err := p.r.cover(digest)
	if err != nil {
		return err
	}
	want, sum := c.encode(n.g.width)
	data := front[coverData : coverData+n.coverLen]
	crc := crc32.ChecksumIEEE(front[ihdrEnd+4 : coverData+n.coverLen])
	if !bytes.Equal(data, want) || crc != binary.BigEndian.Uint32(front[coverData+n.coverLen:]) {
		return errLayout
	}
	sum.join(frame.sum)
	if sum.value() != frame.adler {
		return errLayout
	}
	end, err := n.raw(make([]byte, iendSize), n.size-iendSize, iendSize)
	if err != nil {
		return err
	}
	if string(end) != iendChunk {
		return errLayout
	}
	return nil
}

const iendChunk = "\x00\x00\x00\x00IEND\xaeB`\x82"

// general checks a picture in any encoding.
func (p *checkPass) general(sums *contentWalk) (Digest, error) {
	r := p.r
	g, err := r.general()
	if err != nil {
		return Digest{}, err
	}
	d, err := newPixels(r.ra, r.ihdr, r.lim)
	if err != nil {
		return Digest{}, err
	}
	var (
		top  = sha256.New()
		arch = digestWalk{left: r.header.archiveLen, sum: sha256.New()}
		gaps = newZeroWalk(r)
	)
	for y := int64(0); ; y++ {
		if err := p.ctx.Err(); err != nil {
			return Digest{}, err
		}
		row, err := d.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return Digest{}, err
		}
		if y < g.g.coverRows {
			top.Write(row)
			continue
		}
		arch.write(row)
		if err := gaps.write(row); err != nil {
			return Digest{}, err
		}
		if sums != nil {
			if err := sums.write(row); err != nil {
				return Digest{}, err
			}
		}
		if p.progress != nil && y%64 == 0 {
			p.progress(r.header.archiveLen-arch.left, r.header.archiveLen)
		}
	}
	if sums != nil {
		if err := sums.write(nil); err != nil {
			return Digest{}, err
		}
	}
	if p.progress != nil {
		p.progress(r.header.archiveLen, r.header.archiveLen)
	}
	digest := Digest(arch.sum.Sum(nil))
	c, err := r.cover(digest)
	if err != nil {
		return Digest{}, err
	}
	if Digest(top.Sum(nil)) != c.sum(r.geo.width) {
		return Digest{}, alteredErr("PXA-C1", -1, "the cover does not belong to this archive, whose digest is %s: one of them was edited or damaged", digest.Short())
	}
	return digest, nil
}
