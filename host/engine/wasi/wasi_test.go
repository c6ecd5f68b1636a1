package wasi

import (
	"context"
	"sort"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

func TestTable(t *testing.T) {
	if !sort.StringsAreSorted(Names()) {
		t.Fatalf("names are not sorted: %v", Names())
	}
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	cm, err := wasi_snapshot_preview1.NewBuilder(r).Compile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defs := cm.ExportedFunctions()
	if len(defs) != len(table) {
		t.Errorf("wazero has %d functions, the table %d", len(defs), len(table))
	}
	for i := range table {
		d := defs[table[i].name]
		if d == nil {
			t.Errorf("wazero has no %s", table[i].name)
			continue
		}
		params, results := table[i].signature()
		if string(params) != string(d.ParamTypes()) || string(results) != string(d.ResultTypes()) {
			t.Errorf("%s: type %v %v, wazero's is %v %v", table[i].name, params, results, d.ParamTypes(), d.ResultTypes())
		}
	}
}

func TestSmoke(t *testing.T) {
	engines(t, func(t *testing.T, r wazero.Runtime) {
		for _, module := range []string{Preview1, Unstable} {
			g := newGuest(t, r, module, &Run{}, wazero.NewModuleConfig().WithArgs("a", "bc"))
			g.fill()
			g.ok("args_sizes_get", 8, 16)
			if g.u32(8) != 2 || g.u32(16) != 5 {
				t.Fatalf("argc %d, size %d", g.u32(8), g.u32(16))
			}
		}
	})
}
