package wasmbin

// How a function is metered.
//
// A leaf (a function that calls nothing) pays at its entry without a test: what
// it can do before the next check is bounded by its size. Any other function
// tests the meter at its entry, pays for its instructions and its frame, and
// gives the frame back where it ends:
//
//	block $empty
//	  block $return (result ...)   ; only if something branches to the end
//	    meter & emptyMask != 0, br_if $empty
//	    meter -= fuel<<20 + frame
//	    ... the original body, its returns turned into branches
//	  end
//	  meter += frame
//	  return
//	end
//	call $slow                     ; the host refills the meter or ends the guest
//	local.get of every parameter
//	call $self
//
// The slow path leaves the function by calling it again instead of joining the
// fast path. It is as if the call had not happened yet, and the compiler keeps
// the parameters in registers, since no value lives across the slow call and
// back into the fast path.
//
// A loop tests the meter and pays at its head. When nothing in the loop calls,
// the call that refills must not be inside either: the compiler would store
// every variable of the loop on each turn, because it may live across that
// call. So the loop is wrapped, and an empty meter leaves it:
//
//	block $done (type of $l)
//	  loop $refill (type of $l)
//	    if meter < 0 then call $slow
//	    fuel := meter              ; a local
//	    block $slow
//	      loop $l (type)
//	        fuel < 0, br_if $slow
//	        meter := fuel := fuel - charge<<20
//	        ... the original body
//	      end
//	      br $done
//	    end
//	    br $refill
//	  end
//	end
//
// The variables of the loop are handed to those of $refill, and only those live
// across a call. The test branches forwards because the compiler then needs one
// compare and one jump that is not taken. The meter is written through, so that
// it is exact when the loop traps. Loops that call, or that hold another loop,
// have their variables stored anyway; they call $slow at the end of $slow, work
// on the meter itself, and need no test in front:
//
//	block $done (type of $l)
//	  loop $refill (type of $l)
//	    block $slow
//	      loop $l (type)
//	        meter < 0, br_if $slow
//	        meter := meter - charge<<20
//	        ... the original body
//	      end
//	      br $done
//	    end
//	    call $slow
//	    br $refill
//	  end
//	end
//
// A loop that takes operands has no block type to leave it forwards with them;
// it branches back to $refill, or has the call in an if when it calls anyway.
// FUEL.md has the measurements.

// loopWrapped says whether a loop keeps the call that refills outside.
func loopWrapped(l *loopInfo) bool { return !l.calls && !l.nested }

// bodyWriter rewrites one function body.
type bodyWriter struct {
	*instrumenter
	b      []byte // output
	r      reader
	copied int // up to here the original has been written
	info   *funcInfo
	self   uint32
	typ    FuncType
	fuel   uint32 // index of the local that mirrors the meter in wrapped loops
	depth  int    // labels open in the output
	loops  int    // loops seen
	wraps  []int8 // per open block: what follows its end
	target int    // label depth that return goes to, or -1 to return plainly
}

// code writes the payload of the code section.
func (in *instrumenter) code() ([]byte, error) {
	in.refillType()
	m := in.m
	w := bodyWriter{instrumenter: in}
	out := make([]byte, 0, len(m.raw)+len(m.raw)/4)
	out = appendU32(out, uint32(len(m.code)+len(in.helpers)))
	for i := range m.code {
		if err := w.function(i); err != nil {
			return nil, err
		}
		out = appendU32(out, uint32(len(w.b)))
		out = append(out, w.b...)
	}
	for i, h := range in.helpers {
		out = appendU32(out, uint32(len(h.body)))
		out = append(out, h.body...)
		if i == 1 {
			in.sealAt = len(out) - 11
		}
	}
	return out, nil
}

