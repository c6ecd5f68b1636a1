package wasmbin

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// cacheFile returns the one file that a compilation cache wrote.
func cacheFile(t testing.TB, dir string) string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, p)
		}
		return err
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("cache holds %v, %v; want one file", found, err)
	}
	return found[0]
}

func cachedConfig(t testing.TB, dir string) wazero.RuntimeConfig {
	t.Helper()
	c, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return wazero.NewRuntimeConfigCompiler().WithCompilationCache(c)
}

// compileInto compiles a module with the cache in dir and closes everything.
func compileInto(t testing.TB, dir string, wasm []byte) {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, cachedConfig(t, dir))
	defer r.Close(ctx)
	if _, err := r.CompileModule(ctx, wasm); err != nil {
		t.Fatal(err)
	}
}

// pairTwin puts the machine code of o.Wasm under the key of o.Twin in a fresh
// cache folder and returns it.
func pairTwin(t testing.TB, o *Output) string {
	t.Helper()
	real, twin, pair := t.TempDir(), t.TempDir(), t.TempDir()
	compileInto(t, real, o.Wasm)
	compileInto(t, twin, o.Twin)
	code, err := os.ReadFile(cacheFile(t, real))
	if err != nil {
		t.Fatal(err)
	}
	rel, err := filepath.Rel(twin, cacheFile(t, twin))
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(pair, rel)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, code, 0o644); err != nil {
		t.Fatal(err)
	}
	return pair
}

// sealOf instantiates a module and calls its seal.
func sealOf(t testing.TB, cfg wazero.RuntimeConfig, wasm []byte) (uint64, error) {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, cfg)
	defer r.Close(ctx)
	newMeterHost().install(t, ctx, r)
	m, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		return 0, err
	}
	v, err := m.ExportedFunction(SealExport).Call(ctx)
	if err != nil {
		return 0, err
	}
	return v[0], nil
}

func TestTwinRunsRealCode(t *testing.T) {
	wasm := buildGo(t, goProgram)
	o := mustInstrument(t, wasm)
	want, _ := runWASI(t, wazero.NewRuntimeConfigCompiler(), wasm, nil)
	dir := pairTwin(t, o)
	got, _ := runWASI(t, cachedConfig(t, dir), o.Twin, newMeterHost())
	if got != want {
		t.Errorf("twin printed %q, the module %q", got, want)
	}
}

func TestSealTellsTwinFromModule(t *testing.T) {
	m := single("i:i", 0, nil, cat(opLocalGet, 0))
	m.tables = [][]byte{cat(FuncRef, 0, 1)}
	m.elems = [][]byte{cat(0, opI32Const, 0, opEnd, leb(1), leb(0))}
	m.globals = [][]byte{cat(FuncRef, 0, opRefFunc, 0, opEnd)}
	o := mustInstrument(t, m.bytes())

	if v, err := sealOf(t, wazero.NewRuntimeConfigCompiler(), o.Wasm); err != nil || v != o.Seal {
		t.Errorf("the module's seal is %x, %v; want %x", v, err, o.Seal)
	}
	if v, err := sealOf(t, cachedConfig(t, pairTwin(t, o)), o.Twin); err != nil || v != o.Seal {
		t.Errorf("the paired twin's seal is %x, %v; want %x", v, err, o.Seal)
	}
	if _, err := sealOf(t, wazero.NewRuntimeConfigCompiler(), o.Twin); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("the seal of the twin's own code returned %v, want a trap", err)
	}
}

// Two modules that differ in code only must not share a twin: the cache would
// give one the machine code of the other.
func TestTwinsDiffer(t *testing.T) {
	a := mustInstrument(t, single(":i", 0, nil, cat(opI32Const, 1)).bytes())
	b := mustInstrument(t, single(":i", 0, nil, cat(opI32Const, 2)).bytes())
	if string(a.Twin) == string(b.Twin) || a.Seal == b.Seal {
		t.Error("two modules have the same twin or seal")
	}
}

// TestTwinOnSpecModules runs the seal of every module of the spec that stands
// alone, through the machine code of the real module.
func TestTwinOnSpecModules(t *testing.T) {
	dir := specDir(t)
	files, _ := filepath.Glob(filepath.Join(dir, "v2", "testdata", "*.wasm"))
	n := 0
	for i, f := range files {
		if i%23 != 0 { // a sample; each costs three folders
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(b)
		if err != nil || len(m.Imports()) > 0 {
			continue
		}
		o, err := Instrument(m, Options{})
		if err != nil {
			continue
		}
		want, wantErr := sealOf(t, wazero.NewRuntimeConfigCompiler(), o.Wasm)
		got, gotErr := sealOf(t, cachedConfig(t, pairTwin(t, o)), o.Twin)
		// Segments out of bounds end the instantiation either way.
		if trapOf(gotErr) != trapOf(wantErr) || got != want || wantErr == nil && got != o.Seal {
			t.Errorf("%s: seal %x, %v; of the module %x, %v; want %x", filepath.Base(f), got, gotErr, want, wantErr, o.Seal)
		}
		n++
	}
	if n < 20 {
		t.Errorf("only %d modules were tried", n)
	}
}
