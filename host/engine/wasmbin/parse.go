package wasmbin

import (
	"bytes"
	"fmt"
	"strings"
	"unsafe"
)

const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
	secTag
)

// sectionRank gives the place of each section in the required order.
var sectionRank = [...]int{
	secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secTag: 6, secGlobal: 7,
	secExport: 8, secStart: 9, secElement: 10, secDataCount: 11, secCode: 12, secData: 13,
}

// reservedPrefix begins the names that only instrumented modules carry.
const reservedPrefix = "pxos:"

// Parse reads the sections of a module and checks everything outside function
// bodies (Scan and Instrument check those). Time is linear in len(b) and
// memory is bounded by a small multiple of it. The error is a *FormatError for
// an invalid module and a *RefusedError for a proposal outside the engine.
// The module keeps b.
func Parse(b []byte) (*Module, error) {
	if len(b) < 8 || !bytes.Equal(b[:4], []byte("\x00asm")) {
		return nil, &FormatError{Func: -1, Msg: "not a WebAssembly module: the magic number is missing"}
	}
	if v := b[4:8]; !bytes.Equal(v, []byte{1, 0, 0, 0}) {
		if v[2] == 1 && v[3] == 0 {
			return nil, proposal("component-model", 4, -1)
		}
		return nil, &FormatError{Offset: 4, Func: -1, Msg: fmt.Sprintf("version % x is not 1", v)}
	}
	m := &Module{raw: b, declared: map[uint32]bool{}}
	r := &reader{b: b, pos: 8, end: len(b), fn: -1}
	last := 0
	for r.pos < r.end {
		at := r.pos
		id := r.byte()
		n := r.u32()
		payload := r.pos
		r.bytes(int(n))
		if r.err != nil {
			return nil, r.err
		}
		if int(id) >= len(sectionRank) {
			return nil, &FormatError{Offset: int64(at), Func: -1, Msg: fmt.Sprintf("unknown section %d", id)}
		}
		if id != secCustom {
			if sectionRank[id] <= last {
				return nil, &FormatError{Offset: int64(at), Func: -1, Msg: fmt.Sprintf("section %d is out of order or repeated", id)}
			}
			last = sectionRank[id]
		}
		s := &reader{b: b, pos: payload, end: r.pos, fn: -1}
		m.section(id, s)
		if s.err == nil && s.pos != s.end {
			s.fail(s.pos, "section %d has %d bytes left over", id, s.end-s.pos)
		}
		if s.err != nil {
			return nil, s.err
		}
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Module) section(id byte, r *reader) {
	switch id {
	case secCustom:
		name := r.name()
		m.customs = append(m.customs, Custom{Name: name, Offset: int64(r.pos), Data: r.b[r.pos:r.end:r.end]})
		r.pos = r.end
	case secType:
		m.readTypes(r)
	case secImport:
		m.readImports(r)
	case secFunction:
		n := r.count("functions", 1)
		m.funcs = append(make([]uint32, 0, len(m.funcs)+n), m.funcs...)
		for i := 0; i < n && r.err == nil; i++ {
			m.funcs = append(m.funcs, m.typeIndex(r))
		}
	case secTable:
		n := r.count("tables", 3)
		for i := 0; i < n && r.err == nil; i++ {
			m.tables = append(m.tables, m.tableType(r))
		}
	case secMemory:
		m.memorySec = span{r.pos, r.end}
		n := r.count("memories", 2)
		for i := 0; i < n && r.err == nil; i++ {
			m.addMemory(r, false)
		}
	case secTag:
		r.refuse(proposal("exception-handling", r.pos, -1))
	case secGlobal:
		n := r.count("globals", 4)
		for i := 0; i < n && r.err == nil; i++ {
			g := globalDef{typ: m.globalType(r)}
			g.init = m.constExpr(r, g.typ.Type)
			m.gdefs = append(m.gdefs, g)
			m.globals = append(m.globals, g.typ)
		}
	case secExport:
		m.readExports(r)
	case secStart:
		at := r.pos
		f := r.u32()
		if t, ok := m.FuncType(f); r.err == nil && (!ok || len(t.Params)+len(t.Results) != 0) {
			r.fail(at, "start function %d does not exist or has parameters or results", f)
		}
		m.start = &f
	case secElement:
		n := r.count("element segments", 2)
		for i := 0; i < n && r.err == nil; i++ {
			m.elems = append(m.elems, m.elemSegment(r))
		}
	case secDataCount:
		n := r.u32()
		m.dataDecl = &n
	case secCode:
		m.readCode(r)
	case secData:
		m.readData(r)
	}
}

// check looks at what spans several sections.
func (m *Module) check() error {
	bad := func(format string, args ...any) error {
		return &FormatError{Offset: int64(len(m.raw)), Func: -1, Msg: fmt.Sprintf(format, args...)}
	}
	if have := len(m.funcs) - m.impFuncs; have != len(m.code) {
		return bad("%d functions are declared but %d have a body", have, len(m.code))
	}
	if m.dataDecl != nil && int64(*m.dataDecl) != int64(m.numData) {
		return bad("the data count section says %d segments, there are %d", *m.dataDecl, m.numData)
	}
	return nil
}

func (m *Module) readTypes(r *reader) {
	n := r.count("types", 3)
	m.typeItems = span{r.pos, r.end}
	m.types = make([]FuncType, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		at := r.pos
		switch c := r.byte(); c {
		case 0x60:
		case 0x4e, 0x4f, 0x50, 0x5e, 0x5f:
			r.refuse(proposal("gc", at, -1))
		default:
			r.fail(at, "type form %#x is unknown", c)
		}
		m.types = append(m.types, FuncType{Params: r.valueTypes(), Results: r.valueTypes()})
	}
}

// valueTypes reads a vector of types as a view into the module.
func (r *reader) valueTypes() []ValueType {
	n := r.count("value types", 1)
	at := r.pos
	b := r.bytes(n)
	for i, c := range b {
		if !r.knownType(c, at+i) {
			return nil
		}
	}
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*ValueType)(&b[0]), len(b))
}

