//go:build !linux

package host

import (
	"fmt"
	"os"
)

// workerFile returns a file of the cartridge for a worker process: what was read
// into memory and verified there goes into a temporary file that has no name any
// more when the worker gets it.
func (c *Cartridge) workerFile() (*os.File, error) {
	if c.file != nil {
		return c.file, nil
	}
	c.memMu.Lock()
	defer c.memMu.Unlock()
	if c.mem != nil {
		return c.mem, nil
	}
	f, err := os.CreateTemp("", "pxos-cartridge-*")
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name())
	if _, err := f.Write(c.data); err != nil {
		f.Close()
		return nil, fmt.Errorf("write temporary cartridge: %w", err)
	}
	c.mem = f
	return f, nil
}
