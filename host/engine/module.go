package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine/wasi"
	"github.com/pxos/pxos/host/engine/wasmbin"
	"github.com/pxos/pxos/host/term"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Module is a loaded WebAssembly module, ready to run.
type Module struct {
	eng      *Engine
	rt       wazero.Runtime
	compiled wazero.CompiledModule
	meta     *moduleMeta
	cached   bool
	source   Source
	active   atomic.Int64 // guests that are executing, also those a Run left behind
	funcName func() func(uint32) string
}

type loadKey struct {
	digest [32]byte
	table  int64
}

// Source supplies a module's bytes. Digest is their SHA-256, under which compiled
// code is cached; Read is called only when there is none, and what it returns must
// have that digest (the archive reader checks it).
type Source struct {
	Digest [32]byte
	Read   func() ([]byte, error)
}

// moduleMeta is what a run needs to know of a module besides its code. It is kept
// with the cached code, so that a warm start never looks at the original.
type moduleMeta struct {
	Seal     uint64
	HasStart bool
	MemMin   uint64 // pages
	HasMem   bool
	Imports  map[string][]string // functions by module
	Exports  []string            // functions
}

// Load makes a module ready to run: from the compile cache when it holds code for
// this digest, engine version, instrumentation and processor, otherwise by
// scanning, instrumenting and compiling. limits.Table bounds the module's tables and
// limits.Memory what it may need from the start.
//
// Errors are *Error: ErrInvalidModule, ErrRefused, ErrUnsupported,
// ErrMissingImports or ErrMemory name what is wrong with the module.
func (e *Engine) Load(ctx context.Context, src Source, limits abi.Limits) (*Module, error) {
	key := loadKey{src.Digest, limits.Table}
	e.mu.Lock()
	m, pre := e.loaded[key], e.preloads[key]
	delete(e.preloads, key)
	e.mu.Unlock()
	if m == nil {
		if pre != nil {
			if m = <-pre; m != nil {
				m.source = src
			}
		}
		if m == nil {
			var err error
			if m, err = e.load(ctx, src, limits); err != nil {
				if cause := ctx.Err(); cause != nil {
					err = &Error{Type: abi.ErrCancelled, Msg: "run was cancelled while its module was compiled", Err: cause}
				}
				return nil, err
			}
		}
		e.mu.Lock()
		switch other := e.loaded[key]; {
		case e.closed:
			e.mu.Unlock()
			m.rt.Close(ctx)
			return nil, errors.New("engine is closed")
		case other != nil: // somebody else was faster
			m.rt.Close(ctx)
			m = other
		default:
			e.loaded[key] = m
		}
		e.mu.Unlock()
	}
	if need := m.meta.MemMin << 16; m.meta.HasMem && need > uint64(limits.Memory) {
		return nil, &Error{Type: abi.ErrMemory,
			Msg:  fmt.Sprintf("module needs %s of memory from the start, the limit is %s", abi.FormatBytes(int64(need)), abi.FormatBytes(limits.Memory)),
			Hint: "raise it with --limit memory=" + abi.FormatBytesUp(int64(need)) + " if you trust the cartridge"}
	}
	return m, nil
}

// Preload prepares for a Load that is about to come: the function that it returns, which
// must be called once, loads the module's code from the disk cache if it is there, and
// the Load waits for it. It only looks: nothing is compiled and nothing runs, so a
// caller need not have verified or allowed anything yet.
func (e *Engine) Preload(ctx context.Context, digest [32]byte, table int64) (load func()) {
	if e.cache == nil {
		return func() {}
	}
	key := loadKey{digest, table}
	done := make(chan *Module, 1)
	e.mu.Lock()
	busy := e.closed || e.loaded[key] != nil || e.preloads[key] != nil
	if !busy {
		e.preloads[key] = done
	}
	e.mu.Unlock()
	if busy {
		return func() {}
	}
	return func() {
		m, _ := e.loadCached(ctx, cacheKey(digest, table)) // whatever is wrong, Load meets it again
		done <- m
	}
}

// Unload frees a module's code. No run of it may be under way.
func (e *Engine) Unload(ctx context.Context, src Source, limits abi.Limits) {
	key := loadKey{src.Digest, limits.Table}
	e.mu.Lock()
	m := e.loaded[key]
	delete(e.loaded, key)
	e.mu.Unlock()
	if m != nil {
		m.release(ctx)
	}
}

// release frees a module's code and the memory of its instances. A guest that is still
// executing, because its Run had to leave it behind, is given a moment to notice that
// it was stopped; if it does not, its code and memory stay where they are: taking them
// away under it would bring the whole process down.
func (m *Module) release(ctx context.Context) {
	for wait := time.Millisecond; m.active.Load() > 0; wait *= 2 {
		if wait > time.Second {
			return
		}
		time.Sleep(wait)
	}
	m.rt.Close(ctx)
}

