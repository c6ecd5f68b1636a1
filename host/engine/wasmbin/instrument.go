package wasmbin

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// Options are the choices of one instrumentation.
type Options struct {
	// TableLimit bounds the entries of all tables of the module together, now
	// and after any growth. Imported tables count with their minimum; their
	// growth is bounded by the module that defines them. 0 means no bound.
	TableLimit uint32

	chunk uint32 // bytes a memory instruction moves at once; 0 means bulkChunk
}

// Output is an instrumented module.
type Output struct {
	// Wasm is the module to compile.
	Wasm []byte
	// Twin is Wasm with every function body replaced by a bare unreachable and
	// a custom section that carries the digest of Wasm. An engine that pairs it
	// with machine code compiled from Wasm decodes and validates it at once.
	Twin []byte
	// Seal is what SealExport returns: the first eight bytes, little endian, of
	// the SHA-256 of Wasm with its seal set to zero. Calling it tells whether
	// the machine code in use was compiled from Wasm or from Twin, where the
	// call traps.
	Seal uint64
	// HasStart says that StartExport exists.
	HasStart bool
	// TableEntries is the number of entries of all tables at the start.
	TableEntries uint64

	impFuncs, numFuncs uint32
}

// OriginalFunc translates a function index of the instrumented module to the
// original one; false for the functions that Instrument added.
func (o *Output) OriginalFunc(i uint32) (uint32, bool) {
	return originalFunc(i, o.impFuncs, o.numFuncs)
}

// OriginalFunc translates a function index of the module that Instrument makes
// from m to the index in m; false for the functions that Instrument added.
func (m *Module) OriginalFunc(i uint32) (uint32, bool) {
	return originalFunc(i, uint32(m.impFuncs), uint32(len(m.funcs)))
}

func originalFunc(i, impFuncs, numFuncs uint32) (uint32, bool) {
	switch {
	case i < impFuncs:
		return i, true
	case i > impFuncs && i <= numFuncs:
		return i - 1, true
	}
	return 0, false
}

// instrumenter holds what is fixed for one module while it is rewritten.
type instrumenter struct {
	m     *Module
	types map[string]uint32
	added []FuncType // types appended to the type section

	refill, slow, seal, start uint32 // function indices in the output
	charges                   [numCharges]uint32
	bulk                      bulkHelpers
	chunk                     uint32
	meter                     uint32 // global index
	helpers                   []helper

	out    []byte
	ctrl   []int // output labels of the open blocks of the function under work
	sealAt int   // where the constant of the seal helper is in the code section
}

type helper struct {
	typ  uint32
	body []byte
}

// Instrument rewrites a module so that it counts fuel and stack in an exported
// global and asks the host when either runs out; FUEL.md specifies the result.
//
// The original is validated first, by the algorithm of the core specification
// and against its own index spaces, and only a valid module is rewritten. Each
// rewriting step is well typed on a well-typed module, so that nothing invalid
// can become valid on the way: the added code leaves the operand stack as it
// found it; branches are renumbered from labels that were resolved in the
// original; the wrapped copies of a loop have the loop's own type; and added
// functions, globals and types have indices that no instruction of the
// original can name, because all of those were checked against the original
// counts. Exports are not added for original functions (the start function is
// called by a new one), so that ref.func reaches the same functions as before.
//
// The error is a *FormatError or a *RefusedError. Scan should come first.
func Instrument(m *Module, o Options) (*Output, error) {
	if err := m.analyze(); err != nil {
		return nil, err
	}
	tables, entries, err := m.limitTables(o.TableLimit)
	if err != nil {
		return nil, err
	}
	if uint64(len(m.funcs))+1<<17 > math.MaxInt32 || len(m.globals)+1 > math.MaxInt32 {
		return nil, &RefusedError{Reason: "functions", Detail: "too many functions or globals", Func: -1, Offset: -1}
	}
	in := &instrumenter{m: m, types: map[string]uint32{}, chunk: cmp.Or(o.chunk, bulkChunk)}
	for i, t := range m.types {
		if k := typeKey(t); in.types[k] == 0 {
			in.types[k] = uint32(i) + 1
		}
	}
	in.layout()
	in.out = make([]byte, 0, len(m.raw)+len(m.raw)/3+1024)
	in.out = append(in.out, "\x00asm\x01\x00\x00\x00"...)

	// The code is written first, since it may add types, and put in its place.
	code, err := in.code()
	if err != nil {
		return nil, err
	}
	in.typeSection()
	in.importSection()
	in.functionSection()
	in.tableSection(tables)
	in.section(secMemory, m.raw[m.memorySec.start:m.memorySec.end])
	in.globalSection()
	in.exportSection()
	in.elementSection()
	data, segments := m.dataPayload()
	if m.dataDecl != nil {
		in.section(secDataCount, appendU32(nil, uint32(segments)))
	}
	twin := append([]byte(nil), in.out...)
	in.section(secCode, code)
	codeStart := len(in.out) - len(code)
	in.section(secData, data)

	digest := sha256.Sum256(in.out)
	seal := binary.LittleEndian.Uint64(digest[:8])
	copy(in.out[codeStart+in.sealAt:], padded64(seal))
	digest = sha256.Sum256(in.out)

	twin = appendSection(twin, secCode, in.twinCode())
	twin = appendSection(twin, secData, data)
	twin = appendSection(twin, secCustom, append(appendName(nil, "pxos:twin"), digest[:]...))
	return &Output{
		Wasm: in.out, Twin: twin, Seal: seal, HasStart: m.start != nil, TableEntries: entries,
		impFuncs: uint32(m.impFuncs), numFuncs: uint32(len(m.funcs)),
	}, nil
}

