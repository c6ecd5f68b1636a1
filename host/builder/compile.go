package builder

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pxos/pxos/abi"
)

// Toolchain says how programs are compiled.
type Toolchain struct {
	Go     string    // the go command; empty: go in PATH
	Clang  string    // clang with a wasm32-wasi target; empty: clang in PATH
	Env    []string  // environment of the compilers
	Output io.Writer // what the compilers say; nil: only part of the error
	// Step, when not nil, is called before each module is compiled.
	Step func(module, compiler string)
}

// maxSaid bounds how much of a compiler's output goes into an error.
const maxSaid = 16 << 10

// Compile compiles the modules that are missing and adds them to the tree.
func (t *Tree) Compile(ctx context.Context, tc Toolchain) error {
	missing := t.Missing()
	if len(missing) == 0 {
		return nil
	}
	if err := t.checkSources(missing); err != nil {
		return err
	}
	if t.temp == "" {
		temp, err := os.MkdirTemp("", "pxos-build-")
		if err != nil {
			return err
		}
		t.temp = temp
	}
	for i, module := range missing {
		out := filepath.Join(t.temp, fmt.Sprintf("%d.wasm", i))
		if err := t.compile(ctx, tc, module, out); err != nil {
			return err
		}
		s, err := fileSource(module, out)
		if err != nil {
			return err
		}
		t.Sources = append(t.Sources, s)
		if t.compiled == nil {
			t.compiled = map[string]bool{}
		}
		t.compiled[module] = true
	}
	t.sort()
	return nil
}

// checkSources refuses to make two modules of the same source: one of them is
// mistyped in the manifest, or its directory is called something else.
func (t *Tree) checkSources(missing []string) error {
	by := map[string]string{}
	for _, module := range missing {
		dir, goFiles, cFiles, err := t.source(module)
		if err != nil {
			return err
		}
		if !goFiles && len(cFiles) == 0 {
			continue // compile says so
		}
		other, twice := by[dir]
		if twice {
			name := func(m string) string { return strings.TrimSuffix(m, path.Ext(m)) + "/" }
			return fail(fmt.Sprintf("put the source of each into a directory of its own, %s and %s, or correct the name in %s", name(other), name(module), abi.ManifestPath),
				"%s and %s would both be compiled from the same source, %s", other, module, t.rel(dir))
		}
		by[dir] = module
	}
	return nil
}

// Compiled reports whether every program's module was compiled from source by Compile,
// so that nothing in the cartridge is machine-made by somebody else.
func (t *Tree) Compiled() bool {
	for _, p := range t.Manifest.Programs {
		if !t.compiled[p.Module] {
			return false
		}
	}
	return true
}

// compile compiles one module to the file out.
func (t *Tree) compile(ctx context.Context, tc Toolchain, module, out string) error {
	dir, goFiles, cFiles, err := t.source(module)
	if err != nil {
		return err
	}
	var (
		name, hint string
		args       []string
		env        = slices.Clone(tc.Env)
	)
	switch {
	case goFiles:
		name, hint = tc.Go, "install Go from https://go.dev/dl/ (version 1.26 or newer), or put a compiled "+module+" into the directory"
		if name == "" {
			name = "go"
		}
		args = []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, "."}
		// A directory may be a stranger's: building it calls nobody.
		env = append(env, "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOPROXY=off", "GOTOOLCHAIN=local")
	case len(cFiles) > 0:
		name, hint = tc.Clang, "install clang, lld and wasi-libc (on Debian: apt install clang lld wasi-libc libclang-rt-dev-wasm32), or unpack the wasi-sdk and set PXOS_CLANG to its bin/clang"
		if name == "" {
			name = "clang"
		}
		args = append([]string{"--target=wasm32-wasi", "-O2", "-Wl,--strip-all", "-o", out}, cFiles...)
	default:
		return fail("put "+module+", or a Go or C command for it, into the directory "+strings.TrimSuffix(module, path.Ext(module)),
			"%s is named in %s, and there is neither such a file nor source for it", module, abi.ManifestPath)
	}
	exe, err := exec.LookPath(name)
	if err != nil {
		return &Error{Msg: fmt.Sprintf("cannot compile %s: there is no %s", module, name), Hint: hint}
	}
	if exe, err = filepath.Abs(exe); err != nil {
		return err
	}
	if tc.Step != nil {
		tc.Step(module, filepath.Base(exe))
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Dir, cmd.Env = dir, env
	said := &said{}
	cmd.Stdout, cmd.Stderr = said, said
	if tc.Output != nil {
		cmd.Stdout, cmd.Stderr = tc.Output, tc.Output
	}
	stopTogether(cmd)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch text := string(said.b); {
		case goFiles && strings.Contains(text, "/third_party/pxos does not exist"):
			hint = "cartridges travel without the SDK; put a copy there: pxos-host new sdk && cp -r sdk/third_party " + t.Dir
		case strings.Contains(text, "GOPROXY=off"):
			hint = "building uses no network; fetch what it needs first: cd " + dir + " && go mod download"
		case strings.Contains(text, "GOTOOLCHAIN=local"):
			hint = "install the version of Go that its go.mod asks for, from https://go.dev/dl/"
		case strings.Contains(text, "wasm32") && !goFiles:
			hint = "this clang has no WebAssembly target or C library; " + hint
		default:
			hint = ""
		}
		msg := fmt.Sprintf("compiling %s with %s in %s failed", module, filepath.Base(exe), t.rel(dir))
		if text := strings.TrimSpace(string(said.b)); text != "" {
			msg, err = msg+":\n"+text, nil
		}
		return &Error{Msg: msg, Hint: hint, Err: err}
	}
	return checkModule(module, out, t.rel(dir))
}

func (t *Tree) rel(dir string) string {
	if rel, err := filepath.Rel(t.Dir, dir); err == nil && rel != "." {
		return rel
	}
	return t.Dir
}

// source finds the directory with the source of a module and what is in it.
func (t *Tree) source(module string) (dir string, goFiles bool, cFiles []string, err error) {
	dir = filepath.Join(t.Dir, filepath.FromSlash(strings.TrimSuffix(module, path.Ext(module))))
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		dir = t.Dir
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return dir, false, nil, err
	}
	for _, e := range list {
		name := e.Name()
		if e.IsDir() || strings.HasPrefix(name, ".") {
			continue
		}
		switch filepath.Ext(name) {
		case ".go":
			goFiles = goFiles || !strings.HasSuffix(name, "_test.go")
		case ".c":
			cFiles = append(cFiles, "."+string(filepath.Separator)+name) // never an option
		}
	}
	return dir, goFiles, cFiles, nil
}

// checkModule makes sure that a compiler wrote a WebAssembly module: go build writes
// something else for a package that is not a command, and says nothing.
func checkModule(module, out, dir string) error {
	f, err := os.Open(out)
	if err != nil {
		return fail("the package must be a command: package main with a main function", "compiling %s in %s made no module", module, dir)
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil || string(magic[:]) != "\x00asm" {
		return fail("the package must be a command: package main with a main function", "compiling %s in %s made no WebAssembly module", module, dir)
	}
	return nil
}

// said keeps the first maxSaid bytes that are written to it.
type said struct{ b []byte }

func (t *said) Write(p []byte) (int, error) {
	if n := maxSaid - len(t.b); n > 0 {
		t.b = append(t.b, p[:min(n, len(p))]...)
	}
	return len(p), nil
}
