package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Status is what is known about a run.
type Status string

// The statuses of a run.
const (
	StatusOK          Status = "ok"
	StatusError       Status = "error"       // a typed error, or a non-zero exit code
	StatusRunning     Status = "running"     // no end yet, and the host that began it lives
	StatusInterrupted Status = "interrupted" // no end, and the host that began it is gone
	// StatusUnknown is a run without an end whose host cannot be seen from
	// here: it began in another PID namespace, such as a container's.
	StatusUnknown Status = "unknown"
)

// Run is a begin entry with its end entry.
type Run struct {
	ID     uint64    `json:"id"` // sequence number of the begin entry
	Time   time.Time `json:"time"`
	Status Status    `json:"status"`
	Begin  RunBegin  `json:"begin"`
	End    *RunEnd   `json:"end"` // nil when there is none
}

// RunQuery selects runs; every field that is set narrows the choice.
type RunQuery struct {
	Cartridge string    // a name, or at least 6 leading hex digits of a digest, of either case, with or without "sha256:"
	Program   string    // as logged
	Since     time.Time // begun at or after
	Until     time.Time // begun before
	Status    []Status  // one of these; nil for any
	Asked     bool      // asked for by somebody, not one with which the host checked itself
	Oldest    bool      // oldest first instead of newest first
	Limit     int       // at most so many; 0 for no limit
}

// minDigest is the shortest digest prefix that a query takes for one.
const minDigest = 6

func (q *RunQuery) wants(r *Run) bool {
	if q.Program != "" && q.Program != r.Begin.Program || q.Asked && r.Begin.Purpose != "" {
		return false
	}
	if len(q.Status) > 0 && !slices.Contains(q.Status, r.Status) {
		return false
	}
	if q.Cartridge == "" || q.Cartridge == r.Begin.Name {
		return true
	}
	want := q.digest()
	return len(want) >= minDigest && strings.HasPrefix(strings.TrimPrefix(r.Begin.Cartridge, "sha256:"), want)
}

// digest is q.Cartridge as the beginning of a digest.
func (q *RunQuery) digest() string {
	return strings.ToLower(strings.TrimPrefix(q.Cartridge, "sha256:"))
}

// excludes reports, without decoding it, that a begin entry cannot be wanted:
// most of a long log is passed over this way. A body with escapes in it is
// never excluded, since what is looked for may be written as one.
func (q *RunQuery) excludes(body []byte) bool {
	if bytes.IndexByte(body, '\\') >= 0 {
		return false
	}
	return q.Program != "" && plain(q.Program) && !bytes.Contains(body, []byte(q.Program)) ||
		q.Cartridge != "" && plain(q.Cartridge) && !bytes.Contains(body, []byte(q.Cartridge)) && !bytes.Contains(body, []byte(q.digest()))
}

// plain reports whether s stands in JSON as it is.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// leading returns the value of the first member of a body when its name is
// key and it is a number or a string without escapes, and nil otherwise: the
// id of a run and the digest of a cartridge stand first, so that finding them
// costs no parsing.
func leading(body []byte, key string) []byte {
	rest, ok := bytes.CutPrefix(body, []byte(`{"`+key+`":`))
	if !ok {
		return nil
	}
	end := bytes.IndexAny(rest, ",}")
	if rest = rest[:max(end, 0)]; len(rest) >= 2 && rest[0] == '"' && rest[len(rest)-1] == '"' {
		rest = rest[1 : len(rest)-1]
	}
	if len(rest) == 0 || bytes.ContainsAny(rest, `"\[{`) {
		return nil
	}
	return rest
}

// Runs folds begin and end entries of log into runs, in the order in which
// they began. It works on one snapshot and holds only the entries of runs that
// overlap. An error takes the place of a run or of an entry that cannot be
// read; iteration goes on after it where it can.
func Runs(ctx context.Context, log Log, q RunQuery) iter.Seq2[Run, error] {
	return runs(ctx, log.Read, q)
}

// Runs is [Runs] over a view.
func (v *View) Runs(ctx context.Context, q RunQuery) iter.Seq2[Run, error] {
	return runs(ctx, v.Read, q)
}

type reader func(context.Context, Range) iter.Seq2[Entry, error]

var runTypes = []string{TypeBegin, TypeEnd}

func runs(ctx context.Context, read reader, q RunQuery) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		left := q.Limit
		emit := func(begin Entry, end *Entry) bool {
			if q.excludes(begin.Body) {
				return true
			}
			r, err := join(begin, end)
			if err != nil {
				return yield(Run{}, err)
			}
			if !q.wants(&r) {
				return true
			}
			left--
			return yield(r, nil) && left != 0
		}
		fail := func(err error) bool { return yield(Run{}, err) }
		if q.Oldest {
			runsForward(ctx, read, q, emit, fail)
		} else {
			runsBackward(ctx, read, q, emit, fail)
		}
	}
}

