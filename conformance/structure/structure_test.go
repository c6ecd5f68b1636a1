package structure

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pxos/pxos"

// file is one Go file of the repository.
type file struct {
	path    string // slash path from the root
	dir     string
	test    bool
	syntax  *ast.File
	imports []string
	fset    *token.FileSet
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal("not inside the repository: ", err)
	}
	return dir
}

func load(t *testing.T) []file {
	t.Helper()
	var out []file
	top := root(t)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != top && (strings.HasPrefix(name, ".") || name == "testdata" || name == "third_party") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		syntax, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		f := file{path: filepath.ToSlash(rel), test: strings.HasSuffix(name, "_test.go"), syntax: syntax, fset: fset}
		f.dir = filepath.ToSlash(filepath.Dir(rel))
		for _, imp := range syntax.Imports {
			p, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, p)
		}
		out = append(out, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("found only %d files", len(out))
	}
	return out
}

// ours returns the path of an import inside this module, or "".
func ours(imp string) string {
	rest, ok := strings.CutPrefix(imp, module+"/")
	if !ok {
		return ""
	}
	return rest
}

func within(dir, room string) bool { return dir == room || strings.HasPrefix(dir, room+"/") }

// law is one sentence of the import law: files in From that are not tests may not
// import what Forbid matches.
var law = []struct {
	says   string
	from   string
	except []string
	forbid func(imp string) bool
}{
	{"abi imports no other room", "abi", nil, func(imp string) bool {
		return ours(imp) != "" && !within(ours(imp), "abi")
	}},
	{"guest SDKs import only abi", "sdk", []string{"sdk/plugin"}, func(imp string) bool {
		return ours(imp) != "" && !within(ours(imp), "abi") && !within(ours(imp), "sdk")
	}},
	{"the host never imports a plugin binary", "host", nil, func(imp string) bool {
		return within(ours(imp), "plugins/cmd")
	}},
	{"plugin contracts never import the host", "plugins", nil, func(imp string) bool {
		return within(ours(imp), "host")
	}},
	{"cartridges use the SDK as everybody does", "cartridges", nil, func(imp string) bool {
		return ours(imp) != "" && !within(ours(imp), "sdk") && !within(ours(imp), "cartridges")
	}},
	{"bootsec and gpu are libraries of their own", "bootsec", nil, func(imp string) bool {
		return ours(imp) != "" && !within(ours(imp), "bootsec")
	}},
	{"nothing but the command imports the command", "", []string{"host/cmd/pxos-host"}, func(imp string) bool {
		return within(ours(imp), "host/cmd")
	}},
	{"wazero is imported in few, named places", "", []string{"host/engine", "host/engine/vfs", "host/engine/vfs/vfstest", "host/engine/wasi", "host/storage"}, func(imp string) bool {
		return within(imp, "github.com/tetratelabs/wazero")
	}},
	{"no package is cgo", "", nil, func(imp string) bool { return imp == "C" }},
	{"flags and terminals belong to the command", "", []string{"host/cmd/pxos-host", "abi/gen", "cartridges"}, func(imp string) bool {
		return imp == "flag" || within(imp, "github.com/spf13/cobra") || within(imp, "golang.org/x/term")
	}},
	{"formats stand alone", "abi/pxi", nil, func(imp string) bool {
		return ours(imp) != "" && !within(ours(imp), "abi/pxi")
	}},
	{"a disk knows nothing of what is stored on it", "host/disk", nil, func(imp string) bool {
		return ours(imp) != "" && !within(ours(imp), "host/disk")
	}},
	{"pixelfs knows its format and a disk", "host/pixelfs", nil, stores("host/pixelfs")},
	{"infinitemap knows its format and a disk", "host/infinitemap", nil, stores("host/infinitemap")},
	{"the engine knows no store", "host/engine", []string{"host/engine/worker"}, func(imp string) bool {
		return within(ours(imp), "host/storage") || within(ours(imp), "host/pixelfs") || within(ours(imp), "host/infinitemap")
	}},
	{"kits of tests belong to tests", "", []string{"host/disk/disktest"}, func(imp string) bool {
		return within(ours(imp), "host/disk/disktest")
	}},
}

