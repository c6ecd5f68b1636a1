package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
)

// Linux supplies a memory of nearly 4 GiB page by page; these guests touch little of it.

// wide is a command with a memory of n pages whose _start is code.
func wide(pages uint64, code ...[]byte) []byte {
	return cat([]byte(header), sec(1, vec([]byte{0x60, 0, 0})), sec(3, vec([]byte{0})), sec(5, vec(cat([]byte{0}, uleb(pages)))),
		sec(7, vec(cat(str("_start"), []byte{0, 0}), cat(str("memory"), []byte{2, 0}))), sec(10, vec(fn(noLocals, cat(code...)...))))
}

func konst(n uint32) []byte { return cat([]byte{0x41}, sleb(int64(int32(n)))) }

func fillMemory(d, n uint32) []byte {
	return cat(konst(d), konst(7), konst(n), []byte{0xfc, 11, 0})
}

func copyMemory(d, s, n uint32) []byte {
	return cat(konst(d), konst(s), konst(n), []byte{0xfc, 10, 0, 0})
}

// mustHold traps unless the byte at an address is v.
func mustHold(at uint32, v byte) []byte {
	return cat(konst(at), []byte{0x2d, 0, 0}, konst(uint32(v)), []byte{0x47, 0x04, 0x40, 0x00, 0x0b})
}

// At the end of the largest memory that compiled code can use (with one page more, the
// engine takes its length for zero), long instructions reach the last byte and not one
// further, also where 32 bits wrap.
func TestBulkAtTheEnd(t *testing.T) {
	const (
		n    = 3<<20 + 5
		size = 65535 << 16 // more than abi.MaxLimits lets a user ask for
		last = size - n
	)
	limits := abi.DefaultLimits()
	limits.Memory = size
	e := newEngine(t, Config{})
	for _, tc := range []struct {
		name string
		code []byte
		trap bool
	}{
		{"fill", cat(fillMemory(last, n), mustHold(size-1, 7), mustHold(last, 7), mustHold(last-1, 0), mustHold(0, 0)), false},
		{"fill beyond", fillMemory(last+1, n), true},
		{"copy up", cat(fillMemory(0, n), copyMemory(last, 0, n), mustHold(size-1, 7), mustHold(last, 7)), false},
		{"copy down", cat(fillMemory(last, n), copyMemory(0, last, n), mustHold(n-1, 7), mustHold(n, 0)), false},
		{"copy to beyond", copyMemory(last+1, 0, n), true},
		{"copy from beyond", copyMemory(0, last+1, n), true},
		{"fill to where 32 bits wrap", fillMemory(last, n+1<<16), true},
		{"fill that wraps", fillMemory(last, n+2<<16), true},
		{"copy of nearly everything beyond", copyMemory(2, 0, 0xffffffff), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := e.Load(context.Background(), source(wide(65535, tc.code)), limits)
			if err != nil {
				t.Fatal(err)
			}
			res := runWith(t, m, func(c *RunConfig) { c.Limits = limits })
			if tc.trap != (res.ErrorType == abi.ErrTrap && strings.Contains(res.Error, "out of bounds memory access")) || !tc.trap && !res.Success {
				t.Errorf("ended with %q %s", res.ErrorType, res.Error)
			}
		})
	}
}

// A guest in the middle of a long instruction is stopped there and not left behind.
func TestBulkStops(t *testing.T) {
	const n = 200 << 20
	limits := abi.DefaultLimits()
	limits.Time = 20 * time.Millisecond
	e := newEngine(t, Config{})
	for name, code := range map[string][]byte{
		"fill":    fillMemory(0, n),
		"copy":    copyMemory(8<<20, 0, n),
		"copying": cat([]byte{0x03, 0x40}, copyMemory(0, 8<<20, n), []byte{0x0c, 0, 0x0b}),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := e.Load(context.Background(), source(wide(4000, code, []byte{0x03, 0x40, 0x0c, 0, 0x0b})), limits)
			if err != nil {
				t.Fatal(err)
			}
			res := runWith(t, m, func(c *RunConfig) { c.Limits = limits })
			if res.ErrorType != abi.ErrDeadline {
				t.Errorf("ended with %q %s", res.ErrorType, res.Error)
			}
			t.Logf("stopped %.1f ms after its deadline", res.ExecutionTime*1000-20)
		})
	}
}
