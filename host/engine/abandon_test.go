package engine

import (
	"context"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
)

// A guest that a Run had to leave behind, in the middle of one long instruction, keeps
// its memory and code until it ends, also when the engine is closed.
func TestCloseWithGuestLeftBehind(t *testing.T) {
	// memory.grow(8191) then memory.fill over all of it, eight times.
	code := []byte{0x41, 0xff, 0x3f, 0x40, 0, 0x1a}
	for range 8 {
		code = append(code, 0x41, 0, 0x41, 1, 0x41, 0x80, 0x80, 0x80, 0x80, 0x02, 0xfc, 11, 0)
	}
	for range 3 {
		e, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		limits := abi.DefaultLimits()
		limits.Memory, limits.Time = 1<<30, time.Millisecond
		m, err := e.Load(context.Background(), source(command(code...)), limits)
		if err != nil {
			t.Fatal(err)
		}
		res := runWith(t, m, func(c *RunConfig) { c.Limits = limits })
		if res.ErrorType != abi.ErrDeadline {
			t.Errorf("ended with %q %s", res.ErrorType, res.Error)
		}
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
