package realworld

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// program is one program in two forms: the module that is packed, and the command
// that it is compared with. native is empty where none can be built.
type program struct{ module, native string }

// goEnv keeps what surrounds the tests away from the builds of other people's
// modules.
var goEnv = []string{"GOFLAGS=-buildvcs=false", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0"}

// goProgram builds the command pkg, as seen from dir, for WASI and for this machine.
// The go command keeps what it compiled, so this is slow only once.
func goProgram(t *testing.T, dir, pkg, name string) program {
	t.Helper()
	p := program{filepath.Join(workshop.dir, "bin", name+".wasm"), filepath.Join(workshop.dir, "bin", name+".exe")}
	for out, env := range map[string][]string{p.module: {"GOOS=wasip1", "GOARCH=wasm"}, p.native: nil} {
		c := command(toolLimit, slices.Concat(goEnv, env), "go", "build", "-trimpath", "-o", out, pkg)
		c.Dir = dir
		if _, err := c.stdout(); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// cSource is a C program: its files, and what each build of it needs.
type cSource struct {
	dir     string
	files   []string // patterns below dir
	leave   []string // base names that the patterns match and the program lacks
	include []string // directories, in dir or absolute
	flags   []string
	wasm    []string // flags of the WASI build alone
}

// wasiFlags ask wasi-libc for what it keeps apart because it only emulates it.
var wasiFlags = []string{"--target=wasm32-wasi",
	"-D_WASI_EMULATED_SIGNAL", "-D_WASI_EMULATED_GETPID", "-D_WASI_EMULATED_MMAN", "-D_WASI_EMULATED_PROCESS_CLOCKS",
	"-lwasi-emulated-signal", "-lwasi-emulated-getpid", "-lwasi-emulated-mman", "-lwasi-emulated-process-clocks"}

// cProgram compiles a C program with clang for WASI, against Debian's wasi-libc and
// the functions that it lacks (testdata/c), and for this machine. Both are kept.
func cProgram(t *testing.T, name string, src cSource) program {
	t.Helper()
	needTool(t, "clang")
	needTool(t, "wasm-ld")
	if _, err := os.Stat("/usr/include/wasm32-wasi/stdio.h"); err != nil {
		skip(t, "wasi-libc is not installed")
	}
	lacking, err := filepath.Abs(filepath.Join("testdata", "c"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, pattern := range src.files {
		found, err := filepath.Glob(filepath.Join(src.dir, filepath.FromSlash(pattern)))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: no file %s", name, pattern)
		}
		for _, f := range found {
			if !slices.Contains(src.leave, filepath.Base(f)) {
				files = append(files, f)
			}
		}
	}
	common := append([]string{"-O2", "-w"}, src.flags...)
	for _, dir := range src.include {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(src.dir, dir)
		}
		common = append(common, "-I"+dir)
	}
	wasm := slices.Concat([]string{"-I" + lacking}, wasiFlags, common, src.wasm, files, []string{filepath.Join(lacking, "missing.c"), "-lm"})
	native := slices.Concat(common, files, []string{"-lm"})
	return program{
		compiled(t, name+".wasm", lacking, wasm),
		compiled(t, name+"-"+runtime.GOARCH, lacking, native),
	}
}

// compiled returns what clang makes with args. It is kept under a name that changes
// with the arguments, the compiler and our own sources.
func compiled(t *testing.T, name, own string, args []string) string {
	t.Helper()
	id := sha256.New()
	version, err := exec.Command("clang", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(id, "%s%q", version, args)
	err = filepath.WalkDir(own, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(id, "%s%q", d.Name(), b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(workshop.keep, "bin", fmt.Sprintf("%x-%s", id.Sum(nil)[:6], name))
	if _, err := os.Stat(out); err == nil {
		return out
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(t.TempDir(), name)
	if _, err := command(toolLimit, nil, "clang", append(args, "-o", tmp)...).stdout(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(tmp)
	if err != nil {
		t.Fatal(err)
	}
	// Written beside its place and renamed, so that what stands there is whole.
	part := out + fmt.Sprintf(".%d", os.Getpid())
	if err := os.WriteFile(part, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(part, out); err != nil {
		t.Fatal(err)
	}
	return out
}
