package wasmbin

// A tiny assembler for test modules: sections in order, functions as bytes.

type testFunc struct {
	typ    FuncType
	locals []byte // encoded declarations without the count
	groups int
	body   []byte // without the final end
	export string
}

type testModule struct {
	imports  [][]byte // encoded entries
	impTypes []FuncType
	funcs    []testFunc
	types    []FuncType // further types, behind those of imports and functions
	tables   [][]byte   // encoded table types
	memory   []byte     // encoded limits
	globals  [][]byte   // encoded type and initial value
	exports  [][]byte   // encoded further exports
	start    int        // function index + 1
	elems    [][]byte
	dataN    int
	datas    [][]byte
	customs  [][]byte
}

// cat joins bytes, ints (as one byte), strings (as names) and byte slices.
func cat(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case ValueType:
			b = append(b, byte(p))
		case string:
			b = appendName(b, p)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func leb(v int) []byte  { return appendU32(nil, uint32(v)) }
func sleb(v int) []byte { return appendS64(nil, int64(v)) }

// repeat returns n copies of b.
func repeat(n int, b []byte) []byte {
	out := make([]byte, 0, n*len(b))
	for range n {
		out = append(out, b...)
	}
	return out
}

func vec(items [][]byte) []byte {
	b := leb(len(items))
	for _, i := range items {
		b = append(b, i...)
	}
	return b
}

func encodeType(t FuncType) []byte {
	b := append([]byte{0x60}, leb(len(t.Params))...)
	for _, v := range t.Params {
		b = append(b, byte(v))
	}
	b = append(b, leb(len(t.Results))...)
	for _, v := range t.Results {
		b = append(b, byte(v))
	}
	return b
}

// sig1 makes a signature from letters: "ii:l" is (i32, i32) -> (i64).
func sig1(s string) FuncType {
	var t FuncType
	to := &t.Params
	for i := range s {
		if s[i] == ':' {
			to = &t.Results
			continue
		}
		v := letter(s[i])
		switch s[i] {
		case 'r':
			v = FuncRef
		case 'x':
			v = ExternRef
		}
		*to = append(*to, v)
	}
	return t
}

func (m *testModule) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	sec := func(id byte, items [][]byte) {
		if len(items) > 0 {
			out = appendSection(out, id, vec(items))
		}
	}
	var types, decls, exports, code [][]byte
	seen := map[string]int{} // functions of one type share it
	for _, t := range m.impTypes {
		types = append(types, encodeType(t))
	}
	for i, f := range m.funcs {
		k := typeKey(f.typ)
		if _, ok := seen[k]; !ok {
			seen[k] = len(types)
			types = append(types, encodeType(f.typ))
		}
		decls = append(decls, leb(seen[k]))
		if f.export != "" {
			exports = append(exports, cat(f.export, 0, leb(len(m.impTypes)+i)))
		}
		body := cat(leb(f.groups), f.locals, f.body, opEnd)
		code = append(code, cat(leb(len(body)), body))
	}
	for _, t := range m.types {
		types = append(types, encodeType(t))
	}
	sec(secType, types)
	sec(secImport, m.imports)
	sec(secFunction, decls)
	sec(secTable, m.tables)
	if m.memory != nil {
		sec(secMemory, [][]byte{m.memory})
	}
	sec(secGlobal, m.globals)
	sec(secExport, append(exports, m.exports...))
	if m.start > 0 {
		out = appendSection(out, secStart, leb(m.start-1))
	}
	sec(secElement, m.elems)
	if m.dataN > 0 {
		out = appendSection(out, secDataCount, leb(m.dataN))
	}
	sec(secCode, code)
	sec(secData, m.datas)
	for _, c := range m.customs {
		out = appendSection(out, secCustom, c)
	}
	return out
}

// single makes a module of one exported function "run" with a memory page.
func single(typ string, groups int, locals, body []byte) *testModule {
	return &testModule{
		memory: cat(1, 1, 16),
		funcs:  []testFunc{{typ: sig1(typ), groups: groups, locals: locals, body: body, export: "run"}},
	}
}
