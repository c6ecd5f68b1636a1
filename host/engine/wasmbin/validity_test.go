package wasmbin

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// engineTakes tells whether wazero's decoder and validator accept a module.
func engineTakes(wasm []byte) error {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	_, err := r.CompileModule(ctx, wasm)
	return err
}

// stricter tells whether an error is about a rule of the specification that the
// engine does not check: names of custom sections, constants that read mutable
// globals, unused bits of numbers, select with a type in dead code, and
// instruction numbers, of which it reads one byte.
func stricter(err error, wasm []byte) bool {
	for _, s := range []string{"name is not UTF-8", "not an imported constant", "instruction 0xfd", "instruction 0xfc", "does not fit in"} {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return strings.Contains(err.Error(), "type mismatch") && bytes.Contains(wasm, []byte{opSelectT, 1})
}

// sameVerdict checks that instrumenting changes nothing about validity, and
// returns the error of Parse or Instrument.
func sameVerdict(t *testing.T, name string, wasm []byte) error {
	t.Helper()
	m, err := Parse(wasm)
	var o *Output
	if err == nil {
		for _, tab := range m.Tables() {
			if tab.Min > 1<<20 {
				return nil // the engine allocates as much
			}
		}
		if err = Scan(m, DefaultScanLimits()); err == nil {
			o, err = Instrument(m, Options{})
		}
	}
	var refused *RefusedError
	if errors.As(err, &refused) {
		return err
	}
	if err != nil {
		if !stricter(err, wasm) && engineTakes(wasm) == nil {
			t.Errorf("%s: the engine takes what is called invalid here: %v", name, err)
		}
		return err
	}
	want := engineTakes(withoutCustoms(wasm))
	for what, b := range map[string][]byte{"instrumented": o.Wasm, "twin": o.Twin} {
		if got := engineTakes(b); (got == nil) != (want == nil) {
			if want != nil && strings.Contains(want.Error(), "unsupported misc instruction") {
				continue // valid, but only readable in the shortest form that Instrument writes
			}
			t.Errorf("%s: the engine says %v to the original and %v to the %s", name, want, got, what)
		}
	}
	return nil
}

func TestValidityOfSpecModules(t *testing.T) {
	dir := specDir(t)
	for _, set := range []struct{ dir, refusal string }{
		{"v1", ""}, {"v2", ""},
		{"threads", "proposal-threads"}, {"tail-call", "proposal-tail-call"}, {"exception-handling", "proposal-exception-handling"},
		{"extended-const", "proposal-extended-const"}, {"typed-function-references", "proposal-"},
	} {
		files, err := filepath.Glob(filepath.Join(dir, set.dir, "testdata", "*.wasm"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no modules in %s: %v", set.dir, err)
		}
		named := 0
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var refused *RefusedError
			if errors.As(sameVerdict(t, filepath.Base(f), b), &refused) && set.refusal != "" && strings.HasPrefix(refused.Reason, set.refusal) {
				named++
			}
		}
		if set.refusal != "" && named == 0 {
			t.Errorf("%s: no module was refused as %s", set.dir, set.refusal)
		}
	}
}

// TestValidityOfMutants changes bytes of the code of the spec's modules: most
// results are invalid in some small way, and must stay so.
func TestValidityOfMutants(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(specDir(t), "v2", "testdata", "*.wasm"))
	rnd := rand.New(rand.NewPCG(1, 2))
	rounds := 20_000
	if testing.Short() {
		rounds = 4000
	}
	valid := 0
	for n := 0; n < rounds; {
		f := files[rnd.IntN(len(files))]
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(b)
		if err != nil || len(m.code) == 0 || len(b) > 4000 {
			continue
		}
		n++
		for range 1 + rnd.IntN(2) {
			c := m.code[rnd.IntN(len(m.code))].body
			at := c.start + rnd.IntN(c.end-c.start)
			switch rnd.IntN(3) {
			case 0:
				b[at] = byte(rnd.IntN(256))
			case 1:
				b[at] += byte(rnd.IntN(5) - 2)
			case 2:
				b[at] = []byte{opEnd, opElse, opBr, opBrIf, opReturn, opUnreachable, opDrop, opLoop, opBlock, opIf, 0x40, 0, 1}[rnd.IntN(13)]
			}
		}
		if sameVerdict(t, filepath.Base(f), b) == nil {
			valid++
		}
		if t.Failed() {
			t.Fatalf("mutant %d of %s: %x", n, filepath.Base(f), b)
		}
	}
	if valid < rounds/50 {
		t.Errorf("only %d of %d mutants were valid; the test sees too little", valid, rounds)
	}
}
