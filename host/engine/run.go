package engine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine/wasmbin"
	"github.com/pxos/pxos/host/term"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
)

// Archive is the cartridge's own archive as the pxos family shows it.
type Archive interface {
	Paths() []string // sorted
	Stat(path string) (size int64, digest [32]byte, ok bool)
	ReadAt(path string, dst []byte, off int64) (int, error)
}

// Dir is a granted host directory.
type Dir struct {
	Guest    string // absolute guest path
	Root     *os.Root
	ReadOnly bool
}

// Mount is a file system that a guest sees at an absolute path.
type Mount struct {
	Guest string
	FS    experimentalsys.FS
}

// RunConfig says what a run is given. Whatever is not set is not there.
type RunConfig struct {
	Program string          // full name, for the guest and the result
	Export  string          // function to call; "_start" for a command
	Argv    []string        // the guest's arguments, the first is its own name
	Env     []string        // KEY=VALUE
	Args    json.RawMessage // JSON arguments; nil means {}

	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// CleanStdout and CleanStderr neutralise escape sequences, for output that goes
	// to a terminal.
	CleanStdout, CleanStderr bool
	TerminalStdin            bool // input comes from a terminal

	Archive Archive
	Files   fs.FS // the same archive as a file system at /
	Dirs    []Dir
	// Mounts are further file systems at absolute guest paths. They are used by one
	// goroutine at a time and are not closed.
	Mounts []Mount
	// Services are what families of host functions work on in this run, by the
	// family's module; see Run.Service.
	Services map[string]any
	// Ending, when not nil, is called when the guest's code is over and before its files
	// are closed. byItself says that the guest returned or exited, with whatever code:
	// false that it trapped or was stopped. A guest that is left behind in a host call
	// gets there when that call ends, which may be after Run has returned.
	Ending  func(byItself bool)
	Granted []abi.Capability
	Limits  abi.Limits // every field set
	Seed    []byte     // not nil: random bytes and time are reproducible
	Epoch   time.Time  // real time at the start of a run with a seed
}

// grace is how long a stopped run may take to notice before it is left behind: a
// guest notices within a slice, but a write to a blocked pipe may never return.
const grace = 250 * time.Millisecond

// Run is one run of a module. It is the context of every call into the guest, which
// is how host functions find it at the cost of a type assertion.
type Run struct {
	context.Context

	eng    *Engine
	cfg    *RunConfig
	limits abi.Limits
	call   Call
	clock  clock
	random io.Reader

	given int64 // fuel of the current slice
	used  int64 // fuel accounted for
	debt  int64 // fuel of host calls not yet accounted for

	stop    atomic.Int32
	stopped chan struct{} // closed when stop is set
	abort   atomic.Pointer[abortError]

	calls    []int64
	written  int64
	result   json.RawMessage
	failure  *programError
	logs     []abi.LogLine
	logBytes int64
	granted  []byte
}

type programError struct{ kind, msg string }

// Holds reports whether a capability of that kind was granted to the run.
func (r *Run) Holds(kind string) bool {
	for _, c := range r.cfg.Granted {
		if c.Kind == kind {
			return true
		}
	}
	return false
}

// Granted returns what was granted to the run. The slice is shared.
func (r *Run) Granted() []abi.Capability { return r.cfg.Granted }

// Service returns what RunConfig.Services has for a family's module, or nil.
func (r *Run) Service(module string) any { return r.cfg.Services[module] }

// Stopping returns a context that is cancelled when the run is stopped, for host
// functions that work for long through a package that takes one. Such a function calls
// Charge afterwards, which ends the guest.
func (r *Run) Stopping() context.Context { return stopping{context.Background(), r} }

type stopping struct {
	context.Context
	run *Run
}

func (s stopping) Done() <-chan struct{} { return s.run.stopped }

func (s stopping) Err() error {
	if s.run.stop.Load() == running {
		return nil
	}
	return context.Canceled
}

func (r *Run) args() []byte {
	if len(r.cfg.Args) == 0 {
		return []byte("{}")
	}
	return r.cfg.Args
}

func (r *Run) grantedJSON() []byte {
	if r.granted == nil {
		list := r.cfg.Granted
		if list == nil {
			list = []abi.Capability{}
		}
		r.granted, _ = json.Marshal(list)
	}
	return r.granted
}

func (r *Run) log(level, msg string) abi.Code {
	msg = term.Line(msg) // what is kept is what is counted
	cost := int64(len(msg)) + 16
	if r.logBytes+cost+int64(len(r.result)) > r.limits.Log {
		return abi.CodeLimit
	}
	r.logBytes += cost
	r.logs = append(r.logs, abi.LogLine{Level: level, Message: msg, Time: float64(r.clock.monotonic()) / 1e9})
	return abi.CodeOK
}

