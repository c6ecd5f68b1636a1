package wasmbin

import "fmt"

// FormatError reports a module that is not valid WebAssembly. Offset is the
// byte position in the module at which the fault was noticed; Func is the
// function index (imports first) or -1 outside function bodies.
type FormatError struct {
	Offset int64
	Func   int
	Msg    string
}

// Error names the fault and where it is.
func (e *FormatError) Error() string {
	if e.Func >= 0 {
		return fmt.Sprintf("invalid wasm: %s (function %d, offset %#x)", e.Msg, e.Func, e.Offset)
	}
	return fmt.Sprintf("invalid wasm: %s (offset %#x)", e.Msg, e.Offset)
}

// RefusedError reports a module that may be valid WebAssembly but is not run
// here: it needs a proposal the engine does not have, or its shape would cost
// the compiler more than the limits allow.
type RefusedError struct {
	// Reason is a stable identifier, such as "nested-blocks" or
	// "proposal-threads"; programs may branch on it.
	Reason string
	// Detail says in words what was found and what to do about it.
	Detail string
	// Func is the function index (imports first), or -1.
	Func int
	// Offset is the byte position in the module, or -1.
	Offset int64
	// Limit and Value are the bound and what was found; both zero for refusals
	// that are not about a quantity.
	Limit, Value int64
}

// Error starts with the reason, so that logs can be searched for it.
func (e *RefusedError) Error() string {
	s := fmt.Sprintf("module refused: %s: %s", e.Reason, e.Detail)
	if e.Limit != 0 || e.Value != 0 {
		s += fmt.Sprintf(": found %d, the limit is %d", e.Value, e.Limit)
	}
	if e.Func >= 0 {
		s += fmt.Sprintf(" (function %d)", e.Func)
	}
	return s
}

// proposal builds the refusal for a WebAssembly proposal outside the engine.
func proposal(name string, off int, fn int) error {
	return &RefusedError{
		Reason: "proposal-" + name,
		Detail: "the module uses the WebAssembly proposal " + name + ", which this engine does not run; rebuild it without",
		Func:   fn,
		Offset: int64(off),
	}
}
