package wasmbin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// specDir returns the folder of the WebAssembly spec's modules that comes with
// wazero's source, or skips the test.
func specDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "v2", "testdata"))
	}
	if err != nil {
		if os.Getenv("PXOS_TEST_FORBID_SKIP") == "1" {
			t.Fatalf("the WebAssembly spec's modules are missing: %v", err)
		}
		t.Skipf("the WebAssembly spec's modules are not in the module cache: %v", err)
	}
	return dir
}

type specCommand struct {
	Type       string
	Line       int
	Name, As   string
	Filename   string
	ModuleType string `json:"module_type"`
	Text       string
	Action     struct {
		Type, Module, Field string
		Args                []specValue
	}
}

type specValue struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    any
}

func (v specValue) encode() ([]uint64, error) {
	num := func(s string, bits int) (uint64, error) {
		switch s {
		case "nan:canonical", "nan:arithmetic":
			if bits == 32 {
				return uint64(math.Float32bits(float32(math.NaN()))), nil
			}
			return math.Float64bits(math.NaN()), nil
		}
		return strconv.ParseUint(s, 10, 64)
	}
	switch v.Type {
	case "i32", "f32":
		u, err := num(v.Value.(string), 32)
		return []uint64{u}, err
	case "i64", "f64":
		u, err := num(v.Value.(string), 64)
		return []uint64{u}, err
	case "externref", "funcref":
		if v.Value == "null" {
			return []uint64{0}, nil
		}
		u, err := strconv.ParseUint(v.Value.(string), 10, 64)
		return []uint64{u + 1}, err
	case "v128":
		width, _ := strconv.Atoi(v.LaneType[1:])
		var w [2]uint64
		for i, lane := range v.Value.([]any) {
			u, err := num(lane.(string), width)
			if err != nil {
				return nil, err
			}
			w[i*width/64] |= u & (1<<width - 1) << (i * width % 64)
			if width == 64 {
				w[i] = u
			}
		}
		return w[:], nil
	}
	return nil, fmt.Errorf("type %q", v.Type)
}

// specWorld is one runtime in which a script is played.
type specWorld struct {
	r       wazero.Runtime
	mods    map[string]api.Module
	last    api.Module
	metered bool
	chunk   uint32 // of memory instructions; 0 as shipped
}

