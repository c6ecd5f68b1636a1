package disk

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"unsafe"
)

// Guarded calls fn, which may read mappings, and returns an error that matches
// [ErrFault] when that fails because the file has become shorter or the disk cannot
// deliver; fn ends at that point, its deferred calls having run. Any other panic,
// a fault outside every mapping included, goes on as if Guarded were not there. fn must
// not let another goroutine read the bytes: the guard is this goroutine's.
func Guarded(fn func()) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		r := recover()
		if r == nil {
			return
		}
		fault, ok := r.(interface{ Addr() uintptr })
		if !ok || !mapped.contains(fault.Addr()) {
			panic(r)
		}
		err = fmt.Errorf("%w (memory address %#x)", ErrFault, fault.Addr())
	}()
	fn()
	return nil
}

// ranges are the addresses of the live mappings of this process. They are consulted
// only when memory has faulted.
type ranges struct {
	mu  sync.Mutex
	all []span
}

type span struct{ start, end uintptr }

var mapped ranges

func spanOf(data []byte) span {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	return span{start, start + uintptr(len(data))}
}

func (r *ranges) search(at uintptr) (int, bool) {
	return slices.BinarySearchFunc(r.all, at, func(s span, at uintptr) int {
		switch {
		case s.end <= at:
			return -1
		case s.start > at:
			return 1
		}
		return 0
	})
}

func (r *ranges) add(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := spanOf(data)
	i, _ := r.search(s.start)
	r.all = slices.Insert(r.all, i, s)
}

func (r *ranges) remove(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, ok := r.search(spanOf(data).start); ok {
		r.all = slices.Delete(r.all, i, i+1)
	}
}

func (r *ranges) contains(at uintptr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.search(at)
	return ok
}

// mapping is a file in memory; data is nil for an empty one and after Close.
type mapping struct {
	mu   sync.Mutex
	data []byte
}

func (m *mapping) Bytes() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data
}

func (m *mapping) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		return nil
	}
	mapped.remove(m.data)
	err := unmap(m.data)
	m.data = nil
	return err
}
