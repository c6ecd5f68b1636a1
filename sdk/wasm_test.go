//go:build !wasip1

package pxos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi"
	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/internal/hostapi"
	"github.com/pxos/pxos/sdk/pxostest"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// The bindings are tested from inside WebAssembly: a guest built with them runs in a
// runtime whose host functions are made from the table, with the signatures the
// table gives, and which hand each call to the fake host. What the guest sees and
// does must be what the same calls do natively.

// guestModule is the module that the programs named "probe:…" run.
var guestModule []byte

func init() {
	for _, name := range []string{"probe:all", "probe:fail", "probe:panic", "probe:large", "probe:unknown", "probe:c"} {
		pxos.RegisterRaw(name, func(ctx *pxos.Context, _ []byte) ([]byte, error) { return nil, runGuest(ctx) })
	}
}

// runGuest runs guestModule against the installed fake.
func runGuest(c *pxos.Context) error {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	for _, fam := range abi.Families() {
		host := installedHost(fam.Module)
		b := rt.NewHostModuleBuilder(fam.Module)
		for _, row := range fam.Rows {
			var params []api.ValueType
			for _, v := range row.Lower() {
				params = append(params, api.ValueType(v))
			}
			method := hostMethod(host, row)
			b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, m api.Module, stack []uint64) {
				bridge(row, method, m.Memory(), stack)
			}), params, []api.ValueType{api.ValueTypeI32}).Export(row.Name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	cfg := wazero.NewModuleConfig().WithArgs(append([]string{"guest"}, c.Argv...)...).WithStdin(c.Stdin).WithStdout(c.Stdout).WithStderr(c.Stderr)
	_, err := rt.InstantiateWithConfig(ctx, guestModule, cfg)
	var exit *sys.ExitError
	if errors.As(err, &exit) && exit.ExitCode() <= 1 {
		return nil // whether it failed shows in the fake
	}
	return err
}

// installedHost returns the fake of a family.
func installedHost(module string) reflect.Value {
	switch module {
	case "pxos":
		return reflect.ValueOf(*hostapi.Pxos.Load())
	case "pixelfs":
		return reflect.ValueOf(*hostapi.Pixelfs.Load())
	case "infinitemap":
		return reflect.ValueOf(*hostapi.Infinitemap.Load())
	}
	panic("there is no fake of " + module)
}

// hostMethod finds the fake's method of a row; the names differ in case only.
func hostMethod(host reflect.Value, row abi.Function) reflect.Value {
	for i := range host.NumMethod() {
		if strings.EqualFold(host.Type().Method(i).Name, strings.ReplaceAll(row.Name, "_", "")) {
			return host.Method(i)
		}
	}
	panic("the fake has no method for " + row.Name)
}

// bridge reads the parameters of a row by their kinds, calls the fake, and stores
// what it returns.
func bridge(row abi.Function, method reflect.Value, mem api.Memory, stack []uint64) {
	var in []reflect.Value
	var out []func(reflect.Value)
	at := 0
	next := func() uint64 { at++; return stack[at-1] }
	must := func(ok bool) {
		if !ok {
			panic(row.Name + ": a pointer outside the guest's memory")
		}
	}
	for _, p := range row.Params {
		switch p.Kind {
		case abi.U32:
			in = append(in, reflect.ValueOf(uint32(next())))
		case abi.U64:
			in = append(in, reflect.ValueOf(next()))
		case abi.S64:
			in = append(in, reflect.ValueOf(int64(next())))
		case abi.F64:
			in = append(in, reflect.ValueOf(api.DecodeF64(next())))
		case abi.Text, abi.Bytes, abi.Fill, abi.Buffer, abi.Part:
			data, ok := mem.Read(uint32(next()), uint32(next()))
			must(ok)
			if p.Kind == abi.Text {
				in = append(in, reflect.ValueOf(string(data)))
				continue
			}
			in = append(in, reflect.ValueOf(data))
			if p.Kind == abi.Buffer || p.Kind == abi.Part {
				ptr := uint32(next())
				out = append(out, func(v reflect.Value) { must(mem.WriteUint32Le(ptr, uint32(v.Uint()))) })
			}
		case abi.OutU32:
			ptr := uint32(next())
			out = append(out, func(v reflect.Value) { must(mem.WriteUint32Le(ptr, uint32(v.Uint()))) })
		case abi.OutU64:
			ptr := uint32(next())
			out = append(out, func(v reflect.Value) { must(mem.WriteUint64Le(ptr, v.Uint())) })
		case abi.OutDigest:
			ptr := uint32(next())
			out = append(out, func(v reflect.Value) { d := v.Interface().([32]byte); must(mem.Write(ptr, d[:])) })
		}
	}
	results := method.Call(in)
	code := abi.Code(results[len(results)-1].Int())
	if code == abi.CodeOK || code == abi.CodeTooSmall {
		for i, store := range out {
			store(results[i])
		}
	}
	stack[0] = uint64(uint32(code))
}

