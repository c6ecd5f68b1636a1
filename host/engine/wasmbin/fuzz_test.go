package wasmbin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// seedModules adds the spec's small modules and the hand-made ones.
func seedModules(f *testing.F) {
	for _, m := range loopForever() {
		f.Add(m.bytes())
	}
	files, _ := filepath.Glob(filepath.Join(specDir(f), "v2", "testdata", "*.wasm"))
	for i, name := range files {
		if i%7 != 0 {
			continue
		}
		if b, err := os.ReadFile(name); err == nil && len(b) < 2000 {
			f.Add(b)
		}
	}
}

func FuzzParse(f *testing.F) {
	seedModules(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err == nil {
			err = Scan(m, DefaultScanLimits())
			m.FunctionNames(100)
			m.FuncName(uint32(len(b)))
		}
		var bad *FormatError
		var refused *RefusedError
		if err != nil && !errors.As(err, &bad) && !errors.As(err, &refused) {
			t.Fatalf("error of type %T: %v", err, err)
		}
	})
}

// withoutCustoms copies a module without its custom sections: the engine reads
// the name section strictly, Instrument drops it.
func withoutCustoms(b []byte) []byte {
	out := append([]byte(nil), b[:min(8, len(b))]...)
	r := &reader{b: b, pos: 8, end: len(b), fn: -1}
	for r.pos < r.end && r.err == nil {
		at := r.pos
		id, n := r.byte(), r.u32()
		r.bytes(int(n))
		if id != secCustom {
			out = append(out, b[at:r.pos]...)
		}
	}
	return out
}

// fuzzRun instantiates a module without imports, calls the given exports until
// one fails, and notes every result and the memory at the end. out says that
// the meter ended it.
func fuzzRun(t *testing.T, wasm []byte, exports []string, h *meterHost, start, memory bool) (log []string, out bool) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(64))
	defer r.Close(ctx)
	if h != nil {
		h.install(t, ctx, r)
	}
	m, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		return []string{"start: " + trapOf(err)}, false
	}
	if h != nil {
		h.arm(m)
		if start {
			if _, err := m.ExportedFunction(StartExport).Call(ctx); err != nil {
				return []string{"start: " + trapOf(err)}, errors.Is(err, errOut)
			}
		}
	}
	for _, name := range exports {
		f := m.ExportedFunction(name)
		res, err := f.Call(ctx)
		entry := name + trapOf(err)
		for i, t := range f.Definition().ResultTypes() {
			// References are pointers, and a v128 takes two places.
			if len(res) != len(f.Definition().ResultTypes()) || t == api.ValueTypeExternref || t == 0x70 {
				break
			}
			entry += fmt.Sprintf(" %x", res[i])
		}
		log = append(log, entry)
		if err != nil {
			return log, errors.Is(err, errOut)
		}
	}
	if memory { // Memory returns a nil pointer in an interface where there is none
		mem := m.Memory()
		b, _ := mem.Read(0, min(mem.Size(), 1<<20))
		log = append(log, string(bytes.TrimRight(b, "\x00")))
	}
	return log, false
}

// FuzzInstrument holds Instrument against the engine: what the engine refuses
// must stay refused, what it accepts must stay accepted and do the same.
func FuzzInstrument(f *testing.F) {
	seedModules(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		// Sizes that would only make the test slow.
		for _, tab := range m.Tables() {
			if tab.Min > 1000 {
				return
			}
		}
		if mem := m.Memory(); mem != nil && mem.Min > 16 || Scan(m, DefaultScanLimits()) != nil && m.info != nil {
			return
		}
		compiles := func(wasm []byte) error {
			ctx := context.Background()
			r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(64))
			defer r.Close(ctx)
			_, err := r.CompileModule(ctx, wasm)
			return err
		}
		// Chunks that the sizes a fuzzer finds exceed.
		o, err := Instrument(m, Options{chunk: 5})
		var refused *RefusedError
		if errors.As(err, &refused) {
			return
		}
		if err != nil {
			if !stricter(err, b) && compiles(b) == nil {
				t.Fatalf("the engine takes what Instrument calls invalid: %v", err)
			}
			return
		}
		plain := withoutCustoms(b)
		want := compiles(plain)
		if want != nil && strings.Contains(want.Error(), "unsupported misc instruction") {
			return // as in sameVerdict
		}
		if got := compiles(o.Wasm); (got == nil) != (want == nil) {
			t.Fatalf("engine on the original: %v; on the instrumented: %v", want, got)
		}
		if got := compiles(o.Twin); (got == nil) != (want == nil) {
			t.Fatalf("engine on the original: %v; on the twin: %v", want, got)
		}
		if want != nil || len(m.Imports()) > 0 {
			return
		}
		var names []string
		for _, e := range m.Exports() {
			if e.Kind == KindFunc && len(e.Func.Params) == 0 {
				names = append(names, e.Name)
			}
		}
		got, out := fuzzRun(t, o.Wasm, names, &meterHost{total: 20_000, slice: 500, stack: 1200}, o.HasStart, m.Memory() != nil)
		if out {
			return // may run for ever
		}
		if plain, _ := fuzzRun(t, plain, names, nil, false, m.Memory() != nil); fmt.Sprint(plain) != fmt.Sprint(got) {
			t.Fatalf("plain %q, instrumented %q", plain, got)
		}
	})
}
