package journal

import (
	"errors"
	"fmt"
)

// Errors that callers branch on; test with errors.Is.
var (
	// ErrFull means that the entry was not appended because the disk, the
	// quota or the file size limit is used up. The log is as it was before.
	ErrFull = errors.New("no room left for the journal")
	// ErrBusy means that another process held the writer lock for longer than
	// [Options.LockTimeout].
	ErrBusy = errors.New("journal is locked by another process")
	// ErrConflict means that a [Guard] found an entry its caller has not seen.
	ErrConflict = errors.New("journal has moved on")
	// ErrTooBig means that the entry would need more than [MaxRecord] bytes.
	ErrTooBig = errors.New("journal entry is too big")
	// ErrInvalid means that the type or the body of a draft cannot be stored.
	ErrInvalid = errors.New("invalid journal entry")
	// ErrClosed means that the log was closed.
	ErrClosed = errors.New("journal is closed")
	// ErrUnsupported means that a newer format version wrote the bytes.
	ErrUnsupported = errors.New("unsupported journal format")
	// ErrCorrupt marks every [*Fault] but a torn tail.
	ErrCorrupt = errors.New("journal is damaged")
	// ErrTorn marks the fault of bytes after the last whole entry: an append
	// was cut off. The next append sets them aside and goes on.
	ErrTorn = errors.New("journal ends in a torn entry")
	// ErrShort marks the fault of a log that ends before a saved head.
	ErrShort = errors.New("journal is shorter than its saved head")
	// ErrRewritten marks the fault of a log whose entry at the saved head's
	// sequence number is another one.
	ErrRewritten = errors.New("journal is not the one its saved head came from")
)

// Fault is a place where the log is not what was written. It matches
// [ErrCorrupt] and, where one applies, the narrower of [ErrTorn], [ErrShort]
// and [ErrRewritten] (a torn tail matches ErrTorn only).
type Fault struct {
	Segment uint64 // segment number, from 1
	Offset  int64  // byte offset in the segment
	Seq     uint64 // sequence number expected there; 0 where it is not known
	Kind    error  // ErrCorrupt, ErrTorn, ErrShort, ErrRewritten or ErrUnsupported
	Detail  string // what was found
}

// Error names the kind, the place and what was found there.
func (f *Fault) Error() string {
	where := fmt.Sprintf("segment %d, byte %d", f.Segment, f.Offset)
	if f.Seq != 0 {
		where += fmt.Sprintf(", entry %d", f.Seq)
	}
	return fmt.Sprintf("%v (%s): %s", f.Kind, where, f.Detail)
}

// Is makes every fault but a torn tail and an unsupported format match
// ErrCorrupt beside its kind.
func (f *Fault) Is(target error) bool {
	return target == f.Kind || target == ErrCorrupt && (f.Kind == ErrShort || f.Kind == ErrRewritten)
}
