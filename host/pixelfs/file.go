package pixelfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
)

// mapMin is the size from which partial reads go through a mapping of the file.
const mapMin = 1 << 20

// File is one version of one name, open for reading. It stays what it is when the name
// gets other content, is moved or goes to the trash. ReadAt may be called by many
// goroutines at once; Read, Seek and WriteTo share one position. Nothing is returned
// that was not checked: errors about damage are *pxi.CorruptError.
type File struct {
	info  Info
	fsys  disk.FS
	f     disk.File
	r     *pxi.Reader
	edits *layers // what edits that were synced but not committed have changed; nil for most

	mu  sync.Mutex // guards pos
	pos int64

	life   sync.RWMutex // held shared while a read is under way
	closed bool
	mapped *mappedFile
	mapErr bool
	mapMu  sync.Mutex
}

// mappedFile reads a file through a mapping of it.
type mappedFile struct {
	m disk.Mapping
	r *pxi.Reader
}

// Open opens the current content of name.
func (s *Store) Open(name string) (*File, error) {
	f, err := s.open(name)
	return f, pathError("open", name, err)
}

func (s *Store) open(name string) (*File, error) {
	place, err := filePlace(name)
	if err != nil {
		if name == "." {
			return nil, ErrIsDir
		}
		return nil, err
	}
	if err := s.dirFor(parent(name), lookDirs); err != nil {
		return nil, err
	}
	f, err := s.openAt(name, place)
	if errors.Is(err, fs.ErrNotExist) && s.notDir(name) == ErrIsDir {
		err = ErrIsDir
	}
	if err != nil {
		return nil, err
	}
	kept, err := s.lastVersion(place)
	if err != nil {
		f.Close()
		return nil, err
	}
	f.info.Version = kept + 1
	return f, nil
}

// openAt opens the file at place together with the synced edits there are for it.
func (s *Store) openAt(name, place string) (*File, error) {
	if err := s.notTwinFile(place); err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		// The log first: when its edits are committed in between, the file is of
		// another base than the log, which is seen.
		log, err := s.openLog(place)
		if err != nil {
			return nil, err
		}
		f, err := s.openFile(name, place)
		if err != nil || log == nil {
			if log != nil {
				log.close()
			}
			return f, err
		}
		if log.fits(f) {
			err := f.layer(log)
			if err != nil {
				log.close()
				f.Close()
				return nil, err
			}
			return f, nil
		}
		log.close()
		if try >= 2 {
			// The log belongs to a content that has gone: a crash left it.
			return f, nil
		}
		f.Close()
	}
}

func (s *Store) notTwinFile(place string) error {
	if s.caseless && s.exists(place) && s.notTwin(place) != nil {
		return fs.ErrNotExist
	}
	return nil
}

// openFile opens the pixel file at a place.
func (s *Store) openFile(name, place string) (*File, error) {
	f, err := s.fsys.OpenFile(place, os.O_RDONLY)
	if err != nil {
		if errors.Is(err, disk.ErrIrregular) {
			err = ErrForeign
		}
		return nil, err
	}
	out, err := s.newFile(name, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return out, nil
}

func (s *Store) newFile(name string, f disk.File) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, err := pxi.Open(f, info.Size())
	if err != nil {
		return nil, err
	}
	h := r.Header()
	return &File{fsys: s.fsys, f: f, r: r, info: Info{
		Name: name, Size: r.Size(), Modified: info.ModTime(), Digest: h.Sum,
		Width: h.Width, Height: h.Height, Compression: h.Compression, Stored: info.Size(),
	}}, nil
}

// Info describes the content.
func (f *File) Info() Info { return f.info }

// Size is the number of bytes.
func (f *File) Size() int64 { return f.info.Size }

// Stat implements [fs.File].
func (f *File) Stat() (fs.FileInfo, error) { return fileInfo{f.info}, nil }

// Close releases the file. Reads under way end first.
func (f *File) Close() error {
	f.life.Lock()
	defer f.life.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	var errs []error
	if f.mapped != nil {
		errs = append(errs, f.mapped.m.Close())
		f.mapped = nil
	}
	if f.edits != nil {
		errs = append(errs, f.edits.log.Close())
	}
	return errors.Join(append(errs, f.f.Close())...)
}

// use holds the file open until the function it returns is called.
func (f *File) use() (func(), error) {
	f.life.RLock()
	if f.closed {
		f.life.RUnlock()
		return nil, fs.ErrClosed
	}
	return f.life.RUnlock, nil
}