// knownType accepts the value types of the core specification, and names the
// proposal that a type of another belongs to.
func (r *reader) knownType(c byte, at int) bool {
	switch ValueType(c) {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef:
		return true
	}
	switch c {
	case 0x63, 0x64:
		r.refuse(proposal("function-references", at, r.fn))
	case 0x69, 0x74:
		r.refuse(proposal("exception-handling", at, r.fn))
	case 0x65, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x71, 0x72, 0x73, 0x77, 0x78:
		r.refuse(proposal("gc", at, r.fn))
	case 0x61, 0x62, 0x66, 0x67:
		r.refuse(proposal("stringref", at, r.fn))
	default:
		r.fail(at, "value type %#x is unknown", c)
	}
	return false
}

func (r *reader) valueType() ValueType {
	at := r.pos
	c := r.byte()
	if r.err == nil {
		r.knownType(c, at)
	}
	return ValueType(c)
}

func (m *Module) typeIndex(r *reader) uint32 {
	at := r.pos
	i := r.u32()
	if r.err == nil && uint64(i) >= uint64(len(m.types)) {
		r.fail(at, "type %d does not exist", i)
		return 0
	}
	return i
}

func (m *Module) readImports(r *reader) {
	n := r.count("imports", 4)
	m.importItems = span{r.pos, r.end}
	for i := 0; i < n && r.err == nil; i++ {
		at := r.pos
		imp := Import{Module: r.name(), Name: r.name()}
		if strings.HasPrefix(imp.Module, reservedPrefix) {
			r.refuse(reserved("import", imp.Module, at))
		}
		at = r.pos
		switch imp.Kind = Kind(r.byte()); imp.Kind {
		case KindFunc:
			t := m.typeIndex(r)
			if r.err != nil {
				return
			}
			m.funcs = append(m.funcs, t)
			m.impFuncs++
			imp.Func = m.types[t]
		case KindTable:
			imp.Table = m.tableType(r)
			imp.Table.Imported = true
			m.tables = append(m.tables, imp.Table)
			m.impTables++
		case KindMemory:
			m.addMemory(r, true)
			if m.memory != nil {
				imp.Memory = *m.memory
			}
		case KindGlobal:
			imp.Global = m.globalType(r)
			imp.Global.Imported = true
			m.globals = append(m.globals, imp.Global)
			m.impGlobals++
		case 4:
			r.refuse(proposal("exception-handling", at, -1))
		default:
			r.fail(at, "import kind %d is unknown", imp.Kind)
		}
		m.imports = append(m.imports, imp)
	}
}

func reserved(what, name string, at int) error {
	return &RefusedError{
		Reason: "reserved-name",
		Detail: fmt.Sprintf("the %s %q uses a name that the host keeps for itself; rename it", what, name),
		Func:   -1, Offset: int64(at),
	}
}

// limits reads the bounds of a table or memory and names the proposals that
// use further flag bits.
func (r *reader) limits() (l Limits) {
	at := r.pos
	flags := r.byte()
	switch {
	case r.err != nil:
		return
	case flags <= 1:
	case flags&^0x0f != 0:
		r.fail(at, "limits flag %#x is unknown", flags)
	case flags&8 != 0:
		r.refuse(proposal("custom-page-sizes", at, -1))
	case flags&4 != 0:
		r.refuse(proposal("memory64", at, -1))
	default:
		r.refuse(proposal("threads", at, -1))
	}
	l.Min = r.u32()
	if flags&1 != 0 {
		l.HasMax = true
		l.Max = r.u32()
		if r.err == nil && l.Max < l.Min {
			r.fail(at, "minimum %d is above the maximum %d", l.Min, l.Max)
		}
	}
	return l
}

