package engine

import (
	"slices"
	"testing"

	"github.com/pxos/pxos/abi"
)

// A trap names the functions on the stack, innermost first, by the names of the
// original module.
func TestTrace(t *testing.T) {
	wasm := cat([]byte(header), sec(1, vec([]byte{0x60, 0, 0})), sec(3, vec([]byte{0}, []byte{0})), sec(5, vec([]byte{0, 1})),
		sec(7, vec(cat(str("_start"), []byte{0, 1}))),
		sec(10, vec(fn(noLocals, 0x00), fn(noLocals, 0x10, 0))),
		sec(0, cat(str("name"), sec(1, vec(cat(uleb(0), str("culprit")), cat(uleb(1), str("main")))))))
	res := runWith(t, load(t, newEngine(t, Config{}), wasm), nil)
	if res.ErrorType != abi.ErrTrap || !slices.Equal(res.Trace, []string{"culprit", "main"}) {
		t.Errorf("%s %q, trace %q", res.ErrorType, res.Error, res.Trace)
	}
}
