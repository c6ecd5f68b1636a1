package hostile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
)

const wasiP1 = "wasi_snapshot_preview1"

// done is a run that succeeded.
const done abi.ErrorType = ""

// attack is a module and the ways in which it may end.
type attack struct {
	name  string
	wasm  func() []byte
	want  []abi.ErrorType
	says  string // part of the message
	limit abi.Limits
}

func types(t ...abi.ErrorType) []abi.ErrorType { return t }

// hello writes one line and returns.
func hello() *module {
	m := &module{}
	write := m.imp(wasiP1, "fd_write", m.typ([]byte{i32, i32, i32, i32}, []byte{i32}))
	v := m.typ(nil, nil)
	m.memory(1).data(0, []byte{16, 0, 0, 0, 6, 0, 0, 0}).data(16, []byte("hello\n"))
	return m.export("_start", m.fn(v, nil, join(konst(1), konst(0), konst(1), konst(8), call(write), opDrop)))
}

// static are modules that must be refused, or survived, before anything of them runs.
var static = []attack{
	{name: "empty file", wasm: func() []byte { return []byte("\x00asm") }, want: types(abi.ErrInvalidModule)},
	{name: "wrong version", wasm: func() []byte { return []byte("\x00asm\x02\x00\x00\x00") }, want: types(abi.ErrInvalidModule, abi.ErrUnsupported)},
	{name: "component", wasm: func() []byte { return []byte("\x00asm\x0d\x00\x01\x00") }, want: types(abi.ErrInvalidModule, abi.ErrUnsupported)},
	{name: "nothing in it", wasm: func() []byte { return (&module{}).bytes() }, want: types(abi.ErrNoProgram)},
	{name: "no _start", wasm: func() []byte {
		m := &module{}
		return m.memory(1).export("other", m.fn(m.typ(nil, nil), nil, nil)).bytes()
	}, want: types(abi.ErrNoProgram), says: "_start"},
	{name: "_start takes parameters", wasm: func() []byte {
		m := &module{}
		return m.memory(1).export("_start", m.fn(m.typ([]byte{i32}, nil), nil, nil)).bytes()
	}, want: types(abi.ErrNoProgram, abi.ErrInvalidModule)},
	{name: "section longer than the file", wasm: func() []byte { return join(hello().bytes(), 0x00, uleb(1<<32-1)) }, want: types(abi.ErrInvalidModule)},
	{name: "a billion types claimed", wasm: func() []byte {
		return join([]byte("\x00asm\x01\x00\x00\x00"), section(1, uleb(1_000_000_000)))
	}, want: types(abi.ErrInvalidModule, abi.ErrRefused)},
	{name: "a billion functions claimed", wasm: func() []byte {
		m := hello()
		return join(m.bytes()[:8], section(1, vec(m.types)), section(3, uleb(1_000_000_000)))
	}, want: types(abi.ErrInvalidModule, abi.ErrRefused)},
	{name: "a billion branch targets claimed", wasm: func() []byte {
		return command(nil, join(konst(0), opBrTable, uleb(1_000_000_000))).bytes()
	}, want: types(abi.ErrInvalidModule, abi.ErrRefused)},
	{name: "four billion locals claimed twice", wasm: func() []byte {
		return command([][]byte{join(uleb(1<<32-1), i32), join(uleb(1<<32-1), i64)}, nil).bytes()
	}, want: types(abi.ErrInvalidModule, abi.ErrRefused)},
	{name: "overlong number", wasm: func() []byte {
		return join([]byte("\x00asm\x01\x00\x00\x00"), 1, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00})
	}, want: types(abi.ErrInvalidModule)},
	{name: "sections out of order", wasm: func() []byte {
		m := hello()
		return join(m.bytes(), section(1, vec(m.types)))
	}, want: types(abi.ErrInvalidModule)},
	{name: "type mismatch", wasm: func() []byte { return command(nil, join(konst64(1), opI32Eqz, opDrop)).bytes() }, want: types(abi.ErrInvalidModule)},
	{name: "stack underflow", wasm: func() []byte { return command(nil, []byte{opDrop}).bytes() }, want: types(abi.ErrInvalidModule)},
	{name: "unknown opcode", wasm: func() []byte { return command(nil, []byte{0x27}).bytes() }, want: types(abi.ErrInvalidModule, abi.ErrUnsupported)},
	{name: "name that is not UTF-8", wasm: func() []byte {
		m := hello()
		return m.export("\xff\xfe", 1).bytes()
	}, want: types(abi.ErrInvalidModule)},
	{name: "escape sequences in names", wasm: func() []byte {
		m := &module{}
		m.imp("\x1b[31mred", "\x1b]0;title\x07", m.typ(nil, nil))
		return m.memory(1).export("_start", m.fn(0, nil, nil)).bytes()
	}, want: types(abi.ErrMissingImports)},
	{name: "the same export twice", wasm: func() []byte { m := hello(); return m.export("_start", 1).bytes() }, want: types(abi.ErrInvalidModule)},
	{name: "the host's own names exported", wasm: func() []byte {
		m := hello()
		for _, n := range []string{"pxos:start", "pxos:meter", "pxos:seal", "pxos:meter.refill"} {
			m.export(n, 1)
		}
		return m.bytes()
	}, want: types(done, abi.ErrInvalidModule, abi.ErrRefused)},
	{name: "the meter imported", wasm: func() []byte {
		m := &module{}
		refill := m.imp("pxos:meter", "refill", m.typ([]byte{i64}, []byte{i64}))
		return m.memory(1).export("_start", m.fn(m.typ(nil, nil), nil, join(konst64(1<<40), call(refill), opDrop))).bytes()
	}, want: types(abi.ErrMissingImports, abi.ErrRefused), says: "pxos:meter"},
	{name: "unknown imports", wasm: func() []byte {
		m := &module{}
		v := m.typ(nil, nil)
		m.imp("zlib", "inflate", v)
		m.imp("env", "emscripten_notify", v)
		m.imp(wasiP1, "sock_open", v)
		m.imp("env", "abort", v)
		return m.memory(1).export("_start", m.fn(v, nil, nil)).bytes()
	}, want: types(abi.ErrMissingImports), says: "env.abort, env.emscripten_notify, wasi_snapshot_preview1.sock_open, zlib.inflate"},
	{name: "import of another type", wasm: func() []byte {
		m := &module{}
		m.imp(wasiP1, "fd_write", m.typ([]byte{i64}, []byte{f64}))
		return m.memory(1).export("_start", m.fn(m.typ(nil, nil), nil, nil)).bytes()
	}, want: types(abi.ErrMissingImports), says: "fd_write"},
	{name: "imported memory", wasm: func() []byte {
		m := command(nil, nil)
		m.mems, m.exports = nil, m.exports[1:]
		m.imports = append(m.imports, join("env", "memory", 0x02, 0x00, uleb(1)))
		return m.bytes()
	}, want: types(abi.ErrMissingImports), says: "env.memory"},
	{name: "calls WASI without a memory", wasm: func() []byte {
		m := hello()
		m.mems, m.datas, m.exports = nil, nil, m.exports[1:]
		return m.bytes()
	}, want: types(abi.ErrInvalidModule), says: "memory"},
	{name: "4 GiB of memory", wasm: func() []byte {
		m := &module{}
		return m.memory(65536).export("_start", m.fn(m.typ(nil, nil), nil, nil)).bytes()
	},
		want: types(abi.ErrMemory), says: "4GiB"},
	{name: "more than 4 GiB of memory", wasm: func() []byte {
		m := &module{}
		return m.memory(65537).export("_start", m.fn(m.typ(nil, nil), nil, nil)).bytes()
	},
		want: types(abi.ErrInvalidModule)},
	{name: "two memories", wasm: func() []byte { return hello().memory(1).bytes() }, want: types(abi.ErrInvalidModule, abi.ErrUnsupported)},
	{name: "64-bit memory", wasm: func() []byte { m := hello(); m.mems[0][0] = 0x04; return m.bytes() }, want: types(abi.ErrUnsupported), says: "memory64"},
	{name: "shared memory", wasm: func() []byte {
		m := hello()
		m.mems[0] = join(0x03, uleb(1), uleb(2))
		return m.bytes()
	}, want: types(abi.ErrUnsupported), says: "threads"},
	{name: "atomic instruction", wasm: func() []byte { return command(nil, join(0xfe, 0x03, 0x00)).bytes() }, want: types(abi.ErrUnsupported), says: "threads"},
	{name: "tail call", wasm: func() []byte { return command(nil, join(0x12, 0x00)).bytes() }, want: types(abi.ErrUnsupported), says: "tail-call"},
	{name: "exception", wasm: func() []byte { return command(nil, join(0x06, void, opEnd)).bytes() }, want: types(abi.ErrUnsupported), says: "exception"},
	{name: "garbage-collected type", wasm: func() []byte {
		return join([]byte("\x00asm\x01\x00\x00\x00"), section(1, join(uleb(1), 0x5f, uleb(1), i32, 0x00)))
	}, want: types(abi.ErrUnsupported), says: "gc"},
	{name: "10 million locals", wasm: func() []byte { return command([][]byte{join(uleb(10_000_000), i64)}, nil).bytes() }, want: types(abi.ErrRefused, abi.ErrInvalidModule), says: "locals"},
	{name: "10 million locals in 1000 functions", wasm: func() []byte {
		m := command(nil, nil)
		for range 1000 {
			m.fn(0, [][]byte{join(uleb(10_000), i64)}, nil)
		}
		return m.bytes()
	}, want: types(abi.ErrRefused), says: "locals"},
	{name: "200,000 functions", wasm: func() []byte {
		m := hello()
		for range 200_000 {
			m.fn(1, nil, nil)
		}
		return m.bytes()
	}, want: types(done, abi.ErrRefused)},
	{name: "2 million functions", wasm: func() []byte {
		m := hello()
		for range 2_000_000 {
			m.funcs = append(m.funcs, []byte{1})
			m.codes = append(m.codes, []byte{2, 0, opEnd})
		}
		return m.bytes()
	}, want: types(abi.ErrRefused), says: "functions"},
	{name: "function of 8 MB", wasm: func() []byte {
		return command(nil, repeat(2_700_000, opI32Const, 0, opDrop)).bytes()
	}, want: types(done, abi.ErrRefused)},
	{name: "function of 8 MB that adds", wasm: func() []byte {
		return command(nil, join(konst(0), repeat(2_700_000, opI32Const, 7, opI32Add), opDrop)).bytes()
	}, want: types(done, abi.ErrRefused)},
	{name: "operand stack of 2 million", wasm: func() []byte {
		return command(nil, join(repeat(2_000_000, opI32Const, 0), repeat(2_000_000, opDrop))).bytes()
	}, want: types(abi.ErrRefused, done, abi.ErrStack)},
	{name: "400,000 nested blocks", wasm: func() []byte {
		return command(nil, join(repeat(400_000, opBlock, void), repeat(400_000, opEnd))).bytes()
	}, want: types(abi.ErrRefused), says: "nested"},
	{name: "nested loops that branch out", wasm: func() []byte {
		return command([][]byte{join(uleb(40), i32)}, join(repeat(15_000, opLoop, void, opLocalGet, 3, opBrIf, 0), repeat(15_000, opEnd))).bytes()
	}, want: types(abi.ErrRefused, abi.ErrDeadline, done)},
	{name: "a million ifs in a row", wasm: func() []byte {
		return command([][]byte{join(uleb(1), i32)}, repeat(1_000_000, opLocalGet, 0, opIf, void, opEnd)).bytes()
	}, want: types(abi.ErrRefused, done)},
	{name: "br_table of 300,000", wasm: func() []byte {
		return command(nil, join(opBlock, void, konst(0), opBrTable, uleb(300_000), repeat(300_001, 0), opEnd)).bytes()
	}, want: types(abi.ErrRefused), says: "branch table"},
	{name: "many br_tables over many blocks", wasm: func() []byte {
		targets := []byte{}
		for i := range 2000 {
			targets = append(targets, uleb(uint64(i%5000))...)
		}
		one := join(konst(0), opBrTable, uleb(1999), targets)
		var body []byte
		for range 200 {
			body = join(body, opBlock, void, one, opEnd)
		}
		return command(nil, join(repeat(5000, opBlock, void), body, repeat(5000, opEnd))).bytes()
	}, want: types(abi.ErrRefused)},
	{name: "2000 parameters", wasm: func() []byte {
		m := hello()
		m.typ(repeat(2000, i64), nil)
		return m.bytes()
	}, want: types(abi.ErrRefused, abi.ErrInvalidModule)},
	{name: "5000 tables of 10 million", wasm: func() []byte {
		m := hello()
		for range 5000 {
			m.table(10_000_000)
		}
		return m.bytes()
	}, want: types(abi.ErrRefused, abi.ErrMemory)},
	{name: "table of 4 billion", wasm: func() []byte { return hello().table(1<<32 - 1).bytes() }, want: types(abi.ErrRefused, abi.ErrMemory, abi.ErrInvalidModule)},
	{name: "custom section of 64 MiB", wasm: func() []byte {
		m := hello()
		m.customs = section(0, join("junk", make([]byte, 64<<20)))
		return m.bytes()
	}, want: types(done)},
	{name: "100,000 custom sections", wasm: func() []byte {
		m := hello()
		m.customs = repeat(100_000, 0x00, 0x02, 0x01, 'x')
		return m.bytes()
	}, want: types(done, abi.ErrRefused)},
	{name: "name section of lies", wasm: func() []byte {
		m := command(nil, []byte{opUnreachable})
		m.customs = section(0, join("name", 1, uleb(1<<31), uleb(1<<31), uleb(0), "\x1b[31m"))
		return m.bytes()
	}, want: types(abi.ErrTrap, abi.ErrInvalidModule)},
	{name: "data beyond memory", wasm: func() []byte { return hello().data(1<<20, []byte("x")).bytes() }, want: types(abi.ErrTrap, abi.ErrInvalidModule)},
	// wazero leaves the segment out instead of trapping, which harms nobody.
	{name: "element beyond table", wasm: func() []byte { m := hello(); m.table(1).elem(1, 1, 1, 1); return m.bytes() }, want: types(done, abi.ErrTrap, abi.ErrInvalidModule)},
	{name: "start function that does not exist", wasm: func() []byte { m := hello(); m.start = 100; return m.bytes() }, want: types(abi.ErrInvalidModule)},
}

