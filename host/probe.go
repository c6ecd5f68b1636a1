package host

import (
	"context"

	"github.com/pxos/pxos/host/builder"
)

// The probes are tiny WebAssembly modules that the host runs to see whether its own
// sandbox does what Genesis asks for. They are put together here rather than kept as
// bytes, so that what they do can be read.
// probeResult returns 42 as its JSON result.
func probeResult() []byte {
	return probeModule(
		[]probeImport{{"pxos", "result", 2}},
		"42",
		// result(ptr 0, len 2)
		[]byte{0x41, 0, 0x41, 2, 0x10, 0, 0x1a},
	)
}

// probeLoop never ends.
func probeLoop() []byte { return probeModule(nil, "", []byte{0x03, 0x40, 0x0c, 0, 0x0b}) }

// probeEscape opens a file outside its archive and returns 100 plus WASI's error
// number.
func probeEscape() []byte {
	return probeModule(
		[]probeImport{{"pxos", "result", 2}, {"wasi_snapshot_preview1", "path_open", -1}},
		"1??\x00../../../../../../../../etc/passwd",
		concat(
			// local0 = path_open(dirfd 3, 0, path 4, len 34, 0, read 2, 0, 0, out 64)
			[]byte{0x41, 3, 0x41, 0, 0x41, 4, 0x41, 34, 0x41, 0, 0x42, 2, 0x42, 0, 0x41, 0, 0x41, 0xc0, 0x00, 0x10, 1, 0x21, 0},
			// mem[1] = '0' + local0/10; mem[2] = '0' + local0%10
			[]byte{0x41, 1, 0x20, 0, 0x41, 10, 0x6e, 0x41, 48, 0x6a, 0x3a, 0, 0},
			[]byte{0x41, 2, 0x20, 0, 0x41, 10, 0x70, 0x41, 48, 0x6a, 0x3a, 0, 0},
			[]byte{0x41, 0, 0x41, 3, 0x10, 0, 0x1a},
		),
	)
}

type probeImport struct {
	module, name string
	i32s         int // that many i32 parameters; -1: the type of path_open
}

// probeModule assembles a command with one page of memory that begins with data and a
// _start function with one i32 local and the given code.
func probeModule(imports []probeImport, data string, code []byte) []byte {
	types := [][]byte{{0x60, 0, 0}}
	var imps, funcs [][]byte
	for i, imp := range imports {
		params := make([]byte, max(imp.i32s, 0))
		for j := range params {
			params[j] = 0x7f
		}
		if imp.i32s < 0 {
			params = []byte{0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7e, 0x7e, 0x7f, 0x7f}
		}
		types = append(types, concat([]byte{0x60, byte(len(params))}, params, []byte{1, 0x7f}))
		imps = append(imps, concat(probeName(imp.module), probeName(imp.name), []byte{0, byte(i + 1)}))
	}
	funcs = append(funcs, []byte{0})
	body := concat([]byte{1, 1, 0x7f}, code, []byte{0x0b})
	return concat([]byte("\x00asm\x01\x00\x00\x00"),
		probeSection(1, types...),
		probeSection(2, imps...),
		probeSection(3, funcs...),
		probeSection(5, []byte{0, 1}),
		probeSection(7, concat(probeName("memory"), []byte{2, 0}), concat(probeName("_start"), []byte{0, byte(len(imports))})),
		probeSection(10, concat([]byte{byte(len(body))}, body)),
		probeSection(11, concat([]byte{0, 0x41, 0, 0x0b}, probeName(data))),
	)
}

// probeSection encodes a section; probes are small enough that every number is one
// byte, two for the section's length.
func probeSection(id byte, items ...[]byte) []byte {
	body := concat(append([][]byte{{byte(len(items))}}, items...)...)
	return concat([]byte{id, byte(len(body)&0x7f | 0x80), byte(len(body) >> 7)}, body)
}

func probeName(s string) []byte { return append([]byte{byte(len(s))}, s...) }

func concat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// probeCartridge packs a probe.
func probeCartridge(ctx context.Context, name string, wasm []byte) ([]byte, error) {
	return builder.WrapWasm(ctx, name+".wasm", wasm)
}