func typeKey(t FuncType) string {
	b := make([]byte, 0, len(t.Params)+len(t.Results)+1)
	for _, v := range t.Params {
		b = append(b, byte(v))
	}
	b = append(b, 0)
	for _, v := range t.Results {
		b = append(b, byte(v))
	}
	return string(b)
}

// typ returns the index of a type, adding it if the module has none like it.
func (in *instrumenter) typ(t FuncType) uint32 {
	k := typeKey(t)
	i := in.types[k]
	if i == 0 {
		in.added = append(in.added, t)
		i = uint32(len(in.m.types) + len(in.added))
		in.types[k] = i
	}
	return i - 1
}

// fn maps a function index of the original to the output: the new import comes
// after the original ones, so that only functions with a body move.
func (in *instrumenter) fn(i uint32) uint32 {
	if i >= uint32(in.m.impFuncs) {
		return i + 1
	}
	return i
}

// layout assigns the indices of everything that is added.
func (in *instrumenter) layout() {
	m := in.m
	in.refill = uint32(m.impFuncs)
	in.meter = uint32(len(m.globals))
	next := uint32(len(m.funcs)) + 1
	add := func(t FuncType, body []byte) uint32 {
		in.helpers = append(in.helpers, helper{in.typ(t), body})
		next++
		return next - 1
	}
	i32, i64 := []ValueType{I32}, []ValueType{I64}

	in.slow = next
	b := appendU32([]byte{0, opGlobalGet}, in.meter)
	b = appendU32(append(b, opCall), in.refill)
	b = appendU32(append(b, opGlobalSet), in.meter)
	add(FuncType{}, append(b, opEnd))

	in.seal = add(FuncType{Results: i64}, append(append([]byte{0, opI64Const}, padded64(0)...), opEnd))
	if m.start != nil {
		b := appendU32([]byte{0, opCall}, in.fn(*m.start))
		in.start = add(FuncType{}, append(b, opEnd))
	}
	for kind := range in.charges {
		if m.bulkUse&(1<<kind) != 0 {
			in.charges[kind] = add(FuncType{Params: i32, Results: i32}, in.chargeBody(kind))
		}
	}
	in.bulkLayout(add)
}

// chargeBody makes a helper (n i32) -> n that charges for n and calls the slow
// path when that empties the meter, so that the work is paid before it starts.
func (in *instrumenter) chargeBody(kind int) []byte {
	b := appendU32([]byte{0, opGlobalGet}, in.meter)
	b = append(b, opLocalGet, 0)
	if kind == chargePages {
		// n above 65536 fails at once, whatever the memory; select the smaller.
		b = appendS64(append(b, opI32Const), 1<<16)
		b = append(b, opLocalGet, 0)
		b = appendS64(append(b, opI32Const), 1<<16)
		b = append(b, 0x49, opSelect) // i32.lt_u
	}
	b = append(b, opI64ExtendU)
	switch kind {
	case chargeMemory:
		b = append(b, opI64Const, 5, opI64ShrU, opI64Const, 1, opI64Add)
	case chargeTable:
		b = append(b, opI64Const, 1, opI64Add)
	case chargePages:
		b = append(appendS64(append(b, opI64Const), pageFuel), opI64Mul)
	}
	b = append(b, opI64Const, stackBits, opI64Shl, opI64Sub)
	b = appendU32(append(b, opGlobalSet), in.meter)
	b = in.appendCheck(b)
	return append(b, opLocalGet, 0, opEnd)
}

// appendCheck calls the slow path when the fuel of the meter is used up.
func (in *instrumenter) appendCheck(b []byte) []byte {
	b = appendU32(append(b, opGlobalGet), in.meter)
	b = append(b, opI64Const, 0, opI64LtS, opIf, 0x40)
	b = appendU32(append(b, opCall), in.slow)
	return append(b, opEnd)
}

// appendCharge subtracts from the meter global without a test.
func (in *instrumenter) appendCharge(b []byte, fuel uint32, stack uint64) []byte {
	b = appendU32(append(b, opGlobalGet), in.meter)
	b = appendS64(append(b, opI64Const), int64(fuel)<<stackBits+int64(stack))
	b = append(b, opI64Sub)
	return appendU32(append(b, opGlobalSet), in.meter)
}

// padded64 writes a number in exactly ten bytes, so that it can be replaced
// without moving anything.
func padded64(v uint64) []byte {
	b := make([]byte, 10)
	for i := range 9 {
		b[i] = byte(v>>(7*i))&0x7f | 0x80
	}
	if b[9] = byte(v>>63) & 1; b[9] == 1 {
		b[9] = 0x7f
	}
	return b
}