// loadTime is how long refusing or compiling may take on a slow and busy machine.
// Without the checks before compiling some of these modules take many minutes.
const loadTime = 90 * time.Second

func TestStaticAttacks(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			b := newBench(t, host.Config{})
			for _, a := range static {
				t.Run(a.name, func(t *testing.T) {
					begin := time.Now()
					v := b.attack(t, a, level)
					if took := time.Since(begin); took > loadTime {
						t.Errorf("took %v", took)
					} else if took > 2*time.Second {
						t.Logf("took %v", took.Round(time.Millisecond))
					}
					v.check(t, a.want...)
					if !strings.Contains(v.msg, a.says) {
						t.Errorf("message %q does not say %q", v.msg, a.says)
					}
				})
			}
			b.healthy(t, level)
		})
	}
}

// attack runs an attack whether or not it can be packed.
func (b *bench) attack(t *testing.T, a attack, level string) verdict {
	t.Helper()
	c, err := open(t, a.wasm())
	if err != nil {
		return typed(t, err)
	}
	limits := a.limit
	if limits.Time == 0 {
		limits.Time = 20 * time.Second
	}
	return b.run(t, c, host.RunRequest{Isolation: level, Limits: limits})
}

// healthy checks that a harmless program still runs.
func (b *bench) healthy(t *testing.T, level string) {
	t.Helper()
	var out strings.Builder
	v := b.run(t, cartridge(t, hello().bytes()), host.RunRequest{Isolation: level, Stdout: &out})
	v.check(t, done)
	if out.String() != "hello\n" {
		t.Errorf("the good program writes %q", out.String())
	}
}

