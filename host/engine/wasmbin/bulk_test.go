package wasmbin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// bulkModule exports each memory instruction as a function of its operands. Data
// segment 0 is long, 1 is short.
func bulkModule(pages, long int) *testModule {
	operands := cat(opLocalGet, 0, opLocalGet, 1, opLocalGet, 2, opPrefixMisc)
	f := func(name, typ string, body ...any) testFunc {
		return testFunc{typ: sig1(typ), body: cat(body...), export: name}
	}
	data := make([]byte, long)
	for i := range data {
		data[i] = byte(i*7 + i>>8)
	}
	return &testModule{
		memory: cat(1, leb(pages), leb(pages)),
		funcs: []testFunc{
			f("fill", "iii:", operands, miscMemoryFill, 0),
			f("copy", "iii:", operands, miscMemoryCopy, 0, 0),
			f("init", "iii:", operands, miscMemoryInit, 0, 0),
			f("init short", "iii:", operands, miscMemoryInit, 1, 0),
			f("drop", ":", opPrefixMisc, miscDataDrop, 0),
		},
		exports: [][]byte{cat("memory", 2, 0)},
		dataN:   2,
		datas:   [][]byte{cat(1, leb(long), data), cat(1, leb(3), []byte("abc"))},
	}
}

// bulkGuest is an instance of bulkModule with its meter, if it has one.
type bulkGuest struct {
	mod   api.Module
	host  *meterHost
	calls int // of refill
	last  int // the call of refill that ends the guest
}

func newBulkGuest(t testing.TB, cfg wazero.RuntimeConfig, m *testModule, metered bool, chunk uint32) *bulkGuest {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, cfg)
	t.Cleanup(func() { r.Close(ctx) })
	g := &bulkGuest{}
	wasm := m.bytes()
	if metered {
		p, err := Parse(wasm)
		if err != nil {
			t.Fatal(err)
		}
		o, err := Instrument(p, Options{chunk: chunk})
		if err != nil {
			t.Fatal(err)
		}
		wasm, g.host = o.Wasm, newMeterHost()
		_, err = r.NewHostModuleBuilder(MeterModule).NewFunctionBuilder().WithFunc(func(ctx context.Context, m api.Module, meter int64) int64 {
			if g.calls++; g.calls == g.last {
				panic(errOut)
			}
			return g.host.refill(ctx, m, meter)
		}).Export(RefillName).Instantiate(ctx)
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if g.mod, err = r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig()); err != nil {
		t.Fatal(err)
	}
	return g
}

// call runs one export on a fresh meter and returns the fuel it took.
func (g *bulkGuest) call(name string, args ...uint64) (fuel int64, err error) {
	if g.host != nil {
		*g.host = meterHost{total: g.host.total, slice: g.host.slice, stack: g.host.stack}
		g.host.arm(g.mod)
	}
	_, err = g.mod.ExportedFunction(name).Call(context.Background(), args...)
	if g.host != nil {
		fuel = g.host.consumed(g.mod)
	}
	return fuel, err
}

func (g *bulkGuest) memory() []byte {
	b, _ := g.mod.Memory().Read(0, g.mod.Memory().Size())
	return b
}

// Whatever the operands, a memory instruction does in chunks what it does at once:
// the same memory, the same trap before anything is written, and the fuel of the
// whole, in both engines.
func TestBulkInChunks(t *testing.T) {
	for _, c := range []struct {
		chunk              uint32
		pages, long, turns int
	}{
		{1, 1, 300, 300}, {7, 1, 300, 1000}, {64, 1, 5000, 1500}, {4096, 1, 60_000, 1500}, {0, 50, 3<<20 + 100, 60},
	} {
		for engine, cfg := range engines() {
			t.Run(fmt.Sprintf("%s, chunks of %d", engine, c.chunk), func(t *testing.T) {
				m := bulkModule(c.pages, c.long)
				plain, metered := newBulkGuest(t, cfg, m, false, 0), newBulkGuest(t, cfg, m, true, c.chunk)
				rnd := rand.New(rand.NewPCG(uint64(c.chunk), 5))
				size := uint64(c.pages) << 16
				for i, b := range metered.memory() {
					b = byte(i>>12 ^ i)
					metered.memory()[i], plain.memory()[i] = b, b
				}
				chunk := uint64(max(c.chunk, 1))
				if c.chunk == 0 {
					chunk = bulkChunk
				}
				// pick returns a number below limit, often near one of the edges.
				pick := func(limit uint64) uint64 {
					switch rnd.IntN(8) {
					case 0:
						return uint64(rnd.IntN(4))
					case 1:
						return limit - min(limit, uint64(rnd.IntN(4)))
					case 2:
						return chunk*uint64(rnd.IntN(5)) + uint64(rnd.IntN(3))
					case 3:
						return uint64(rnd.Uint32())
					case 4:
						return math.MaxUint32 - uint64(rnd.IntN(3))
					}
					return rnd.Uint64N(limit + 1)
				}
				done, trapped, overlaps := 0, 0, 0
				for turn := range c.turns {
					name := []string{"fill", "copy", "copy", "copy", "init", "init", "init short"}[rnd.IntN(7)]
					if turn == c.turns*9/10 {
						name = "drop"
					}
					n := min(pick(size), math.MaxUint32)
					if rnd.IntN(4) > 0 {
						n = min(n, chunk*uint64(rnd.IntN(20))+uint64(rnd.IntN(40)), size)
					}
					d, s := pick(size), pick(size)
					switch name {
					case "copy":
						if rnd.IntN(2) == 0 {
							s = d + uint64(rnd.IntN(int(2*chunk)+3)) - chunk
						}
					case "init", "init short":
						s = pick(uint64(c.long))
					}
					if rnd.IntN(2) == 0 && n <= size { // make it fit
						d, s = min(d, size-n), min(s, size-n)
						if name == "init" && n <= uint64(c.long) {
							s = min(s, uint64(c.long)-n)
						}
					}
					args := []uint64{d & math.MaxUint32, s & math.MaxUint32, n}
					want := int64(4 + n/32 + 1)
					if name == "drop" {
						args, want = nil, 1
					}
					_, wantErr := plain.call(name, args...)
					fuel, err := metered.call(name, args...)
					if trapOf(err) != trapOf(wantErr) {
						t.Fatalf("turn %d: %s%v: %v, at once %v", turn, name, args, err, wantErr)
					}
					if fuel != want {
						t.Fatalf("turn %d: %s%v: fuel %d, want %d", turn, name, args, fuel, want)
					}
					if !bytes.Equal(plain.memory(), metered.memory()) {
						t.Fatalf("turn %d: %s%v: memories differ", turn, name, args)
					}
					switch {
					case n <= chunk:
					case err != nil:
						trapped++
					default:
						done++
						if name == "copy" && d != s && max(d, s)-min(d, s) < n {
							overlaps++
						}
					}
				}
				if done < c.turns/20 || trapped < c.turns/50 || overlaps < c.turns/100 {
					t.Errorf("of %d turns, %d were long and done, %d of them with an overlap, and %d were long and trapped; the test sees too little",
						c.turns, done, overlaps, trapped)
				}
			})
		}
	}
}

