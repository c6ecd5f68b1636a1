// Package cartridges_test checks what all first-party cartridges have in common, and
// those that are not Go.
package cartridges_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pxos/pxos/abi"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// Every cartridge is whole: a valid manifest, a page to read, a truthful compliance
// document with all twelve principles, and a transcript.
func TestEveryCartridge(t *testing.T) {
	manifests, err := filepath.Glob("*/" + abi.ManifestPath)
	if err != nil || len(manifests) < 5 {
		t.Fatalf("found %v, %v", manifests, err)
	}
	for _, path := range manifests {
		dir := filepath.Dir(path)
		t.Run(dir, func(t *testing.T) {
			m, err := abi.ParseManifest(read(t, path))
			if err != nil {
				t.Fatal(err)
			}
			if m.Name != dir || m.Default == "" || m.Parent != "" {
				t.Errorf("name %q, default %q, parent %q", m.Name, m.Default, m.Parent)
			}
			if err := abi.CheckVersion(m.ABI); err != nil {
				t.Error(err)
			}
			readme := string(read(t, filepath.Join(dir, "README.md")))
			for _, p := range m.Programs {
				if p.Description == "" {
					t.Errorf("program %s has no description", p.Name)
				}
				if short := strings.TrimSuffix(p.Name, ":main"); !strings.Contains(readme, short) {
					t.Errorf("README.md does not name the program %s", short)
				}
			}
			compliance := string(read(t, filepath.Join(dir, "GENESIS_COMPLIANCE.md")))
			for n := 1; n <= 12; n++ {
				if !regexp.MustCompile(fmt.Sprintf(`(?m)^\| %d \| [^|]+ \| [^|]{20,} \|$`, n)).MatchString(compliance) {
					t.Errorf("GENESIS_COMPLIANCE.md has no line for principle %d", n)
				}
			}
			transcript(t, filepath.Join(dir, "transcript.txt"))
		})
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var transcriptLine = regexp.MustCompile(`^(!? ?exec pxos-host run \$CARTRIDGE( |$)|std(out|err) '.+'$|cmp stdout [a-z]+\.txt$|stdin [a-z]+\.txt$)`)

// transcript checks the form of a transcript; what it says is replayed where there
// is a host to replay it with.
func transcript(t *testing.T, path string) {
	t.Helper()
	a := txtar.Parse(read(t, path))
	have := map[string]bool{}
	for _, f := range a.Files {
		have[f.Name] = true
	}
	commands := 0
	for i, line := range strings.Split(string(a.Comment), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if !transcriptLine.MatchString(line) {
			t.Errorf("%s:%d: not a line of a transcript: %s", path, i+1, line)
		}
		if strings.Contains(line, "exec ") {
			commands++
		}
		if words := strings.Fields(line); (words[0] == "cmp" || words[0] == "stdin") && !have[words[len(words)-1]] {
			t.Errorf("%s:%d: there is no file %s", path, i+1, words[len(words)-1])
		}
	}
	if commands == 0 {
		t.Errorf("%s runs nothing", path)
	}
}

// requireClang skips a test where there is no compiler for WebAssembly, and fails it
// where tests may not be skipped.
func requireClang(t *testing.T) {
	t.Helper()
	probe := exec.Command("clang", "--target=wasm32-wasi", "-x", "c", "-", "-o", os.DevNull)
	probe.Stdin = strings.NewReader("#include <stdio.h>\nint main(void) { return puts(\"\"); }\n")
	if text, err := probe.CombinedOutput(); err != nil {
		if os.Getenv("PXOS_TEST_FORBID_SKIP") == "1" {
			t.Fatalf("clang with a wasm32-wasi target and C library is missing: %v\n%s", err, text)
		}
		t.Skipf("needs clang with a wasm32-wasi target and C library: %v", err)
	}
}

// buildWC compiles wc as a build does, with all warnings as errors.
func buildWC(t *testing.T) []byte {
	t.Helper()
	requireClang(t)
	out := filepath.Join(t.TempDir(), "wc.wasm")
	cmd := exec.Command("clang", "--target=wasm32-wasi", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", out, "wc/main.c")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return read(t, out)
}

func TestWC(t *testing.T) {
	module := buildWC(t)
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	compiled, err := rt.CompileModule(ctx, module)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range compiled.ImportedFunctions() {
		if module, name, _ := f.Import(); module != "wasi_snapshot_preview1" {
			t.Errorf("imports %s.%s: it must be a plain WASI program", module, name)
		}
	}
	files := fstest.MapFS{
		"empty":      {},
		"text":       {Data: []byte("one two\nthree\n")},
		"unicode":    {Data: []byte("héllo wörld\n小さい プログラム\n")},
		"large":      {Data: bytes.Repeat([]byte("ä b\n"), 40_000)}, // more than two buffers, with letters across their edges
		"dir/inside": {},
	}
	run := func(stdin string, args ...string) (stdout, stderr string, code uint32) {
		var out, diag bytes.Buffer
		cfg := wazero.NewModuleConfig().WithName("").WithArgs(append([]string{"whatever.wasm"}, args...)...).
			WithStdin(strings.NewReader(stdin)).WithStdout(&out).WithStderr(&diag).WithFSConfig(wazero.NewFSConfig().WithFSMount(files, "/"))
		mod, err := rt.InstantiateModule(ctx, compiled, cfg)
		var exit *sys.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if mod != nil {
			mod.Close(ctx)
		}
		return out.String(), diag.String(), code
	}
	for _, tc := range []struct {
		name, stdin    string
		args           []string
		stdout, stderr string
		code           uint32
	}{
		{name: "stdin", stdin: "one two\nthree\n", stdout: "      2       3      14\n"},
		{name: "empty stdin", stdout: "      0       0       0\n"},
		{name: "one count has no padding", stdin: "a\nb\n", args: []string{"-l"}, stdout: "2\n"},
		{name: "no line feed at the end", stdin: "a b", args: []string{"-lw"}, stdout: "      0       2\n"},
		{name: "order is fixed", stdin: "é\n", args: []string{"-c", "-m", "-w", "-l"}, stdout: "      1       1       2       3\n"},
		{name: "long options", stdin: "é\n", args: []string{"--chars", "--bytes"}, stdout: "      2       3\n"},
		{name: "file", args: []string{"/text"}, stdout: " 2  3 14 /text\n"},
		{name: "relative file", args: []string{"text"}, stdout: " 2  3 14 text\n"},
		{name: "empty file", args: []string{"/empty"}, stdout: "0 0 0 /empty\n"},
		{name: "total", args: []string{"-w", "/text", "/unicode"}, stdout: " 3 /text\n 4 /unicode\n 7 total\n"},
		{name: "stdin among files", stdin: "x y", args: []string{"-w", "/text", "-"}, stdout: "      3 /text\n      2 -\n      5 total\n"},
		{name: "characters", args: []string{"-m", "/unicode"}, stdout: "22 /unicode\n"},
		{name: "large", args: []string{"-lwmc", "/large"}, stdout: " 40000  80000 160000 200000 /large\n"},
		{name: "lines of a large file", args: []string{"-l", "/large"}, stdout: "40000 /large\n"},
		{name: "missing file", args: []string{"-l", "/nope", "/text"}, stdout: " 2 /text\n 2 total\n", stderr: "wc: /nope: No such file or directory\n", code: 1},
		{name: "unknown option", args: []string{"-x"}, stderr: "wc: unrecognized option: x\nusage: wc [-lwmc] [FILE...]\n", code: 1},
		{name: "options end", args: []string{"-l", "--", "-l"}, stderr: "wc: -l: No such file or directory\n", code: 1},
		{name: "every ASCII space", stdin: "a\tb\nc\vd\fe\rf g", args: []string{"-w"}, stdout: "7\n"},
		{name: "Unicode spaces", stdin: "a\u00a0b\u2003c\u3000d\u2028e", args: []string{"-w"}, stdout: "5\n"},
		{name: "zero bytes", stdin: "a\x00b c", args: []string{"-wm"}, stdout: "      2       5\n"},
		{name: "lone continuation", stdin: "a\x80b", args: []string{"-wmc"}, stdout: "      1       2       3\n"},
		{name: "overlong form", stdin: "\xc0\xaf \xe0\x80\x80", args: []string{"-wmc"}, stdout: "      2       1       6\n"},
		{name: "surrogate", stdin: "\xed\xa0\x80", args: []string{"-wmc"}, stdout: "      1       0       3\n"},
		{name: "beyond Unicode", stdin: "\xf4\x90\x80\x80", args: []string{"-m"}, stdout: "0\n"},
		{name: "last character of Unicode", stdin: "\U0010ffff", args: []string{"-m"}, stdout: "1\n"},
		{name: "cut off", stdin: "ab \xe5\xb0", args: []string{"-wm"}, stdout: "      2       3\n"},
		{name: "broken, then ASCII", stdin: "\xe5\xb0 x", args: []string{"-wm"}, stdout: "      2       2\n"},
		{name: "broken, then good", stdin: "\xe5é", args: []string{"-m"}, stdout: "1\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stdout, stderr, code := run(tc.stdin, tc.args...)
			if stdout != tc.stdout || !strings.HasPrefix(stderr, tc.stderr) || (stderr == "") != (tc.stderr == "") || code != tc.code {
				t.Errorf("exit %d, want %d\nstdout %q\nwant   %q\nstderr %q\nwant   %q", code, tc.code, stdout, tc.stdout, stderr, tc.stderr)
			}
		})
	}
	t.Run("directory", func(t *testing.T) {
		if _, stderr, code := run("", "/dir"); code != 1 || !strings.HasPrefix(stderr, "wc: /dir: ") {
			t.Errorf("exit %d, stderr %q", code, stderr)
		}
	})
	t.Run("help", func(t *testing.T) {
		if stdout, _, code := run("", "--help"); code != 0 || !strings.HasPrefix(stdout, "usage: wc") {
			t.Errorf("exit %d, stdout %q", code, stdout)
		}
	})
}
