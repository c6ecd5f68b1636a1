package wasmbin

import (
	"errors"
	"testing"
)

// hostileShapes are modules that take the compiler tens of seconds or gigabytes
// for their size; the reason is that of the refusal.
func hostileShapes() []struct {
	name, reason string
	module       func() *testModule
} {
	body := func(n int, parts ...[]byte) func() *testModule {
		return func() *testModule {
			b := []byte{}
			for _, p := range parts {
				b = append(b, repeat(n, p)...)
			}
			return single("i:i", 1, cat(leb(3), I32), append(b, opLocalGet, 0))
		}
	}
	get := cat(opLocalGet, 0)
	return []struct {
		name, reason string
		module       func() *testModule
	}{
		{"0.8 MB of nested blocks", "nested-blocks", body(270_000, cat(opBlock, 0x40), cat(opEnd))},
		{"nested blocks with branches", "nested-blocks", body(15_000, cat(opBlock, 0x40), cat(get, opBrIf, 0, opEnd))},
		{"nested ifs", "nested-blocks", body(9000, cat(get, opIf, 0x40), cat(opEnd))},
		{"nested loops", "nested-loops", body(3000, cat(opLoop, 0x40), cat(get, opBrIf, 0, opEnd))},
		{"ifs in sequence", "block-chain", body(20_000, cat(get, opIf, 0x40, opLocalGet, 1, opI32Const, 1, opI32Add, opLocalSet, 1, opEnd))},
		{"ifs that trap", "block-chain", body(8000, cat(get, opIf, 0x40, opUnreachable, opEnd))},
		{"early returns", "block-chain", body(8000, cat(get, opIf, 0x40, get, opReturn, opEnd))},
		{"loops in sequence", "block-chain", body(5000, cat(opLoop, 0x40, get, opBrIf, 0, opEnd))},
		{"branches to one label", "block-chain", func() *testModule {
			return single("i:", 0, nil, cat(opBlock, 0x40, repeat(9000, cat(get, opBrIf, 0)), opEnd))
		}},
		{"branch table of 300,000", "br-table", func() *testModule {
			return single("i:", 0, nil, cat(opBlock, 0x40, get, opBrTable, leb(300_000), make([]byte, 300_001), opEnd))
		}},
		{"branch tables of 60,000 twice", "br-table", func() *testModule {
			one := cat(opBlock, 0x40, get, opBrTable, leb(60_000), make([]byte, 60_001), opEnd)
			return single("i:", 0, nil, cat(one, one))
		}},
		{"many locals across many joins", "locals-in-blocks", func() *testModule {
			const locals = 1000
			var b []byte
			for i := range 2000 {
				l := leb(1 + i%locals)
				b = append(b, cat(get, opIf, 0x40, opLocalGet, l, opI32Const, 1, opI32Add, opLocalSet, l, opEnd)...)
			}
			for i := range locals {
				b = append(b, cat(opLocalGet, leb(1+i), opDrop)...)
			}
			return single("i:", 1, cat(leb(locals), I32), b)
		}},
		{"many locals in nested loops", "nested-loops", func() *testModule {
			var sets []byte
			for i := range 20 {
				sets = append(sets, cat(opLocalGet, leb(1+i), opI32Const, 1, opI32Add, opLocalSet, leb(1+i))...)
			}
			return single("i:", 1, cat(leb(20), I32), cat(repeat(1000, cat(opLoop, 0x40)), sets, repeat(1000, cat(get, opBrIf, 0, opEnd))))
		}},
		{"10 million locals", "locals", func() *testModule { return single(":", 1, cat(leb(10_000_000), I64), nil) }},
		{"4 billion locals", "locals", func() *testModule {
			return single(":", 1, cat(appendU32(nil, 1<<32-1), I64), nil)
		}},
		{"many locals in each of many functions", "locals", func() *testModule {
			m := &testModule{}
			for range 100 {
				m.funcs = append(m.funcs, testFunc{typ: sig1(":"), groups: 1, locals: cat(leb(40_000), I64)})
			}
			return m
		}},
		{"an 8 MB function", "function-size", body(1_600_000, cat(get, 0x28, 2, 0, opDrop))},
		{"a function of bulk copies", "function-size", body(120_000, cat(get, get, get, opPrefixMisc, miscMemoryCopy, 0, 0))},
		{"a signature of 5,000 values", "signature", func() *testModule {
			return &testModule{types: []FuncType{{Params: make5000()}}}
		}},
		{"calls that move thousands of values", "signature-work", func() *testModule {
			m := single(":", 0, nil, cat(opUnreachable, repeat(5000, cat(opCall, 1))))
			m.funcs = append(m.funcs, testFunc{typ: FuncType{Params: make5000()[:1000]}})
			return m
		}},
		{"2,000 tables", "tables", func() *testModule {
			m := &testModule{}
			for range 2000 {
				m.tables = append(m.tables, cat(FuncRef, 0, 0))
			}
			return m
		}},
	}
}