// Between the chunks the host is asked, even when there is fuel for all of them, and
// ends the guest there: three chunks are written then, and nothing else.
func TestBulkAsksTheHost(t *testing.T) {
	const chunk, n = 1000, 60_000
	for engine, cfg := range engines() {
		for _, c := range []struct {
			name    string
			args    []uint64
			written func(mem []byte) []byte // what three chunks make of the memory
		}{
			{"fill", []uint64{100, '#', n}, func(mem []byte) []byte {
				copy(mem[100:], bytes.Repeat([]byte{'#'}, 3*chunk))
				return mem
			}},
			{"copy", []uint64{100, 200, n}, func(mem []byte) []byte {
				copy(mem[100:], mem[200:200+3*chunk])
				return mem
			}},
			{"copy", []uint64{200, 100, n}, func(mem []byte) []byte {
				copy(mem[200+n-3*chunk:], mem[100+n-3*chunk:100+n])
				return mem
			}},
			{"init", []uint64{100, 0, n}, func(mem []byte) []byte {
				for i := range 3 * chunk {
					mem[100+i] = byte(i*7 + i>>8)
				}
				return mem
			}},
		} {
			t.Run(fmt.Sprintf("%s/%s%v", engine, c.name, c.args), func(t *testing.T) {
				g := newBulkGuest(t, cfg, bulkModule(1, n), true, chunk)
				if _, err := g.call(c.name, c.args...); err != nil || g.calls != n/chunk-1 {
					t.Errorf("%v, the host was asked %d times, want %d", err, g.calls, n/chunk-1)
				}
				g = newBulkGuest(t, cfg, bulkModule(1, n), true, chunk)
				for i := range g.memory() {
					g.memory()[i] = byte(i * 3)
				}
				want := c.written(bytes.Clone(g.memory()))
				g.last = 3
				if _, err := g.call(c.name, c.args...); !errors.Is(err, errOut) || g.calls != 3 {
					t.Errorf("ended with %v after %d questions", err, g.calls)
				}
				if !bytes.Equal(g.memory(), want) {
					t.Error("the memory does not hold three chunks of the work")
				}
			})
		}
	}
}

// BenchmarkBulk compares memory instructions in a module as it is and metered, by
// turns. It prints nanoseconds for each instruction.
func BenchmarkBulk(b *testing.B) {
	for _, name := range []string{"copy", "fill"} {
		for _, n := range []uint64{0, 16, 256, 4096, 65536, 8 << 20} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				// A loop that runs the instruction as often as the parameter says.
				code := cat(opI32Const, sleb(8<<20), opI32Const, 0, opI32Const, sleb(int(n)), opPrefixMisc, miscMemoryCopy, 0, 0)
				if name == "fill" {
					code = cat(opI32Const, 0, opI32Const, 1, opI32Const, sleb(int(n)), opPrefixMisc, miscMemoryFill, 0)
				}
				m := single("i:", 0, nil, cat(opLoop, 0x40, code, opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, opBrIf, 0, opEnd))
				m.memory = cat(1, leb(256), leb(256))
				times := max(1, min(10_000, 50<<20/max(n, 1)))
				var guests [2]*bulkGuest
				best := [2]float64{math.Inf(1), math.Inf(1)}
				for i := range guests {
					guests[i] = newBulkGuest(b, wazero.NewRuntimeConfigCompiler(), m, i == 1, 0)
				}
				for range max(b.N, 21) {
					for i, g := range guests {
						begin := time.Now()
						if _, err := g.call("run", times); err != nil {
							b.Fatal(err)
						}
						best[i] = min(best[i], float64(time.Since(begin))/float64(times))
					}
				}
				b.ReportMetric(best[0], "plain-ns")
				b.ReportMetric(best[1], "metered-ns")
				b.ReportMetric(best[1]/best[0], "ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
