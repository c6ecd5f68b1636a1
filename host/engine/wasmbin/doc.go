// Package wasmbin reads WebAssembly modules and rewrites them for the engine.
//
// Parse reads a module strictly, Scan refuses the shapes that make a compiler
// explode (WASMBIN.md lists them with measurements), and Instrument makes a
// module that counts its fuel and stack in an exported global and asks the host
// when either runs out (FUEL.md specifies that). The output comes with a twin:
// the same module with empty bodies, which an engine that has the machine code
// already decodes in a fraction of the time.
//
// The package depends on no engine. It accepts what the WebAssembly core
// specification, version 2, calls valid, and names the proposal for anything
// beyond. Input is taken to be hostile: every function is linear in its size,
// allocates no more than a small multiple of it, and returns a *FormatError for
// an invalid module and a *RefusedError for one that is valid or may be, but is
// not run here.
package wasmbin
