//go:build !(linux || darwin || freebsd || dragonfly || windows)

package disk

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func free(*os.File) (int64, error) {
	return 0, fmt.Errorf("free space cannot be asked for on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
