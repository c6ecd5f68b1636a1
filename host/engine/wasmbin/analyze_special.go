package wasmbin

// special checks the instructions that are not a plain row of the tables.
func (a *analyzer) special(op byte, at int, loops []loopInfo) []loopInfo {
	r := &a.r
	switch op {
	case opUnreachable:
		a.unreachable()
	case opNop:
	case opBlock:
		in, out := a.blockType()
		a.open(op, in, out, a.frames[len(a.frames)-1].loop)
	case opLoop:
		in, out := a.blockType()
		if l := a.frames[len(a.frames)-1].loop; l >= 0 {
			loops[l].nested = true
		}
		a.open(op, in, out, int32(len(loops)))
		loops = append(loops, loopInfo{})
	case opIf:
		in, out := a.blockType()
		a.pop(I32)
		a.open(op, in, out, a.frames[len(a.frames)-1].loop)
	case opElse:
		dead := a.dead()
		f := a.close()
		if f.op != opIf {
			r.fail(at, "else without an if")
			return loops
		}
		a.otherwise(&f, dead)
		a.frames = append(a.frames, frame{op: opElse, start: f.start, end: f.end, height: f.height, loop: f.loop, flow: f.flow})
		a.pushAll(f.start)
	case opEnd:
		dead := a.dead()
		f := a.close()
		if f.op == opIf && !typesEqual(f.start, f.end) {
			r.fail(at, "type mismatch: an if without an else changes the operands")
		}
		a.pushAll(f.end)
		a.leave(&f, dead)
	case opBr:
		a.popAll(a.label(r.u32(), at))
		a.unreachable()
	case opBrIf:
		depth := r.u32()
		a.pop(I32)
		ts := a.label(depth, at)
		a.popAll(ts)
		a.pushAll(ts)
		a.next()
	case opBrTable:
		a.brTable(at)
	case opReturn:
		a.popAll(a.frames[0].end)
		a.unreachable()
		a.info.returns = true
		a.edge(&a.frames[0])
	case opCall:
		f := a.m.funcIndex(r)
		if r.err == nil {
			a.call(a.m.types[a.m.funcs[f]], loops)
		}
	case opCallIndirect:
		t := a.m.typeIndex(r)
		tab := a.table(at)
		if r.err == nil && a.m.tables[tab].Elem != FuncRef {
			r.fail(at, "indirect call through a table of %v", a.m.tables[tab].Elem)
		}
		if r.err == nil {
			a.pop(I32)
			a.weigh(weightTable)
			a.call(a.m.types[t], loops)
		}
	case opDrop:
		a.popAny()
	case opSelect:
		a.pop(I32)
		t := a.popAny()
		u := a.popAny()
		if t == unknownType {
			t = u
		} else if u != unknownType && t != u {
			r.fail(at, "type mismatch: select between %v and %v", u, t)
		}
		if t.isRef() {
			r.fail(at, "type mismatch: select without a type on %v", t)
		}
		a.push(t)
	case opSelectT:
		if n := r.u32(); n != 1 {
			r.fail(at, "select with %d types", n)
		}
		t := r.valueType()
		a.pop(I32)
		a.pop(t)
		a.pop(t)
		a.push(t)
	case opLocalGet:
		a.push(a.local(true))
	case opLocalSet:
		a.pop(a.local(false))
	case opLocalTee:
		t := a.local(false)
		a.pop(t)
		a.push(t)
	case opGlobalGet, opGlobalSet:
		i := r.u32()
		if r.err != nil {
			break
		}
		if uint64(i) >= uint64(len(a.m.globals)) {
			r.fail(at, "global %d does not exist", i)
			break
		}
		g := a.m.globals[i]
		if op == opGlobalGet {
			a.push(g.Type)
			break
		}
		if !g.Mutable {
			r.fail(at, "global %d is constant", i)
		}
		a.pop(g.Type)
	case opTableGet, opTableSet:
		tab := a.table(at)
		if r.err != nil {
			break
		}
		a.weigh(weightTable)
		if op == opTableGet {
			a.pop(I32)
			a.push(a.m.tables[tab].Elem)
		} else {
			a.pop(a.m.tables[tab].Elem)
			a.pop(I32)
		}
	case opMemorySize, opMemoryGrow:
		a.needMemory(at)
		a.zero()
		if op == opMemoryGrow {
			a.pop(I32)
			a.bulk(chargePages, loops)
		}
		a.push(I32)
	case opI32Const:
		r.sleb(32)
		a.push(I32)
	case opI64Const:
		r.sleb(64)
		a.push(I64)
	case opF32Const:
		r.bytes(4)
		a.push(F32)
	case opF64Const:
		r.bytes(8)
		a.push(F64)
	case opRefNull:
		a.push(r.refType())
	case opRefIsNull:
		if t := a.popAny(); t != unknownType && !t.isRef() {
			r.fail(at, "type mismatch: ref.is_null on %v", t)
		}
		a.push(I32)
	case opRefFunc:
		f := a.m.funcIndex(r)
		if r.err == nil && !a.m.declared[f] {
			r.fail(at, "reference to function %d, which is not declared", f)
		}
		a.push(FuncRef)
	case opPrefixMisc:
		a.misc(at, loops)
	case opPrefixSIMD:
		a.simd(at)
	}
	return loops
}