func make5000() []ValueType {
	v := make([]ValueType, 5000)
	for i := range v {
		v[i] = I32
	}
	return v
}

func TestScanRefuses(t *testing.T) {
	for _, s := range hostileShapes() {
		t.Run(s.name, func(t *testing.T) {
			m, err := Parse(s.module().bytes())
			if err != nil {
				t.Fatal(err)
			}
			err = Scan(m, DefaultScanLimits())
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Reason != s.reason {
				t.Fatalf("got %v, want a refusal for %s", err, s.reason)
			}
			if refused.Value <= refused.Limit {
				t.Errorf("value %d does not exceed the limit %d", refused.Value, refused.Limit)
			}
		})
	}
}

// TestScanAccepts holds the limits against shapes that compilers emit.
func TestScanAccepts(t *testing.T) {
	for _, c := range []struct {
		name   string
		module func() *testModule
	}{
		{"200,000 functions", func() *testModule {
			m := &testModule{}
			for range 200_000 {
				m.funcs = append(m.funcs, testFunc{typ: sig1(":")})
			}
			return m
		}},
		{"64 MiB of custom section", func() *testModule {
			return &testModule{customs: [][]byte{append(appendName(nil, "x"), make([]byte, 64<<20)...)}}
		}},
		{"a memory of 4 GiB", func() *testModule { return &testModule{memory: cat(1, leb(1<<16), leb(1<<16))} }},
		{"an interpreter loop of 2,000 cases", func() *testModule {
			const n = 2000
			var targets, cases []byte
			for i := range n {
				l := 1 + i%20
				targets = append(targets, leb(i)...)
				cases = append(cases, cat(opEnd, opLocalGet, l, opI32Const, 1, opI32Add, opLocalSet, l, opBr, leb(n-1-i))...)
			}
			return single("i:i", 1, cat(leb(20), I32),
				cat(opLoop, 0x40, repeat(n, cat(opBlock, 0x40)), opLocalGet, 1, opBrTable, leb(n), targets, 0, cases, opEnd, opLocalGet, 1))
		}},
		{"a table of 1,000,000 functions", func() *testModule {
			m := single(":", 0, nil, nil)
			m.tables = [][]byte{cat(FuncRef, 0, leb(1_000_000))}
			m.elems = [][]byte{cat(0, opI32Const, 0, opEnd, leb(1_000_000), make([]byte, 1_000_000))}
			return m
		}},
		{"a straight function of 500 KB", func() *testModule {
			return single("i:i", 0, nil, cat(opLocalGet, 0, repeat(160_000, cat(opI32Const, 1, opI32Add))))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.module().bytes()
			m, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if err := Scan(m, DefaultScanLimits()); err != nil {
				t.Fatal(err)
			}
			o, err := Instrument(m, Options{TableLimit: 2_000_000})
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Customs()) > 0 && len(o.Wasm) > 1000 {
				t.Error("the custom section was copied")
			}
		})
	}
}

func BenchmarkScanAndInstrument(b *testing.B) {
	wasm := buildGo(b, goProgram)
	b.SetBytes(int64(len(wasm)))
	for b.Loop() {
		m, err := Parse(wasm)
		if err == nil {
			err = Scan(m, DefaultScanLimits())
		}
		if err == nil {
			_, err = Instrument(m, Options{})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
