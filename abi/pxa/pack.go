package pxa

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/ulikunitz/xz"
)

// A Source is one file to pack. Open must give the same Size bytes each time:
// large archives are read three times, for the entry sums, for the digest and
// for the picture.
type Source struct {
	Path       string // as [ValidPath] wants it
	Size       int64
	Executable bool
	Open       func() (io.ReadCloser, error)
}

// BytesSource is a source in memory.
func BytesSource(path string, content []byte) Source {
	return Source{Path: path, Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
}

// PackOptions change how [Pack] writes. A nil pointer means the defaults.
type PackOptions struct {
	Limits Limits

	// XZ compresses entries of up to 64 MiB where that saves an eighth or
	// more, until the entries tried come to 1 GiB, because results are kept in
	// memory. Reading them takes about 40 times as long as reading stored
	// ones. The manifest is never compressed.
	XZ bool

	// Progress, which may be nil, is called now and then with work done and in
	// total, from one goroutine at a time. The unit is bytes read.
	Progress func(done, total int64)
}

const (
	memoryPack = 64 << 20 // contents up to this size together are read once and kept
	xzMaxEntry = 64 << 20
	xzMaxTotal = 1 << 30
)

// packer is one run of Pack.
type packer struct {
	ctx      context.Context
	opts     PackOptions
	lim      Limits
	items    []*item
	keep     bool
	done     atomic.Int64
	total    int64
	progress chan struct{} // held while Progress runs
}

// item is one entry on its way into the archive.
type item struct {
	Source
	entry Entry
	xz    bool   // try to compress it
	crc   uint32 // of the bytes in the archive, to notice a source that changes
	data  []byte // the bytes in the archive, when they are kept in memory
}

// Pack writes a picture with the given files to w and returns its digest. The
// same files give the same bytes, in any order and on every machine. Nothing
// is written before all sources have been read once.
func Pack(ctx context.Context, w io.Writer, sources []Source, opts *PackOptions) (Digest, error) {
	p := &packer{ctx: ctx, progress: make(chan struct{}, 1)}
	if opts != nil {
		p.opts = *opts
	}
	p.lim = p.opts.Limits.withDefaults()
	if err := p.plan(sources); err != nil {
		return Digest{}, err
	}
	entries := make([]*Entry, len(p.items))
	byEntry := make(map[*Entry]*item, len(p.items))
	for i, it := range p.items {
		entries[i] = &it.entry
		byEntry[&it.entry] = it
	}
	err := eachEntry(ctx, entries, func(e *Entry) error { return p.prepare(byEntry[e]) })
	if err != nil {
		return Digest{}, err
	}
	front, err := p.layout()
	if err != nil {
		return Digest{}, err
	}
	return p.write(w, front)
}

// plan checks and sorts the sources.
func (p *packer) plan(sources []Source) error {
	if err := checkLimit("entries", int64(len(sources)), int64(p.lim.Entries)); err != nil {
		return err
	}
	var total int64
	for _, s := range sources {
		if err := ValidPath(s.Path); err != nil {
			return err
		}
		if err := checkLimit("path bytes", int64(len(s.Path)), int64(p.lim.PathBytes)); err != nil {
			return err
		}
		if s.Size < 0 || s.Open == nil {
			return fmt.Errorf("pxa: source %q: size %d or no way to open it", s.Path, s.Size)
		}
		if err := checkLimit("bytes of "+s.Path, s.Size, p.lim.EntrySize); err != nil {
			return err
		}
		if total += s.Size; total > p.lim.TotalSize {
			return &LimitError{What: "bytes of all entries", Got: total, Max: p.lim.TotalSize}
		}
		p.items = append(p.items, &item{Source: s})
	}
	slices.SortFunc(p.items, func(a, b *item) int { return strings.Compare(a.Path, b.Path) })
	var names pathSet
	var tried int64
	for _, it := range p.items {
		if p.opts.XZ && it.Path != ManifestName && it.Size >= 64 && it.Size <= xzMaxEntry {
			tried += it.Size
			it.xz = tried <= xzMaxTotal
		}
		if id, msg := names.add(it.Path); msg != "" {
			return formatErr(id, -1, "path %q %s", it.Path, msg)
		}
	}
	p.keep = total <= memoryPack
	p.total = total
	if !p.keep {
		p.total *= 3
	}
	return nil
}

// prepare reads one source for its sum and, where that is wanted, compresses
// it.
func (p *packer) prepare(it *item) error {
	it.entry = Entry{Path: it.Path, Size: it.Size, StoredSize: it.Size, Executable: it.Executable}
	src, err := it.Open()
	if err != nil {
		return fmt.Errorf("packing %q: %w", it.Path, err)
	}
	defer src.Close()
	var (
		sum    = sha256.New()
		plain  = &countedCRC{}
		sinks  = []io.Writer{sum, plain}
		kept   bytes.Buffer
		packed bytes.Buffer
		xw     *xz.Writer
	)
	if p.keep {
		kept.Grow(int(it.Size))
		sinks = append(sinks, &kept)
	}
	if it.xz {
		cfg := xz.WriterConfig{DictCap: dictFor(it.Size), CheckSum: xz.CRC32}
		if xw, err = cfg.NewWriter(&packed); err != nil {
			return fmt.Errorf("packing %q: %w", it.Path, err)
		}
		sinks = append(sinks, xw)
	}
	if err := p.copy(io.MultiWriter(sinks...), src, it); err != nil {
		return err
	}
	it.entry.Sum = Digest(sum.Sum(nil))
	it.crc = plain.crc
	if p.keep {
		it.data = kept.Bytes()
	}
	if xw != nil {
		if err := xw.Close(); err != nil {
			return fmt.Errorf("packing %q: %w", it.Path, err)
		}
		if int64(packed.Len()) <= it.Size-it.Size/8 && it.Size/int64(packed.Len()) < p.lim.Ratio {
			it.data = packed.Bytes()
			it.entry.Codec, it.entry.StoredSize = XZ, int64(packed.Len())
			it.crc = crc32.ChecksumIEEE(it.data)
		}
	}
	return nil
}

// dictFor is the smallest power of two that spans a content, within bounds:
// readers take as much memory.
func dictFor(size int64) int {
	return 1 << min(max(bits.Len64(uint64(size-1)), 12), 23)
}

// copy moves exactly the bytes of a source, in blocks of one size because the
// compressor may see where a write ends.
func (p *packer) copy(w io.Writer, src io.Reader, it *item) error {
	buf := make([]byte, min(256<<10, it.Size+1))
	for left := it.Size; ; {
		n, err := io.ReadFull(src, buf)
		if left -= int64(n); left < 0 || n < len(buf) && left > 0 && (err == io.EOF || err == io.ErrUnexpectedEOF) {
			return fmt.Errorf("pxa: packing %q: its size is not the %d bytes it had; it changed while being packed", it.Path, it.Size)
		}
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		p.step(int64(n))
		if cerr := p.ctx.Err(); cerr != nil {
			return cerr
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("packing %q: %w", it.Path, err)
		}
	}
}

func (p *packer) step(n int64) {
	done := p.done.Add(n)
	if p.opts.Progress == nil {
		return
	}
	select {
	case p.progress <- struct{}{}:
		p.opts.Progress(done, p.total)
		<-p.progress
	default: // another goroutine is reporting
	}
}

type countedCRC struct{ crc uint32 }

func (c *countedCRC) Write(p []byte) (int, error) {
	c.crc = crc32.Update(c.crc, crc32.IEEETable, p)
	return len(p), nil
}

// layout gives every entry its place and returns header and table.
func (p *packer) layout() ([]byte, error) {
	entries := make([]Entry, len(p.items))
	tableLen := int64(0)
	for _, it := range p.items {
		tableLen += int64(recordFixed + len(it.Path))
	}
	if err := checkLimit("table bytes", tableLen, p.lim.TableBytes); err != nil {
		return nil, err
	}
	end := headerSize + tableLen
	for i, it := range p.items {
		it.entry.Offset = alignUp(end)
		end = it.entry.Offset + it.entry.StoredSize
		entries[i] = it.entry
	}
	if err := checkLimit("archive bytes", end, p.lim.Archive); err != nil {
		return nil, err
	}
	table := encodeTable(entries)
	h := header{
		minor: VersionMinor, headerLen: headerSize, entries: int64(len(entries)),
		archiveLen: end, tableLen: tableLen, tableSum: sha256.Sum256(table),
	}
	return append(h.encode(), table...), nil
}

// stream sends the archive bytes to w in order.
func (p *packer) stream(w io.Writer, front []byte) error {
	if _, err := w.Write(front); err != nil {
		return err
	}
	end := int64(len(front))
	for _, it := range p.items {
		var gap [align]byte
		if _, err := w.Write(gap[:it.entry.Offset-end]); err != nil {
			return err
		}
		end = it.entry.Offset + it.entry.StoredSize
		if it.data != nil || it.entry.StoredSize == 0 {
			if _, err := w.Write(it.data); err != nil {
				return err
			}
			continue
		}
		src, err := it.Open()
		if err != nil {
			return fmt.Errorf("packing %q: %w", it.Path, err)
		}
		var again countedCRC
		err = p.copy(io.MultiWriter(&again, w), src, it)
		src.Close()
		if err != nil {
			return err
		}
		if again.crc != it.crc {
			return fmt.Errorf("pxa: packing %q: it changed while being packed", it.Path)
		}
	}
	return nil
}

// write sums the archive, draws its cover and writes the picture.
func (p *packer) write(w io.Writer, front []byte) (Digest, error) {
	var (
		archive = int64(len(front))
		text    title
	)
	for _, it := range p.items {
		archive = it.entry.Offset + it.entry.StoredSize
		if it.Path == ManifestName {
			b, err := p.manifest(it)
			if err != nil {
				return Digest{}, err
			}
			text = titleOf(b)
		}
	}
	sum := sha256.New()
	if err := p.ahead(front, sum); err != nil {
		return Digest{}, err
	}
	digest := Digest(sum.Sum(nil))
	g := geometryFor(archive)
	data, adlerTop := drawCover(digest, text).encode(g.width)
	if _, err := w.Write(pngFront(g, data)); err != nil {
		return Digest{}, fmt.Errorf("writing the picture: %w", err)
	}
	body := newBodyWriter(w, g, adlerTop)
	err := p.stream(body, front)
	if cerr := body.close(); err == nil || err == errBodyDead {
		err = cerr
	}
	if err != nil {
		return Digest{}, err
	}
	if p.opts.Progress != nil {
		p.opts.Progress(p.total, p.total)
	}
	return digest, nil
}

func (p *packer) manifest(it *item) ([]byte, error) {
	if it.data != nil || it.Size > maxManifest {
		return it.data, nil
	}
	src, err := it.Open()
	if err != nil {
		return nil, fmt.Errorf("packing %q: %w", it.Path, err)
	}
	defer src.Close()
	b, err := io.ReadAll(io.LimitReader(src, maxManifest))
	if err != nil {
		return nil, fmt.Errorf("packing %q: %w", it.Path, err)
	}
	return b, nil
}

// ahead sums the archive in this goroutine while another reads on.
func (p *packer) ahead(front []byte, sum hash.Hash) error {
	if p.keep {
		return p.stream(sum, front)
	}
	var (
		full = make(chan []byte, 4)
		free = make(chan []byte, 6)
		fail = make(chan error, 1)
	)
	go func() {
		err := p.stream(writerFunc(func(b []byte) (int, error) {
			var buf []byte
			select {
			case buf = <-free:
			default:
			}
			full <- append(buf[:0], b...)
			return len(b), nil
		}), front)
		close(full)
		fail <- err
	}()
	for b := range full {
		sum.Write(b)
		select {
		case free <- b:
		default:
		}
	}
	return <-fail
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
