package wasmbin

// FunctionNames reads the function names of the name section: index (imports
// first) to name. It is made for reports, so it skips what it cannot read and
// returns what came before; at most limit names are kept (0 means no bound).
func (m *Module) FunctionNames(limit int) map[uint32]string {
	names := map[uint32]string{}
	for i := range m.customs {
		c := &m.customs[i]
		if c.Name != "name" {
			continue
		}
		r := &reader{b: c.Data, end: len(c.Data), fn: -1}
		for r.pos < r.end && r.err == nil {
			id := r.byte()
			n := r.u32()
			at := r.pos
			r.bytes(int(n))
			if id != 1 || r.err != nil {
				continue
			}
			s := &reader{b: c.Data, pos: at, end: r.pos, fn: -1}
			for k := s.count("names", 2); k > 0 && s.err == nil; k-- {
				i, name := s.u32(), s.name()
				if s.err == nil && (limit == 0 || len(names) < limit) {
					names[i] = name
				}
			}
		}
	}
	return names
}

// FuncName returns the name to show for a function of the instrumented module:
// that of the original, from its name section or exports. A function without a
// name has none here either, and so have those that Instrument added: a trap in
// one of them is that of the instruction it stands for. FuncName reads the name
// section on each call, because it is meant for the one trace of a guest that
// failed.
func (m *Module) FuncName(instrumented uint32) string {
	i, ok := m.OriginalFunc(instrumented)
	if !ok {
		if instrumented == uint32(m.impFuncs) {
			return MeterModule + "." + RefillName
		}
		return ""
	}
	if n := m.FunctionNames(0)[i]; n != "" {
		return n
	}
	for _, e := range m.exports {
		if e.Kind == KindFunc && e.Index == i {
			return e.Name
		}
	}
	k := uint32(0)
	for _, imp := range m.imports {
		if imp.Kind != KindFunc {
			continue
		}
		if k == i {
			return imp.Module + "." + imp.Name
		}
		k++
	}
	return ""
}
