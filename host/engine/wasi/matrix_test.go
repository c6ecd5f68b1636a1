package wasi

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"

	"github.com/pxos/pxos/host/engine/vfs"
)

// newConfig mounts an archive at /, memory at /tmp and a host directory at
// /host, all under one guard.
func newConfig(t testing.TB, run *Run) wazero.ModuleConfig {
	t.Helper()
	archive := fstest.MapFS{
		"hello.txt": {Data: []byte("hello, archive")},
		"dir/a":     {Data: []byte("a")},
		"dir/b":     {Data: []byte("bb")},
	}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	run.Guard = vfs.NewGuard(64, nil)
	mem := vfs.NewMem(vfs.Quota{Bytes: 1 << 20, Inodes: 100}, nil)
	fsc := wazero.NewFSConfig().(sysfs.FSConfig).
		WithSysFSMount(run.Guard.Mount(vfs.NewArchive(archive, time.Unix(0, 0))), "/").(sysfs.FSConfig).
		WithSysFSMount(run.Guard.Mount(mem), "/tmp").(sysfs.FSConfig).
		WithSysFSMount(run.Guard.Mount(vfs.NewHostDir(root, false)), "/host")
	return wazero.NewModuleConfig().WithFSConfig(fsc).
		WithArgs("prog", "arg").WithEnv("K", "V").WithSysWalltime().WithSysNanotime()
}

// Descriptors of the mounts of newConfig.
const (
	fdArchive = 3
	fdTmp     = 4
	fdHost    = 5
)

const pageSize = 1 << 16

// hostile are the values that stand for pointers, lengths, counts and flags.
var hostile = []uint64{0, 1, 3, 8, pageSize - 1, pageSize, 1 << 29, 1<<31 - 1, 1 << 31, 1<<32 - 1}

// TestMatrix calls every function of both modules with every combination of
// hostile values, on memory of hostile content. Each call must return an error
// number or success, in bounded time and memory.
func TestMatrix(t *testing.T) {
	for _, module := range []string{Preview1, Unstable} {
		t.Run(module, func(t *testing.T) {
			ctx := context.Background()
			r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
			defer r.Close(ctx)
			for _, name := range all(module) {
				if name == "proc_exit" {
					continue // has its own test
				}
				t.Run(name, func(t *testing.T) {
					stop := make(chan struct{})
					close(stop) // nothing may wait
					run := &Run{Stop: stop, Stdin: NewStdin(neverReader{}, stop)}
					g := newGuest(t, r, module, run, newConfig(t, run).WithStdin(run.Stdin))
					matrix(g, name)
				})
			}
		})
	}
}

// neverReader is a standard input on which nothing ever comes.
type neverReader struct{}

func (neverReader) Read([]byte) (int, error) { select {} }

// matrix goes through the combinations. To keep their number bounded, at most
// three arguments vary at once and the others take one value together.
func matrix(g *guest, fn string) {
	args := table[Index(fn)].args
	values := make([][]uint64, len(args))
	for i := range args {
		values[i] = hostile
		if args[i] == 'l' {
			values[i] = []uint64{0, 1, 1 << 31, 1<<63 - 1, 1 << 63, 1<<64 - 1}
		}
	}
	if len(args) > 0 && args[0] == 'i' {
		values[0] = []uint64{0, 1, fdArchive, fdTmp, fdHost, 99, 1 << 31, 1<<32 - 1}
	}
	call := make([]uint64, len(args))
	contents := []byte{0, 0xff, 'a', '/', '.'}
	for at := 0; at == 0 || at+2 < len(args); at++ {
		for fill := range hostile {
			for i := range call {
				call[i] = values[i][fill%len(values[i])]
			}
			each(call, values, at, min(at+3, len(args)), func() {
				mem := g.mem()
				if c := contents[(fill+at)%len(contents)]; mem[100] != c {
					for i := range mem {
						mem[i] = c
					}
				}
				errno := g.call(fn, call...)
				if errno > 76 {
					g.t.Fatalf("%s(%#x) = %d, which is no error number", fn, call, errno)
				}
				if fn == "fd_close" || fn == "fd_renumber" {
					return
				}
				if open := g.ctx.(*runCtx).run.Guard.Open(); open > 60 {
					for fd := uint64(6); fd < 80; fd++ {
						g.call("fd_close", fd)
					}
				}
			})
		}
	}
}

func each(call []uint64, values [][]uint64, at, end int, f func()) {
	if at == end {
		f()
		return
	}
	for _, v := range values[at] {
		call[at] = v
		each(call, values, at+1, end, f)
	}
}

