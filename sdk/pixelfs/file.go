package pixelfs

import (
	"io"
	"io/fs"
	"os"

	pxos "github.com/pxos/pxos/sdk"
)

// File is an open file. Several goroutines may use one, as a guest runs one at a
// time. What it wrote is seen by other files of the same run at once, and kept for
// good by Sync and Close.
type File struct {
	name   string
	handle uint32
	closed bool
}

var (
	_ fs.File         = (*File)(nil)
	_ io.ReaderAt     = (*File)(nil)
	_ io.WriterAt     = (*File)(nil)
	_ io.WriteSeeker  = (*File)(nil)
	_ io.StringWriter = (*File)(nil)
)

// maxCall bounds what one host call carries, so that a length fits its 32 bits.
const maxCall = 1 << 30

// Open opens a file for reading. It fails for directories; ReadDir lists them.
func Open(name string) (*File, error) { return OpenFile(name, os.O_RDONLY) }

// Create makes a file, or empties the one that is there, and opens it for reading
// and writing. The earlier content stays as a version.
func Create(name string) (*File, error) { return OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC) }

// OpenFile opens a file as os.OpenFile does, with os.O_RDONLY, O_WRONLY or O_RDWR
// and any of O_APPEND, O_CREATE, O_EXCL, O_TRUNC and O_SYNC. O_SYNC has no effect:
// Sync and Close say when content is kept. A file that another run is writing fails
// with pxos.CodeBusy when it is opened for writing.
func OpenFile(name string, flag int) (*File, error) {
	const known = os.O_RDONLY | os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREATE | os.O_EXCL | os.O_TRUNC | os.O_SYNC
	flags := uint32(rawRead)
	switch flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR) {
	case os.O_WRONLY:
		flags = rawWrite
	case os.O_RDWR:
		flags = rawRead | rawWrite
	}
	for _, f := range []struct {
		mine int
		raw  uint32
	}{{os.O_APPEND, rawAppend}, {os.O_CREATE, rawCreate}, {os.O_EXCL, rawExclusive}, {os.O_TRUNC, rawTruncate}} {
		if flag&f.mine != 0 {
			flags |= f.raw
		}
	}
	if flag&^known != 0 {
		return nil, fault("open", name, pxos.CodeInvalid)
	}
	handle, code := pixelfsOpen(hostName(name), flags)
	return open(name, handle, code)
}

// OpenVersion opens a version that Versions lists, for reading.
func OpenVersion(name string, version uint64) (*File, error) {
	handle, code := pixelfsOpenVersion(hostName(name), version)
	return open(name, handle, code)
}

func open(name string, handle uint32, code pxos.Code) (*File, error) {
	if code != pxos.CodeOK {
		return nil, fault("open", name, code)
	}
	return &File{name: name, handle: handle}, nil
}

// hostName is how the host spells a name of package io/fs.
func hostName(name string) string {
	if name == "." {
		return "/"
	}
	return name
}

// fault is nil for CodeOK.
func fault(op, name string, code pxos.Code) error {
	if code == pxos.CodeOK {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: code}
}

// live is fault for an open file; one that was closed says so.
func (f *File) live(op string) error {
	if f.closed {
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	}
	return nil
}

// Name returns the name that the file was opened with.
func (f *File) Name() string { return f.name }

// Read reads at the position. At the end it returns io.EOF.
func (f *File) Read(p []byte) (int, error) {
	if err := f.live("read"); err != nil || len(p) == 0 {
		return 0, err
	}
	n, code := pixelfsRead(f.handle, p[:min(len(p), maxCall)])
	if code == pxos.CodeOK && n == 0 {
		return 0, io.EOF
	}
	return int(n), fault("read", f.name, code)
}

