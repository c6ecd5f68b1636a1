package engine

import (
	"github.com/pxos/pxos/abi"
	"github.com/tetratelabs/wazero/experimental"
)

// trackedMemory remembers the largest size of the linear memory it hands out, and
// whether the first one could be had at all.
type trackedMemory struct {
	alloc experimental.MemoryAllocator
	inner experimental.LinearMemory
	top   uint64
	short bool
}

// Allocate is called once, when the module is instantiated.
func (t *trackedMemory) Allocate(cap, max uint64) experimental.LinearMemory {
	t.inner = t.alloc.Allocate(cap, max)
	return t
}

// Reallocate implements experimental.LinearMemory. The first call is for the
// module's initial memory, which wazero does not expect to fail.
func (t *trackedMemory) Reallocate(size uint64) []byte {
	buf := t.inner.Reallocate(size)
	if buf == nil {
		t.short = t.short || t.top == 0
		return nil
	}
	t.top = max(t.top, size)
	return buf
}

// Free implements experimental.LinearMemory.
func (t *trackedMemory) Free() { t.inner.Free() }

func (t *trackedMemory) peak() uint64 { return t.top }

func (t *trackedMemory) failed() error {
	if !t.short {
		return nil
	}
	return &Error{Type: abi.ErrMemory, Msg: "this machine could not supply the memory that the module needs from the start",
		Hint: "close other programs, or lower what the cartridge needs"}
}