// require skips the test with a reason, or fails it where skips are forbidden.
func require(t *testing.T, reason string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("PXOS_TEST_FORBID_SKIP") == "1" {
		t.Fatalf("%s: %v", reason, err)
	}
	t.Skipf("%s: %v", reason, err)
}

func buildGo(t *testing.T, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "probe.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", out, dir)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	return output(t, cmd, out)
}

func output(t *testing.T, cmd *exec.Cmd, path string) []byte {
	t.Helper()
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, text)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var guestHost = pxostest.Host{
	Archive: map[string]string{"cartridge.toml": "x", "data/a.txt": "abcdef", "data/b.txt": strings.Repeat("b", 5000)},
	Granted: []pxos.Capability{{Kind: "dir", Path: "/data", Mode: "read"}},
	Seed:    7,
}

func TestGoGuest(t *testing.T) {
	guestModule = buildGo(t, "./testdata/probe")
	large := `{"word":"` + strings.Repeat("w", 100_000) + `"}`
	for _, tc := range []struct {
		name, program, args string
		argv                []string
		result, stdout      string
		typ, msg            string
	}{
		{name: "everything", program: "probe:all", args: `{"word":"ä","times":2}`, argv: []string{"-x"},
			result: `{"abi":"1.1","caps":[{"kind":"dir","path":"/data","mode":"read"}],"elapsed":"2µs","files":["cartridge.toml 1 2d711642","data/a.txt 6 bef57ec7","data/b.txt 5000 RANDOM"],"now":"2026-01-01T00:00:00.000001Z","random":"RANDOM","words":"ää"}`,
			stdout: "probe:all [-x]\n"},
		{name: "large arguments and result", program: "probe:large", args: large, result: large},
		{name: "typed error", program: "probe:fail", args: `{}`, typ: "too_bad", msg: "no luck: 7"},
		{name: "panic", program: "probe:panic", args: `{}`, typ: "panic", msg: "the program panicked: ouch"},
		{name: "unknown key", program: "probe:all", args: `{"wort":1}`, typ: "invalid_arguments", msg: `invalid arguments: unknown field "wort"`},
		{name: "unknown program", program: "probe:unknown", args: `{}`, typ: "unknown_program", msg: `no program "probe:unknown" in this module: it has probe:all, probe:fail, probe:large, probe:panic`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := guestHost
			h.Argv = tc.argv
			r := h.Run(t, tc.program, json.RawMessage(tc.args))
			if tc.typ != "" {
				if r.Err == nil || r.Err.Type != tc.typ || r.Err.Message != tc.msg {
					t.Errorf("error %+v, want %s: %s", r.Err, tc.typ, tc.msg)
				}
				return
			}
			got := string(r.JSON)
			if tc.name == "everything" {
				// Two values are checked for their form only.
				var v struct {
					Random []byte
					Files  []string
				}
				r.Decode(t, &v)
				if len(v.Random) != 4 || len(v.Files) != 3 {
					t.Fatalf("result %s", got)
				}
				random, _ := json.Marshal(v.Random)
				got = strings.Replace(got, string(random), `"RANDOM"`, 1)
				got = strings.Replace(got, v.Files[2], "data/b.txt 5000 RANDOM", 1)
			}
			if r.Err != nil || got != tc.result || string(r.Stdout) != tc.stdout {
				t.Errorf("error %+v\nresult %.500s\nwant   %.500s\nstdout %q", r.Err, got, tc.result, r.Stdout)
			}
			if tc.program == "probe:all" && (len(r.Logs) != 1 || r.Logs[0] != pxostest.Line{Level: "warn", Message: "probing word=ä"}) {
				t.Errorf("logs %+v", r.Logs)
			}
		})
	}
}

