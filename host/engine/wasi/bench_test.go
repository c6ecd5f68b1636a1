package wasi

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// hello are the functions that a Go "hello" imports.
var hello = []string{
	"args_get", "args_sizes_get", "clock_time_get", "environ_get", "environ_sizes_get", "fd_close",
	"fd_fdstat_get", "fd_fdstat_set_flags", "fd_prestat_dir_name", "fd_prestat_get", "fd_read", "fd_write",
	"path_open", "poll_oneoff", "proc_exit", "random_get", "sched_yield",
}

// BenchmarkInstantiate compares what each way of registering costs. "fresh"
// makes a runtime too, as a run that shares nothing does.
func BenchmarkInstantiate(b *testing.B) {
	ctx := context.Background()
	fresh := func(b *testing.B, cache wazero.CompilationCache, names []string) {
		for b.Loop() {
			config := wazero.NewRuntimeConfigCompiler()
			if cache != nil {
				config = config.WithCompilationCache(cache)
			}
			r := wazero.NewRuntimeWithConfig(ctx, config)
			if _, err := Instantiate(ctx, r, Preview1, names); err != nil {
				b.Fatal(err)
			}
			r.Close(ctx)
		}
	}
	b.Run("fresh/hello", func(b *testing.B) { fresh(b, nil, hello) })
	b.Run("fresh/all", func(b *testing.B) { fresh(b, nil, nil) })
	b.Run("fresh/hello/shared cache", func(b *testing.B) { fresh(b, wazero.NewCompilationCache(), hello) })
	b.Run("runtime alone", func(b *testing.B) {
		for b.Loop() {
			wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler()).Close(ctx)
		}
	})
	b.Run("wazero/all", func(b *testing.B) {
		for b.Loop() {
			r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
			wasi_snapshot_preview1.MustInstantiate(ctx, r)
			r.Close(ctx)
		}
	})
}

// BenchmarkCall compares calls through this package with wazero's own.
func BenchmarkCall(b *testing.B) {
	ctx := context.Background()
	var entered int
	run := &Run{Enter: func(context.Context, api.Module, int, []uint64, uint64) { entered++ }}
	for _, own := range []bool{true, false} {
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
		defer r.Close(ctx)
		who := "wazero"
		if own {
			who = "pxos"
		} else {
			wasi_snapshot_preview1.MustInstantiate(ctx, r)
		}
		g := newGuest(b, r, Preview1, run, newConfig(b, run).WithStdout(discard{}))
		g.iovecs(0, 64)
		g.iovecs(16, 32, 32)
		for _, c := range []struct {
			name, fn string
			args     []uint64
		}{
			{"sched_yield", "sched_yield", nil},
			{"clock_time_get", "clock_time_get", []uint64{1, 0, 64}},
			{"fd_write 64 bytes", "fd_write", []uint64{1, 0, 1, 64}},
			{"fd_write 2 iovecs", "fd_write", []uint64{1, 16, 2, 64}},
			{"random_get 64 bytes", "random_get", []uint64{0x4000, 64}},
		} {
			b.Run(c.name+"/"+who, func(b *testing.B) {
				fn := g.mod.ExportedFunction(c.fn)
				stack := make([]uint64, 8)
				b.ReportAllocs()
				for b.Loop() {
					copy(stack, c.args)
					if err := fn.CallWithStack(g.ctx, stack); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
