package journal

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a [Log] that lives in memory and is gone with it: a fake for
// tests. It is deterministic: the same appends at the same times give the same
// hashes.
type Memory struct {
	now func() time.Time

	mu      sync.Mutex
	closed  bool
	entries []Entry
	tail    tail
}

var _ Log = (*Memory)(nil)

// NewMemory returns an empty log with the given clock; nil means time.Now.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	h := header{width: DefaultWidth, segment: 1, firstSeq: 1}
	h.encode()
	return &Memory{now: now, tail: emptyTail(&h)}
}

// Append implements [Log].
func (m *Memory) Append(ctx context.Context, d Draft) (Entry, error) {
	body, tint, err := d.Normalize()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Entry{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Entry{}, ErrClosed
	}
	if g := d.Guard; g != nil {
		for _, e := range m.entries[min(g.After, uint64(len(m.entries))):] {
			if strings.HasPrefix(e.Type, g.Prefix) {
				return Entry{}, fmt.Errorf("%w: entry %d of type %q is newer than %d", ErrConflict, e.Seq, e.Type, g.After)
			}
		}
	}
	r := record{tint: tint, typ: []byte(d.Type), body: body, seq: m.tail.seq + 1, time: max(m.now().UnixNano(), m.tail.time)}
	raw := appendRecord(nil, &r, &m.tail.hash)
	m.tail = tailAt(&r, m.tail.end+int64(len(raw)))
	e := Entry{Seq: r.seq, Time: time.Unix(0, r.time).UTC(), Type: d.Type, Body: body, Hash: r.hash, Tint: tint}
	m.entries = append(m.entries, e)
	e.Body = bytes.Clone(body)
	return e, nil
}

// Head implements [Log]; the segment is always 1.
func (m *Memory) Head(ctx context.Context) (Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Head{}, ErrClosed
	}
	return Head{Seq: m.tail.seq, Segment: 1, Size: m.tail.end, Hash: m.tail.hash}, ctx.Err()
}

// Read implements [Log].
func (m *Memory) Read(ctx context.Context, r Range) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		m.mu.Lock()
		all, closed := m.entries, m.closed
		m.mu.Unlock()
		if closed {
			yield(Entry{}, ErrClosed)
			return
		}
		order := slices.All(all)
		if r.Newest {
			order = slices.Backward(all)
		}
		left := r.Limit
		for _, e := range order {
			if err := ctx.Err(); err != nil {
				yield(Entry{}, err)
				return
			}
			if !r.Selects(e) {
				continue
			}
			e.Body = bytes.Clone(e.Body)
			if left--; !yield(e, nil) || left == 0 {
				return
			}
		}
	}
}

// Close implements [Log].
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
