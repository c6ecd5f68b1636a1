package wasi

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/tetratelabs/wazero/sys"

	"github.com/pxos/pxos/host/engine/vfs"
)

// build compiles testdata/osops for a system and returns the file.
func build(t *testing.T, dir, name string, env ...string) string {
	t.Helper()
	out := filepath.Join(dir, name)
	cmd := exec.Command("go", "build", "-o", out, "./testdata/osops")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, msg)
	}
	return out
}

// TestGoProgram runs a Go program natively in a directory of the host, and as
// a guest in memory and in a host directory. The three must print the same.
func TestGoProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program for two systems, which takes seconds")
	}
	bin := t.TempDir()
	const stdin = "some input"
	native := exec.Command(build(t, bin, "native"), t.TempDir())
	native.Env = []string{"K=V"}
	native.Stdin = strings.NewReader(stdin)
	want, err := native.Output()
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 7 {
		t.Fatalf("native program: %v\n%s", err, want)
	}
	wasm, err := os.ReadFile(build(t, bin, "guest.wasm", "GOOS=wasip1", "GOARCH=wasm"))
	if err != nil {
		t.Fatal(err)
	}

	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig())
	defer r.Close(ctx)
	if _, err := Instantiate(ctx, r, Preview1, nil); err != nil {
		t.Fatal(err)
	}
	cm, err := r.CompileModule(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, fsys := range map[string]experimentalsys.FS{
		"memory":         vfs.NewMem(vfs.DefaultQuota, nil),
		"host directory": vfs.NewHostDir(root, false),
	} {
		t.Run(name, func(t *testing.T) {
			var calls int
			run := &Run{
				Guard: vfs.NewGuard(16, nil),
				Stdin: NewStdin(strings.NewReader(stdin), nil),
				Enter: func(context.Context, api.Module, int, []uint64, uint64) { calls++ },
			}
			fsc := wazero.NewFSConfig().(sysfs.FSConfig).
				WithSysFSMount(run.Guard.Mount(vfs.NewArchive(os.DirFS("testdata"), time.Unix(0, 0))), "/").(sysfs.FSConfig).
				WithSysFSMount(run.Guard.Mount(fsys), "/tmp")
			var stdout, stderr bytes.Buffer
			_, err := r.InstantiateModule(WithRun(ctx, run), cm, wazero.NewModuleConfig().WithName("").
				WithFSConfig(fsc).WithArgs("osops", "/tmp").WithEnv("K", "V").WithStdin(run.Stdin).
				WithStdout(&stdout).WithStderr(&stderr).WithSysWalltime().WithSysNanotime())
			var exit *sys.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 7 {
				t.Errorf("guest: %v\n%s", err, stderr.String())
			}
			if got := stdout.String(); got != string(want) {
				t.Errorf("the guest printed\n%s\nwant what the native program did:\n%s", got, want)
			}
			if run.Guard.Open() != 0 {
				t.Errorf("%d handles open after the guest was closed", run.Guard.Open())
			}
			if calls < 1000 {
				t.Errorf("the hook saw %d calls", calls)
			}
		})
	}
}
