package engine

import (
	"context"
	"testing"

	"github.com/pxos/pxos/abi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// callLoop is a command whose _start calls bench.f with n plain arguments, each 64,
// the given number of times.
func callLoop(times uint32, args int) []byte {
	params := make([]byte, args)
	var push []byte
	for i := range params {
		params[i] = 0x7f
		push = append(push, 0x41, 0xc0, 0x00)
	}
	code := cat([]byte{0x41}, sleb(int64(times)), []byte{0x21, 0, 0x03, 0x40}, push, []byte{0x10, 0, 0x1a, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b})
	return cat([]byte(header),
		sec(1, vec([]byte{0x60, 0, 0}, cat([]byte{0x60}, uleb(uint64(args)), params, []byte{1, 0x7f}))),
		sec(2, vec(cat(str("bench"), str("f"), []byte{0, 1}))),
		sec(3, vec([]byte{0})), sec(5, vec([]byte{0, 1})),
		sec(7, vec(cat(str("_start"), []byte{0, 1}), cat(str("memory"), []byte{2, 0}))),
		sec(10, vec(fn([]byte{1, 1, 0x7f}, code...))))
}

func sleb(v int64) []byte {
	var out []byte
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(out, c)
		}
		out = append(out, c|0x80)
	}
}

const calls = 10000

// BenchmarkHostCall compares a host function of the table, with its checks, its
// counting and its fuel, with a bare wazero host function that does the same. Figures
// are for 10,000 calls from one run of a guest.
func BenchmarkHostCall(b *testing.B) {
	var sum uint64
	for _, bc := range []struct {
		name   string
		params []abi.Param
		bare   api.GoModuleFunc
		body   Func
	}{
		{"empty", nil,
			func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = 0 },
			func(*Call) abi.Code { return abi.CodeOK }},
		{"bytes64", []abi.Param{{Name: "data", Kind: abi.Bytes}},
			func(_ context.Context, mod api.Module, stack []uint64) {
				p, ok := mod.Memory().Read(uint32(stack[0]), uint32(stack[1]))
				if !ok {
					stack[0] = 1
					return
				}
				sum += uint64(p[0]) + uint64(p[63])
				stack[0] = 0
			},
			func(c *Call) abi.Code {
				p := c.Bytes(0)
				sum += uint64(p[0]) + uint64(p[63])
				return abi.CodeOK
			}},
	} {
		row := abi.Function{Module: "bench", Name: "f", Params: bc.params}
		args := len(row.Lower())
		wasm := callLoop(calls, args)
		b.Run(bc.name+"/wazero", func(b *testing.B) {
			ctx := context.Background()
			rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features))
			defer rt.Close(ctx)
			params := make([]api.ValueType, args)
			for i := range params {
				params[i] = api.ValueTypeI32
			}
			hb := rt.NewHostModuleBuilder("bench")
			hb.NewFunctionBuilder().WithGoModuleFunction(bc.bare, params, []api.ValueType{api.ValueTypeI32}).Export("f")
			if _, err := hb.Instantiate(ctx); err != nil {
				b.Fatal(err)
			}
			mod, err := rt.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions())
			if err != nil {
				b.Fatal(err)
			}
			start := mod.ExportedFunction("_start")
			for b.Loop() {
				if _, err := start.Call(ctx); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/calls, "ns/call")
		})
		b.Run(bc.name+"/pxos", func(b *testing.B) {
			e := newEngine(b, Config{})
			e.reg.funcs["bench"] = map[string]*hostFunc{"f": {row: row, body: bc.body}}
			m := load(b, e, wasm)
			g := instance(b, m, func(c *RunConfig) { c.Limits.Fuel = abi.MaxLimits().Fuel })
			start := g.mod.ExportedFunction("_start")
			for b.Loop() {
				if _, err := start.Call(g.run); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/calls, "ns/call")
		})
	}
}
