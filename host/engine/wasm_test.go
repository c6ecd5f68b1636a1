package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/pxos/pxos/abi"
)

// A small assembler for the modules of these tests.

func uleb(n uint64) []byte { return binary.AppendUvarint(nil, n) }

func cat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func vec(items ...[]byte) []byte { return append(uleb(uint64(len(items))), cat(items...)...) }

func str(s string) []byte { return append(uleb(uint64(len(s))), s...) }

func sec(id byte, body []byte) []byte { return cat([]byte{id}, uleb(uint64(len(body))), body) }

func fn(locals []byte, code ...byte) []byte {
	body := cat(locals, code, []byte{0x0b})
	return cat(uleb(uint64(len(body))), body)
}

var noLocals = []byte{0}

const header = "\x00asm\x01\x00\x00\x00"

// command is a module with one page of memory and a _start with the given code.
func command(code ...byte) []byte {
	return cat([]byte(header), sec(1, vec([]byte{0x60, 0, 0})), sec(3, vec([]byte{0})), sec(5, vec([]byte{0, 1})),
		sec(7, vec(cat(str("_start"), []byte{0, 0}), cat(str("memory"), []byte{2, 0}))), sec(10, vec(fn(noLocals, code...))))
}

// forwarder exports, for each function of a family, a function of the same type that
// calls it.
func forwarder(module string, rows []abi.Function) []byte {
	var types, imports, funcs, exports, codes [][]byte
	for i, r := range rows {
		var params, code []byte
		for j, p := range r.Lower() {
			params = append(params, byte(p))
			code = append(code, 0x20, byte(j))
		}
		code = append(append(code, 0x10), uleb(uint64(i))...)
		types = append(types, cat([]byte{0x60}, uleb(uint64(len(params))), params, []byte{1, 0x7f}))
		imports = append(imports, cat(str(module), str(r.Name), []byte{0}, uleb(uint64(i))))
		funcs = append(funcs, uleb(uint64(i)))
		exports = append(exports, cat(str(r.Name), []byte{0}, uleb(uint64(len(rows)+i))))
		codes = append(codes, fn(noLocals, code...))
	}
	exports = append(exports, cat(str("memory"), []byte{2, 0}))
	return cat([]byte(header), sec(1, vec(types...)), sec(2, vec(imports...)), sec(3, vec(funcs...)), sec(5, vec([]byte{0, 1})),
		sec(7, vec(exports...)), sec(10, vec(codes...)))
}

func source(wasm []byte) Source {
	return Source{Digest: sha256.Sum256(wasm), Read: func() ([]byte, error) { return wasm, nil }}
}

func newEngine(t testing.TB, cfg Config) *Engine {
	t.Helper()
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	return e
}

func load(t testing.TB, e *Engine, wasm []byte) *Module {
	t.Helper()
	m, err := e.Load(context.Background(), source(wasm), abi.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func runWith(t testing.TB, m *Module, change func(*RunConfig)) *abi.RunResult {
	t.Helper()
	cfg := &RunConfig{Program: "test:main", Export: "_start", Argv: []string{"test"}, Limits: abi.DefaultLimits()}
	if change != nil {
		change(cfg)
	}
	res, err := m.Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return res
}