func newSpecWorld(t testing.TB, ctx context.Context, cfg wazero.RuntimeConfig, dir string, metered bool) *specWorld {
	w := &specWorld{r: wazero.NewRuntimeWithConfig(ctx, cfg), mods: map[string]api.Module{}, metered: metered}
	b, err := os.ReadFile(filepath.Join(dir, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.r.InstantiateWithConfig(ctx, b, wazero.NewModuleConfig().WithName("spectest")); err != nil {
		t.Fatal(err)
	}
	_, err = w.r.NewHostModuleBuilder(MeterModule).NewFunctionBuilder().WithFunc(func(_ context.Context, m int64) int64 {
		fuel, stack := Unpack(m)
		if fuel < -MaxFuel/8 { // not armed yet: a start function runs
			fuel, stack = 0, 1<<14
		}
		if stack < 0 {
			panic(errOut)
		}
		return Pack(fuel+1<<20, stack)
	}).Export(RefillName).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// load instantiates a module; the error is that of the whole start.
func (w *specWorld) load(ctx context.Context, name, as string, wasm []byte) error {
	start := false
	if w.metered {
		m, err := Parse(wasm)
		if err != nil {
			return err
		}
		o, err := Instrument(m, Options{chunk: w.chunk})
		if err != nil {
			return err
		}
		wasm, start = o.Wasm, o.HasStart
	}
	c, err := w.r.CompileModule(ctx, wasm)
	if err != nil {
		return err
	}
	m, err := w.r.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithName(as).WithStartFunctions())
	if err == nil && start {
		_, err = m.ExportedFunction(StartExport).Call(ctx)
	}
	if err != nil {
		return err
	}
	w.last = m
	if name != "" {
		w.mods[name] = m
	}
	return nil
}

func (w *specWorld) do(ctx context.Context, c *specCommand) (res []uint64, err error) {
	m := w.last
	if c.Action.Module != "" {
		m = w.mods[c.Action.Module]
	}
	if m == nil {
		return nil, errors.New("no module")
	}
	if c.Action.Type == "get" {
		g := m.ExportedGlobal(c.Action.Field)
		return []uint64{g.Get()}, nil
	}
	var args []uint64
	for _, a := range c.Action.Args {
		v, err := a.encode()
		if err != nil {
			return nil, err
		}
		args = append(args, v...)
	}
	if w.metered {
		// A trap leaves the frames of the dead calls on the meter.
		m.ExportedGlobal(MeterGlobal).(api.MutableGlobal).Set(uint64(Pack(1<<20, 1<<14)))
	}
	return m.ExportedFunction(c.Action.Field).Call(ctx, args...)
}

// trapOf reduces an error to what the spec says about it.
func trapOf(err error) string {
	if err == nil {
		return ""
	}
	if errors.Is(err, errOut) {
		return "stack overflow"
	}
	s, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimPrefix(s, "wasm error: ") // the engines differ in it
}

// TestSpecScripts plays the spec's scripts against the plain and the
// instrumented modules side by side and compares every result and trap.
func TestSpecScripts(t *testing.T) {
	dir := specDir(t)
	for engine, cfg := range engines() {
		if testing.Short() && engine != "compiler" {
			continue
		}
		for _, v := range []string{"v1", "v2"} {
			files, err := filepath.Glob(filepath.Join(dir, v, "testdata", "*.json"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no scripts in %s: %v", v, err)
			}
			for _, f := range files {
				name := v + "/" + strings.TrimSuffix(filepath.Base(f), ".json")
				t.Run(engine+"/"+name, func(t *testing.T) { playScript(t, dir, f, cfg, v == "v2", 0) })
				// Those with memory instructions, in chunks that their few bytes exceed.
				if strings.HasPrefix(name, "v2/memory_") || name == "v2/bulk" {
					t.Run(engine+"/"+name+" in chunks", func(t *testing.T) { playScript(t, dir, f, cfg, true, 3) })
				}
			}
		}
	}
}

func playScript(t *testing.T, dir, file string, cfg wazero.RuntimeConfig, v2 bool, chunk uint32) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var script struct{ Commands []specCommand }
	if err := json.Unmarshal(raw, &script); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	cfg = cfg.WithCoreFeatures(api.CoreFeaturesV2)
	plain := newSpecWorld(t, ctx, cfg, dir, false)
	defer plain.r.Close(ctx)
	metered := newSpecWorld(t, ctx, cfg, dir, true)
	defer metered.r.Close(ctx)
	metered.chunk = chunk
	for i := range script.Commands {
		c := &script.Commands[i]
		var wasm []byte
		if c.Filename != "" && strings.HasSuffix(c.Filename, ".wasm") {
			if wasm, err = os.ReadFile(filepath.Join(filepath.Dir(file), c.Filename)); err != nil {
				t.Fatal(err)
			}
		}
		switch c.Type {
		case "module", "assert_unlinkable", "assert_uninstantiable", "assert_invalid", "assert_malformed":
			if wasm == nil {
				continue // a module in the text format
			}
			as := ""
			if i+1 < len(script.Commands) && script.Commands[i+1].Type == "register" {
				as = script.Commands[i+1].As
			}
			want, got := plain.load(ctx, c.Name, as, wasm), metered.load(ctx, c.Name, as, wasm)
			if (want == nil) != (got == nil) {
				t.Fatalf("line %d: %s %s: plain %v, instrumented %v", c.Line, c.Type, c.Filename, want, got)
			}
			// Version 1 calls modules invalid that version 2 allows.
			if v2 && (c.Type == "assert_invalid" || c.Type == "assert_malformed") && got == nil {
				t.Errorf("line %d: %s became valid", c.Line, c.Filename)
			}
		case "register":
			// Modules are loaded under the name that the next command gives them.
		case "assert_return", "action", "assert_trap", "assert_exhaustion":
			want, wantErr := plain.do(ctx, c)
			got, gotErr := metered.do(ctx, c)
			if trapOf(wantErr) != trapOf(gotErr) || fmt.Sprint(want) != fmt.Sprint(got) {
				t.Errorf("line %d: %s: plain %x, %v; instrumented %x, %v", c.Line, c.Action.Field, want, wantErr, got, gotErr)
			}
			if v2 && (c.Type == "assert_return" || c.Type == "action") != (gotErr == nil) {
				t.Errorf("line %d: %s of %s: %v", c.Line, c.Type, c.Action.Field, gotErr)
			}
		default:
			t.Errorf("line %d: command %q is unknown", c.Line, c.Type)
		}
	}
}
