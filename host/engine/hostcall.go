package engine

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"unicode/utf8"

	"github.com/pxos/pxos/abi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Func is the body of one host function. Its parameters were checked against the
// guest's memory before it is called: a pointer outside it never arrives. It
// returns a code and never panics on what a guest sent.
type Func func(c *Call) abi.Code

// Family is the implementation of one family of the host-function table: for each
// row of that module one Func, under the row's name.
type Family struct {
	Module string
	Funcs  map[string]Func
}

// Call is one call of a host function. Parameters are addressed by their position
// in the table row. It, and every slice it returns, is valid until the Func
// returns.
type Call struct {
	Run *Run

	mem   api.Memory
	stack []uint64
	spec  *callSpec
	spans [maxPointers][]byte // what each parameter spans, once it was checked
}

// maxPointers bounds the parameters of a function.
const maxPointers = 8

// callSpec is what the wrapper needs of a table row, computed once.
type callSpec struct {
	row   abi.Function
	index int   // position in Engine.names
	slot  []int // first stack slot of each parameter
	types []api.ValueType
	// pointers are the parameters that point into the guest's memory.
	pointers []pointer
}

// pointer is a span of guest memory that a parameter names: size bytes, or as many as
// the next slot says.
type pointer struct {
	param int
	slot  int
	size  uint64 // 0: the length is in the next slot
	read  bool   // the host reads or fills all of it, and charges for it
	text  bool
}

func newCallSpec(row abi.Function, index int) *callSpec {
	spec := &callSpec{row: row, index: index}
	for i, p := range row.Params {
		s := len(spec.types)
		spec.slot = append(spec.slot, s)
		for _, t := range p.Kind.Lower() {
			spec.types = append(spec.types, api.ValueType(t))
		}
		switch p.Kind {
		case abi.Bytes, abi.Text, abi.Fill:
			spec.pointers = append(spec.pointers, pointer{param: i, slot: s, read: true, text: p.Kind == abi.Text})
		case abi.Buffer, abi.Part:
			spec.pointers = append(spec.pointers, pointer{param: i, slot: s}, pointer{param: i, slot: s + 2, size: 4})
		case abi.OutU32:
			spec.pointers = append(spec.pointers, pointer{param: i, slot: s, size: 4})
		case abi.OutU64:
			spec.pointers = append(spec.pointers, pointer{param: i, slot: s, size: 8})
		case abi.OutDigest:
			spec.pointers = append(spec.pointers, pointer{param: i, slot: s, size: 32})
		}
	}
	return spec
}

// U32 returns a number parameter.
func (c *Call) U32(i int) uint32 { return uint32(c.stack[c.spec.slot[i]]) }

// U64 returns a number parameter.
func (c *Call) U64(i int) uint64 { return c.stack[c.spec.slot[i]] }

// Bytes returns the guest memory that a Bytes, Text, Fill, Buffer or Part
// parameter spans: what to read, or where to write.
func (c *Call) Bytes(i int) []byte { return c.spans[i] }

// Text returns a copy of a Text parameter.
func (c *Call) Text(i int) string { return string(c.Bytes(i)) }

// Put answers a Buffer parameter: it stores the length, and the data when it fits.
func (c *Call) Put(i int, data []byte) abi.Code {
	return c.PutFunc(i, len(data), func(dst []byte) { copy(dst, data) })
}

// PutFunc is Put for data that is written by fill, which gets exactly n bytes.
func (c *Call) PutFunc(i, n int, fill func(dst []byte)) abi.Code {
	s := c.spec.slot[i]
	if uint64(n) > uint64(^uint32(0)) {
		return abi.CodeLimit
	}
	c.mem.WriteUint32Le(uint32(c.stack[s+2]), uint32(n))
	dst := c.Bytes(i)
	if n > len(dst) {
		return abi.CodeTooSmall
	}
	c.Run.Charge(uint64(n))
	fill(dst[:n:n])
	return abi.CodeOK
}

// SetPart stores how much of a Part parameter was written.
func (c *Call) SetPart(i, n int) {
	c.Run.Charge(uint64(n))
	c.mem.WriteUint32Le(uint32(c.stack[c.spec.slot[i]+2]), uint32(n))
}

// SetU32 stores an OutU32 parameter.
func (c *Call) SetU32(i int, v uint32) {
	c.mem.WriteUint32Le(uint32(c.stack[c.spec.slot[i]]), v)
}

// SetU64 stores an OutU64 parameter.
func (c *Call) SetU64(i int, v uint64) {
	c.mem.WriteUint64Le(uint32(c.stack[c.spec.slot[i]]), v)
}

// SetDigest stores an OutDigest parameter.
func (c *Call) SetDigest(i int, d [32]byte) {
	c.mem.Write(uint32(c.stack[c.spec.slot[i]]), d[:])
}

