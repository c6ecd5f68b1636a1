package wasmbin

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

const goProgram = `package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"sort"
)

func main() {
	s := []int{5, 2, 8, 1}
	sort.Ints(s)
	b, _ := json.Marshal(map[string]any{"s": s, "h": fmt.Sprintf("%x", sha256.Sum256([]byte("x")))})
	fmt.Println(string(b), len(os.Args))
	m := map[int]string{}
	for i := range 1000 {
		m[i] = fmt.Sprint(i)
	}
	done := make(chan int)
	go func() { done <- len(m) }()
	fmt.Println(<-done)
}
`

// buildGo compiles a Go program for wasip1.
func buildGo(t testing.TB, src string, flags ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"main.go": src, "go.mod": "module guest\n\ngo 1.24\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", "guest.wasm", ".")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "guest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func runWASI(t testing.TB, cfg wazero.RuntimeConfig, wasm []byte, h *meterHost) (string, int64) {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, cfg)
	defer r.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	if h != nil {
		h.install(t, ctx, r)
	}
	c, err := r.CompileModule(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	m, err := r.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithStdout(&out).WithStderr(&out).WithArgs("guest").WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	if h != nil {
		h.arm(m)
	}
	if _, err := m.ExportedFunction("_start").Call(ctx); err != nil && err.Error() != "module closed with exit_code(0)" {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	if h == nil {
		return out.String(), 0
	}
	return out.String(), h.consumed(m)
}

func TestGoProgram(t *testing.T) {
	wasm := buildGo(t, goProgram)
	o := mustInstrument(t, wasm)
	want, _ := runWASI(t, wazero.NewRuntimeConfigCompiler(), wasm, nil)
	var fuel int64
	for name, cfg := range engines() {
		got, used := runWASI(t, cfg, o.Wasm, newMeterHost())
		if got != want {
			t.Errorf("%s: output %q, plain %q", name, got, want)
		}
		if fuel != 0 && used != fuel {
			t.Logf("%s: fuel %d, before %d", name, used, fuel)
		}
		fuel = used
	}
	t.Logf("size %d to %d (%.3f), twin %d, fuel %d", len(wasm), len(o.Wasm), float64(len(o.Wasm))/float64(len(wasm)), len(o.Twin), fuel)
}
