package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host/builder"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/engine/worker"
)

// inMemory is the largest cartridge that is read into memory when it is opened.
// From then on nobody can change it. A larger one is mapped or read in place, and
// each entry is compared with its digest when it is read.
const inMemory = 64 << 20

// Cartridge is an open cartridge. It is safe for concurrent use until it is closed.
type Cartridge struct {
	archive *worker.Archive
	digest  string
	file    *os.File // a cartridge too large for memory
	path    string   // its absolute path
	data    []byte   // any other cartridge
	unmap   func()

	once     sync.Once
	manifest *abi.Manifest
	manErr   error
}

// wasmMagic begins a WebAssembly module.
const wasmMagic = "\x00asm"

// OpenCartridge opens a .pxa file under any name, or a bare WebAssembly module,
// which becomes a cartridge in memory exactly as pack would make it. Everything is
// checked: structure, checksums, cover and digest. Errors are *Error with
// ErrCartridge, or those of the file system.
func OpenCartridge(ctx context.Context, path string) (*Cartridge, error) {
	return openCartridge(ctx, path, opening{})
}

// opening says how a cartridge is opened by a host that is about to run it.
type opening struct {
	// early has a look at the cartridge when its table is read and before anything
	// else of it is verified. Contents match their digests then, but nothing may be run
	// or shown.
	early func(*Cartridge)
	// memo remembers files that passed their check.
	memo engine.CheckMemo
}

func openCartridge(ctx context.Context, path string, how opening) (*Cartridge, error) {
	// Looked at before it is opened, because opening a pipe waits for its writer.
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errorf(abi.ErrCartridge, "give a .pxa or .wasm file", "%q is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if st, err = f.Stat(); err != nil {
		f.Close()
		return nil, err
	}
	if st.Size() > inMemory && !isWasm(f) {
		return openLarge(ctx, f, st.Size(), how)
	}
	defer f.Close()
	if st.Size() > maxWasm {
		return nil, errorf(abi.ErrCartridge, "a module of this size is no program", "%q has %s, a module at most %s", path, abi.FormatBytes(st.Size()), abi.FormatBytes(maxWasm))
	}
	data := make([]byte, st.Size())
	if n, err := io.ReadFull(f, data); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	} else if n < len(data) {
		data = data[:n]
	}
	if bytes.HasPrefix(data, []byte(wasmMagic)) {
		if data, err = builder.WrapWasm(ctx, path, data); err != nil {
			return nil, err
		}
	}
	return openBytes(ctx, data, how)
}

// maxWasm bounds a bare module, which is read into memory.
const maxWasm = 1 << 30

func isWasm(r io.ReaderAt) bool {
	var head [len(wasmMagic)]byte
	_, err := r.ReadAt(head[:], 0)
	return err == nil && string(head[:]) == wasmMagic
}

// OpenCartridgeBytes opens a cartridge that is in memory. The bytes must not change
// while it is open.
func OpenCartridgeBytes(ctx context.Context, data []byte) (*Cartridge, error) {
	return openBytes(ctx, data, opening{})
}

func openBytes(ctx context.Context, data []byte, how opening) (*Cartridge, error) {
	r, err := pxa.Open(memory(data), int64(len(data)), nil)
	if err != nil {
		return nil, cartridgeError(err)
	}
	return newCartridge(ctx, r, &Cartridge{data: data}, how)
}

func openLarge(ctx context.Context, f *os.File, size int64, how opening) (*Cartridge, error) {
	path, err := filepath.Abs(f.Name())
	if err != nil {
		f.Close()
		return nil, err
	}
	ra, unmap, err := mapFile(f, size)
	if err != nil {
		f.Close()
		return nil, err
	}
	r, err := pxa.Open(ra, size, nil)
	if err != nil {
		unmap()
		f.Close()
		return nil, cartridgeError(err)
	}
	return newCartridge(ctx, r, &Cartridge{file: f, path: path, unmap: unmap}, how)
}

func newCartridge(ctx context.Context, r *pxa.Reader, c *Cartridge, how opening) (*Cartridge, error) {
	c.archive = worker.NewArchive(r)
	if how.early != nil {
		how.early(c)
	}
	d, err := check(ctx, r, c.data, how.memo)
	if err != nil {
		c.Close()
		return nil, cartridgeError(err)
	}
	c.digest = d.String()
	return c, nil
}