// buildC compiles a C guest as strictly as the compiler can.
func buildC(t *testing.T, std, source string) []byte {
	t.Helper()
	clang, err := exec.LookPath("clang")
	require(t, "clang is not installed", err)
	probe := exec.Command(clang, "--target=wasm32-wasi", "-x", "c", "-", "-o", os.DevNull)
	probe.Stdin = strings.NewReader("#include <stdio.h>\nint main(void) { return puts(\"\"); }\n")
	if text, err := probe.CombinedOutput(); err != nil {
		require(t, "clang has no wasm32-wasi target or C library here", fmt.Errorf("%w: %s", err, text))
	}
	out := filepath.Join(t.TempDir(), "probe.wasm")
	return output(t, exec.Command(clang, "--target=wasm32-wasi", "-O2", std, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", "c", source, "-o", out), out)
}

func TestCGuest(t *testing.T) {
	guestModule = buildC(t, "-std=c99", "testdata/probe.c")
	h := guestHost
	r := h.Run(t, "probe:c", json.RawMessage(`{"n":[1,2]}`))
	want := `{"abi":"1.1","program":"probe:c","args":{"n":[1,2]},"caps":[{"kind":"dir","path":"/data","mode":"read"}],"random":1,"year":2026,"list":22,"first":"data/a.txt","size":6,"part":"cdef","codes":"too_small not_found invalid"}`
	if r.Err != nil || string(r.JSON) != want || string(r.Stdout) != "1 words\n" || len(r.Logs) != 1 {
		t.Errorf("error %+v, stdout %q, stderr %q, logs %v\nresult %s\nwant   %s", r.Err, r.Stdout, r.Stderr, r.Logs, r.JSON, want)
	}
	h.Argv = []string{"why not"}
	if r = h.Run(t, "probe:c", nil); r.Err == nil || r.Err.Type != "asked_to" || r.Err.Message != "why not" {
		t.Errorf("failure %+v", r.Err)
	}
}

// The header yields exactly the imports of the table, in C99 and in C++, and without
// the standard library.
func TestCHeaderImports(t *testing.T) {
	var table []string
	var calls strings.Builder
	for _, row := range abi.Functions() {
		var params []string
		for _, v := range row.Lower() {
			params = append(params, v.String())
		}
		table = append(table, fmt.Sprintf("%s.%s(%s) i32", row.Module, row.Name, strings.Join(params, ",")))
		name := "pxos_" + row.Name
		if row.Module != "pxos" {
			name = "pxos_" + row.Module + "_" + row.Name
		}
		fmt.Fprintf(&calls, "  (code)%s,\n", name)
	}
	slices.Sort(table)
	// The address of every function keeps every import.
	source := "#include \"pxos.h\"\ntypedef void (*code)(void);\nextern code all[];\ncode all[] = {\n" + calls.String() + "};\nint main(void) { return all[0] == 0; }\n"
	for _, tc := range []struct{ name, std, ext, prefix string }{
		{"c99", "-std=c99", ".c", ""},
		{"c17", "-std=c17", ".c", ""},
		{"c++11", "-std=c++11", ".cc", ""},
		{"no standard library", "-std=c99", ".c", "#define PXOS_NO_STDLIB\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "all"+tc.ext)
			if err := os.WriteFile(path, []byte(tc.prefix+source), 0o666); err != nil {
				t.Fatal(err)
			}
			module := buildC(t, tc.std, path)
			ctx := context.Background()
			rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
			defer rt.Close(ctx)
			m, err := rt.CompileModule(ctx, module)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range m.ImportedFunctions() {
				module, name, _ := f.Import()
				if module == "wasi_snapshot_preview1" {
					continue
				}
				var params, results []string
				for _, v := range f.ParamTypes() {
					params = append(params, api.ValueTypeName(v))
				}
				for _, v := range f.ResultTypes() {
					results = append(results, api.ValueTypeName(v))
				}
				got = append(got, fmt.Sprintf("%s.%s(%s) %s", module, name, strings.Join(params, ","), strings.Join(results, ",")))
			}
			slices.Sort(got)
			if !slices.Equal(got, table) {
				t.Errorf("imports %v\nwant    %v", got, table)
			}
		})
	}
}

// The fake and the SDK state the same numbers as the contract.
func TestSameAsContract(t *testing.T) {
	for _, c := range abi.Codes() {
		mine := pxos.Code(c)
		if mine.String() != c.String() || mine.Error() != c.Error() {
			t.Errorf("code %d: %q, contract %q", c, mine.Error(), c.Error())
		}
	}
	if pxos.Code(len(abi.Codes())).String() != fmt.Sprintf("code %d", len(abi.Codes())) {
		t.Error("the SDK knows a code that the contract does not have")
	}
	for _, n := range []struct {
		name      string
		got, want int
	}{
		{"major", pxos.ABIMajor, abi.Major}, {"minor", pxos.ABIMinor, abi.Minor},
		{"result", pxos.MaxResult, abi.MaxResult}, {"args", pxos.MaxArgs, abi.MaxArgs},
		{"log line", pxos.MaxLogLine, abi.MaxLogLine}, {"error text", pxos.MaxErrorText, abi.MaxErrorText},
	} {
		if n.got != n.want {
			t.Errorf("%s: %d, contract %d", n.name, n.got, n.want)
		}
	}
}

// Each case is one sentence of the contract that the fake must keep.
func TestFakeKeepsTheContract(t *testing.T) {
	h := guestHost
	h.Install(t)
	f := *hostapi.Pxos.Load()
	small := []byte("??")
	var digest [32]byte
	code := func(c int32) string { return pxos.Code(c).String() }
	for _, tc := range []struct {
		name string
		do   func() string
		want string
	}{
		{"buffer too small writes nothing but the length", func() string { n, c := f.ProgramName(small); return fmt.Sprint(n, " ", code(c), " ", string(small)) }, "9 too_small ??"},
		{"buffer without room asks for the length", func() string { n, c := f.Arguments(nil); return fmt.Sprint(n, " ", code(c)) }, "2 too_small"},
		{"buffer of exactly the length", func() string {
			b := make([]byte, 2)
			n, c := f.Arguments(b)
			return fmt.Sprint(n, " ", code(c), " ", string(b))
		}, "2 ok {}"},
		{"part shorter than the entry", func() string {
			n, c := f.ArchiveRead("data/a.txt", 1, small)
			return fmt.Sprint(n, " ", code(c), " ", string(small))
		}, "2 ok bc"},
		{"part at the end", func() string {
			n, c := f.ArchiveRead("data/a.txt", 6, make([]byte, 9))
			return fmt.Sprint(n, " ", code(c))
		}, "0 ok"},
		{"part far past the end", func() string {
			n, c := f.ArchiveRead("data/a.txt", 1<<63, make([]byte, 9))
			return fmt.Sprint(n, " ", code(c))
		}, "0 ok"},
		{"entry missing", func() string { _, c := f.ArchiveRead("data", 0, nil); return code(c) }, "not_found"},
		{"stat missing", func() string { _, _, c := f.ArchiveStat("data/"); return code(c) }, "not_found"},
		{"list ends each path with NUL", func() string {
			b := make([]byte, 99)
			n, c := f.ArchiveList("data/", b)
			return fmt.Sprintf("%s %q", code(c), b[:n])
		}, `ok "data/a.txt\x00data/b.txt\x00"`},
		{"list without a match", func() string { n, c := f.ArchiveList("zzz", nil); return fmt.Sprint(n, " ", code(c)) }, "0 ok"},
		{"digest is SHA-256", func() string { _, digest, _ = f.ArchiveStat("data/a.txt"); return fmt.Sprintf("%x", digest[:4]) }, "bef57ec7"},
		{"clock that does not exist", func() string { _, _, c := f.Clock(2); return code(c) }, "invalid"},
		{"clock is a multiple of its resolution", func() string { n, res, c := f.Clock(0); return fmt.Sprint(n%res, " ", res, " ", code(c)) }, fmt.Sprint("0 ", abi.ClockResolution, " ok")},
		{"log level that does not exist", func() string { return code(f.Log(4, "x")) }, "invalid"},
		{"log of text that is not UTF-8", func() string { return code(f.Log(0, "\xff")) }, "invalid"},
		{"result not JSON", func() string { return code(f.Result("{} {}")) }, "invalid"},
		{"result too large", func() string { return code(f.Result(`"` + strings.Repeat("x", abi.MaxResult) + `"`)) }, "limit"},
		{"error type empty", func() string { return code(f.Fail("", "x")) }, "invalid"},
		{"error type of 65 bytes", func() string { return code(f.Fail(strings.Repeat("x", 65), "x")) }, "invalid"},
		{"error type of 64 bytes", func() string { return code(f.Fail(strings.Repeat("x", 64), "x")) }, "ok"},
		{"error type with capitals", func() string { return code(f.Fail("Bad", "x")) }, "invalid"},
		{"error text too long", func() string { return code(f.Fail("a", strings.Repeat("x", abi.MaxErrorText))) }, "limit"},
		{"capabilities are a JSON array", func() string { b := make([]byte, 99); n, _ := f.Capabilities(b); return string(bytes.TrimSpace(b[:n])) }, `[{"kind":"dir","path":"/data","mode":"read"}]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.do(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