func (w *bodyWriter) function(i int) error {
	m := w.m
	c := &m.code[i]
	w.info = &m.info[i]
	w.typ = m.types[m.funcs[m.impFuncs+i]]
	w.self = w.fn(uint32(m.impFuncs + i))
	w.b = w.b[:0]
	w.r = reader{b: m.raw, pos: c.body.start, end: c.body.end}
	w.copied = c.body.start
	w.loops = 0
	w.ctrl, w.wraps = w.ctrl[:0], w.wraps[:0]
	w.target = -1

	w.fuel = uint32(len(w.typ.Params)) + c.numLocals
	mirror := false
	for j := range w.info.loops {
		mirror = mirror || loopWrapped(&w.info.loops[j])
	}
	if mirror {
		w.b = appendU32(w.b, c.groups+1)
	} else {
		w.b = appendU32(w.b, c.groups)
	}
	w.b = append(w.b, m.raw[c.locals.start:c.locals.end]...)
	if mirror {
		w.b = append(w.b, 1, byte(I64))
	}

	if !w.info.calls {
		w.depth = 1
		w.ctrl = append(w.ctrl, 0)
		w.wraps = append(w.wraps, closePlain)
		if w.info.charge > 0 {
			w.b = w.appendCharge(w.b, w.info.charge, 0)
		}
		w.instructions()
		return nil
	}

	frame := frameUnits(w.typ, c.numLocals, w.info.height, c.body.end-c.body.start)
	if frame > maxFrame {
		return &RefusedError{
			Reason: "frame-size", Detail: "the function has too many locals and operands",
			Func: m.impFuncs + i, Offset: int64(c.body.start), Limit: maxFrame * StackUnit, Value: int64(frame) * StackUnit,
		}
	}
	w.b = append(w.b, opBlock, 0x40)
	w.depth = 2
	empty := byte(0)
	if w.info.returns {
		w.b = append(w.b, opBlock)
		w.b = w.appendResultType(w.b)
		w.target = 2
		w.depth = 3
		empty = 1
	}
	w.ctrl = append(w.ctrl, w.depth-1)
	w.wraps = append(w.wraps, closePlain)
	w.b = appendU32(append(w.b, opGlobalGet), w.meter)
	w.b = appendS64(append(w.b, opI64Const), emptyMask)
	w.b = append(w.b, opI64And, opI64Const, 0, opI64Ne, opBrIf, empty)
	w.b = w.appendCharge(w.b, w.info.charge, frame)
	w.instructions()
	if !w.info.returns {
		w.b = w.b[:len(w.b)-1] // the end belongs to the block that was not opened
	}
	w.b = w.appendCharge(w.b, 0, -frame)
	w.b = append(w.b, opReturn, opEnd)
	w.b = appendU32(append(w.b, opCall), w.slow)
	for p := range w.typ.Params {
		w.b = appendU32(append(w.b, opLocalGet), uint32(p))
	}
	w.b = appendU32(append(w.b, opCall), w.self)
	w.b = append(w.b, opEnd)
	return nil
}

// appendResultType writes the type of a block that takes nothing and yields
// the results of the function.
func (w *bodyWriter) appendResultType(b []byte) []byte {
	switch len(w.typ.Results) {
	case 0:
		return append(b, 0x40)
	case 1:
		return append(b, byte(w.typ.Results[0]))
	}
	return appendS64(b, int64(w.instrumenter.typ(FuncType{Results: w.typ.Results})))
}

// upTo copies the original up to a position.
func (w *bodyWriter) upTo(pos int) {
	w.b = append(w.b, w.r.b[w.copied:pos]...)
	w.copied = pos
}

func (w *bodyWriter) push(wrap int8) {
	w.ctrl = append(w.ctrl, w.depth)
	w.wraps = append(w.wraps, wrap)
	w.depth++
}

// What follows the end of a block of the original.
const (
	closePlain    int8 = iota
	closeParams        // the end of the loop around it
	closeMirrored      // to the head of the loop around it, which refills
	closeCalling       // refill, then to the head
)

