package worker

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"sync"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host/engine"
)

// Archive shows a cartridge's archive to the engine.
type Archive struct {
	*pxa.Reader
	paths  []string
	byPath map[string]pxa.Entry

	mu      sync.Mutex
	decoded map[string][]byte // compressed entries a guest reads in parts
	held    int64
}

// maxDecoded bounds the compressed entries that are kept decoded for a guest that
// reads them in parts. What does not fit is decoded again.
const maxDecoded = 64 << 20

// NewArchive wraps an open reader.
func NewArchive(r *pxa.Reader) *Archive {
	a := &Archive{Reader: r, byPath: map[string]pxa.Entry{}, decoded: map[string][]byte{}}
	for _, e := range r.Entries() {
		a.paths = append(a.paths, e.Path)
		a.byPath[e.Path] = e
	}
	return a
}

// Paths implements engine.Archive.
func (a *Archive) Paths() []string { return a.paths }

// Stat implements engine.Archive.
func (a *Archive) Stat(path string) (int64, [32]byte, bool) {
	e, ok := a.byPath[path]
	return e.Size, e.Sum, ok
}

// ReadAt implements engine.Archive. An entry with an unknown codec is
// errors.ErrUnsupported.
func (a *Archive) ReadAt(path string, dst []byte, off int64) (int, error) {
	e, ok := a.byPath[path]
	switch {
	case !ok:
		return 0, fs.ErrNotExist
	case e.Codec == pxa.Stored:
		sec, err := a.Reader.Section(path)
		if err != nil {
			return 0, err
		}
		return sec.ReadAt(dst, off)
	case e.Codec != pxa.XZ:
		return 0, errors.ErrUnsupported
	}
	data, err := a.decode(e)
	if err != nil || off >= int64(len(data)) {
		return 0, err
	}
	return copy(dst, data[off:]), nil
}

func (a *Archive) decode(e pxa.Entry) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if data, ok := a.decoded[e.Path]; ok {
		return data, nil
	}
	data, err := a.Reader.ReadFile(e.Path)
	if err != nil {
		return nil, err
	}
	if a.held+int64(len(data)) <= maxDecoded {
		a.decoded[e.Path] = data
		a.held += int64(len(data))
	}
	return data, nil
}

// Fingerprint identifies the table of the archive: the paths, sizes and digests of
// all entries. Two readers with equal fingerprints yield equal contents, because
// every content is compared with its digest when it is read.
func (a *Archive) Fingerprint() string {
	h := sha256.New()
	var n [8]byte
	for _, p := range a.paths {
		e := a.byPath[p]
		binary.LittleEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
		binary.LittleEndian.PutUint64(n[:], uint64(e.Size))
		h.Write(n[:])
		h.Write(e.Sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Source returns the engine's view of one module of an archive.
func Source(a *Archive, path string) (engine.Source, error) {
	e, ok := a.byPath[path]
	if !ok {
		return engine.Source{}, &engine.Error{Type: abi.ErrCartridge, Msg: "cartridge has no module " + path,
			Hint: "its manifest names a file that is not in its archive; ask its author to pack it again"}
	}
	return engine.Source{Digest: e.Sum, Read: func() ([]byte, error) {
		data, err := a.Reader.ReadFile(path)
		return data, changed(err)
	}}, nil
}

// changed is the error of a cartridge that was sound when it was opened and is not any
// more.
func changed(err error) error {
	var unsupported *pxa.UnsupportedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unsupported):
		return &engine.Error{Type: abi.ErrUnsupported, Msg: err.Error(), Err: err, Hint: "a newer pxos-host may read it"}
	}
	return &engine.Error{Type: abi.ErrCartridge, Msg: "cartridge was changed while it was in use: " + err.Error(), Err: err,
		Hint: "run it again when nothing writes to it"}
}