// Run runs one program of the module and returns its outcome. The deadline of
// cfg.Limits counts from the call. A Go error means that the host could not run it;
// everything a guest can do, including never ending, is a result.
func (m *Module) Run(ctx context.Context, cfg *RunConfig) (*abi.RunResult, error) {
	started := time.Now()
	r := &Run{
		Context: context.Background(),
		eng:     m.eng,
		cfg:     cfg,
		limits:  cfg.Limits,
		clock:   clock{begin: started},
		random:  rand.Reader,
		stopped: make(chan struct{}),
		calls:   make([]int64, len(m.eng.names)),
	}
	r.call.Run = r
	if cfg.Seed != nil {
		r.random = newSeeded(cfg.Seed)
		r.clock.virtual, r.clock.base = true, cfg.Epoch.UnixNano()
	}
	if !m.HasExport(cfg.Export) {
		return nil, noExport(cfg.Export, m.meta.Exports)
	}
	unwatch := r.watch(ctx, started)
	defer unwatch()

	var err error
	done := make(chan *abi.RunResult, 1)
	m.active.Add(1)
	go func() {
		defer m.active.Add(-1)
		done <- m.execute(r, started)
	}()
	var res *abi.RunResult
	select {
	case res = <-done:
	case <-r.stopped:
		select {
		case res = <-done:
		case <-time.After(grace):
			// The guest hangs in a host call that cannot be interrupted. Its
			// goroutine ends when that call does; its outcome is known.
			res = &abi.RunResult{}
			outcome(res, r.stopError(r.stop.Load()), nil, nil)
			res.ExecutionTime = time.Since(started).Seconds()
		}
	}
	res.Program, res.Granted, res.Cached, res.StartedAt = cfg.Program, cfg.Granted, m.cached, started.UTC()
	if res.Granted == nil {
		res.Granted = []abi.Capability{}
	}
	if res.Logs == nil {
		res.Logs = []abi.LogLine{}
	}
	if res.Result == nil {
		res.Result = json.RawMessage("null")
	}
	limits := cfg.Limits
	res.Limits = &limits
	return res, err
}

func noExport(name string, have []string) *Error {
	return &Error{Type: abi.ErrNoProgram, Msg: fmt.Sprintf("module has no exported function %q", name), Hint: "it exports " + exportList(have)}
}

func exportList(names []string) string {
	if len(names) == 0 {
		return "no functions"
	}
	list := make([]string, 0, 8)
	for _, n := range names {
		if len(list) == 8 {
			list = append(list, fmt.Sprintf("and %d more", len(names)-8))
			break
		}
		list = append(list, term.Line(n))
	}
	return strings.Join(list, ", ")
}

// execute instantiates the module, runs it and collects the outcome.
func (m *Module) execute(r *Run, started time.Time) *abi.RunResult {
	res := &abi.RunResult{}
	mod, mem, err := m.instantiate(r)
	if err == nil {
		err = m.invoke(r, mod)
	}
	if mod != nil {
		if g := mod.ExportedGlobal(wasmbin.MeterGlobal); g != nil && r.given > 0 {
			r.account(int64(g.Get()))
		}
		if mod.Memory() != nil {
			res.Memory = mem.peak()
		}
		if r.cfg.Ending != nil {
			var exit *sys.ExitError
			r.cfg.Ending((err == nil || errors.As(err, &exit)) && r.stop.Load() == running)
		}
		_ = mod.Close(context.Background())
	}
	outcome(res, err, r, m)
	res.ExecutionTime = time.Since(started).Seconds()
	res.Fuel = uint64(max(r.used+r.debt, 0))
	res.Output = uint64(r.written)
	res.Logs = r.logs
	res.HostCalls = map[string]int64{}
	for i, n := range r.calls {
		if n > 0 {
			res.HostCalls[m.eng.names[i]] = n
		}
	}
	return res
}

// instantiate makes the module's instance. No code of the guest runs here: the
// start function was turned into an export by the instrumentation.
func (m *Module) instantiate(r *Run) (api.Module, *trackedMemory, error) {
	mem := &trackedMemory{alloc: newLinearMemory(uint64(r.limits.Memory))}
	ctx := experimental.WithMemoryAllocator(context.Background(), mem)
	cfg, err := r.outfit()
	if err != nil {
		return nil, nil, err
	}
	mod, err := m.rt.InstantiateModule(ctx, m.compiled, cfg)
	if err != nil {
		return nil, nil, instantiateError(err)
	}
	if err := mem.failed(); err != nil {
		_ = mod.Close(ctx)
		return nil, nil, err
	}
	return mod, mem, nil
}

// instantiateError names what goes wrong before any code of the guest runs: segments
// that do not fit the module's own memory or tables.
func instantiateError(err error) error {
	msg := firstLine(err.Error())
	if strings.Contains(msg, "out of bounds") || strings.Contains(msg, "out of range") {
		return &Error{Type: abi.ErrTrap, Msg: "program trapped: " + term.Line(msg), Err: err,
			Hint: "a segment lies outside the module's memory or table; its author must build it again"}
	}
	return &Error{Type: abi.ErrInternal, Msg: "module cannot be instantiated: " + term.Line(msg), Err: err,
		Hint: "this machine may be short of memory; close other programs or lower --limit memory"}
}

