package wasmbin

import "sort"

// loopInfo describes one loop of a function body, in order of appearance.
type loopInfo struct {
	charge uint32 // instructions in the loop outside loops nested in it
	calls  bool   // something in it may reach a call
	nested bool   // holds another loop
}

// funcInfo is what the analysis of a function body found. The counts feed the
// charges of Instrument and the limits of Scan.
type funcInfo struct {
	loops   []loopInfo
	charge  uint32 // instructions outside loops
	ops     uint32 // all instructions but end and else
	height  uint32 // most operands on the stack at once
	depth   uint32 // most blocks open at once
	loopsIn uint32 // most loops open at once
	work    compilerWork
	calls   bool // calls a function
	returns bool // leaves other than by falling off its end
}

// frame is an open block of the function body under analysis.
type frame struct {
	op          byte
	start, end  []ValueType
	height      int
	loop        int32 // innermost loop around the inside of the block, or -1
	unreachable bool
	flow        flow
}

// analyzer checks the bodies of one module. The checks are the validation
// algorithm of the core specification (version 2, appendix), so that a body
// which passes is well typed; Instrument depends on that.
type analyzer struct {
	m      *Module
	r      reader
	vals   []ValueType
	frames []frame
	info   *funcInfo
	typ    FuncType

	localEnds  []uint32 // running ends of the groups of locals, parameters first
	localTypes []ValueType
	small      []ValueType // types of the first locals, expanded
	one        [256][1]ValueType

	moved, budget int // operands moved by signatures, and how many are allowed

	at        place
	joins     uint32   // edges into blocks with several predecessors so far
	touched   []uint32 // per local: joins when it was last read or written
	loopsOpen uint32
}

// expandedLocals is how many locals have their type looked up directly; the
// rest take a binary search, so that a few bytes that declare millions of
// locals do not become millions of entries.
const expandedLocals = 4096

// analyze checks all function bodies once and keeps what it found.
func (m *Module) analyze() error {
	if m.analyzed {
		return m.analyzeErr
	}
	m.analyzed = true
	a := &analyzer{m: m}
	for i := range a.one {
		a.one[i][0] = ValueType(i)
	}
	m.info = make([]funcInfo, len(m.code))
	for i := range m.code {
		if m.analyzeErr = a.function(i); m.analyzeErr != nil {
			m.info = nil
			break
		}
	}
	return m.analyzeErr
}

// fuelFor returns the charge for a stretch of n instructions of which an unknown part
// is executed. In a small loop nearly all of them are; a large body is a switch, of
// which one way is taken at a time: Go compiles a whole function into one loop around
// a dispatch, and so is the heart of every interpreter. So instructions beyond the
// first few count little. They still count, which bounds the work that a unit of fuel
// can stand for: at most largeBody instructions.
func fuelFor(n uint32) uint32 {
	if n <= smallBody {
		return n
	}
	return smallBody + (n-smallBody+largeBody-1)/largeBody
}

const (
	smallBody = 32
	largeBody = 128
)

func (a *analyzer) function(i int) error {
	m, c := a.m, &a.m.code[i]
	a.typ = m.types[m.funcs[m.impFuncs+i]]
	a.info = &m.info[i]
	a.r = reader{b: m.raw, pos: c.body.start, end: c.body.end, fn: m.impFuncs + i}
	a.moved, a.budget = 0, 4096+64*(c.body.end-c.body.start)
	a.locals(c)
	a.startFlow()
	a.vals = a.vals[:0]
	a.frames = append(a.frames[:0], frame{op: opBlock, end: a.typ.Results, loop: -1})
	var loops []loopInfo
	for len(a.frames) > 0 && a.r.err == nil {
		at := a.r.pos
		op := a.r.byte()
		if a.r.err != nil {
			break
		}
		if op != opEnd && op != opElse {
			a.info.ops++
			if l := a.frames[len(a.frames)-1].loop; l >= 0 {
				loops[l].charge++
			} else {
				a.info.charge++
			}
		}
		s := &sigs[op]
		switch s.imm {
		case immNone:
			if isDivision(op) {
				a.weigh(weightMemory)
			}
			a.apply(s)
		case immMem:
			a.weigh(weightMemory)
			a.memArg(s, at)
			a.apply(s)
		case immBad:
			a.unknown(op, at)
		default:
			loops = a.special(op, at, loops)
		}
	}
	if a.r.err == nil && a.r.pos != a.r.end {
		a.r.fail(a.r.pos, "instructions after the end of the function")
	}
	for l := range loops {
		loops[l].charge = fuelFor(loops[l].charge)
	}
	a.info.charge = fuelFor(a.info.charge)
	a.info.loops = loops
	return a.r.err
}