// disown forgets a module whose code is not its own, in memory and on disk. Its
// runtime is left to the runs that have it.
func (e *Engine) disown(m *Module, table int64) {
	key := loadKey{m.source.Digest, table}
	e.mu.Lock()
	if e.loaded[key] == m {
		delete(e.loaded, key)
	}
	e.mu.Unlock()
	if e.cache != nil && m.cached {
		e.cache.remove(cacheKey(key.digest, table))
	}
}

func (e *Engine) load(ctx context.Context, src Source, limits abi.Limits) (*Module, error) {
	var key string
	if e.cache != nil {
		key = cacheKey(src.Digest, limits.Table)
		if m, err := e.loadCached(ctx, key); err == nil {
			m.source = src
			return m, nil
		} else if !errors.Is(err, errCacheMiss) {
			// Whatever is wrong with an entry, compiling again mends it.
			e.cache.remove(key)
		}
	}
	wasm, err := src.Read()
	if err != nil {
		return nil, err
	}
	out, meta, err := e.prepare(wasm, limits)
	if err != nil {
		return nil, err
	}
	ctx = experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
	if e.cache != nil {
		err := e.cache.fill(ctx, e, key, hex.EncodeToString(src.Digest[:]), out, meta)
		if err == nil {
			if m, err := e.loadCached(ctx, key); err == nil {
				m.source, m.cached = src, false
				return m, nil
			}
		} else if _, ok := err.(*Error); ok {
			return nil, err
		}
		// A cache that cannot be written costs time, not the run.
	}
	rt := wazero.NewRuntimeWithConfig(ctx, e.runtimeConfig())
	m, err := e.finish(ctx, rt, out.Wasm, meta)
	if err != nil {
		return nil, err
	}
	m.source = src
	return m, nil
}

// loadCached loads compiled code from the disk cache and proves that it is the code
// of the module it claims to be.
func (e *Engine) loadCached(ctx context.Context, key string) (*Module, error) {
	ent, err := e.cache.read(key)
	if err != nil {
		return nil, err
	}
	if err := ent.check(); err != nil {
		return nil, err
	}
	cc, err := wazero.NewCompilationCacheWithDir(ent.dir)
	if err != nil {
		return nil, err
	}
	rt := wazero.NewRuntimeWithConfig(ctx, e.runtimeConfig().WithCompilationCache(cc))
	m, err := e.finish(ctx, rt, ent.twin, &ent.info.Meta)
	if err != nil {
		return nil, err
	}
	if !ent.untouched() {
		rt.Close(ctx)
		return nil, errors.New("cached code was not used")
	}
	m.cached = true
	return m, nil
}

// finish compiles (or fetches) a module in its runtime and registers what it
// imports.
func (e *Engine) finish(ctx context.Context, rt wazero.Runtime, wasm []byte, meta *moduleMeta) (*Module, error) {
	m := &Module{eng: e, rt: rt, meta: meta}
	m.funcName = sync.OnceValue(m.readNames)
	var err error
	if m.compiled, err = rt.CompileModule(ctx, wasm); err != nil {
		rt.Close(ctx)
		return nil, &Error{Type: abi.ErrInvalidModule, Msg: "module is not valid WebAssembly: " + firstLine(err.Error()), Err: err}
	}
	if err := e.register(ctx, rt, meta.Imports); err != nil {
		rt.Close(ctx)
		return nil, err
	}
	return m, nil
}

// register gives a runtime the host functions that a module imports, and no others.
func (e *Engine) register(ctx context.Context, rt wazero.Runtime, imports map[string][]string) error {
	meter := rt.NewHostModuleBuilder(wasmbin.MeterModule)
	meter.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
		stack[0] = uint64(ctx.(*Run).refill(int64(stack[0])))
	}), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).Export(wasmbin.RefillName)
	if _, err := meter.Instantiate(ctx); err != nil {
		return err
	}
	for module, names := range imports {
		var err error
		if e.reg.funcs[module] != nil {
			err = e.reg.instantiate(ctx, rt, module, names)
		} else {
			_, err = wasi.Instantiate(ctx, rt, module, names)
		}
		if err != nil {
			return fmt.Errorf("register %s: %w", module, err)
		}
	}
	return nil
}

// Check reports whether a module could be loaded and has a function of that name,
// without compiling it. Errors are those of Load.
func (e *Engine) Check(src Source, limits abi.Limits, export string) error {
	wasm, err := src.Read()
	if err != nil {
		return err
	}
	_, meta, err := e.prepare(wasm, limits)
	if err != nil {
		return err
	}
	if !slices.Contains(meta.Exports, export) {
		return noExport(export, meta.Exports)
	}
	return nil
}

