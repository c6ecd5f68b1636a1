package infinitemap

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// Writers are alone, readers see no half-made change, and everybody gets a turn.
func TestLock(t *testing.T) {
	var l rwlock
	l.init()
	var a, b int // equal whenever nobody writes
	var inside atomic.Int32
	var wg sync.WaitGroup
	const rounds = 3000
	for range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range rounds {
				l.Lock()
				if inside.Add(1) != 1 {
					t.Error("two writers")
				}
				a++
				if i%16 == 0 {
					runtime.Gosched()
				}
				b++
				inside.Add(-1)
				l.Unlock()
			}
		}()
	}
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range rounds {
				l.RLock()
				if a != b || inside.Load() != 0 {
					t.Error("a reader beside a writer")
				}
				if i%16 == 0 {
					runtime.Gosched()
				}
				l.RUnlock()
			}
		}()
	}
	wg.Wait()
	if a != 3*rounds || b != a || l.state.Load() != 0 {
		t.Errorf("a %d, b %d, state %#x", a, b, l.state.Load())
	}
}

// Readers do not wait for one another, and a waiting writer comes to its turn.
func TestLockShared(t *testing.T) {
	var l rwlock
	l.init()
	l.RLock()
	l.RLock()
	done := make(chan bool)
	go func() {
		l.Lock()
		l.Unlock()
		close(done)
	}()
	l.RUnlock()
	select {
	case <-done:
		t.Fatal("a writer beside a reader")
	default:
	}
	l.RUnlock()
	<-done
	l.RLock()
	l.RUnlock()
}
