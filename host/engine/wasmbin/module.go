package wasmbin

import "strings"

// ValueType is the one-byte encoding of a WebAssembly value type.
type ValueType byte

// The value types of the core specification, version 2.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

// String returns the name of the type in the text format.
func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "unknown"
}

func (t ValueType) isRef() bool { return t == FuncRef || t == ExternRef }

// Kind says what an import or export is.
type Kind byte

// The kinds in their binary encoding.
const (
	KindFunc   Kind = 0
	KindTable  Kind = 1
	KindMemory Kind = 2
	KindGlobal Kind = 3
)

// String returns the name of the kind in the text format.
func (k Kind) String() string {
	switch k {
	case KindFunc:
		return "func"
	case KindTable:
		return "table"
	case KindMemory:
		return "memory"
	case KindGlobal:
		return "global"
	}
	return "unknown"
}

// FuncType is the signature of a function. The slices are views into the
// module and must not be changed.
type FuncType struct {
	Params, Results []ValueType
}

// String returns the signature as "(i32, i64) -> (i32)".
func (t FuncType) String() string {
	list := func(ts []ValueType) string {
		s := make([]string, len(ts))
		for i, v := range ts {
			s[i] = v.String()
		}
		return "(" + strings.Join(s, ", ") + ")"
	}
	return list(t.Params) + " -> " + list(t.Results)
}

func (t FuncType) equal(u FuncType) bool {
	return typesEqual(t.Params, u.Params) && typesEqual(t.Results, u.Results)
}

func typesEqual(a, b []ValueType) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Limits is a size with an optional maximum: pages of 64 KiB for memories,
// entries for tables.
type Limits struct {
	Min, Max uint32
	HasMax   bool
}

// MemoryType describes the memory of a module in pages of 64 KiB.
type MemoryType struct {
	Limits
	// Imported tells that another module provides the memory.
	Imported bool
}

// TableType describes a table.
type TableType struct {
	Limits
	Elem     ValueType
	Imported bool
}

// GlobalType describes a global variable.
type GlobalType struct {
	Type     ValueType
	Mutable  bool
	Imported bool
}

// Import is one entry of the import section. The field that Kind names is set.
type Import struct {
	Module, Name string
	Kind         Kind
	Func         FuncType
	Table        TableType
	Memory       MemoryType
	Global       GlobalType
}

// Export is one entry of the export section; Index counts within its kind,
// imports first. Func is set for functions.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
	Func  FuncType
}

// Custom is a custom section: Data is a view into the module, Offset the
// position of that data in it.
type Custom struct {
	Name   string
	Offset int64
	Data   []byte
}

// span is a half-open range of positions in the module.
type span struct{ start, end int }

// constExpr is a constant expression of one instruction, without its end.
type constExpr struct {
	span
	refFunc bool
	fn      uint32
}

type globalDef struct {
	typ  GlobalType
	init constExpr
}

type elemSegment struct {
	flags  uint32
	table  uint32
	typ    ValueType
	offset constExpr
	funcs  []uint32    // kinds 0 to 3
	exprs  []constExpr // kinds 4 to 7
}

type codeEntry struct {
	locals    span // the declarations, without their count
	groups    uint32
	body      span // the instructions, with the final end
	numLocals uint32
}

// Module is a parsed module. It keeps the bytes it was parsed from, which must
// not change afterwards. Methods are not safe for concurrent use, because the
// analysis of function bodies is done once, when first asked for.
type Module struct {
	raw      []byte
	types    []FuncType
	imports  []Import
	funcs    []uint32 // type index of each function, imports first
	tables   []TableType
	memory   *MemoryType
	globals  []GlobalType
	gdefs    []globalDef
	exports  []Export
	start    *uint32
	elems    []elemSegment
	numData  int
	dataLens []uint32
	dataDecl *uint32 // the data count section
	code     []codeEntry
	customs  []Custom
	declared map[uint32]bool // functions that ref.func may name

	impFuncs, impTables, impGlobals int

	// Payloads that are copied as they are; for the vectors without the count.
	typeItems, importItems, memorySec, dataSec span

	analyzed   bool
	analyzeErr error
	info       []funcInfo
	namesData  bool            // an instruction names a data segment
	bulkUse    int             // which kinds of operand charges and helpers the bodies need, by bit
	inits      map[uint32]bool // data segments that memory.init names
}

// Size returns the length of the module in bytes.
func (m *Module) Size() int { return len(m.raw) }

// Imports lists the imports in their order in the module.
func (m *Module) Imports() []Import { return m.imports }

// Exports lists the exports in their order in the module.
func (m *Module) Exports() []Export { return m.exports }

// Memory returns the module's memory, or nil if it has none.
func (m *Module) Memory() *MemoryType { return m.memory }

// Tables lists the tables, imported ones first.
func (m *Module) Tables() []TableType { return m.tables }

// Globals lists the globals, imported ones first.
func (m *Module) Globals() []GlobalType { return m.globals }

// Customs lists the custom sections in their order in the module.
func (m *Module) Customs() []Custom { return m.customs }

// NumFuncs returns the number of functions, imported ones included.
func (m *Module) NumFuncs() int { return len(m.funcs) }

// NumImportedFuncs returns the number of imported functions.
func (m *Module) NumImportedFuncs() int { return m.impFuncs }

// FuncType returns the signature of the function with the given index
// (imports first), or false when there is none.
func (m *Module) FuncType(i uint32) (FuncType, bool) {
	if uint64(i) >= uint64(len(m.funcs)) {
		return FuncType{}, false
	}
	return m.types[m.funcs[i]], true
}

// Start returns the index of the start function, if the module has one.
func (m *Module) Start() (uint32, bool) {
	if m.start == nil {
		return 0, false
	}
	return *m.start, true
}
