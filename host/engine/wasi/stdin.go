package wasi

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
)

const (
	maxRead  = 64 << 10
	pollRead = 4 << 10 // what is read ahead when a guest asks if there is input
)

// Source makes a blocking reader, such as the standard input of the process,
// usable by runs that can be stopped. It reads only when a run wants input, at
// most what the run asked for, and keeps bytes that came after the run was
// stopped for the next one. It owns at most one goroutine, which lives until
// its Read returns. A Source is safe for concurrent use; concurrent runs share
// the input like processes that share a terminal.
type Source struct {
	r      io.Reader
	direct bool // Read never blocks

	mu   sync.Mutex
	buf  []byte
	err  error         // reported once, after buf; then r is asked again
	busy bool          // a goroutine is reading
	wake chan struct{} // closed when it is done
}

// NewSource returns a source over r, which nobody else may read from then on.
func NewSource(r io.Reader) *Source {
	s := &Source{r: r}
	switch r := r.(type) {
	case *bytes.Reader, *bytes.Buffer, *strings.Reader:
		s.direct = true
	case *os.File:
		fi, err := r.Stat()
		s.direct = err == nil && fi.Mode().IsRegular()
	}
	return s
}

// Stdin is the standard input of one run. It is an io.Reader for
// ModuleConfig.WithStdin, and belongs into [Run.Stdin] too.
type Stdin struct {
	src  *Source
	stop <-chan struct{}
}

// NewStdin returns the standard input of one run over its own [Source].
func NewStdin(r io.Reader, stop <-chan struct{}) *Stdin {
	return NewSource(r).Stdin(stop)
}

// Stdin returns a view of the source for one run, whose reads end with
// [ErrStopped] when stop is closed.
func (s *Source) Stdin(stop <-chan struct{}) *Stdin { return &Stdin{s, stop} }

// want starts a read of up to n bytes unless there is something already. It
// returns nil if there is, else a channel that is closed when there may be.
func (s *Source) want(n int) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.buf) > 0 || s.err != nil:
		return nil
	case s.direct:
		s.buf, s.err = readSome(s.r, n)
		return nil
	case !s.busy:
		s.busy, s.wake = true, make(chan struct{})
		go func() {
			b, err := readSome(s.r, n)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.buf, s.err, s.busy = b, err, false
			close(s.wake)
		}()
	}
	return s.wake
}

// readSome reads until there are bytes or an error.
func readSome(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	for range 100 {
		if k, err := r.Read(b); k > 0 || err != nil {
			return b[:k], err
		}
	}
	return nil, io.ErrNoProgress
}

// take moves buffered bytes, or the error after them, to the caller.
func (s *Source) take(p []byte) (n int, err error, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.buf) > 0 {
		n = copy(p, s.buf)
		s.buf = s.buf[n:]
		return n, nil, true
	}
	if err = s.err; err != nil {
		s.err = nil
		return 0, err, true
	}
	return 0, nil, false
}

// Read implements io.Reader. It waits for input or for stop, whichever is
// first. After io.EOF, another Read asks the source again, as on a terminal.
func (in *Stdin) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		select {
		case <-in.stop:
			return 0, ErrStopped
		default:
		}
		if n, err, ok := in.src.take(p); ok {
			return n, err
		}
		if in.src.direct {
			return in.src.r.Read(p)
		}
		ch := in.src.want(min(len(p), maxRead))
		if ch == nil {
			continue
		}
		select {
		case <-ch:
		case <-in.stop:
			return 0, ErrStopped
		}
	}
}

// demand starts reading ahead; see want.
func (in *Stdin) demand() <-chan struct{} { return in.src.want(pollRead) }

// ready reports whether a Read would return at once.
func (in *Stdin) ready() bool {
	in.src.mu.Lock()
	defer in.src.mu.Unlock()
	return len(in.src.buf) > 0 || in.src.err != nil
}

// buffered returns how many bytes are there, and whether the end is.
func (in *Stdin) buffered() (n uint64, end bool) {
	in.src.mu.Lock()
	defer in.src.mu.Unlock()
	return uint64(len(in.src.buf)), len(in.src.buf) == 0 && in.src.err != nil
}

// Poll implements wazero's experimental sys.Pollable for input. A negative
// timeout waits without end.
func (in *Stdin) Poll(flag sys.Pflag, timeoutMillis int32) (bool, sys.Errno) {
	if flag != sys.POLLIN {
		return false, sys.ENOTSUP
	}
	ch := in.demand()
	if ch == nil {
		return true, 0
	}
	var timer <-chan time.Time
	if timeoutMillis >= 0 {
		t := time.NewTimer(time.Duration(timeoutMillis) * time.Millisecond)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ch:
		return true, 0
	case <-timer:
		return false, 0
	case <-in.stop:
		return false, sys.EINTR
	}
}
