package wasi

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/pxos/pxos/host/engine/vfs"
)

// Run is the state of one guest run. The functions find it through the context
// of the call (see [WithRun]), so one runtime can hold many guests. Every field
// is optional, and none changes while the guest runs.
type Run struct {
	// Enter is called first in every call with the number of the function (an
	// index into [Names]), its arguments, and the bytes it may copy as [Cost]
	// gives them. It may charge fuel, count and log the call, and look at the
	// deadline; to end the guest it panics. It must not change stack.
	Enter func(ctx context.Context, mod api.Module, fn int, stack []uint64, bytes uint64)

	// Guard is the one that wraps this run's mounts. With it, errors that
	// wazero reports as EIO get their right number.
	Guard *vfs.Guard

	// Stdin is the reader given to ModuleConfig.WithStdin. With it, poll_oneoff
	// waits for input; without it, standard input counts as always ready.
	Stdin *Stdin

	// Terminal says which of the standard streams are terminals: a guest that asks
	// sees a character device without a position, as isatty expects.
	Terminal [3]bool

	// Stop ends waits in poll_oneoff and long calls when it is closed.
	Stop <-chan struct{}

	// Sleep, when not nil, is asked before poll_oneoff waits for a time alone. It
	// returns true when it let that time pass by itself, as a run with a virtual
	// clock does.
	Sleep func(d time.Duration) bool

	// Stopped is called when Stop ended something, to end the guest by
	// panicking. If it returns or is nil, the guest gets EINTR.
	Stopped func()
}

type runKey struct{}

type runCtx struct {
	context.Context
	run *Run
}

func (c *runCtx) Value(key any) any {
	if key == (runKey{}) {
		return c.run
	}
	return c.Context.Value(key)
}

// WithRun returns a context that carries run. Use it for the instantiation of
// the guest and for every call into it; a context that is the direct result is
// found fastest.
func WithRun(ctx context.Context, run *Run) context.Context {
	return &runCtx{ctx, run}
}

// noRun is used for calls without a Run.
var noRun Run

func runOf(ctx context.Context) *Run {
	if c, ok := ctx.(*runCtx); ok {
		return c.run
	}
	if run, ok := ctx.Value(runKey{}).(*Run); ok {
		return run
	}
	return &noRun
}

func (r *Run) stopped() bool {
	select {
	case <-r.Stop: // never ready if Stop is nil
		return true
	default:
		return false
	}
}

// interrupted is what a call returns when Stop ended it.
func (r *Run) interrupted() uint32 {
	if r.Stopped != nil {
		r.Stopped()
	}
	return eIntr
}

// raw holds wazero's own functions, by number.
var raw [len(table)]api.GoModuleFunction

// loadRaw fills raw. The only public way to the functions is a compiled module.
// Compiling it for the interpreter makes no machine code, and the functions
// work under any engine, since they only use the module that calls them.
var loadRaw = sync.OnceValue(func() error {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	cm, err := wasi_snapshot_preview1.NewBuilder(r).Compile(ctx)
	if err != nil {
		return fmt.Errorf("load wazero's WASI functions: %w", err)
	}
	defs := cm.ExportedFunctions()
	for i := range table {
		d := defs[table[i].name]
		if d == nil {
			return fmt.Errorf("wazero has no WASI function %q; use the version that go.mod names", table[i].name)
		}
		f, ok := d.GoFunction().(api.GoModuleFunction)
		if !ok {
			return fmt.Errorf("wazero's WASI function %q has an unknown form; use the version that go.mod names", table[i].name)
		}
		raw[i] = f
	}
	return nil
})

