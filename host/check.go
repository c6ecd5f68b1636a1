package host

import (
	"context"
	"fmt"
	"io"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/storage"
)

// CartridgeError gives an error of the pxa package the type and the hint that it has
// when OpenCartridge returns it.
func CartridgeError(err error) error { return cartridgeError(err) }

// ProgramError says why a program of a cartridge cannot run on this host.
type ProgramError struct {
	Program string // full name
	Module  string // path of its module
	Err     error
}

func (e *ProgramError) Error() string { return "program " + e.Program + ": " + e.Err.Error() }

// Unwrap returns the reason, an *Error unless the module cannot be read.
func (e *ProgramError) Unwrap() error { return e.Err }

// maxChecked is the largest module that CheckPrograms reads.
const maxChecked = 256 << 20

// CheckPrograms finds what keeps the programs of a manifest from running on this
// version of the host, whatever its owner allows: damaged modules, imports that it
// does not offer, exports that are not there. Nothing is compiled and nothing runs.
// The function open opens a module and gives its size; modules of more than 256 MiB
// are not looked into. The error is that of an engine that cannot start.
func CheckPrograms(ctx context.Context, m *abi.Manifest, open func(module string) (io.ReadCloser, int64, error)) ([]*ProgramError, error) {
	eng, err := engine.New(engine.Config{Interpreter: true, Families: storage.Families()})
	if err != nil {
		return nil, err
	}
	var (
		out    []*ProgramError
		module string // that wasm holds
		wasm   []byte
	)
	for _, p := range m.Programs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if p.Module != module || wasm == nil {
			if wasm, err = readModule(p.Module, open); err != nil {
				out = append(out, &ProgramError{p.Name, p.Module, err})
				continue
			}
			module = p.Module
		}
		if wasm == nil {
			continue
		}
		src := engine.Source{Read: func() ([]byte, error) { return wasm, nil }}
		if err := eng.Check(src, abi.MaxLimits(), p.Export); err != nil {
			out = append(out, &ProgramError{p.Name, p.Module, err})
		}
	}
	return out, eng.Close(ctx)
}

// readModule returns nil for a module that is too large.
func readModule(module string, open func(string) (io.ReadCloser, int64, error)) ([]byte, error) {
	r, size, err := open(module)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if size > maxChecked {
		return nil, nil
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("%s: %w", module, err)
	}
	return b, nil
}
