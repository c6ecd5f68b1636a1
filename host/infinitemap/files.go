package infinitemap

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
)

// run is one open index run.
type run struct {
	info    runInfo
	refs    atomic.Int32
	mapping disk.Mapping // nil when data are in memory
	data    []byte       // entries
	gaps    []gap
}

// gap is a part of a run that cannot be read: keys from first to last are unknown.
type gap struct {
	first, last key
	err         error
}

// smallRun and smaller ones are kept in memory instead of being mapped.
const smallRun = 64 << 10

func (r *run) release() {
	if r.refs.Add(-1) == 0 && r.mapping != nil {
		_ = r.mapping.Close() // read-only: nothing is lost
	}
}

// gapAt returns the damage that hides k.
func (r *run) gapAt(k key) error {
	for _, g := range r.gaps {
		if !k.less(g.first) && !g.last.less(k) {
			return &IndexError{File: runName(r.info.number), Err: g.err}
		}
	}
	return nil
}

// openRun opens an index run and checks all of it. Damage inside is no error of
// openRun: what is readable is kept, and the rest becomes gaps.
func openRun(fsys disk.FS, info runInfo, shift uint) *run {
	r := &run{info: info}
	r.refs.Store(1)
	lost := func(err error) *run {
		r.data, r.gaps = nil, []gap{{info.first, info.last, err}}
		return r
	}
	f, err := fsys.OpenFile(runName(info.number), os.O_RDONLY)
	if err != nil {
		return lost(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return lost(err)
	}
	p, err := pxi.NewReader(f, st.Size())
	if err != nil {
		return lost(err)
	}
	h := p.Header()
	size := int64(runHead + info.entries*entrySize)
	if h.Sum != info.sum || p.Size() != size || h.Compression != pxi.None {
		return lost(errors.New("this is another file than the manifest names"))
	}
	if err := r.check(p, shift); err != nil {
		lost(err)
		if errors.Is(err, errKeys) {
			// The file is whole, so its writer was wrong, and which keys it hides is not known.
			r.gaps[0].first, r.gaps[0].last = key{}, key{math.MaxUint64, math.MaxUint64}
		}
		return r
	}
	if len(r.gaps) > 0 || size <= smallRun {
		return r
	}
	mp, err := fsys.Map(f)
	if err != nil {
		r.data = make([]byte, size-runHead)
		if _, err := p.ReadAt(r.data, runHead); err != nil && !errors.Is(err, io.EOF) {
			return lost(err)
		}
		return r
	}
	b := mp.Bytes()
	if int64(len(b)) < pxi.HeaderSize+size {
		_ = mp.Close()
		return lost(io.ErrUnexpectedEOF)
	}
	r.mapping, r.data = mp, b[pxi.HeaderSize+runHead:pxi.HeaderSize+size]
	return r
}

// errKeys says that a run is whole but not in order, or not what the manifest says.
var errKeys = errors.New("its keys are wrong")

// check reads a run block by block. It leaves the readable entries in r.data, and what
// it could not read, or what is out of order, in r.gaps. Of runs without gaps that are
// large enough to be mapped it leaves nothing in memory.
func (r *run) check(p *pxi.Reader, shift uint) error {
	var head [runHead]byte
	if _, err := p.ReadAt(head[:], 0); err != nil {
		return err
	}
	if err := checkRunHead(head[:], r.info); err != nil {
		return err
	}
	const chunk = 8192 * entrySize
	big := r.info.entries*entrySize > smallRun
	total := int64(r.info.entries) * entrySize
	var prev key
	scan := func(b []byte, started bool) bool {
		for off := 0; off < len(b); off += entrySize {
			e := getEntry(b[off : off+entrySize])
			if (started || off > 0) && !prev.less(e.key) || !e.key.cell().onPlane(shift) {
				return false
			}
			prev = e.key
		}
		return true
	}
	buf := make([]byte, chunk)
	for off := int64(0); off < total; off += chunk {
		b := buf[:min(chunk, total-off)]
		if _, err := p.ReadAt(b, runHead+off); err != nil && !errors.Is(err, io.EOF) {
			return r.salvage(p, shift)
		}
		if !scan(b, off > 0) {
			return fmt.Errorf("%w: they are not on the plane, or out of order", errKeys)
		}
		if !big {
			r.data = append(r.data, b...)
		}
		if off == 0 {
			if getEntry(b).key != r.info.first {
				return fmt.Errorf("%w: the first is not the one in the manifest", errKeys)
			}
		}
	}
	if prev != r.info.last {
		return fmt.Errorf("%w: the last is not the one in the manifest", errKeys)
	}
	return nil
}

// salvage reads a damaged run block by block, so that each damaged block costs its own
// entries only.
func (r *run) salvage(p *pxi.Reader, shift uint) error {
	total := int64(r.info.entries) * entrySize
	size, _ := p.Blocks()
	prev, started := r.info.first, false
	var open *gap
	buf := make([]byte, max(size, entrySize))
	for off, next := int64(0), int64(0); off < total; off = next {
		// To the end of the block, or of the last entry that begins and ends in it.
		next = ((runHead+off)/int64(size)+1)*int64(size) - runHead
		next = min(max(next/entrySize*entrySize, off+entrySize), total)
		b := buf[:next-off]
		if _, err := p.ReadAt(b, runHead+off); err != nil && !errors.Is(err, io.EOF) {
			if open == nil {
				open = &gap{first: prev, err: err}
			}
			continue
		}
		for ; len(b) > 0; b = b[entrySize:] {
			e := getEntry(b)
			if started && !prev.less(e.key) || !e.key.cell().onPlane(shift) || r.info.last.less(e.key) {
				return fmt.Errorf("%w: they are not on the plane, or out of order", errKeys)
			}
			if open != nil {
				open.last = e.key
				r.gaps = append(r.gaps, *open)
				open = nil
			}
			r.data = append(r.data, b[:entrySize]...)
			prev, started = e.key, true
		}
	}
	if open != nil {
		open.last = r.info.last
		r.gaps = append(r.gaps, *open)
	}
	return nil
}

// segment is one file of tiles, opened when the first of them is read.
type segment struct {
	info segmentInfo
	fsys disk.FS
	pool *filePool
	refs atomic.Int32

	// guarded by pool.mu
	file  disk.File
	r     *pxi.Reader
	users int
}

func (s *segment) name() string { return segmentName(s.info.number) }

func (s *segment) release() {
	if s.refs.Add(-1) == 0 {
		s.pool.forget(s)
	}
}

// filePool keeps segments open, the least recently used of too many are closed.
type filePool struct {
	limit int
	mu    sync.Mutex
	open  []*segment // the most recently used last
}

func newFilePool() *filePool { return &filePool{limit: 64} }

func (p *filePool) acquire(s *segment, tileBytes int) (*pxi.Reader, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.r == nil {
		f, err := s.fsys.OpenFile(s.name(), os.O_RDONLY)
		if err != nil {
			return nil, err
		}
		r, err := s.check(f, tileBytes)
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		s.file, s.r = f, r
		p.open = append(p.open, s)
		for i := 0; len(p.open) > p.limit && i < len(p.open)-1; {
			if o := p.open[i]; o.users == 0 {
				p.close(o)
			} else {
				i++
			}
		}
	} else if i := slices.Index(p.open, s); i < len(p.open)-1 {
		p.open = append(slices.Delete(p.open, i, i+1), s)
	}
	s.users++
	return s.r, nil
}

func (s *segment) check(f disk.File, tileBytes int) (*pxi.Reader, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if uint64(st.Size()) != s.info.bytes {
		return nil, fmt.Errorf("the file has %d bytes, the manifest says %d", st.Size(), s.info.bytes)
	}
	r, err := pxi.NewReader(f, st.Size())
	if err != nil {
		return nil, err
	}
	want := int64(s.info.blocks)*int64(tileBytes) + directoryHead + int64(s.info.entries)*entrySize
	if size, _ := r.Blocks(); r.Header().Sum != s.info.sum || r.Size() != want || int64(size) != int64(tileBytes) {
		return nil, errors.New("this is another file than the manifest names")
	}
	return r, nil
}

func (p *filePool) done(s *segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.users--
	if s.users == 0 && s.refs.Load() <= 0 && s.r != nil {
		p.close(s)
	}
}

func (p *filePool) forget(s *segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.users == 0 && s.r != nil {
		p.close(s)
	}
}

// close closes an open segment that nobody uses.
func (p *filePool) close(s *segment) {
	_ = s.file.Close() // read-only
	s.file, s.r = nil, nil
	if i := slices.Index(p.open, s); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
	}
}