func (w *bodyWriter) closing(kind int8) {
	if kind == closePlain {
		return
	}
	w.upTo(w.r.pos)
	if kind == closeParams {
		w.b = append(w.b, opEnd)
		w.depth--
		return
	}
	// Labels here, from the inside: $slow, $refill, $done.
	w.b = append(w.b, opBr, 2, opEnd)
	if kind == closeCalling {
		w.b = appendU32(append(w.b, opCall), w.slow)
	}
	w.b = append(w.b, opBr, 0, opEnd, opEnd)
	w.depth -= 3
}

// branch renumbers a label for the blocks that were added around it.
func (w *bodyWriter) branch(depth uint32) uint32 {
	return uint32(w.depth - 1 - w.ctrl[len(w.ctrl)-1-int(depth)])
}

// instructions copies the body with its final end.
func (w *bodyWriter) instructions() {
	r := &w.r
	for r.pos < r.end {
		at := r.pos
		op := r.b[r.pos]
		r.pos++
		switch op {
		case opBlock, opIf:
			r.sleb(33)
			w.push(closePlain)
		case opLoop:
			w.loop(at)
		case opEnd:
			last := len(w.ctrl) - 1
			w.depth--
			w.closing(w.wraps[last])
			w.ctrl, w.wraps = w.ctrl[:last], w.wraps[:last]
		case opBr, opBrIf:
			d := r.u32()
			if n := w.branch(d); n != d {
				w.upTo(at + 1)
				w.copied = r.pos
				w.b = appendU32(w.b, n)
			}
		case opBrTable:
			n := r.u32()
			w.upTo(r.pos)
			for range n + 1 {
				w.b = appendU32(w.b, w.branch(r.u32()))
			}
			w.copied = r.pos
		case opReturn:
			if w.target >= 0 {
				w.upTo(at)
				w.copied = r.pos
				w.b = appendU32(append(w.b, opBr), uint32(w.depth-1-w.target))
			}
		case opCall, opRefFunc:
			f := r.u32()
			if n := w.fn(f); n != f {
				w.upTo(at + 1)
				w.copied = r.pos
				w.b = appendU32(w.b, n)
			}
		case opCallIndirect:
			r.u32()
			r.u32()
		case opSelectT:
			r.u32()
			r.pos++
		case opLocalGet, opLocalSet, opLocalTee, opGlobalGet, opGlobalSet, opTableGet, opTableSet:
			r.u32()
		case opMemoryGrow:
			r.pos++
			w.before(at, w.charges[chargePages])
		case opMemorySize, opRefNull:
			r.pos++
		case opI32Const:
			r.sleb(32)
		case opI64Const:
			r.sleb(64)
		case opF32Const:
			r.pos += 4
		case opF64Const:
			r.pos += 8
		case opPrefixMisc:
			w.misc(at)
		case opPrefixSIMD:
			sub := r.u32()
			switch s := &simdSigs[sub]; s.imm {
			case immMem, immMemLane:
				r.u32()
				r.u32()
				if s.imm == immMemLane {
					r.pos++
				}
			case immLane:
				r.pos++
			case immOther:
				r.pos += 16
			}
		default:
			if sigs[op].imm == immMem {
				r.u32()
				r.u32()
			}
		}
	}
	w.upTo(r.end)
}

func (w *bodyWriter) misc(at int) {
	r := &w.r
	sub := r.u32()
	operands := r.pos
	switch sub {
	case miscMemoryInit:
		seg := r.u32()
		r.pos++
		if f, ok := w.bulk.init[seg]; ok {
			w.before(at, f)
		} else {
			w.before(at, w.charges[chargeMemory])
		}
	case miscMemoryCopy:
		r.pos += 2
		w.before(at, w.bulk.copy)
	case miscMemoryFill:
		r.pos++
		w.before(at, w.bulk.fill)
	case miscTableInit, miscTableCopy:
		r.u32()
		r.u32()
		w.before(at, w.charges[chargeTable])
	case miscTableGrow, miscTableFill:
		r.u32()
		w.before(at, w.charges[chargeTable])
	case miscDataDrop, miscElemDrop, miscTableSize:
		r.u32()
	}
	if short := appendU32([]byte{opPrefixMisc}, sub); len(short) != operands-at {
		// Parts of the engine look at the first byte of the number only.
		w.upTo(at)
		w.b = append(w.b, short...)
		w.copied = operands
	}
}

