// Package hostile attacks the host with what a stranger could send it, and breaks the
// ground under it: modules made to exhaust a compiler or a machine, host calls with
// every bad pointer, full disks, killed processes, damaged caches, cartridges that
// change while they are read.
//
// Whatever happens must be an outcome with a type, a message and a hint; no panic, no
// process left behind, and no difference to anybody else's run. The modules are made
// by the tests themselves, byte by byte (wasm_test.go), because no compiler would.
package hostile
