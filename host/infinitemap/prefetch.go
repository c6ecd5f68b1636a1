package infinitemap

import (
	"sync"
	"sync/atomic"
)

// prefetcher notices that reads move in one direction and loads what comes next, in the
// background and at most maxAhead tiles at a time.
type prefetcher struct {
	on   bool // set once, by start
	once sync.Once
	last atomic.Pointer[movement]
	jobs chan cells
	quit chan struct{}
	done sync.WaitGroup
	busy atomic.Int32
}

const maxAhead = 16

// movement is where the last read was and how far it was from the one before.
type movement struct {
	at     cells
	dx, dy int64
}

func (p *prefetcher) start(m *Map) {
	if m.opt.NoPrefetch || m.cache.limit < 4*maxAhead {
		return // what comes next would push out what is in use
	}
	p.on = true
	p.jobs = make(chan cells, 2)
	p.quit = make(chan struct{})
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		for {
			select {
			case <-p.quit:
				return
			case a := <-p.jobs:
				p.fetch(m, a)
				p.busy.Add(-1)
			}
		}
	}()
}

func (p *prefetcher) stop() {
	if p.on {
		p.once.Do(func() { close(p.quit) })
		p.done.Wait()
	}
}

// saw is told where pixels were read. It never waits.
func (p *prefetcher) saw(m *Map, at cells) {
	if !p.on {
		return
	}
	old := p.last.Load()
	if old == nil {
		p.last.Store(&movement{at: at})
		return
	}
	dx, dy := at.x0-old.at.x0, at.y0-old.at.y0
	if dx == 0 && dy == 0 {
		return
	}
	p.last.Store(&movement{at, dx, dy})
	const far = 64 // tiles; a longer step is a jump
	if dx != old.dx || dy != old.dy || dx > far || dx < -far || dy > far || dy < -far {
		return
	}
	next := cells{0, at.x0 + dx, at.y0 + dy, at.x1 + dx, at.y1 + dy}
	first, last := cell{0, next.x0, next.y0}, cell{0, next.x1, next.y1}
	if !first.onPlane(m.shift) || !last.onPlane(m.shift) {
		return
	}
	p.busy.Add(1)
	select {
	case p.jobs <- next:
	default:
		p.busy.Add(-1)
	}
}

func (p *prefetcher) fetch(m *Map, a cells) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n := 0
	for y := a.y0; n < maxAhead && y <= a.y1; y++ {
		for x := a.x0; n < maxAhead && x <= a.x1; x++ {
			n++
			c := cell{0, x, y}
			m.cache.mu.Lock()
			known := m.cache.tiles[c.key()] != nil
			m.cache.mu.Unlock()
			if known || m.closed {
				continue
			}
			// What is wrong with a tile is the business of who reads it.
			if t, err := m.find(c); err == nil && !t.absent {
				m.count.prefetched.Add(1)
			}
		}
	}
}
