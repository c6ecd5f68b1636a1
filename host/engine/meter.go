package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine/wasmbin"
)

// slice is the fuel handed to a guest at a time. A unit stands for at most 128
// operators, so a guest comes back for more after at most four million, and that is
// when a deadline is noticed: within milliseconds. The refill itself costs less than a
// hundredth of the shortest slice.
const slice = 1 << 15

// stop reasons, in Run.stop.
const (
	running int32 = iota
	stopDeadline
	stopCancelled
	stopAborted // the engine decided; Run.abort says why
)

// abortError ends a guest from inside a host function: it is thrown as a panic,
// which wazero turns into the error of the call.
type abortError struct {
	kind abi.ErrorType
	msg  string
}

func (e *abortError) Error() string { return e.msg }

// arm returns the first meter value of a run.
func (r *Run) arm() int64 {
	r.given = min(slice, r.limits.Fuel)
	return wasmbin.Pack(r.given, r.limits.Stack/wasmbin.StackUnit)
}

// account books what the guest used of its slice. m is the meter as the guest left
// it.
func (r *Run) account(m int64) (stack int64) {
	fuel, stack := wasmbin.Unpack(m)
	r.used += r.given - fuel
	r.given = 0
	r.used += r.debt
	r.debt = 0
	return stack
}

// refill is the import that an instrumented guest calls when its slice or its stack
// is used up. It returns a fresh meter or does not return.
func (r *Run) refill(m int64) int64 {
	stack := r.account(m)
	r.checkStop()
	if r.used > r.limits.Fuel {
		r.throwFuel()
	}
	if stack < 0 {
		panic(&abortError{abi.ErrStack, fmt.Sprintf("call stack exceeds its limit of %s", abi.FormatBytes(r.limits.Stack))})
	}
	r.given = min(slice, r.limits.Fuel-r.used)
	return wasmbin.Pack(r.given, stack)
}

func (r *Run) throwFuel() {
	panic(&abortError{abi.ErrFuel, fmt.Sprintf("fuel limit of %d units reached", r.limits.Fuel)})
}

// checkStop aborts the guest when its time is over or its caller gave up.
func (r *Run) checkStop() {
	if s := r.stop.Load(); s != running {
		panic(r.stopError(s))
	}
}

func (r *Run) stopError(s int32) error {
	switch s {
	case stopDeadline:
		return &abortError{abi.ErrDeadline, fmt.Sprintf("time limit of %v reached", r.limits.Time)}
	case stopAborted:
		if e := r.abort.Load(); e != nil {
			return e
		}
	}
	return &abortError{abi.ErrCancelled, "run was cancelled"}
}

// enter is called first by every host function: it counts the call, charges for it
// and stops the guest if it must.
func (r *Run) enter(index int) {
	r.calls[index]++
	r.debt += hostCallFuel
	r.settle()
}

// hostCallFuel is charged for every host call, copyUnit is how many bytes a host
// copies for one unit.
const (
	hostCallFuel = 32
	copyUnit     = 32
)

// Charge books n bytes that the host reads or writes for the guest.
func (r *Run) Charge(n uint64) {
	r.debt += int64(n/copyUnit) + 1
	r.settle()
}

// settle looks at the debt of host calls before the guest comes back for fuel, so
// that a guest which does nothing but call the host is stopped as well.
func (r *Run) settle() {
	if r.stop.Load() != running {
		r.checkStop()
	}
	if r.used+r.debt > r.limits.Fuel {
		r.throwFuel()
	}
}

// watch stops the run at its deadline and when ctx is cancelled. The returned
// function ends the watch.
func (r *Run) watch(ctx context.Context, started time.Time) (unwatch func()) {
	halt := func(reason int32) {
		if r.stop.CompareAndSwap(running, reason) {
			close(r.stopped)
		}
	}
	left := r.limits.Time - time.Since(started)
	timer := time.AfterFunc(max(left, 0), func() { halt(stopDeadline) })
	cancel := context.AfterFunc(ctx, func() { halt(stopCancelled) })
	return func() { timer.Stop(); cancel() }
}

// sleep waits for d or until the run is stopped, whichever is first.
func (r *Run) sleep(d int64) {
	if d <= 0 {
		return
	}
	if r.clock.virtual {
		r.clock.advance(d)
		return
	}
	t := time.NewTimer(time.Duration(d))
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.stopped:
		r.checkStop()
	}
}

// clock is what a run knows of time: the machine's, or with a seed a virtual one
// that moves by one resolution step at each look and by the length of each sleep.
type clock struct {
	virtual bool
	begin   time.Time
	base    int64 // virtual: nanoseconds since 1970 at the beginning
	elapsed int64 // virtual: nanoseconds since the beginning
}

// advance moves a virtual clock, by at least one step so that a guest which waits for
// a time gets there.
func (c *clock) advance(d int64) { c.elapsed += d - d%abi.ClockResolution + abi.ClockResolution }

func (c *clock) real() int64 {
	if c.virtual {
		c.elapsed += abi.ClockResolution
		return c.base + c.elapsed
	}
	t := time.Now().UnixNano()
	return t - t%abi.ClockResolution
}

func (c *clock) monotonic() int64 {
	if c.virtual {
		c.elapsed += abi.ClockResolution
		return c.elapsed
	}
	t := int64(time.Since(c.begin))
	return t - t%abi.ClockResolution
}
