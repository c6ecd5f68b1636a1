package pxa

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
)

// Options change how [Open] reads. A nil pointer means the defaults.
type Options struct {
	Limits Limits
}

func (o *Options) limits() Limits {
	if o == nil {
		return DefaultLimits()
	}
	return o.Limits.withDefaults()
}

// A Reader gives access to the archive in one picture. All methods may be
// called from many goroutines.
type Reader struct {
	ra      io.ReaderAt
	size    int64
	lim     Limits
	ihdr    ihdr
	header  header
	geo     geometry
	entries []Entry

	own     atomic.Pointer[native] // nil for any other encoding
	general func() (*general, error)

	checkMu sync.Mutex
	digest  Digest
	checked bool

	fsOnce sync.Once
	fsys   *archiveFS
}

// Open reads the front of a picture: PNG header, archive header and entry
// table. It takes a few small reads for a file that [Pack] wrote; another
// encoding is decoded up to the end of the table. The rest of the file is not
// looked at, and the digest not known, until [Reader.Check].
//
// Errors are *[FormatError], *[UnsupportedError], *[LimitError], or come from
// r.
func Open(r io.ReaderAt, size int64, opts *Options) (*Reader, error) {
	lim := opts.limits()
	front, err := readFront(r, size, coverData)
	if err != nil {
		return nil, err
	}
	if len(front) < 8 || string(front[:8]) != pngSignature {
		return nil, notPNG(front)
	}
	if len(front) < coverData {
		return nil, formatErr("PXA-P4", size, "the file is cut off after %d bytes", size)
	}
	h, err := decodeIHDR(front)
	if err != nil {
		return nil, err
	}
	rd := &Reader{ra: r, size: size, lim: lim, ihdr: h}
	if h.width > int64(widths[len(widths)-1]) || !knownWidth(int(h.width)) {
		return nil, alteredErr("PXA-G1", 16, "%d × %d pixels is no size that a cartridge has: this is a resized or cropped copy, or never was a cartridge; get the original file", h.width, h.height)
	}
	rd.geo = geometry{width: int(h.width), coverRows: coverRowsFor(int(h.width))}
	rd.geo.dataRows = h.height - rd.geo.coverRows
	if rd.geo.dataRows <= 0 {
		return nil, alteredErr("PXA-G2", 20, "%d rows of pixels end above the archive: this is a resized or cropped copy, or never was a cartridge; get the original file", h.height)
	}
	rd.general = sync.OnceValues(func() (*general, error) {
		return newGeneral(r, size, h, rd.geo, lim)
	})
	if h.channels == 3 && !h.interlaced && string(front[ihdrEnd+4:]) == "IDAT" {
		if n, ok := newNative(r, size, rd.geo, int64(binary.BigEndian.Uint32(front[ihdrEnd:]))); ok {
			rd.own.Store(n)
		}
	}
	return rd, rd.open()
}

// open reads header and table.
func (r *Reader) open() error {
	// A picture row holds at least 768 bytes, so the header is always there.
	var front [headerSize]byte
	if err := r.read(front[:], 0); err != nil {
		return err
	}
	if string(front[:8]) != magic {
		return noArchive(front[:])
	}
	h, err := decodeHeader(front[:], r.lim)
	if err != nil {
		return err
	}
	want := geometryFor(h.archiveLen)
	switch {
	case want.width != r.geo.width:
		return alteredErr("PXA-G1", 16, "an archive of %d bytes has pictures %d pixels wide, this one has %d: it was resized or cropped; get the original file", h.archiveLen, want.width, r.geo.width)
	case want.dataRows > r.geo.dataRows:
		return alteredErr("PXA-G2", 16, "the picture should have %d rows and has %d: it was cropped; get the original file", want.height(), r.geo.height())
	case want.dataRows < r.geo.dataRows:
		return alteredErr("PXA-G2", 16, "the picture should have %d rows and has %d: it was resized or extended; get the original file", want.height(), r.geo.height())
	}
	table := make([]byte, 0, min(h.tableLen, 64<<10))
	for int64(len(table)) < h.tableLen {
		n := min(h.tableLen-int64(len(table)), 64<<10)
		table = slices.Grow(table, int(n))[:len(table)+int(n)]
		if err := r.read(table[len(table)-int(n):], h.headerLen+int64(len(table))-n); err != nil {
			return err
		}
	}
	r.header = h
	r.entries, err = decodeTable(h, table, r.lim)
	return err
}

// read copies archive bytes that lie inside the picture.
func (r *Reader) read(p []byte, off int64) error {
	if n := r.own.Load(); n != nil {
		err := n.readAt(p, off)
		if err != errLayout {
			return err
		}
		r.own.Store(nil)
	}
	g, err := r.general()
	if err != nil {
		return err
	}
	return g.readAt(p, off)
}

// OpenVerified is [Open] followed by [Reader.Check].
func OpenVerified(ctx context.Context, r io.ReaderAt, size int64, opts *Options) (*Reader, error) {
	rd, err := Open(r, size, opts)
	if err != nil {
		return nil, err
	}
	if _, err := rd.Check(ctx, nil); err != nil {
		return nil, err
	}
	return rd, nil
}

