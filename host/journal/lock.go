package journal

import (
	"os"

	hostdisk "github.com/pxos/pxos/host/disk"
)

// tryLock takes the lock of the log's lock file; where the system has none that dies
// with its holder it fails: two hosts would interleave halves of records, and a log
// that may be wrong is worse than none.
func tryLock(f *os.File, exclusive bool) (bool, error) { return hostdisk.TryLock(f, exclusive) }

func unlock(f *os.File) error { return hostdisk.Unlock(f) }

func isFull(err error) bool { return hostdisk.IsFull(err) }
