package host

import (
	"context"
	"testing"

	"github.com/pxos/pxos/abi"
)

// newHost returns a host with its state in a temporary directory that runs inline.
func newHost(t testing.TB, change func(*Config)) *Host {
	t.Helper()
	cfg := Config{Home: t.TempDir(), Isolation: IsolationInline}
	if change != nil {
		change(&cfg)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func openProbe(t testing.TB, name string, wasm []byte) *Cartridge {
	t.Helper()
	data, err := probeCartridge(context.Background(), name, wasm)
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenCartridgeBytes(context.Background(), data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestProbes(t *testing.T) {
	for _, interp := range []bool{false, true} {
		h := newHost(t, func(c *Config) { c.Interpreter = interp })
		c := openProbe(t, "probe-result", probeResult())
		res, err := h.Run(context.Background(), c, RunRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if !res.Success || string(res.Result) != "42" {
			t.Errorf("result: %+v", res)
		}
		res, err = h.Run(context.Background(), openProbe(t, "probe-loop", probeLoop()), RunRequest{Limits: abi.Limits{Fuel: 1e6}})
		if err != nil || res.ErrorType != abi.ErrFuel {
			t.Errorf("loop: %+v %v", res, err)
		}
	}
}

func TestValidateGenesis(t *testing.T) {
	h := newHost(t, nil)
	h.Use(openProbe(t, "probe-result", probeResult()), RunRequest{})
	rep, err := h.ValidateGenesis(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range rep.Checks {
		t.Logf("%s %s: %v %s", k.Clause, k.Name, k.Passed, k.Evidence)
	}
}
