package pixelfs

import (
	"errors"
	"io/fs"
	"os"
)

// Errors that callers branch on, wrapped in a [*fs.PathError] or [*os.LinkError] that names
// the file. Beside them: fs.ErrNotExist, fs.ErrExist, fs.ErrInvalid, fs.ErrClosed,
// [*NameError], and those of package pxi for damaged or unsupported files.
var (
	// ErrQuota says that the store would grow over its quota.
	ErrQuota = errors.New("the storage quota is used up: prune versions, empty the trash or raise the quota")
	// ErrBusy says that another process is editing the file.
	ErrBusy = errors.New("another process is editing it: try again when that has ended")
	// ErrReadOnly says that the store, or the handle, was opened for reading.
	ErrReadOnly = errors.New("it was opened for reading only")
	// ErrVersion says that the file is not the version that PutOptions.IfVersion names.
	ErrVersion = errors.New("the file has changed: it is another version now")
	// ErrIsDir says that the name is that of a directory.
	ErrIsDir = errors.New("it is a directory")
	// ErrNotDir says that a directory was needed and the name is that of a file.
	ErrNotDir = errors.New("it is not a directory")
	// ErrNotEmpty says that a directory cannot be removed or replaced.
	ErrNotEmpty = errors.New("the directory is not empty")
	// ErrTooLarge says that a file would be larger than MaxSize.
	ErrTooLarge = errors.New("the file would be too large")
	// ErrForeign says that something the store did not make stands in the way.
	ErrForeign = errors.New("something that is no pixel file stands at this place: fsck names it")
	// ErrTwin says that a name differs from an existing one only in ways that this
	// disk does not tell apart.
	ErrTwin = errors.New("a name that this disk takes for the same exists already")
)

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var ne *NameError
	if errors.As(err, &ne) {
		return err
	}
	// The places of the store mean nothing to its user.
	for {
		switch e := err.(type) {
		case *fs.PathError:
			if e.Op == op && e.Path == name {
				return e
			}
			err = e.Err
			continue
		case *os.LinkError:
			err = e.Err
			continue
		}
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
}