// stores allows a store its own room, abi and the disk.
func stores(room string) func(imp string) bool {
	return func(imp string) bool {
		o := ours(imp)
		return o != "" && !within(o, room) && !within(o, "abi") && !within(o, "host/disk")
	}
}

func TestImportLaw(t *testing.T) {
	files := load(t)
	for _, l := range law {
		t.Run(l.says, func(t *testing.T) {
			for _, f := range files {
				if f.test || l.from != "" && !within(f.dir, l.from) || excepted(f.dir, l.except) {
					continue
				}
				for _, imp := range f.imports {
					if l.forbid(imp) {
						t.Errorf("%s imports %s", f.path, imp)
					}
				}
			}
		})
	}
}

// excepted matches a folder exactly, or any folder below "cartridges".
func excepted(dir string, list []string) bool {
	for _, e := range list {
		if dir == e || e == "cartridges" && within(dir, e) {
			return true
		}
	}
	return false
}

// Every sentence of the law must be able to fail: each is tried on an import that
// breaks it.
func TestLawCanFail(t *testing.T) {
	for i, imp := range []string{
		module + "/host", module + "/host", module + "/plugins/cmd/pxos-boot", module + "/host/engine", module + "/abi/pxa",
		module + "/host", module + "/host/cmd/pxos-host", "github.com/tetratelabs/wazero/api", "C", "flag",
		module + "/abi/pxa", module + "/host/journal", module + "/host/engine", module + "/host/pixelfs", module + "/host/storage", module + "/host/disk/disktest",
	} {
		if !law[i].forbid(imp) {
			t.Errorf("%q does not forbid %s", law[i].says, imp)
		}
	}
	if len(law) != 16 {
		t.Error("add an import that breaks the new law to this test")
	}
}

// process are the functions that only the command may call: what it reads and how it
// ends is decided in one place. Guests are programs of their own.
var process = map[string][]string{
	"os": {"Exit", "Getenv", "LookupEnv", "Environ", "ExpandEnv", "Args"},
}

var processExcept = []string{
	"host/cmd/pxos-host", // the command
	"abi/gen",            // a generator that authors run
	"host/engine/worker", // Main ends a worker whose host is gone
}

func TestProcessBelongsToTheCommand(t *testing.T) {
	for _, f := range load(t) {
		if f.test || slices.Contains(processExcept, f.dir) || within(f.dir, "cartridges") || within(f.dir, "sdk") {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if ok && slices.Contains(process[pkg.Name], sel.Sel.Name) && slices.Contains(f.imports, pkg.Name) {
				t.Errorf("%s: %s.%s", f.fset.Position(n.Pos()), pkg.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

// rooms are the only entries at the top level; another one needs a reason in
// RATIONALE.md and a line here.
var rooms = []string{
	"abi", "bootsec", "cartridges", "conformance", "gpu", "host", "plugins", "sdk",
	"go.mod", "go.sum", "pxos.toml",
	"README.md", "ARCHITECTURE.md", "RATIONALE.md", "SECURITY.md", "BENCHMARKS.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE",
	".ci", ".git", ".gitignore", ".gitattributes",
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(rooms, e.Name()) {
			t.Errorf("%s is not a room", e.Name())
		}
	}
}

// A file that a person cannot read at one sitting is split. Generated files are not
// read.
func TestFileLength(t *testing.T) {
	const limit = 600
	for _, f := range load(t) {
		if ast.IsGenerated(f.syntax) {
			continue
		}
		if n := f.fset.Position(f.syntax.FileEnd).Line; n > limit && !f.test {
			t.Errorf("%s has %d lines, more than %d", f.path, n, limit)
		}
	}
}
