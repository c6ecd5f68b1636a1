package infinitemap

import (
	"errors"
	"fmt"
)

var (
	// ErrReadOnly means that a change was asked of a map opened for reading, or of a snapshot.
	ErrReadOnly = errors.New("the map is open for reading only")
	// ErrBusy means that another process, or another Map of this one, is the writer.
	ErrBusy = errors.New("another writer has the map open")
	// ErrClosed means that the map was used after Close.
	ErrClosed = errors.New("the map is closed")
)

// RectError says why a region cannot be read or written.
type RectError struct {
	X, Y, W, H int64
	Msg        string
}

func (e *RectError) Error() string {
	return fmt.Sprintf("region of %d x %d pixels at (%d,%d): %s", e.W, e.H, e.X, e.Y, e.Msg)
}

// TileError names a tile that cannot be read and the file that should hold it. Other
// tiles are not affected. Writing all of a damaged tile replaces it.
type TileError struct {
	Level  int
	TX, TY int64  // in tiles of that level
	File   string // name inside the map's directory
	Err    error
}

func (e *TileError) Error() string {
	return fmt.Sprintf("tile (%d,%d) of level %d in %s: %v", e.TX, e.TY, e.Level, e.File, e.Err)
}

func (e *TileError) Unwrap() error { return e.Err }

// IndexError says that a part of the index cannot be read, so that some tiles cannot
// be found. What lies outside the damaged part is not affected.
type IndexError struct {
	File string
	Err  error
}

func (e *IndexError) Error() string { return fmt.Sprintf("index %s: %v", e.File, e.Err) }

func (e *IndexError) Unwrap() error { return e.Err }

// FormatError says that a file of a map breaks INFINITEMAP.md.
type FormatError struct {
	File   string
	Offset int64 // in the file's original bytes
	Msg    string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: byte %d: %s", e.File, e.Offset, e.Msg)
}

// UnsupportedError says that a map was written by a newer version.
type UnsupportedError struct {
	File string
	Msg  string
}

func (e *UnsupportedError) Error() string { return e.File + ": " + e.Msg }

// SpillError says that changed tiles could not be moved out of memory. They are all
// still there; the call that returned the error changed nothing that it did not say.
type SpillError struct{ Err error }

func (e *SpillError) Error() string {
	return fmt.Sprintf("cannot move changed tiles to the disk, they stay in memory: %v", e.Err)
}

func (e *SpillError) Unwrap() error { return e.Err }

// NameError says why a snapshot cannot have a name.
type NameError struct{ Name, Msg string }

func (e *NameError) Error() string { return fmt.Sprintf("snapshot name %q: %s", e.Name, e.Msg) }

// CommitError says that a flush failed at its very last step: whether the new state or
// the one before it survives a power cut is not known. Both are whole, and the changes
// are still in memory, so that a further Flush settles it.
type CommitError struct{ Err error }

func (e *CommitError) Error() string {
	return fmt.Sprintf("cannot tell whether the flush reached the disk, flush again: %v", e.Err)
}

func (e *CommitError) Unwrap() error { return e.Err }

// ConflictError lists tiles that were changed both in an overlay and in the map below
// it since the overlay copied them. Nothing was kept.
type ConflictError struct{ Tiles []TileID }

func (e *ConflictError) Error() string {
	t := e.Tiles[0]
	return fmt.Sprintf("%d tiles were changed below the overlay too, the first is (%d,%d)", len(e.Tiles), t.TX, t.TY)
}
