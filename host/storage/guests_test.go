package storage_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/storage"
)

// require skips a test with a reason, or fails it where skips are forbidden.
func require(t testing.TB, reason string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("PXOS_TEST_FORBID_SKIP") == "1" {
		t.Fatalf("%s: %v", reason, err)
	}
	t.Skipf("%s: %v", reason, err)
}

func buildGo(t testing.TB) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", out, "./testdata/goguest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	return built(t, cmd, out)
}

func buildC(t testing.TB) []byte {
	t.Helper()
	_, err := exec.LookPath("clang")
	require(t, "clang is not installed", err)
	_, err = os.Stat("/usr/include/wasm32-wasi/stdio.h")
	require(t, "wasi-libc is not installed", err)
	out := filepath.Join(t.TempDir(), "guest.wasm")
	return built(t, exec.Command("clang", "--target=wasm32-wasi", "-O1", "-o", out, "testdata/cguest/guest.c"), out)
}

func built(t testing.TB, cmd *exec.Cmd, out string) []byte {
	t.Helper()
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// runGuest runs a whole program and returns what it printed.
func runGuest(t testing.TB, m *engine.Module, cfg storage.Config, args ...string) string {
	t.Helper()
	s, err := cfg.Open()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	rc := &engine.RunConfig{
		Program: "test:main", Export: "_start", Argv: append([]string{"test"}, args...), Limits: abi.DefaultLimits(), Granted: cfg.Granted,
		Stdout: &out, Stderr: &errs, Services: s.Services(), Mounts: s.Mounts(), Ending: s.End,
	}
	rc.Limits.Fuel = abi.MaxLimits().Fuel
	res, err := m.Run(context.Background(), rc)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !res.Success {
		t.Fatalf("%s %s\n%s", res.ErrorType, res.Error, errs.String())
	}
	return out.String()
}

// stored reads what lies on the disk: every file of the namespace has to be a pixel file,
// and a picture.
func stored(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && d.Name() == ".pxos" {
				return filepath.SkipDir
			}
			return err
		}
		name, _ := filepath.Rel(dir, path)
		file, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data, err := pxi.Decode(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		out[filepath.ToSlash(name)] = string(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestGoGuest(t *testing.T) {
	m := module(t, buildGo(t))
	for _, overlay := range []bool{false, true} {
		t.Run(fmt.Sprintf("overlay %v", overlay), func(t *testing.T) {
			dir := t.TempDir()
			cfg := config(t, dir, everything...)
			if overlay {
				cfg = sandboxed(t, dir, everything...)
			}
			runGuest(t, m, cfg)
			if overlay {
				return
			}
			got := stored(t, dir+"/pixelfs")
			if len(got) != 4 || got["papers/c.txt.pxi"] != "Jello\x00\x00\x00!\x00more" || got["papers/d.txt.pxi"] != "through the SDK" || len(got["big.pxi"]) != 3<<20 || got["gone.pxi"] != "x" {
				t.Errorf("on the disk are %d files: %.200q", len(got), got)
			}
		})
	}
}

func TestCGuest(t *testing.T) {
	m := module(t, buildC(t))
	dir := t.TempDir()
	runGuest(t, m, config(t, dir, "pixelfs:/:write"))
	got := stored(t, dir+"/pixelfs")
	if len(got) != 2 || got["folder/b.pxi"] != "hello!" || got["kept.txt.pxi"] != "left open, and written when the program returns" {
		t.Errorf("on the disk are %q", got)
	}
}

// BenchmarkPixelsFromGuest prints how many pixels a second a Go guest reads and writes.
func BenchmarkPixelsFromGuest(b *testing.B) {
	m := module(b, buildGo(b))
	sum := map[string]float64{}
	n := 0
	for b.Loop() {
		for _, line := range strings.Split(strings.TrimSpace(runGuest(b, m, config(b, b.TempDir(), everything...), "speed")), "\n") {
			var what string
			var rate float64
			if _, err := fmt.Sscan(line, &what, &rate); err != nil {
				b.Fatalf("%q: %v", line, err)
			}
			sum[what] += rate
		}
		n++
	}
	for what, rate := range sum {
		b.ReportMetric(rate/float64(n)/1e6, what+"_Mpx/s")
	}
}
