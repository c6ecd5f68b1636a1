package wasmbin

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

func TestPack(t *testing.T) {
	for _, c := range []struct{ fuel, stack int64 }{
		{0, 0}, {1, 1}, {-1, 0}, {0, -1}, {-5, -7}, {MaxFuel, MaxStack}, {-MaxFuel, -MaxStack}, {1 << 30, 1 << 18}, {-1, MaxStack},
	} {
		m := Pack(c.fuel, c.stack)
		if f, s := Unpack(m); f != c.fuel || s != c.stack {
			t.Errorf("Unpack(Pack(%d, %d)) = %d, %d", c.fuel, c.stack, f, s)
		}
		if empty := m&emptyMask != 0; empty != (c.fuel < 0 || c.stack < 0) {
			t.Errorf("Pack(%d, %d): the mask says empty = %v", c.fuel, c.stack, empty)
		}
	}
	if f, s := Unpack(Pack(MaxFuel+5, MaxStack+5)); f != MaxFuel || s != MaxStack {
		t.Errorf("too large values became %d, %d", f, s)
	}
	if Unarmed&emptyMask == 0 {
		t.Error("the unarmed meter does not count as empty")
	}
}

// loopForever are guests that never end by themselves; all take no arguments.
func loopForever() map[string]*testModule {
	brTable := cat(opLoop, 0x40, opI32Const, 0, opBrTable, leb(2), 0, 0, 0, opEnd)
	params := single(":", 0, nil, nil)
	params.types = []FuncType{sig1("ii:i")}
	params.funcs[0].body = cat(opI32Const, 1, opI32Const, 2, opLoop, 1, opI32Add, opI32Const, 3, opBr, 0, opEnd, opDrop)

	mutual := single(":", 0, nil, cat(opCall, 1))
	mutual.funcs = append(mutual.funcs, testFunc{typ: sig1(":"), body: cat(opCall, 0)})

	indirect := single(":", 0, nil, cat(opI32Const, 0, opCallIndirect, 0, 0))
	indirect.tables = [][]byte{cat(FuncRef, 0, 1)}
	indirect.elems = [][]byte{cat(0, opI32Const, 0, opEnd, leb(1), leb(0))}

	start := single(":", 0, nil, cat(opLoop, 0x40, opBr, 0, opEnd))
	start.funcs[0].export = ""
	start.start = 1

	viaLoop := single(":", 0, nil, cat(opLoop, 0x40, opCall, 1, opBr, 0, opEnd))
	viaLoop.funcs = append(viaLoop.funcs, testFunc{typ: sig1(":")})

	tree := single(":", 1, cat(leb(1), I32), nil) // 2^60 calls without recursion or loops
	tree.funcs = nil
	for i := range 60 {
		f := testFunc{typ: sig1(":"), body: cat(opCall, leb(i+1), opCall, leb(i+1))}
		if i == 0 {
			f.export = "run"
		}
		tree.funcs = append(tree.funcs, f)
	}
	tree.funcs = append(tree.funcs, testFunc{typ: sig1(":")})

	wide := single(":", 0, nil, cat(opLoop, 0x40, opI32Const, 1, opI32Const, 0, opI32Const, sleb(3<<20), opPrefixMisc, miscMemoryCopy, 0, 0, opBr, 0, opEnd))
	wide.memory = cat(1, leb(50), leb(50))

	grow := single(":", 0, nil, cat(opLoop, 0x40, opI32Const, 0, opMemoryGrow, 0, opDrop, opBr, 0, opEnd))
	return map[string]*testModule{
		"loop":                     single(":", 0, nil, cat(opLoop, 0x40, opBr, 0, opEnd)),
		"nested loops":             single(":", 0, nil, cat(opLoop, 0x40, opLoop, 0x40, opI32Const, 0, opBrIf, 0, opEnd, opBr, 0, opEnd)),
		"branch table":             single(":", 0, nil, brTable),
		"branch to the outer loop": single(":", 0, nil, cat(opLoop, 0x40, opLoop, 0x40, opBr, 1, opEnd, opEnd)),
		"loop with parameters":     params,
		"loop that calls":          viaLoop,
		"recursion":                single(":", 0, nil, cat(opCall, 0)),
		"recursion in a loop":      single(":", 0, nil, cat(opLoop, 0x40, opCall, 0, opBr, 0, opEnd)),
		"mutual recursion":         mutual,
		"indirect recursion":       indirect,
		"tree of calls":            tree,
		"start function":           start,
		"growing nothing":          grow,
		"copying in chunks":        wide,
		"filling memory": single(":", 0, nil, cat(opLoop, 0x40, opI32Const, 0, opI32Const, 0, opI32Const, sleb(1<<16),
			opPrefixMisc, miscMemoryFill, 0, opBr, 0, opEnd)),
	}
}

