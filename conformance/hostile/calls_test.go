package hostile

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/engine/wasi"
)

// edge are what pointers and lengths are made of: nothing, the last byte, one past it,
// the sign bit, everything.
func edges(size int64) []int64 { return []int64{0, size - 1, size, 1 << 31, 1<<32 - 1} }

// memorySize is the memory of the calling guest: one page.
const memorySize = 1 << 16

// most is how many calls of one function are made; the combinations of longer
// parameter lists are sampled.
const most = 4000

// hostCall is a function that guests can import.
type hostCall struct {
	module, name    string
	params, results []byte
}

// everyCall lists every host function there is.
func everyCall(t *testing.T) []hostCall {
	t.Helper()
	var out []hostCall
	for _, f := range abi.Functions() {
		c := hostCall{module: f.Module, name: f.Name, results: []byte{i32}}
		for _, p := range f.Lower() {
			c.params = append(c.params, byte(p))
		}
		out = append(out, c)
	}
	for _, module := range []string{wasi.Preview1, wasi.Unstable} {
		n := len(out)
		for _, name := range wasi.Names() {
			params, results, ok := wasi.Signature(module, name)
			if !ok || name == "proc_exit" {
				continue // not in this module, or it does not come back
			}
			out = append(out, hostCall{module, name, params, results})
		}
		if len(out)-n < 40 {
			t.Errorf("%s has only %d functions", module, len(out)-n)
		}
	}
	return out
}

// caller is a command that makes the calls and then writes "survived". Its memory
// holds patterns that look like lists of buffers with bad addresses.
func (c hostCall) caller() (wasm []byte, calls int) {
	m := &module{}
	f := m.imp(c.module, c.name, m.typ(c.params, c.results))
	write := m.imp(wasiP1, "fd_write", m.typ([]byte{i32, i32, i32, i32}, []byte{i32}))
	v := m.typ(nil, nil)
	total := 1
	for range c.params {
		total *= 5
	}
	var code []byte
	for i := 0; i < total && calls < most; i++ {
		n := i
		if total > most {
			n = (i*7919 + i*i*31) % total
		}
		for _, p := range c.params {
			value := edges(memorySize)[n%5]
			n /= 5
			switch p {
			case i64:
				code = join(code, konst64(value))
			case f64:
				code = join(code, 0x44, make([]byte, 8))
			default:
				code = join(code, konst(value))
			}
		}
		code = join(code, call(f))
		for range c.results {
			code = append(code, opDrop)
		}
		calls++
	}
	// Calls go into functions of a few hundred, as a compiler would have it.
	const text = 60_000
	m.memory(1)
	m.data(8, le(0, 1<<31, 1<<31, 0, 1<<32-1, 1<<32-1, memorySize-1, 2, memorySize, 1))
	m.data(text, join(le(text+8, 9), []byte("survived\n")))
	// A call may have written over the text: it is put back before it is used.
	restore := []byte{}
	for i, b := range join(le(text+8, 9), []byte("survived\n")) {
		restore = join(restore, konst(text+int64(i)), konst(int64(b)), 0x3a, 0, 0)
	}
	body := m.fn(v, nil, code)
	return m.export("_start", m.fn(v, nil, join(call(body), restore, konst(2), konst(text), konst(1), konst(text+40), call(write), opDrop))).bytes(), calls
}

// Every host function takes every combination of bad pointers and lengths, and
// answers each with a code: the guest lives on, and so does everybody else.
func TestEveryHostFunction(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			b := newBench(t, host.Config{})
			for _, c := range everyCall(t) {
				t.Run(c.module+"."+c.name, func(t *testing.T) {
					wasm, calls := c.caller()
					var errout strings.Builder
					v := b.run(t, cartridge(t, wasm), host.RunRequest{
						Isolation: level, Stdin: strings.NewReader(strings.Repeat("input ", 1000)), Stdout: io.Discard, Stderr: &errout,
						Limits: abi.Limits{Time: time.Minute, Handles: 1 << 10},
					})
					v.check(t, done)
					if !strings.HasSuffix(errout.String(), "survived\n") && c.name != "fd_close" && c.name != "fd_renumber" {
						t.Errorf("the guest did not come to its end: %.200q", errout.String())
					}
					if v.res == nil {
						return
					}
					made := int64(0)
					for name, n := range v.res.HostCalls {
						if strings.HasSuffix(name, "."+c.name) {
							made += n
						}
					}
					if made < int64(calls) {
						t.Errorf("%d calls were counted, %d were made", made, calls)
					}
				})
			}
			b.healthy(t, level)
		})
	}
}

// A module that imports everything and more learns of all that is missing at once.
func TestMissingImportsAreListed(t *testing.T) {
	m := &module{}
	v := m.typ(nil, nil)
	var names []string
	for i := range 300 {
		name := fmt.Sprintf("function%03d", 299-i)
		m.imp("somewhere", name, v)
		names = append([]string{"somewhere." + name}, names...)
	}
	wasm := m.memory(1).export("_start", m.fn(v, nil, nil)).bytes()
	b := newBench(t, host.Config{})
	r := b.run(t, cartridge(t, wasm), host.RunRequest{})
	r.check(t, abi.ErrMissingImports)
	if !strings.Contains(r.msg, strings.Join(names, ", ")) {
		t.Errorf("message does not list all imports in order: %.300s", r.msg)
	}
}
