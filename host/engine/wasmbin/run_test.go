package wasmbin

import (
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// errOut is what the test host panics with when a guest has used up its meter.
var errOut = errors.New("meter is empty")

// meterHost is the host's side of the meter: it hands fuel out in slices.
type meterHost struct {
	total, slice int64 // fuel left outside the meter; size of a slice
	stack        int64
	used         int64 // fuel consumed
	granted      int64 // fuel of the current slice
	ended        bool  // the guest was stopped, all it used is booked
}

func (h *meterHost) refill(_ context.Context, m api.Module, meter int64) int64 {
	fuel, stack := Unpack(meter)
	h.used += h.granted - fuel
	h.granted = 0
	if stack < 0 || h.used > h.total {
		h.ended = true
		panic(errOut)
	}
	if fuel < 0 {
		fuel = 0
	}
	h.granted = min(h.slice, h.total-h.used)
	return Pack(h.granted, stack)
}

// consumed returns the fuel used so far, from the meter of the module.
func (h *meterHost) consumed(m api.Module) int64 {
	if h.ended {
		return h.used
	}
	fuel, _ := Unpack(int64(m.ExportedGlobal(MeterGlobal).Get()))
	return h.used + h.granted - fuel
}

func newMeterHost() *meterHost {
	return &meterHost{total: 1 << 40, slice: 1 << 20, stack: 1 << 16}
}

// arm sets the meter of a module for its first slice.
func (h *meterHost) arm(m api.Module) {
	h.granted = min(h.slice, h.total)
	m.ExportedGlobal(MeterGlobal).(api.MutableGlobal).Set(uint64(Pack(h.granted, h.stack)))
}

// install makes the meter module of a runtime.
func (h *meterHost) install(t testing.TB, ctx context.Context, r wazero.Runtime) {
	t.Helper()
	_, err := r.NewHostModuleBuilder(MeterModule).NewFunctionBuilder().WithFunc(h.refill).Export(RefillName).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
}

func mustInstrument(t testing.TB, wasm []byte) *Output {
	t.Helper()
	m, err := Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	o, err := Instrument(m, Options{TableLimit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func engines() map[string]wazero.RuntimeConfig {
	return map[string]wazero.RuntimeConfig{
		"compiler":    wazero.NewRuntimeConfigCompiler(),
		"interpreter": wazero.NewRuntimeConfigInterpreter(),
	}
}