// readBlock reads tile number block of a segment into dst, which is a tile long.
func (s *segment) readBlock(dst []byte, block uint32) error {
	r, err := s.pool.acquire(s, len(dst))
	if err != nil {
		return err
	}
	defer s.pool.done(s)
	if block >= s.info.blocks {
		return fmt.Errorf("there is no tile %d, the file has %d", block, s.info.blocks)
	}
	got, err := r.ReadBlock(dst[:0:len(dst)], int64(block))
	if err != nil {
		return err
	}
	if len(got) != len(dst) {
		return io.ErrUnexpectedEOF
	}
	if &got[0] != &dst[0] {
		copy(dst, got)
	}
	return nil
}

// directory reads the table behind the tiles.
func (s *segment) directory(tileBytes int, shift uint) ([]entry, error) {
	r, err := s.pool.acquire(s, tileBytes)
	if err != nil {
		return nil, err
	}
	defer s.pool.done(s)
	// The length of the file vouches for the number of entries.
	b := make([]byte, directoryHead+int64(s.info.entries)*entrySize)
	if _, err := r.ReadAt(b, int64(s.info.blocks)*int64(tileBytes)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return decodeDirectory(b, s.info, shift)
}

// view is one whole state of a map, as a manifest names it. Views do not change.
type view struct {
	*manifest
	open []*run // newest first, as in manifest.runs
	segs map[uint32]*segment
	pin  io.Closer // keeps the files of this generation; nil for the writer
	refs atomic.Int32
}

// newView opens what a manifest names; runs and segments that old has too are shared.
func newView(fsys disk.FS, pool *filePool, m *manifest, old *view, pin io.Closer) *view {
	v := &view{manifest: m, segs: make(map[uint32]*segment, len(m.segments)), pin: pin}
	v.refs.Store(1)
	for _, info := range m.runs {
		var r *run
		if old != nil {
			for _, o := range old.open {
				if o.info == info && len(o.gaps) == 0 {
					r = o
					r.refs.Add(1)
				}
			}
		}
		if r == nil {
			r = openRun(fsys, info, m.shift)
		}
		v.open = append(v.open, r)
	}
	for _, info := range m.segments {
		var s *segment
		if old != nil {
			if o := old.segs[info.number]; o != nil && o.info.sum == info.sum && o.info.bytes == info.bytes {
				s = o
				s.refs.Add(1)
			}
		}
		if s == nil {
			s = &segment{info: info, fsys: fsys, pool: pool}
			s.refs.Store(1)
		}
		v.segs[info.number] = s
	}
	return v
}

func (v *view) retain() *view {
	v.refs.Add(1)
	return v
}

func (v *view) release() {
	if v.refs.Add(-1) != 0 {
		return
	}
	for _, r := range v.open {
		r.release()
	}
	for _, s := range v.segs {
		s.release()
	}
	if v.pin != nil {
		_ = v.pin.Close()
	}
}

func (v *view) sources(dst []source, base bool) []source {
	for _, r := range v.open {
		dst = append(dst, source{data: r.data, run: r, base: base})
	}
	return dst
}

// lookup finds the newest entry of a key. A tile that was cleared is found too. The
// error says that a damaged index may hide the entry.
func (v *view) lookup(k key) (e entry, ok bool, err error) {
	for _, r := range v.open {
		if len(r.gaps) > 0 {
			if err := r.gapAt(k); err != nil {
				s := source{data: r.data, run: r}
				if i := s.find(k); i >= 0 {
					return s.entry(i), true, nil
				}
				return entry{}, false, err
			}
		}
		if k.less(r.info.first) || r.info.last.less(k) {
			continue
		}
		s := source{data: r.data, run: r}
		if i := s.find(k); i >= 0 {
			return s.entry(i), true, nil
		}
	}
	return entry{}, false, nil
}

// readManifest reads the state of a map; fs.ErrNotExist when there is no map.
func readManifest(fsys disk.FS, name string) (*manifest, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > maxManifest {
		return nil, &FormatError{File: name, Msg: fmt.Sprintf("%d bytes are more than a manifest may have, %d", st.Size(), maxManifest)}
	}
	b := make([]byte, st.Size())
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, st.Size()), b); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	data, err := pxi.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return decodeManifest(name, data)
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