// isDivision tells whether an instruction may trap on its operands: division,
// remainder, and conversion from floating point.
func isDivision(op byte) bool {
	return op >= 0x6d && op <= 0x70 || op >= 0x7f && op <= 0x82 || op >= 0xa8 && op <= 0xab || op >= 0xae && op <= 0xb1
}

func (a *analyzer) unknown(op byte, at int) {
	name := ""
	switch {
	case op >= 0x06 && op <= 0x0a || op == 0x18 || op == 0x19 || op == 0x1f:
		name = "exception-handling"
	case op == 0x12 || op == 0x13:
		name = "tail-call"
	case op == 0x14 || op == 0x15 || op >= 0xd3 && op <= 0xd6:
		name = "function-references"
	case op >= 0xe0 && op <= 0xe6:
		name = "stack-switching"
	case op == opPrefixGC:
		name = "gc"
		if a.r.pos < a.r.end && a.r.b[a.r.pos] >= 0x80 {
			name = "stringref"
		}
	case op == opPrefixAtomic:
		name = "threads"
	default:
		a.r.fail(at, "instruction %#x is unknown", op)
		return
	}
	a.r.refuse(proposal(name, at, a.r.fn))
}

func (a *analyzer) locals(c *codeEntry) {
	a.localEnds, a.localTypes, a.small = a.localEnds[:0], a.localTypes[:0], a.small[:0]
	n := uint32(0)
	add := func(k uint32, t ValueType) {
		if k == 0 {
			return
		}
		for j := uint32(0); j < k && len(a.small) < expandedLocals; j++ {
			a.small = append(a.small, t)
		}
		n += k
		if last := len(a.localTypes) - 1; last >= 0 && a.localTypes[last] == t {
			a.localEnds[last] = n
			return
		}
		a.localEnds = append(a.localEnds, n)
		a.localTypes = append(a.localTypes, t)
	}
	for _, t := range a.typ.Params {
		add(1, t)
	}
	r := reader{b: a.m.raw, pos: c.locals.start, end: c.locals.end}
	for range c.groups {
		k := r.u32()
		add(k, ValueType(r.byte()))
	}
}

func (a *analyzer) local(read bool) ValueType {
	at := a.r.pos
	i := a.r.u32()
	if uint64(i) < uint64(len(a.small)) {
		a.touch(int(i), read)
		return a.small[i]
	}
	if read {
		a.touch(-1, true)
	}
	j := sort.Search(len(a.localEnds), func(j int) bool { return a.localEnds[j] > i })
	if j == len(a.localEnds) {
		a.r.fail(at, "local %d does not exist", i)
		return 0
	}
	return a.localTypes[j]
}

func (a *analyzer) push(t ValueType) {
	a.vals = append(a.vals, t)
	if n := uint32(len(a.vals)); n > a.info.height {
		a.info.height = n
	}
}

// unknownType stands for an operand of unreachable code.
const unknownType ValueType = 0

func (a *analyzer) popAny() ValueType {
	f := &a.frames[len(a.frames)-1]
	n := len(a.vals)
	if n == f.height {
		if !f.unreachable {
			a.r.fail(a.r.pos, "type mismatch: an operand is missing")
		}
		return unknownType
	}
	t := a.vals[n-1]
	a.vals = a.vals[:n-1]
	return t
}

func (a *analyzer) pop(want ValueType) ValueType {
	t := a.popAny()
	if t != want && t != unknownType && want != unknownType {
		a.r.fail(a.r.pos, "type mismatch: %v where %v is needed", t, want)
	}
	return t
}

// spend counts operands that a signature moves at once. A body of n bytes may
// move 64 n of them: real code stays below 4 n, while a few bytes that name a
// signature of a thousand parameters would cost quadratic time here and more
// in the compiler.
func (a *analyzer) spend(n int) {
	if a.moved += n; a.moved > a.budget {
		a.r.refuse(&RefusedError{
			Reason: "signature-work", Detail: "the function moves too many operands for its size; use smaller signatures",
			Func: a.r.fn, Offset: int64(a.r.pos), Limit: int64(a.budget), Value: int64(a.moved),
		})
	}
}

