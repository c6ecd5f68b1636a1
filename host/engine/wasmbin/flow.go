package wasmbin

// The compiler behind this package walks structures of a function again and
// again: the chain of dominators of each basic block, the chain of single
// predecessors from each use of a local to its definition, the parameters of
// each join once for every level of loop nesting. What that costs can be told
// from the body, in one pass, closely enough to refuse the shapes for which it
// is far above the size of the code. Scan turns the counts below into an
// estimate of the time and memory that compiling takes.

// compilerWork counts what the compiler will do for one function.
type compilerWork struct {
	weight  uint64 // bytes of the compiler's data for the instructions
	blocks  uint64 // basic blocks
	targets uint64 // entries of br_table instructions
	doms    uint64 // steps along chains of dominators
	finds   uint64 // steps from the use of a local back to a join or loop
	carried uint64 // locals carried through joins, summed over the joins
}

// place is where a basic block is in those structures.
type place struct {
	dom   uint32 // depth in the tree of dominators, at most
	chain uint32 // blocks since the last join
}

// flow is what an open block remembers for its end.
type flow struct {
	cond    place  // where the condition of an if was
	sources uint32 // edges to the end
	first   place  // the source with the least dominator depth
}

// Weights of instructions in bytes of the compiler's data, from modules that
// repeat one instruction. All but these weigh weightPlain.
const (
	weightPlain  = 600
	weightMemory = 5000  // loads, stores, division: a check and a trap each
	weightCall   = 2000  // and weightValue for each parameter and result
	weightTable  = 14000 // call_indirect, table.get, table.set
	weightBulk   = 18000
	weightValue  = 100
	weightBlock  = 3000
	weightCarry  = 256
)

func (a *analyzer) weigh(n int) { a.info.work.weight += uint64(n) }

func (a *analyzer) startFlow() {
	a.at = place{}
	a.joins, a.loopsOpen = 0, 0
	a.info.work.blocks = 1
	if cap(a.touched) < len(a.small) {
		a.touched = make([]uint32, len(a.small))
	}
	a.touched = a.touched[:len(a.small)]
	clear(a.touched)
}

// touch notes the use of a local; -1 is one beyond those that are followed.
func (a *analyzer) touch(i int, read bool) {
	last := uint32(0)
	if i >= 0 {
		last = a.touched[i]
		a.touched[i] = a.joins
	}
	if read {
		a.info.work.finds += uint64(a.at.chain)
		a.info.work.carried += uint64(a.joins - last)
	}
}

// next starts a basic block whose only predecessor is the current one.
func (a *analyzer) next() {
	a.at.dom++
	a.at.chain++
	a.info.work.blocks++
	a.info.work.doms += uint64(a.at.dom)
}

// edge adds a branch from the current block to the label of f.
func (a *analyzer) edge(f *frame) {
	a.info.work.blocks++ // a block in the middle of the edge
	a.info.work.doms += uint64(a.at.dom)
	if f.op == opLoop {
		a.joins++
		return
	}
	if f.flow.sources == 0 || a.at.dom < f.flow.first.dom {
		f.flow.first = a.at
	}
	f.flow.sources++
}

// enter starts the inside of a block.
func (a *analyzer) enter(f *frame) {
	switch f.op {
	case opLoop:
		// The loop itself, and what Instrument puts in front of it.
		a.next()
		a.next()
		a.next()
		a.next()
		a.at.chain = 0
		a.joins++
		if a.loopsOpen++; a.loopsOpen > a.info.loopsIn {
			a.info.loopsIn = a.loopsOpen
		}
	case opIf:
		f.flow.cond = a.at
		a.next()
	}
}

// otherwise goes from the first arm of an if to the second.
func (a *analyzer) otherwise(f *frame, dead bool) {
	if !dead {
		a.edge(f)
	}
	a.at = f.flow.cond
	a.next()
}

// leave goes to the code behind a block.
func (a *analyzer) leave(f *frame, dead bool) {
	if f.op == opLoop {
		a.loopsOpen--
		if !dead {
			a.next()
		}
		return
	}
	if !dead {
		a.edge(f)
	}
	if f.op == opIf {
		a.at = f.flow.cond
		a.edge(f)
	}
	if f.flow.sources == 0 {
		return
	}
	a.at = f.flow.first
	a.next()
	if f.flow.sources > 1 {
		a.at.chain = 0
		a.joins += f.flow.sources
	}
}