// ReadAt implements [io.ReaderAt]. Each block that it touches is checked.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	done, err := f.use()
	if err != nil {
		return 0, pathError("read", f.info.Name, err)
	}
	defer done()
	if f.edits != nil {
		n, err := f.edits.ReadAt(p, off)
		return n, f.readError(err)
	}
	n, err := f.readBase(p, off)
	return n, f.readError(err)
}

func (f *File) readError(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return pathError("read", f.info.Name, err)
}

// readBase reads the file itself, without edits.
func (f *File) readBase(p []byte, off int64) (int, error) {
	if f.info.Stored < mapMin || f.r.Kind() != pxi.Container {
		return f.r.ReadAt(p, off)
	}
	m := f.mapping()
	if m == nil {
		return f.r.ReadAt(p, off)
	}
	var n int
	var err error
	if fault := disk.Guarded(func() { n, err = m.r.ReadAt(p, off) }); fault != nil {
		return 0, fault
	}
	return n, err
}

// mapping maps the file at the first partial read; nil where that cannot be done.
func (f *File) mapping() *mappedFile {
	f.mapMu.Lock()
	defer f.mapMu.Unlock()
	if f.mapped != nil || f.mapErr {
		return f.mapped
	}
	f.mapErr = true
	m, err := f.mapIt()
	if err != nil {
		return nil // reading the file tells what is wrong
	}
	f.mapped = m
	return m
}

func (f *File) mapIt() (*mappedFile, error) {
	m, err := f.fsys.Map(f.f)
	if err != nil {
		return nil, err
	}
	var r *pxi.Reader
	if fault := disk.Guarded(func() { r, err = pxi.NewBytesReader(m.Bytes()) }); fault != nil {
		err = fault
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return &mappedFile{m, r}, nil
}

// Read implements [io.Reader].
func (f *File) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Seek implements [io.Seeker].
func (f *File) Seek(offset int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, err := seekTo(f.pos, f.info.Size, offset, whence)
	if err != nil {
		return f.pos, pathError("seek", f.info.Name, err)
	}
	f.pos = at
	return at, nil
}

func seekTo(pos, size, offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += pos
	case io.SeekEnd:
		offset += size
	default:
		return 0, fs.ErrInvalid
	}
	if offset < 0 {
		return 0, fs.ErrInvalid
	}
	return offset, nil
}

// WriteTo writes what is left from the position on to w. The whole content is compared
// with its SHA-256 on the way: what w got counts only when the error is nil.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.copyTo(w, f.pos)
	f.pos += n
	return n, err
}

func (f *File) copyTo(w io.Writer, from int64) (int64, error) {
	done, err := f.use()
	if err != nil {
		return 0, pathError("read", f.info.Name, err)
	}
	defer done()
	if f.edits == nil && from == 0 {
		n, err := f.r.WriteTo(w)
		return n, f.readError(err)
	}
	src := io.ReaderAt(readerAtFunc(f.readBase))
	if f.edits != nil {
		src = f.edits
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.NewSectionReader(src, from, max(f.info.Size-from, 0))}, make([]byte, 256<<10))
	if err == nil && n < f.info.Size-from {
		err = io.ErrUnexpectedEOF
	}
	return n, f.readError(err)
}

type readerAtFunc func(p []byte, off int64) (int, error)

func (r readerAtFunc) ReadAt(p []byte, off int64) (int, error) { return r(p, off) }

// whole reads the content from the start, checked, whatever the position is.
func (f *File) whole(ctx context.Context) io.Reader {
	return &watched{ctx: ctx, r: io.NewSectionReader(f, 0, f.info.Size)}
}

// Image gives the content as rows of pixels, at a width of its own choosing; see
// [pxi.View]. The view reads from the file while it is looked at.
func (f *File) Image(width int) (*pxi.View, error) {
	if width == 0 {
		width = int(f.info.Width)
	}
	return pxi.NewView(f, f.info.Size, width)
}

// WritePNG writes the content as a PNG picture, a row at a time; width 0 means the
// file's own.
func (f *File) WritePNG(w io.Writer, width int) error {
	if width == 0 {
		width = int(f.info.Width)
	}
	if err := pxi.WritePNG(w, f, f.info.Size, width); err != nil {
		return fmt.Errorf("view %q: %w", f.info.Name, err)
	}
	return nil
}
