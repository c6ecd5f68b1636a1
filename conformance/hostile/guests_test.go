package hostile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
)

// withCall is a command that calls one imported function for ever, with one page of
// memory that holds data at 0. args pushes the arguments; results are dropped.
func withCall(mod, name string, params []byte, args []byte, data []byte) []byte {
	m := &module{}
	f := m.imp(mod, name, m.typ(params, []byte{i32}))
	v := m.typ(nil, nil)
	m.memory(16)
	if data != nil {
		m.data(0, data)
	}
	return m.export("_start", m.fn(v, nil, loop(args, call(f), opDrop))).bytes()
}

// wideCall calls a function that fills n bytes of memory for ever.
func wideCall(mod, name string, n int64) []byte {
	m := &module{}
	f := m.imp(mod, name, m.typ([]byte{i32, i32}, []byte{i32}))
	v := m.typ(nil, nil)
	return m.memory(3500).export("_start", m.fn(v, nil, loop(konst(0), konst(n), call(f), opDrop))).bytes()
}

// recursion is a command of two functions that call each other with body before the
// call; indirect calls go through a table.
func recursion(indirect bool, locals [][]byte, body []byte) []byte {
	m := &module{}
	v := m.typ(nil, nil)
	next := call(1)
	if indirect {
		m.table(4).elem(1, 0)
		next = join(konst(0), opCallIndirect, uleb(uint64(v)), 0)
	}
	a := m.fn(v, locals, join(body, next))
	m.fn(v, locals, join(body, call(a)))
	return m.memory(1).export("_start", a).bytes()
}