// check checks a cartridge, or finds that the same bytes passed the same check before.
// Only bytes in memory are looked up, which nobody can change between here and their
// use, and only files in the writer's layout, for which a check is what it was however
// the rest is decoded.
func check(ctx context.Context, r *pxa.Reader, data []byte, memo engine.CheckMemo) (pxa.Digest, error) {
	if data == nil || memo.Dir == "" || !r.Native() {
		return r.Check(ctx, nil)
	}
	file := sha256.Sum256(data)
	if d, ok := memo.Lookup(file); ok && r.Resume(d) {
		return d, nil
	}
	d, err := r.Check(ctx, nil)
	if err == nil && r.Native() {
		_ = memo.Store(file, d) // one that cannot be kept costs time, not the run
	}
	return d, err
}

// cartridgeError gives an error of the archive layer its type and hint.
func cartridgeError(err error) error {
	var unsupported *pxa.UnsupportedError
	var limit *pxa.LimitError
	var format *pxa.FormatError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &unsupported):
		return errorf(abi.ErrUnsupported, unsupportedHint(unsupported.ID), "%w", err)
	case errors.As(err, &limit):
		return errorf(abi.ErrCartridge, "it is refused before it is read; get it from its author again", "%w", err)
	case errors.Is(err, pxa.ErrNotPXA):
		return errorf(abi.ErrCartridge, "give a .pxa cartridge, a .wasm module or a cartridge's directory", "%w", err)
	case errors.As(err, &format) && strings.HasPrefix(format.ID, "PXA-N"):
		return errorf(abi.ErrCartridge, "the archive is hostile or made by a faulty tool: no sound cartridge has such a path; do not use it", "%w", err)
	case errors.Is(err, pxa.ErrAltered):
		return errorf(abi.ErrCartridge, "resized, screenshotted and lossy copies lose the program; get the original file", "%w", err)
	}
	return errorf(abi.ErrCartridge, "the file is damaged; get it from its author again", "%w", err)
}

// unsupportedHint says what to do about what the format's rule with that id does not
// allow. Only a newer archive is a matter of this host's age.
func unsupportedHint(id string) string {
	switch {
	case id == "PXA-P9":
		return "it was saved again with transparency, or is a picture and no cartridge; get the original file"
	case strings.HasPrefix(id, "PXA-P"):
		return "it was saved again in another way, or is a picture and no cartridge; get the original file"
	case strings.HasPrefix(id, "PXA-X"):
		return "another tool compressed it; ask its author to pack it again with pxos-host pack"
	}
	return "a newer pxos-host may read it"
}

// memory is bytes as an io.ReaderAt that pxa reads without copying.
type memory []byte

// Bytes implements pxa.Byter.
func (m memory) Bytes() []byte { return m }

// ReadAt implements io.ReaderAt.
func (m memory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(m)) {
		return 0, io.EOF
	}
	n := copy(p, m[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Digest returns the cartridge's digest, 64 hex digits.
func (c *Cartridge) Digest() string { return c.digest }

// Archive returns the cartridge's archive.
func (c *Cartridge) Archive() *pxa.Reader { return c.archive.Reader }

// Manifest returns the validated manifest. A cartridge without one, or with a
// faulty one, can be inspected but not run: the error is an *Error with
// ErrCartridge, and an *abi.ManifestError below it names every fault.
func (c *Cartridge) Manifest() (*abi.Manifest, error) {
	c.once.Do(func() {
		src, err := c.archive.Manifest()
		if errors.Is(err, fs.ErrNotExist) {
			c.manErr = errorf(abi.ErrCartridge, "an archive without cartridge.toml can be listed and unpacked, not run", "cartridge has no manifest")
			return
		}
		if err == nil {
			c.manifest, err = abi.ParseManifest(src)
		}
		if err != nil {
			c.manErr = errorf(abi.ErrCartridge, "its author must mend the manifest and pack it again", "%w", err)
		}
	})
	return c.manifest, c.manErr
}

// Close frees the cartridge. It is safe to call twice.
func (c *Cartridge) Close() error {
	if c.unmap != nil {
		c.unmap()
		c.unmap = nil
	}
	if c.file != nil {
		f := c.file
		c.file = nil
		return f.Close()
	}
	return nil
}
