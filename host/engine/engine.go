// Package engine runs WebAssembly modules from strangers: it refuses what would
// harm the host before anything is compiled, counts fuel and stack by rewriting the
// module (package wasmbin), bounds memory, tables, time, output and files, and keeps
// compiled code on disk so that the next start is fast.
//
// An [Engine] holds what is shared: the families of host functions and the compile
// cache. [Engine.Load] turns WebAssembly into a [Module]; [Module.Run] runs it, many
// times and concurrently, each run isolated from the others. The package reads no
// flags and no environment.
//
// Limits and their defaults are those of abi.Limits; FUEL.md and WASI.md beside the
// subpackages say what is counted and which system calls a guest has.
package engine

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine/wasi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Config says how an Engine works. The zero value is an engine with the pxos family,
// without a disk cache.
type Config struct {
	CacheDir    string   // compiled code; empty: none is kept
	CacheBytes  int64    // bound of the cache; 0: DefaultCacheBytes
	Interpreter bool     // interpret instead of compiling
	Families    []Family // beyond the pxos family, which is always there
}

// Engine loads and runs modules. It is safe for concurrent use.
type Engine struct {
	cfg      Config
	reg      *registry
	names    []string // every host function by call index, "module.name"
	wasiBase int      // first call index of WASI functions
	cache    *diskCache

	mu     sync.Mutex
	loaded map[loadKey]*Module
	closed bool
	// preloads are modules on their way from the disk; nil arrives for one that is
	// not there.
	preloads map[loadKey]chan *Module
}

// New makes an engine. It fails when a family does not fit the host-function table.
func New(cfg Config) (*Engine, error) {
	reg, err := newRegistry(append([]Family{pxosFamily()}, cfg.Families...))
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, reg: reg, loaded: map[loadKey]*Module{}, preloads: map[loadKey]chan *Module{}}
	e.names = append(e.names, reg.names...)
	e.wasiBase = len(e.names)
	for _, n := range wasi.Names() {
		e.names = append(e.names, "wasi."+n)
	}
	if cfg.CacheDir != "" && !cfg.Interpreter && compilerSupported() {
		size := cfg.CacheBytes
		if size == 0 {
			size = DefaultCacheBytes
		}
		e.cache = &diskCache{dir: cfg.CacheDir, limit: size}
	}
	return e, nil
}

// features are the WebAssembly features a guest may use: the 2.0 standard. Threads,
// tail calls, exceptions and what else wazero has behind its experimental switches
// stay off.
const features = api.CoreFeaturesV2

// compilerSupported reports whether wazero compiles to machine code here.
func compilerSupported() bool {
	switch runtime.GOARCH {
	case "amd64", "arm64":
	default:
		return false
	}
	switch runtime.GOOS {
	case "linux", "darwin", "freebsd", "netbsd", "dragonfly", "windows":
		return true
	}
	return false
}

// wazeroVersion is the version of the engine beneath, as the build recorded it.
var wazeroVersion = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/tetratelabs/wazero" {
				return dep.Version
			}
		}
	}
	return "unknown"
})

// Describe names the engine beneath and how it runs code, such as
// "wazero v1.12.0 compiler".
func (e *Engine) Describe() string {
	mode := "compiler"
	if e.cfg.Interpreter || !compilerSupported() {
		mode = "interpreter"
	}
	return fmt.Sprintf("wazero %s %s", wazeroVersion(), mode)
}

// Families returns the import modules a guest can use besides WASI, sorted.
func (e *Engine) Families() []string { return e.reg.modules() }

// Loaded returns how many modules are loaded.
func (e *Engine) Loaded() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.loaded)
}

// Close unloads every module. No run may be under way.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for k, m := range e.loaded {
		m.release(ctx)
		delete(e.loaded, k)
	}
	for k, pre := range e.preloads {
		if m := <-pre; m != nil {
			m.rt.Close(ctx)
		}
		delete(e.preloads, k)
	}
	return nil
}

func (e *Engine) runtimeConfig() wazero.RuntimeConfig {
	rc := wazero.NewRuntimeConfigInterpreter()
	if !e.cfg.Interpreter && compilerSupported() {
		rc = wazero.NewRuntimeConfigCompiler()
	}
	return rc.WithCoreFeatures(features).WithDebugInfoEnabled(false).WithMemoryLimitPages(1 << 16)
}

// Error is a failure to load a module or to run it, with what to do about it.
type Error struct {
	Type abi.ErrorType
	Msg  string
	Hint string
	Err  error // beneath, may be nil
}

func (e *Error) Error() string { return e.Msg }
func (e *Error) Unwrap() error { return e.Err }
