package pxa

import (
	"errors"
	"fmt"
)

// ErrNotPXA matches (errors.Is) the errors about files that are no PNG
// picture at all.
var ErrNotPXA = errors.New("not a .pxa file")

// ErrAltered matches the errors about pictures in which the archive cannot be
// found or does not belong to the cover: resized, cropped, recoloured and
// lossy copies, edited ones, and pictures that never were cartridges.
var ErrAltered = errors.New("not a faithful copy of a cartridge")

// A FormatError reports that a file breaks a rule of PXA.md.
type FormatError struct {
	ID  string // the rule, such as "PXA-H4"
	Off int64  // byte offset in the file, or in the archive for rules about it; -1 when no single place is to blame
	Msg string

	kind error
}

func (e *FormatError) Error() string {
	if e.Off < 0 {
		return fmt.Sprintf("pxa: %s (%s)", e.Msg, e.ID)
	}
	return fmt.Sprintf("pxa: %s (%s, offset %d)", e.Msg, e.ID, e.Off)
}

// Unwrap gives [ErrNotPXA], [ErrAltered] or nil.
func (e *FormatError) Unwrap() error { return e.kind }

// An UnsupportedError reports a file that may be valid but needs something
// that this version does not have, such as a newer format or another codec.
type UnsupportedError struct {
	ID  string
	Msg string
}

func (e *UnsupportedError) Error() string { return fmt.Sprintf("pxa: %s (%s)", e.Msg, e.ID) }

// A LimitError reports a file that asks for more than the [Limits] in force.
type LimitError struct {
	What     string // what was counted, such as "entries"
	Got, Max int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("pxa: %s: %d is over the limit of %d", e.What, e.Got, e.Max)
}

func formatErr(id string, off int64, format string, args ...any) error {
	return &FormatError{ID: id, Off: off, Msg: fmt.Sprintf(format, args...)}
}

func alteredErr(id string, off int64, format string, args ...any) error {
	return &FormatError{ID: id, Off: off, Msg: fmt.Sprintf(format, args...), kind: ErrAltered}
}

func unsupported(id, format string, args ...any) error {
	return &UnsupportedError{ID: id, Msg: fmt.Sprintf(format, args...)}
}
