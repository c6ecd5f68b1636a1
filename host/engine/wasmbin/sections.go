package wasmbin

// section appends a section to the output unless its payload is empty.
func (in *instrumenter) section(id byte, payload []byte) { in.out = appendSection(in.out, id, payload) }

func appendSection(out []byte, id byte, payload []byte) []byte {
	if len(payload) == 0 {
		return out
	}
	out = appendU32(append(out, id), uint32(len(payload)))
	return append(out, payload...)
}

func (in *instrumenter) typeSection() {
	m := in.m
	p := appendU32(nil, uint32(len(m.types)+len(in.added)))
	p = append(p, m.raw[m.typeItems.start:m.typeItems.end]...)
	list := func(ts []ValueType) {
		p = appendU32(p, uint32(len(ts)))
		for _, t := range ts {
			p = append(p, byte(t))
		}
	}
	for _, t := range in.added {
		p = append(p, 0x60)
		list(t.Params)
		list(t.Results)
	}
	in.section(secType, p)
}

func (in *instrumenter) importSection() {
	m := in.m
	p := appendU32(nil, uint32(len(m.imports))+1)
	p = append(p, m.raw[m.importItems.start:m.importItems.end]...)
	p = appendName(p, MeterModule)
	p = appendName(p, RefillName)
	p = append(p, byte(KindFunc))
	in.section(secImport, appendU32(p, in.refillType()))
}

// refillType is the type of the imported function; code calls it first, so
// that the type exists when the type section is written.
func (in *instrumenter) refillType() uint32 {
	return in.typ(FuncType{Params: []ValueType{I64}, Results: []ValueType{I64}})
}

func (in *instrumenter) functionSection() {
	m := in.m
	own := m.funcs[m.impFuncs:]
	p := appendU32(nil, uint32(len(own)+len(in.helpers)))
	for _, t := range own {
		p = appendU32(p, t)
	}
	for _, h := range in.helpers {
		p = appendU32(p, h.typ)
	}
	in.section(secFunction, p)
}

// limitTables returns the tables that the module defines with maxima such that
// all tables together never exceed limit, and their entries at the start.
func (m *Module) limitTables(limit uint32) ([]TableType, uint64, error) {
	entries := uint64(0)
	for _, t := range m.tables {
		entries += uint64(t.Min)
	}
	own := append([]TableType(nil), m.tables[m.impTables:]...)
	if limit == 0 {
		return own, entries, nil
	}
	if entries > uint64(limit) {
		return nil, 0, &RefusedError{
			Reason: "table-entries", Detail: "the tables start larger than the limit; raise the limit or use smaller tables",
			Func: -1, Offset: -1, Limit: int64(limit), Value: int64(entries),
		}
	}
	// Room to grow goes first to tables that name a maximum, in their order,
	// and what is left in equal parts to those that do not.
	room := limit - uint32(entries)
	open := uint32(0)
	for i := range own {
		t := &own[i]
		if !t.HasMax {
			open++
			continue
		}
		t.Max = min(t.Max, t.Min+min(room, limit-t.Min))
		room -= t.Max - t.Min
	}
	for i := range own {
		if t := &own[i]; !t.HasMax {
			share := room / open
			room -= share
			open--
			t.HasMax, t.Max = true, t.Min+share
		}
	}
	return own, entries, nil
}

func (in *instrumenter) tableSection(own []TableType) {
	if len(own) == 0 {
		return
	}
	p := appendU32(nil, uint32(len(own)))
	for _, t := range own {
		p = append(p, byte(t.Elem))
		if t.HasMax {
			p = appendU32(appendU32(append(p, 1), t.Min), t.Max)
		} else {
			p = appendU32(append(p, 0), t.Min)
		}
	}
	in.section(secTable, p)
}

func (in *instrumenter) appendConst(p []byte, e constExpr) []byte {
	if e.refFunc {
		p = appendU32(append(p, opRefFunc), in.fn(e.fn))
	} else {
		p = append(p, in.m.raw[e.start:e.end]...)
	}
	return append(p, opEnd)
}

func (in *instrumenter) globalSection() {
	p := appendU32(nil, uint32(len(in.m.gdefs))+1)
	for _, g := range in.m.gdefs {
		p = append(p, byte(g.typ.Type), 0)
		if g.typ.Mutable {
			p[len(p)-1] = 1
		}
		p = in.appendConst(p, g.init)
	}
	p = append(p, byte(I64), 1, opI64Const)
	in.section(secGlobal, append(appendS64(p, Unarmed), opEnd))
}

func (in *instrumenter) exportSection() {
	m := in.m
	n := len(m.exports) + 2
	if m.start != nil {
		n++
	}
	p := appendU32(nil, uint32(n))
	add := func(name string, k Kind, i uint32) {
		p = appendU32(append(appendName(p, name), byte(k)), i)
	}
	for _, e := range m.exports {
		if e.Kind == KindFunc {
			e.Index = in.fn(e.Index)
		}
		add(e.Name, e.Kind, e.Index)
	}
	add(MeterGlobal, KindGlobal, in.meter)
	add(SealExport, KindFunc, in.seal)
	if m.start != nil {
		add(StartExport, KindFunc, in.start)
	}
	in.section(secExport, p)
}

func (in *instrumenter) elementSection() {
	if len(in.m.elems) == 0 {
		return
	}
	p := appendU32(nil, uint32(len(in.m.elems)))
	for _, s := range in.m.elems {
		p = appendU32(p, s.flags)
		if s.flags&1 == 0 {
			if s.flags&2 != 0 {
				p = appendU32(p, s.table)
			}
			p = in.appendConst(p, s.offset)
		}
		if s.flags&3 != 0 {
			if s.flags&4 != 0 {
				p = append(p, byte(s.typ))
			} else {
				p = append(p, 0)
			}
		}
		if s.flags&4 == 0 {
			p = appendU32(p, uint32(len(s.funcs)))
			for _, f := range s.funcs {
				p = appendU32(p, in.fn(f))
			}
			continue
		}
		p = appendU32(p, uint32(len(s.exprs)))
		for _, e := range s.exprs {
			p = in.appendConst(p, e)
		}
	}
	in.section(secElement, p)
}

// twinCode is a code section with as many functions as the output has, each
// without locals and with the body "unreachable".
func (in *instrumenter) twinCode() []byte {
	n := len(in.m.code) + len(in.helpers)
	p := appendU32(make([]byte, 0, 5+4*n), uint32(n))
	for range n {
		p = append(p, 3, 0, opUnreachable, opEnd)
	}
	return p
}