// le is 32-bit numbers as they lie in memory.
func le(v ...uint32) []byte {
	var out []byte
	for _, n := range v {
		out = append(out, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	}
	return out
}

// sleepForever is one subscription of poll_oneoff: a relative clock of many years.
func sleepForever() []byte {
	return join(make([]byte, 16), le(1, 0), le(0xffffffff, 0x0fffffff), make([]byte, 16))
}

// hangs are guests that never end by themselves. Each is stopped at its deadline.
var hangs = []attack{
	{name: "empty loop", wasm: func() []byte { return command(nil, loop()).bytes() }},
	{name: "loop that works", wasm: func() []byte {
		return command([][]byte{join(uleb(1), i64)}, loop(opLocalGet, 0, konst64(3), 0x7c, opLocalSet, 0)).bytes()
	}},
	{name: "loops in a loop", wasm: func() []byte {
		return command([][]byte{join(uleb(1), i32)}, loop(konst(1000), opLocalSet, 0, opLoop, void, opLocalGet, 0, konst(-1), opI32Add, 0x22, 0, opBrIf, 0, opEnd)).bytes()
	}},
	{name: "in the start function", wasm: func() []byte {
		m := hello()
		m.start = m.fn(1, nil, loop()) + 1
		return m.bytes()
	}},
	{name: "in _initialize", wasm: func() []byte {
		m := &module{}
		v := m.typ(nil, nil)
		return m.memory(1).export("_start", m.fn(v, nil, loop())).export("_initialize", m.fn(v, nil, loop())).bytes()
	}},
	{name: "through call_indirect", wasm: func() []byte {
		m := &module{}
		v := m.typ(nil, nil)
		m.table(1).elem(0)
		m.fn(v, nil, nil)
		return m.memory(1).export("_start", m.fn(v, nil, loop(konst(0), opCallIndirect, uleb(uint64(v)), 0))).bytes()
	}},
	{name: "through a branch table", wasm: func() []byte {
		return command(nil, join(opLoop, void, konst(0), opBrTable, uleb(1), 0, 0, opEnd)).bytes()
	}},
	{name: "recursion that returns", wasm: func() []byte {
		// f(n) = f(n-1); f(n-1): 2^60 calls at a depth of 60.
		m := &module{}
		n, v := m.typ([]byte{i32}, nil), m.typ(nil, nil)
		again := join(opLocalGet, 0, konst(-1), opI32Add, call(0))
		m.fn(n, nil, join(opLocalGet, 0, opIf, void, again, again, opEnd))
		return m.memory(1).export("_start", m.fn(v, nil, join(konst(60), call(0)))).bytes()
	}},
	{name: "long straight code in a loop", wasm: func() []byte {
		return command(nil, loop(repeat(100_000, opI32Const, 1, opDrop))).bytes()
	}},
	{name: "memory.fill of 200 MiB", wasm: func() []byte {
		m := &module{}
		return m.memory(3200).export("_start", m.fn(m.typ(nil, nil), nil, loop(konst(0), konst(1), konst(200<<20), misc(11, 0)))).bytes()
	}},
	{name: "memory.copy of 100 MiB", wasm: func() []byte {
		m := &module{}
		return m.memory(3200).export("_start", m.fn(m.typ(nil, nil), nil, loop(konst(100<<20), konst(0), konst(100<<20), misc(10, 0, 0)))).bytes()
	}},
	{name: "table.fill of a million", wasm: func() []byte {
		m := command(nil, loop(konst(0), opRefNull, funcref, konst(1_000_000), misc(17, 0)))
		return m.table(1_000_000).bytes()
	}},
	{name: "memory.grow by nothing", wasm: func() []byte { return command(nil, loop(konst(0), opMemoryGrow, 0, opDrop)).bytes() }},
	{name: "clock_time_get", wasm: func() []byte {
		return withCall(wasiP1, "clock_time_get", []byte{i32, i64, i32}, join(konst(0), konst64(0), konst(64)), nil)
	}},
	{name: "sched_yield", wasm: func() []byte { return withCall(wasiP1, "sched_yield", nil, nil, nil) }},
	{name: "fd_write of nothing", wasm: func() []byte {
		return withCall(wasiP1, "fd_write", []byte{i32, i32, i32, i32}, join(konst(1), konst(0), konst(1), konst(64)), le(0, 0))
	}},
	{name: "random_get of a megabyte", wasm: func() []byte {
		return withCall(wasiP1, "random_get", []byte{i32, i32}, join(konst(0), konst(1<<20)), nil)
	}},
	{name: "random_get of 200 MiB", wasm: func() []byte { return wideCall(wasiP1, "random_get", 200<<20) }},
	{name: "pxos.random of 200 MiB", wasm: func() []byte { return wideCall("pxos", "random", 200<<20) }},
	{name: "pxos.result of 15 MiB", wasm: func() []byte {
		m := &module{}
		f := m.imp("pxos", "result", m.typ([]byte{i32, i32}, []byte{i32}))
		v := m.typ(nil, nil)
		// A JSON string of 15 MiB in which every other byte is a quotation mark.
		text := join([]byte{'"'}, bytes.Repeat([]byte(`\"`), 15<<19), []byte{'"'})
		return m.memory(300).data(0, text).export("_start", m.fn(v, nil, loop(konst(0), konst(int64(len(text))), call(f), opDrop))).bytes()
	}},
	{name: "pxos.result nested 15 million deep", wasm: func() []byte {
		m := &module{}
		f := m.imp("pxos", "result", m.typ([]byte{i32, i32}, []byte{i32}))
		v := m.typ(nil, nil)
		return m.memory(300).export("_start", m.fn(v, nil, join(konst(0), konst('['), konst(15<<20), misc(11, 0), loop(konst(0), konst(15<<20), call(f), opDrop)))).bytes()
	}},
	{name: "fd_readdir", wasm: func() []byte {
		return withCall(wasiP1, "fd_readdir", []byte{i32, i32, i32, i64, i32}, join(konst(3), konst(0), konst(1<<19), konst64(0), konst(1<<19)), nil)
	}},
	{name: "a failing call", wasm: func() []byte {
		return withCall(wasiP1, "fd_read", []byte{i32, i32, i32, i32}, join(konst(77), konst(0), konst(1), konst(64)), nil)
	}},
	{name: "pxos.clock", wasm: func() []byte {
		return withCall("pxos", "clock", []byte{i32, i32, i32}, join(konst(0), konst(64), konst(72)), nil)
	}},
	{name: "poll_oneoff for years", wasm: func() []byte {
		return withCall(wasiP1, "poll_oneoff", []byte{i32, i32, i32, i32}, join(konst(0), konst(128), konst(1), konst(256)), sleepForever())
	}},
	{name: "poll_oneoff of 10,000 for years", wasm: func() []byte {
		return withCall(wasiP1, "poll_oneoff", []byte{i32, i32, i32, i32}, join(konst(0), konst(500_000), konst(10_000), konst(256)), bytes.Repeat(sleepForever(), 10_000))
	}},
	{name: "reads input that never comes", wasm: func() []byte {
		return withCall(wasiP1, "fd_read", []byte{i32, i32, i32, i32}, join(konst(0), konst(0), konst(1), konst(64)), le(128, 100))
	}},
}

// deadline is the time limit of the guests that hang. overdue is when one counts as
// not stopped; the aim, 50 ms after the deadline, is measured and not asserted,
// because a busy machine decides it.
const (
	deadline = 300 * time.Millisecond
	overdue  = 20 * time.Second
)

func TestHangs(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			b := newBench(t, host.Config{})
			for _, a := range hangs {
				t.Run(a.name, func(t *testing.T) {
					// Never answers and never ends. A file, so that a worker gets it too.
					stdin, keep, err := os.Pipe()
					if err != nil {
						t.Fatal(err)
					}
					defer stdin.Close()
					defer keep.Close()
					c := cartridge(t, a.wasm())
					for range 2 { // the second time compiled code is at hand
						v := b.run(t, c, host.RunRequest{Isolation: level, Limits: abi.Limits{Time: deadline}, Stdin: stdin})
						v.check(t, abi.ErrDeadline)
						if v.res != nil && v.res.ExecutionTime > overdue.Seconds() {
							t.Errorf("stopped %.3f s after it began", v.res.ExecutionTime)
						}
						if v.res != nil {
							if late := v.res.ExecutionTime - deadline.Seconds(); late > 0.05 {
								t.Logf("stopped %.0f ms after its deadline", late*1000)
							}
						}
					}
				})
			}
			b.healthy(t, level)
		})
	}
}

