package wasi

import (
	"bytes"
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// leb appends an unsigned LEB128 number.
func leb(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

func section(id byte, items [][]byte) []byte {
	body := leb(nil, len(items))
	for _, item := range items {
		body = append(body, item...)
	}
	return append(leb([]byte{id}, len(body)), body...)
}

func name(s string) []byte { return append(leb(nil, len(s)), s...) }

// forwarder builds a module that imports the named functions of module and
// exports each under the same name; pages is the size of its memory, negative
// for none. This is what every hand-built guest of these tests is made from.
func forwarder(module string, names []string, pages int) []byte {
	var types, imports, funcs, exports, code [][]byte
	for i, n := range names {
		params, results := table[Index(n)].signature()
		ty := append(leb([]byte{0x60}, len(params)), params...)
		ty = append(leb(ty, len(results)), results...)
		types = append(types, ty)
		imports = append(imports, append(append(name(module), name(n)...), leb([]byte{0}, i)...))
		funcs = append(funcs, leb(nil, i))
		exports = append(exports, leb(append(name(n), 0), len(names)+i))
		body := []byte{0} // no locals
		for p := range params {
			body = leb(append(body, 0x20), p)
		}
		body = append(leb(append(body, 0x10), i), 0x0b)
		code = append(code, append(leb(nil, len(body)), body...))
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = append(out, section(1, types)...)
	out = append(out, section(2, imports)...)
	out = append(out, section(3, funcs)...)
	if pages >= 0 {
		out = append(out, section(5, [][]byte{leb([]byte{0}, pages)})...) // no maximum
		exports = append(exports, append(name("memory"), 2, 0))
	}
	out = append(out, section(7, exports)...)
	return append(out, section(10, code)...)
}

// all returns every name that module has.
func all(module string) (names []string) {
	for _, n := range Names() {
		if Supported(module, n) {
			names = append(names, n)
		}
	}
	return names
}

// engines runs f with the compiler and the interpreter.
func engines(t *testing.T, f func(t *testing.T, r wazero.Runtime)) {
	for _, e := range []struct {
		name   string
		config wazero.RuntimeConfig
	}{
		{"compiler", wazero.NewRuntimeConfigCompiler()},
		{"interpreter", wazero.NewRuntimeConfigInterpreter()},
	} {
		t.Run(e.name, func(t *testing.T) {
			r := wazero.NewRuntimeWithConfig(context.Background(), e.config)
			defer r.Close(context.Background())
			f(t, r)
		})
	}
}

// guest is an instance of a forwarder and its run.
type guest struct {
	t   testing.TB
	ctx context.Context
	mod api.Module
}

func newGuest(t testing.TB, r wazero.Runtime, module string, run *Run, config wazero.ModuleConfig) *guest {
	t.Helper()
	ctx := context.Background()
	if r.Module(module) == nil {
		if _, err := Instantiate(ctx, r, module, nil); err != nil {
			t.Fatal(err)
		}
	}
	ctx = WithRun(ctx, run)
	mod, err := r.InstantiateWithConfig(ctx, forwarder(module, all(module), 1), config.WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mod.Close(context.Background()) })
	return &guest{t, ctx, mod}
}

// call calls a function, which must not trap, and returns its error number.
func (g *guest) call(fn string, args ...uint64) uint32 {
	g.t.Helper()
	out, err := g.mod.ExportedFunction(fn).Call(g.ctx, args...)
	if err != nil {
		g.t.Fatalf("%s(%#x): %v", fn, args, err)
	}
	return uint32(out[0])
}

// ok is call for what must succeed.
func (g *guest) ok(fn string, args ...uint64) {
	g.t.Helper()
	if errno := g.call(fn, args...); errno != 0 {
		g.t.Fatalf("%s(%#x) = errno %d, want success", fn, args, errno)
	}
}

// want is call for what must fail with a certain number.
func (g *guest) want(errno uint32, fn string, args ...uint64) {
	g.t.Helper()
	if got := g.call(fn, args...); got != errno {
		g.t.Fatalf("%s(%#x) = errno %d, want %d", fn, args, got, errno)
	}
}

func (g *guest) mem() []byte {
	b, ok := g.mod.Memory().Read(0, g.mod.Memory().Size())
	if !ok {
		g.t.Fatal("no memory")
	}
	return b
}

// put writes s at ptr and returns its two parameters.
func (g *guest) put(ptr uint32, s string) (uint64, uint64) {
	copy(g.mem()[ptr:], s)
	return uint64(ptr), uint64(len(s))
}

func (g *guest) u32(ptr uint32) uint32 {
	n, _ := g.mod.Memory().ReadUint32Le(ptr)
	return n
}

func (g *guest) u64(ptr uint32) uint64 {
	n, _ := g.mod.Memory().ReadUint64Le(ptr)
	return n
}

// fill sets all memory to '?', so that stray writes show.
func (g *guest) fill() { copy(g.mem(), bytes.Repeat([]byte{'?'}, len(g.mem()))) }

// untouched fails if a byte outside [lo, hi) is not '?'.
func (g *guest) untouched(lo, hi uint32) {
	g.t.Helper()
	for i, b := range g.mem() {
		if (uint32(i) < lo || uint32(i) >= hi) && b != '?' {
			g.t.Fatalf("byte %#x outside [%#x, %#x) was changed", i, lo, hi)
		}
	}
}