func (a *analyzer) popAll(ts []ValueType) {
	a.spend(len(ts))
	for i := len(ts) - 1; i >= 0 && a.r.err == nil; i-- {
		a.pop(ts[i])
	}
}

func (a *analyzer) pushAll(ts []ValueType) {
	a.vals = append(a.vals, ts...)
	if n := uint32(len(a.vals)); n > a.info.height {
		a.info.height = n
	}
}

func (a *analyzer) apply(s *sig) {
	for i := int(s.n) - 1; i >= 0; i-- {
		a.pop(s.in[i])
	}
	if s.out != 0 {
		a.push(s.out)
	}
}

func (a *analyzer) needMemory(at int) {
	if a.m.memory == nil {
		a.r.fail(at, "instruction needs a memory, the module has none")
	}
}

func (a *analyzer) memArg(s *sig, at int) {
	a.needMemory(at)
	align := a.r.u32()
	if align >= 64 && align < 128 {
		a.r.refuse(proposal("multi-memory", at, a.r.fn))
	} else if align > uint32(s.align) {
		a.r.fail(at, "alignment 2^%d is larger than the access", align)
	}
	a.r.u32()
}

func (a *analyzer) unreachable() {
	f := &a.frames[len(a.frames)-1]
	a.vals = a.vals[:f.height]
	f.unreachable = true
}

// label returns the operand types of a branch to the block depth levels out.
func (a *analyzer) label(depth uint32, at int) []ValueType {
	if uint64(depth) >= uint64(len(a.frames)) {
		a.r.fail(at, "branch to label %d, which does not exist", depth)
		return nil
	}
	if int(depth) == len(a.frames)-1 {
		a.info.returns = true
	}
	f := &a.frames[len(a.frames)-1-int(depth)]
	a.edge(f)
	a.weigh(weightValue * len(f.end))
	if f.op == opLoop {
		return f.start
	}
	return f.end
}

// blockType reads the type of a block: nothing, one result, or a signature.
func (a *analyzer) blockType() (in, out []ValueType) {
	at := a.r.pos
	if at < a.r.end {
		switch c := a.r.b[at]; {
		case c == 0x40:
			a.r.pos++
			return nil, nil
		case c&0xc0 == 0x40: // a negative number of one byte: a value type
			a.r.valueType()
			return nil, a.one[c][:]
		}
	}
	i := a.r.sleb(33)
	if a.r.err == nil && (i < 0 || i >= int64(len(a.m.types))) {
		a.r.fail(at, "block type %d does not exist", i)
		return nil, nil
	}
	if a.r.err != nil {
		return nil, nil
	}
	return a.m.types[i].Params, a.m.types[i].Results
}

func (a *analyzer) open(op byte, in, out []ValueType, loop int32) {
	a.popAll(in)
	a.frames = append(a.frames, frame{op: op, start: in, end: out, height: len(a.vals), loop: loop})
	if n := uint32(len(a.frames)); n > a.info.depth {
		a.info.depth = n
	}
	a.pushAll(in)
	a.enter(&a.frames[len(a.frames)-1])
}

func (a *analyzer) close() frame {
	f := a.frames[len(a.frames)-1]
	a.popAll(f.end)
	if a.r.err == nil && len(a.vals) != f.height {
		a.r.fail(a.r.pos, "type mismatch: %d operands are left over at the end of a block", len(a.vals)-f.height)
	}
	a.frames = a.frames[:len(a.frames)-1]
	return f
}

// dead tells whether the code at hand cannot be reached.
func (a *analyzer) dead() bool { return a.frames[len(a.frames)-1].unreachable }

// markCall notes a call in the function and in every loop around it.
func (a *analyzer) markCall(loops []loopInfo) {
	for i := len(a.frames) - 1; i >= 0; i-- {
		l := a.frames[i].loop
		if l < 0 || loops[l].calls {
			return // the loops outside were marked with it
		}
		if a.frames[i].op == opLoop {
			loops[l].calls = true
		}
	}
}

func (a *analyzer) call(t FuncType, loops []loopInfo) {
	a.popAll(t.Params)
	a.pushAll(t.Results)
	a.spend(len(t.Results))
	a.info.calls = true
	a.weigh(weightCall + weightValue*(len(t.Params)+len(t.Results)))
	a.markCall(loops)
}