// A module cut short anywhere is refused with a type, or is a module that does less.
func TestTruncatedEverywhere(t *testing.T) {
	b := newBench(t, host.Config{})
	whole := hello().bytes()
	for n := 4; n < len(whole); n++ {
		v := b.attack(t, attack{wasm: func() []byte { return whole[:n] }}, host.IsolationInline)
		// Cut before its last section, which is data, it is whole and has no text.
		v.check(t, done, abi.ErrInvalidModule, abi.ErrNoProgram, abi.ErrTrap, abi.ErrUnsupported)
		if t.Failed() {
			t.Fatalf("cut at %d of %d", n, len(whole))
		}
	}
	b.healthy(t, host.IsolationInline)
}

// Every single bit of a module flipped ends in some way that has a type.
func TestEveryBitFlipped(t *testing.T) {
	b := newBench(t, host.Config{NoCache: true})
	whole := hello().bytes()
	seen := map[abi.ErrorType]int{}
	for i := 32; i < len(whole)*8; i++ {
		bad := append([]byte{}, whole...)
		bad[i/8] ^= 1 << (i % 8)
		v := b.attack(t, attack{wasm: func() []byte { return bad }, limit: abi.Limits{Time: 5 * time.Second, Fuel: 10_000_000}}, host.IsolationInline)
		v.check(t, done, abi.ErrInvalidModule, abi.ErrNoProgram, abi.ErrTrap, abi.ErrUnsupported, abi.ErrMissingImports, abi.ErrRefused,
			abi.ErrMemory, abi.ErrFuel, abi.ErrStack, abi.ErrExit)
		if t.Failed() {
			t.Fatalf("bit %d of byte %d", i%8, i/8)
		}
		seen[v.kind]++
	}
	b.healthy(t, host.IsolationInline)
	t.Log(fmt.Sprint(seen))
}