func (m *Module) addMemory(r *reader, imported bool) {
	at := r.pos
	t := &MemoryType{Limits: r.limits(), Imported: imported}
	switch {
	case r.err != nil:
	case m.memory != nil:
		r.refuse(proposal("multi-memory", at, -1))
	case t.Min > 1<<16 || t.HasMax && t.Max > 1<<16:
		r.fail(at, "memory of more than 65536 pages")
	default:
		m.memory = t
	}
}

func (m *Module) tableType(r *reader) TableType {
	at := r.pos
	c := r.byte()
	switch {
	case r.err != nil:
		return TableType{}
	case c == 0x40: // a table with an initial value
		r.refuse(proposal("function-references", at, -1))
		return TableType{}
	}
	if r.knownType(c, at) && !ValueType(c).isRef() {
		r.fail(at, "table of %v", ValueType(c))
	}
	return TableType{Elem: ValueType(c), Limits: r.limits()}
}

func (m *Module) globalType(r *reader) GlobalType {
	t := r.valueType()
	at := r.pos
	mut := r.byte()
	if mut > 1 {
		r.fail(at, "mutability %d is neither 0 nor 1", mut)
	}
	return GlobalType{Type: t, Mutable: mut == 1}
}

func (m *Module) readExports(r *reader) {
	n := r.count("exports", 3)
	m.exports = make([]Export, 0, n)
	seen := make(map[string]struct{}, n)
	for i := 0; i < n && r.err == nil; i++ {
		at := r.pos
		e := Export{Name: r.name()}
		if strings.HasPrefix(e.Name, reservedPrefix) {
			r.refuse(reserved("export", e.Name, at))
		}
		if _, dup := seen[e.Name]; dup {
			r.fail(at, "export %q appears twice", e.Name)
		}
		seen[e.Name] = struct{}{}
		at = r.pos
		e.Kind = Kind(r.byte())
		e.Index = r.u32()
		if r.err != nil {
			return
		}
		have := 0
		switch e.Kind {
		case KindFunc:
			have = len(m.funcs)
		case KindTable:
			have = len(m.tables)
		case KindMemory:
			if m.memory != nil {
				have = 1
			}
		case KindGlobal:
			have = len(m.globals)
		case 4:
			r.refuse(proposal("exception-handling", at, -1))
			return
		default:
			r.fail(at, "export kind %d is unknown", e.Kind)
			return
		}
		if uint64(e.Index) >= uint64(have) {
			r.fail(at, "export %q names %s %d, which does not exist", e.Name, e.Kind, e.Index)
			return
		}
		if e.Kind == KindFunc {
			m.declared[e.Index] = true
			e.Func = m.types[m.funcs[e.Index]]
		}
		m.exports = append(m.exports, e)
	}
}

// constExpr reads a constant expression that yields a value of type want. The
// core specification allows one constant instruction before the end.
func (m *Module) constExpr(r *reader, want ValueType) (e constExpr) {
	e.start = r.pos
	var got ValueType
	switch op := r.byte(); op {
	case opI32Const:
		r.sleb(32)
		got = I32
	case opI64Const:
		r.sleb(64)
		got = I64
	case opF32Const:
		r.bytes(4)
		got = F32
	case opF64Const:
		r.bytes(8)
		got = F64
	case opPrefixSIMD:
		if sub := r.u32(); sub != 12 {
			r.fail(e.start, "instruction 0xfd %d is not constant", sub)
		}
		r.bytes(16)
		got = V128
	case opRefNull:
		got = r.refType()
	case opRefFunc:
		e.refFunc = true
		e.fn = m.funcIndex(r)
		m.declared[e.fn] = true
		got = FuncRef
	case opGlobalGet:
		i := r.u32()
		if r.err == nil && (uint64(i) >= uint64(m.impGlobals) || m.globals[i].Mutable) {
			r.fail(e.start, "constant expression reads global %d, which is not an imported constant", i)
			return
		}
		if r.err == nil {
			got = m.globals[i].Type
		}
	case opEnd:
		r.fail(e.start, "constant expression without a value")
	default:
		r.fail(e.start, "instruction %#x is not constant", op)
	}
	e.end = r.pos
	at := r.pos
	switch op := r.byte(); {
	case r.err != nil:
	case op == opI32Add, op == opI32Add+1, op == opI32Add+2, op == opI64Add, op == opI64Add+1, op == opI64Add+2,
		op == opI32Const, op == opI64Const, op == opGlobalGet:
		// A second operand only makes sense for arithmetic on constants.
		r.refuse(proposal("extended-const", at, -1))
	case op != opEnd:
		r.fail(at, "constant expression of more than one instruction")
	case got != want:
		r.fail(e.start, "constant expression yields %v, %v is needed", got, want)
	}
	return e
}