// ReadAt reads until p is full or the file ends, and then returns io.EOF.
func (f *File) ReadAt(p []byte, off int64) (n int, err error) {
	if err := f.offset("read", off); err != nil {
		return 0, err
	}
	for n < len(p) {
		part := p[n:min(len(p), n+maxCall)]
		got, code := pixelfsReadAt(f.handle, uint64(off)+uint64(n), part)
		if code != pxos.CodeOK {
			return n, fault("read", f.name, code)
		}
		n += int(got)
		if int(got) < len(part) {
			return n, io.EOF
		}
	}
	return n, nil
}

func (f *File) offset(op string, off int64) error {
	if off < 0 {
		return fault(op, f.name, pxos.CodeInvalid)
	}
	return f.live(op)
}

// Write writes at the position, or at the end with os.O_APPEND. It fails with
// pxos.CodeLimit when the files of the cartridge would have more than their quota.
func (f *File) Write(p []byte) (n int, err error) {
	if err := f.live("write"); err != nil {
		return 0, err
	}
	return f.write(p, func(_ uint64, part []byte) (uint32, pxos.Code) { return pixelfsWrite(f.handle, part) })
}

// WriteString is Write for a string.
func (f *File) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// WriteAt writes at an offset; a gap before it reads as zeros. A file that was
// opened with os.O_APPEND refuses it.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if err := f.offset("write", off); err != nil {
		return 0, err
	}
	return f.write(p, func(done uint64, part []byte) (uint32, pxos.Code) {
		return pixelfsWriteAt(f.handle, uint64(off)+done, part)
	})
}

func (f *File) write(p []byte, call func(done uint64, part []byte) (uint32, pxos.Code)) (n int, err error) {
	for {
		part := p[n:min(len(p), n+maxCall)]
		wrote, code := call(uint64(n), part)
		if code != pxos.CodeOK {
			return n, fault("write", f.name, code)
		}
		if n += int(wrote); n >= len(p) {
			return n, nil
		}
		if int(wrote) < len(part) {
			return n, &fs.PathError{Op: "write", Path: f.name, Err: io.ErrShortWrite}
		}
	}
}

// Seek moves the position, also past the end.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	if err := f.live("seek"); err != nil {
		return 0, err
	}
	from, code := uint32(0), pxos.CodeOK
	switch whence {
	case io.SeekStart:
		from = rawSeekStart
	case io.SeekCurrent:
		from = rawSeekCurrent
	case io.SeekEnd:
		from = rawSeekEnd
	default:
		code = pxos.CodeInvalid
	}
	var pos uint64
	if code == pxos.CodeOK {
		pos, code = pixelfsSeek(f.handle, offset, from)
	}
	return int64(pos), fault("seek", f.name, code)
}

// Truncate cuts the file, or extends it with zeros. The position stays.
func (f *File) Truncate(size int64) error {
	if err := f.offset("truncate", size); err != nil {
		return err
	}
	return fault("truncate", f.name, pixelfsTruncate(f.handle, uint64(size)))
}

// Sync keeps what was written so that it survives a power cut.
func (f *File) Sync() error {
	if err := f.live("sync"); err != nil {
		return err
	}
	return fault("sync", f.name, pixelfsSync(f.handle))
}

// Close keeps what was written and closes the file. When it fails the file is closed
// all the same and has the content of the last Sync.
func (f *File) Close() error {
	if err := f.live("close"); err != nil {
		return err
	}
	f.closed = true
	return fault("close", f.name, pixelfsClose(f.handle))
}

// Stat describes the file: its size with what is not kept yet, the rest as it was
// kept last.
func (f *File) Stat() (fs.FileInfo, error) {
	if err := f.live("stat"); err != nil {
		return nil, err
	}
	size, code := pixelfsSize(f.handle)
	if code != pxos.CodeOK {
		return nil, fault("stat", f.name, code)
	}
	info, err := Stat(f.name)
	if err != nil { // an earlier version of what is in the trash
		info = &Info{name: base(f.name)}
	}
	info.size = int64(size)
	return info, nil
}
