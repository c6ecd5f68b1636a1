package builder

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
)

const manifest = `name = "demo"
version = "1.0.0"
created_at = 2026-01-31T12:00:00Z
notes = "n"
genesis = "1.0"
licence = "MIT"
[creator]
kind = "human"
name = "Ada"
[programs.demo]
module = "demo.wasm"
kind = "wasi"
`

// emptyModule is the smallest WebAssembly module.
const emptyModule = "\x00asm\x01\x00\x00\x00"

const goMain = "package main\n\nfunc main() { println(\"hi\") }\n"

// tree writes files below a new directory; a name that ends in / is a directory,
// and content that begins with -> a symbolic link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, ok := strings.CutPrefix(content, "->"); ok {
			err = os.Symlink(to, p)
		} else {
			err = os.WriteFile(p, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func paths(sources []pxa.Source) string {
	var out []string
	for _, s := range sources {
		name := s.Path
		if s.Executable {
			name += "*"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func TestCollect(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		skip  string
		want  string // paths, or the error after "!"
	}{
		{"everything", map[string]string{"demo.wasm": emptyModule, "src/main.go": "x", "data/a/b.txt": "y", "README.md": ""}, "",
			"README.md cartridge.toml data/a/b.txt demo.wasm src/main.go"},
		{"what stays out", map[string]string{".git/config": "x", ".env": "x", "old.pxa": "x", "OLD.PXA": "x", "third_party/a.go": "x", "sub/third_party/b": "x", "sub/.x": "x", "third_party.md": "x"}, "",
			"cartridge.toml third_party.md"},
		{"third_party as a file", map[string]string{"third_party": "x"}, "", "cartridge.toml third_party"},
		{"the output", map[string]string{"demo.png": "x", "other.png": "x"}, "demo.png", "cartridge.toml other.png"},
		{"ignored", map[string]string{".pxaignore": "# text\n\n*.log\n/top.txt\ndoc/*.md\nbuild/\n", "a.log": "", "x/b.log": "", "top.txt": "", "x/top.txt": "", "doc/a.md": "", "doc/b/c.md": "", "build/x": "", "x/build/y": "", "z/build": ""}, "",
			"cartridge.toml doc/b/c.md x/top.txt z/build"},
		{"script", map[string]string{"run.sh": "#!/bin/sh\n", "one": "#"}, "", "cartridge.toml one run.sh*"},
		{"link to a file", map[string]string{"a": "->/etc/passwd"}, "", "!a is a symbolic link"},
		{"link to a directory", map[string]string{"a/b": "->/etc"}, "", "!a/b is a symbolic link"},
		{"ignored link", map[string]string{"a": "->/etc/passwd", ".pxaignore": "a"}, "", "cartridge.toml"},
		{"linked manifest directory", map[string]string{"x": "", ".pxaignore": "[a"}, "", "!line 1: invalid pattern"},
		{"negation", map[string]string{".pxaignore": "*\n!a"}, "", "!line 2: patterns that begin with !"},
		{"faulty manifest", map[string]string{"cartridge.toml": "name = 1"}, "", "!line 1: name: must be a string"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, ok := tc.files["cartridge.toml"]; !ok {
				tc.files["cartridge.toml"] = manifest
			}
			dir := tree(t, tc.files)
			var skip []string
			if tc.skip != "" {
				skip = append(skip, filepath.Join(dir, tc.skip))
			}
			got, err := Collect(context.Background(), dir, skip...)
			if want, ok := strings.CutPrefix(tc.want, "!"); ok {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error %v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p := paths(got.Sources); p != tc.want {
				t.Errorf("got  %s\nwant %s", p, tc.want)
			}
		})
	}
	t.Run("no manifest", func(t *testing.T) {
		_, err := Collect(context.Background(), t.TempDir())
		var e *Error
		if !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("got %v", err)
		}
	})
}

func packed(t *testing.T, sources []pxa.Source) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := pxa.Pack(context.Background(), &b, sources, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCompileGo(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"at the top", map[string]string{"main.go": goMain, "go.mod": "module demo\n"}, ""},
		{"in its directory", map[string]string{"demo/main.go": goMain, "demo/go.mod": "module demo\n", "main.go": "not go"}, ""},
		{"there already", map[string]string{"demo.wasm": emptyModule, "main.go": "not go"}, ""},
		{"syntax error", map[string]string{"main.go": "package main\nfunc main() {", "go.mod": "module demo\n"}, "compiling demo.wasm with go"},
		{"no command", map[string]string{"lib.go": "package lib\n", "go.mod": "module demo\n"}, "made no"},
		{"tests only", map[string]string{"main_test.go": "package main\n"}, "neither such a file nor source"},
		{"nothing", nil, "neither such a file nor source"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := map[string]string{"cartridge.toml": manifest}
			for k, v := range tc.files {
				files[k] = v
			}
			dir := tree(t, files)
			before, _ := os.ReadDir(dir)
			var first []byte
			for range 2 {
				tr, err := Collect(context.Background(), dir)
				if err != nil {
					t.Fatal(err)
				}
				defer tr.Close()
				err = tr.Compile(context.Background(), Toolchain{Env: os.Environ()})
				if tc.want != "" {
					if err == nil || !strings.Contains(err.Error(), tc.want) {
						t.Fatalf("got %v, want %s", err, tc.want)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if len(tr.Missing()) > 0 {
					t.Fatalf("missing %v", tr.Missing())
				}
				b := packed(t, tr.Sources)
				if first != nil && !bytes.Equal(first, b) {
					t.Error("the second build differs from the first")
				}
				first = b
				temp := tr.temp
				if err := tr.Close(); err != nil {
					t.Error(err)
				}
				if temp != "" {
					if _, err := os.Stat(temp); err == nil {
						t.Errorf("%s is still there", temp)
					}
				}
			}
			after, _ := os.ReadDir(dir)
			if len(before) != len(after) {
				t.Errorf("the source directory changed from %v to %v", before, after)
			}
		})
	}
}

// A stand-in for clang writes what it was asked into its output file.
func TestCompileC(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for clang is a shell script")
	}
	fake := filepath.Join(t.TempDir(), "fake-clang")
	script := "#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\nprintf '\\0asm' > \"$2\"; shift 2; echo \"$@\" >> \"$OUT\"\n"
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := tree(t, map[string]string{"cartridge.toml": manifest, "b.c": "", "-a.c": "", "a.h": ""})
	said := filepath.Join(t.TempDir(), "said")
	tr, err := Collect(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if err := tr.Compile(context.Background(), Toolchain{Clang: fake, Env: append(os.Environ(), "OUT="+said)}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(said); string(got) != "./-a.c ./b.c\n" {
		t.Errorf("clang was asked for %q", got)
	}
	if p := paths(tr.Sources); p != "-a.c a.h b.c cartridge.toml demo.wasm" {
		t.Errorf("got %s", p)
	}
	_, err = Collect(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	tr, _ = Collect(context.Background(), dir)
	err = tr.Compile(context.Background(), Toolchain{Clang: filepath.Join(dir, "none"), Env: os.Environ()})
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Hint, "wasi-libc") {
		t.Errorf("without clang: %v", err)
	}
}

func TestModule(t *testing.T) {
	sdk := emptyModule + "\x01\x05\x01\x60\x01\x7f\x00" + "\x02\x12\x01\x04pxos\x09arguments\x00\x00"
	if len("\x04pxos\x09arguments\x00\x00")+1 != 0x12 {
		t.Fatal("the import section's length is wrong")
	}
	for _, tc := range []struct {
		name, file, wasm string
		meta             Meta
		want             []string
	}{
		{"defaults", "dir/My Tool_v2.wasm", emptyModule, Meta{}, []string{
			`name = "my-tool_v2"`, `version = "0.0.0"`, "created_at = 1980-01-01T00:00:00Z", `[programs."my-tool_v2"]`, `module = "my-tool_v2.wasm"`, `kind = "wasi"`, `name = "unknown"`}},
		{"sdk", "a.wasm", sdk, Meta{}, []string{`kind = "sdk"`}},
		{"named", "a.wasm", emptyModule, Meta{Name: "other", Version: "2.0.0", Creator: `Ada "the \ first"`, CreatorKind: abi.CreatorLLM}, []string{
			`name = "other"`, `version = "2.0.0"`, `name = "Ada \"the \\ first\""`, `kind = "llm"`, `[programs."a"]`}},
		{"malformed behind the magic number", "a.wasm", emptyModule + "garbage", Meta{}, []string{`kind = "wasi"`}},
		{"no suffix", "qjs", emptyModule, Meta{}, []string{`name = "qjs"`}},
		{"nothing left of the name", "日本.wasm", emptyModule, Meta{}, []string{`name = "program"`}},
		{"long name", strings.Repeat("ab-", 40), emptyModule, Meta{}, []string{`name = "ab-`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, err := Module(tc.file, []byte(tc.wasm), tc.meta)
			if err != nil {
				t.Fatal(err)
			}
			again, _ := Module(tc.file, []byte(tc.wasm), tc.meta)
			if !bytes.Equal(packed(t, list), packed(t, again)) {
				t.Error("packing twice gave different bytes")
			}
			r, _ := list[0].Open()
			src, _ := io.ReadAll(r)
			for _, w := range tc.want {
				if !strings.Contains(string(src), w) {
					t.Errorf("no %s in\n%s", w, src)
				}
			}
		})
	}
	for _, tc := range []struct {
		name, wasm string
		meta       Meta
	}{
		{"empty", "", Meta{}},
		{"a script", "#!/bin/sh", Meta{}},
		{"bad name", emptyModule, Meta{Name: "A b"}},
		{"bad version", emptyModule, Meta{Version: "1"}},
		{"bad creator kind", emptyModule, Meta{CreatorKind: "cat"}},
		{"control character", emptyModule, Meta{Notes: "\x1b[2J"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Module("x.wasm", []byte(tc.wasm), tc.meta); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func FuzzName(f *testing.F) {
	f.Add("My Tool.wasm")
	f.Add("-_.wasm")
	f.Fuzz(func(t *testing.T, file string) {
		if _, err := Module(file, []byte(emptyModule), Meta{}); err != nil {
			t.Errorf("%q: %v", file, err)
		}
	})
}

func TestWriteFile(t *testing.T) {
	const old = pngMagic + "old"
	sources := []pxa.Source{pxa.BytesSource("a", []byte("content"))}
	broken := append(slices.Clone(sources), pxa.Source{Path: "b", Size: 3, Open: func() (io.ReadCloser, error) { return nil, errors.New("no") }})
	list := func(dir string) string {
		entries, _ := os.ReadDir(dir)
		var out []string
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return strings.Join(out, " ")
	}
	for _, tc := range []struct {
		name    string
		before  map[string]string
		out     string
		sources []pxa.Source
		fails   bool
		after   string
	}{
		{"new", nil, "x.pxa", sources, false, "x.pxa"},
		{"replaced", map[string]string{"x.pxa": old}, "x.pxa", sources, false, "x.pxa"},
		{"through a link", map[string]string{"real": old, "x.pxa": "->real"}, "x.pxa", sources, false, "real x.pxa"},
		{"failure", nil, "x.pxa", broken, true, ""},
		{"failure keeps the old", map[string]string{"x.pxa": old}, "x.pxa", broken, true, "x.pxa"},
		{"directory", map[string]string{"d/f": ""}, "d", sources, true, "d"},
		{"no such directory", nil, "none/x.pxa", sources, true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tree(t, tc.before)
			_, err := WriteFile(context.Background(), filepath.Join(dir, tc.out), tc.sources, nil)
			if err != nil != tc.fails {
				t.Errorf("error %v", err)
			}
			if got := list(dir); got != tc.after {
				t.Errorf("directory holds %q, want %q", got, tc.after)
			}
			b, _ := os.ReadFile(filepath.Join(dir, tc.out))
			if tc.fails && tc.before["x.pxa"] != "" && string(b) != old {
				t.Errorf("the old file is now %q", b)
			}
			if !tc.fails && !bytes.Equal(b, packed(t, sources)) {
				t.Error("the file is not the cartridge")
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := WriteFile(ctx, filepath.Join(dir, "x.pxa"), sources, nil); !errors.Is(err, context.Canceled) || list(dir) != "" {
			t.Errorf("error %v, left %q", err, list(dir))
		}
	})
	t.Run("full device", func(t *testing.T) {
		if _, err := os.Stat("/dev/full"); err != nil {
			t.Skip("this system has no /dev/full")
		}
		if _, err := WriteFile(context.Background(), "/dev/full", sources, nil); err == nil {
			t.Error("wrote to a full device")
		}
	})
}
