package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// built is where TestMain puts the host, the guest, and the code cache that all
// scripts share.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "pxos-host-test-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(built)
		if err := buildAll(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// buildAll builds the host as it is shipped, because it starts itself again as a
// worker, and the guest.
func buildAll() error {
	guest := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(built, "tool.wasm"), "./testdata/tool")
	guest.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	for _, cmd := range []*exec.Cmd{exec.Command("go", "build", "-o", hostBinary(), "."), guest} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	return os.MkdirAll(filepath.Join(built, "cache"), 0o700)
}

func hostBinary() string {
	name := "pxos-host"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(built, "bin", name)
}

func goEnv(t *testing.T, key string) string {
	t.Helper()
	out, err := exec.Command("go", "env", key).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestScripts(t *testing.T) {
	goCache, goPath := goEnv(t, "GOCACHE"), goEnv(t, "GOPATH")
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("PATH", filepath.Join(built, "bin")+string(filepath.ListSeparator)+e.Getenv("PATH"))
			e.Setenv("PXOS_HOME", home)
			e.Setenv("HOME", filepath.Join(e.WorkDir, "user"))
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "user", "config"))
			e.Setenv("USER", "ada")
			e.Setenv("TOOL", filepath.Join(built, "tool.wasm"))
			e.Setenv("GOCACHE", goCache)
			e.Setenv("GOPATH", goPath)
			e.Setenv("GOPROXY", "off")
			e.Setenv("GOTOOLCHAIN", "local")
			if err := os.MkdirAll(home, 0o700); err != nil {
				return err
			}
			// Compiled once for all scripts.
			return os.Symlink(filepath.Join(built, "cache"), filepath.Join(home, "cache"))
		},
		Condition: func(cond string) (bool, error) {
			if cond == "wasi-clang" {
				return wasiClang(), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"wasm":    cmdWasm,
			"exits":   cmdExits,
			"flip":    cmdFlip,
			"cut":     cmdCut,
			"age":     cmdAge,
			"same":    cmdSame,
			"extract": cmdExtract,
			"holds":   cmdHolds,
			"picture": cmdPicture,
			"shows":   cmdShows,
			"alike":   cmdAlike,
			"writer":  cmdWriter,
		},
	})
}

// wasiClang reports whether C programs can be compiled here.
var wasiClang = sync.OnceValue(func() bool {
	cmd := exec.Command("clang", "--target=wasm32-wasi", "-x", "c", "-o", filepath.Join(built, "c.wasm"), "-")
	cmd.Stdin = strings.NewReader("#include <stdio.h>\nint main(void) { return puts(\"\"); }\n")
	return cmd.Run() == nil
})

// modules are small WebAssembly modules for scripts.
var modules = map[string]string{
	"empty": "\x00asm\x01\x00\x00\x00",
	"bad":   "\x00asm\x01\x00\x00\x00garbage",
	// _start returns at once; a memory of one page.
	"start": "\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" +
		"\x07\x13\x02\x06_start\x00\x00\x06memory\x02\x00" + "\x0a\x04\x01\x02\x00\x0b",
	// Imports env.nothing and env.more.
	"imports": "\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" +
		"\x02\x1a\x02\x03env\x07nothing\x00\x00\x03env\x04more\x00\x00",
	// A start function that never returns.
	"spin": "\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" +
		"\x07\x13\x02\x06_start\x00\x00\x06memory\x02\x00" + "\x08\x01\x00" + "\x0a\x09\x01\x07\x00\x03\x40\x0c\x00\x0b\x0b",
}

// wasm FILE NAME writes one of the modules.
func cmdWasm(ts *testscript.TestScript, _ bool, args []string) {
	m, ok := modules[args[1]]
	if !ok {
		ts.Fatalf("there is no module %q", args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(m), 0o644))
}

// exits CODE COMMAND ARGS... runs a command that must exit with CODE.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// flip FILE OFFSET inverts one byte.
func cmdFlip(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	b, err := os.ReadFile(file)
	ts.Check(err)
	off, err := strconv.Atoi(args[1])
	ts.Check(err)
	b[off] ^= 0xff
	ts.Check(os.WriteFile(file, b, 0o644))
}

// cut FILE SIZE leaves the first SIZE bytes.
func cmdCut(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
}

// age FILE DURATION makes a file look as if it had been written that long ago.
func cmdAge(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[1])
	ts.Check(err)
	then := time.Now().Add(-d)
	ts.Check(os.Chtimes(ts.MkAbs(args[0]), then, then))
}

// same FILE FILE compares two files byte by byte.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	a, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	if bytes.Equal(a, b) == neg {
		ts.Fatalf("%s and %s: equal is %v", args[0], args[1], !neg)
	}
}

// extract VAR PREFIX sets a variable to the word behind PREFIX in the last output.
func cmdExtract(ts *testscript.TestScript, _ bool, args []string) {
	_, rest, ok := strings.Cut(ts.ReadFile("stdout"), args[1])
	if !ok {
		ts.Fatalf("no %q in the output", args[1])
	}
	rest = strings.TrimLeft(rest, " ")
	if i := strings.IndexAny(rest, " \n\t\",}"); i >= 0 {
		rest = rest[:i]
	}
	ts.Setenv(args[0], rest)
}

// holds DIR [NAME...] checks that a directory holds exactly the names.
func cmdHolds(ts *testscript.TestScript, _ bool, args []string) {
	list, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	var got []string
	for _, e := range list {
		got = append(got, e.Name())
	}
	if want := strings.Join(args[1:], " "); strings.Join(got, " ") != want {
		ts.Fatalf("%s holds %q, want %q", args[0], got, want)
	}
}
