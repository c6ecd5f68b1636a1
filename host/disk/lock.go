package disk

import "os"

// TryLock takes an advisory lock on an open file without waiting and says whether it
// could. The lock belongs to the open file: it excludes those of other processes and of
// other handles in this one, and goes when the file is closed or the process ends.
// Taking it again on the same handle changes it between shared and exclusive, which
// need not be one step.
func TryLock(f *os.File, exclusive bool) (bool, error) {
	if exclusive {
		return lock(f, Exclusive)
	}
	return lock(f, Shared)
}

// Unlock releases what TryLock took.
func Unlock(f *os.File) error { return unlock(f) }

// IsFull reports whether err says that there is no room: the disk, the user's quota or
// the largest possible file is exhausted.
func IsFull(err error) bool { return isFull(err) }
