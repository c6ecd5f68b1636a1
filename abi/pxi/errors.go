package pxi

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNotPXI matches (errors.Is) the errors about files that are neither a
// PXIF container nor a PNG picture.
var ErrNotPXI = errors.New("not a .pxi file")

// A FormatError reports a file that breaks a rule of PXI.md in its header,
// its trailer or its length.
type FormatError struct {
	ID     string // the rule, such as "PXI-H4"
	Offset int64  // in the file; -1 when no single place is to blame
	Msg    string

	kind error
}

func (e *FormatError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("pxi: %s (%s)", e.Msg, e.ID)
	}
	return fmt.Sprintf("pxi: %s (%s, offset %d)", e.Msg, e.ID, e.Offset)
}

// Unwrap gives [ErrNotPXI] or nil.
func (e *FormatError) Unwrap() error { return e.kind }

// An UnsupportedError reports a file that may be valid but needs something
// this version does not have: a newer format, another compression, a larger
// picture.
type UnsupportedError struct {
	ID  string
	Msg string
}

func (e *UnsupportedError) Error() string { return fmt.Sprintf("pxi: %s (%s)", e.Msg, e.ID) }

// FaultKind says which check failed.
type FaultKind string

// The kinds of faults in the content of a file.
const (
	FaultBlock      FaultKind = "block"      // blocks that do not match their CRC-32C, or do not unpack (PXI-D2, PXI-D4)
	FaultDigest     FaultKind = "digest"     // the data do not match the SHA-256 of the header (PXI-D1)
	FaultPadding    FaultKind = "padding"    // bytes behind the data that are not zero (PXI-D3)
	FaultUnreadable FaultKind = "unreadable" // blocks that the storage could not give; Err is its error
	FaultStructure  FaultKind = "structure"  // header or trailer; Err is the *FormatError or *UnsupportedError
)

// A Fault is one damaged stretch of a file. Neighbouring blocks with the same
// kind of fault are one Fault.
type Fault struct {
	Kind FaultKind

	Block  int64 // first damaged block; -1 where blocks are not the measure
	Blocks int64 // how many, in a row
	Offset int64 // first byte of the data affected
	Length int64 // bytes of data affected; for padding, from the first to the last byte that is not zero

	FileOffset int64 // where the stretch starts in the file
	FirstRow   int64 // first pixel row of the picture affected, counted from 0; -1 when none is
	LastRow    int64 // last one

	Err error // cause, where there is one beside the failed check
}

// String names the place: block, bytes and pixel rows.
func (f Fault) String() string {
	var b strings.Builder
	switch f.Kind {
	case FaultBlock, FaultUnreadable:
		if f.Blocks == 1 {
			fmt.Fprintf(&b, "block %d", f.Block)
		} else {
			fmt.Fprintf(&b, "blocks %d to %d", f.Block, f.Block+f.Blocks-1)
		}
		fmt.Fprintf(&b, " (bytes %d to %d, pixel rows %d to %d)", f.Offset, f.Offset+f.Length-1, f.FirstRow, f.LastRow)
		switch {
		case f.Kind == FaultUnreadable:
			b.WriteString(" cannot be read")
		case f.Err != nil:
			b.WriteString(" cannot be unpacked")
		default:
			b.WriteString(" damaged: CRC-32C differs")
		}
	case FaultDigest:
		fmt.Fprintf(&b, "the data (%d bytes, pixel rows %d to %d) do not match the SHA-256 in the header", f.Length, f.FirstRow, f.LastRow)
	case FaultPadding:
		fmt.Fprintf(&b, "bytes behind the data are not zero (file offset %d, pixel rows %d to %d)", f.FileOffset, f.FirstRow, f.LastRow)
	default:
		b.WriteString(string(f.Kind))
	}
	if f.Err != nil {
		fmt.Fprintf(&b, ": %v", f.Err)
	}
	return b.String()
}

// A CorruptError reports content that does not match its checks, or cannot be
// read. Faults is never empty; a read that stops at the first fault holds one.
type CorruptError struct {
	Faults []Fault
}

func (e *CorruptError) Error() string {
	s := "pxi: " + e.Faults[0].String()
	if n := len(e.Faults) - 1; n > 0 {
		s += fmt.Sprintf(", and %d more faults", n)
	}
	return s
}

// Unwrap gives the causes of the faults that have one.
func (e *CorruptError) Unwrap() []error {
	var errs []error
	for _, f := range e.Faults {
		if f.Err != nil {
			errs = append(errs, f.Err)
		}
	}
	return errs
}

func formatErr(id string, off int64, format string, args ...any) error {
	return &FormatError{ID: id, Offset: off, Msg: fmt.Sprintf(format, args...)}
}

func unsupported(id, format string, args ...any) error {
	return &UnsupportedError{ID: id, Msg: fmt.Sprintf(format, args...)}
}