// play runs the export "run", or the start function, of an instrumented module.
func play(t testing.TB, cfg wazero.RuntimeConfig, o *Output, h *meterHost, args ...uint64) (res []uint64, used int64, err error) {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, cfg)
	defer r.Close(ctx)
	h.install(t, ctx, r)
	m, err := r.InstantiateWithConfig(ctx, o.Wasm, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	h.arm(m)
	f := m.ExportedFunction("run")
	if o.HasStart {
		f = m.ExportedFunction(StartExport)
	}
	res, err = f.Call(ctx, args...)
	return res, h.consumed(m), err
}

func TestEndlessGuestsStop(t *testing.T) {
	for name, m := range loopForever() {
		t.Run(name, func(t *testing.T) {
			o := mustInstrument(t, m.bytes())
			var before string
			for engine, cfg := range engines() {
				for _, slice := range []int64{1 << 20, 1000} {
					// The interpreter allows 2000 calls inside each other.
					h := &meterHost{total: 3_000_000, slice: slice, stack: 1500}
					_, used, err := play(t, cfg, o, h)
					if !errors.Is(err, errOut) {
						t.Fatalf("%s: ended with %v", engine, err)
					}
					if got := fmt.Sprint(used); before != "" && got != before {
						t.Errorf("%s, slices of %d: fuel %s, before %s", engine, slice, got, before)
					} else {
						before = got
					}
				}
			}
		})
	}
}

func TestCharges(t *testing.T) {
	loop := func(body ...any) []byte { // runs body n times, n is the parameter
		return cat(opLoop, 0x40, cat(body...), opLocalGet, 0, opI32Const, 1, 0x6b, opLocalTee, 0, opBrIf, 0, opEnd)
	}
	two := single("i:i", 0, nil, cat(opLocalGet, 0, opCall, 1, opCall, 1))
	two.funcs = append(two.funcs, testFunc{typ: sig1("i:i"), body: cat(opLocalGet, 0, opI32Const, 1, opI32Add)})
	tab := single("i:i", 0, nil, cat(opRefNull, 0x70, opLocalGet, 0, opPrefixMisc, miscTableGrow, 0))
	tab.tables = [][]byte{cat(FuncRef, 0, 1)}
	for _, c := range []struct {
		name string
		m    *testModule
		arg  uint64
		want int64
	}{
		{"empty", single("i:", 0, nil, nil), 0, 0},
		{"straight", single("i:i", 0, nil, cat(opLocalGet, 0, opI32Const, 1, opI32Add)), 0, 3},
		{"block and nop count, end and else do not", single("i:i", 0, nil, cat(opLocalGet, 0, opIf, I32, opI32Const, 1, opElse, opI32Const, 2, opEnd, opNop)), 0, 5},
		{"loop", single("i:", 0, nil, loop()), 10, 1 + 10*5},
		{"loop with a call", func() *testModule {
			m := single("i:", 0, nil, loop(opCall, 1))
			m.funcs = append(m.funcs, testFunc{typ: sig1(":"), body: cat(opNop, opNop)})
			return m
		}(), 10, 1 + 10*(6+2)},
		{"calls", two, 0, 3 + 3 + 3},
		{"memory.fill of 64 bytes", single("i:", 0, nil, cat(opI32Const, 0, opI32Const, 0, opLocalGet, 0, opPrefixMisc, miscMemoryFill, 0)), 64, 4 + 64/32 + 1},
		{"memory.copy of nothing", single("i:", 0, nil, cat(opI32Const, 0, opI32Const, 0, opLocalGet, 0, opPrefixMisc, miscMemoryCopy, 0, 0)), 0, 4 + 1},
		{"memory.grow", single("i:i", 0, nil, cat(opLocalGet, 0, opMemoryGrow, 0)), 3, 2 + 3*2048},
		{"memory.grow that must fail", single("i:i", 0, nil, cat(opLocalGet, 0, opMemoryGrow, 0)), 1<<32 - 1, 2 + 65536*2048},
		{"table.grow", tab, 7, 3 + 7 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := mustInstrument(t, c.m.bytes())
			for engine, cfg := range engines() {
				_, used, err := play(t, cfg, o, newMeterHost(), c.arg)
				if err != nil || used != c.want {
					t.Errorf("%s: fuel %d, %v; want %d", engine, used, err, c.want)
				}
			}
		})
	}
}