// Entries lists the archive in the order of its table, which is by path. The
// slice is the caller's own.
func (r *Reader) Entries() []Entry { return slices.Clone(r.entries) }

// Lookup finds an entry by its exact path.
func (r *Reader) Lookup(path string) (Entry, bool) {
	i, ok := find(r.entries, path)
	if !ok {
		return Entry{}, false
	}
	return r.entries[i], true
}

func (r *Reader) lookup(op, path string) (*Entry, error) {
	if i, ok := find(r.entries, path); ok {
		return &r.entries[i], nil
	}
	return nil, &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
}

// Open gives the content of one entry as a stream. The Read that would report
// io.EOF reports a *FormatError instead when the content does not have the
// size and SHA-256 that the table gives. An entry that does not exist is
// fs.ErrNotExist; one with an unknown codec an *UnsupportedError.
func (r *Reader) Open(path string) (io.ReadCloser, error) {
	e, err := r.lookup("open", path)
	if err != nil {
		return nil, err
	}
	return r.openEntry(e)
}

func (r *Reader) openEntry(e *Entry) (io.ReadCloser, error) {
	v := &entryReader{entry: e, sum: sha256.New()}
	section := io.NewSectionReader(archiveBytes{r}, e.Offset, e.StoredSize)
	switch e.Codec {
	case Stored:
		v.src = bufio.NewReaderSize(section, int(min(32<<10, max(e.Size, 16))))
	case XZ:
		x, err := newXZReader(section, e, r.lim)
		if err != nil {
			return nil, err
		}
		v.src = x
	default:
		return nil, unsupported("PXA-E3", "entry %q uses %s, which this version cannot decode; a newer pxOS may", e.Path, e.Codec)
	}
	return v, nil
}

// ReadFile gives the whole checked content of one entry. Memory grows with
// what was decoded, not with the size that the table claims.
func (r *Reader) ReadFile(path string) ([]byte, error) {
	e, err := r.lookup("read", path)
	if err != nil {
		return nil, err
	}
	return r.readEntry(e)
}

func (r *Reader) readEntry(e *Entry) ([]byte, error) {
	if e.Codec == Stored && r.own.Load() != nil {
		// The picture has been seen to hold this many bytes.
		b := make([]byte, e.Size)
		if err := r.read(b, e.Offset); err != nil {
			return nil, err
		}
		if sha256.Sum256(b) != e.Sum {
			return nil, sumErr(e)
		}
		return b, nil
	}
	src, err := r.openEntry(e)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	b := make([]byte, 0, min(e.Size+1, 1<<20))
	for {
		n, err := src.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, int(min(int64(len(b)), e.Size+1-int64(len(b)))))
		}
	}
}

// Section gives random access to the content of a stored entry. Nothing it
// returns is compared with the entry's SHA-256: use it on a Reader that
// [OpenVerified] gave, over bytes that cannot change, or check what was read.
// Entries with another codec are an *UnsupportedError.
func (r *Reader) Section(path string) (*io.SectionReader, error) {
	e, err := r.lookup("open", path)
	if err != nil {
		return nil, err
	}
	if e.Codec != Stored {
		return nil, unsupported("PXA-E3", "entry %q uses %s and has no random access; read it whole", e.Path, e.Codec)
	}
	return io.NewSectionReader(archiveBytes{r}, e.Offset, e.Size), nil
}

// Manifest gives the content of cartridge.toml. An archive without one is
// fs.ErrNotExist: it can be listed and unpacked, not run.
func (r *Reader) Manifest() ([]byte, error) {
	b, err := r.ReadFile(ManifestName)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	return b, nil
}

// archiveBytes is the archive as an io.ReaderAt.
type archiveBytes struct{ r *Reader }

func (a archiveBytes) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= a.r.header.archiveLen {
		return 0, io.EOF
	}
	n := min(int64(len(p)), a.r.header.archiveLen-off)
	if err := a.r.read(p[:n], off); err != nil {
		return 0, err
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// entryReader checks size and sum of a content that is read to its end.
type entryReader struct {
	src   io.Reader
	entry *Entry
	sum   hash.Hash
	n     int64
	err   error
}

func (v *entryReader) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.src.Read(p)
	v.sum.Write(p[:n])
	v.n += int64(n)
	switch {
	case v.n > v.entry.Size:
		n, err = 0, formatErr("PXA-E2", -1, "entry %q is longer than the %d bytes that the table gives", v.entry.Path, v.entry.Size)
	case err == io.EOF && v.n < v.entry.Size:
		err = formatErr("PXA-E2", -1, "entry %q ends after %d of %d bytes", v.entry.Path, v.n, v.entry.Size)
	case err == io.EOF && Digest(v.sum.Sum(nil)) != v.entry.Sum:
		err = sumErr(v.entry)
	}
	v.err = err
	return n, err
}

func (v *entryReader) Close() error {
	v.err = fs.ErrClosed
	return nil
}

func sumErr(e *Entry) error {
	return formatErr("PXA-E1", e.Offset, "entry %q does not match its SHA-256 in the table: the file is damaged", e.Path)
}
