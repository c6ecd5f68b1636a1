package engine

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/pxos/pxos/host/engine/vfs"
	"github.com/pxos/pxos/host/engine/wasi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"

	"github.com/pxos/pxos/abi"
)

// outfit gives a run its WASI side: files, streams, clocks, and the hooks that
// count, charge and stop. It returns the configuration of the module instance.
func (r *Run) outfit() (wazero.ModuleConfig, error) {
	cfg := r.cfg
	guard := vfs.NewGuard(int(r.limits.Handles), func(_ string, n int) { r.Charge(uint64(max(n, 0))) })
	wr := &wasi.Run{
		Enter: func(_ context.Context, _ api.Module, fn int, _ []uint64, bytes uint64) {
			r.enter(r.eng.wasiBase + fn)
			r.Charge(bytes)
		},
		Guard: guard,
		Sleep: func(d time.Duration) bool {
			if r.clock.virtual {
				r.clock.advance(int64(d))
			}
			return r.clock.virtual
		},
		Terminal: [3]bool{cfg.TerminalStdin, cfg.CleanStdout, cfg.CleanStderr},
		Stop:     r.stopped,
		Stopped:  r.checkStop,
	}
	var stdin io.Reader = strings.NewReader("")
	if cfg.Stdin != nil {
		wr.Stdin = wasi.NewStdin(cfg.Stdin, r.stopped)
		stdin = wr.Stdin
	}
	r.Context = wasi.WithRun(context.Background(), wr)

	mounts := wazero.NewFSConfig()
	mount := func(fsys experimentalsys.FS, at string) {
		mounts = mounts.(sysfs.FSConfig).WithSysFSMount(guard.Mount(fsys), at)
	}
	if cfg.Files != nil {
		mount(vfs.NewArchive(cfg.Files, cfg.Epoch), "/")
	}
	quota := vfs.DefaultQuota
	quota.Bytes = r.limits.Tmp
	mount(vfs.NewMem(quota, func() time.Time { return time.Unix(0, r.clock.real()) }), "/tmp")
	for _, d := range cfg.Dirs {
		mount(vfs.NewHostDir(d.Root, d.ReadOnly), d.Guest)
	}
	for _, m := range cfg.Mounts {
		mount(m.FS, m.Guest)
	}

	mc := wazero.NewModuleConfig().
		WithName("").
		WithStartFunctions().
		WithArgs(cfg.Argv...).
		WithStdin(stdin).
		WithStdout(newOutput(r, cfg.Stdout, cfg.CleanStdout)).
		WithStderr(newOutput(r, cfg.Stderr, cfg.CleanStderr)).
		WithRandSource(r.random).
		WithWalltime(func() (int64, int32) {
			t := r.clock.real()
			return t / 1e9, int32(t % 1e9)
		}, sys.ClockResolution(abi.ClockResolution)).
		WithNanotime(r.clock.monotonic, sys.ClockResolution(abi.ClockResolution)).
		WithNanosleep(r.sleep).
		WithFSConfig(mounts)
	if cfg.CleanStdout || cfg.CleanStderr {
		// A guest that knows it writes to a terminal, and whose escape sequences are
		// made visible there, is told to do without.
		mc = mc.WithEnv("TERM", "dumb").WithEnv("NO_COLOR", "1")
	}
	for _, kv := range cfg.Env {
		k, v, _ := strings.Cut(kv, "=")
		mc = mc.WithEnv(k, v)
	}
	return mc, nil
}