func (r *reader) refType() ValueType {
	at := r.pos
	c := r.byte()
	if r.err == nil && r.knownType(c, at) && !ValueType(c).isRef() {
		r.fail(at, "%v is not a reference type", ValueType(c))
	}
	return ValueType(c)
}

func (m *Module) funcIndex(r *reader) uint32 {
	at := r.pos
	i := r.u32()
	if r.err == nil && uint64(i) >= uint64(len(m.funcs)) {
		r.fail(at, "function %d does not exist", i)
		return 0
	}
	return i
}

func (m *Module) elemSegment(r *reader) (s elemSegment) {
	at := r.pos
	s.flags = r.u32()
	s.typ = FuncRef
	if s.flags > 7 {
		r.fail(at, "element segment kind %d is unknown", s.flags)
		return s
	}
	if s.flags&1 == 0 { // active
		if s.flags&2 != 0 {
			s.table = r.u32()
		}
		if r.err == nil && uint64(s.table) >= uint64(len(m.tables)) {
			r.fail(at, "table %d does not exist", s.table)
			return s
		}
		s.offset = m.constExpr(r, I32)
	}
	if s.flags&3 != 0 { // an element kind or type follows
		if s.flags&4 != 0 {
			s.typ = r.refType()
		} else if k := r.byte(); k != 0 {
			r.fail(r.pos-1, "element kind %d is unknown", k)
		}
	}
	if r.err == nil && s.flags&1 == 0 && m.tables[s.table].Elem != s.typ {
		r.fail(at, "segment of %v for a table of %v", s.typ, m.tables[s.table].Elem)
	}
	if s.flags&4 == 0 {
		n := r.count("elements", 1)
		s.funcs = make([]uint32, 0, n)
		for i := 0; i < n && r.err == nil; i++ {
			f := m.funcIndex(r)
			m.declared[f] = true
			s.funcs = append(s.funcs, f)
		}
		return s
	}
	n := r.count("elements", 3)
	for i := 0; i < n && r.err == nil; i++ {
		s.exprs = append(s.exprs, m.constExpr(r, s.typ))
	}
	return s
}

func (m *Module) readCode(r *reader) {
	n := r.count("function bodies", 3)
	if have := len(m.funcs) - m.impFuncs; r.err == nil && n != have {
		r.fail(r.pos, "%d functions are declared but %d have a body", have, n)
		return
	}
	m.code = make([]codeEntry, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		size := r.u32()
		start := r.pos
		if r.bytes(int(size)); r.err != nil {
			return
		}
		f := &reader{b: r.b, pos: start, end: r.pos, fn: m.impFuncs + i}
		var c codeEntry
		groups := f.count("local declarations", 2)
		c.groups = uint32(groups)
		c.locals.start = f.pos
		sum := uint64(len(m.types[m.funcs[m.impFuncs+i]].Params))
		for j := 0; j < groups && f.err == nil; j++ {
			at := f.pos
			k := f.u32()
			f.valueType()
			if sum += uint64(k); sum > 1<<32-1 {
				f.fail(at, "too many locals")
			}
			c.numLocals += k
		}
		c.locals.end = f.pos
		c.body = span{f.pos, f.end}
		if f.err == nil && (f.pos == f.end || f.b[f.end-1] != opEnd) {
			f.fail(f.end, "function body without an end")
		}
		if f.err != nil {
			r.refuse(f.err)
			return
		}
		m.code = append(m.code, c)
	}
}

func (m *Module) readData(r *reader) {
	m.dataSec = span{r.pos, r.end}
	m.numData = r.count("data segments", 2)
	for i := 0; i < m.numData && r.err == nil; i++ {
		at := r.pos
		flags := r.u32()
		switch {
		case flags > 2:
			r.fail(at, "data segment kind %d is unknown", flags)
		case flags == 1:
		default:
			if flags == 2 {
				if mem := r.u32(); r.err == nil && mem != 0 {
					r.refuse(proposal("multi-memory", at, -1))
				}
			}
			if m.memory == nil {
				r.fail(at, "data segment without a memory")
			}
			m.constExpr(r, I32)
		}
		n := r.u32()
		r.bytes(int(n))
		m.dataLens = append(m.dataLens, n)
	}
}
