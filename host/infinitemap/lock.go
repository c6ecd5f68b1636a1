package infinitemap

import (
	"sync"
	"sync/atomic"
)

// rwlock is a lock for many readers or one writer that takes and gives back either with
// one atomic step when nobody else wants it. Setting a single pixel takes less time than
// the four steps that sync.RWMutex needs for a writer, and a map has mostly one goroutine
// that sets pixels. Whoever has to wait does so on a condition; a waiting writer keeps
// new readers out, and the readers who waited for a writer go before the next.
type rwlock struct {
	state atomic.Int64 // readers inside, held, queued

	mu      sync.Mutex // guards what follows, and waiting
	cond    sync.Cond
	readers int // waiting
	writers int // waiting
	pass    int // waiting readers that go before the next writer
}

const (
	held   = 1 << 40 // a writer is inside
	queued = 1 << 41 // somebody waits, so that leaving takes mu
)

func (l *rwlock) init() { l.cond.L = &l.mu }

func (l *rwlock) Lock() {
	if !l.state.CompareAndSwap(0, held) {
		l.lockSlowly()
	}
}

func (l *rwlock) lockSlowly() {
	l.mu.Lock()
	l.writers++
	l.state.Or(queued)
	for l.pass > 0 || !l.state.CompareAndSwap(queued, queued|held) {
		l.cond.Wait()
	}
	l.writers--
	l.left()
	l.mu.Unlock()
}

// left takes the queued mark away when nobody waits any more. The caller holds mu.
func (l *rwlock) left() {
	if l.writers == 0 && l.readers == 0 {
		l.state.And(^int64(queued))
	}
}

func (l *rwlock) Unlock() {
	if l.state.CompareAndSwap(held, 0) {
		return
	}
	// Somebody waits, or a reader is just finding out that it has to.
	l.mu.Lock()
	l.pass = l.readers
	l.state.And(^int64(held))
	l.cond.Broadcast()
	l.mu.Unlock()
}

func (l *rwlock) RLock() {
	if l.state.Add(1) >= held {
		l.RUnlock()
		l.rlockSlowly()
	}
}

func (l *rwlock) rlockSlowly() {
	l.mu.Lock()
	l.readers++
	l.state.Or(queued)
	for l.state.Load()&held != 0 || l.writers > 0 && l.pass == 0 {
		l.cond.Wait()
	}
	l.state.Add(1) // no writer can come in between: that needs mu while somebody waits
	l.readers--
	if l.pass > 0 {
		if l.pass--; l.pass == 0 {
			l.cond.Broadcast()
		}
	}
	l.left()
	l.mu.Unlock()
}

func (l *rwlock) RUnlock() {
	if l.state.Add(-1) == queued {
		l.mu.Lock()
		l.cond.Broadcast()
		l.mu.Unlock()
	}
}
