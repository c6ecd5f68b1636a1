//go:build !linux

package worker

import (
	"fmt"
	"os"
)

// newCartridgeFile makes the file that carries a cartridge to a worker: a temporary
// file that has no name any more, so that no other program can open it.
func newCartridgeFile() (*os.File, error) {
	f, err := os.CreateTemp("", "pxos-cartridge-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name())
	return f, nil
}

func fillCartridgeFile(f *os.File, data []byte) error {
	if _, err := f.WriteAt(data, 0); err != nil {
		return fmt.Errorf("write temporary cartridge: %w", err)
	}
	return nil
}
