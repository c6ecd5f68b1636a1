package wasmbin

import "fmt"

// ScanLimits bounds what a module may ask of the compiler. WASMBIN.md has the
// measurements behind the defaults. All fields must be set.
type ScanLimits struct {
	// Counts in one module.
	Functions, Types, Imports, Exports, Globals, Tables int
	// Segments bounds element and data segments each, Elements the entries of
	// all element segments.
	Segments, Elements int
	// Values bounds the parameters of a signature, and its results.
	Values int
	// Locals bounds the locals of a function, parameters included. All
	// functions together may have LocalsBase and one for each byte of the
	// module.
	Locals, LocalsBase int
	// BranchTable bounds the entries of the br_table instructions of a function.
	BranchTable int
	// Depth bounds the blocks that are open at once.
	Depth int
	// FunctionMemory bounds the estimated memory for compiling a function, in
	// bytes. The compiler reuses it from one function to the next.
	FunctionMemory int64
	// CompileBase and CompilePerByte bound the estimated time for compiling a
	// module of n bytes to CompileBase + n*CompilePerByte nanoseconds on one
	// core of the machine that the estimate was fitted on.
	CompileBase, CompilePerByte int64
}

// DefaultScanLimits returns limits that real programs stay well below.
func DefaultScanLimits() ScanLimits {
	return ScanLimits{
		Functions: 500_000, Types: 100_000, Imports: 100_000, Exports: 100_000, Globals: 500_000, Tables: 1000,
		Segments: 100_000, Elements: 5_000_000,
		Values: 1000, Locals: 50_000, LocalsBase: 1_000_000,
		BranchTable: 65_520, Depth: 60_000,
		FunctionMemory: 2 << 30,
		CompileBase:    3e9, CompilePerByte: 4000,
	}
}

// Scan checks a module, function bodies included, and refuses it when its
// shape would make the compiler take far more time or memory than its size
// accounts for. The error is a *RefusedError, whose Reason names the limit, or
// a *FormatError if a body is not valid. Time is linear in the size.
func Scan(m *Module, l ScanLimits) error {
	if err := m.scanCounts(l); err != nil {
		return err
	}
	if err := m.analyze(); err != nil {
		return err
	}
	return m.scanWork(l)
}

func over(reason, what string, fn int, value, limit int64) error {
	return &RefusedError{Reason: reason, Detail: what, Func: fn, Offset: -1, Limit: limit, Value: value}
}

func (m *Module) scanCounts(l ScanLimits) error {
	elements := 0
	for i := range m.elems {
		elements += len(m.elems[i].funcs) + len(m.elems[i].exprs)
	}
	for _, c := range []struct {
		reason, what string
		n, limit     int
	}{
		{"functions", "too many functions", len(m.funcs), l.Functions},
		{"types", "too many types", len(m.types), l.Types},
		{"imports", "too many imports", len(m.imports), l.Imports},
		{"exports", "too many exports", len(m.exports), l.Exports},
		{"globals", "too many globals", len(m.globals), l.Globals},
		{"tables", "too many tables", len(m.tables), l.Tables},
		{"segments", "too many element segments", len(m.elems), l.Segments},
		{"segments", "too many data segments", m.numData, l.Segments},
		{"elements", "too many table elements", elements, l.Elements},
	} {
		if c.n > c.limit {
			return over(c.reason, c.what, -1, int64(c.n), int64(c.limit))
		}
	}
	for i, t := range m.types {
		if n := max(len(t.Params), len(t.Results)); n > l.Values {
			return over("signature", fmt.Sprintf("type %d has too many parameters or results", i), -1, int64(n), int64(l.Values))
		}
	}
	total, limit := int64(0), int64(l.LocalsBase)+int64(len(m.raw))
	for i := range m.code {
		n := int64(m.code[i].numLocals) + int64(len(m.types[m.funcs[m.impFuncs+i]].Params))
		if n > int64(l.Locals) {
			return over("locals", "too many locals", m.impFuncs+i, n, int64(l.Locals))
		}
		if total += n; total > limit {
			return over("locals", "too many locals in all functions", -1, total, limit)
		}
	}
	return nil
}

// Times of the estimate in nanoseconds; see WASMBIN.md.
const (
	nanosPerWeight  = 2 // for each byte
	nanosPerDom     = 20
	nanosPerFind    = 120
	nanosPerCarry   = 1000
	nanosPerBlock   = 6000
	nanosPerPhiTurn = 400 // for each carried local and level of loops
	nanosPerFunc    = 8000
	nanosPerType    = 8000
)

// estimate returns the memory that compiling a function takes, in bytes, and
// the parts of the time, in nanoseconds.
func (f *funcInfo) estimate() (memory, linear, control, carry, table float64) {
	w := &f.work
	weight := float64(w.weight) + weightPlain*float64(f.ops)
	memory = weight + weightBlock*float64(w.blocks) + weightCarry*float64(w.carried)
	linear = nanosPerFunc + nanosPerWeight*weight + nanosPerBlock*float64(w.blocks)
	control = nanosPerDom*float64(w.doms) + nanosPerFind*float64(w.finds)
	carry = float64(w.carried) * (nanosPerCarry + nanosPerPhiTurn*float64(f.loopsIn))
	table = 0.8 * float64(w.targets) * float64(w.targets)
	return memory, linear, control, carry, table
}

func (m *Module) scanWork(l ScanLimits) error {
	limit := float64(l.CompileBase) + float64(l.CompilePerByte)*float64(len(m.raw))
	total := nanosPerType * float64(len(m.types))
	for i := range m.info {
		f, fn := &m.info[i], m.impFuncs+i
		if n := int64(f.depth); n > int64(l.Depth) {
			return over("nested-blocks", "the blocks of the function are nested too deeply", fn, n, int64(l.Depth))
		}
		if n := int64(f.work.targets); n > int64(l.BranchTable) {
			return over("br-table", "the branch tables of the function have too many entries", fn, n, int64(l.BranchTable))
		}
		memory, linear, control, carry, table := f.estimate()
		if memory > float64(l.FunctionMemory) {
			return over("function-size", "compiling the function would take too much memory (bytes, estimated); split it",
				fn, int64(memory), l.FunctionMemory)
		}
		if total += linear + control + carry + table; total <= limit {
			continue
		}
		// Name what weighs most in the function that was one too many.
		reason, what := "module-size", "compiling the module would take too long"
		switch top := max(linear, control, carry, table); {
		case top == linear:
		case top == table:
			reason, what = "br-table", "compiling the branch tables of the function would take too long"
		case top == carry && f.loopsIn > 64:
			reason, what = "nested-loops", "compiling the nested loops of the function would take too long"
		case top == carry:
			reason, what = "locals-in-blocks", "compiling so many locals across so many blocks would take too long"
		case f.depth > 512:
			reason, what = "nested-blocks", "compiling the nested blocks of the function would take too long"
		default:
			reason, what = "block-chain", "compiling so many branches in one function would take too long"
		}
		return over(reason, what+" (milliseconds, estimated)", fn, int64(total/1e6), int64(limit/1e6))
	}
	return nil
}
