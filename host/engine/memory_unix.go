//go:build unix

package engine

import (
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// newLinearMemory reserves address space for the most a guest may ever use and
// lets the kernel supply pages as they are touched. Growing then moves nothing and
// costs nothing until the guest writes, and the collector never sees the memory.
// limit is in bytes and is never exceeded, whatever max says.
func newLinearMemory(limit uint64) experimental.MemoryAllocator {
	return experimental.MemoryAllocatorFunc(func(_, max uint64) experimental.LinearMemory {
		size := min(max, limit)
		if size == 0 {
			return &linearMemory{}
		}
		buf, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|mapNoReserve)
		if err != nil {
			return &linearMemory{}
		}
		return &linearMemory{buf: buf}
	})
}

type linearMemory struct{ buf []byte }

// Reallocate returns the first size bytes, or nil when that is more than was
// reserved: the guest's memory.grow then answers -1.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.buf)) {
		return nil
	}
	if m.buf == nil {
		return []byte{}
	}
	return m.buf[:size:size]
}

func (m *linearMemory) Free() {
	if m.buf != nil {
		_ = unix.Munmap(m.buf)
		m.buf = nil
	}
}