// TestStackIsGivenBack calls deeper and deeper within the limit: what returned
// calls took must be free again.
func TestStackIsGivenBack(t *testing.T) {
	// run(n) = n ? run(n-1) : 0, in several shapes of return.
	rec := cat(opLocalGet, 0, opI32Const, 1, 0x6b, opCall, 0)
	for name, body := range map[string][]byte{
		"fall through": cat(opLocalGet, 0, opIf, I32, rec, opElse, opI32Const, 0, opEnd),
		"return":       cat(opLocalGet, 0, opIf, 0x40, rec, opReturn, opEnd, opI32Const, 0),
		"branch":       cat(opLocalGet, 0, opIf, 0x40, rec, opBr, 1, opEnd, opI32Const, 0),
		"branch table": cat(opLocalGet, 0, opIf, 0x40, rec, opI32Const, 0, opBrTable, leb(1), 1, 1, opEnd, opI32Const, 0),
		"spare values": cat(opI32Const, 5, opLocalGet, 0, opIf, 0x40, opI32Const, 4, rec, opReturn, opEnd, opI32Const, 0, opReturn),
		"in a loop":    cat(opLoop, 0x40, opLocalGet, 0, opIf, 0x40, rec, opReturn, opEnd, opEnd, opI32Const, 0),
	} {
		t.Run(name, func(t *testing.T) {
			o := mustInstrument(t, single("i:i", 0, nil, body).bytes())
			ctx := context.Background()
			for engine, cfg := range engines() {
				r := wazero.NewRuntimeWithConfig(ctx, cfg)
				defer r.Close(ctx)
				h := &meterHost{total: 1 << 40, slice: 100, stack: 1000}
				h.install(t, ctx, r)
				m, err := r.InstantiateWithConfig(ctx, o.Wasm, wazero.NewModuleConfig())
				if err != nil {
					t.Fatal(err)
				}
				h.arm(m)
				g := m.ExportedGlobal(MeterGlobal).(api.MutableGlobal)
				for i := range 50 {
					if _, err := m.ExportedFunction("run").Call(ctx, uint64(i*4)); err != nil {
						t.Fatalf("%s: depth %d: %v", engine, i*4, err)
					}
					if _, stack := Unpack(int64(g.Get())); stack != h.stack {
						t.Fatalf("%s: %d units of stack after the call, %d before", engine, stack, h.stack)
					}
				}
			}
		})
	}
}

func TestTableLimit(t *testing.T) {
	table := func(min, max int) []byte {
		if max < 0 {
			return cat(FuncRef, 0, leb(min))
		}
		return cat(FuncRef, 1, leb(min), leb(max))
	}
	for _, c := range []struct {
		name   string
		tables [][]byte
		limit  uint32
		want   []uint32 // maxima, nil when refused
	}{
		{"one without a maximum", [][]byte{table(10, -1)}, 100, []uint32{100}},
		{"one below", [][]byte{table(10, 50)}, 100, []uint32{50}},
		{"one above", [][]byte{table(10, 5000)}, 100, []uint32{100}},
		{"two share", [][]byte{table(10, -1), table(10, -1)}, 100, []uint32{50, 50}},
		{"a named maximum first", [][]byte{table(0, -1), table(10, 70)}, 100, []uint32{30, 70}},
		{"too many", [][]byte{table(60, -1), table(60, -1)}, 100, nil},
		{"exactly", [][]byte{table(60, -1), table(40, 4000)}, 100, []uint32{60, 40}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse((&testModule{tables: c.tables}).bytes())
			if err != nil {
				t.Fatal(err)
			}
			o, err := Instrument(m, Options{TableLimit: c.limit})
			var refused *RefusedError
			if c.want == nil {
				if !errors.As(err, &refused) || refused.Reason != "table-entries" {
					t.Fatalf("got %v, want a refusal", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range parseTables(t, o.Wasm) {
				if !got.HasMax || got.Max != c.want[i] {
					t.Errorf("table %d has %+v, want a maximum of %d", i, got.Limits, c.want[i])
				}
			}
		})
	}
}

// parseTables reads the tables of an instrumented module, which Parse refuses
// for its reserved names.
func parseTables(t *testing.T, wasm []byte) []TableType {
	t.Helper()
	r := &reader{b: wasm, pos: 8, end: len(wasm), fn: -1}
	m := &Module{raw: wasm}
	for r.pos < r.end {
		id, n := r.byte(), r.u32()
		at := r.pos
		r.bytes(int(n))
		if id == secTable {
			m.section(id, &reader{b: wasm, pos: at, end: r.pos, fn: -1})
		}
	}
	return m.tables
}
