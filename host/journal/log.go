package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"
)

// Log is what the rest of the host needs of a journal. [Journal] is the
// embedded implementation, on files; another engine takes its place by
// implementing these four methods and passing package journaltest.
//
// Implementations are safe for concurrent use. Entries have sequence numbers
// 1, 2, 3 … without a gap, and times that never go back.
type Log interface {
	// Append stores one entry and returns it as stored. When it returns an
	// error, the entry is not in the log.
	Append(ctx context.Context, d Draft) (Entry, error)
	// Head names the newest entry; its Seq is 0 in an empty log.
	Head(ctx context.Context) (Head, error)
	// Read iterates over a snapshot of the log that is taken when iteration
	// starts. An error takes the place of an entry that cannot be read;
	// iteration goes on after it where it can.
	Read(ctx context.Context, r Range) iter.Seq2[Entry, error]
	// Close releases what the log holds; appending and reading then fail with
	// ErrClosed.
	Close() error
}

// Entry is one entry of the log.
type Entry struct {
	Seq  uint64          `json:"seq"`  // 1 for the first entry ever
	Time time.Time       `json:"time"` // UTC, nanoseconds
	Type string          `json:"type"` // such as "run.begin"
	Body json.RawMessage `json:"body"` // an object, exactly as stored
	Hash Hash            `json:"hash"` // chains over all entries before
	Tint [3]byte         `json:"-"`    // the RGB colour of the entry in pictures
}

// Draft is an entry before it is stored.
type Draft struct {
	// Type is 1 to 64 bytes: lower-case letters, digits, dots, dashes and
	// underscores, such as "registry.promote". The part before the first dot
	// is the owner of the type.
	Type string
	// Body is marshalled to JSON; the result must be an object. A
	// json.RawMessage is stored compacted.
	Body any
	// Sync asks for the entry (and all before it) to be on the disk when
	// Append returns, whatever the log's policy.
	Sync bool
	// Tint is the entry's RGB colour in pictures; when zero it follows from
	// the type.
	Tint [3]byte
	// Guard, when not nil, makes the append conditional.
	Guard *Guard
}

// Guard makes an append fail with [ErrConflict] when the log holds an entry
// newer than After whose type begins with Prefix: a writer that folds over
// "registry." entries decides on what it has read up to After, and its decision
// is stored only if nobody was faster. Entries of other types do not disturb
// it. The empty prefix stands for every entry.
type Guard struct {
	Prefix string
	After  uint64
}

// Range selects entries. The zero Range is the whole log, oldest first.
type Range struct {
	After  uint64    // only entries with a greater sequence number
	Before uint64    // only entries with a smaller one; 0 for no bound
	Since  time.Time // only entries at or after this time; zero for no bound
	Until  time.Time // only entries before this time; zero for no bound
	Types  []string  // only types that begin with one of these; nil for all
	Newest bool      // newest first
	Limit  int       // at most so many entries; 0 for no limit
}

// wantsType reports whether typ passes r.Types.
func (r *Range) wantsType(typ []byte) bool {
	if len(r.Types) == 0 {
		return true
	}
	for _, p := range r.Types {
		if len(typ) >= len(p) && string(typ[:len(p)]) == p {
			return true
		}
	}
	return false
}

// Selects reports whether e is in the range, Limit aside. It is for
// implementations of [Log] that do not come with indexes of their own.
func (r Range) Selects(e Entry) bool {
	return e.Seq > r.After && (r.Before == 0 || e.Seq < r.Before) &&
		(r.Since.IsZero() || !e.Time.Before(r.Since)) && (r.Until.IsZero() || e.Time.Before(r.Until)) &&
		r.wantsType([]byte(e.Type))
}

// Normalize checks a draft and returns its stored form: the body as compact
// JSON without control characters, and the tint. It is for implementations of
// [Log]; failures match [ErrInvalid] or [ErrTooBig].
func (d Draft) Normalize() (body json.RawMessage, tint [3]byte, err error) {
	if !validType(d.Type) {
		return nil, tint, fmt.Errorf("%w: type %q is not 1 to %d lower-case letters, digits, dots, dashes and underscores", ErrInvalid, clip(d.Type, 80), MaxType)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d.Body); err != nil {
		return nil, tint, fmt.Errorf("%w: body of %q: %v", ErrInvalid, d.Type, err)
	}
	body = bytes.TrimSuffix(buf.Bytes(), []byte{'\n'})
	if !plainBody(body) {
		return nil, tint, fmt.Errorf("%w: body of %q is not a JSON object", ErrInvalid, d.Type)
	}
	if size := recordSize(len(d.Type), len(body)); size > MaxRecord {
		return nil, tint, fmt.Errorf("%w: %q needs %d bytes, the limit is %d", ErrTooBig, d.Type, size, MaxRecord)
	}
	tint = d.Tint
	if tint == [3]byte{} {
		tint = tintOf(d.Type)
	}
	return body, tint, nil
}

// Decode unmarshals the body of e into v, naming the entry when it fails.
func (e Entry) Decode(v any) error {
	if err := json.Unmarshal(e.Body, v); err != nil {
		return fmt.Errorf("entry %d of type %q: %w", e.Seq, e.Type, err)
	}
	return nil
}