func TestNoMemory(t *testing.T) {
	for _, module := range []string{Preview1, Unstable} {
		engines(t, func(t *testing.T, r wazero.Runtime) {
			ctx := context.Background()
			if _, err := Instantiate(ctx, r, module, nil); err != nil {
				t.Fatal(err)
			}
			for _, pages := range []int{-1, 0} {
				run := &Run{}
				mod, err := r.InstantiateWithConfig(WithRun(ctx, run), forwarder(module, all(module), pages), newConfig(t, run).WithName(""))
				if err != nil {
					t.Fatal(err)
				}
				g := &guest{t, WithRun(ctx, run), mod}
				for _, name := range all(module) {
					args := table[Index(name)].args
					if name == "proc_exit" || name == "poll_oneoff" {
						continue
					}
					errno := g.call(name, make([]uint64, len(args))...)
					for _, a := range args {
						if a != 'i' && a != 'l' && a != 'n' && a != 'b' && errno == 0 {
							t.Errorf("%s succeeded without memory", name)
							break
						}
					}
				}
				g.want(eFault, "poll_oneoff", 0, 0, 1, 0)
				mod.Close(ctx)
			}
		})
	}
}

func TestProcExit(t *testing.T) {
	engines(t, func(t *testing.T, r wazero.Runtime) {
		for _, module := range []string{Preview1, Unstable} {
			for _, code := range []uint32{0, 1, 125, 255, 256, 1 << 31, 1<<32 - 1} {
				g := newGuest(t, r, module, &Run{}, wazero.NewModuleConfig())
				_, err := g.mod.ExportedFunction("proc_exit").Call(g.ctx, uint64(code))
				var exit *sys.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != code {
					t.Errorf("proc_exit(%d): %v", code, err)
				}
			}
		}
	})
}

func TestEnterCanAbort(t *testing.T) {
	engines(t, func(t *testing.T, r wazero.Runtime) {
		stop := errors.New("out of fuel")
		var seen []string
		var bytes uint64
		run := &Run{Enter: func(_ context.Context, _ api.Module, fn int, _ []uint64, n uint64) {
			seen = append(seen, Names()[fn])
			bytes += n
			if Names()[fn] == "random_get" {
				panic(stop)
			}
		}}
		g := newGuest(t, r, Preview1, run, wazero.NewModuleConfig())
		g.ok("args_sizes_get", 0, 4)
		_, err := g.mod.ExportedFunction("random_get").Call(g.ctx, 0, 1000)
		if !errors.Is(err, stop) {
			t.Fatalf("error %v, want the hook's", err)
		}
		if len(seen) != 2 || bytes != 1008 {
			t.Fatalf("saw %v, %d bytes", seen, bytes)
		}
	})
}

// TestManyGuests has two guests in one runtime, each with its own run.
func TestManyGuests(t *testing.T) {
	engines(t, func(t *testing.T, r wazero.Runtime) {
		var calls [2]int
		var guests [2]*guest
		for i := range guests {
			run := &Run{Enter: func(context.Context, api.Module, int, []uint64, uint64) { calls[i]++ }}
			guests[i] = newGuest(t, r, Preview1, run, wazero.NewModuleConfig().WithArgs(make([]string, i+1)...))
		}
		for range 3 {
			guests[1].ok("args_sizes_get", 0, 4)
		}
		guests[0].ok("args_sizes_get", 0, 4)
		if calls != [2]int{1, 3} || guests[0].u32(0) != 1 || guests[1].u32(0) != 2 {
			t.Fatalf("calls %v, argc %d and %d", calls, guests[0].u32(0), guests[1].u32(0))
		}
		// A context derived from WithRun's works too.
		ctx, cancel := context.WithCancel(guests[0].ctx)
		defer cancel()
		guests[0].ctx = ctx
		guests[0].ok("args_sizes_get", 0, 4)
		if calls[0] != 2 {
			t.Fatal("the run was not found in a derived context")
		}
	})
}

func TestInstantiateErrors(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	for _, tt := range []struct {
		name, module string
		names        []string
		want         string
	}{
		{"unknown module", "wasi", nil, `no WASI module is called "wasi"; there are wasi_snapshot_preview1 and wasi_unstable`},
		{"unknown functions", Preview1, []string{"zz", "fd_read", "aa"}, "wasi_snapshot_preview1 does not have aa, zz"},
		{"younger function", Unstable, []string{"sock_accept"}, "wasi_unstable does not have sock_accept"},
	} {
		if _, err := Instantiate(ctx, r, tt.module, tt.names); err == nil || err.Error() != tt.want {
			t.Errorf("%s: error %v, want %s", tt.name, err, tt.want)
		}
	}
	if _, err := Instantiate(ctx, r, Preview1, []string{"fd_read"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Instantiate(ctx, r, Preview1, []string{"fd_read"}); err == nil {
		t.Error("registered twice")
	}
	if Supported("env", "fd_read") || Supported(Preview1, "fd_reed") || Index("") != -1 {
		t.Error("unknown names are supported")
	}
}
