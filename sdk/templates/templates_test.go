package templates

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
)

func options(lang string) Options {
	return Options{Name: "first-try", Lang: lang, Creator: `Ada "the first" \ Löw`, CreatedAt: time.Date(2026, 1, 31, 12, 0, 0, 0, time.FixedZone("", 3600))}
}

func TestManifest(t *testing.T) {
	for _, lang := range Langs() {
		t.Run(lang, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "p")
			opt := options(lang)
			if err := Write(dir, opt); err != nil {
				t.Fatal(err)
			}
			src, err := os.ReadFile(filepath.Join(dir, abi.ManifestPath))
			if err != nil {
				t.Fatal(err)
			}
			m, err := abi.ParseManifest(src)
			if err != nil {
				t.Fatal(err)
			}
			if m.Name != "first-try" || m.Creator.Name != opt.Creator || m.Creator.Kind != "human" || !m.CreatedAt.Equal(opt.CreatedAt) || m.Default != "first-try:main" || m.ABI != abi.Version() || m.Genesis != abi.GenesisVersion {
				t.Errorf("manifest %+v", m)
			}
			for _, name := range []string{"README.md", "GENESIS_COMPLIANCE.md", ".gitignore"} {
				text, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil || strings.ContainsAny(string(text), "«»") {
					t.Errorf("%s: %v\n%s", name, err, text)
				}
			}
		})
	}
}

// What is written builds and passes its tests with Go alone: no network, no module
// cache, and outside this repository.
func TestGoProject(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	if err := Write(dir, options("go")); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for _, tc := range []struct {
		name string
		env  []string
		args []string
	}{
		{"vet", nil, []string{"vet", "./..."}},
		{"test", nil, []string{"test", "./..."}},
		{"build", []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}, []string{"build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", "p.wasm", "."}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd := exec.Command("go", tc.args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), append(tc.env, "GOPROXY=off", "GOFLAGS=", "GOMODCACHE="+empty, "GOWORK=off", "GOTOOLCHAIN=local")...)
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
	if unformatted, err := exec.Command("gofmt", "-l", dir).CombinedOutput(); err == nil && len(unformatted) > 0 {
		t.Errorf("not formatted: %s", unformatted)
	}
}

func TestCProject(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	if err := Write(dir, options("c")); err != nil {
		t.Fatal(err)
	}
	probe := exec.Command("clang", "--target=wasm32-wasi", "-x", "c", "-", "-o", os.DevNull)
	probe.Stdin = strings.NewReader("#include <stdio.h>\nint main(void) { return puts(\"\"); }\n")
	if text, err := probe.CombinedOutput(); err != nil {
		if os.Getenv("PXOS_TEST_FORBID_SKIP") == "1" {
			t.Fatalf("clang with a wasm32-wasi target and C library is missing: %v\n%s", err, text)
		}
		t.Skipf("needs clang with a wasm32-wasi target and C library: %v", err)
	}
	cmd := exec.Command("clang", "--target=wasm32-wasi", "-O2", "-Wall", "-Wextra", "-Werror", "-o", "p.wasm", "main.c")
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"upper case", func(o *Options) { o.Name = "Hello" }, "invalid cartridge name"},
		{"path", func(o *Options) { o.Name = "../x" }, "invalid cartridge name"},
		{"no name", func(o *Options) { o.Name = "" }, "invalid cartridge name"},
		{"too long", func(o *Options) { o.Name = strings.Repeat("x", 65) }, "invalid cartridge name"},
		{"no creator", func(o *Options) { o.Creator = " " }, "the creator has no name"},
		{"creator kind", func(o *Options) { o.CreatorKind = "robot" }, "creator.kind"},
		{"creator with an escape", func(o *Options) { o.Creator = "a\x1b[2J" }, "control character"},
		{"creator not UTF-8", func(o *Options) { o.Creator = "\xff" }, "must be UTF-8 text"},
		{"language", func(o *Options) { o.Lang = "common" }, `no template for language "common": there are c, go`},
		{"language path", func(o *Options) { o.Lang = "../files/go" }, "no template"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "p")
			opt := options("go")
			tc.change(&opt)
			if err := Write(dir, opt); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("the directory was made")
			}
		})
	}
}

func list(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	if err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, p)
		names = append(names, filepath.ToSlash(rel))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(names)
}

func TestDirectory(t *testing.T) {
	t.Run("empty", func(t *testing.T) {
		dir := t.TempDir()
		if err := Write(dir, options("c")); err != nil {
			t.Fatal(err)
		}
		if got, want := list(t, dir), "[. .gitignore GENESIS_COMPLIANCE.md README.md cartridge.toml main.c pxos.h]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("new leaves nothing beside it", func(t *testing.T) {
		parent := t.TempDir()
		if err := Write(filepath.Join(parent, "p"), options("go")); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(parent)
		if err != nil || len(entries) != 1 {
			t.Errorf("%v %v", entries, err)
		}
		if got := list(t, filepath.Join(parent, "p")); strings.Contains(got, "_test.go") != strings.Contains(got, "main_test.go") || strings.Contains(got, "sources.go") || strings.Contains(got, "sdk_test.go") {
			t.Errorf("copied too much: %s", got)
		}
	})
	t.Run("not empty", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := Write(dir, options("go")); err == nil || !strings.Contains(err.Error(), "is not empty") {
			t.Errorf("got %v", err)
		}
		if got := list(t, dir); got != "[. mine]" {
			t.Errorf("left %s", got)
		}
	})
	t.Run("a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := Write(file, options("go")); err == nil {
			t.Error("no error")
		}
	})
	t.Run("no parent", func(t *testing.T) {
		if err := Write(filepath.Join(t.TempDir(), "a", "b"), options("go")); err == nil {
			t.Error("no error")
		}
	})
	t.Run("failure half way leaves nothing", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("needs names that this file system takes")
		}
		dir := t.TempDir()
		content := map[string][]byte{"a": nil, "b/c": nil, "b/c/d": nil}
		if err := writeInto(dir, content); err == nil {
			t.Fatal("a file became a directory")
		}
		if got := list(t, dir); got != "[.]" {
			t.Errorf("left %s", got)
		}
	})
}

// The copy of the SDK carries this repository's licence.
func TestLicence(t *testing.T) {
	want, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	files, err := render(options("go"))
	if err != nil {
		t.Fatal(err)
	}
	if got := files["third_party/pxos/sdk/LICENSE"]; string(got) != string(want) {
		t.Errorf("the copy's licence differs: %.80s", got)
	}
}

// Whoever makes a cartridge, under whatever licence: the manifest says exactly that,
// or nothing is written.
func FuzzManifest(f *testing.F) {
	f.Add("Ada", "MIT")
	f.Add("\"\\\x00\u0080\n'''", "a\tb\u2028")
	f.Add("\xff", "«quote .»")
	f.Fuzz(func(t *testing.T, creator, licence string) {
		opt := options("c")
		opt.Creator, opt.Licence = creator, licence
		files, err := render(opt)
		if err != nil {
			return
		}
		m, err := abi.ParseManifest(files[abi.ManifestPath])
		if err != nil {
			t.Fatal(err)
		}
		if licence == "" {
			licence = "MIT"
		}
		if m.Creator.Name != creator || m.Licence != licence || m.Name != opt.Name || len(m.Programs) != 1 {
			t.Errorf("creator %q, licence %q became %+v", creator, licence, m)
		}
	})
}

// New cartridges use the language version of this module.
func TestGoVersion(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "\ngo "+goVersion+"\n") {
		t.Errorf("goVersion %s is not that of go.mod", goVersion)
	}
}