// invoke proves that the machine code belongs to the module, arms the meter and
// calls the guest: its start function, the initialiser of a reactor, the export.
func (m *Module) invoke(r *Run, mod api.Module) error {
	seal, err := mod.ExportedFunction(wasmbin.SealExport).Call(r)
	if err != nil || len(seal) != 1 || seal[0] != m.meta.Seal {
		m.eng.disown(m, r.limits.Table)
		return &Error{Type: abi.ErrInternal, Msg: "compiled code does not belong to this module", Hint: "it was removed from the cache; run again"}
	}
	mod.ExportedGlobal(wasmbin.MeterGlobal).(api.MutableGlobal).Set(uint64(r.arm()))
	var steps []string
	if m.meta.HasStart {
		steps = append(steps, wasmbin.StartExport)
	}
	if r.cfg.Export != "_start" && r.cfg.Export != "_initialize" && m.HasExport("_initialize") {
		steps = append(steps, "_initialize")
	}
	for _, name := range append(steps, r.cfg.Export) {
		r.checkStopErr(&err)
		if err != nil {
			return err
		}
		fn := mod.ExportedFunction(name)
		if def := fn.Definition(); len(def.ParamTypes()) != 0 {
			return &Error{Type: abi.ErrNoProgram, Msg: fmt.Sprintf("export %q takes parameters; a program takes none", name),
				Hint: "read arguments through WASI or the pxos family"}
		}
		results, err := fn.Call(r)
		if err != nil {
			return err
		}
		// A program that returns an i32 says its exit code, like main in C.
		if def := fn.Definition(); name == r.cfg.Export && len(results) == 1 && def.ResultTypes()[0] == api.ValueTypeI32 && uint32(results[0]) != 0 {
			return sys.NewExitError(uint32(results[0]))
		}
	}
	return nil
}

func (r *Run) checkStopErr(err *error) {
	if s := r.stop.Load(); s != running && *err == nil {
		*err = r.stopError(s)
	}
}

// outcome fills in how the run ended.
func outcome(res *abi.RunResult, err error, r *Run, m *Module) {
	var exit *sys.ExitError
	var abort *abortError
	var hostErr *Error
	if r != nil {
		res.Result = r.result
	}
	switch {
	case errors.As(err, &abort):
		res.ErrorType, res.Error, res.Hint = abort.kind, abort.msg, limitHint(abort.kind)
	case errors.As(err, &exit) && exit.ExitCode() != 0:
		res.ExitCode = exit.ExitCode()
		res.ErrorType, res.Error = abi.ErrExit, fmt.Sprintf("program exited with code %d", res.ExitCode)
	case errors.As(err, &hostErr):
		res.ErrorType, res.Error, res.Hint = hostErr.Type, hostErr.Msg, hostErr.Hint
	case err != nil && exit == nil:
		res.ErrorType, res.Error = trapOf(err)
		if res.ErrorType == abi.ErrStack {
			res.Hint = limitHint(abi.ErrStack)
		}
		if m != nil {
			res.Trace = m.trace(err)
		}
	}
	if r != nil && r.failure != nil && (res.ErrorType == "" || res.ErrorType == abi.ErrExit) {
		res.ErrorType = abi.ErrorType("program." + r.failure.kind)
		res.Error = term.Text(r.failure.msg)
	}
	res.Success = res.ErrorType == ""
}

func limitHint(kind abi.ErrorType) string {
	switch kind {
	case abi.ErrFuel:
		return "raise it with --fuel if the program needs longer"
	case abi.ErrDeadline:
		return "raise it with --timeout if the program needs longer"
	case abi.ErrStack:
		return "raise it with --limit stack=15MiB if the program recurses deeply on purpose"
	case abi.ErrOutput:
		return "raise it with --limit output=1GiB if the program writes that much on purpose"
	}
	return ""
}

// trapOf names a trap from wazero's error, whose types are not exported.
func trapOf(err error) (abi.ErrorType, string) {
	msg := firstLine(err.Error())
	msg = strings.TrimSuffix(strings.TrimPrefix(msg, "wasm error: "), " (recovered by wazero)")
	if msg == "stack overflow" {
		return abi.ErrStack, "call stack exceeds what the engine holds"
	}
	if !strings.HasPrefix(err.Error(), "wasm error: ") {
		return abi.ErrInternal, term.Line(msg)
	}
	return abi.ErrTrap, "program trapped: " + term.Line(msg)
}

// maxTrace is how many frames of a trap are named.
const maxTrace = 32

// trace names the functions on the stack of a trap, innermost first.
func (m *Module) trace(err error) []string {
	_, stack, ok := strings.Cut(err.Error(), "wasm stack trace:\n")
	if !ok {
		return nil
	}
	var out []string
	for _, line := range strings.Split(stack, "\n") {
		_, rest, ok := strings.Cut(line, ".$")
		if !ok {
			continue
		}
		var idx uint32
		if _, err := fmt.Sscanf(rest, "%d", &idx); err != nil {
			continue
		}
		if name := m.funcName()(idx); name != "" {
			out = append(out, term.Line(name))
		}
		if len(out) == maxTrace {
			break
		}
	}
	return out
}
