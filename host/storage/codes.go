package storage

import (
	"errors"
	"io/fs"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/engine/vfs"
	"github.com/pxos/pxos/host/infinitemap"
	"github.com/pxos/pxos/host/pixelfs"
	"github.com/tetratelabs/wazero/experimental/sys"
)

// answer is one row of the table from errors to what guests get: as the code of a host
// function, and as an error number in the directory.
type answer struct {
	err   error
	code  abi.Code
	errno sys.Errno
}

// answers is the one place where errors of the stores become those of the contract. The
// first row that matches counts.
var answers = []answer{
	{errDenied, abi.CodeDenied, sys.EACCES},
	{errReadOnly, abi.CodeDenied, sys.EROFS},
	{errBusy, abi.CodeBusy, vfs.EBUSY},
	{errInvalid, abi.CodeInvalid, vfs.EBUSY}, // only of granted paths themselves
	{errUnsupported, abi.CodeUnsupported, sys.ENOTSUP},
	{errCut, abi.CodeIO, sys.EIO},

	{pixelfs.ErrQuota, abi.CodeLimit, vfs.ENOSPC},
	{pixelfs.ErrTooLarge, abi.CodeLimit, vfs.EFBIG},
	{pixelfs.ErrBusy, abi.CodeBusy, vfs.EBUSY},
	{pixelfs.ErrReadOnly, abi.CodeDenied, sys.EROFS},
	{pixelfs.ErrIsDir, abi.CodeInvalid, sys.EISDIR},
	{pixelfs.ErrNotDir, abi.CodeNotFound, sys.ENOTDIR},
	{pixelfs.ErrNotEmpty, abi.CodeExists, sys.ENOTEMPTY},
	{pixelfs.ErrTwin, abi.CodeExists, sys.EEXIST},
	{pixelfs.ErrForeign, abi.CodeIO, sys.EIO},
	{pixelfs.ErrVersion, abi.CodeBusy, vfs.EBUSY},

	{infinitemap.ErrQuota, abi.CodeLimit, vfs.ENOSPC},
	{infinitemap.ErrReadOnly, abi.CodeBadHandle, sys.EBADF},
	{infinitemap.ErrClosed, abi.CodeBadHandle, sys.EBADF},
	{infinitemap.ErrBusy, abi.CodeBusy, vfs.EBUSY},

	{disk.ErrFault, abi.CodeCorrupt, sys.EIO},
	{fs.ErrNotExist, abi.CodeNotFound, sys.ENOENT},
	{fs.ErrExist, abi.CodeExists, sys.EEXIST},
	{fs.ErrInvalid, abi.CodeInvalid, sys.EINVAL},
	{fs.ErrClosed, abi.CodeBadHandle, sys.EBADF},
}

// found returns the answer to an error that is not nil.
func found(err error) answer {
	var (
		name        *pixelfs.NameError
		page        *pixelfs.PageError
		corrupt     *pxi.CorruptError
		format      *pxi.FormatError
		unsupported *pxi.UnsupportedError

		rect      *infinitemap.RectError
		mapName   *infinitemap.NameError
		tile      *infinitemap.TileError
		index     *infinitemap.IndexError
		mapFormat *infinitemap.FormatError
		newer     *infinitemap.UnsupportedError
		spill     *infinitemap.SpillError
		commit    *infinitemap.CommitError
	)
	switch {
	case errors.As(err, &name):
		return answer{err, abi.CodeInvalid, badName(name)}
	case errors.As(err, &rect), errors.As(err, &mapName):
		return answer{err, abi.CodeInvalid, sys.EINVAL}
	case errors.As(err, &spill), errors.As(err, &commit):
		return answer{err, abi.CodeIO, sys.EIO} // whatever lies beneath, the change is kept in memory
	case errors.As(err, &corrupt), errors.As(err, &format), errors.As(err, &page),
		errors.As(err, &tile), errors.As(err, &index), errors.As(err, &mapFormat):
		return answer{err, abi.CodeCorrupt, sys.EIO}
	case errors.As(err, &unsupported), errors.As(err, &newer):
		return answer{err, abi.CodeUnsupported, sys.ENOTSUP}
	}
	for _, a := range answers {
		if errors.Is(err, a.err) {
			return a
		}
	}
	if disk.IsFull(err) {
		return answer{err, abi.CodeIO, vfs.ENOSPC}
	}
	return answer{err, abi.CodeIO, sys.EIO}
}

// eilseq is the preview 1 number of a name that is not a sequence of characters the
// store can hold.
const eilseq = vfs.EBUSY&^0xff | 25

// badName is the error number of a name that no file can have.
func badName(err *pixelfs.NameError) sys.Errno {
	if len(err.Name) > pixelfs.MaxName {
		return sys.ENAMETOOLONG
	}
	parts, longest := 1, 0
	at := 0
	for i := 0; i <= len(err.Name); i++ {
		if i == len(err.Name) || err.Name[i] == '/' {
			longest = max(longest, i-at)
			at = i + 1
			parts++
		}
	}
	if longest > pixelfs.MaxPart || parts-1 > pixelfs.MaxDepth {
		return sys.ENAMETOOLONG
	}
	return eilseq
}

// codeOf gives the code of an error. An abi.Code is its own.
func codeOf(err error) abi.Code {
	if err == nil {
		return abi.CodeOK
	}
	if c, ok := err.(abi.Code); ok {
		return c
	}
	return found(err).code
}

// errnoOf gives the error number of an error.
func errnoOf(err error) sys.Errno {
	if err == nil {
		return 0
	}
	return found(err).errno
}

// body makes the body of a host function from one that answers with an error.
func body(module string, f func(s *Session, c *engine.Call) error) engine.Func {
	return func(c *engine.Call) abi.Code {
		s, ok := c.Run.Service(module).(*Session)
		if !ok {
			return abi.CodeUnsupported
		}
		// The guest is stopped by a panic, which must leave the session usable: Close
		// follows.
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return abi.CodeInternal // of a run that is over; its guest ends at once
		}
		return codeOf(f(s, c))
	}
}