// prepare checks a module and instruments it.
func (e *Engine) prepare(wasm []byte, limits abi.Limits) (*wasmbin.Output, *moduleMeta, error) {
	mod, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, nil, moduleError(err)
	}
	if err := wasmbin.Scan(mod, wasmbin.DefaultScanLimits()); err != nil {
		return nil, nil, moduleError(err)
	}
	meta := &moduleMeta{Imports: map[string][]string{}}
	if err := e.checkImports(mod, meta); err != nil {
		return nil, nil, err
	}
	if mem := mod.Memory(); mem != nil {
		meta.HasMem, meta.MemMin = true, uint64(mem.Min)
	}
	for _, x := range mod.Exports() {
		if x.Kind == wasmbin.KindFunc {
			meta.Exports = append(meta.Exports, x.Name)
		}
	}
	out, err := wasmbin.Instrument(mod, wasmbin.Options{TableLimit: uint32(limits.Table)})
	if err != nil {
		return nil, nil, moduleError(err)
	}
	meta.Seal, meta.HasStart = out.Seal, out.HasStart
	return out, meta, nil
}

// moduleError turns what the wasmbin package says into the error a person gets.
func moduleError(err error) *Error {
	var refused *wasmbin.RefusedError
	switch {
	case errors.As(err, &refused) && strings.HasPrefix(refused.Reason, "proposal-"):
		return &Error{Type: abi.ErrUnsupported, Msg: term.Line(err.Error()), Err: err,
			Hint: "pxOS runs WebAssembly 2.0; build it without this proposal"}
	case errors.As(err, &refused) && refused.Reason == "reserved-name":
		return &Error{Type: abi.ErrRefused, Msg: term.Line(err.Error()), Err: err,
			Hint: "names that begin with pxos: belong to the host; its author must choose others"}
	case errors.As(err, &refused):
		return &Error{Type: abi.ErrRefused, Msg: term.Line(err.Error()), Err: err,
			Hint: "compiling it would cost this machine too much; ask its author for a build without this shape"}
	}
	return &Error{Type: abi.ErrInvalidModule, Msg: "module is not valid WebAssembly: " + term.Line(err.Error()), Err: err,
		Hint: "the file may be truncated or not a WebAssembly module at all"}
}

// checkImports collects what the module imports and reports everything this host
// does not offer, sorted, at once.
func (e *Engine) checkImports(mod *wasmbin.Module, meta *moduleMeta) error {
	var missing []string
	usesMemory := false
	seen := map[string]bool{}
	for _, imp := range mod.Imports() {
		name := term.Line(imp.Module + "." + imp.Name)
		if imp.Kind != wasmbin.KindFunc {
			missing = append(missing, fmt.Sprintf("%s (a %s, only functions are offered)", name, imp.Kind))
			continue
		}
		ok, want := e.offers(imp)
		have := imp.Func.String()
		switch {
		case !ok && want == "":
			missing = append(missing, name)
		case !ok:
			missing = append(missing, fmt.Sprintf("%s (wrong type: %s, here it is %s)", name, have, want))
		case !seen[name]:
			seen[name] = true
			meta.Imports[imp.Module] = append(meta.Imports[imp.Module], imp.Name)
			usesMemory = true
		}
	}
	if len(missing) > 0 {
		sort.Strings(missing)
		return &Error{Type: abi.ErrMissingImports,
			Msg:  fmt.Sprintf("module imports what this host does not offer: %s", strings.Join(missing, ", ")),
			Hint: "offered are wasi_snapshot_preview1, wasi_unstable and " + strings.Join(e.reg.modules(), ", ") + " as abi/ABI.md lists them"}
	}
	if usesMemory && mod.Memory() == nil {
		return &Error{Type: abi.ErrInvalidModule,
			Msg:  "module calls the host but has no memory to pass data in",
			Hint: "link it with a memory (compilers do so by default)"}
	}
	return nil
}

// offers reports whether this host has a function for an import, and if only its
// type differs, the type it has.
func (e *Engine) offers(imp wasmbin.Import) (ok bool, want string) {
	var params, results []api.ValueType
	if f := e.reg.funcs[imp.Module][imp.Name]; f != nil {
		params, _ = f.make()
		results = []api.ValueType{api.ValueTypeI32}
	} else if p, r, ok := wasi.Signature(imp.Module, imp.Name); ok {
		params, results = p, r
	} else {
		return false, ""
	}
	want = formatType(params, results)
	return want == imp.Func.String(), want
}

// formatType writes a signature as wasmbin does.
func formatType(params, results []api.ValueType) string {
	var t wasmbin.FuncType
	for _, p := range params {
		t.Params = append(t.Params, wasmbin.ValueType(p))
	}
	for _, r := range results {
		t.Results = append(t.Results, wasmbin.ValueType(r))
	}
	return t.String()
}

// HasExport reports whether the module exports a function of that name.
func (m *Module) HasExport(name string) bool { return slices.Contains(m.meta.Exports, name) }

// Exports returns the names of the functions the module exports.
func (m *Module) Exports() []string { return m.meta.Exports }

// Cached reports whether the code came from the disk cache.
func (m *Module) Cached() bool { return m.cached }

// readNames reads the function names of the original module, for traces.
func (m *Module) readNames() func(uint32) string {
	wasm, err := m.source.Read()
	if err == nil {
		if mod, err := wasmbin.Parse(wasm); err == nil {
			return mod.FuncName
		}
	}
	return func(i uint32) string { return fmt.Sprintf("func[%d]", i) }
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
