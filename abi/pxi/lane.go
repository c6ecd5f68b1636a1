package pxi

import (
	"crypto/sha256"
	"hash"
	"sync"
	"sync/atomic"
)

const (
	chunkSize = 256 << 10 // data that move through a pipeline at once
	inlineMax = 32 << 10  // less than this is hashed on the spot
	smallSize = 16 << 10  // the first chunk of a file; below inlineMax
)

// A lane hashes chunks, in order, beside the goroutine that makes them. Its
// goroutine lives only while something is to be hashed, so a writer that is
// given up leaves nothing running. It never touches memory that it did not
// get from get or external.
type lane struct {
	h    hash.Hash
	room int // bytes a chunk holds
	free chan *chunk
	made int

	mu      sync.Mutex
	idle    sync.Cond
	queue   []*chunk
	running bool
}

// A chunk is a buffer with two owners at most: who filled it and who hashes it.
type chunk struct {
	buf  []byte // HeaderSize bytes, then room bytes
	b    []byte // what is to be hashed
	refs atomic.Int32
}

var chunkPool = sync.Pool{New: func() any { return &chunk{buf: make([]byte, HeaderSize+chunkSize)} }}

var smallPool = sync.Pool{New: func() any { return &chunk{buf: make([]byte, HeaderSize+smallSize)} }}

func newLane(room int) *lane {
	l := &lane{h: sha256.New(), room: room, free: make(chan *chunk, 4)}
	l.idle.L = &l.mu
	return l
}

// get gives a chunk to fill. It waits while as many as may exist are in use:
// four, or two of those above 1 MiB, so that memory stays bounded.
func (l *lane) get() *chunk {
	var c *chunk
	limit := cap(l.free)
	if l.room > 1<<20 {
		limit = 2
	}
	select {
	case c = <-l.free:
	default:
		switch {
		case l.made >= limit:
			c = <-l.free
		case l.room <= chunkSize:
			l.made++
			c = chunkPool.Get().(*chunk)
		default:
			l.made++
			c = &chunk{buf: make([]byte, HeaderSize+l.room)}
		}
	}
	c.refs.Store(1)
	c.b = nil
	return c
}

// put ends one use of c.
func (l *lane) put(c *chunk) {
	if c.refs.Add(-1) == 0 && c.buf != nil {
		l.free <- c
	}
}

// hash takes c.b into the sum. c must not be changed before put.
func (l *lane) hash(c *chunk) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running && len(c.b) < inlineMax {
		l.h.Write(c.b)
		return
	}
	c.refs.Add(1)
	l.queue = append(l.queue, c)
	if !l.running {
		l.running = true
		go l.work()
	}
}

// external hashes memory of the caller, who must wait before it changes.
func (l *lane) external(b []byte) {
	c := &chunk{b: b}
	c.refs.Store(1)
	l.hash(c)
	l.put(c)
}

func (l *lane) work() {
	l.mu.Lock()
	for len(l.queue) > 0 {
		c := l.queue[0]
		l.queue = append(l.queue[:0], l.queue[1:]...)
		l.mu.Unlock()
		l.h.Write(c.b)
		l.put(c)
		l.mu.Lock()
	}
	l.running = false
	l.idle.Broadcast()
	l.mu.Unlock()
}

// wait returns when everything handed over has been hashed.
func (l *lane) wait() {
	l.mu.Lock()
	for l.running {
		l.idle.Wait()
	}
	l.mu.Unlock()
}

// sum waits and gives the digest.
func (l *lane) sum() (sum [32]byte) {
	l.wait()
	l.h.Sum(sum[:0])
	return sum
}

// release waits and gives the buffers back; the lane is not used afterwards.
func (l *lane) release() {
	l.wait()
	for {
		select {
		case c := <-l.free:
			if len(c.buf) == HeaderSize+chunkSize {
				chunkPool.Put(c)
			}
		default:
			return
		}
	}
}