// exhausts are guests that use up something other than time.
var exhausts = []attack{
	{name: "endless recursion", wasm: func() []byte { return recursion(false, nil, nil) }, want: types(abi.ErrStack)},
	{name: "recursion through a table", wasm: func() []byte { return recursion(true, nil, nil) }, want: types(abi.ErrStack)},
	{name: "recursion with 1000 locals", wasm: func() []byte { return recursion(false, [][]byte{join(uleb(1000), i64)}, nil) }, want: types(abi.ErrStack)},
	{name: "recursion with a deep operand stack", wasm: func() []byte {
		m := &module{}
		v := m.typ(nil, nil)
		return m.memory(1).export("_start", m.fn(v, nil, join(repeat(5000, opI32Const, 1), call(0), repeat(5000, opDrop)))).bytes()
	}, want: types(abi.ErrStack)},
	{name: "recursion with the largest stack limit", wasm: func() []byte { return recursion(false, nil, nil) }, want: types(abi.ErrStack), limit: abi.Limits{Stack: abi.MaxLimits().Stack}},
	{name: "recursion in the start function", wasm: func() []byte {
		m := hello()
		m.start = m.fn(1, nil, call(2)) + 1
		return m.bytes()
	}, want: types(abi.ErrStack)},
	{name: "fuel", wasm: func() []byte { return command(nil, loop()).bytes() }, want: types(abi.ErrFuel), limit: abi.Limits{Fuel: 1_000_000}},
	{name: "fuel in host calls", wasm: func() []byte { return withCall(wasiP1, "sched_yield", nil, nil, nil) }, want: types(abi.ErrFuel), limit: abi.Limits{Fuel: 1_000_000}},
	{name: "fuel in random bytes", wasm: func() []byte {
		return withCall(wasiP1, "random_get", []byte{i32, i32}, join(konst(0), konst(1<<20)), nil)
	}, want: types(abi.ErrFuel), limit: abi.Limits{Fuel: 10_000_000}},
	{name: "output", wasm: func() []byte {
		return withCall(wasiP1, "fd_write", []byte{i32, i32, i32, i32}, join(konst(1), konst(0), konst(1), konst(64)), le(128, 900_000))
	}, want: types(abi.ErrOutput)},
	{name: "error output", wasm: func() []byte {
		return withCall(wasiP1, "fd_write", []byte{i32, i32, i32, i32}, join(konst(2), konst(0), konst(1), konst(64)), le(128, 1))
	}, want: types(abi.ErrOutput), limit: abi.Limits{Output: 10_000}},
	{name: "memory, a page at a time", wasm: func() []byte {
		return command(nil, join(opBlock, void, opLoop, void, konst(1), opMemoryGrow, 0, konst(-1), 0x46, opBrIf, 1, opBr, 0, opEnd, opEnd, opUnreachable)).bytes()
	}, want: types(abi.ErrTrap)},
	{name: "memory, all at once", wasm: func() []byte {
		return command(nil, join(konst(65535), opMemoryGrow, 0, konst(-1), 0x46, opIf, void, opUnreachable, opEnd)).bytes()
	}, want: types(abi.ErrTrap)},
	{name: "table.grow to four billion", wasm: func() []byte {
		m := command(nil, join(opRefNull, funcref, konst(-2), misc(15, 0), konst(-1), 0x46, opIf, void, opUnreachable, opEnd))
		return m.table(1).bytes()
	}, want: types(abi.ErrTrap)},
	{name: "table.grow step by step", wasm: func() []byte {
		m := command(nil, join(opBlock, void, opLoop, void, opRefNull, funcref, konst(10_000), misc(15, 0), konst(-1), 0x46, opBrIf, 1, opBr, 0, opEnd, opEnd, opUnreachable))
		return m.table(1).bytes()
	}, want: types(abi.ErrTrap)},
	{name: "exit code 256", wasm: func() []byte {
		m := &module{}
		exit := m.imp(wasiP1, "proc_exit", m.typ([]byte{i32}, nil))
		return m.memory(1).export("_start", m.fn(m.typ(nil, nil), nil, join(konst(256), call(exit)))).bytes()
	}, want: types(abi.ErrExit)},
	{name: "division by zero", wasm: func() []byte { return command(nil, join(konst(1), konst(0), 0x6d, opDrop)).bytes() }, want: types(abi.ErrTrap)},
	{name: "beyond memory", wasm: func() []byte { return command(nil, join(konst(-1), konst(1), opI32Store, 2, uleb(1<<32-1))).bytes() }, want: types(abi.ErrTrap)},
	{name: "call_indirect of nothing", wasm: func() []byte {
		m := command(nil, join(konst(5), opCallIndirect, 0, 0))
		return m.table(10).bytes()
	}, want: types(abi.ErrTrap)},
	{name: "call_indirect of another type", wasm: func() []byte {
		m := command(nil, nil)
		n := m.typ([]byte{f64}, nil)
		m.table(1).elem(0)
		return m.export("main", m.fn(0, nil, nil)).export("x", m.fn(0, nil, join(0x44, make([]byte, 8), konst(0), opCallIndirect, uleb(uint64(n)), 0))).bytes()
	}, want: types(done)},
}

