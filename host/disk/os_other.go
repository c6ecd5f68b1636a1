//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package disk

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

var errNotDir = errors.New("not a directory")

// lock refuses: without a lock that dies with its holder two writers would meet, and a
// store that may be wrong is worse than none.
func lock(*os.File, LockMode) (bool, error) { return false, missing("file locks") }

func unlock(*os.File) error { return nil }

func isFull(error) bool { return false }

func notSyncable(error) bool { return false }

func mapFile(*os.File, int) (*mapping, error) { return nil, missing("mapped files") }

func unmap([]byte) error { return nil }

func missing(what string) error {
	return fmt.Errorf("%s are not available on %s: %w", what, runtime.GOOS, errors.ErrUnsupported)
}
