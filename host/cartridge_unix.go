//go:build unix

package host

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"
)

// mapFile maps a file for reading. A file that is cut short while it is mapped makes
// reads fail; it does not bring the host down.
func mapFile(f *os.File, size int64) (io.ReaderAt, func(), error) {
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	m := &mapping{data: data}
	return m, m.close, nil
}

type mapping struct {
	mu   sync.RWMutex
	data []byte
}

func (m *mapping) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data != nil {
		_ = unix.Munmap(m.data)
		m.data = nil
	}
}

// ReadAt implements io.ReaderAt.
func (m *mapping) ReadAt(p []byte, off int64) (n int, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.data == nil {
		return 0, os.ErrClosed
	}
	if off < 0 || off >= int64(len(m.data)) {
		return 0, io.EOF
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			n, err = 0, fmt.Errorf("cartridge was cut short while it was read")
		}
	}()
	n = copy(p, m.data[off:])
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}