// Instantiate registers functions of module, [Preview1] or [Unstable], in r.
// names selects them; nil means all. A runtime for one guest starts faster with
// only what the guest imports: about 15 µs are spent on each function.
// Close the result, or r, to unregister the module.
func Instantiate(ctx context.Context, r wazero.Runtime, module string, names []string) (api.Module, error) {
	if module != Preview1 && module != Unstable {
		return nil, fmt.Errorf("no WASI module is called %q; there are %s and %s", module, Preview1, Unstable)
	}
	if err := loadRaw(); err != nil {
		return nil, err
	}
	if names == nil {
		for i := range table {
			if Supported(module, table[i].name) {
				names = append(names, table[i].name)
			}
		}
	}
	var missing []string
	b := r.NewHostModuleBuilder(module)
	for _, name := range names {
		if !Supported(module, name) {
			missing = append(missing, name)
			continue
		}
		i := Index(name)
		params, results := table[i].signature()
		b.NewFunctionBuilder().WithGoModuleFunction(function(i, module == Unstable), params, results).Export(name)
	}
	if len(missing) > 0 {
		sort.Strings(missing)
		return nil, fmt.Errorf("%s does not have %s", module, strings.Join(missing, ", "))
	}
	m, err := b.Instantiate(ctx)
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", module, err)
	}
	return m, nil
}

// call is one call of a WASI function.
type call struct {
	ctx   context.Context
	mod   api.Module
	run   *Run
	fn    int
	old   bool // wasi_unstable
	v     view
	stack []uint64
	bytes uint64 // what measure found
}

// function returns what guests call for function fn.
func function(fn int, old bool) api.GoModuleFunction {
	k := table[fn].kind
	return api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
		c := call{ctx: ctx, mod: mod, run: runOf(ctx), fn: fn, old: old, v: viewOf(mod), stack: stack}
		fd, dst := uint32(0), uint32(0)
		asks := fn == fnFdstat || fn == fnFilestat
		if asks {
			fd, dst = uint32(stack[0]), uint32(stack[1])
		}
		var errno uint32
		c.bytes, errno = measure(fn, c.v, stack, old)
		if c.run.Enter != nil {
			c.run.Enter(ctx, mod, fn, stack, c.bytes)
		}
		if k == exitKind {
			raw[fn].Call(ctx, mod, stack) // panics with *sys.ExitError
		}
		if errno == 0 {
			errno = c.make(k)
		}
		if asks && errno == 0 && fd < 3 && c.run.Terminal[fd] && c.stdio(fd) {
			c.terminal(dst)
		}
		stack[0] = uint64(errno)
	})
}

// terminal turns the fdstat or filestat at dst, of a standard stream, into that of a
// terminal.
func (c *call) terminal(dst uint32) {
	const character, seek, tell = 2, 1 << 2, 1 << 5
	if c.fn == fnFilestat {
		c.v.bytes(dst, 17)[16] = character // in both layouts
		return
	}
	b := c.v.bytes(dst, 24)
	b[0] = character
	b[8] &^= seek | tell
}

// raw makes the call with wazero's function, on the arguments now in stack,
// and returns the error number. stack[0] is lost.
func (c *call) raw() uint32 {
	g := c.run.Guard
	if g != nil {
		g.TakeErrno() // a number left over from another call
	}
	raw[c.fn].Call(c.ctx, c.mod, c.stack)
	errno := uint32(c.stack[0])
	if errno == eIo && g != nil {
		if code := g.TakeErrno(); code != 0 {
			return code
		}
	}
	return errno
}

// other calls another of wazero's functions.
func (c *call) other(fn int, args ...uint64) uint32 {
	raw[fn].Call(c.ctx, c.mod, args)
	return uint32(args[0])
}

// open reports whether fd is an open descriptor.
func (c *call) open(fd uint32) bool {
	return c.other(fnAdvise, uint64(fd), 0, 0, 0) == 0
}

// stdio reports whether fd is one of the standard streams: wazero answers
// fd_prestat_get for them, with an empty name.
func (c *call) stdio(fd uint32) bool {
	found := false
	c.v.borrow(8, func(ptr uint32, b []byte) {
		found = c.other(fnPrestat, uint64(fd), uint64(ptr)) == 0 && b[4]|b[5]|b[6]|b[7] == 0
	})
	return found
}

// ErrStopped is returned by [Stdin.Read] when its stop channel is closed.
var ErrStopped = errors.New("the run was stopped while it waited for input")