func TestExhaustion(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			b := newBench(t, host.Config{})
			for _, a := range exhausts {
				t.Run(a.name, func(t *testing.T) {
					v := b.attack(t, a, level)
					v.check(t, a.want...)
					if a.name == "exit code 256" && v.res != nil && v.res.ExitCode != 256 {
						t.Errorf("exit code is %d", v.res.ExitCode)
					}
				})
			}
			b.healthy(t, level)
		})
	}
}

// What a guest writes that stops listening, or never listens, is not the host's
// problem.
func TestBlockedOutput(t *testing.T) {
	flood := withCall(wasiP1, "fd_write", []byte{i32, i32, i32, i32}, join(konst(1), konst(0), konst(1), konst(64)), le(128, 60_000))
	for _, level := range levels {
		t.Run(level+" never read", func(t *testing.T) {
			b := newBench(t, host.Config{})
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			v := b.run(t, cartridge(t, flood), host.RunRequest{Isolation: level, Stdout: w, Limits: abi.Limits{Time: deadline}})
			v.check(t, abi.ErrDeadline)
			r.Close() // lets what still writes go on
			b.healthy(t, level)
		})
		t.Run(level+" closed", func(t *testing.T) {
			b := newBench(t, host.Config{})
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			defer w.Close()
			v := b.run(t, cartridge(t, flood), host.RunRequest{Isolation: level, Stdout: w, Limits: abi.Limits{Time: 2 * time.Second}})
			v.check(t, abi.ErrDeadline, abi.ErrOutput, abi.ErrCrash)
			b.healthy(t, level)
		})
	}
}

// long is a command with a memory of 208 MiB that fills data at 0, if there is any,
// and then runs code for ever.
func long(data []byte, code ...any) []byte {
	m := &module{}
	m.memory(3328)
	if data != nil {
		m.data(0, data)
	}
	return m.export("_start", m.fn(m.typ(nil, nil), nil, loop(code...))).bytes()
}

// result is a command that hands in a text of n bytes, one pattern over and over
// between two ends, as its result for ever.
func result(open, pattern, end string, n int) []byte {
	text := []byte(open + strings.Repeat(pattern, n/len(pattern)) + end)
	m := &module{}
	f := m.imp("pxos", "result", m.typ([]byte{i32, i32}, []byte{i32}))
	v := m.typ(nil, nil)
	return m.memory(300).data(0, text).export("_start", m.fn(v, nil, loop(konst(0), konst(int64(len(text))), call(f), opDrop))).bytes()
}