// check verifies every pointer of the call against the guest's memory, and the
// encoding of text. cost is the fuel for the bytes the host will read or fill.
func (c *Call) check() (cost int64, code abi.Code) {
	if c.mem == nil {
		return 0, abi.CodeFault
	}
	for i := range c.spec.pointers {
		p := &c.spec.pointers[i]
		off, n := uint32(c.stack[p.slot]), uint32(p.size)
		if n == 0 {
			n = uint32(c.stack[p.slot+1])
		}
		// The very last byte of a 4 GiB memory is out of reach: wazero's Read would
		// overflow there.
		if off+n < off {
			return cost, abi.CodeFault
		}
		b, ok := c.mem.Read(off, n)
		if !ok {
			return cost, abi.CodeFault
		}
		if p.size == 0 {
			c.spans[p.param] = b
		}
		if p.read {
			cost += int64(n/copyUnit) + 1
			if p.text && !c.Run.validText(b) {
				return cost, abi.CodeInvalid
			}
		}
	}
	return cost, abi.CodeOK
}

// textPiece is how much text is checked before a look at the deadline. Text beyond
// ASCII takes 2 ns a byte.
const textPiece = 1 << 20

// validText reports whether b is UTF-8. It ends the guest when the run is stopped on
// the way.
func (r *Run) validText(b []byte) bool {
	for len(b) > textPiece {
		n := textPiece
		for n > textPiece-utf8.UTFMax && !utf8.RuneStart(b[n]) {
			n--
		}
		if !utf8.Valid(b[:n]) {
			return false
		}
		b = b[n:]
		r.checkStop()
	}
	return utf8.Valid(b)
}

// wrap makes the WebAssembly function of one row: it checks the capability and the
// pointers, counts and charges the call, looks whether the run must stop, and only then
// calls the body.
func wrap(spec *callSpec, body Func) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		r := ctx.(*Run)
		c := &r.call
		r.calls[spec.index]++
		cost, code := int64(0), abi.CodeOK
		if spec.row.Capability != "" && !r.Holds(spec.row.Capability) {
			code = abi.CodeDenied
		} else if len(spec.pointers) > 0 {
			c.mem, c.stack, c.spec = mod.Memory(), stack, spec
			cost, code = c.check()
		} else {
			c.stack, c.spec = stack, spec
		}
		r.debt += hostCallFuel + cost
		r.settle()
		if code == abi.CodeOK {
			code = body(c)
		}
		stack[0] = uint64(uint32(code))
	}
}

// registry holds the wrapped functions of all families by module and name.
type registry struct {
	funcs map[string]map[string]*hostFunc
	names []string // call index to "module.name"
}

// hostFunc is a row with its body. The function that WebAssembly calls is made when the
// first guest imports it: most runs need a few of them.
type hostFunc struct {
	row   abi.Function
	index int // position in Engine.names
	body  Func
	once  sync.Once
	spec  *callSpec
	fn    api.GoModuleFunc
}

// make returns the parameters and the function.
func (f *hostFunc) make() ([]api.ValueType, api.GoModuleFunc) {
	f.once.Do(func() {
		f.spec = newCallSpec(f.row, f.index)
		f.fn = wrap(f.spec, f.body)
	})
	return f.spec.types, f.fn
}

// newRegistry binds the implementations to the table. Every row must have an
// implementation and every implementation a row: a host that lacks one does not
// start.
func newRegistry(families []Family) (*registry, error) {
	reg := &registry{funcs: map[string]map[string]*hostFunc{}}
	for _, fam := range families {
		if reg.funcs[fam.Module] != nil {
			return nil, fmt.Errorf("family %q is implemented twice", fam.Module)
		}
		byName := map[string]*hostFunc{}
		for _, row := range familyRows(fam.Module) {
			body := fam.Funcs[row.Name]
			if body == nil {
				return nil, fmt.Errorf("family %q has no implementation of %q", fam.Module, row.Name)
			}
			if len(row.Params) > maxPointers {
				return nil, fmt.Errorf("%s.%s has more than %d parameters", fam.Module, row.Name, maxPointers)
			}
			byName[row.Name] = &hostFunc{row: row, index: len(reg.names), body: body}
			reg.names = append(reg.names, fam.Module+"."+row.Name)
		}
		for name := range fam.Funcs {
			if byName[name] == nil {
				return nil, fmt.Errorf("family %q implements %q, which is not in the table", fam.Module, name)
			}
		}
		reg.funcs[fam.Module] = byName
	}
	return reg, nil
}

func familyRows(module string) []abi.Function {
	for _, f := range abi.Families() {
		if f.Module == module {
			return f.Rows
		}
	}
	return nil
}

// modules returns the import modules of the families, sorted.
func (reg *registry) modules() []string {
	var out []string
	for m := range reg.funcs {
		out = append(out, m)
	}
	sort.Strings(out)
	return out
}

// instantiate registers those functions of one family in a runtime that a guest
// imports.
func (reg *registry) instantiate(ctx context.Context, rt wazero.Runtime, module string, names []string) error {
	b := rt.NewHostModuleBuilder(module)
	for _, name := range names {
		params, fn := reg.funcs[module][name].make()
		b.NewFunctionBuilder().WithGoModuleFunction(fn, params, []api.ValueType{api.ValueTypeI32}).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}
