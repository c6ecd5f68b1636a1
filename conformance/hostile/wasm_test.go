package hostile

import (
	"bytes"
	"encoding/binary"
)

// module is a WebAssembly module under construction: each field holds the encoded
// members of a section. Nothing is checked; that is the point.
type module struct {
	types, imports, funcs, tables, mems, globals, exports, elems, codes, datas [][]byte

	start   int // function index + 1; 0: none
	customs []byte
	imps    int // imported functions
}

// Value types and opcodes, as far as the tests use them.
const (
	i32, i64, f64 = 0x7f, 0x7e, 0x7c
	funcref       = 0x70
	void          = 0x40

	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opI32Store     = 0x36
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opI32Eqz       = 0x45
	opI32Add       = 0x6a
	opI64Const0    = 0x42
	opRefNull      = 0xd0
	opMisc         = 0xfc
)

func uleb(n uint64) []byte { return binary.AppendUvarint(nil, n) }

func sleb(n int64) []byte {
	var out []byte
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func join(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = append(out, byte(p))
		case byte:
			out = append(out, p)
		case string:
			out = append(append(out, uleb(uint64(len(p)))...), p...)
		case []byte:
			out = append(out, p...)
		}
	}
	return out
}

func vec(items [][]byte) []byte {
	return append(uleb(uint64(len(items))), bytes.Join(items, nil)...)
}

// typ adds a function type and returns its index.
func (m *module) typ(params, results []byte) int {
	m.types = append(m.types, join(0x60, string(params), string(results)))
	return len(m.types) - 1
}

// imp imports a function. All imports come before the first fn.
func (m *module) imp(mod, name string, typ int) int {
	m.imports = append(m.imports, join(mod, name, 0x00, uleb(uint64(typ))))
	m.imps++
	return m.imps - 1
}

// fn adds a function whose body is code; locals are its local declarations, encoded.
func (m *module) fn(typ int, locals [][]byte, code []byte) int {
	m.funcs = append(m.funcs, uleb(uint64(typ)))
	body := join(vec(locals), code, opEnd)
	m.codes = append(m.codes, join(uleb(uint64(len(body))), body))
	return m.imps + len(m.funcs) - 1
}

func (m *module) export(name string, fn int) *module {
	m.exports = append(m.exports, join(name, 0x00, uleb(uint64(fn))))
	return m
}

// memory adds a memory of min pages, exported as WASI wants it.
func (m *module) memory(min uint64) *module {
	m.mems = append(m.mems, join(0x00, uleb(min)))
	m.exports = append(m.exports, join("memory", 0x02, 0x00))
	return m
}

// table adds a table of min functions.
func (m *module) table(min uint64) *module {
	m.tables = append(m.tables, join(funcref, 0x00, uleb(min)))
	return m
}

// elem puts functions at the beginning of table 0.
func (m *module) elem(fns ...int) *module {
	list := make([][]byte, len(fns))
	for i, f := range fns {
		list[i] = uleb(uint64(f))
	}
	m.elems = append(m.elems, join(0x00, opI32Const, 0x00, opEnd, vec(list)))
	return m
}

// data puts bytes into memory.
func (m *module) data(offset int64, b []byte) *module {
	m.datas = append(m.datas, join(0x00, opI32Const, sleb(int64(int32(offset))), opEnd, string(b)))
	return m
}

func section(id byte, content []byte) []byte {
	return join(id, uleb(uint64(len(content))), content)
}

// bytes encodes the module.
func (m *module) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id    byte
		items [][]byte
	}{{1, m.types}, {2, m.imports}, {3, m.funcs}, {4, m.tables}, {5, m.mems}, {6, m.globals}, {7, m.exports}} {
		if len(s.items) > 0 {
			out = append(out, section(s.id, vec(s.items))...)
		}
	}
	if m.start > 0 {
		out = append(out, section(8, uleb(uint64(m.start-1)))...)
	}
	for _, s := range []struct {
		id    byte
		items [][]byte
	}{{9, m.elems}, {10, m.codes}, {11, m.datas}} {
		if len(s.items) > 0 {
			out = append(out, section(s.id, vec(s.items))...)
		}
	}
	return append(out, m.customs...)
}

// command is a module whose exported _start is code, with one page of memory.
func command(locals [][]byte, code []byte) *module {
	m := &module{}
	v := m.typ(nil, nil)
	return m.memory(1).export("_start", m.fn(v, locals, code))
}

func konst(n int64) []byte   { return join(opI32Const, sleb(int64(int32(n)))) }
func konst64(n int64) []byte { return join(opI64Const, sleb(n)) }
func call(fn int) []byte     { return join(opCall, uleb(uint64(fn))) }
func loop(body ...any) []byte {
	return join(opLoop, void, join(body...), opBr, 0x00, opEnd)
}
func misc(op uint64, rest ...any) []byte { return join(opMisc, uleb(op), join(rest...)) }

// repeat is n copies of b.
func repeat(n int, b ...byte) []byte { return bytes.Repeat(b, n) }