// zero reads the byte that other proposals use as a memory index.
func (a *analyzer) zero() {
	at := a.r.pos
	if c := a.r.byte(); c != 0 {
		a.r.refuse(proposal("multi-memory", at, a.r.fn))
	}
}

func (a *analyzer) table(at int) uint32 {
	i := a.r.u32()
	if a.r.err == nil && uint64(i) >= uint64(len(a.m.tables)) {
		a.r.fail(at, "table %d does not exist", i)
		return 0
	}
	return i
}

func (a *analyzer) elem(at int) uint32 {
	i := a.r.u32()
	if a.r.err == nil && uint64(i) >= uint64(len(a.m.elems)) {
		a.r.fail(at, "element segment %d does not exist", i)
		return 0
	}
	return i
}

func (a *analyzer) data(at int) uint32 {
	a.m.namesData = true
	i := a.r.u32()
	switch {
	case a.r.err != nil:
	case a.m.dataDecl == nil:
		a.r.fail(at, "instruction needs a data count section")
	case i >= *a.m.dataDecl:
		a.r.fail(at, "data segment %d does not exist", i)
	}
	return i
}

func (a *analyzer) bulk(kind int, loops []loopInfo) {
	a.m.bulkUse |= 1 << kind
	a.weigh(weightBulk)
	a.markCall(loops)
}

func (a *analyzer) pop3(x, y, z ValueType) {
	a.pop(z)
	a.pop(y)
	a.pop(x)
}

func (a *analyzer) brTable(at int) {
	r := &a.r
	n := r.count("branch targets", 1)
	first := r.pos
	a.pop(I32)
	// The default label comes last but fixes the number of operands.
	for i := 0; i < n && r.err == nil; i++ {
		r.u32()
	}
	ts := a.label(r.u32(), at)
	after := r.pos
	r.pos = first
	f := &a.frames[len(a.frames)-1]
	for i := 0; i < n && r.err == nil; i++ {
		us := a.label(r.u32(), at)
		if len(us) != len(ts) {
			r.fail(at, "type mismatch: branch targets take %d and %d operands", len(ts), len(us))
			return
		}
		a.spend(len(us))
		// Each target is checked against what is on the stack, which stays.
		for j := len(us) - 1; j >= 0 && r.err == nil; j-- {
			k := len(a.vals) - len(us) + j
			if k < f.height {
				if !f.unreachable {
					r.fail(at, "type mismatch: an operand is missing")
				}
			} else if a.vals[k] != us[j] && a.vals[k] != unknownType {
				r.fail(at, "type mismatch: %v where %v is needed", a.vals[k], us[j])
			}
		}
	}
	if r.err != nil {
		return
	}
	r.pos = after
	a.popAll(ts)
	a.unreachable()
	a.info.work.targets += uint64(n) + 1
}

