package wasmbin

import (
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// goKernels export the same kinds of work as kernels.c, as Go compiles them.
const goKernels = `package main

import (
	"crypto/sha256"
	"encoding/json"
	"sort"
)

func main() {}

var buf = make([]byte, 1<<16)

//go:wasmexport sha256
func hash(n uint32) uint32 {
	var s [32]byte
	for range n {
		s = sha256.Sum256(buf)
		buf[0] = s[0]
	}
	return uint32(s[0])
}

//go:wasmexport sort
func order(n uint32) uint32 {
	a := make([]int, n)
	x := uint32(7)
	for i := range a {
		x = x*1664525 + 1013904223
		a[i] = int(x)
	}
	sort.Ints(a)
	return uint32(a[n/2])
}

type item struct {
	Name string
	List []int
	Nested map[string]int
}

//go:wasmexport json
func encode(n uint32) uint32 {
	v := make([]item, 100)
	for i := range v {
		v[i] = item{"some words here", []int{1, 22, 333, 4444}, map[string]int{"a": i}}
	}
	total := 0
	for range n {
		b, _ := json.Marshal(v)
		var w []item
		if json.Unmarshal(b, &w) != nil {
			return 0
		}
		total += len(w)
	}
	return uint32(total)
}
`

// kernel is one exported function (i32) -> i32 with its argument.
type kernel struct {
	name, export string
	arg          uint64
}

// BenchmarkOverhead measures each kernel plain and metered by turns in the same
// run and reports the ratio of the best times, then the geometric mean. The C
// kernels need clang with the wasm32 target.
func BenchmarkOverhead(b *testing.B) {
	product, n := 0.0, 0
	group := func(lang string, wasm []byte, ks []kernel) {
		o := mustInstrument(b, wasm)
		plain, _ := instantiateKernels(b, wasm, false)
		metered, arm := instantiateKernels(b, o.Wasm, true)
		for _, k := range ks {
			b.Run(lang+"/"+k.name, func(b *testing.B) {
				p, m := plain.ExportedFunction(k.export), metered.ExportedFunction(k.export)
				ctx := context.Background()
				best := [2]time.Duration{math.MaxInt64, math.MaxInt64}
				var got [2]uint64
				for range max(b.N, 9) {
					for i, f := range []api.Function{p, m} {
						arm()
						start := time.Now()
						r, err := f.Call(ctx, k.arg)
						if err != nil {
							b.Fatal(err)
						}
						best[i] = min(best[i], time.Since(start))
						got[i] = r[0]
					}
				}
				if got[0] != got[1] {
					b.Fatalf("metered result %d, plain %d", got[1], got[0])
				}
				ratio := float64(best[1]) / float64(best[0])
				b.ReportMetric(float64(best[0]), "plain-ns")
				b.ReportMetric(float64(best[1]), "metered-ns")
				b.ReportMetric(ratio, "ratio")
				b.ReportMetric(0, "ns/op")
				product += math.Log(ratio)
				n++
			})
		}
	}
	if c := buildC(b); c != nil {
		group("c", c, []kernel{{"tight", "tight", 5e6}, {"memory", "walk", 300}, {"fib", "fib", 27}, {"sha256", "sha256", 20000},
			{"sort", "sort", 65000}, {"json", "json", 100}, {"matrix", "matrix", 30}, {"sieve", "sieve", 30}})
	}
	group("go", buildGoReactor(b, goKernels), []kernel{{"sha256", "sha256", 100}, {"sort", "sort", 50000}, {"json", "json", 40}})
	b.Run("geomean", func(b *testing.B) {
		if n > 0 {
			b.ReportMetric(math.Exp(product/float64(n)), "ratio")
			b.ReportMetric(0, "ns/op")
		}
	})
}

func instantiateKernels(b testing.TB, wasm []byte, metered bool) (api.Module, func()) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	b.Cleanup(func() { r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	h := newMeterHost()
	h.slice = 10_000_000
	if metered {
		h.install(b, ctx, r)
	}
	m, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		b.Fatal(err)
	}
	arm := func() {
		if metered {
			*h = meterHost{total: 1 << 40, slice: h.slice, stack: h.stack}
			h.arm(m)
		}
	}
	arm()
	if f := m.ExportedFunction("_initialize"); f != nil {
		if _, err := f.Call(ctx); err != nil {
			b.Fatal(err)
		}
	}
	return m, arm
}

// buildC compiles the C kernels, or returns nil where there is no compiler.
func buildC(b testing.TB) []byte {
	out := filepath.Join(b.TempDir(), "k.wasm")
	cmd := exec.Command("clang", "--target=wasm32", "-O2", "-fno-builtin", "-nostdlib", "-Wl,--no-entry", "testdata/kernels.c", "-o", out)
	if msg, err := cmd.CombinedOutput(); err != nil {
		b.Logf("without the C kernels: %v %s", err, msg)
		return nil
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		b.Fatal(err)
	}
	return wasm
}

// buildGoReactor compiles a Go program whose exports are called one by one.
func buildGoReactor(t testing.TB, src string) []byte {
	return buildGo(t, src, "-buildmode=c-shared")
}
