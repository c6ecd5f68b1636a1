package host

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// workerFile returns a file of the cartridge for a worker process. What was read
// into memory and verified there goes into a sealed memory file, which nobody can
// change.
func (c *Cartridge) workerFile() (*os.File, error) {
	if c.file != nil {
		return c.file, nil
	}
	c.memMu.Lock()
	defer c.memMu.Unlock()
	if c.mem != nil {
		return c.mem, nil
	}
	fd, err := unix.MemfdCreate("cartridge", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("create memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "cartridge")
	if _, err := f.Write(c.data); err != nil {
		f.Close()
		return nil, fmt.Errorf("fill memory file: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE); err != nil {
		f.Close()
		return nil, fmt.Errorf("seal memory file: %w", err)
	}
	c.mem = f
	return f, nil
}
