//go:build !unix

package engine

import "github.com/tetratelabs/wazero/experimental"

// newLinearMemory keeps a guest's memory in ordinary Go memory, growing by copying.
// limit is in bytes and is never exceeded.
func newLinearMemory(limit uint64) experimental.MemoryAllocator {
	return experimental.MemoryAllocatorFunc(func(_, max uint64) experimental.LinearMemory {
		return &linearMemory{limit: min(max, limit)}
	})
}

type linearMemory struct {
	buf   []byte
	limit uint64
}

// Reallocate returns the memory with size bytes, or nil when that is over the
// limit: the guest's memory.grow then answers -1.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > m.limit {
		return nil
	}
	if size > uint64(cap(m.buf)) {
		next := make([]byte, size, min(m.limit, max(size, 2*uint64(cap(m.buf)))))
		copy(next, m.buf)
		m.buf = next
	}
	m.buf = m.buf[:size]
	return m.buf
}

func (m *linearMemory) Free() { m.buf = nil }
