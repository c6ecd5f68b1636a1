package engine

import (
	"context"
	"fmt"
	"sort"
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
}

// callSpec is what the wrapper needs of a table row, computed once.
type callSpec struct {
	row   abi.Function
	index int   // position in Engine.callNames
	slot  []int // first stack slot of each parameter
	slots int
}

// U32 returns a number parameter.
func (c *Call) U32(i int) uint32 { return uint32(c.stack[c.spec.slot[i]]) }

// U64 returns a number parameter.
func (c *Call) U64(i int) uint64 { return c.stack[c.spec.slot[i]] }

// Bytes returns the guest memory that a Bytes, Text, Fill, Buffer or Part
// parameter spans: what to read, or where to write.
func (c *Call) Bytes(i int) []byte {
	s := c.spec.slot[i]
	b, _ := c.mem.Read(uint32(c.stack[s]), uint32(c.stack[s+1]))
	return b
}

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
// encoding of text, and charges for the bytes the host will read.
func (c *Call) check() abi.Code {
	if c.mem == nil {
		for _, p := range c.spec.row.Params {
			if p.Kind != abi.U32 && p.Kind != abi.U64 && p.Kind != abi.F64 {
				return abi.CodeFault
			}
		}
		return abi.CodeOK
	}
	size := uint64(c.mem.Size())
	if size == 0 {
		// A memory of exactly 4 GiB has a size that 32 bits cannot tell from 0.
		if _, ok := c.mem.ReadByte(1<<32 - 1); ok {
			size = 1 << 32
		}
	}
	inside := func(slot int, n uint64) bool { return uint64(uint32(c.stack[slot]))+n <= size }
	for i, p := range c.spec.row.Params {
		s := c.spec.slot[i]
		ok := true
		switch p.Kind {
		case abi.Bytes, abi.Text, abi.Fill:
			n := uint64(uint32(c.stack[s+1]))
			ok = inside(s, n)
			if ok {
				c.Run.Charge(n)
				if p.Kind == abi.Text && !utf8.Valid(c.Bytes(i)) {
					return abi.CodeInvalid
				}
			}
		case abi.Buffer, abi.Part:
			ok = inside(s, uint64(uint32(c.stack[s+1]))) && inside(s+2, 4)
		case abi.OutU32:
			ok = inside(s, 4)
		case abi.OutU64:
			ok = inside(s, 8)
		case abi.OutDigest:
			ok = inside(s, 32)
		}
		if !ok {
			return abi.CodeFault
		}
	}
	return abi.CodeOK
}

// wrap makes the WebAssembly function of one row: it counts and charges the call,
// looks whether the run must stop, checks the capability and the pointers, and only
// then calls the body.
func wrap(spec *callSpec, body Func) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		r := ctx.(*Run)
		r.enter(spec.index)
		code := abi.CodeDenied
		if spec.row.Capability == "" || r.Holds(spec.row.Capability) {
			c := &r.call
			c.mem, c.stack, c.spec = mod.Memory(), stack, spec
			if code = c.check(); code == abi.CodeOK {
				code = body(c)
			}
			c.mem, c.stack = nil, nil
		}
		stack[0] = uint64(uint32(code))
	}
}

// registry holds the wrapped functions of all families by module and name.
type registry struct {
	funcs map[string]map[string]*hostFunc
	names []string // call index to "module.name"
}

type hostFunc struct {
	params []api.ValueType
	fn     api.GoModuleFunc
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
			spec := &callSpec{row: row, index: len(reg.names)}
			var params []api.ValueType
			for _, p := range row.Params {
				spec.slot = append(spec.slot, len(params))
				for _, t := range p.Kind.Lower() {
					params = append(params, api.ValueType(t))
				}
			}
			spec.slots = len(params)
			byName[row.Name] = &hostFunc{params, wrap(spec, body)}
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
		f := reg.funcs[module][name]
		b.NewFunctionBuilder().WithGoModuleFunction(f.fn, f.params, []api.ValueType{api.ValueTypeI32}).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}
