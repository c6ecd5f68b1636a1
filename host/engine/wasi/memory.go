package wasi

import (
	"encoding/binary"
	"math"
	"reflect"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"
)

const (
	maxIovecs = 1024      // as IOV_MAX; more is EINVAL
	maxBytes  = 1<<31 - 1 // in one call; more does not fit ssize_t and is EINVAL
	maxPath   = 4096
	maxSubs   = 1 << 16 // subscriptions of one poll_oneoff
)

// view is the caller's memory. The zero view has no bytes.
type view struct {
	mem  api.Memory
	size uint64
}

// viewOf returns the memory of mod. A module without one has no bytes. Of a
// full 4 GiB memory, the last byte is out of reach: wazero cannot express an
// end of 2^32.
func viewOf(mod api.Module) view {
	mem := mod.Memory()
	if mem == nil || reflect.ValueOf(mem).IsNil() {
		return view{}
	}
	size := uint64(mem.Size())
	if size == 0 {
		if pages, ok := mem.Grow(0); ok && pages > 0 {
			size = math.MaxUint32
		}
	}
	return view{mem, size}
}

// has reports whether n bytes at ptr lie inside. Empty ranges may lie at the end.
func (v view) has(ptr uint32, n uint64) bool {
	return uint64(ptr)+n <= v.size && uint64(ptr)+n >= n
}

// bytes returns n bytes at ptr, which the caller has checked with has.
func (v view) bytes(ptr uint32, n uint32) []byte {
	b, _ := v.mem.Read(ptr, n)
	return b
}

func (v view) u32(ptr uint32) uint32 {
	n, _ := v.mem.ReadUint32Le(ptr)
	return n
}

// borrow lends n bytes of the guest's memory to a wazero function that can
// only answer there, and puts the guest's own bytes back afterwards. A guest
// runs on one thread, so it sees no difference. It reports false, without
// calling f, if the memory is smaller.
func (v view) borrow(n uint32, f func(ptr uint32, b []byte)) bool {
	if v.size < uint64(n) {
		return false
	}
	b := v.bytes(0, n)
	saved := append([]byte(nil), b...)
	defer copy(b, saved)
	f(0, b)
	return true
}

// Cost returns how many bytes a call may copy between guest and host: buffers,
// paths, results and, for poll_oneoff, subscriptions and events. It depends
// only on the arguments and the guest's memory. A call that will fail for its
// arguments alone costs nothing. fn is an index into [Names].
func Cost(fn int, mod api.Module, stack []uint64) uint64 {
	if fn < 0 || fn >= len(table) || len(stack) < len(table[fn].args) {
		return 0
	}
	n, _ := measure(fn, viewOf(mod), stack, false)
	return n
}

// measure checks the pointers, lengths and paths of a call and adds up what it
// may copy. If it returns an error number, the call must not be made.
func measure(fn int, v view, stack []uint64, old bool) (cost uint64, errno uint32) {
	args := table[fn].args
	for i := range len(args) {
		ptr := uint32(stack[i])
		var size uint64
		switch args[i] {
		case 'i', 'l', 'n':
			continue
		case 'a':
			size = 0
		case '2', '4', '8':
			size = uint64(args[i] - '0')
		case 'F':
			size = 24
		case 'S':
			size = 64
			if old {
				size = 56
			}
		case 'b':
			size = uint64(uint32(stack[i+1]))
			if size > maxBytes {
				errno = first(errno, v, ptr, size)
				errno = either(errno, eInval)
				continue
			}
		case 'p':
			size = uint64(uint32(stack[i+1]))
			if e := checkPath(v, ptr, size); e != 0 {
				errno = either(errno, e)
				continue
			}
		case 'v':
			n := uint32(stack[i+1])
			total, e := checkIovecs(v, ptr, n)
			errno = either(errno, e)
			cost += total
			continue
		}
		errno = first(errno, v, ptr, size)
		cost += size
	}
	if fn == fnPoll && errno == 0 {
		n := uint32(stack[2])
		in, out := uint64(subSize(old))*uint64(n), uint64(eventSize)*uint64(n)
		switch {
		case n == 0 || n > maxSubs:
			errno = eInval
		case !v.has(uint32(stack[0]), in) || !v.has(uint32(stack[1]), out):
			errno = eFault
		}
		cost += in + out
	}
	if errno != 0 {
		cost = 0
	}
	return cost, errno
}

// either keeps the first error.
func either(errno, next uint32) uint32 {
	if errno != 0 {
		return errno
	}
	return next
}

// first adds EFAULT for a range outside the memory, and for any without one.
func first(errno uint32, v view, ptr uint32, size uint64) uint32 {
	if errno == 0 && (v.mem == nil || !v.has(ptr, size)) {
		return eFault
	}
	return errno
}

// checkPath refuses what wazero would copy, or report, wrongly.
func checkPath(v view, ptr uint32, size uint64) uint32 {
	switch {
	case v.mem == nil || !v.has(ptr, size):
		return eFault
	case size == 0:
		return eNoent
	case size > maxPath:
		return eNametoolong
	}
	b := v.bytes(ptr, uint32(size))
	if !utf8.Valid(b) {
		return eIlseq
	}
	for _, c := range b {
		if c == 0 {
			return eInval
		}
	}
	return 0
}

// checkIovecs adds up the lengths of n iovecs and checks each of them.
func checkIovecs(v view, ptr, n uint32) (total uint64, errno uint32) {
	if n > maxIovecs {
		return 0, eInval
	}
	if v.mem == nil || !v.has(ptr, uint64(n)*8) {
		return 0, eFault
	}
	if n == 0 {
		return 0, 0
	}
	iovs := v.bytes(ptr, n*8)
	for ; len(iovs) > 0; iovs = iovs[8:] {
		size := uint64(binary.LittleEndian.Uint32(iovs[4:]))
		if !v.has(binary.LittleEndian.Uint32(iovs), size) {
			return 0, eFault
		}
		total += size
	}
	if total > maxBytes {
		return 0, eInval
	}
	return total, 0
}
