package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const goHello = `package main

import "fmt"

func main() { fmt.Println("hello") }
`

const cHello = `#include <stdio.h>
int main(void) { puts("hello"); return 0; }
`

// tools are the commands under measurement and the programs they run.
type tools struct {
	dir, pxos, wazero string
	home, wazeroCache string
}

func build(b *testing.B) *tools {
	b.Helper()
	dir := b.TempDir()
	t := &tools{dir: dir, pxos: filepath.Join(dir, "pxos-host"), wazero: filepath.Join(dir, "wazero"),
		home: filepath.Join(dir, "home"), wazeroCache: filepath.Join(dir, "wazero-cache")}
	run(b, nil, "go", "build", "-o", t.pxos, "github.com/pxos/pxos/host/cmd/pxos-host")
	run(b, nil, "go", "build", "-o", t.wazero, "github.com/tetratelabs/wazero/cmd/wazero")
	return t
}

func run(b *testing.B, env []string, argv ...string) []byte {
	b.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return out
}

func (t *tools) goProgram(b *testing.B, name, src string) string {
	dir := filepath.Join(t.dir, "src", name)
	write(b, filepath.Join(dir, "main.go"), src)
	write(b, filepath.Join(dir, "go.mod"), "module "+name+"\n\ngo 1.26\n")
	out := filepath.Join(t.dir, name+".wasm")
	cmd := exec.Command("go", "build", "-o", out, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, msg)
	}
	return out
}

func (t *tools) cProgram(b *testing.B, name, src string) string {
	if _, err := exec.LookPath("clang"); err != nil {
		b.Skip("needs clang with wasi-libc")
	}
	path := filepath.Join(t.dir, "src", name+".c")
	write(b, path, src)
	out := filepath.Join(t.dir, name+".wasm")
	run(b, nil, "clang", "--target=wasm32-wasi", "-O2", "-Wl,--strip-all", "-o", out, path)
	return out
}

func write(b *testing.B, path, text string) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
}

// sample is one process: wall time, processor time, peak memory.
type sample struct {
	wall, cpu time.Duration
	rss       int64 // bytes
}

func measure(b *testing.B, env []string, want string, argv ...string) sample {
	b.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Stdin = strings.NewReader("")
	start := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(start), rss: maxRSS(cmd.ProcessState)}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if err != nil || !strings.Contains(out.String(), want) {
		b.Fatalf("%s: %v\n%s%s", strings.Join(argv, " "), err, out.Bytes(), errs.Bytes())
	}
	return s
}

func median[T int64 | float64 | time.Duration](v []T) T {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}

// compare measures a and the peer in turn and reports medians and ratios.
func compare(b *testing.B, a, peer func() sample) {
	var aw, pw, ac, pc []time.Duration
	var ratio, cpuRatio []float64
	var arss, prss []int64
	for b.Loop() {
		x, y := a(), peer()
		aw, pw = append(aw, x.wall), append(pw, y.wall)
		ac, pc = append(ac, x.cpu), append(pc, y.cpu)
		ratio = append(ratio, float64(x.wall)/float64(y.wall))
		cpuRatio = append(cpuRatio, float64(x.cpu)/float64(max(y.cpu, 1)))
		arss, prss = append(arss, x.rss), append(prss, y.rss)
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(median(aw)), "ms")
	b.ReportMetric(ms(median(pw)), "peer-ms")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(ms(median(ac)), "cpu-ms")
	b.ReportMetric(ms(median(pc)), "peer-cpu-ms")
	b.ReportMetric(median(cpuRatio), "cpu-ratio")
	b.ReportMetric(float64(median(arss))/(1<<20), "MiB")
	b.ReportMetric(float64(median(prss))/(1<<20), "peer-MiB")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkWarm is the second and every later run of a program: pxos-host on the
// packed cartridge, with verification, sandbox and journal, beside wazero on the bare
// module with its cache directory.
func BenchmarkWarm(b *testing.B) {
	t := build(b)
	for _, prog := range []struct {
		name string
		wasm func() string
	}{
		{"go-hello", func() string { return t.goProgram(b, "gohello", goHello) }},
		{"c-hello", func() string { return t.cProgram(b, "chello", cHello) }},
	} {
		for _, isolation := range []string{"process", "inline"} {
			b.Run(prog.name+"/"+isolation, func(b *testing.B) {
				wasm := prog.wasm()
				pxa := strings.TrimSuffix(wasm, ".wasm") + ".pxa"
				env := []string{"PXOS_HOME=" + t.home}
				run(b, env, t.pxos, "pack", wasm, "-o", pxa)
				ours := func() sample {
					return measure(b, env, "hello", t.pxos, "run", "--isolation", isolation, pxa)
				}
				peer := func() sample { return measure(b, nil, "hello", t.wazero, "run", "-cachedir="+t.wazeroCache, wasm) }
				ours()
				peer()
				compare(b, ours, peer)
			})
		}
	}
}

// BenchmarkCold is the first run on a machine: both compile, and both write their
// cache.
func BenchmarkCold(b *testing.B) {
	t := build(b)
	wasm := t.goProgram(b, "gohello", goHello)
	pxa := filepath.Join(t.dir, "gohello.pxa")
	run(b, []string{"PXOS_HOME=" + t.home}, t.pxos, "pack", wasm, "-o", pxa)
	n := 0
	compare(b, func() sample {
		n++
		return measure(b, []string{"PXOS_HOME=" + filepath.Join(t.dir, fmt.Sprint("home", n))}, "hello", t.pxos, "run", pxa)
	}, func() sample {
		return measure(b, nil, "hello", t.wazero, "run", "-cachedir="+filepath.Join(t.dir, fmt.Sprint("wz", n)), wasm)
	})
}

// BenchmarkNative is the same program without any sandbox, for orientation.
func BenchmarkNative(b *testing.B) {
	t := build(b)
	t.goProgram(b, "gohello", goHello)
	native := filepath.Join(t.dir, "native")
	cmd := exec.Command("go", "build", "-o", native, ".")
	cmd.Dir = filepath.Join(t.dir, "src", "gohello")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	self := func() sample { return measure(b, nil, "hello", native) }
	compare(b, self, self)
}
