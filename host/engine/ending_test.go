package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
)

// Ending says how a guest ended before its files are closed, and once.
func TestEnding(t *testing.T) {
	e := newEngine(t, Config{})
	for _, tc := range []struct {
		name     string
		code     []byte
		limit    func(*abi.Limits)
		byItself bool
	}{
		{"returns", nil, nil, true},
		{"traps", []byte{0x00}, nil, false},
		{"runs out of fuel", []byte{0x03, 0x40, 0x0c, 0, 0x0b}, func(l *abi.Limits) { l.Fuel = 1000 }, false},
		{"runs out of time", []byte{0x03, 0x40, 0x0c, 0, 0x0b}, func(l *abi.Limits) { l.Time = 10 * time.Millisecond }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []bool
			res := runWith(t, load(t, e, command(tc.code...)), func(c *RunConfig) {
				c.Ending = func(byItself bool) { got = append(got, byItself) }
				if tc.limit != nil {
					tc.limit(&c.Limits)
				}
			})
			if len(got) != 1 || got[0] != tc.byItself {
				t.Errorf("told %v, want %v; ended with %q", got, tc.byItself, res.ErrorType)
			}
		})
	}
}

// Work under Stopping ends with the run.
func TestStopping(t *testing.T) {
	e := newEngine(t, Config{})
	row := abi.Function{Module: "bench", Name: "f"}
	var before, after error
	e.reg.funcs["bench"] = map[string]*hostFunc{"f": {row: row, body: func(c *Call) abi.Code {
		ctx := c.Run.Stopping()
		before = ctx.Err()
		<-ctx.Done()
		after = ctx.Err()
		c.Run.Charge(0)
		t.Error("the guest goes on")
		return abi.CodeOK
	}}}
	m := load(t, e, cat([]byte(header), sec(1, vec([]byte{0x60, 0, 1, 0x7f}, []byte{0x60, 0, 0})), sec(2, vec(cat(str("bench"), str("f"), []byte{0, 0}))),
		sec(3, vec([]byte{1})), sec(5, vec([]byte{0, 1})), sec(7, vec(cat(str("_start"), []byte{0, 1}), cat(str("memory"), []byte{2, 0}))),
		sec(10, vec(fn(noLocals, 0x10, 0, 0x1a)))))
	res := runWith(t, m, func(c *RunConfig) { c.Limits.Time = 20 * time.Millisecond })
	if res.ErrorType != abi.ErrDeadline || before != nil || !errors.Is(after, context.Canceled) {
		t.Errorf("ended with %q; the context's error was %v and became %v", res.ErrorType, before, after)
	}
}