func (a *analyzer) misc(at int, loops []loopInfo) {
	r := &a.r
	sub := r.u32()
	if r.err != nil {
		return
	}
	switch sub {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating conversions
		in, out := F32, I32
		if sub&2 != 0 {
			in = F64
		}
		if sub&4 != 0 {
			out = I64
		}
		a.pop(in)
		a.push(out)
	case miscMemoryInit:
		seg := a.data(at)
		a.zero()
		a.needMemory(at)
		a.pop3(I32, I32, I32)
		a.bulk(chargeMemory, loops)
		if r.err == nil {
			if a.m.inits == nil {
				a.m.inits = map[uint32]bool{}
			}
			a.m.inits[seg] = true
		}
	case miscDataDrop:
		a.data(at)
	case miscMemoryCopy, miscMemoryFill:
		a.zero()
		kind := bulkFill
		if sub == miscMemoryCopy {
			kind = bulkCopy
			a.zero()
		}
		a.needMemory(at)
		a.pop3(I32, I32, I32)
		a.bulk(kind, loops)
	case miscTableInit:
		e := a.elem(at)
		t := a.table(at)
		if r.err == nil && a.m.elems[e].typ != a.m.tables[t].Elem {
			r.fail(at, "type mismatch: segment of %v for a table of %v", a.m.elems[e].typ, a.m.tables[t].Elem)
		}
		a.pop3(I32, I32, I32)
		a.bulk(chargeTable, loops)
	case miscElemDrop:
		a.elem(at)
	case miscTableCopy:
		t, u := a.table(at), a.table(at)
		if r.err == nil && a.m.tables[t].Elem != a.m.tables[u].Elem {
			r.fail(at, "type mismatch: copy from a table of %v to one of %v", a.m.tables[u].Elem, a.m.tables[t].Elem)
		}
		a.pop3(I32, I32, I32)
		a.bulk(chargeTable, loops)
	case miscTableGrow, miscTableSize, miscTableFill:
		t := a.table(at)
		if r.err != nil {
			return
		}
		elem := a.m.tables[t].Elem
		switch sub {
		case miscTableGrow:
			a.pop(I32)
			a.pop(elem)
			a.push(I32)
			a.bulk(chargeTable, loops)
		case miscTableSize:
			a.push(I32)
		case miscTableFill:
			a.pop3(I32, elem, I32)
			a.bulk(chargeTable, loops)
		}
	case 18:
		r.refuse(proposal("memory-control", at, r.fn))
	case 19, 20, 21, 22:
		r.refuse(proposal("wide-arithmetic", at, r.fn))
	default:
		r.fail(at, "instruction 0xfc %d is unknown", sub)
	}
}

func (a *analyzer) simd(at int) {
	r := &a.r
	sub := r.u32()
	if r.err == nil && r.pos-at-1 != len(appendU32(nil, sub)) {
		// The engine looks at the first byte only and would see another instruction.
		r.refuse(&RefusedError{
			Reason: "padded-opcode", Detail: "a vector instruction is not written in its shortest form, which the engine misreads",
			Func: r.fn, Offset: int64(at),
		})
	}
	if r.err != nil {
		return
	}
	if sub > 255 {
		switch {
		case sub <= 0x113:
			r.refuse(proposal("relaxed-simd", at, r.fn))
		case sub < 0x200:
			r.refuse(proposal("half-precision", at, r.fn))
		default:
			r.fail(at, "instruction 0xfd %d is unknown", sub)
		}
		return
	}
	s := &simdSigs[sub]
	switch s.imm {
	case immBad:
		r.fail(at, "instruction 0xfd %d is unknown", sub)
		return
	case immMem, immMemLane:
		a.weigh(weightMemory)
		a.memArg(s, at)
	case immOther:
		b := r.bytes(16)
		if sub == 13 {
			for _, lane := range b {
				if lane >= 32 {
					r.fail(at, "shuffle lane %d does not exist", lane)
				}
			}
		}
	}
	if s.imm == immLane || s.imm == immMemLane {
		if lane := r.byte(); lane >= s.lanes {
			r.fail(at, "lane %d does not exist", lane)
		}
	}
	a.apply(s)
}
