package worker

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// newCartridgeFile makes the file that carries a cartridge to a worker: memory that
// fillCartridgeFile seals, so that afterwards nobody can change it.
func newCartridgeFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("cartridge", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("create memory file: %w", err)
	}
	return os.NewFile(uintptr(fd), "cartridge"), nil
}

func fillCartridgeFile(f *os.File, data []byte) error {
	if _, err := f.WriteAt(data, 0); err != nil {
		return fmt.Errorf("fill memory file: %w", err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE); err != nil {
		return fmt.Errorf("seal memory file: %w", err)
	}
	return nil
}
