package engine

import (
	"context"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
)

// A guest that a Run had to leave behind, in the middle of a host call that cannot be
// interrupted, keeps its memory and code until it ends, also when the engine is closed.
func TestCloseWithGuestLeftBehind(t *testing.T) {
	for _, tc := range []struct {
		name  string
		early bool // the call returns while the engine is being closed
	}{{"ends during close", true}, {"ends after close", false}} {
		t.Run(tc.name, func(t *testing.T) {
			e, err := New(Config{})
			if err != nil {
				t.Fatal(err)
			}
			row := abi.Function{Module: "bench", Name: "f", Params: []abi.Param{{Name: "data", Kind: abi.Bytes}}}
			called, hold, written := make(chan struct{}), make(chan struct{}), make(chan struct{})
			e.reg.funcs["bench"] = map[string]*hostFunc{"f": {row: row, body: func(c *Call) abi.Code {
				close(called)
				<-hold
				for i := range c.Bytes(0) { // crashes the process where the memory is gone
					c.Bytes(0)[i] = 1
				}
				close(written)
				return abi.CodeOK
			}}}
			limits := abi.DefaultLimits()
			m, err := e.Load(context.Background(), source(callLoop(1, 2)), limits)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				<-called // only then is there something to leave behind
				cancel()
			}()
			res, err := m.Run(ctx, &RunConfig{Program: "test:main", Export: "_start", Argv: []string{"test"}, Limits: limits})
			if err != nil {
				t.Fatal(err)
			}
			if res.ErrorType != abi.ErrCancelled {
				t.Errorf("ended with %q %s", res.ErrorType, res.Error)
			}
			if m.active.Load() != 1 {
				t.Error("the guest was not left behind")
			}
			if tc.early {
				time.AfterFunc(50*time.Millisecond, func() { close(hold) })
			}
			if err := e.Close(context.Background()); err != nil {
				t.Error(err)
			}
			if !tc.early {
				close(hold)
			}
			<-written
		})
	}
}