// How long after its deadline a guest is stopped that hangs, or is in the middle of one
// long instruction or host call. Nothing is asserted but that it is.
func TestStopLatency(t *testing.T) {
	const mib = 1 << 20
	for _, g := range []struct {
		name  string
		wasm  func() []byte
		turns int
		limit time.Duration
	}{
		{"empty loop", func() []byte { return command(nil, loop()).bytes() }, 20, deadline},
		// The first fill and the first copy find memory that was never touched, which
		// takes them far beyond the deadline.
		{"memory.fill of 200 MiB", func() []byte { return long(nil, konst(0), konst(1), konst(200*mib), misc(11, 0)) }, 4, 60 * time.Millisecond},
		{"memory.copy of 200 MiB", func() []byte { return long(nil, konst(8*mib), konst(0), konst(200*mib), misc(10, 0, 0)) }, 4, 60 * time.Millisecond},
		{"memory.fill of 200 MiB over and over", func() []byte { return long(nil, konst(0), konst(1), konst(200*mib), misc(11, 0)) }, 4, deadline},
		{"memory.copy of 200 MiB over and over", func() []byte { return long(nil, konst(0), konst(8*mib), konst(200*mib), misc(10, 0, 0)) }, 4, deadline},
		{"pxos.result of 15 MiB of numbers", func() []byte { return result("[", "1,", "1]", 15*mib) }, 4, deadline},
		{"pxos.log of 200 MiB", func() []byte {
			m := &module{}
			f := m.imp("pxos", "log", m.typ([]byte{i32, i32, i32}, []byte{i32}))
			v := m.typ(nil, nil)
			// Characters of two bytes, doubled until they fill the memory.
			code := join(konst(0), konst(0xa9c3), 0x3b, 1, 0)
			for n := int64(2); n < 200*mib; n *= 2 {
				code = join(code, konst(n), konst(0), konst(min(n, 200*mib-n)), misc(10, 0, 0))
			}
			return m.memory(3328).export("_start", m.fn(v, nil, join(code, loop(konst(1), konst(0), konst(200*mib), call(f), opDrop)))).bytes()
		}, 4, 2 * deadline},
	} {
		c := cartridge(t, g.wasm())
		for _, level := range levels {
			b := newBench(t, host.Config{})
			var late []time.Duration
			for i := range g.turns + 1 {
				v := b.run(t, c, host.RunRequest{Isolation: level, Limits: abi.Limits{Time: g.limit}})
				v.check(t, abi.ErrDeadline)
				if v.res == nil {
					t.FailNow()
				}
				if i > 0 { // compiled code is at hand
					late = append(late, time.Duration(v.res.ExecutionTime*1e9)-g.limit)
				}
			}
			t.Logf("%s, %s: %s", g.name, level, spread(late))
		}
	}
}

// spread says the median and the largest of some durations.
func spread(d []time.Duration) string {
	for i := range d {
		for j := i; j > 0 && d[j] < d[j-1]; j-- {
			d[j], d[j-1] = d[j-1], d[j]
		}
	}
	return fmt.Sprintf("median %v, max %v of %d", d[len(d)/2].Round(10*time.Microsecond), d[len(d)-1].Round(10*time.Microsecond), len(d))
}

// 200 hostile runs surround one good one, all in one host at once.
func TestNeighbours(t *testing.T) {
	all := append(append([]attack{}, exhausts...), hangs...)
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			b := newBench(t, host.Config{})
			good := cartridge(t, hello().bytes())
			bad := make([]*host.Cartridge, len(all))
			for i, a := range all {
				bad[i] = cartridge(t, a.wasm())
			}
			const runs, together = 200, 16
			slots := make(chan struct{}, together)
			ended := make(chan verdict, runs)
			for i := range runs {
				go func() {
					slots <- struct{}{}
					defer func() { <-slots }()
					a := all[i%len(all)]
					limits := a.limit
					limits.Time = deadline
					r, _ := io.Pipe() // blocks a reader for ever
					ended <- b.run(t, bad[i%len(bad)], host.RunRequest{Isolation: level, Limits: limits, Stdin: r})
				}()
			}
			finished := 0
			for goods := 0; finished < runs; goods++ {
				var out strings.Builder
				v := b.run(t, good, host.RunRequest{Isolation: level, Stdout: &out, Limits: abi.Limits{Time: time.Minute}})
				v.check(t, done)
				if out.String() != "hello\n" {
					t.Fatalf("good run %d writes %q", goods, out.String())
				}
				for more := true; more; {
					select {
					case v := <-ended:
						finished++
						v.check(t, done, abi.ErrDeadline, abi.ErrStack, abi.ErrFuel, abi.ErrOutput, abi.ErrTrap, abi.ErrExit)
					default:
						more = false
					}
				}
				if finished == runs {
					t.Logf("%d good runs among %d hostile ones", goods+1, runs)
				}
			}
			b.noOrphans(t)
		})
	}
}
