// Package host implements abi.Hypervisor: it opens cartridges, decides with the
// owner's policy what a run is given, runs programs in package engine, and writes
// every run to the journal before it starts and after it ended.
//
// A [Host] opens nothing until it is needed, so that a command which only inspects a
// cartridge pays for no engine. Files:
//
//	cartridge.go  opening .pxa files and bare WebAssembly
//	host.go       the host, its configuration and its parts
//	run.go        one run from request to journal
//	hypervisor.go the abi.Hypervisor methods on the current cartridge
//	genesis.go    the Genesis checks that can be made here
package host

import (
	"fmt"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine"
)

// Version is the version of this host.
const Version = "0.1.0"

// Error is a failure of the host to do its part, with what to do about it.
type Error = engine.Error

func errorf(kind abi.ErrorType, hint, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Type: kind, Msg: err.Error(), Hint: hint, Err: err}
}