// runsBackward meets each end before its begin. An end lies above its begin,
// so bounds on the begin's time leave the upper end of the reading open.
func runsBackward(ctx context.Context, read reader, q RunQuery, emit func(Entry, *Entry) bool, fail func(error) bool) {
	ends := map[uint64]*Entry{}
	for e, err := range read(ctx, Range{Since: q.Since, Types: runTypes, Newest: true}) {
		switch {
		case err != nil:
			if !fail(err) {
				return
			}
		case e.Type == TypeEnd:
			id, err := endOf(e)
			if err != nil {
				if !fail(err) {
					return
				}
				continue
			}
			ends[id] = &e
		case e.Type == TypeBegin:
			end := ends[e.Seq]
			delete(ends, e.Seq)
			if !q.Until.IsZero() && !e.Time.Before(q.Until) {
				continue
			}
			if !emit(e, end) {
				return
			}
		}
	}
}

// runsForward reads twice: first to learn which runs never ended, so that the
// second reading, which hands runs out in the order of their beginning, never
// waits for an end that does not come.
func runsForward(ctx context.Context, read reader, q RunQuery, emit func(Entry, *Entry) bool, fail func(error) bool) {
	var head uint64
	open := map[uint64]bool{}
	for e, err := range read(ctx, Range{Since: q.Since, Types: runTypes}) {
		if err != nil {
			continue // reported by the second reading
		}
		head = e.Seq
		if e.Type == TypeBegin {
			open[e.Seq] = true
		} else if id, err := endOf(e); err == nil {
			delete(open, id)
		}
	}
	type pending struct {
		begin Entry
		end   *Entry
	}
	var queue []*pending
	wait := map[uint64]*pending{}
	for e, err := range read(ctx, Range{Since: q.Since, Before: head + 1, Types: runTypes}) {
		switch {
		case err != nil:
			if !fail(err) {
				return
			}
		case e.Type == TypeBegin:
			if q.Until.IsZero() || e.Time.Before(q.Until) {
				p := &pending{begin: e}
				queue = append(queue, p)
				wait[e.Seq] = p
			} else if len(queue) == 0 {
				return
			}
		default:
			id, err := endOf(e)
			if err != nil {
				if !fail(err) {
					return
				}
			} else if p := wait[id]; p != nil && p.end == nil {
				p.end = &e
			}
		}
		for len(queue) > 0 && (queue[0].end != nil || open[queue[0].begin.Seq]) {
			p := queue[0]
			queue = queue[1:]
			delete(wait, p.begin.Seq)
			if !emit(p.begin, p.end) {
				return
			}
		}
	}
	for _, p := range queue { // their ends could not be read
		if !emit(p.begin, p.end) {
			return
		}
	}
}

// endOf returns the id of the run that e ends.
func endOf(e Entry) (uint64, error) {
	var end struct {
		Run uint64 `json:"run"`
	}
	if id, err := strconv.ParseUint(string(leading(e.Body, "run")), 10, 64); err == nil {
		end.Run = id
	} else if err := e.Decode(&end); err != nil {
		return 0, err
	}
	if end.Run == 0 || end.Run >= e.Seq {
		return 0, fmt.Errorf("entry %d ends run %d, which had not begun", e.Seq, end.Run)
	}
	return end.Run, nil
}

func join(begin Entry, end *Entry) (Run, error) {
	r := Run{ID: begin.Seq, Time: begin.Time}
	if err := begin.Decode(&r.Begin); err != nil {
		return r, err
	}
	if end != nil {
		r.End = new(RunEnd)
		if err := end.Decode(r.End); err != nil {
			return r, err
		}
		if r.End.Run != r.ID {
			return r, fmt.Errorf("entry %d names two runs: %d and %d", end.Seq, r.ID, r.End.Run)
		}
		r.Status = StatusError
		if r.End.Result == ResultOK {
			r.Status = StatusOK
		}
		return r, nil
	}
	switch r.Begin.Proc.state() {
	case alive:
		r.Status = StatusRunning
	case unseen:
		r.Status = StatusUnknown
	default:
		r.Status = StatusInterrupted
	}
	return r, nil
}

// ParseStatus reads one of the statuses.
func ParseStatus(s string) (Status, error) {
	switch st := Status(s); st {
	case StatusOK, StatusError, StatusRunning, StatusInterrupted, StatusUnknown:
		return st, nil
	}
	return "", errors.New("a run's status is ok, error, running, interrupted or unknown")
}