// before calls a helper before the instruction at the given position: one that pays
// for the operand on top of the stack, the size in each of these instructions, and
// hands the operands back.
func (w *bodyWriter) before(at int, helper uint32) {
	w.upTo(at)
	w.b = appendU32(append(w.b, opCall), helper)
}

func (w *bodyWriter) loop(at int) {
	r := &w.r
	l := &w.info.loops[w.loops]
	w.loops++
	typAt := r.pos
	r.sleb(33)
	typ := r.b[typAt:r.pos]
	mirror := loopWrapped(l)
	w.upTo(at)
	if w.blockParams(typ) {
		w.paramLoop(typ, l, mirror)
		return
	}
	w.b = append(append(w.b, opBlock), typ...)
	w.b = append(append(w.b, opLoop), typ...)
	w.depth += 2
	if mirror {
		w.b = w.appendCheck(w.b)
		w.b = w.appendMirror(w.b)
	}
	w.b = append(w.b, opBlock, 0x40)
	w.depth++
	w.upTo(r.pos)
	if mirror {
		w.push(closeMirrored)
	} else {
		w.push(closeCalling)
	}
	w.loopHead(l, mirror)
}

// paramLoop wraps a loop that takes operands: there is no block type at hand to
// leave it forwards with them, so the test branches back.
func (w *bodyWriter) paramLoop(typ []byte, l *loopInfo, mirror bool) {
	if !mirror {
		w.upTo(w.r.pos)
		w.push(closePlain)
		w.b = w.appendCheck(w.b)
		w.b = w.appendCharge(w.b, l.charge, 0)
		return
	}
	w.b = append(append(w.b, opLoop), typ...)
	w.depth++
	w.b = w.appendCheck(w.b)
	w.b = w.appendMirror(w.b)
	w.upTo(w.r.pos)
	w.push(closeParams)
	w.loopHead(l, true)
}

func (w *bodyWriter) appendMirror(b []byte) []byte {
	b = appendU32(append(b, opGlobalGet), w.meter)
	return appendU32(append(b, opLocalSet), w.fuel)
}

// loopHead tests, leaves to the label around the loop, and pays.
func (w *bodyWriter) loopHead(l *loopInfo, mirror bool) {
	if !mirror {
		w.b = appendU32(append(w.b, opGlobalGet), w.meter)
		w.b = append(w.b, opI64Const, 0, opI64LtS, opBrIf, 1)
		w.b = w.appendCharge(w.b, l.charge, 0)
		return
	}
	w.b = appendU32(append(w.b, opLocalGet), w.fuel)
	w.b = append(w.b, opI64Const, 0, opI64LtS, opBrIf, 1)
	w.b = appendU32(append(w.b, opLocalGet), w.fuel)
	w.b = appendS64(append(w.b, opI64Const), int64(l.charge)<<stackBits)
	w.b = appendU32(append(w.b, opI64Sub, opLocalTee), w.fuel)
	w.b = appendU32(append(w.b, opGlobalSet), w.meter)
}

// blockParams tells whether a block of that type takes operands.
func (w *bodyWriter) blockParams(typ []byte) bool {
	if len(typ) == 1 && typ[0]&0xc0 == 0x40 {
		return false
	}
	r := reader{b: typ, end: len(typ)}
	return len(w.m.types[r.sleb(33)].Params) > 0
}
